//! Real logs: a week of one function, as it was and with something done to it; and 55 minutes of attacks.
//!
//! The week is `slack_invitor`. What is done to it is done to copies of its rows, with request ids of their own.

#![allow(clippy::unwrap_used, reason = "tests may fail")]

use std::collections::BTreeMap;
use std::path::Path;

use outflow_core::incident::Severity;
use outflow_core::time::{DAY_MS, Timestamp};
use outflow_tests::{data, is_about, said, said_after, titles, told};
use serde_json::Value;

const HOUR_MS: i64 = 3_600_000;

/// A row: milliseconds since 1970 and the message.
type Row = (i64, String);

/// The week, or nothing where the data is absent.
fn week() -> Option<Vec<Row>> {
    let rows = data::rows("slack_invitor");
    let at = |row: &csv::StringRecord| Timestamp::parse(&format!("{}Z", row[0].get(..23).unwrap_or(&row[0]))).unwrap().ms();
    let week: Vec<Row> = rows.iter().map(|r| (at(r), r[1].to_owned())).collect();
    (!week.is_empty()).then_some(week)
}

/// A log of the console's form in a folder of its own.
fn folder(rows: &[Row]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("slack_invitor.csv"), rows);
    folder
}

fn write(path: &Path, rows: &[Row]) {
    let mut rows = rows.to_vec();
    rows.sort();
    let mut out = csv::Writer::from_path(path).unwrap();
    out.write_record(["timestamp", "message"]).unwrap();
    for (at, message) in rows {
        out.write_record([&at.to_string(), &message]).unwrap();
    }
    out.flush().unwrap();
}

/// Copies of some rows, later by so much, their requests renamed.
fn copies(rows: &[Row], later_ms: i64, number: u64) -> Vec<Row> {
    let renamed = |message: &str| match message.split_once("RequestId: ") {
        Some((head, rest)) if rest.len() >= 36 => format!("{head}RequestId: {number:08x}{}", &rest[8..]),
        _ => message.to_owned(),
    };
    rows.iter().map(|(at, message)| (at + later_ms, renamed(message))).collect()
}

fn within(rows: &[Row], from: i64, to: i64) -> Vec<Row> {
    rows.iter().filter(|(at, _)| (from..to).contains(at)).cloned().collect()
}

fn reports(rows: &[Row]) -> usize {
    rows.iter().filter(|(_, m)| m.starts_with("REPORT")).count()
}

/// Midnight of the weekday after the first day that has the most invocations.
fn fullest_day(rows: &[Row]) -> i64 {
    let first = rows.iter().map(|r| r.0).min().unwrap() / DAY_MS;
    let mut days: BTreeMap<i64, usize> = BTreeMap::new();
    for (at, message) in rows {
        *days.entry(at / DAY_MS).or_default() += usize::from(message.starts_with("REPORT"));
    }
    // 1970-01-01 was a Thursday.
    let working = days.into_iter().filter(|(day, _)| *day > first && (day + 3) % 7 < 5);
    let (day, n) = working.max_by_key(|(_, n)| *n).unwrap();
    println!("fullest working day after the first: {} with {n} invocations", Timestamp::from_ms(day * DAY_MS).unwrap().to_rfc3339());
    day * DAY_MS
}

/// The fullest hour of a day, multiplied by ten.
fn tenfold_hour(rows: &[Row], day: i64) -> (Vec<Row>, i64) {
    let hour = (0..24).map(|h| day + h * HOUR_MS).max_by_key(|&h| reports(&within(rows, h, h + HOUR_MS))).unwrap();
    let own = within(rows, hour, hour + HOUR_MS);
    println!("tenfold hour: {} with {} invocations", Timestamp::from_ms(hour).unwrap().to_rfc3339(), reports(&own));
    let more = (1..10).flat_map(|n| copies(&own, n * 7_000, n as u64));
    // A copy that would leave the hour is put at its end.
    let more = more.map(|(at, m)| (at.min(hour + HOUR_MS - 1), m));
    (rows.iter().cloned().chain(more).collect(), hour)
}

fn lines(rows: &[Row]) -> Vec<Value> {
    told(&said(folder(rows).path()), Severity::Low)
}

/// Lines that are not there without what was done.
fn new_lines(rows: &[Row], without: &[Value], from: i64, to: i64) -> Vec<Value> {
    let at = |i: &Value, key: &str| Timestamp::parse(i[key].as_str().unwrap()).unwrap().ms();
    let mut all = lines(rows);
    println!("{}", titles(&all));
    all.retain(|i| !without.iter().any(|w| w["uid"] == i["uid"]));
    all.retain(|i| at(i, "since") < to && at(i, "until") >= from);
    all
}

