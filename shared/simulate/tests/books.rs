//! What a run leaves behind, read back as a stranger would: shapes, truth, stories, and that nothing benign is new late.
//!
//! The digest of a short run is recorded. It is taken over names and unpacked contents, because a compressor may change
//! its output from one release to the next. Detection is deliberately not tested here: this crate knows no detector.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use outflow_simulate::{Books, SimulateError, Story, TRUTH_FILE, Written, write};
use proptest::prelude::*;
use serde_json::Value;

/// The digest of `Books { seed: 1, days: 2, story: ForeignFlow }`. It moves when the simulator's output does; then say so
/// in the changelog.
const GOLDEN: &str = "b9942f8daa00a4a3fd45e3dc4aae68358785a0f1ede86011b0883907de164752";

/// A folder of this process that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("outflow-simulate-{}-{name}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A run read back: file name → (bytes, text).
struct Run {
    written: Written,
    files: BTreeMap<String, (Vec<u8>, String)>,
}

fn run(name: &str, seed: u64, days: u32, story: Story) -> Run {
    let folder = Folder::new(name);
    let written = write(&Books { seed, days, story }, &folder.0).unwrap();
    let mut files = BTreeMap::new();
    collect(&folder.0, &folder.0, &mut files);
    Run { written, files }
}

fn collect(root: &Path, at: &Path, files: &mut BTreeMap<String, (Vec<u8>, String)>) {
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let mut text = String::new();
        if path.extension().is_some_and(|e| e == "gz") {
            flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
        } else {
            text = String::from_utf8(bytes.clone()).unwrap();
        }
        files.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_string(), (bytes, text));
    }
}

impl Run {
    /// All records with the name of their file.
    fn records(&self) -> Vec<(&str, Value)> {
        let trail = self.files.iter().filter(|(name, _)| name.starts_with("AWSLogs/"));
        trail
            .flat_map(|(name, (_, text))| {
                let value: Value = serde_json::from_str(text).unwrap();
                let records = value["Records"].as_array().unwrap().clone();
                records.into_iter().map(move |record| (name.as_str(), record))
            })
            .collect()
    }

    fn messages(&self) -> Vec<(&str, Value)> {
        let logs = self.files.iter().filter(|(name, _)| name.starts_with("cloudwatch/"));
        logs.map(|(name, (_, text))| (name.as_str(), serde_json::from_str(text).unwrap())).collect()
    }

    fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for (name, (_, text)) in &self.files {
            hasher.update(name.as_bytes());
            hasher.update(&text.len().to_le_bytes());
            hasher.update(text.as_bytes());
        }
        hasher.finalize().to_string()
    }
}

/// Who did it, without what changes with every session.
fn actor(record: &Value) -> String {
    let identity = &record["userIdentity"];
    let text = |value: &Value| value.as_str().unwrap_or("").to_string();
    if identity["type"] == "AWSService" {
        return text(&identity["invokedBy"]);
    }
    let principal = text(&identity["principalId"]);
    let session = principal.rsplit(':').next().unwrap_or("");
    let session = if session.starts_with("awslambda_") || session.starts_with("deploy-") { "*" } else { session };
    format!("{}/{session}/{}", text(&identity["sessionContext"]["sessionIssuer"]["arn"]), text(&identity["invokedBy"]))
}

/// What it was done to: the named resources but objects, else the first parameter that is a plain text.
fn target(record: &Value) -> String {
    let resources = record["resources"].as_array().into_iter().flatten();
    let named: Vec<&str> = resources.filter(|r| r["type"] != "AWS::S3::Object").filter_map(|r| r["ARN"].as_str()).collect();
    if !named.is_empty() {
        return named.join(" ");
    }
    let parameters = record["requestParameters"].as_object().into_iter().flatten();
    parameters.filter_map(|(_, value)| value.as_str()).next().unwrap_or("").to_string()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("")
}

/// The instant `day` days and `hour` hours into a run, as the records write it. Runs here end within September.
fn day(day: u32) -> String {
    format!("2025-09-{:02}T00:00:00Z", day + 1)
}

