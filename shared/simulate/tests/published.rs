//! What a run writes, held against what AWS wrote for others: published records and platform lines.
//!
//! Every field of ours must occur in a published record, every platform line must have a published form. The reverse is
//! deliberately not asked: real accounts do more than this service. The data lies beside the project and is not part of it;
//! where it is absent the tests say so.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use outflow_simulate::{Books, Story, write};
use serde_json::Value;

/// Fields documented by AWS or seen in real records of 2026 whose publishers' files are not in the data:
/// the version of the function (from mid 2026), and the flag of a call made in the console.
const DOCUMENTED: [&str; 2] = ["/userIdentity/inScopeOf/credentialsIssuedToVersion", "/sessionCredentialFromConsole"];

/// The folder of published data, unless it is absent.
fn data() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if path.is_dir() {
        return Some(path);
    }
    #[allow(clippy::disallowed_methods, reason = "the environment says whether data may be absent")]
    let required = std::env::var_os("OUTFLOW_REQUIRE_ALL").is_some_and(|value| value == "1");
    assert!(!required, "{} is missing", path.display());
    eprintln!("SKIPPED: {} is missing", path.display());
    None
}

fn unpacked(at: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            unpacked(&path, found);
        } else if path.extension().is_some_and(|e| e == "gz") {
            let mut bytes = Vec::new();
            flate2::read::MultiGzDecoder::new(fs::read(&path).unwrap().as_slice()).read_to_end(&mut bytes).unwrap();
            found.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}

/// A short run's unpacked files.
fn ours(name: &str) -> Vec<String> {
    let folder = std::env::temp_dir().join(format!("outflow-simulate-{}-{name}", std::process::id()));
    fs::remove_dir_all(&folder).ok();
    write(&Books { seed: 9, days: 5, story: Story::ForeignFlow }, &folder).unwrap();
    let mut found = Vec::new();
    unpacked(&folder, &mut found);
    fs::remove_dir_all(&folder).unwrap();
    found
}

/// Paths of the fields that AWS defines: of the record itself and of the caller, not of parameters.
fn fields(record: &Value, found: &mut BTreeSet<String>) {
    fn walk(value: &Value, path: &str, found: &mut BTreeSet<String>) {
        let Some(object) = value.as_object() else { return };
        for (key, inner) in object {
            let path = format!("{path}/{key}");
            found.insert(path.clone());
            if path.starts_with("/userIdentity") || path == "/tlsDetails" {
                walk(inner, &path, found);
            }
        }
    }
    walk(record, "", found);
}

/// Calls `each` with every object of a text that looks like a record, however deep it lies.
fn records(value: &Value, each: &mut dyn FnMut(&Value)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| records(item, each)),
        Value::Object(object) if object.contains_key("eventName") && object.contains_key("userIdentity") => each(value),
        Value::Object(object) => object.values().for_each(|item| records(item, each)),
        _ => {}
    }
}

fn all_records(texts: &[String], each: &mut dyn FnMut(&Value)) {
    for text in texts {
        match serde_json::from_str::<Value>(text) {
            Ok(value) => records(&value, each),
            Err(_) => text.lines().filter_map(|line| serde_json::from_str(line).ok()).for_each(|value: Value| records(&value, each)),
        }
    }
}

#[test]
fn every_field_occurs_in_a_published_record() {
    let Some(data) = data() else { return };
    let mut texts = Vec::new();
    unpacked(&data.join("cloudtrail"), &mut texts);
    let mut published: BTreeSet<String> = DOCUMENTED.iter().map(|path| path.to_string()).collect();
    let mut calls = BTreeSet::new();
    all_records(&texts, &mut |record| {
        fields(record, &mut published);
        calls.insert((record["eventSource"].to_string(), record["eventName"].to_string()));
    });
    assert!(calls.len() > 200, "{}", calls.len());
    let (mut written, mut n) = (BTreeSet::new(), 0);
    all_records(&ours("fields"), &mut |record| {
        fields(record, &mut written);
        n += 1;
    });
    assert!(n > 10_000, "{n}");
    let unknown: Vec<_> = written.difference(&published).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}

/// A platform line with numbers, ids and the runtime's name masked; nothing for other lines.
fn form(line: &str) -> Option<String> {
    let line = line.trim_end_matches(['\n', '"']);
    let kind = ["START ", "END ", "REPORT ", "INIT_START "].into_iter().find(|kind| line.starts_with(kind))?;
    if kind == "INIT_START " {
        let masked: Vec<&str> = line.split(": ").map(|part| part.split_once('\t').map_or("*", |(_, label)| label)).collect();
        return Some(format!("{kind}{}", masked[1..].join(" ")));
    }
    let words = line.split(' ').map(|word| {
        let (value, rest) = word.split_once('\t').map_or((word, ""), |(value, rest)| (value, rest));
        let masked = if value.contains(|c: char| c.is_ascii_digit()) || value.contains("LATEST") { "*" } else { value };
        format!("{masked}\t{rest}")
    });
    Some(words.collect::<Vec<_>>().join(" "))
}

#[test]
fn every_platform_line_has_a_published_form() {
    let Some(data) = data() else { return };
    let mut texts = Vec::new();
    for folder in ["slack_invitor", "slack_invitor_convention"] {
        unpacked(&data.join("cloudwatch").join(folder), &mut texts);
    }
    let mut published: BTreeMap<String, u32> = BTreeMap::new();
    for line in texts.iter().flat_map(|text| text.lines()) {
        let message = line.split_once(',').map_or("", |(_, message)| message.trim_start_matches('"'));
        if let Some(form) = form(message) {
            *published.entry(form).or_default() += 1;
        }
    }
    assert!(published.len() >= 5, "{published:#?}");
    let mut seen = BTreeSet::new();
    for text in ours("lines").iter().filter(|text| text.contains("DATA_MESSAGE")) {
        let message: Value = serde_json::from_str(text).unwrap();
        for event in message["logEvents"].as_array().unwrap() {
            let line = event["message"].as_str().unwrap();
            // A timeout has one more field, known from published lines that are not in these two logs.
            if let Some(form) = form(line.replace("Status: timeout", "").as_str()) {
                assert!(published.contains_key(&form), "{line:?} as {form:?} is none of {published:#?}");
                seen.insert(form);
            }
        }
    }
    assert_eq!(seen.len(), 5, "{seen:#?}");
}
