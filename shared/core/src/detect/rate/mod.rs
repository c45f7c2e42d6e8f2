//! The rate detector: is this many of it plausible for this hour of this week?
//!
//! [`Rates`] holds every rate statistic of one entity and judges window after window: calls up and down, errors,
//! throttles, lines, latency and cost from the logs ([`Rates::step_calls`]); denials, calls and bytes of each tracked flow
//! from the trail ([`Rates::step_flows`]). The two are independent, because their feeds are due at different times. A score
//! is the logarithm of a return period, and one threshold ([`threshold`]) holds for all families together, because the
//! budget of false alarms is the entity's and not the series'. A family's score passes a gate of factor and amount, and
//! reaches Slack only if it lasts. The formulas stand at the head of each file.
//!
//! Deliberately absent: knobs per family, whose low volume makes the account rule hold (the caller counts
//! [`Judged::low`]), and any notion of time but the window's number.

mod at;
mod count;
mod entity;
mod family;
mod gate;
mod grain;
mod idle;
mod pack;
mod peers;
mod ring;
mod slow;
mod state;
mod tail;
#[cfg(test)]
mod tests;
mod value;
mod volume;

pub use entity::Rates;
pub use idle::{IDLE_WINDOWS_MAX, Idle};
pub use pack::Malformed;
pub use peers::{DayMaxima, Peers};

use crate::time::WindowId;
use at::{At, Fade};

/// Flows tracked per entity.
pub const FLOWS_MAX: usize = 8;
/// The largest count, in any unit, that a row may have; more is taken as this. What a window can hold is far less, and
/// sums of many such windows stay within what a 16-bit float keeps.
pub const ROW_MAX: f64 = 1e12;

/// How much of a half hour's faded sum is left after a window: e^(-1/6).
pub const HALF_HOUR_FADE: f64 = 0.846_481_724_890_614_1;

/// One horizon of faded sums.
struct HorizonOf {
    /// e^(-1/H), 0 for one window.
    fade: f64,
    /// The same over some windows.
    over: Fade,
}

impl HorizonOf {
    const fn new(fade: f64) -> HorizonOf {
        HorizonOf { fade, over: Fade::new(fade) }
    }
}

const H1: HorizonOf = HorizonOf::new(0.);
const H6: HorizonOf = HorizonOf::new(HALF_HOUR_FADE);
const H36: HorizonOf = HorizonOf::new(0.972_604_477_116_348_3);
const H288: HorizonOf = HorizonOf::new(0.996_533_798_970_369_1);
/// Of the volume, beside H = 1.
static HORIZONS_LONG: [HorizonOf; 3] = [H6, H36, H288];
/// Of everything per call.
static HORIZONS_SHORT: [HorizonOf; 3] = [H1, H6, H36];

/// One window of an entity as its logs tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CallsRow {
    /// Invocations that ran, retries included, throttled ones not.
    pub calls: f64,
    /// Of those, the failed ones.
    pub errors: f64,
    /// Refused invocations, beside the calls.
    pub throttles: f64,
    /// Application log lines.
    pub lines: f64,
    /// Median duration of the calls in milliseconds; 0 without calls.
    pub median_ms: f64,
    /// Their 99th percentile in milliseconds; 0 without calls.
    pub p99_ms: f64,
    /// Compute cost of the window in dollars.
    pub cost_usd: f64,
}

/// One tracked flow in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FlowRow {
    /// Its index among the tracked flows of this entity, below [`FLOWS_MAX`]; rows beyond are ignored.
    pub series: usize,
    /// Calls to the target.
    pub calls: f64,
    /// Bytes moved by them.
    pub bytes: f64,
}

/// What is known about a window beside its counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Context {
    /// The window. Steps of one kind go window by window; runs without activity go through [`Rates::idle_calls`] and
    /// [`Rates::idle_flows`].
    pub window: WindowId,
    /// The entity was deployed in this window.
    pub deployed: bool,
    /// A clock of the account's time zones changed in the last 14 days.
    pub clocks_shifted: bool,
    /// The account rule holds: so many others are low that low volume here is the account's news.
    pub account_low: bool,
}

