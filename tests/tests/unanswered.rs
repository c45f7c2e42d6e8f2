//! An alerted flow is not learnt by going on: it is told again, at most once a week, till it was told five times.

#![allow(clippy::unwrap_used, reason = "tests may fail")]

use outflow_core::batch::HashKey;
use outflow_core::config::Config;
use outflow_core::incident::Severity;
use outflow_pipeline::replay::{Replay, replay, told as noted};
use outflow_pipeline::store::embedded::Embedded;
use outflow_tests::trail::{HOUR_MS, Trail, at, function};
use outflow_tests::{forms, is_about, titles, told};
use serde_json::Value;

const FUNCTIONS: [&str; 5] = ["author-handler", "book-search", "checkout", "invoice-mailer", "stock-sync"];
/// The day of the first foreign read.
const FIRST: i64 = 12;

/// Each function reads and writes its own bucket every two hours.
fn service(days: i64) -> Trail {
    let mut trail = Trail::default();
    for (day, name) in (0..days).flat_map(|day| FUNCTIONS.map(|name| (day, name))) {
        for run in 0..12 {
            let begin = run * 2 * HOUR_MS + trail.dice.ms_below(HOUR_MS);
            trail.cold_start(at(day, begin), name);
            trail.object(at(day, begin + 1_000), function(name), "GetObject", &format!("{name}-data"));
            trail.object(at(day, begin + 2_000), function(name), "PutObject", &format!("{name}-data"));
        }
    }
    trail
}

/// A foreign bucket is read at these days and hours.
fn reads(trail: &mut Trail, times: impl Iterator<Item = (i64, i64)>) {
    for (day, hour) in times {
        trail.object(at(day, hour * HOUR_MS), function("author-handler"), "GetObject", "payroll-raw");
    }
}

/// Day on which an incident began, how often it had been told, whether it was the last time.
fn tellings(incidents: &[Value]) -> Vec<(i64, u64, bool)> {
    let one = |i: &Value| {
        assert!(is_about(i, "author-handler") && i.to_string().contains("payroll-raw"), "{i}");
        let since = outflow_core::time::Timestamp::parse(i["since"].as_str().unwrap()).unwrap();
        let day = (since.ms() - at(0, 0).ms()) / (24 * HOUR_MS);
        let again = &i["findings"][0]["again"];
        (day, again["times"].as_u64().unwrap_or(1), again["usual_from_now"] == true)
    };
    incidents.iter().map(one).collect()
}

fn loud(trail: &Trail) -> Vec<Value> {
    let incidents = told(&trail.said(), Severity::Medium);
    println!("{}", titles(&incidents));
    incidents
}

#[test]
fn a_daily_flow_is_told_weekly_and_then_is_usual() {
    let mut trail = service(50);
    reads(&mut trail, (FIRST..50).map(|day| (day, 3)));
    let incidents = loud(&trail);
    let wanted = [(FIRST, 1, false), (FIRST + 7, 2, false), (FIRST + 14, 3, false), (FIRST + 21, 4, false), (FIRST + 28, 5, true)];
    assert_eq!(tellings(&incidents), wanted);
    assert!(incidents[1]["title"].as_str().unwrap().ends_with("again, first told on 13 Sep 2025"), "{}", incidents[1]["title"]);
}

#[test]
fn an_hourly_flow_is_one_incident_that_ends_by_itself() {
    let mut trail = service(45);
    reads(&mut trail, (FIRST..45).flat_map(|day| (0..24).map(move |hour| (day, hour))));
    let incidents = loud(&trail);
    assert_eq!(tellings(&incidents), [(FIRST, 5, true)]);
    assert_eq!(incidents[0]["resolved"], true, "what counts as usual keeps no incident open");
}

#[test]
fn what_comes_back_is_told_again_however_late() {
    let mut trail = service(50);
    reads(&mut trail, [(FIRST, 3), (FIRST + 2, 3), (FIRST + 35, 3), (FIRST + 36, 3)].into_iter());
    assert_eq!(tellings(&loud(&trail)), [(FIRST, 1, false), (FIRST + 35, 2, false)]);
}

#[test]
fn a_refused_flow_is_told_again_too() {
    let mut trail = service(40);
    for day in FIRST..40 {
        reads(&mut trail, [(day, 3)].into_iter());
        trail.refused();
    }
    let times: Vec<u64> = tellings(&loud(&trail)).iter().map(|t| t.1).collect();
    assert_eq!(times, [1, 2, 3, 4]);
}

#[test]
fn a_state_file_remembers_what_was_told() {
    let mut trail = service(30);
    reads(&mut trail, (FIRST..30).map(|day| (day, 3)));
    let whole = loud(&trail);
    let cut = at(FIRST + 3, 0).to_rfc3339();
    let store = Embedded::temporary().unwrap();
    let mut parts = Vec::new();
    for early in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let part: Vec<Value> =
            trail.records.iter().filter(|r| (r["eventTime"].as_str().unwrap() < cut.as_str()) == early).cloned().collect();
        std::fs::write(folder.path().join("trail.json"), forms::trail_file(&part)).unwrap();
        let what = Replay {
            logs: vec![folder.path().to_owned()],
            baseline: Vec::new(),
            function: None,
            config: Config::default(),
            hash_key: HashKey([7; 16]),
            keep: true,
        };
        parts.extend(told(&pollster::block_on(replay(&what, &store, &mut outflow_tests::Unwatched)).unwrap(), Severity::Medium));
        pollster::block_on(noted(&store)).unwrap();
    }
    assert_eq!(tellings(&parts), tellings(&whole));
}
