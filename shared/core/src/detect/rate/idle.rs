//! Runs of windows without any activity: most windows of most entities.
//!
//! A window that is absent counts as all zeros. Silence is judged like anything else, so the run is stepped window by
//! window and its worst is handed back. There is deliberately no shorter way to the same numbers yet known.

use super::entity::Rates;
use super::peers::{DayMaxima, Peers};
use super::{CallsRow, Context, Judged};
use crate::time::WindowId;

/// Windows of a run that are judged: 35 days.
pub const IDLE_WINDOWS_MAX: u32 = 35 * 288;

/// What a run without activity says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Idle {
    /// Of every family the window with the largest digest score and the largest Slack score; `low` as of the run's end.
    pub worst: Judged,
    /// Days of a young entity that ended in the run, for [`Peers::add`]; they are not in `worst`.
    pub days_ended: Vec<DayMaxima>,
}

impl Idle {
    fn merge(&mut self, mut judged: Judged) {
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

impl Rates {
    /// Judges the windows of the logs from `from` up to but without `to`, in which nothing happened: no activity, no
    /// deployment, no change of the other circumstances.
    pub fn idle_calls(&mut self, from: WindowId, to: WindowId, clocks_shifted: bool, account_low: bool, peers: Option<&Peers>) -> Idle {
        let mut idle = Idle::default();
        for window in (from.0..to.0).map(WindowId) {
            let context = Context { window, deployed: false, clocks_shifted, account_low };
            idle.merge(self.step_calls(&CallsRow::default(), &context, peers));
        }
        idle
    }

    /// The same for the trail.
    pub fn idle_flows(&mut self, from: WindowId, to: WindowId, peers: Option<&Peers>) -> Idle {
        let mut idle = Idle::default();
        for window in (from.0..to.0).map(WindowId) {
            let context = Context { window, deployed: false, clocks_shifted: false, account_low: false };
            idle.merge(self.step_flows(0., 0., &[], &context, peers));
        }
        idle
    }
}
