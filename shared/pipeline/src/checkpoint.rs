//! What is known, written as a whole: so many values, all of them as of one step.
//!
//! A store writes at most a hundred items at once, and an account knows thousands of baselines. So every value has two
//! slots, of which a checkpoint writes the one that the last checkpoint does not stand on; at the end the head is moved to
//! the new step, and that one write makes all of it count. Whoever reads takes of each value the newest slot that is not
//! newer than the head: after a crash in between that is the old checkpoint, whole. Every write expects the revision that
//! was read or written last, so of two writers one fails and begins anew. A value that did not change is not written.
//!
//! A value is cut into parts where it is larger than an item may be. Nothing is deleted: a value that was there stays.
//! There is deliberately no compression: what is large is packed already.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use outflow_core::stored::from_cbor;

use crate::keys;
use crate::store::{Expect, Store, StoreError, Write, list};

/// Bytes of one part: DynamoDB's items end at 400 KB, keys and names included.
const PART_BYTES_MAX: usize = 360_000;
/// Format of heads and parts.
const FORMAT: u8 = 1;

/// One part of a value in one of its two slots.
#[derive(Encode, Decode)]
struct Part {
    #[n(0)]
    format: u8,
    #[n(1)]
    name: String,
    #[n(2)]
    step: u64,
    #[n(3)]
    parts: u32,
    #[cbor(n(4), with = "minicbor::bytes")]
    bytes: Vec<u8>,
}

/// Which checkpoint counts.
#[derive(Encode, Decode)]
struct Head {
    #[n(0)]
    format: u8,
    #[n(1)]
    step: u64,
}

/// A slot as it stands in the store.
#[derive(Clone, Debug, Default)]
struct Slot {
    /// The step of its newest part; 0 where it was never written.
    step: u64,
    /// Revisions of its parts, those of older and longer values included.
    revisions: Vec<u64>,
}

/// What the last checkpoint stands on.
#[derive(Debug, Default)]
pub struct Checkpoint {
    /// Steps that are in it.
    step: u64,
    head_revision: u64,
    slots: BTreeMap<String, [Slot; 2]>,
}

impl Checkpoint {
    /// Reads the values of the last checkpoint, by name.
    pub async fn load<S: Store>(store: &S) -> Result<(Checkpoint, BTreeMap<String, Vec<u8>>), StoreError> {
        let mut checkpoint = Checkpoint::default();
        if let Some(item) = store.load(&keys::head()).await? {
            let head: Head = from_cbor(&item.bytes, FORMAT).map_err(|why| StoreError::unreadable(&keys::head(), why))?;
            (checkpoint.step, checkpoint.head_revision) = (head.step, item.revision);
        }
        let mut read: BTreeMap<String, [Vec<Part>; 2]> = BTreeMap::new();
        for partition in keys::checkpoints() {
            for (key, item) in list(store, &partition).await? {
                let part: Part = from_cbor(&item.bytes, FORMAT).map_err(|why| StoreError::unreadable(&key, why))?;
                let (slot, _) = keys::checkpoint_place(&key).ok_or(StoreError::Corrupt { key })?;
                let slots = checkpoint.slots.entry(part.name.clone()).or_default();
                slots[slot].step = slots[slot].step.max(part.step);
                slots[slot].revisions.push(item.revision);
                read.entry(part.name.clone()).or_default()[slot].push(part);
            }
        }
        let mut values = BTreeMap::new();
        for (name, slots) in read {
            let newest = slots.into_iter().filter_map(|parts| whole(parts, checkpoint.step)).max_by_key(|(step, _)| *step);
            values.extend(newest.map(|(_, bytes)| (name, bytes)));
        }
        Ok((checkpoint, values))
    }

    /// The last step in it.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Writes the values that changed since the last checkpoint, and then makes them count. After an error this value
    /// knows no longer what stands in the store: load again.
    pub async fn save<S: Store>(&mut self, store: &S, step: u64, changed: BTreeMap<String, Vec<u8>>) -> Result<(), StoreError> {
        for (name, bytes) in changed {
            self.put(store, step, &name, &bytes).await?;
        }
        let head = minicbor::to_vec(Head { format: FORMAT, step }).unwrap_or_default();
        store.commit(vec![Write::put(keys::head(), head, expect(self.head_revision))]).await?;
        (self.step, self.head_revision) = (step, self.head_revision + 1);
        Ok(())
    }

    async fn put<S: Store>(&mut self, store: &S, step: u64, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let head = self.step;
        let slots = self.slots.entry(name.to_owned()).or_default();
        let stood_on = (0..2).filter(|&i| slots[i].step > 0 && slots[i].step <= head).max_by_key(|&i| slots[i].step);
        let free = stood_on.map_or(0, |i| 1 - i);
        let pieces: Vec<&[u8]> = if bytes.is_empty() { vec![&[]] } else { bytes.chunks(PART_BYTES_MAX).collect() };
        let slot = &mut slots[free];
        for (n, piece) in pieces.iter().enumerate() {
            let part = Part { format: FORMAT, name: name.to_owned(), step, parts: pieces.len() as u32, bytes: piece.to_vec() };
            let known = slot.revisions.get(n).copied().unwrap_or_default();
            let write = Write::put(keys::checkpoint(name, free, n), minicbor::to_vec(part).unwrap_or_default(), expect(known));
            store.commit(vec![write]).await?;
            if let Some(revision) = slot.revisions.get_mut(n) {
                *revision += 1;
            } else {
                slot.revisions.push(1);
            }
        }
        slot.step = step;
        Ok(())
    }
}

