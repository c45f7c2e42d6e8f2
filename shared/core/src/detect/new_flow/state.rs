//! What an account remembers of flows, as it is stored: plain ordered values, encoded with numbered fields.
//!
//! Actors, targets and groups are interned: everything else refers to them by their place. Encoding writes the ordered
//! values alone; the look-up tables are built anew when they are read, and what is read is checked whole before it is used,
//! since the store's bytes are not ours once they were written. Deliberately absent: names of targets, which only their
//! words are kept of.

use super::limits::{
    ACTORS_MAX, ALERTED_MAX, DAYS_MAX, DEPLOYERS_MAX, FIRST_SIGHTS_MAX, GRANTS_PER_ROLE_MAX, GROUPS_MAX, GROUPS_PER_TARGET_MAX,
    ID_BYTES_MAX, NAME_BYTES_MAX, ROLES_MAX, TARGETS_MAX, TARGETS_PER_ACTOR_MAX, TOKENS_MAX, TOUCHED_PER_ACTOR_MAX,
};
use super::scores::Scores;
use super::{Account, Overflow};
use crate::observe::Verb;
use crate::stored::StoredError;
use minicbor::{Decode, Encode};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The version of the layout that this code writes, and the only one so far.
const VERSION: u32 = 1;

/// How many of a target's first users are kept: three to tell a person, and one that may be the asking actor itself.
pub(super) const FIRST_USERS: usize = 4;
/// How many of its latest: the latest that is not the asking actor is among two.
pub(super) const LATEST_USERS: usize = 2;

/// Why stored bytes are not an account.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Written by newer code: leave them alone and try again with that.
    #[error("account of flows has layout {0}, newer than {VERSION}")]
    Newer(u32),
    /// No account at all, or one cut short.
    #[error("account of flows is unreadable")]
    Malformed(#[from] minicbor::decode::Error),
    /// An account that this code can't have written.
    #[error("account of flows contradicts itself: {0}")]
    Unsound(&'static str),
}

impl From<DecodeError> for StoredError {
    fn from(error: DecodeError) -> StoredError {
        match error {
            DecodeError::Newer(version) => StoredError::Format(u64::from(version)),
            DecodeError::Malformed(_) | DecodeError::Unsound(_) => StoredError::Damaged,
        }
    }
}

/// One who acts: a function, or another principal.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct Actor {
    #[n(0)]
    pub(super) id: String,
    #[n(1)]
    pub(super) name: String,
    #[n(2)]
    pub(super) role: String,
    #[n(3)]
    pub(super) stack: Option<String>,
    /// Day of its creation, at least 0 (install).
    #[n(4)]
    pub(super) since: f64,
    /// Day of the last deployment by none of its group's usual deployers.
    #[n(5)]
    pub(super) strange: Option<f64>,
    /// Episodes of new flows, near and far.
    #[n(6)]
    pub(super) episodes: [u32; 2],
    #[n(7)]
    pub(super) last_episode: [Option<f64>; 2],
    /// Last day that counted in the shares, by verb, allowed first and then denied.
    #[n(8)]
    pub(super) share_days: [Option<i32>; 2 * Verb::COUNT],
    #[n(9)]
    pub(super) targets: BTreeMap<u32, Use>,
    /// Groups of the targets it used.
    #[n(10)]
    pub(super) touched: BTreeSet<u32>,
}

/// What one actor does to one target: sets of verbs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Encode, Decode)]
pub(super) struct Use {
    /// Learnt from allowed flows.
    #[n(0)]
    pub(super) known: u8,
    /// Seen denied.
    #[n(1)]
    pub(super) denied: u8,
}

/// What is acted upon.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct TargetState {
    #[n(0)]
    pub(super) id: String,
    /// Day of its creation, if that was seen.
    #[n(1)]
    pub(super) created: Option<f64>,
    /// Whether its name was counted.
    #[n(2)]
    pub(super) named: bool,
    /// How many actors use it.
    #[n(3)]
    pub(super) users: u32,
    #[n(4)]
    pub(super) first: Vec<User>,
    #[n(5)]
    pub(super) latest: Vec<User>,
    /// Groups of its users, in the order in which they were learnt.
    #[n(6)]
    pub(super) groups: Vec<GroupSince>,
}

/// An actor that uses a target.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub(super) struct User {
    #[n(0)]
    pub(super) actor: u32,
    #[n(1)]
    pub(super) since: f64,
}

/// A group that uses a target.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub(super) struct GroupSince {
    #[n(0)]
    pub(super) group: u32,
    #[n(1)]
    pub(super) since: f64,
}

