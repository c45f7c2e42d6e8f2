//! The same records in the forms in which AWS hands them out.
//!
//! A log event is `(id, milliseconds, message)` of a [`Stream`]; a trail record is its JSON. There is deliberately no
//! decoder here: what is written is what AWS documents.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// Packs bytes as AWS does.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// Unpacks a whole file.
pub fn gunzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    MultiGzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

/// Where log events come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stream {
    /// Account id.
    pub owner: String,
    /// Log group.
    pub group: String,
    /// Log stream.
    pub name: String,
}

/// One log event.
#[derive(Clone, Debug)]
pub struct Event {
    /// CloudWatch's own id.
    pub id: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// What it says.
    pub message: String,
}

/// A subscription message, unpacked.
pub fn subscription(stream: &Stream, events: &[Event]) -> Vec<u8> {
    let events: Vec<Value> = events.iter().map(|e| json!({"id": e.id, "timestamp": e.at_ms, "message": e.message})).collect();
    let message = json!({
        "messageType": "DATA_MESSAGE", "owner": stream.owner, "logGroup": stream.group, "logStream": stream.name,
        "subscriptionFilters": ["outflow"], "logEvents": events,
    });
    message.to_string().into_bytes()
}

/// The event of a Lambda function that a subscription calls.
pub fn awslogs(stream: &Stream, events: &[Event]) -> Vec<u8> {
    let packed = gzip(&subscription(stream, events));
    json!({"awslogs": {"data": base64::engine::general_purpose::STANDARD.encode(packed)}}).to_string().into_bytes()
}

/// Output of `aws logs filter-log-events`, which names no group and no account.
pub fn filter_log_events(stream: &Stream, events: &[Event]) -> Vec<u8> {
    let events: Vec<Value> = events
        .iter()
        .map(|e| {
            json!({"logStreamName": stream.name, "timestamp": e.at_ms, "message": e.message, "ingestionTime": e.at_ms + 1_000, "eventId": e.id})
        })
        .collect();
    json!({"events": events, "searchedLogStreams": []}).to_string().into_bytes()
}

/// A CloudTrail file.
pub fn trail_file(records: &[Value]) -> Vec<u8> {
    json!({ "Records": records }).to_string().into_bytes()
}

/// CloudTrail records, one a line.
pub fn trail_lines(records: &[Value]) -> Vec<u8> {
    records.iter().map(|r| r.to_string() + "\n").collect::<String>().into_bytes()
}

/// CloudTrail records as a trail writes them into a log group.
pub fn trail_messages(account: &str, region: &str, records: &[Value]) -> Vec<u8> {
    let stream =
        Stream { owner: account.to_owned(), group: "aws-cloudtrail-logs".to_owned(), name: format!("{account}_CloudTrail_{region}") };
    let event = |(i, r): (usize, &Value)| Event {
        id: format!("3918025107465959201099414207732864306249801940{i:010}"),
        at_ms: 1_756_903_221_209,
        message: r.to_string(),
    };
    subscription(&stream, &records.iter().enumerate().map(event).collect::<Vec<Event>>())
}

/// A CloudTrail record as EventBridge passes it on.
pub fn bus_event(record: &Value) -> Vec<u8> {
    json!({
        "version": "0", "id": record["eventID"], "detail-type": "AWS API Call via CloudTrail", "source": "aws.outflow-test",
        "account": record["recipientAccountId"], "time": record["eventTime"], "region": record["awsRegion"], "resources": [], "detail": record,
    })
    .to_string()
    .into_bytes()
}
