//! CloudTrail records: log files, bare records, `lookup-events` and events of EventBridge.
//!
//! Layouts: "CloudTrail record contents" and "CloudTrail log file examples" of the CloudTrail user guide. Aggregated
//! events and insights name what they are about elsewhere than records do; it is moved to where a record has it, and
//! `eventCategory` says that they are no calls. Notices of other services that share the shape (`aws:s3`, `aws:sqs`) are
//! no log.

use serde::Deserialize as DeriveDeserialize;

use super::json::{Read, elements, object, parse};
use super::record::{Few, Text, TrailRecord, lenient, texts};
use super::scan::skip_value;
use super::{Format, Reader, RejectReason, messages};
use crate::limits::{RECORD_BYTES_MAX, VALUE_BYTES_MAX};

/// `Records` of a log file; other services use the same key for their notices.
pub(super) fn records(reader: &mut Reader<'_>, text: &str, start: usize) -> usize {
    let before = reader.decoded.records;
    let was_foreign = std::mem::take(&mut reader.foreign);
    let end = elements(reader, text, start, &mut record);
    // Broken or empty, and nothing in it says that it is another's.
    if !reader.foreign || reader.decoded.records > before {
        reader.recognise(Format::Trail);
    }
    reader.foreign |= was_foreign;
    end
}

/// One element of `Records`.
fn record(reader: &mut Reader<'_>, text: &str, pos: usize) -> Read {
    let (record, end): (TrailRecord<'_>, usize) = object(text, pos)?;
    let raw = text.get(pos..end).unwrap_or_default();
    if record.is_record() && !is_notice(&record.event_source) {
        return emit(reader, Format::Trail, &record, raw, end);
    }
    let other: Other<'_> = object(text, pos)?.0;
    if let Some(data) = other.kinesis.data.some() {
        return messages::transported(reader, pos, data).map(|()| end);
    }
    if let Some(body) = other.body.some().or(other.sns.message.some()) {
        return messages::enclosed(reader, pos, body).map(|()| end);
    }
    if let (Some(bucket), Some(key)) = (other.s3.bucket.name.some(), other.s3.object.key.some())
        && record.event_name.starts_with("ObjectCreated:")
    {
        reader.elsewhere(pos, bucket, key);
        return Ok(end);
    }
    if is_notice(&record.event_source) || is_notice(&other.event_source) {
        reader.foreign = true;
        return Ok(end);
    }
    other.unlike_calls(record).map_or(Err(RejectReason::NotARecord), |record| emit(reader, Format::Trail, &record, raw, end))
}

fn emit(reader: &mut Reader<'_>, format: Format, record: &TrailRecord<'_>, raw: &str, end: usize) -> Read {
    if raw.len() > RECORD_BYTES_MAX {
        return Err(RejectReason::TooLong);
    }
    reader.trail(format, record, raw);
    Ok(end)
}

/// S3, SQS, SNS, Kinesis, … write `aws:s3` where CloudTrail writes `s3.amazonaws.com`.
fn is_notice(event_source: &str) -> bool {
    event_source.starts_with("aws:")
}

/// What tells an element of `Records` that is no record of a call.
#[derive(Default, DeriveDeserialize)]
#[serde(default, rename_all = "camelCase")]
struct Other<'a> {
    #[serde(borrow, rename = "EventSource")]
    event_source: Text<'a>,
    #[serde(borrow, deserialize_with = "lenient")]
    kinesis: Kinesis<'a>,
    /// Of a message of SQS.
    #[serde(borrow)]
    body: Text<'a>,
    #[serde(borrow, rename = "Sns", deserialize_with = "lenient")]
    sns: Sns<'a>,
    #[serde(borrow, deserialize_with = "lenient")]
    s3: Stored<'a>,
    #[serde(borrow)]
    account_id: Text<'a>,
    #[serde(borrow, deserialize_with = "lenient")]
    time_window: TimeWindow<'a>,
    #[serde(borrow, deserialize_with = "lenient")]
    insight_details: InsightDetails<'a>,
}

#[derive(Default, DeriveDeserialize)]
#[serde(default)]
struct Kinesis<'a> {
    #[serde(borrow)]
    data: Text<'a>,
}

#[derive(Default, DeriveDeserialize)]
#[serde(default)]
struct Sns<'a> {
    #[serde(borrow, rename = "Message")]
    message: Text<'a>,
}

/// Bucket and object of a notice: `s3` of S3's own, `detail` of EventBridge's.
#[derive(Default, DeriveDeserialize)]
#[serde(default)]
struct Stored<'a> {
    #[serde(borrow, deserialize_with = "lenient")]
    bucket: Bucket<'a>,
    #[serde(borrow, deserialize_with = "lenient")]
    object: Object<'a>,
}

#[derive(Default, DeriveDeserialize)]
#[serde(default)]
struct Bucket<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

#[derive(Default, DeriveDeserialize)]
#[serde(default)]
struct Object<'a> {
    #[serde(borrow)]
    key: Text<'a>,
}

#[derive(Default, DeriveDeserialize)]
#[serde(default, rename_all = "camelCase")]
struct TimeWindow<'a> {
    #[serde(borrow)]
    window_start: Text<'a>,
}

#[derive(Default, DeriveDeserialize)]
#[serde(default, rename_all = "camelCase")]
struct InsightDetails<'a> {
    #[serde(borrow)]
    event_source: Text<'a>,
    #[serde(borrow)]
    event_name: Text<'a>,
}

