//! What one log line of a function is: the platform's lines in text and JSON, and the application's.
//!
//! The platform's text is read by its keys and never by positions: separators are tabs or spaces, keys come and go with
//! the years. Types, states and errors that are unknown here stay as they are written. Forms: "Lambda telemetry schema
//! reference" and "Lambda logging" of the Lambda developer guide, and published logs. An application can print a line
//! that looks like the platform's: text logs can't tell, so nothing here claims to. There is deliberately no error: what
//! is nothing else is a line of the application.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize as DeriveDeserialize;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::time::Timestamp;

use super::record::{Application, Line, Report, Text, lenient};

/// What a message of a function's log is.
pub fn line(message: &str) -> Line<'_> {
    let text = message.trim_start();
    match text.as_bytes().first() {
        Some(b'{') => json_line(text).unwrap_or_else(|| Line::Application(application(text))),
        Some(b'A'..=b'Z') => platform_text(text).unwrap_or_else(|| Line::Application(application(text))),
        Some(b'0'..=b'9' | b'a'..=b'f') => timeout(text).unwrap_or_else(|| Line::Application(application(text))),
        _ => Line::Application(application(text)),
    }
}

/// The start of a line is of the platform: the sign by which a file of bare lines is known.
pub(super) fn is_platform(head: &str) -> bool {
    let head = head.trim_start();
    if head.starts_with('{') {
        let has = |sign: &str| memchr::memmem::find(head.as_bytes(), sign.as_bytes()).is_some();
        return has("\"type\":\"platform.") || has("\"type\": \"platform.");
    }
    !matches!(line(head), Line::Application(_))
}

fn platform_text(text: &str) -> Option<Line<'_>> {
    if let Some(rest) = text.strip_prefix("REPORT RequestId: ") {
        return Some(Line::Report(report(rest)));
    }
    if let Some(rest) = text.strip_prefix("START RequestId: ") {
        return Some(Line::Start { request_id: token(rest).0 });
    }
    if let Some(rest) = text.strip_prefix("END RequestId: ") {
        return Some(Line::End { request_id: token(rest).0 });
    }
    if text.starts_with("INIT_START ") {
        return Some(Line::InitStart);
    }
    if text.starts_with("INIT_REPORT ") {
        return Some(Line::InitReport);
    }
    other_platform_text(text)
}

fn other_platform_text(text: &str) -> Option<Line<'_>> {
    let kind = token(text).0;
    let known = match kind {
        "RESTORE_START" | "RESTORE_REPORT" | "XRAY" => true,
        "EXTENSION" | "LOGS" | "TELEMETRY" => text.get(kind.len() + 1..).is_some_and(|rest| rest.trim_start().starts_with("Name: ")),
        // `RequestId: … Error: Runtime exited with error: signal: killed`, `… Process exited before completing request`.
        "RequestId:" => text.contains("Error: Runtime exited") || text.contains("Process exited before"),
        _ => false,
    };
    known.then(|| Line::Platform(kind.trim_end_matches(':')))
}

/// What follows `REPORT RequestId: `.
fn report(rest: &str) -> Report<'_> {
    let (request_id, rest) = token(rest);
    let mut report = Report { request_id, ..Report::default() };
    for (key, value) in Pairs(rest) {
        match key {
            "Duration" => report.duration_ms = figure(value),
            "Billed Duration" => report.billed_duration_ms = figure(value),
            "Memory Size" => report.memory_size_mb = figure(value),
            "Status" => report.status = some(value),
            "Error Type" => report.error_type = some(value),
            _ => {}
        }
    }
    report
}

/// `2024-04-14T01:17:35.426Z <request id> Task timed out after 3.05 seconds`; the time may be cut off by an export.
fn timeout(text: &str) -> Option<Line<'_>> {
    let (first, rest) = token(text);
    let (second, rest) = if is_request_id(first) { (first, rest) } else { token(rest.trim_start()) };
    (is_request_id(second) && rest.trim_start().starts_with("Task timed out after ")).then_some(Line::Timeout { request_id: second })
}

