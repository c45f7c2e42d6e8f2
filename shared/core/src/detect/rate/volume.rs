//! Calls: is this many plausible for this hour of this week?
//!
//! Every window is judged first and learnt after. "x .98" says how a sum fades a window or a visit.
//!
//! ```text
//! season    hour-of-week mean (x .8 a visit), shrunk to hour of day by kind of day (x .95, the other kind weighs .1), that
//!           to the overall mean (x .99983); pseudo-windows max(12, min(6/mean, 2000))
//! experts   m: season x gain (x .981, prior 2 calls) | EWMA (x .84) | slot of day (x .9) | slot of hour (x .98)
//!           phi = (.3 + sum ((x-m)^2 - m)/(m+1)^2)/(.5 + sum m^2/(m+1)^2), x .9995;  fifth: a histogram of all values
//! mixture   w = .96 softmax(log likelihood, x .99) + .008;  U = -ln sum w P(X >= x), L = -ln sum w P(X <= x)
//! horizons  H = 6, 36, 288: sums Y, M (x e^(-1/H)) of x and of season x gain of 4 days;  z of c Y against c M, c = 1 + e^(-1/H);
//!           H = 6 also with the gain of 3 hours, the z nearer 0 counts;  U = -ln(Q(z) + .005 histogram tail)
//! learn     from x, at most max(2, m + 4 sd)
//! ```
//!
//! The mixture is deliberately not trained: weights follow the likelihood, all constants are fixed and were measured once.

use super::at::{At, Fade, geometric};
use super::gate::{VOLUME_DOWN, VOLUME_UP};
use super::grain::{Cell, Grain, update, zeros};
use super::tail::{Negative, count_z2_most, ln_p0, surprise_most, surprise_of, upper_tail};
use super::{HORIZONS_LONG, HorizonOf, Seen};
use crate::time::{WINDOWS_PER_DAY, WINDOWS_PER_HOUR};

const WEEK_FADE: f64 = 0.8;
const DAY_FADE: f64 = 0.95;
const SLOT_OF_DAY_FADE: f64 = 0.9;
const SLOT_OF_HOUR_FADE: f64 = 0.98;
const ALL_FADE: f64 = 0.99983;
const EWMA_FADE: f64 = 0.84;
/// Windows after which the weight of that mean is what it will be for ever, to the last bit but one.
const EWMA_LONG: u32 = 255;
/// Half-life of 3 hours, and 4 days.
const GAIN_FADE: f64 = 0.981;
const GAIN_LONG_FADE: f64 = 0.9994;
/// The same where windows without calls are passed at once: of these, and of the likelihoods and dispersions.
static ALL: Fade = Fade::new(ALL_FADE);
static EWMA: Fade = Fade::new(EWMA_FADE);
static GAIN: Fade = Fade::new(GAIN_FADE);
static GAIN_LONG: Fade = Fade::new(GAIN_LONG_FADE);
static LIKELIHOOD: Fade = Fade::new(LIKELIHOOD_FADE);
static PHI: Fade = Fade::new(PHI_FADE);
static PHI_LONG: Fade = Fade::new(0.9998);
const LIKELIHOOD_FADE: f64 = 0.99;
const PHI_FADE: f64 = 0.9995;
/// Windows that are worth passing at once.
const PASSED_LEAST: u32 = 4;
/// Calls of a window up to which whatever is expected differs so little that windows may be passed at once.
const EVEN: f64 = 0.5;
/// Windows of each longer horizon that are learnt as one.
const STRIDES: [u32; 3] = [1, 3, 4];
/// The dispersions of the experts before their first window.
const PHI_FIRST: [f64; 4] = [0.3, 0.5, 0.5, 0.5];
/// Each expert keeps this much of the mixture, so that none is ever out of it.
const SHARE_LEAST: f64 = 0.008;
const EXPERTS: usize = 4;

/// One horizon: sums over H windows of what came and of what the season let expect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Horizon<G: Grain> {
    pub(super) y: G::Single,
    pub(super) m: G::Single,
    /// What a shifted clock allows.
    pub(super) most: G::Single,
    pub(super) least: G::Single,
    pub(super) phi_sum: G::Single,
    pub(super) phi_weight: G::Single,
}

