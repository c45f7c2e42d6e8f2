//! Log events in JSON: messages of CloudWatch Logs subscriptions, bare or wrapped, and `aws logs … events`.
//!
//! Layouts: "Log group-level subscription filters" of the CloudWatch Logs user guide, and the events that Lambda gives
//! for CloudWatch Logs, Kinesis and Firehose. In centralised groups owner and group are the central ones: the system
//! fields of an event (`@aws.account`, `@source.log`) go first. A record of CloudTrail in a log event is a record
//! in a stream that CloudTrail writes, and nowhere else: elsewhere anybody may print one.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize as DeriveDeserialize;
use serde::de::{Deserialize, Deserializer};

use super::json::{Read, after_arrays, elements, object, parse, string};
use super::platform::{Figure, line};
use super::record::{LogRecord, Origin, Text, lenient};
use super::scan::{Member, byte, member, skip_string, skip_value, unescape};
use super::{Format, Reader, RejectReason, json, trail};
use crate::limits::{LINE_BYTES_MAX, VALUE_BYTES_MAX, WRAPPED_BYTES_MAX};
use crate::time::Timestamp;

/// A log event of any of the layouts.
#[derive(Default, DeriveDeserialize)]
#[serde(default, rename_all = "camelCase")]
struct LogEvent<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    event_id: Text<'a>,
    timestamp: Figure,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    log_stream_name: Text<'a>,
    #[serde(borrow, deserialize_with = "lenient")]
    extracted_fields: ExtractedFields<'a>,
}

/// A message; its presence matters, empty or not.
struct Message<'a>(Text<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Message<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer).map(Message)
    }
}

#[derive(Default, DeriveDeserialize)]
#[serde(default)]
struct ExtractedFields<'a> {
    #[serde(borrow, rename = "@aws.account")]
    account: Text<'a>,
    #[serde(borrow, rename = "@aws.region")]
    region: Text<'a>,
    #[serde(borrow, rename = "@source.log")]
    group: Text<'a>,
}

/// A time as exports write it: milliseconds since 1970 or RFC 3339.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    match text.trim().parse::<i64>() {
        Ok(ms) => Timestamp::from_ms(ms),
        Err(_) => Timestamp::parse(text),
    }
}

/// A message of a subscription. Its head stands before its events; where it doesn't, the events are read at the end.
pub(super) fn message(reader: &mut Reader<'_>, text: &str, pos: usize) -> Read {
    let mut origin = Origin::default();
    let (mut kind, mut later, mut read) = (None, None, false);
    let mut at = pos + 1;
    loop {
        let (key, value) = match member(text, at) {
            Member::Key(key, value) => (key, value),
            Member::End(end) => {
                at = end;
                break;
            }
            Member::Broken if read => return Ok(after_arrays(reader, text, at)),
            Member::Broken => return Err(RejectReason::Syntax),
        };
        match key {
            // What was read must not be read again: behind the events nothing is an error of the whole.
            _ if read => {}
            "messageType" => kind = string(text, value),
            "owner" => origin.account = parse(text, value)?.0,
            "logGroup" => origin.group = parse(text, value)?.0,
            "logStream" => origin.stream = parse(text, value)?.0,
            "logEvents" if byte(text, value) == b'[' => {
                if kind == Some(DATA) && !origin.stream.is_empty() && !origin.group.is_empty() {
                    at = log_event_array(reader, text, value + 1, &origin);
                    read = true;
                    continue;
                }
                later = Some(value + 1);
            }
            _ => {}
        }
        at = match skip_value(text, value, VALUE_BYTES_MAX).filter(|end| *end > value) {
            Some(end) => end,
            None if read => return Ok(after_arrays(reader, text, value)),
            None => return Err(RejectReason::Syntax),
        };
    }
    match (later.filter(|_| !read), kind) {
        (_, Some("CONTROL_MESSAGE")) if !read => reader.control(Format::Subscription),
        (Some(start), _) => {
            log_event_array(reader, text, start, &origin);
        }
        (None, Some(DATA)) if !read => return Err(RejectReason::NoMessage),
        (None, _) if !read => reader.pass_over(),
        (None, _) => {}
    }
    Ok(at)
}

const DATA: &str = "DATA_MESSAGE";

