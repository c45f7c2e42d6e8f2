//! The event of a trigger → messages, and what each says is to be read.
//!
//! A message is what can be reported as failed on its own: a message of a queue, a record of a stream, or the whole event
//! of a direct invocation. Layouts: "Event message structure" of the S3 user guide, EventBridge's "Object Created",
//! "Configuring Amazon SNS notifications for CloudTrail", and the events that Lambda gives for SQS and Kinesis; each may
//! lie in an envelope of SNS. There is deliberately no look into contents: `decode` tells what they are, and what isn't
//! recognised here is handed to it.

use serde_json::{Value, json};

/// Envelopes inside one another that are opened: AWS nests two (an event of a bucket, through a topic, in a queue).
const ENVELOPES_MAX: usize = 3;
/// The folder of CloudTrail's digests: they hold hashes and no records.
const DIGESTS: &str = "CloudTrail-Digest";
/// What CloudTrail tells a topic when it is set up.
const VALIDATION: &str = "CloudTrail validation message";

/// What can fail on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// By which its failure is reported: a message id, a sequence number. Empty: the whole event.
    pub id: String,
    /// What it says is to be read, in order.
    pub sources: Vec<Source>,
}

/// Something to read, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// It lies here.
    Content(Vec<u8>),
    /// It lies in a bucket.
    Object {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// The key where that one does not exist: as it would be in a notice that encodes keys otherwise.
        other: Option<String>,
    },
    /// Nothing to read, as expected: a test, a digest, a notice that something is gone.
    Passed,
}

/// The event of a log subscription: CloudWatch Logs' own, or records of Kinesis.
pub fn of_log_event(event: &[u8]) -> Vec<Message> {
    let value: Value = serde_json::from_slice(event).unwrap_or_default();
    let records = value["Records"].as_array().filter(|all| all.iter().all(|record| record["kinesis"].is_object()));
    let one = |record: &Value| Message {
        id: text(&record["kinesis"]["sequenceNumber"]).to_owned(),
        sources: vec![Source::Content(json!({ "Records": [record] }).to_string().into_bytes())],
    };
    match records {
        Some(records) => records.iter().map(one).collect(),
        None => vec![Message { id: String::new(), sources: vec![Source::Content(event.to_vec())] }],
    }
}

/// The event of a trail: messages of a queue with notices of objects or with calls, or one of those alone.
pub fn of_trail_event(event: &[u8]) -> Vec<Message> {
    let value: Value = serde_json::from_slice(event).unwrap_or_default();
    let records = value["Records"].as_array().filter(|all| all.iter().all(|record| record["eventSource"] == "aws:sqs"));
    let one = |record: &Value| Message { id: text(&record["messageId"]).to_owned(), sources: sources(text(&record["body"]), 0) };
    match records {
        Some(records) => records.iter().map(one).collect(),
        None => vec![Message { id: String::new(), sources: sources(&String::from_utf8_lossy(event), 0) }],
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What one text says is to be read.
fn sources(body: &str, envelopes: usize) -> Vec<Source> {
    let content = || vec![Source::Content(body.as_bytes().to_vec())];
    if body.starts_with(VALIDATION) {
        return vec![Source::Passed];
    }
    let Ok(value) = serde_json::from_str::<Value>(body) else { return content() };
    if envelopes < ENVELOPES_MAX
        && let Some(inner) = value["Message"].as_str().filter(|_| value["TopicArn"].is_string())
    {
        return sources(inner, envelopes + 1);
    }
    if let (Some(bucket), Some(keys)) = (value["s3Bucket"].as_str(), value["s3ObjectKey"].as_array()) {
        return keys.iter().map(|key| plain(bucket, text(key))).collect();
    }
    match (text(&value["source"]), text(&value["detail-type"])) {
        ("aws.s3", "Object Created") => {
            let detail = &value["detail"];
            return vec![plain(text(&detail["bucket"]["name"]), text(&detail["object"]["key"]))];
        }
        ("aws.s3", other) if other.starts_with("Object ") => return vec![Source::Passed],
        _ => {}
    }
    if value["Event"] == "s3:TestEvent" {
        return vec![Source::Passed];
    }
    match value["Records"].as_array() {
        Some(records) if !records.is_empty() => {
            let all: Option<Vec<Vec<Source>>> = records.iter().map(|record| notice(record, envelopes)).collect();
            all.map_or_else(content, |all| all.into_iter().flatten().collect())
        }
        _ => content(),
    }
}

/// One of `Records` of S3, SNS or SQS; nothing where it is another's.
fn notice(record: &Value, envelopes: usize) -> Option<Vec<Source>> {
    let is_nested = envelopes < ENVELOPES_MAX;
    match (text(&record["eventSource"]), text(&record["EventSource"])) {
        ("aws:s3", _) if text(&record["eventName"]).starts_with("ObjectCreated:") => {
            let (bucket, key) = (text(&record["s3"]["bucket"]["name"]), text(&record["s3"]["object"]["key"]));
            (!bucket.is_empty() && !key.is_empty()).then(|| vec![encoded(bucket, key)])
        }
        ("aws:s3", _) => Some(vec![Source::Passed]),
        (_, "aws:sns") if is_nested => Some(sources(text(&record["Sns"]["Message"]), envelopes + 1)),
        ("aws:sqs", _) if is_nested => Some(sources(text(&record["body"]), envelopes + 1)),
        _ => None,
    }
}

/// A key as it is written.
fn plain(bucket: &str, key: &str) -> Source {
    object(bucket, key.to_owned(), url_decoded(key))
}

/// A key as S3's own notices write it.
fn encoded(bucket: &str, key: &str) -> Source {
    object(bucket, url_decoded(key), key.to_owned())
}

fn object(bucket: &str, key: String, other: String) -> Source {
    if key.split('/').any(|part| part == DIGESTS) {
        return Source::Passed;
    }
    let other = (other != key).then_some(other);
    Source::Object { bucket: bucket.to_owned(), key, other }
}

/// Undoes the encoding of forms; what isn't encoded, or not as text, stays.
fn url_decoded(key: &str) -> String {
    let mut rest = key.as_bytes();
    let mut out = Vec::with_capacity(rest.len());
    while let [first, behind @ ..] = rest {
        let digits = behind.get(..2).and_then(|two| std::str::from_utf8(two).ok()).filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *first == b'%');
        out.push(byte.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if byte.is_some() { behind.get(2..).unwrap_or_default() } else { behind };
    }
    String::from_utf8(out).unwrap_or_else(|_| key.to_owned())
}

#[cfg(test)]
mod tests;
