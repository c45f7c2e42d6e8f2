//! Windows → findings → incidents: load, decide in core, commit.
//!
//! Windows are judged in order of time. What is known (accounts, baselines, open incidents) is held here while it is
//! needed and written by [`Evaluator::checkpoint`], all of it as of one window: a process that is killed in between finds
//! the last checkpoint and judges the windows since then again, with the same end. A batch that comes for a window already
//! judged is late: its new flows are still told and learnt, its counts are not. There is deliberately no clock here.

use std::collections::{BTreeMap, BTreeSet};

use outflow_core::account::{Account, Judgement, Judging};
use outflow_core::baseline::{Baseline, HOUR};
use outflow_core::batch::{Batch, Row};
use outflow_core::config::Config;
use outflow_core::detect::{Finding, Level};
use outflow_core::directory::Directory;
use outflow_core::entity::Entity;
use outflow_core::facts::fold;
use outflow_core::incident::{Incident, join, resolve};
use outflow_core::limits::ENTITIES_MAX;
use outflow_core::observe::Class;
use outflow_core::time::WindowId;
use outflow_core::window::{Window, unite};

use crate::keys;
use crate::store::{COMMIT_WRITES_MAX, Expect, Item, Key, Store, StoreError, Write};

/// Accounts that are judged: the largest organisations have some 10,000.
const ACCOUNTS_MAX: usize = 10_000;
/// Items of one request for a list.
const LIST_LIMIT: usize = 1000;
/// First sights that are kept while the logs may turn out to be shorter than a day; beyond, the commonest go.
const SIGHTS_KEPT: usize = 4096;

/// One account with everything that its windows are judged with.
struct Judged {
    account: Account,
    baselines: BTreeMap<Entity, Baseline>,
    open: Vec<Incident>,
    /// Ids of open incidents that changed and are not gathered yet: most change often before anybody asks.
    noted: BTreeSet<String>,
    /// Silence was judged up to this window.
    swept: WindowId,
    /// Its last window was judged by this evaluator.
    grown: bool,
}

impl Judged {
    fn new(account: Account) -> Judged {
        let swept = account.last();
        Judged { account, baselines: BTreeMap::new(), open: Vec::new(), noted: BTreeSet::new(), swept, grown: false }
    }

    /// Entities with an alert in an open incident.
    fn alerted(&self) -> BTreeSet<Entity> {
        let findings = self.open.iter().flat_map(|incident| &incident.findings);
        findings.filter(|f| f.level == Level::Alert).map(|f| f.entity.clone()).collect()
    }

    fn note(&mut self, which: &[usize]) {
        for incident in which.iter().filter_map(|&i| self.open.get(i)) {
            if !self.noted.contains(&incident.uid) {
                self.noted.insert(incident.uid.clone());
            }
        }
    }
}

/// Judges windows over a store.
pub struct Evaluator<'s, S> {
    store: &'s S,
    config: Config,
    accounts: BTreeMap<String, Judged>,
    /// Who is who.
    pub directory: Directory,
    /// Incidents opened or changed by this evaluator, in their last state.
    pub changed: BTreeMap<String, Incident>,
    /// First sights of the first day, with their account.
    pub sights: Vec<(String, Finding)>,
    /// Records that turned out to be there more than once.
    pub duplicates: u64,
    /// Observations judged, each once.
    pub observations: u64,
    /// Calls of AWS services for themselves.
    pub background: u64,
    /// Windows of entities that had no baseline, because an account has too many.
    pub beyond: u64,
    /// Windows that are not judged, because their time is not believed.
    pub mistimed: usize,
    done: Vec<Write>,
}

