//! Every minute: windows that are due → findings → incidents → messages, in an account.
//!
//! Batches come in any order, some late; functions are killed, and two of them may run at once. So:
//!
//! - A window is judged when both classes of feed are due, in order of time. Each time is a *step* (see `step`): written
//!   down first, under the next number, with the batches it was judged with. What is known follows from the last checkpoint
//!   and the steps since. Whoever finds a number taken takes that step instead: two evaluators come to the same end.
//! - A late batch is a step of its own: its new flows are told and learnt, its counts are not.
//! - Windows that are not yet due are judged on a copy every minute, and what more records could not undo is told early; the
//!   complete window confirms it, or it is withdrawn.
//! - What is told is committed together with its message (see `told`), before anything is sent.
//!
//! After an error what stands here is not known to agree with the store: drop it and load again. There is deliberately no
//! clock: `now` is an argument.

mod step;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use outflow_core::account::Account;
use outflow_core::baseline::Baseline;
use outflow_core::config::Config;
use outflow_core::entity::Entity;
use outflow_core::incident::{Incident, Severity};
use outflow_core::limits::BATCHES_KEPT_DAYS;
use outflow_core::observe::Class;
use outflow_core::time::{Timestamp, WINDOW_MS, WINDOWS_PER_DAY, WINDOWS_PER_HOUR, WindowId};

use crate::checkpoint::Checkpoint;
use crate::keys;
use crate::known::{Known, Telling};
use crate::store::{Expect, Key, Store, StoreError, Write, list};
use step::{Step, Stored, batches, content};
pub use told::{Told, load as load_told};

const KEPT_WINDOWS: u32 = BATCHES_KEPT_DAYS * WINDOWS_PER_DAY;
/// Windows that are looked at in one run; what is left is the next one's.
const LOOKED_MAX: u32 = 2 * KEPT_WINDOWS;
/// Seconds before the last arrival, or the last look if that was later, from which batches are listed again: functions'
/// clocks differ, and a write takes time. One that comes with an even older time is found when its window is due.
const LIST_AGAIN_S: u32 = 30;
const LOOK_AGAIN_S: u32 = 90;
/// Seconds that a record may be ahead of its arrival before its time is not believed: an hour.
const AHEAD_S: i64 = 3_600;
/// Windows judged between two checkpoints, for each so many values that there are, up to four times that: what a large
/// account writes would else be the most of its bill, and whoever loads judges those windows again, some of them at most.
const CHECKPOINT_WINDOWS: u32 = WINDOWS_PER_HOUR;
const CHECKPOINT_VALUES: u32 = 2_500;
const CHECKPOINT_HOURS_MAX: u32 = 4;
/// Steps between two checkpoints at most, so that loading stays short after an outage.
const CHECKPOINT_STEPS: u64 = 288;

/// How one run went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evaluated {
    /// Steps taken: windows judged, late batches included.
    pub steps: u64,
    /// Of those, the late ones.
    pub late: u64,
    /// Observations judged, each once.
    pub observations: u64,
    /// Records that were there more than once.
    pub duplicates: u64,
    /// Batches whose time is not believed, or that came after everything about their window was forgotten.
    pub mistimed: u64,
    /// Batches of a step that are gone: it is older than batches are kept.
    pub lost: u64,
    /// Batches that no version wrote, each time that their window was looked at.
    pub damaged: u64,
    /// Messages committed.
    pub messages: u64,
    /// Values written as a checkpoint.
    pub saved: u64,
    /// The last window judged.
    pub cursor: Option<WindowId>,
    /// More is due than one run may do.
    pub behind: bool,
}

/// Batches of a window that is not judged yet.
#[derive(Default)]
struct Arrived {
    batches: BTreeMap<u64, Stored>,
    last_arrival_s: u32,
    last_look_s: u32,
}

/// What an evaluator knows between two minutes.
pub struct Evaluate<'s, S> {
    store: &'s S,
    config: Config,
    least: Severity,
    known: Known,
    checkpoint: Checkpoint,
    /// Hashes of the values in the checkpoint.
    saved: BTreeMap<String, [u8; 32]>,
    saved_at: Option<WindowId>,
    /// Steps taken so far.
    step: u64,
    /// The last window judged; and the last looked at, whether or not anything was there.
    cursor: Option<WindowId>,
    looked: Option<WindowId>,
    /// Names of the batches that windows were judged with, for as long as batches are kept.
    judged: BTreeMap<WindowId, BTreeSet<u64>>,
    arrived: BTreeMap<(WindowId, Class), Arrived>,
    /// Incidents told early and not yet confirmed, each with its last window.
    early: BTreeMap<String, WindowId>,
    /// The last window whose logs were due at the last early judgement.
    early_logs: Option<WindowId>,
    run: Evaluated,
}

