//! New flows: the first time an actor does something to a target, and how unusual that is in this account.
//!
//! Claim: "this function has never done this before, and here that is rare". How often does this actor gain flows this
//! near or far (a rate, shrunk to the account's), times fixed odds for the kind of flow, gives a score S; how often the
//! account has seen such a score gives its rarity R, in events a function-month. It alerts when R is within the account's
//! budget. Formulas, constants and what they reached: DETECTION.md, "New flows"; this is a port of its executable
//! reference, value by value. An [`Account`] serves functions or other principals alike, with numbers of their own: hold
//! one for each.
//!
//! How to drive it: [`Account::pass_time`] to the window; what control-plane records and the inventory say ([`Account::actor`],
//! [`Account::resource`], [`Account::deploy`], [`Account::grant`]), which acts at once; [`Account::flow`] for every flow of the
//! window, each once; [`Account::close_window`]. The flows of a window are all scored against the account as it stood before
//! it, so their order does not matter.
//!
//! Unlike the reference, knowingly: everything has a cap ([`Overflow`] counts what was left out); ages are never negative;
//! a name is counted once an id; an id that comes again is not a new actor; from the 4,097th score on the lowest are counted
//! in bins, which leaves every alert as it was and lets R of common flows come out higher, never lower.
//! Deliberately absent: forgetting of actors and targets that are gone, which the reference has no measure of either.

mod learn;
mod limits;
mod score;
mod scores;
mod state;
#[cfg(test)]
pub(crate) mod tests;

pub use score::{CAREFUL_SHARE, FLOWS_FROM_DAYS, Points, Relation, Scored, Usual};
pub use state::DecodeError;

use crate::observe::{Verb, tokens};
use limits::{
    ACTORS_MAX, DAYS_MAX, DEPLOYERS_MAX, GRANTS_PER_ROLE_MAX, GROUPS_MAX, ID_BYTES_MAX, NAME_BYTES_MAX, ROLES_MAX, TARGETS_MAX, TOKENS_MAX,
};
use minicbor::{Decode, Encode};
use state::{Actor, Grant, State, TargetState};
use std::collections::{BTreeSet, HashMap};

/// A token is rare if at most this many names carry it, ...
const RARE_NAMES: f64 = 3.;
/// ... or at most this share of the account's names.
const RARE_SHARE: f64 = 0.1;

/// What a flow acts upon, as it is known now.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its id: an ARN, say. For [`Verb::List`] one id a service.
    pub id: &'a str,
    /// Its name, [generalised](crate::observe::generalise).
    pub name: &'a str,
    /// Its stack tag (`aws:cloudformation:stack-name`).
    pub stack: Option<&'a str>,
    /// Whether it belongs to another account.
    pub outside: bool,
}

/// What an account accepts.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// w: alerts of new flows a week, in the whole account.
    pub alerts_per_week: f64,
    /// The day since which such flows are seen at all: 0, install, unless their feed was switched on later. Their first days
    /// are counted from it.
    pub since_day: f64,
}

/// What was left out at a cap, counted; see the constants in `limits.rs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Overflow {
    /// Flows, deployments and such of actors that were never made known, or no more could be.
    #[n(0)]
    pub unknown_actors: u64,
    /// Actors that no place was left for.
    #[n(1)]
    pub actors: u64,
    /// Targets that no place was left for, in the account or with their actor; or whose id is too long.
    #[n(2)]
    pub targets: u64,
    /// Groups that no place was left for, in the account, with an actor or with a target.
    #[n(3)]
    pub groups: u64,
    /// Words of names.
    #[n(4)]
    pub tokens: u64,
    /// Permissions, of more roles than are kept or with too long names.
    #[n(5)]
    pub grants: u64,
    /// First sights of one window, which are scored and not learnt.
    #[n(6)]
    pub first_sights: u64,
    /// Alerted flows, which are scored again when they are seen again.
    #[n(7)]
    pub alerted: u64,
}

impl Overflow {
    /// All of it.
    pub fn total(&self) -> u64 {
        let Overflow { unknown_actors, actors, targets, groups, tokens, grants, first_sights, alerted } = *self;
        [unknown_actors, actors, targets, groups, tokens, grants, first_sights, alerted].into_iter().fold(0, u64::saturating_add)
    }
}

