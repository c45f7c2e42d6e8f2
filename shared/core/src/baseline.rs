//! What is normal for one entity: its rate statistics, the flows that are tracked one by one, its latest changes.
//!
//! A baseline learns window after window; windows without activity are one step ([`Baseline::advance`]), taken when the
//! entity is seen again or when its silence could be told. It is a checkpoint: it knows the first window that it has not
//! learnt, so learning the same windows twice changes nothing. Known flows stand in the account, because a new one is
//! compared with everybody's. There is deliberately no threshold here.

use std::collections::VecDeque;

use minicbor::{Decode, Encode};

use crate::detect::rate::{CallsRow, Context, DayMaxima, FLOWS_MAX, Family, FlowRow, HALF_HOUR_FADE, Judged, Peers, Rates};
use crate::detect::silence::{Pause, Silence};
use crate::facts::Facts;
use crate::limits::CHANGES_MAX;
use crate::stored::{StoredError, from_cbor};
use crate::time::{DAY_MS, Timestamp, WINDOWS_PER_DAY, WINDOWS_PER_HOUR, WindowId};

/// Windows after which the place of a tracked flow that is no longer used may go to another: 14 days.
const TRACKED_IDLE_WINDOWS: u32 = 14 * WINDOWS_PER_DAY;
/// Hours of activity that are kept to be drawn.
const HOURS: usize = 48;
/// Calls a day below which windows without calls are not judged as they pass, but when the entity is seen again: `silence`
/// asks for eight missed calls.
const WATCHED_CALLS_A_DAY: f64 = 8.0;
/// Windows of a week before the weekend.
const WEEKDAY_WINDOWS: u32 = 5 * WINDOWS_PER_DAY;
/// How much of the record is left after a day: half of it in a month.
const RECORD_FADE: f64 = 0.98;
/// Windows without a report after which the log of a function that goes on acting counts as missing: two days.
const REPORTS_GONE_WINDOWS: u32 = 2 * WINDOWS_PER_DAY;
/// Windows for which refusals are learnt, after kinds of flows came in sight that were not seen before: a week, as for flows.
const DENIALS_FROM_WINDOWS: u32 = 7 * WINDOWS_PER_DAY;
/// An entity that was not seen for so long is not missed any more.
const WATCHED_DAYS: u32 = 35;

/// What a call of an entity is; the better source replaces the worse, and learning begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
enum Calls {
    /// Calls of APIs: a principal, or a function that nothing else is known of.
    #[n(0)]
    Flows,
    /// Invocations by the trail.
    #[n(1)]
    Runs,
    /// Invocations by their reports.
    #[n(2)]
    Reports,
}

/// A change that a person wants to hear of.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Change {
    #[n(0)]
    at_ms: i64,
    #[n(1)]
    words: String,
}

/// A flow whose calls and bytes are a series of their own.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Tracked {
    #[n(0)]
    target: String,
    #[n(1)]
    used: u32,
}

/// What is normal for one entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    first: WindowId,
    next: WindowId,
    seen: WindowId,
    calls: Calls,
    calls_total: f64,
    /// Boxed: it takes kilobytes, and maps keep room for more values than they hold.
    rates: Box<Rates>,
    tracked: Vec<Option<Tracked>>,
    changes: VecDeque<Change>,
    hours: VecDeque<f32>,
    hour: u32,
    low: bool,
    silence: Silence,
    peaks: Peaks,
    busiest: Busiest,
    reported: WindowId,
    /// Its calls are counted as they are now since this window.
    counted: WindowId,
    /// The latest beginning of data events among its flows, or its first window: refusals were not all seen before.
    widened: WindowId,
}

/// The most calls in half an hour.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
struct Peaks {
    /// Faded sum up to the last window that was seen.
    #[n(0)]
    sum: f64,
    /// Its maximum today, and on the days before, faded.
    #[n(1)]
    today: f64,
    #[n(2)]
    before: f64,
    /// Today, in days since 1970.
    #[n(3)]
    day: u32,
}

/// Where most calls of a burst went.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
struct Busiest {
    /// Its most called target, as [`FlowFact::target_id`](crate::facts::FlowFact::target_id) has it.
    #[n(0)]
    target: String,
    /// Calls of it in that window.
    #[n(1)]
    calls: f64,
    /// The window.
    #[n(2)]
    window: u32,
}

