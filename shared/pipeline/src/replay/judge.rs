//! Windows → findings → incidents over a folder of logs: load, decide in core, commit.
//!
//! Windows are judged in order of time. What is known is held here while it is needed and written by
//! [`Evaluator::checkpoint`], all of it as of one window: a process that is killed in between finds the last checkpoint and
//! judges the windows since then again, with the same end. A batch that comes for a window already judged is late: its new
//! flows are still told and learnt, its counts are not. There is deliberately no clock here.

use std::collections::{BTreeMap, BTreeSet};

use outflow_core::account::Account;
use outflow_core::baseline::Baseline;
use outflow_core::batch::{Batch, Row};
use outflow_core::config::Config;
use outflow_core::directory::Directory;
use outflow_core::incident::Incident;
use outflow_core::observe::Class;
use outflow_core::time::WindowId;
use outflow_core::window::{Window, unite};

use crate::keys;
use crate::known::{Known, Telling};
use crate::store::{COMMIT_WRITES_MAX, Expect, Item, Key, Store, StoreError, Write, list};

/// Judges windows over a store.
pub(super) struct Evaluator<'s, S> {
    store: &'s S,
    config: Config,
    /// What is known as of the last window judged.
    pub known: Known,
    /// Records that turned out to be there more than once.
    pub duplicates: u64,
    /// Observations judged, each once.
    pub observations: u64,
    /// Windows that are not judged, because their time is not believed.
    pub mistimed: usize,
    done: Vec<Write>,
}

impl<'s, S: Store> Evaluator<'s, S> {
    /// Loads what was learnt.
    pub(super) async fn load(store: &'s S, config: &Config) -> Result<Evaluator<'s, S>, StoreError> {
        let mut known = Known::default();
        let mut open: BTreeMap<String, Vec<Incident>> = BTreeMap::new();
        for (key, item) in list(store, keys::INCIDENTS).await? {
            let incident: Incident = serde_json::from_slice(&item.bytes).map_err(|_| StoreError::Corrupt { key })?;
            if !incident.resolved {
                open.entry(incident.account.clone()).or_default().push(incident);
            }
        }
        for (key, item) in list(store, keys::ACCOUNTS).await? {
            let account = Account::decode(&item.bytes).map_err(|why| StoreError::unreadable(&key, why))?;
            let mut baselines = BTreeMap::new();
            for (key, item) in list(store, &keys::baselines(&key.sort)).await? {
                let baseline = Baseline::decode(&item.bytes).map_err(|why| StoreError::unreadable(&key, why))?;
                let entity = keys::baseline_entity(&key).ok_or(StoreError::Corrupt { key })?;
                baselines.insert(entity, baseline);
            }
            let open = open.remove(&key.sort).unwrap_or_default();
            let swept = account.last();
            known.restore(key.sort, account, swept, baselines, open);
        }
        known.directory = directory(store).await?;
        known.changed = untold(store).await?;
        Ok(Evaluator { store, config: config.clone(), known, duplicates: 0, observations: 0, mistimed: 0, done: Vec::new() })
    }

    /// Judges one window: all of it, or where it was judged before what came late. `learn_only`: nothing is told.
    pub(super) async fn window(&mut self, window: WindowId, learn_only: bool, keep: bool) -> Result<(), StoreError> {
        let mut content = Window::default();
        for class in [Class::Logs, Class::Trail] {
            content.add(self.unite(Some(window), class, keep).await?);
        }
        self.done.push(Write::Delete { key: keys::pending(window) });
        self.known.window(window, content, &self.config, telling(learn_only));
        Ok(())
    }

    /// After the last window: silence up to the last record of each account.
    pub(super) fn finish(&mut self, learn_only: bool) {
        self.known.finish(&self.config, telling(learn_only));
        self.known.gather();
    }

    /// Unites a window's batches and puts the whole in their place (`keep`), or nothing. Gives what was not judged before.
    pub(super) async fn unite(&mut self, window: Option<WindowId>, class: Class, keep: bool) -> Result<Batch, StoreError> {
        let mut parts = Vec::new();
        let mut judged: Option<Vec<Row>> = None;
        for (key, item) in list(self.store, &keys::batches(window, class)).await? {
            let batch = Batch::decode(&item.bytes).map_err(|why| StoreError::unreadable(&key, why))?;
            if key.sort == keys::UNITED {
                judged = Some(batch.rows.clone());
            } else {
                self.done.push(Write::Delete { key });
            }
            parts.push(batch);
        }
        let (mut all, duplicates) = unite(window, class, parts);
        self.duplicates += duplicates;
        if keep && !all.rows.is_empty() {
            self.done.push(Write::put(keys::united(window, class), all.encode(), Expect::Any));
        }
        if let Some(rows) = judged {
            let known: BTreeSet<u64> = rows.into_iter().map(|r| r.identity).collect();
            all.keep(|row| !known.contains(&row.identity));
        }
        self.observations += all.rows.len() as u64;
        Ok(all)
    }

    /// Writes everything as of the last window judged.
    pub(super) async fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.known.gather();
        let mut writes = std::mem::take(&mut self.done);
        let mut put = |key: Key, bytes| writes.push(Write::put(key, bytes, Expect::Any));
        for (id, account) in self.known.accounts() {
            put(keys::account(id), account.encode());
            for (entity, baseline) in self.known.baselines(id) {
                put(keys::baseline(id, entity), baseline.encode());
            }
        }
        for (uid, incident) in &self.known.changed {
            let bytes = serde_json::to_vec(incident).map_err(|e| StoreError::Unavailable(e.into()))?;
            put(keys::incident(uid), bytes);
            put(keys::untold(uid), Vec::new());
        }
        put(keys::directory(), minicbor::to_vec(&self.known.directory).unwrap_or_default());
        self.write(writes).await
    }

    /// Takes judged batches away, where nothing is kept.
    pub(super) async fn discard(&mut self) -> Result<(), StoreError> {
        let writes = std::mem::take(&mut self.done);
        self.write(writes).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let mut chunk: Vec<Write> = Vec::with_capacity(COMMIT_WRITES_MAX);
        for write in writes {
            if chunk.len() == COMMIT_WRITES_MAX {
                self.store.commit(std::mem::take(&mut chunk)).await?;
            }
            chunk.push(write);
        }
        self.store.commit(chunk).await
    }
}

fn telling(learn_only: bool) -> Telling {
    if learn_only { Telling::Nothing } else { Telling::All }
}

/// Who is who, as it was learnt.
pub(super) async fn directory<S: Store>(store: &S) -> Result<Directory, StoreError> {
    match store.load(&keys::directory()).await? {
        None => Ok(Directory::default()),
        Some(Item { bytes, .. }) => minicbor::decode(&bytes).map_err(|_| StoreError::Corrupt { key: keys::directory() }),
    }
}

/// Incidents that a process committed and did not come to tell, because it was killed.
async fn untold<S: Store>(store: &S) -> Result<BTreeMap<String, Incident>, StoreError> {
    let mut all = BTreeMap::new();
    for (key, _) in list(store, keys::UNTOLD).await? {
        let place = keys::incident(&key.sort);
        if let Some(item) = store.load(&place).await? {
            let incident = serde_json::from_slice(&item.bytes).map_err(|_| StoreError::Corrupt { key: place })?;
            all.insert(key.sort, incident);
        }
    }
    Ok(all)
}
