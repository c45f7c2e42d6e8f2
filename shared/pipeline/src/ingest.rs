//! Bytes of a feed → batches in the store.
//!
//! [`Intake`] decodes and observes, and counts what it saw; [`commit`] writes what a packer gives, each batch once, with a
//! marker that its window waits to be judged. Ingest only writes: it looks at no baseline and decides nothing. There is
//! deliberately no file here: `source` finds those.

use outflow_core::batch::{Batch, Packer};
use outflow_core::decode::{self, Decoded, Line, LogRecord, Reject, Scratch, Sink, TrailRecord};
use outflow_core::observe::{observe_log, observe_trail};
use outflow_core::time::Timestamp;

use crate::keys;
use crate::store::{COMMIT_WRITES_MAX, Expect, Key, Store, StoreError, Write};

/// What was read, in records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All records, duplicates included.
    pub records: u64,
    /// Of those, management events of CloudTrail.
    pub trail_management: u64,
    /// Data events of CloudTrail.
    pub trail_data: u64,
    /// Other records of CloudTrail: network activity, insights, aggregates.
    pub trail_other: u64,
    /// Log events.
    pub log_events: u64,
    /// Of those, reports of invocations.
    pub reports: u64,
    /// Notices of Lambda that log events were lost.
    pub dropped: u64,
    /// Signs of life of a feed.
    pub controls: u64,
    /// Records without a usable time: counted, and kept out of windows.
    pub untimed: u64,
    /// The earliest record.
    pub from: Option<Timestamp>,
    /// The latest record.
    pub to: Option<Timestamp>,
}

impl Tally {
    fn time(&mut self, time: Option<Timestamp>) {
        match time {
            None => self.untimed += 1,
            Some(at) => {
                self.from = Some(self.from.map_or(at, |f| f.min(at)));
                self.to = Some(self.to.map_or(at, |t| t.max(at)));
            }
        }
    }
}

/// Takes in one file or delivery after another.
pub struct Intake {
    /// Collects observations.
    pub packer: Packer,
    /// Counts.
    pub tally: Tally,
    scratch: Scratch,
}

impl Intake {
    /// Begins with nothing.
    pub fn new(packer: Packer) -> Intake {
        Intake { packer, tally: Tally::default(), scratch: Scratch::default() }
    }

    /// Decodes one file or delivery. `function` names the function where the content names none. Rejects go to `reject`.
    pub fn take(&mut self, bytes: &[u8], function: &str, reject: &mut dyn FnMut(Reject)) -> Decoded {
        let Intake { packer, tally, scratch } = self;
        let mut taker = Taker { packer, tally, function, reject };
        let decoded = decode::decode(bytes, scratch, &mut taker);
        tally.records += decoded.records;
        decoded
    }
}

struct Taker<'a> {
    packer: &'a mut Packer,
    tally: &'a mut Tally,
    function: &'a str,
    reject: &'a mut dyn FnMut(Reject),
}

impl Sink for Taker<'_> {
    fn trail(&mut self, record: &TrailRecord<'_>, raw: &[u8]) {
        match &*record.event_category {
            "Data" => self.tally.trail_data += 1,
            "Management" | "" => self.tally.trail_management += 1,
            _ => self.tally.trail_other += 1,
        }
        self.tally.time(record.time());
        observe_trail(record, raw, &mut |o| self.packer.add(&o));
    }

    fn log(&mut self, record: &LogRecord<'_>) {
        self.tally.log_events += 1;
        self.tally.dropped += u64::from(matches!(record.line, Line::LogsDropped { .. }));
        self.tally.reports += u64::from(matches!(record.line, Line::Report(_)));
        self.tally.time(record.time);
        observe_log(record, self.function, &mut |o| self.packer.add(&o));
    }

    fn control(&mut self) {
        self.tally.controls += 1;
    }

    fn reject(&mut self, reject: Reject) {
        (self.reject)(reject);
    }
}

/// Writes batches and the markers of their windows. Gives the number of records in batches that were there already.
pub async fn commit<S: Store>(store: &S, batches: &[Batch]) -> Result<u64, StoreError> {
    let mut duplicates = 0;
    let mut writes: Vec<Write> = Vec::new();
    let put = |key: Key, bytes| Write::put(key, bytes, Expect::Any);
    for batch in batches {
        let key = keys::batch(batch.window, batch.class, &batch.delivery_id());
        if store.load(&key).await?.is_some() {
            duplicates += batch.records();
            continue;
        }
        if writes.len() + 2 > COMMIT_WRITES_MAX {
            store.commit(std::mem::take(&mut writes)).await?;
        }
        writes.push(put(key, batch.encode()));
        if let Some(window) = batch.window {
            let marker = put(keys::pending(window), Vec::new());
            if !writes.contains(&marker) {
                writes.push(marker);
            }
        }
    }
    store.commit(writes).await?;
    Ok(duplicates)
}
