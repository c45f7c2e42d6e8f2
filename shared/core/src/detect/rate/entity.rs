//! All rate statistics of one entity, stepped window by window.
//!
//! What the logs tell ([`Calls`]) and what the trail tells ([`Flows`]) share nothing but the first window. Every count is
//! bounded on the way in, so that no row can make a number overflow. There is deliberately no check that windows follow
//! each other: an entity's caller knows which windows were empty and which are not yet due.

use super::at::At;
use super::count::{self, PerCall};
use super::family::{Judging, Low, Remembered};
use super::grain::{Grain, Stored};
use super::peers::{DayMaxima, Peers};
use super::slow::Slow;
use super::value::{self, PerCallValue};
use super::volume::{Floors, Volume};
use super::{CallsRow, Context, FLOWS_MAX, Family, FlowRow, Judged, ROW_MAX, Score, Seen, gate};
use crate::time::WindowId;

/// All rate statistics of one entity (a function or another principal).
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    /// Day 0 is the UTC day of this window.
    pub(super) first: WindowId,
    pub(super) calls: Calls<Stored>,
    pub(super) flows: Flows<Stored>,
}

impl Rates {
    /// Statistics that begin with this window.
    pub fn new(first: WindowId) -> Rates {
        Rates { first, calls: Calls::new(), flows: Flows::new() }
    }

    /// Judges one window of the logs and learns it: volume, errors, throttles, lines, median, tail, cost, slow.
    pub fn step_calls(&mut self, row: &CallsRow, context: &Context, peers: Option<&Peers>) -> Judged {
        self.calls.step(row, &At::new(self.first, context.window), context, peers)
    }

    /// Judges one window of the trail and learns it: denials, calls and bytes of every tracked flow. `calls` are the
    /// entity's invocations in it. A flow is tracked from the first row that names its index; tracked flows without a row
    /// had no calls. Of rows with the same index the first counts.
    pub fn step_flows(&mut self, calls: f64, denials: f64, flows: &[FlowRow], context: &Context, peers: Option<&Peers>) -> Judged {
        self.flows.step(bounded(calls), bounded(denials), flows, self.first, context, peers)
    }

    /// Stops tracking a flow, so that its index can be used for another.
    pub fn forget_flow(&mut self, series: usize) {
        if let Some(flow) = self.flows.series.get_mut(series) {
            *flow = None;
        }
    }

    /// The first window.
    pub fn first(&self) -> WindowId {
        self.first
    }
}

/// What the logs tell.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Calls<G: Grain> {
    pub(super) volume: Volume<G>,
    pub(super) up: Remembered<G, 4>,
    pub(super) down: Remembered<G, 4>,
    pub(super) low: Low<G>,
    /// Errors, throttles, lines.
    pub(super) counts: [(PerCall<G>, Remembered<G, 3>); 3],
    /// Median, tail, cost.
    pub(super) values: [(PerCallValue<G>, Remembered<G, 3>); 3],
    pub(super) slow: Slow<G>,
}

/// Floors under which nothing is.
const ALL: [f64; 3] = [f64::NEG_INFINITY; 3];

/// The families of [`Calls::counts`] and [`Calls::values`].
const COUNTS: [Family; 3] = [Family::Errors, Family::Throttles, Family::Lines];
const VALUES: [Family; 3] = [Family::Median, Family::Tail, Family::Cost];

/// The surprises of one window of the logs.
pub(super) struct CallsSeen {
    pub(super) up: [Seen; 4],
    pub(super) down: [Seen; 4],
    pub(super) counts: [[Seen; 3]; 3],
    pub(super) values: [[Seen; 3]; 3],
    pub(super) slow: Seen,
}

impl<G: Grain> Calls<G> {
    pub(super) fn new() -> Calls<G> {
        Calls {
            volume: Volume::new(),
            up: Remembered::new(),
            down: Remembered::new(),
            low: Low::new(),
            counts: std::array::from_fn(|_| (PerCall::new(), Remembered::new())),
            values: std::array::from_fn(|_| (PerCallValue::new(), Remembered::new())),
            slow: Slow::new(),
        }
    }

