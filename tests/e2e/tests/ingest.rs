//! The two ingest functions as processes: events as AWS sends them, and hostile ones.
//!
//! What must hold: every good record is in the store once, whatever else came with it; what could not be read or had is
//! in the partial response, or is the invocation's error; the own log says what and why in one line, and never quotes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail")]

use std::collections::BTreeSet;
use std::io::Write as _;

use aws_sdk_s3::types::CreateBucketConfiguration;
use base64::Engine as _;
use outflow_aws::dynamo::DynamoStore;
use outflow_core::batch::Batch;
use outflow_core::observe::Class;
use outflow_core::time::Timestamp;
use outflow_core::window::unite;
use outflow_e2e::parts;
use outflow_e2e::parts::dynamodb::{DynamoDb, create_table};
use outflow_e2e::parts::moto::{self, Moto};
use outflow_e2e::parts::runtime::Function;
use outflow_pipeline::keys;
use outflow_pipeline::store::Store;
use serde_json::{Value, json};

const TIME: &str = "2025-03-20T06:42:33Z";
const TABLE: &str = "outflow-table";
const TRAIL: &str = "trail";

/// Parts of one test.
struct World {
    moto: Moto,
    table: DynamoDb,
    s3: aws_sdk_s3::Client,
    store: DynamoStore,
}

async fn world() -> Option<World> {
    let (table, moto) = (DynamoDb::start()?, moto::start()?);
    let s3 = aws_sdk_s3::Client::new(&moto.sdk());
    let place = CreateBucketConfiguration::builder().location_constraint("eu-west-1".into()).build();
    s3.create_bucket().bucket(TRAIL).create_bucket_configuration(place).send().await.unwrap();
    create_table(&table.client(), TABLE).await;
    let store = DynamoStore::new(&table.client(), TABLE);
    Some(World { moto, table, s3, store })
}

impl World {
    fn function(&self, name: &str) -> Function {
        self.function_of(name, TABLE)
    }

    fn function_of(&self, name: &str, table: &str) -> Function {
        let binary = parts::binary(&format!("outflow-{name}"));
        let dynamodb = format!("http://{}", self.table.address);
        let places = [("AWS_ENDPOINT_URL_DYNAMODB", &*dynamodb), ("AWS_ENDPOINT_URL_S3", &self.moto.url)];
        Function::start(&binary, &[&places[..], &[("OUTFLOW_TABLE", table), ("OUTFLOW_OWN", "outflow-")]].concat())
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) {
        self.s3.put_object().bucket(TRAIL).key(key).body(bytes.into()).send().await.unwrap();
    }

    /// The batches of the one window, which are late, each with its mark; and how many records they are together.
    async fn stored(&self, class: Class) -> (usize, u64) {
        let window = Timestamp::parse(TIME).unwrap().window();
        let items = self.store.list(&keys::batches(Some(window), class), "", 1_000).await.unwrap();
        let marks = self.store.list(keys::LATE, "", 1_000).await.unwrap();
        let marked: BTreeSet<_> = marks.iter().filter_map(|(key, _)| keys::late_batch(key)).map(|(_, _, batch)| batch).collect();
        assert!(items.iter().all(|(key, _)| marked.contains(key)), "a late batch without its mark");
        let batches: Vec<Batch> = items.iter().map(|(_, item)| Batch::decode(&item.bytes).unwrap()).collect();
        (batches.len(), unite(Some(window), class, batches).0.records())
    }
}

fn call(id: &str) -> Value {
    json!({ "eventVersion": "1.11", "eventTime": TIME, "eventSource": "s3.amazonaws.com", "eventName": "GetObject", "eventID": id,
        "eventCategory": "Data", "awsRegion": "eu-west-1", "recipientAccountId": "123456789012", "sourceIPAddress": "198.51.100.7",
        "requestParameters": { "bucketName": "books" },
        "userIdentity": { "type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/ann", "accountId": "123456789012" } })
}

