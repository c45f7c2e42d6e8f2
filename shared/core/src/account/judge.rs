//! One window of one account: what is unusual, and what is learnt from it.
//!
//! The order is fixed: changes act at once (a deployment explains what follows it), flows are scored against the account
//! as it stood, rates against each entity's baseline, and only then is anything learnt. Entities are visited in order of
//! their ids, so that the same window always says the same.

use std::collections::{BTreeMap, BTreeSet};

use super::Account;
use crate::baseline::{Baseline, Said, Surroundings};
use crate::config::Config;
use crate::detect::rate::{Family, Score, months_per_false_alarm, threshold};
use crate::detect::silence::Pause;
use crate::detect::{Detail, Finding, Level, RateDetail, together};
use crate::directory::Directory;
use crate::entity::{Entity, EntityKind};
use crate::facts::{AccountFacts, ChangeFact, Facts, FlowFact, Span};
use crate::observe::ChangeKind;
use crate::time::{MINUTES_PER_WINDOW, Timestamp, WindowId};

/// What makes a window part of what alarms, and no echo of it: its own count is at least so many times what was expected of it
/// (the least factor of the rate detector's gates), and its excess at least this share of the sum's excess a window.
const OWN_FACTOR: f64 = 2.0;
const OWN_SHARE: f64 = 0.25;

/// What a window is judged under.
#[derive(Clone, Copy, Debug)]
pub struct Judging<'a> {
    /// The window.
    pub window: WindowId,
    /// Settings.
    pub config: &'a Config,
    /// Logs named as a baseline: everything is learnt, nothing is told.
    pub learn_only: bool,
    /// Entities of the account with an alert in an open incident: how their flows go on is said, of others it is not.
    pub alerted: &'a BTreeSet<Entity>,
}

/// What a window said.
#[derive(Debug, Default)]
pub struct Judgement {
    /// In order of entity.
    pub findings: Vec<Finding>,
    /// First sights of an account too young for new flows, told or not.
    pub sights: Vec<Finding>,
    /// Flows from one entity of the account to another, by which incidents are joined.
    pub links: Vec<(Entity, Entity)>,
    /// Flows of alerted entities that came again, by which an open incident goes on: entity, subject, how many, when.
    pub again: Vec<(Entity, String, u64, Span)>,
    /// Entities whose silence was told and that were seen again, and when.
    pub back: Vec<(Entity, Timestamp)>,
}

impl Account {
    /// Judges one window and learns it. `baselines` holds one of every entity in `facts`, new where there was none; their
    /// windows before this one are judged first.
    pub fn judge(
        &mut self,
        judging: &Judging<'_>,
        facts: &AccountFacts,
        directory: &Directory,
        baselines: &mut BTreeMap<Entity, Baseline>,
    ) -> Judgement {
        let mut out = Judgement::default();
        self.arrive(judging.window);
        if facts.entities.values().any(|f| f.reports > 0) {
            self.arrive_logs(judging.window);
        }
        self.trail |= facts.entities.values().any(|f| f.runs > 0 || !f.flows.is_empty() || !f.changes.is_empty());
        let settled = self.introduce(judging.window, facts, directory, baselines);
        let mut settled = settled.as_slice();
        for (entity, facts) in &facts.entities {
            let (of_entity, others) = settled.split_at(facts.flows.len().min(settled.len()));
            settled = others;
            let Some(baseline) = baselines.get_mut(entity) else { continue };
            self.rates(judging, entity, facts, baseline, &mut out);
            self.flows(judging, (entity, baseline), (facts, of_entity), &mut out);
            out.links.extend(links(entity, facts, directory));
        }
        for kind in [&mut self.functions, &mut self.principals] {
            kind.flows.close_window(judging.learn_only);
            kind.age_out();
        }
        self.end_window(judging, &mut out);
        out
    }

    /// Judges the windows before `until` in which an entity was not seen.
    pub fn judge_quiet(&mut self, judging: &Judging<'_>, entity: &Entity, baseline: &mut Baseline, until: WindowId) -> Vec<Finding> {
        let said = baseline.advance(until, &self.around(entity, baseline));
        self.tell(judging, entity, baseline, None, said)
    }

