//! A step: one window judged with certain batches.
//!
//! Which batches were there when a window was judged is chance, and everything after depends on it. So a step is written
//! down before it is taken, under the next number and only if that number is free; then what is known follows from the last
//! checkpoint and the steps since, whoever takes them and however often. There is deliberately no decision here.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};
use outflow_core::batch::{Batch, Row};
use outflow_core::observe::Class;
use outflow_core::stored::{StoredError, from_cbor};
use outflow_core::time::WindowId;
use outflow_core::window::{Window, unite};

use crate::keys;
use crate::store::{Key, Store, StoreError, list_from};

/// Format of a step.
const FORMAT: u8 = 1;
/// Batches of one step: what fits an item. More are another step of the same window.
const BATCHES_MAX: usize = 40_000;

/// A window and the batches that it was judged with.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct Step {
    #[n(0)]
    format: u8,
    #[n(1)]
    window: u32,
    /// [`name`]s of batches.
    #[n(2)]
    batches: Vec<u64>,
}

impl Step {
    pub(super) fn new(window: WindowId, batches: impl IntoIterator<Item = u64>) -> Step {
        Step { format: FORMAT, window: window.0, batches: batches.into_iter().take(BATCHES_MAX).collect() }
    }

    pub(super) fn window(&self) -> WindowId {
        WindowId(self.window)
    }

    pub(super) fn batches(&self) -> BTreeSet<u64> {
        self.batches.iter().copied().collect()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        // Encoding into memory can't fail.
        minicbor::to_vec(self).unwrap_or_default()
    }

    pub(super) fn decode(key: &Key, bytes: &[u8]) -> Result<Step, StoreError> {
        from_cbor(bytes, FORMAT).map_err(|why| StoreError::unreadable(key, why))
    }
}

/// A batch as it stands in the store.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) name: u64,
    /// Seconds since 1970.
    pub(super) arrival_s: Option<u32>,
    pub(super) batch: Batch,
}

/// What a step calls a batch: its key, hashed, since a key is four times as long.
pub(super) fn name(key: &Key) -> u64 {
    let hash = blake3::hash(format!("{}/{}", key.partition, key.sort).as_bytes());
    hash.as_bytes().iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte))
}

/// Reads the batches of a window and class whose key is `from` or after; says how many are damaged. One that no version wrote
/// must not keep an account from being judged; one of a newer version waits for it.
pub(super) async fn batches<S: Store>(store: &S, window: WindowId, class: Class, from: &str) -> Result<(Vec<Stored>, u64), StoreError> {
    let partition = keys::batches(Some(window), class);
    let (mut all, mut damaged) = (Vec::new(), 0);
    for (key, item) in list_from(store, &partition, from).await? {
        match Batch::decode(&item.bytes) {
            Ok(batch) => all.push(Stored { name: name(&key), arrival_s: keys::arrival_s(&key), batch }),
            Err(StoredError::Damaged) => damaged += 1,
            Err(newer) => return Err(StoreError::unreadable(&key, newer)),
        }
    }
    Ok((all, damaged))
}

/// The content of a window: the union of the `chosen` batches, without what the `judged` ones hold. Beside it, how many
/// observations that are, and how many records were there more than once.
pub(super) fn content(window: WindowId, batches: &[Stored], chosen: &BTreeSet<u64>, judged: &BTreeSet<u64>) -> (Window, u64, u64) {
    let (mut content, mut rows, mut twice) = (Window::default(), 0, 0);
    for class in [Class::Logs, Class::Trail] {
        let of_class = || batches.iter().filter(|b| b.batch.class == class);
        let parts: Vec<Batch> = of_class().filter(|b| chosen.contains(&b.name)).map(|b| b.batch.clone()).collect();
        let known: BTreeSet<u64> =
            of_class().filter(|b| judged.contains(&b.name)).flat_map(|b| &b.batch.rows).map(|r: &Row| r.identity).collect();
        let (mut all, duplicates) = unite(Some(window), class, parts);
        if !known.is_empty() {
            all.keep(|row| !known.contains(&row.identity));
        }
        rows += all.rows.len() as u64;
        twice += duplicates;
        content.add(all);
    }
    (content, rows, twice)
}
