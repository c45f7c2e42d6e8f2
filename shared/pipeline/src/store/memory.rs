//! The table's twin in memory, for tests that run thousands of times.
//!
//! A clone is another handle to the same items, so that two evaluators can share one. It refuses what a table refuses, and
//! it forgets what has expired only when told: a table does so days late, and until then such items are still read.
//! There is deliberately nothing about time or durability here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outflow_core::time::Timestamp;

use super::{Expect, Item, Key, Store, StoreError, Write, fits_table};

/// A store in memory.
#[derive(Clone, Default)]
pub struct Memory {
    items: Arc<Mutex<BTreeMap<Key, Held>>>,
}

#[derive(Clone)]
struct Held {
    item: Item,
    expires: Option<Timestamp>,
}

impl Memory {
    /// With nothing in it.
    pub fn new() -> Memory {
        Memory::default()
    }

    /// A copy of its own, from where a test goes several ways.
    pub fn fork(&self) -> Memory {
        Memory { items: Arc::new(Mutex::new(self.held().clone())) }
    }

    /// Everything that stands there, in order of keys.
    pub fn items(&self) -> Vec<(Key, Item)> {
        self.held().iter().map(|(key, held)| (key.clone(), held.item.clone())).collect()
    }

    /// Loses everything.
    pub fn forget_all(&self) {
        self.held().clear();
    }

    /// Takes away what has expired by then.
    pub fn forget(&self, now: Timestamp) {
        self.held().retain(|_, held| held.expires.is_none_or(|at| at > now));
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Key, Held>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    async fn load(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        Ok(self.held().get(key).map(|held| held.item.clone()))
    }

    async fn list(&self, partition: &str, from: &str, limit: usize) -> Result<Vec<(Key, Item)>, StoreError> {
        let held = self.held();
        let items = held.range(Key::new(partition, from)..).take_while(|(key, _)| key.partition == partition);
        Ok(items.take(limit).map(|(key, held)| (key.clone(), held.item.clone())).collect())
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        fits_table(&writes)?;
        let mut held = self.held();
        let revision = |key: &Key| held.get(key).map(|h| h.item.revision);
        if !writes.iter().all(|write| holds(write, revision(write.key()))) {
            return Err(StoreError::Conflict);
        }
        for write in writes {
            match write {
                Write::Delete { key } => drop(held.remove(&key)),
                Write::Put { key, bytes, expires, .. } => {
                    let revision = held.get(&key).map_or(0, |h| h.item.revision) + 1;
                    held.insert(key, Held { item: Item { revision, bytes }, expires });
                }
            }
        }
        Ok(())
    }
}

fn holds(write: &Write, found: Option<u64>) -> bool {
    match write {
        Write::Delete { .. } | Write::Put { expect: Expect::Any, .. } => true,
        Write::Put { expect: Expect::Absent, .. } => found.is_none(),
        Write::Put { expect: Expect::Revision(expected), .. } => found == Some(*expected),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::embedded::Embedded;
    use crate::store::{ITEM_BYTES_MAX, SORT_BYTES_MAX, conformance};

    #[test]
    fn conforms() {
        pollster::block_on(conformance::all(&Memory::new()));
    }

    /// A key of few, so that writes meet, and what one write expects.
    fn write() -> impl Strategy<Value = Write> {
        let expect = prop_oneof![Just(Expect::Any), Just(Expect::Absent), (0..4u64).prop_map(Expect::Revision)];
        let key = ("[pq]", "[ab]?").prop_map(|(partition, sort)| Key::new(partition, sort));
        prop_oneof![
            1 => key.clone().prop_map(|key| Write::Delete { key }),
            4 => (key, any::<u8>(), expect).prop_map(|(key, byte, expect)| Write::put(key, vec![byte], expect)),
        ]
    }

    proptest! {
        // A file for each: some dozens take a second or two.
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn it_answers_as_the_embedded_store(commits in prop::collection::vec(prop::collection::vec(write(), 0..4), 1..30)) {
            let (one, other) = (Memory::new(), Embedded::temporary().unwrap());
            for writes in commits {
                let answers = [pollster::block_on(one.commit(writes.clone())), pollster::block_on(other.commit(writes))];
                prop_assert_eq!(format!("{:?}", answers[0]), format!("{:?}", answers[1]));
            }
            let all = |partition| pollster::block_on(other.list(partition, "", 100)).unwrap();
            prop_assert_eq!(one.items(), [all("p"), all("q")].concat());
        }
    }

    #[test]
    fn clones_share_and_what_expired_is_forgotten_when_told() {
        let (one, other) = (Memory::new(), Memory::new());
        let twin = one.clone();
        let at = |ms: i64| Timestamp::from_ms(1_760_000_000_000 + ms);
        let put = |sort: &str, expires| Write::Put { key: Key::new("p", sort), bytes: vec![1], expect: Expect::Absent, expires };
        for write in [put("a", at(0)), put("b", at(1)), put("c", None)] {
            pollster::block_on(one.commit(vec![write])).unwrap();
        }
        twin.forget(at(0).unwrap());
        let left: Vec<String> = one.items().into_iter().map(|(key, _)| key.sort).collect();
        assert_eq!(left, ["b", "c"]);
        assert!(other.items().is_empty());
    }

    #[test]
    fn what_no_table_takes_is_refused() {
        let put = |key: Key, bytes| pollster::block_on(Memory::new().commit(vec![Write::put(key, vec![0; bytes], Expect::Any)]));
        assert!(put(Key::new("p", "x".repeat(SORT_BYTES_MAX)), 1).is_ok());
        for (key, bytes) in [
            (Key::new("p", "x".repeat(SORT_BYTES_MAX + 1)), 1),
            (Key::new("p".repeat(2_049), "x"), 1),
            (Key::new("p", "x"), ITEM_BYTES_MAX),
        ] {
            assert!(matches!(put(key, bytes), Err(StoreError::Unfit(1))));
        }
        let many = (0..11).map(|i| Write::put(Key::new("p", i.to_string()), vec![0; 400_000], Expect::Any)).collect();
        assert!(matches!(pollster::block_on(Memory::new().commit(many)), Err(StoreError::Unfit(11))));
    }
}
