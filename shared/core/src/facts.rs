//! What a window says of each entity: the figures that detectors judge.
//!
//! Counts are folded from the set of observations and never added on arrival. There is deliberately no expectation here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::batch::{End, EventId, bucket_value};
use crate::directory::Directory;
use crate::entity::{Arn, Entity, EntityKind};
use crate::observe::{ChangeKind, Class, Outcome, Target, Verb, What, verb};
use crate::time::{Timestamp, WindowId};
use crate::window::{Folded, Window, moment};

/// Dollars a gigabyte-second on x86 in us-east-1 (AWS Lambda pricing, 2026), as in the reference of the rate detector.
const DOLLARS_PER_GB_SECOND: f64 = 1.6667e-5;

/// An instant and the AWS event that happened then.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// Which event; may be none.
    pub event: EventId,
}

/// The first and the last of some events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The earliest.
    pub first: Moment,
    /// The latest.
    pub last: Moment,
}

impl Span {
    /// Widens it to hold the other.
    pub fn join(&mut self, other: &Span) {
        self.first = other.first.clone().min(self.first.clone());
        self.last = other.last.clone().max(self.last.clone());
    }
}

/// One flow of one entity in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowFact {
    /// `s3`.
    pub service: String,
    /// `GetObject`.
    pub action: String,
    /// Class of the verb.
    pub verb: Verb,
    /// To what; nothing for account-wide listings.
    pub target: Option<Target<'static>>,
    /// Calls that IAM permitted, whether or not they succeeded.
    pub permitted: u64,
    /// Calls that were refused.
    pub denied: u64,
    /// A trail has such events only since they were switched on.
    pub data: bool,
    /// Bytes moved.
    pub bytes: f64,
    /// When.
    pub span: Span,
    /// Asked for again and again, so it is put together once.
    pub(crate) target_id: String,
}

impl FlowFact {
    /// `bucket statistics-raw`, or the service for an account-wide listing: how targets are compared.
    pub fn target_id(&self) -> &str {
        &self.target_id
    }
}

/// One change of a function, a role or a resource in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeFact {
    /// What.
    pub kind: ChangeKind,
    /// Of what.
    pub target: Target<'static>,
    /// By whom.
    pub by: Entity,
    /// ARN of the role that goes with it, or empty.
    pub role: String,
    /// Stack tag, or empty.
    pub stack: String,
    /// What a new permission names.
    pub grants: Vec<Target<'static>>,
    /// When first.
    pub at: Moment,
}

/// What one window says of one entity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Invocations by their reports.
    pub reports: u64,
    /// Invocations by the trail.
    pub runs: u64,
    /// Invocations that failed.
    pub failures: u64,
    /// Invocations refused for want of concurrency.
    pub throttles: u64,
    /// Lines of the application.
    pub lines: u64,
    /// Durations in milliseconds, each with how many, ascending.
    pub durations: Vec<(f64, u64)>,
    /// Compute cost in dollars.
    pub cost_usd: f64,
    /// In order of service, action, target.
    pub flows: Vec<FlowFact>,
    /// Changes of this entity, if it is a function; in order of time.
    pub changes: Vec<ChangeFact>,
    /// Roles that this function was seen to work with.
    pub roles: Vec<String>,
    /// When it ran.
    pub ran: Option<Span>,
}

impl Facts {
    /// All calls of flows.
    pub fn flow_calls(&self) -> u64 {
        self.flows.iter().map(|f| f.permitted + f.denied).sum()
    }

    /// Puts flows in order and makes one of those that differ in outcome or session alone.
    fn merge_flows(&mut self) {
        self.flows.sort_by(|a, b| (&a.service, &a.action, &a.target).cmp(&(&b.service, &b.action, &b.target)));
        self.flows.dedup_by(|other, flow| {
            let same = (&flow.service, &flow.action, &flow.target) == (&other.service, &other.action, &other.target);
            if same {
                flow.permitted += other.permitted;
                flow.denied += other.denied;
                flow.data |= other.data;
                flow.bytes += other.bytes;
                flow.span.join(&other.span);
            }
            same
        });
    }

    /// Calls that were refused.
    pub fn denials(&self) -> u64 {
        self.flows.iter().map(|f| f.denied).sum()
    }

