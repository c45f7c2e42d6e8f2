//! A message of the outbox → a post in a channel: load what was said, post, mark it.
//!
//! The queue delivers at least once and in any order. Per incident the store holds the last sequence that was said: what is
//! older is dropped, what is the same is not said again. The mark is written after the post, so a crash between them says it
//! twice with the same id, and never not at all; a mark that the store refuses is told and not retried, because the retry would
//! be a second post.
//!
//! The first message of an incident stands by itself. Where the channel can, later ones go under it, and the end goes in its
//! place; where it can't, or the first is gone, they stand by themselves and name it. A payload that the channel refuses is said once
//! more as plain text. There is deliberately no clock, no queue and no Slack here.

use std::borrow::Cow;

use outflow_core::alert::message::{Message, Unreadable};
use outflow_core::alert::slack::{self, First, Stand};
use outflow_core::alert::title;
use outflow_core::time::{DAY_MS, Timestamp};
use serde::{Deserialize, Serialize};

use crate::keys;
use crate::sender::{Place, Post, SendError, Sender, Standing};
use crate::store::{Expect, Store, StoreError, Write};

/// Version of [`Sent`].
const SENT_VERSION: u32 = 1;
/// How long it is remembered what was said: the longest queue keeps messages 14 days, and incidents end before.
const REMEMBERED_MS: i64 = 90 * DAY_MS;
/// Tries of a mark: each conflict is another message of the same incident.
const MARKS_MAX: usize = 5;
/// Seconds before a retry: doubled with every try, from the first to the last.
const RETRY_FIRST_S: u32 = 5;
const RETRY_LAST_S: u32 = 900;
/// A delay asked for by the channel, at most: a queue's own bound on invisibility is twelve hours.
const ASKED_MAX_S: u32 = 3_600;

/// What every version of [`Sent`] begins with.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// What was last said about an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sent {
    version: u32,
    sequence: u32,
    /// The first message, where the channel told.
    standing: Option<Standing>,
    /// Its title and time.
    title: String,
    at: Timestamp,
}

/// A delivery of the queue.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The queue's id of it.
    pub id: &'a str,
    /// An envelope of the topic, or the message itself.
    pub body: &'a str,
    /// How often it was delivered, this time included.
    pub tries: u32,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done with; the queue may forget it.
    Done(Told),
    /// To be delivered again after so many seconds.
    Retry {
        /// When.
        after_s: u32,
        /// Why.
        why: String,
    },
    /// No retry will mend it without a person: it ends in the dead-letter queue.
    Dead {
        /// Why, and what to do.
        why: String,
    },
}

/// How a delivery was done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It was posted.
    Posted {
        /// Without its blocks, which were refused.
        plain: bool,
        /// The store knows. If not, a repeat of it will be posted again.
        marked: bool,
    },
    /// It had been posted before.
    Repeat,
    /// Something newer had been posted.
    Older,
}

/// Why a message was not posted.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The channel would not have it.
    #[error(transparent)]
    Send(#[from] SendError),
    /// What was said before is not known.
    #[error("it is not known what was said before")]
    Store(#[from] StoreError),
}

/// Why a body is no message for us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is of another topic.
    #[error("it came from another topic than the one that is stated; see who may send to the queue")]
    Foreign,
    /// It is no message, or one of a newer version.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "Type", borrow)]
    kind: Cow<'a, str>,
    #[serde(rename = "TopicArn", borrow)]
    topic: Cow<'a, str>,
    #[serde(rename = "Message", borrow)]
    message: Cow<'a, str>,
}

/// The message in a body: in an envelope of the topic, or by itself where the subscription delivers it raw. A raw one names no
/// topic: there the queue's policy alone says who may send.
pub fn read(body: &str, topic: Option<&str>) -> Result<Message, BodyError> {
    match serde_json::from_str::<Envelope<'_>>(body) {
        Ok(envelope) if envelope.kind == "Notification" => {
            if topic.is_some_and(|topic| topic != envelope.topic) {
                return Err(BodyError::Foreign);
            }
            Ok(Message::from_json(&envelope.message)?)
        }
        _ => Ok(Message::from_json(body)?),
    }
}

