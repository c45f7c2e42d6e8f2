//! Runs of windows without any activity: most windows of most entities.
//!
//! A window that is absent counts as all zeros, and silence is judged like anything else. What is judged per call learns
//! nothing where there are no calls, so there an hour is one step where no gate can hold. The volume does learn: where no
//! gate can hold and next to nothing is expected of any window, those of one hour are learnt at once at the expectation of
//! their middle and the last is stepped, because there a silence is deepest. Elsewhere, and at the first window of a day, in
//! which what is left of yesterday's surges begins the day's maxima, and at the last, every window is stepped. Measured
//! against stepping every window, of functions from one call a week to a hundred a day: of some 1,400 scores two moved by
//! more than .05, `low` differed in 33 windows of one, a daily maximum of low volume by up to .16; the tests hold this.
//! Deliberately absent: any judgement within what is learnt at once, because nothing there could have been said.

use super::at::At;
use super::entity::Rates;
use super::peers::{DayMaxima, Peers};
use super::{CallsRow, Context, Judged};
use crate::time::{WINDOWS_PER_DAY, WINDOWS_PER_HOUR, WindowId};

/// Windows of a run that are judged: 35 days, after which a daily ring is full of the silence. Of what follows, hours are
/// faded without judgement.
pub const IDLE_WINDOWS_MAX: u32 = 35 * 288;
/// Windows of a run that are faded at most: 400 days, after which nothing is left to fade.
const FADE_WINDOWS_MAX: u32 = 400 * 288;

/// What a run without activity says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Idle {
    /// Of every family the window with the largest digest score, and the largest Slack score; `low` as of the run's end.
    pub worst: Judged,
    /// Days of a young entity that ended in the run, for [`Peers::add`]; they are not in `worst`.
    pub days_ended: Vec<DayMaxima>,
}

impl Idle {
    pub(super) fn merge(&mut self, mut judged: Judged) {
        self.days_ended.extend(judged.day_ended.take());
        self.worst.low = judged.low;
        for score in judged.scores {
            match self.worst.scores.iter_mut().find(|s| s.family == score.family) {
                None => self.worst.scores.push(score),
                Some(worst) => {
                    worst.slack = worst.slack.max(score.slack);
                    if score.digest > worst.digest {
                        (worst.digest, worst.evidence) = (score.digest, score.evidence);
                    }
                }
            }
        }
    }
}

/// One kind of statistics in a run.
trait Sleeper {
    /// Judges and learns some windows of one hour, none of them the first or the last of a day; `at` is the first.
    fn pass(&mut self, at: &At, windows: u32, judged: bool, idle: &mut Idle);
    fn step(&mut self, at: &At) -> Judged;
}

/// Passes a run.
fn pass(sleeper: &mut impl Sleeper, first: WindowId, from: WindowId, to: WindowId) -> Idle {
    let mut idle = Idle::default();
    let judged_to = to.0.min(from.0.saturating_add(IDLE_WINDOWS_MAX));
    let faded_to = to.0.min(from.0.saturating_add(FADE_WINDOWS_MAX));
    pass_to(sleeper, first, (from.0, judged_to), true, &mut idle);
    let scores = idle.worst.scores.clone();
    pass_to(sleeper, first, (judged_to, faded_to), false, &mut idle);
    idle.worst.scores = scores;
    idle
}

/// Passes windows hour by hour; the first and the last of a day are stepped.
fn pass_to(sleeper: &mut impl Sleeper, first: WindowId, (mut window, end): (u32, u32), judged: bool, idle: &mut Idle) {
    while window < end {
        let at = At::new(first, WindowId(window));
        if at.slot_of_day == 0 || at.day_ends() {
            idle.merge(sleeper.step(&at));
            window += 1;
        } else {
            let rest = (WINDOWS_PER_HOUR - at.slot_of_hour as u32).min(WINDOWS_PER_DAY - 1 - at.slot_of_day as u32);
            let windows = rest.min(end - window);
            sleeper.pass(&at, windows, judged, idle);
            window += windows;
        }
    }
}

impl Rates {
    /// Judges the windows of the logs from `from` up to but without `to`, in which nothing happened: no activity, no
    /// deployment, no change of the other circumstances.
    pub fn idle_calls(&mut self, from: WindowId, to: WindowId, clocks_shifted: bool, account_low: bool, peers: Option<&Peers>) -> Idle {
        let first = self.first;
        pass(&mut SleepingCalls { rates: self, clocks_shifted, account_low, peers }, first, from, to)
    }

    /// The same for the trail.
    pub fn idle_flows(&mut self, from: WindowId, to: WindowId, peers: Option<&Peers>) -> Idle {
        let first = self.first;
        pass(&mut SleepingFlows { rates: self, peers }, first, from, to)
    }
}

struct SleepingCalls<'a> {
    rates: &'a mut Rates,
    clocks_shifted: bool,
    account_low: bool,
    peers: Option<&'a Peers>,
}

impl SleepingCalls<'_> {
    fn context(&self, at: &At) -> Context {
        Context { window: at.window, deployed: false, clocks_shifted: self.clocks_shifted, account_low: self.account_low }
    }
}

impl Sleeper for SleepingCalls<'_> {
    fn pass(&mut self, at: &At, windows: u32, judged: bool, idle: &mut Idle) {
        let rests = self.rates.calls.rest(at, windows, !judged);
        let passed = if judged && (self.clocks_shifted || !rests) { 0 } else { self.rates.calls.pass(at, windows, !judged) };
        for n in passed..windows {
            let at = at.later(n);
            let context = self.context(&at);
            idle.merge(if rests { self.rates.calls.step_volume(&at, &context, self.peers) } else { self.step(&at) });
        }
    }
    fn step(&mut self, at: &At) -> Judged {
        self.rates.step_calls(&CallsRow::default(), &self.context(at), self.peers)
    }
}

struct SleepingFlows<'a> {
    rates: &'a mut Rates,
    peers: Option<&'a Peers>,
}

impl Sleeper for SleepingFlows<'_> {
    fn pass(&mut self, at: &At, windows: u32, judged: bool, idle: &mut Idle) {
        if !self.rates.flows.rest(at, windows, !judged) {
            (0..windows).for_each(|n| idle.merge(self.step(&at.later(n))));
        }
    }
    fn step(&mut self, at: &At) -> Judged {
        let context = Context { window: at.window, deployed: false, clocks_shifted: false, account_low: false };
        self.rates.step_flows(0., 0., &[], &context, self.peers)
    }
}
