//! JSON of any of AWS's layouts: which one it is shows in the keys.
//!
//! A content is one or more values, one after the other (lines, concatenated messages) or in an array. Of each object
//! the keys are walked until one tells what it is; the elements of large arrays are parsed one by one where they lie.
//! There is deliberately no tree.

use serde::Deserialize;

use super::scan::{Member, byte, member, mend, skip_space, skip_string, skip_value};
use super::{Format, Reader, RejectReason, lines, messages, trail};
use crate::limits::{RECORD_BYTES_MAX, VALUE_BYTES_MAX};

/// What came of one element: the position behind it.
pub(super) type Read = Result<usize, RejectReason>;

/// Reads one element that begins at the position.
pub(super) type ReadElement<'f> = &'f mut dyn FnMut(&mut Reader<'_>, &str, usize) -> Read;

/// Reads a content that begins with a bracket.
pub(super) fn read(reader: &mut Reader<'_>, text: &str) {
    let start = skip_space(text, 0);
    if byte(text, start) == b'[' {
        elements(reader, text, start + 1, &mut document);
    } else {
        sequence(reader, text, start);
    }
}

/// Parses the object at a position; the position behind it. (Arrays would be read as an object's fields in order.)
pub(super) fn object<'a, T: Deserialize<'a>>(text: &'a str, pos: usize) -> Result<(T, usize), RejectReason> {
    if byte(text, pos) == b'{' { parse(text, pos) } else { Err(RejectReason::NotARecord) }
}

/// Parses the value at a position; the position behind it.
pub(super) fn parse<'a, T: Deserialize<'a>>(text: &'a str, pos: usize) -> Result<(T, usize), RejectReason> {
    let end = text.floor_char_boundary(pos.saturating_add(VALUE_BYTES_MAX));
    let rest = text.get(pos..end).unwrap_or_default();
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<T>();
    match values.next() {
        Some(Ok(value)) => Ok((value, pos + values.byte_offset())),
        Some(Err(e)) if e.is_eof() && end < text.len() => Err(RejectReason::TooLong),
        _ => Err(RejectReason::Syntax),
    }
}

/// The string at a position, where there is one without escapes.
pub(super) fn string(text: &str, pos: usize) -> Option<&str> {
    if byte(text, pos) != b'"' {
        return None;
    }
    text.get(pos + 1..skip_string(text.as_bytes(), pos)? - 1)
}

/// How an element ended.
enum Ended {
    /// Read or rejected; the position behind it.
    At(usize),
    /// Broken, and its end can't be found.
    Nowhere(RejectReason),
}

/// One value after the other, with white space between: lines, or messages without any. A broken one ends where a line
/// begins with the next.
fn sequence(reader: &mut Reader<'_>, text: &str, start: usize) {
    const NEXT: &str = "\n{";
    let mut at = start;
    while at < text.len() && !reader.is_hopeless() {
        at = match byte(text, at) {
            // No JSON lines, but what a careless export writes between them.
            b',' => at + 1,
            b'{' => match element(reader, text, at, NEXT, &mut document) {
                Ended::At(end) => end,
                Ended::Nowhere(reason) => skip_broken(reader, text, at, NEXT, reason),
            },
            _ => {
                reader.reject(at, RejectReason::Syntax);
                let rest = text.as_bytes().get(at..).unwrap_or_default();
                memchr::memchr(b'\n', rest).map_or(text.len(), |n| at + n)
            }
        };
        at = skip_space(text, at);
    }
    give_up(reader, text, at);
}

/// The elements of an array, from behind its bracket. Returns the position behind the array, or the end of the text
/// where it is cut.
pub(super) fn elements(reader: &mut Reader<'_>, text: &str, start: usize, read: ReadElement<'_>) -> usize {
    let mut at = skip_space(text, start);
    let marker = marker(text, at);
    while at < text.len() && !reader.is_hopeless() {
        at = match byte(text, at) {
            b']' => return at + 1,
            b',' => at + 1,
            _ => match element(reader, text, at, marker, read) {
                Ended::At(end) => end.max(at + 1),
                Ended::Nowhere(reason) => match skip_broken(reader, text, at, marker, reason) {
                    next if next == text.len() => return next,
                    next => next,
                },
            },
        };
        at = skip_space(text, at);
    }
    if at >= text.len() {
        reader.reject(text.len(), RejectReason::Truncated);
    }
    give_up(reader, text, at);
    text.len()
}

/// Says so where reading stopped before the end.
fn give_up(reader: &mut Reader<'_>, text: &str, at: usize) {
    if reader.is_hopeless() && at < text.len() {
        reader.give_up(at);
    }
}

/// How the first element begins, with its first key: where the next may be found when one has no end.
fn marker(text: &str, pos: usize) -> &str {
    let open = skip_space(text, pos + 1);
    let key = text.as_bytes().get(open + 1..).and_then(|rest| memchr::memchr(b'"', rest));
    let first = key.and_then(|n| text.get(pos..open + n + 2));
    first.filter(|_| byte(text, pos) == b'{' && byte(text, open) == b'"').unwrap_or(",{\"")
}

/// Rejects an element without an end and goes to where the next begins; to the end of the text where none does.
fn skip_broken(reader: &mut Reader<'_>, text: &str, pos: usize, marker: &str, reason: RejectReason) -> usize {
    reader.searches += 1;
    match find(text, pos + 1, text.len(), marker) {
        Some(next) => {
            reader.reject(pos, reason);
            next
        }
        None => {
            reader.reject(pos, if text.len() - pos > RECORD_BYTES_MAX { reason } else { RejectReason::Truncated });
            text.len()
        }
    }
}

fn find(text: &str, from: usize, to: usize, marker: &str) -> Option<usize> {
    memchr::memmem::find(text.as_bytes().get(from..to)?, marker.as_bytes()).map(|n| from + n)
}

/// Reads one element; a broken one is mended or rejected.
fn element(reader: &mut Reader<'_>, text: &str, pos: usize, marker: &str, read: ReadElement<'_>) -> Ended {
    let reason = match reader.guarded(|reader| read(reader, text, pos)) {
        Ok(end) => return Ended::At(end),
        Err(reason) => reason,
    };
    let Some(end) = skip_value(text, pos, RECORD_BYTES_MAX) else { return Ended::Nowhere(reason) };
    let reason = match reason {
        RejectReason::Syntax => match mend(text.get(pos..end).unwrap_or_default()) {
            Ok(mended) if reader.mended(pos, &mended, read) => return Ended::At(end),
            Ok(_) => reason,
            Err(reason) => reason,
        },
        _ => reason,
    };
    reader.reject(pos, reason);
    // A quote that is missing makes an end out of another's: the next must not be swallowed.
    match find(text, pos + 1, end, marker).filter(|_| reason == RejectReason::Syntax) {
        Some(next) => {
            reader.searches += 1;
            Ended::At(next)
        }
        None => Ended::At(end),
    }
}

/// Reads an object that may be anything, by the first key that tells what it is.
pub(super) fn document(reader: &mut Reader<'_>, text: &str, pos: usize) -> Read {
    if byte(text, pos) != b'{' {
        reader.pass_over();
        return skip_value(text, pos, VALUE_BYTES_MAX).ok_or(RejectReason::Syntax);
    }
    // Among bare lines of a function everything is one.
    if reader.decoded.format == Some(Format::Lines) {
        return lines::json_line(reader, text, pos);
    }
    let mut at = pos + 1;
    let mut arrays = 0_u32;
    loop {
        let (key, value) = match member(text, at) {
            Member::Key(key, value) => (key, value),
            Member::End(end) => {
                // Nothing of AWS.
                if arrays == 0 {
                    reader.pass_over();
                }
                return Ok(end);
            }
            Member::Broken if arrays == 0 => return Err(RejectReason::Syntax),
            Member::Broken => return Ok(after_arrays(reader, text, at)),
        };
        if arrays == 0 && value - pos > VALUE_BYTES_MAX {
            return Err(RejectReason::TooLong);
        }
        let array = byte(text, value) == b'[';
        match key {
            "Records" if array => at = trail::records(reader, text, value + 1),
            "records" if array => at = messages::firehose(reader, text, value + 1),
            "Events" if array => at = trail::lookup_events(reader, text, value + 1),
            "events" if array => at = messages::log_events(reader, text, value + 1),
            "Messages" if array => at = messages::queue(reader, text, value + 1),
            // What was read must not be read again: behind an array nothing is an error of the whole.
            _ if arrays > 0 => match skip_value(text, value, VALUE_BYTES_MAX).filter(|end| *end > value) {
                Some(end) => at = end,
                None => return Ok(after_arrays(reader, text, value)),
            },
            "messageType" | "logEvents" | "logGroup" | "logStream" => return messages::message(reader, text, pos),
            "awslogs" => return messages::lambda_event(reader, text, pos),
            "ReceiptHandle" | "TopicArn" => return messages::queued(reader, text, pos),
            "s3Bucket" | "s3ObjectKey" => return trail::delivered(reader, text, pos),
            "ingestionTime" | "logStreamName" => return messages::log_event(reader, text, pos),
            "eventVersion" | "eventName" | "eventSource" | "eventID" | "userIdentity" | "eventTime" | "eventType" | "eventCategory" => {
                return trail::bare(reader, text, pos, key == "eventVersion");
            }
            "detail" if !array => return trail::event_bridge(reader, text, pos, value),
            "digestS3Object" | "digestS3Bucket" | "digestEndTime" => {
                let end = skip_value(text, pos, VALUE_BYTES_MAX).ok_or(RejectReason::Syntax)?;
                reader.control(Format::Digest);
                return Ok(end);
            }
            "requestPayload" if byte(text, value) == b'{' => {
                // What could not be delivered lies under this key in the record of an on-failure destination.
                let end = skip_value(text, pos, VALUE_BYTES_MAX).ok_or(RejectReason::Syntax)?;
                reader.wrapped(value, |reader| {
                    if let Err(reason) = document(reader, text, value) {
                        reader.reject(value, reason);
                    }
                });
                return Ok(end);
            }
            "type" if string(text, value).is_some_and(|kind| kind.starts_with("platform.")) => {
                return lines::json_line(reader, text, pos);
            }
            _ => {
                at = skip_value(text, value, VALUE_BYTES_MAX).filter(|end| *end > value).ok_or(RejectReason::Syntax)?;
                continue;
            }
        }
        arrays += 1;
    }
}

/// What follows an array that was read is broken. The end of the text was told as such.
pub(super) fn after_arrays(reader: &mut Reader<'_>, text: &str, at: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    let next = find(text, at, text.len(), "\n{").map(|n| n + 1);
    reader.reject(at, if next.is_some() { RejectReason::Syntax } else { RejectReason::Truncated });
    next.unwrap_or(text.len())
}