/// A fading sum of calls and of what the season let expect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Gain<G: Grain> {
    pub(super) calls: G::Single,
    pub(super) season: G::Single,
}

/// The volume statistic of one entity.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Volume<G: Grain> {
    pub(super) hour_of_week: [G::Sum; 168],
    /// Hours of working days, then of weekends.
    pub(super) hour_of_day: [G::Single; 48],
    pub(super) slot_of_day: [G::Sum; 288],
    pub(super) slot_of_hour: [G::Single; 12],
    pub(super) all: G::Single,
    /// Windows folded into `all`.
    pub(super) all_n: G::Single,
    pub(super) gain: Gain<G>,
    pub(super) gain_long: Gain<G>,
    pub(super) ewma: G::Single,
    pub(super) phi_sum: [G::Single; EXPERTS],
    pub(super) phi_weight: [G::Single; EXPERTS],
    /// Log likelihoods, the best being 0; the last is the histogram's.
    pub(super) likelihood: [G::Single; EXPERTS + 1],
    pub(super) histogram: Histogram<G>,
    pub(super) histograms_long: [Histogram<G>; 3],
    pub(super) horizons: [Horizon<G>; 3],
    /// Expected over H = 6 with the gain of 4 days.
    pub(super) m6_long: G::Single,
}

/// What one window is compared with.
struct Expected {
    season: f64,
    /// The highest and the lowest season that a shifted clock allows.
    most: f64,
    least: f64,
    gain: f64,
    gain_long: f64,
    experts: [f64; EXPERTS],
    phi: [f64; EXPERTS],
    shifted: bool,
}

/// What the slots of some windows are used to, by day and by hour.
#[derive(Default)]
struct Slots {
    mean: [f64; 2],
    /// Sums of what dispersions learn of windows without calls.
    excess: [f64; 2],
    weight: [f64; 2],
    /// The most of any slot.
    most: f64,
}

/// The value of a window.
struct Value {
    x: f64,
    ln_x: f64,
    bin: usize,
}

/// Surprises up to which nothing changes: no ring would rise, no low score be reached. Where a gate does not hold
/// either, a surprise that can't exceed its floor is not computed and counts as 0.
pub(super) struct Floors {
    pub(super) up: [f64; 4],
    pub(super) down: [f64; 4],
}

impl<G: Grain> Volume<G> {
    pub(super) fn new() -> Volume<G> {
        let zero = G::Single::default();
        let gain = Gain { calls: zero, season: zero };
        let horizon = |phi_sum| Horizon {
            y: zero,
            m: zero,
            most: zero,
            least: zero,
            phi_sum: G::Single::of(phi_sum),
            phi_weight: G::Single::of(50.),
        };
        Volume {
            hour_of_week: zeros(),
            hour_of_day: zeros(),
            slot_of_day: zeros(),
            slot_of_hour: zeros(),
            all: zero,
            all_n: zero,
            gain,
            gain_long: gain,
            ewma: zero,
            phi_sum: zeros(),
            phi_weight: zeros(),
            likelihood: zeros(),
            histogram: Histogram::new(),
            histograms_long: [Histogram::new(), Histogram::new(), Histogram::new()],
            horizons: [horizon(5.), horizon(5.), horizon(2.5)],
            m6_long: zero,
        }
    }

    /// Judges x calls of one window and learns them: the surprises upward and downward for H = 1, 6, 36, 288.
    pub(super) fn step(&mut self, x: f64, at: &At, shifted: bool, floors: &Floors) -> ([Seen; 4], [Seen; 4]) {
        let value = Value { x, ln_x: if x > 0. { libm::log(x) } else { 0. }, bin: bin(x) };
        let expected = self.expect(at, shifted);
        let experts: [Negative; EXPERTS] = std::array::from_fn(|i| Negative::new(expected.experts[i], expected.phi[i]));
        let (up, down) = self.judge_window(&value, &expected, &experts, floors);
        let mut ups = [up, Seen::default(), Seen::default(), Seen::default()];
        let mut downs = [down, Seen::default(), Seen::default(), Seen::default()];
        for j in 0..HORIZONS_LONG.len() {
            (ups[j + 1], downs[j + 1]) = self.step_horizon(j, x, &expected, floors);
        }
        self.learn(&value, &expected, &experts, at);
        (ups, downs)
    }

