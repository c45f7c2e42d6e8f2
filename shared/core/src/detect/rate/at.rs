//! Where a window lies: in its week, and among the windows since its entity was first seen.
//!
//! How often a slot of the day or an hour of the week has been visited follows from two numbers, the first window and
//! this one, so the weights of seasonal means are computed here and not kept. Every window since the first counts as a
//! visit, because a window without activity is a window of zeros. There is deliberately no time zone: seasons are of UTC.

use crate::time::{WINDOWS_PER_DAY, WINDOWS_PER_HOUR, WindowId};

const HOURS_OF_WEEK: u32 = 168;

/// The place of one window.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) window: WindowId,
    first: u32,
    /// Windows since the first.
    pub(super) age: u32,
    /// UTC days since the day of the first.
    pub(super) day: u32,
    /// Slots, from 0: of the hour, of the day; hours: of the day, of the week.
    pub(super) slot_of_hour: usize,
    pub(super) slot_of_day: usize,
    pub(super) hour_of_day: usize,
    pub(super) hour_of_week: usize,
    pub(super) weekend: bool,
}

impl At {
    /// A window before the first is placed as if it were the first.
    pub(super) fn new(first: WindowId, window: WindowId) -> At {
        let slot = window.slot_of_week();
        At {
            window,
            first: first.0,
            age: window.0.saturating_sub(first.0),
            day: window.day().saturating_sub(first.day()),
            slot_of_hour: (slot % WINDOWS_PER_HOUR) as usize,
            slot_of_day: (slot % WINDOWS_PER_DAY) as usize,
            hour_of_day: (slot % WINDOWS_PER_DAY / WINDOWS_PER_HOUR) as usize,
            hour_of_week: (slot / WINDOWS_PER_HOUR) as usize,
            weekend: slot >= 5 * WINDOWS_PER_DAY,
        }
    }

    /// The place of a later window of the same entity.
    pub(super) fn later(&self, windows: u32) -> At {
        At::new(WindowId(self.first), WindowId(self.window.0.saturating_add(windows)))
    }

    /// Whether this is the last window of its UTC day.
    pub(super) fn day_ends(&self) -> bool {
        self.slot_of_day == WINDOWS_PER_DAY as usize - 1
    }

    /// Windows folded into the mean of this hour of the week, the latter fading by `fade` at each new visit; the visit
    /// that begins with this window has not faded them yet.
    pub(super) fn visits_of_week(&self, fade: f64) -> f64 {
        let hour = self.window.0 / WINDOWS_PER_HOUR;
        self.visit_under_way(fade, self.full_hours(hour.wrapping_sub(HOURS_OF_WEEK), fade))
    }

    /// The same for the hour of the week before (-1) or after (1) this one.
    pub(super) fn visits_of_neighbour(&self, step: i32, fade: f64) -> f64 {
        let hour = self.window.0 / WINDOWS_PER_HOUR;
        self.full_hours(if step < 0 { hour.wrapping_sub(1) } else { hour.wrapping_add(1).wrapping_sub(HOURS_OF_WEEK) }, fade)
    }

    /// The same for this hour of the day on days of this kind (working days or weekends) and on the others.
    pub(super) fn visits_of_day(&self, fade: f64) -> (f64, f64) {
        let (first_hour, today) = (self.first / WINDOWS_PER_HOUR, self.window.day());
        let start = first_hour / 24 + u32::from(first_hour % 24 > self.hour_of_day as u32);
        let weekends = if today > start { weekend_days(today) - weekend_days(start) } else { 0 };
        let (mine, others) = if self.weekend {
            (weekends, today.saturating_sub(start) - weekends)
        } else {
            (today.saturating_sub(start) - weekends, weekends)
        };
        let first_in_this_hour = first_hour % 24 == self.hour_of_day as u32;
        let first_on_weekend = weekend_days(first_hour / 24 + 1) > weekend_days(first_hour / 24);
        let sum = |visits: u32, weekend: bool| {
            let cut = if first_in_this_hour && first_on_weekend == weekend { self.first % WINDOWS_PER_HOUR } else { 0 };
            full_visits(visits, cut, fade)
        };
        (self.visit_under_way(fade, sum(mine, self.weekend)), sum(others, !self.weekend))
    }

    /// Adds the windows of the visit under way to those of the visits before.
    fn visit_under_way(&self, fade: f64, before: f64) -> f64 {
        match self.slot_of_hour {
            0 => before,
            n => before * fade + f64::from((n as u32).min(self.age)),
        }
    }