fn log_event_array(reader: &mut Reader<'_>, text: &str, start: usize, origin: &Origin<'_>) -> usize {
    reader.recognise(Format::Subscription);
    let mut buffer = String::new();
    elements(reader, text, start, &mut |reader, text, pos| {
        if let Some(usual) = usual_log_event(text, pos, &mut buffer) {
            deliver(reader, Format::Subscription, borrow(origin), Some(usual.id.into()), usual.time, usual.message)?;
            return Ok(usual.end);
        }
        let (event, end): (LogEvent<'_>, usize) = object(text, pos)?;
        let fields = &event.extracted_fields;
        let from = Origin {
            account: fields.account.some().unwrap_or(&origin.account).into(),
            region: Text::from(&*fields.region),
            group: fields.group.some().unwrap_or(&origin.group).into(),
            stream: Text::from(&*origin.stream),
        };
        let message = event.message.as_ref().ok_or(RejectReason::NoMessage)?;
        let id = event.id.some().map(Text::from);
        deliver(reader, Format::Subscription, from, id, event.timestamp.instant(), &message.0)?;
        Ok(end)
    })
}

/// A log event exactly as CloudWatch Logs writes it.
struct Usual<'a> {
    id: &'a str,
    time: Option<Timestamp>,
    message: &'a str,
    end: usize,
}

/// Reads `{"id":"3531…","timestamp":1742452953296,"message":"…"}`, which nearly all are, in half the time of a JSON
/// parser. Nothing for whatever differs, system fields included: the parser reads that.
fn usual_log_event<'a>(text: &'a str, pos: usize, buffer: &'a mut String) -> Option<Usual<'a>> {
    let rest = text.get(pos..)?.strip_prefix("{\"id\":\"")?;
    let (id, rest) = digits(rest)?;
    let (ms, rest) = digits(rest.strip_prefix("\",\"timestamp\":")?)?;
    let rest = rest.strip_prefix(",\"message\":\"")?;
    let open = text.len() - rest.len() - 1;
    let close = skip_string(text.as_bytes(), open)?;
    if byte(text, close) != b'}' {
        return None;
    }
    let raw = text.get(open + 1..close - 1)?;
    let message = if memchr::memchr(b'\\', raw.as_bytes()).is_some() { unescape(raw, buffer)? } else { raw };
    Some(Usual { id, time: ms.parse().ok().and_then(Timestamp::from_ms), message, end: close + 1 })
}

/// At least one digit, and what follows.
fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|b| !b.is_ascii_digit())?;
    text.split_at_checked(end).filter(|_| end > 0)
}

/// The same origin without a copy.
fn borrow<'a>(origin: &'a Origin<'_>) -> Origin<'a> {
    Origin {
        account: Text::from(&*origin.account),
        region: Text::from(&*origin.region),
        group: Text::from(&*origin.group),
        stream: Text::from(&*origin.stream),
    }
}

/// Hands on one log event: as a record of CloudTrail, or as a line.
pub(super) fn deliver(
    reader: &mut Reader<'_>,
    format: Format,
    origin: Origin<'_>,
    id: Option<Text<'_>>,
    time: Option<Timestamp>,
    message: &str,
) -> Result<(), RejectReason> {
    if message.len() > LINE_BYTES_MAX {
        return Err(RejectReason::TooLong);
    }
    if !message.starts_with('{') || !of_trail(&origin) || !trail::in_message(reader, format, message) {
        reader.log(format, &LogRecord { origin, id, time, message: Text::from(message), line: line(message) });
    }
    Ok(())
}

/// CloudTrail writes here: the group is no function's, and the stream is named as CloudTrail names its own. Elsewhere, and
/// where nothing names the stream, what looks like CloudTrail's was printed by code: whoever runs a container chooses what its
/// log says, but not where it stands.
fn of_trail(origin: &Origin<'_>) -> bool {
    !origin.group.starts_with("/aws/lambda/") && is_trail_stream(&origin.stream)
}

