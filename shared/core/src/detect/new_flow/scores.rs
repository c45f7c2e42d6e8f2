//! The scores that an account has seen, bounded: how many new flows were at least as unusual as this one.
//!
//! The highest scores are kept exactly, since alerts depend on the highest alone; what falls out below is counted in bins of
//! a quarter. So the rule for alerts is exact, and only the rarity of common flows is rounded, towards more common.
//! Deliberately absent: fading. An account's months are counted with its scores.

use super::limits::EXACT_SCORES_MAX;
use minicbor::{Decode, Encode};

/// Bins of a quarter from -8 to 8 (DETECTION.md, state); scores beyond fall into the outermost.
const BINS: usize = 64;
const BIN_WIDTH: f64 = 0.25;
const LOWEST: f64 = -8.;

/// See the head of this file.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(super) struct Scores {
    /// The highest scores, ascending.
    #[n(0)]
    exact: Vec<f64>,
    /// How many lower ones fell into each bin; empty until one did.
    #[n(1)]
    binned: Vec<u32>,
}

impl Scores {
    /// Takes a score in.
    pub(super) fn insert(&mut self, score: f64) {
        let at = self.exact.partition_point(|s| *s < score);
        if self.exact.len() < EXACT_SCORES_MAX {
            self.exact.insert(at, score);
            return;
        }
        // The lowest makes room, unless it is the new one itself.
        let mut lowest = score;
        if at > 0 {
            self.exact.insert(at, score);
            lowest = self.exact.remove(0);
        }
        self.binned.resize(BINS, 0);
        if let Some(count) = self.binned.get_mut(bin(lowest)) {
            *count = count.saturating_add(1);
        }
    }

    /// How many scores were at least this one; below the exact ones, all of its bin count.
    pub(super) fn at_least(&self, score: f64) -> u64 {
        let below = self.exact.partition_point(|s| *s < score);
        let exact = (self.exact.len() - below) as u64;
        let binned = if below == 0 { self.binned.iter().skip(bin(score)).map(|n| u64::from(*n)).sum() } else { 0 };
        exact + binned
    }

    /// Whether bytes that were read hold what this type promises.
    pub(super) fn is_sound(&self) -> bool {
        self.exact.len() <= EXACT_SCORES_MAX
            && self.exact.iter().all(|s| s.is_finite())
            && self.exact.is_sorted()
            && (self.binned.is_empty() || (self.binned.len() == BINS && self.exact.len() == EXACT_SCORES_MAX))
    }
}

/// The bin of a score; a float cast saturates, so any number has one.
fn bin(score: f64) -> usize {
    (((score - LOWEST) / BIN_WIDTH) as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::{BIN_WIDTH, EXACT_SCORES_MAX, Scores};

    #[test]
    fn the_highest_are_exact_and_the_rest_at_most_a_bin_too_many() {
        let mut scores = Scores::default();
        let mut all: Vec<f64> = Vec::new();
        let mut random = 7_u64;
        for _ in 0..3 * EXACT_SCORES_MAX {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let score = ((random >> 40) as f64 / (1 << 24) as f64 - 0.5) * 18.;
            scores.insert(score);
            all.push(score);
        }
        assert!(scores.is_sound());
        all.sort_by(f64::total_cmp);
        let lowest_exact = all[all.len() - EXACT_SCORES_MAX];
        for score in all.iter().step_by(97).copied().chain([-20., 20., lowest_exact]) {
            let truth = all.iter().filter(|s| **s >= score).count() as u64;
            let found = scores.at_least(score);
            if score > lowest_exact {
                assert_eq!(found, truth);
            } else {
                let generous = all.iter().filter(|s| **s >= score - BIN_WIDTH || **s < -7.75).count() as u64;
                assert!(truth <= found && found <= generous, "{score}: {truth} {found} {generous}");
            }
        }
    }
}
