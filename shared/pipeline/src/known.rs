//! What is known as of one window, and how a window moves it on: accounts, baselines, open incidents, who is who.
//!
//! Values only: whoever calls [`Known::window`] brings the content of the window and keeps what comes out. Replay and the
//! function that runs every minute both do, so one cannot judge otherwise than the other. There is deliberately no store
//! and no clock here.

use std::collections::{BTreeMap, BTreeSet};

use outflow_core::account::{Account, Judgement, Judging};
use outflow_core::baseline::Baseline;
use outflow_core::config::Config;
use outflow_core::detect::{Detail, Finding, Level};
use outflow_core::directory::Directory;
use outflow_core::entity::Entity;
use outflow_core::facts::fold;
use outflow_core::incident::{Incident, join, resolve};
use outflow_core::limits::ENTITIES_MAX;
use outflow_core::time::{WINDOWS_PER_HOUR, WindowId};
use outflow_core::window::Window;

/// Accounts that are judged: the largest organisations have some 10,000.
const ACCOUNTS_MAX: usize = 10_000;
/// First sights that are kept while the logs may turn out to be shorter than a day; beyond, the commonest go.
const SIGHTS_KEPT: usize = 4096;

/// One account with everything that its windows are judged with.
#[derive(Clone)]
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

    /// Joins what may be told with the open incidents.
    fn join(&mut self, id: &str, config: &Config, mut said: Judgement, telling: Telling) {
        if let Telling::Early { logs } = telling {
            said.findings.retain(|f| is_certain(f, logs, self.baselines.get(&f.entity)));
        }
        let opened = join(&mut self.open, id, config, said);
        self.note(&opened);
    }

    fn resolve(&mut self, config: &Config, now: WindowId) -> impl Iterator<Item = (String, Incident)> + use<> {
        resolve(&mut self.open, config, now).into_iter().map(|incident| (incident.uid.clone(), incident))
    }

    fn sweep_to(&mut self, id: &str, until: WindowId, judging: &Judging<'_>, telling: Telling, changed: &mut BTreeMap<String, Incident>) {
        self.swept = until;
        let mut said = Judgement::default();
        let logs_end = self.account.logs_end();
        for (entity, baseline) in self.baselines.iter_mut().filter(|(_, b)| b.next() < until && b.is_watched()) {
            let until = if baseline.counts_reports() { until.min(logs_end) } else { until };
            if baseline.next() >= until {
                continue;
            }
            said.findings.extend(self.account.judge_quiet(judging, entity, baseline, until));
        }
        let together = self.account.judge_quiet_together(&Judging { window: WindowId(until.0 - 1), ..*judging });
        said.findings.extend(together);
        self.join(id, judging.config, said, telling);
        changed.extend(self.resolve(judging.config, until));
    }

    /// What no record behind the last window can undo.
    fn look_ahead(&mut self, id: &str, judging: &Judging<'_>, telling: Telling) {
        let mut said = Judgement::default();
        for (entity, baseline) in self.baselines.iter().filter(|(_, b)| b.is_just_seen()) {
            if baseline.next().0 == judging.window.0 + 1 {
                said.findings.extend(self.account.judge_ahead(judging, entity, baseline));
            }
        }
        self.join(id, judging.config, said, telling);
    }
}

/// What may be told of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// All of it is there.
    All,
    /// Nothing: it is learnt from.
    Nothing,
    /// More may come: only what that could not undo. Up to `logs`, the logs are all there.
    Early {
        /// The last window whose logs are due.
        logs: WindowId,
    },
}

/// What is known as of one window.
#[derive(Clone, Default)]
pub struct Known {
    accounts: BTreeMap<String, Judged>,
    /// Who is who.
    pub directory: Directory,
    /// Incidents opened or changed, in their last state; whoever tells them takes them out.
    pub changed: BTreeMap<String, Incident>,
    /// First sights of the first day, with their account.
    pub sights: Vec<(String, Finding)>,
    /// Calls of AWS services for themselves.
    pub background: u64,
    /// Windows of entities that had no baseline, because an account has too many.
    pub beyond: u64,
}

impl Known {
    /// Adds what is known of an account, whose silence was judged up to the window `swept`.
    pub fn restore(&mut self, id: String, account: Account, swept: WindowId, baselines: BTreeMap<Entity, Baseline>, open: Vec<Incident>) {
        self.accounts.insert(id, Judged { baselines, open, swept, ..Judged::new(account) });
    }

