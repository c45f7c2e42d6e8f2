//! The logarithm of a value per call: median and tail of the duration, cost of a call, bytes of a flow call.
//!
//! Windows without calls are skipped: nothing was seen, nothing is learnt, nothing fades.
//!
//! ```text
//! e     = v - slow - hour's offset (shrunk to 0 by 12 windows);  H = 1: at most v - fast;  z = e/sd
//! sd^2  = s0 + s1/n, by running regression of e^2 on 1/n, because the median of few calls jumps
//! H     = 6, 36: the mean z over its learnt spread (prior 20 windows of .3 | .2);  H = 6: at most this window's z
//! learn   from e within 4 sd
//! ```
//!
//! Upper side only, and deliberately no test of the shape of durations: that is another detector's question.

use super::at::At;
use super::gate::Gates;
use super::grain::{Cell, Grain, update, zeros};
use super::tail::{surprise, surprise_most};
use super::{HORIZONS_SHORT, Seen};
use crate::time::WINDOWS_PER_DAY;

const SLOW_FADE: f64 = 0.9984;
const FAST_FADE: f64 = 0.981;
const HOUR_FADE: f64 = 0.85;
const SPREAD_FADE: f64 = 0.9995;
/// Cold starts of a deployment are not judged for two windows.
const DEPLOY_WINDOWS: u8 = 2;

/// How the value stands to the calls, and what its gate measures.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Nature {
    /// The value is of one call, in milliseconds.
    Duration,
    /// The value is the window's sum, in dollars; the gate is of dollars a day.
    Dollars,
    /// The value is the window's sum, in bytes.
    Bytes,
}

/// One horizon: fading sums.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Horizon<G: Grain> {
    pub(super) z: G::Single,
    pub(super) windows: G::Single,
    pub(super) n: G::Single,
    /// Values and expected values; for durations deviations and windows.
    pub(super) value: G::Single,
    pub(super) expected: G::Single,
    pub(super) spread: G::Single,
    pub(super) spread_n: G::Single,
}

/// The statistic of one value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PerCallValue<G: Grain> {
    pub(super) slow: G::Single,
    pub(super) slow_n: G::Single,
    pub(super) fast: G::Single,
    pub(super) fast_n: G::Single,
    pub(super) hour: [G::Mean; 24],
    pub(super) hour_n: [G::Mean; 24],
    /// Sums of 1, x, x^2, e^2, e^2 x with x = 1/calls.
    pub(super) regression: [G::Single; 5],
    pub(super) horizons: [Horizon<G>; 2],
    /// Windows since a deployment, as far as they matter.
    pub(super) since_deploy: u8,
}

/// One window against what was expected, in logarithms.
struct Deviation {
    value: f64,
    n: f64,
    ln_value: f64,
    slow: f64,
    /// Slow mean and the hour's offset.
    base: f64,
    e: f64,
    /// e, and at most the distance to the last hours.
    e1: f64,
    sd: f64,
    z1: f64,
    /// exp(base), where it is added up; else 0.
    expected: f64,
}

impl<G: Grain> PerCallValue<G> {
    pub(super) fn new() -> PerCallValue<G> {
        let zero = G::Single::default();
        PerCallValue {
            slow: zero,
            slow_n: zero,
            fast: zero,
            fast_n: zero,
            hour: zeros(),
            hour_n: zeros(),
            regression: zeros(),
            horizons: [Horizon { z: zero, windows: zero, n: zero, value: zero, expected: zero, spread: zero, spread_n: zero }; 2],
            since_deploy: DEPLOY_WINDOWS,
        }
    }

