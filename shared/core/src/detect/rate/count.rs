//! y of n calls: errors, throttles, denials (a share), calls of a flow and lines (a number per call).
//!
//! Judged per call, so that a surge of calls is one statistic's news and not everyone's.
//!
//! ```text
//! rates    slow (x .9984 a window); hour of the day (x .85 a visit, shrunk to slow by 24 mean windows of calls);
//!          fast (x .981, shrunk to slow by 3);  m = max(slow n, sum hour n, fast n if H < 36), H = 1, 6, 36
//! share    z = sqrt(2 n KL(y/n || m/n)/(1 + phi m)), prior .5 in 50 calls;  others: z of a negative binomial, prior 0 in .02
//! learn    from y, at most max(2, m + 4 sd)
//! ```
//!
//! Upper side only: fewer errors are no news. There is deliberately no lower side for flows either: a function that stops
//! calling a table either stops running or was deployed.

use super::at::{At, Fade};
use super::gate::Gates;
use super::grain::{Cell, Grain, update, zeros};
use super::tail::{Negative, count_z2_most, share_z, share_z2_most, surprise, surprise_most, surprise_of};
use super::{HORIZONS_SHORT, Seen};

/// 6.5 days of mean life.
const SLOW_FADE: f64 = 0.9984;
/// What [`SLOW_FADE`] weighs in windows.
const SLOW_WINDOWS: f64 = 623.;
/// Half-life of 3 hours.
const FAST_FADE: f64 = 0.981;
const HOUR_FADE: f64 = 0.85;

/// The same where windows without calls are passed at once.
static SLOW: Fade = Fade::new(SLOW_FADE);
static FAST: Fade = Fade::new(FAST_FADE);
/// Of the dispersion of a horizon: of one window, of the longer ones.
const PHI_FADES: [f64; 3] = [0.9995, 0.9998, 0.9998];
static PHI: [Fade; 3] = [Fade::new(PHI_FADES[0]), Fade::new(PHI_FADES[1]), Fade::new(PHI_FADES[2])];

/// Sums of which the dispersion learns nothing any more.
const NEGLIGIBLE: f64 = 1e-4;

/// What kind of count it is.
#[derive(Clone, Copy)]
pub(super) enum Nature {
    /// A part of the calls, with half an event in 50 calls as the prior.
    Share,
    /// Any number per call, with .02 calls without any as the prior.
    PerCall,
}

impl Nature {
    fn prior(self) -> (f64, f64) {
        match self {
            Nature::Share => (0.5, 50.),
            Nature::PerCall => (0., 0.02),
        }
    }
}

/// One horizon: sums of y, n and of what the hour let expect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Horizon<G: Grain> {
    pub(super) y: G::Single,
    pub(super) n: G::Single,
    pub(super) m: G::Single,
    pub(super) phi_sum: G::Single,
    pub(super) phi_weight: G::Single,
}

impl<G: Grain> Horizon<G> {
    fn phi(&self, j: usize) -> f64 {
        ((self.phi_sum.get() + if j == 0 { 0.02 } else { 0.01 }) / (self.phi_weight.get() + 0.2)).clamp(0.002, 20.)
    }
}

/// The statistic of one count.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PerCall<G: Grain> {
    pub(super) slow: G::Single,
    pub(super) slow_n: G::Single,
    pub(super) fast: G::Single,
    pub(super) fast_n: G::Single,
    pub(super) hour: [G::Mean; 24],
    pub(super) hour_n: [G::Mean; 24],
    pub(super) horizons: [Horizon<G>; 3],
}

/// Events a call: over days, over hours, of this hour of the day.
struct Rate {
    slow: f64,
    fast: f64,
    hour: f64,
}

