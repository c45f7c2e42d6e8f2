//! What is normal for a Lambda function and what is not.
//!
//! Bytes from a *feed* decode into *records*; records become *observations* about an *entity*; the observations of one
//! delivery are stored as a *batch*; a *window* is the union of its batches; windows are judged against the entity's
//! *baseline*, giving *findings*; findings join into an *incident*; an incident is rendered as an *alert*.
//!
//! Everything here is pure: values in, values out. There is deliberately no clock, no network, no file and no store.

pub mod account;
pub mod alert;
pub mod baseline;
pub mod batch;
pub mod config;
pub mod decode;
pub mod detect;
pub mod directory;
pub mod entity;
pub mod facts;
pub mod incident;
pub mod limits;
pub mod observe;
pub mod stored;
pub mod time;
mod varint;
pub mod window;
