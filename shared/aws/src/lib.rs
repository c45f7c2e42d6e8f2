//! Where things are in an AWS account: the only crate with the AWS SDK.
//!
//! [`context::Context`] is made once per cold start; [`dynamo`] is the store. There is deliberately no decision here: steps
//! stand in the pipeline, what is normal in core.

pub mod context;
pub mod dynamo;
pub mod evaluate;
mod failure;
pub mod feed;
pub mod ingest;
pub mod notify;
pub mod objects;
pub mod own_log;
pub mod secrets;
pub mod slack;
mod slack_codes;
pub mod sns;
pub mod sqs;