fn expect(revision: u64) -> Expect {
    if revision == 0 { Expect::Absent } else { Expect::Revision(revision) }
}

/// The value of a slot, if all its parts are of one step that the head has reached. Parts of an older, longer value may
/// follow.
fn whole(parts: Vec<Part>, head: u64) -> Option<(u64, Vec<u8>)> {
    let (step, n) = parts.first().map(|first| (first.step, first.parts as usize))?;
    if step > head || parts.len() < n || parts.iter().take(n).any(|p| p.step != step) {
        return None;
    }
    Some((step, parts.into_iter().take(n).flat_map(|p| p.bytes).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::embedded::Embedded;
    use pollster::block_on;

    fn values(pairs: &[(&str, &[u8])]) -> BTreeMap<String, Vec<u8>> {
        pairs.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect()
    }

    fn load(store: &Embedded) -> (Checkpoint, BTreeMap<String, Vec<u8>>) {
        block_on(Checkpoint::load(store)).unwrap()
    }

    #[test]
    fn values_come_back_as_of_the_last_head() {
        let store = Embedded::temporary().unwrap();
        let (mut checkpoint, nothing) = load(&store);
        assert!(nothing.is_empty());
        let long = vec![7; 3 * PART_BYTES_MAX / 2];
        block_on(checkpoint.save(&store, 3, values(&[("a", b"1"), ("b", &long), ("c", b"")]))).unwrap();
        let (mut checkpoint, read) = load(&store);
        assert_eq!(read, values(&[("a", b"1"), ("b", &long), ("c", b"")]));
        assert_eq!(checkpoint.step(), 3);
        // Three more, of which the second is shorter and the third long again, in the slot that had been long.
        block_on(checkpoint.save(&store, 4, values(&[("b", b"2")]))).unwrap();
        block_on(checkpoint.save(&store, 5, values(&[("a", b"5"), ("b", b"short")]))).unwrap();
        assert_eq!(load(&store).1, values(&[("a", b"5"), ("b", b"short"), ("c", b"")]));
        block_on(checkpoint.save(&store, 9, values(&[("b", &long)]))).unwrap();
        assert_eq!(load(&store).1, values(&[("a", b"5"), ("b", &long), ("c", b"")]));
    }

    #[test]
    fn a_checkpoint_that_was_torn_apart_does_not_count() {
        let store = Embedded::temporary().unwrap();
        let (mut checkpoint, _) = load(&store);
        block_on(checkpoint.save(&store, 1, values(&[("a", b"old"), ("b", b"old")]))).unwrap();
        block_on(checkpoint.put(&store, 2, "a", b"new")).unwrap();
        let (mut checkpoint, read) = load(&store);
        assert_eq!(read, values(&[("a", b"old"), ("b", b"old")]));
        block_on(checkpoint.save(&store, 4, values(&[("b", b"newer")]))).unwrap();
        // The torn write of step 2 is older than the head, but it is the same as what the steps up to 4 lead to: whoever
        // went on from 1 has passed 2 again and would have written the value had it changed otherwise.
        let (mut checkpoint, read) = load(&store);
        assert_eq!(read.get("b").map(Vec::as_slice), Some(&b"newer"[..]));
        block_on(checkpoint.save(&store, 5, values(&[("a", b"newest")]))).unwrap();
        assert_eq!(load(&store).1, values(&[("a", b"newest"), ("b", b"newer")]));
    }

    #[test]
    fn a_newer_head_is_no_damage() {
        let store = Embedded::temporary().unwrap();
        for (head, format) in [(minicbor::to_vec((FORMAT + 1, "another layout")).unwrap(), Some(2)), (vec![0xff], None)] {
            block_on(store.commit(vec![Write::put(keys::head(), head, Expect::Any)])).unwrap();
            let told = match block_on(Checkpoint::load(&store)) {
                Err(StoreError::Format { key, format }) => Some((key, Some(format))),
                Err(StoreError::Corrupt { key }) => Some((key, None)),
                _ => None,
            };
            assert_eq!(told, Some((keys::head(), format)));
        }
    }

    #[test]
    fn of_two_writers_one_fails() {
        let store = Embedded::temporary().unwrap();
        let (mut first, _) = load(&store);
        block_on(first.save(&store, 1, values(&[("a", b"1")]))).unwrap();
        let (mut second, _) = load(&store);
        block_on(first.save(&store, 2, values(&[("a", b"2")]))).unwrap();
        let late = block_on(second.save(&store, 2, values(&[("a", b"x")])));
        assert!(matches!(late, Err(StoreError::Conflict)), "{late:?}");
        assert_eq!(load(&store).1, values(&[("a", b"2")]));
    }
}
