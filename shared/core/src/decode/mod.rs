//! Feed bytes → records and rejects.
//!
//! What a file or delivery is shows in its content, never in its name: [`decode`] inflates it, tells JSON, tables and
//! lines apart, and hands every record to a [`Sink`] while its buffers live, so that nothing is copied. What can't be
//! read is a [`Reject`] that costs its own record alone. A log inside a log (`awslogs`, Kinesis, a record of CloudTrail
//! in a log event) is opened in place. There is deliberately no meaning here, no file and no name: `observe` says what a
//! record means, the caller knows where it lay.

mod inflate;
mod json;
mod lines;
mod messages;
mod platform;
mod record;
mod reject;
mod scan;
mod table;
mod trail;

#[cfg(test)]
mod tests;

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use platform::line;
pub use record::*;
pub use reject::{Reject, RejectReason};

use crate::limits::{INFLATED_BYTES_MAX, PENDING_REJECTS_MAX, RECORDS_MAX, SEARCHES_MAX, WRAPPED_BYTES_MAX, WRAPS_MAX};

/// Takes what is decoded, record by record.
pub trait Sink {
    /// A CloudTrail record. `raw` is its JSON: the identity of a record that has no `eventID`.
    fn trail(&mut self, record: &TrailRecord<'_>, raw: &[u8]);
    /// A log event.
    fn log(&mut self, record: &LogRecord<'_>);
    /// A sign of life of the feed itself: a `CONTROL_MESSAGE`, a digest of CloudTrail. It is counted as a record.
    fn control(&mut self);
    /// What could not be read.
    fn reject(&mut self, reject: Reject);
}

/// What a file or delivery was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Of the first record; nothing where it is no AWS log.
    pub format: Option<Format>,
    /// Records handed to the sink.
    pub records: u64,
    /// Rejects handed to the sink.
    pub rejects: u64,
    /// Elements that are no log and no broken one: a notice of another service, say.
    pub foreign: u64,
    /// Bytes of the inflated content, without what lies in wraps.
    pub content_bytes: u64,
    /// For what is no log: what it looks like, and what to do with it.
    pub note: Option<&'static str>,
}

/// The layouts that AWS logs come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// CloudTrail records: a log file, bare, as lines or as an array.
    Trail,
    /// `aws cloudtrail lookup-events`.
    LookupEvents,
    /// CloudTrail records in events of EventBridge.
    EventBridge,
    /// A digest of CloudTrail log files.
    Digest,
    /// Messages of a CloudWatch Logs subscription, bare or wrapped.
    Subscription,
    /// `aws logs filter-log-events` or `get-log-events`.
    LogEvents,
    /// A table of log events, as the console writes it.
    Table,
    /// Lines that begin with a time: a CloudWatch Logs export to S3, or `aws logs tail`.
    Export,
    /// Bare lines of Lambda, in text or JSON.
    Lines,
}

/// Buffers that are kept from file to file.
pub struct Scratch {
    inflater: libdeflater::Decompressor,
    buffers: Vec<Vec<u8>>,
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch { inflater: libdeflater::Decompressor::new(), buffers: Vec::new() }
    }
}

/// Decodes one file or delivery: `bytes` as it lay there, gzip, zlib or plain.
pub fn decode(bytes: &[u8], scratch: &mut Scratch, sink: &mut dyn Sink) -> Decoded {
    let mut reader = Reader {
        sink,
        scratch,
        decoded: Decoded::default(),
        pending: Vec::new(),
        foreign: false,
        wraps: 0,
        wrap_offset: None,
        searches: 0,
        room: INFLATED_BYTES_MAX,
        is_over: false,
        gave_up: false,
    };
    reader.content(bytes);
    reader.decoded
}

