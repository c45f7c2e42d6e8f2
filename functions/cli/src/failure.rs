//! What a person reads when the command can't be done: a stable code, the cause, the place, the remedy.
//!
//! The codes are listed in `docs/errors.md`; they never change their meaning. There is deliberately no backtrace.

use std::fmt;

/// A failure of the whole command; it ends with code 2.
#[derive(Debug)]
pub(crate) struct Failure {
    code: &'static str,
    problem: String,
    causes: Vec<String>,
    remedy: &'static str,
}

impl Failure {
    /// What went wrong and where, and what to do about it.
    pub(crate) fn new(code: &'static str, problem: impl Into<String>, remedy: &'static str) -> Failure {
        Failure { code, problem: problem.into(), causes: Vec::new(), remedy }
    }

    /// With the errors behind it, the outermost first.
    pub(crate) fn because(mut self, error: &dyn std::error::Error) -> Failure {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            if !self.causes.contains(&text) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "outflow: {} [{}]", self.problem, self.code)?;
        for cause in &self.causes {
            write!(f, "\n  cause   {cause}")?;
        }
        write!(f, "\n  remedy  {}", self.remedy)
    }
}
