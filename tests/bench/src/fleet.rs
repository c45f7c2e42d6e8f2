//! A living account, minute by minute: what its functions write, cut as AWS delivers it.
//!
//! Functions come in two halves: some act in every window, the others in turns, so that a window knows a fixed number of
//! them and an hour more. Each invocation writes the four lines of a small function; calls are data events and, one in five,
//! management events, as functions make them. The same fleet gives the same bytes. There is deliberately no story and no
//! season here: what is measured is what ordinary traffic costs.

use outflow_core::time::Timestamp;
use outflow_tests::account::REGION;
use outflow_tests::forms::{self, Event, Stream};

use crate::generate::Dice;

const ACCOUNT: &str = "111122223333";
/// Of the published files of a trail, 2,900 events in 55.
const EVENTS_PER_FILE: usize = 53;
const MINUTES_PER_WINDOW: u64 = 5;
/// Targets that one function touches.
const TARGETS: u64 = 3;

/// How much happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    /// Functions that ever act.
    pub(crate) functions: u64,
    /// Of those, the ones that act in a window.
    pub(crate) active: u64,
    /// Functions beside these that were seen once.
    pub(crate) asleep: u64,
    /// Invocations a window, of all functions.
    pub(crate) invocations: u64,
    /// Calls a window that the trail tells.
    pub(crate) events: u64,
    /// Invocations that one delivery of the log subscription tells.
    pub(crate) per_delivery: u64,
}

/// The account.
pub(crate) struct Fleet {
    pub(crate) traffic: Traffic,
    dice: Dice,
    ids: u64,
}

impl Fleet {
    pub(crate) fn new(traffic: Traffic) -> Fleet {
        Fleet { traffic, dice: Dice(11), ids: 0 }
    }

    /// What the subscription delivers of this minute, in messages.
    pub(crate) fn logs(&mut self, minute: i64) -> Vec<Vec<u8>> {
        let deliveries = self.share(self.traffic.invocations.div_ceil(self.traffic.per_delivery), minute);
        (0..deliveries).map(|n| self.delivery(minute, n)).collect()
    }

    /// What the trail writes of this minute, in files.
    pub(crate) fn trail(&mut self, minute: i64) -> Vec<Vec<u8>> {
        let records: Vec<String> = (0..self.share(self.traffic.events, minute)).map(|n| self.record(minute, n)).collect();
        records.chunks(EVENTS_PER_FILE).map(|some| format!("{{\"Records\":[{}]}}", some.join(",")).into_bytes()).collect()
    }

    /// One message for each function, so that all are known.
    pub(crate) fn roll_call(&mut self, minute: i64) -> Vec<Vec<u8>> {
        (0..self.traffic.functions + self.traffic.asleep).map(|function| self.message(function, minute, 1)).collect()
    }

    /// What of a window's traffic falls into a minute.
    fn share(&self, whole: u64, minute: i64) -> u64 {
        let nth = minute.rem_euclid(MINUTES_PER_WINDOW as i64) as u64;
        whole * (nth + 1) / MINUTES_PER_WINDOW - whole * nth / MINUTES_PER_WINDOW
    }

    /// One of the functions that act in this window: each at least once where there is traffic enough, then by chance.
    fn function(&mut self, minute: i64, n: u64) -> u64 {
        let Traffic { functions, active, .. } = self.traffic;
        let nth_minute = minute.rem_euclid(MINUTES_PER_WINDOW as i64) as u64;
        let turn = n * MINUTES_PER_WINDOW + nth_minute;
        let nth = if turn < active { turn } else { self.dice.below(active).min(self.dice.below(active)) };
        let always = active.div_ceil(2);
        if nth < always || functions == active {
            return nth;
        }
        // The others take turns, window by window.
        let window = minute.div_euclid(MINUTES_PER_WINDOW as i64) as u64;
        always + (window * (active - always) + (nth - always)) % (functions - always)
    }

    fn delivery(&mut self, minute: i64, n: u64) -> Vec<u8> {
        let function = self.function(minute, n);
        self.message(function, minute, self.traffic.per_delivery)
    }