/// `ACCOUNT_CloudTrail_REGION`; an organisation's id may stand before it, a number behind it.
fn is_trail_stream(stream: &str) -> bool {
    let Some((head, tail)) = stream.split_once("_CloudTrail_") else { return false };
    let (organisation, account) = head.rsplit_once('_').unwrap_or(("", head));
    let (region, number) = tail.split_once('_').unwrap_or((tail, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    let of_region = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    (organisation.is_empty() || organisation.starts_with("o-"))
        && account.len() == 12
        && digits(account)
        && !region.is_empty()
        && region.bytes().all(of_region)
        && digits(number)
}

/// `events` of `aws logs filter-log-events` (with streams) or `get-log-events` (without).
pub(super) fn log_events(reader: &mut Reader<'_>, text: &str, start: usize) -> usize {
    elements(reader, text, start, &mut log_event)
}

/// One log event, in `events` or on its own.
pub(super) fn log_event(reader: &mut Reader<'_>, text: &str, pos: usize) -> Read {
    let (event, end): (LogEvent<'_>, usize) = object(text, pos)?;
    let message = event.message.as_ref().ok_or(RejectReason::NoMessage)?;
    // Other programs' events have a message, too, but no time in milliseconds.
    let time = event.timestamp.instant();
    if time.is_none() && reader.decoded.format.is_none() {
        return Err(RejectReason::NoMessage);
    }
    let origin = Origin { stream: Text::from(&*event.log_stream_name), ..Origin::default() };
    let id = event.event_id.some().map(Text::from);
    deliver(reader, Format::LogEvents, origin, id, time, &message.0)?;
    Ok(end)
}

#[derive(Default, DeriveDeserialize)]
#[serde(default)]
struct LambdaEvent<'a> {
    #[serde(borrow, deserialize_with = "lenient")]
    awslogs: Data<'a>,
}

#[derive(Default, DeriveDeserialize)]
#[serde(default)]
struct Data<'a> {
    #[serde(borrow)]
    data: Text<'a>,
}

/// What CloudWatch Logs gives a function: `{"awslogs":{"data":"…"}}`.
pub(super) fn lambda_event(reader: &mut Reader<'_>, text: &str, pos: usize) -> Read {
    let (event, end): (LambdaEvent<'_>, usize) = object(text, pos)?;
    reader.recognise(Format::Subscription);
    let data = event.awslogs.data.some().ok_or(RejectReason::NoLog)?;
    if !open(reader, pos, data)? {
        return Err(RejectReason::NoLog);
    }
    Ok(end)
}

/// `records` that Firehose gives or takes.
pub(super) fn firehose(reader: &mut Reader<'_>, text: &str, start: usize) -> usize {
    elements(reader, text, start, &mut |reader, text, pos| {
        let (record, end): (Data<'_>, usize) = object(text, pos)?;
        let data = record.data.some().ok_or(RejectReason::NoLog)?;
        transported(reader, pos, data)?;
        Ok(end)
    })
}

/// `Messages` of `aws sqs receive-message`: what lies in a dead-letter queue.
pub(super) fn queue(reader: &mut Reader<'_>, text: &str, start: usize) -> usize {
    elements(reader, text, start, &mut queued)
}

/// A message of a queue or of a topic.
#[derive(Default, DeriveDeserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Queued<'a> {
    #[serde(borrow)]
    body: Text<'a>,
    #[serde(borrow)]
    message: Text<'a>,
}

/// One message of a queue or of a topic; its text is JSON again, if it is one of ours.
pub(super) fn queued(reader: &mut Reader<'_>, text: &str, pos: usize) -> Read {
    let (queued, end): (Queued<'_>, usize) = object(text, pos)?;
    let body = queued.body.some().or(queued.message.some()).unwrap_or_default();
    enclosed(reader, pos, body).map(|()| end)
}

/// A text inside a message.
pub(super) fn enclosed(reader: &mut Reader<'_>, pos: usize, body: &str) -> Result<(), RejectReason> {
    let before = reader.told();
    if matches!(body.trim_start().as_bytes().first(), Some(b'{' | b'[')) {
        reader.wrapped(pos, |reader| json::read(reader, body));
    }
    let read = before != reader.told();
    reader.foreign |= !read;
    if read { Ok(()) } else { Err(RejectReason::NoLog) }
}

/// The data of a stream, which may carry anything.
pub(super) fn transported(reader: &mut Reader<'_>, pos: usize, data: &str) -> Result<(), RejectReason> {
    if !open(reader, pos, data)? {
        reader.pass_over();
    }
    Ok(())
}

/// As AWS writes it, and without the padding that its own library leaves out.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// Opens base64 data; false where there is no log in it.
fn open(reader: &mut Reader<'_>, pos: usize, data: &str) -> Result<bool, RejectReason> {
    if data.len() / 4 * 3 > WRAPPED_BYTES_MAX {
        return Err(RejectReason::TooLarge);
    }
    let mut buffer = reader.scratch.buffers.pop().unwrap_or_default();
    buffer.clear();
    let decoded = BASE64.decode_vec(data.trim(), &mut buffer);
    let before = reader.told();
    if decoded.is_ok() {
        reader.wrapped(pos, |reader| reader.content(&buffer));
    }
    reader.scratch.buffers.push(buffer);
    decoded.map_err(|_| RejectReason::Base64)?;
    Ok(before != reader.told())
}
