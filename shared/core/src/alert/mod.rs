//! An incident as a person and a machine read it.
//!
//! [`text`] is a screen for the person on call, [`slack`] the same in a channel, [`json`] and [`ocsf`] are one line each for
//! machines; all say the same words, which stand in `say` (what happened), `words` (numbers and times) and `clean` (hostile
//! names). [`message`] is what leaves the state, [`sns`] how it leaves the account's topic, [`links`] where to look next.
//! Whatever comes from a log or a trail can be written by an attacker (names of functions, users, buckets; even event ids), so
//! every piece of it passes [`clean()`] before it reaches a terminal or a channel. Deliberately absent: a clock (an alert never
//! says "two hours ago"), and terminal detection.

mod clean;
pub mod json;
pub mod links;
pub mod message;
pub mod ocsf;
mod say;
pub mod slack;
pub mod sns;
#[cfg(test)]
mod tests;
pub mod text;
mod words;

pub use clean::clean;
pub use words::count;

use crate::incident::Incident;

/// Characters of a title: three quarters of a screen's line twice over; longer names are cut inside it.
const TITLE_CHARS_MAX: usize = 120;

/// What a person would say: `author-handler reads a bucket it never touched`. One line, cleaned.
pub fn title(incident: &Incident) -> String {
    let said = incident.lead().map_or_else(|| "something unusual happened".to_owned(), say::title);
    clean(&said, TITLE_CHARS_MAX).into_owned()
}