    /// Passes at once all but the last of some windows of one hour, all without calls, if no gate can hold there: learns them
    /// at the expectation of their middle, and gives how many they were; 0 if all are to be stepped. The last is left,
    /// because there a silence is deepest. `forced`: what can be told is not asked.
    pub(super) fn pass(&mut self, at: &At, windows: u32, forced: bool) -> u32 {
        if windows < PASSED_LEAST {
            return 0;
        }
        let windows = windows - 1;
        let season = self.season(at, false).0;
        let slots = self.slots(at, windows, season);
        let is_quiet = || slots.most <= EVEN && self.is_quiet(at, windows, season);
        if !forced && !is_quiet() {
            return 0;
        }
        self.fade(at, windows, &slots);
        windows
    }

    /// Whether no gate can hold in windows without calls, of which `at` is the first.
    fn is_quiet(&self, at: &At, windows: u32, season: f64) -> bool {
        let (gain, gain_long, ewma) = self.paces(at, season);
        let (up, down) = (&VOLUME_UP.digest, &VOLUME_DOWN.digest);
        let rate_long = season * gain.max(gain_long);
        // One window lacks less than any gate asks for.
        rate_long.max(ewma) <= EVEN
            && self.horizons.iter().zip(&HORIZONS_LONG).all(|(horizon, of)| {
                let (y, m) = (horizon.y.get(), horizon.m.get());
                // What came fades; what was expected fades as much and grows by this, up to how the pace moves within an
                // hour. A lack that begins in between goes on, so the window that is stepped has it.
                let grown = rate_long * of.over.sum(windows);
                let surges = y - m >= up.amount && y >= up.factor * m;
                let lacks = (m - y).max(0.) + grown >= down.amount && y <= down.factor * (m + grown / of.over.kept(windows));
                !surges && !lacks
            })
    }

    /// What the slots of some windows of one hour, of which `at` is the first, are used to.
    fn slots(&self, at: &At, windows: u32, season: f64) -> Slots {
        let scales = [geometric(SLOT_OF_DAY_FADE, at.age / WINDOWS_PER_DAY), geometric(SLOT_OF_HOUR_FADE, at.age / WINDOWS_PER_HOUR)]
            .map(|n| 1. / (n + 0.3));
        let (mut slots, n) = (Slots::default(), windows as usize);
        for (day, hour) in self.slot_of_day[at.slot_of_day..].iter().zip(&self.slot_of_hour[at.slot_of_hour..]).take(n) {
            for (i, cell) in [day.get(), hour.get()].into_iter().enumerate() {
                let m = (cell + 0.3 * season) * scales[i];
                let weight = 1. / ((m + 1.) * (m + 1.));
                slots.mean[i] += m / f64::from(windows);
                slots.excess[i] += (m * m - m) * weight;
                slots.weight[i] += m * m * weight;
                slots.most = slots.most.max(m);
            }
        }
        slots
    }

    /// Learns windows without calls, of which `at` is the first. What an hour or a slot of the day keeps is the same as by
    /// steps.
    fn fade(&mut self, at: &At, windows: u32, slots: &Slots) {
        let (own, _) = hours_of_day(at);
        if at.slot_of_hour == 0 {
            update(&mut self.hour_of_week[at.hour_of_week], |v| v * WEEK_FADE);
            update(&mut self.hour_of_day[own], |v| v * DAY_FADE);
        }
        let middle = at.later(windows / 2);
        let season = self.season(&middle, false).0;
        self.fade_sums(windows / 2, season);
        let (gain, gain_long, ewma) = self.paces(&middle, season);
        self.fade_experts(windows, [season * gain, ewma], slots, at.age == 0);
        let long = season * gain_long;
        for j in 0..HORIZONS_LONG.len() {
            self.fade_horizon(j, windows, if j == 0 { season * gain } else { long }, long);
        }
        self.fade_sums(windows - windows / 2, season);
        let n = windows as usize;
        self.slot_of_day[at.slot_of_day..].iter_mut().take(n).for_each(|v| update(v, |v| v * SLOT_OF_DAY_FADE));
        self.slot_of_hour[at.slot_of_hour..].iter_mut().take(n).for_each(|v| update(v, |v| v * SLOT_OF_HOUR_FADE));
        self.histogram.add(0, windows);
    }

