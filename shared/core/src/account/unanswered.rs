//! Alerted flows that nobody answered.
//!
//! What was alerted is not learnt, since whoever goes on long enough would make himself usual unseen. So it is told again
//! where it goes on or comes back: at most once a week, and five times in all, which takes four weeks at the least. The last
//! time says so, and then it is learnt as if a person had called it expected. A flow that stays away is not forgotten and not
//! aged: it has its five times, however late. There is deliberately no verdict of a person here.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use super::Kind;
use crate::limits::UNANSWERED_MAX;
use crate::observe::Verb;
use crate::time::{WINDOWS_PER_DAY, WindowId};

/// Windows between two tellings of one flow: a week.
const AGAIN_WINDOWS: u32 = 7 * WINDOWS_PER_DAY;
/// Tellings of one flow, the first included; with a week between them they span the four weeks after which it is usual.
const TIMES_MAX: u32 = 5;

/// Which flow: as `new_flow` compares them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub(super) struct Key {
    #[n(0)]
    pub(super) actor: String,
    #[n(1)]
    pub(super) verb: Verb,
    #[n(2)]
    pub(super) denied: bool,
    #[n(3)]
    pub(super) target: String,
}

/// How often and when it was told.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub(super) struct Told {
    #[n(0)]
    pub(super) first: WindowId,
    #[n(1)]
    last: WindowId,
    #[n(2)]
    pub(super) times: u32,
    /// Its rarity as it was told first: it has not become commoner by going on.
    #[n(3)]
    pub(super) years: f64,
}

impl Told {
    /// From now on it counts as usual.
    pub(super) fn is_last(&self) -> bool {
        self.times >= TIMES_MAX
    }
}

/// Alerted flows of one kind of entities that nobody answered.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(super) struct Unanswered {
    #[n(0)]
    flows: BTreeMap<Key, Told>,
    /// How many gave way.
    #[n(1)]
    cut: u64,
}

impl Unanswered {
    pub(super) fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    pub(super) fn cut(&self) -> u64 {
        self.cut
    }

    /// A flow is alerted. Past the bound the one that was told longest ago gives way, and is not told again.
    pub(super) fn tell(&mut self, key: Key, window: WindowId, years: f64) {
        if self.flows.len() >= UNANSWERED_MAX && !self.flows.contains_key(&key) {
            let oldest = self.flows.iter().min_by_key(|(_, told)| told.last).map(|(key, _)| key.clone());
            oldest.map(|key| self.flows.remove(&key));
            self.cut = self.cut.saturating_add(1);
        }
        self.flows.entry(key).or_insert(Told { first: window, last: window, times: 1, years });
    }

    /// The flow is seen again: says whether it is to be told again now.
    fn again(&mut self, key: &Key, window: WindowId) -> Option<Told> {
        let told = self.flows.get_mut(key).filter(|told| !told.is_last())?;
        if window.0.saturating_sub(told.last.0) < AGAIN_WINDOWS {
            return None;
        }
        (told.last, told.times) = (window, told.times + 1);
        Some(*told)
    }
}

impl Kind {
    /// An alerted flow is seen again: says whether it is to be told again. What is told for the last time, and whatever is
    /// seen in logs that are named as normal (`learn_only`), is learnt at the end of the window.
    pub(super) fn told_again(&mut self, key: Key, window: WindowId, learn_only: bool) -> Option<Told> {
        let told = if learn_only { None } else { self.unanswered.again(&key, window) };
        if told.is_some_and(|told| told.is_last()) || (learn_only && self.unanswered.flows.contains_key(&key)) {
            self.aged.push(key);
        }
        told
    }

    /// Learns what was told for the last time in this window.
    pub(super) fn age_out(&mut self) {
        for key in std::mem::take(&mut self.aged) {
            self.unanswered.flows.remove(&key);
            if !key.denied {
                self.flows.accept(&key.actor, key.verb, &key.target);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Key {
        Key { actor: "f".to_owned(), verb: Verb::Write, denied: false, target: format!("bucket {n}") }
    }

    #[test]
    fn five_times_in_four_weeks_and_no_more() {
        let mut kind = Kind::default();
        kind.unanswered.tell(key(0), WindowId(1_000), 2.0);
        let day = |d: u32| WindowId(1_000 + d * WINDOWS_PER_DAY);
        let mut told = Vec::new();
        for d in 0..60 {
            told.extend(kind.told_again(key(0), day(d), false).map(|t| (d, t.times, t.is_last())));
            kind.age_out();
        }
        assert_eq!(told, [(7, 2, false), (14, 3, false), (21, 4, false), (28, 5, true)]);
        assert!(kind.unanswered.is_empty());
    }

    #[test]
    fn what_is_named_as_normal_is_not_told() {
        let mut kind = Kind::default();
        kind.unanswered.tell(key(0), WindowId(1_000), 2.0);
        assert_eq!(kind.told_again(key(0), WindowId(1_001), true), None);
        kind.age_out();
        assert!(kind.unanswered.is_empty());
    }

    #[test]
    fn the_one_told_longest_ago_gives_way() {
        let mut all = Unanswered::default();
        for n in 0..UNANSWERED_MAX + 2 {
            all.tell(key(n), WindowId(n as u32), 1.0);
        }
        assert_eq!((all.flows.len(), all.cut()), (UNANSWERED_MAX, 2));
        assert!(!all.flows.contains_key(&key(0)) && !all.flows.contains_key(&key(1)) && all.flows.contains_key(&key(2)));
    }
}