/// A family of statistics: what a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// More calls than plausible.
    VolumeUp,
    /// Fewer calls than plausible.
    VolumeDown,
    /// Failed calls, of the calls.
    Errors,
    /// Refused calls, of all.
    Throttles,
    /// Log lines a call.
    Lines,
    /// Median duration.
    Median,
    /// 99th percentile of the duration; never in Slack.
    Tail,
    /// Dollars a call.
    Cost,
    /// The last 7 days against earlier weeks, either way; never in Slack.
    Slow,
    /// Denied calls to other services, of the calls.
    Denials,
    /// Calls of a tracked flow, a call.
    Flow {
        /// Its index among the tracked flows.
        series: usize,
    },
    /// Bytes of a tracked flow, a flow call.
    Bytes {
        /// Its index among the tracked flows.
        series: usize,
    },
}

impl Family {
    /// The first of its statistics among all kinds that have rings.
    fn kind(self) -> usize {
        match self {
            Family::VolumeUp => 0,
            Family::VolumeDown => 4,
            Family::Errors => 8,
            Family::Throttles => 11,
            Family::Lines => 14,
            Family::Median => 17,
            Family::Tail => 20,
            Family::Cost => 23,
            Family::Denials => 26,
            Family::Flow { .. } => 29,
            Family::Bytes { .. } => 32,
            Family::Slow => peers::KINDS,
        }
    }
}

/// What one window says: the families that passed a gate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    /// Scores above 0, in the order of the families.
    pub scores: Vec<Score>,
    /// An ungated low-volume score of at least 4 in the last 6 hours: for the account rule. Only of [`Rates::step_calls`].
    pub low: bool,
    /// A day of a young entity ended with this window: for [`Peers::add`].
    pub day_ended: Option<DayMaxima>,
}

impl Judged {
    /// The largest digest score, 0 without any.
    pub fn digest(&self) -> f64 {
        self.scores.iter().map(|s| s.digest).fold(0., f64::max)
    }

    /// The largest Slack score, 0 without any.
    pub fn slack(&self) -> f64 {
        self.scores.iter().map(|s| s.slack).fold(0., f64::max)
    }
}

/// One family's scores in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// What it is about.
    pub family: Family,
    /// For the digest: compare with [`threshold`].
    pub digest: f64,
    /// For Slack: compare with [`threshold`]; 0 unless it lasts.
    pub slack: f64,
    /// What the best digest score stands on.
    pub evidence: Evidence,
}

/// The numbers behind a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// The window judged.
    pub window: WindowId,
    /// How many windows were looked at: 1, 6, 36, 288; 2,016 for the slow reference.
    pub horizon: u16,
    /// What came: calls, events, milliseconds, dollars or bytes of the window, or faded sums of about `horizon` windows
    /// (durations: their geometric mean); calls a day for the slow reference.
    pub observed: f64,
    /// What was expected, in the same unit.
    pub expected: f64,
    /// The surprise U before calibration, in nats.
    pub surprise: f64,
}

/// One statistic in one window: its surprise and its gates.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    u: f64,
    digest: bool,
    slack: bool,
    observed: f64,
    expected: f64,
}

impl Seen {
    fn new(u: f64, (digest, slack): (bool, bool), observed: f64, expected: f64) -> Seen {
        Seen { u, digest, slack, observed, expected }
    }

    fn evidence(&self, at: &At, horizon: u16) -> Evidence {
        Evidence { window: at.window, horizon, observed: self.observed, expected: self.expected, surprise: self.u }
    }
}

/// The score from which a family alerts, for an account of so many entities that accepts so many false alarms a week.
///
/// T = 7.5 + 3 max(0, ln(N / (200 w))): 7.5 was measured at 200 functions and one alert a week, and the 3 because beyond
/// that a nat of score buys ×1.4, not ×2.7. Senseless arguments give the least or an endless threshold.
pub fn threshold(entities: f64, alerts_per_week: f64) -> f64 {
    7.5 + 3. * libm::log(entities / (200. * alerts_per_week)).max(0.)
}

/// About how many months of one entity pass until chance alone gives such a score: 42 e^((s - 7.5)/3) in Slack, 5 for 42
/// in the digest. Measured; the score itself is not to be read as days.
pub fn months_per_false_alarm(score: f64, digest: bool) -> f64 {
    (if digest { 5. } else { 42. }) * libm::exp((score - 7.5) / 3.)
}
