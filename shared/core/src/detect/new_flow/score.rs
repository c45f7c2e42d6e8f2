//! How unusual a flow is: its relation, its rate, its points, and the rarity of their sum in the account.
//!
//! Everything is read from the account as it stood before the window; nothing but the list of first sights changes here.
//! The names and constants are DETECTION.md's. Deliberately absent: points for a deployment as such, because excusing what
//! follows a deployment excuses insiders.

use super::limits::{FIRST_SIGHTS_MAX, ID_BYTES_MAX, NAME_BYTES_MAX};
use super::state::{Actor, FirstSight, TargetState};
use super::{Account, Budget, Target, count, cut, day};
use crate::observe::Verb;

/// Shares of the verb classes among new flows (R1 RM W D S P L), and of allowed and denied ones, as published.
const SHARE: [f64; Verb::COUNT] = [0.28, 0.07, 0.20, 0.015, 0.225, 0.205, 0.005];
const SHARE_DENIED: [f64; 2] = [0.978, 0.022];
/// New flows that the published shares weigh.
const PRIOR_FLOWS: f64 = 100.;
/// Function-months that the published rarity weighs.
const PRIOR_MONTHS: f64 = 100.;
/// The published rate of new flows an actor: .1 a day near and .03 far, in 3 days.
const PRIOR_RATE: [f64; 2] = [0.1, 0.03];
const PRIOR_DAYS: f64 = 3.;
/// Days of its own that weigh as much as the account's rate.
const SHRINK_DAYS: f64 = 30.;
/// Days, from install or since such flows are seen at all, during which flows are shown only.
pub const FLOWS_FROM_DAYS: u32 = 3;
/// Days after which the whole budget holds.
const CAREFUL_DAYS: f64 = 7.;
/// The share of the budgets before that.
pub const CAREFUL_SHARE: f64 = 1. / 3.;
/// The commonest that is worth an alert in a small account, where the budget would allow more.
const ALERT_RARITY_MAX: f64 = 0.3;
/// The commonest that is worth a line in the digest.
const DIGEST_RARITY_MAX: f64 = 1.;
/// The published law of rarity: this many a function-month reach a score of .2, e times fewer for every .8 above it, and
/// never more than 3.
const LAW_AT: (f64, f64) = (0.2, 0.3);
const LAW_STEP: f64 = 0.8;
const LAW_MAX: f64 = 3.;
/// Points of the rate: so many for every e times as many new flows a month.
const RATE_POINTS: f64 = -0.7;
/// Points of a refusal.
const DENIED_POINTS: f64 = 3.;
/// Points of a deployment by a stranger, and the days for which it has them.
const DEPLOYER_POINTS: f64 = 2.;
const DEPLOYER_DAYS: f64 = 1.;
/// Points where another actor began to use the target, so many days ago at most.
const COHORT_POINTS: f64 = -1.5;
const COHORT_DAYS: f64 = 3.;
/// Points of an actor younger than so many days, the youngest first.
const YOUNG: [(f64, f64); 2] = [(3., -2.), (14., -0.5)];
/// Points of a permission that names the target, and the days for which it has them.
const NAMED_POINTS: f64 = -1.;
const NAMED_DAYS: f64 = 14.;
/// Weeks a month, 30 days.
const WEEKS_PER_MONTH: f64 = 4.3;
const DAYS_PER_MONTH: f64 = 30.;
const MONTHS_PER_YEAR: f64 = 12.;
/// Groups that make a target common property.
const COMMON_GROUPS: usize = 3;
/// How many targets and users a message names.
const NAMED_MAX: usize = 3;

/// How near a target is to an actor: the first that holds, in the order of [`Account::flow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// The actor uses it with another verb.
    Known,
    /// The same stack, or one is without and their names share a rare word.
    Own,
    /// Another actor of the actor's group uses it.
    Sibling,
    /// Three or more groups use it.
    Groups,
    /// The actor already uses something else of the target's group.
    Touched,
    /// It has no stack and no user.
    Unowned,
    /// A listing of what the account has.
    Listing,
    /// It belongs to another account.
    Outside,
    /// It belongs to a group that the actor never touched.
    Foreign,
}

