//! Findings that belong together.
//!
//! A finding joins an open incident of the same entity, or of an entity that a flow of the same window links with it; else
//! it opens one. An incident is over when nothing was added to it for the time that `config` states. Its id is a hash of
//! account, entity, subject and first window: nothing that depends on arrival. There is deliberately no text here: see `alert`.

use serde::{Deserialize, Serialize};

use crate::account::Judgement;
use crate::config::Config;
use crate::detect::{Detail, Finding, Level};
use crate::entity::Entity;
use crate::facts::Span;
use crate::limits::{FINDINGS_PER_INCIDENT_MAX, INCIDENTS_OPEN_MAX};
use crate::time::{MINUTES_PER_WINDOW, Timestamp, WindowId};

/// Years between chance events of its kind, from which an incident is of high severity.
const HIGH_YEARS: f64 = 1.0;

/// How grave an incident is, in the words of OCSF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// Rare, but over the budget of alerts.
    Low,
    /// Within the budget.
    Medium,
    /// By chance less than once a year in this account.
    High,
}

impl Severity {
    /// `low`, `medium`, `high`.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
        }
    }

    /// Reads what [`Severity::word`] writes.
    pub fn from_word(word: &str) -> Option<Severity> {
        [Severity::Low, Severity::Medium, Severity::High].into_iter().find(|s| s.word() == word)
    }
}

/// Findings that belong together, in their last state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// 32 hexadecimal digits.
    pub uid: String,
    /// AWS account id, or empty where the logs name none.
    pub account: String,
    /// Raised with every change.
    pub sequence: u32,
    /// The window of its first finding.
    pub opened: WindowId,
    /// The last window that added to it.
    pub updated: WindowId,
    /// The last window that added a finding: others join only near it, however long a flow goes on.
    pub joined: WindowId,
    /// Nothing was added for a while.
    pub resolved: bool,
    /// The first is the one that it was opened with; the same subject of the same entity stands once.
    pub findings: Vec<Finding>,
    /// Findings beyond the bound, counted only.
    pub more: u64,
}

impl Incident {
    fn open(account: &str, finding: Finding) -> Incident {
        let window = finding.judged;
        Incident {
            uid: uid(account, &finding),
            account: account.to_owned(),
            sequence: 1,
            opened: finding.window,
            updated: window,
            joined: window,
            resolved: false,
            findings: vec![finding],
            more: 0,
        }
    }

    /// An incident of findings that are known to belong together, the first of them first; `more` are not spelt out.
    pub fn of(account: String, findings: Vec<Finding>, more: u64) -> Incident {
        let judged = || findings.iter().map(|f| f.judged);
        Incident {
            uid: findings.first().map(|f| uid(&account, f)).unwrap_or_default(),
            account,
            sequence: 1,
            opened: findings.iter().map(|f| f.window).min().unwrap_or(WindowId(0)),
            updated: judged().max().unwrap_or(WindowId(0)),
            joined: judged().max().unwrap_or(WindowId(0)),
            resolved: false,
            findings,
            more,
        }
    }

    /// The finding that says most: the loudest, then the rarest, then the first.
    pub fn lead(&self) -> Option<&Finding> {
        let mut all = self.findings.iter();
        let first = all.next()?;
        Some(all.fold(first, |best, f| {
            let rarer = f.years > best.years && f.subject != best.subject;
            if f.level > best.level || (f.level == best.level && rarer && weight(f) >= weight(best)) { f } else { best }
        }))
    }

    /// The loudest of its findings.
    pub fn level(&self) -> Level {
        self.findings.iter().map(|f| f.level).max().unwrap_or(Level::Rare)
    }

    /// How grave it is.
    pub fn severity(&self) -> Severity {
        let alerts = self.findings.iter().filter(|f| f.level == Level::Alert);
        let years = alerts.map(|f| f.years).fold(None, |max: Option<f64>, y| Some(max.map_or(y, |m| m.max(y))));
        match years {
            None => Severity::Low,
            Some(years) if years >= HIGH_YEARS => Severity::High,
            Some(_) => Severity::Medium,
        }
    }

    /// The entities it is about, the first one first.
    pub fn entities(&self) -> Vec<&Entity> {
        let mut all: Vec<&Entity> = Vec::new();
        for finding in &self.findings {
            if !all.contains(&&finding.entity) {
                all.push(&finding.entity);
            }
        }
        all
    }

    /// When it began: the first event, or the window of the first finding.
    pub fn since(&self) -> Timestamp {
        self.findings.iter().map(|f| f.span.as_ref().map_or(f.window.start(), |s| s.first.at)).min().unwrap_or(self.opened.start())
    }

    /// When it was last seen.
    pub fn until(&self) -> Timestamp {
        let last = |f: &Finding| f.span.as_ref().map_or(f.judged.end(), |s| s.last.at);
        self.findings.iter().map(last).max().unwrap_or(self.updated.end())
    }

    /// The first and last events behind it.
    pub fn span(&self) -> Option<Span> {
        let mut spans = self.findings.iter().filter_map(|f| f.span.as_ref());
        let mut all = spans.next()?.clone();
        spans.for_each(|s| all.join(s));
        Some(all)
    }

    fn add(&mut self, finding: Finding) {
        self.sequence = self.sequence.saturating_add(1);
        self.opened = self.opened.min(finding.window);
        self.updated = self.updated.max(finding.judged);
        self.joined = self.joined.max(finding.judged);
        let same = self.findings.iter().position(|f| is_same(f, &finding));
        if let Some(known) = same.and_then(|i| self.findings.get_mut(i)) {
            merge(known, finding);
        } else if self.findings.len() >= FINDINGS_PER_INCIDENT_MAX {
            self.more += 1;
        } else {
            self.findings.push(finding);
        }
    }
}

