//! Silence: a function that runs often enough has not run for longer than it ever does.
//!
//! Claim: "nothing for so long, where the longest pause of a day is so much shorter". The volume statistics of `rate` ask
//! for twenty calls below what was expected, which a job that runs four times an hour misses only after half a day, if
//! its return doesn't hide it before. Its pauses say it sooner: each day's longest pause goes into a ring; the pause of
//! now, in units of the ring's median, is scored by the same Lomax tail as every other statistic,
//!
//! ```text
//! s = ln 2 + (k + 6) ln(1 + (u - 1) / (S + 3)),   u = pause / median, k and S number and sum of the excesses above 1,
//! ```
//!
//! so nights and weekends are in the ring of a function that pauses then, and a rough function needs a longer pause than a
//! regular one. It is held to what matters: two hours, eight missed calls, and two days in the ring; with fewer than seven,
//! so that no weekend may have been seen, it is rare at most. The tail is that of `DETECTION.md`, "daily"; that it holds for pauses was measured on simulated functions
//! only (`BENCHMARKS.md`). There is deliberately no schedule here: that a nightly job missed one night is not yet told.

use minicbor::{Decode, Encode};

use crate::time::{WINDOWS_PER_DAY, WINDOWS_PER_HOUR};

/// Days in the ring.
const RING_DAYS: usize = 28;
/// Days needed to say anything, and to say it loudly: a weekend is among the seven.
const DAYS_LEAST: usize = 2;
const DAYS_LOUD: usize = 7;
/// Least pause that is told: two hours.
const PAUSE_LEAST_WINDOWS: u32 = 2 * WINDOWS_PER_HOUR;
/// Calls that the pause must have cost at the pace of the last days.
const MISSED_LEAST: f64 = 8.0;
/// Gamma prior of the tail (`DETECTION.md`, "daily"): n0, and n0 beta0.
const PRIOR: (f64, f64) = (6.0, 3.0);
/// A day's pause is learnt as at most so many times the longest in the ring: a silence must not make itself usual.
const LEARNT_FACTOR: u32 = 2;
/// How much of the pace a day keeps.
const PACE_FADE: f64 = 0.8;

/// Pauses of one function, in windows.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Silence {
    /// Longest pause of each of the last days, oldest first.
    #[n(0)]
    ring: Vec<u32>,
    /// Longest pause of today so far.
    #[n(1)]
    today: u32,
    /// Faded sum of the calls of the last days, and of the days.
    #[n(2)]
    calls: f64,
    #[n(3)]
    days: f64,
    /// Calls of today.
    #[n(4)]
    calls_today: f64,
    /// The day that `today` is about, since 1970.
    #[n(5)]
    day: u32,
}

/// A pause and what is known of pauses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pause {
    /// Windows since the last call.
    pub windows: u32,
    /// The longest pause in the ring, in windows.
    pub longest: u32,
    /// Calls missed at the pace of the last days.
    pub missed: f64,
    /// The calibrated score, comparable with `rate::threshold`.
    pub score: f64,
    /// A weekend was seen: it may be told loudly.
    pub is_grown: bool,
}

impl Silence {
    /// So many calls on a day, after a pause of so many windows.
    pub fn called(&mut self, day: u32, pause: u32, calls: f64) {
        self.paused(day, pause);
        self.calls_today += calls;
    }

    /// A pause that lasts, as of a day; at least every day must be told.
    pub fn paused(&mut self, day: u32, pause: u32) {
        if day > self.day {
            self.end_day(day);
        }
        self.today = self.today.max(pause);
    }

    /// Ends the day before `day`. Days that were skipped count as one: their pause is the next day's.
    fn end_day(&mut self, day: u32) {
        if self.day > 0 {
            self.calls = self.calls * PACE_FADE + self.calls_today;
            self.days = self.days * PACE_FADE + 1.0;
            let longest = self.ring.iter().copied().max().filter(|_| self.ring.len() >= DAYS_LOUD);
            self.ring.push(self.today.max(1).min(longest.map_or(u32::MAX, |l| l.saturating_mul(LEARNT_FACTOR))));
            if self.ring.len() > RING_DAYS {
                self.ring.remove(0);
            }
        }
        (self.day, self.today, self.calls_today) = (day, 0, 0.0);
    }

    /// Scores a pause, if it matters.
    pub fn judge(&self, pause: u32) -> Option<Pause> {
        let missed = self.calls / self.days.max(1.0) * f64::from(pause) / f64::from(WINDOWS_PER_DAY);
        if self.ring.len() < DAYS_LEAST || pause < PAUSE_LEAST_WINDOWS || missed < MISSED_LEAST {
            return None;
        }
        let mut sorted = self.ring.clone();
        sorted.sort_unstable();
        let (low, high) = (sorted.get((sorted.len() - 1) / 2)?, sorted.get(sorted.len() / 2)?);
        let median = f64::from(low + high) / 2.0;
        let excesses = || sorted.iter().map(|&p| f64::from(p) / median - 1.0).filter(|e| *e > 0.0);
        let (k, sum) = (excesses().count() as f64, excesses().sum::<f64>());
        let excess = f64::from(pause) / median - 1.0;
        let score = if excess > 0.0 { std::f64::consts::LN_2 + (k + PRIOR.0) * libm::log1p(excess / (sum + PRIOR.1)) } else { 0.0 };
        Some(Pause { windows: pause, longest: *sorted.last()?, missed, score, is_grown: self.ring.len() >= DAYS_LOUD })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::rate::threshold;

    /// A function with these pauses a day, over so many days.
    fn learnt(days: u32, calls: f64, pause: impl Fn(u32) -> u32) -> Silence {
        let mut silence = Silence::default();
        for day in 1..=days {
            silence.called(day, pause(day), calls);
        }
        silence.paused(days + 1, 0);
        silence
    }

    fn alerts(silence: &Silence, pause: u32) -> bool {
        silence.judge(pause).is_some_and(|p| p.is_grown && p.score >= threshold(10.0, 1.0))
    }

    #[test]
    fn a_job_of_every_quarter_hour_is_missed_within_three_hours() {
        let job = learnt(14, 96.0, |_| 3);
        assert!(!alerts(&job, 12), "an hour");
        assert!(alerts(&job, 36), "three hours");
    }

    #[test]
    fn nights_and_weekends_are_usual_where_they_were_seen() {
        let office = learnt(21, 200.0, |day| if day % 7 >= 5 { 288 * (day % 7 - 4) + 120 } else { 170 });
        assert!(!alerts(&office, 170), "a night");
        assert!(!alerts(&office, 700), "a weekend");
    }

    #[test]
    fn a_silence_does_not_make_itself_usual() {
        let mut job = learnt(14, 96.0, |_| 3);
        for day in 15..19 {
            assert!(alerts(&job, 288 * (day - 14)), "day {day}");
            job.paused(day + 1, 288 * (day - 14));
        }
    }

    #[test]
    fn few_calls_and_young_functions_are_not_missed() {
        assert_eq!(learnt(14, 4.0, |_| 72).judge(288), None, "four calls a day miss four");
        assert!(!learnt(6, 96.0, |_| 3).judge(288).unwrap().is_grown, "no weekend seen yet");
        assert_eq!(learnt(1, 96.0, |_| 3).judge(288), None, "a single day says nothing");
        assert_eq!(Silence::default().judge(10_000), None);
    }
}