impl<'s, S: Store> Evaluator<'s, S> {
    /// Loads what was learnt.
    pub async fn load(store: &'s S, config: &Config) -> Result<Evaluator<'s, S>, StoreError> {
        let mut accounts = BTreeMap::new();
        for (key, item) in list(store, keys::ACCOUNTS).await? {
            let account = Account::decode(&item.bytes).ok_or_else(|| StoreError::Corrupt { key: key.clone() })?;
            let mut judged = Judged::new(account);
            for (key, item) in list(store, &keys::baselines(&key.sort)).await? {
                let baseline = Baseline::decode(&item.bytes).zip(keys::baseline_entity(&key));
                let (baseline, entity) = baseline.ok_or(StoreError::Corrupt { key })?;
                judged.baselines.insert(entity, baseline);
            }
            accounts.insert(key.sort, judged);
        }
        for (key, item) in list(store, keys::INCIDENTS).await? {
            let incident: Incident = serde_json::from_slice(&item.bytes).map_err(|_| StoreError::Corrupt { key })?;
            if let Some(judged) = accounts.get_mut(&incident.account).filter(|_| !incident.resolved) {
                judged.open.push(incident);
            }
        }
        let directory = directory(store).await?;
        let (changed, sights, done) = (untold(store).await?, Vec::new(), Vec::new());
        Ok(Evaluator {
            store,
            config: config.clone(),
            accounts,
            directory,
            changed,
            sights,
            duplicates: 0,
            observations: 0,
            background: 0,
            beyond: 0,
            mistimed: 0,
            done,
        })
    }

    /// Judges one window: all of it, or where it was judged before what came late. `learn_only`: nothing is told.
    pub async fn window(&mut self, window: WindowId, learn_only: bool, keep: bool) -> Result<(), StoreError> {
        let mut content = Window::default();
        for class in [Class::Logs, Class::Trail] {
            content.add(self.unite(Some(window), class, keep).await?);
        }
        self.done.push(Write::Delete { key: keys::pending(window) });
        let config = self.config.clone();
        self.sweep(window, &Judging { window, config: &config, learn_only, alerted: &BTreeSet::new() });
        let facts = fold(window, &content, &mut self.directory);
        for (id, facts) in facts {
            self.background += facts.background;
            if self.accounts.len() >= ACCOUNTS_MAX && !self.accounts.contains_key(&id) {
                self.beyond += facts.entities.len() as u64;
                continue;
            }
            let judged = self.accounts.entry(id.clone()).or_insert_with(|| Judged::new(Account::new(window)));
            for entity in facts.entities.keys() {
                if judged.baselines.contains_key(entity) {
                    continue;
                }
                if judged.baselines.len() < ENTITIES_MAX {
                    judged.baselines.insert(entity.clone(), Baseline::new(window));
                } else {
                    self.beyond += 1;
                }
            }
            let judging = Judging { window, config: &config, learn_only, alerted: &judged.alerted() };
            let mut said = judged.account.judge(&judging, &facts, &self.directory, &mut judged.baselines);
            self.sights.extend(said.sights.drain(..).map(|s| (id.clone(), s)));
            if self.sights.len() > SIGHTS_KEPT {
                self.sights.sort_by(|a, b| b.1.score().total_cmp(&a.1.score()).then_with(|| sight_order(a).cmp(&sight_order(b))));
                self.sights.truncate(SIGHTS_KEPT / 2);
            }
            let opened = join(&mut judged.open, &id, &config, said);
            judged.note(&opened);
            judged.grown |= window == judged.account.last();
        }
        self.settle(window);
        Ok(())
    }

    /// The logs of a baseline are learnt, those to judge begin with this window: what lies between was given by nobody.
    pub fn begin(&mut self, window: WindowId) {
        for judged in self.accounts.values_mut() {
            judged.account.skip_to(window);
        }
    }

    /// Judges silence hour by hour up to `window`, of entities that could be missed.
    fn sweep(&mut self, window: WindowId, judging: &Judging<'_>) {
        for (id, judged) in &mut self.accounts {
            let end = judged.account.quiet_until(window);
            let mut hour = WindowId((judged.swept.0 / HOUR + 1) * HOUR);
            while hour <= end {
                sweep_to(id, judged, hour, judging, &mut self.changed);
                hour = WindowId(hour.0 + HOUR);
            }
        }
    }

    /// After the last window: silence up to the last record of each account.
    pub fn finish(&mut self, learn_only: bool) {
        let config = self.config.clone();
        for (id, judged) in &mut self.accounts {
            let window = judged.account.last();
            let judging = Judging { window, config: &config, learn_only, alerted: &BTreeSet::new() };
            sweep_to(id, judged, WindowId(window.0 + 1), &judging, &mut self.changed);
            if judged.grown {
                look_ahead(id, judged, &judging);
            }
        }
        self.gather();
    }

    /// Takes the open incidents that were noted among those that changed.
    fn gather(&mut self) {
        for judged in self.accounts.values_mut() {
            let noted = std::mem::take(&mut judged.noted);
            for incident in judged.open.iter().filter(|incident| noted.contains(&incident.uid)) {
                self.changed.insert(incident.uid.clone(), incident.clone());
            }
        }
    }

    fn settle(&mut self, window: WindowId) {
        for judged in self.accounts.values_mut() {
            for incident in resolve(&mut judged.open, &self.config, window) {
                self.changed.insert(incident.uid.clone(), incident);
            }
        }
    }

    /// Unites a window's batches and puts the whole in their place (`keep`), or nothing. Gives what was not judged before.
    pub async fn unite(&mut self, window: Option<WindowId>, class: Class, keep: bool) -> Result<Batch, StoreError> {
        let mut parts = Vec::new();
        let mut judged: Option<Vec<Row>> = None;
        for (key, item) in list(self.store, &keys::batches(window, class)).await? {
            let batch = Batch::decode(&item.bytes).map_err(|_| StoreError::Corrupt { key: key.clone() })?;
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
            self.done.push(Write::Put { key: keys::united(window, class), bytes: all.encode(), expect: Expect::Any });
        }
        if let Some(rows) = judged {
            let known: BTreeSet<u64> = rows.into_iter().map(|r| r.identity).collect();
            all.keep(|row| !known.contains(&row.identity));
        }
        self.observations += all.rows.len() as u64;
        Ok(all)
    }

    /// Writes everything as of the last window judged.
    pub async fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.gather();
        let mut writes = std::mem::take(&mut self.done);
        let mut put = |key: Key, bytes| writes.push(Write::Put { key, bytes, expect: Expect::Any });
        for (id, judged) in &self.accounts {
            put(keys::account(id), judged.account.encode());
            for (entity, baseline) in &judged.baselines {
                put(keys::baseline(id, entity), baseline.encode());
            }
        }
        for (uid, incident) in &self.changed {
            let bytes = serde_json::to_vec(incident).map_err(|e| StoreError::Unavailable(e.into()))?;
            put(keys::incident(uid), bytes);
            put(keys::untold(uid), Vec::new());
        }
        put(keys::directory(), minicbor::to_vec(&self.directory).unwrap_or_default());
        self.write(writes).await
    }

