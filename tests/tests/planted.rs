//! What somebody plants among the logs to hide one foreign read, or to accuse another: the read is told, and nothing else.
//!
//! Whoever can write some logs that are watched plants records; whoever can call AWS chooses names. There is deliberately no
//! key and no clock to guess here: those are tested where they are used.

#![allow(clippy::unwrap_used, reason = "tests may fail")]

use std::path::Path;

use outflow_core::incident::Severity;
use outflow_pipeline::replay::Report;
use outflow_tests::forms::{self, Event, Stream};
use outflow_tests::trail::{ACCOUNT, HOUR_MS, REGION, Trail, at, function, user};
use outflow_tests::{is_about, said, titles, told};
use serde_json::{Value, json};

const FUNCTIONS: [&str; 5] = ["author-handler", "book-search", "checkout", "invoice-mailer", "stock-sync"];
const DAYS: i64 = 16;
/// The day on which one function reads what it never read.
const DAY: i64 = 12;
const ROLE: &str = "arn:aws:iam::111122223333:role/author-handler-role";

/// Functions that read and write their own buckets every hour, one that nobody touches but the mailer, and the foreign read.
fn service() -> Trail {
    let mut trail = Trail::default();
    for (day, name) in (0..DAYS).flat_map(|day| FUNCTIONS.map(|name| (day, name))) {
        for run in 0..24 {
            let begin = run * HOUR_MS + trail.dice.ms_below(HOUR_MS / 2);
            trail.cold_start(at(day, begin), name);
            trail.object(at(day, begin + 1_000), function(name), "GetObject", &format!("{name}-data"));
            trail.object(at(day, begin + 2_000), function(name), "PutObject", &format!("{name}-data"));
            if name == "invoice-mailer" {
                trail.object(at(day, begin + 3_000), function(name), "GetObject", "payroll-raw");
            }
        }
    }
    for minute in 0..30 {
        trail.object(at(DAY, 3 * HOUR_MS + minute * 60_000), function("author-handler"), "GetObject", "payroll-raw");
    }
    trail
}

fn is_read(record: &Value) -> bool {
    let text = record.to_string();
    text.contains("payroll-raw") && text.contains("author-handler")
}

/// Replays the records and whatever else lies beside them.
fn with(trail: &Trail, plant: impl Fn(&Path)) -> Report {
    let folder = tempfile::tempdir().unwrap();
    for (i, part) in trail.records.chunks(500).enumerate() {
        std::fs::write(folder.path().join(format!("trail-{i:05}.json.gz")), forms::gzip(&forms::trail_file(part))).unwrap();
    }
    plant(folder.path());
    said(folder.path())
}

