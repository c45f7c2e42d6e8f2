//! Counts what a table bills for the requests that pass through to another store.
//!
//! Units are computed from the items, so that a replay on any store tells what it would cost in an account. What can't be
//! seen from here is left out: an item that was larger before, the rounding of each page of a list, tries again inside
//! the store. A conflict is billed as if it were done, as DynamoDB does. Deliberately absent: any request of its own.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::units::{Units, read_bytes};
use super::{Item, Key, Store, StoreError, Write};

/// A store that is counted.
pub struct Metered<S> {
    inner: S,
    units: Mutex<Units>,
}

impl<S> Metered<S> {
    /// Counts from zero.
    pub fn new(inner: S) -> Metered<S> {
        Metered { inner, units: Mutex::default() }
    }

    /// What was counted so far.
    pub fn units(&self) -> Units {
        self.counted().clone()
    }

    fn counted(&self) -> MutexGuard<'_, Units> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Store> Store for Metered<S> {
    async fn load(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let found = self.inner.load(key).await?;
        self.counted().read(&key.partition, found.as_ref().map_or(0, |item| read_bytes(key, item)));
        Ok(found)
    }

    async fn list(&self, partition: &str, from: &str, limit: usize) -> Result<Vec<(Key, Item)>, StoreError> {
        let found = self.inner.list(partition, from, limit).await?;
        self.counted().read(partition, found.iter().map(|(key, item)| read_bytes(key, item)).sum());
        Ok(found)
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let mut billed = Units::default();
        billed.commit(&writes);
        let done = self.inner.commit(writes).await;
        if matches!(done, Ok(()) | Err(StoreError::Conflict)) {
            self.counted().add(&billed);
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::Memory;
    use crate::store::units::Count;
    use crate::store::{Expect, conformance};

    #[test]
    fn conforms() {
        pollster::block_on(conformance::all(&Metered::new(Memory::new())));
    }

    #[test]
    fn what_is_done_and_what_conflicts_is_billed() {
        let store = Metered::new(Memory::new());
        let put = || vec![Write::put(Key::new("b/1", "x"), vec![0; 2_000], Expect::Absent)];
        pollster::block_on(async {
            assert!(store.commit(put()).await.is_ok());
            assert!(matches!(store.commit(put()).await, Err(StoreError::Conflict)));
            assert!(matches!(store.commit([put(), put()].concat()).await, Err(StoreError::Unfit(2))));
            assert!(store.load(&Key::new("b/1", "x")).await.is_ok_and(|found| found.is_some()));
            assert!(store.list("w/1/l", "", 10).await.is_ok_and(|found| found.is_empty()));
        });
        let units = store.units();
        assert_eq!(units.kinds["b"], Count { reads: 1, read_halves: 2, writes: 2, write_units: 4 });
        assert_eq!(units.kinds["w"], Count { reads: 1, read_halves: 1, writes: 0, write_units: 0 });
    }
}
