//! An account in this process: records come as AWS delivers them, and evaluate runs every minute of simulated time.
//!
//! Records are taken out of their files and cut anew: lines of a stream by the minute, records of the trail in files of a
//! few minutes, each after a delay within the lateness. A [`Cut`] says which deliveries come twice, in another order, in
//! other pieces, or by a second feed. There is deliberately no process and no network here: see the end-to-end tests.

use std::collections::BTreeMap;
use std::path::Path;

use outflow_core::batch::{HashKey, Packer};
use outflow_core::time::Timestamp;
use outflow_pipeline::ingest::{Intake, arrive};
use outflow_pipeline::store::{Store, StoreError};
use serde_json::Value;

use crate::dice::Dice;
use crate::forms::{self, Event, Stream};

/// The key of identities in tests.
pub const HASH_KEY: HashKey = HashKey([7; 16]);
/// Where the books service runs.
pub const REGION: &str = "eu-west-1";
const MINUTE_MS: i64 = 60_000;

/// Records without their files.
#[derive(Clone, Default)]
pub struct Records {
    /// Records of the trail, with their time in milliseconds since 1970.
    pub trail: Vec<(i64, Value)>,
    /// Log events, with their stream.
    pub events: Vec<(Stream, Event)>,
}

impl Records {
    /// Takes the records out of the gzipped files of a folder: a trail's, and messages of a log subscription.
    pub fn read(folder: &Path) -> Records {
        let mut records = Records::default();
        for path in crate::files_under(folder).iter().filter(|p| p.extension().is_some_and(|e| e == "gz")) {
            let file: Value = serde_json::from_str(&forms::gunzip(&std::fs::read(path).unwrap())).unwrap();
            if let Some(all) = file["Records"].as_array() {
                records.trail.extend(all.iter().map(|r| (event_time_ms(r), r.clone())));
                continue;
            }
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let stream = Stream { owner: text(&file["owner"]), group: text(&file["logGroup"]), name: text(&file["logStream"]) };
            for e in file["logEvents"].as_array().unwrap() {
                let event = Event { id: text(&e["id"]), at_ms: e["timestamp"].as_i64().unwrap(), message: text(&e["message"]) };
                records.events.push((stream.clone(), event));
            }
        }
        records.trail.sort_by_key(|(at, _)| *at);
        records.events.sort_by_key(|(_, e)| e.at_ms);
        records
    }

    /// Those from `from` up to but without `to`, in milliseconds since 1970.
    pub fn between(&self, from: i64, to: i64) -> Records {
        let within = |at: i64| from <= at && at < to;
        Records {
            trail: self.trail.iter().filter(|(at, _)| within(*at)).cloned().collect(),
            events: self.events.iter().filter(|(_, e)| within(e.at_ms)).cloned().collect(),
        }
    }
}

fn event_time_ms(record: &Value) -> i64 {
    Timestamp::parse(record["eventTime"].as_str().unwrap()).unwrap().ms()
}

/// How records are delivered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cut {
    /// Of the choices below.
    pub seed: u64,
    /// Deliveries of a hundred that come twice, the second time up to three minutes later.
    pub twice: u64,
    /// Deliveries are delayed by chance within the lateness, so that they come in another order.
    pub shuffled: bool,
    /// Deliveries of a hundred that are cut into two at a record.
    pub cut: u64,
    /// Records of the trail of a hundred that also come alone, as an event of EventBridge.
    pub by_event_bus: u64,
}

/// Something that a function is called with.
#[derive(Clone)]
pub struct Delivery {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// A trail's file, or a message of a log subscription.
    pub bytes: Vec<u8>,
}

/// The records as they come, in order of arrival.
pub fn deliveries(records: &Records, cut: &Cut) -> Vec<Delivery> {
    let mut dice = Dice(cut.seed);
    let mut pieces: Vec<(i64, Piece)> = Vec::new();
    let mut minutes: BTreeMap<(i64, usize), (Stream, Vec<Event>)> = BTreeMap::new();
    let mut streams: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (stream, event) in &records.events {
        let n = streams.len();
        let number = *streams.entry((stream.group.clone(), stream.name.clone())).or_insert(n);
        let minute = minutes.entry((event.at_ms / MINUTE_MS, number)).or_insert_with(|| (stream.clone(), Vec::new()));
        minute.1.push(event.clone());
    }
    pieces.extend(minutes.into_iter().map(|((minute, _), (stream, events))| ((minute + 1) * MINUTE_MS, Piece::Logs(stream, events))));
    let mut files: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
    for (at, record) in &records.trail {
        files.entry(at / (3 * MINUTE_MS)).or_default().push(record.clone());
    }
    pieces.extend(files.into_iter().map(|(n, records)| ((n + 1) * 3 * MINUTE_MS, Piece::Trail(records))));
    let mut all = Vec::new();
    for (end, piece) in pieces {
        let reach = if matches!(piece, Piece::Logs(..)) { 2 } else { 7 } * MINUTE_MS;
        let later = |dice: &mut Dice| end + if cut.shuffled { dice.ms_below(reach) } else { reach / 2 };
        if let Piece::Trail(records) = &piece {
            let alone = records.iter().filter(|_| dice.chance(cut.by_event_bus));
            let events: Vec<Delivery> = alone.map(|r| Delivery { at_ms: end, bytes: forms::bus_event(r) }).collect();
            all.extend(events);
        }
        let parts = if dice.chance(cut.cut) { piece.halves(&mut dice) } else { vec![piece] };
        for part in parts {
            let (at_ms, bytes) = (later(&mut dice), part.bytes());
            if dice.chance(cut.twice) {
                all.push(Delivery { at_ms: at_ms + dice.ms_below(MINUTE_MS), bytes: bytes.clone() });
            }
            all.push(Delivery { at_ms, bytes });
        }
    }
    all.sort_by_key(|d| d.at_ms);
    all
}

enum Piece {
    Logs(Stream, Vec<Event>),
    Trail(Vec<Value>),
}

impl Piece {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Piece::Logs(stream, events) => forms::awslogs(stream, events),
            Piece::Trail(records) => forms::trail_file(records),
        }
    }

    fn halves(self, dice: &mut Dice) -> Vec<Piece> {
        match self {
            Piece::Logs(stream, mut events) => {
                let rest = events.split_off(dice.place(events.len() + 1));
                let parts = [events, rest].into_iter().filter(|e| !e.is_empty());
                parts.map(|e| Piece::Logs(stream.clone(), e)).collect()
            }
            Piece::Trail(mut records) => {
                let rest = records.split_off(dice.place(records.len() + 1));
                [records, rest].into_iter().filter(|r| !r.is_empty()).map(Piece::Trail).collect()
            }
        }
    }
}

/// What ingest does with one delivery.
pub async fn take_in<S: Store>(store: &S, intake: &mut Intake, delivery: &Delivery) -> Result<(), StoreError> {
    intake.take(&delivery.bytes, "", &mut |reject| panic!("{reject:?}"));
    let at = Timestamp::from_ms(delivery.at_ms).unwrap();
    let batches = intake.packer.finish().0;
    arrive(store, &batches, at).await.map(|_| ())
}

/// An intake for [`take_in`].
pub fn intake() -> Intake {
    Intake::new(Packer::new(HASH_KEY)).in_region(REGION)
}
