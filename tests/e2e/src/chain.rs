//! The whole chain: four functions as processes, and what stands between them in an account.
//!
//! Objects lie in S3 and notices of them in a queue; subscriptions call; evaluate is called with the schedule's event; what
//! it says goes through the topic to a queue and to Slack. The processes share nothing but these parts. A run plays what AWS
//! does between them: it polls queues, calls again what failed, and may end a process with SIGKILL while it works.
//! Time is the events': weeks are told in minutes. Quiet hours come in large deliveries, since who calls an emulator waits
//! for each answer. There is deliberately no expectation here, and no order but that of arrival.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use aws_sdk_s3::types::CreateBucketConfiguration;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry};
use outflow_aws::dynamo::DynamoStore;
use outflow_core::incident::Incident;
use outflow_core::time::Timestamp;
use outflow_pipeline::evaluate::Told;
use outflow_pipeline::keys;
use outflow_pipeline::store::Store;
use outflow_tests::account::Delivery;
use outflow_tests::dice::Dice;
use outflow_tests::forms;
use serde_json::{Value, json};

use crate::parts::binary;
use crate::parts::dynamodb::{DynamoDb, create_table};
use crate::parts::gate::{Call, Gate, Template};
use crate::parts::moto::{self, Moto};
use crate::parts::runtime::Function;
use crate::parts::slack::{CHANNEL, Kept, Slack};

/// Minutes in milliseconds.
pub const MINUTE_MS: i64 = 60_000;
/// The bucket of the trail.
const BUCKET: &str = "trail";
const ACCOUNT: &str = "arn:aws:sqs:eu-west-1:123456789012";
/// Ticks further apart than this are quiet: what came between them is delivered together.
const QUIET_MS: i64 = 10 * MINUTE_MS;
/// Bytes of one event of a stream, which Lambda bounds at 6 MB.
const STREAM_BYTES_MAX: usize = 4 << 20;
/// How often one event is tried before the run fails: so many kills in a row don't happen by chance.
const TRIES_MAX: usize = 20;
/// How long an invocation is thought to last before there was one.
const LIKELY: Duration = Duration::from_millis(100);
/// Parameters of the template, and the names that its resources have here.
const GIVEN: [(&str, &str); 9] = [
    ("LogFeed", "account"),
    ("TrailFeed", "topic"),
    ("TrailTopicArn", "arn:aws:sns:eu-west-1:123456789012:trail"),
    ("TrailBucket", BUCKET),
    ("SlackSecret", "outflow/slack"),
    ("Table", "outflow"),
    ("Alerts", "outflow"),
    ("TrailQueue", "trail"),
    ("NotifyQueue", "alerts"),
];
/// In each line of evaluate's own log.
const EVALUATED: &str = "\"function\":\"evaluate\"";
/// Tries of a message before it is a dead letter: more than would be killed in a row.
const RECEIVES_MAX: usize = 30;

/// One of the four functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Subscriptions of logs.
    IngestLogs,
    /// Files and events of the trail.
    IngestTrail,
    /// Every minute.
    Evaluate,
    /// To Slack.
    Notify,
}

impl Who {
    /// All of them.
    pub const ALL: [Who; 4] = [Who::IngestLogs, Who::IngestTrail, Who::Evaluate, Who::Notify];

    /// Its name in the template, behind that of the stack.
    pub fn name(self) -> &'static str {
        match self {
            Who::IngestLogs => "ingest-logs",
            Who::IngestTrail => "ingest-trail",
            Who::Evaluate => "evaluate",
            Who::Notify => "notify",
        }
    }
}

/// Who is killed how often.
pub struct Killer {
    dice: Dice,
    percent: u64,
}

impl Killer {
    /// Kills nobody.
    pub fn none() -> Killer {
        Killer { dice: Dice(0), percent: 0 }
    }

    /// Kills in so many of a hundred invocations, at a time in them that the seed says. Notify, which has little to do, is
    /// killed in every other.
    pub fn of(seed: u64, percent: u64) -> Killer {
        Killer { dice: Dice(seed), percent }
    }

