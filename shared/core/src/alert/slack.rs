//! A message as it stands in a Slack channel: read in ten seconds, by someone who was asleep.
//!
//! Severity and title in the header; where; the facts of the screen in their order; what to do; where to look. The same words
//! as everywhere, laid out in the four blocks that every client shows, within Slack's bounds: those that are documented, and the
//! one that is not (the sum of all texts).
//!
//! Names are hostile. `& < >` are escaped, so that no name mentions a channel or becomes a link; what would format text or
//! draw an emoji is replaced by its look-alike; `verbatim` keeps Slack from finding links and channels itself. The header is
//! `plain_text`, which knows no markup. A plain variant without blocks is for the case that Slack refuses the blocks.
//!
//! A webhook can neither edit nor answer in a thread: there an update is a message of its own that names the first by title
//! and time. Deliberately absent: buttons, which need an endpoint, and a clock.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::incident::{Incident, Severity};
use crate::limits::{SLACK_HEADER_CHARS_MAX, SLACK_PLAIN_CHARS_MAX, SLACK_SECTION_CHARS_MAX};
use crate::time::Timestamp;

use super::links::links;
use super::message::{Event, Message};
use super::words::{clock, day};
use super::{clean, text, title};

/// Characters of one fact, and of all of them: with header, context and links they stay below the sum.
const FACT_CHARS_MAX: usize = 300;
const FACTS_CHARS_MAX: usize = 2_400;
const _: () = assert!(FACTS_CHARS_MAX <= SLACK_SECTION_CHARS_MAX);
/// Characters of a context line's text.
const CONTEXT_CHARS_MAX: usize = 280;
/// Characters of the reason of a withdrawal.
const REASON_CHARS_MAX: usize = 200;
/// Characters of an incident's id.
const ID_CHARS_MAX: usize = 64;

/// What is posted: a text for notifications and old clients, and blocks for all others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// Escaped; the whole message where there are no blocks.
    pub text: String,
    /// Empty in the plain variant.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub blocks: Vec<Block>,
    /// Off: `text` has no markup.
    pub mrkdwn: bool,
    /// `none`: no links are made of what looks like one.
    pub parse: String,
    /// Off: nothing of a console is to be fetched and shown.
    pub unfurl_links: bool,
    /// Off, likewise.
    pub unfurl_media: bool,
}

/// The blocks that are used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    /// Large; plain text only.
    Header {
        /// At most 150 characters.
        text: Text,
    },
    /// A paragraph.
    Section {
        /// At most 3,000 characters.
        text: Text,
    },
    /// Small.
    Context {
        /// At most ten.
        elements: Vec<Text>,
    },
}

/// A text of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Text {
    /// Without markup.
    PlainText {
        /// As it is.
        text: String,
        /// Off: `:x:` stays what it is.
        emoji: bool,
    },
    /// Slack's own markup.
    Mrkdwn {
        /// Escaped.
        text: String,
        /// On: nothing is made of plain text.
        verbatim: bool,
    },
}

/// The first message about an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct First<'a> {
    /// Its title.
    pub title: &'a str,
    /// When it was posted.
    pub at: Timestamp,
}

/// Where the message will stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand<'a> {
    /// By itself; it names the first, if there was one.
    Alone(Option<First<'a>>),
    /// Under the first.
    Thread,
    /// In the place of the first: all that it said must still be there.
    Instead,
}

