//! Runs of windows without any activity: most windows of most entities.
//!
//! A window that is absent counts as all zeros, and silence is judged like anything else. Where something could pass a
//! gate, the run is stepped window by window. Where nothing can (less is expected over a day than the gate's amount, and
//! past surges have faded), an hour is one step: eleven windows are learnt at once at the expectation of the middle one,
//! the twelfth is stepped; the first hour of a day is stepped whole, because what is left of yesterday's surges begins
//! the day's maxima. Measured against stepping every window: of 170 scores of
//! four sleeping functions in 450 days none moved by more than .002, `low` differed twice, a daily maximum of low volume
//! by up to .33; the tests hold this. Deliberately absent: any judgement within
//! those eleven windows, because nothing there could have been said.

use super::at::{At, FADED, HOUR};
use super::entity::Rates;
use super::peers::{DayMaxima, Peers};
use super::{CallsRow, Context, Judged};
use crate::time::WindowId;

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
    fn quiet(&self, at: &At) -> bool;
    fn fade(&mut self, at: &At);
    fn step(&mut self, at: &At) -> Judged;
}

/// Passes a run, hour by hour where it may.
fn pass(sleeper: &mut impl Sleeper, first: WindowId, from: WindowId, to: WindowId) -> Idle {
    let mut idle = Idle::default();
    let judged_to = to.0.min(from.0.saturating_add(IDLE_WINDOWS_MAX));
    let faded_to = to.0.min(from.0.saturating_add(FADE_WINDOWS_MAX));
    let mut window = from.0;
    while window < faded_to {
        let mut at = At::new(first, WindowId(window));
        let judged = window < judged_to;
        if at.slot_of_hour == 0 && faded_to - window >= HOUR && (!judged || at.slot_of_day > 0 && sleeper.quiet(&at)) {
            sleeper.fade(&at);
            window += FADED;
            at = at.later(FADED);
        }
        let mut step = sleeper.step(&at);
        if !judged {
            step.scores.clear();
        }
        idle.merge(step);
        window += 1;
    }
    idle
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

impl Sleeper for SleepingCalls<'_> {
    fn quiet(&self, at: &At) -> bool {
        !self.clocks_shifted && self.rates.calls.quiet(at)
    }
    fn fade(&mut self, at: &At) {
        self.rates.calls.fade(at);
    }
    fn step(&mut self, at: &At) -> Judged {
        let (clocks_shifted, account_low) = (self.clocks_shifted, self.account_low);
        let context = Context { window: at.window, deployed: false, clocks_shifted, account_low };
        self.rates.step_calls(&CallsRow::default(), &context, self.peers)
    }
}

struct SleepingFlows<'a> {
    rates: &'a mut Rates,
    peers: Option<&'a Peers>,
}

impl Sleeper for SleepingFlows<'_> {
    fn quiet(&self, _: &At) -> bool {
        self.rates.flows.quiet()
    }
    fn fade(&mut self, at: &At) {
        self.rates.flows.fade(at);
    }
    fn step(&mut self, at: &At) -> Judged {
        let context = Context { window: at.window, deployed: false, clocks_shifted: false, account_low: false };
        self.rates.step_flows(0., 0., &[], &context, self.peers)
    }
}