impl<'a> Other<'a> {
    /// An aggregated event or an insight as a record.
    fn unlike_calls(self, mut record: TrailRecord<'a>) -> Option<TrailRecord<'a>> {
        let window = self.time_window.window_start;
        if !window.is_empty() || &*record.event_type == "AwsAggregatedEvent" || &*record.event_category == "Aggregated" {
            record.event_category = "Aggregated".into();
            if record.event_time.is_empty() {
                record.event_time = window;
            }
            if record.recipient_account_id.is_empty() {
                record.recipient_account_id = self.account_id;
            }
            return Some(record);
        }
        let insight = self.insight_details;
        if insight.event_name.is_empty() || insight.event_source.is_empty() {
            return None;
        }
        record.event_category = "Insight".into();
        record.event_name = insight.event_name;
        record.event_source = insight.event_source;
        Some(record)
    }
}

/// A record on its own. One without version, id and time is no record: catalogues of APIs name event and source, too.
pub(super) fn bare(reader: &mut Reader<'_>, text: &str, pos: usize, versioned: bool) -> Read {
    let (record, end): (TrailRecord<'_>, usize) = object(text, pos)?;
    let raw = text.get(pos..end).unwrap_or_default();
    if is_notice(&record.event_source) {
        reader.foreign = true;
        return Ok(end);
    }
    let dated = versioned || !record.event_id.is_empty() || !record.event_time.is_empty() || !record.at_timestamp.is_empty();
    if record.is_record() && dated {
        return emit(reader, Format::Trail, &record, raw, end);
    }
    let other: Other<'_> = object(text, pos)?.0;
    match other.unlike_calls(record) {
        Some(record) => emit(reader, Format::Trail, &record, raw, end),
        None => Err(RejectReason::NotARecord),
    }
}

/// A record that is the message of a log event, where it is one.
pub(super) fn in_message(reader: &mut Reader<'_>, format: Format, message: &str) -> bool {
    let head = message.get(..message.floor_char_boundary(512)).unwrap_or_default();
    let finder = |key: &str| memchr::memmem::find(head.as_bytes(), key.as_bytes()).is_some();
    if !message.starts_with('{') || !(finder("\"eventVersion\"") || finder("\"userIdentity\"")) || message.len() > RECORD_BYTES_MAX {
        return false;
    }
    let Ok((record, _)) = object::<TrailRecord<'_>>(message, 0) else { return false };
    let found = record.is_record() && !is_notice(&record.event_source);
    if found {
        reader.trail(format, &record, message.trim_end());
    }
    found
}

/// `detail` of an event of EventBridge; other services' events have another.
pub(super) fn event_bridge(reader: &mut Reader<'_>, text: &str, pos: usize, detail: usize) -> Read {
    let end = skip_value(text, pos, VALUE_BYTES_MAX).ok_or(RejectReason::Syntax)?;
    let (record, detail_end): (Detail<'_>, usize) = parse(text, detail)?;
    let record = record.0;
    if record.is_record() && !is_notice(&record.event_source) {
        return emit(reader, Format::EventBridge, &record, text.get(detail..detail_end).unwrap_or_default(), end);
    }
    let other: DetailOther<'_> = parse(text, detail)?.0;
    match other.0.unlike_calls(record) {
        Some(record) if !record.event_source.is_empty() => {
            emit(reader, Format::EventBridge, &record, text.get(detail..detail_end).unwrap_or_default(), end)
        }
        _ => {
            let stored = parse::<DetailStored<'_>>(text, detail)?.0.0;
            match (stored.bucket.name.some(), stored.object.key.some()) {
                (Some(bucket), Some(key)) => reader.elsewhere(pos, bucket, key),
                _ => reader.foreign = true,
            }
            Ok(end)
        }
    }
}

/// CloudTrail's own notice of files: `{"s3Bucket":"…","s3ObjectKey":["…"]}`.
pub(super) fn delivered(reader: &mut Reader<'_>, text: &str, pos: usize) -> Read {
    let (notice, end): (Delivered<'_>, usize) = object(text, pos)?;
    for key in notice.s3_object_key.iter().filter(|_| !notice.s3_bucket.is_empty()) {
        reader.elsewhere(pos, &notice.s3_bucket, key);
    }
    Ok(end)
}

#[derive(Default, DeriveDeserialize)]
#[serde(default, rename_all = "camelCase")]
struct Delivered<'a> {
    #[serde(borrow)]
    s3_bucket: Text<'a>,
    #[serde(borrow, deserialize_with = "texts")]
    s3_object_key: Few<Text<'a>>,
}

/// `detail`, which may be anything.
#[derive(Default)]
struct Detail<'a>(TrailRecord<'a>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Detail<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient(deserializer).map(Detail)
    }
}

#[derive(Default)]
struct DetailStored<'a>(Stored<'a>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for DetailStored<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient(deserializer).map(DetailStored)
    }
}

#[derive(Default)]
struct DetailOther<'a>(Other<'a>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for DetailOther<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient(deserializer).map(DetailOther)
    }
}

/// `Events` of `aws cloudtrail lookup-events`: each holds its record as text.
pub(super) fn lookup_events(reader: &mut Reader<'_>, text: &str, start: usize) -> usize {
    elements(reader, text, start, &mut lookup_event)
}

#[derive(Default, DeriveDeserialize)]
#[serde(default)]
struct LookupEvent<'a> {
    #[serde(borrow, rename = "CloudTrailEvent")]
    record: Text<'a>,
}

fn lookup_event(reader: &mut Reader<'_>, text: &str, pos: usize) -> Read {
    let (event, end): (LookupEvent<'_>, usize) = object(text, pos)?;
    let Some(text) = event.record.some() else { return Err(RejectReason::NotARecord) };
    reader.recognise(Format::LookupEvents);
    let record: TrailRecord<'_> = object(text, 0)?.0;
    if !record.is_record() {
        return Err(RejectReason::NotARecord);
    }
    emit(reader, Format::LookupEvents, &record, text, end)
}
