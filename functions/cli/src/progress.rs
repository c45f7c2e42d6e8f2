//! How far the work is, on standard error, where that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use outflow_pipeline::replay::Progress;

/// A run that is over sooner shows nothing: a line that flashes up can't be read.
const SHOWN_FROM: Duration = Duration::from_millis(500);

/// A line that is redrawn.
pub(crate) struct Line(ProgressBar);

impl Line {
    /// Hidden where standard error is no terminal.
    pub(crate) fn new() -> Line {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{msg:8} {bar:40} {pos}/{len}") {
            bar.set_style(style);
        }
        Line(bar)
    }

    fn show(&self, what: &'static str, done: usize, of: usize) {
        if self.0.is_hidden() && self.0.elapsed() >= SHOWN_FROM {
            self.0.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.0.set_message(what);
        self.0.set_length(of as u64);
        self.0.set_position(done as u64);
    }
}

impl Progress for Line {
    fn read(&mut self, done: usize, of: usize) {
        self.show("reading", done, of);
    }

    fn judged(&mut self, done: usize, of: usize) {
        if done == of { self.0.finish_and_clear() } else { self.show("judging", done, of) }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
