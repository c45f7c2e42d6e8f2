//! All steps over a folder of logs, on simulated time.
//!
//! Replay is ingest of every file in any order, then evaluate of window after window: so its memory does not grow with
//! the log, and what it says depends on the records alone, not on files, their order, their names or duplicates. With a
//! state file it goes on from what was learnt. There is deliberately no printing here: [`Report`] is values.

mod judge;
mod short;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use outflow_core::batch::{Entry, HashKey, Packer};
use outflow_core::config::Config;
use outflow_core::decode::Reject;
use outflow_core::directory::Directory;
use outflow_core::entity::EntityKind;
use outflow_core::incident::Incident;
use outflow_core::observe::{Actor, Class, What};
use outflow_core::time::{DAY_MS, Timestamp, WINDOWS_PER_DAY, WindowId};

use crate::head::{self, FORMAT, HeadError};
use crate::ingest::{Intake, Tally, commit};
use crate::keys;
use crate::source;
use crate::store::embedded::Embedded;
use crate::store::{COMMIT_WRITES_MAX, Store, StoreError, Write, list};
use judge::{Evaluator, directory};

/// Rejects and foreign files that are listed; more are counted.
const LISTED_MAX: usize = 1_000;
/// Different actors that are counted: a trail with more names has more than anybody counts.
const ACTORS_MAX: usize = 200_000;
/// Windows behind all others from which, and one in how many at most, a record's time is not believed: 35 days, a hundred.
const MISTIMED_WINDOWS: u32 = 35 * WINDOWS_PER_DAY;
const MISTIMED_SHARE: usize = 100;
/// Windows judged between two checkpoints of a state file: a day of a busy account.
const CHECKPOINT_WINDOWS: usize = WINDOWS_PER_DAY as usize;

/// What to replay.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Files and folders of logs.
    pub logs: Vec<PathBuf>,
    /// Files and folders to learn from without telling.
    pub baseline: Vec<PathBuf>,
    /// The function of logs that name none; else their path tells.
    pub function: Option<String>,
    /// Settings.
    pub config: Config,
    /// Key of the hashes of a new store: random, and without influence on what is said.
    pub hash_key: HashKey,
    /// Keep what was learnt in the store.
    pub keep: bool,
}

/// Told while it works.
pub trait Progress {
    /// So many of so many files are read.
    fn read(&mut self, done: usize, of: usize);
    /// So many of so many windows are judged.
    fn judged(&mut self, done: usize, of: usize);
}

/// Where a record could not be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejected {
    /// The file.
    pub path: PathBuf,
    /// What and where in it.
    pub reject: Reject,
}

/// What was read and what was not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coverage {
    /// Plain files found.
    pub files: u64,
    /// Of those, the ones that are no AWS logs.
    pub not_logs: u64,
    /// Records by kind.
    pub tally: Tally,
    /// What the records said, each thing once.
    pub observations: u64,
    /// Records that were there before; they are among `records`.
    pub duplicates: u64,
    /// Records that could not be read.
    pub rejects: u64,
    /// The same by code.
    pub rejects_by_code: BTreeMap<&'static str, u64>,
    /// Where the baseline goes on after the logs to judge begin, its last record: from their first record on it is judged like them.
    pub baseline_overlaps_to: Option<Timestamp>,
    /// Functions seen.
    pub functions: u64,
    /// Other principals seen.
    pub principals: u64,
    /// Calls of AWS services for themselves: counted, and never an incident.
    pub background: u64,
    /// Windows so far behind all others that their time is not believed: kept, and not judged.
    pub mistimed: u64,
    /// Windows of entities that were not judged, because their account has more than are kept.
    pub beyond: u64,
    /// What was left out at a bound of what is kept: names that one record lists, functions of a role, flows, permissions and
    /// the like, each time it came; of a state file, since it began.
    pub cut: u64,
    /// Functions that are named by a path and not by content.
    pub assumed: Vec<String>,
}

