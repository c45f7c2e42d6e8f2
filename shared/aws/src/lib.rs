//! Where things are in an AWS account: the only crate with the AWS SDK.
//!
//! [`context::Context`] is made once per cold start; [`dynamo`] is the store. There is deliberately no decision here: steps
//! stand in the pipeline, what is normal in core.

pub mod context;
pub mod dynamo;
pub mod feed;
pub mod ingest;
pub mod objects;
pub mod own_log;
