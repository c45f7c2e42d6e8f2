//! An incident as a person and a machine read it.
//!
//! [`text`] is a screen for the person on call, [`json`] and [`ocsf`] are one line each for machines; all three say the same
//! words, which stand in `say` (what happened), `words` (numbers and times) and `clean` (hostile names). Whatever comes from a
//! log or a trail can be written by an attacker (names of functions, users, buckets; even event ids), so every piece of it
//! passes [`clean()`] before it reaches a terminal. Deliberately absent: a clock (an alert never says "two hours ago"),
//! terminal detection, and links, which would have to be clicked.

mod clean;
pub mod json;
pub mod message;
pub mod ocsf;
mod say;
#[cfg(test)]
mod tests;
pub mod text;
mod words;

pub use clean::clean;

use crate::incident::Incident;

/// Characters of a title: three quarters of a screen's line twice over; longer names are cut inside it.
const TITLE_CHARS_MAX: usize = 120;

/// What a person would say: `author-handler reads a bucket it never touched`. One line, cleaned.
pub fn title(incident: &Incident) -> String {
    let said = incident.lead().map_or_else(|| "something unusual happened".to_owned(), say::title);
    clean(&said, TITLE_CHARS_MAX).into_owned()
}