/// What one call of [`decode`] knows so far. The modules beside this one read into it.
struct Reader<'s> {
    sink: &'s mut dyn Sink,
    scratch: &'s mut Scratch,
    decoded: Decoded,
    /// Rejects of a content that may be no log at all.
    pending: Vec<Reject>,
    /// Something was recognised that is no log.
    foreign: bool,
    /// Wraps around what is read now.
    wraps: usize,
    /// Where the outermost wrap lies.
    wrap_offset: Option<usize>,
    /// Ends that were searched behind broken elements.
    searches: u32,
    /// Bytes that wraps may still inflate to.
    room: usize,
    /// They would have inflated to more.
    is_over: bool,
    /// It was told that the rest is not read.
    gave_up: bool,
}

impl Reader<'_> {
    /// Reads bytes as they lay there.
    fn content(&mut self, bytes: &[u8]) {
        let cap = if self.wraps == 0 { INFLATED_BYTES_MAX } else { WRAPPED_BYTES_MAX.min(self.room) };
        let mut buffer = self.scratch.buffers.pop().unwrap_or_default();
        let unpacked = inflate::unpack(bytes, cap, &mut self.scratch.inflater, &mut buffer);
        if self.wraps > 0 {
            self.room = self.room.saturating_sub(unpacked.inflated);
            self.is_over |= unpacked.fault == Some(RejectReason::TooLarge) && cap < WRAPPED_BYTES_MAX;
        }
        let content_bytes = match unpacked.content {
            inflate::Content::Text(text) => {
                self.text(text.trim_start_matches('\u{FEFF}'));
                text.len()
            }
            inflate::Content::Packed(bytes) => {
                self.wrapped(0, |reader| reader.content(bytes));
                bytes.len()
            }
            inflate::Content::Foreign(what) => {
                self.decoded.note = Some(what);
                0
            }
        };
        if self.wraps == 0 {
            self.decoded.content_bytes = content_bytes as u64;
        }
        match unpacked.fault {
            // A stream that broke off may have held anything; what could be read of it was no log.
            Some(RejectReason::Deflate) if self.decoded.format.is_none() && content_bytes > 0 => {
                self.decoded.note = Some("damaged gzip data, and no log as far as it inflates");
            }
            Some(reason) => self.certain(Reject::new(self.wrap_offset.unwrap_or(content_bytes) as u64, reason)),
            None => {}
        }
        self.scratch.buffers.push(buffer);
    }

    fn text(&mut self, text: &str) {
        let first = text.trim_start().as_bytes().first().copied().unwrap_or_default();
        let lines = lines::kind(text);
        match (first, lines) {
            (b'{', Some(Format::Lines)) => lines::read_bare(self, text),
            (b'{' | b'[', _) => {
                json::read(self, text);
                // A text may begin with a bracket: `[ERROR] …`.
                if self.decoded.format.is_none() && lines.is_some() {
                    self.pending.clear();
                    self.lines(text, lines);
                }
            }
            _ if table::is_log(text) => table::read(self, text),
            (_, Some(_)) => self.lines(text, lines),
            // JSON lines may begin with something else.
            _ if memchr::memmem::find(text.as_bytes(), b"\n{").is_some() => json::read(self, text),
            _ => self.foreign = true,
        }
    }

    fn lines(&mut self, text: &str, kind: Option<Format>) {
        match kind {
            Some(Format::Export) => lines::read_export(self, text),
            _ => lines::read_bare(self, text),
        }
    }

    /// Reads what lies inside something at `offset`, at most [`WRAPS_MAX`] deep.
    fn wrapped(&mut self, offset: usize, read: impl FnOnce(&mut Self)) {
        if self.wraps >= WRAPS_MAX {
            return self.certain(Reject::new(self.at(offset), RejectReason::Wraps));
        }
        let wrap_offset = self.wrap_offset;
        self.wrap_offset = Some(wrap_offset.unwrap_or(offset));
        self.wraps += 1;
        read(self);
        self.wraps -= 1;
        self.wrap_offset = wrap_offset;
    }

    /// Reads a text of our own making that stands for what lies at `offset`; false where it is broken.
    fn mended(&mut self, offset: usize, text: &str, read: json::ReadElement<'_>) -> bool {
        let wrap_offset = self.wrap_offset;
        self.wrap_offset = Some(wrap_offset.unwrap_or(offset));
        let read = read(self, text, 0);
        self.wrap_offset = wrap_offset;
        read.is_ok()
    }

    /// This is an AWS log: what was held back is told.
    fn recognise(&mut self, format: Format) {
        if self.decoded.format.is_none() {
            self.decoded.format = Some(format);
            for reject in mem::take(&mut self.pending) {
                self.certain(reject);
            }
        }
    }

    fn trail(&mut self, format: Format, record: &TrailRecord<'_>, raw: &str) {
        self.recognise(format);
        self.sink.trail(record, raw.as_bytes());
        self.decoded.records += 1;
    }

    fn log(&mut self, format: Format, record: &LogRecord<'_>) {
        self.recognise(format);
        self.sink.log(record);
        self.decoded.records += 1;
    }

    fn control(&mut self, format: Format) {
        self.recognise(format);
        self.decoded.records += 1;
        self.sink.control();
    }

    /// Runs what reads one record: should it panic, that costs this record and no other. What the panic left half done are
    /// buffers that the next record empties, and the depth, which is put back here.
    fn guarded<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, RejectReason>) -> Result<T, RejectReason> {
        let (wraps, wrap_offset) = (self.wraps, self.wrap_offset);
        catch_unwind(AssertUnwindSafe(|| read(self))).unwrap_or_else(|_| {
            (self.wraps, self.wrap_offset) = (wraps, wrap_offset);
            Err(RejectReason::Defect)
        })
    }

    /// Something that is no log, and no broken one.
    fn pass_over(&mut self) {
        self.foreign = true;
        self.decoded.foreign += 1;
    }

    /// Grows with everything that is read or can't be.
    fn told(&self) -> (u64, u64, usize) {
        (self.decoded.records, self.decoded.rejects, self.pending.len())
    }

    /// Where something at `offset` lies in the inflated content.
    fn at(&self, offset: usize) -> u64 {
        self.wrap_offset.unwrap_or(offset) as u64
    }

    /// Tells that the content lies elsewhere; also where nothing else here is a log.
    fn elsewhere(&mut self, offset: usize, bucket: &str, key: &str) {
        self.foreign = true;
        self.certain(Reject::elsewhere(self.at(offset), bucket, key));
    }

    /// Tells a reject, once it is known that this is a log.
    fn reject(&mut self, offset: usize, reason: RejectReason) {
        let reject = Reject::new(self.at(offset), reason);
        if self.decoded.format.is_some() {
            self.certain(reject);
        } else if self.pending.len() < PENDING_REJECTS_MAX {
            self.pending.push(reject);
        }
    }

    fn certain(&mut self, reject: Reject) {
        self.decoded.rejects += 1;
        self.sink.reject(reject);
    }

    /// Tells that the rest is not read, once; also where too much is held back already. What would have inflated to too much
    /// was told where it lies.
    fn give_up(&mut self, offset: usize) {
        let is_told = mem::replace(&mut self.gave_up, true) || self.is_over;
        if is_told {
            return;
        }
        let reason = if self.is_full() { RejectReason::TooManyRecords } else { RejectReason::TooManyBroken };
        let reject = Reject::new(self.at(offset), reason);
        match self.decoded.format {
            Some(_) => self.certain(reject),
            None => self.pending.push(reject),
        }
    }

    /// No use in reading on: too much was broken or is too much, or it is no log.
    fn is_hopeless(&self) -> bool {
        self.is_full() || self.is_over || self.searches > SEARCHES_MAX || self.pending.len() >= PENDING_REJECTS_MAX
    }

    /// As many records as one file may have.
    fn is_full(&self) -> bool {
        self.decoded.records >= RECORDS_MAX
    }
}