/// A permission that names a resource.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct Grant {
    #[n(0)]
    pub(super) resource: String,
    #[n(1)]
    pub(super) day: f64,
}

/// A first sight of this window, by (actor, target, verb, denied).
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct FirstSight {
    #[n(0)]
    pub(super) day: f64,
    #[n(1)]
    pub(super) stack: Option<String>,
    #[n(2)]
    pub(super) score: f64,
    #[n(3)]
    pub(super) far: bool,
    #[n(4)]
    pub(super) alert: bool,
    /// Day since which such flows are seen at all; nothing for install.
    #[n(5)]
    pub(super) since: Option<f64>,
}

/// A flow that was alerted and is not learnt, by (actor, target, verb).
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct Alerted {
    #[n(0)]
    pub(super) day: f64,
    #[n(1)]
    pub(super) stack: Option<String>,
    #[n(2)]
    pub(super) far: bool,
    /// Day since which such flows are seen at all; nothing for install.
    #[n(3)]
    pub(super) since: Option<f64>,
}

/// (actor, target id, verb, denied)
pub(super) type FirstSightKey = (u32, String, Verb, bool);
/// (actor, target, verb)
pub(super) type AlertedKey = (u32, u32, Verb);

/// Everything of an account that is stored.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(super) struct State {
    /// Function-days since install.
    #[n(0)]
    pub(super) days: f64,
    #[n(1)]
    pub(super) clock: f64,
    #[n(2)]
    pub(super) actors: Vec<Actor>,
    #[n(3)]
    pub(super) targets: Vec<TargetState>,
    #[n(4)]
    pub(super) groups: Vec<String>,
    /// How many names were counted.
    #[n(5)]
    pub(super) names: u32,
    /// In how many of them each word occurs.
    #[n(6)]
    pub(super) tokens: BTreeMap<String, u32>,
    /// By role.
    #[n(7)]
    pub(super) grants: BTreeMap<String, Vec<Grant>>,
    /// By group, the most recent last.
    #[n(8)]
    pub(super) deployers: BTreeMap<u32, Vec<String>>,
    /// Episodes of new flows of actors over three days old, near and far.
    #[n(9)]
    pub(super) episodes: [u32; 2],
    #[n(10)]
    pub(super) verb_counts: [u32; Verb::COUNT],
    /// Allowed, denied.
    #[n(11)]
    pub(super) denied_counts: [u32; 2],
    #[n(12)]
    pub(super) scores: Scores,
    #[n(13)]
    pub(super) first_sights: BTreeMap<FirstSightKey, FirstSight>,
    #[n(14)]
    pub(super) alerted: BTreeMap<AlertedKey, Alerted>,
    #[n(15)]
    pub(super) overflow: Overflow,
}

impl TargetState {
    /// A target that nobody uses yet.
    pub(super) fn new(id: &str) -> TargetState {
        TargetState { id: id.to_owned(), created: None, named: false, users: 0, first: Vec::new(), latest: Vec::new(), groups: Vec::new() }
    }

    /// Takes in an actor that did not use it before: all that is asked of users later is who came first and who last.
    pub(super) fn add_user(&mut self, actor: u32, since: f64) {
        self.users = self.users.saturating_add(1);
        let user = User { actor, since };
        self.first.insert(self.first.partition_point(|u| u.since <= since), user);
        self.first.truncate(FIRST_USERS);
        self.latest.insert(self.latest.partition_point(|u| u.since >= since), user);
        self.latest.truncate(LATEST_USERS);
    }
}

impl Account {
    /// The account as bytes that [`Account::decode`] goes on from exactly, also in the middle of a window.
    pub fn encode(&self) -> Vec<u8> {
        // Writing to memory can't fail; were it to, no bytes are no account, and decode says so.
        minicbor::to_vec((VERSION, &self.state)).unwrap_or_default()
    }

    /// Reads what [`Account::encode`] wrote. Memory stays within a constant times the bytes given; bytes of any other
    /// origin are an error or an account, never a panic.
    pub fn decode(bytes: &[u8]) -> Result<Account, DecodeError> {
        let mut decoder = minicbor::Decoder::new(bytes);
        decoder.array()?;
        let version = decoder.u32()?;
        if version > VERSION {
            return Err(DecodeError::Newer(version));
        }
        ensure(version == VERSION, "layout").map_err(DecodeError::Unsound)?;
        let state: State = decoder.decode()?;
        state.check().map_err(DecodeError::Unsound)?;
        let actors = index(state.actors.iter().map(|a| a.id.as_str()), state.actors.len())?;
        let targets = index(state.targets.iter().map(|x| x.id.as_str()), state.targets.len())?;
        let groups = index(state.groups.iter().map(String::as_str), state.groups.len())?;
        Ok(Account { state, actors, targets, groups })
    }
}