/// The read is told as that of the function, and nothing else is.
fn tells_the_read_alone(report: &Report) {
    let all = told(report, Severity::Medium);
    assert_eq!(all.len(), 1, "{}", titles(&all));
    assert!(is_about(&all[0], "author-handler") && all[0].to_string().contains("payroll-raw"), "{}", all[0]);
    assert!(all[0].to_string().contains(&format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:author-handler")), "{}", all[0]);
}

#[test]
fn nothing_planted() {
    tells_the_read_alone(&service().said());
}

/// Each by itself: what stood in order before the genuine record would have taken its place.
#[test]
fn a_record_with_the_id_of_another_does_not_erase_it() {
    for (field, value, least) in [
        // Under another service's name the same call on the same bucket is one flow, and the stranger of the two is told.
        ("/eventSource", json!("a.amazonaws.com"), Severity::Low),
        ("/userIdentity/inScopeOf/credentialsIssuedTo", json!("arn:aws:lambda:e:1:function:a"), Severity::Medium),
        ("/requestParameters/bucketName", json!("author-handler-data"), Severity::Medium),
        ("/recipientAccountId", json!("000000000000"), Severity::Medium),
    ] {
        let mut trail = service();
        let planted: Vec<Value> = trail.records.iter().filter(|r| is_read(r)).cloned().collect();
        trail.records.extend(planted.into_iter().map(|mut read| {
            *read.pointer_mut(field).unwrap() = value.clone();
            read["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] = json!("arn:aws:iam::111122223333:role/a");
            read
        }));
        let all = told(&with(&trail, |_| {}), least);
        let is_genuine = |i: &Value| is_about(i, "author-handler") && i["account"] == ACCOUNT && i.to_string().contains("payroll-raw");
        assert!(all.iter().any(is_genuine), "{field}: {}", titles(&all));
    }
}

#[test]
fn a_container_accuses_nobody() {
    let forged: Vec<Value> = service()
        .records
        .iter()
        .filter(|r| is_read(r))
        .map(|r| {
            let text = r.to_string().replace("author-handler", "checkout").replace("-0000-4000-", "-0000-5000-");
            serde_json::from_str(&text).unwrap()
        })
        .collect();
    let stream = Stream { owner: ACCOUNT.to_owned(), group: "/ecs/web".to_owned(), name: "web/app/0a1b".to_owned() };
    let event = |(i, r): (usize, &Value)| Event { id: format!("{i:056}"), at_ms: at(DAY, 3 * HOUR_MS).ms(), message: r.to_string() };
    let events: Vec<Event> = forged.iter().enumerate().map(event).collect();
    tells_the_read_alone(&with(&service(), |folder| std::fs::write(folder.join("web"), forms::subscription(&stream, &events)).unwrap()));
}

/// A line of a function's log with a time to come: nothing goes quiet, and nothing before it is late.
#[test]
fn a_time_to_come_blinds_nobody() {
    for hours in [2, 22, 30 * 24] {
        let stream =
            Stream { owner: ACCOUNT.to_owned(), group: "/aws/lambda/checkout".to_owned(), name: "2025/09/01/[$LATEST]0".to_owned() };
        let message =
            "REPORT RequestId: 7a58f884-dc25-467f-b1c0-7ad2724839d5\tDuration: 20.00 ms\tBilled Duration: 20 ms\tMemory Size: 128 MB";
        let event = Event { id: "1".to_owned(), at_ms: at(DAYS, hours * HOUR_MS).ms(), message: message.to_owned() };
        let report = with(&service(), |folder| {
            std::fs::write(folder.join("log"), forms::subscription(&stream, std::slice::from_ref(&event))).unwrap()
        });
        assert_eq!(report.coverage.mistimed, 1, "{hours}");
        tells_the_read_alone(&report);
    }
}

#[test]
fn a_call_of_a_function_that_is_not_there_splits_nobody() {
    let mut trail = service();
    let more = json!({"eventCategory": "Data", "awsRegion": "us-west-2", "errorCode": "ResourceNotFoundException",
        "requestParameters": {"functionName": "author-handler"}});
    trail.put(at(5, HOUR_MS), user("eve"), "lambda:Invoke", more);
    let report = trail.said();
    assert_eq!(report.coverage.functions, FUNCTIONS.len() as u64);
    tells_the_read_alone(&report);
}

#[test]
fn a_session_named_like_a_pollers_reads_no_objects_unseen() {
    let mut trail = service();
    for read in trail.records.iter_mut().filter(|r| is_read(r)) {
        read["userIdentity"].as_object_mut().unwrap().remove("inScopeOf");
        read["userIdentity"]["arn"] =
            json!(format!("arn:aws:sts::{ACCOUNT}:assumed-role/author-handler-role/awslambda_1_20250901120000123"));
        assert_eq!(read["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"], ROLE);
    }
    tells_the_read_alone(&trail.said());
}

#[test]
fn a_service_that_reads_for_a_function_reads_nothing_unseen() {
    let mut trail = service();
    for read in trail.records.iter_mut().filter(|r| is_read(r)) {
        read["userIdentity"]["invokedBy"] = json!("athena.amazonaws.com");
        read["sourceIPAddress"] = json!("athena.amazonaws.com");
    }
    tells_the_read_alone(&trail.said());
}

#[test]
fn an_old_bucket_is_not_made_new_by_a_record_of_its_creation() {
    let mut trail = service();
    trail.put(at(DAY, 3 * HOUR_MS - 600_000), user("eve"), "s3:CreateBucket", json!({"requestParameters": {"bucketName": "payroll-raw"}}));
    let report = trail.said();
    let all = told(&report, Severity::Medium);
    assert!(all.iter().any(|i| is_about(i, "author-handler") && i.to_string().contains("payroll-raw")), "{}", titles(&all));
}
