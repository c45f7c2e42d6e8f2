//! The port to whatever keeps state: load, list, commit.
//!
//! An item is bytes under a key of two parts, as DynamoDB has them; it carries a revision that every write raises. A
//! commit of one write is one request; a commit of several is all or nothing, and used only where an invariant spans
//! items. There is deliberately no update in place: a step loads, decides, and commits what it expects to replace.
//!
//! Stores are wrapped, not widened: [`metered::Metered`] counts what a table would bill, [`failing::Failing`] fails by a
//! plan, [`memory::Memory`] is the table's twin in tests.

pub mod conformance;
pub mod embedded;
pub mod failing;
pub mod memory;
pub mod metered;
pub mod units;

use std::future::Future;

use outflow_core::stored::StoredError;
use outflow_core::time::Timestamp;

/// Where an item stands: all items of a partition can be listed in order of `sort`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Partition key; never empty, no zero byte.
    pub partition: String,
    /// Sort key; items stand in the order of its bytes. It may be empty: logs don't name their account.
    pub sort: String,
}

impl Key {
    /// A key.
    pub fn new(partition: impl Into<String>, sort: impl Into<String>) -> Key {
        Key { partition: partition.into(), sort: sort.into() }
    }
}

/// What stands under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// 1 at the first write, raised by every other; by more than one where the answer of a put with [`Expect::Any`] was
    /// lost and it was sent again. In partitions of batches it stays 1 for those puts: nobody asks it there
    /// ([`crate::keys::holds_batches`]).
    pub revision: u64,
    /// The content.
    pub bytes: Vec<u8>,
}

/// What a write expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whatever there is.
    Any,
    /// Nothing.
    Absent,
    /// This revision.
    Revision(u64),
}

/// One write of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Puts an item in the place of what is expected.
    Put {
        /// Where.
        key: Key,
        /// The content.
        bytes: Vec<u8>,
        /// What must be there.
        expect: Expect,
        /// When the store may forget it; some days later it will have. `None`: never.
        expires: Option<Timestamp>,
    },
    /// Takes an item away, if it is there.
    Delete {
        /// Which.
        key: Key,
    },
}

impl Write {
    /// A put of something that is kept.
    pub fn put(key: Key, bytes: Vec<u8>, expect: Expect) -> Write {
        Write::Put { key, bytes, expect, expires: None }
    }

    /// The key that is written.
    pub fn key(&self) -> &Key {
        let (Write::Put { key, .. } | Write::Delete { key }) = self;
        key
    }
}

/// Writes of one commit: DynamoDB's own bound on a transaction.
pub const COMMIT_WRITES_MAX: usize = 100;
/// Bytes of all items of one commit in a table: DynamoDB's own bound on a transaction.
pub const COMMIT_BYTES_MAX: usize = 4 << 20;
/// Bytes of one item in a table, with its names and keys: DynamoDB's own bound.
pub const ITEM_BYTES_MAX: usize = 400 << 10;
/// Bytes of a partition key in a table: DynamoDB's own bound.
pub const PARTITION_BYTES_MAX: usize = 2_048;
/// Bytes of a sort key in a table: DynamoDB's own bound, less one that the store needs to write an empty one.
pub const SORT_BYTES_MAX: usize = 1_023;

/// Why a store could not do it, by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another was faster: load and decide again. The commit may have been done all the same and been replaced since,
    /// where its answer was lost.
    #[error("another writer was faster")]
    Conflict,
    /// Too fast: wait and try again.
    #[error("the store asks to slow down")]
    Throttled,
    /// The item can't be read: nothing that a retry would mend.
    #[error("item {}/{} is damaged", key.partition, key.sort)]
    Corrupt {
        /// Which.
        key: Key,
    },
    /// The item was written by another version, most likely a newer one: to be left alone, and read by that.
    #[error("item {}/{} has format {format}, which this version does not know", key.partition, key.sort)]
    Format {
        /// Which.
        key: Key,
        /// Its format.
        format: u64,
    },
    /// A commit of more than [`COMMIT_WRITES_MAX`] writes, with two of the same key, with an empty partition key or one
    /// with a zero byte; in a table also one of more bytes than it takes. No retry mends it.
    #[error("a commit of {0} writes is too large, names a key twice, or has a key that can't be stored")]
    Unfit(usize),
    /// The store can't be reached or used. A commit may have been done all the same: only its answer was lost.
    #[error("the store can't be used")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// The content of an item can't be read.
    pub fn unreadable(key: &Key, why: StoredError) -> StoreError {
        match why {
            StoredError::Format(format) => StoreError::Format { key: key.clone(), format },
            StoredError::Damaged => StoreError::Corrupt { key: key.clone() },
        }
    }
}

