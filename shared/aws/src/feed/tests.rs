//! Events as they are published, and as guides describe them, as tables.

use std::fmt::Write as _;
use std::path::Path;

use expect_test::{Expect, expect};

use super::*;

fn check(messages: &[Message], expect: Expect) {
    let mut out = String::new();
    for message in messages {
        let _ = writeln!(out, "[{}]", message.id);
        for source in &message.sources {
            let _ = match source {
                Source::Content(bytes) => writeln!(out, "  content of {} bytes", bytes.len()),
                Source::Object { bucket, key, other } => {
                    let other = other.as_ref().map(|other| format!(" or {other}")).unwrap_or_default();
                    writeln!(out, "  {bucket} {key}{other}")
                }
                Source::Passed => writeln!(out, "  passed"),
            };
        }
    }
    expect.assert_eq(&out);
}

fn queue(bodies: &[&str]) -> Vec<u8> {
    let record = |(i, body): (usize, &&str)| json!({ "messageId": format!("m{i}"), "body": body, "eventSource": "aws:sqs" });
    json!({ "Records": bodies.iter().enumerate().map(record).collect::<Vec<_>>() }).to_string().into_bytes()
}

const NOTICE: &str = r#"{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"trail"},"object":{"key":"AWSLogs/1/CloudTrail/a+b%3Ac%C3%A9.json.gz"}}},{"eventSource":"aws:s3","eventName":"ObjectRemoved:Delete","s3":{"bucket":{"name":"trail"},"object":{"key":"x"}}}]}"#;