fn file(records: &[Value]) -> Vec<u8> {
    gzip(json!({ "Records": records }).to_string().as_bytes())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// As SQS gives a function its messages.
fn queue(bodies: &[(&str, String)]) -> String {
    let record = |(id, body): &(&str, String)| {
        json!({ "messageId": id, "receiptHandle": "r", "body": body, "eventSource": "aws:sqs", "awsRegion": "eu-west-1",
            "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1742452953000" }, "messageAttributes": {},
            "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:trail" })
    };
    json!({ "Records": bodies.iter().map(record).collect::<Vec<_>>() }).to_string()
}

/// As S3 notifies, with the key encoded.
fn notice(key: &str) -> String {
    json!({ "Records": [{ "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "eventTime": TIME,
        "s3": { "bucket": { "name": TRAIL }, "object": { "key": key, "size": 1 } } }] })
    .to_string()
}

fn topic(text: &str) -> String {
    json!({ "Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:trail", "Message": text }).to_string()
}

fn failed(answer: &Value) -> BTreeSet<&str> {
    answer["batchItemFailures"].as_array().unwrap().iter().map(|item| item["itemIdentifier"].as_str().unwrap()).collect()
}

/// As CloudWatch Logs delivers, before gzip.
fn logs(group: &str, messages: &[(&str, &str)]) -> String {
    let ms = Timestamp::parse(TIME).unwrap().ms();
    let events: Vec<Value> = messages.iter().map(|(id, text)| json!({ "id": id, "timestamp": ms, "message": text })).collect();
    // In the order of AWS, the events last, which a cut shows.
    format!(
        r#"{{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"{group}","logStream":"2025/03/20/[$LATEST]ab","subscriptionFilters":["f"],"logEvents":{}}}"#,
        Value::from(events)
    )
}

fn awslogs(data: impl AsRef<[u8]>) -> String {
    json!({ "awslogs": { "data": base64(data) } }).to_string()
}

#[tokio::test]
async fn a_trail_in_all_the_forms_of_its_notices() {
    let Some(world) = world().await else { return };
    world.put("AWSLogs/1/CloudTrail/a:b c.json.gz", file(&[call("1"), call("2")])).await;
    world.put("topic.json.gz", file(&[call("3")])).await;
    world.put("raw+key.json.gz", file(&[call("4")])).await;
    world.put("own.json.gz", file(&[call("5"), call("2")])).await;
    let created = json!({ "version": "0", "detail-type": "Object Created", "source": "aws.s3",
        "detail": { "bucket": { "name": TRAIL }, "object": { "key": "raw+key.json.gz", "size": 1 } } });
    let delivered = json!({ "s3Bucket": TRAIL, "s3ObjectKey": ["own.json.gz", "AWSLogs/1/CloudTrail-Digest/x.json.gz"] }).to_string();
    let test = json!({ "Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": TRAIL }).to_string();
    let called =
        json!({ "version": "0", "detail-type": "AWS API Call via CloudTrail", "source": "aws.s3", "detail": call("6") }).to_string();
    let mut ours = call("7");
    ours["userIdentity"] = json!({ "type": "AssumedRole", "accountId": "123456789012",
        "arn": "arn:aws:sts::123456789012:assumed-role/outflow-ingest-trail/x" });
    world.put("ours.json.gz", file(&[ours])).await;
    let event = queue(&[
        ("encoded", notice("AWSLogs/1/CloudTrail/a%3Ab+c.json.gz")),
        ("topic", topic(&notice("topic.json.gz"))),
        ("created", created.to_string()),
        ("delivered", topic(&delivered)),
        ("test", test),
        ("called", called.clone()),
        ("ours", notice("ours.json.gz")),
    ]);
    let mut function = world.function("ingest-trail");
    assert_eq!(function.invoke(event.clone()), Ok(json!({ "batchItemFailures": [] })), "{}", function.log());
    assert_eq!(world.stored(Class::Trail).await, (1, 6), "packed together, each once");
    let line: Value = serde_json::from_str(&function.line(1, "\"records\"")).unwrap();
    assert_eq!((&line["records"], &line["own"], &line["passed"], &line["late"]), (&json!(8), &json!(1), &json!(2), &json!(1)), "{line}");

    // A call as EventBridge gives it without a queue; then everything again, from a process that was killed at work.
    assert!(function.invoke(called).is_ok());
    let _ = function.send(event.clone());
    function.restart();
    assert!(function.invoke(event).is_ok());
    let (batches, records) = world.stored(Class::Trail).await;
    assert!(batches > 1 && records == 6, "{batches} batches, {records} records");
}

