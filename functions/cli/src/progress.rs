//! How far the work is, on standard error, where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use outflow_pipeline::replay::Progress;

/// A line that is redrawn.
pub(crate) struct Line(ProgressBar);

impl Line {
    /// Hidden where standard error is no terminal.
    pub(crate) fn new() -> Line {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{msg:8} {bar:40} {pos}/{len}") {
            bar.set_style(style);
        }
        Line(bar)
    }

    fn show(&self, what: &'static str, done: usize, of: usize) {
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
