//! Data events that are switched on weeks after the trail began: what they show first is not new, only newly seen.

#![allow(clippy::unwrap_used, reason = "tests may fail")]

use outflow_core::incident::Severity;
use outflow_tests::trail::{HOUR_MS, Trail, at, function, user};
use outflow_tests::{is_about, titles, told};
use serde_json::{Value, json};

const FUNCTIONS: [&str; 10] = [
    "author-handler",
    "book-search",
    "checkout",
    "price-refresh",
    "invoice-mailer",
    "statistics",
    "stock-sync",
    "image-resize",
    "nightly-export",
    "review-filter",
];
/// The day on which data events are switched on.
const SWITCHED: i64 = 14;

/// Each function starts and uses its key, some tens of times a day; from a day on its objects and items are seen, too. A
/// few are refused an object now and then, as where a permission to list is missing.
fn service(days: i64) -> Trail {
    let mut trail = Trail::default();
    for day in 0..days {
        for (i, name) in FUNCTIONS.into_iter().enumerate() {
            let runs = if name == "nightly-export" { 1 } else { 24 };
            for run in 0..runs {
                let chance = trail.dice.ms_below(HOUR_MS);
                let begin = if runs == 1 { 2 * HOUR_MS + chance } else { run * HOUR_MS + chance };
                let when = |ms: i64| at(day, (begin + ms).min(24 * HOUR_MS - 1_000));
                trail.cold_start(when(0), name);
                let key = json!({"resources": [{"type": "AWS::KMS::Key", "ARN": format!("arn:aws:kms:eu-west-1:111122223333:key/{i}")}]});
                trail.put(when(1_000), function(name), "kms:Decrypt", key);
                if day < SWITCHED {
                    continue;
                }
                for call in 0..1 + trail.dice.below(12) {
                    trail.item(when(2_000 + call as i64 * 1_000), function(name), "Query", &format!("table-{}", i % 4));
                }
                trail.item(when(20_000), function(name), "PutItem", &format!("table-{i}"));
                if i % 2 == 0 {
                    trail.object(when(30_000), function(name), "GetObject", &format!("bucket-{i}"));
                    trail.object(when(31_000), function(name), "PutObject", &format!("bucket-{}", i % 3));
                }
                if i % 5 == 0 {
                    trail.object(when(32_000), function(name), "HeadObject", &format!("bucket-{i}"));
                    trail.refused();
                }
            }
        }
        // A person who looks at the console by day, and into a bucket.
        for hour in (9..17).filter(|_| day % 7 < 5) {
            trail.put(at(day, hour * HOUR_MS), user("ben"), "lambda:ListFunctions20150331", json!({}));
            if day >= SWITCHED {
                (0..30).for_each(|n| trail.object(at(day, hour * HOUR_MS + n * 60_000), user("ben"), "GetObject", "bucket-0"));
            }
        }
    }
    trail
}

fn loud(trail: &Trail) -> Vec<Value> {
    let report = trail.said();
    println!("rare and above:\n{}", titles(&told(&report, Severity::Low)));
    told(&report, Severity::Medium)
}

#[test]
fn what_is_newly_seen_is_not_new() {
    let incidents = loud(&service(SWITCHED + 14));
    assert!(incidents.is_empty(), "{}", titles(&incidents));
}

#[test]
fn two_weeks_later_a_new_flow_is_told() {
    let mut trail = service(SWITCHED + 16);
    for n in 0..40 {
        trail.object(at(SWITCHED + 14, 11 * HOUR_MS + n * 1_000), function("author-handler"), "GetObject", "payroll-raw");
    }
    let incidents = loud(&trail);
    assert_eq!(incidents.len(), 1, "{}", titles(&incidents));
    assert!(is_about(&incidents[0], "author-handler") && incidents[0].to_string().contains("payroll-raw"), "{}", incidents[0]);
}