/// Everything a detector may call "seen for the first time", with when: flows, callers of functions, networks of people.
fn first_seen(records: &[(&str, Value)]) -> BTreeMap<String, String> {
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    for (_, record) in records {
        let address = text(record, "sourceIPAddress");
        let person = address.starts_with("203.0.113.") || address.starts_with("198.51.100.");
        let flow = format!("{} {} {}", actor(record), text(record, "eventName"), target(record));
        let caller = format!("{flow} from {}", text(&record["requestParameters"], "sourceArn"));
        let network = format!("{} at {}", actor(record), if person { address } else { "" });
        let agent = format!("{} by {}", actor(record), text(record, "userAgent"));
        for key in [flow, caller, network, agent] {
            let time = text(record, "eventTime").to_string();
            let seen = first.entry(key).or_insert_with(|| time.clone());
            *seen = time.min(seen.clone());
        }
    }
    first
}

/// Application lines without their variable parts, by function, with the millisecond of their first sight.
fn first_said(messages: &[(&str, Value)]) -> BTreeMap<String, i64> {
    let mut first: BTreeMap<String, i64> = BTreeMap::new();
    for (_, message) in messages {
        for event in message["logEvents"].as_array().unwrap() {
            let (line, at) = (text(event, "message"), event["timestamp"].as_i64().unwrap());
            if ["START ", "END ", "REPORT ", "INIT_START "].iter().any(|kind| line.starts_with(kind)) {
                continue;
            }
            let words: Vec<&str> =
                line.split_whitespace().map(|w| if w.contains(|c: char| c.is_ascii_digit()) { "<>" } else { w }).collect();
            let key = format!("{} {}", text(message, "logGroup"), words.join(" "));
            let seen = first.entry(key).or_insert(at);
            *seen = at.min(*seen);
        }
    }
    first
}

/// Invocations of a function by the time of their START line, in milliseconds, each once.
fn starts(run: &Run, function: &str) -> Vec<i64> {
    let mut found = BTreeSet::new();
    for (_, message) in run.messages() {
        if text(&message, "logGroup").ends_with(function) {
            for event in message["logEvents"].as_array().unwrap() {
                if text(event, "message").starts_with("START ") {
                    found.insert((event["timestamp"].as_i64().unwrap(), text(event, "id").to_string()));
                }
            }
        }
    }
    found.into_iter().map(|(at, _)| at).collect()
}

/// Milliseconds of a time such as `2025-09-15T08:00:00Z` in September 2025.
fn ms(time: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| time[range].parse::<i64>().unwrap();
    assert!(time.starts_with("2025-09-"), "{time}");
    let hours = (number(8..10) - 1) * 24 + number(11..13);
    1_756_684_800_000 + ((hours * 60 + number(14..16)) * 60 + number(17..19)) * 1_000
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (one, two) = (run("same-1", 1, 2, Story::ForeignFlow), run("same-2", 1, 2, Story::ForeignFlow));
    assert!(one.files == two.files, "two runs of one seed differ");
    assert_ne!(one.digest(), run("other-seed", 2, 2, Story::ForeignFlow).digest());
    assert_eq!(one.digest(), GOLDEN);
}

/// A story changes what it plants and what follows from it; other functions' lines stay byte for byte.
#[test]
fn a_story_moves_nobody_else() {
    let (with, without) = (run("with", 5, 3, Story::Storm), run("without", 5, 3, Story::None));
    let others = |run: &Run| -> Vec<(String, String)> {
        let files = run.files.iter().filter(|(name, _)| name.starts_with("cloudwatch/") && !name.contains("author-handler"));
        files.map(|(name, (_, text))| (name.clone(), text.clone())).collect()
    };
    assert!(others(&with) == others(&without));
    assert_ne!(with.digest(), without.digest());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let folder = Folder::new("refused");
    let ask = |days, story| write(&Books { seed: 1, days, story }, &folder.0);
    for (days, story) in [(0, Story::None), (1, Story::Storm), (367, Story::None)] {
        assert!(matches!(ask(days, story), Err(SimulateError::Days { .. })), "{days} {story}");
    }
    fs::create_dir_all(folder.0.join("something")).unwrap();
    assert!(matches!(ask(1, Story::None), Err(SimulateError::Occupied { .. })));
    for story in Story::ALL {
        assert_eq!(story.to_string().parse::<Story>().unwrap(), story);
    }
    assert!(matches!("foreign".parse::<Story>(), Err(SimulateError::Story { .. })));
}