/// The same subject of the same entity.
fn is_same(a: &Finding, b: &Finding) -> bool {
    a.entity == b.entity && a.subject == b.subject
}

/// New flows say what happened, rates how much of it.
fn weight(finding: &Finding) -> u8 {
    match finding.detail {
        Detail::NewFlow(_) => 2,
        Detail::Rate(_) => 1,
        Detail::Quiet { .. } => 0,
    }
}

/// The same subject again: the louder statement stays, the events add up.
fn merge(known: &mut Finding, again: Finding) {
    let span = match (known.span.take(), again.span.clone()) {
        (Some(mut a), Some(b)) => {
            a.join(&b);
            Some(a)
        }
        (a, b) => a.or(b),
    };
    let count = known.count.saturating_add(again.count);
    let told = again.again();
    let extra = extra(known).zip(extra(&again)).map(|(so_far, _)| so_far + again.count as f64);
    // A silence that lasts is told by its length, even where its ring has begun to learn it.
    let longer = matches!(&again.detail, Detail::Rate(rate) if rate.family == "silence");
    let louder = again.level > known.level || (again.level == known.level && (again.years > known.years || longer));
    if louder {
        let (before, window) = (std::mem::take(&mut known.before), known.window.min(again.window));
        let years = known.years.max(again.years);
        let usual = expected(known);
        *known = Finding { years, ..again };
        // The longest pause before it began, not what was learnt of it since.
        if let (true, Detail::Rate(rate), Some(usual)) = (longer, &mut known.detail, usual) {
            rate.expected = rate.expected.min(usual);
        }
        known.window = window;
        if !before.is_empty() {
            known.before = before;
        }
    }
    (known.span, known.count) = (span, count);
    if let (Detail::Rate(rate), Some(extra)) = (&mut known.detail, extra) {
        rate.extra = Some(extra);
    }
    if let (Detail::NewFlow(flow), Some(times)) = (&mut known.detail, told) {
        flow.again = Some(times);
    }
}

fn extra(finding: &Finding) -> Option<f64> {
    if let Detail::Rate(rate) = &finding.detail { rate.extra } else { None }
}

fn expected(finding: &Finding) -> Option<f64> {
    if let Detail::Rate(rate) = &finding.detail { Some(rate.expected) } else { None }
}

fn uid(account: &str, finding: &Finding) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [account.as_bytes(), finding.entity.id.as_bytes(), finding.subject.as_bytes()] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.update(&finding.window.0.to_le_bytes());
    hasher.finalize().to_hex()[..32].to_owned()
}

/// Joins what a window said with the open incidents of the account. Gives those that opened or changed, by index into
/// `open`.
pub fn join(open: &mut Vec<Incident>, account: &str, config: &Config, said: Judgement) -> Vec<usize> {
    let mut changed = Vec::new();
    let near = config.resolve_minutes / MINUTES_PER_WINDOW;
    for finding in said.findings {
        let close = |incident: &Incident| finding.judged.0.abs_diff(incident.joined.0) <= near;
        let linked = |incident: &Incident| {
            let about = |e: &Entity| incident.findings.iter().any(|f| f.entity == *e);
            said.links.iter().any(|(a, b)| (*a == finding.entity && about(b)) || (*b == finding.entity && about(a)))
        };
        let same = open.iter().position(|i| close(i) && i.findings.iter().any(|f| f.entity == finding.entity));
        // What is told again goes to its own incident, where that is still open, however long ago it was told.
        let own = open.iter().position(|i| finding.again().is_some() && i.findings.iter().any(|f| is_same(f, &finding)));
        match own.or(same).or_else(|| open.iter().position(|i| close(i) && linked(i))) {
            Some(i) => {
                if let Some(incident) = open.get_mut(i) {
                    incident.add(finding);
                }
                changed.push(i);
            }
            None if open.len() >= INCIDENTS_OPEN_MAX => {
                if let Some(last) = open.last_mut() {
                    last.more += 1;
                }
                changed.push(open.len() - 1);
            }
            None => {
                changed.push(open.len());
                open.push(Incident::open(account, finding));
            }
        }
    }
    for (entity, subject, count, span) in said.again {
        for (i, incident) in open.iter_mut().enumerate() {
            if incident.level() != Level::Alert {
                continue;
            }
            let is_usual = |f: &Finding| f.again().is_some_and(|again| again.last);
            let goes_on = |f: &&mut Finding| f.subject == subject && f.entity == entity && !is_usual(f);
            if let Some(finding) = incident.findings.iter_mut().find(goes_on) {
                finding.count = finding.count.saturating_add(count);
                incident.updated = incident.updated.max(span.last.at.window());
                match &mut finding.span {
                    Some(known) => known.join(&span),
                    none => *none = Some(span.clone()),
                }
                changed.push(i);
            }
        }
    }
    changed.sort_unstable();
    changed.dedup();
    changed
}

/// Takes out the incidents that are over at the beginning of `now`.
pub fn resolve(open: &mut Vec<Incident>, config: &Config, now: WindowId) -> Vec<Incident> {
    let quiet = config.resolve_minutes / MINUTES_PER_WINDOW;
    let over: Vec<Incident> = open.extract_if(.., |i| now.0.saturating_sub(i.updated.0) > quiet).collect();
    over.into_iter().map(|i| Incident { resolved: true, sequence: i.sequence.saturating_add(1), ..i }).collect()
}
