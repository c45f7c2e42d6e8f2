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
use outflow_core::detect::Detail;
use outflow_core::directory::Directory;
use outflow_core::entity::EntityKind;
use outflow_core::incident::{Incident, Severity};
use outflow_core::observe::{Actor, Class, What};
use outflow_core::time::{Timestamp, WINDOWS_PER_DAY, WINDOWS_PER_HOUR, WindowId};

use crate::head::{self, FORMAT, HeadError};
use crate::ingest::{Intake, Tally, commit};
use crate::keys;
use crate::source;
use crate::store::embedded::Embedded;
use crate::store::{COMMIT_WRITES_MAX, Store, StoreError, Write, list};
use judge::{Evaluator, directory};

/// Rejects and foreign files that are listed; more are counted.
const LISTED_MAX: usize = 100_000;
/// Different actors that are counted: a trail with more names has more than anybody counts.
const ACTORS_MAX: usize = 200_000;
/// Windows behind all others from which, and one in how many at most, a record's time is not believed: 35 days, a hundred.
const MISTIMED_WINDOWS: u32 = 35 * WINDOWS_PER_DAY;
const MISTIMED_SHARE: usize = 100;
/// Windows before the last one judged from which records count as late: deliveries overlap by an hour at most.
const LATE_WINDOWS: u32 = WINDOWS_PER_HOUR;
/// Within one run a pause is too long already where it is over an hour and twice the longest among the other windows: who acts
/// rarely, or not at night, has pauses like it.
const PAUSE_WINDOWS: u32 = WINDOWS_PER_HOUR;
const PAUSE_TIMES: u32 = 2;
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
    /// Of those, the ones that an earlier run with this state has read.
    pub read_before: u64,
    /// Records that no earlier run has read, each once.
    pub fresh: u64,
    /// Of those, the ones that lie before what the state has judged: first sights of them are told, rates are not.
    pub late: u64,
    /// Files and folders that could not be opened.
    pub unreadable: u64,
    /// Links and other things that are no plain files: not followed, not opened.
    pub passed: u64,
    /// Files with log events that name no function.
    pub unnamed: u64,
    /// Records that could not be read.
    pub rejects: u64,
    /// Elements of files of logs that are something else: another service's notices, say.
    pub foreign: u64,
    /// The rejects by code.
    pub rejects_by_code: BTreeMap<&'static str, u64>,
    /// Where the baseline goes on after the logs to judge begin, its last record: from their first record on it is judged like them.
    pub baseline_overlaps_to: Option<Timestamp>,
    /// Functions seen.
    pub functions: u64,
    /// Other principals seen.
    pub principals: u64,
    /// Calls of AWS services for themselves: counted, and never an incident.
    pub background: u64,
    /// Windows so far from all others that their time is not believed: kept, and not judged.
    pub mistimed: u64,
    /// Entities that were not judged, because their account has more than are kept.
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
    /// Of accounts that are too young for new flows: what is rare, the rarest first. None is an incident.
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
    /// The function that logs without one count as, where it was named.
    pub function: Option<String>,
    /// What the state had judged before, its last window's end.
    pub judged_before: Option<Timestamp>,
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
    /// Too young for new flows.
    pub young: bool,
}

