//! A user who takes a thousand objects in half a minute, after quiet days; and services that do as much by the hour.
//!
//! The records are made here, as CloudTrail writes them: no published log holds a burst with the days before it.

#![allow(clippy::unwrap_used, reason = "tests may fail")]

use outflow_core::incident::Severity;
use outflow_core::time::{DAY_MS, Timestamp};
use outflow_tests::trail::{ACCOUNT, HOUR_MS, Trail, at, user};
use outflow_tests::{is_about, titles, told};
use serde_json::{Value, json};

/// An object of 20,000 bytes is read or written from an address.
fn object(trail: &mut Trail, at: Timestamp, identity: Value, (address, name, bucket): (&str, &str, &str)) {
    let key = format!("export/{}.parquet", trail.records.len());
    let more = json!({
        "sourceIPAddress": address, "eventCategory": "Data", "requestParameters": {"bucketName": bucket, "key": key},
        "additionalEventData": {"bytesTransferredOut": 20_000.0},
        "resources": [{"type": "AWS::S3::Object", "ARN": format!("arn:aws:s3:::{bucket}/{key}")},
            {"type": "AWS::S3::Bucket", "ARN": format!("arn:aws:s3:::{bucket}"), "accountId": ACCOUNT}],
    });
    trail.put(at, identity, &format!("s3:{name}"), more);
}

/// Some tens of calls between nine and five, on each of so many days but weekends.
fn office(trail: &mut Trail, name: &str, buckets: &[&str], days: i64) {
    for day in (0..days).filter(|d| d % 7 < 5) {
        for _ in 0..30 + trail.dice.below(20) {
            let at = at(day, 9 * HOUR_MS + trail.dice.ms_below(8 * HOUR_MS));
            let bucket = buckets[trail.dice.place(buckets.len())];
            object(trail, at, user(name), ("198.51.100.7", "GetObject", bucket));
        }
    }
}

/// A thousand objects within half a minute, at eleven.
fn burst(trail: &mut Trail, name: &str, bucket: &str, day: i64) {
    for _ in 0..1_000 {
        let at = at(day, 11 * HOUR_MS + trail.dice.ms_below(30_000));
        object(trail, at, user(name), ("198.51.100.7", "GetObject", bucket));
    }
}

fn incidents(trail: &Trail) -> Vec<Value> {
    let report = trail.said();
    println!("rare and above:\n{}", titles(&told(&report, Severity::Low)));
    told(&report, Severity::Medium)
}

/// Exactly one, and it names the user and the bucket.
fn one_about(incidents: &[Value], user: &str, bucket: &str) {
    assert_eq!(incidents.len(), 1, "\n{}", titles(incidents));
    assert!(is_about(&incidents[0], user), "{}", incidents[0]);
    assert!(incidents[0].to_string().contains(&format!("bucket {bucket}")), "{}", incidents[0]);
}

const OTHERS: [&str; 5] = ["ben", "carla", "dan", "eve", "fred"];

#[test]
fn a_thousand_objects_of_a_bucket_never_touched() {
    for days in [8, 10, 14] {
        let mut trail = Trail::default();
        office(&mut trail, "alice", &["reports"], days);
        burst(&mut trail, "alice", "customers", days);
        one_about(&incidents(&trail), "alice", "customers");
    }
}

#[test]
fn a_thousand_objects_of_a_bucket_read_daily() {
    for days in [8, 10, 14] {
        let mut trail = Trail::default();
        office(&mut trail, "alice", &["reports", "customers"], days);
        burst(&mut trail, "alice", "customers", days);
        one_about(&incidents(&trail), "alice", "customers");
    }
}

#[test]
fn a_thousand_objects_among_other_users() {
    for (days, own) in [(8, &["reports"][..]), (8, &["reports", "customers"]), (14, &["reports"]), (14, &["reports", "customers"])] {
        let mut trail = Trail::default();
        office(&mut trail, "alice", own, days);
        for other in OTHERS {
            office(&mut trail, other, &["reports", "customers"], days);
        }
        burst(&mut trail, "alice", "customers", days);
        one_about(&incidents(&trail), "alice", "customers");
    }
}

#[test]
fn the_days_after_it_add_no_other() {
    for own in [&["reports"][..], &["reports", "customers"]] {
        let mut trail = Trail::default();
        office(&mut trail, "alice", own, 12);
        office(&mut trail, "ben", &["reports", "customers"], 12);
        burst(&mut trail, "alice", "customers", 9);
        one_about(&incidents(&trail), "alice", "customers");
    }
}

#[test]
fn quiet_users_are_no_incident() {
    let mut trail = Trail::default();
    for user in OTHERS {
        office(&mut trail, user, &["reports", "customers"], 15);
    }
    let incidents = incidents(&trail);
    assert!(incidents.is_empty(), "{}", titles(&incidents));
}

#[test]
fn services_in_bulk_are_background() {
    let service = |by: &str| json!({"type": "AWSService", "invokedBy": by});
    let by_role = json!({"type": "AssumedRole", "principalId": "AROAX:s", "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/replicator/s3-replication"),
        "accountId": ACCOUNT, "invokedBy": "s3.amazonaws.com",
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": format!("arn:aws:iam::{ACCOUNT}:role/replicator"), "userName": "replicator"}}});
    let mut trail = Trail::default();
    office(&mut trail, "alice", &["reports"], 10);
    for (identity, address, name, bucket) in [
        (service("delivery.logs.amazonaws.com"), "delivery.logs.amazonaws.com", "PutObject", "access-logs"),
        (service("cloudtrail.amazonaws.com"), "cloudtrail.amazonaws.com", "PutObject", "trail-logs"),
        (by_role, "s3.amazonaws.com", "GetObject", "reports"),
    ] {
        for day in 0..10 {
            for _ in 0..20 {
                let at = at(day, trail.dice.ms_below(DAY_MS));
                object(&mut trail, at, identity.clone(), (address, name, bucket));
            }
        }
        for i in 0..3_000 {
            object(&mut trail, at(9, 11 * HOUR_MS + i * 10), identity.clone(), (address, name, bucket));
        }
    }
    let incidents = incidents(&trail);
    assert!(incidents.is_empty(), "{}", titles(&incidents));
}