/// What a replay says.
#[derive(Debug, Default)]
pub struct Report {
    /// Opened or changed by this replay, in order of time and id.
    pub incidents: Vec<Incident>,
    /// Of accounts with less than a day of logs and nothing before: what is rare, the rarest first. None is an incident.
    pub ranked: Vec<Incident>,
    /// What was read.
    pub coverage: Coverage,
    /// The first rejects, in order of path and offset.
    pub rejects: Vec<Rejected>,
    /// The first files that are no logs, each with a hint.
    pub not_logs: Vec<(PathBuf, Option<&'static str>)>,
    /// Files and folders that could not be opened.
    pub unreadable: Vec<(PathBuf, String)>,
    /// Days of logs before these, by account, that the baselines stand on; and the gaps in them.
    pub accounts: Vec<AccountSpan>,
    /// First record of the logs to judge, the baseline's left out.
    pub judged_from: Option<Timestamp>,
    /// No account has a day of logs, so none has a baseline: what is rare is ranked, and nothing is an incident.
    pub short: bool,
}

/// How long an account was learnt from.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountSpan {
    /// AWS account id, or empty.
    pub account: String,
    /// First record.
    pub first: Timestamp,
    /// Last record.
    pub last: Timestamp,
    /// Runs without any record.
    pub gaps: Vec<(Timestamp, Timestamp)>,
    /// Services whose data events begin after the first day, and when.
    pub late_data: Vec<(String, Timestamp)>,
}

