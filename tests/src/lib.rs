//! What the tests above the crates share: the published data, simulated logs, and replays in this process.
//!
//! Nothing here is part of the product. Published logs are read from the folder beside the checkout and never copied;
//! publishers that wrap their events are unwrapped here, since the product doesn't know their wrappers. There is
//! deliberately no expectation here: what must hold stands in the tests.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail the test")]

pub mod account;
pub mod data;
pub mod dice;
pub mod forms;
pub mod trail;

use std::path::{Path, PathBuf};

use outflow_core::alert::{json, ocsf};
use outflow_core::batch::HashKey;
use outflow_core::config::Config;
use outflow_core::incident::{Incident, Severity};
use outflow_pipeline::replay::{Progress, Replay, Report, replay};
use outflow_pipeline::store::embedded::Embedded;
use serde_json::Value;

/// Nobody watches.
#[derive(Debug)]
pub struct Unwatched;

impl Progress for Unwatched {
    fn read(&mut self, _: usize, _: usize) {}
    fn judged(&mut self, _: usize, _: usize) {}
}

/// Replays a folder or file with a store of its own.
pub fn said(logs: &Path) -> Report {
    said_after(&[], logs)
}

/// Replays a folder or file after a baseline, with a store of its own.
pub fn said_after(baseline: &[&Path], logs: &Path) -> Report {
    let what = Replay {
        logs: vec![logs.to_owned()],
        baseline: baseline.iter().map(|p| p.to_path_buf()).collect(),
        function: None,
        config: Config::default(),
        hash_key: HashKey([7; 16]),
        keep: false,
    };
    pollster::block_on(replay(&what, &Embedded::temporary().unwrap(), &mut Unwatched)).unwrap()
}

/// Incidents at or above a severity, each as the JSON that a script would read.
pub fn told(report: &Report, least: Severity) -> Vec<Value> {
    let loud = report.incidents.iter().chain(&report.ranked).filter(|i| i.severity() >= least);
    loud.map(|i| serde_json::from_str(&json::incident(i)).unwrap()).collect()
}

/// All incidents, rare ones too, byte by byte as a SIEM would get them.
pub fn ocsf_bytes(incidents: &[Incident]) -> String {
    incidents.iter().map(|i| ocsf::finding(i, &ocsf::Product { version: "test" }) + "\n").collect()
}

/// The titles of incidents, for the message of a test that fails.
pub fn titles(incidents: &[Value]) -> String {
    let line = |i: &Value| format!("  {} {} {} to {}\n", i["severity"], i["title"], i["since"], i["until"]);
    incidents.iter().map(line).collect()
}

/// Whether an incident is about an entity of this name.
pub fn is_about(incident: &Value, name: &str) -> bool {
    incident["entities"].as_array().is_some_and(|all| all.iter().any(|e| e["name"] == name))
}

/// All plain files under a folder, in order.
pub fn files_under(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}
