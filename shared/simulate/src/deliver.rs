//! Delivery: records and lines become the files that AWS would leave behind.
//!
//! CloudTrail collects records for minutes and writes them out of order, now and then twice or hours late; CloudWatch Logs
//! delivers the lines of one stream per message, now and then twice. Only this file touches the disk. There is
//! deliberately no digest file of CloudTrail: nothing reads one yet.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::SimulateError;
use crate::calendar::{self, HOUR, MINUTE};
use crate::dice::Dice;
use crate::json::{Obj, list};
use crate::record::{ACCOUNT, REGION};

/// CloudTrail looks every five minutes whether there is enough to write.
const TICK: i64 = 5 * MINUTE;
/// It writes when this many records wait (median of the published account: 20 a file) …
const ENOUGH_RECORDS: usize = 30;
/// … or the oldest is this old, so that quiet hours don't fill the folder with tiny files.
const OLD_ENOUGH: i64 = 8 * MINUTE;
/// More go into a further file of the same minute (394 is the most seen in the published account).
const RECORDS_MAX: usize = 400;
/// From a call to its record being there: file stamp minus event time is 86 s at the 5th percentile of that account.
const COLLECT_MS: (i64, i64) = (45_000, 200_000);
/// Share of records that come twice, and hours late. "Uncommon" say the AWS pages; no figure is published.
const TRAIL_TWICE: f64 = 0.003;
const TRAIL_LATE: f64 = 0.002;
/// A message holds at most this many lines of one stream …
const LINES_MAX: usize = 400;
/// … and lines of at most this span.
const LINES_SPAN: i64 = HOUR;
/// Share of messages delivered twice, and late. "May occur" say the AWS pages; no figure is published.
const LOGS_TWICE: f64 = 0.01;
const LOGS_LATE: f64 = 0.005;
/// The numbers at the end of log event ids start below this, so that they stay within 18 digits.
const EVENT_NUMBERS: u64 = 900_000_000_000_000_000;
/// Level of compression: the fastest, the files are read once.
const LEVEL: Compression = Compression::new(1);

/// One line on its way.
struct Line {
    at: i64,
    text: String,
}

/// Where everything that happens goes.
pub(crate) struct Sink {
    out: PathBuf,
    seed: u64,
    /// Records by when they become available, in order of arrival: (available, nth) → (event time, text).
    waiting: BTreeMap<(i64, u64), (i64, String)>,
    nth: u64,
    /// Records that are available and not yet written.
    ready: Vec<(i64, String)>,
    next_tick: i64,
    /// Lines not yet delivered, by function and stream.
    open: BTreeMap<(&'static str, String), Vec<Line>>,
    /// Messages written, by folder.
    written: BTreeMap<String, u32>,
    pub(crate) files: u64,
    pub(crate) events: u64,
    pub(crate) lines: u64,
}

impl Sink {
    /// An empty folder's sink.
    pub(crate) fn new(out: &Path, seed: u64) -> Sink {
        Sink {
            out: out.to_path_buf(),
            seed,
            waiting: BTreeMap::new(),
            nth: 0,
            ready: Vec::new(),
            next_tick: calendar::START + TICK,
            open: BTreeMap::new(),
            written: BTreeMap::new(),
            files: 0,
            events: 0,
            lines: 0,
        }
    }

    /// A record of something that happened at this instant. The caller's dice say when it is delivered.
    pub(crate) fn record(&mut self, at: i64, record: String, dice: &mut Dice) {
        let mut available = at + dice.between(COLLECT_MS.0, COLLECT_MS.1);
        if dice.chance(TRAIL_LATE) {
            available += dice.between(HOUR, 6 * HOUR);
        }
        if dice.chance(TRAIL_TWICE) {
            let again = available + dice.between(5 * MINUTE, HOUR);
            self.wait(again, at, record.clone());
        }
        self.wait(available, at, record);
    }

    fn wait(&mut self, available: i64, at: i64, record: String) {
        self.nth += 1;
        self.waiting.insert((available, self.nth), (at, record));
    }

    /// A line of a function's stream. Lines of one stream come in order.
    pub(crate) fn line(&mut self, function: &'static str, stream: &str, at: i64, text: String) -> Result<(), SimulateError> {
        let key = (function, stream.to_string());
        let lines = self.open.entry(key.clone()).or_default();
        let full = lines.len() >= LINES_MAX || lines.first().is_some_and(|first| at - first.at > LINES_SPAN);
        let done = if full { std::mem::take(lines) } else { Vec::new() };
        lines.push(Line { at, text });
        self.deliver(function, &key.1, &done)
    }

