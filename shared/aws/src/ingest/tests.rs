//! Which messages fail, what is written and what the own log says, without a network.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use outflow_pipeline::store::embedded::Embedded;
use outflow_pipeline::store::{Item, Key, Write};

use super::*;
use crate::feed::{of_log_event, of_trail_event};
use crate::objects::NoObjects;

fn now() -> Timestamp {
    Timestamp::parse("2025-03-20T06:45:00Z").unwrap()
}

/// Objects by their keys; some are denied.
#[derive(Default)]
struct Bucket(BTreeMap<&'static str, Vec<u8>>);

impl Objects for Bucket {
    async fn fetch(&self, _: &str, key: &str, buffer: &mut Vec<u8>) -> Result<(), FetchError> {
        if key == "denied" {
            return Err(FetchError::Denied);
        }
        *buffer = self.0.get(key).ok_or(FetchError::Missing)?.clone();
        Ok(())
    }
}

/// Takes nothing but the head.
struct Full(Embedded);

impl Store for Full {
    async fn load(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        self.0.load(key).await
    }
    async fn list(&self, partition: &str, from: &str, limit: usize) -> Result<Vec<(Key, Item)>, StoreError> {
        self.0.list(partition, from, limit).await
    }
    async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        if writes[0].key().partition == "meta" { self.0.commit(writes).await } else { Err(StoreError::Throttled) }
    }
}

fn taken<S: Store>(store: S, objects: &impl Objects, messages: &[Message]) -> Outcome {
    pollster::block_on(async {
        let ingest = Ingest::open(store, Own::of_stack("outflow-"), "eu-west-1").await.unwrap();
        ingest.take(objects, messages, now()).await
    })
}

fn check(outcome: &Outcome, expect: Expect) {
    let line = outcome.line("test", now()).text("outflow", now());
    let line = line.split_once("]}]},").or(line.split_once("]}],")).map_or(&*line, |(_, rest)| rest);
    let answer = outcome.answer().map_or_else(|error| format!("error: {error}"), |answer| serde_json::to_string(&answer).unwrap());
    expect.assert_eq(&format!("{answer}\n{line}\n"));
}