#[test]
#[allow(clippy::too_many_lines, reason = "a table of variants reads better whole")]
fn notices_of_objects() {
    let topic = |text: &str| json!({ "Type": "Notification", "TopicArn": "arn:aws:sns:r:1:t", "Message": text }).to_string();
    let deep = (0..4).fold(NOTICE.to_owned(), |text, _| topic(&text));
    let call = r#"{"detail-type":"AWS API Call via CloudTrail","source":"aws.s3","detail":{"eventVersion":"1.11"}}"#;
    let bodies = [
        NOTICE,
        &topic(NOTICE),
        r#"{"detail-type":"Object Created","source":"aws.s3","detail":{"bucket":{"name":"trail"},"object":{"key":"a+b:c.json.gz"}}}"#,
        r#"{"detail-type":"Object Deleted","source":"aws.s3","detail":{"bucket":{"name":"trail"},"object":{"key":"x"}}}"#,
        r#"{"s3Bucket":"trail","s3ObjectKey":["AWSLogs/1/CloudTrail/a.json.gz","AWSLogs/1/CloudTrail-Digest/b.json.gz"]}"#,
        &topic(r#"{"s3Bucket":"trail","s3ObjectKey":["c.json.gz"]}"#),
        r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2025-03-20T06:42:33Z","Bucket":"trail","RequestId":"r","HostId":"h"}"#,
        "CloudTrail validation message.",
        call,
        &topic(call),
        "no json",
        r#"{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put"}]}"#,
        r#"{"Records":[{"eventVersion":"1.11"}]}"#,
        &"[".repeat(10_000),
        &deep,
    ];
    check(
        &of_trail_event(&queue(&bodies)),
        expect![[r#"
        [m0]
          trail AWSLogs/1/CloudTrail/a b:cé.json.gz or AWSLogs/1/CloudTrail/a+b%3Ac%C3%A9.json.gz
          passed
        [m1]
          trail AWSLogs/1/CloudTrail/a b:cé.json.gz or AWSLogs/1/CloudTrail/a+b%3Ac%C3%A9.json.gz
          passed
        [m2]
          trail a+b:c.json.gz or a b:c.json.gz
        [m3]
          passed
        [m4]
          trail AWSLogs/1/CloudTrail/a.json.gz
          passed
        [m5]
          trail c.json.gz
        [m6]
          passed
        [m7]
          passed
        [m8]
          content of 96 bytes
        [m9]
          content of 96 bytes
        [m10]
          content of 7 bytes
        [m11]
          content of 70 bytes
        [m12]
          content of 37 bytes
        [m13]
          content of 10000 bytes
        [m14]
          content of 392 bytes
    "#]],
    );
    check(
        &of_trail_event(NOTICE.as_bytes()),
        expect![[r#"
        []
          trail AWSLogs/1/CloudTrail/a b:cé.json.gz or AWSLogs/1/CloudTrail/a+b%3Ac%C3%A9.json.gz
          passed
    "#]],
    );
    check(
        &of_trail_event(call.as_bytes()),
        expect![[r#"
        []
          content of 96 bytes
    "#]],
    );
    check(
        &of_trail_event(b"\xff"),
        expect![[r#"
        []
          content of 3 bytes
    "#]],
    );
}

#[test]
fn keys_are_decoded_as_forms_are() {
    for (key, decoded) in [
        ("a+b", "a b"),
        ("a%2Bb", "a+b"),
        ("100%", "100%"),
        ("%zz%3", "%zz%3"),
        ("%+1", "% 1"),
        ("%FF", "%FF"),
        ("Happy%20Face.jpg", "Happy Face.jpg"),
        ("%C3%A9", "é"),
    ] {
        assert_eq!(url_decoded(key), decoded, "{key}");
    }
}

#[test]
fn log_events() {
    let kinesis = |id: &str| json!({ "kinesis": { "sequenceNumber": id, "data": "aGk=" }, "eventSource": "aws:kinesis" });
    check(
        &of_log_event(json!({ "Records": [kinesis("1"), kinesis("2")] }).to_string().as_bytes()),
        expect![[r#"
        [1]
          content of 90 bytes
        [2]
          content of 90 bytes
    "#]],
    );
    check(
        &of_log_event(br#"{"awslogs":{"data":"aGk="}}"#),
        expect![[r#"
        []
          content of 27 bytes
    "#]],
    );
    check(
        &of_log_event("[".repeat(10_000).as_bytes()),
        expect![[r#"
        []
          content of 10000 bytes
    "#]],
    );
    check(
        &of_log_event(b"{}"),
        expect![[r#"
        []
          content of 2 bytes
    "#]],
    );
}

/// Payloads of others; the folder lies beside the checkout.
#[test]
#[allow(clippy::too_many_lines, reason = "a table of variants reads better whole")]
fn published_events() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/event-payloads");
    if !folder.is_dir() {
        assert!(std::env::var_os("OUTFLOW_REQUIRE_ALL").is_none_or(|v| v != "1"), "{} is missing", folder.display());
        println!("skipped: {} is missing", folder.display());
        return;
    }
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let trail = |name: &str, expect| check(&of_trail_event(&read(name)), expect);
    let logs = |name: &str, expect| check(&of_log_event(&read(name)), expect);
    trail(
        "datadog-forwarder/sqs_s3.json",
        expect![[r#"
        [059f36b4-87a3-44ab-83d2-661975830a7d]
          my-bucket my-key.log
    "#]],
    );
    trail(
        "datadog-forwarder/sqs_sns_s3.json",
        expect![[r#"
        [059f36b4-87a3-44ab-83d2-661975830a7d]
          my-bucket my-key.log
    "#]],
    );
    trail(
        "aws-lambda-rust-runtime/example-s3-event.json",
        expect![[r#"
        []
          sourcebucket Happy Face.jpg or Happy%20Face.jpg
    "#]],
    );
    trail(
        "aws-lambda-rust-runtime/example-s3-event-with-decoded.json",
        expect![[r#"
        []
          sourcebucket Happy Face.jpg or Happy%20Face.jpg
    "#]],
    );
    trail(
        "aws-lambda-rust-runtime/example-sqs-event.json",
        expect![[r#"
        [MessageID_1]
          content of 12 bytes
    "#]],
    );
    trail(
        "aws-lambda-rust-runtime/example-sns-event.json",
        expect![[r#"
        []
          content of 13 bytes
    "#]],
    );
    trail(
        "cloud-custodian-cwe/event-cloud-trail-s3.json",
        expect![[r#"
        []
          content of 1366 bytes
    "#]],
    );
    logs(
        "aws-lambda-rust-runtime/example-kinesis-event.json",
        expect![[r#"
        [49568167373333333333333333333333333333333333333333333333]
          content of 562 bytes
        [49568167373333333334444444444444444444444444444444444444]
          content of 562 bytes
    "#]],
    );
    logs(
        "aws-lambda-rust-runtime/example-cloudwatch_logs-event.json",
        expect![[r#"
        []
          content of 319 bytes
    "#]],
    );
}