    /// When to kill, in an invocation that should last so long; it may be over by then.
    fn wait(&mut self, who: Who, likely: Duration) -> Option<Duration> {
        let percent = if who == Who::Notify && self.percent > 0 { 50 } else { self.percent };
        let most = u64::try_from(likely.as_micros()).unwrap_or(u64::MAX) * 3 / 2;
        (self.dice.below(100) < percent).then(|| Duration::from_micros(self.dice.below(most)))
    }
}

/// A function, and how long it was at work the last time.
struct Worker {
    function: Function,
    last: Duration,
    kills: u64,
}

/// What stands in the account. Its parts end with it.
pub struct Chain {
    moto: Moto,
    dynamo: DynamoDb,
    s3: aws_sdk_s3::Client,
    sqs: aws_sdk_sqs::Client,
    topic: String,
    table: String,
    /// What people read.
    pub slack: Slack,
    workers: BTreeMap<Who, Worker>,
    /// What lets through only what the template's policies allow: before moto, before DynamoDB.
    gates: BTreeMap<Who, [Gate; 2]>,
    template: Option<Template>,
    killer: Killer,
    objects: u64,
    /// Invocations that answered an error, without a kill.
    pub errors: Vec<String>,
}

/// A queue: what a poller of Lambda does with it.
struct Queue {
    name: &'static str,
    who: Who,
}

const TRAIL: Queue = Queue { name: "trail", who: Who::IngestTrail };
const ALERTS: Queue = Queue { name: "alerts", who: Who::Notify };

impl Queue {
    fn url(&self, moto: &Moto) -> String {
        format!("{}/123456789012/{}", moto.url, self.name)
    }
}

impl Chain {
    /// Starts the parts and the functions; nothing where a part isn't installed.
    pub async fn start(killer: Killer) -> Option<Chain> {
        Chain::start_behind(None, killer).await
    }

    /// The same with nobody killed and each function behind its policy of the template.
    pub async fn behind_gates() -> Option<Chain> {
        Chain::start_behind(Some(Template::resolve(&GIVEN)?), Killer::none()).await
    }

    async fn start_behind(template: Option<Template>, killer: Killer) -> Option<Chain> {
        let (dynamo, moto) = (DynamoDb::start()?, moto::start()?);
        let sdk = moto.sdk();
        let (s3, sqs) = (aws_sdk_s3::Client::new(&sdk), aws_sdk_sqs::Client::new(&sdk));
        let place = CreateBucketConfiguration::builder().location_constraint("eu-west-1".into()).build();
        s3.create_bucket().bucket(BUCKET).create_bucket_configuration(place).send().await.unwrap();
        let sns = aws_sdk_sns::Client::new(&sdk);
        let topic = sns.create_topic().name("outflow").send().await.unwrap().topic_arn.unwrap();
        for queue in [&TRAIL, &ALERTS] {
            let dead = format!("{}-dead", queue.name);
            sqs.create_queue().queue_name(&dead).send().await.unwrap();
            let redrive = json!({ "deadLetterTargetArn": format!("{ACCOUNT}:{dead}"), "maxReceiveCount": RECEIVES_MAX });
            let request = sqs.create_queue().queue_name(queue.name);
            request.attributes(QueueAttributeName::RedrivePolicy, redrive.to_string()).send().await.unwrap();
        }
        sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(format!("{ACCOUNT}:{}", ALERTS.name)).send().await.unwrap();
        let manager = aws_sdk_secretsmanager::Client::new(&sdk);
        manager.create_secret().name("outflow/slack").secret_string("xoxb-valid").send().await.unwrap();
        let slack = Slack::start();
        let table = String::new();
        let mut chain = Chain {
            moto,
            dynamo,
            s3,
            sqs,
            topic,
            table,
            slack,
            workers: BTreeMap::new(),
            gates: BTreeMap::new(),
            template,
            killer,
            objects: 0,
            errors: Vec::new(),
        };
        chain.on_new_table("outflow").await;
        Some(chain)
    }

