//! Bytes of a feed → batches in the store.
//!
//! [`Intake`] decodes and observes, and counts what it saw. What a packer gives is written in one of two ways: replay's
//! [`commit`] writes each batch once, with a marker that its window waits to be judged; the account's [`arrive`] only puts,
//! under the time of arrival, and marks what came late. Ingest only writes: it looks at no baseline and decides nothing.
//! What we write into the watched logs ourselves is left out, or every invocation would cause the next. There is
//! deliberately no file here: `source` finds those.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use outflow_core::batch::{Batch, Packer, deflated, delivery_id};
use outflow_core::config::LATE_MINUTES_LEAST;
use outflow_core::decode::{self, Decoded, Line, LogRecord, Reject, Scratch, Sink, TrailRecord};
use outflow_core::limits::BATCHES_KEPT_DAYS;
use outflow_core::observe::{Actor, Assumed, Class, observe_log, observe_trail};
use outflow_core::time::{DAY_MS, Timestamp, WindowId};

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
    /// Records of our own functions: counted, and left out.
    pub own: u64,
    /// Targets and permissions beyond what is taken of one record: counted, and left out.
    pub cut: u64,
    /// Observations of log events that name no function: they count as those of the one that is assumed.
    pub unnamed: u64,
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

/// How our own functions are recognised: their roles and log groups bear the name of their stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// How the names of our roles begin; empty: we have none.
    role_prefix: String,
    /// How the names of our log groups begin; empty: we have none.
    group_prefix: String,
}

impl Own {
    /// Everything of a stack whose functions and roles are named `prefix…`. An empty prefix is nobody's.
    pub fn of_stack(prefix: &str) -> Own {
        let group_prefix = if prefix.is_empty() { String::new() } else { format!("/aws/lambda/{prefix}") };
        Own { role_prefix: prefix.to_owned(), group_prefix }
    }

    /// A call of one of our functions: its role bears our name and is of the account that tells it. A role of another
    /// account may bear any name. What changes the account is judged, whoever does it: our functions change nothing, so it
    /// would be a thief of their keys.
    fn called(&self, record: &TrailRecord<'_>) -> bool {
        let changes = &*record.event_category != "Data" && &*record.read_only != "true";
        if self.role_prefix.is_empty() || changes {
            return false;
        }
        let identity = &record.user_identity;
        let issuer = identity.session_context.session_issuer.arn.rsplit_once(":role/").map(|(_, path)| path);
        let role = issuer.and_then(|path| path.rsplit('/').next());
        let session = || identity.arn.split_once(":assumed-role/").and_then(|(_, rest)| rest.split('/').next());
        let is_ours = role.or_else(session).is_some_and(|role| role.starts_with(&self.role_prefix));
        is_ours && *identity.account_id == *record.recipient_account_id
    }

    fn wrote(&self, record: &LogRecord<'_>) -> bool {
        !self.group_prefix.is_empty() && record.origin.group.starts_with(&self.group_prefix)
    }
}

/// Takes in one file or delivery after another.
pub struct Intake {
    /// Collects observations.
    pub packer: Packer,
    /// Counts.
    pub tally: Tally,
    own: Own,
    region: String,
    scratch: Scratch,
}

/// Decoding panicked where no single record was to blame.
#[derive(Debug, thiserror::Error)]
#[error("a defect of Outflow: reading it panicked")]
pub struct Panicked;

impl Intake {
    /// Begins with nothing.
    pub fn new(packer: Packer) -> Intake {
        Intake { packer, tally: Tally::default(), own: Own::default(), region: String::new(), scratch: Scratch::default() }
    }

    /// Leaves out what we wrote ourselves.
    pub fn without(self, own: Own) -> Intake {
        Intake { own, ..self }
    }

    /// Takes logs that name no Region, as those of a subscription, to be of this one.
    pub fn in_region(self, region: &str) -> Intake {
        Intake { region: region.to_owned(), ..self }
    }

    /// Decodes one file or delivery. `function` names the function where the content names none. Rejects go to `reject`.
    pub fn take(&mut self, bytes: &[u8], function: &str, reject: &mut dyn FnMut(Reject)) -> Decoded {
        let Intake { packer, tally, own, region, scratch } = self;
        let mut taker = Taker { packer, tally, own, region, function, reject };
        let decoded = decode::decode(bytes, scratch, &mut taker);
        tally.records += decoded.records;
        decoded
    }

    /// Like [`Intake::take`], where a panic must not cost the other deliveries. What was observed before it stays: it is true.
    pub fn try_take(&mut self, bytes: &[u8], function: &str, reject: &mut dyn FnMut(Reject)) -> Result<Decoded, Panicked> {
        catch_unwind(AssertUnwindSafe(|| self.take(bytes, function, reject))).map_err(|_| {
            self.scratch = Scratch::default();
            Panicked
        })
    }
}

struct Taker<'a> {
    packer: &'a mut Packer,
    tally: &'a mut Tally,
    own: &'a Own,
    region: &'a str,
    function: &'a str,
    reject: &'a mut dyn FnMut(Reject),
}