impl<'s, S: Store> Evaluate<'s, S> {
    /// Loads the last checkpoint and takes the steps since. `least`: incidents below it are kept and not told.
    pub async fn load(store: &'s S, config: &Config, least: Severity) -> Result<Evaluate<'s, S>, StoreError> {
        let (checkpoint, values) = Checkpoint::load(store).await?;
        let known = restore(&values)?;
        let mut evaluate = Evaluate {
            store,
            config: config.clone(),
            least,
            cursor: known.accounts().map(|(_, account)| account.last()).max(),
            looked: None,
            step: checkpoint.step(),
            saved: values.iter().map(|(name, bytes)| (name.clone(), *blake3::hash(bytes).as_bytes())).collect(),
            saved_at: None,
            known,
            checkpoint,
            judged: BTreeMap::new(),
            arrived: BTreeMap::new(),
            early: BTreeMap::new(),
            early_logs: None,
            run: Evaluated::default(),
        };
        for (key, item) in list(store, keys::JOURNAL).await? {
            let step = Step::decode(&key, &item.bytes)?;
            if keys::journal_step(&key).is_some_and(|n| n <= evaluate.step) {
                evaluate.judged.entry(step.window()).or_default().extend(step.batches());
                evaluate.cursor = evaluate.cursor.max(Some(step.window()));
            }
        }
        for (key, item) in list(store, keys::EARLY).await? {
            let last = <[u8; 4]>::try_from(&item.bytes[..]).map_err(|_| StoreError::Corrupt { key: key.clone() })?;
            evaluate.early.insert(key.sort, WindowId(u32::from_le_bytes(last)));
        }
        evaluate.saved_at = evaluate.cursor;
        evaluate.catch_up().await?;
        Ok(evaluate)
    }

    /// Does what is due at `now`, at most `steps_max` steps.
    pub async fn minute(&mut self, now: Timestamp, steps_max: u64) -> Result<Evaluated, StoreError> {
        self.catch_up().await?;
        let due = self.due(now, self.config.logs_late_minutes.max(self.config.trail_late_minutes));
        self.late(now, steps_max).await?;
        self.windows(now, due, steps_max).await?;
        if !self.run.behind {
            self.early(now).await?;
            self.withdraw(due).await?;
        }
        self.save().await?;
        self.forget(now);
        let beat = Write::put(keys::heartbeat(), heartbeat(now, self.cursor), Expect::Any);
        self.store.commit(vec![beat]).await?;
        self.run.cursor = self.cursor;
        Ok(std::mem::take(&mut self.run))
    }

    /// The settings from now on.
    pub fn set_config(&mut self, config: &Config, least: Severity) {
        (self.config, self.least) = (config.clone(), least);
    }

    /// What is known.
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// The last window that ended so many minutes ago.
    fn due(&self, now: Timestamp, late_minutes: u32) -> WindowId {
        WindowId(now.plus_ms(-60_000 * i64::from(late_minutes)).window().0.saturating_sub(1))
    }

    /// Takes the steps that are written down and not taken: of a process that was killed, or of another one.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        loop {
            let key = keys::journal(self.step + 1);
            let Some(item) = self.store.load(&key).await? else { return Ok(()) };
            let step = Step::decode(&key, &item.bytes)?;
            let stored = self.stored(step.window()).await?;
            self.take(&step, &stored).await?;
        }
    }

    /// All batches of a window.
    async fn stored(&mut self, window: WindowId) -> Result<Vec<Stored>, StoreError> {
        let mut all = Vec::new();
        for class in [Class::Logs, Class::Trail] {
            let (batches, damaged) = batches(self.store, window, class, "").await?;
            all.extend(batches);
            self.run.damaged += damaged;
        }
        Ok(all)
    }

    /// Writes a step down and takes it, or the one that another wrote instead.
    async fn decide(&mut self, now: Timestamp, step: &Step, stored: &[Stored]) -> Result<(), StoreError> {
        let write = Write::Put {
            key: keys::journal(self.step + 1),
            bytes: step.encode(),
            expect: Expect::Absent,
            expires: Some(now.plus_ms(i64::from(KEPT_WINDOWS) * WINDOW_MS)),
        };
        match self.store.commit(vec![write]).await {
            Ok(()) => self.take(step, stored).await,
            Err(StoreError::Conflict) => self.catch_up().await,
            Err(error) => Err(error),
        }
    }

    /// Judges a step and says what is new.
    async fn take(&mut self, step: &Step, stored: &[Stored]) -> Result<(), StoreError> {
        let (window, chosen) = (step.window(), step.batches());
        let judged = self.judged.entry(window).or_default();
        let present = stored.iter().filter(|b| chosen.contains(&b.name)).count();
        self.run.lost += (chosen.len() - present.min(chosen.len())) as u64;
        let (content, rows, twice) = content(window, stored, &chosen, judged);
        for subject in &content.subjects {
            self.known.directory.learn_function(&subject.subject);
        }
        judged.extend(chosen);
        self.step += 1;
        self.cursor = self.cursor.max(Some(window));
        self.run.steps += 1;
        self.run.observations += rows;
        self.run.duplicates += twice;
        self.known.window(window, content, &self.config, Telling::All);
        self.known.sights.clear();
        self.known.gather();
        for (uid, incident) in std::mem::take(&mut self.known.changed) {
            self.run.messages += told::confirm(self.store, self.step, &incident, self.least).await?;
            self.early.remove(&uid);
        }
        Ok(())
    }

    /// Steps of the batches that came after their window was judged, and of windows in which there had been nothing.
    async fn late(&mut self, now: Timestamp, steps_max: u64) -> Result<(), StoreError> {
        let mut by_window: BTreeMap<WindowId, Vec<Key>> = BTreeMap::new();
        for (key, _) in list(self.store, keys::LATE).await? {
            let (window, ..) = keys::late_batch(&key).ok_or_else(|| StoreError::Corrupt { key: key.clone() })?;
            by_window.entry(window).or_default().push(key);
        }
        for (window, marks) in by_window {
            if self.run.steps >= steps_max {
                self.run.behind = true;
                return Ok(());
            }
            let is_old = window.0 + KEPT_WINDOWS < now.window().0;
            if is_old {
                self.run.mistimed += marks.len() as u64;
            } else if self.looked.max(self.cursor).is_some_and(|looked| window <= looked) {
                let is_late = self.cursor.is_some_and(|cursor| window <= cursor);
                let stored = self.stored(window).await?;
                self.judge(now, window, &stored).await?;
                self.run.late += u64::from(is_late);
            } else {
                // It is judged when it is due; its marks are taken away after that.
                continue;
            }
            // A mark whose batch was not read yet, because reads lag, stays for the next minute.
            let judged = self.judged.get(&window);
            let read = |(_, _, batch): (WindowId, Class, Key)| judged.is_some_and(|judged| judged.contains(&step::name(&batch)));
            for key in marks.into_iter().filter(|key| is_old || keys::late_batch(key).is_some_and(read)) {
                self.store.commit(vec![Write::Delete { key }]).await?;
            }
        }
        Ok(())
    }

    /// Judges windows up to the last that is due.
    async fn windows(&mut self, now: Timestamp, due: WindowId, steps_max: u64) -> Result<(), StoreError> {
        let oldest = WindowId(now.window().0.saturating_sub(KEPT_WINDOWS));
        let next = self.looked.max(self.cursor).map_or(oldest, |w| WindowId(w.0 + 1)).max(oldest);
        let end = WindowId((due.0 + 1).min(next.0.saturating_add(LOOKED_MAX)));
        self.run.behind |= end.0 <= due.0;
        for window in (next.0..end.0).map(WindowId) {
            if self.run.steps >= steps_max {
                self.run.behind = true;
                break;
            }
            let stored = self.stored(window).await?;
            self.judge(now, window, &stored).await?;
            self.looked = Some(window);
            self.arrived.retain(|(w, _), _| *w > window);
        }
        Ok(())
    }

    /// Takes a step for the batches of a window that no step had, until there are none.
    async fn judge(&mut self, now: Timestamp, window: WindowId, stored: &[Stored]) -> Result<(), StoreError> {
        loop {
            let judged = self.judged.get(&window);
            let (new, ahead): (Vec<&Stored>, Vec<&Stored>) =
                stored.iter().filter(|b| judged.is_none_or(|judged| !judged.contains(&b.name))).partition(|b| is_believed(window, b));
            if new.is_empty() {
                self.run.mistimed += ahead.len() as u64;
                return Ok(());
            }
            let step = Step::new(window, new.iter().map(|b| b.name));
            self.decide(now, &step, stored).await?;
        }
    }

    /// Judges what there is of the windows that are not due on a copy, and tells what more of them can't undo.
    async fn early(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let first = self.looked.max(self.cursor).map_or(now.window(), |w| WindowId(w.0 + 1));
        let mut anything_new = false;
        for window in (first.0..=now.window().0).map(WindowId) {
            for class in [Class::Logs, Class::Trail] {
                anything_new |= self.arrive(now, window, class).await?;
            }
        }
        let logs = self.due(now, self.config.logs_late_minutes);
        if !anything_new && self.early_logs == Some(logs) {
            return Ok(());
        }
        let telling = Telling::Early { logs };
        let mut copy = self.known.clone();
        for window in (first.0..=now.window().0).map(WindowId) {
            let of_window = |class| self.arrived.get(&(window, class)).into_iter().flat_map(|a| a.batches.values());
            let there: Vec<Stored> =
                of_window(Class::Logs).chain(of_window(Class::Trail)).filter(|b| is_believed(window, b)).cloned().collect();
            if there.is_empty() {
                continue;
            }
            let (content, ..) = content(window, &there, &there.iter().map(|b| b.name).collect(), &BTreeSet::new());
            content.subjects.iter().for_each(|s| copy.directory.learn_function(&s.subject));
            copy.window(window, content, &self.config, telling);
        }
        copy.finish(&self.config, telling);
        copy.gather();
        for (uid, incident) in copy.changed {
            if !incident.resolved && !self.early.contains_key(&uid) {
                let sent = told::early(self.store, &incident, self.least).await?;
                self.run.messages += sent;
                if sent > 0 {
                    self.early.insert(uid, incident.updated);
                }
            }
        }
        self.early_logs = Some(logs);
        Ok(())
    }

    /// Lists what came of a window since the last time. Says whether there was anything.
    async fn arrive(&mut self, now: Timestamp, window: WindowId, class: Class) -> Result<bool, StoreError> {
        let arrived = self.arrived.entry((window, class)).or_default();
        let from = arrived.last_arrival_s.saturating_sub(LIST_AGAIN_S).max(arrived.last_look_s.saturating_sub(LOOK_AGAIN_S));
        let from = if from == 0 { String::new() } else { format!("{from:08x}") };
        let mut anything_new = false;
        arrived.last_look_s = u32::try_from(now.ms() / 1000).unwrap_or_default();
        for stored in batches(self.store, window, class, &from).await?.0 {
            arrived.last_arrival_s = arrived.last_arrival_s.max(stored.arrival_s.unwrap_or_default());
            anything_new |= arrived.batches.insert(stored.name, stored).is_none();
        }
        Ok(anything_new)
    }

    /// Takes back what was told early and is not said by the complete windows.
    async fn withdraw(&mut self, due: WindowId) -> Result<(), StoreError> {
        let over: Vec<String> = self.early.iter().filter(|(_, last)| **last < due).map(|(uid, _)| uid.clone()).collect();
        for uid in over {
            self.run.messages += told::withdraw(self.store, &uid, WITHDRAWN).await?;
            self.early.remove(&uid);
        }
        Ok(())
    }

    /// Writes a checkpoint once in some hours of windows, or after many steps.
    async fn save(&mut self) -> Result<(), StoreError> {
        let every = checkpoint_windows(self.saved.len());
        let time = |window: Option<WindowId>| window.map(|w| w.0 / every);
        let steps = self.step - self.checkpoint.step();
        if steps == 0 || (time(self.cursor) == time(self.saved_at) && steps < CHECKPOINT_STEPS) {
            return Ok(());
        }
        let mut changed = values(&self.known)?;
        let hashes: BTreeMap<String, [u8; 32]> =
            changed.iter().map(|(name, bytes)| (name.clone(), *blake3::hash(bytes).as_bytes())).collect();
        changed.retain(|name, _| hashes.get(name) != self.saved.get(name));
        self.run.saved += changed.len() as u64;
        self.checkpoint.save(self.store, self.step, changed).await?;
        (self.saved, self.saved_at) = (hashes, self.cursor);
        Ok(())
    }

    fn forget(&mut self, now: Timestamp) {
        let oldest = WindowId(now.window().0.saturating_sub(KEPT_WINDOWS));
        self.judged.retain(|window, _| *window >= oldest);
        self.arrived.retain(|(window, _), _| *window >= oldest);
    }
}