impl Busiest {
    fn see(&mut self, window: WindowId, facts: &Facts) {
        let calls = |f: &crate::facts::FlowFact| f.permitted + f.denied;
        // Of equals the first in order of their names.
        let Some(most) = facts.flows.iter().rev().max_by_key(|f| calls(f)) else { return };
        let (n, since) = (calls(most) as f64, f64::from(window.0.saturating_sub(self.window)));
        if n >= self.calls * libm::pow(HALF_HOUR_FADE, since) {
            *self = Busiest { target: most.target_id().to_owned(), calls: n, window: window.0 };
        }
    }
}

impl Peaks {
    fn see(&mut self, window: WindowId, since: u32, calls: f64) {
        if window.day() > self.day {
            let days = (window.day() - self.day).min(365);
            self.before = self.before.max(self.today) * libm::pow(RECORD_FADE, f64::from(days));
            (self.today, self.day) = (0.0, window.day());
        }
        self.sum = self.sum * libm::pow(HALF_HOUR_FADE, f64::from(since)) + calls;
        self.today = self.today.max(self.sum);
    }
}

/// The format of a baseline's stored form.
const FORMAT: u8 = 1;

/// The stored form.
#[derive(Encode, Decode)]
struct Stored {
    #[n(0)]
    format: u8,
    #[n(1)]
    windows: [u32; 4],
    #[n(2)]
    calls: Calls,
    #[n(3)]
    calls_total: f64,
    #[cbor(n(4), with = "minicbor::bytes")]
    rates: Vec<u8>,
    #[n(5)]
    tracked: Vec<Option<Tracked>>,
    #[n(6)]
    changes: Vec<Change>,
    #[n(7)]
    hours: Vec<f32>,
    #[n(8)]
    flags: u8,
    #[n(9)]
    silence: Silence,
    #[n(10)]
    peaks: Peaks,
    #[n(11)]
    busiest: Busiest,
    #[n(12)]
    reported: u32,
    /// Windows: its calls are counted so since, its flows were widened last.
    #[n(13)]
    since: Option<[u32; 2]>,
}

/// What a baseline is judged with beside its own facts.
pub struct Surroundings<'a> {
    /// What entities of the same kind showed in their first days.
    pub peers: &'a Peers,
    /// So many others are low that low volume is the account's news.
    pub account_low: bool,
    /// Runs of windows in which the account's feeds brought nothing: nothing is judged or learnt there.
    pub gaps: &'a [(WindowId, WindowId)],
}

/// What a baseline says of some windows.
#[derive(Debug, Default)]
pub struct Said {
    /// Scores of families that passed a gate.
    pub scores: Vec<crate::detect::rate::Score>,
    /// Days of a young entity that ended, for its peers.
    pub days: Vec<DayMaxima>,
    /// A pause that lasts, if it matters.
    pub pause: Option<Pause>,
}

impl Said {
    /// Takes back that it was quiet, where nobody could have seen it.
    pub fn forget_quiet(&mut self) {
        self.pause = None;
        self.scores.retain(|score| score.family != Family::VolumeDown);
    }

    fn add(&mut self, mut judged: Judged) {
        self.days.extend(judged.day_ended.take());
        self.scores.append(&mut judged.scores);
    }
}

impl Baseline {
    /// The baseline of an entity that is first seen in this window.
    pub fn new(first: WindowId) -> Baseline {
        Baseline {
            first,
            next: first,
            seen: first,
            calls: Calls::Flows,
            calls_total: 0.0,
            rates: Box::new(Rates::new(first)),
            tracked: vec![None; FLOWS_MAX],
            changes: VecDeque::new(),
            hours: VecDeque::new(),
            hour: first.0 / WINDOWS_PER_HOUR,
            low: false,
            silence: Silence::default(),
            peaks: Peaks { day: first.day(), ..Peaks::default() },
            busiest: Busiest::default(),
            reported: first,
            counted: first,
            widened: first,
        }
    }

    /// The first window that it has not learnt.
    pub fn next(&self) -> WindowId {
        self.next
    }

    /// Days since it was first seen.
    pub fn learnt_days(&self, now: WindowId) -> f64 {
        f64::from(now.0.saturating_sub(self.first.0)) / f64::from(WINDOWS_PER_DAY)
    }

    /// Days since its calls are counted as they are now.
    pub fn counted_days(&self, now: WindowId) -> f64 {
        f64::from(now.0.saturating_sub(self.counted.0)) / f64::from(WINDOWS_PER_DAY)
    }

