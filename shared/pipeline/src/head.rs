//! The head of a store: its format, and the key of the identity hashes.
//!
//! Everybody who writes batches into one store must hash with the same key, or the same event would count once for each of
//! them; so the first who comes makes it, and all others read it. The key itself is random and has no influence on what is
//! said. There is deliberately no change of key: batches in the store would not unite any more.

use outflow_core::batch::HashKey;

use crate::keys;
use crate::store::{Expect, Store, StoreError, Write};

/// Format of a store.
pub const FORMAT: u8 = 1;

/// Why the head can't be used.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The store was written by a newer version, or it is none of ours.
    #[error("the state has format {0}, this version knows format {FORMAT}")]
    Format(u8),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads the head of the store, or makes it with the `fresh` key. Gives the key of the store, and whether it is new.
pub async fn open<S: Store>(store: &S, fresh: HashKey) -> Result<(HashKey, bool), HeadError> {
    if let Some(key) = read(store).await? {
        return Ok((key, false));
    }
    let bytes = [&[FORMAT][..], &fresh.0].concat();
    match store.commit(vec![Write::put(keys::meta(), bytes, Expect::Absent)]).await {
        Ok(()) => Ok((fresh, true)),
        // Another was faster, and everybody must take the same.
        Err(StoreError::Conflict) => Ok((read(store).await?.ok_or(StoreError::Conflict)?, false)),
        Err(error) => Err(error.into()),
    }
}

async fn read<S: Store>(store: &S) -> Result<Option<HashKey>, HeadError> {
    let Some(item) = store.load(&keys::meta()).await? else { return Ok(None) };
    match (item.bytes.first(), <[u8; 16]>::try_from(item.bytes.get(1..).unwrap_or_default())) {
        (Some(&FORMAT), Ok(key)) => Ok(Some(HashKey(key))),
        (format, _) => Err(HeadError::Format(format.copied().unwrap_or_default())),
    }
}

/// A key for a new store. Nobody who writes logs may know it: with it one could write two events that count as one.
pub fn random_key() -> HashKey {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let mut key = [0; 16];
    for half in key.chunks_mut(8) {
        half.copy_from_slice(&RandomState::new().build_hasher().finish().to_le_bytes());
    }
    HashKey(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::embedded::Embedded;
    use crate::store::{Item, Key};

    #[test]
    fn the_first_key_is_everybodys() {
        let store = Embedded::temporary().unwrap();
        assert_eq!(pollster::block_on(open(&store, HashKey([1; 16]))).unwrap(), (HashKey([1; 16]), true));
        assert_eq!(pollster::block_on(open(&store, HashKey([2; 16]))).unwrap(), (HashKey([1; 16]), false));
    }

    /// Looks empty at the first load: another writer comes between.
    struct Raced(Embedded, std::cell::Cell<bool>);

    impl Store for Raced {
        async fn load(&self, key: &Key) -> Result<Option<Item>, StoreError> {
            if self.1.replace(false) { Ok(None) } else { self.0.load(key).await }
        }
        async fn list(&self, partition: &str, from: &str, limit: usize) -> Result<Vec<(Key, Item)>, StoreError> {
            self.0.list(partition, from, limit).await
        }
        async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
            self.0.commit(writes).await
        }
    }

    #[test]
    fn who_comes_second_takes_the_firsts_key() {
        let store = Embedded::temporary().unwrap();
        pollster::block_on(open(&store, HashKey([1; 16]))).unwrap();
        let raced = Raced(store, true.into());
        assert_eq!(pollster::block_on(open(&raced, HashKey([2; 16]))).unwrap(), (HashKey([1; 16]), false));
    }

    #[test]
    fn another_format_is_refused_and_kept() {
        let store = Embedded::temporary().unwrap();
        let head = Write::put(keys::meta(), vec![9; 17], Expect::Absent);
        pollster::block_on(store.commit(vec![head])).unwrap();
        assert!(matches!(pollster::block_on(open(&store, HashKey([2; 16]))), Err(HeadError::Format(9))));
    }

    #[test]
    fn keys_differ() {
        assert_ne!(random_key(), random_key());
    }
}