impl Relation {
    /// The word of the published table.
    pub fn code(self) -> &'static str {
        match self {
            Relation::Known => "known",
            Relation::Own => "own",
            Relation::Sibling => "sibling",
            Relation::Groups => "groups",
            Relation::Touched => "touched",
            Relation::Unowned => "unowned",
            Relation::Listing => "listing",
            Relation::Outside => "outside",
            Relation::Foreign => "foreign",
        }
    }

    /// Far flows have a rate of their own, far below that of near ones.
    pub fn is_far(self) -> bool {
        !matches!(self, Relation::Known | Relation::Own | Relation::Sibling)
    }

    fn points(self) -> f64 {
        match self {
            Relation::Known | Relation::Own | Relation::Groups => -1.,
            Relation::Touched => -0.5,
            Relation::Sibling | Relation::Foreign => 0.,
            Relation::Unowned | Relation::Listing => 0.5,
            Relation::Outside => 1.5,
        }
    }
}

/// What a score is the sum of, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Points {
    /// From the actor's rate of flows this near or far: -.7 ln(30 lambda).
    pub rate: f64,
    /// How near the target is.
    pub relation: f64,
    /// How long ago the target was created.
    pub created: f64,
    /// What is done to it.
    pub verb: f64,
    /// Whether it was denied.
    pub denied: f64,
    /// Whether the actor was deployed within a day by none of its group's usual deployers.
    pub deployer: f64,
    /// Whether another actor began to use the target within three days.
    pub cohort: f64,
    /// How young the actor is.
    pub young: f64,
    /// Whether its role got a permission that names the target within 14 days.
    pub named: f64,
    /// How common the verb is among this account's new flows.
    pub share_verb: f64,
    /// How common denials are among them.
    pub share_denied: f64,
}

impl Points {
    fn sum(&self) -> f64 {
        let facts = self.relation + self.created + self.verb + self.denied + self.deployer + self.cohort + self.young + self.named;
        self.rate + facts + self.share_verb + self.share_denied
    }
}

/// A first sight, with every part of its score.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// How near the target is.
    pub relation: Relation,
    /// The actor's rate of new flows this near or far, a day.
    pub lambda: f64,
    /// The parts of the score.
    pub points: Points,
    /// S, in nats.
    pub score: f64,
    /// R: flows as unusual as this one, a function-month.
    pub rarity: f64,
    /// R is within the account's budget of alerts.
    pub alert: bool,
    /// R is within the digest's.
    pub digest: bool,
    /// What is usual, for the message.
    pub usual: Usual,
}

/// What a person compares the flow with.
#[derive(Clone, Debug, PartialEq)]
pub struct Usual {
    /// How many targets the actor is known to use.
    pub targets_known: usize,
    /// Ids of up to three of them, those the account knew first.
    pub targets: Vec<String>,
    /// How many other actors are known to use the target.
    pub users_known: u32,
    /// Ids of up to three of them with the day of their first use since install, the earliest first.
    pub users: Vec<(String, f64)>,
    /// "By chance about once in so many years in this account": 1/(R N) months.
    pub years_per_event: f64,
}

impl Account {
    /// Scores a flow at its first sight, at `t_days` since install; `None` if it is none, or if the actor was never made
    /// known (then [`Overflow`](super::Overflow) counts it). An allowed and a denied call are two flows until the flow is
    /// learnt. Nothing is learnt till [`Account::close_window`].
    pub fn flow(&mut self, t_days: f64, actor: &str, verb: Verb, target: &Target, denied: bool, budget: &Budget) -> Option<Scored> {
        let Some(place) = self.actors.get(actor).copied() else {
            count(&mut self.state.overflow.unknown_actors);
            return None;
        };
        let scored = self.peek(t_days, actor, verb, target, denied, budget)?;
        if self.state.first_sights.len() < FIRST_SIGHTS_MAX && target.id.len() <= ID_BYTES_MAX {
            let (far, stack) = (scored.relation.is_far(), target.stack.map(|s| cut(s, NAME_BYTES_MAX).to_owned()));
            let since = Some(day(budget.since_day)).filter(|since| *since > 0.);
            let flow = FirstSight { day: day(t_days), stack, score: scored.score, far, alert: scored.alert, since };
            self.state.first_sights.insert((place, target.id.to_owned(), verb, denied), flow);
        } else {
            count(&mut self.state.overflow.first_sights);
        }
        Some(scored)
    }

