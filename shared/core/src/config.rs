//! Every setting, with its default. There is deliberately no knob per rule: one stated budget sets all thresholds.

/// Minutes after a window's end before which it is never judged: ingest marks what comes later, and can't know of a setting.
pub const LATE_MINUTES_LEAST: u32 = 15;

/// What a deployer or a person at a laptop may set.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// False incidents a week that an account accepts: half for new flows, half for rates with silences. Of each half, functions
    /// have one half and other principals the other.
    pub noise_per_week: f64,
    /// Minutes of quiet after which an incident is over and a new finding opens another.
    pub resolve_minutes: u32,
    /// Minutes after a window's end until its logs are there: AWS delivers most within three.
    pub logs_late_minutes: u32,
    /// Minutes after a window's end until its trail is there: CloudTrail's files come after some five.
    pub trail_late_minutes: u32,
}

impl Default for Config {
    fn default() -> Config {
        Config { noise_per_week: 2.0, resolve_minutes: 360, logs_late_minutes: 5, trail_late_minutes: LATE_MINUTES_LEAST }
    }
}

impl Config {
    /// What functions or other principals have of the budget, for their new flows or for their rates.
    pub fn alerts_per_week_of_kind(&self) -> f64 {
        self.noise_per_week / 4.0
    }
}
