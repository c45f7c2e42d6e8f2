//! Flows of one window: first sights, and alerted ones that nobody answered and that go on.
//!
//! All of a window's flows are compared with the account as it stood before it; what is learnt is learnt at its end. There is
//! deliberately no formula here: `detect::new_flow` scores.

use super::Account;
use super::judge::{Judgement, Judging, target_name};
use super::unanswered::{Key, Told};
use crate::baseline::Baseline;
use crate::detect::new_flow::{Budget, CAREFUL_SHARE, FLOWS_FROM_DAYS, Scored, Target};
use crate::detect::{Again, Detail, Finding, FlowDetail, Level};
use crate::entity::Entity;
use crate::facts::{Facts, FlowFact, is_outside};
use crate::limits::SIGHTS_MAX;

/// Day of the logs on which everything is new; from then on till flows are told, the careful share of the digest is told as
/// rare.
const FIRST_DAYS: f64 = 1.0;

/// Calls of one flow in one window that were permitted, or that were refused.
struct Sight<'a> {
    flow: &'a FlowFact,
    target: Target<'a>,
    count: u64,
    denied: bool,
}

impl Sight<'_> {
    /// `flow s3:GetObject bucket statistics-raw`.
    fn subject(&self) -> String {
        let denied = if self.denied { " denied" } else { "" };
        format!("flow {}:{} {}{denied}", self.flow.service, self.flow.action, self.target.id)
    }

    fn key(&self, entity: &Entity) -> Key {
        Key { actor: entity.id.clone(), verb: self.flow.verb, denied: self.denied, target: self.target.id.to_owned() }
    }
}

impl Account {
    /// Scores the flows of one entity, of which it is told which are settled; what it has done before is only counted on.
    pub(super) fn flows(
        &mut self,
        judging: &Judging<'_>,
        (entity, baseline): (&Entity, &mut Baseline),
        (facts, settled): (&Facts, &[bool]),
        out: &mut Judgement,
    ) {
        let t = self.days(judging.window);
        let account = entity.account().unwrap_or_default();
        for (flow, &is_settled) in facts.flows.iter().zip(settled) {
            let id = flow.target_id();
            if is_settled && self.kind(entity).unanswered.is_empty() && !judging.alerted.contains(entity) {
                continue;
            }
            let outside = flow.target.as_ref().is_some_and(|target| is_outside(target, account));
            let stack = self.stacks.get(id).cloned();
            let target = Target { id, name: target_name(flow), stack: stack.as_deref(), outside };
            if is_settled {
                let sight = Sight { flow, target, count: flow.permitted + flow.denied, denied: false };
                self.seen_before(judging, (entity, baseline), &sight, out);
                continue;
            }
            let budget = self.budget(judging, flow);
            for (count, denied) in [(flow.permitted, false), (flow.denied, true)] {
                if count == 0 {
                    continue;
                }
                let sight = Sight { flow, target, count, denied };
                match self.kind_mut(entity).flows.flow(t, &entity.id, flow.verb, &target, denied, &budget) {
                    Some(scored) => self.first_sight(judging, (entity, baseline), &sight, &scored, out),
                    None => self.seen_before(judging, (entity, baseline), &sight, out),
                }
            }
        }
    }

    /// Too young for new flows: what it does can be ranked, and nothing of it can be called unusual.
    pub fn is_young(&self) -> bool {
        self.days(self.last) < f64::from(FLOWS_FROM_DAYS)
    }

    fn budget(&self, judging: &Judging<'_>, flow: &FlowFact) -> Budget {
        let since_day = self.seen_since(flow).map_or(0.0, |since| since.day);
        Budget { alerts_per_week: judging.config.alerts_per_week_of_kind(), since_day }
    }