    /// What [`Account::flow`] says, without a trace.
    pub(super) fn peek(&self, t_days: f64, actor: &str, verb: Verb, target: &Target, denied: bool, budget: &Budget) -> Option<Scored> {
        let place = self.actors.get(actor).copied()?;
        let settled = |x: &u32| self.is_settled_at(place, verb, *x) || (denied && self.was_denied(place, verb, *x));
        if self.targets.get(target.id).is_some_and(settled)
            || self.state.first_sights.contains_key(&(place, target.id.to_owned(), verb, denied))
        {
            return None;
        }
        self.score(day(t_days), place, verb, target, denied, budget)
    }

    /// What a flow that was alerted before is compared with now.
    pub fn rescore(&self, t_days: f64, actor: &str, verb: Verb, target: &Target, denied: bool, budget: &Budget) -> Option<Scored> {
        self.score(day(t_days), self.actors.get(actor).copied()?, verb, target, denied, budget)
    }

    fn was_denied(&self, actor: u32, verb: Verb, target: u32) -> bool {
        self.state.actors.get(actor as usize).and_then(|a| a.targets.get(&target)).is_some_and(|u| u.denied & verb.bit() != 0)
    }

    fn score(&self, t: f64, place: u32, verb: Verb, target: &Target, denied: bool, budget: &Budget) -> Option<Scored> {
        let actor = self.state.actors.get(place as usize)?;
        let known = self.targets.get(target.id).copied();
        let state = known.and_then(|x| self.state.targets.get(x as usize));
        let relation = self.relation(actor, verb, target, known, state);
        let age = (t - actor.since).max(0.);
        let lambda = self.lambda(actor, relation.is_far(), age);
        let points = Points {
            rate: RATE_POINTS * libm::log(DAYS_PER_MONTH * lambda),
            relation: relation.points(),
            created: created_points(state.and_then(|x| x.created).map(|created| t - created)),
            verb: verb_points(verb),
            denied: if denied { DENIED_POINTS } else { 0. },
            deployer: if actor.strange.is_some_and(|day| t - day < DEPLOYER_DAYS) { DEPLOYER_POINTS } else { 0. },
            cohort: if is_cohort(t, place, state) { COHORT_POINTS } else { 0. },
            young: YOUNG.iter().find(|(days, _)| age < *days).map_or(0., |(_, points)| *points),
            named: if self.is_granted(t, &actor.role, target.id) { NAMED_POINTS } else { 0. },
            share_verb: share(&SHARE, &self.state.verb_counts, verb as usize),
            share_denied: share(&SHARE_DENIED, &self.state.denied_counts, usize::from(denied)),
        };
        let score = points.sum();
        let rarity = self.rarity(score);
        let seen = t - day(budget.since_day);
        let share = if seen < f64::from(FLOWS_FROM_DAYS) {
            0.
        } else if seen < CAREFUL_DAYS {
            CAREFUL_SHARE
        } else {
            1.
        };
        let n = self.state.actors.len() as f64;
        let most = ALERT_RARITY_MAX.min(WEEKS_PER_MONTH * budget.alerts_per_week.max(0.) / n);
        let usual = self.usual(place, actor, state, 1. / (rarity * n) / MONTHS_PER_YEAR);
        let (alert, digest) = (rarity <= share * most, rarity <= share * DIGEST_RARITY_MAX);
        Some(Scored { relation, lambda, points, score, rarity, alert, digest, usual })
    }

    fn relation(&self, actor: &Actor, verb: Verb, target: &Target, known: Option<u32>, state: Option<&TargetState>) -> Relation {
        if target.outside {
            return Relation::Outside;
        }
        if verb == Verb::List {
            return Relation::Listing;
        }
        if known.and_then(|x| actor.targets.get(&x)).is_some_and(|u| u.known != 0) {
            return Relation::Known;
        }
        let own = match (target.stack, &actor.stack) {
            (Some(of_target), Some(of_actor)) => cut(of_target, NAME_BYTES_MAX) == of_actor,
            _ => !self.rare(&actor.name).is_disjoint(&self.rare(target.name)),
        };
        if own {
            return Relation::Own;
        }
        let users = state.map(|x| x.groups.as_slice()).unwrap_or_default();
        let group = self.groups.get(&self.group_of(actor));
        if users.iter().any(|g| Some(&g.group) == group) {
            return Relation::Sibling;
        }
        if users.len() >= COMMON_GROUPS {
            return Relation::Groups;
        }
        match self.group_of_target(target.stack, state) {
            None => Relation::Unowned,
            Some(group) if self.groups.get(&group).is_some_and(|g| actor.touched.contains(g)) => Relation::Touched,
            Some(_) => Relation::Foreign,
        }
    }