    /// Writes what is due by the end of a day; `last` also writes what would come later.
    pub(crate) fn flush(&mut self, day_end: i64, last: bool) -> Result<(), SimulateError> {
        for ((function, stream), lines) in std::mem::take(&mut self.open) {
            self.deliver(function, &stream, &lines)?;
        }
        while self.next_tick <= day_end || (last && !(self.waiting.is_empty() && self.ready.is_empty())) {
            let later = self.waiting.split_off(&(self.next_tick, 0));
            self.ready.extend(std::mem::replace(&mut self.waiting, later).into_values());
            let oldest = self.ready.iter().map(|(at, _)| *at).min();
            if self.ready.len() >= ENOUGH_RECORDS || oldest.is_some_and(|at| at <= self.next_tick - OLD_ENOUGH) {
                self.write_trail()?;
            }
            self.next_tick += TICK;
        }
        Ok(())
    }

    fn write_trail(&mut self) -> Result<(), SimulateError> {
        let mut records = std::mem::take(&mut self.ready);
        let (folders, stamp) = (calendar::folders(self.next_tick), calendar::stamp(self.next_tick));
        let mut dice = Dice::new(self.seed, &format!("trail/{stamp}"));
        records.sort();
        dice.shuffle(&mut records);
        for part in records.chunks(RECORDS_MAX) {
            let random = dice.alnum(16);
            let path = format!("AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/{folders}/{ACCOUNT}_CloudTrail_{REGION}_{stamp}_{random}.json.gz");
            let texts: Vec<&str> = part.iter().map(|(_, text)| text.as_str()).collect();
            self.write(&path, &format!("{{\"Records\":[{}]}}", texts.join(",")))?;
            self.events += part.len() as u64;
        }
        Ok(())
    }

    fn deliver(&mut self, function: &str, stream: &str, lines: &[Line]) -> Result<(), SimulateError> {
        let (Some(first), Some(end)) = (lines.first(), lines.last()) else { return Ok(()) };
        let mut dice = Dice::new(self.seed, &format!("logs/{function}/{stream}/{}", first.at));
        let mut at = end.at + dice.between(3_000, 120_000);
        if dice.chance(LOGS_LATE) {
            at += dice.between(HOUR, 3 * HOUR);
        }
        let start = dice.below(EVENT_NUMBERS);
        let events: Vec<String> = lines.iter().zip(start..).map(|(line, n)| event(&event_id(line.at, n), line)).collect();
        let message = message(&format!("/aws/lambda/{function}"), stream, &events);
        let copies = if dice.chance(LOGS_TWICE) { 2 } else { 1 };
        for _ in 0..copies {
            let folder = format!("cloudwatch/aws-lambda-{function}/{}", calendar::folders(at));
            let n = self.written.entry(folder.clone()).or_default();
            *n += 1;
            let path = format!("{folder}/{n:04}.json.gz");
            self.write(&path, &message)?;
            self.lines += lines.len() as u64;
            at += dice.between(MINUTE, 3 * MINUTE);
        }
        Ok(())
    }

    fn write(&mut self, path: &str, text: &str) -> Result<(), SimulateError> {
        let path = self.out.join(path);
        let save = || {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut gzip = GzEncoder::new(Vec::with_capacity(text.len() / 6), LEVEL);
            gzip.write_all(text.as_bytes())?;
            fs::write(&path, gzip.finish()?)
        };
        save().map_err(|source| SimulateError::Write { path: path.clone(), source })?;
        self.files += 1;
        Ok(())
    }
}

fn event(id: &str, line: &Line) -> String {
    Obj::new().text("id", id).raw("timestamp", &line.at.to_string()).text("message", &line.text).done()
}

fn message(group: &str, stream: &str, events: &[String]) -> String {
    Obj::new()
        .text("messageType", "DATA_MESSAGE")
        .text("owner", ACCOUNT)
        .text("logGroup", group)
        .text("logStream", stream)
        .raw("subscriptionFilters", &list(&["outflow"]))
        .raw("logEvents", &format!("[{}]", events.join(",")))
        .done()
}

/// The id of a log event: 56 digits that begin with the time times 2¹⁴⁴, as the published ones do, and end in a number.
fn event_id(at: i64, n: u64) -> String {
    /// The leading 26 digits of 2¹⁴⁴.
    const SCALE: u128 = 22_300_745_198_530_623_141_535_718;
    format!("{}{n:018}", at as u128 * SCALE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Id and time of a published message (the Datadog forwarder's fixtures): the same leading digits, the same length.
    #[test]
    fn event_ids_look_like_published_ones() {
        let published = "35311576113643479509122203821736568581641214360547753996";
        let id = event_id(1_583_425_836_190, 0);
        assert_eq!((id.len(), &id[..13]), (published.len(), &published[..13]));
    }
}