/// Why an incident that was told early is withdrawn.
const WITHDRAWN: &str = "with all of its records, the window is within what is usual";

/// Windows between two checkpoints of so many values.
pub(crate) fn checkpoint_windows(values: usize) -> u32 {
    let values = u32::try_from(values).unwrap_or(u32::MAX);
    CHECKPOINT_WINDOWS * (1 + values / CHECKPOINT_VALUES).min(CHECKPOINT_HOURS_MAX)
}

/// Whether a batch came when its records may have happened.
fn is_believed(window: WindowId, batch: &Stored) -> bool {
    batch.arrival_s.is_none_or(|arrival| window.start().ms() / 1000 <= i64::from(arrival) + AHEAD_S)
}

fn heartbeat(now: Timestamp, cursor: Option<WindowId>) -> Vec<u8> {
    let at = cursor.map_or_else(|| "nothing".to_owned(), |window| window.end().to_rfc3339());
    format!("{{\"at\":\"{}\",\"judged_up_to\":\"{at}\"}}", now.to_rfc3339()).into_bytes()
}

/// Names of the values of a checkpoint: of an account, a baseline, open incidents, and who is who.
const ACCOUNT: &str = "account/";
const BASELINE: &str = "baseline/";
const OPEN: &str = "open/";
const DIRECTORY: &str = "directory";

