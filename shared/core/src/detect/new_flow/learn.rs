//! What an account learns from flows, at the end of their window or when an alerted one is accepted.
//!
//! Score and shares are learnt from every first sight; users, groups and episodes only from flows that were allowed and not
//! alerted, or that were accepted. A denied flow never becomes known: who was refused may be let in tomorrow, and that is the
//! flow to hear about. Deliberately absent: when an alerted flow is accepted. `account` says so, of what was told for the last
//! time without an answer.

use super::limits::{ALERTED_MAX, GROUPS_PER_TARGET_MAX, TARGETS_PER_ACTOR_MAX, TOUCHED_PER_ACTOR_MAX};
use super::state::{Alerted, FirstSight, FirstSightKey, GroupSince, Use};
use super::{Account, count};
use crate::observe::Verb;

/// Days, from install or since such flows are seen at all, whose flows teach no shares and scores: everything is new then.
const FIRST_DAYS: f64 = 3.;
/// Days, of an actor's age and since such flows are seen at all, from which on its episodes count in the account's rate.
const GROWN_DAYS: f64 = 3.;
/// Flows of one actor and class that follow each other within 6 h are one episode.
const EPISODE_DAYS: f64 = 0.25;

impl From<FirstSight> for Alerted {
    fn from(flow: FirstSight) -> Alerted {
        Alerted { day: flow.day, stack: flow.stack, far: flow.far, since: flow.since }
    }
}

impl Account {
    /// Ends a window: its first sights are learnt, in the order of time and then of names, whatever order they came in.
    /// Alerted ones are held back, unless `learn_alerted` says that these records are what is normal.
    pub fn close_window(&mut self, learn_alerted: bool) {
        let mut flows: Vec<(FirstSightKey, FirstSight)> = std::mem::take(&mut self.state.first_sights).into_iter().collect();
        let id = |actor: u32| self.state.actors.get(actor as usize).map(|a| a.id.as_str());
        flows.sort_by(|((a, x, v, denied), flow), ((b, y, w, other), next)| {
            flow.day.total_cmp(&next.day).then_with(|| (id(*a), x, v, denied).cmp(&(id(*b), y, w, other)))
        });
        for ((actor, id, verb, denied), flow) in flows {
            self.learn_score(actor, verb, denied, &flow);
            let Some(target) = self.intern_target(&id) else { continue };
            if denied {
                self.learn_denied(actor, verb, target);
            } else if flow.alert && !learn_alerted {
                self.hold_back(actor, verb, target, flow);
            } else {
                self.learn(actor, verb, target, &flow.into());
            }
        }
    }

    /// An alerted flow counts as usual from now on: it is learnt, as of the time when it was seen. Says whether there was one.
    pub fn accept(&mut self, actor: &str, verb: Verb, target: &str) -> bool {
        let (Some(actor), Some(target)) = (self.actors.get(actor).copied(), self.targets.get(target).copied()) else { return false };
        let Some(flow) = self.state.alerted.remove(&(actor, target, verb)) else { return false };
        self.learn(actor, verb, target, &flow);
        true
    }

    /// Scores, and shares of verbs and denials: at most one an actor, verb, denied or not, and day.
    fn learn_score(&mut self, actor: u32, verb: Verb, denied: bool, flow: &FirstSight) {
        if flow.day - flow.since.unwrap_or(0.) <= FIRST_DAYS {
            return;
        }
        self.state.scores.insert(flow.score);
        let Some(actor) = self.state.actors.get_mut(actor as usize) else { return };
        let today = Some(flow.day as i32);
        let Some(last) = actor.share_days.get_mut(verb as usize + Verb::COUNT * usize::from(denied)) else { return };
        if std::mem::replace(last, today) == today {
            return;
        }
        let counts = [self.state.verb_counts.get_mut(verb as usize), self.state.denied_counts.get_mut(usize::from(denied))];
        for n in counts.into_iter().flatten() {
            *n = n.saturating_add(1);
        }
    }

    fn learn_denied(&mut self, actor: u32, verb: Verb, target: u32) {
        if let Some(flows) = self.flows_of(actor, target) {
            flows.denied |= verb.bit();
        }
    }

    fn hold_back(&mut self, actor: u32, verb: Verb, target: u32, flow: FirstSight) {
        if self.state.alerted.len() < ALERTED_MAX {
            self.state.alerted.insert((actor, target, verb), flow.into());
        } else {
            count(&mut self.state.overflow.alerted);
        }
    }

    /// What is known of an actor and a target, with a place for it if one is left.
    fn flows_of(&mut self, actor: u32, target: u32) -> Option<&mut Use> {
        let targets = &mut self.state.actors.get_mut(actor as usize)?.targets;
        if targets.len() >= TARGETS_PER_ACTOR_MAX && !targets.contains_key(&target) {
            count(&mut self.state.overflow.targets);
            return None;
        }
        Some(targets.entry(target).or_default())
    }

    /// Users, groups and episodes, with the time of the flow.
    fn learn(&mut self, actor: u32, verb: Verb, target: u32, flow: &Alerted) {
        // The target's group as it stood before this flow: that of its first user, which may be this very actor's next.
        let state = self.state.targets.get(target as usize);
        let group_of_target = self.group_of_target(flow.stack.as_deref(), state).and_then(|group| self.intern_group(&group));
        let group = self.state.actors.get(actor as usize).map(|a| self.group_of(a)).and_then(|group| self.intern_group(&group));
        let Some(flows) = self.flows_of(actor, target) else { return };
        let is_user = flows.known != 0;
        flows.known |= verb.bit();
        if let Some(x) = self.state.targets.get_mut(target as usize) {
            if !is_user {
                x.add_user(actor, flow.day);
            }
            if let Some(group) = group.filter(|group| x.groups.iter().all(|g| g.group != *group)) {
                if x.groups.len() < GROUPS_PER_TARGET_MAX {
                    x.groups.push(GroupSince { group, since: flow.day });
                } else {
                    count(&mut self.state.overflow.groups);
                }
            }
        }
        self.learn_touched(actor, group_of_target);
        self.learn_episode(actor, flow);
    }

    fn learn_touched(&mut self, actor: u32, group: Option<u32>) {
        let (Some(actor), Some(group)) = (self.state.actors.get_mut(actor as usize), group) else { return };
        if actor.touched.len() < TOUCHED_PER_ACTOR_MAX || actor.touched.contains(&group) {
            actor.touched.insert(group);
        } else {
            count(&mut self.state.overflow.groups);
        }
    }

    fn learn_episode(&mut self, actor: u32, flow: &Alerted) {
        let Some(actor) = self.state.actors.get_mut(actor as usize) else { return };
        let class = usize::from(flow.far);
        let (Some(last), Some(own)) = (actor.last_episode.get_mut(class), actor.episodes.get_mut(class)) else { return };
        if last.is_none_or(|last| flow.day - last > EPISODE_DAYS) {
            *own = own.saturating_add(1);
            if flow.day - actor.since.max(flow.since.unwrap_or(0.)) > GROWN_DAYS
                && let Some(n) = self.state.episodes.get_mut(class)
            {
                *n = n.saturating_add(1);
            }
        }
        *last = Some(last.map_or(flow.day, |last| last.max(flow.day)));
    }
}
