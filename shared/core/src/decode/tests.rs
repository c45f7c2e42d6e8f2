//! What the decoders make of small contents, shown whole. Real data is in `data`, laws in `properties`.

#![allow(clippy::too_many_lines, reason = "a table of variants reads better whole than in pieces")]

mod data;
mod properties;

use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine;
use expect_test::{Expect, expect};

use super::*;

/// Writes down what arrives.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) text: String,
    pub(super) trails: u64,
    pub(super) logs: u64,
    pub(super) controls: u64,
    pub(super) rejects: Vec<Reject>,
}

impl Sink for Seen {
    fn trail(&mut self, r: &TrailRecord<'_>, raw: &[u8]) {
        self.trails += 1;
        let time = r.time().map_or("-".to_owned(), |t| t.to_rfc3339());
        let category = r.event_category.some().map(|c| format!(" {c}")).unwrap_or_default();
        let _ = writeln!(self.text, "trail {time} {} {} [{}]{category} raw {}", &*r.event_source, &*r.event_name, &*r.event_id, raw.len());
    }
    fn log(&mut self, r: &LogRecord<'_>) {
        self.logs += 1;
        let time = r.time.map_or("-".to_owned(), |t| t.to_rfc3339());
        let id = r.id.as_ref().map(|id| format!(" id {}", &**id)).unwrap_or_default();
        let o = &r.origin;
        let origin = [&o.account, &o.region, &o.group, &o.stream].map(|t| t.some().unwrap_or("-")).join(" ");
        let _ = writeln!(self.text, "log {time} {origin}{id} {:?}\n  {:?}", &*r.message, r.line);
    }
    fn control(&mut self) {
        self.controls += 1;
        self.text.push_str("control\n");
    }
    fn reject(&mut self, reject: Reject) {
        let object = reject.object.as_ref().map(|object| format!(" {object}")).unwrap_or_default();
        let _ = writeln!(self.text, "reject {} at {}: {}{object}", reject.reason.code(), reject.offset, reject.reason);
        self.rejects.push(reject);
    }
}