fn records(ids: &[&str]) -> String {
    let record = |id| {
        format!(
            r#"{{"eventVersion":"1.11","eventTime":"2025-03-20T06:42:33Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","eventID":"{id}","recipientAccountId":"123456789012","requestParameters":{{"bucketName":"b"}},"userIdentity":{{"type":"IAMUser","arn":"arn:aws:iam::123456789012:user/u","accountId":"123456789012"}}}}"#
        )
    };
    format!(r#"{{"Records":[{}]}}"#, ids.iter().map(record).collect::<Vec<_>>().join(","))
}

fn notices(keys: &[&str]) -> Vec<Message> {
    let body = |key: &&str| {
        let one = json!({ "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": { "bucket": { "name": "trail" }, "object": { "key": key } } });
        json!({ "messageId": format!("m-{key}"), "body": json!({ "Records": [one] }).to_string(), "eventSource": "aws:sqs" })
    };
    of_trail_event(json!({ "Records": keys.iter().map(body).collect::<Vec<_>>() }).to_string().as_bytes())
}

#[test]
fn what_cannot_be_read_fails_alone() {
    let bucket = Bucket(BTreeMap::from([
        ("good", records(&["1", "2"]).into_bytes()),
        ("with space", records(&["3"]).into_bytes()),
        ("a+b", records(&["4"]).into_bytes()),
        ("empty", br#"{"Records":[]}"#.to_vec()),
        ("cut", records(&["5", "6"]).as_bytes()[..500].to_vec()),
        ("foreign", b"{\"hello\":1}".to_vec()),
        ("garbage", vec![0x1F, 0x8B, 8, 0, 1, 2]),
    ]));
    let keys = ["good", "with+space", "a+b", "empty", "cut", "foreign", "garbage", "missing", "denied", "CloudTrail-Digest/x"];
    check(
        &taken(Embedded::temporary().unwrap(), &bucket, &notices(&keys)),
        expect![[r#"
            {"batchItemFailures":[{"itemIdentifier":"m-foreign"},{"itemIdentifier":"m-garbage"},{"itemIdentifier":"m-missing"},{"itemIdentifier":"m-denied"}]}
            {"_aws":{"CloudWatchMetrics":[{"Dimensions":[["stack"]],"Metrics":[{"Name":"records","Unit":"Count"},{"Name":"rejects","Unit":"Count"},{"Name":"failed","Unit":"Count"}],"Namespace":"Outflow"}],"Timestamp":1742453100000},"batches":1,"failed":4,"failures":[{"id":"m-foreign","why":"trail/foreign: nothing of it could be read (no log of AWS)"},{"id":"m-garbage","why":"trail/garbage: nothing of it could be read (OF207)"},{"id":"m-missing","why":"trail/missing: the object does not exist"},{"id":"m-denied","why":"trail/denied: reading the object is not allowed, or it does not exist"}],"function":"test","newest_s":147,"passed":1,"records":5,"reject_codes":{"OF201":1,"OF207":1},"rejects":2,"stack":"outflow","write_units":1}
        "#]],
    );
}

#[test]
fn what_is_not_stored_fails() {
    let bucket = Bucket(BTreeMap::from([("1", records(&["1"]).into_bytes()), ("2", records(&["2"]).into_bytes())]));
    check(
        &taken(Full(Embedded::temporary().unwrap()), &bucket, &notices(&["1", "missing", "2"])),
        expect![[r#"
            {"batchItemFailures":[{"itemIdentifier":"m-missing"},{"itemIdentifier":"m-1"},{"itemIdentifier":"m-2"}]}
            {"_aws":{"CloudWatchMetrics":[{"Dimensions":[["stack"]],"Metrics":[{"Name":"records","Unit":"Count"},{"Name":"failed","Unit":"Count"}],"Namespace":"Outflow"}],"Timestamp":1742453100000},"failed":3,"failures":[{"id":"m-missing","why":"trail/missing: the object does not exist"},{"id":"m-1","why":"not stored: the store asks to slow down"},{"id":"m-2","why":"not stored: the store asks to slow down"}],"function":"test","newest_s":147,"records":2,"stack":"outflow"}
        "#]],
    );
}

#[test]
fn direct_events_fail_as_a_whole() {
    let take = |event: &str| taken(Embedded::temporary().unwrap(), &NoObjects, &of_log_event(event.as_bytes()));
    check(
        &take(r#"{"awslogs":{"data":"%%%"}}"#),
        expect![[r#"
            error: the message: nothing of it could be read (OF208)
            {"_aws":{"CloudWatchMetrics":[{"Dimensions":[["stack"]],"Metrics":[{"Name":"rejects","Unit":"Count"},{"Name":"failed","Unit":"Count"}],"Namespace":"Outflow"}],"Timestamp":1742453100000},"failed":1,"failures":[{"id":"","why":"the message: nothing of it could be read (OF208)"}],"function":"test","reject_codes":{"OF208":1},"rejects":1,"stack":"outflow"}
        "#]],
    );
    check(
        &take(r#"{"foreign":true}"#),
        expect![[r#"
            error: the message: nothing of it could be read (no log of AWS)
            {"_aws":{"CloudWatchMetrics":[{"Dimensions":[["stack"]],"Metrics":[{"Name":"failed","Unit":"Count"}],"Namespace":"Outflow"}],"Timestamp":1742453100000},"failed":1,"failures":[{"id":"","why":"the message: nothing of it could be read (no log of AWS)"}],"function":"test","stack":"outflow"}
        "#]],
    );
    check(
        &take(&"[".repeat(10_000)),
        expect![[r#"
            error: the message: nothing of it could be read (no log of AWS)
            {"_aws":{"CloudWatchMetrics":[{"Dimensions":[["stack"]],"Metrics":[{"Name":"failed","Unit":"Count"}],"Namespace":"Outflow"}],"Timestamp":1742453100000},"failed":1,"failures":[{"id":"","why":"the message: nothing of it could be read (no log of AWS)"}],"function":"test","stack":"outflow"}
        "#]],
    );
}

#[test]
fn records_of_a_stream_are_packed_together() {
    let message = |group: &str, id: u32| {
        json!({ "messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": group, "logStream": "s", "subscriptionFilters": ["f"],
            "logEvents": [{ "id": id.to_string(), "timestamp": 1_742_452_953_296_i64, "message": "hello" }] })
        .to_string()
    };
    let base64 = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
    let data = [
        base64(&message("/aws/lambda/f", 1)),
        base64(&message("/aws/lambda/g", 2)),
        base64(&message("/aws/lambda/outflow-x", 3)),
        "%".to_owned(),
    ];
    let record =
        |(i, data): (usize, &String)| json!({ "kinesis": { "sequenceNumber": i.to_string(), "data": data }, "eventSource": "aws:kinesis" });
    let event = json!({ "Records": data.iter().enumerate().map(record).collect::<Vec<_>>() }).to_string();
    check(
        &taken(Embedded::temporary().unwrap(), &NoObjects, &of_log_event(event.as_bytes())),
        expect![[r#"
            {"batchItemFailures":[{"itemIdentifier":"3"}]}
            {"_aws":{"CloudWatchMetrics":[{"Dimensions":[["stack"]],"Metrics":[{"Name":"records","Unit":"Count"},{"Name":"rejects","Unit":"Count"},{"Name":"failed","Unit":"Count"}],"Namespace":"Outflow"}],"Timestamp":1742453100000},"batches":1,"failed":1,"failures":[{"id":"3","why":"the message: nothing of it could be read (OF208)"}],"function":"test","newest_s":146,"own":1,"records":3,"reject_codes":{"OF208":1},"rejects":1,"stack":"outflow","write_units":1}
        "#]],
    );
}