/// Why a replay could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The state file was written by a newer version, or is none.
    #[error("the state has format {0}, this version knows format {FORMAT}")]
    Format(u8),
    /// The baseline holds no record.
    #[error("no record of an AWS log was found in it")]
    BaselineEmpty,
    /// The baseline's logs end after the logs to judge.
    #[error("the baseline goes on to {baseline}, beyond the logs, which end at {logs}")]
    BaselineLater {
        /// Last record of the baseline.
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
    let (key, _) = head::open(store, replay.hash_key).await?;
    let mut reading = Reading::new(key, directory(store).await?);
    let baseline = reading.found(source::files(&replay.baseline));
    let logs = reading.found(source::files(&replay.logs));
    let total = baseline.len() + logs.len();
    let mut evaluator = Evaluator::load(store, &replay.config).await?;
    let before = evaluator.last();
    reading.read(replay, store, &baseline, (0, total), progress).await?;
    let learnt = std::mem::take(&mut reading.intake.tally);
    if !replay.baseline.is_empty() && learnt.records == 0 {
        return Err(ReplayError::BaselineEmpty);
    }
    let learnt_to = believed(store, before).await?.filter(|_| !replay.baseline.is_empty());
    reading.read(replay, store, &logs, (baseline.len(), total), progress).await?;
    let tally = reading.intake.tally.clone();
    if let (Some(learnt_to), Some(to), Some(end)) = (learnt_to, learnt.to, tally.to)
        && learnt_to > end.window()
    {
        return Err(ReplayError::BaselineLater { baseline: to.min(learnt_to.end()).to_rfc3339(), logs: end.to_rfc3339() });
    }
    reading.report.judged_from = tally.from;
    reading.report.function.clone_from(&replay.function);
    reading.report.judged_before = before.map(WindowId::end);
    reading.report.coverage.baseline_overlaps_to = learnt.to.filter(|to| tally.from.is_some_and(|from| *to > from));
    // Nothing is packed any more; its room is for the baselines.
    reading.intake.packer = Packer::new(key);
    let first_told = tally.from.map_or(WindowId(0), Timestamp::window);
    evaluator.known.directory = std::mem::take(&mut reading.directory);
    judge(replay, store, &mut evaluator, first_told, progress).await?;
    reading.intake.tally = join(learnt, tally);
    Ok(report(reading, evaluator))
}

/// The last window that waits and whose time is believed.
async fn believed(store: &Embedded, before: Option<WindowId>) -> Result<Option<WindowId>, StoreError> {
    let mut waiting = waiting(store).await?;
    waiting.truncate(waiting.len() - mistimed(&waiting, before));
    Ok(waiting.pop())
}

