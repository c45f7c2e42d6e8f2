//! What happened to an incident, as it leaves the account's state: the outbox holds it, the topic carries it, notify reads it.
//!
//! A message is whole: it carries the incident as it was then, so that whoever reads it needs no store and an old message can't
//! be mixed with newer numbers. Its id is the incident's uid and sequence, the same however often it is sent. The form is
//! stored (outbox, queue, dead letters), so it has a version: a newer one is refused, to be read by newer code. Deliberately
//! absent: words, which the renderers have, and the content of what could not be read, which may be anything.

use serde::{Deserialize, Serialize};

use crate::detect::{Detail, Finding};
use crate::incident::Incident;

/// The version that is written; the only one that is read so far.
pub const VERSION: u32 = 1;

/// What happened to the incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// It is new.
    Opened,
    /// Something was added to it.
    Updated,
    /// Nothing was added for a while.
    Resolved,
    /// What it was opened for did not hold when its window was complete.
    Withdrawn {
        /// Why, for a person: `explained by the deployment of 17:02`.
        reason: String,
    },
}

impl Event {
    /// `opened`, `updated`, `resolved`, `withdrawn`.
    pub fn word(&self) -> &'static str {
        match self {
            Event::Opened => "opened",
            Event::Updated => "updated",
            Event::Resolved => "resolved",
            Event::Withdrawn { .. } => "withdrawn",
        }
    }

    /// Whether nothing more is expected of the incident.
    pub fn is_end(&self) -> bool {
        matches!(self, Event::Resolved | Event::Withdrawn { .. })
    }
}

/// An incident and what happened to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// [`VERSION`] of the code that wrote it.
    pub version: u32,
    /// What happened.
    pub event: Event,
    /// The incident as it was then.
    pub incident: Incident,
}

/// Why a message can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Newer code wrote it, and newer code will read it.
    #[error("message of version {0}; this program reads version {VERSION}")]
    Newer(u32),
    /// It is no message at all. Where, and never what, because that may be anything.
    #[error("no message of Outflow (line {line}, column {column})")]
    Broken {
        /// Line of the first fault, from 1.
        line: usize,
        /// Its column.
        column: usize,
    },
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Message {
    /// A message in the present version. Numbers that JSON has no form for become ones that it has.
    pub fn new(event: Event, mut incident: Incident) -> Message {
        incident.findings.iter_mut().for_each(settle);
        Message { version: VERSION, event, incident }
    }

    /// `7c1f90…-3`: the same however often it is sent.
    pub fn id(&self) -> String {
        format!("{}-{}", self.incident.uid, self.incident.sequence)
    }

    /// As it is stored and sent.
    pub fn to_json(&self) -> String {
        // Strings and finite numbers into memory: this can't fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`Message::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Message, Unreadable> {
        let broken = |e: serde_json::Error| Unreadable::Broken { line: e.line(), column: e.column() };
        let Versioned { version } = serde_json::from_str(text).map_err(broken)?;
        if version > VERSION {
            return Err(Unreadable::Newer(version));
        }
        serde_json::from_str(text).map_err(broken)
    }
}

/// JSON has neither NaN nor infinity: they would be written as null and never read again.
fn settle(finding: &mut Finding) {
    let fix = |n: &mut f64| {
        if n.is_nan() {
            *n = 0.0;
        }
        *n = n.clamp(f64::MIN, f64::MAX);
    };
    fix(&mut finding.years);
    fix(&mut finding.learnt_days);
    for hour in &mut finding.hours {
        *hour = if hour.is_nan() { 0.0 } else { hour.clamp(f32::MIN, f32::MAX) };
    }
    match &mut finding.detail {
        Detail::NewFlow(flow) => {
            fix(&mut flow.score);
            flow.users.0.iter_mut().for_each(|(_, since)| fix(since));
        }
        Detail::Rate(rate) => [&mut rate.observed, &mut rate.expected, &mut rate.score].into_iter().for_each(fix),
        Detail::Quiet { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::tests::samples;

    #[test]
    fn comes_back_as_it_was() {
        for (name, incident) in samples() {
            for event in [Event::Opened, Event::Updated, Event::Resolved, Event::Withdrawn { reason: "a \"deploy\"\n".to_owned() }] {
                let message = Message::new(event, incident.clone());
                assert_eq!(Message::from_json(&message.to_json()), Ok(message), "{name}");
            }
        }
    }

    #[test]
    fn numbers_that_are_none_are_settled() {
        let mut incident = samples().remove(6).1;
        for finding in &mut incident.findings {
            (finding.years, finding.learnt_days) = (f64::INFINITY, f64::NAN);
            finding.hours = vec![f32::NAN, f32::INFINITY];
        }
        let message = Message::new(Event::Opened, incident);
        let back = Message::from_json(&message.to_json()).unwrap();
        assert_eq!((back.incident.findings[0].years, back.incident.findings[0].learnt_days), (f64::MAX, 0.0));
    }

    #[test]
    fn others_are_refused_without_their_content() {
        let newer = Message { version: 2, ..Message::new(Event::Opened, samples().remove(0).1) };
        assert_eq!(Message::from_json(&newer.to_json()), Err(Unreadable::Newer(2)));
        assert_eq!(Message::from_json(r#"{"version":2,"shape":"unknown"}"#), Err(Unreadable::Newer(2)));
        for text in ["", "secret", "{}", r#"{"version":"secret"}"#, r#"{"version":1,"event":"secret","incident":{}}"#, "[1]", "null"] {
            let error = Message::from_json(text).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
