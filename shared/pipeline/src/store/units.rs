//! What a table bills for items, by DynamoDB's rules.
//!
//! A write costs a unit for each begun KiB of the whole item (names, keys and values), at least one; in a transaction
//! twice that. A read costs a unit for each begun 4 KiB, at least one, also where nothing is there; half of it where it may
//! lag, so reads are counted in halves. Prices are deliberately absent: they change, the rules don't.

use std::collections::BTreeMap;

use super::{Item, Key, Write};
use crate::keys;

const WRITE_UNIT_BYTES: usize = 1 << 10;
const READ_UNIT_BYTES: usize = 4 << 10;
/// Kinds that are told apart: twice as many as there are. Partitions are named by us, so it is never reached.
const KINDS_MAX: usize = 32;
/// Where kinds past [`KINDS_MAX`] are counted.
const OTHERS: &str = "others";

/// Requests and units of one kind of item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Loads and lists.
    pub reads: u64,
    /// Halves of read units.
    pub read_halves: u64,
    /// Puts and deletes.
    pub writes: u64,
    /// Write units.
    pub write_units: u64,
}

impl Count {
    fn plus(self, other: &Count) -> Count {
        Count {
            reads: self.reads + other.reads,
            read_halves: self.read_halves + other.read_halves,
            writes: self.writes + other.writes,
            write_units: self.write_units + other.write_units,
        }
    }
}

/// Requests and units by kind of item ([`keys::kind`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// By kind, in order.
    pub kinds: BTreeMap<String, Count>,
}

impl Units {
    /// All kinds together.
    pub fn total(&self) -> Count {
        self.kinds.values().fold(Count::default(), |sum, count| sum.plus(count))
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Units) {
        for (kind, count) in &other.kinds {
            let sum = self.count(kind);
            *sum = sum.plus(count);
        }
    }

    /// Counts a request that read this many bytes.
    pub fn read(&mut self, partition: &str, bytes: usize) {
        let count = self.count(partition);
        count.reads += 1;
        count.read_halves += read_halves(bytes, keys::reads_may_lag(partition));
    }

    /// Counts the writes of one commit.
    pub fn commit(&mut self, writes: &[Write]) {
        let times = if writes.len() > 1 { 2 } else { 1 };
        for write in writes {
            let count = self.count(&write.key().partition);
            count.writes += 1;
            count.write_units += times * write_units(write);
        }
    }

    fn count(&mut self, partition: &str) -> &mut Count {
        let kind = keys::kind(partition);
        let known = self.kinds.len() < KINDS_MAX || self.kinds.contains_key(kind);
        self.kinds.entry(if known { kind } else { OTHERS }.to_owned()).or_default()
    }
}

/// Bytes of an item in a table: the keys `p` and `s`, the content `b`, the revision `r`, and where it expires `x`.
pub fn item_bytes(key: &Key, content: usize, revision: u64, expires: bool) -> usize {
    // A time of this century has ten digits.
    let expiry = if expires { 1 + number_bytes(1_999_999_999) } else { 0 };
    1 + key.partition.len() + 1 + key.sort.len() + 1 + content + 1 + number_bytes(revision) + expiry
}

/// Bytes of an item that was read. Whether it expires isn't told, which is seven bytes.
pub fn read_bytes(key: &Key, item: &Item) -> usize {
    item_bytes(key, item.bytes.len(), item.revision, false)
}

/// A number takes one byte and one more for two digits.
fn number_bytes(number: u64) -> usize {
    let digits = number.checked_ilog10().map_or(1, |log| log as usize + 1);
    1 + digits.div_ceil(2)
}

/// Halves of read units of one request.
fn read_halves(bytes: usize, may_lag: bool) -> u64 {
    let units = bytes.div_ceil(READ_UNIT_BYTES).max(1) as u64;
    if may_lag { units } else { 2 * units }
}

/// Units of one write on its own. A delete, and a put over a larger item, cost what was there, which isn't told; markers,
/// the only items that are deleted one by one, are one unit.
fn write_units(write: &Write) -> u64 {
    match write {
        Write::Put { key, bytes, expires, .. } => {
            item_bytes(key, bytes.len(), 1, expires.is_some()).div_ceil(WRITE_UNIT_BYTES).max(1) as u64
        }
        Write::Delete { .. } => 1,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use outflow_core::observe::Class;
    use outflow_core::time::{Timestamp, WindowId};

    use super::*;
    use crate::store::Expect;

    fn put(key: Key, bytes: usize, expires: bool) -> Write {
        let expires = expires.then(|| Timestamp::from_ms(1_764_000_000_000)).flatten();
        Write::Put { key, bytes: vec![0; bytes], expect: Expect::Any, expires }
    }

    #[test]
    fn what_is_billed() {
        let batch = || keys::batch(Some(WindowId(5_880_000)), Class::Logs, &[7; 16]);
        let state = |name: &str| Key::new("b/123456789012", format!("farn:aws:lambda:eu-west-1:123456789012:function:{name}"));
        let cases: Vec<(&str, Vec<Write>)> = vec![
            ("a batch of 900 bytes", vec![put(batch(), 900, true)]),
            ("a batch of 1,024 bytes", vec![put(batch(), 1_024, true)]),
            ("state of 5,000 bytes", vec![put(state("a"), 5_000, false)]),
            ("state of 5,120 bytes", vec![put(state("a"), 5_120, false)]),
            ("a transaction of two items of 900 bytes", vec![put(state("a"), 900, false), put(state("b"), 900, false)]),
            ("a transaction of two items of 1,024 bytes", vec![put(state("a"), 1_024, false), put(state("b"), 1_024, false)]),
            ("a marker", vec![put(keys::pending(WindowId(1)), 0, false)]),
            ("its end", vec![Write::Delete { key: keys::pending(WindowId(1)) }]),
        ];
        let mut said = String::new();
        for (name, writes) in cases {
            let mut units = Units::default();
            units.commit(&writes);
            said += &format!("{name}: {}\n", units.total().write_units);
        }
        for (name, partition, bytes) in [
            ("nothing", "b/1", 0),
            ("4,096 bytes", "b/1", 4_096),
            ("4,097 bytes", "b/1", 4_097),
            ("4,097 bytes of batches", "w/1/l", 4_097),
        ] {
            let mut units = Units::default();
            units.read(partition, bytes);
            said += &format!("reading {name}: {} halves\n", units.total().read_halves);
        }
        expect![[r#"
            a batch of 900 bytes: 1
            a batch of 1,024 bytes: 2
            state of 5,000 bytes: 5
            state of 5,120 bytes: 6
            a transaction of two items of 900 bytes: 4
            a transaction of two items of 1,024 bytes: 8
            a marker: 1
            its end: 1
            reading nothing: 2 halves
            reading 4,096 bytes: 2 halves
            reading 4,097 bytes: 4 halves
            reading 4,097 bytes of batches: 2 halves
        "#]]
        .assert_eq(&said);
    }

    #[test]
    fn kinds_are_bounded() {
        let mut units = Units::default();
        for i in 0..100 {
            units.read(&format!("k{i}/more"), 1);
        }
        assert_eq!(units.kinds.len(), KINDS_MAX + 1);
        assert_eq!(units.total().reads, 100);
    }
}
