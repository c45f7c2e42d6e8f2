//! The store on a laptop: one file (`redb`), or a file without a name for a replay that keeps nothing.
//!
//! A commit is one transaction. It is durable only after [`Embedded::persist`]: a process that is killed finds the file as
//! it was at the last of those, whole, so a step that must not be torn apart is several commits and one `persist`. One
//! process at a time can open a file. There is deliberately no cache here beyond the database's own, held to 4 MiB.

use std::path::Path;

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Expect, Item, Key, Store, StoreError, Write, fits};

const ITEMS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("items");
/// Bytes of the database's cache: its default is a gigabyte.
const CACHE_BYTES: usize = 4 << 20;
/// Bytes of the revision before each content.
const REVISION_BYTES: usize = 8;

/// Why a state file can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("another process has it open")]
    InUse,
    /// Its folder does not exist.
    #[error("its folder does not exist")]
    NoFolder,
    /// It may not be read and written.
    #[error("permission denied")]
    Denied,
    /// It is no state file, or a damaged one.
    #[error("it is no state file of Outflow, or it is damaged")]
    Unusable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A store in one file.
pub struct Embedded {
    database: Database,
}

impl Embedded {
    /// Opens a file, or makes one: under another name until it is whole, so that a kill leaves none that can't be opened.
    pub fn open(path: &Path) -> Result<Embedded, OpenError> {
        if !path.exists()
            && let Some(store) = Embedded::make(path)?
        {
            return Ok(store);
        }
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(path).map_err(|e| match e {
            redb::DatabaseError::DatabaseAlreadyOpen => OpenError::InUse,
            redb::DatabaseError::Storage(redb::StorageError::Io(e)) => refused(e),
            other => OpenError::Unusable(other.into()),
        })?;
        Embedded::new(database)
    }

    /// Makes a new file; nothing where another process was faster.
    fn make(path: &Path) -> Result<Option<Embedded>, OpenError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().prefix(".outflow-").tempfile_in(folder).map_err(refused)?;
        let backend = redb::backends::FileBackend::new(file.reopen().map_err(refused)?).map_err(|e| OpenError::Unusable(e.into()))?;
        let database =
            Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend).map_err(|e| OpenError::Unusable(e.into()))?;
        let store = Embedded::new(database)?;
        match file.persist_noclobber(path) {
            Ok(_) => Ok(Some(store)),
            Err(e) if e.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(None),
            Err(e) => Err(refused(e.error)),
        }
    }

    /// A store that is gone with the process, on the disk meanwhile so that memory doesn't grow with the log.
    pub fn temporary() -> Result<Embedded, OpenError> {
        let file = tempfile::tempfile().map_err(|e| OpenError::Unusable(e.into()))?;
        let backend = redb::backends::FileBackend::new(file).map_err(|e| OpenError::Unusable(e.into()))?;
        let database =
            Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend).map_err(|e| OpenError::Unusable(e.into()))?;
        Embedded::new(database)
    }

    fn new(database: Database) -> Result<Embedded, OpenError> {
        let store = Embedded { database };
        store.write(Durability::Immediate, |_| Ok(())).map_err(|e| OpenError::Unusable(e.into()))?;
        Ok(store)
    }

    /// Makes everything committed so far survive a crash.
    pub fn persist(&self) -> Result<(), StoreError> {
        self.write(Durability::Immediate, |_| Ok(()))
    }

    /// Gives back the room that nothing takes any more. No transaction is open, so it can't be refused.
    pub fn compact(&mut self) -> Result<(), StoreError> {
        self.database.compact().map(|_| ()).map_err(|e| StoreError::Unavailable(e.into()))
    }

    fn write(
        &self,
        durability: Durability,
        change: impl FnOnce(&mut redb::Table<'_, &[u8], &[u8]>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut transaction = self.database.begin_write().map_err(unavailable)?;
        transaction.set_durability(durability).map_err(unavailable)?;
        // After a kill the file opens in milliseconds instead of being walked.
        transaction.set_quick_repair(matches!(durability, Durability::Immediate));
        let mut table = transaction.open_table(ITEMS).map_err(unavailable)?;
        change(&mut table)?;
        drop(table);
        transaction.commit().map_err(unavailable)
    }
}

fn refused(error: std::io::Error) -> OpenError {
    match error.kind() {
        std::io::ErrorKind::NotFound => OpenError::NoFolder,
        std::io::ErrorKind::PermissionDenied => OpenError::Denied,
        _ => OpenError::Unusable(error.into()),
    }
}

fn unavailable(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Unavailable(Box::new(error.into()))
}