    fn message(&mut self, function: u64, minute: i64, invocations: u64) -> Vec<u8> {
        let stream = Stream {
            owner: ACCOUNT.to_owned(),
            group: format!("/aws/lambda/{}", name(function)),
            name: "2025/09/01/[$LATEST]0123456789abcdef0123456789abcdef".to_owned(),
        };
        let mut events = Vec::new();
        for _ in 0..invocations {
            let begin = minute * 60_000 + self.dice.below(50_000) as i64;
            let (id, ms) = (self.dice.uuid(), 20 + self.dice.below(40));
            let report = format!(
                "REPORT RequestId: {id}\tDuration: {ms}.37 ms\tBilled Duration: {} ms\tMemory Size: 256 MB\tMax Memory Used: 91 MB\t\n",
                ms + 1
            );
            let texts = [
                format!("START RequestId: {id} Version: $LATEST\n"),
                format!("2025-09-01T10:00:00.000Z\t{id}\tINFO\torder {} was stored\n", self.dice.below(100_000)),
                format!("END RequestId: {id}\n"),
                report,
            ];
            events.extend(texts.into_iter().map(|message| {
                self.ids += 1;
                Event { id: format!("{:056}", self.ids), at_ms: begin, message }
            }));
        }
        forms::awslogs(&stream, &events)
    }

    fn record(&mut self, minute: i64, n: u64) -> String {
        let name = name(self.function(minute, n));
        let at = Timestamp::from_ms(minute * 60_000 + self.dice.below(60_000) as i64).map(Timestamp::to_rfc3339).unwrap_or_default();
        let target = self.dice.below(TARGETS);
        let (is_data, source, call, request, resource) = match target {
            _ if n.is_multiple_of(5) => {
                (false, "secretsmanager", "GetSecretValue", format!(r#"{{"secretId":"{name}-secret"}}"#), String::new())
            }
            0 => (
                true,
                "s3",
                "GetObject",
                format!(r#"{{"bucketName":"{name}-data","key":"orders/{}.json"}}"#, self.dice.below(1_000)),
                format!(r#"{{"type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::{name}-data","accountId":"{ACCOUNT}"}}"#),
            ),
            _ => (
                true,
                "dynamodb",
                if target == 1 { "GetItem" } else { "PutItem" },
                format!(r#"{{"tableName":"{name}-orders","key":{{"id":"{}"}}}}"#, self.dice.below(1_000)),
                format!(
                    r#"{{"type":"AWS::DynamoDB::Table","ARN":"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}-orders","accountId":"{ACCOUNT}"}}"#
                ),
            ),
        };
        let category = if is_data { "Data" } else { "Management" };
        let (event, request_id) = (self.dice.uuid(), self.dice.uuid());
        format!(
            r#"{{"eventVersion":"1.11","userIdentity":{{"type":"AssumedRole","principalId":"AROAEXAMPLE:{name}","arn":"arn:aws:sts::{ACCOUNT}:assumed-role/{name}-role/{name}","accountId":"{ACCOUNT}","accessKeyId":"ASIAEXAMPLE","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROAEXAMPLE","arn":"arn:aws:iam::{ACCOUNT}:role/{name}-role","accountId":"{ACCOUNT}","userName":"{name}-role"}},"attributes":{{"creationDate":"{at}","mfaAuthenticated":"false"}}}},"inScopeOf":{{"issuerType":"AWS::Lambda::Function","credentialsIssuedTo":"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"}}}},"eventTime":"{at}","eventSource":"{source}.amazonaws.com","eventName":"{call}","awsRegion":"{REGION}","sourceIPAddress":"203.0.113.9","userAgent":"[aws-sdk-nodejs/3.1 exec-env/AWS_Lambda_nodejs22.x]","requestParameters":{request},"responseElements":null,"requestID":"{request_id}","eventID":"{event}","readOnly":true,"resources":[{resource}],"eventType":"AwsApiCall","managementEvent":{},"recipientAccountId":"{ACCOUNT}","eventCategory":"{category}"}}"#,
            !is_data
        )
    }
}

fn name(function: u64) -> String {
    format!("orders-{function:05}-handler")
}