    pub(super) fn step(&mut self, row: &CallsRow, at: &At, context: &Context, peers: Option<&Peers>) -> Judged {
        let seen = self.surprises(row, at, context, Some(peers));
        self.judge(&seen, at, context.account_low, peers)
    }

    /// The surprises; those that can't matter are left at 0 where it is said who the `peers` are.
    pub(super) fn surprises(&mut self, row: &CallsRow, at: &At, context: &Context, peers: Option<Option<&Peers>>) -> CallsSeen {
        let (calls, throttles, deployed) = (bounded(row.calls), bounded(row.throttles), context.deployed);
        let floors = self.floors(at, peers);
        let (up, down) = self.volume.step(calls, at, context.clocks_shifted, &floors);
        let three = |family: &Remembered<G, 3>| if peers.is_some() { family.floors(at) } else { ALL };
        let floors = self.counts.each_ref().map(|(_, family)| three(family));
        let [errors, refused, lines] = &mut self.counts;
        let counts = [
            errors.0.step((bounded(row.errors), calls), count::Nature::Share, &gate::ERRORS, at, deployed, &floors[0]),
            refused.0.step((throttles, calls + throttles), count::Nature::Share, &gate::THROTTLES, at, deployed, &floors[1]),
            lines.0.step((bounded(row.lines), calls), count::Nature::PerCall, &gate::LINES, at, deployed, &floors[2]),
        ];
        let floors = self.values.each_ref().map(|(_, family)| three(family));
        let [median, tail, cost] = &mut self.values;
        let values = [
            median.0.step((bounded(row.median_ms), calls), value::Nature::Duration, &gate::MEDIAN, at, deployed, &floors[0]),
            tail.0.step((bounded(row.p99_ms), calls), value::Nature::Duration, &gate::TAIL, at, deployed, &floors[1]),
            cost.0.step((bounded(row.cost_usd), calls), value::Nature::Dollars, &gate::COST, at, deployed, &floors[2]),
        ];
        CallsSeen { up, down, counts, values, slow: self.slow.step(calls, at) }
    }

    fn floors(&self, at: &At, peers: Option<Option<&Peers>>) -> Floors {
        let Some(peers) = peers else { return Floors { up: [f64::NEG_INFINITY; 4], down: [f64::NEG_INFINITY; 4] } };
        let (down, low) = (self.down.floors(at), self.low.floors(at, peers));
        Floors { up: self.up.floors(at), down: std::array::from_fn(|j| down[j].min(low[j])) }
    }

    pub(super) fn judge(&mut self, seen: &CallsSeen, at: &At, muted: bool, peers: Option<&Peers>) -> Judged {
        let mut scores = self.judge_volume(&seen.up, &seen.down, at, muted, peers);
        let judging = |family| Judging { family, at, day: at.day, peers, muted };
        for (((_, family), seen), name) in self.counts.iter_mut().zip(&seen.counts).zip(COUNTS) {
            scores.extend(family.judge(seen, &judging(name)));
        }
        for (((_, family), seen), name) in self.values.iter_mut().zip(&seen.values).zip(VALUES) {
            scores.extend(family.judge(seen, &judging(name)));
        }
        scores.extend(judge_slow(&seen.slow, at));
        let day_ended = if at.day_ends() { self.end_day(at.day) } else { None };
        Judged { scores, low: self.low.recent(), day_ended }
    }

    fn judge_volume(&mut self, up: &[Seen; 4], down: &[Seen; 4], at: &At, muted: bool, peers: Option<&Peers>) -> Vec<Score> {
        let judging = |family| Judging { family, at, day: at.day, peers, muted };
        self.low.see([down[0].u.min(self.down.last_one()), down[1].u, down[2].u, down[3].u], at.day, peers);
        let mut scores = Vec::new();
        scores.extend(self.up.judge(up, &judging(Family::VolumeUp)));
        scores.extend(self.down.judge(down, &judging(Family::VolumeDown)));
        scores
    }

