//! Where logs end: of one function, of all of them while the trail goes on, and for some days in between.

#![allow(clippy::unwrap_used, reason = "tests may fail")]

use outflow_core::incident::Severity;
use outflow_tests::forms::{Event, Stream, subscription};
use outflow_tests::trail::{ACCOUNT, HOUR_MS, Trail, at, function};
use outflow_tests::{forms, is_about, said, titles, told};
use serde_json::Value;

const FUNCTIONS: [&str; 5] = ["author-handler", "book-search", "checkout", "invoice-mailer", "stock-sync"];
const DAYS: i64 = 24;
const MINUTE_MS: i64 = HOUR_MS / 60;

/// Each function runs every quarter of an hour and reads a table. `logged` says which of its days have a log, `acts` how
/// often it reads in one run.
fn incidents(logged: impl Fn(&str, i64) -> bool, acts: impl Fn(&str, i64, i64) -> i64) -> Vec<Value> {
    let mut trail = Trail::default();
    let folder = tempfile::tempdir().unwrap();
    for (day, name) in (0..DAYS).flat_map(|day| FUNCTIONS.map(|name| (day, name))) {
        let mut events = Vec::new();
        for run in 0..96 {
            let begin = run * 15 * MINUTE_MS + trail.dice.ms_below(MINUTE_MS);
            let calls = acts(name, day, run);
            (0..calls).for_each(|n| trail.item(at(day, begin + n * 10), function(name), "Query", name));
            if calls > 0 && logged(name, day) {
                let id = format!("{:08x}-0000-4000-8000-{:012x}", day * 96 + run, name.len());
                let message = format!(
                    "REPORT RequestId: {id}\tDuration: 20.00 ms\tBilled Duration: 20 ms\tMemory Size: 128 MB\tMax Memory Used: 60 MB"
                );
                events.push(Event { id: format!("{day:028}{run:028}"), at_ms: at(day, begin).ms(), message });
            }
        }
        let stream = Stream { owner: ACCOUNT.to_owned(), group: format!("/aws/lambda/{name}"), name: "2025/09/01/[$LATEST]0".to_owned() };
        if !events.is_empty() {
            std::fs::write(folder.path().join(format!("{name}-{day:02}")), subscription(&stream, &events)).unwrap();
        }
    }
    for (i, part) in trail.records.chunks(2_000).enumerate() {
        std::fs::write(folder.path().join(format!("trail-{i:05}.json.gz")), forms::gzip(&forms::trail_file(part))).unwrap();
    }
    let report = said(folder.path());
    assert_eq!((report.coverage.rejects, report.coverage.functions), (0, FUNCTIONS.len() as u64));
    let all = told(&report, Severity::Medium);
    println!("{}", titles(&all));
    all
}

fn is_silence(incident: &Value, name: &str) -> bool {
    is_about(incident, name) && incident["title"].as_str().unwrap().ends_with("has gone quiet")
}

#[test]
fn logs_that_end_before_the_trail_are_nobodys_silence() {
    let all = incidents(|_, day| day < 16, |_, _, _| 2);
    assert!(all.is_empty(), "{}", titles(&all));
}

#[test]
fn logs_that_are_missing_for_days_are_nobodys_silence() {
    let all = incidents(|_, day| !(14..18).contains(&day), |_, _, _| 2);
    assert!(all.is_empty(), "{}", titles(&all));
}

#[test]
fn a_function_that_stops_while_logs_go_on_is_silent() {
    let all = incidents(|_, _| true, |name, day, _| if name == "checkout" && day >= 16 { 0 } else { 2 });
    assert_eq!(all.len(), 1, "{}", titles(&all));
    assert!(is_silence(&all[0], "checkout"), "{}", all[0]);
}

#[test]
fn a_function_whose_log_is_gone_is_judged_by_the_trail() {
    // Its log is deleted on day 14; on day 22 it reads a thousand times as often, which only the trail can show.
    let storm = |name: &str, day, run: i64| if name == "checkout" && day == 22 && (40..44).contains(&run) { 1_000 } else { 2 };
    let all = incidents(|name, day| name != "checkout" || day < 14, storm);
    let loud: Vec<&Value> = all.iter().filter(|i| !is_silence(i, "checkout")).collect();
    assert_eq!(loud.len(), 1, "{}", titles(&all));
    let is_at = |key: &str, hour: &str| loud[0][key].as_str().unwrap().starts_with(&format!("2025-09-23T{hour}"));
    assert!(is_about(loud[0], "checkout") && is_at("since", "10:0") && is_at("until", "10:4"), "it ends with the storm: {}", loud[0]);
    let extra = loud[0]["findings"][0]["extra"].as_f64().unwrap();
    assert!((3_000.0..4_100.0).contains(&extra), "{extra}");
}