impl<G: Grain> PerCall<G> {
    pub(super) fn new() -> PerCall<G> {
        let zero = G::Single::default();
        PerCall {
            slow: zero,
            slow_n: zero,
            fast: zero,
            fast_n: zero,
            hour: zeros(),
            hour_n: zeros(),
            horizons: [Horizon { y: zero, n: zero, m: zero, phi_sum: zero, phi_weight: zero }; 3],
        }
    }

    /// Judges y of n of one window and learns them: the surprises for H = 1, 6, 36.
    pub(super) fn step(
        &mut self,
        (y, n): (f64, f64),
        nature: Nature,
        gates: &Gates,
        at: &At,
        deployed: bool,
        floors: &[f64; 3],
    ) -> [Seen; 3] {
        if deployed {
            self.doubt();
        }
        let rate = self.rate(nature, at);
        let seen = std::array::from_fn(|j| self.step_horizon(j, (y, n), &rate, nature, gates, floors[j]));
        self.learn((y, n), &rate, at);
        seen
    }

    /// A deployment: what was learnt weighs a tenth and is relearnt in hours.
    fn doubt(&mut self) {
        for v in [&mut self.slow, &mut self.slow_n, &mut self.fast, &mut self.fast_n] {
            update(v, |v| v * 0.1);
        }
        for v in self.hour.iter_mut().chain(&mut self.hour_n) {
            update(v, |v| v * 0.1);
        }
    }

    fn rate(&self, nature: Nature, at: &At) -> Rate {
        let (prior_y, prior_n) = nature.prior();
        let slow = (self.slow.get() + prior_y) / (self.slow_n.get() + prior_n);
        let calls_per_window = self.slow_n.get() / SLOW_WINDOWS + 1e-3;
        let shrunk = |y: f64, n: f64, k: f64| (y + slow * k) / (n + k);
        let hour = shrunk(self.hour[at.hour_of_day].get(), self.hour_n[at.hour_of_day].get(), 24. * calls_per_window + prior_n);
        let fast = shrunk(self.fast.get(), self.fast_n.get(), 3. * calls_per_window + prior_n);
        Rate { slow, fast, hour }
    }

    fn step_horizon(&mut self, j: usize, (y, n): (f64, f64), rate: &Rate, nature: Nature, gates: &Gates, floor: f64) -> Seen {
        let fade = HORIZONS_SHORT[j].fade;
        let c = 1. + fade;
        let before = self.horizons[j];
        let horizon = &mut self.horizons[j];
        update(&mut horizon.y, |v| fade * v + y);
        update(&mut horizon.n, |v| fade * v + n);
        update(&mut horizon.m, |v| fade * v + rate.hour * n);
        let (y, n, m_hour) = (horizon.y.get(), horizon.n.get(), horizon.m.get());
        let m = (rate.slow * n).max(m_hour).max(if j < 2 { rate.fast * n } else { 0. });
        let mut seen = Seen::new(0., gates.hold(|g| y >= g.factor * m && y - m >= g.amount && y >= g.least * n), y, m);
        if y > m && y > 0. {
            let floor = if seen.digest { f64::NEG_INFINITY } else { floor };
            seen.u = surprise_above(floor, j, (y, n, m), before.phi(j), nature);
        }
        let (e, m_hour) = (c * y - c * m_hour, c * m_hour);
        let weight = 1. / ((m_hour + 1.) * (m_hour + 1.));
        let fade = PHI_FADES[j];
        update(&mut horizon.phi_sum, |v| v * fade + ((e * e - m_hour) * weight).min(16.));
        update(&mut horizon.phi_weight, |v| v * fade + m_hour * m_hour * weight);
        seen
    }