    /// Learns windows of one hour without activity in everything that is judged per call, if no gate can hold there; `at` is
    /// the first, and none is the first or the last of a day. `forced`: what can be told is not asked.
    pub(super) fn rest(&mut self, at: &At, windows: u32, forced: bool) -> bool {
        let gates = [&gate::ERRORS, &gate::THROTTLES, &gate::LINES];
        if !forced && !self.counts.iter().zip(gates).all(|((count, _), gates)| count.quiet(gates)) {
            return false;
        }
        for (count, family) in &mut self.counts {
            count.fade(at, windows);
            family.rest();
        }
        for (value, family) in &mut self.values {
            value.fade(windows);
            family.rest();
        }
        true
    }

    /// Passes at once what it can of such windows in the volume; gives how many.
    pub(super) fn pass(&mut self, at: &At, windows: u32, forced: bool) -> u32 {
        if !forced && self.slow.held() {
            return 0;
        }
        let passed = self.volume.pass(at, windows, forced);
        if passed > 0 {
            self.up.fade();
            self.down.fade();
            self.low.fade(passed);
        }
        passed
    }

    /// Judges and learns one such window in the volume alone.
    pub(super) fn step_volume(&mut self, at: &At, context: &Context, peers: Option<&Peers>) -> Judged {
        let floors = self.floors(at, Some(peers));
        let (up, down) = self.volume.step(0., at, context.clocks_shifted, &floors);
        let mut scores = self.judge_volume(&up, &down, at, context.account_low, peers);
        scores.extend(judge_slow(&self.slow.step(0., at), at));
        Judged { scores, low: self.low.recent(), day_ended: None }
    }

    fn end_day(&mut self, day: u32) -> Option<DayMaxima> {
        let mut values = Vec::new();
        self.up.end_day(Family::VolumeUp, day, &mut values);
        self.down.end_day(Family::VolumeDown, day, &mut values);
        for ((_, family), name) in self.counts.iter_mut().zip(COUNTS) {
            family.end_day(name, day, &mut values);
        }
        for ((_, family), name) in self.values.iter_mut().zip(VALUES) {
            family.end_day(name, day, &mut values);
        }
        for ring in &mut self.low.rings {
            ring.end_day(day);
        }
        (!values.is_empty()).then_some(DayMaxima { values })
    }
}

fn judge_slow(seen: &Seen, at: &At) -> Option<Score> {
    let score = || Score {
        family: Family::Slow,
        digest: 1.5 * seen.u,
        slack: 0.,
        evidence: seen.evidence(at, 7 * crate::time::WINDOWS_PER_DAY as u16),
    };
    seen.digest.then(score)
}

/// What the trail tells.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Flows<G: Grain> {
    pub(super) denials: (PerCall<G>, Remembered<G, 3>),
    pub(super) series: [Option<Box<Flow<G>>>; FLOWS_MAX],
}

/// One tracked flow.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Flow<G: Grain> {
    /// The first window that named it.
    pub(super) first: WindowId,
    pub(super) calls: (PerCall<G>, Remembered<G, 3>),
    pub(super) bytes: (PerCallValue<G>, Remembered<G, 3>),
}

impl<G: Grain> Flow<G> {
    pub(super) fn new(first: WindowId) -> Flow<G> {
        Flow { first, calls: (PerCall::new(), Remembered::new()), bytes: (PerCallValue::new(), Remembered::new()) }
    }
}

/// The surprises of one window of the trail.
pub(super) struct FlowsSeen {
    pub(super) denials: [Seen; 3],
    pub(super) series: [Option<([Seen; 3], [Seen; 3])>; FLOWS_MAX],
}

impl<G: Grain> Flows<G> {
    pub(super) fn new() -> Flows<G> {
        Flows { denials: (PerCall::new(), Remembered::new()), series: Default::default() }
    }