    /// Judges a value of n calls of one window and learns it: the surprises for H = 1, 6, 36.
    pub(super) fn step(
        &mut self,
        (value, n): (f64, f64),
        nature: Nature,
        gates: &Gates,
        at: &At,
        deployed: bool,
        floors: &[f64; 3],
    ) -> [Seen; 3] {
        self.since_deploy = if deployed { 0 } else { self.since_deploy.saturating_add(1).min(DEPLOY_WINDOWS) };
        if deployed {
            self.doubt();
        }
        if n < 1. || value <= 0. {
            return [Seen::default(); 3];
        }
        let seen = self.deviation((value, n), nature, at);
        let one = one_window(&seen, nature, gates, floors[0]);
        let mut out = [one, self.step_horizon(0, &seen, nature, gates, floors[1]), self.step_horizon(1, &seen, nature, gates, floors[2])];
        if self.since_deploy < DEPLOY_WINDOWS && nature == Nature::Duration {
            out.iter_mut().for_each(|s| s.u = 0.);
        }
        self.learn(&seen, at);
        out
    }

    /// Some windows without calls: nothing was seen, only a deployment gets older.
    pub(super) fn fade(&mut self, windows: u32) {
        self.since_deploy = self.since_deploy.saturating_add(windows.min(u32::from(DEPLOY_WINDOWS)) as u8).min(DEPLOY_WINDOWS);
    }

    /// A deployment: the level and the hours weigh a tenth and are relearnt.
    fn doubt(&mut self) {
        update(&mut self.slow, |v| v * 0.1);
        update(&mut self.slow_n, |v| v * 0.1);
        self.hour.iter_mut().for_each(|v| update(v, |v| v * 0.1));
        self.hour_n.iter_mut().for_each(|v| update(v, |v| v * 0.1));
    }

    fn deviation(&mut self, (value, n): (f64, f64), nature: Nature, at: &At) -> Deviation {
        let ln_value = libm::log(if nature == Nature::Duration { value } else { value / n });
        if self.slow_n.get() <= 0. {
            for sum in [&mut self.slow, &mut self.fast] {
                *sum = G::Single::of(0.1 * ln_value);
            }
            for weight in [&mut self.slow_n, &mut self.fast_n] {
                *weight = G::Single::of(0.1);
            }
        }
        let slow = self.slow.get() / self.slow_n.get();
        let base = slow + self.hour[at.hour_of_day].get() / (self.hour_n[at.hour_of_day].get() + 12.);
        let fast = (self.fast.get() + 3. * base) / (self.fast_n.get() + 3.);
        let e = ln_value - base;
        let e1 = e.min(ln_value - fast);
        let sd = self.sd(1. / n);
        let expected = if nature == Nature::Duration { 0. } else { libm::exp(base) };
        Deviation { value, n, ln_value, slow, base, e, e1, sd, z1: e1 / sd, expected }
    }

    /// H = 6, 36: the mean z of the windows with calls, over its learnt spread.
    fn step_horizon(&mut self, j: usize, seen: &Deviation, nature: Nature, gates: &Gates, floor: f64) -> Seen {
        let (fade, duration) = (HORIZONS_SHORT[j + 1].fade, nature == Nature::Duration);
        let horizon = &mut self.horizons[j];
        let (value, expected) = if duration { (seen.e, 1.) } else { (seen.value, seen.n * seen.expected) };
        update(&mut horizon.z, |v| fade * v + (seen.e / seen.sd).clamp(-6., 10.));
        update(&mut horizon.windows, |v| fade * v + 1.);
        update(&mut horizon.n, |v| fade * v + seen.n);
        update(&mut horizon.value, |v| fade * v + value);
        update(&mut horizon.expected, |v| fade * v + expected);
        let (value, expected) = (horizon.value.get(), horizon.expected.get());
        let mean = horizon.z.get() / horizon.windows.get();
        let variance = (horizon.spread.get() + 20. * if j == 0 { 0.3 } else { 0.2 }) / (horizon.spread_n.get() + 20.);
        let mut z = mean / variance.sqrt();
        if j == 0 {
            z = if seen.z1 > 0. { z.min(seen.z1) } else { z.min(0.) };
        }
        update(&mut horizon.spread, |v| v * 0.9998 + (mean * mean).min(9. * variance));
        update(&mut horizon.spread_n, |v| v * 0.9998 + 1.);
        let n = horizon.n.get();
        let held = gates.hold(|g| {
            let off = if duration { value / expected >= g.ln_factor } else { value.max(1e-12) >= g.factor * expected.max(1e-12) };
            off && n >= g.least
                && g.amount
                    <= match nature {
                        Nature::Duration => beyond(seen.base, value / expected),
                        Nature::Dollars => (value - expected) * (1. - fade) * f64::from(WINDOWS_PER_DAY),
                        Nature::Bytes => value - expected,
                    }
        });
        let numbers = match held.0 && duration {
            true => (libm::exp(seen.base + value / expected), libm::exp(seen.base)),
            false => (value, expected),
        };
        Seen::new(surprise_above(floor, z, held.0), held, numbers.0, numbers.1)
    }