#[test]
fn files_lie_and_count_as_promised() {
    let run = run("files", 11, 3, Story::Storm);
    let (records, messages) = (run.records(), run.messages());
    let lines: usize = messages.iter().map(|(_, message)| message["logEvents"].as_array().unwrap().len()).sum();
    assert_eq!((run.written.events, run.written.lines), (records.len() as u64, lines as u64));
    assert_eq!(run.written.files as usize + 1, run.files.len());
    let truth: Vec<Value> = run.files[TRUTH_FILE].1.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((truth.len(), text(&truth[0], "what")), (1, "storm"));
    assert_eq!(text(&truth[0], "tell"), run.written.truth[0].tell);
    let mut unordered = 0;
    for (name, (_, text)) in run.files.iter().filter(|(name, _)| name.starts_with("AWSLogs/")) {
        let parts: Vec<&str> = name.split('/').collect();
        assert_eq!((parts.len(), parts[1], parts[2], parts[3]), (8, "111122223333", "CloudTrail", "eu-west-1"));
        let stamp: String = parts[4..7].concat();
        let head = format!("111122223333_CloudTrail_eu-west-1_{stamp}T");
        assert!(parts[7].starts_with(&head) && parts[7].ends_with(".json.gz") && parts[7].len() == head.len() + 30, "{name}");
        let value: Value = serde_json::from_str(text).unwrap();
        let times: Vec<&str> = value["Records"].as_array().unwrap().iter().map(|r| r["eventTime"].as_str().unwrap()).collect();
        unordered += usize::from(!times.is_sorted());
        let written =
            format!("{}-{}-{}T{}:{}", parts[4], parts[5], parts[6], &parts[7][head.len()..head.len() + 2], &parts[7][head.len() + 2..]);
        assert!(times.iter().all(|time| **time < *written), "{name} holds what came after it");
    }
    assert!(unordered > 100, "{unordered} files out of order");
}

#[test]
fn some_things_come_twice_and_some_late() {
    let run = run("twice", 3, 4, Story::None);
    let (mut seen, mut late) = (BTreeMap::new(), 0);
    for (file, record) in run.records() {
        let again = seen.insert(text(&record, "eventID").to_string(), record.clone());
        assert!(again.is_none_or(|before| before == record));
        let stamp = file.rsplit("eu-west-1_").next().unwrap();
        let stamped = format!("2025-09-{}T{}:{}:00Z", &stamp[6..8], &stamp[9..11], &stamp[11..13]);
        late += usize::from(ms(&stamped) - ms(text(&record, "eventTime")) > 3_600_000);
    }
    let twice = run.written.events as usize - seen.len();
    assert!(twice > 10 && late > 10, "{twice} {late}");
    let mut lines = BTreeSet::new();
    let all: usize = run.messages().iter().map(|(_, m)| m["logEvents"].as_array().unwrap().len()).sum();
    for (_, message) in run.messages() {
        for event in message["logEvents"].as_array().unwrap() {
            lines.insert((text(&message, "logStream").to_string(), text(event, "id").to_string()));
        }
    }
    assert!(lines.len() < all, "no message came twice");
}