/// A message in blocks.
pub fn payload(message: &Message, stand: Stand<'_>) -> Payload {
    let incident = &message.incident;
    let head = head(message);
    let mut blocks = vec![Block::Header { text: Text::PlainText { text: fit_header(&head), emoji: false } }];
    blocks.push(context(&[where_and_which(message, stand)]));
    let facts = text::facts(incident);
    let short = message.event.is_end() && stand != Stand::Instead;
    blocks.extend(reason(message).map(|reason| section(format!("*Why*  {reason}"))));
    if short {
        let first = facts.iter().take(1).map(|(label, fact)| labelled(label, fact));
        blocks.extend(first.map(section));
        return whole(notice(&head, &facts), blocks);
    }
    let next = facts.iter().rev().find(|(label, _)| *label == "next");
    blocks.extend(body(&facts).map(section));
    if !message.event.is_end() {
        blocks.extend(next.map(|(label, fact)| section(labelled(label, fact))));
    }
    blocks.extend(look(incident).map(|text| context(&[text])));
    blocks.push(context(&[trace(incident)]));
    whole(notice(&head, &facts), blocks)
}

/// The same without blocks, for when Slack refuses them.
pub fn plain(message: &Message, stand: Stand<'_>) -> Payload {
    let mut out = escape(&head(message), SLACK_HEADER_CHARS_MAX * 2);
    let _ = write!(out, "\n{}", where_and_which(message, stand));
    let _ = reason(message).map(|reason| write!(out, "\nWhy: {reason}"));
    for (label, fact) in text::facts(&message.incident) {
        let line = if label.is_empty() { escape(&fact, FACT_CHARS_MAX) } else { format!("{label}: {}", escape(&fact, FACT_CHARS_MAX)) };
        if out.chars().count() + line.chars().count() + FACT_CHARS_MAX > SLACK_PLAIN_CHARS_MAX {
            break;
        }
        let _ = write!(out, "\n{line}");
    }
    let _ = write!(out, "\n{}", trace(&message.incident));
    whole(out, Vec::new())
}

fn whole(text: String, blocks: Vec<Block>) -> Payload {
    Payload { text, blocks, mrkdwn: false, parse: "none".to_owned(), unfurl_links: false, unfurl_media: false }
}

/// `🔴 High: author-handler reads a bucket it never touched`. The sign is seen before a word is read.
fn head(message: &Message) -> String {
    let (sign, word) = match message.incident.severity() {
        Severity::High => ("🔴", "High"),
        Severity::Medium => ("🟠", "Medium"),
        Severity::Low => ("⚪", "Low"),
    };
    let title = title(&message.incident);
    match message.event {
        Event::Opened => format!("{sign} {word}: {title}"),
        Event::Updated => format!("{sign} {word}, update: {title}"),
        Event::Resolved => format!("✅ Over: {title}"),
        Event::Withdrawn { .. } => format!("↩ Withdrawn: {title}"),
    }
}

/// In plain text nothing is markup; the brackets are replaced for clients that think otherwise.
fn fit_header(head: &str) -> String {
    clean(&head.replace('<', "‹").replace('>', "›"), SLACK_HEADER_CHARS_MAX).into_owned()
}

/// `account 123456789012 · eu-west-1 · follows “…” of Tue 14 Oct 2025 17:10 UTC`.
fn where_and_which(message: &Message, stand: Stand<'_>) -> String {
    let place = text::place(&message.incident);
    let mut parts = Vec::new();
    if !place.is_empty() {
        let account = if message.incident.account.is_empty() { "" } else { "account " };
        parts.push(format!("{account}{}", escape(&place, CONTEXT_CHARS_MAX / 2)));
    }
    if let Stand::Alone(Some(first)) = stand {
        let title = escape(&clean(first.title, CONTEXT_CHARS_MAX / 2), CONTEXT_CHARS_MAX / 2);
        parts.push(format!("follows “{title}” of {} {} UTC", day(first.at), clock(first.at)));
    }
    if parts.is_empty() { "place unknown".to_owned() } else { parts.join(" · ") }
}

fn reason(message: &Message) -> Option<String> {
    match &message.event {
        Event::Withdrawn { reason } => Some(escape(&clean(reason, REASON_CHARS_MAX), REASON_CHARS_MAX)),
        _ => None,
    }
}

/// What a notification on a locked screen says.
fn notice(head: &str, facts: &[(&str, String)]) -> String {
    let since = facts.first().map_or("", |(_, fact)| fact.as_str());
    escape(&format!("{head} ({since})"), SLACK_HEADER_CHARS_MAX * 2)
}