fn bytes(key: &Key) -> Vec<u8> {
    [key.partition.as_bytes(), &[0], key.sort.as_bytes()].concat()
}

fn item(key: &Key, stored: &[u8]) -> Result<Item, StoreError> {
    let (revision, content) = stored.split_at_checked(REVISION_BYTES).ok_or_else(|| StoreError::Corrupt { key: key.clone() })?;
    let revision = u64::from_le_bytes(revision.try_into().map_err(|_| StoreError::Corrupt { key: key.clone() })?);
    Ok(Item { revision, bytes: content.to_vec() })
}

impl Store for Embedded {
    async fn load(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let table = self.database.begin_read().map_err(unavailable)?.open_table(ITEMS).map_err(unavailable)?;
        let stored = table.get(&bytes(key)[..]).map_err(unavailable)?;
        stored.map(|s| item(key, s.value())).transpose()
    }

    async fn list(&self, partition: &str, from: &str, limit: usize) -> Result<Vec<(Key, Item)>, StoreError> {
        let table = self.database.begin_read().map_err(unavailable)?.open_table(ITEMS).map_err(unavailable)?;
        let start = bytes(&Key::new(partition, from));
        let end = [partition.as_bytes(), &[1]].concat();
        let mut all = Vec::new();
        for entry in table.range(&start[..]..&end[..]).map_err(unavailable)?.take(limit) {
            let (key, value) = entry.map_err(unavailable)?;
            let sort = key.value().get(partition.len() + 1..).map(String::from_utf8_lossy).unwrap_or_default();
            let key = Key::new(partition, sort);
            let item = item(&key, value.value())?;
            all.push((key, item));
        }
        Ok(all)
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        fits(&writes)?;
        self.write(Durability::None, |table| writes.iter().try_for_each(|w| apply(table, w)))
    }
}

fn apply(table: &mut redb::Table<'_, &[u8], &[u8]>, write: &Write) -> Result<(), StoreError> {
    match write {
        Write::Delete { key } => table.remove(&bytes(key)[..]).map(|_| ()).map_err(unavailable),
        Write::Put { key, bytes: content, expect, .. } => {
            let place = bytes(key);
            let stored = table.get(&place[..]).map_err(unavailable)?.map(|s| item(key, s.value()).map(|i| i.revision)).transpose()?;
            match (expect, stored) {
                (Expect::Any, _) | (Expect::Absent, None) => {}
                (Expect::Revision(expected), Some(found)) if *expected == found => {}
                _ => return Err(StoreError::Conflict),
            }
            let revision = stored.unwrap_or(0) + 1;
            let value = [&revision.to_le_bytes()[..], content].concat();
            table.insert(&place[..], &value[..]).map(|_| ()).map_err(unavailable)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;

    #[test]
    fn conforms() {
        let store = Embedded::temporary().unwrap();
        pollster::block_on(conformance::all(&store));
    }

    #[test]
    fn what_was_persisted_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let put = |store: &Embedded, sort: &str| {
            let write = Write::put(Key::new("p", sort), vec![1], Expect::Absent);
            pollster::block_on(store.commit(vec![write])).unwrap();
        };
        let store = Embedded::open(&path).unwrap();
        put(&store, "kept");
        store.persist().unwrap();
        assert!(matches!(Embedded::open(&path), Err(OpenError::InUse)));
        drop(store);
        let store = Embedded::open(&path).unwrap();
        assert!(pollster::block_on(store.load(&Key::new("p", "kept"))).unwrap().is_some());
    }

    #[test]
    fn compacting_keeps_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let mut store = Embedded::open(&path).unwrap();
        let key = |n: u8| Key::new("p", n.to_string());
        let put = |n: u8| Write::put(key(n), vec![n; 100_000], Expect::Any);
        pollster::block_on(store.commit((0..60).map(put).collect())).unwrap();
        store.persist().unwrap();
        pollster::block_on(store.commit((1..60).map(|n| Write::Delete { key: key(n) }).collect())).unwrap();
        store.persist().unwrap();
        let before = std::fs::metadata(&path).unwrap().len();
        store.compact().unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() < before / 4);
        assert!(pollster::block_on(store.load(&key(0))).unwrap().is_some());
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Embedded::open(&folder.path().join("no/such/state")), Err(OpenError::NoFolder)));
        let path = folder.path().join("state");
        std::fs::write(&path, "this is no database, but a text that is long enough to be one").unwrap();
        assert!(matches!(Embedded::open(&path), Err(OpenError::Unusable(_))));
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("this is no database"));
    }
}