    /// Makes an empty table, and starts all functions anew on it.
    pub async fn on_new_table(&mut self, table: &str) {
        create_table(&self.dynamo.client(), table).await;
        table.clone_into(&mut self.table);
        let parts = [self.moto.url.trim_start_matches("http://").parse().unwrap(), self.dynamo.address];
        let slack = self.slack.endpoint();
        let env = [
            ("OUTFLOW_TABLE", table),
            ("OUTFLOW_OWN", "outflow-"),
            ("OUTFLOW_TOPIC_ARN", &self.topic),
            ("OUTFLOW_SLACK_SECRET", "outflow/slack"),
            ("OUTFLOW_SLACK_CHANNEL", CHANNEL),
            ("OUTFLOW_SLACK_ENDPOINT", &slack),
        ];
        for who in Who::ALL {
            let kills = self.workers.get(&who).map_or(0, |worker| worker.kills);
            let mut places = parts;
            if let Some(template) = &self.template {
                let gates = parts.map(|part| Gate::start(part, template, who.name()));
                places = gates.each_ref().map(|gate| gate.address);
                self.gates.insert(who, gates);
            }
            let [moto, dynamodb] = places.map(|address| format!("http://{address}"));
            let env = [&[("AWS_ENDPOINT_URL", &*moto), ("AWS_ENDPOINT_URL_DYNAMODB", &*dynamodb)][..], &env].concat();
            let function = Function::start(&binary(&format!("outflow-{}", who.name())), &env);
            self.workers.insert(who, Worker { function, last: LIKELY, kills });
        }
    }

    /// The template that the functions are held to, where they are.
    pub fn template(&self) -> Option<&Template> {
        self.template.as_ref()
    }

    /// What a function called, and what it was refused.
    pub fn called(&self, who: Who) -> [BTreeSet<Call>; 2] {
        let of = |calls: fn(&Gate) -> BTreeSet<Call>| self.gates[&who].iter().flat_map(calls).collect();
        [of(Gate::allowed), of(Gate::refused)]
    }

    /// Everything that stands in the table.
    pub async fn items(&self) -> Vec<PutRequest> {
        let mut pages = self.dynamo.client().scan().table_name(&self.table).into_paginator().items().send();
        let mut all = Vec::new();
        while let Some(item) = pages.next().await {
            all.push(PutRequest::builder().set_item(Some(item.unwrap())).build().unwrap());
        }
        all
    }

    /// Puts items into the table.
    pub async fn put(&self, items: &[PutRequest]) {
        for some in items.chunks(10) {
            let writes = some.iter().map(|item| WriteRequest::builder().put_request(item.clone()).build()).collect();
            self.dynamo.client().batch_write_item().request_items(&self.table, writes).send().await.unwrap();
        }
    }

    /// Invokes a function as its trigger would. Nothing: it failed or was killed, and the trigger tries again.
    fn invoke(&mut self, who: Who, event: &str) -> Option<Value> {
        let worker = self.workers.get_mut(&who).unwrap();
        if let Some(wait) = self.killer.wait(who, worker.last) {
            let answer = worker.function.send(event.to_owned());
            std::thread::sleep(wait);
            worker.function.restart();
            worker.kills += 1;
            return answer.try_recv().ok().and_then(Result::ok);
        }
        let started = Instant::now();
        match worker.function.invoke(event.to_owned()) {
            Ok(answer) => {
                worker.last = started.elapsed();
                Some(answer)
            }
            Err(error) => {
                self.errors.push(format!("{who:?}: {error}"));
                None
            }
        }
    }

    fn invoke_until_done(&mut self, who: Who, event: &str) -> Value {
        for _ in 0..TRIES_MAX {
            if let Some(answer) = self.invoke(who, event) {
                return answer;
            }
        }
        panic!("{who:?} does not come to an end: {:?}\n{}", self.errors.last(), self.workers[&who].function.log());
    }

