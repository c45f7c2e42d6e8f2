//! A user who takes a thousand objects in half a minute, after quiet days; and services that do as much by the hour.
//!
//! The records are made here, as CloudTrail writes them: no published log holds a burst with the days before it.

#![allow(clippy::unwrap_used, reason = "tests may fail")]

use outflow_core::incident::Severity;
use outflow_core::time::Timestamp;
use outflow_tests::{forms, is_about, said, titles, told};
use serde_json::{Value, json};

const ACCOUNT: &str = "111122223333";
/// Monday.
const START: &str = "2025-09-01T00:00:00Z";
const DAY_MS: i64 = 86_400_000;

/// A fixed stream of numbers (splitmix64), so that every run makes the same records.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n) as i64
    }
}

/// Records of a week or two, with ids that count up.
struct Trail {
    dice: Dice,
    records: Vec<Value>,
}

impl Trail {
    fn new() -> Trail {
        Trail { dice: Dice(1), records: Vec::new() }
    }

    fn at(day: i64, ms: i64) -> Timestamp {
        Timestamp::parse(START).unwrap().plus_ms(day * DAY_MS + ms)
    }

    fn put(&mut self, at: Timestamp, identity: Value, address: &str, name: &str, bucket: &str) {
        let n = self.records.len();
        self.records.push(json!({
            "eventVersion": "1.11", "userIdentity": identity, "eventTime": at.to_rfc3339(), "eventSource": "s3.amazonaws.com",
            "eventName": name, "awsRegion": "eu-west-1", "sourceIPAddress": address, "userAgent": "[aws-cli/2.15]",
            "requestParameters": {"bucketName": bucket, "key": format!("export/{n}.parquet")},
            "additionalEventData": {"bytesTransferredOut": 20_000.0},
            "eventID": format!("{n:08x}-0000-4000-8000-000000000000"), "readOnly": true, "eventType": "AwsApiCall", "managementEvent": false,
            "recipientAccountId": ACCOUNT, "eventCategory": "Data",
            "resources": [{"type": "AWS::S3::Object", "ARN": format!("arn:aws:s3:::{bucket}/export/{n}.parquet")},
                {"type": "AWS::S3::Bucket", "ARN": format!("arn:aws:s3:::{bucket}"), "accountId": ACCOUNT}],
        }));
    }

    fn user(&mut self, at: Timestamp, name: &str, bucket: &str) {
        let identity = json!({"type": "IAMUser", "principalId": format!("AIDA{name}"), "arn": format!("arn:aws:iam::{ACCOUNT}:user/{name}"),
            "accountId": ACCOUNT, "accessKeyId": "AKIAEXAMPLE", "userName": name});
        self.put(at, identity, "198.51.100.7", "GetObject", bucket);
    }

    /// Some tens of calls between nine and five, on each of so many days but weekends.
    fn office(&mut self, name: &str, buckets: &[&str], days: i64) {
        for day in (0..days).filter(|d| d % 7 < 5) {
            for _ in 0..30 + self.dice.below(20) {
                let at = Trail::at(day, 9 * 3_600_000 + self.dice.below(8 * 3_600_000));
                let bucket = buckets[self.dice.below(buckets.len() as u64) as usize];
                self.user(at, name, bucket);
            }
        }
    }

    /// A thousand objects within half a minute, at eleven.
    fn burst(&mut self, name: &str, bucket: &str, day: i64) {
        for _ in 0..1_000 {
            let at = Trail::at(day, 11 * 3_600_000 + self.dice.below(30_000));
            self.user(at, name, bucket);
        }
    }

    fn incidents(&self) -> Vec<Value> {
        let folder = tempfile::tempdir().unwrap();
        for (i, part) in self.records.chunks(200).enumerate() {
            std::fs::write(folder.path().join(format!("{i}.json.gz")), forms::gzip(&forms::trail_file(part))).unwrap();
        }
        let report = said(folder.path());
        assert_eq!((report.coverage.tally.records, report.coverage.rejects), (self.records.len() as u64, 0));
        println!("rare and above:\n{}", titles(&told(&report, Severity::Low)));
        told(&report, Severity::Medium)
    }
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
        let mut trail = Trail::new();
        trail.office("alice", &["reports"], days);
        trail.burst("alice", "customers", days);
        one_about(&trail.incidents(), "alice", "customers");
    }
}

#[test]
fn a_thousand_objects_of_a_bucket_read_daily() {
    for days in [8, 10, 14] {
        let mut trail = Trail::new();
        trail.office("alice", &["reports", "customers"], days);
        trail.burst("alice", "customers", days);
        one_about(&trail.incidents(), "alice", "customers");
    }
}

#[test]
fn a_thousand_objects_among_other_users() {
    for (days, own) in [(8, &["reports"][..]), (8, &["reports", "customers"]), (14, &["reports"]), (14, &["reports", "customers"])] {
        let mut trail = Trail::new();
        trail.office("alice", own, days);
        for other in OTHERS {
            trail.office(other, &["reports", "customers"], days);
        }
        trail.burst("alice", "customers", days);
        one_about(&trail.incidents(), "alice", "customers");
    }
}

#[test]
fn the_days_after_it_add_no_other() {
    for own in [&["reports"][..], &["reports", "customers"]] {
        let mut trail = Trail::new();
        trail.office("alice", own, 12);
        trail.office("ben", &["reports", "customers"], 12);
        trail.burst("alice", "customers", 9);
        one_about(&trail.incidents(), "alice", "customers");
    }
}

#[test]
fn quiet_users_are_no_incident() {
    let mut trail = Trail::new();
    for user in OTHERS {
        trail.office(user, &["reports", "customers"], 15);
    }
    let incidents = trail.incidents();
    assert!(incidents.is_empty(), "{}", titles(&incidents));
}

#[test]
fn services_in_bulk_are_background() {
    let service = |by: &str| json!({"type": "AWSService", "invokedBy": by});
    let by_role = json!({"type": "AssumedRole", "principalId": "AROAX:s", "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/replicator/s3-replication"),
        "accountId": ACCOUNT, "invokedBy": "s3.amazonaws.com",
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": format!("arn:aws:iam::{ACCOUNT}:role/replicator"), "userName": "replicator"}}});
    let mut trail = Trail::new();
    trail.office("alice", &["reports"], 10);
    for (identity, address, name, bucket) in [
        (service("delivery.logs.amazonaws.com"), "delivery.logs.amazonaws.com", "PutObject", "access-logs"),
        (service("cloudtrail.amazonaws.com"), "cloudtrail.amazonaws.com", "PutObject", "trail-logs"),
        (by_role, "s3.amazonaws.com", "GetObject", "reports"),
    ] {
        for day in 0..10 {
            for _ in 0..20 {
                let at = Trail::at(day, trail.dice.below(DAY_MS as u64));
                trail.put(at, identity.clone(), address, name, bucket);
            }
        }
        for i in 0..3_000 {
            trail.put(Trail::at(9, 11 * 3_600_000 + i * 10), identity.clone(), address, name, bucket);
        }
    }
    let incidents = trail.incidents();
    assert!(incidents.is_empty(), "{}", titles(&incidents));
}