    /// The sums that fade every window, over windows without calls.
    fn fade_sums(&mut self, windows: u32, season: f64) {
        update(&mut self.all, |v| v * ALL.kept(windows));
        update(&mut self.all_n, |v| v * ALL.kept(windows) + ALL.sum(windows));
        for (gain, fade) in [(&mut self.gain, &GAIN), (&mut self.gain_long, &GAIN_LONG)] {
            update(&mut gain.calls, |v| v * fade.kept(windows));
            update(&mut gain.season, |v| v * fade.kept(windows) + season * fade.sum(windows));
        }
        update(&mut self.ewma, |v| v * EWMA.kept(windows));
    }

    /// The first two experts at their means in the middle, the slots' each for itself.
    fn fade_experts(&mut self, windows: u32, paces: [f64; 2], slots: &Slots, first: bool) {
        let sum = LIKELIHOOD.sum(windows);
        // What of each window is left at the end, on average.
        let share = PHI.sum(windows) / f64::from(windows);
        let mut likelihood = self.likelihood.map(|v| v.get() * LIKELIHOOD.kept(windows));
        likelihood[EXPERTS] += sum * libm::log(self.histogram.density(0)).max(-12.);
        for (i, likelihood) in likelihood.iter_mut().take(EXPERTS).enumerate() {
            let (m, excess, weight) = if i < 2 {
                let (m, weight) = (paces[i], f64::from(windows) / ((paces[i] + 1.) * (paces[i] + 1.)));
                (m, (m * m - m) * weight, m * m * weight)
            } else {
                (slots.mean[i - 2], slots.excess[i - 2], slots.weight[i - 2])
            };
            *likelihood += sum * ln_p0(m, if first { PHI_FIRST[i] } else { self.phi(i) }).max(-12.);
            update(&mut self.phi_sum[i], |v| v * PHI.kept(windows) + excess * share);
            update(&mut self.phi_weight[i], |v| v * PHI.kept(windows) + weight * share);
        }
        self.keep_likelihood(likelihood);
    }

    /// In strides over which a horizon changes little, each learnt at its middle.
    fn fade_horizon(&mut self, j: usize, windows: u32, rate: f64, long: f64) {
        let HorizonOf { fade, over } = &HORIZONS_LONG[j];
        let mut left = windows;
        while left > 0 {
            let stride = left.min(STRIDES[j]);
            let horizon = &mut self.horizons[j];
            let at = |n: u32| (horizon.y.get() * over.kept(n), horizon.m.get() * over.kept(n) + rate * over.sum(n));
            let (middle, end) = (at(stride.div_ceil(2)), at(stride));
            (horizon.y, horizon.m) = (G::Single::of(end.0), G::Single::of(end.1));
            self.histograms_long[j].add(bin(8. * middle.0 * (1. - fade)), stride);
            self.learn_horizon(j, middle, stride);
            left -= stride;
        }
        let (kept, sum, horizon) = (over.kept(windows), over.sum(windows), &mut self.horizons[j]);
        for m in [&mut horizon.most, &mut horizon.least] {
            update(m, |m| m * kept + rate * sum);
        }
        if j == 0 {
            update(&mut self.m6_long, |m| m * kept + long * sum);
        }
    }

    /// Mean calls of one window of the hour of the week, shrunk to the hour of the day and that to the overall mean.
    fn season(&self, at: &At, shifted: bool) -> (f64, f64, f64) {
        let mean = (self.all.get() + 0.05) / (self.all_n.get() + 1.);
        let (own, other) = hours_of_day(at);
        let (own_n, other_n) = at.visits_of_day(DAY_FADE);
        let k = pseudo_windows(mean);
        let day_mean = (self.hour_of_day[own].get() + self.hour_of_day[other].get() * 0.1 + k * mean) / (own_n + other_n * 0.1 + k);
        let k = pseudo_windows(day_mean);
        let mean_of = |hour: usize, n: f64| (self.hour_of_week[hour].get() + k * day_mean) / (n + k);
        let season = mean_of(at.hour_of_week, at.visits_of_week(WEEK_FADE));
        if !shifted {
            return (season, season, season);
        }
        let before = mean_of((at.hour_of_week + 167) % 168, at.visits_of_neighbour(-1, WEEK_FADE));
        let after = mean_of((at.hour_of_week + 1) % 168, at.visits_of_neighbour(1, WEEK_FADE));
        (season, season.max(before).max(after), season.min(before).min(after))
    }