    /// It had an ungated low score in the last six hours, and a day to learn what is low.
    pub fn is_low(&self) -> bool {
        self.low && self.next.0.saturating_sub(self.counted.0) >= WINDOWS_PER_DAY
    }

    /// Whether its silence could be told, so that windows without it must be judged as they pass.
    pub fn is_watched(&self) -> bool {
        let days = f64::from(self.seen.0 - self.first.0) / f64::from(WINDOWS_PER_DAY) + 1.0;
        self.next.0 - self.seen.0 < WATCHED_DAYS * WINDOWS_PER_DAY && self.calls_total / days >= WATCHED_CALLS_A_DAY
    }

    /// Whether today's busiest half hour is at least twice that of any day before. People work in bursts, and their
    /// quiet days say little of their next one: a volume that they reached before is not told of them.
    pub fn breaks_record(&self) -> bool {
        self.peaks.today >= 2.0 * self.peaks.before
    }

    /// Whether it was seen in the last window that it learnt.
    pub fn is_just_seen(&self) -> bool {
        self.next.0 == self.seen.0 + 1
    }

    /// The target of most calls of the latest burst.
    pub fn busiest_target(&self) -> Option<&str> {
        Some(self.busiest.target.as_str()).filter(|t| !t.is_empty())
    }

    /// Whether a whole day of this window's kind (weekday or weekend) was learnt before. Until then the season knows
    /// nothing of such days, and a volume that is unlike the other kind's says nothing.
    pub fn knows_day_of(&self, window: WindowId) -> bool {
        let is_weekend = |day: u32| WindowId(day * WINDOWS_PER_DAY).slot_of_week() >= WEEKDAY_WINDOWS;
        let first_whole = self.counted.0.div_ceil(WINDOWS_PER_DAY);
        (first_whole..window.day()).rev().take(7).any(|day| is_weekend(day) == is_weekend(window.day()))
    }

    /// Whether the refusals of all its flows have been seen for long enough to say what is usual.
    pub fn knows_denials_at(&self, window: WindowId) -> bool {
        self.widened == self.first || window.0.saturating_sub(self.widened.0) >= DENIALS_FROM_WINDOWS
    }

    /// Some of its flows are seen only since a window (data events that were switched on then): where calls are counted by
    /// flows, what was learnt before says nothing of what is seen now, and learning begins anew.
    pub fn widen(&mut self, since: Option<WindowId>, window: WindowId) {
        let Some(since) = since.filter(|since| *since > self.widened) else { return };
        self.widened = since;
        if self.calls == Calls::Flows {
            self.learn_anew(window);
        }
    }

    fn learn_anew(&mut self, window: WindowId) {
        *self.rates = Rates::new(window);
        self.tracked.fill(None);
        self.silence = Silence::default();
        self.peaks = Peaks { day: window.day(), ..Peaks::default() };
        self.counted = window;
    }

    /// Judges and learns the windows before `to` in which the entity was not seen.
    pub fn advance(&mut self, to: WindowId, around: &Surroundings<'_>) -> Said {
        let mut said = Said::default();
        while self.next < to {
            if let Some(&(_, end)) = around.gaps.iter().find(|(from, end)| (from.0..end.0).contains(&self.next.0)) {
                self.next = end.min(to);
                continue;
            }
            let gap = around.gaps.iter().map(|g| g.0).filter(|&from| from > self.next).min();
            let end = gap.map_or(to, |from| from.min(to));
            let calls = self.rates.idle_calls(self.next, end, false, around.account_low, Some(around.peers));
            self.low = calls.worst.low;
            let flows = self.rates.idle_flows(self.next, end, Some(around.peers));
            for idle in [calls, flows] {
                said.add(idle.worst);
                said.days.extend(idle.days_ended);
            }
            self.next = end;
        }
        if !around.gaps.iter().any(|g| g.0 >= self.seen) {
            // Nothing was judged yet where the entity is first seen in this window.
            let pause = (self.next.0 - self.seen.0).saturating_sub(1);
            self.silence.paused(self.next.day(), pause);
            said.pause = self.silence.judge(pause).filter(|_| !around.account_low);
        }
        said
    }

