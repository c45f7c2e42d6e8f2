//! Calibration: a surprise becomes a return period by the entity's own daily maxima.
//!
//! What a model calls improbable is often a model's error; how often this very statistic showed such a surprise in the
//! last 35 days is not. With u the median of the daily maxima and k, S the number and the sum of the excesses above it,
//! P(a day's maximum > a) = 1/2 (1 + (a-u)/(S+3))^-(k+6): a Lomax tail, its Gamma prior worth 6 excesses of one half. The
//! score is -ln P. There is deliberately no gate before a ring: a gate after it keeps the calibration honest.

use super::grain::{Cell, Grain, LEVEL_MAX, zeros};

/// Daily maxima kept.
pub(super) const RING_DAYS: usize = 35;
/// Daily maxima needed for a fit.
const FIT_DAYS: usize = 3;
/// The first two days teach the model and would only teach the ring how wrong it was.
const WARM_DAYS: u32 = 2;
/// Nats that a surprise loses where no fit is known: a day has 288 windows, and e^6 is 403.
const UNFITTED: f64 = 6.;

/// An ungated low score from which an entity counts for the account rule.
pub(super) const LOW_SCORE: f64 = 4.;

/// A fitted tail of daily maxima.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Fit {
    median: f64,
    shape: f64,
    scale: f64,
    /// A surprise whose score is surely below [`LOW_SCORE`].
    below_low: f64,
}

impl Fit {
    /// From daily maxima, of which at least one is needed.
    pub(super) fn of(values: &mut [f64]) -> Option<Fit> {
        values.sort_unstable_by(f64::total_cmp);
        let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
        let median = 0.5 * (low + high);
        let (mut over, mut sum) = (0., 0.);
        for v in values.iter().filter(|v| **v > median) {
            over += 1.;
            sum += v - median;
        }
        let (shape, scale) = (over + 6., sum + 3.);
        let below_low = (median + scale * libm::expm1((LOW_SCORE - std::f64::consts::LN_2) / shape)) * (1. - 1e-9);
        Some(Fit { median, shape, scale, below_low })
    }

    /// ln of the return period in days.
    pub(super) fn score(&self, u: f64) -> f64 {
        if u <= self.median {
            return 0.;
        }
        std::f64::consts::LN_2 + self.shape * libm::log1p((u - self.median) / self.scale)
    }
}

/// 35 daily maxima of one statistic.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ring<G: Grain> {
    pub(super) today: G::Level,
    /// Apart, and only once there is any: every window looks at today, few at the days before, and together they fill more
    /// caches than there are.
    pub(super) past: Option<Box<Past<G>>>,
}

/// The finished days of a ring.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Past<G: Grain> {
    pub(super) days: [G::Level; RING_DAYS],
    pub(super) len: u8,
    /// Where the next day goes.
    pub(super) at: u8,
    /// Follows from `days`; says nothing before there are enough.
    fit: Fit,
}

impl<G: Grain> Ring<G> {
    pub(super) fn new() -> Ring<G> {
        Ring { today: G::Level::default(), past: None }
    }

    /// The tail of its daily maxima, once there are enough.
    pub(super) fn fit(&self) -> Option<Fit> {
        self.past.as_ref().filter(|past| usize::from(past.len) >= FIT_DAYS).map(|past| past.fit)
    }

    /// The surprise up to which this window changes nothing here; none in the last window of a day, which the first of
    /// the next day looks back at.
    pub(super) fn floor(&self, day_ends: bool) -> f64 {
        if day_ends { f64::NEG_INFINITY } else { self.today.get() }
    }

    pub(super) fn see(&mut self, u: f64) {
        if u > self.today.get() {
            self.today = G::Level::of(u);
        }
    }

    /// The score of a surprise: by the own fit, else by the peers', else U - 6 from the second day on.
    pub(super) fn score(&self, u: f64, day: u32, peers: Option<Fit>) -> f64 {
        // No median is below it.
        if u <= 0. {
            return 0.;
        }
        match self.fit().or(peers) {
            Some(fit) => fit.score(u),
            None if day >= 1 => (u - UNFITTED).max(0.),
            None => 0.,
        }
    }

    /// A surprise whose score is surely below [`LOW_SCORE`].
    pub(super) fn below_low(&self, peers: Option<Fit>) -> f64 {
        self.fit().or(peers).map_or(LOW_SCORE + UNFITTED - 1e-6, |fit| fit.below_low)
    }

    /// Ends a day, `day` counted from that of the first window, and hands out its maximum.
    pub(super) fn end_day(&mut self, day: u32) -> f64 {
        let max = self.today.get().min(LEVEL_MAX);
        self.today = G::Level::default();
        if day >= WARM_DAYS {
            self.past.get_or_insert_with(|| Box::new(Past::new())).add(max);
        }
        max
    }
}

impl<G: Grain> Past<G> {
    pub(super) fn new() -> Past<G> {
        Past { days: zeros(), len: 0, at: 0, fit: Fit::default() }
    }

    fn add(&mut self, max: f64) {
        if let Some(place) = self.days.get_mut(usize::from(self.at)) {
            *place = G::Level::of(max);
        }
        self.len = (self.len + 1).min(RING_DAYS as u8);
        self.at = (self.at + 1) % RING_DAYS as u8;
        self.refit();
    }

    pub(super) fn refit(&mut self) {
        let mut values = self.days.map(Cell::get);
        let known = values.get_mut(..usize::from(self.len)).unwrap_or_default();
        self.fit = Fit::of(known).unwrap_or_default();
    }
}