/// The pairs of `Key Words: value unit`, separated by tabs, spaces or line breaks.
struct Pairs<'a>(&'a str);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str);
    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        let colon = memchr::memchr(b':', self.0.as_bytes())?;
        let key = self.0.get(..colon)?.trim();
        let rest = self.0.get(colon + 1..)?;
        let (value, after) = token(rest.trim_start());
        // `Phase:  Status: error`: the value is empty.
        if value.ends_with(':') {
            self.0 = rest;
            return Some((key, ""));
        }
        let (unit, behind_unit) = token(after.trim_start());
        self.0 = if matches!(unit, "ms" | "MB") { behind_unit } else { after };
        Some((key, value))
    }
}

/// Up to the next white space, and the rest from there.
fn token(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|b| b.is_ascii_whitespace()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn some(value: &str) -> Option<&str> {
    (!value.is_empty()).then_some(value)
}

fn figure(value: &str) -> Option<f64> {
    value.parse::<f64>().ok().filter(|v| v.is_finite() && *v >= 0.0)
}

/// A request id has the layout of a UUID; documentation writes other letters into it.
fn is_request_id(text: &str) -> bool {
    let dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    text.len() == 36 && text.bytes().enumerate().all(|(at, b)| if dash(at) { b == b'-' } else { b.is_ascii_alphanumeric() })
}

/// Fields of an application's line among which level and request id are: `[ERROR]⇥time⇥id`, `time⇥id⇥ERROR`, and what
/// loggers of Java put before them (`2020-08-31 20:40:46 <id> INFO`).
const APPLICATION_FIELDS: usize = 6;

/// A line of the application, in text: the level where the runtimes of Lambda write it, and the request id.
fn application(text: &str) -> Application<'_> {
    let mut found = Application::default();
    let mut rest = text;
    for _ in 0..APPLICATION_FIELDS {
        let (field, after) = token(rest);
        if field.is_empty() {
            break;
        }
        let tabbed = after.starts_with('\t');
        if found.request_id.is_none() && is_request_id(field) {
            found.request_id = Some(field);
        } else if found.level.is_none() {
            found.level = level(field, tabbed);
        }
        // Levels and ids stand before the text, on its first line.
        if after.starts_with(['\n', '\r']) {
            break;
        }
        rest = after.trim_start_matches([' ', '\t']);
    }
    found
}

/// A level in capitals anywhere among the first fields, in small letters only where a tab ends it (.NET).
fn level(field: &str, tabbed: bool) -> Option<&str> {
    let bare = field.trim_start_matches('[').trim_end_matches(':').trim_end_matches(']');
    let is = |name: &str| bare == name || (tabbed && bare.eq_ignore_ascii_case(name));
    let names = ["INFO", "ERROR", "WARN", "WARNING", "DEBUG", "TRACE", "FATAL", "CRITICAL", "FAIL", "CRIT"];
    names.iter().any(|name| is(name)).then_some(bare)
}

/// A figure, or absent.
#[derive(Default)]
pub(super) struct Figure(Option<f64>);

impl Figure {
    /// Read as milliseconds since 1970.
    pub(super) fn instant(&self) -> Option<Timestamp> {
        self.0.filter(|ms| *ms < 1e15).and_then(|ms| Timestamp::from_ms(ms as i64))
    }
}

struct FigureVisitor;