/// The whole port.
pub trait Store {
    /// The item under a key.
    fn load(&self, key: &Key) -> impl Future<Output = Result<Option<Item>, StoreError>>;

    /// Items of a partition whose sort key is `from` or after, in order, at most `limit`.
    fn list(&self, partition: &str, from: &str, limit: usize) -> impl Future<Output = Result<Vec<(Key, Item)>, StoreError>>;

    /// Does all of the writes or none. [`StoreError::Conflict`] where an expectation does not hold. Two writers that
    /// write the same bytes over the same revision may both be told that it was theirs: a lease names its holder.
    fn commit(&self, writes: Vec<Write>) -> impl Future<Output = Result<(), StoreError>>;
}

impl<S: Store> Store for &S {
    fn load(&self, key: &Key) -> impl Future<Output = Result<Option<Item>, StoreError>> {
        (*self).load(key)
    }

    fn list(&self, partition: &str, from: &str, limit: usize) -> impl Future<Output = Result<Vec<(Key, Item)>, StoreError>> {
        (*self).list(partition, from, limit)
    }

    fn commit(&self, writes: Vec<Write>) -> impl Future<Output = Result<(), StoreError>> {
        (*self).commit(writes)
    }
}

/// Refuses a commit that no store takes.
pub fn fits(writes: &[Write]) -> Result<(), StoreError> {
    let mut keys: Vec<&Key> = writes.iter().map(Write::key).collect();
    keys.sort();
    keys.dedup();
    let storable = keys.iter().all(|key| !key.partition.is_empty() && !key.partition.contains('\0'));
    if keys.len() == writes.len() && writes.len() <= COMMIT_WRITES_MAX && storable {
        return Ok(());
    }
    Err(StoreError::Unfit(writes.len()))
}

/// Refuses a commit that a table doesn't take: what [`fits`] refuses, and what has too many bytes.
pub fn fits_table(writes: &[Write]) -> Result<(), StoreError> {
    fits(writes)?;
    let short = |key: &Key| key.partition.len() <= PARTITION_BYTES_MAX && key.sort.len() <= SORT_BYTES_MAX;
    let sizes = writes.iter().map(|write| match write {
        Write::Put { key, bytes, expires, .. } => units::item_bytes(key, bytes.len(), u64::MAX, *expires),
        Write::Delete { key } => units::item_bytes(key, 0, u64::MAX, None),
    });
    let (largest, all) = sizes.fold((0, 0), |(largest, all), size| (size.max(largest), size + all));
    if writes.iter().all(|w| short(w.key())) && largest <= ITEM_BYTES_MAX && all <= COMMIT_BYTES_MAX {
        return Ok(());
    }
    Err(StoreError::Unfit(writes.len()))
}

/// Items of one request for a list.
const LIST_LIMIT: usize = 1000;

/// All items of a partition.
pub async fn list<S: Store>(store: &S, partition: &str) -> Result<Vec<(Key, Item)>, StoreError> {
    list_from(store, partition, "").await
}

/// All items of a partition whose sort key is `from` or after.
pub async fn list_from<S: Store>(store: &S, partition: &str, from: &str) -> Result<Vec<(Key, Item)>, StoreError> {
    let mut all: Vec<(Key, Item)> = Vec::new();
    loop {
        // The least key after the last: its own with a zero character.
        let next = all.last().map_or_else(|| from.to_owned(), |(key, _)| format!("{}\0", key.sort));
        let page = store.list(partition, &next, LIST_LIMIT).await?;
        let full = page.len() == LIST_LIMIT;
        all.extend(page);
        if !full {
            return Ok(all);
        }
    }
}
