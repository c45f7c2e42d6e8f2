//! CloudTrail records of days on end, made here as CloudTrail writes them: no published log has the days before a story.
//!
//! There is deliberately no story here: those stand in the tests.

use outflow_core::time::{DAY_MS, Timestamp};
use outflow_pipeline::replay::Report;
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::{forms, said};

/// The account of all records.
pub const ACCOUNT: &str = "111122223333";
/// Its Region.
pub const REGION: &str = "eu-west-1";
/// A Monday.
pub const START: &str = "2025-09-01T00:00:00Z";
/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 3_600_000;

/// An instant, by the day since [`START`] and the milliseconds of it.
pub fn at(day: i64, ms: i64) -> Timestamp {
    Timestamp::parse(START).unwrap().plus_ms(day * DAY_MS + ms)
}

/// What a function's session looks like.
pub fn function(name: &str) -> Value {
    json!({"type": "AssumedRole", "principalId": format!("AROA{name}:{name}"), "accountId": ACCOUNT, "accessKeyId": "ASIAEXAMPLE",
        "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}-role/{name}"),
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": format!("arn:aws:iam::{ACCOUNT}:role/{name}-role")}},
        "inScopeOf": {"issuerType": "AWS::Lambda::Function",
            "credentialsIssuedTo": format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}")}})
}

/// What Lambda itself looks like.
pub fn lambda() -> Value {
    json!({"type": "AWSService", "invokedBy": "lambda.amazonaws.com"})
}

/// What a user looks like.
pub fn user(name: &str) -> Value {
    json!({"type": "IAMUser", "principalId": format!("AIDA{name}"), "arn": format!("arn:aws:iam::{ACCOUNT}:user/{name}"),
        "accountId": ACCOUNT, "accessKeyId": "AKIAEXAMPLE", "userName": name})
}

/// Records with ids that count up.
#[derive(Debug)]
pub struct Trail {
    /// For stories that need chance.
    pub dice: Dice,
    /// What was written so far.
    pub records: Vec<Value>,
}

impl Default for Trail {
    fn default() -> Trail {
        Trail { dice: Dice(1), records: Vec::new() }
    }
}

impl Trail {
    /// One record; `more` are the fields that differ from call to call.
    pub fn put(&mut self, at: Timestamp, identity: Value, call: &str, more: Value) {
        let (service, name) = call.split_once(':').unwrap();
        let category = more.get("eventCategory").and_then(Value::as_str).unwrap_or("Management").to_owned();
        let mut record = json!({
            "eventVersion": "1.11", "userIdentity": identity, "eventTime": at.to_rfc3339(), "eventSource": format!("{service}.amazonaws.com"),
            "eventName": name, "awsRegion": REGION, "sourceIPAddress": "198.51.100.7", "userAgent": "[aws-sdk]",
            "eventID": format!("{:08x}-0000-4000-8000-000000000000", self.records.len()), "eventType": "AwsApiCall",
            "managementEvent": category == "Management", "recipientAccountId": ACCOUNT, "eventCategory": category,
        });
        let fields = record.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        self.records.push(record);
    }

    /// Lambda takes a function's role.
    pub fn cold_start(&mut self, at: Timestamp, name: &str) {
        let role = format!("arn:aws:iam::{ACCOUNT}:role/{name}-role");
        let more = json!({"sourceIPAddress": "lambda.amazonaws.com", "requestParameters": {"roleArn": role, "roleSessionName": name},
            "resources": [{"type": "AWS::IAM::Role", "ARN": role, "accountId": ACCOUNT}]});
        self.put(at, lambda(), "sts:AssumeRole", more);
    }

    /// An object is read or written.
    pub fn object(&mut self, at: Timestamp, identity: Value, action: &str, bucket: &str) {
        let more = json!({"eventCategory": "Data", "requestParameters": {"bucketName": bucket, "key": "k"},
            "resources": [{"type": "AWS::S3::Object", "ARN": format!("arn:aws:s3:::{bucket}/k")},
                {"type": "AWS::S3::Bucket", "ARN": format!("arn:aws:s3:::{bucket}"), "accountId": ACCOUNT}]});
        self.put(at, identity, &format!("s3:{action}"), more);
    }

    /// An item is read or written.
    pub fn item(&mut self, at: Timestamp, identity: Value, action: &str, table: &str) {
        let more = json!({"eventCategory": "Data", "requestParameters": {"tableName": table}, "resources": [{"type": "AWS::DynamoDB::Table",
            "ARN": format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}"), "accountId": ACCOUNT}]});
        self.put(at, identity, &format!("dynamodb:{action}"), more);
    }

    /// The same, refused.
    pub fn refused(&mut self) {
        let last = self.records.last_mut().unwrap().as_object_mut().unwrap();
        last.insert("errorCode".to_owned(), json!("AccessDenied"));
    }

    /// Replays all of it.
    pub fn said(&self) -> Report {
        let folder = tempfile::tempdir().unwrap();
        for (i, part) in self.records.chunks(500).enumerate() {
            std::fs::write(folder.path().join(format!("{i:05}.json.gz")), forms::gzip(&forms::trail_file(part))).unwrap();
        }
        let report = said(folder.path());
        assert_eq!((report.coverage.tally.records, report.coverage.rejects), (self.records.len() as u64, 0));
        report
    }
}
