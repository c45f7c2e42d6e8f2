//! The published logs beside the checkout, counted here a second way: through `serde_json::Value`.
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;

/// A folder of the published data; nothing, said plainly, where it is absent.
pub(super) fn folder(name: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")).join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::vars().all(|(k, v)| k != "OUTFLOW_REQUIRE_ALL" || v != "1"), "{} is missing", path.display());
    eprintln!("skipped: {} is missing", path.display());
    None
}

/// Files of a folder with one of the endings, by name.
pub(super) fn files(name: &str, endings: &[&str]) -> Vec<(String, Vec<u8>)> {
    let Some(folder) = folder(name) else { return Vec::new() };
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    all.retain(|path| endings.iter().any(|e| path.to_string_lossy().ends_with(e)));
    assert!(!all.is_empty(), "{name} has no {endings:?}");
    all.into_iter().map(|p| (p.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&p).unwrap())).collect()
}

fn inflate(bytes: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    inflate(bytes).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn cloudtrail_files_whole() {
    for (set, total) in [("invictus-aws_dataset", 2900), ("stratus-red-team", 180), ("opensearch-catalog", 792), ("doc-examples", 21)] {
        let mut records = 0;
        for (name, bytes) in files(&format!("cloudtrail/{set}"), &[".json.gz"]) {
            let (decoded, seen) = run(&bytes);
            let value: Value = serde_json::from_str(&inflate(&bytes)).unwrap();
            let expected = value["Records"].as_array().unwrap().len() as u64;
            assert_eq!((decoded.format, seen.trails, decoded.rejects), (Some(Format::Trail), expected, 0), "{name} {}", seen.text);
            records += expected;
        }
        assert!(records == 0 || records == total, "{set}: {records}");
    }
    for (name, bytes) in files("cloudtrail/otrf-ec2-proxy-s3-exfiltration", &[".jsonl.gz"]) {
        let (decoded, seen) = run(&bytes);
        assert_eq!((seen.trails, decoded.rejects), (103, 0), "{name}");
        assert!(!seen.text.contains("trail - "), "every record has a time");
    }
}

/// Fields that are read are the ones that stand there.
#[test]
fn cloudtrail_fields_equal_the_tree() {
    struct Fields(Vec<[String; 6]>);
    impl Sink for Fields {
        fn trail(&mut self, r: &TrailRecord<'_>, raw: &[u8]) {
            let v: Value = serde_json::from_slice(raw).unwrap();
            assert_eq!(v["eventID"].as_str().unwrap_or_default(), &*r.event_id);
            let fields = [
                &r.event_time,
                &r.event_name,
                &r.user_identity.arn,
                &r.user_identity.session_context.session_issuer.arn,
                &r.request_parameters.bucket_name,
                &r.error_code,
            ];
            self.0.push(fields.map(|t| t.to_string()));
        }
        fn log(&mut self, _: &LogRecord<'_>) {}
        fn control(&mut self) {}
        fn reject(&mut self, _: Reject) {}
    }
    let at = |v: &Value, path: &str| v.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let paths = [
        "/eventTime",
        "/eventName",
        "/userIdentity/arn",
        "/userIdentity/sessionContext/sessionIssuer/arn",
        "/requestParameters/bucketName",
        "/errorCode",
    ];
    for (name, bytes) in files("cloudtrail/invictus-aws_dataset", &[".json.gz"]) {
        let mut fields = Fields(Vec::new());
        decode(&bytes, &mut Scratch::default(), &mut fields);
        let value: Value = serde_json::from_str(&inflate(&bytes)).unwrap();
        let expected: Vec<[String; 6]> = value["Records"].as_array().unwrap().iter().map(|r| paths.map(|p| at(r, p))).collect();
        assert_eq!(fields.0, expected, "{name}");
    }
}

/// Sets whose publishers wrap the events: unwrapped here, since the product doesn't know their wrappers.
#[test]
fn cloudtrail_events_unwrapped() {
    let mut sets: Vec<(&str, Vec<Value>)> = Vec::new();
    for (_, bytes) in files("cloudtrail/traildiscover", &[".jsonl.gz"]) {
        let events = lines(&bytes).into_iter().flat_map(|l| l["events"].as_array().cloned().unwrap_or_default());
        sets.push(("traildiscover", events.collect()));
    }
    for (_, bytes) in files("cloudtrail/panther-rule-tests", &[".jsonl.gz"]) {
        sets.push(("panther-rule-tests", lines(&bytes).into_iter().map(|l| l["event"].clone()).collect()));
    }
    for (_, bytes) in files("cloudtrail/aws-docs-examples", &[".jsonl.gz"]) {
        sets.push(("aws-docs-examples", lines(&bytes).into_iter().map(|l| l["event"].clone()).collect()));
    }
    for (name, events) in sets {
        // Some are fragments of a whole event, written as text.
        let events: Vec<Value> = events.into_iter().map(|e| e.as_str().and_then(|t| serde_json::from_str(t).ok()).unwrap_or(e)).collect();
        let named = |e: &&Value| ["eventName", "eventSource"].iter().all(|k| e[k].as_str().is_some_and(|t| !t.is_empty()));
        let whole = events.iter().filter(named).count() as u64;
        let (decoded, _) = run(serde_json::json!({ "Records": events }).to_string().as_bytes());
        assert_eq!((decoded.records, decoded.rejects), (whole, events.len() as u64 - whole), "{name}");
        eprintln!("{name}: {whole} records, {} rejects", decoded.rejects);
    }
    // As they lie there they are no log.
    for set in ["traildiscover", "panther-rule-tests", "aws-docs-examples"] {
        for (_, bytes) in files(&format!("cloudtrail/{set}"), &[".jsonl.gz"]) {
            assert_eq!(run(&bytes).0.format, None, "{set}");
        }
    }
}

/// Every figure that the publisher parsed.
#[test]
fn slack_invitor_reports_equal_the_publishers() {
    struct Reports(Vec<(String, [Option<f64>; 3])>, u64);
    impl Sink for Reports {
        fn trail(&mut self, _: &TrailRecord<'_>, _: &[u8]) {}
        fn log(&mut self, r: &LogRecord<'_>) {
            assert!(r.time.is_some());
            self.1 += 1;
            if let Line::Report(r) = &r.line {
                self.0.push((r.request_id.to_owned(), [r.duration_ms, r.billed_duration_ms, r.memory_size_mb]));
            }
        }
        fn control(&mut self) {}
        fn reject(&mut self, reject: Reject) {
            panic!("{reject:?}");
        }
    }
    for (_, bytes) in files("cloudwatch/slack_invitor", &[".csv.gz"]) {
        let mut reports = Reports(Vec::new(), 0);
        decode(&bytes, &mut Scratch::default(), &mut reports);
        let text = inflate(&bytes);
        let rows: Vec<csv::StringRecord> = csv::Reader::from_reader(text.as_bytes()).records().map(Result::unwrap).collect();
        let theirs: Vec<(String, [Option<f64>; 3])> = rows
            .iter()
            .filter(|row| row[1].starts_with("REPORT"))
            .map(|row| (row[2].to_owned(), [3, 4, 5].map(|i| row[i].parse().ok())))
            .collect();
        assert_eq!((rows.len(), theirs.len(), reports.1), (4948, 1423, 4948));
        assert_eq!(reports.0, theirs);
    }
    for (set, rows) in [("slack_invitor_convention", 270), ("console-exports", 4)] {
        for (name, bytes) in files(&format!("cloudwatch/{set}"), &[".csv.gz"]) {
            let (decoded, seen) = run(&bytes);
            assert_eq!((decoded.format, seen.logs, decoded.rejects), (Some(Format::Table), rows, 0), "{name}");
        }
    }
}

#[test]
fn lambda_lines_are_what_their_publishers_say() {
    for (_, bytes) in files("cloudwatch/lambda-lines", &[".jsonl.gz"]) {
        assert_eq!(run(&bytes).0.format, None);
        let all = lines(&bytes);
        assert_eq!(all.len(), 96);
        for l in &all {
            let (kind, text) = (l["kind"].as_str().unwrap(), l["line"].as_str().unwrap());
            let got = line(text);
            let fits = match kind {
                "report" | "json.platform.report" => matches!(&got, Line::Report(r) if !r.request_id.is_empty() && r.duration_ms.is_some()),
                "start" | "json.platform.start" => matches!(got, Line::Start { .. }),
                "end" => matches!(got, Line::End { .. }),
                "init_start" | "json.platform.initStart" => matches!(got, Line::InitStart),
                "init_report" | "json.platform.initReport" => matches!(got, Line::InitReport),
                "timeout" => matches!(got, Line::Timeout { .. }),
                "json.platform.logsDropped" => matches!(got, Line::LogsDropped),
                "restore" | "runtime_exit" => matches!(got, Line::Platform(_)),
                "json.function" | "json.extension" | "emf" => matches!(got, Line::Application(Application { json: true, .. })),
                other if other.starts_with("json.platform.") => matches!(got, Line::Platform(_)),
                _ => matches!(got, Line::Application(_)),
            };
            assert!(fits, "{kind}: {text}\n{got:?}");
        }
    }
}

#[test]
fn trigger_payloads() {
    let mut out = String::new();
    for set in ["aws-lambda-rust-runtime", "datadog-forwarder", "cloud-custodian-cwe"] {
        for (name, bytes) in files(&format!("event-payloads/{set}"), &[".json"]) {
            let (decoded, seen) = run(&bytes);
            let value: Value = serde_json::from_slice(&bytes).unwrap();
            // Log events, or the one record that the payload is or holds.
            let record = |v: &Value| v["eventName"].is_string() && v["eventSource"].as_str().is_some_and(|s| s.ends_with(".amazonaws.com"));
            let expected = match value["logEvents"].as_array() {
                Some(events) => events.len() as u64,
                None if value["awslogs"].is_object() => 2,
                None => u64::from(record(&value) || record(&value["detail"])),
            };
            // A notice of a new object says where it lies.
            let elsewhere = u64::from(String::from_utf8_lossy(&bytes).contains("ObjectCreated:"));
            assert_eq!((decoded.records, decoded.rejects), (expected, elsewhere), "{name}\n{}", seen.text);
            assert!(seen.rejects.iter().all(|r| r.object.is_some()), "{name}");
            let _ = writeln!(out, "{name}: {:?} {} {}", decoded.format, seen.trails, seen.logs);
        }
    }
    if out.lines().count() == 56 {
        expect![[r#"
            example-cloudwatch-alarm-composite-with-suppressor-alarm.json: None 0 0
            example-cloudwatch-alarm-composite.json: None 0 0
            example-cloudwatch-alarm-metric.json: None 0 0
            example-cloudwatch-alarm-sns-payload-multiple-metrics.json: None 0 0
            example-cloudwatch-alarm-sns-payload-single-metric.json: None 0 0
            example-cloudwatch-cloudtrail-assumed-role.json: Some(Trail) 1 0
            example-cloudwatch-cloudtrail-unknown-federate.json: Some(Trail) 1 0
            example-cloudwatch-cloudtrail-unknown-user-auth.json: Some(Trail) 1 0
            example-cloudwatch_logs-event.json: Some(Subscription) 0 2
            example-eventbridge-event-obj.json: None 0 0
            example-eventbridge-schedule.json: None 0 0
            example-firehose-event.json: None 0 0
            example-kinesis-event-encrypted.json: None 0 0
            example-kinesis-event.json: None 0 0
            example-kinesis-firehose-event.json: None 0 0
            example-s3-event-with-decoded.json: None 0 0
            example-s3-event.json: None 0 0
            example-sns-event-obj.json: None 0 0
            example-sns-event-pascal-case.json: None 0 0
            example-sns-event.json: None 0 0
            example-sqs-api-event-obj.json: None 0 0
            example-sqs-event-obj.json: None 0 0
            example-sqs-event.json: None 0 0
            cloudwatch_customized_log_group_lambda_invocation.json: Some(Subscription) 0 3
            cloudwatch_log.json: Some(Subscription) 0 2
            cloudwatch_log_cloudtrail.json: Some(Subscription) 4 0
            cloudwatch_log_coldstart.json: Some(Subscription) 0 3
            cloudwatch_log_custom_tags.json: Some(Subscription) 0 1
            cloudwatch_log_lambda_invocation.json: Some(Subscription) 0 19
            cloudwatch_log_service_tag.json: Some(Subscription) 0 1
            cloudwatch_log_timeout.json: Some(Subscription) 0 4
            cloudwatch_logs.json: Some(Subscription) 0 19
            cloudwatch_logs_2.json: Some(Subscription) 0 1
            cloudwatch_logs_ddtags.json: Some(Subscription) 0 1
            sqs_s3.json: None 0 0
            sqs_sns_s3.json: None 0 0
            step_functions_log.json: Some(Subscription) 0 1
            ec2-duty-event.json: None 0 0
            event-appmesh-create-virtualgateway.json: Some(Trail) 1 0
            event-appmesh-create-virtualnode.json: Some(Trail) 1 0
            event-cloud-trail-bedrock-create-customization-jobs.json: Some(Trail) 1 0
            event-cloud-trail-catalog-put-resource-policy.json: Some(EventBridge) 1 0
            event-cloud-trail-catalog-set-encryption.json: Some(EventBridge) 1 0
            event-cloud-trail-create-load-balancer-policy.json: Some(Trail) 1 0
            event-cloud-trail-run-instance-creator.json: Some(Trail) 1 0
            event-cloud-trail-run-instances.json: Some(Trail) 1 0
            event-cloud-trail-s3.json: Some(EventBridge) 1 0
            event-cloud-trail-tag-rest-stage.json: Some(EventBridge) 1 0
            event-cloud-trail-update-distribution.json: Some(EventBridge) 1 0
            event-config-rule-instance.json: None 0 0
            event-instance-state.json: None 0 0
            event-phd-ec2-retire.json: None 0 0
            event-securityhub-cloudtrail-finding-action.json: None 0 0
            event-securityhub-iamkey-finding-action.json: None 0 0
            event-securityhub-insight-2.json: None 0 0
            iam-duty-event.json: None 0 0
        "#]]
        .assert_eq(&out);
    }
}