    /// Delivers what came: each by itself, or all together. The caller says which by how long it waited.
    pub async fn deliver(&mut self, deliveries: &[Delivery], together: bool) {
        let (mut bodies, mut files, mut messages) = (Vec::new(), Vec::new(), Vec::new());
        for delivery in deliveries {
            let value: Value = serde_json::from_slice(&delivery.bytes).unwrap();
            match (value["awslogs"]["data"].as_str(), value["Records"].as_array()) {
                (Some(data), _) => messages.push(data.to_owned()),
                (None, Some(records)) => files.push(records.clone()),
                // A call that EventBridge puts into the queue.
                (None, None) => bodies.push(value.to_string()),
            }
        }
        if together && !files.is_empty() {
            files = vec![files.concat()];
        }
        for records in files {
            self.objects += 1;
            let key = format!("AWSLogs/123456789012/CloudTrail/eu-west-1/{:08}.json.gz", self.objects);
            let bytes = forms::gzip(&forms::trail_file(&records));
            self.s3.put_object().bucket(BUCKET).key(&key).body(bytes.into()).send().await.unwrap();
            bodies.push(notice(&key));
        }
        self.enqueue(&bodies).await;
        for event in if together { streams(&messages) } else { messages.iter().map(|data| awslogs(data)).collect() } {
            let answer = self.invoke_until_done(Who::IngestLogs, &event);
            assert_eq!(answer, json!({ "batchItemFailures": [] }));
        }
        self.poll(&TRAIL).await;
    }

    async fn enqueue(&self, bodies: &[String]) {
        for some in bodies.chunks(10) {
            let entry =
                |(i, body): (usize, &String)| SendMessageBatchRequestEntry::builder().id(i.to_string()).message_body(body).build().unwrap();
            let entries = some.iter().enumerate().map(entry).collect();
            let request = self.sqs.send_message_batch().queue_url(TRAIL.url(&self.moto));
            request.set_entries(Some(entries)).send().await.unwrap();
        }
    }