/// All facts but what to do next, as many as fit.
fn body(facts: &[(&str, String)]) -> Option<String> {
    let mut out = String::new();
    let mut used = 0;
    for (label, fact) in facts.iter().filter(|(label, _)| *label != "next") {
        let line = labelled(label, fact);
        used += line.chars().count() + 1;
        if used > FACTS_CHARS_MAX {
            break;
        }
        let _ = writeln!(out, "{line}");
    }
    (!out.is_empty()).then(|| out.trim_end().to_owned())
}

/// `*Since*  Tue 14 Oct …`; what goes on is set under its fact.
fn labelled(label: &str, fact: &str) -> String {
    let fact = escape(fact, FACT_CHARS_MAX);
    let mut letters = label.chars();
    match letters.next() {
        Some(first) => format!("*{}{}*  {fact}", first.to_uppercase(), letters.as_str()),
        None => format!("        {fact}"),
    }
}

/// Links into the console.
fn look(incident: &Incident) -> Option<String> {
    let all: Vec<String> = links(incident).iter().map(|l| format!("<{}|{}>", l.url.replace('&', "&amp;"), l.label)).collect();
    (!all.is_empty()).then(|| all.join("  ·  "))
}

/// Ids to find the records and the incident by.
fn trace(incident: &Incident) -> String {
    let mut parts = Vec::new();
    if let Some(span) = incident.span() {
        let ids = [&span.first.event, &span.last.event].map(|id| escape(&clean(&id.to_string(), ID_CHARS_MAX), ID_CHARS_MAX));
        match ids {
            [first, last] if first == last && !first.is_empty() => parts.push(format!("event {first}")),
            [first, last] if !first.is_empty() && !last.is_empty() => parts.push(format!("events {first} to {last}")),
            _ => {}
        }
    }
    parts.push(format!("incident {}", escape(&clean(&incident.uid, ID_CHARS_MAX), ID_CHARS_MAX)));
    parts.join(" · ")
}

fn section(text: String) -> Block {
    Block::Section { text: Text::Mrkdwn { text, verbatim: true } }
}

fn context(texts: &[String]) -> Block {
    Block::Context { elements: texts.iter().map(|text| Text::Mrkdwn { text: text.clone(), verbatim: true }).collect() }
}

/// Text that is only text, in at most so many characters after escaping: a longer one is cut and ends in `…`.
fn escape(text: &str, chars_max: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut used = 0;
    for (i, c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|i| chars.get(i));
        let rest = chars.get(i + 1..).unwrap_or_default();
        let said = escaped(*c, before.copied(), rest);
        let width = said.map_or(1, |said| said.chars().count());
        if used + width + usize::from(!rest.is_empty()) > chars_max {
            out.push('…');
            break;
        }
        used += width;
        match said {
            Some(said) => out.push_str(said),
            None => out.push(*c),
        }
    }
    out
}

/// What stands for a character that is more than itself.
fn escaped(c: char, before: Option<char>, rest: &[char]) -> Option<&'static str> {
    let in_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '`' => Some("'"),
        '*' => Some("∗"),
        '~' => Some("∼"),
        // Inside a word it formats nothing, and names are full of it.
        '_' if !in_word(before) || !in_word(rest.first().copied()) => Some("ˍ"),
        ':' if is_emoji(rest) => Some("꞉"),
        _ => None,
    }
}

/// Whether a colon begins the name of an emoji: letters among its characters, since `17:05:12` is none.
fn is_emoji(rest: &[char]) -> bool {
    let Some(end) = rest.iter().position(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || "_+-'".contains(*c))) else {
        return false;
    };
    let name = rest.get(..end).unwrap_or_default();
    rest.get(end) == Some(&':') && name.iter().any(|c| !c.is_ascii_digit())
}

#[cfg(test)]
mod tests;