    /// After the last window there is: what no record can undo. A burst is told when it is past what two windows allow, and
    /// it is that whatever the second brings; so the window behind the last is judged as if nothing came, on a copy. With its
    /// records it is judged again.
    pub fn judge_ahead(&mut self, judging: &Judging<'_>, entity: &Entity, baseline: &Baseline) -> Vec<Finding> {
        let mut copy = baseline.clone();
        let mut said = copy.advance(WindowId(judging.window.0 + 2), &self.around(entity, baseline));
        said.scores.retain(|score| matches!(score.family, Family::VolumeUp));
        let scores = std::mem::take(&mut said.scores);
        self.tell(judging, entity, &mut copy, None, Said { scores, ..Said::default() })
            .into_iter()
            .filter(|f| f.level == Level::Alert)
            .collect()
    }

    /// After the windows of several entities were judged in silence: what the account as a whole has to say.
    pub fn judge_quiet_together(&mut self, judging: &Judging<'_>) -> Vec<Finding> {
        let mut out = Judgement::default();
        self.end_window(judging, &mut out);
        out.findings
    }

    fn around(&self, entity: &Entity, baseline: &Baseline) -> Surroundings<'_> {
        let gaps = if baseline.counts_reports() { &self.log_gaps } else { &self.gaps };
        Surroundings { peers: &self.kind(entity).peers, account_low: self.is_low_without(entity), gaps }
    }

    /// Who is there, and what was changed: acts before any flow of the window is scored. Tells of all flows, entity by entity,
    /// whether they are settled, so that nothing is to be said of them.
    fn introduce(
        &mut self,
        window: WindowId,
        facts: &AccountFacts,
        directory: &Directory,
        baselines: &mut BTreeMap<Entity, Baseline>,
    ) -> Vec<bool> {
        let t = self.days(window);
        let mut settled = Vec::new();
        for (entity, facts) in &facts.entities {
            let created = facts.changes.iter().find(|c| c.kind == ChangeKind::Created);
            let role = created.map(|c| c.role.as_str()).or(facts.roles.first().map(String::as_str)).unwrap_or_default();
            let stack = created.map(|c| c.stack.as_str()).filter(|s| !s.is_empty());
            for flow in facts.flows.iter().filter(|flow| flow.data) {
                self.arrive_data(window, &flow.service);
            }
            let flows = &mut self.kind_mut(entity).flows;
            flows.actor(t, &entity.id, entity.name(), role, stack, created.is_some());
            for change in facts.changes.iter().filter(|c| c.kind.is_deployment()) {
                flows.deploy(t, &entity.id, &change.by.id);
            }
            // Names are counted before any flow is scored: how rare a word is must not depend on the order of flows.
            for flow in &facts.flows {
                let (id, name) = (flow.target_id(), target_name(flow));
                let is_settled = flows.is_settled(&entity.id, flow.verb, id);
                if !is_settled {
                    flows.resource(t, id, name, false);
                }
                settled.push(is_settled);
            }
            if !facts.changes.is_empty()
                && let Some(baseline) = baselines.get_mut(entity)
            {
                facts.changes.iter().for_each(|c| baseline.changed(c.at.at, words(c)));
            }
        }
        for change in &facts.changes {
            self.change(t, change);
            for function in directory.functions_of_role(&change.role) {
                let entity = Entity { kind: EntityKind::Function, id: function.to_owned() };
                if let Some(baseline) = baselines.get_mut(&entity) {
                    baseline.changed(change.at.at, words(change));
                }
            }
        }
        settled
    }

    /// A change of a role or a resource.
    fn change(&mut self, t: f64, change: &ChangeFact) {
        let id = change.target.id();
        self.remember_stack(id.clone(), &change.stack);
        // Whoever may write a record could make the first use of an old secret that of a new one.
        let created = ![&self.functions, &self.principals].iter().any(|kind| kind.flows.is_used(&id));
        for kind in [&mut self.functions, &mut self.principals] {
            if change.kind == ChangeKind::Resource {
                kind.flows.resource(t, &id, &change.target.name, created);
            }
            for target in &change.grants {
                kind.flows.grant(t, &change.role, &target.id());
            }
        }
    }

    /// Judges an entity's windows up to and with this one. Sources and services have no rates. A function that acts in the
    /// trail behind the last log of any function is not quiet: its log may be late, or gone for good.
    fn rates(&mut self, judging: &Judging<'_>, entity: &Entity, facts: &Facts, baseline: &mut Baseline, out: &mut Judgement) {
        let has_rates = matches!(entity.kind, EntityKind::Function | EntityKind::Principal);
        // A late window: its counts were learnt without what came late, and stay.
        if !has_rates || baseline.next() > judging.window {
            return;
        }
        let is_blind = baseline.counts_reports() && facts.reports == 0 && judging.window >= self.logs_end();
        let mut quiet = baseline.advance(judging.window, &self.around(entity, baseline));
        if is_blind {
            quiet.forget_quiet();
        }
        let findings = self.tell(judging, entity, baseline, None, quiet);
        out.findings.extend(findings);
        let was_quiet = baseline.is_quiet_told();
        let late = facts.flows.iter().filter_map(|flow| self.seen_since(flow)).map(|since| since.window);
        baseline.widen(late.max(), judging.window);
        let mut said = baseline.step(judging.window, facts, &self.around(entity, baseline));
        if is_blind {
            said.forget_quiet();
        }
        if was_quiet && !baseline.is_quiet_told() {
            let first = facts.ran.clone().or_else(|| all_flows(facts)).map(|span| span.first.at);
            out.back.push((entity.clone(), first.unwrap_or(judging.window.start())));
        }
        let findings = self.tell(judging, entity, baseline, Some(facts), said);
        out.findings.extend(findings);
    }

    /// What was said of an entity's rates, as findings; its peers learn.
    fn tell(&mut self, judging: &Judging<'_>, entity: &Entity, baseline: &mut Baseline, facts: Option<&Facts>, said: Said) -> Vec<Finding> {
        for day in &said.days {
            self.kind_mut(entity).peers.add(day);
        }
        if entity.kind == EntityKind::Function {
            if !baseline.is_low() {
                self.low.remove(&entity.id);
            } else if !self.low.contains(&entity.id) {
                self.low.insert(entity.id.clone());
            }
        }
        if judging.learn_only || (said.scores.is_empty() && said.pause.is_none()) {
            return Vec::new();
        }
        let entities = self.kind(entity).flows.len() as f64;
        let days = self.days(judging.window);
        let least = threshold(entities, judging.config.alerts_per_week_of_kind());
        let pause = said.pause.filter(|p| entity.kind == EntityKind::Function && p.score >= least);
        let loud = said.scores.iter().filter(|s| s.digest.max(s.slack) >= least);
        let mut findings: Vec<Finding> = loud
            .map(|score| {
                let loud = score.slack >= least && is_comparable(entity, baseline, score);
                let level = if loud { Level::Alert } else { Level::Rare };
                Finding {
                    learnt_days: baseline.counted_days(score.evidence.window).min(days),
                    ..rate_finding(entity, baseline, facts, score, level, entities)
                }
            })
            .collect();
        findings.extend(pause.map(|p| silence_finding(entity, baseline, &p, entities)));
        findings.iter_mut().for_each(|f| f.changes_unknown = !self.trail);
        if facts.is_none() {
            findings.retain(|f| !is_quiet(f) || baseline.tell_quiet(f, judging.config.resolve_minutes / MINUTES_PER_WINDOW));
        }
        findings
    }

    /// Whether so many functions are quiet that the account as a whole is.
    pub fn is_quiet_together(&self) -> bool {
        self.low.len().checked_sub(1).is_some_and(|others| together::is_news(others, self.functions.flows.len()))
    }

    fn end_window(&mut self, judging: &Judging<'_>, out: &mut Judgement) {
        if judging.learn_only {
            return;
        }
        let account = self.low.first().map(String::as_str).and_then(crate::entity::Arn::parse).map_or("", |a| a.account);
        let (low, functions) = (self.low.len(), self.functions.flows.len());
        let finding = together::judge(account, low, functions, judging.window, self.days(judging.window));
        out.findings.extend(finding.map(|finding| Finding { changes_unknown: !self.trail, ..finding }));
    }
}

