//! Observations ↔ packed, immutable batches.
//!
//! AWS delivers everything at least once, in any order, cut differently each time; so nothing is counted on arrival. The
//! observations of one delivery (or of many, packed together) that fall into one window and class become one [`Batch`]:
//! a table of subjects with the first and last event of each, and for every observation a 40-bit keyed hash of its AWS
//! identity, the number of its subject and up to two log-spaced buckets. A window is the set union of its batches, so
//! duplicates and other cuts make no difference. There is deliberately no counter here.
//!
//! Layout, format 3: format, window, class, number of names, names, number of subjects, subjects, rows; all numbers as in
//! `varint`. Where a table bills by the kilobyte it is deflated: format 4, the inflated length, the deflated bytes.

mod codec;

pub use codec::deflated;

use std::collections::{HashMap, hash_map};
use std::hash::{BuildHasherDefault, Hash, Hasher};

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128, SipHasher13 as SipHasher128};

use crate::limits::{EVENT_ID_MAX, PACKER_ROWS_FULL};
use crate::observe::{Class, Observation, Subject};
use crate::time::{WINDOW_MS, WindowId};

/// Bits of an observation's identity, of which the lowest says that it stands for its record: in a window of 10,000
/// observations two meet by chance once in 10,000 windows.
const IDENTITY_BITS: u32 = 40;

/// The secret key of identities: without it nobody can write two events that count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashKey(pub [u8; 16]);

/// The id of the AWS event at one end of a subject's observations in a window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EventId {
    /// The record had none.
    None,
    /// As AWS writes nearly all of them.
    Uuid([u8; 16]),
    /// Any other.
    Text(String),
}

impl EventId {
    /// Reads a UUID, or keeps the text (cut to a bound).
    pub fn new(text: &str) -> EventId {
        if text.is_empty() {
            return EventId::None;
        }
        uuid(text).map_or_else(|| EventId::Text(text.chars().take(EVENT_ID_MAX).collect()), EventId::Uuid)
    }
}

impl std::fmt::Display for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EventId::None => Ok(()),
            EventId::Text(text) => f.write_str(text),
            EventId::Uuid(bytes) => {
                for (i, byte) in bytes.iter().enumerate() {
                    let hyphen = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
                    write!(f, "{hyphen}{byte:02x}")?;
                }
                Ok(())
            }
        }
    }
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    let b = text.as_bytes();
    if b.len() != 36 {
        return None;
    }
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let mut out = [0; 16];
    let mut at = 0;
    for (i, byte) in out.iter_mut().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            if b[at] != b'-' {
                return None;
            }
            at += 1;
        }
        *byte = digit(b[at])? << 4 | digit(b[at + 1])?;
        at += 2;
    }
    Some(out)
}

/// One end: milliseconds since the window's start, and the event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    /// Milliseconds since the window's start.
    pub offset_ms: u32,
    /// Which event.
    pub event: EventId,
}

/// A subject in a batch, with the first and last of its events there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who and what.
    pub subject: Subject<'static>,
    /// The earliest.
    pub first: End,
    /// The latest.
    pub last: End,
}

impl Entry {
    fn widen(&mut self, offset_ms: u32, end: impl Fn() -> End) {
        if offset_ms <= self.first.offset_ms {
            self.first = self.first.clone().min(end());
        }
        if offset_ms >= self.last.offset_ms {
            self.last = self.last.clone().max(end());
        }
    }
}

/// One observation in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    /// Number of its subject in the batch's table.
    pub subject: u32,
    /// Keyed hash of the AWS identity, 40 bits.
    pub identity: u64,
    /// [`bucket`]s of the values plus one; 0 where absent.
    pub values: [u16; 2],
}

/// The observations of one or more deliveries in one window and class. No window: records without a usable time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// When.
    pub window: Option<WindowId>,
    /// Which lateness.
    pub class: Class,
    /// Subjects, in order.
    pub entries: Vec<Entry>,
    /// Observations, in order of subject and identity, none twice.
    pub rows: Vec<Row>,
}

impl Row {
    /// Whether it stands for its record.
    pub fn is_primary(&self) -> bool {
        self.identity & 1 == 1
    }
}

impl Batch {
    /// Records in it.
    pub fn records(&self) -> u64 {
        self.rows.iter().filter(|r| r.is_primary()).count() as u64
    }

    /// Keeps only some of its rows, and the subjects that still have any.
    pub fn keep(&mut self, which: impl Fn(&Row) -> bool) {
        self.rows.retain(which);
        let mut rank = vec![None; self.entries.len()];
        let mut next = 0;
        for row in &mut self.rows {
            let Some(place) = rank.get_mut(row.subject as usize) else { continue };
            row.subject = *place.get_or_insert_with(|| {
                next += 1;
                next - 1
            });
        }
        let mut ranks = rank.iter();
        self.entries.retain(|_| ranks.next().is_some_and(Option::is_some));
    }
}

/// The hash of what [`Batch::encode`] wrote, which is sorted: a retry of the same delivery overwrites itself, and another
/// telling of the same events does not.
pub fn delivery_id(encoded: &[u8]) -> [u8; 16] {
    let mut id = [0; 16];
    id.copy_from_slice(&blake3::hash(encoded).as_bytes()[..16]);
    id
}

/// Log-linear buckets, base 2, sixteen to an octave (6 %), as the `histogram` crate lays them out with grouping power 4.
pub fn bucket(value: f64) -> u16 {
    let v = value.clamp(0.0, (1u64 << 40) as f64) as u64;
    if v < 32 {
        return v as u16;
    }
    let octave = 63 - v.leading_zeros();
    (32 + (octave - 5) * 16 + ((v >> (octave - 4)) as u32 - 16)) as u16
}

