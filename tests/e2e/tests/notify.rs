//! Notify's step and the real sender against a server that stands for Slack: what is read in the channel, once or twice and
//! never not at all, and what becomes of the delivery. The last test runs the function itself on DynamoDB's emulator and moto.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::MessageSystemAttributeName;
use expect_test::expect;
use outflow_aws::secrets::{Secret, SecretError, Source};
use outflow_aws::slack::{Settings, Slack as Channel};
use outflow_core::alert::message::{Event, Message};
use outflow_core::alert::slack::{Stand, payload};
use outflow_core::detect::{Detail, Finding, FlowDetail, Level};
use outflow_core::entity::Entity;
use outflow_core::incident::Incident;
use outflow_core::time::{Timestamp, WindowId};
use outflow_e2e::parts::dynamodb::{DynamoDb, create_table};
use outflow_e2e::parts::moto::{self, Moto};
use outflow_e2e::parts::runtime::Function;
use outflow_e2e::parts::slack::{Act, CHANNEL, Slack, refusal};
use outflow_e2e::parts::{binary, root, skip, tools};
use outflow_pipeline::notify::{Delivery, Outcome, Told, deliver};
use outflow_pipeline::store::embedded::Embedded;
use serde_json::json;

const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:outflow";
const WEBHOOK: &str = "https://hooks.slack.com/services/T0/B0/valid";
const POSTED: Outcome = Outcome::Done(Told::Posted { plain: false, marked: true });

fn now() -> Timestamp {
    Timestamp::parse("2025-10-14T17:11:00Z").unwrap()
}

fn finding(name: &str) -> Finding {
    let flow = FlowDetail {
        service: "s3".into(),
        action: "GetObject".into(),
        target: "bucket statistics-raw".into(),
        denied: false,
        outside: false,
        relation: "foreign".into(),
        usual: (vec!["table books".into()], 1),
        users: (Vec::new(), 0),
        score: 9.0,
        again: None,
    };
    Finding {
        entity: Entity::function("eu-west-1", "123456789012", name),
        subject: "flow s3:GetObject bucket statistics-raw".to_owned(),
        window: WindowId(5_868_000),
        judged: WindowId(5_868_000),
        level: Level::Alert,
        years: 3.0,
        learnt_days: 21.0,
        span: None,
        count: 7,
        detail: Detail::NewFlow(flow),
        before: vec!["code updated by ci-deploy".to_owned()],
        changes_unknown: false,
        hours: Vec::new(),
        hours_to: WindowId(5_868_000),
    }
}

fn message(name: &str, sequence: u32, event: Event) -> Message {
    Message::new(event, Incident { sequence, ..Incident::of("123456789012".to_owned(), vec![finding(name)], 0) })
}

/// A secret that a test can change.
#[derive(Clone)]
struct Held(Arc<Mutex<String>>);

impl Source for Held {
    async fn fetch(&self) -> Result<Secret, SecretError> {
        Ok(Secret::new(&self.0.lock().unwrap()))
    }
}

struct Stage {
    slack: Slack,
    secret: Held,
    channel: Channel<Held>,
    store: Embedded,
}

fn stage(secret: &str) -> Stage {
    let slack = Slack::start();
    let held = Held(Arc::new(Mutex::new(secret.to_owned())));
    let settings =
        Settings { channel: Some(CHANNEL.to_owned()), endpoint: Some(slack.endpoint()), timeout: Some(Duration::from_millis(1_500)) };
    let channel = Channel::new(held.clone(), settings);
    Stage { slack, secret: held, channel, store: Embedded::temporary().unwrap() }
}

impl Stage {
    async fn take(&self, message: &Message) -> Outcome {
        let envelope = json!({"Type": "Notification", "TopicArn": TOPIC, "Message": message.to_json()}).to_string();
        let delivery = Delivery { id: "1", body: &envelope, tries: 1 };
        deliver(&self.store, &self.channel, Some(TOPIC), &[delivery], now()).await.remove(0)
    }

    /// How each message came and what it belongs to.
    fn seen(&self) -> Vec<String> {
        let first = |value: &serde_json::Value| value.as_str().map_or(String::new(), |ts| format!(" {}", &ts[ts.len() - 1..]));
        let line = |kept: &outflow_e2e::parts::slack::Kept| {
            let head = kept.body["blocks"][0]["text"]["text"].as_str().unwrap_or("plain");
            format!("{}{}{}: {head}", kept.how, first(&kept.body["thread_ts"]), first(&kept.body["ts"]))
        };
        self.slack.kept().iter().map(line).collect()
    }
}