pub(super) fn target_name(flow: &FlowFact) -> &str {
    flow.target.as_ref().map_or(flow.service.as_str(), |target| &target.name)
}

fn is_quiet(finding: &Finding) -> bool {
    matches!(&finding.detail, Detail::Rate(rate) if matches!(rate.family.as_str(), "silence" | "volume down"))
}

fn words(change: &ChangeFact) -> String {
    format!("{} by {}", change.kind.words(), change.by.name())
}

/// Functions of the account that an entity called or changed.
fn links(entity: &Entity, facts: &Facts, directory: &Directory) -> Vec<(Entity, Entity)> {
    let account = entity.account().unwrap_or_default();
    let called = facts.flows.iter().filter_map(|f| directory.function_of_target(f.target.as_ref()?, account));
    let mut all: Vec<(Entity, Entity)> = called.filter(|other| other != entity).map(|other| (entity.clone(), other)).collect();
    all.sort();
    all.dedup();
    all
}

fn rate_finding(entity: &Entity, baseline: &mut Baseline, facts: Option<&Facts>, score: &Score, level: Level, entities: f64) -> Finding {
    let evidence = &score.evidence;
    let person = entity.kind != EntityKind::Function;
    let busiest = baseline.busiest_target().filter(|_| person && score.family == Family::VolumeUp).map(str::to_owned);
    let target = baseline.tracked(score.family).map(str::to_owned);
    let family = family_words(score.family);
    let best = if level == Level::Alert { score.slack } else { score.digest };
    let on = target.as_ref().map_or(String::new(), |t| format!(" {t}"));
    let same_window = facts.filter(|_| evidence.window.0 + 1 == baseline.next().0);
    let own = same_window.and_then(|facts| own_count(baseline, facts, score));
    // A long sum still holds what came before: its alarm outlasts its cause, whose last event stands in an earlier window.
    let is_echo = own.is_some_and(|own| own.is_echo(evidence.observed - evidence.expected));
    let span = same_window.filter(|_| !is_echo).and_then(|f| match &target {
        Some(target) => f.flows.iter().find(|flow| flow.target_id() == *target).map(|flow| flow.span.clone()),
        None => f.ran.clone().or_else(|| all_flows(f)),
    });
    let beyond = own.filter(|_| !is_echo).map_or(0.0, |own| own.value - own.expected);
    Finding {
        entity: entity.clone(),
        subject: format!("rate {family}{on}"),
        window: evidence.window,
        judged: evidence.window,
        level,
        years: months_per_false_alarm(best, level == Level::Rare) / 12.0 / entities.max(1.0),
        learnt_days: baseline.counted_days(evidence.window),
        span,
        // Further windows of the same incident add what they themselves brought.
        count: if score.family == Family::VolumeUp { beyond.max(0.0).round() as u64 } else { 0 },
        detail: Detail::Rate(RateDetail {
            family: family.to_owned(),
            target: target.or(busiest),
            minutes: u32::from(evidence.horizon) * MINUTES_PER_WINDOW,
            observed: evidence.observed,
            expected: evidence.expected,
            extra: (score.family == Family::VolumeUp).then(|| beyond.max(evidence.observed - evidence.expected)),
            back: None,
            score: best,
        }),
        before: baseline.changes_before(evidence.window.end()),
        changes_unknown: false,
        hours: baseline.hours(evidence.window),
        hours_to: evidence.window,
    }
}