fn values(known: &Known) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
    let mut all = BTreeMap::new();
    for (id, account) in known.accounts() {
        let swept = known.swept(id).0.to_le_bytes();
        all.insert(format!("{ACCOUNT}{id}"), [&swept[..], &account.encode()].concat());
        for (entity, baseline) in known.baselines(id) {
            all.insert(format!("{BASELINE}{id}/{}", keys::baseline(id, entity).sort), baseline.encode());
        }
        let open = serde_json::to_vec(known.open(id)).map_err(|e| StoreError::Unavailable(e.into()))?;
        all.insert(format!("{OPEN}{id}"), open);
    }
    all.insert(DIRECTORY.to_owned(), minicbor::to_vec(&known.directory).unwrap_or_default());
    Ok(all)
}

fn restore(values: &BTreeMap<String, Vec<u8>>) -> Result<Known, StoreError> {
    let corrupt = |name: &str| StoreError::Corrupt { key: keys::checkpoint(name, 0, 0) };
    let unreadable = |name: &str, why| StoreError::unreadable(&keys::checkpoint(name, 0, 0), why);
    let mut known = Known::default();
    let mut baselines: BTreeMap<&str, BTreeMap<Entity, Baseline>> = BTreeMap::new();
    for (name, bytes) in values {
        let Some((account, sort)) = name.strip_prefix(BASELINE).and_then(|rest| rest.split_once('/')) else { continue };
        let entity = keys::baseline_entity(&Key::new("", sort)).ok_or_else(|| corrupt(name))?;
        let baseline = Baseline::decode(bytes).map_err(|why| unreadable(name, why))?;
        baselines.entry(account).or_default().insert(entity, baseline);
    }
    for (name, bytes) in values {
        let Some(id) = name.strip_prefix(ACCOUNT) else { continue };
        let (swept, account) = bytes.split_at_checked(4).ok_or_else(|| corrupt(name))?;
        let swept = WindowId(u32::from_le_bytes(swept.try_into().map_err(|_| corrupt(name))?));
        let account = Account::decode(account).map_err(|why| unreadable(name, why))?;
        let open: Vec<Incident> = match values.get(&format!("{OPEN}{id}")) {
            Some(bytes) => serde_json::from_slice(bytes).map_err(|_| corrupt(name))?,
            None => Vec::new(),
        };
        known.restore(id.to_owned(), account, swept, baselines.remove(id).unwrap_or_default(), open);
    }
    if let Some(bytes) = values.get(DIRECTORY) {
        known.directory = minicbor::decode(bytes).map_err(|_| corrupt(DIRECTORY))?;
    }
    Ok(known)
}