    /// The duration that a share `q` of the invocations does not exceed, in milliseconds; 0 without any.
    pub fn duration_ms(&self, q: f64) -> f64 {
        let total: u64 = self.durations.iter().map(|d| d.1).sum();
        let wanted = ((total as f64 * q).ceil() as u64).max(1);
        let mut seen = 0;
        let reached = self.durations.iter().find(|d| {
            seen += d.1;
            seen >= wanted
        });
        reached.map_or(0.0, |d| d.0)
    }
}

/// The facts of one AWS account in one window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccountFacts {
    /// By entity.
    pub entities: BTreeMap<Entity, Facts>,
    /// Changes of what is no function: roles, resources.
    pub changes: Vec<ChangeFact>,
    /// Calls of AWS services for themselves.
    pub background: u64,
}

/// Folds a window, by account. Bindings are learnt first, so that a session is resolved by what its own window shows.
pub fn fold(window: WindowId, mut content: Window, directory: &mut Directory) -> BTreeMap<String, AccountFacts> {
    for folded in &content.subjects {
        directory.learn_binding(&folded.subject);
    }
    let mut all: BTreeMap<String, AccountFacts> = BTreeMap::new();
    let same = |a: &Folded, b: &Folded| (&a.subject.actor, &a.subject.account) == (&b.subject.actor, &b.subject.account);
    for of_actor in content.subjects.chunk_by_mut(same) {
        let Some(subject) = of_actor.first().map(|folded| &folded.subject) else { continue };
        let entity = directory.entity(&subject.actor);
        let account = account_of(&entity, &subject.account);
        fold_actor(window, of_actor, (entity, &account), all.entry(account.clone()).or_default(), directory);
    }
    for facts in all.values_mut().flat_map(|a| a.entities.values_mut()) {
        facts.merge_flows();
        facts.durations.sort_by(|a, b| a.0.total_cmp(&b.0));
        facts.changes.sort_by(|a, b| a.at.cmp(&b.at));
    }
    all
}

/// The account that an entity's baseline belongs to: for a function its own, for others the one whose trail shows it.
fn account_of(entity: &Entity, of_record: &str) -> String {
    let own = if entity.kind == EntityKind::Function { entity.account() } else { None };
    own.unwrap_or(of_record).to_owned()
}

/// Folds all subjects of one actor; what they say is taken out of them.
fn fold_actor(window: WindowId, of_actor: &mut [Folded], (entity, id): (Entity, &str), account: &mut AccountFacts, directory: &Directory) {
    for folded in of_actor.iter_mut().filter(|folded| is_change(folded)) {
        fold_change(window, folded, (&entity, id), account, directory);
    }
    let mut others = of_actor.iter_mut().filter(|folded| !is_change(folded)).peekable();
    if entity.kind == EntityKind::Service {
        let is_call = |f: &&mut Folded| f.subject.class == Class::Trail && !matches!(f.subject.what, What::Binding { .. });
        account.background += others.filter(is_call).map(|folded| folded.count()).sum::<u64>();
    } else if others.peek().is_some() {
        let facts = account.entities.entry(entity).or_default();
        others.for_each(|folded| fold_one(window, folded, id, facts));
    }
}

fn is_change(folded: &Folded) -> bool {
    matches!(folded.subject.what, What::Change { .. })
}

fn span_of(window: WindowId, folded: &Folded) -> Span {
    let end = |end: &End| Moment { at: moment(window, end), event: end.event.clone() };
    Span { first: end(&folded.first), last: end(&folded.last) }
}

fn take(folded: &mut Folded) -> What<'static> {
    std::mem::replace(&mut folded.subject.what, What::Seen)
}

fn fold_change(window: WindowId, folded: &mut Folded, (by, id): (&Entity, &str), account: &mut AccountFacts, directory: &Directory) {
    let at = span_of(window, folded).first;
    let What::Change { kind, target, role, stack, grants } = take(folded) else { return };
    let changed = directory.function_of_target(&target, &folded.subject.account);
    let change = ChangeFact {
        kind,
        target: target.seen_from(id),
        by: by.clone(),
        role: role.into_owned(),
        stack: stack.into_owned(),
        grants: grants.into_iter().map(|t| t.seen_from(id)).collect(),
        at,
    };
    match changed {
        Some(function) => account.entities.entry(function).or_default().changes.push(change),
        None => account.changes.push(change),
    }
}

