//! The slow reference: the last 7 days against the weekly means of 3 to 9 weeks back.
//!
//! What adapts can be led astray slowly; a frozen reference can't. Judged once a day at midnight UTC, both ways, and held
//! for the day. Full days only. z = |ln(last 7 days / median of the older weeks)| / sd, with sd^2 = 1.5 max(v_week,
//! v_day/7) + (.06 age)^2 + 1/N, age their mean age in weeks, N the lesser week's calls. There is deliberately no
//! calibration by daily maxima: the statistic has one value a day, and its score is 1.5 U.

use super::Seen;
use super::at::At;
use super::gate::SLOW;
use super::grain::{Cell, Grain, update, zeros};
use super::tail::ln_upper_tail;

/// Weekly means kept, newest first.
const WEEKS: usize = 9;
/// The newest two are the time that is judged; with fewer than these in all there is no reference.
const WEEKS_LEAST: usize = 4;

/// The slow reference of one entity.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slow<G: Grain> {
    /// Whether a full day is being counted.
    pub(super) counting: bool,
    pub(super) today: G::Single,
    /// Full days seen.
    pub(super) days: u8,
    pub(super) week: [G::Single; 7],
    pub(super) means: [G::Single; WEEKS],
    pub(super) means_n: u8,
    /// v_week, its weight, v_day, its weight.
    pub(super) variance: [G::Single; 4],
    /// U, the last 7 days' mean and the reference's as of the last midnight.
    pub(super) now: [G::Single; 3],
    /// Whether that passed the gate.
    pub(super) held: bool,
}

impl<G: Grain> Slow<G> {
    pub(super) fn new() -> Slow<G> {
        let today = G::Single::default();
        Slow { counting: false, today, days: 0, week: zeros(), means: zeros(), means_n: 0, variance: zeros(), now: zeros(), held: false }
    }

    /// Counts the calls of one window and says what the last midnight said.
    pub(super) fn step(&mut self, calls: f64, at: &At) -> Seen {
        if at.slot_of_day == 0 {
            if self.counting {
                self.close_day();
            }
            self.counting = true;
            self.today = G::Single::default();
        }
        if self.counting {
            update(&mut self.today, |v| v + calls);
        }
        let [u, last, reference] = self.now.map(Cell::get);
        Seen::new(u, (self.held, false), last, reference)
    }

    /// Whether it speaks today.
    pub(super) fn held(&self) -> bool {
        self.held
    }

    fn close_day(&mut self) {
        // Only the day of the week and whether a week is over matter: 14 onward repeats 7 to 13.
        self.days = if self.days >= 20 { 14 } else { self.days + 1 };
        let i = usize::from((self.days + 6) % 7);
        let (today, mean) = (self.today.get(), self.last_week());
        if self.days > 7 && mean > 0. {
            let e = today - self.week[i].get();
            update(&mut self.variance[2], |v| v * 0.96 + (e * e / (2. * mean * mean)).min(4.));
            update(&mut self.variance[3], |v| v * 0.96 + 1.);
        }
        self.week[i] = self.today;
        let last = self.last_week();
        if self.days.is_multiple_of(7) {
            self.close_week(last);
        }
        (self.now, self.held) = (zeros(), false);
        if usize::from(self.means_n) >= WEEKS_LEAST {
            self.judge(last);
        }
    }

    fn last_week(&self) -> f64 {
        self.week.iter().map(|v| v.get()).sum::<f64>() / 7.
    }

    fn close_week(&mut self, last: f64) {
        if self.means_n > 0 {
            let step = libm::log((last + 0.5) / (self.means[0].get() + 0.5));
            update(&mut self.variance[0], |v| v * 0.9 + (step * step).min(1.));
            update(&mut self.variance[1], |v| v * 0.9 + 1.);
        }
        self.means.rotate_right(1);
        self.means[0] = G::Single::of(last);
        self.means_n = (self.means_n + 1).min(WEEKS as u8);
    }

    fn judge(&mut self, last: f64) {
        let known = usize::from(self.means_n).min(WEEKS);
        let mut old: Vec<f64> = self.means[2..known].iter().map(|v| v.get()).collect();
        old.sort_by(f64::total_cmp);
        let reference = 0.5 * (old[(old.len() - 1) / 2] + old[old.len() / 2]);
        let age = (3..=known).sum::<usize>() as f64 / old.len() as f64;
        let q = libm::log((last + 0.5) / (reference + 0.5)).abs();
        let [week, week_n, day, day_n] = self.variance.map(Cell::get);
        let v = ((week + 0.03) / (week_n + 3.)).max(day / (day_n + 1.) / 7.);
        let z = q / (1.5 * v + (0.06 * age) * (0.06 * age) + 1. / (7. * last.min(reference) + 1.)).sqrt();
        self.held = q >= SLOW.digest.ln_factor && (last - reference).abs() >= SLOW.digest.amount;
        self.now = [(-ln_upper_tail(z)).min(138.), last, reference].map(G::Single::of);
    }
}
