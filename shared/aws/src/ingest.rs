//! One invocation of an ingest function: messages of a feed → batches in the store, and which messages failed.
//!
//! All messages of an invocation are packed together, since a store bills by the item. Broken content is a reject that
//! costs itself; a message of which nothing could be read, fetched or stored is reported as failed, so that its queue
//! keeps it: nothing is lost, and writing twice changes nothing. There is deliberately no difference between the two
//! functions here: their feeds say what is to be read.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;

use aws_lambda_events::sqs::SqsBatchResponse;
use outflow_core::batch::{HashKey, Packer};
use outflow_core::time::Timestamp;
use outflow_pipeline::head::{self, HeadError};
use outflow_pipeline::ingest::{Arrived, Intake, Own, Tally, arrive};
use outflow_pipeline::store::metered::Metered;
use outflow_pipeline::store::{Store, StoreError};
use serde_json::{Value, json};

use crate::feed::{Message, Source};
use crate::objects::{FetchError, Objects};
use crate::own_log::{Line, Metric};

/// Failures that the own log spells out; all are counted.
const TOLD_MAX: usize = 10;
/// Characters of an object's name in the own log.
const PLACE_CHARS_MAX: usize = 300;

/// What stays from one invocation to the next.
pub struct Ingest<S> {
    store: S,
    key: HashKey,
    own: Own,
    region: String,
}

/// Why a message failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The object can't be had.
    #[error("{place}: {error}{}", causes(.error))]
    Fetch {
        /// `bucket/key`.
        place: String,
        /// Why.
        error: FetchError,
    },
    /// Nothing of it is a record.
    #[error("{place}: nothing of it could be read ({reason})")]
    Unread {
        /// `bucket/key`, or the message itself.
        place: String,
        /// The code of the first reject, or a word.
        reason: String,
    },
    /// A defect.
    #[error("{place}: reading it panicked")]
    Panicked {
        /// `bucket/key`, or the message itself.
        place: String,
    },
    /// The store did not take it.
    #[error("not stored: {error}{}", causes(&**.error))]
    Store {
        /// Why; of all messages that were packed together.
        error: Arc<StoreError>,
    },
}

/// What came of an invocation.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was read.
    pub tally: Tally,
    /// Rejects by their codes.
    pub rejects: BTreeMap<&'static str, u64>,
    /// Notices with nothing to read.
    pub passed: u64,
    /// What was written.
    pub arrived: Arrived,
    /// What the table bills for it, without tries again.
    pub write_units: u64,
    /// Messages that failed, by their ids, each with its first reason.
    pub failed: Vec<(String, Failure)>,
}

impl<S: Store> Ingest<S> {
    /// Opens the store: everybody who writes into it uses the key of its head.
    pub async fn open(store: S, own: Own, region: &str) -> Result<Ingest<S>, HeadError> {
        let (key, _) = head::open(&store, head::random_key()).await?;
        Ok(Ingest { store, key, own, region: region.to_owned() })
    }

    /// Takes in the messages of one invocation.
    pub async fn take(&self, objects: &impl Objects, messages: &[Message], now: Timestamp) -> Outcome {
        let mut intake = Intake::new(Packer::new(self.key)).without(self.own.clone()).in_region(&self.region);
        let store = Metered::new(&self.store);
        let mut outcome = Outcome::default();
        let mut unstored: Vec<&str> = Vec::new();
        let mut buffer = Vec::new();
        for message in messages {
            unstored.push(&message.id);
            for source in &message.sources {
                if let Err(failure) = outcome.read(&mut intake, objects, source, &mut buffer).await {
                    outcome.fail(&message.id, failure);
                }
                if intake.packer.is_full() {
                    self.put(&store, &mut intake, &mut outcome, &unstored, now).await;
                    // Of this message more may follow.
                    unstored = vec![&message.id];
                }
            }
        }
        self.put(&store, &mut intake, &mut outcome, &unstored, now).await;
        outcome.write_units = store.units().total().write_units;
        outcome.tally = intake.tally;
        outcome
    }