fn silence_finding(entity: &Entity, baseline: &mut Baseline, pause: &Pause, entities: f64) -> Finding {
    let level = if pause.is_grown { Level::Alert } else { Level::Rare };
    let window = WindowId(baseline.next().0.saturating_sub(1));
    let minutes = |windows: u32| f64::from(windows * MINUTES_PER_WINDOW);
    Finding {
        entity: entity.clone(),
        subject: "rate silence".to_owned(),
        window: WindowId(window.0 + 1 - pause.windows.min(window.0)),
        judged: window,
        level,
        years: months_per_false_alarm(pause.score, level == Level::Rare) / 12.0 / entities.max(1.0),
        learnt_days: baseline.counted_days(window),
        span: None,
        count: 0,
        detail: Detail::Rate(RateDetail {
            family: "silence".to_owned(),
            target: None,
            minutes: pause.windows * MINUTES_PER_WINDOW,
            observed: minutes(pause.windows),
            // Between two calls lies one window more than are empty.
            expected: minutes(pause.longest.saturating_add(1)),
            extra: None,
            back: None,
            score: pause.score,
        }),
        before: baseline.changes_before(window.end()),
        changes_unknown: false,
        hours: baseline.hours(window),
        hours_to: window,
    }
}

/// A count of one window, and what was expected of it.
#[derive(Clone, Copy)]
struct Own {
    value: f64,
    expected: f64,
    /// How much of the sum one window is.
    share: f64,
}