    /// Windows folded at this hour of the week, up to and with the given hour since 1970.
    fn full_hours(&self, hour: u32, fade: f64) -> f64 {
        let first_hour = self.first / WINDOWS_PER_HOUR;
        if hour < first_hour || hour > self.window.0 / WINDOWS_PER_HOUR {
            return 0.;
        }
        let weeks = (hour - first_hour) / HOURS_OF_WEEK;
        full_visits(weeks + 1, if (hour - first_hour).is_multiple_of(HOURS_OF_WEEK) { self.first % WINDOWS_PER_HOUR } else { 0 }, fade)
    }
}

/// Weekend days among the first `days` days since 1970-01-01, a Thursday.
fn weekend_days(days: u32) -> u32 {
    let since_monday = days + 3;
    since_monday / 7 * 2 + (since_monday % 7).saturating_sub(5)
}

/// Windows of `visits` whole hours of which the first lacks `cut` windows, each visit having faded those before.
fn full_visits(visits: u32, cut: u32, fade: f64) -> f64 {
    if visits == 0 {
        return 0.;
    }
    let last = power(fade, visits - 1);
    f64::from(WINDOWS_PER_HOUR) * (1. - last * fade) / (1. - fade) - f64::from(cut) * last
}

/// What fades, over some windows of one hour: tables, because a power by squaring costs more than all else where nothing
/// happens.
pub(super) struct Fade {
    kept: [f64; WINDOWS_PER_HOUR as usize + 1],
    sums: [f64; WINDOWS_PER_HOUR as usize + 1],
}

impl Fade {
    pub(super) const fn new(base: f64) -> Fade {
        let (mut kept, mut sums, mut n) = ([1.; WINDOWS_PER_HOUR as usize + 1], [0.; WINDOWS_PER_HOUR as usize + 1], 1);
        while n < kept.len() {
            kept[n] = kept[n - 1] * base;
            sums[n] = sums[n - 1] + kept[n - 1];
            n += 1;
        }
        Fade { kept, sums }
    }

    /// base^n, for at most an hour of windows.
    pub(super) fn kept(&self, n: u32) -> f64 {
        self.kept[(n as usize).min(WINDOWS_PER_HOUR as usize)]
    }

    /// 1 + base + base^2 ... of n terms, for at most an hour of windows.
    pub(super) fn sum(&self, n: u32) -> f64 {
        self.sums[(n as usize).min(WINDOWS_PER_HOUR as usize)]
    }
}

/// The sum 1 + f + f^2 ... of `terms` terms.
pub(super) fn geometric(fade: f64, terms: u32) -> f64 {
    (1. - power(fade, terms)) / (1. - fade)
}

/// base^n by squaring: the same bits on every system, and cheaper than a logarithm for the exponents met here.
pub(super) fn power(base: f64, n: u32) -> f64 {
    let (mut result, mut square, mut rest) = (1., base, n);
    while rest > 0 {
        // A choice and not a branch: the bits of n can't be predicted.
        result *= if rest & 1 == 1 { square } else { 1. };
        square *= square;
        rest >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visits_are_those_of_counting() {
        for first in [5_785_056u32, 5_785_061, 5_785_211, 5_786_495, 5_786_507] {
            let (mut week, mut day, mut kinds) = (vec![0.; 168], vec![0.; 48], 0);
            for window in first..first + 45 * WINDOWS_PER_DAY {
                let at = At::new(WindowId(first), WindowId(window));
                let (own, other) = (usize::from(at.weekend) * 24 + at.hour_of_day, usize::from(!at.weekend) * 24 + at.hour_of_day);
                let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{first} {window}: {a} {b}");
                near(at.visits_of_week(0.8), week[at.hour_of_week]);
                near(at.visits_of_neighbour(-1, 0.8), week[(at.hour_of_week + 167) % 168]);
                near(at.visits_of_neighbour(1, 0.8), week[(at.hour_of_week + 1) % 168]);
                near(at.visits_of_day(0.95).0, day[own]);
                near(at.visits_of_day(0.95).1, day[other]);
                if at.slot_of_hour == 0 {
                    week[at.hour_of_week] *= 0.8;
                    day[own] *= 0.95;
                }
                week[at.hour_of_week] += 1.;
                day[own] += 1.;
                kinds += usize::from(at.weekend);
            }
            assert!(kinds > 11 * 288, "{kinds}");
        }
    }
}