async fn waiting(store: &Embedded) -> Result<Vec<WindowId>, StoreError> {
    Ok(list(store, keys::PENDING).await?.iter().filter_map(|(key, _)| keys::pending_window(key)).collect())
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
    let mut waiting = waiting(store).await?;
    let before = evaluator.last();
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
        let judged = evaluator.fresh;
        evaluator.window(window, window < first_told, replay.keep).await?;
        // What was delivered a few minutes late is no news.
        if before.is_some_and(|before| window.0 + LATE_WINDOWS < before.0) {
            evaluator.late += evaluator.fresh - judged;
        }
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
/// forger. They go on waiting, since judging them would make everything before them late, and silence of all that is missing.
fn mistimed(waiting: &[WindowId], before: Option<WindowId>) -> usize {
    let known = if before.is_some() { MISTIMED_SHARE } else { 0 };
    let pauses = pauses(waiting);
    let mut few = 0;
    for i in (0..waiting.len()).rev() {
        let last = if i == 0 { before } else { waiting.get(i - 1).copied() };
        let (Some(window), Some(last)) = (waiting.get(i), last) else { break };
        let behind = waiting.len() - i;
        if behind * MISTIMED_SHARE > i + known {
            break;
        }
        let gap = window.0.saturating_sub(last.0);
        let usual = i.checked_sub(1).and_then(|i| pauses.get(i)).map(|longest| PAUSE_WINDOWS.max(longest.saturating_mul(PAUSE_TIMES)));
        let is_pause = behind * MISTIMED_SHARE <= i && usual.is_some_and(|usual| gap > usual);
        if gap > MISTIMED_WINDOWS || is_pause {
            few = behind;
        }
    }
    few
}

/// How many of the first windows lie so far before all others, and are so few: the same, seen from the other end.
fn mistimed_first(waiting: &[WindowId]) -> usize {
    let mirrored: Vec<WindowId> = waiting.iter().rev().map(|w| WindowId(u32::MAX - w.0)).collect();
    mistimed(&mirrored, None)
}

/// The longest pause up to each window. What lies before the first few counts for nothing: who forges one end forges both.
fn pauses(waiting: &[WindowId]) -> Vec<u32> {
    let few = waiting.len() / MISTIMED_SHARE;
    let gaps = waiting.windows(2).enumerate().map(|(i, pair)| match pair {
        [a, b] if i >= few => b.0.saturating_sub(a.0),
        _ => 0,
    });
    let mut longest = 0;
    std::iter::once(0)
        .chain(gaps)
        .map(|gap| {
            longest = gap.max(longest);
            longest
        })
        .collect()
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

    /// Notes what can't be read, and gives the files.
    fn found(&mut self, found: source::Found) -> Vec<PathBuf> {
        self.report.coverage.passed += found.passed;
        for (path, error) in found.failed {
            self.unreadable(path, &error);
        }
        found.files
    }

    fn unreadable(&mut self, path: PathBuf, error: &std::io::Error) {
        self.report.coverage.unreadable += 1;
        if self.report.unreadable.len() < LISTED_MAX {
            self.report.unreadable.push((path, error.to_string()));
        }
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
                Err(error) => self.unreadable(path.clone(), &error),
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
        let unnamed = self.intake.tally.unnamed;
        let decoded = self.intake.take(bytes, &function, &mut reject);
        coverage.unnamed += u64::from(self.intake.tally.unnamed > unnamed);
        if decoded.format.is_some() {
            coverage.foreign += decoded.foreign;
        }
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
        unnamed: a.unnamed + b.unnamed,
        from: a.from.into_iter().chain(b.from).min(),
        to: a.to.into_iter().chain(b.to).max(),
    }
}

fn report(reading: Reading, evaluator: Evaluator<'_, Embedded>) -> Report {
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
    coverage.read_before = evaluator.read_before;
    (coverage.fresh, coverage.late) = (evaluator.fresh, evaluator.late);
    coverage.observations = evaluator.observations;
    coverage.background = evaluator.known.background;
    coverage.beyond = evaluator.known.left_out();
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
        young: account.is_young(),
    });
    report.accounts = spans.collect();
    let young: BTreeSet<&str> = report.accounts.iter().filter(|span| span.young).map(|span| span.account.as_str()).collect();
    let (sights, changed) = (evaluator.known.sights, evaluator.known.changed.into_values());
    let (early, incidents): (Vec<Incident>, Vec<Incident>) =
        changed.partition(|i| young.contains(i.account.as_str()) && i.severity() == Severity::Low);
    report.incidents = incidents;
    report.incidents.sort_by(|a, b| (a.since(), &a.uid).cmp(&(b.since(), &b.uid)));
    // Flows are among the sights already.
    let of_incident = |i: Incident| i.findings.into_iter().map(move |f| (i.account.clone(), f));
    let rates = early.into_iter().flat_map(of_incident).filter(|(_, f)| !matches!(f.detail, Detail::NewFlow(_)));
    let sights = sights.into_iter().filter(|(account, _)| young.contains(account.as_str()));
    report.ranked = short::rank(sights.chain(rates));
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
        assert_eq!(mistimed(&with(&[], &[1_000_511]), None), 0, "near enough");
        assert_eq!(mistimed(&with(&[], &[1_000_513]), None), 1, "more than an hour, where the others leave five minutes");
        assert_eq!(mistimed(&with(&[], &[1_000_513, 1_000_514, 1_000_900]), None), 3);
        assert_eq!(mistimed(&windows(1_000_500, 10).into_iter().chain([WindowId(late)]).collect::<Vec<_>>(), None), 0, "few windows");
        assert_eq!(mistimed(&windows(1_000_000, 3), None), 0, "nothing to compare with");
        assert_eq!(mistimed(&[WindowId(late)], Some(WindowId(1_000_500))), 1, "alone, after what a state file knows");
        assert_eq!(mistimed(&windows(late, 288), Some(WindowId(1_000_500))), 0, "a day of logs after a long pause");
        let early = with(&[1_000_000 - 2 * far, 1_000_000 - far], &[]);
        assert_eq!(mistimed_first(&early), 2);
        assert_eq!(mistimed_first(&with(&[999_000], &[1_001_600])), 1, "the other end is forged, too");
        assert_eq!(mistimed(&with(&[999_000], &[1_001_600]), None), 1);
        // At work by day, and nights of twelve hours: a weekend is no surprise, a month is.
        let days: Vec<WindowId> = (0..20).flat_map(|day| windows(1_000_000 + day * WINDOWS_PER_DAY, 144)).collect();
        let then = |w: u32| days.iter().copied().chain([WindowId(1_000_000 + 19 * WINDOWS_PER_DAY + 143 + w)]).collect::<Vec<_>>();
        assert_eq!(mistimed(&then(WINDOWS_PER_DAY), None), 0);
        assert_eq!(mistimed(&then(30 * WINDOWS_PER_DAY), None), 1);
        assert_eq!(mistimed_first(&bulk), 0);
        assert_eq!(mistimed_first(&[]), 0);
    }
}
