//! Log events of functions → observations.
//!
//! Platform lines are identified by request id, kind and instant, so that a subscription, an export and a console download
//! of the same line are one event; application lines by the log event's id, or by their text where an export has none.
//! Failed invocations are identified by the request id alone: the report, the timeout and the stack trace of one
//! invocation are one failure. There is deliberately no template of a line here.

use std::borrow::Cow;

use super::trail::account_id;
use super::{Actor, Class, Identity, Observation, Subject, What};
use crate::decode::{Application, Line, LogRecord, Report};

/// Kinds of observations of one request id.
const REPORTED: u64 = 1;
const STARTED: u64 = 2;
const ENDED: u64 = 3;
const FAILED: u64 = 4;
const OTHER: u64 = 5;

/// What is taken to be so where the content of a log doesn't say it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Assumed<'a> {
    /// Name of the function.
    pub function: &'a str,
    /// Region: a subscription's messages name none, and come from where they are received.
    pub region: &'a str,
}

/// Says what one log event says.
pub fn observe_log(record: &LogRecord<'_>, assumed: &Assumed<'_>, out: &mut dyn FnMut(Observation<'_>)) {
    let Some(actor) = actor(record, assumed) else { return seen(record, out) };
    let time = record.time.map_or(0, |t| t.ms() as u64);
    let mut put = |what, id: Id<'_>, event_id: &str, values| {
        let primary = what != What::Failure;
        let (id, ordinal) = match id {
            Id::Request(id, kind @ FAILED) => (id.as_bytes(), kind),
            Id::Request(id, kind) => (id.as_bytes(), time << 4 | kind),
            Id::Event => event_identity(record, time),
        };
        out(Observation {
            subject: Subject { class: Class::Logs, account: Cow::Borrowed(account_id(&record.origin.account)), actor: actor.clone(), what },
            time: record.time,
            identity: Identity { id, ordinal, scope: scope(record, assumed.function), primary },
            event_id,
            values,
        });
    };
    match &record.line {
        Line::Report(report) => {
            let (what, values) = invocation(report);
            put(what, Id::Request(report.request_id, REPORTED), report.request_id, values);
            if failed(report) {
                put(What::Failure, Id::Request(report.request_id, FAILED), report.request_id, [0.0; 2]);
            }
        }
        Line::Start { request_id } => put(What::Seen, Id::Request(request_id, STARTED), "", [0.0; 2]),
        Line::End { request_id } => put(What::Seen, Id::Request(request_id, ENDED), "", [0.0; 2]),
        Line::Timeout { request_id } => {
            put(What::Seen, Id::Request(request_id, OTHER), "", [0.0; 2]);
            put(What::Failure, Id::Request(request_id, FAILED), request_id, [0.0; 2]);
        }
        Line::LogsDropped => put(What::Dropped, Id::Event, "", [0.0; 2]),
        Line::InitStart | Line::InitReport | Line::Platform(_) => put(What::Seen, Id::Event, "", [0.0; 2]),
        Line::Application(line) => {
            put(What::Line, Id::Event, "", [0.0; 2]);
            if let Some(id) = unhandled(line, &record.message) {
                let event = if id.is_empty() { Id::Event } else { Id::Request(id, FAILED) };
                put(What::Failure, event, id, [0.0; 2]);
            }
        }
    }
}

enum Id<'a> {
    Request(&'a str, u64),
    Event,
}

/// A record that is about no function leaves a trace, so that its duplicates stay countable.
fn seen(record: &LogRecord<'_>, out: &mut dyn FnMut(Observation<'_>)) {
    let (id, ordinal) = event_identity(record, record.time.map_or(0, |t| t.ms() as u64));
    out(Observation {
        subject: Subject {
            class: Class::Logs,
            account: Cow::Borrowed(account_id(&record.origin.account)),
            actor: Actor::Service(Cow::Borrowed("logs.amazonaws.com")),
            what: What::Seen,
        },
        time: record.time,
        identity: Identity { id, ordinal, scope: record.origin.group.as_bytes(), primary: true },
        event_id: "",
        values: [0.0; 2],
    });
}

fn event_identity<'a>(record: &'a LogRecord<'_>, time: u64) -> (&'a [u8], u64) {
    match &record.id {
        Some(id) => (id.as_bytes(), OTHER),
        None => (record.message.trim_end().as_bytes(), time << 4 | OTHER),
    }
}

fn scope<'a>(record: &'a LogRecord<'_>, assumed: &'a str) -> &'a [u8] {
    function_of(record).unwrap_or(assumed).as_bytes()
}

/// The function that a log group or stream names: `/aws/lambda/NAME`, or `YYYY/MM/DD/NAME[version]hash` in a shared group.
fn function_of<'a>(record: &'a LogRecord<'_>) -> Option<&'a str> {
    if let Some(name) = record.origin.group.strip_prefix("/aws/lambda/") {
        return Some(name).filter(|n| !n.is_empty());
    }
    let last = record.origin.stream.splitn(4, '/').nth(3)?;
    let (name, rest) = last.split_once('[')?;
    (!name.is_empty() && rest.contains(']')).then_some(name)
}

fn actor<'a>(record: &'a LogRecord<'_>, assumed: &Assumed<'a>) -> Option<Actor<'a>> {
    let origin = &record.origin;
    let region = if origin.region.is_empty() { assumed.region } else { &*origin.region };
    let named = |name: &'a str, assumed| Actor::Named {
        account: Cow::Borrowed(account_id(&origin.account)),
        region: Cow::Borrowed(region),
        name: Cow::Borrowed(name),
        assumed,
    };
    if let Some(name) = function_of(record) {
        return Some(named(name, false));
    }
    if origin.group.is_empty() {
        return (!assumed.function.is_empty()).then(|| named(assumed.function, true));
    }
    let is_lambda = !matches!(record.line, Line::Application(_));
    is_lambda.then(|| named(origin.group.rsplit('/').next().unwrap_or(&origin.group), true))
}

fn invocation(report: &Report<'_>) -> (What<'static>, [f64; 2]) {
    let memory_mb = report.memory_size_mb.map_or(0, |mb| mb as u32);
    let tenths = |ms: Option<f64>| ms.map_or(0.0, |v| v * 10.0);
    (What::Invocation { memory_mb }, [tenths(report.duration_ms), tenths(report.billed_duration_ms)])
}

fn failed(report: &Report<'_>) -> bool {
    report.error_type.is_some() || report.status.is_some_and(|s| !s.eq_ignore_ascii_case("success"))
}

fn is_error(line: &Application<'_>) -> bool {
    line.level.is_some_and(|l| matches!(l.to_ascii_uppercase().as_str(), "ERROR" | "FATAL" | "CRITICAL" | "SEVERE"))
}

/// The request id of an unhandled exception as the managed runtimes write it, empty where they write none.
fn unhandled<'a>(line: &Application<'a>, message: &str) -> Option<&'a str> {
    let says_so = if line.json {
        is_error(line) && message.contains("\"errorType\"") && message.contains("\"stackTrace\"")
    } else {
        (message.starts_with("[ERROR]") && message.contains("Traceback"))
            || message.contains("\tERROR\tInvoke Error")
            || message.contains("\tERROR\tUncaught Exception")
            || message.contains("\tERROR\tUnhandled Promise Rejection")
    };
    says_so.then(|| line.request_id.unwrap_or_default())
}