    fn learn(&mut self, seen: &Deviation, at: &At) {
        let clip = |q: f64| q.max(-4. * seen.sd).min(4. * seen.sd);
        update(&mut self.slow, |v| v * SLOW_FADE + seen.slow + clip(seen.e));
        update(&mut self.slow_n, |v| v * SLOW_FADE + 1.);
        update(&mut self.fast, |v| v * FAST_FADE + seen.base + clip(seen.e));
        update(&mut self.fast_n, |v| v * FAST_FADE + 1.);
        let fade = if at.slot_of_hour == 0 { HOUR_FADE } else { 1. };
        update(&mut self.hour[at.hour_of_day], |v| v * fade + clip(seen.ln_value - seen.slow));
        update(&mut self.hour_n[at.hour_of_day], |v| v * fade + 1.);
        let (x, e2) = (1. / seen.n, (seen.e * seen.e).min(25. * seen.sd * seen.sd));
        for (sum, add) in self.regression.iter_mut().zip([1., x, x * x, e2, e2 * x]) {
            update(sum, |v| v * SPREAD_FADE + add);
        }
    }

    /// sd^2 = s0 + s1/n, by regression of e^2 on 1/n; the prior is 2 windows of .2^2.
    fn sd(&self, x: f64) -> f64 {
        let [n, sum_x, xx, e2, e2x] = self.regression.map(Cell::get);
        let (n, xx, e2, e2x) = (n + 2., xx + 0.02, e2 + 0.08, e2x + 0.004);
        let det = n * xx - sum_x * sum_x;
        let mut s1 = if det > 1e-9 { ((n * e2x - sum_x * e2) / det).max(0.) } else { 0. };
        let mut s0 = (e2 - s1 * sum_x) / n;
        if s0 < 1e-4 {
            s0 = 1e-4;
            s1 = (e2x / xx).max(0.);
        }
        (s0 + s1 * x).sqrt()
    }
}

/// H = 1.
fn one_window(seen: &Deviation, nature: Nature, gates: &Gates, floor: f64) -> Seen {
    let (observed, expected) = match nature {
        Nature::Duration => (seen.value, 0.),
        Nature::Dollars | Nature::Bytes => (seen.value, seen.n * seen.expected),
    };
    let held = gates.hold(|g| {
        seen.e1 >= g.ln_factor
            && seen.n >= g.least
            && g.amount
                <= match nature {
                    Nature::Duration => beyond(seen.base, seen.e1),
                    Nature::Dollars => (observed - expected) * f64::from(WINDOWS_PER_DAY),
                    Nature::Bytes => observed - expected,
                }
    });
    let expected = if held.0 && nature == Nature::Duration { libm::exp(seen.base) } else { expected };
    Seen::new(surprise_above(floor, seen.z1, held.0), held, observed, expected)
}

/// The surprise of z; 0 where it can't exceed the floor and the gate does not hold.
fn surprise_above(floor: f64, z: f64, held: bool) -> f64 {
    if z <= 0. || !held && surprise_most(z * z) <= floor { 0. } else { surprise(z) }
}

/// How far a value lies beyond exp(base) if its logarithm lies e above.
fn beyond(base: f64, e: f64) -> f64 {
    libm::exp(base) * (libm::exp(e.min(20.)) - 1.)
}
