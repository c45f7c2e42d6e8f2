//! The table's twin in memory, for tests that run thousands of times.
//!
//! A clone is another handle to the same items, so that two evaluators can share one. It refuses what a table refuses, and
//! it forgets what has expired only when told: a table does so days late, and until then such items are still read.
//! There is deliberately nothing about time or durability here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outflow_core::time::Timestamp;

use super::{Expect, Item, Key, Store, StoreError, Write};

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

    /// Everything that stands there, in order of keys.
    pub fn items(&self) -> Vec<(Key, Item)> {
        self.held().iter().map(|(key, held)| (key.clone(), held.item.clone())).collect()
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