    pub(super) fn step(
        &mut self,
        calls: f64,
        denials: f64,
        rows: &[FlowRow],
        first: WindowId,
        context: &Context,
        peers: Option<&Peers>,
    ) -> Judged {
        let seen = self.surprises(calls, denials, rows, context, true);
        self.judge(&seen, &At::new(first, context.window), peers)
    }

    /// Learns windows of one hour without activity, if no gate can hold there; `at` is the first, and none is the first or
    /// the last of a day. `forced`: what can be told is not asked.
    pub(super) fn rest(&mut self, at: &At, windows: u32, forced: bool) -> bool {
        let quiet = || self.denials.0.quiet(&gate::DENIALS) && self.series.iter().flatten().all(|flow| flow.calls.0.quiet(&gate::FLOW));
        if !forced && !quiet() {
            return false;
        }
        self.denials.0.fade(at, windows);
        self.denials.1.rest();
        for flow in self.series.iter_mut().flatten() {
            flow.calls.0.fade(at, windows);
            flow.calls.1.rest();
            flow.bytes.0.fade(windows);
            flow.bytes.1.rest();
        }
        true
    }

    /// The surprises; with `lazy` those that can't matter are left at 0.
    pub(super) fn surprises(&mut self, calls: f64, denials: f64, rows: &[FlowRow], context: &Context, lazy: bool) -> FlowsSeen {
        // Of a place, nothing here looks at more than the hour; so any first window will do.
        let (at, deployed) = (At::new(context.window, context.window), context.deployed);
        let floors = |family: &Remembered<G, 3>| if lazy { family.floors(&at) } else { ALL };
        for row in rows {
            if let Some(flow @ None) = self.series.get_mut(row.series) {
                *flow = Some(Box::new(Flow::new(context.window)));
            }
        }
        let denials = self.denials.0.step((denials, calls), count::Nature::Share, &gate::DENIALS, &at, deployed, &floors(&self.denials.1));
        let mut series = [None; FLOWS_MAX];
        for (i, (seen, flow)) in series.iter_mut().zip(&mut self.series).enumerate() {
            let Some(flow) = flow else { continue };
            let row = rows.iter().find(|row| row.series == i).copied().unwrap_or_default();
            let (y, bytes) = (bounded(row.calls), bounded(row.bytes));
            *seen = Some((
                flow.calls.0.step((y, calls), count::Nature::PerCall, &gate::FLOW, &at, deployed, &floors(&flow.calls.1)),
                flow.bytes.0.step((bytes, y), value::Nature::Bytes, &gate::BYTES, &at, deployed, &floors(&flow.bytes.1)),
            ));
        }
        FlowsSeen { denials, series }
    }

    pub(super) fn judge(&mut self, seen: &FlowsSeen, at: &At, peers: Option<&Peers>) -> Judged {
        let judging = |family, day| Judging { family, at, day, peers, muted: false };
        let (mut scores, mut values) = (Vec::new(), Vec::new());
        scores.extend(self.denials.1.judge(&seen.denials, &judging(Family::Denials, at.day)));
        if at.day_ends() {
            self.denials.1.end_day(Family::Denials, at.day, &mut values);
        }
        for (series, (seen, flow)) in seen.series.iter().zip(&mut self.series).enumerate() {
            let (Some((calls, bytes)), Some(flow)) = (seen, flow) else { continue };
            let day = At::new(flow.first, at.window).day;
            scores.extend(flow.calls.1.judge(calls, &judging(Family::Flow { series }, day)));
            scores.extend(flow.bytes.1.judge(bytes, &judging(Family::Bytes { series }, day)));
            if at.day_ends() {
                flow.calls.1.end_day(Family::Flow { series }, day, &mut values);
                flow.bytes.1.end_day(Family::Bytes { series }, day, &mut values);
            }
        }
        Judged { scores, low: false, day_ended: (!values.is_empty()).then_some(DayMaxima { values }) }
    }
}

/// A count as the statistics take it: no number is none, and beyond [`ROW_MAX`] is that.
fn bounded(value: f64) -> f64 {
    if value.is_nan() { 0. } else { value.clamp(0., ROW_MAX) }
}