#[tokio::test]
async fn a_trail_of_hostile_things() {
    let Some(world) = world().await else { return };
    let deep = format!("{{\"eventName\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let with_deep = format!("{{\"Records\":[{},{deep},{}]}}", call("2"), call("3"));
    let whole = file(&(0..2_000).map(|i| call(&format!("cut-{i}"))).collect::<Vec<_>>());
    world.put("good", file(&[call("1")])).await;
    world.put("deep", gzip(with_deep.as_bytes())).await;
    world.put("bomb", gzip(&vec![b' '; 300 << 20])).await;
    world.put("cut", whole[..whole.len() / 2].to_vec()).await;
    world.put("garbage", [&whole[..10], &[0xFF; 50][..]].concat()).await;
    world.put("foreign", b"{\"secret\":\"hunter2\"}".to_vec()).await;
    world.put("large", vec![0; 65 << 20]).await;
    world.put("denied", file(&[call("denied")])).await;
    let denied = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject",
        "Resource": format!("arn:aws:s3:::{TRAIL}/denied") }] });
    world.s3.put_bucket_policy().bucket(TRAIL).policy(denied.to_string()).send().await.unwrap();
    let keys = ["bomb", "deep", "cut", "garbage", "foreign", "large", "missing", "denied"];
    let mut bodies: Vec<(&str, String)> = keys.iter().map(|key| (*key, notice(key))).collect();
    bodies.push(("nested", "[".repeat(10_000)));
    bodies.push(("text", "hunter2".to_owned()));
    bodies.push(("no bucket", r#"{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":7}]}"#.to_owned()));
    bodies.push(("good", notice("good")));
    let mut function = world.function("ingest-trail");
    let answer = function.invoke(queue(&bodies)).unwrap_or_else(|error| panic!("{error}\n{}", function.log()));
    let expected = ["bomb", "garbage", "foreign", "large", "missing", "denied", "nested", "text", "no bucket"];
    assert_eq!(failed(&answer), BTreeSet::from(expected), "{}", function.log());
    let (_, records) = world.stored(Class::Trail).await;
    assert!(records > 500, "a cut file is read as far as it goes: {records}");
    let line = function.line(1, "\"failures\"");
    for told in
        ["trail/missing: the object does not exist", "trail/denied: reading the object is not allowed", "trail/large", "OF206", "OF207"]
    {
        assert!(line.contains(told), "{told} is missing in {line}");
    }
    assert!(!function.log().contains("hunter2"), "a record is quoted: {}", function.log());
    if let Some(peak) = function.peak_kib() {
        println!("peak memory: {} MiB", peak >> 10);
        assert!(peak < 700 << 10, "{peak} KiB");
    }
}

#[tokio::test]
async fn logs_directly_and_by_a_stream() {
    let Some(world) = world().await else { return };
    let mut function = world.function("ingest-logs");
    let done = Ok(json!({ "batchItemFailures": [] }));
    let report = "REPORT RequestId: 01b0e4ee-b1bf-489b-b78c-d2ec23c2edf7\tDuration: 12.50 ms\tBilled Duration: 13 ms\tMemory Size: 256 MB\tMax Memory Used: 99 MB\t";
    let direct = awslogs(gzip(logs("/aws/lambda/books", &[("1", report), ("2", "hello")]).as_bytes()));
    assert_eq!(function.invoke(direct.clone()), done, "{}", function.log());
    let control = json!({ "messageType": "CONTROL_MESSAGE", "owner": "CloudwatchLogs",
        "logEvents": [{ "id": "100", "timestamp": 1, "message": "CWL CONTROL MESSAGE: Checking health of destination Kinesis stream." }] });
    assert_eq!(function.invoke(awslogs(gzip(control.to_string().as_bytes()))), done);
    assert_eq!(function.invoke(awslogs(gzip(logs("/aws/lambda/outflow-evaluate", &[("9", "ours")]).as_bytes()))), done);
    assert_eq!(world.stored(Class::Logs).await, (1, 2));

    let record = |sequence: &str, data: String| {
        json!({ "kinesis": { "kinesisSchemaVersion": "1.0", "partitionKey": "p", "sequenceNumber": sequence, "data": data,
            "approximateArrivalTimestamp": 1_742_452_953.5 }, "eventSource": "aws:kinesis", "eventName": "aws:kinesis:record",
            "eventID": format!("shardId-000000000000:{sequence}"), "awsRegion": "eu-west-1" })
    };
    let stream = json!({ "Records": [
        record("100", base64(gzip(logs("/aws/lambda/books", &[("3", "a")]).as_bytes()))),
        record("101", "%%% no base64".to_owned()),
        record("102", base64(gzip(control.to_string().as_bytes()))),
        record("103", base64("foreign")),
        record("104", base64(gzip(logs("/aws/lambda/authors", &[("4", "b"), ("5", "c")]).as_bytes()))),
    ] });
    let answer = function.invoke(stream.to_string()).unwrap_or_else(|error| panic!("{error}\n{}", function.log()));
    assert_eq!(failed(&answer), BTreeSet::from(["101", "103"]));
    assert_eq!(world.stored(Class::Logs).await, (2, 5), "one batch for the whole stream");
    assert!(function.line(1, "\"failures\"").contains("OF208"), "{}", function.log());

    // From a process that was killed at work, the same again.
    let _ = function.send(direct.clone());
    function.restart();
    assert_eq!(function.invoke(direct), done);
    assert_eq!(world.stored(Class::Logs).await.1, 5);
}

#[tokio::test]
async fn hostile_logs() {
    let Some(world) = world().await else { return };
    let mut function = world.function("ingest-logs");
    let many: Vec<(String, String)> = (0..40_000).map(|i| (i.to_string(), format!("{:x}", scrambled(i)))).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(id, text)| (&**id, &**text)).collect();
    let whole = gzip(logs("/aws/lambda/books", &many).as_bytes());
    let cut = &whole[..whole.len() / 2];
    let deep = logs("/aws/lambda/books", &[("d1", "x"), ("d2", "DEEP"), ("d3", "x")])
        .replace("\"DEEP\"", &format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)));
    let mut large = awslogs(&whole);
    large.truncate(large.len() - 1);
    large.push_str(&format!(",\"padding\":\"{}\"}}", "x".repeat((6 << 20) - large.len() - 14)));
    for (name, event, is_read) in [
        ("bomb", awslogs(gzip(&vec![b' '; 100 << 20])), false),
        ("base64", json!({ "awslogs": { "data": "%%%" } }).to_string(), false),
        ("garbage", awslogs([&whole[..10], &[0xFF; 50][..]].concat()), false),
        ("foreign", "{\"secret\":\"hunter2\"}".to_owned(), false),
        ("nothing", "null".to_owned(), false),
        ("nested", format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)), false),
        ("cut", awslogs(cut), true),
        ("deep", awslogs(gzip(deep.as_bytes())), true),
        ("6 MB", large, true),
    ] {
        let answer = function.invoke(event);
        assert_eq!(answer.is_ok(), is_read, "{name}: {answer:?}\n{}", function.log());
        assert!(!format!("{answer:?}").contains("hunter2"), "{name} is quoted: {answer:?}");
    }
    // The event whose message is no text is one without words: a field of another type costs no record.
    assert_eq!(world.stored(Class::Logs).await.1, 40_003, "{}", function.log());
    assert!(!function.log().contains("hunter2"), "a record is quoted");
    assert_eq!(function.log().matches("\"function\":\"ingest-logs\"").count(), 9, "one line an invocation");
    if let Some(peak) = function.peak_kib() {
        println!("peak memory: {} MiB", peak >> 10);
        assert!(peak < 250 << 10, "{peak} KiB");
    }
}

/// Something that does not shrink.
fn scrambled(i: u64) -> u64 {
    i.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

#[tokio::test]
async fn a_function_without_its_table_says_so() {
    let Some(world) = world().await else { return };
    let mut function = world.function_of("ingest-logs", "missing");
    assert!(function.invoke("{}").is_err());
    assert!(function.line(1, "OUTFLOW_TABLE").contains("can't be used"));
}