    fn learn(&mut self, (y, n): (f64, f64), rate: &Rate, at: &At) {
        let m = rate.slow.max(rate.hour) * n;
        let clipped = if y <= m.max(2.) { y } else { y.min((m + 4. * (m + self.horizons[0].phi(0) * m * m).sqrt()).max(2.)) };
        let hour = (&mut self.hour[at.hour_of_day], &mut self.hour_n[at.hour_of_day]);
        let fade = if at.slot_of_hour == 0 { HOUR_FADE } else { 1. };
        update(&mut self.slow, |v| v * SLOW_FADE + clipped);
        update(&mut self.slow_n, |v| v * SLOW_FADE + n);
        update(&mut self.fast, |v| v * FAST_FADE + clipped);
        update(&mut self.fast_n, |v| v * FAST_FADE + n);
        update(hour.0, |v| v * fade + clipped);
        update(hour.1, |v| v * fade + n);
    }

    /// Whether no window without calls can pass a gate. There what came and what the hour let expect fade alike, and the
    /// horizon of one window is empty.
    pub(super) fn quiet(&self, gates: &Gates) -> bool {
        let gate = &gates.digest;
        self.horizons[1..].iter().all(|horizon| {
            let (y, m) = (horizon.y.get(), horizon.m.get());
            y < gate.amount + m || y < gate.factor * m
        })
    }

    /// Learns some windows of one hour as windows without calls; `at` is the first.
    pub(super) fn fade(&mut self, at: &At, windows: u32) {
        if at.slot_of_hour == 0 {
            update(&mut self.hour[at.hour_of_day], |v| v * HOUR_FADE);
            update(&mut self.hour_n[at.hour_of_day], |v| v * HOUR_FADE);
        }
        for (y, n, fade) in [(&mut self.slow, &mut self.slow_n, &SLOW), (&mut self.fast, &mut self.fast_n, &FAST)] {
            let kept = fade.kept(windows);
            update(y, |v| v * kept);
            update(n, |v| v * kept);
        }
        for (j, horizon) in self.horizons.iter_mut().enumerate() {
            let (phi, kept) = (PHI[j].kept(windows), HORIZONS_SHORT[j].over.kept(windows));
            let (y, m) = (horizon.y.get(), horizon.m.get());
            if y.max(m) < NEGLIGIBLE {
                update(&mut horizon.phi_sum, |v| v * phi);
                update(&mut horizon.phi_weight, |v| v * phi);
            } else {
                // Of all the windows what the middle one says.
                let middle = (1. + HORIZONS_SHORT[j].fade) * HORIZONS_SHORT[j].over.kept(windows / 2 + 1);
                let (y, m, sum) = (y * middle, m * middle, PHI[j].sum(windows));
                let weight = sum / ((m + 1.) * (m + 1.));
                update(&mut horizon.phi_sum, |v| v * phi + (((y - m) * (y - m) - m) * weight).min(16. * sum));
                update(&mut horizon.phi_weight, |v| v * phi + m * m * weight);
            }
            for sum in [&mut horizon.y, &mut horizon.n, &mut horizon.m] {
                update(sum, |v| v * kept);
            }
        }
    }
}

/// The surprise of y above m of n calls; 0 where it can't exceed the floor.
fn surprise_above(floor: f64, j: usize, (y, n, m): (f64, f64, f64), phi: f64, nature: Nature) -> f64 {
    let c = 1. + HORIZONS_SHORT[j].fade;
    match nature {
        Nature::PerCall => {
            let (y, m) = (c * y, c * m + 1e-3);
            if surprise_most(count_z2_most(y, m, phi)) <= floor { 0. } else { surprise(Negative::new(m, phi).z(y, libm::log(y))) }
        }
        // 1 - exp(-m) >= m/(1 + m), and ln(1 + 1/m) <= 1/m.
        Nature::Share if j == 0 && y <= 1. => {
            if 1. / m <= floor {
                0.
            } else {
                surprise_of(1. - libm::exp(-m))
            }
        }
        Nature::Share => {
            let (y, p, n) = (if j == 0 { y - 0.5 } else { c * y }, m / n.max(1e-9 / c), c * n);
            if surprise_most(share_z2_most(y, n, p, phi)) <= floor { 0. } else { surprise(share_z(y, n, p, phi)) }
        }
    }
}