/// What one AWS account's actors are known to do. See the head of this module.
#[derive(Clone, Debug, Default)]
pub struct Account {
    state: State,
    // Look-up tables of the interned ids, keyed and never iterated.
    actors: HashMap<String, u32>,
    targets: HashMap<String, u32>,
    groups: HashMap<String, u32>,
}

impl Account {
    /// An account on the day of install, of which nothing is known.
    pub fn new() -> Account {
        Account::default()
    }

    /// Moves on to a time, in days since install (negative before it), and counts the function-days till then. Going back
    /// does nothing.
    pub fn pass_time(&mut self, t_days: f64) {
        let t = day(t_days);
        if t > self.state.clock {
            self.state.days += self.state.actors.len() as f64 * (t - self.state.clock);
            self.state.clock = t;
        }
    }

    /// An actor that the inventory names, whose creation was seen, or that is seen for the first time. For an actor that is
    /// known it fills in what was unknown: its role, its stack, and with `created` an earlier creation.
    pub fn actor(&mut self, t_days: f64, id: &str, name: &str, role: &str, stack: Option<&str>, created: bool) {
        let since = day(t_days).max(0.);
        let (name, role, stack) = (cut(name, NAME_BYTES_MAX), cut(role, ID_BYTES_MAX), stack.map(|s| cut(s, NAME_BYTES_MAX)));
        if let Some(known) = self.actors.get(id).and_then(|place| self.state.actors.get_mut(*place as usize)) {
            known.stack = known.stack.take().or(stack.map(str::to_owned));
            if known.role.is_empty() {
                known.role = role.to_owned();
            }
            if created {
                known.since = known.since.min(since);
            }
            return;
        }
        if self.state.actors.len() >= ACTORS_MAX || id.len() > ID_BYTES_MAX {
            count(&mut self.state.overflow.actors);
            return;
        }
        self.count_name(name);
        self.actors.insert(id.to_owned(), self.state.actors.len() as u32);
        self.state.actors.push(Actor {
            id: id.to_owned(),
            name: name.to_owned(),
            role: role.to_owned(),
            stack: stack.map(str::to_owned),
            since,
            strange: None,
            episodes: [0; 2],
            last_episode: [None; 2],
            share_days: [None; 2 * Verb::COUNT],
            targets: Default::default(),
            touched: Default::default(),
        });
    }

    /// A resource that the inventory names or whose creation was seen. Its name ([generalised](crate::observe::generalise)) is counted once an id.
    pub fn resource(&mut self, t_days: f64, id: &str, name: &str, created: bool) {
        let Some(place) = self.intern_target(id) else { return };
        let Some(target) = self.state.targets.get_mut(place as usize) else { return };
        if created {
            target.created = Some(day(t_days));
        }
        if !std::mem::replace(&mut target.named, true) {
            self.count_name(cut(name, NAME_BYTES_MAX));
        }
    }

    /// An actor was deployed by a principal: unusual for a day if the last four deployers of its group are others.
    pub fn deploy(&mut self, t_days: f64, actor: &str, by: &str) {
        let group = self.actors.get(actor).and_then(|place| self.state.actors.get(*place as usize)).map(|a| self.group_of(a));
        let Some(group) = group else {
            count(&mut self.state.overflow.unknown_actors);
            return;
        };
        let Some(group) = self.intern_group(&group) else { return };
        let by = cut(by, NAME_BYTES_MAX);
        let usual = self.state.deployers.entry(group).or_default();
        let strange = !usual.is_empty() && !usual.iter().any(|known| known == by);
        usual.retain(|known| known != by);
        usual.push(by.to_owned());
        if usual.len() > DEPLOYERS_MAX {
            usual.remove(0);
        }
        if strange && let Some(a) = self.actors.get(actor).and_then(|place| self.state.actors.get_mut(*place as usize)) {
            a.strange = Some(day(t_days));
        }
    }

    /// A role got a permission that names a resource. A prefix that ends in `*` names nothing: leave it out.
    pub fn grant(&mut self, t_days: f64, role: &str, resource: &str) {
        let role = cut(role, ID_BYTES_MAX);
        let is_new = !self.state.grants.contains_key(role);
        if resource.len() > ID_BYTES_MAX || (is_new && self.state.grants.len() >= ROLES_MAX) {
            count(&mut self.state.overflow.grants);
            return;
        }
        let grants = self.state.grants.entry(role.to_owned()).or_default();
        grants.retain(|g| g.resource != resource);
        grants.push(Grant { resource: resource.to_owned(), day: day(t_days) });
        if grants.len() > GRANTS_PER_ROLE_MAX {
            grants.remove(0);
        }
    }