/// The look-up table of interned ids; an id that stands twice is an error.
fn index<'a>(ids: impl Iterator<Item = &'a str>, count: usize) -> Result<HashMap<String, u32>, DecodeError> {
    let table: HashMap<String, u32> = ids.map(str::to_owned).zip(0..).collect();
    if table.len() == count { Ok(table) } else { Err(DecodeError::Unsound("an id stands twice")) }
}

/// A day within the range that times are held to.
fn is_day(day: f64) -> bool {
    day.abs() <= DAYS_MAX
}

/// `Err` with what is wrong, unless it holds.
fn ensure(holds: bool, wrong: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(wrong) }
}

impl State {
    /// Whether the values keep the bounds and refer to one another.
    fn check(&self) -> Result<(), &'static str> {
        let (actors, groups) = (self.actors.len(), self.groups.len());
        ensure(self.days >= 0. && self.days <= DAYS_MAX * ACTORS_MAX as f64, "days")?;
        ensure(self.clock >= 0. && is_day(self.clock), "clock")?;
        ensure(actors <= ACTORS_MAX && self.targets.len() <= TARGETS_MAX && groups <= GROUPS_MAX, "too many ids")?;
        ensure(self.tokens.len() <= TOKENS_MAX && self.grants.len() <= ROLES_MAX, "too many words or roles")?;
        ensure(self.first_sights.len() <= FIRST_SIGHTS_MAX && self.alerted.len() <= ALERTED_MAX, "too many flows")?;
        ensure(self.scores.is_sound(), "scores")?;
        // A group is an id with a word before it.
        ensure(self.groups.iter().chain(self.tokens.keys()).all(|text| text.len() <= ID_BYTES_MAX + NAME_BYTES_MAX), "long word")?;
        self.actors.iter().try_for_each(|a| self.check_actor(a))?;
        self.targets.iter().try_for_each(|x| self.check_target(x))?;
        for (role, grants) in &self.grants {
            ensure(role.len() <= ID_BYTES_MAX && grants.len() <= GRANTS_PER_ROLE_MAX, "grants")?;
            ensure(grants.iter().all(|g| is_day(g.day) && g.resource.len() <= ID_BYTES_MAX), "grant")?;
        }
        for (group, by) in &self.deployers {
            ensure((*group as usize) < groups && by.len() <= DEPLOYERS_MAX, "deployers")?;
        }
        for ((actor, target, _, _), flow) in &self.first_sights {
            ensure((*actor as usize) < actors && target.len() <= ID_BYTES_MAX, "first sight")?;
            ensure(is_day(flow.day) && flow.since.is_none_or(is_day) && flow.score.is_finite(), "first sight")?;
        }
        for ((actor, target, _), flow) in &self.alerted {
            ensure((*actor as usize) < actors && (*target as usize) < self.targets.len(), "alerted flow")?;
            ensure(is_day(flow.day) && flow.since.is_none_or(is_day), "alerted flow")?;
        }
        Ok(())
    }

    fn check_actor(&self, a: &Actor) -> Result<(), &'static str> {
        ensure(a.id.len() <= ID_BYTES_MAX && a.role.len() <= ID_BYTES_MAX && a.name.len() <= NAME_BYTES_MAX, "long actor")?;
        ensure(a.since >= 0. && is_day(a.since) && a.strange.is_none_or(is_day), "actor's days")?;
        ensure(a.last_episode.iter().flatten().all(|day| is_day(*day)), "actor's episodes")?;
        ensure(a.targets.len() <= TARGETS_PER_ACTOR_MAX && a.touched.len() <= TOUCHED_PER_ACTOR_MAX, "actor's targets")?;
        ensure(a.targets.keys().all(|x| (*x as usize) < self.targets.len()), "actor's target")?;
        ensure(a.touched.iter().all(|g| (*g as usize) < self.groups.len()), "actor's group")
    }

    fn check_target(&self, x: &TargetState) -> Result<(), &'static str> {
        ensure(x.id.len() <= ID_BYTES_MAX && x.created.is_none_or(is_day), "target")?;
        ensure(x.first.len() <= FIRST_USERS && x.latest.len() <= LATEST_USERS, "target's users")?;
        let mut users = x.first.iter().chain(&x.latest);
        ensure(users.all(|u| (u.actor as usize) < self.actors.len() && is_day(u.since)), "target's user")?;
        ensure(x.groups.len() <= GROUPS_PER_TARGET_MAX, "target's groups")?;
        ensure(x.groups.iter().all(|g| (g.group as usize) < self.groups.len() && is_day(g.since)), "target's group")
    }
}