    /// Judges one window and learns it: all of it, or what came late.
    pub fn window(&mut self, window: WindowId, content: Window, config: &Config, telling: Telling) {
        let learn_only = telling == Telling::Nothing;
        self.sweep(&Judging { window, config, learn_only, alerted: &BTreeSet::new() }, telling);
        let facts = fold(window, content, &mut self.directory);
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
            let judging = Judging { window, config, learn_only, alerted: &judged.alerted() };
            let mut said = judged.account.judge(&judging, &facts, &self.directory, &mut judged.baselines);
            self.sights.extend(said.sights.drain(..).map(|s| (id.clone(), s)));
            judged.join(&id, config, said, telling);
            judged.grown |= window == judged.account.last();
        }
        if self.sights.len() > SIGHTS_KEPT {
            self.sights.sort_by(|a, b| b.1.score().total_cmp(&a.1.score()).then_with(|| sight_order(a).cmp(&sight_order(b))));
            self.sights.truncate(SIGHTS_KEPT / 2);
        }
        for judged in self.accounts.values_mut() {
            self.changed.extend(judged.resolve(config, window));
        }
    }

    /// The logs of a baseline are learnt, those to judge begin with this window: what lies between was given by nobody.
    pub fn begin(&mut self, window: WindowId) {
        for judged in self.accounts.values_mut() {
            judged.account.skip_to(window);
        }
    }

    /// Judges silence hour by hour up to the window, of entities that could be missed.
    fn sweep(&mut self, judging: &Judging<'_>, telling: Telling) {
        for (id, judged) in &mut self.accounts {
            let end = judged.account.quiet_until(judging.window);
            let mut hour = WindowId((judged.swept.0 / WINDOWS_PER_HOUR + 1) * WINDOWS_PER_HOUR);
            while hour <= end {
                judged.sweep_to(id, hour, judging, telling, &mut self.changed);
                hour = WindowId(hour.0 + WINDOWS_PER_HOUR);
            }
        }
    }

    /// After the last window: silence up to the last record of each account, and what no later record can undo.
    pub fn finish(&mut self, config: &Config, telling: Telling) {
        for (id, judged) in &mut self.accounts {
            let window = judged.account.last();
            let judging = Judging { window, config, learn_only: telling == Telling::Nothing, alerted: &BTreeSet::new() };
            judged.sweep_to(id, WindowId(window.0 + 1), &judging, telling, &mut self.changed);
            if judged.grown {
                judged.look_ahead(id, &judging, telling);
            }
        }
    }

    /// Takes the open incidents that changed since the last time among `changed`.
    pub fn gather(&mut self) {
        for judged in self.accounts.values_mut() {
            let noted = std::mem::take(&mut judged.noted);
            for incident in judged.open.iter().filter(|incident| noted.contains(&incident.uid)) {
                self.changed.insert(incident.uid.clone(), incident.clone());
            }
        }
    }

    /// Accounts by id.
    pub fn accounts(&self) -> impl Iterator<Item = (&str, &Account)> {
        self.accounts.iter().map(|(id, judged)| (id.as_str(), &judged.account))
    }

    /// Baselines of an account.
    pub fn baselines(&self, account: &str) -> impl Iterator<Item = (&Entity, &Baseline)> {
        self.accounts.get(account).into_iter().flat_map(|j| &j.baselines)
    }

    /// The window up to which silence was judged in an account.
    pub fn swept(&self, account: &str) -> WindowId {
        self.accounts.get(account).map_or(WindowId(0), |j| j.swept)
    }

    /// Open incidents of an account.
    pub fn open(&self, account: &str) -> &[Incident] {
        self.accounts.get(account).map_or(&[], |j| &j.open)
    }
}

/// Whether more records can't undo it: a first sight and a volume that is too large stay so; where the logs of the window are
/// all there, whatever follows from them alone.
fn is_certain(finding: &Finding, logs: WindowId, baseline: Option<&Baseline>) -> bool {
    match &finding.detail {
        Detail::NewFlow(_) => true,
        Detail::Rate(rate) if rate.family == "volume up" => true,
        Detail::Rate(_) => finding.judged <= logs && baseline.is_some_and(Baseline::counts_reports),
        Detail::Quiet { .. } => false,
    }
}

fn sight_order((account, sight): &(String, Finding)) -> (&str, WindowId, &Entity, &str) {
    (account, sight.window, &sight.entity, &sight.subject)
}