    /// What Lambda's poller does until a queue is empty.
    async fn poll(&mut self, queue: &Queue) {
        let url = queue.url(&self.moto);
        loop {
            let request = self.sqs.receive_message().queue_url(&url).max_number_of_messages(10);
            let got = request.message_system_attribute_names(MessageSystemAttributeName::All).send().await.unwrap();
            if got.messages().is_empty() {
                if self.waiting(&url).await == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            let answer = self.invoke(queue.who, &queue_event(queue, got.messages()));
            let failures = answer.as_ref().map(|a| a["batchItemFailures"].as_array().cloned().unwrap_or_default());
            let failed: BTreeSet<&str> = failures.iter().flatten().filter_map(|f| f["itemIdentifier"].as_str()).collect();
            let mut done = Vec::new();
            for message in got.messages() {
                let (id, receipt) = (message.message_id().unwrap(), message.receipt_handle().unwrap());
                if answer.is_none() {
                    // The invocation died: its messages come again.
                    let request = self.sqs.change_message_visibility().queue_url(&url).receipt_handle(receipt);
                    request.visibility_timeout(0).send().await.unwrap();
                } else if !failed.contains(id) {
                    done.push(DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(receipt).build().unwrap());
                }
            }
            if !done.is_empty() {
                self.sqs.delete_message_batch().queue_url(&url).set_entries(Some(done)).send().await.unwrap();
            }
        }
    }

    /// Messages of a queue, seen and unseen.
    async fn waiting(&self, url: &str) -> u64 {
        let request = self.sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
        let attributes = request.send().await.unwrap().attributes.unwrap_or_default();
        let of = |name| attributes.get(&name).and_then(|n| n.parse::<u64>().ok()).unwrap();
        of(QueueAttributeName::ApproximateNumberOfMessages) + of(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
    }

    /// The schedule's event of a minute, until nothing is left to do.
    pub fn evaluate(&mut self, at_ms: i64) {
        let time = Timestamp::from_ms(at_ms).unwrap().to_rfc3339();
        let event = json!({ "version": "0", "detail-type": "Scheduled Event", "source": "aws.events", "time": time, "detail": {} });
        loop {
            let lines = self.log(Who::Evaluate).matches(EVALUATED).count();
            self.invoke_until_done(Who::Evaluate, &event.to_string());
            let line = self.workers[&Who::Evaluate].function.line(lines + 1, EVALUATED);
            if !line.contains("\"behind\":true") {
                return;
            }
        }
    }

    /// Takes alerts to Slack until their queue is empty.
    pub async fn notify(&mut self) {
        self.poll(&ALERTS).await;
    }

    /// From one tick to the next: what came before each is delivered, then evaluate runs, then notify.
    pub async fn run(&mut self, deliveries: &[Delivery], ticks: &[i64]) {
        let mut rest = deliveries;
        let mut before = ticks.first().copied().unwrap_or_default() - QUIET_MS - 1;
        for tick in ticks {
            let (come, later) = rest.split_at(rest.partition_point(|d| d.at_ms < *tick));
            rest = later;
            self.deliver(come, tick - before > QUIET_MS).await;
            self.evaluate(*tick);
            self.notify().await;
            before = *tick;
        }
        assert!(rest.is_empty(), "the ticks end before the deliveries");
    }

    /// Confirmed incidents by id, as they stand in the table.
    pub async fn confirmed(&self) -> BTreeMap<String, Incident> {
        let store = DynamoStore::new(&self.dynamo.client(), &*self.table);
        let items = store.list("told", "", 10_000).await.unwrap();
        let all = items.iter().map(|(_, item)| serde_json::from_slice::<Told>(&item.bytes).unwrap()).filter(|told| told.step > 0);
        all.map(|told| (told.incident.uid.clone(), told.incident)).collect()
    }

    /// Messages that were committed and never left.
    pub async fn unsent(&self) -> usize {
        let store = DynamoStore::new(&self.dynamo.client(), &*self.table);
        store.list(keys::OUTBOX, "", 10_000).await.unwrap().len()
    }

    /// First messages of incidents, as they stand in the channel.
    pub fn first_messages(&self) -> Vec<Kept> {
        self.slack.kept().into_iter().filter(|kept| kept.how == "chat.postMessage" && kept.body["thread_ts"].is_null()).collect()
    }

    /// Dead letters of all queues.
    pub async fn dead_letters(&self) -> u64 {
        let mut sum = 0;
        for queue in [&TRAIL, &ALERTS] {
            sum += self.waiting(&format!("{}-dead", queue.url(&self.moto))).await;
        }
        sum
    }

    /// How often each function was killed.
    pub fn kills(&self) -> BTreeMap<Who, u64> {
        self.workers.iter().map(|(who, worker)| (*who, worker.kills)).collect()
    }

    /// What a function wrote.
    pub fn log(&self, who: Who) -> String {
        self.workers[&who].function.log()
    }
}

/// As S3 notifies.
fn notice(key: &str) -> String {
    json!({ "Records": [{ "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1", "eventName": "ObjectCreated:Put",
        "s3": { "s3SchemaVersion": "1.0", "bucket": { "name": BUCKET }, "object": { "key": key } } }] })
    .to_string()
}

fn awslogs(data: &str) -> String {
    json!({ "awslogs": { "data": data } }).to_string()
}

/// Messages of subscriptions through a stream: as many in one event as Lambda allows.
fn streams(messages: &[String]) -> Vec<String> {
    let (mut events, mut records, mut bytes) = (Vec::new(), Vec::new(), 0);
    for (i, data) in messages.iter().enumerate() {
        bytes += data.len() + 512;
        records.push(
            json!({ "kinesis": { "kinesisSchemaVersion": "1.0", "partitionKey": "p", "sequenceNumber": i.to_string(), "data": data,
            "approximateArrivalTimestamp": 1_742_452_953.5 }, "eventSource": "aws:kinesis", "eventName": "aws:kinesis:record",
            "eventID": format!("shardId-000000000000:{i}"), "awsRegion": "eu-west-1" }),
        );
        if bytes > STREAM_BYTES_MAX || i + 1 == messages.len() {
            events.push(json!({ "Records": std::mem::take(&mut records) }).to_string());
            bytes = 0;
        }
    }
    events
}

/// As SQS gives a function its messages.
fn queue_event(queue: &Queue, messages: &[aws_sdk_sqs::types::Message]) -> String {
    let record = |m: &aws_sdk_sqs::types::Message| {
        let count = m.attributes().and_then(|a| a.get(&MessageSystemAttributeName::ApproximateReceiveCount));
        json!({ "messageId": m.message_id(), "receiptHandle": m.receipt_handle(), "body": m.body(), "eventSource": "aws:sqs",
            "attributes": { "ApproximateReceiveCount": count }, "messageAttributes": {}, "awsRegion": "eu-west-1",
            "eventSourceARN": format!("{ACCOUNT}:{}", queue.name) })
    };
    json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() }).to_string()
}
