//! `make bench-start`: cold starts, warm latencies, memory and zips of the functions as they are shipped.
//!
//! Each runs under the Runtime API on loopback, against DynamoDB's emulator, moto and the server that stands for Slack, beside
//! a Lambda that only says hello, in the same run. A cold start is from the start of the process to its first response, with
//! the clients' first requests in it. What Lambda itself takes (fetching code, starting a machine) is not in it, nor a
//! network. There is deliberately no limit that fails a run.

#![allow(clippy::unwrap_used, reason = "a bench may fail")]

use std::path::Path;
use std::time::Instant;

use aws_sdk_s3::types::CreateBucketConfiguration;
use outflow_core::alert::message::{Event, Message};
use outflow_core::detect::{Detail, Finding, Level};
use outflow_core::entity::Entity;
use outflow_core::incident::Incident;
use outflow_core::time::{Timestamp, WindowId};
use outflow_e2e::parts::dynamodb::{DynamoDb, create_table};
use outflow_e2e::parts::moto::{self, Moto};
use outflow_e2e::parts::root;
use outflow_e2e::parts::runtime::Function;
use outflow_e2e::parts::slack::{CHANNEL, Slack};
use outflow_tests::forms;
use serde_json::{Value, json};

const COLD: usize = 20;
const WARM: usize = 200;
const TABLE: &str = "outflow";
const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:outflow";
const START: &str = "2025-09-01T12:00:00Z";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (Some(dynamo), Some(moto)) = (DynamoDb::start(), moto::start()) else {
        eprintln!("parts are missing: make tools");
        std::process::exit(2);
    };
    if !zip("outflow-hello").exists() {
        eprintln!("{} is missing: make bench-start builds it", zip("outflow-hello").display());
        std::process::exit(2);
    }
    prepare(&dynamo, &moto).await;
    let slack = Slack::start();
    println!("{:22} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}", "function", "cold ms", "longest", "warm ms", "p99", "peak MiB", "zip MB");
    let mut hello = None;
    for name in ["outflow-hello", "outflow-ingest-logs", "outflow-ingest-trail", "outflow-evaluate", "outflow-notify"] {
        let measured = measure(name, &dynamo, &moto, &slack);
        let Measured { cold, warm, peak_mib, zip_mb } = &measured;
        println!(
            "{name:22} {:9.1} {:9.1} {:9.2} {:9.2} {peak_mib:9.1} {zip_mb:9.2}",
            at(cold, 0.5),
            at(cold, 1.0),
            at(warm, 0.5),
            at(warm, 0.99)
        );
        let base: &Measured = hello.get_or_insert(measured.clone());
        if name != "outflow-hello" {
            println!(
                "{:22} {:9.1} times hello's cold start, {:.1} times its memory",
                "",
                at(cold, 0.5) / at(&base.cold, 0.5),
                peak_mib / base.peak_mib
            );
        }
    }
}

#[derive(Clone)]
struct Measured {
    /// Milliseconds, in order.
    cold: Vec<f64>,
    warm: Vec<f64>,
    peak_mib: f64,
    zip_mb: f64,
}

fn at(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len()) - 1]
}

fn zip(name: &str) -> std::path::PathBuf {
    root().join("target/lambda").join(name).join("bootstrap.zip")
}

fn measure(name: &str, dynamo: &DynamoDb, moto: &Moto, slack: &Slack) -> Measured {
    let (dynamodb, channel) = (format!("http://{}", dynamo.address), slack.endpoint());
    let env = [
        ("AWS_ENDPOINT_URL", &*moto.url),
        ("AWS_ENDPOINT_URL_DYNAMODB", &dynamodb),
        ("OUTFLOW_TABLE", TABLE),
        ("OUTFLOW_OWN", "outflow-"),
        ("OUTFLOW_TOPIC_ARN", TOPIC),
        ("OUTFLOW_SLACK_SECRET", "outflow/slack"),
        ("OUTFLOW_SLACK_CHANNEL", CHANNEL),
        ("OUTFLOW_SLACK_ENDPOINT", &channel),
    ];
    let binary = root().join("target/lambda").join(name).join("bootstrap");
    let mut function = Function::start(Path::new(&binary), &env);
    let mut n = 0;
    let mut timed = |function: &mut Function, is_cold: bool| {
        let event = event(name, n);
        n += 1;
        let begin = Instant::now();
        if is_cold {
            function.restart();
        }
        let answer = function.invoke(event);
        assert!(answer.is_ok(), "{name}: {answer:?}\n{}", function.log());
        begin.elapsed().as_secs_f64() * 1_000.0
    };
    let mut cold: Vec<f64> = (0..COLD).map(|_| timed(&mut function, true)).collect();
    let mut warm: Vec<f64> = (0..WARM).map(|_| timed(&mut function, false)).collect();
    cold.sort_by(f64::total_cmp);
    warm.sort_by(f64::total_cmp);
    let peak_mib = function.peak_kib().unwrap_or_default() as f64 / 1_024.0;
    Measured { cold, warm, peak_mib, zip_mb: std::fs::metadata(zip(name)).unwrap().len() as f64 / 1e6 }
}

