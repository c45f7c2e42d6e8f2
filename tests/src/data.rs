//! Published logs beside the checkout, read as a stranger would: through `serde_json::Value` and a CSV reader.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::forms::gunzip;

/// Sets of CloudTrail logs that lie there as AWS would write them.
pub const TRAIL_SETS: [&str; 5] =
    ["doc-examples", "invictus-aws_dataset", "opensearch-catalog", "otrf-ec2-proxy-s3-exfiltration", "stratus-red-team"];
/// Sets whose publishers wrap the events.
pub const WRAPPED_SETS: [&str; 3] = ["aws-docs-examples", "panther-rule-tests", "traildiscover"];
/// Sets of CloudWatch Logs as tables.
pub const LOG_SETS: [&str; 3] = ["console-exports", "slack_invitor", "slack_invitor_convention"];

/// A folder of the published data; nothing, said plainly, where it is absent.
pub fn folder(name: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")).join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::vars().all(|(k, v)| k != "OUTFLOW_REQUIRE_ALL" || v != "1"), "{} is missing", path.display());
    eprintln!("skipped: {} is missing", path.display());
    None
}

/// The packed files of a set, by name; none where the data is absent.
pub fn packed(set: &str) -> Vec<PathBuf> {
    let Some(folder) = folder(set) else { return Vec::new() };
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    all.retain(|p| p.extension().is_some_and(|e| e == "gz"));
    all.sort();
    assert!(!all.is_empty(), "{set} has no packed file");
    all
}

/// The CloudTrail events of a set, unwrapped where its publisher wraps them.
pub fn trail_events(set: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for path in packed(&format!("cloudtrail/{set}")) {
        let text = gunzip(&std::fs::read(&path).unwrap());
        if path.to_string_lossy().ends_with(".jsonl.gz") {
            all.extend(text.lines().flat_map(|line| unwrapped(set, serde_json::from_str(line).unwrap())));
        } else {
            let file: Value = serde_json::from_str(&text).unwrap();
            all.extend(file["Records"].as_array().unwrap().iter().cloned());
        }
    }
    all
}

fn unwrapped(set: &str, line: Value) -> Vec<Value> {
    match set {
        "traildiscover" => line["events"].as_array().cloned().unwrap_or_default(),
        "panther-rule-tests" | "aws-docs-examples" => vec![line["event"].clone()],
        _ => vec![line],
    }
}

/// The rows of a set of tables, `timestamp` and `message` first.
pub fn rows(set: &str) -> Vec<csv::StringRecord> {
    let mut all = Vec::new();
    for path in packed(&format!("cloudwatch/{set}")) {
        let text = gunzip(&std::fs::read(&path).unwrap());
        all.extend(csv::Reader::from_reader(text.as_bytes()).records().map(Result::unwrap));
    }
    all
}