    /// Judges and learns a window in which the entity was seen; [`Baseline::advance`] must have come up to it.
    pub fn step(&mut self, window: WindowId, facts: &Facts, around: &Surroundings<'_>) -> Said {
        let calls = self.calls(window, facts);
        self.calls_total += calls;
        self.peaks.see(window, window.0 - self.seen.0, calls);
        self.busiest.see(window, facts);
        self.draw(window, calls);
        let deployed = facts.changes.iter().any(|c| c.kind.is_deployment());
        let context = Context { window, deployed, clocks_shifted: false, account_low: around.account_low };
        let row = CallsRow {
            calls,
            errors: (facts.failures as f64).min(calls),
            throttles: facts.throttles as f64,
            lines: facts.lines as f64,
            median_ms: facts.duration_ms(0.5),
            p99_ms: facts.duration_ms(0.99),
            cost_usd: facts.cost_usd,
        };
        let mut said = Said::default();
        let judged = self.rates.step_calls(&row, &context, Some(around.peers));
        self.low = judged.low;
        said.add(judged);
        let flows = self.flow_rows(window, facts);
        said.add(self.rates.step_flows(calls, facts.denials() as f64, &flows, &context, Some(around.peers)));
        if calls > 0.0 {
            let gap = around.gaps.iter().any(|g| g.0 >= self.seen);
            let pause = if gap { 0 } else { window.0 - self.seen.0 };
            self.silence.called(window.day(), pause.saturating_sub(1), calls);
            self.seen = window;
        }
        self.next = WindowId(window.0 + 1);
        said
    }

    /// Whether its calls are counted by reports, so that its silence can only be told where logs are.
    pub fn counts_reports(&self) -> bool {
        self.calls == Calls::Reports
    }

    /// The calls of a window by the best source that this entity has. The source changes where a better one comes, or where
    /// the log has brought nothing for two days of a function that goes on acting; then learning begins anew.
    fn calls(&mut self, window: WindowId, facts: &Facts) -> f64 {
        if facts.reports > 0 {
            self.reported = window;
        }
        let is_gone =
            self.calls == Calls::Reports && window.0.saturating_sub(self.reported.0) > REPORTS_GONE_WINDOWS && facts.flow_calls() > 0;
        let source = match (facts.reports, facts.runs) {
            (0, 0) => Calls::Flows,
            (0, _) => Calls::Runs,
            _ => Calls::Reports,
        };
        if source > self.calls || is_gone {
            if self.calls_total > 0.0 {
                self.learn_anew(window);
            }
            self.calls = source;
        }
        self.calls_in(facts)
    }

    /// The calls of a window by the source that they are counted by.
    pub fn calls_in(&self, facts: &Facts) -> f64 {
        match self.calls {
            Calls::Flows => facts.flow_calls() as f64,
            Calls::Runs => facts.runs as f64,
            Calls::Reports => facts.reports as f64,
        }
    }

    /// Rows of the tracked flows; a target that is not tracked takes a free place, or that of one long unused.
    fn flow_rows(&mut self, window: WindowId, facts: &Facts) -> Vec<FlowRow> {
        let mut rows: Vec<FlowRow> = Vec::new();
        for flow in &facts.flows {
            let Some(series) = self.series(window, flow.target_id()) else { continue };
            let (calls, bytes) = ((flow.permitted + flow.denied) as f64, flow.bytes);
            match rows.iter_mut().find(|r| r.series == series) {
                Some(row) => {
                    row.calls += calls;
                    row.bytes += bytes;
                }
                None => rows.push(FlowRow { series, calls, bytes }),
            }
        }
        rows
    }

    fn series(&mut self, window: WindowId, target: &str) -> Option<usize> {
        for (series, tracked) in self.tracked.iter_mut().enumerate() {
            if let Some(tracked) = tracked.as_mut().filter(|t| t.target == target) {
                tracked.used = window.0;
                return Some(series);
            }
        }
        let free = || self.tracked.iter().position(Option::is_none);
        let unused = || self.tracked.iter().position(|t| t.as_ref().is_some_and(|t| window.0 - t.used > TRACKED_IDLE_WINDOWS));
        let series = free().or_else(unused)?;
        self.rates.forget_flow(series);
        *self.tracked.get_mut(series)? = Some(Tracked { target: target.to_owned(), used: window.0 });
        Some(series)
    }

    /// The target of a tracked flow.
    pub fn tracked(&self, family: Family) -> Option<&str> {
        match family {
            Family::Flow { series } | Family::Bytes { series } => self.tracked.get(series)?.as_ref().map(|t| t.target.as_str()),
            _ => None,
        }
    }