/// Why a replay could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The state file was written by a newer version, or is none.
    #[error("the state has format {0}, this version knows format {FORMAT}")]
    Format(u8),
    /// The baseline's logs begin after the logs to judge.
    #[error("the baseline begins at {baseline}, after the logs that end at {logs}")]
    BaselineLater {
        /// First record of the baseline.
        baseline: String,
        /// Last record of the logs.
        logs: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<HeadError> for ReplayError {
    fn from(error: HeadError) -> ReplayError {
        match error {
            HeadError::Format(format) => ReplayError::Format(format),
            HeadError::Store(error) => ReplayError::Store(error),
        }
    }
}

/// Replays logs over a store.
pub async fn replay(replay: &Replay, store: &Embedded, progress: &mut dyn Progress) -> Result<Report, ReplayError> {
    let (key, fresh) = head::open(store, replay.hash_key).await?;
    let mut reading = Reading::new(key, directory(store).await?);
    let (baseline, failed_baseline) = source::files(&replay.baseline);
    let (logs, failed) = source::files(&replay.logs);
    reading.unreadable(failed_baseline.into_iter().chain(failed));
    let total = baseline.len() + logs.len();
    reading.read(replay, store, &baseline, (0, total), progress).await?;
    let learnt = std::mem::take(&mut reading.intake.tally);
    reading.read(replay, store, &logs, (baseline.len(), total), progress).await?;
    let tally = reading.intake.tally.clone();
    if let (Some(begin), Some(end)) = (learnt.from, tally.to)
        && begin > end
    {
        return Err(ReplayError::BaselineLater { baseline: begin.to_rfc3339(), logs: end.to_rfc3339() });
    }
    reading.report.judged_from = tally.from;
    reading.report.coverage.baseline_overlaps_to = learnt.to.filter(|to| tally.from.is_some_and(|from| *to > from));
    // Nothing is packed any more; its room is for the baselines.
    reading.intake.packer = Packer::new(key);
    let first_told = tally.from.map_or(WindowId(0), Timestamp::window);
    let mut evaluator = Evaluator::load(store, &replay.config).await?;
    evaluator.known.directory = std::mem::take(&mut reading.directory);
    judge(replay, store, &mut evaluator, first_told, progress).await?;
    reading.intake.tally = join(learnt, tally);
    let alone = fresh && replay.baseline.is_empty();
    Ok(report(reading, evaluator, alone))
}

/// Notes that what a replay reported was told. Until then the next one reports it again: after a crash an incident is told
/// twice, never not at all.
pub async fn told(store: &Embedded) -> Result<(), StoreError> {
    let marks: Vec<Write> = list(store, keys::UNTOLD).await?.into_iter().map(|(key, _)| Write::Delete { key }).collect();
    for some in marks.chunks(COMMIT_WRITES_MAX) {
        store.commit(some.to_vec()).await?;
    }
    store.persist()
}

/// Judges all windows that wait, in order.
async fn judge(
    replay: &Replay,
    store: &Embedded,
    evaluator: &mut Evaluator<'_, Embedded>,
    first_told: WindowId,
    progress: &mut dyn Progress,
) -> Result<(), ReplayError> {
    let mut waiting: Vec<WindowId> = list(store, keys::PENDING).await?.iter().filter_map(|(key, _)| keys::pending_window(key)).collect();
    let before = evaluator.known.accounts().map(|(_, account)| account.last()).max();
    evaluator.mistimed = mistimed(&waiting, before);
    waiting.truncate(waiting.len() - evaluator.mistimed);
    if before.is_none() {
        // The same at the other end, where they would make an account look old.
        let early = mistimed_first(&waiting);
        evaluator.mistimed += early;
        waiting.drain(..early);
    }
    let begin = waiting.iter().find(|&&w| !replay.baseline.is_empty() && w >= first_told).copied();
    for (i, &window) in waiting.iter().enumerate() {
        progress.judged(i, waiting.len());
        if begin == Some(window) {
            evaluator.known.begin(window);
        }
        evaluator.window(window, window < first_told, replay.keep).await?;
        if (i + 1) % CHECKPOINT_WINDOWS == 0 {
            save(replay, store, evaluator).await?;
        }
    }
    for class in [Class::Logs, Class::Trail] {
        evaluator.unite(None, class, replay.keep).await?;
    }
    evaluator.finish(waiting.last().is_some_and(|&last| last < first_told));
    save(replay, store, evaluator).await?;
    progress.judged(waiting.len(), waiting.len());
    Ok(())
}

/// How many of the last windows lie so far behind all others, and are so few, that their time must be wrong: a clock or a
/// forger. They go on waiting, since judging them would make everything before them late.
fn mistimed(waiting: &[WindowId], before: Option<WindowId>) -> usize {
    let known = if before.is_some() { MISTIMED_SHARE } else { 0 };
    let mut few = 0;
    for i in (0..waiting.len()).rev() {
        let last = if i == 0 { before } else { waiting.get(i - 1).copied() };
        let (Some(window), Some(last)) = (waiting.get(i), last) else { break };
        let behind = waiting.len() - i;
        if behind * MISTIMED_SHARE > i + known {
            break;
        }
        if window.0.saturating_sub(last.0) > MISTIMED_WINDOWS {
            few = behind;
        }
    }
    few
}

/// How many of the first windows lie so far before all others, and are so few.
fn mistimed_first(waiting: &[WindowId]) -> usize {
    let gaps = waiting.windows(2).enumerate().take_while(|(i, _)| (i + 1) * MISTIMED_SHARE < waiting.len() - i);
    let far = gaps.filter(|(_, pair)| pair.iter().rev().map(|w| w.0).reduce(|a, b| a - b).is_some_and(|d| d > MISTIMED_WINDOWS));
    far.map(|(i, _)| i + 1).last().unwrap_or(0)
}

async fn save(replay: &Replay, store: &Embedded, evaluator: &mut Evaluator<'_, Embedded>) -> Result<(), StoreError> {
    if replay.keep {
        evaluator.checkpoint().await?;
        store.persist()
    } else {
        evaluator.discard().await
    }
}

/// What reading gathers.
struct Reading {
    intake: Intake,
    directory: Directory,
    actors: BTreeSet<Actor<'static>>,
    report: Report,
}

impl Reading {
    fn new(key: HashKey, directory: Directory) -> Reading {
        Reading { intake: Intake::new(Packer::new(key)), directory, actors: BTreeSet::new(), report: Report::default() }
    }

    fn unreadable(&mut self, failed: impl Iterator<Item = (PathBuf, std::io::Error)>) {
        self.report.unreadable.extend(failed.map(|(path, error)| (path, error.to_string())));
    }

    async fn read(
        &mut self,
        replay: &Replay,
        store: &Embedded,
        files: &[PathBuf],
        (before, total): (usize, usize),
        progress: &mut dyn Progress,
    ) -> Result<(), StoreError> {
        let mut buffer = Vec::new();
        for (i, path) in files.iter().enumerate() {
            progress.read(before + i, total);
            self.report.coverage.files += 1;
            match source::read(path, &mut buffer) {
                Err(error) => self.report.unreadable.push((path.clone(), error.to_string())),
                Ok(()) => self.file(replay, path, &buffer),
            }
            if self.intake.packer.is_full() {
                self.flush(store).await?;
            }
        }
        self.flush(store).await
    }

    fn file(&mut self, replay: &Replay, path: &Path, bytes: &[u8]) {
        let function = replay.function.clone().unwrap_or_else(|| source::function_name(path));
        let Report { rejects, coverage, not_logs, .. } = &mut self.report;
        let mut reject = |reject: Reject| {
            coverage.rejects += 1;
            *coverage.rejects_by_code.entry(reject.reason.code()).or_default() += 1;
            if rejects.len() < LISTED_MAX {
                rejects.push(Rejected { path: path.to_owned(), reject });
            }
        };
        let decoded = self.intake.take(bytes, &function, &mut reject);
        if decoded.format.is_none() && decoded.rejects == 0 {
            coverage.not_logs += 1;
            if not_logs.len() < LISTED_MAX {
                not_logs.push((path.to_owned(), decoded.note));
            }
        }
    }

    async fn flush(&mut self, store: &Embedded) -> Result<(), StoreError> {
        let (batches, duplicates) = self.intake.packer.finish();
        self.report.coverage.duplicates += duplicates;
        let entries = batches.iter().flat_map(|batch| batch.entries.chunk_by(|a, b| a.subject.actor == b.subject.actor));
        for of_actor in entries {
            let Some(Entry { subject, .. }) = of_actor.first() else { continue };
            self.directory.learn_function(subject);
            let full = self.actors.len() >= ACTORS_MAX;
            if !full && !self.actors.contains(&subject.actor) {
                self.actors.insert(subject.actor.clone());
            }
            for Entry { subject, .. } in of_actor {
                if let What::Change { target, .. } = &subject.what
                    && target.kind == "function"
                    && !full
                {
                    let account = if target.account.is_empty() { subject.account.clone() } else { target.account.clone() };
                    self.actors.insert(Actor::Named { account, region: "".into(), name: target.name.clone(), assumed: false });
                }
            }
        }
        self.report.coverage.duplicates += commit(store, &batches).await?;
        Ok(())
    }
}

fn join(a: Tally, b: Tally) -> Tally {
    Tally {
        records: a.records + b.records,
        trail_management: a.trail_management + b.trail_management,
        trail_data: a.trail_data + b.trail_data,
        trail_other: a.trail_other + b.trail_other,
        log_events: a.log_events + b.log_events,
        reports: a.reports + b.reports,
        dropped: a.dropped + b.dropped,
        controls: a.controls + b.controls,
        untimed: a.untimed + b.untimed,
        own: a.own + b.own,
        cut: a.cut + b.cut,
        from: a.from.into_iter().chain(b.from).min(),
        to: a.to.into_iter().chain(b.to).max(),
    }
}

/// `alone`: nothing was learnt before these logs, so accounts with less than a day of them have no baseline.
fn report(reading: Reading, evaluator: Evaluator<'_, Embedded>, alone: bool) -> Report {
    let Reading { intake, actors, mut report, .. } = reading;
    let mut entities = BTreeSet::new();
    for actor in &actors {
        let entity = evaluator.known.directory.entity(actor);
        if let Actor::Named { assumed: true, .. } = actor {
            report.coverage.assumed.push(entity.name().to_owned());
        }
        entities.insert(entity);
    }
    let count = |kind| entities.iter().filter(|e| e.kind == kind).count() as u64;
    let coverage = &mut report.coverage;
    coverage.tally = intake.tally;
    coverage.functions = count(EntityKind::Function);
    coverage.principals = count(EntityKind::Principal);
    coverage.duplicates += evaluator.duplicates;
    coverage.observations = evaluator.observations;
    coverage.background = evaluator.known.background;
    coverage.beyond = evaluator.known.beyond;
    let known = evaluator.known.accounts().map(|(_, account)| account.cut()).chain([evaluator.known.directory.cut()]);
    coverage.cut = known.fold(coverage.tally.cut, u64::saturating_add);
    coverage.mistimed = evaluator.mistimed as u64;
    coverage.assumed.sort();
    coverage.assumed.dedup();
    let spans = evaluator.known.accounts().map(|(id, account)| AccountSpan {
        account: id.to_owned(),
        first: account.first().start(),
        last: account.last().end(),
        gaps: account.gaps().iter().map(|(from, to)| (from.start(), to.start())).collect(),
        late_data: account.late_data().map(|(service, from)| (service.to_owned(), from.start())).collect(),
    });
    report.accounts = spans.collect();
    let is_short = |span: &&AccountSpan| alone && span.last.ms() - span.first.ms() < DAY_MS;
    let short: BTreeSet<&str> = report.accounts.iter().filter(is_short).map(|span| span.account.as_str()).collect();
    report.short = short.len() == report.accounts.len();
    let (ranked, others) = (evaluator.known.sights, evaluator.known.changed.into_values());
    report.incidents = others.filter(|i| !short.contains(i.account.as_str())).collect();
    report.incidents.sort_by(|a, b| (a.since(), &a.uid).cmp(&(b.since(), &b.uid)));
    report.ranked = short::rank(ranked.into_iter().filter(|(account, _)| short.contains(account.as_str())));
    report.rejects.sort_by(|a, b| (&a.path, a.reject.offset).cmp(&(&b.path, b.reject.offset)));
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(from: u32, n: u32) -> Vec<WindowId> {
        (from..from + n).map(WindowId).collect()
    }

    #[test]
    fn a_few_windows_far_from_all_others_are_not_believed() {
        let far = MISTIMED_WINDOWS + 10_000;
        let bulk = windows(1_000_000, 500);
        let with = |before: &[u32], after: &[u32]| -> Vec<WindowId> {
            let all = before.iter().map(|&w| WindowId(w)).chain(bulk.iter().copied());
            all.chain(after.iter().map(|&w| WindowId(w))).collect()
        };
        let late = 1_000_000 + far;
        assert_eq!(mistimed(&with(&[], &[late]), None), 1);
        assert_eq!(mistimed(&with(&[], &[late, late + far]), None), 2, "each far from the next");
        assert_eq!(mistimed(&with(&[], &[1_001_000]), None), 0, "near enough");
        assert_eq!(mistimed(&windows(1_000_000, 3), None), 0, "nothing to compare with");
        assert_eq!(mistimed(&[WindowId(late)], Some(WindowId(1_000_500))), 1, "alone, after what a state file knows");
        assert_eq!(mistimed(&windows(late, 288), Some(WindowId(1_000_500))), 0, "a day of logs after a long pause");
        let early = with(&[1_000_000 - 2 * far, 1_000_000 - far], &[]);
        assert_eq!(mistimed_first(&early), 2);
        assert_eq!(mistimed_first(&bulk), 0);
        assert_eq!(mistimed_first(&[]), 0);
    }
}