    /// Takes judged batches away, where nothing is kept.
    pub async fn discard(&mut self) -> Result<(), StoreError> {
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

    /// Accounts by id.
    pub fn accounts(&self) -> impl Iterator<Item = (&str, &Account)> {
        self.accounts.iter().map(|(id, judged)| (id.as_str(), &judged.account))
    }

    /// Baselines of all accounts.
    pub fn baselines(&self) -> impl Iterator<Item = (&Entity, &Baseline)> {
        self.accounts.values().flat_map(|j| &j.baselines)
    }
}

fn sight_order((account, sight): &(String, Finding)) -> (&str, WindowId, &Entity, &str) {
    (account, sight.window, &sight.entity, &sight.subject)
}

fn sweep_to(id: &str, judged: &mut Judged, until: WindowId, judging: &Judging<'_>, changed: &mut BTreeMap<String, Incident>) {
    judged.swept = until;
    let mut said = Judgement::default();
    let logs_end = judged.account.logs_end();
    for (entity, baseline) in judged.baselines.iter_mut().filter(|(_, b)| b.next() < until && b.is_watched()) {
        let until = if baseline.counts_reports() { until.min(logs_end) } else { until };
        if baseline.next() >= until {
            continue;
        }
        said.findings.extend(judged.account.judge_quiet(judging, entity, baseline, until));
    }
    let together = judged.account.judge_quiet_together(&Judging { window: WindowId(until.0 - 1), ..*judging });
    said.findings.extend(together);
    let opened = join(&mut judged.open, id, judging.config, said);
    judged.note(&opened);
    for incident in resolve(&mut judged.open, judging.config, until) {
        changed.insert(incident.uid.clone(), incident);
    }
}

/// What no record behind the last window can undo.
fn look_ahead(id: &str, judged: &mut Judged, judging: &Judging<'_>) {
    let mut said = Judgement::default();
    for (entity, baseline) in judged.baselines.iter().filter(|(_, b)| b.is_just_seen()) {
        if baseline.next().0 == judging.window.0 + 1 {
            said.findings.extend(judged.account.judge_ahead(judging, entity, baseline));
        }
    }
    let opened = join(&mut judged.open, id, judging.config, said);
    judged.note(&opened);
}

/// Who is who, as it was learnt.
pub async fn directory<S: Store>(store: &S) -> Result<Directory, StoreError> {
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

/// All items of a partition.
pub async fn list<S: Store>(store: &S, partition: &str) -> Result<Vec<(Key, Item)>, StoreError> {
    let mut all: Vec<(Key, Item)> = Vec::new();
    loop {
        // The least key after the last: its own with a zero character.
        let from = all.last().map_or(String::new(), |(key, _)| format!("{}\0", key.sort));
        let page = store.list(partition, &from, LIST_LIMIT).await?;
        let full = page.len() == LIST_LIMIT;
        all.extend(page);
        if !full {
            return Ok(all);
        }
    }
}
