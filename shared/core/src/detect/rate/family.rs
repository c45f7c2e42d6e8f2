//! A family of statistics under the rule: the lesser of two windows, rings, gates, persistence.
//!
//! A one-window statistic counts as the lesser of the last two windows, gates in both. The digest takes a family's best
//! score whose digest gate holds; Slack the lesser of this and the windows before. Everything a family remembers lives
//! here, so that families of logs and of the trail move on independently. There is deliberately no threshold here: it
//! depends on the account.

use super::at::At;
use super::grain::{Cell, Grain, LEVEL_MAX, zeros};
use super::peers::{PEER_DAYS, Peers};
use super::ring::{LOW_SCORE, Ring};
use super::{Family, Score, Seen};

/// Windows in which low volume must have had a Slack score: this and four before.
const LOW_WINDOWS: usize = 4;
/// Windows for which it counts: 6 hours.
const LOW_AGE: u8 = 72;

/// What a family of N statistics remembers; the first of them is of one window.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Remembered<G: Grain, const N: usize> {
    pub(super) rings: [Ring<G>; N],
    /// The one-window statistic in the last window.
    pub(super) last_u: G::Single,
    pub(super) last_digest: bool,
    pub(super) last_slack: bool,
    /// The best score with Slack gate of the last windows, newest first.
    pub(super) best: [G::Single; LOW_WINDOWS],
}

/// What a family is judged under.
pub(super) struct Judging<'a> {
    pub(super) family: Family,
    pub(super) at: &'a At,
    /// UTC days since the day in which its series began.
    pub(super) day: u32,
    pub(super) peers: Option<&'a Peers>,
    /// The account rule holds: low volume is neither judged nor put in the ring.
    pub(super) muted: bool,
}

impl<G: Grain, const N: usize> Remembered<G, N> {
    pub(super) fn new() -> Remembered<G, N> {
        let rings = std::array::from_fn(|_| Ring::new());
        Remembered { rings, last_u: G::Single::default(), last_digest: false, last_slack: false, best: zeros() }
    }

    /// Scores the statistics of one window and remembers them.
    pub(super) fn judge(&mut self, seen: &[Seen; N], judging: &Judging) -> Option<Score> {
        let low = judging.family == Family::VolumeDown;
        let (mut digest, mut best, mut evidence) = (0., 0., None);
        if !(low && judging.muted) {
            for (j, (ring, now)) in self.rings.iter_mut().zip(seen).enumerate() {
                let mut now = *now;
                if j == 0 {
                    now.u = now.u.min(self.last_u.get());
                    now.digest &= self.last_digest;
                    now.slack &= self.last_slack;
                }
                ring.see(now.u);
                if !now.digest {
                    continue;
                }
                let peers = judging.peers.and_then(|peers| peers.fit(judging.family.kind() + j));
                let score = ring.score(now.u, judging.day, peers);
                if score > digest {
                    digest = score;
                    evidence = Some(now.evidence(judging.at, horizon(judging.family, j)));
                }
                // Slack waits until the own ring has a fit.
                if now.slack && ring.fit().is_some() && score > best {
                    best = score;
                }
            }
        }
        let windows = if low { LOW_WINDOWS } else { 1 };
        let slack = self.best.iter().take(windows).map(|v| v.get()).fold(best, f64::min);
        self.best = [G::Single::of(best), self.best[0], self.best[1], self.best[2]];
        (self.last_u, self.last_digest, self.last_slack) = (G::Single::of(seen[0].u), seen[0].digest, seen[0].slack);
        evidence.map(|evidence| Score { family: judging.family, digest, slack, evidence })
    }

    /// The surprises up to which a window changes nothing here unless a gate holds.
    pub(super) fn floors(&self, at: &At) -> [f64; N] {
        std::array::from_fn(|j| self.rings[j].floor(at.day_ends()))
    }

    /// The surprise of the one-window statistic in the last window.
    pub(super) fn last_one(&self) -> f64 {
        self.last_u.get()
    }

    /// Some windows without calls in which no gate held. The surprise of the last is not known; it is taken to be no less
    /// than the next, as in silence windows are alike.
    pub(super) fn fade(&mut self) {
        (self.last_u, self.last_digest, self.last_slack) = (G::Single::of(LEVEL_MAX), false, false);
        self.best = zeros();
    }

    /// The same of what is judged per call: without calls one window surprises by nothing.
    pub(super) fn rest(&mut self) {
        (self.last_u, self.last_digest, self.last_slack) = (G::Single::default(), false, false);
        self.best = zeros();
    }

    /// Ends a day: its maxima, statistic by statistic.
    pub(super) fn end_day(&mut self, family: Family, day: u32, maxima: &mut Vec<(u8, f64)>) {
        for (j, ring) in self.rings.iter_mut().enumerate() {
            let max = ring.end_day(day);
            if day < PEER_DAYS {
                maxima.push(((family.kind() + j) as u8, max));
            }
        }
    }
}

/// The horizon of a family's statistic, in windows.
fn horizon(family: Family, j: usize) -> u16 {
    match family {
        Family::VolumeUp | Family::VolumeDown => [1, 6, 36, 288][j],
        _ => [1, 6, 36][j],
    }
}

/// Low volume for the account rule: rings of its own, without gates, which the rule itself never stops.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Low<G: Grain> {
    pub(super) rings: [Ring<G>; 4],
    /// Windows since the last low score, as far as they matter.
    pub(super) age: u8,
}

impl<G: Grain> Low<G> {
    pub(super) fn new() -> Low<G> {
        Low { rings: std::array::from_fn(|_| Ring::new()), age: LOW_AGE + 1 }
    }

    /// The surprises up to which a window changes nothing here.
    pub(super) fn floors(&self, at: &At, peers: Option<&Peers>) -> [f64; 4] {
        std::array::from_fn(|j| {
            let ring = &self.rings[j];
            ring.floor(at.day_ends()).min(ring.below_low(peers.and_then(|peers| peers.fit(Family::VolumeDown.kind() + j))))
        })
    }

    /// Sees the surprises of one window, of which the first is already the lesser of two windows.
    pub(super) fn see(&mut self, surprises: [f64; 4], day: u32, peers: Option<&Peers>) {
        let mut low = false;
        for (j, (ring, u)) in self.rings.iter_mut().zip(surprises).enumerate() {
            ring.see(u);
            low |= ring.score(u, day, peers.and_then(|peers| peers.fit(Family::VolumeDown.kind() + j))) >= LOW_SCORE;
        }
        self.age = if low { 0 } else { self.age.saturating_add(1).min(LOW_AGE + 1) };
    }

    /// Some windows without a low score.
    pub(super) fn fade(&mut self, windows: u32) {
        self.age = self.age.saturating_add(windows.min(u32::from(LOW_AGE)) as u8).min(LOW_AGE + 1);
    }

    /// Whether there was a low score in the last 6 hours.
    pub(super) fn recent(&self) -> bool {
        self.age <= LOW_AGE
    }
}