    /// Whether this flow, allowed or denied, is no first sight: it was learnt, or it was alerted. This is the hot loop's
    /// question.
    pub fn is_settled(&self, actor: &str, verb: Verb, target: &str) -> bool {
        let (Some(actor), Some(target)) = (self.actors.get(actor), self.targets.get(target)) else { return false };
        self.is_settled_at(*actor, verb, *target)
    }

    /// N: how many actors there are.
    pub fn len(&self) -> usize {
        self.state.actors.len()
    }

    /// Whether no actor was ever made known.
    pub fn is_empty(&self) -> bool {
        self.state.actors.is_empty()
    }

    /// What was left out at caps since the account began.
    pub fn overflow(&self) -> Overflow {
        self.state.overflow
    }

    fn is_settled_at(&self, actor: u32, verb: Verb, target: u32) -> bool {
        self.state.actors.get(actor as usize).and_then(|a| a.targets.get(&target)).is_some_and(|u| u.known & verb.bit() != 0)
            || self.state.alerted.contains_key(&(actor, target, verb))
    }

    fn count_name(&mut self, name: &str) {
        self.state.names = self.state.names.saturating_add(1);
        for token in tokens(name) {
            if self.state.tokens.len() < TOKENS_MAX || self.state.tokens.contains_key(&token) {
                let n = self.state.tokens.entry(token).or_default();
                *n = n.saturating_add(1);
            } else {
                count(&mut self.state.overflow.tokens);
            }
        }
    }

    /// The tokens of a name that few names carry.
    fn rare(&self, name: &str) -> BTreeSet<String> {
        let most = RARE_NAMES.max(RARE_SHARE * f64::from(self.state.names));
        let mut found = tokens(cut(name, NAME_BYTES_MAX));
        found.retain(|token| f64::from(self.state.tokens.get(token).copied().unwrap_or(0)) <= most);
        found
    }

    /// Whom an actor belongs to: its stack; else those who share its first rare token; else itself. The first word keeps
    /// the three apart.
    fn group_of(&self, actor: &Actor) -> String {
        match (&actor.stack, self.rare(&actor.name).first()) {
            (Some(stack), _) => format!("stack {stack}"),
            (None, Some(token)) => format!("name {token}"),
            (None, None) => format!("function {}", actor.id),
        }
    }

    /// Whom a target belongs to: its stack, else the group of its first user.
    fn group_of_target(&self, stack: Option<&str>, target: Option<&TargetState>) -> Option<String> {
        if let Some(stack) = stack {
            return Some(format!("stack {}", cut(stack, NAME_BYTES_MAX)));
        }
        // Of equals the first learnt, which min_by keeps.
        let first = target?.groups.iter().min_by(|a, b| a.since.total_cmp(&b.since))?;
        self.state.groups.get(first.group as usize).cloned()
    }

    fn intern_target(&mut self, id: &str) -> Option<u32> {
        if let Some(place) = self.targets.get(id) {
            return Some(*place);
        }
        if self.state.targets.len() >= TARGETS_MAX || id.len() > ID_BYTES_MAX {
            count(&mut self.state.overflow.targets);
            return None;
        }
        let place = self.state.targets.len() as u32;
        self.state.targets.push(TargetState::new(id));
        self.targets.insert(id.to_owned(), place);
        Some(place)
    }

    fn intern_group(&mut self, name: &str) -> Option<u32> {
        if let Some(place) = self.groups.get(name) {
            return Some(*place);
        }
        if self.state.groups.len() >= GROUPS_MAX {
            count(&mut self.state.overflow.groups);
            return None;
        }
        let place = self.state.groups.len() as u32;
        self.state.groups.push(name.to_owned());
        self.groups.insert(name.to_owned(), place);
        Some(place)
    }
}

/// A time within the range that times are held to; what is no number is the day of install.
fn day(t_days: f64) -> f64 {
    if t_days.is_nan() { 0. } else { t_days.clamp(-DAYS_MAX, DAYS_MAX) }
}

/// At most so many bytes of a text, whole characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default()
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
