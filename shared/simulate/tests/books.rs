//! What a run leaves behind, read back as a stranger would: shapes, truth, stories, and that nothing benign is new late.
//!
//! The digest of a short run is recorded. It is taken over names and unpacked contents, because a compressor may change
//! its output from one release to the next. Detection is deliberately not tested here: this crate knows no detector.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use outflow_simulate::{Books, SimulateError, Story, TRUTH_FILE, Written, write};
use proptest::prelude::*;
use serde_json::Value;

/// The digest of `Books { seed: 1, days: 2, story: ForeignFlow }`. It moves when the simulator's output does; then say so
/// in the changelog.
const GOLDEN: &str = "";

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

/// What it was done to: the named resources but objects, else the first parameter that is no list or object.
fn target(record: &Value) -> String {
    let resources = record["resources"].as_array().into_iter().flatten();
    let named: Vec<&str> = resources.filter(|r| r["type"] != "AWS::S3::Object").filter_map(|r| r["ARN"].as_str()).collect();
    if !named.is_empty() {
        return named.join(" ");
    }
    let parameters = record["requestParameters"].as_object().into_iter().flatten();
    parameters.filter_map(|(_, value)| value.as_str()).next().unwrap_or("").to_string()
}

/// Each (actor, action, target, outcome, caller's address if not a function's) with the day of its first sight.
fn first_seen(records: &[(&str, Value)]) -> BTreeMap<String, String> {
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    for (_, record) in records {
        let address = record["sourceIPAddress"].as_str().unwrap();
        let network = if address.starts_with("203.") || address.starts_with("198.") { address } else { "" };
        let source = record["requestParameters"]["sourceArn"].as_str().unwrap_or("");
        let error = record["errorCode"].as_str().unwrap_or("");
        let name = record["eventName"].as_str().unwrap();
        let key = format!("{} {name} {} {source} {error} {network}", actor(record), target(record));
        let time = record["eventTime"].as_str().unwrap().to_string();
        let seen = first.entry(key).or_insert_with(|| time.clone());
        *seen = time.min(seen.clone());
    }
    first
}

#[test]
fn measure() {
    let t = std::time::Instant::now();
    let run = run("measure", 1, 21, Story::ForeignFlow);
    eprintln!("{:?}", t.elapsed());
    eprintln!("{:?} trail files {}", run.written, run.files.keys().filter(|k| k.starts_with("AWS")).count());
    let mut per: BTreeMap<String, u32> = BTreeMap::new();
    for k in run.files.keys() {
        *per.entry(k.split('/').nth(1).unwrap_or("").to_string()).or_default() += 1;
    }
    eprintln!("{per:?} bytes {}", run.files.values().map(|f| f.0.len()).sum::<usize>());
    for (k, t) in first_seen(&run.records()) {
        if t.as_str() > "2025-09-08" {
            eprintln!("{t} {k}");
        }
    }
    let mut names: BTreeMap<String, u32> = BTreeMap::new();
    for (_, r) in run.records() {
        *names.entry(format!("{} {}", actor(&r).rsplit(':').next().unwrap(), r["eventName"].as_str().unwrap())).or_default() += 1;
    }
    for (k, n) in names {
        eprintln!("{n} {k}");
    }
}