    async fn put(&self, store: &impl Store, intake: &mut Intake, outcome: &mut Outcome, unstored: &[&str], now: Timestamp) {
        let (batches, _) = intake.packer.finish();
        match arrive(store, &batches, now).await {
            Ok(Arrived { batches, late }) => {
                outcome.arrived.batches += batches;
                outcome.arrived.late += late;
            }
            Err(error) => {
                let error = Arc::new(error);
                unstored.iter().for_each(|id| outcome.fail(id, Failure::Store { error: error.clone() }));
            }
        }
    }
}

impl Outcome {
    async fn read(&mut self, intake: &mut Intake, objects: &impl Objects, source: &Source, buffer: &mut Vec<u8>) -> Result<(), Failure> {
        match source {
            Source::Passed => {
                self.passed += 1;
                Ok(())
            }
            Source::Content(bytes) => self.decode(intake, bytes, "the message".to_owned()),
            Source::Object { bucket, key, other } => {
                let place = format!("{bucket}/{key}").chars().take(PLACE_CHARS_MAX).collect::<String>();
                let mut fetched = objects.fetch(bucket, key, buffer).await;
                if let (Err(FetchError::Missing | FetchError::Denied), Some(other)) = (&fetched, other) {
                    fetched = objects.fetch(bucket, other, buffer).await.or(fetched);
                }
                match fetched {
                    Ok(()) => self.decode(intake, buffer, place),
                    Err(error) => Err(Failure::Fetch { place, error }),
                }
            }
        }
    }

    fn decode(&mut self, intake: &mut Intake, bytes: &[u8], place: String) -> Result<(), Failure> {
        let mut first = None;
        let decoded = intake.try_take(bytes, "", &mut |reject| {
            first = first.or(Some(reject.reason.code()));
            *self.rejects.entry(reject.reason.code()).or_default() += 1;
        });
        let Ok(decoded) = decoded else { return Err(Failure::Panicked { place }) };
        // A file of a trail may be empty; what holds only rejects, or is no log, must not be gone.
        if decoded.records > 0 || decoded.format.is_some() && decoded.rejects == 0 {
            return Ok(());
        }
        let reason = first.or(decoded.note).unwrap_or("no log of AWS").to_owned();
        Err(Failure::Unread { place, reason })
    }

    fn fail(&mut self, id: &str, failure: Failure) {
        if self.failed.iter().all(|(other, _)| other != id) {
            self.failed.push((id.to_owned(), failure));
        }
    }

    /// What Lambda is answered: the messages to try again; for a stream the answer has the same form. Where the event can only fail as a whole, that is an error.
    pub fn answer(&self) -> Result<SqsBatchResponse, String> {
        if let Some((_, failure)) = self.failed.iter().find(|(id, _)| id.is_empty()) {
            return Err(failure.to_string());
        }
        let mut answer = SqsBatchResponse::default();
        answer.set_failures(self.failed.iter().map(|(id, _)| id));
        Ok(answer)
    }

    /// The line of the own log.
    pub fn line(&self, function: &str, now: Timestamp) -> Line {
        let mut line = Line::new(function)
            .metric(Metric::Records, self.tally.records)
            .metric(Metric::Rejects, self.rejects.values().sum())
            .metric(Metric::Failed, self.failed.len() as u64)
            .note("batches", self.arrived.batches)
            .note("late", self.arrived.late)
            .note("own", self.tally.own)
            .note("passed", self.passed)
            .note("untimed", self.tally.untimed)
            .note("write_units", self.write_units);
        if let Some(to) = self.tally.to {
            line = line.note("newest_s", u64::try_from(now.ms() - to.ms()).unwrap_or_default() / 1_000);
        }
        if !self.rejects.is_empty() {
            line = line.note("reject_codes", json!(self.rejects));
        }
        if !self.failed.is_empty() {
            let told = self.failed.iter().take(TOLD_MAX);
            let failures: Vec<Value> = told.map(|(id, failure)| json!({ "id": id, "why": failure.to_string() })).collect();
            line = line.note("failures", failures);
        }
        line
    }
}

/// The causes of an error, each behind a colon.
fn causes(error: &dyn Error) -> String {
    let (mut all, mut cause) = (String::new(), error.source());
    while let Some(error) = cause {
        let _ = write!(all, ": {error}");
        cause = error.source();
    }
    all
}

#[cfg(test)]
mod tests;