/// The n-th event of a function, as its trigger sends it.
fn event(name: &str, n: u32) -> Vec<u8> {
    let start = Timestamp::parse(START).unwrap();
    let time = start.plus_ms(i64::from(n) * 60_000);
    let queued = |body: String| {
        json!({ "Records": [{ "messageId": "1", "receiptHandle": "r", "body": body, "eventSource": "aws:sqs",
        "attributes": { "ApproximateReceiveCount": "1" }, "messageAttributes": {}, "awsRegion": "eu-west-1",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:q" }] })
    };
    let event = match name {
        "outflow-ingest-logs" => return delivery(time, n),
        "outflow-ingest-trail" => queued(
            json!({ "Records": [{ "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                "s3": { "bucket": { "name": "trail" }, "object": { "key": "trail.json.gz" } } }] })
            .to_string(),
        ),
        "outflow-evaluate" => json!({ "source": "aws.events", "time": time.to_rfc3339(), "detail": {} }),
        "outflow-notify" => {
            let incident = Incident { sequence: n + 1, ..Incident::of("123456789012".to_owned(), vec![finding()], 0) };
            let message = Message::new(if n == 0 { Event::Opened } else { Event::Updated }, incident).to_json();
            queued(json!({ "Type": "Notification", "TopicArn": TOPIC, "Message": message }).to_string())
        }
        _ => json!({}),
    };
    event.to_string().into_bytes()
}

/// Three invocations, as a subscription delivers them.
fn delivery(time: Timestamp, n: u32) -> Vec<u8> {
    let mut events = Vec::new();
    for i in 0..3 {
        let request = format!("{n:08x}-0000-4000-8000-{i:012}");
        for (kind, text) in [
            ("0", format!("START RequestId: {request} Version: $LATEST\n")),
            ("1", format!("{}\t{request}\tINFO\tstored 12 rows\n", time.to_rfc3339())),
            ("2", format!("END RequestId: {request}\n")),
            (
                "3",
                format!(
                    "REPORT RequestId: {request}\tDuration: 12.30 ms\tBilled Duration: 13 ms\tMemory Size: 256 MB\tMax Memory Used: 80 MB\t\n"
                ),
            ),
        ] {
            events.push(forms::Event { id: format!("3{}{n:010}{i}{kind}", time.ms()), at_ms: time.ms(), message: text });
        }
    }
    let (owner, group, name) = ("123456789012".to_owned(), "/aws/lambda/orders".to_owned(), "2025/09/01/[$LATEST]ab".to_owned());
    forms::awslogs(&forms::Stream { owner, group, name }, &events)
}

fn finding() -> Finding {
    Finding {
        entity: Entity::function("eu-west-1", "123456789012", "orders"),
        subject: "quiet together".to_owned(),
        window: WindowId(5_855_000),
        judged: WindowId(5_855_000),
        level: Level::Alert,
        years: 3.0,
        learnt_days: 21.0,
        span: None,
        count: 7,
        detail: Detail::Quiet { functions: 7 },
        before: Vec::new(),
        changes_unknown: false,
        hours: Vec::new(),
        hours_to: WindowId(5_855_000),
    }
}

/// A table, a trail of 480 records, a secret.
async fn prepare(dynamo: &DynamoDb, moto: &Moto) {
    create_table(&dynamo.client(), TABLE).await;
    let sdk = moto.sdk();
    let s3 = aws_sdk_s3::Client::new(&sdk);
    let place = CreateBucketConfiguration::builder().location_constraint("eu-west-1".into()).build();
    s3.create_bucket().bucket("trail").create_bucket_configuration(place).send().await.unwrap();
    let start = Timestamp::parse(START).unwrap();
    let call = |n: i64| {
        json!({ "eventVersion": "1.11", "eventTime": start.plus_ms(n % 300 * 1_000).to_rfc3339(), "eventSource": "s3.amazonaws.com",
            "eventName": "GetObject", "eventID": format!("00000000-0000-4000-8000-{n:012}"), "eventCategory": "Data",
            "awsRegion": "eu-west-1", "recipientAccountId": "123456789012", "sourceIPAddress": "198.51.100.7",
            "requestParameters": { "bucketName": format!("bucket-{}", n % 40) },
            "userIdentity": { "type": "IAMUser", "arn": format!("arn:aws:iam::123456789012:user/u{}", n % 60), "accountId": "123456789012" } })
    };
    let records: Vec<Value> = (0..480).map(call).collect();
    let file = forms::gzip(&forms::trail_file(&records));
    s3.put_object().bucket("trail").key("trail.json.gz").body(file.into()).send().await.unwrap();
    aws_sdk_secretsmanager::Client::new(&sdk).create_secret().name("outflow/slack").secret_string("xoxb-valid").send().await.unwrap();
}
