//! The port to whatever keeps state: load, list, commit.
//!
//! An item is bytes under a key of two parts, as DynamoDB has them; it carries a revision that every write raises. A
//! commit of one write is one request; a commit of several is all or nothing, and used only where an invariant spans
//! items. There is deliberately no update in place: a step loads, decides, and commits what it expects to replace.

pub mod conformance;
pub mod embedded;
pub mod memory;

use std::future::Future;

use outflow_core::time::Timestamp;

/// Where an item stands: all items of a partition can be listed in order of `sort`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Partition key; never empty, no zero byte.
    pub partition: String,
    /// Sort key.
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
    /// 1 at the first write, raised by every other.
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

/// Why a store could not do it, by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another was faster: load and decide again.
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
    /// A commit of more than [`COMMIT_WRITES_MAX`] writes, or with two of the same key.
    #[error("a commit of {0} writes is too large or names a key twice")]
    Unfit(usize),
    /// The store can't be reached or used.
    #[error("the store can't be used")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The whole port.
pub trait Store {
    /// The item under a key.
    fn load(&self, key: &Key) -> impl Future<Output = Result<Option<Item>, StoreError>>;

    /// Items of a partition whose sort key is `from` or after, in order, at most `limit`.
    fn list(&self, partition: &str, from: &str, limit: usize) -> impl Future<Output = Result<Vec<(Key, Item)>, StoreError>>;

    /// Does all of the writes or none. [`StoreError::Conflict`] where an expectation does not hold.
    fn commit(&self, writes: Vec<Write>) -> impl Future<Output = Result<(), StoreError>>;
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