#[test]
fn records_have_the_fields_that_aws_gives() {
    let run = run("fields", 4, 3, Story::ForeignFlow);
    let records = run.records();
    let requests: BTreeSet<String> = run
        .messages()
        .iter()
        .flat_map(|(_, m)| m["logEvents"].as_array().unwrap().clone())
        .filter_map(|e| text(&e, "message").strip_prefix("START RequestId: ").map(|rest| rest[..36].to_string()))
        .collect();
    let mut kinds = BTreeSet::new();
    for (_, r) in &records {
        for key in
            ["eventVersion", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress", "userAgent", "requestID", "eventID"]
        {
            assert!(!text(r, key).is_empty(), "{key} in {r}");
        }
        assert_eq!(
            (text(r, "recipientAccountId"), r["managementEvent"] == true),
            ("111122223333", text(r, "eventCategory") == "Management")
        );
        assert!(r["readOnly"].is_boolean() && r.get("requestParameters").is_some() && r.get("responseElements").is_some());
        let identity = &r["userIdentity"];
        let principal = text(identity, "principalId");
        let scope = &identity["inScopeOf"];
        match (text(r, "eventName"), text(identity, "type")) {
            ("Invoke", _) => {
                assert!(text(&r["requestParameters"], "sourceArn").starts_with("arn:aws:") && requests.contains(text(r, "requestID")));
                kinds.insert("asynchronous call");
            }
            ("InvokeExecution", _) => {
                assert!(r["requestParameters"].is_null() && requests.contains(text(r, "requestID")));
                kinds.insert("attempt");
            }
            ("AssumeRole", "AWSService") if text(identity, "invokedBy") == "lambda.amazonaws.com" => {
                assert!(text(&r["responseElements"]["credentials"], "accessKeyId").starts_with("ASIA"));
                let poller = text(&r["requestParameters"], "roleSessionName").starts_with("awslambda_");
                kinds.insert(if poller { "poller's role" } else { "function's role" });
            }
            ("Decrypt", _) if text(identity, "invokedBy") == "lambda.amazonaws.com" => {
                assert!(
                    scope.is_null() && text(&r["requestParameters"]["encryptionContext"], "aws:lambda:FunctionArn").contains(":function:")
                );
                kinds.insert("environment");
            }
            ("Decrypt", _) if text(identity, "invokedBy") == "sqs.amazonaws.com" => {
                assert!(principal.contains(":awslambda_"));
                kinds.insert("poller");
            }
            (_, "AssumedRole") if text(r, "userAgent").contains("exec-env/AWS_Lambda") => {
                if scope.is_object() {
                    let function = principal.rsplit(':').next().unwrap();
                    assert_eq!(text(scope, "credentialsIssuedTo"), format!("arn:aws:lambda:eu-west-1:111122223333:function:{function}"));
                }
                kinds.insert(if scope.is_object() { "function in scope" } else { "function without scope" });
            }
            ("CreateFunction20150331", _) => {
                assert_eq!(r["requestParameters"]["tags"]["aws:cloudformation:stack-name"], "books-mail");
                kinds.insert("created");
            }
            _ => {}
        }
    }
    assert_eq!(kinds.len(), 9, "{kinds:?}");
}

#[test]
fn messages_have_the_fields_that_aws_gives() {
    let run = run("messages", 4, 5, Story::None);
    for (name, m) in run.messages() {
        let group = text(&m, "logGroup");
        assert_eq!((text(&m, "messageType"), text(&m, "owner")), ("DATA_MESSAGE", "111122223333"));
        assert!(name.starts_with(&format!("cloudwatch/aws-lambda-{}/2025/09/", group.strip_prefix("/aws/lambda/").unwrap())));
        assert!(text(&m, "logStream").contains("/[") && m["subscriptionFilters"][0] == "outflow");
        let events = m["logEvents"].as_array().unwrap();
        assert!(events.iter().all(|e| text(e, "id").len() == 56 && e["timestamp"].is_i64() && text(e, "message").ends_with('\n')));
        assert!(events.is_sorted_by_key(|e| e["timestamp"].as_i64()), "{name}");
        assert!(events.is_sorted_by_key(|e| text(e, "id").to_string()), "{name}");
    }
}

/// Three seeds, twelve days: what is first seen or said after the seventh day would be a false alert of ours.
#[test]
fn nothing_benign_is_new_after_a_week() {
    for seed in [1, 2, 3] {
        let run = run(&format!("new-{seed}"), seed, 12, Story::None);
        assert_eq!((run.files[TRUTH_FILE].1.as_str(), run.written.truth.len()), ("", 0));
        assert!(run.written.files < 8_000 * 12 / 21, "{} files", run.written.files);
        let first = first_seen(&run.records());
        assert!(first.len() > 150, "{} flows", first.len());
        let late: Vec<_> = first.iter().filter(|(_, time)| **time >= day(7)).collect();
        assert!(late.is_empty(), "seed {seed}: {late:#?}");
        let late: Vec<_> = first_said(&run.messages()).into_iter().filter(|(_, at)| *at >= ms(&day(7))).collect();
        assert!(late.is_empty(), "seed {seed}: {late:#?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, failure_persistence: None, ..ProptestConfig::default() })]

    /// The planted reads are there, allowed, as many as told, and the only ones of that function.
    #[test]
    fn a_foreign_flow_shows(seed in any::<u64>(), days in 2_u32..5) {
        let run = run(&format!("foreign-{seed}"), seed, days, Story::ForeignFlow);
        let truth = &run.written.truth[0];
        let mut gets = BTreeSet::new();
        for (_, r) in run.records() {
            let ours = actor(&r).contains("/author-handler/");
            if ours && text(&r["requestParameters"], "bucketName") == "statistics-raw" {
                let time = text(&r, "eventTime");
                prop_assert!(truth.from.as_str() <= time && time < truth.to.as_str() && r.get("errorCode").is_none(), "{}", r);
                gets.extend((text(&r, "eventName") == "GetObject").then(|| text(&r, "eventID").to_string()));
            }
            let change = r["eventName"].as_str().unwrap().starts_with("UpdateFunctionCode") && r["requestParameters"]["functionName"] == "author-handler";
            prop_assert!(!change || !(ms(&truth.from) - 86_400_000..ms(&truth.to)).contains(&ms(text(&r, "eventTime"))));
        }
        prop_assert!(truth.tell.contains(&format!("×{} ", gets.len())) && (40..=400).contains(&gets.len()), "{} {}", truth.tell, gets.len());
    }

    /// A storm is far above the busiest other stretch of the same length, and its calls follow.
    #[test]
    fn a_storm_shows(seed in any::<u64>(), days in 2_u32..5) {
        let (with, without) = (run(&format!("storm-{seed}"), seed, days, Story::Storm), run(&format!("calm-{seed}"), seed, days, Story::None));
        let (from, to) = (ms(&with.written.truth[0].from), ms(&with.written.truth[0].to));
        let within = |run: &Run| starts(run, "/author-handler").into_iter().filter(|at| (from..to).contains(at)).count();
        let (stormy, calm) = (within(&with), within(&without));
        let planted: usize = with.written.truth[0].tell.split(' ').rev().nth(3).unwrap().parse().unwrap();
        prop_assert_eq!(stormy, calm + planted);
        prop_assert!((20 * 60_000..=60 * 60_000).contains(&(to - from)) && planted > 60, "{planted}");
        prop_assert!(with.written.events as usize - without.written.events as usize > planted);
    }

    /// A silent schedule says and calls nothing for a day or more, and ran before.
    #[test]
    fn a_silent_cron_shows(seed in any::<u64>(), days in 2_u32..5) {
        let run = run(&format!("silent-{seed}"), seed, days, Story::SilentCron);
        let (from, to) = (ms(&run.written.truth[0].from), ms(&run.written.truth[0].to));
        prop_assert!(to - from >= 86_400_000 && from - ms(&day(0)) >= 86_400_000 / 2);
        let times = starts(&run, "/price-refresh");
        prop_assert!(times.iter().filter(|at| **at < from).count() as i64 >= (from - ms(&day(0))) / 900_000);
        // A retry of what failed just before may still come.
        prop_assert!(times.iter().all(|at| !(from + 5 * 60_000..to).contains(at)));
        let quiet = |r: &Value| !actor(r).contains("/price-refresh/") || !(from + 6 * 60_000..to).contains(&ms(text(r, "eventTime")));
        prop_assert!(run.records().iter().all(|(_, r)| quiet(r)));
    }
}