/// The middle of a bucket.
pub fn bucket_value(index: u16) -> f64 {
    if index < 32 {
        return f64::from(index);
    }
    let (octave, step) = ((index - 32) / 16 + 5, (index - 32) % 16);
    let width = (1u64 << (octave - 4).min(60)) as f64;
    (f64::from(step) + 16.0) * width + (width - 1.0) / 2.0
}

/// Packs the observations of one or more deliveries.
pub struct Packer {
    key: HashKey,
    /// Places of subjects in windows, by the keyed hash of both.
    places: HashMap<u128, u32, BuildHasherDefault<Hashed>>,
    /// By place: the window and the class, and the subject with its ends.
    kinds: Vec<(u32, Class)>,
    entries: Vec<Option<Entry>>,
    /// With the place instead of a number in a batch.
    rows: Vec<Row>,
}

/// The hash of what is a keyed hash already: a part of it. Only for keys that nobody can choose.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The window number of records without a usable time.
const UNTIMED: u32 = u32::MAX;

impl Packer {
    /// An empty packer.
    pub fn new(key: HashKey) -> Packer {
        Packer { key, places: HashMap::default(), kinds: Vec::new(), entries: Vec::new(), rows: Vec::new() }
    }

    /// Takes one observation.
    pub fn add(&mut self, o: &Observation<'_>) {
        let window = o.time.map_or(UNTIMED, |t| t.window().0);
        let offset_ms = o.time.map_or(0, |t| t.ms().rem_euclid(WINDOW_MS) as u32);
        let end = || End { offset_ms, event: EventId::new(o.event_id) };
        let hash = place_hash(self.key, &o.subject, window);
        let place = match self.places.entry(hash) {
            hash_map::Entry::Vacant(vacant) => {
                let only = end();
                self.kinds.push((window, o.subject.class));
                self.entries.push(Some(Entry { subject: o.subject.to_owned(), first: only.clone(), last: only }));
                *vacant.insert((self.entries.len() - 1) as u32)
            }
            hash_map::Entry::Occupied(known) => {
                let place = *known.get();
                if let Some(Some(entry)) = self.entries.get_mut(place as usize) {
                    entry.widen(offset_ms, end);
                }
                place
            }
        };
        let value = |v: f64| if v > 0.0 { bucket(v) + 1 } else { 0 };
        self.rows.push(Row { subject: place, identity: self.identity(o, hash), values: [value(o.values[0]), value(o.values[1])] });
    }

    /// Whether it is time to [`Packer::finish`].
    pub fn is_full(&self) -> bool {
        self.rows.len() >= PACKER_ROWS_FULL
    }

    /// Gives the batches, one a window and class, in that order, and the number of records that came more than once; is
    /// empty again.
    pub fn finish(&mut self) -> (Vec<Batch>, u64) {
        let order = self.order();
        let mut rank = vec![0u32; order.len()];
        order.iter().zip(0..).for_each(|(&place, i)| rank[place] = i);
        self.rows.iter_mut().for_each(|row| row.subject = rank[row.subject as usize]);
        self.rows.sort_unstable();
        let records = |rows: &[Row]| rows.iter().filter(|r| r.is_primary()).count() as u64;
        let before = records(&self.rows);
        self.rows.dedup();
        let duplicates = before - records(&self.rows);
        let (mut batches, mut rows) = (Vec::new(), self.rows.as_slice());
        for places in order.chunk_by(|&a, &b| self.kinds[a] == self.kinds[b]) {
            let ((window, class), first) = (self.kinds[places[0]], rank[places[0]]);
            let (own, others) = rows.split_at(rows.partition_point(|row| row.subject < first + places.len() as u32));
            rows = others;
            let mut entries = Vec::with_capacity(places.len());
            entries.extend(places.iter().filter_map(|&place| self.entries[place].take()));
            let window = (window != UNTIMED).then_some(WindowId(window));
            let rows = own.iter().map(|row| Row { subject: row.subject - first, ..*row }).collect();
            batches.push(Batch { window, class, entries, rows });
        }
        // Their room is kept for what comes next.
        self.places.clear();
        self.kinds.clear();
        self.entries.clear();
        self.rows.clear();
        (batches, duplicates)
    }

    /// Places in order of window and subject. Names are compared within a window alone.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.kinds.len()).collect();
        order.sort_by_key(|&place| self.kinds[place]);
        let subject = |place: usize| self.entries[place].as_ref().map(|entry| &entry.subject);
        for places in order.chunk_by_mut(|&a, &b| self.kinds[a] == self.kinds[b]) {
            places.sort_unstable_by(|&a, &b| subject(a).cmp(&subject(b)));
        }
        order
    }

    /// A record of CloudTrail says the same in every feed, so its identity holds all that it says: whoever can plant a record
    /// under the id of another adds one and takes none away. The log of a function says who it is in some feeds and not in
    /// others, so there the id, the instant and the function's name are all.
    fn identity(&self, o: &Observation<'_>, subject: u128) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.key.0);
        hasher.write(o.identity.id);
        hasher.write(&o.identity.ordinal.to_le_bytes());
        hasher.write(o.identity.scope);
        if o.subject.class == Class::Trail {
            hasher.write(&subject.to_le_bytes());
        }
        hasher.finish() >> (64 - IDENTITY_BITS) & !1 | u64::from(o.identity.primary)
    }
}

fn place_hash(key: HashKey, subject: &Subject<'_>, window: u32) -> u128 {
    let mut hasher = SipHasher128::new_with_key(&key.0);
    subject.hash(&mut hasher);
    hasher.write_u32(window);
    hasher.finish128().as_u128()
}