/// Handles what the queue delivered together, and says what became of each, in the order given.
pub async fn deliver<S: Store, P: Sender>(
    store: &S,
    sender: &P,
    topic: Option<&str>,
    deliveries: &[Delivery<'_>],
    now: Timestamp,
) -> Vec<Outcome> {
    let read: Vec<Result<Message, BodyError>> = deliveries.iter().map(|d| read(d.body, topic)).collect();
    // In order of sequence, so that what came together in another order is all said.
    let mut order: Vec<usize> = (0..deliveries.len()).collect();
    order.sort_by_key(|&i| read.get(i).and_then(|r| r.as_ref().ok()).map(|m| (m.incident.uid.as_str(), m.incident.sequence)));
    let mut outcomes: Vec<Outcome> = vec![Outcome::Done(Told::Older); deliveries.len()];
    let mut held: Option<u32> = None;
    for i in order {
        let (Some(said), Some(delivery), Some(outcome)) = (read.get(i), deliveries.get(i), outcomes.get_mut(i)) else { continue };
        *outcome = match (said, held) {
            (Err(error), _) => unread(error, delivery.tries),
            // The channel asked for a pause or is in trouble: what is left comes back after it, a second apart.
            (Ok(_), Some(after_s)) => {
                held = Some(after_s.saturating_add(1));
                Outcome::Retry { after_s, why: "the channel could not take the one before".to_owned() }
            }
            (Ok(message), None) => match notify(store, sender, message, now).await {
                Ok(told) => Outcome::Done(told),
                Err(error) => failed(&error, delivery.tries),
            },
        };
        if let (Outcome::Retry { after_s, .. }, Ok(_), None) = (&*outcome, said, held) {
            held = Some(after_s.saturating_add(1));
        }
    }
    outcomes
}

/// Newer code will read a newer message: meanwhile it is kept coming.
fn unread(error: &BodyError, tries: u32) -> Outcome {
    match error {
        BodyError::Unreadable(Unreadable::Newer(_)) => Outcome::Retry { after_s: backoff_s(tries), why: error.to_string() },
        _ => Outcome::Dead { why: error.to_string() },
    }
}

fn failed(error: &NotifyError, tries: u32) -> Outcome {
    let again = |asked: Option<u32>| Outcome::Retry {
        after_s: asked.map_or_else(|| backoff_s(tries), |s| s.clamp(1, ASKED_MAX_S)),
        why: error.to_string(),
    };
    match error {
        NotifyError::Send(SendError::Later { after_s, .. }) => again(*after_s),
        NotifyError::Send(_) | NotifyError::Store(StoreError::Corrupt { .. }) => Outcome::Dead { why: error.to_string() },
        NotifyError::Store(_) => again(None),
    }
}

/// 5, 10, 20 seconds and so on.
fn backoff_s(tries: u32) -> u32 {
    let doubled = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    RETRY_FIRST_S.saturating_mul(doubled).min(RETRY_LAST_S)
}

/// Posts a message, unless it or a newer one of its incident was posted.
pub async fn notify<S: Store, P: Sender>(store: &S, sender: &P, message: &Message, now: Timestamp) -> Result<Told, NotifyError> {
    let sequence = message.incident.sequence;
    let known = load(store, &message.incident.uid).await?;
    if let Some((sent, _)) = &known {
        if sent.sequence == sequence {
            return Ok(Told::Repeat);
        }
        if sent.sequence > sequence {
            return Ok(Told::Older);
        }
    }
    let first = known.as_ref().map(|(sent, _)| sent);
    let (standing, plain) = say(sender, message, first).await?;
    let said = match first {
        // The first stays the first, unless its place was lost and this one has one.
        Some(sent) => Sent { sequence, standing: standing.or_else(|| sent.standing.clone()), ..sent.clone() },
        None => Sent { version: SENT_VERSION, sequence, standing, title: title(&message.incident), at: now },
    };
    let revision = known.map(|(_, revision)| revision);
    let marked = mark(store, &message.incident.uid, said, revision, now).await.is_ok();
    Ok(Told::Posted { plain, marked })
}

async fn load<S: Store>(store: &S, uid: &str) -> Result<Option<(Sent, u64)>, StoreError> {
    let key = keys::sent(uid);
    let Some(item) = store.load(&key).await? else { return Ok(None) };
    let corrupt = |_| StoreError::Corrupt { key: key.clone() };
    let Versioned { version } = serde_json::from_slice(&item.bytes).map_err(corrupt)?;
    if version > SENT_VERSION {
        return Err(StoreError::Format { key, format: u64::from(version) });
    }
    Ok(Some((serde_json::from_slice(&item.bytes).map_err(corrupt)?, item.revision)))
}

/// Posts it where it belongs; by itself where that is gone; plainly where its blocks are refused. Says where the first of the
/// incident stands now, if that changed, and whether it was said plainly.
async fn say<P: Sender>(sender: &P, message: &Message, first: Option<&Sent>) -> Result<(Option<Standing>, bool), SendError> {
    let alone = Stand::Alone(first.map(|sent| First { title: &sent.title, at: sent.at }));
    if let Some(standing) = first.and_then(|sent| sent.standing.clone()) {
        let (place, stand) = match message.event.is_end() {
            true => (Place::Instead(standing), Stand::Instead),
            false => (Place::Thread(standing), Stand::Thread),
        };
        match simply(sender, message, place, stand).await {
            Err(SendError::Gone { .. }) => {}
            // An answer is not a first message: the first stays where it is.
            done => return done.map(|(_, plain)| (None, plain)),
        }
    }
    simply(sender, message, Place::Channel, alone).await
}

/// Posts it in blocks, and once as plain text if they are refused.
async fn simply<P: Sender>(sender: &P, message: &Message, place: Place, stand: Stand<'_>) -> Result<(Option<Standing>, bool), SendError> {
    let mut post = Post { id: message.id(), place, payload: slack::payload(message, stand) };
    match sender.post(&post).await {
        Err(SendError::Unfit { .. }) => {
            post.payload = slack::plain(message, stand);
            sender.post(&post).await.map(|posted| (posted.standing, true))
        }
        done => done.map(|posted| (posted.standing, false)),
    }
}

/// Marks what was said. Where another was faster, the newer of both stays.
async fn mark<S: Store>(store: &S, uid: &str, said: Sent, revision: Option<u64>, now: Timestamp) -> Result<(), StoreError> {
    let (mut said, mut revision) = (said, revision);
    let expires = Some(now.plus_ms(REMEMBERED_MS));
    for _ in 0..MARKS_MAX {
        // Strings and numbers into memory: this can't fail.
        let bytes = serde_json::to_vec(&said).unwrap_or_default();
        let expect = revision.map_or(Expect::Absent, Expect::Revision);
        match store.commit(vec![Write::Put { key: keys::sent(uid), bytes, expect, expires }]).await {
            Err(StoreError::Conflict) => {}
            done => return done,
        }
        let other = load(store, uid).await?;
        if let Some((sent, _)) = &other {
            if sent.sequence >= said.sequence {
                return Ok(());
            }
            said = Sent { sequence: said.sequence, ..sent.clone() };
        }
        revision = other.map(|(_, revision)| revision);
    }
    Err(StoreError::Conflict)
}

#[cfg(test)]
mod tests;