    fn draw(&mut self, window: WindowId, calls: f64) {
        self.draw_to(window.0 / WINDOWS_PER_HOUR);
        if let Some(last) = self.hours.back_mut() {
            *last += calls as f32;
        }
    }

    fn draw_to(&mut self, hour: u32) {
        if self.hours.is_empty() {
            self.hours.push_back(0.0);
            self.hour = hour;
        }
        for _ in 0..hour.saturating_sub(self.hour).min(HOURS as u32) {
            self.hours.push_back(0.0);
        }
        self.hour = self.hour.max(hour);
        while self.hours.len() > HOURS {
            self.hours.pop_front();
        }
    }

    /// Calls an hour up to this window, the oldest first, at most 48.
    pub fn hours(&mut self, window: WindowId) -> Vec<f32> {
        self.draw_to(window.0 / WINDOWS_PER_HOUR);
        self.hours.iter().copied().collect()
    }

    /// Remembers a change, to be told with what follows it.
    pub fn changed(&mut self, at: Timestamp, words: String) {
        let change = Change { at_ms: at.ms(), words };
        if !self.changes.contains(&change) {
            self.changes.push_back(change);
        }
        while self.changes.len() > CHANGES_MAX {
            self.changes.pop_front();
        }
    }

    /// Changes of the day before an instant, the latest first.
    pub fn changes_before(&self, at: Timestamp) -> Vec<String> {
        let recent = self.changes.iter().rev().filter(|c| c.at_ms <= at.ms() && at.ms() - c.at_ms <= DAY_MS);
        recent.map(|c| c.words.clone()).collect()
    }

    /// The bytes to store.
    pub fn encode(&self) -> Vec<u8> {
        let stored = Stored {
            format: FORMAT,
            windows: [self.first.0, self.next.0, self.seen.0, self.hour],
            calls: self.calls,
            calls_total: self.calls_total,
            rates: self.rates.encode(),
            tracked: self.tracked.clone(),
            changes: self.changes.iter().cloned().collect(),
            hours: self.hours.iter().copied().collect(),
            flags: u8::from(self.low),
            silence: self.silence.clone(),
            peaks: self.peaks.clone(),
            busiest: self.busiest.clone(),
            reported: self.reported.0,
            since: Some([self.counted.0, self.widened.0]),
        };
        // Encoding into memory can't fail.
        minicbor::to_vec(stored).unwrap_or_default()
    }