fn fold_one(window: WindowId, folded: &mut Folded, account: &str, facts: &mut Facts) {
    let (n, span) = (folded.count(), span_of(window, folded));
    match take(folded) {
        What::Invocation { memory_mb } => {
            facts.reports += n;
            durations(facts, folded, f64::from(memory_mb));
            ran(facts, span);
        }
        What::Run => {
            facts.runs += n;
            ran(facts, span);
        }
        What::Failure => facts.failures += n,
        What::Throttle => facts.throttles += n,
        What::Line => facts.lines += n,
        What::Flow { service, action, target, outcome, data } => {
            let target = target.map(|t| t.seen_from(account));
            flow(facts, folded, (service.into_owned(), action.into_owned(), target, outcome, data), span)
        }
        What::Binding { role } => facts.roles.push(role.into_owned()),
        What::Seen | What::Dropped | What::Change { .. } => {}
    }
}

fn ran(facts: &mut Facts, span: Span) {
    match &mut facts.ran {
        Some(known) => known.join(&span),
        None => facts.ran = Some(span),
    }
}

fn durations(facts: &mut Facts, folded: &Folded, memory_mb: f64) {
    for [duration, billed] in &folded.values {
        let ms = |v: u16| bucket_value(v - 1) / 10.0;
        if *duration > 0 {
            facts.durations.push((ms(*duration), 1));
        }
        let cost_ms = if *billed > 0 {
            ms(*billed)
        } else if *duration > 0 {
            ms(*duration)
        } else {
            0.0
        };
        facts.cost_usd += cost_ms / 1000.0 * memory_mb / 1024.0 * DOLLARS_PER_GB_SECOND;
    }
}

fn flow(
    facts: &mut Facts,
    folded: &Folded,
    (service, action, target, outcome, data): (String, String, Option<Target<'static>>, Outcome, bool),
    span: Span,
) {
    let denied = if outcome == Outcome::Denied { folded.count() } else { 0 };
    let permitted = folded.count() - denied;
    let bytes = folded.values.iter().filter(|v| v[0] > 0).map(|v| bucket_value(v[0] - 1)).sum();
    facts.flows.push(FlowFact {
        verb: verb(&service, &action, target.is_some()),
        target_id: target.as_ref().map_or_else(|| format!("service {service}"), Target::id),
        service,
        action,
        target,
        permitted,
        denied,
        data,
        bytes,
        span,
    });
}

/// Whether a target belongs to another account than the one whose flow it is.
pub fn is_outside(target: &Target<'_>, account: &str) -> bool {
    let owner = if target.account.is_empty() { Arn::parse(&target.name).map_or("", |a| a.account) } else { &target.account };
    !owner.is_empty() && !account.is_empty() && owner != account && owner.bytes().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{HashKey, Packer};
    use crate::observe::{Actor, Identity, Observation, Subject};
    use crate::window::unite;

    /// Two sessions of a role, each with three calls of which one is refused, are one flow of six.
    #[test]
    fn sessions_and_outcomes_are_one_flow() {
        let mut packer = Packer::new(HashKey([3; 16]));
        for n in 0..6u64 {
            let target = Target { kind: "table".into(), name: "books".into(), account: "1".into() };
            let outcome = if n % 3 == 0 { Outcome::Denied } else { Outcome::Ok };
            packer.add(&Observation {
                subject: Subject {
                    class: Class::Trail,
                    account: "1".into(),
                    actor: Actor::Session { role: "arn:aws:iam::1:role/r".into(), session: if n < 3 { "a".into() } else { "b".into() } },
                    what: What::Flow { service: "dynamodb".into(), action: "Query".into(), target: Some(target), outcome, data: true },
                },
                time: Timestamp::from_ms(1_700_000_000_000 + n as i64),
                identity: Identity { id: &n.to_le_bytes(), ordinal: 0, scope: b"", primary: true },
                event_id: "x",
                values: [0.0; 2],
            });
        }
        let batches = packer.finish().0;
        let window = batches[0].window.unwrap();
        let mut content = Window::default();
        content.add(unite(Some(window), Class::Trail, batches).0);
        let facts = fold(window, content, &mut Directory::default());
        let flows: Vec<&FlowFact> = facts["1"].entities.values().flat_map(|f| &f.flows).collect();
        assert_eq!(flows.len(), 1);
        assert_eq!((flows[0].permitted, flows[0].denied, flows[0].target_id()), (4, 2, "table books"));
    }
}