#[tokio::test]
async fn a_webhook_says_it_each_time() {
    let stage = stage(WEBHOOK);
    for (n, event) in [(1, Event::Opened), (2, Event::Updated), (2, Event::Updated), (3, Event::Resolved)] {
        assert!(matches!(stage.take(&message("author-handler", n, event)).await, Outcome::Done(_)));
    }
    expect![[r#"
        webhook: 🔴 High: author-handler reads a bucket it never touched
        webhook: 🔴 High, update: author-handler reads a bucket it never touched
        webhook: ✅ Over: author-handler reads a bucket it never touched"#]]
    .assert_eq(&stage.seen().join("\n"));
    assert_eq!(stage.slack.requests(), 3);
}

#[tokio::test]
async fn a_token_threads_and_edits() {
    let stage = stage("xoxb-valid");
    for (n, event) in [(1, Event::Opened), (2, Event::Updated), (3, Event::Withdrawn { reason: "explained by a deployment".to_owned() })] {
        assert_eq!(stage.take(&message("author-handler", n, event)).await, POSTED);
    }
    expect![[r#"
        chat.postMessage: 🔴 High: author-handler reads a bucket it never touched
        chat.postMessage 1: 🔴 High, update: author-handler reads a bucket it never touched
        chat.update 1: ↩ Withdrawn: author-handler reads a bucket it never touched"#]]
    .assert_eq(&stage.seen().join("\n"));
}

#[tokio::test]
async fn what_a_person_deleted_is_said_anew() {
    let stage = stage("xoxb-valid");
    stage.take(&message("author-handler", 1, Event::Opened)).await;
    stage.slack.delete(&stage.slack.kept()[0].ts.clone());
    assert_eq!(stage.take(&message("author-handler", 2, Event::Updated)).await, POSTED);
    let body = stage.slack.kept()[0].body.to_string();
    assert!(body.contains("follows “author-handler reads a bucket it never touched”"), "{body}");
}

#[tokio::test]
async fn every_answer_has_its_outcome() {
    let mut shown = String::new();
    for (secret, act) in [
        (WEBHOOK, Act::Limited(17)),
        (WEBHOOK, Act::Answer(500, "oops")),
        (WEBHOOK, Act::Answer(503, "")),
        (WEBHOOK, Act::Answer(400, "invalid_blocks")),
        (WEBHOOK, Act::Answer(403, "action_prohibited")),
        (WEBHOOK, Act::Answer(404, "no_service")),
        (WEBHOOK, Act::Answer(410, "channel_is_archived")),
        (WEBHOOK, Act::Redirect),
        (WEBHOOK, Act::Endless),
        ("xoxb-valid", Act::Limited(3)),
        ("xoxb-valid", Act::Refuse("msg_blocks_too_long")),
        ("xoxb-valid", Act::Refuse("channel_not_found")),
        ("xoxb-valid", Act::Refuse("internal_error")),
        ("xoxb-wrong", Act::Slow(Duration::ZERO)),
        ("not a secret", Act::Slow(Duration::ZERO)),
    ] {
        let stage = stage(secret);
        stage.slack.plan([act.clone()]);
        let outcome = stage.take(&message("author-handler", 1, Event::Opened)).await;
        shown += &format!("{act:?}\n    {outcome:?}; asked {}, kept {}\n", stage.slack.requests(), stage.slack.kept().len());
    }
    expect![[r#"
        Limited(17)
            Retry { after_s: 17, why: "try again later: 429" }; asked 1, kept 0
        Answer(500, "oops")
            Retry { after_s: 5, why: "try again later: 500" }; asked 1, kept 0
        Answer(503, "")
            Retry { after_s: 5, why: "try again later: 503" }; asked 1, kept 0
        Answer(400, "invalid_blocks")
            Done(Posted { plain: true, marked: true }); asked 2, kept 1
        Answer(403, "action_prohibited")
            Dead { why: "refused (action_prohibited): an administrator of the workspace must allow the app to post there, or choose another channel" }; asked 1, kept 0
        Answer(404, "no_service")
            Dead { why: "refused (no_service): the webhook was removed or its maker has left: make a new one and put its URL into the secret" }; asked 1, kept 0
        Answer(410, "channel_is_archived")
            Dead { why: "refused (channel_is_archived): unarchive the channel, or state another" }; asked 1, kept 0
        Redirect
            Dead { why: "refused (http_302): redirects are not followed: check the endpoint that is stated" }; asked 1, kept 0
        Endless
            Done(Posted { plain: false, marked: true }); asked 1, kept 1
        Limited(3)
            Retry { after_s: 3, why: "try again later: 429" }; asked 1, kept 0
        Refuse("msg_blocks_too_long")
            Done(Posted { plain: true, marked: true }); asked 2, kept 1
        Refuse("channel_not_found")
            Dead { why: "refused (channel_not_found): state the id of a channel that the app is a member of, or make a new webhook and put its URL into the secret" }; asked 1, kept 0
        Refuse("internal_error")
            Retry { after_s: 5, why: "try again later: internal_error" }; asked 1, kept 0
        Slow(0ns)
            Dead { why: "refused (invalid_auth): put a token or webhook that works into the secret: this one was revoked, has expired or was never valid" }; asked 1, kept 0
        Slow(0ns)
            Dead { why: "refused (unusable_secret): the secret must hold a webhook's URL (https://hooks.slack.com/services/…) or a bot's token (xoxb-…)" }; asked 0, kept 0
    "#]].assert_eq(&shown);
}

#[tokio::test]
async fn a_lost_or_late_answer_is_said_twice_with_the_same_words() {
    for secret in [WEBHOOK, "xoxb-valid"] {
        for act in [Act::LoseAnswer, Act::Slow(Duration::from_secs(4))] {
            let stage = stage(secret);
            stage.slack.plan([act]);
            let begin = Instant::now();
            let opened = message("author-handler", 1, Event::Opened);
            assert!(matches!(stage.take(&opened).await, Outcome::Retry { .. }));
            assert!(begin.elapsed() < Duration::from_secs(3), "it has a time");
            assert_eq!(stage.take(&opened).await, POSTED);
            let kept = stage.slack.kept();
            assert_eq!(kept.len(), 2);
            assert_eq!(kept[0].body, kept[1].body);
        }
    }
}

#[tokio::test]
async fn a_secret_that_was_changed_is_read_again_at_once() {
    let stage = stage("xoxb-valid");
    assert_eq!(stage.take(&message("a", 1, Event::Opened)).await, POSTED);
    stage.slack.change("/services/T0/B0/new", "xoxb-new");
    assert!(matches!(stage.take(&message("b", 1, Event::Opened)).await, Outcome::Dead { .. }), "nobody has changed it yet");
    *stage.secret.0.lock().unwrap() = "xoxb-new".to_owned();
    assert_eq!(stage.take(&message("b", 1, Event::Opened)).await, POSTED);
    *stage.secret.0.lock().unwrap() = "https://hooks.slack.com/services/T0/B0/new".to_owned();
    stage.slack.change("/services/T0/B0/new", "revoked");
    assert_eq!(stage.take(&message("b", 2, Event::Updated)).await, POSTED, "from a token to a webhook");
}

/// What names can do at their worst, through the whole way.
fn hostile() -> Vec<Message> {
    let nasty = ["<!channel>", "<@U1>", "<http://evil.example|x>", "&&&&&&&&", "`*_~:fire:", "\u{1b}[2J\u{202e}", "日本", "😀"];
    let all = nasty.iter().flat_map(|text| {
        let name = text.repeat(40);
        let mut found = finding(&name);
        found.before = vec![name.clone(); 5];
        found.subject.clone_from(&name);
        if let Detail::NewFlow(flow) = &mut found.detail {
            [&mut flow.service, &mut flow.action, &mut flow.target].into_iter().for_each(|t| t.clone_from(&name));
            flow.usual.0 = vec![name.clone(); 3];
        }
        let others = (0..9).map(|i| Finding { subject: format!("{i}"), ..found.clone() }).collect();
        let incident = Incident::of(name.clone(), others, 3);
        [Event::Opened, Event::Updated, Event::Resolved, Event::Withdrawn { reason: name.clone() }]
            .map(|event| Message::new(event, incident.clone()))
    });
    all.collect()
}

#[tokio::test]
async fn slack_takes_whatever_names_hold() {
    for message in hostile() {
        for secret in [WEBHOOK, "xoxb-valid"] {
            let stage = stage(secret);
            assert_eq!(stage.take(&message).await, POSTED, "{:?}", stage.slack.kept());
        }
    }
}

#[test]
fn the_stand_in_refuses_like_slack() {
    let header = |n: usize| json!({"type": "header", "text": {"type": "plain_text", "text": "x".repeat(n)}});
    let section = |n: usize| json!({"type": "section", "text": {"type": "mrkdwn", "text": "x".repeat(n)}});
    for (body, want) in [
        (json!([]), Some("invalid_payload")),
        (json!({}), Some("no_text")),
        (json!({"text": "x".repeat(4_001)}), Some("msg_too_long")),
        (json!({"text": "x", "blocks": [header(150), section(3_000)]}), None),
        (json!({"text": "x", "blocks": [header(151)]}), Some("invalid_blocks")),
        (json!({"text": "x", "blocks": [header(0)]}), Some("invalid_blocks")),
        (json!({"text": "x", "blocks": [section(3_001)]}), Some("invalid_blocks")),
        (json!({"text": "x", "blocks": vec![section(1); 51]}), Some("invalid_blocks")),
        (json!({"text": "x", "blocks": vec![section(2_999); 4]}), Some("msg_blocks_too_long")),
        (json!({"text": "x", "blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]}), Some("invalid_blocks")),
        (json!({"text": "<!here>"}), Some("mentions")),
    ] {
        assert_eq!(refusal(&body), want, "{body}");
    }
}

/// Slack's own library for Python reads every block that we write, and finds nothing to complain about.
#[test]
fn slacks_own_library_reads_our_blocks() {
    let python = tools().join("venv/bin/python");
    let script = root().join("tests/tools/slack_blocks.py");
    let ready = |python: &std::path::Path| {
        let mut command = Command::new(python);
        command.args(["-c", "import slack_sdk"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    if !ready(&python) {
        return skip("slack_sdk");
    }
    let mut child = Command::new(&python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut messages = hostile();
    messages.push(message("author-handler", 1, Event::Opened));
    for message in &messages {
        for stand in [Stand::Alone(None), Stand::Thread, Stand::Instead] {
            writeln!(input, "{}", serde_json::to_string(&payload(message, stand)).unwrap()).unwrap();
        }
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), format!("{} messages", messages.len() * 3));
}

/// The account around the function.
struct World {
    moto: Moto,
    table: DynamoDb,
    sdk: aws_config::SdkConfig,
    slack: Slack,
}

impl World {
    async fn new() -> Option<World> {
        let (table, moto) = (DynamoDb::start()?, moto::start()?);
        create_table(&table.client(), "outflow").await;
        let sdk = moto.sdk();
        Some(World { moto, table, sdk, slack: Slack::start() })
    }

    fn function(&self, secret: &str, topic: &str) -> Function {
        let (dynamodb, slack) = (format!("http://{}", self.table.address), self.slack.endpoint());
        let env = [
            ("AWS_ENDPOINT_URL", &*self.moto.url),
            ("AWS_ENDPOINT_URL_DYNAMODB", &dynamodb),
            ("OUTFLOW_TABLE", "outflow"),
            ("OUTFLOW_SLACK_SECRET", secret),
            ("OUTFLOW_SLACK_ENDPOINT", &slack),
            ("OUTFLOW_TOPIC_ARN", topic),
        ];
        Function::start(&binary("outflow-notify"), &env)
    }
}

/// A topic, a queue behind it, and what the queue gives a function.
struct Queue {
    sqs: aws_sdk_sqs::Client,
    topic: String,
    url: String,
}

impl Queue {
    async fn new(sdk: &aws_config::SdkConfig) -> Queue {
        let (sns, sqs) = (aws_sdk_sns::Client::new(sdk), aws_sdk_sqs::Client::new(sdk));
        let topic = sns.create_topic().name("outflow").send().await.unwrap().topic_arn.unwrap();
        let url = sqs.create_queue().queue_name("alerts").send().await.unwrap().queue_url.unwrap();
        let arn = "arn:aws:sqs:eu-west-1:123456789012:alerts";
        sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(arn).send().await.unwrap();
        Queue { sqs, topic, url }
    }

    /// The event of what can be received now.
    async fn event(&self) -> (usize, String) {
        let request = self.sqs.receive_message().queue_url(&self.url).max_number_of_messages(10);
        let got = request.message_system_attribute_names(MessageSystemAttributeName::All).send().await.unwrap();
        let records: Vec<serde_json::Value> = got
            .messages()
            .iter()
            .map(|m| {
                json!({"messageId": m.message_id(), "receiptHandle": m.receipt_handle(), "body": m.body(), "eventSource": "aws:sqs",
                    "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}, "awsRegion": "eu-west-1",
                    "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:alerts"})
            })
            .collect();
        (records.len(), json!({"Records": records}).to_string())
    }
}

#[tokio::test]
async fn from_the_topic_to_the_channel() {
    let Some(world) = World::new().await else { return };
    let queue = Queue::new(&world.sdk).await;
    let manager = aws_sdk_secretsmanager::Client::new(&world.sdk);
    manager.create_secret().name("outflow/slack").secret_string(WEBHOOK).send().await.unwrap();
    let sns = aws_sdk_sns::Client::new(&world.sdk);
    let product = outflow_core::alert::ocsf::Product { version: "0.1.0" };
    for (name, n, event) in [("author-handler", 1, Event::Opened), ("statistics-handler", 1, Event::Opened)] {
        let published = outflow_core::alert::sns::publish(&message(name, n, event), &product);
        outflow_aws::sns::publish(&sns, &queue.topic, &published).await.unwrap();
    }
    let mut function = world.function("outflow/slack", &queue.topic);
    let (count, event) = queue.event().await;
    assert_eq!(count, 2);

    world.slack.plan([Act::Limited(1)]);
    let answer = function.invoke(event.clone()).unwrap();
    assert_eq!(answer["batchItemFailures"].as_array().unwrap().len(), 2, "{answer}");
    assert!(world.slack.kept().is_empty(), "nothing is said in a pause");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let (count, event) = queue.event().await;
    assert_eq!(count, 2, "the queue's own 30 seconds were shortened to what Slack asked for");

    let answer = function.invoke(event.clone()).unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    assert_eq!(world.slack.kept().len(), 2);
    let answer = function.invoke(event).unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    assert_eq!(world.slack.kept().len(), 2, "a repeat is not said again");
    let line: serde_json::Value = serde_json::from_str(&function.line(3, "\"function\":\"notify\"")).unwrap();
    // What is 0 is left out.
    assert_eq!((&line["posted"], &line["repeats"]), (&json!(null), &json!(2)));
    for hidden in ["hooks.slack.com", "services/T0", "author-handler", "statistics-raw"] {
        assert!(!function.log().contains(hidden), "{hidden} in\n{}", function.log());
    }
}

#[tokio::test]
async fn a_parameter_by_its_name_and_another_topic() {
    let Some(world) = World::new().await else { return };
    let queue = Queue::new(&world.sdk).await;
    let parameters = aws_sdk_ssm::Client::new(&world.sdk);
    let put = parameters.put_parameter().name("/outflow/slack").value(WEBHOOK).r#type(aws_sdk_ssm::types::ParameterType::SecureString);
    put.send().await.unwrap();
    let mut function = world.function("/outflow/slack", &queue.topic);
    let envelope = |topic: &str| json!({"Type": "Notification", "TopicArn": topic, "Message": message("f", 1, Event::Opened).to_json()});
    let event = |body: String| {
        json!({"Records": [{"messageId": "m1", "receiptHandle": "r", "body": body, "attributes": {}, "messageAttributes": {},
            "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:alerts"}]})
        .to_string()
    };
    let failed = json!({"batchItemFailures": [{"itemIdentifier": "m1"}]});
    assert_eq!(function.invoke(event(envelope("arn:aws:sns:eu-west-1:999999999999:evil").to_string())).unwrap(), failed);
    assert_eq!(function.invoke(event("{\"password\":\"hunter2\"}".to_owned())).unwrap(), failed);
    assert!(world.slack.kept().is_empty());
    let line = function.line(1, "another topic");
    assert!(line.contains("\"dead\":1"), "{line}");
    assert!(!function.log().contains("hunter2"));
    let raw = message("f", 1, Event::Opened).to_json();
    assert_eq!(function.invoke(event(raw)).unwrap(), json!({"batchItemFailures": []}));
    assert_eq!(world.slack.kept().len(), 1);
}
