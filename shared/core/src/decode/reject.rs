//! Why a part of a feed could not be read: an offset and a reason, never the content.
//!
//! A reject costs its own record and no other. Reasons are few, because each is for one next move of the reader; the
//! codes are stable and documented. The content is deliberately absent: it belongs to whoever wrote it. Only a notice's
//! object is named, since nobody could fetch it otherwise.

use thiserror::Error;

use crate::limits::OBJECT_NAME_MAX;

/// One part of a feed that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Bytes before it in the inflated content; for what lies in a wrap, of the wrap.
    pub offset: u64,
    /// Why.
    pub reason: RejectReason,
    /// Of [`RejectReason::Elsewhere`]: the object, `s3://bucket/key`, as the notice writes it.
    pub object: Option<Box<str>>,
}

impl Reject {
    /// A reject that names nothing.
    pub fn new(offset: u64, reason: RejectReason) -> Reject {
        Reject { offset, reason, object: None }
    }

    /// Says where the content lies that a notice is about.
    pub fn elsewhere(offset: u64, bucket: &str, key: &str) -> Reject {
        let object = format!("s3://{bucket}/{key}").chars().take(OBJECT_NAME_MAX).collect::<String>();
        Reject { offset, reason: RejectReason::Elsewhere, object: Some(object.into()) }
    }
}

/// Why it could not be read, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum RejectReason {
    /// The content ends inside a record.
    #[error("the content ends inside a record: fetch the file again")]
    Truncated,
    /// Not JSON.
    #[error("broken JSON: the record is skipped; if a pipeline wrote it, look there")]
    Syntax,
    /// JSON, but no CloudTrail record.
    #[error("no eventName or no eventSource: not a CloudTrail record; give the records as CloudTrail wrote them")]
    NotARecord,
    /// Nesting over [`crate::limits::JSON_DEPTH_MAX`].
    #[error("nested more than 128 deep: AWS writes no such record")]
    TooDeep,
    /// Over [`crate::limits::LINE_BYTES_MAX`] or [`crate::limits::RECORD_BYTES_MAX`].
    #[error("a line or record over 1 MB: AWS writes none; split the file at line breaks")]
    TooLong,
    /// Over [`crate::limits::INFLATED_BYTES_MAX`]; a wrap over [`crate::limits::WRAPPED_BYTES_MAX`], or all wraps together over
    /// [`crate::limits::INFLATED_BYTES_MAX`].
    #[error("inflates to more than 256 MiB (64 MiB inside a message): the rest is not read; split the file")]
    TooLarge,
    /// A gzip or zlib stream that is cut or damaged.
    #[error("the gzip data is cut or damaged: what inflates is read; fetch the file again")]
    Deflate,
    /// `data` of a message.
    #[error("the data is no base64: the message is skipped")]
    Base64,
    /// A wrap without a log.
    #[error("the message holds no log: the message is skipped")]
    NoLog,
    /// More than [`crate::limits::WRAPS_MAX`] wraps.
    #[error("wrapped more than 3 deep: unpack it first")]
    Wraps,
    /// UTF-16.
    #[error("written in UTF-16: convert it to UTF-8")]
    Utf16,
    /// A log event or row without a message.
    #[error("a log event without a message: export the columns timestamp and message")]
    NoMessage,
    /// More than [`crate::limits::SEARCHES_MAX`] broken elements without an end.
    #[error("too many broken records: the rest of the file is not read; fetch it again")]
    TooManyBroken,
    /// A notice that an object was written.
    #[error("a notice of an object in S3 and not the object itself: fetch it and give it as a file")]
    Elsewhere,
    /// More than [`crate::limits::RECORDS_MAX`] records.
    #[error("more than 4 million records in one file: the rest is not read; split the file at line breaks: split -l 1000000")]
    TooManyRecords,
    /// Reading panicked.
    #[error("a defect of Outflow: the record is skipped; please report it")]
    Defect,
}

impl RejectReason {
    /// The code by which the documentation knows it.
    pub fn code(self) -> &'static str {
        match self {
            RejectReason::Truncated => "OF201",
            RejectReason::Syntax => "OF202",
            RejectReason::NotARecord => "OF203",
            RejectReason::TooDeep => "OF204",
            RejectReason::TooLong => "OF205",
            RejectReason::TooLarge => "OF206",
            RejectReason::Deflate => "OF207",
            RejectReason::Base64 => "OF208",
            RejectReason::NoLog => "OF209",
            RejectReason::Wraps => "OF210",
            RejectReason::Utf16 => "OF211",
            RejectReason::NoMessage => "OF212",
            RejectReason::TooManyBroken => "OF213",
            RejectReason::Elsewhere => "OF214",
            RejectReason::Defect => "OF215",
            RejectReason::TooManyRecords => "OF216",
        }
    }
}