    fn expect(&self, at: &At, shifted: bool) -> Expected {
        let (season, most, least) = self.season(at, shifted);
        let (gain, gain_long, ewma) = self.paces(at, season);
        let slot_of_day_n = geometric(SLOT_OF_DAY_FADE, at.age / WINDOWS_PER_DAY);
        let slot_of_hour_n = geometric(SLOT_OF_HOUR_FADE, at.age / WINDOWS_PER_HOUR);
        let experts = [
            season * gain,
            ewma,
            (self.slot_of_day[at.slot_of_day].get() + 0.3 * season) / (slot_of_day_n + 0.3),
            (self.slot_of_hour[at.slot_of_hour].get() + 0.3 * season) / (slot_of_hour_n + 0.3),
        ];
        let phi = if at.age == 0 { PHI_FIRST } else { std::array::from_fn(|i| self.phi(i)) };
        Expected { season, most, least, gain, gain_long, experts, phi, shifted }
    }

    /// The gain of hours and of days, and the mean of the last half hour.
    fn paces(&self, at: &At, season: f64) -> (f64, f64, f64) {
        let gain = (self.gain.calls.get() + 2.) / (self.gain.season.get() + 2.);
        let gain_long = (self.gain_long.calls.get() + 10.) / (self.gain_long.season.get() + 10.);
        let ewma = (self.ewma.get() + 0.2 * season) / (geometric(EWMA_FADE, at.age.min(EWMA_LONG)) + 0.2);
        (gain, gain_long, ewma)
    }

    fn phi(&self, i: usize) -> f64 {
        ((self.phi_sum[i].get() + 0.3) / (self.phi_weight[i].get() + 0.5)).clamp(0.003, 8.)
    }

    /// Shares of the mixture: the softmax of the log likelihoods.
    fn shares(&self) -> [f64; EXPERTS + 1] {
        let weights = self.likelihood.map(|v| if v.get() == 0. { 1. } else { libm::exp(v.get()) });
        let total: f64 = weights.iter().sum();
        weights.map(|v| v * (0.96 / total) + SHARE_LEAST)
    }

    /// H = 1: the mixture's tails, upward and downward.
    fn judge_window(&self, value: &Value, expected: &Expected, experts: &[Negative; EXPERTS], floors: &Floors) -> (Seen, Seen) {
        let (x, share) = (value.x, self.shares());
        let sums = (0..EXPERTS).fold((0., 0.), |(m, all), i| (m + share[i] * expected.experts[i], all + share[i]));
        let weighted = sums.0 / sums.1;
        let (mut up, mut down) = (upward(0., x, weighted.max(expected.experts[0])), downward(0., x, weighted));
        let (most_up, most_down) = surprises_most(x, &share, expected, experts);
        if x > 0. && (up.digest || most_up > floors.up[0]) {
            let ln_below = if x > 1. { libm::log(x - 0.5) } else { 0. };
            let p = mixed(&share, expected, experts, |m| m.max(expected.most * expected.gain), |expert| expert.p_upper(x, ln_below));
            up.u = surprise_of(p + share[EXPERTS] * self.histogram.tails(value.bin).0);
        }
        if down.digest || most_down > floors.down[0] {
            let ln_above = if x > 0. { libm::log(x + 0.5) } else { 0. };
            let p = mixed(&share, expected, experts, |m| m.min(expected.least * expected.gain), |expert| expert.p_lower(x, ln_above));
            down.u = surprise_of(p + (share[EXPERTS] - SHARE_LEAST + 1e-5) * self.histogram.tails(value.bin).1);
        }
        (up, down)
    }