    /// The actor's rate of new flows a day, near or far, shrunk to the account's.
    fn lambda(&self, actor: &Actor, far: bool, age: f64) -> f64 {
        let class = usize::from(far);
        let of = |counts: &[u32; 2]| f64::from(counts.get(class).copied().unwrap_or(0));
        let prior = PRIOR_RATE.get(class).copied().unwrap_or_default();
        let of_account = (of(&self.state.episodes) + prior) / (self.state.days + PRIOR_DAYS);
        (of(&actor.episodes) + SHRINK_DAYS * of_account) / (age + SHRINK_DAYS)
    }

    fn is_granted(&self, t: f64, role: &str, target: &str) -> bool {
        self.state.grants.get(role).is_some_and(|grants| grants.iter().any(|g| g.resource == target && t - g.day < NAMED_DAYS))
    }

    /// How often this account has seen such a score, in a function-month; the published law counts as 100 of them.
    fn rarity(&self, score: f64) -> f64 {
        let published = (LAW_AT.1 * libm::exp((LAW_AT.0 - score) / LAW_STEP)).min(LAW_MAX);
        let seen = self.state.scores.at_least(score) as f64;
        (seen + PRIOR_MONTHS * published) / (self.state.days / DAYS_PER_MONTH + PRIOR_MONTHS)
    }

    fn usual(&self, place: u32, actor: &Actor, target: Option<&TargetState>, years_per_event: f64) -> Usual {
        let learnt = || actor.targets.iter().filter(|(_, u)| u.known != 0).filter_map(|(x, _)| self.state.targets.get(*x as usize));
        let others = target.map(|x| x.first.as_slice()).unwrap_or_default().iter().filter(|u| u.actor != place);
        let named = others.filter_map(|u| self.state.actors.get(u.actor as usize).map(|a| (a.id.clone(), u.since)));
        let itself =
            self.targets.get(target.map_or("", |x| x.id.as_str())).and_then(|x| actor.targets.get(x)).is_some_and(|u| u.known != 0);
        Usual {
            targets_known: learnt().count(),
            targets: learnt().take(NAMED_MAX).map(|x| x.id.clone()).collect(),
            users_known: target.map_or(0, |x| x.users).saturating_sub(u32::from(itself)),
            users: named.take(NAMED_MAX).collect(),
            years_per_event,
        }
    }
}

/// The published share of a class against the account's own, in nats.
fn share<const N: usize>(published: &[f64; N], counts: &[u32; N], class: usize) -> f64 {
    let p = published.get(class).copied().unwrap_or(1.);
    let k = f64::from(counts.get(class).copied().unwrap_or(0));
    let n = counts.iter().map(|count| f64::from(*count)).sum::<f64>();
    libm::log(p * (n + PRIOR_FLOWS) / (k + PRIOR_FLOWS * p))
}

fn verb_points(verb: Verb) -> f64 {
    match verb {
        Verb::ReadMany => 1.,
        Verb::Write => -1.,
        Verb::Delete => 1.5,
        Verb::Publish => -0.5,
        Verb::ReadOne | Verb::Secret | Verb::List => 0.,
    }
}

/// By the days since the target was created; a creation that was not seen counts as long ago.
fn created_points(age: Option<f64>) -> f64 {
    match age {
        Some(age) if age < 1. => -1.,
        Some(age) if age < 7. => -0.5,
        Some(age) if age < 30. => 0.,
        _ => 1.,
    }
}

/// Whether another actor began to use the target within three days.
fn is_cohort(t: f64, place: u32, target: Option<&TargetState>) -> bool {
    target.is_some_and(|x| x.latest.iter().any(|u| u.actor != place && t - u.since < COHORT_DAYS))
}
