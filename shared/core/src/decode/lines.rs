//! Logs as lines of text: exports with a time before every event, and bare lines of Lambda.
//!
//! In an export (CloudWatch Logs to S3, `aws logs tail`) an event begins with its time and a space, and lines without one
//! belong to the event before. In a text where the platform's own lines stand bare every line is an event, and most have
//! no time: times of the application's lines are taken where they are. Which of the two a text is, the first
//! line that is one of them tells. There is deliberately no guess at foreign logs: a text where none of these is found is no log.

use serde::Deserialize as DeriveDeserialize;

use super::json::{Read, object};
use super::messages::deliver;
use super::platform::is_platform;
use super::record::{Origin, Text};
use super::scan::skip_value;
use super::{Format, Reader, RejectReason};
use crate::limits::{PROBED_LINES_MAX, VALUE_BYTES_MAX};
use crate::time::Timestamp;

/// Bytes of a line that are looked at to tell what it is: the longest line of the platform has some 300.
const PROBED_BYTES: usize = 512;

/// What the first lines are: the platform's ([`Format::Lines`]) or such as begin with a time ([`Format::Export`]).
pub(super) fn kind(text: &str) -> Option<Format> {
    // A file of one line must not be searched for its end.
    let text = text.get(..text.floor_char_boundary(PROBED_LINES_MAX * PROBED_BYTES)).unwrap_or_default();
    for (_, line) in Lines(text, 0).filter(|(_, line)| !line.trim().is_empty()).take(PROBED_LINES_MAX) {
        let head = line.get(..line.floor_char_boundary(PROBED_BYTES)).unwrap_or_default();
        // The time of a timeout is the platform's own, and not that of an export.
        if is_platform(head) {
            return Some(Format::Lines);
        }
        if stamp(head).is_some() {
            return Some(Format::Export);
        }
    }
    None
}

/// Lines with their line break, and where they begin.
struct Lines<'a>(&'a str, usize);

impl<'a> Iterator for Lines<'a> {
    type Item = (usize, &'a str);
    fn next(&mut self) -> Option<(usize, &'a str)> {
        let rest = self.0.get(self.1..).filter(|rest| !rest.is_empty())?;
        let len = memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |n| n + 1);
        let start = self.1;
        self.1 += len;
        Some((start, rest.get(..len)?))
    }
}

/// The time at the start of an event of an export, and where its text begins.
fn stamp(line: &str) -> Option<(Timestamp, usize)> {
    if !line.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    // With a `T` between date and time there is no space inside.
    let end = memchr::memchr2(b' ', b'\n', line.as_bytes()).unwrap_or(line.len());
    let time = line.get(..end)?.trim_end_matches('\r');
    if !(19..=35).contains(&time.len()) {
        return None;
    }
    Some((Timestamp::parse(time)?, (end + 1).min(line.len())))
}

pub(super) fn read_export(reader: &mut Reader<'_>, text: &str) {
    let mut open: Option<(usize, Timestamp, usize)> = None;
    for (start, line) in Lines(text, 0) {
        match (stamp(line), open) {
            (Some((time, skip)), before) => {
                if let Some((from, time, skip)) = before {
                    export_event(reader, text, from, skip, start, time);
                }
                if reader.is_full() {
                    return reader.give_up(start);
                }
                open = Some((start, time, skip));
            }
            (None, Some(_)) => {}
            (None, None) if line.trim().is_empty() => {}
            (None, None) => bare_event(reader, start, line, Format::Export),
        }
    }
    if let Some((from, time, skip)) = open {
        export_event(reader, text, from, skip, text.len(), time);
    }
}

fn export_event(reader: &mut Reader<'_>, text: &str, from: usize, skip: usize, to: usize, time: Timestamp) {
    let message = text.get(from + skip..to).unwrap_or_default();
    let (stream, message) = tail_stream(message);
    let origin = Origin { stream: Text::from(stream), ..Origin::default() };
    if let Err(reason) = reader.guarded(|reader| deliver(reader, Format::Export, origin, None, Some(time), message)) {
        reader.reject(from, reason);
    }
}

/// `aws logs tail` writes the stream between time and text: `2025/03/20/[$LATEST]0a1b… text`.
fn tail_stream(message: &str) -> (&str, &str) {
    match message.split_once(' ') {
        Some((stream, rest)) if is_function_stream(stream) => (stream, rest),
        _ => ("", message),
    }
}

/// `2025/03/20/[$LATEST]0a1b…`, in shared groups `2025/03/20/name[1]0a1b…`.
fn is_function_stream(text: &str) -> bool {
    let mut parts = text.splitn(4, '/');
    let digits = |part: Option<&str>, n: usize| part.is_some_and(|p| p.len() == n && p.bytes().all(|b| b.is_ascii_digit()));
    digits(parts.next(), 4)
        && digits(parts.next(), 2)
        && digits(parts.next(), 2)
        && parts.next().is_some_and(|p| p.contains('[') && p.contains(']'))
}

pub(super) fn read_bare(reader: &mut Reader<'_>, text: &str) {
    for (start, line) in Lines(text, 0) {
        if reader.is_full() {
            return reader.give_up(start);
        }
        if !line.trim().is_empty() {
            bare_event(reader, start, line, Format::Lines);
        }
    }
}

fn bare_event(reader: &mut Reader<'_>, start: usize, line: &str, format: Format) {
    let first = line.trim_start().split([' ', '\t']).next().unwrap_or_default();
    let time = if line.starts_with('{') { json_time(line) } else { Timestamp::parse(first) };
    if let Err(reason) = reader.guarded(|reader| deliver(reader, format, Origin::default(), None, time, line)) {
        reader.reject(start, reason);
    }
}

#[derive(Default, DeriveDeserialize)]
#[serde(default)]
struct JsonTime<'a> {
    #[serde(borrow)]
    time: Text<'a>,
    #[serde(borrow)]
    timestamp: Text<'a>,
}

fn json_time(line: &str) -> Option<Timestamp> {
    let time: JsonTime<'_> = object(line, 0).ok()?.0;
    Timestamp::parse(&time.time).or_else(|| Timestamp::parse(&time.timestamp))
}

/// One JSON object among bare lines of a function.
pub(super) fn json_line(reader: &mut Reader<'_>, text: &str, pos: usize) -> Read {
    let end = skip_value(text, pos, VALUE_BYTES_MAX).ok_or(RejectReason::Syntax)?;
    let line = text.get(pos..end).unwrap_or_default();
    deliver(reader, Format::Lines, Origin::default(), None, json_time(line), line)?;
    Ok(end)
}