    /// Tells a first sight as loudly as its rarity, the age of the logs and that of their data events allow.
    fn first_sight(
        &mut self,
        judging: &Judging<'_>,
        (entity, baseline): (&Entity, &mut Baseline),
        sight: &Sight<'_>,
        scored: &Scored,
        out: &mut Judgement,
    ) {
        let days = self.days(judging.window);
        let age = self.days_seen(judging, sight.flow);
        let early = days >= FIRST_DAYS && age < f64::from(FLOWS_FROM_DAYS) && scored.rarity <= CAREFUL_SHARE;
        let told = (scored.digest || scored.alert || early) && !judging.learn_only;
        let ranked = days < f64::from(FLOWS_FROM_DAYS) && !judging.learn_only && out.sights.len() < SIGHTS_MAX;
        if !told && !ranked {
            return;
        }
        let finding = self.finding(judging, (entity, baseline), sight, scored);
        if ranked {
            out.sights.push(finding.clone());
        }
        if told && scored.alert {
            self.kind_mut(entity).unanswered.tell(sight.key(entity), judging.window, finding.years);
        }
        if told {
            out.findings.push(finding);
        }
    }

    /// A flow that is no first sight: an open incident goes on with it. If it was alerted and nobody answered, it is told
    /// again from time to time, until it has been told so often that it counts as usual.
    fn seen_before(&mut self, judging: &Judging<'_>, (entity, baseline): (&Entity, &mut Baseline), sight: &Sight<'_>, out: &mut Judgement) {
        let told = if self.kind(entity).unanswered.is_empty() {
            None
        } else {
            self.kind_mut(entity).told_again(sight.key(entity), judging.window, judging.learn_only)
        };
        let scored = told.and_then(|told| Some((told, self.rescore(judging, entity, sight)?)));
        if let Some((told, scored)) = scored {
            let mut finding = self.finding(judging, (entity, baseline), sight, &scored);
            (finding.level, finding.years) = (Level::Alert, told.years);
            if let Detail::NewFlow(flow) = &mut finding.detail {
                flow.again = Some(again(told));
            }
            out.findings.push(finding);
        } else if judging.alerted.contains(entity) {
            out.again.push((entity.clone(), sight.subject(), sight.count, sight.flow.span.clone()));
        }
    }

    fn rescore(&self, judging: &Judging<'_>, entity: &Entity, sight: &Sight<'_>) -> Option<Scored> {
        let (t, budget) = (self.days(judging.window), self.budget(judging, sight.flow));
        self.kind(entity).flows.rescore(t, &entity.id, sight.flow.verb, &sight.target, sight.denied, &budget)
    }

    /// Days for which flows like this one are seen at all.
    fn days_seen(&self, judging: &Judging<'_>, flow: &FlowFact) -> f64 {
        self.days(judging.window) - self.seen_since(flow).map_or(0.0, |since| since.day)
    }

    fn finding(&self, judging: &Judging<'_>, (entity, baseline): (&Entity, &mut Baseline), sight: &Sight<'_>, scored: &Scored) -> Finding {
        let flow = sight.flow;
        let detail = FlowDetail {
            service: flow.service.clone(),
            action: flow.action.clone(),
            target: sight.target.id.to_owned(),
            denied: sight.denied,
            outside: sight.target.outside,
            relation: scored.relation.code().to_owned(),
            usual: (scored.usual.targets.clone(), scored.usual.targets_known as u64),
            users: (scored.usual.users.clone(), u64::from(scored.usual.users_known)),
            score: scored.score,
            again: None,
        };
        Finding {
            entity: entity.clone(),
            subject: sight.subject(),
            window: judging.window,
            judged: judging.window,
            level: if scored.alert { Level::Alert } else { Level::Rare },
            years: scored.usual.years_per_event,
            learnt_days: baseline.learnt_days(judging.window).min(self.days_seen(judging, flow)),
            span: Some(flow.span.clone()),
            count: sight.count,
            detail: Detail::NewFlow(detail),
            before: baseline.changes_before(flow.span.first.at),
            changes_unknown: !self.trail,
            hours: baseline.hours(judging.window),
            hours_to: judging.window,
        }
    }
}

fn again(told: Told) -> Again {
    Again { first: told.first.start(), times: told.times, last: told.is_last() }
}