pub(super) fn run(bytes: &[u8]) -> (Decoded, Seen) {
    let mut seen = Seen::default();
    let decoded = decode(bytes, &mut Scratch::default(), &mut seen);
    assert_eq!(decoded.records, seen.trails + seen.logs + seen.controls);
    assert_eq!(decoded.rejects, seen.rejects.len() as u64);
    (decoded, seen)
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn show(bytes: &[u8]) -> String {
    let (decoded, seen) = run(bytes);
    let note = decoded.note.map(|n| format!(" ({n})")).unwrap_or_default();
    format!("{:?}{note}\n{}", decoded.format, seen.text)
}

fn check(bytes: impl AsRef<[u8]>, expect: Expect) {
    expect.assert_eq(&show(bytes.as_ref()));
}

const RECORD: &str =
    r#"{"eventVersion":"1.11","eventTime":"2025-03-20T06:42:33Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","eventID":"e1"}"#;
const START: &str = "START RequestId: 01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7 Version: $LATEST\\n";

fn message(events: &str) -> String {
    format!(
        r#"{{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"/aws/lambda/f","logStream":"2025/03/20/[$LATEST]ab","subscriptionFilters":["x"],"logEvents":[{events}]}}"#
    )
}

fn event(id: &str, text: &str) -> String {
    format!(r#"{{"id":"{id}","timestamp":1742452953296,"message":"{text}"}}"#)
}

#[test]
fn cloudtrail_files() {
    check(
        format!("{{\"Records\":[{RECORD},{RECORD}]}}"),
        expect![[r#"
        Some(Trail)
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
    "#]],
    );
    check(
        format!("\u{FEFF}{{\"x\":{{\"y\":[1,\"]\"]}},\r\n\"Records\" : [ {RECORD} ] ,\"z\":1}}\r\n"),
        expect![[r#"
        Some(Trail)
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
    "#]],
    );
    check(
        "{\"Records\":[]}",
        expect![[r#"
        Some(Trail)
    "#]],
    );
    check(
        RECORD,
        expect![[r#"
        Some(Trail)
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
    "#]],
    );
    check(
        format!("{RECORD}\n\r\n{RECORD}\n"),
        expect![[r#"
        Some(Trail)
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
    "#]],
    );
    check(
        format!("[{RECORD},\n{RECORD}]"),
        expect![[r#"
        Some(Trail)
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
    "#]],
    );
    let quoted = RECORD.replace('"', "\\\"");
    check(
        format!(r#"{{"Events":[{{"EventId":"e1","CloudTrailEvent":"{quoted}"}},{{"EventId":"e2"}}],"NextToken":"x"}}"#),
        expect![[r#"
        Some(LookupEvents)
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
        reject OF203 at 199: no eventName or no eventSource: not a CloudTrail record; give the records as CloudTrail wrote them
    "#]],
    );
    check(
        format!(r#"{{"version":"0","detail-type":"AWS API Call via CloudTrail","source":"aws.s3","detail":{RECORD}}}"#),
        expect![[r#"
        Some(EventBridge)
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
    "#]],
    );
    check(
        r#"{"awsAccountId":"123456789012","digestStartTime":"2025-03-20T06:00:00Z","digestS3Bucket":"b","digestS3Object":"o","logFiles":[]}"#,
        expect![[r#"
            Some(Digest)
            control
        "#]],
    );
    check(
        format!(r#"{{"version":"1.0","requestContext":{{"condition":"RetriesExhausted"}},"requestPayload":{{"Records":[{RECORD}]}}}}"#),
        expect![[r#"
            Some(Trail)
            trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
        "#]],
    );
}

#[test]
fn records_that_are_no_calls() {
    check(
        r#"{"Records":[{"eventVersion":"1.0","accountId":"123456789012","eventId":"a1","eventType":"AwsAggregatedEvent","awsRegion":"us-east-1","eventSource":"s3.amazonaws.com","timeWindow":{"windowStart":"2025-10-30 23:45:00","windowEnd":"2025-10-30 23:50:00"},"summary":{}},
        {"eventVersion":"1.07","eventTime":"2025-03-20T06:42:33Z","eventID":"i1","eventType":"AwsCloudTrailInsight","insightDetails":{"state":"Start","eventSource":"s3.amazonaws.com","eventName":"DeleteObject"}}]}"#,
        expect![[r#"
            Some(Trail)
            trail 2025-10-30T23:45:00Z s3.amazonaws.com  [a1] Aggregated raw 252
            trail 2025-03-20T06:42:33Z s3.amazonaws.com DeleteObject [i1] Insight raw 203
        "#]],
    );
}

#[test]
fn broken_records() {
    // Not an object, no name, a broken literal, two commas, a missing brace, a missing quote, cut.
    check(
        format!("{{\"Records\":[7,{RECORD},{{\"eventName\":\"x\"}},{{\"eventVersion\":tru}},,{RECORD}]}}"),
        expect![[r#"
            Some(Trail)
            reject OF203 at 12: no eventName or no eventSource: not a CloudTrail record; give the records as CloudTrail wrote them
            trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
            reject OF203 at 145: no eventName or no eventSource: not a CloudTrail record; give the records as CloudTrail wrote them
            reject OF202 at 163: broken JSON: the record is skipped; if a pipeline wrote it, look there
            trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
        "#]],
    );
    let open = RECORD.replace("\"e1\"}", "\"e1\"");
    check(
        format!("{{\"Records\":[{open},{RECORD},{RECORD}]}}"),
        expect![[r#"
        Some(Trail)
        reject OF202 at 12: broken JSON: the record is skipped; if a pipeline wrote it, look there
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
    "#]],
    );
    let quote = RECORD.replace("GetObject\"", "GetObject");
    check(
        format!("{{\"Records\":[{quote},{RECORD},{RECORD}]}}"),
        expect![[r#"
        Some(Trail)
        reject OF202 at 12: broken JSON: the record is skipped; if a pipeline wrote it, look there
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
    "#]],
    );
    check(
        format!("{{\"Records\":[{RECORD},{}", &RECORD[..60]),
        expect![[r#"
        Some(Trail)
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
        reject OF201 at 143: the content ends inside a record: fetch the file again
    "#]],
    );
    check(
        format!("{{\"Records\":[{RECORD},"),
        expect![[r#"
        Some(Trail)
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
        reject OF201 at 143: the content ends inside a record: fetch the file again
    "#]],
    );
    check(
        format!("{RECORD}\ngarbage\n{quote}\n{RECORD}\n{{\"eventVersion\":\"1"),
        expect![[r#"
        Some(Trail)
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
        reject OF202 at 131: broken JSON: the record is skipped; if a pipeline wrote it, look there
        reject OF202 at 139: broken JSON: the record is skipped; if a pipeline wrote it, look there
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
        reject OF201 at 400: the content ends inside a record: fetch the file again
    "#]],
    );
    // What can be mended is: keys that stand twice, both spellings, half a character, a control character.
    let twice = RECORD.replace("\"eventID\"", "\"eventId\":\"e0\",\"eventName\":\"\\ud83dPut\tObject\",\"eventID\"");
    check(
        format!("{{\"Records\":[{twice},{RECORD}]}}"),
        expect![[r#"
        Some(Trail)
        trail 2025-03-20T06:42:33Z s3.amazonaws.com �Put	Object [e1] raw 135
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
    "#]],
    );
    let mut latin = format!("{{\"Records\":[{RECORD}]}}").into_bytes();
    latin[20] = 0xE9;
    check(
        latin,
        expect![[r#"
        Some(Trail)
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
    "#]],
    );
}

/// What stands behind the records is broken, or would be mended: they are told once.
#[test]
fn nothing_is_read_twice() {
    for tail in [
        ",\"x\":\"\\ud83d\"}",
        ",\"owner\":\"\\ud83d\"}",
        ",\"eventName\":\"\\ud83d\",\"eventName\":1}",
        ",\"x\":tru}",
        ",\"x\":[",
        ",",
        "",
        "]",
        "}}",
    ] {
        let (decoded, seen) = run(format!("{{\"Records\":[{RECORD}]{tail}").as_bytes());
        assert_eq!(decoded.records, 1, "{tail} {}", seen.text);
        let data = message(&event("1", "x"));
        let (decoded, seen) = run(format!("{}{tail}", &data[..data.len() - 1]).as_bytes());
        assert_eq!(decoded.records, 1, "{tail} {}", seen.text);
    }
}

#[test]
fn nesting_is_bounded_where_it_is_read() {
    let deep = "[".repeat(1_000_000);
    let shut = "]".repeat(1_000_000);
    let skipped = RECORD.replace("\"eventID\"", &format!("\"other\":{},\"eventID\"", "[".repeat(100_000) + &"]".repeat(100_000)));
    let (decoded, _) = run(format!("{{\"Records\":[{skipped},{RECORD}]}}").as_bytes());
    assert_eq!((decoded.records, decoded.rejects), (2, 0));
    let nested = "{\"a\":".repeat(crate::limits::JSON_DEPTH_MAX + 1) + "1" + &"}".repeat(crate::limits::JSON_DEPTH_MAX + 1);
    for field in ["eventType", "resources", "userIdentity", "requestParameters", "tags"] {
        let read = RECORD.replace("\"eventID\"", &format!("\"{field}\":{nested},\"eventID\""));
        let (decoded, _) = run(format!("{{\"Records\":[{read},{RECORD}]}}").as_bytes());
        assert_eq!((decoded.records, decoded.rejects), (2, 0), "{field}");
        let twice = read.replace("\"eventID\"", "\"eventName\":\"x\",\"eventID\"");
        let (decoded, seen) = run(format!("{{\"Records\":[{twice},{RECORD}]}}").as_bytes());
        assert_eq!((decoded.records, seen.rejects[0].reason), (1, RejectReason::TooDeep), "{field}");
    }
    let (decoded, seen) = run(format!("{{\"Records\":[{deep}{shut},{RECORD}]}}").as_bytes());
    assert_eq!((decoded.records, decoded.rejects), (1, 1), "{}", seen.text);
}

#[test]
fn subscriptions() {
    let data = message(&[event("1", START), event("2", "hello \\u00e9")].join(","));
    check(
        &data,
        expect![[r#"
            Some(Subscription)
            log 2025-03-20T06:42:33Z 123456789012 - /aws/lambda/f 2025/03/20/[$LATEST]ab id 1 "START RequestId: 01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7 Version: $LATEST\n"
              Start { request_id: "01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7" }
            log 2025-03-20T06:42:33Z 123456789012 - /aws/lambda/f 2025/03/20/[$LATEST]ab id 2 "hello é"
              Application(Application { level: None, request_id: None, json: false })
        "#]],
    );
    check(
        format!("{data}{data}"),
        expect![[r#"
            Some(Subscription)
            log 2025-03-20T06:42:33Z 123456789012 - /aws/lambda/f 2025/03/20/[$LATEST]ab id 1 "START RequestId: 01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7 Version: $LATEST\n"
              Start { request_id: "01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7" }
            log 2025-03-20T06:42:33Z 123456789012 - /aws/lambda/f 2025/03/20/[$LATEST]ab id 2 "hello é"
              Application(Application { level: None, request_id: None, json: false })
            log 2025-03-20T06:42:33Z 123456789012 - /aws/lambda/f 2025/03/20/[$LATEST]ab id 1 "START RequestId: 01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7 Version: $LATEST\n"
              Start { request_id: "01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7" }
            log 2025-03-20T06:42:33Z 123456789012 - /aws/lambda/f 2025/03/20/[$LATEST]ab id 2 "hello é"
              Application(Application { level: None, request_id: None, json: false })
        "#]],
    );
    let control = r#"{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logEvents":[{"id":"100","timestamp":1512601480749,"message":"CWL CONTROL MESSAGE: Checking health of destination Kinesis stream."}]}"#;
    check(
        format!("{control}\n{data}\n"),
        expect![[r#"
            Some(Subscription)
            control
            log 2025-03-20T06:42:33Z 123456789012 - /aws/lambda/f 2025/03/20/[$LATEST]ab id 1 "START RequestId: 01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7 Version: $LATEST\n"
              Start { request_id: "01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7" }
            log 2025-03-20T06:42:33Z 123456789012 - /aws/lambda/f 2025/03/20/[$LATEST]ab id 2 "hello é"
              Application(Application { level: None, request_id: None, json: false })
        "#]],
    );
    let wrapped = base64(&gzip(data.as_bytes()));
    let same = show(data.as_bytes());
    for (pad, key) in [(wrapped.as_str(), ""), (wrapped.trim_end_matches('='), ",\"more\":1")] {
        assert_eq!(show(format!(r#"{{"awslogs":{{"data":"{pad}"{key}}}{key}}}"#).as_bytes()), same);
    }
    check(
        format!(
            r#"{{"Records":[{{"kinesis":{{"data":"{wrapped}"}},"eventSource":"aws:kinesis","eventName":"aws:kinesis:record","eventID":"s"}},{{"kinesis":{{"data":"SGVsbG8="}},"eventSource":"aws:kinesis","eventName":"aws:kinesis:record"}}]}}"#
        ),
        expect![[r#"
            Some(Subscription)
            log 2025-03-20T06:42:33Z 123456789012 - /aws/lambda/f 2025/03/20/[$LATEST]ab id 1 "START RequestId: 01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7 Version: $LATEST\n"
              Start { request_id: "01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7" }
            log 2025-03-20T06:42:33Z 123456789012 - /aws/lambda/f 2025/03/20/[$LATEST]ab id 2 "hello é"
              Application(Application { level: None, request_id: None, json: false })
        "#]],
    );
    check(
        format!(r#"{{"invocationId":"i","records":[{{"recordId":"1","data":"{wrapped}"}},{{"recordId":"2","data":"*"}}]}}"#),
        expect![[r#"
            Some(Subscription)
            log 2025-03-20T06:42:33Z 123456789012 - /aws/lambda/f 2025/03/20/[$LATEST]ab id 1 "START RequestId: 01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7 Version: $LATEST\n"
              Start { request_id: "01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7" }
            log 2025-03-20T06:42:33Z 123456789012 - /aws/lambda/f 2025/03/20/[$LATEST]ab id 2 "hello é"
              Application(Application { level: None, request_id: None, json: false })
            reject OF208 at 410: the data is no base64: the message is skipped
        "#]],
    );
    check(
        r#"{"awslogs":{"data":"SGVsbG8="}}"#,
        expect![[r#"
        Some(Subscription)
        reject OF209 at 0: the message holds no log: the message is skipped
    "#]],
    );
    check(
        r#"{"awslogs":{"data":"H4sI!"}}"#,
        expect![[r#"
        Some(Subscription)
        reject OF208 at 0: the data is no base64: the message is skipped
    "#]],
    );
    // The head behind the events; the system fields; CloudTrail in a group of its own and in a function's.
    let late = format!(r#"{{"logEvents":[{}],"owner":"1","logGroup":"g","logStream":"s","messageType":"DATA_MESSAGE"}}"#, event("1", "x"));
    check(
        late,
        expect![[r#"
        Some(Subscription)
        log 2025-03-20T06:42:33Z 1 - g s id 1 "x"
          Application(Application { level: None, request_id: None, json: false })
    "#]],
    );
    let fields =
        event("1", "x").replace("}", r#","extractedFields":{"@aws.account":"2","@aws.region":"eu-west-1","@source.log":"/aws/lambda/g"}}"#);
    check(
        message(&fields),
        expect![[r#"
        Some(Subscription)
        log 2025-03-20T06:42:33Z 2 eu-west-1 /aws/lambda/g 2025/03/20/[$LATEST]ab id 1 "x"
          Application(Application { level: None, request_id: None, json: false })
    "#]],
    );
    let trail = message(&event("1", &RECORD.replace('"', "\\\"")));
    check(
        &trail,
        expect![[r#"
        Some(Subscription)
        log 2025-03-20T06:42:33Z 123456789012 - /aws/lambda/f 2025/03/20/[$LATEST]ab id 1 "{\"eventVersion\":\"1.11\",\"eventTime\":\"2025-03-20T06:42:33Z\",\"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"GetObject\",\"eventID\":\"e1\"}"
          Application(Application { level: None, request_id: None, json: true })
    "#]],
    );
    check(
        trail.replace("/aws/lambda/f", "aws-cloudtrail-logs").replace("2025/03/20/[$LATEST]ab", "1_CloudTrail_eu-west-1"),
        expect![[r#"
        Some(Subscription)
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
    "#]],
    );
}

/// A function that prints records forges none, whatever its log group is called.
#[test]
fn functions_print_no_cloudtrail() {
    let printed = message(&event("1", &RECORD.replace('"', "\\\"")));
    for (group, stream, trails) in [
        ("/aws/lambda/f", "any", 0),
        ("custom", "2025/03/20/[$LATEST]ab", 0),
        ("custom", "2025/03/20/f[7]ab", 0),
        ("trail", "1_CloudTrail_eu-west-1", 1),
    ] {
        let content = printed.replace("/aws/lambda/f", group).replace("2025/03/20/[$LATEST]ab", stream);
        let (_, seen) = run(content.as_bytes());
        assert_eq!((seen.trails, seen.logs), (trails, 1 - trails), "{group} {stream}");
    }
}

#[test]
fn exported_log_events() {
    check(
        r#"{"events":[{"logStreamName":"s","timestamp":1742452953296,"message":"END RequestId: 01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7\n","ingestionTime":1,"eventId":"e"},{"timestamp":1742452953296}],"searchedLogStreams":[]}"#,
        expect![[r#"
            Some(LogEvents)
            log 2025-03-20T06:42:33Z - - - s id e "END RequestId: 01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7\n"
              End { request_id: "01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7" }
            reject OF212 at 157: a log event without a message: export the columns timestamp and message
        "#]],
    );
    check(
        "2025-03-20T06:42:33.296Z first\n\tat second\n\n2025-03-20T06:42:34.000Z END RequestId: a\r\n",
        expect![[r#"
        Some(Export)
        log 2025-03-20T06:42:33Z - - - - "first\n\tat second\n\n"
          Application(Application { level: None, request_id: None, json: false })
        log 2025-03-20T06:42:34Z - - - - "END RequestId: a\r\n"
          End { request_id: "a" }
    "#]],
    );
    check(
        "2025-03-20T06:42:33.296000+00:00 2025/03/20/[$LATEST]ab12 END RequestId: a\n",
        expect![[r#"
        Some(Export)
        log 2025-03-20T06:42:33Z - - - 2025/03/20/[$LATEST]ab12 "END RequestId: a\n"
          End { request_id: "a" }
    "#]],
    );
    check(
        "INIT_START Runtime Version: x\nSTART RequestId: a Version: 7\n2025-03-20T06:42:33.296Z\ta\tINFO\thi\nEND RequestId: a\n",
        expect![[r#"
            Some(Lines)
            log - - - - - "INIT_START Runtime Version: x\n"
              InitStart
            log - - - - - "START RequestId: a Version: 7\n"
              Start { request_id: "a" }
            log 2025-03-20T06:42:33Z - - - - "2025-03-20T06:42:33.296Z\ta\tINFO\thi\n"
              Application(Application { level: Some("INFO"), request_id: None, json: false })
            log - - - - - "END RequestId: a\n"
              End { request_id: "a" }
        "#]],
    );
    check(
        "{\"level\":\"INFO\",\"message\":\"hi\"}\nSTART RequestId: a Version: 7\n",
        expect![[r#"
            Some(Lines)
            log - - - - - "{\"level\":\"INFO\",\"message\":\"hi\"}\n"
              Application(Application { level: Some("INFO"), request_id: None, json: true })
            log - - - - - "START RequestId: a Version: 7\n"
              Start { request_id: "a" }
        "#]],
    );
    check(
        "{\"time\":\"2025-03-20T06:42:33Z\",\"type\":\"platform.start\",\"record\":{\"requestId\":\"a\",\"version\":\"3\"}}\n{\"timestamp\":\"2025-03-20T06:42:34Z\",\"level\":\"WARN\",\"requestId\":\"a\",\"message\":\"m\"}\n",
        expect![[r#"
            Some(Lines)
            log 2025-03-20T06:42:33Z - - - - "{\"time\":\"2025-03-20T06:42:33Z\",\"type\":\"platform.start\",\"record\":{\"requestId\":\"a\",\"version\":\"3\"}}\n"
              Start { request_id: "a" }
            log 2025-03-20T06:42:34Z - - - - "{\"timestamp\":\"2025-03-20T06:42:34Z\",\"level\":\"WARN\",\"requestId\":\"a\",\"message\":\"m\"}\n"
              Application(Application { level: Some("WARN"), request_id: Some("a"), json: true })
        "#]],
    );
    // Lines of the application stand before the first of the platform.
    let (decoded, _) =
        run(b"{\"level\":\"INFO\",\"eventName\":\"x\"}\n{\"time\":\"2025-03-20T06:42:33Z\",\"type\":\"platform.start\",\"record\":{}}\n");
    assert_eq!((decoded.format, decoded.records, decoded.rejects), (Some(Format::Lines), 2, 0));
    check(
        "[ERROR]\t2025-03-20T06:42:33.296Z\t01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7\tx\nEND RequestId: a\n",
        expect![[r#"
            Some(Lines)
            log - - - - - "[ERROR]\t2025-03-20T06:42:33.296Z\t01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7\tx\n"
              Application(Application { level: Some("ERROR"), request_id: Some("01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7"), json: false })
            log - - - - - "END RequestId: a\n"
              End { request_id: "a" }
        "#]],
    );
}

#[test]
fn tables() {
    check(
        "timestamp,message\n1595654204181,\"START RequestId: a Version: 1\n\"\n1595654204346,\"a \"\"b\"\"\nc\"\n",
        expect![[r#"
            Some(Table)
            log 2020-07-25T05:16:44Z - - - - "START RequestId: a Version: 1\n"
              Start { request_id: "a" }
            log 2020-07-25T05:16:44Z - - - - "a \"b\"\nc"
              Application(Application { level: None, request_id: None, json: false })
        "#]],
    );
    check(
        "logStreamName,@message,@timestamp\r\ns,END RequestId: a,2025-03-20 06:42:33.296\r\nonly\r\ns,x,never\r\n",
        expect![[r#"
        Some(Table)
        log 2025-03-20T06:42:33Z - - - s "END RequestId: a"
          End { request_id: "a" }
        reject OF212 at 78: a log event without a message: export the columns timestamp and message
        log - - - - s "x"
          Application(Application { level: None, request_id: None, json: false })
    "#]],
    );
    check(
        "timestamp,message\n1595654204181,ok\n1595654204181,\"open\n1595654204181,lost\n",
        expect![[r#"
        Some(Table)
        log 2020-07-25T05:16:44Z - - - - "ok"
          Application(Application { level: None, request_id: None, json: false })
        reject OF201 at 35: the content ends inside a record: fetch the file again
        log 2020-07-25T05:16:44Z - - - - "lost"
          Application(Application { level: None, request_id: None, json: false })
    "#]],
    );
}

#[test]
fn what_is_no_log() {
    for content in
        ["", " \r\n\t ", "hello\nworld\n", "{\"a\":1}", "[1,2]", "{", "{\"a\"", "a,b\n1,2\n", "null", "{\"events\":[{\"id\":1}]}"]
    {
        let (decoded, seen) = run(content.as_bytes());
        assert_eq!((decoded.format, decoded.records, seen.text.as_str()), (None, 0, ""), "{content}");
    }
    check(
        r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{}}]}"#,
        expect![[r#"
        None
    "#]],
    );
    check(
        r#"{"Records":[{"EventSource":"aws:sns","Sns":{}}]}"#,
        expect![[r#"
        None
    "#]],
    );
    check(
        b"PK\x03\x04rest",
        expect![[r#"
        None (zip archive, unpack it first)
    "#]],
    );
    check(
        b"PAR1",
        expect![[r#"
        None (parquet, export it as JSON lines first)
    "#]],
    );
    check(
        "{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
        expect![[r#"
        None (text in UTF-16, convert it to UTF-8 first)
        reject OF211 at 0: written in UTF-16: convert it to UTF-8
    "#]],
    );
}

#[test]
fn compressed() {
    let file = format!("{{\"Records\":[{RECORD},{RECORD}]}}");
    let plain = show(file.as_bytes());
    let zlib = {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(file.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let (one, two) = file.split_at(40);
    let zip = gzip(file.as_bytes());
    for packed in [zip.clone(), zlib, [gzip(one.as_bytes()), gzip(two.as_bytes())].concat(), [zip.clone(), vec![0; 9]].concat(), gzip(&zip)]
    {
        assert_eq!(show(&packed), plain);
    }
    let (decoded, _) = run(&[zip.clone(), zip.clone()].concat());
    assert_eq!((decoded.records, decoded.rejects), (4, 0), "the same member twice");
    let mut lies = zip.clone();
    let at = lies.len() - 4;
    lies[at..].copy_from_slice(&u32::MAX.to_le_bytes());
    check(
        lies,
        expect![[r#"
        Some(Trail)
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
        reject OF207 at 275: the gzip data is cut or damaged: what inflates is read; fetch the file again
    "#]],
    );
    check(
        &zip[..zip.len() - 40],
        expect![[r#"
        Some(Trail)
        reject OF201 at 12: the content ends inside a record: fetch the file again
        reject OF207 at 101: the gzip data is cut or damaged: what inflates is read; fetch the file again
    "#]],
    );
    check(
        &zip[..12],
        expect![[r#"
        None (damaged gzip data, and no log as far as it inflates)
    "#]],
    );
    check(
        &gzip(b"no log")[..20],
        expect![[r#"
        None (damaged gzip data, and no log as far as it inflates)
    "#]],
    );
    let deep = (0..4).fold(file.into_bytes(), |inner, _| gzip(&inner));
    check(
        gzip(&deep),
        expect![[r#"
            None
            reject OF210 at 0: wrapped more than 3 deep: unpack it first
        "#]],
    );
}

#[test]
fn bombs_meet_the_cap() {
    let mut bomb = format!("{{\"Records\":[{RECORD},").into_bytes();
    bomb.resize(WRAPPED_BYTES_MAX + 10, b' ');
    let inner = base64(&gzip(&bomb));
    let (decoded, seen) = run(format!(r#"{{"awslogs":{{"data":"{inner}"}}}}"#).as_bytes());
    assert_eq!(decoded.records, 1);
    assert!(seen.rejects.iter().any(|r| r.reason == RejectReason::TooLarge), "{}", seen.text);
}

#[test]
fn lines_over_a_megabyte() {
    let long = "x".repeat(crate::limits::LINE_BYTES_MAX + 1);
    let (decoded, seen) = run(format!("START RequestId: a Version: 1\n{long}\nEND RequestId: a\n").as_bytes());
    assert_eq!((decoded.records, decoded.rejects, seen.rejects[0].reason), (2, 1, RejectReason::TooLong));
    let (decoded, _) = run(message(&[event("1", &long), event("2", "x")].join(",")).as_bytes());
    assert_eq!((decoded.records, decoded.rejects), (1, 1));
    let (decoded, _) = run(format!("timestamp,message\n1595654204181,{long}\n1595654204181,x\n").as_bytes());
    assert_eq!((decoded.records, decoded.rejects), (1, 1));
    let (decoded, _) = run(format!("{{\"Records\":[{},{RECORD}]}}", RECORD.replace("1.11", &long)).as_bytes());
    assert_eq!((decoded.records, decoded.rejects), (1, 1));
}

/// Contents that make a careless reader read everything again for every byte.
#[test]
fn hostile_repetition_ends() {
    let start = std::iter::repeat_n("\n{\"a\":[", 60_000).collect::<String>();
    assert_eq!(run(start.as_bytes()).0.format, None);
    let open = format!("{{\"Records\":[{}", std::iter::repeat_n("{\"eventVersion\":[", 60_000).collect::<String>());
    let (decoded, seen) = run(open.as_bytes());
    assert_eq!((decoded.format, decoded.records), (Some(Format::Trail), 0));
    assert_eq!(seen.rejects.last().map(|r| r.reason), Some(RejectReason::TooManyBroken));
    let nested = "{\"eventVersion\":".repeat(20_000) + "tru" + &"}".repeat(20_000);
    let (_, seen) = run(format!("{{\"Records\":[{nested},{RECORD}]}}").as_bytes());
    assert_eq!(seen.rejects.last().map(|r| r.reason), Some(RejectReason::TooDeep));
    let ones = format!("{{\"Records\":[{}{RECORD}]}}", "1,".repeat(60_000));
    let (_, seen) = run(ones.as_bytes());
    assert_eq!(seen.rejects.last().map(|r| r.reason), Some(RejectReason::TooManyBroken));
    let quotes = format!("timestamp,message\n{}", std::iter::repeat_n("1,\"a\n\"b\"\n", 100_000).collect::<String>());
    run(quotes.as_bytes());
}

#[test]
fn platform_lines() {
    let mut out = String::new();
    for text in [
        "REPORT RequestId: a\tDuration: 1233.96 ms\tBilled Duration: 1698 ms\tMemory Size: 256 MB\tMax Memory Used: 123 MB\tInit Duration: 463.51 ms\t\n",
        "REPORT RequestId: a  Duration: 600000.00 ms  Billed Duration: 600477 ms  Memory Size: 128 MB  Max Memory Used: 30 MB  Init Duration: 476.75 ms\tStatus: timeout",
        "REPORT RequestId: a\tDuration: 5.00 ms\tMemory Size: 128 MB\tMax Memory Used: 9 MB\tStatus: error\tError Type: Runtime.OutOfMemory\t\nXRAY TraceId: 1-2\tSegmentId: 3\tSampled: true\t",
        "REPORT RequestId: a Duration: 488.98 ms Billed Duration: 500 ms Memory Size: 3008 MB Max Memory Used: 84 MB XRAY TraceId: 1-2 Sampled: true",
        "REPORT RequestId: a\tDuration: 2.00 ms\tRestore Duration: 9.5 ms\tBilled Restore Duration: 10 ms\t",
        "START RequestId: a\tVersion: $LATEST\\n",
        "START RequestId: a",
        "END RequestId: a\n",
        "INIT_START Runtime Version: python:3.13.v31\tRuntime Version ARN: arn:aws:lambda:ap-northeast-2::runtime:f7\n",
        "INIT_REPORT Init Duration: 3003.83 ms\tPhase: invoke\tStatus: timeout",
        "INIT_REPORT Initialization Type: on-demand Phase:  Status:  Duration: 0.00 ms",
        "RESTORE_REPORT Restore Duration: 1236.04 ms Status: timeout",
        "EXTENSION\tName: x\tState: Ready\tEvents: [INVOKE]",
        "EXTENSION of the deadline",
        "RequestId: a Error: Runtime exited with error: signal: killed",
        "2024-04-14T01:17:35.426Z 01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7 Task timed out after 3.05 seconds\n\n",
        "01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7 Task timed out after 3.05 seconds",
        "[ERROR] KeyError: 'x'\nTraceback",
        "[WARNING]\t2025-03-20T07:13:54.286Z\teb76323a-caf8-4301-8b4b-8aa3fdc2dea0\tLAMBDA_WARNING: x",
        "2020-07-25T05:16:44.324Z\t8b2c884f-792a-4cf1-a4c4-9fc96cf07d0b\tINFO\tERROR",
        "2020-10-27T15:36:14.281Z\tundefined\tERROR\tx",
        "2023-01-01T00:00:00Z\t8b2c884f-792a-4cf1-a4c4-9fc96cf07d0b\tfail\tx",
        "2020-08-31 20:40:46 6bc28136-e3ab-4365-b021-0ce6b2e64ab0 INFO  Handler - x",
        "an error of ours",
        "",
        r#"{"time":"2024-02-09T08:42:44Z","type":"platform.report","record":{"requestId":"a","status":"success","metrics":{"durationMs":1.317,"billedDurationMs":2,"memorySizeMB":1024,"maxMemoryUsedMB":68,"initDurationMs":10},"tenantId":"t"}}"#,
        r#"{"type":"platform.report","record":{"requestId":"a","status":"new state","metrics":{"durationMs":1.148}}}"#,
        r#"{"type":"platform.initStart","record":{"runtimeVersionArn":"arn:aws:lambda:us-east-1::runtime:d"}}"#,
        r#"{"type":"platform.initReport","record":{"status":"error","errorType":"Runtime.ExitError","metrics":{"durationMs":"5"}}}"#,
        r#"{"type":"platform.logsDropped","record":{"reason":"BufferFull","droppedRecords":3,"droppedBytes":1024}}"#,
        r#"{"type":"platform.fault","record":"RequestId: a Process exited"}"#,
        r#"{"type":"platform.someday","record":{}}"#,
        r#"{"timestamp":"t","level":"ERROR","AWSrequestId":"a","message":"m","tenantId":"t"}"#,
        r#"{"level":"INFO","level":"WARN"}"#,
        r#"{"level":30,"msg":"pino"}"#,
        "{not json} ERROR",
    ] {
        let _ = writeln!(out, "{:?}", line(text));
    }
    expect![[r#"
        Report(Report { request_id: "a", duration_ms: Some(1233.96), billed_duration_ms: Some(1698.0), memory_size_mb: Some(256.0), status: None, error_type: None })
        Report(Report { request_id: "a", duration_ms: Some(600000.0), billed_duration_ms: Some(600477.0), memory_size_mb: Some(128.0), status: Some("timeout"), error_type: None })
        Report(Report { request_id: "a", duration_ms: Some(5.0), billed_duration_ms: None, memory_size_mb: Some(128.0), status: Some("error"), error_type: Some("Runtime.OutOfMemory") })
        Report(Report { request_id: "a", duration_ms: Some(488.98), billed_duration_ms: Some(500.0), memory_size_mb: Some(3008.0), status: None, error_type: None })
        Report(Report { request_id: "a", duration_ms: Some(2.0), billed_duration_ms: None, memory_size_mb: None, status: None, error_type: None })
        Start { request_id: "a" }
        Start { request_id: "a" }
        End { request_id: "a" }
        InitStart
        InitReport
        InitReport
        Platform("RESTORE_REPORT")
        Platform("EXTENSION")
        Application(Application { level: None, request_id: None, json: false })
        Platform("RequestId")
        Timeout { request_id: "01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7" }
        Timeout { request_id: "01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7" }
        Application(Application { level: Some("ERROR"), request_id: None, json: false })
        Application(Application { level: Some("WARNING"), request_id: Some("eb76323a-caf8-4301-8b4b-8aa3fdc2dea0"), json: false })
        Application(Application { level: Some("INFO"), request_id: Some("8b2c884f-792a-4cf1-a4c4-9fc96cf07d0b"), json: false })
        Application(Application { level: Some("ERROR"), request_id: None, json: false })
        Application(Application { level: Some("fail"), request_id: Some("8b2c884f-792a-4cf1-a4c4-9fc96cf07d0b"), json: false })
        Application(Application { level: Some("INFO"), request_id: Some("6bc28136-e3ab-4365-b021-0ce6b2e64ab0"), json: false })
        Application(Application { level: None, request_id: None, json: false })
        Application(Application { level: None, request_id: None, json: false })
        Report(Report { request_id: "a", duration_ms: Some(1.317), billed_duration_ms: Some(2.0), memory_size_mb: Some(1024.0), status: Some("success"), error_type: None })
        Report(Report { request_id: "a", duration_ms: Some(1.148), billed_duration_ms: None, memory_size_mb: None, status: Some("new state"), error_type: None })
        InitStart
        InitReport
        LogsDropped
        Platform("platform.fault")
        Platform("platform.someday")
        Application(Application { level: Some("ERROR"), request_id: Some("a"), json: true })
        Application(Application { level: None, request_id: None, json: true })
        Application(Application { level: None, request_id: None, json: true })
        Application(Application { level: Some("ERROR"), request_id: None, json: false })
    "#]].assert_eq(&out);
}

/// The seeds of the fuzz targets, as the targets use them.
#[test]
fn fuzz_seeds() {
    let corpus = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/corpus"));
    let mut used = Scratch::default();
    let mut runs = 0;
    for (target, head, tail) in [
        ("decode", "", ""),
        ("trail", "{\"Records\":[", "]}"),
        ("inflate", "", ""),
        ("logs", "{\"messageType\":\"DATA_MESSAGE\",\"owner\":\"1\",\"logGroup\":\"g\",\"logStream\":\"s\",\"logEvents\":[", "]}"),
        ("logs", "END RequestId: a\n", ""),
        ("line", "END RequestId: a\n", ""),
        ("csv", "timestamp,message\n", ""),
    ] {
        for entry in std::fs::read_dir(corpus.join(target)).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            let content = [head.as_bytes(), &bytes, tail.as_bytes()].concat();
            let (decoded, seen) = run(&content);
            // What earlier files left in the buffers changes nothing.
            let mut again = Seen::default();
            assert_eq!(decode(&content, &mut used, &mut again), decoded);
            assert_eq!(again.text, seen.text);
            line(&String::from_utf8_lossy(&bytes));
            runs += 1;
        }
    }
    assert!(runs >= 60, "{runs}");
}

#[test]
fn codes_are_unique_and_messages_plain() {
    use RejectReason::*;
    let all = [Truncated, Syntax, NotARecord, TooDeep, TooLong, TooLarge, Deflate, Base64, NoLog, Wraps, Utf16, NoMessage, TooManyBroken];
    let codes: std::collections::BTreeSet<&str> = all.iter().map(|r| r.code()).collect();
    assert_eq!(codes.len(), all.len());
    assert!(all.iter().all(|r| !r.to_string().ends_with('.')));
    assert!(TooDeep.to_string().contains(&crate::limits::JSON_DEPTH_MAX.to_string()));
    assert!(Wraps.to_string().contains(&WRAPS_MAX.to_string()));
    assert!(
        TooLarge.to_string().contains(&(INFLATED_BYTES_MAX >> 20).to_string())
            && TooLarge.to_string().contains(&(WRAPPED_BYTES_MAX >> 20).to_string())
    );
}

#[test]
fn dead_letters() {
    let notice = r#"{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"trail"},"object":{"key":"AWSLogs/1%3A.json.gz"}}}]}"#;
    let removed = notice.replace("ObjectCreated:Put", "ObjectRemoved:Delete");
    let created = r#"{"detail-type":"Object Created","source":"aws.s3","detail":{"bucket":{"name":"trail"},"object":{"key":"b.json.gz"}}}"#;
    let delivered = r#"{"s3Bucket":"trail","s3ObjectKey":["c.json.gz","d.json.gz"]}"#;
    let call = format!(r#"{{"detail-type":"AWS API Call via CloudTrail","detail":{RECORD}}}"#);
    let logs = format!(r#"{{"awslogs":{{"data":"{}"}}}}"#, base64(&gzip(message(&event("1", "hello")).as_bytes())));
    let failed = format!(r#"{{"version":"1.0","requestContext":{{"condition":"RetriesExhausted"}},"requestPayload":{logs}}}"#);
    let topic = |text: &str| format!(r#"{{"Type":"Notification","TopicArn":"arn:aws:sns:r:1:t","Message":{}}}"#, quoted(text));
    let message = |body: &str| format!(r#"{{"MessageId":"m","ReceiptHandle":"r","MD5OfBody":"0","Body":{}}}"#, quoted(body));
    let bodies = [notice, &removed, created, delivered, &topic(notice), &call, &logs, &failed, "no json", r#"{"a":1}"#, "{"];
    let messages = bodies.map(message).join(",");
    check(
        format!(r#"{{"Messages":[{messages}]}}"#),
        expect![[r#"
            Some(EventBridge)
            reject OF214 at 13: a notice of an object in S3 and not the object itself: fetch it and give it as a file s3://trail/AWSLogs/1%3A.json.gz
            reject OF214 at 478: a notice of an object in S3 and not the object itself: fetch it and give it as a file s3://trail/b.json.gz
            reject OF214 at 680: a notice of an object in S3 and not the object itself: fetch it and give it as a file s3://trail/c.json.gz
            reject OF214 at 680: a notice of an object in S3 and not the object itself: fetch it and give it as a file s3://trail/d.json.gz
            reject OF214 at 814: a notice of an object in S3 and not the object itself: fetch it and give it as a file s3://trail/AWSLogs/1%3A.json.gz
            reject OF209 at 244: the message holds no log: the message is skipped
            trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
            log 2025-03-20T06:42:33Z 123456789012 - /aws/lambda/f 2025/03/20/[$LATEST]ab id 1 "hello"
              Application(Application { level: None, request_id: None, json: false })
            log 2025-03-20T06:42:33Z 123456789012 - /aws/lambda/f 2025/03/20/[$LATEST]ab id 1 "hello"
              Application(Application { level: None, request_id: None, json: false })
            reject OF209 at 2250: the message holds no log: the message is skipped
            reject OF209 at 2321: the message holds no log: the message is skipped
            reject OF201 at 2394: the content ends inside a record: fetch the file again
        "#]],
    );
    check(
        bodies.map(message).join("\n"),
        expect![[r#"
            Some(EventBridge)
            reject OF214 at 0: a notice of an object in S3 and not the object itself: fetch it and give it as a file s3://trail/AWSLogs/1%3A.json.gz
            reject OF214 at 465: a notice of an object in S3 and not the object itself: fetch it and give it as a file s3://trail/b.json.gz
            reject OF214 at 667: a notice of an object in S3 and not the object itself: fetch it and give it as a file s3://trail/c.json.gz
            reject OF214 at 667: a notice of an object in S3 and not the object itself: fetch it and give it as a file s3://trail/d.json.gz
            reject OF214 at 801: a notice of an object in S3 and not the object itself: fetch it and give it as a file s3://trail/AWSLogs/1%3A.json.gz
            reject OF209 at 231: the message holds no log: the message is skipped
            trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
            log 2025-03-20T06:42:33Z 123456789012 - /aws/lambda/f 2025/03/20/[$LATEST]ab id 1 "hello"
              Application(Application { level: None, request_id: None, json: false })
            log 2025-03-20T06:42:33Z 123456789012 - /aws/lambda/f 2025/03/20/[$LATEST]ab id 1 "hello"
              Application(Application { level: None, request_id: None, json: false })
            reject OF209 at 2237: the message holds no log: the message is skipped
            reject OF209 at 2308: the message holds no log: the message is skipped
            reject OF201 at 2381: the content ends inside a record: fetch the file again
        "#]],
    );
    let trigger = |body: &str| format!(r#"{{"messageId":"m","body":{},"eventSource":"aws:sqs"}}"#, quoted(body));
    check(
        format!(r#"{{"Records":[{},{}]}}"#, trigger(&call), trigger(notice)),
        expect![[r#"
        Some(EventBridge)
        trail 2025-03-20T06:42:33Z s3.amazonaws.com GetObject [e1] raw 130
        reject OF214 at 275: a notice of an object in S3 and not the object itself: fetch it and give it as a file s3://trail/AWSLogs/1%3A.json.gz
    "#]],
    );
    check(
        r#"{"Messages":[]}"#,
        expect![[r#"
        None
    "#]],
    );
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// A defect that a single record meets.
struct Planted(Seen);

impl Sink for Planted {
    fn trail(&mut self, record: &TrailRecord<'_>, raw: &[u8]) {
        assert_ne!(&*record.event_id, "panic", "planted");
        self.0.trail(record, raw);
    }
    fn log(&mut self, record: &LogRecord<'_>) {
        assert!(!record.message.contains("panic"), "planted");
        self.0.log(record);
    }
    fn control(&mut self) {
        self.0.control();
    }
    fn reject(&mut self, reject: Reject) {
        self.0.reject(reject);
    }
}

#[test]
fn a_panic_costs_its_record() {
    let panic = RECORD.replace("e1", "panic");
    let events = [event("1", "hello"), event("2", "panic"), event("3", "bye")].join(",");
    let subscription = base64(&gzip(message(&events).as_bytes()));
    for content in [
        format!("{{\"Records\":[{RECORD},{panic},{RECORD}]}}"),
        format!("{RECORD}\n{panic}\n{RECORD}"),
        message(&events),
        format!(r#"{{"awslogs":{{"data":"{subscription}"}}}}"#),
        format!(r#"{{"Records":[{{"kinesis":{{"data":"{subscription}"}},"eventSource":"aws:kinesis"}}]}}"#),
        "START RequestId: 01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7 Version: 1\n2025-03-20T06:42:33Z panic\nhello\n".to_owned(),
        "2025-03-20T06:42:33Z hello\n2025-03-20T06:42:33Z panic\n2025-03-20T06:42:33Z bye\n".to_owned(),
        "timestamp,message\n1742452953296,hello\n1742452953296,panic\n1742452953296,bye\n".to_owned(),
    ] {
        let mut sink = Planted(Seen::default());
        let decoded = decode(content.as_bytes(), &mut Scratch::default(), &mut sink);
        let reasons: Vec<_> = sink.0.rejects.iter().map(|r| r.reason).collect();
        assert_eq!((decoded.records, &*reasons), (2, &[RejectReason::Defect][..]), "{content}");
    }
}