    /// H = 6, 36, 288: faded sums of what came against those of the season, with its gain.
    fn step_horizon(&mut self, j: usize, x: f64, expected: &Expected, floors: &Floors) -> (Seen, Seen) {
        let (fade, short) = (HORIZONS_LONG[j].fade, j == 0);
        let c = 1. + fade;
        let rate = if short { expected.experts[0] } else { expected.season * expected.gain_long };
        let (most, least) = match expected.shifted {
            true => (expected.most / expected.season, expected.least / expected.season),
            false => (1., 1.),
        };
        let horizon = &mut self.horizons[j];
        update(&mut horizon.y, |y| fade * y + x);
        update(&mut horizon.m, |m| fade * m + rate);
        update(&mut horizon.most, |m| fade * m + rate * most);
        update(&mut horizon.least, |m| fade * m + rate * least);
        let (y, m) = (horizon.y.get(), horizon.m.get());
        let (mut m_up, mut m_down) = (m, m);
        if short {
            update(&mut self.m6_long, |m| fade * m + expected.season * expected.gain_long);
            let m6 = self.m6_long.get();
            (m_up, m_down) = (m.max(m6), m.min(m6));
        }
        let bin_y = bin(8. * y * (1. - fade));
        let (mut up, mut down) = (upward(0., y, m_up), downward(0., y, m_down));
        // The other means below only draw z nearer to 0, so this one bounds it.
        let most = surprise_most(count_z2_most(c * y, c * m, self.phi_long(j)));
        let needed = if y > m { up.digest || most > floors.up[j + 1] } else { down.digest || most > floors.down[j + 1] };
        if needed {
            let (z, tails) = (self.z_long(j), self.histograms_long[j].tails(bin_y));
            up.u = if z > 0. { surprise_of(upper_tail(z) + 0.005 * tails.0) } else { 0. };
            down.u = if z < 0. { surprise_of(upper_tail(-z) + 1e-5 * tails.1) } else { 0. };
        }
        self.histograms_long[j].add(bin_y, 1);
        (up, down)
    }

    fn phi_long(&self, j: usize) -> f64 {
        (self.horizons[j].phi_sum.get() / self.horizons[j].phi_weight.get()).max(1e-4)
    }

    /// z of a longer horizon: of what a shifted clock allows, and for H = 6 of both gains, the nearest to 0.
    fn z_long(&self, j: usize) -> f64 {
        let (c, horizon, phi) = (1. + HORIZONS_LONG[j].fade, &self.horizons[j], self.phi_long(j));
        let (y, m, most, least) = (horizon.y.get(), horizon.m.get(), horizon.most.get(), horizon.least.get());
        let ln_cy = if y > 0. { libm::log(c * y) } else { 0. };
        let z_of = |m: f64| Negative::new(c * m, phi).z(c * y, ln_cy);
        let mut z = if c * m > 1e-3 || y > 0. { z_of(m) } else { 0. };
        if z > 0. && most > m {
            z = z_of(most).max(0.);
        } else if z < 0. && least < m {
            z = z_of(least).min(0.);
        }
        if j > 0 {
            return z;
        }
        let m6 = self.m6_long.get();
        let other = if m6 > 1e-3 || y > 0. { z_of(m6) } else { 0. };
        if z > 0. { z.min(other).max(0.) } else { z.max(other).min(0.) }
    }

    fn learn(&mut self, value: &Value, expected: &Expected, experts: &[Negative; EXPERTS], at: &At) {
        let x = value.x;
        self.learn_experts(value, &expected.experts, experts);
        for j in 0..HORIZONS_LONG.len() {
            let horizon = &self.horizons[j];
            self.learn_horizon(j, (horizon.y.get(), horizon.m.get()), 1);
        }
        let sd = |i: usize| (expected.experts[i] + self.phi(i) * expected.experts[i] * expected.experts[i]).sqrt();
        let usual = expected.experts.iter().copied().fold(2., f64::max);
        let clipped = if x <= usual { x } else { x.min((0..EXPERTS).map(|i| expected.experts[i] + 4. * sd(i)).fold(2., f64::max)) };
        let (own, _) = hours_of_day(at);
        let new_visit = at.slot_of_hour == 0;
        update(&mut self.all, |v| v * ALL_FADE + clipped);
        update(&mut self.all_n, |v| v * ALL_FADE + 1.);
        update(&mut self.hour_of_week[at.hour_of_week], |v| if new_visit { v * WEEK_FADE + clipped } else { v + clipped });
        update(&mut self.hour_of_day[own], |v| if new_visit { v * DAY_FADE + clipped } else { v + clipped });
        update(&mut self.slot_of_day[at.slot_of_day], |v| SLOT_OF_DAY_FADE * v + x);
        update(&mut self.slot_of_hour[at.slot_of_hour], |v| SLOT_OF_HOUR_FADE * v + x);
        for (gain, fade) in [(&mut self.gain, GAIN_FADE), (&mut self.gain_long, GAIN_LONG_FADE)] {
            update(&mut gain.calls, |v| v * fade + clipped);
            update(&mut gain.season, |v| v * fade + expected.season);
        }
        update(&mut self.ewma, |v| v * EWMA_FADE + clipped);
        self.histogram.add(value.bin, 1);
    }