#[test]
fn a_real_week_says_next_to_nothing() {
    let Some(week) = week() else { return };
    let all = lines(&week);
    assert!(all.len() <= 1, "{}", titles(&all));
    // As it lies there, and as it is written here again: the same.
    let published = said(&data::folder("cloudwatch/slack_invitor").unwrap());
    assert_eq!((published.incidents.len(), published.coverage.tally.records), (all.len(), week.len() as u64));
}

#[test]
fn a_tenfold_hour_is_at_least_rare() {
    let Some(week) = week() else { return };
    let without = lines(&week);
    let (rows, hour) = tenfold_hour(&week, fullest_day(&week));
    let new = new_lines(&rows, &without, hour, hour + 6 * HOUR_MS);
    assert!(!new.is_empty());
}

#[test]
fn a_silent_working_day_is_at_least_rare() {
    let Some(week) = week() else { return };
    let without = lines(&week);
    // By UTC the fullest day is the last of the week, and without it the log just ends: a silence is one only where records
    // come after it. So the day is the function's own, in Seoul (UTC+9).
    let fullest = fullest_day(&week);
    // The two working days before it as well, by UTC, of which the first has a weekend before it.
    for day in [fullest - 9 * HOUR_MS, fullest - DAY_MS, fullest - 2 * DAY_MS] {
        let rows: Vec<Row> = week.iter().filter(|(at, _)| !(day..day + DAY_MS).contains(at)).cloned().collect();
        let new = new_lines(&rows, &without, day, day + 30 * HOUR_MS);
        assert!(!new.is_empty(), "the silence of {}", Timestamp::from_ms(day).unwrap().to_rfc3339());
    }
}

#[test]
fn a_doubled_day_is_at_least_rare() {
    let Some(week) = week() else { return };
    let (without, day) = (lines(&week), fullest_day(&week));
    let more = copies(&within(&week, day, day + DAY_MS), 11_000, 1);
    let rows: Vec<Row> = week.iter().cloned().chain(more).collect();
    let new = new_lines(&rows, &without, day, day + 30 * HOUR_MS);
    assert!(!new.is_empty());
}

#[test]
fn with_a_week_before_it_a_tenfold_hour_is_an_incident() {
    let Some(week) = week() else { return };
    let before = folder(&copies(&week, -7 * DAY_MS, 0xbef0));
    let unaltered = told(&said_after(&[before.path()], folder(&week).path()), Severity::Medium);
    assert!(unaltered.is_empty(), "{}", titles(&unaltered));
    let (rows, _) = tenfold_hour(&week, fullest_day(&week));
    let report = said_after(&[before.path()], folder(&rows).path());
    println!("{}", titles(&told(&report, Severity::Low)));
    assert_eq!(told(&report, Severity::Medium).len(), 1);
}

#[test]
fn an_hour_of_attacks_names_who_and_what() {
    let Some(invictus) = data::folder("cloudtrail/invictus-aws_dataset") else { return };
    let report = said(&invictus);
    assert!(
        report.accounts.iter().all(|span| span.young) && told(&report, Severity::Medium).is_empty(),
        "an hour of logs holds no incident"
    );
    let rare = told(&report, Severity::Low);
    let principals = [
        "bert-jan",
        "benjamin",
        "stratus-red-team-leave-org-role",
        "stratus-red-team-get-usr-data-role",
        "stratus-red-team-ec2-get-password-data-role",
        "stratus-red-team-ec2-steal-credentials-role",
        "stratus-red-team-nmfalu-gfjyeaypjt",
    ];
    for name in principals {
        assert!(rare.iter().any(|i| is_about(i, name)), "{name} is not named:\n{}", titles(&rare));
    }
    for name in ["stratus-red-team-olc-func-xhfgzaow", "stratus-red-team-backdoor-f-func"] {
        let of_changes = |i: &&Value| i["findings"][0]["target"].as_str().is_some_and(|t| t.starts_with(&format!("function {name}")));
        let own = rare.iter().find(of_changes);
        assert!(own.is_some_and(|i| i["title"].as_str().is_some_and(|t| t.contains(name))), "{name} is not named:\n{}", titles(&rare));
    }
    // The rarest first: the members of an organisation try to leave it once in an account's life.
    assert!(is_about(&rare[0], "stratus-red-team-leave-org-role"), "{}", titles(&rare));
}
