//! Gates: what is material. A statistic speaks only where the count is a factor off *and* an amount off.
//!
//! The numbers are the measured ones of the table "gate"; they are one fixed configuration for every entity. There is
//! deliberately no knob: the one setting of the rates is how many false alarms a week an account accepts.

/// A factor on the expected value, an amount beyond it, and a third number whose meaning is the family's.
#[derive(Clone, Copy)]
pub(super) struct Gate {
    pub(super) factor: f64,
    /// ln of the factor, where values are compared by logarithms.
    pub(super) ln_factor: f64,
    pub(super) amount: f64,
    /// Counts: the least share of the calls. Values: the least calls.
    pub(super) least: f64,
}

/// The gates of one family: for the digest, and for Slack where it may speak there.
#[derive(Clone, Copy)]
pub(super) struct Gates {
    pub(super) digest: Gate,
    pub(super) slack: Option<Gate>,
}

impl Gates {
    /// Whether each gate holds.
    pub(super) fn hold(&self, test: impl Fn(&Gate) -> bool) -> (bool, bool) {
        let digest = test(&self.digest);
        // Every Slack gate is stricter than the digest gate beside it, so it need not be tried alone.
        (digest, digest && self.slack.as_ref().is_some_and(test))
    }
}

const fn gate(factor: f64, amount: f64, least: f64) -> Gate {
    Gate { factor, ln_factor: f64::NAN, amount, least }
}

/// A gate of values.
const fn value(factor: f64, ln_factor: f64, amount: f64, least: f64) -> Gate {
    Gate { factor, ln_factor, amount, least }
}

const LN_1_6: f64 = 0.470_003_629_245_735_6;
const LN_1_8: f64 = 0.587_786_664_902_119_1;
const LN_3: f64 = 1.098_612_288_668_109_8;
const LN_4: f64 = 1.386_294_361_119_890_6;

const fn gates(digest: Gate, slack: Gate) -> Gates {
    Gates { digest, slack: Some(slack) }
}

/// Calls.
pub(super) const VOLUME_UP: Gates = gates(gate(2., 50., 0.), gate(3., 100., 0.));
pub(super) const VOLUME_DOWN: Gates = gates(gate(0.65, 10., 0.), gate(0.4, 20., 0.));
/// Counts, with a share of the calls.
pub(super) const ERRORS: Gates = gates(gate(3., 10., 0.02), gate(3., 20., 0.05));
pub(super) const THROTTLES: Gates = ERRORS;
pub(super) const DENIALS: Gates = gates(gate(3., 5., 0.), gate(3., 10., 0.));
pub(super) const FLOW: Gates = gates(gate(3., 100., 0.), gate(4., 200., 0.));
pub(super) const LINES: Gates = gates(gate(3., 1000., 0.), gate(5., 2000., 0.));
/// Milliseconds, with a number of calls.
pub(super) const MEDIAN: Gates = gates(value(1.6, LN_1_6, 20., 20.), value(1.8, LN_1_8, 20., 50.));
/// Tail latency is never worth a message of its own.
pub(super) const TAIL: Gates = Gates { digest: value(1.6, LN_1_6, 20., 20.), slack: None };
/// Dollars a day.
pub(super) const COST: Gates = gates(value(1.6, LN_1_6, 0.25, 20.), value(1.8, LN_1_8, 0.25, 50.));
/// Bytes, with a number of flow calls.
pub(super) const BYTES: Gates = gates(value(3., LN_3, 1e6, 20.), value(4., LN_4, 2e6, 20.));
/// Calls a day, either way; a slow shift is never urgent.
pub(super) const SLOW: Gates = Gates { digest: value(1.8, LN_1_8, 50., 0.), slack: None };