    /// Likelihoods and dispersions.
    fn learn_experts(&mut self, value: &Value, means: &[f64; EXPERTS], experts: &[Negative; EXPERTS]) {
        let mut likelihood = self.likelihood.map(|v| LIKELIHOOD_FADE * v.get());
        likelihood[EXPERTS] += libm::log(self.histogram.density(value.bin)).max(-12.);
        for i in 0..EXPERTS {
            let (m, e) = (means[i], value.x - means[i]);
            likelihood[i] += experts[i].ln_density(value.x, value.ln_x).max(-12.);
            let weight = 1. / ((m + 1.) * (m + 1.));
            update(&mut self.phi_sum[i], |v| v * PHI_FADE + ((e * e - m) * weight).min(25.));
            update(&mut self.phi_weight[i], |v| v * PHI_FADE + m * m * weight);
        }
        self.keep_likelihood(likelihood);
    }

    /// Keeps log likelihoods against the best.
    fn keep_likelihood(&mut self, likelihood: [f64; EXPERTS + 1]) {
        let top = likelihood.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        self.likelihood = likelihood.map(|v| G::Single::of((v - top).max(-20.)));
    }

    /// The dispersion of a longer horizon, from so many windows with these sums.
    fn learn_horizon(&mut self, j: usize, (y, m): (f64, f64), windows: u32) {
        let (c, horizon) = (1. + HORIZONS_LONG[j].fade, &mut self.horizons[j]);
        let (y, m) = (c * y, c * m);
        if m <= 0.5 {
            return;
        }
        let (weight, kept) = (m / (m + 5.) * PHI_LONG.sum(windows), PHI_LONG.kept(windows));
        let excess = (((y - m) * (y - m) - m) / (m * m)).clamp(-1., 4.);
        update(&mut horizon.phi_weight, |v| v * kept + weight);
        let least = 0.0005 * horizon.phi_weight.get();
        update(&mut horizon.phi_sum, |v| (v * kept + weight * excess).max(least));
    }
}

/// The experts' tails, mixed; a shifted clock moves their means.
fn mixed(
    share: &[f64; EXPERTS + 1],
    expected: &Expected,
    experts: &[Negative; EXPERTS],
    moved: impl Fn(f64) -> f64,
    tail: impl Fn(&Negative) -> f64,
) -> f64 {
    let of = |i: usize| match expected.shifted {
        true => tail(&Negative::new(moved(expected.experts[i]), expected.phi[i])),
        false => tail(&experts[i]),
    };
    (0..EXPERTS).map(|i| share[i] * of(i)).sum()
}

/// Bounds on the surprises upward and downward of the mixture: by Jensen's inequality -ln sum w P is at most
/// -ln W + sum (w/W)(-ln P) over the experts, W their sum, and -ln W at most 1/W - 1.
fn surprises_most(x: f64, share: &[f64; EXPERTS + 1], expected: &Expected, experts: &[Negative; EXPERTS]) -> (f64, f64) {
    if expected.shifted {
        return (f64::INFINITY, f64::INFINITY);
    }
    let (mut all, mut up, mut down) = (0., 0., 0.);
    for i in 0..EXPERTS {
        let (m, phi) = (expected.experts[i], expected.phi[i]);
        all += share[i];
        up += share[i]
            * match x {
                x if x <= 1. => f64::INFINITY,
                x if x - 0.5 <= m => std::f64::consts::LN_2,
                x => surprise_most(count_z2_most(x - 0.5, m, phi)),
            };
        down += share[i]
            * match x {
                x if x <= 0. => -experts[i].ln_p0(),
                x if x + 0.5 >= m => std::f64::consts::LN_2,
                x => surprise_most(count_z2_most(x + 0.5, m, phi)),
            };
    }
    (up / all + 1. / all - 1., down / all + 1. / all - 1.)
}