    /// Reads what [`Baseline::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Baseline, StoredError> {
        let s: Stored = from_cbor(bytes, FORMAT)?;
        let [first, next, seen, hour] = s.windows.map(WindowId);
        if s.tracked.len() != FLOWS_MAX || first > seen || seen > next {
            return Err(StoredError::Damaged);
        }
        let [counted, widened] = s.since.unwrap_or([first.0; 2]);
        Ok(Baseline {
            first,
            next,
            seen,
            calls: s.calls,
            calls_total: s.calls_total,
            rates: Box::new(Rates::decode(&s.rates)?),
            tracked: s.tracked,
            changes: s.changes.into(),
            hours: s.hours.into(),
            hour: hour.0,
            low: s.flags & 1 != 0,
            silence: s.silence,
            peaks: s.peaks,
            busiest: s.busiest,
            reported: WindowId(s.reported),
            counted: WindowId(counted),
            widened: WindowId(widened),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    use crate::batch::EventId;
    use crate::facts::{FlowFact, Moment, Span};
    use crate::observe::Verb;

    const FIRST: WindowId = WindowId(1_000_000);

    fn facts(window: WindowId, reports: u64, flows: u64) -> Facts {
        let moment = Moment { at: window.start(), event: EventId::None };
        let flow = FlowFact {
            service: "s3".to_owned(),
            action: "GetObject".to_owned(),
            verb: Verb::ReadOne,
            target: None,
            permitted: flows,
            denied: 0,
            data: true,
            bytes: 0.0,
            span: Span { first: moment.clone(), last: moment },
            target_id: "service s3".to_owned(),
        };
        Facts { reports, flows: if flows > 0 { vec![flow] } else { Vec::new() }, ..Facts::default() }
    }

    /// Steps through windows, each with so many reports and calls of flows.
    fn learn(baseline: &mut Baseline, windows: std::ops::Range<u32>, reports: u64, flows: u64) {
        let peers = Peers::default();
        let around = Surroundings { peers: &peers, account_low: false, gaps: &[] };
        for window in windows.map(|n| WindowId(FIRST.0 + n)) {
            baseline.advance(window, &around);
            baseline.step(window, &facts(window, reports, flows), &around);
        }
    }

    #[test]
    fn calls_are_counted_by_flows_again_where_the_log_is_gone() {
        let mut baseline = Baseline::new(FIRST);
        learn(&mut baseline, 0..600, 3, 7);
        assert!(baseline.counts_reports());
        learn(&mut baseline, 600..600 + REPORTS_GONE_WINDOWS, 0, 7);
        assert!(baseline.counts_reports(), "within two days a log may only be late");
        learn(&mut baseline, 600 + REPORTS_GONE_WINDOWS..602 + REPORTS_GONE_WINDOWS, 0, 7);
        assert!(!baseline.counts_reports());
        let window = WindowId(FIRST.0 + 602 + REPORTS_GONE_WINDOWS);
        assert_eq!(baseline.calls_in(&facts(window, 0, 7)), 7.0);
        assert!(baseline.counted_days(window) < 0.1 && baseline.learnt_days(window) > 4.0, "learning began anew");
        learn(&mut baseline, 602 + REPORTS_GONE_WINDOWS..603 + REPORTS_GONE_WINDOWS, 3, 7);
        assert!(baseline.counts_reports(), "the log is back");
        assert_eq!(Baseline::decode(&baseline.encode()), Ok(baseline));
    }

    /// Whoever changes these bytes raises [`FORMAT`], or the version of the statistics within.
    #[test]
    fn the_layout_stays_as_it_is() {
        let mut baseline = Baseline::new(FIRST);
        learn(&mut baseline, 0..3 * WINDOWS_PER_DAY, 3, 7);
        learn(&mut baseline, 3 * WINDOWS_PER_DAY + 40..3 * WINDOWS_PER_DAY + 50, 0, 7);
        baseline.widen(Some(WindowId(FIRST.0 + 900)), WindowId(FIRST.0 + 900));
        baseline.changed(FIRST.start(), "code updated by ci".to_owned());
        baseline.low = true;
        let statistics = Stored { rates: Vec::new(), ..minicbor::decode(&baseline.encode()).unwrap() };
        let hex: String = minicbor::to_vec(statistics).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        expect!["8e01841a000f42401a000f45d21a000f459f1a000145d1820280fb40a44000000000004088826a736572766963652073331a000f45d1f6f6f6f6f6f6f681821b00000045d964b80072636f646520757064617465642062792063699830fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa42100000fa41400000fa00000000fa00000000fa00000000fa000000000186830101011831fb409f051eb851eb85fb4003851eb851eb86fb4068000000000000190d9384fb395d87a9caab3309fb40338aa9673ef97afb4033269bc67608f7190d93836a73657276696365207333fb401c0000000000001a000f45d11a000f459f821a000f42401a000f45c4"].assert_eq(&hex);
        let rates = baseline.rates.encode();
        expect!["2363 bytes, 3aa9fe72e8011ee09f7a716dd5fdc910544f24091d270a4b3da28b3f991e38d3"].assert_eq(&format!(
            "{} bytes, {}",
            rates.len(),
            blake3::hash(&rates).to_hex()
        ));
        assert_eq!(Baseline::decode(&baseline.encode()), Ok(baseline));
    }

    #[test]
    fn a_log_that_ends_with_its_function_is_only_silent() {
        let mut baseline = Baseline::new(FIRST);
        learn(&mut baseline, 0..600, 3, 0);
        learn(&mut baseline, 600..600 + 3 * REPORTS_GONE_WINDOWS, 0, 0);
        assert!(baseline.counts_reports());
    }

    #[test]
    fn flows_that_come_in_sight_begin_the_count_anew_and_refusals_wait() {
        let mut baseline = Baseline::new(FIRST);
        learn(&mut baseline, 0..600, 0, 2);
        let now = |n: u32| WindowId(FIRST.0 + n);
        assert!(baseline.knows_denials_at(now(600)));
        baseline.widen(Some(now(600)), now(600));
        learn(&mut baseline, 600..610, 0, 90);
        assert!(baseline.counted_days(now(610)) < 0.1 && !baseline.knows_denials_at(now(610)));
        assert!(baseline.knows_denials_at(now(600 + DENIALS_FROM_WINDOWS)));
        baseline.widen(Some(now(600)), now(610));
        assert_eq!(baseline.counted, now(600), "once only");
    }
}
