//! What the queue of alerts brought → Slack, and what becomes of each message in the queue.
//!
//! The step stands in the pipeline; here its outcomes become the queue's: done is forgotten, a retry is hidden for as long as
//! it should wait, and what no retry mends fails until the queue puts it among the dead letters. Deliberately absent: any content
//! in the log, which holds counts, codes and remedies.

use std::collections::BTreeSet;

use aws_lambda_events::sqs::SqsBatchResponse;
use outflow_core::time::Timestamp;
use outflow_pipeline::notify::{Delivery, Outcome, Told, deliver};
use outflow_pipeline::sender::Sender;
use outflow_pipeline::store::Store;
use serde_json::Value;

use crate::own_log::{Line, Metric};
use crate::sqs;

/// Reasons that one line tells; more would be the same.
const REASONS_MAX: usize = 5;

/// A message of the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The queue's id of it.
    pub id: String,
    /// With which it is hidden.
    pub receipt: String,
    /// ARN of the queue.
    pub queue: String,
    /// An envelope of the topic, or the message.
    pub body: String,
    /// How often it was received, this time included.
    pub tries: u32,
}

/// The messages of the queue's event, if it is one.
pub fn received(event: &Value) -> Option<Vec<Received>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let tries = |record: &Value| record["attributes"]["ApproximateReceiveCount"].as_str().and_then(|n| n.parse().ok());
    let one = |record: &Value| Received {
        id: text(&record["messageId"]),
        receipt: text(&record["receiptHandle"]),
        queue: text(&record["eventSourceARN"]),
        body: text(&record["body"]),
        tries: tries(record).unwrap_or(1),
    };
    event["Records"].as_array().map(|records| records.iter().map(one).collect())
}

/// Who tells.
pub struct Notify<S, P> {
    store: S,
    sender: P,
    queue: aws_sdk_sqs::Client,
    topic: Option<String>,
}

/// What came of one invocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    failed: Vec<String>,
    counts: Counts,
    reasons: BTreeSet<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    posted: u64,
    plain: u64,
    unmarked: u64,
    repeats: u64,
    older: u64,
    retried: u64,
    dead: u64,
}

impl<S: Store, P: Sender> Notify<S, P> {
    /// A store for what was said, a channel to say it in, the queue it comes from, and the topic that it must be of.
    pub fn new(store: S, sender: P, queue: aws_sdk_sqs::Client, topic: Option<String>) -> Notify<S, P> {
        Notify { store, sender, queue, topic }
    }

    /// Tells what was received.
    pub async fn take(&self, received: &[Received], now: Timestamp) -> Report {
        let deliveries: Vec<Delivery<'_>> = received.iter().map(|r| Delivery { id: &r.id, body: &r.body, tries: r.tries }).collect();
        let outcomes = Box::pin(deliver(&self.store, &self.sender, self.topic.as_deref(), &deliveries, now)).await;
        let mut report = Report::default();
        for (message, outcome) in received.iter().zip(&outcomes) {
            report.count(&message.id, outcome);
            if let Outcome::Retry { after_s, .. } = outcome
                && let Err(error) = sqs::hide(&self.queue, &message.queue, &message.receipt, *after_s).await
            {
                report.reasons.insert(error.to_string());
            }
        }
        report
    }
}

impl Report {
    fn count(&mut self, id: &str, outcome: &Outcome) {
        let counts = &mut self.counts;
        match outcome {
            Outcome::Done(Told::Posted { plain, marked }) => {
                counts.posted += 1;
                counts.plain += u64::from(*plain);
                counts.unmarked += u64::from(!marked);
                return;
            }
            Outcome::Done(Told::Repeat) => return counts.repeats += 1,
            Outcome::Done(Told::Older) => return counts.older += 1,
            Outcome::Retry { why, .. } => {
                counts.retried += 1;
                self.reasons.insert(why.clone());
            }
            Outcome::Dead { why } => {
                counts.dead += 1;
                self.reasons.insert(why.clone());
            }
        }
        self.failed.push(id.to_owned());
    }

    /// What Lambda is answered: the messages that stay in the queue.
    pub fn answer(&self) -> SqsBatchResponse {
        let mut answer = SqsBatchResponse::default();
        answer.set_failures(&self.failed);
        answer
    }

    /// The line of the log.
    pub fn line(&self, function: &str) -> Line {
        let counts = &self.counts;
        let mut line = Line::new(function).metric(Metric::Failed, counts.retried + counts.dead);
        for (name, count) in [
            ("posted", counts.posted),
            ("plain", counts.plain),
            ("unmarked", counts.unmarked),
            ("repeats", counts.repeats),
            ("older", counts.older),
            ("retried", counts.retried),
            ("dead", counts.dead),
        ] {
            line = line.note(name, count);
        }
        let reasons: Vec<&str> = self.reasons.iter().take(REASONS_MAX).map(String::as_str).collect();
        if reasons.is_empty() { line } else { line.note("reasons", reasons) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_of_an_event() {
        let event = json!({ "Records": [
            { "messageId": "m1", "receiptHandle": "r1", "body": "b", "eventSourceARN": "arn:aws:sqs:eu-west-1:1:alerts",
                "attributes": { "ApproximateReceiveCount": "3" } },
            { "messageId": "m2" },
        ] });
        let want = Received {
            id: "m1".to_owned(),
            receipt: "r1".to_owned(),
            queue: "arn:aws:sqs:eu-west-1:1:alerts".to_owned(),
            body: "b".to_owned(),
            tries: 3,
        };
        assert_eq!(received(&event), Some(vec![want, Received { id: "m2".to_owned(), tries: 1, ..Received::default() }]));
        assert_eq!(received(&json!({ "detail": 1 })), None);
    }

    #[test]
    fn counts_codes_and_remedies() {
        let mut report = Report::default();
        let outcomes = [
            Outcome::Done(Told::Posted { plain: true, marked: false }),
            Outcome::Done(Told::Repeat),
            Outcome::Done(Told::Older),
            Outcome::Retry { after_s: 5, why: "try again later: 429".to_owned() },
            Outcome::Dead { why: "refused (channel_not_found): invite it".to_owned() },
        ];
        for (i, outcome) in outcomes.iter().enumerate() {
            report.count(&i.to_string(), outcome);
        }
        assert_eq!(
            serde_json::to_value(report.answer()).unwrap(),
            json!({ "batchItemFailures": [{ "itemIdentifier": "3" }, { "itemIdentifier": "4" }] })
        );
        let now = Timestamp::parse("2025-03-20T06:42:33Z").unwrap();
        expect_test::expect![[r#"{"_aws":{"CloudWatchMetrics":[{"Dimensions":[["stack"]],"Metrics":[{"Name":"failed","Unit":"Count"}],"Namespace":"Outflow"}],"Timestamp":1742452953000},"dead":1,"failed":2,"function":"notify","older":1,"plain":1,"posted":1,"reasons":["refused (channel_not_found): invite it","try again later: 429"],"repeats":1,"retried":1,"stack":"outflow","unmarked":1}"#]].assert_eq(&report.line("notify").text("outflow", now));
    }
}