fn hours_of_day(at: &At) -> (usize, usize) {
    let offset = if at.weekend { 24 } else { 0 };
    (offset + at.hour_of_day, 24 - offset + at.hour_of_day)
}

/// Windows of prior that a seasonal mean gets: the rarer the calls, the more.
fn pseudo_windows(mean: f64) -> f64 {
    (6. / (mean + 1e-3)).clamp(12., 2000.)
}

fn upward(u: f64, y: f64, m: f64) -> Seen {
    Seen::new(u, VOLUME_UP.hold(|g| y >= g.factor * m && y - m >= g.amount), y, m)
}

fn downward(u: f64, y: f64, m: f64) -> Seen {
    Seen::new(u, VOLUME_DOWN.hold(|g| y <= g.factor * m && m - y >= g.amount), y, m)
}

const BINS: usize = 64;
/// After 30 days of windows a histogram is halved.
const HISTOGRAM_WINDOWS: f64 = 30. * 288.;

/// Widths of the bins: 1 up to 3, then the size of half octaves.
const WIDTHS: [f64; BINS] = {
    let (mut widths, mut b, mut octave) = ([1.; BINS], 4, 4.);
    while b < BINS {
        let start = if b % 2 == 0 { octave } else { octave * std::f64::consts::SQRT_2 };
        widths[b] = if start * 0.414 > 1. { start * 0.414 } else { 1. };
        octave = if b % 2 == 1 { octave * 2. } else { octave };
        b += 1;
    }
    widths
};

/// Where half octaves begin: sqrt 2 and 2, less a hair, so that a rounded power of 2 is one.
const HALF_OCTAVES: [f64; 2] = [1.414_213_561_882_966, 1.999_999_999_306_852_7];

/// The bin of x: 0 to 3, then half octaves, 4 + floor(2 log2(x/4)), read off the float's exponent.
fn bin(x: f64) -> usize {
    if x < 4. {
        return x as usize;
    }
    let bits = x.to_bits();
    let exponent = ((bits >> 52) as usize).saturating_sub(1023 + 2);
    let mantissa = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    let halves = HALF_OCTAVES.iter().filter(|start| mantissa >= **start).count();
    (4 + 2 * exponent + halves).min(BINS - 1)
}

/// How often each size was seen, in 64 bins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Histogram<G: Grain> {
    pub(super) counts: [G::Count; BINS],
    pub(super) total: G::Single,
}

impl<G: Grain> Histogram<G> {
    fn new() -> Histogram<G> {
        Histogram { counts: zeros(), total: G::Single::default() }
    }

    /// P(bin >= b), P(bin <= b)
    fn tails(&self, b: usize) -> (f64, f64) {
        let (total, sum) = (self.total.get(), |counts: &[G::Count]| counts.iter().map(|n| n.get()).sum::<f64>());
        // Counts are multiples of a power of 2 and their sums exact; so either side may be added up.
        let up = if b < BINS / 4 { total - sum(&self.counts[..b]) } else { sum(&self.counts[b..]) };
        ((up + 0.01) / (total + 1.), (total - up + self.counts[b].get() + 0.01) / (total + 1.))
    }

    fn density(&self, b: usize) -> f64 {
        (self.counts[b].get() + 0.02) / (self.total.get() + 1.) / WIDTHS[b]
    }

    fn add(&mut self, b: usize, windows: u32) {
        update(&mut self.counts[b], |n| n + f64::from(windows));
        update(&mut self.total, |n| n + f64::from(windows));
        if self.total.get() > HISTOGRAM_WINDOWS {
            for n in &mut self.counts {
                update(n, |n| n * 0.5);
            }
            // The sum of what the cells kept, so that a tail never exceeds 1.
            self.total = G::Single::of(self.counts.iter().map(|n| n.get()).sum());
        }
    }
}