impl<'de> Visitor<'de> for FigureVisitor {
    type Value = Figure;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }
    fn visit_f64<E: Error>(self, v: f64) -> Result<Figure, E> {
        Ok(Figure((v.is_finite() && v >= 0.0).then_some(v)))
    }
    fn visit_u64<E: Error>(self, v: u64) -> Result<Figure, E> {
        Ok(Figure(Some(v as f64)))
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<Figure, E> {
        Ok(Figure(None))
    }
    fn visit_str<E: Error>(self, v: &str) -> Result<Figure, E> {
        Ok(Figure(figure(v)))
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Figure, E> {
        Ok(Figure(None))
    }
    fn visit_unit<E: Error>(self) -> Result<Figure, E> {
        Ok(Figure(None))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Figure, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Figure(None))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Figure, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Figure(None))
    }
}

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FigureVisitor)
    }
}

/// A line in JSON, of the platform or of the application: only what we read of either.
#[derive(Default, DeriveDeserialize)]
#[serde(default, rename_all = "camelCase")]
struct JsonLine<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, deserialize_with = "lenient")]
    record: JsonRecord<'a>,
    #[serde(borrow)]
    level: Text<'a>,
    #[serde(borrow)]
    severity: Text<'a>,
    #[serde(borrow)]
    request_id: Text<'a>,
    /// Written by Java.
    #[serde(borrow, rename = "AWSrequestId")]
    java_request_id: Text<'a>,
    /// Written by loggers of Node.js.
    #[serde(borrow)]
    aws_request_id: Text<'a>,
    /// Written by Powertools.
    #[serde(borrow, rename = "function_request_id")]
    function_request_id: Text<'a>,
}

/// `record` of the platform.
#[derive(Default, DeriveDeserialize)]
#[serde(default, rename_all = "camelCase")]
struct JsonRecord<'a> {
    #[serde(borrow)]
    request_id: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow)]
    error_type: Text<'a>,
    #[serde(borrow)]
    level: Text<'a>,
    #[serde(deserialize_with = "lenient")]
    metrics: JsonMetrics,
}

/// `record.metrics`; Managed Instances write the duration alone.
#[derive(Default, DeriveDeserialize)]
#[serde(default, rename_all = "camelCase")]
struct JsonMetrics {
    duration_ms: Figure,
    billed_duration_ms: Figure,
    #[serde(rename = "memorySizeMB")]
    memory_size_mb: Figure,
}

/// A string as it stands in the message; absent where it was written with escapes, which no id or state has.
fn plain(text: Text<'_>) -> Option<&str> {
    match text.0 {
        Cow::Borrowed(text) => some(text),
        Cow::Owned(_) => None,
    }
}

/// Nothing where it is no JSON object after all.
fn json_line(text: &str) -> Option<Line<'_>> {
    let line = match serde_json::Deserializer::from_str(text).into_iter::<JsonLine<'_>>().next()? {
        Ok(line) => line,
        // A key that stands twice is still JSON of the application.
        Err(e) if e.is_data() => return Some(Line::Application(Application { json: true, ..Application::default() })),
        Err(_) => return None,
    };
    let (kind, record) = (plain(line.kind).unwrap_or_default(), line.record);
    let Some(event) = kind.strip_prefix("platform.") else {
        let level = [line.level, line.severity, record.level].into_iter().find_map(plain);
        let ids = [line.request_id, line.java_request_id, line.aws_request_id, line.function_request_id, record.request_id];
        return Some(Line::Application(Application { level, request_id: ids.into_iter().find_map(plain), json: true }));
    };
    let request_id = plain(record.request_id).unwrap_or_default();
    let (status, error_type, metrics) = (plain(record.status), plain(record.error_type), record.metrics);
    Some(match event {
        "report" => Line::Report(Report {
            request_id,
            duration_ms: metrics.duration_ms.0,
            billed_duration_ms: metrics.billed_duration_ms.0,
            memory_size_mb: metrics.memory_size_mb.0,
            status,
            error_type,
        }),
        "start" => Line::Start { request_id },
        "end" => Line::End { request_id },
        "initStart" => Line::InitStart,
        "initReport" => Line::InitReport,
        "logsDropped" => Line::LogsDropped,
        _ => Line::Platform(kind),
    })
}
