//! When things are decided: load, decide in core, commit.
//!
//! Each step is one file: `ingest` writes batches, `evaluate` judges windows and joins incidents, `notify` tells them, `replay`
//! does the first two over a folder on simulated time. They know a [`store::Store`] and a [`sender::Sender`], and not where those
//! are. There is deliberately no clock, no network and no AWS SDK here.

pub mod checkpoint;
pub mod cost;
pub mod evaluate;
pub mod head;
pub mod ingest;
pub mod keys;
pub mod known;
pub mod notify;
pub mod outbox;
pub mod replay;
pub mod sender;
pub mod settings;
pub mod source;
pub mod store;