impl Sink for Taker<'_> {
    fn trail(&mut self, record: &TrailRecord<'_>, raw: &[u8]) {
        if self.own.called(record) {
            self.tally.own += 1;
            return;
        }
        match &*record.event_category {
            "Data" => self.tally.trail_data += 1,
            "Management" | "" => self.tally.trail_management += 1,
            _ => self.tally.trail_other += 1,
        }
        self.tally.time(record.time());
        self.tally.cut += observe_trail(record, raw, &mut |o| self.packer.add(&o));
    }

    fn log(&mut self, record: &LogRecord<'_>) {
        if self.own.wrote(record) {
            self.tally.own += 1;
            return;
        }
        self.tally.log_events += 1;
        self.tally.dropped += u64::from(matches!(record.line, Line::LogsDropped));
        self.tally.reports += u64::from(matches!(record.line, Line::Report(_)));
        self.tally.time(record.time);
        let assumed = Assumed { function: self.function, region: self.region };
        observe_log(record, &assumed, &mut |o| {
            let is_assumed = matches!(&o.subject.actor, Actor::Named { name, assumed: true, .. } if **name == *self.function);
            self.tally.unnamed += u64::from(is_assumed);
            self.packer.add(&o);
        });
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
        let bytes = batch.encode();
        let key = keys::batch(batch.window, batch.class, &delivery_id(&bytes));
        if store.load(&key).await?.is_some() {
            duplicates += batch.records();
            continue;
        }
        if writes.len() + 2 > COMMIT_WRITES_MAX {
            store.commit(std::mem::take(&mut writes)).await?;
        }
        writes.push(put(key, bytes));
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

/// Milliseconds after a window's end from which a batch counts as late. A window is judged a quarter of an hour after its end
/// at the earliest; its judge may have listed the batches before ours can be seen, so a mark comes two minutes before that: a
/// mark too many only costs a look.
const LATE_AFTER_MS: i64 = (LATE_MINUTES_LEAST as i64 - 2) * 60_000;
const KEPT_MS: i64 = BATCHES_KEPT_DAYS as i64 * DAY_MS;
/// Bytes of one batch: a table takes items of 400 KiB, names and keys included.
const ITEM_BATCH_BYTES_MAX: usize = 384 << 10;
/// Requests under way at once: a delivery falls into a few windows; a store that is full gets no more than this.
const PUTS_AT_ONCE: usize = 16;

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Batches.
    pub batches: u64,
    /// Of those, marked as late.
    pub late: u64,
}

/// Writes batches as they arrive in the account: each one put, then its mark where it is late; no read, no condition. A
/// retry writes under another second, which makes no difference to a union. After an error some are written and the rest
/// is not: whoever retries writes all again.
pub async fn arrive<S: Store>(store: &S, batches: &[Batch], now: Timestamp) -> Result<Arrived, StoreError> {
    let mut arrived = Arrived::default();
    let mut failed = None;
    let mut fitting = Vec::new();
    batches.iter().for_each(|batch| pack(batch, ITEM_BATCH_BYTES_MAX, &mut fitting));
    for some in fitting.chunks(PUTS_AT_ONCE) {
        for result in together(some.iter().map(|batch| arrive_one(store, batch, now))).await {
            match result {
                Ok(is_late) => {
                    arrived.batches += 1;
                    arrived.late += u64::from(is_late);
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
    }
    failed.map_or(Ok(arrived), Err)
}

/// The batch first: a mark without its batch would be read in vain.
async fn arrive_one<S: Store>(store: &S, batch: &Packed, now: Timestamp) -> Result<bool, StoreError> {
    let put = |key, bytes| vec![Write::Put { key, bytes, expect: Expect::Any, expires: Some(now.plus_ms(KEPT_MS)) }];
    let key = keys::arrived(batch.window, batch.class, &batch.id, now);
    let late = batch.window.filter(|window| now >= window.end().plus_ms(LATE_AFTER_MS)).map(|window| keys::late(window, batch.class, &key));
    store.commit(put(key, batch.bytes.clone())).await?;
    match late {
        None => Ok(false),
        Some(mark) => store.commit(put(mark, Vec::new())).await.map(|()| true),
    }
}

/// A batch as a table stores it.
struct Packed {
    window: Option<WindowId>,
    class: Class,
    id: [u8; 16],
    bytes: Vec<u8>,
}

/// Halves a batch until its parts fit: the union of the parts is the batch.
fn pack(batch: &Batch, bytes_max: usize, fitting: &mut Vec<Packed>) {
    let plain = batch.encode();
    let id = delivery_id(&plain);
    let bytes = deflated(plain);
    if batch.rows.len() < 2 || bytes.len() <= bytes_max {
        return fitting.push(Packed { window: batch.window, class: batch.class, id, bytes });
    }
    let (before, behind) = batch.rows.split_at(batch.rows.len() / 2);
    for rows in [before, behind] {
        let mut half = Batch { rows: rows.to_vec(), ..batch.clone() };
        // Subjects without a row are left out.
        half.keep(|_| true);
        pack(&half, bytes_max, fitting);
    }
}

/// Waits for all of some futures, in order.
async fn together<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    poll_fn(|context| {
        for (future, output) in running.iter_mut().filter(|(_, output)| output.is_none()) {
            if let Poll::Ready(value) = future.as_mut().poll(context) {
                *output = Some(value);
            }
        }
        if running.iter().all(|(_, output)| output.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}

#[cfg(test)]
mod tests;