impl Own {
    fn is_echo(&self, excess_of_sum: f64) -> bool {
        self.value < OWN_FACTOR * self.expected || self.value - self.expected < OWN_SHARE * self.share * excess_of_sum
    }
}

/// What the window itself adds to the sum that a score is about; of counts only.
fn own_count(baseline: &Baseline, facts: &Facts, score: &Score) -> Option<Own> {
    let on = |count: fn(&FlowFact) -> f64| {
        let target = baseline.tracked(score.family);
        facts.flows.iter().filter(|flow| target.is_some_and(|t| flow.target_id() == t)).map(count).sum()
    };
    let value = match score.family {
        Family::VolumeUp => baseline.calls_in(facts),
        Family::Errors => facts.failures as f64,
        Family::Throttles => facts.throttles as f64,
        Family::Denials => facts.denials() as f64,
        Family::Lines => facts.lines as f64,
        Family::Flow { .. } => on(|flow| (flow.permitted + flow.denied) as f64),
        Family::Bytes { .. } => on(|flow| flow.bytes),
        _ => return None,
    };
    // A faded sum over H windows weighs 1/(1 - e^(-1/H)) windows.
    let horizon = f64::from(score.evidence.horizon);
    let share = if horizon > 1.0 { -libm::expm1(-1.0 / horizon) } else { 1.0 };
    Some(Own { value, expected: score.evidence.expected * share, share })
}

/// Whether what was learnt bears on this score at all: a volume waits for a day of its kind, and a person's for a record.
fn is_comparable(entity: &Entity, baseline: &Baseline, score: &Score) -> bool {
    let person = entity.kind != EntityKind::Function;
    match score.family {
        Family::VolumeUp => baseline.knows_day_of(score.evidence.window) && (!person || baseline.breaks_record()),
        Family::VolumeDown => baseline.knows_day_of(score.evidence.window) && !person,
        Family::Denials => baseline.knows_denials_at(score.evidence.window),
        _ => true,
    }
}

fn all_flows(facts: &Facts) -> Option<Span> {
    let mut spans = facts.flows.iter().map(|f| &f.span);
    let mut all = spans.next()?.clone();
    spans.for_each(|s| all.join(s));
    Some(all)
}

fn family_words(family: Family) -> &'static str {
    match family {
        Family::VolumeUp => "volume up",
        Family::VolumeDown => "volume down",
        Family::Errors => "errors",
        Family::Throttles => "throttles",
        Family::Lines => "lines",
        Family::Median => "median duration",
        Family::Tail => "tail duration",
        Family::Cost => "cost",
        Family::Slow => "slow shift",
        Family::Denials => "denials",
        Family::Flow { .. } => "calls",
        Family::Bytes { .. } => "bytes",
    }
}
