//! The port to whatever speaks to people: post one message.
//!
//! Errors are named by what the caller does next. A channel that can edit or thread says where a message stands; one that
//! can't (a webhook) says nothing, and later messages stand by themselves. There is deliberately no retry here, and no word of
//! how a channel authenticates. [`Memory`] is the twin for tests: it keeps what was posted and fails as told.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use outflow_core::alert::slack::Payload;
use serde::{Deserialize, Serialize};

/// A message that stands in a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The channel's id.
    pub channel: String,
    /// The message's, in that channel.
    pub ts: String,
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// By itself.
    Channel,
    /// Under another.
    Thread(Standing),
    /// In the place of another.
    Instead(Standing),
}

/// What is posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Uid and sequence: the same each time it is tried.
    pub id: String,
    /// Where.
    pub place: Place,
    /// What.
    pub payload: Payload,
}

/// It was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Where it stands, if the channel says so.
    pub standing: Option<Standing>,
}

/// Why it was not, by what the caller does next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Try again, after so many seconds if it says. It may have been accepted: an answer can be lost.
    #[error("try again later: {why}")]
    Later {
        /// `429`, `timeout`.
        why: String,
        /// What the other side asked for.
        after_s: Option<u32>,
    },
    /// Our payload is not to its taste: say it more simply.
    #[error("the message was refused: {code}")]
    Unfit {
        /// `invalid_blocks`.
        code: String,
    },
    /// What it would answer or replace is not there, or this channel can't: post it by itself.
    #[error("the first message can't be answered or replaced: {code}")]
    Gone {
        /// `thread_not_found`.
        code: String,
    },
    /// A person must act before anything is accepted.
    #[error("refused ({code}): {remedy}")]
    Refused {
        /// `channel_is_archived`.
        code: String,
        /// What to do.
        remedy: String,
    },
}

/// The whole port.
pub trait Sender {
    /// Posts a message.
    fn post(&self, post: &Post) -> impl Future<Output = Result<Posted, SendError>>;
}

/// A channel in memory.
#[derive(Debug, Default)]
pub struct Memory {
    /// Whether it says where messages stand, as a bot's channel does.
    pub threads: bool,
    posts: Mutex<Vec<Post>>,
    failures: Mutex<VecDeque<SendError>>,
}

impl Memory {
    /// A channel that can edit and thread, or one that can't.
    pub fn new(threads: bool) -> Memory {
        Memory { threads, ..Memory::default() }
    }

    /// The next posts fail so, in this order.
    pub fn fail(&self, errors: impl IntoIterator<Item = SendError>) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).extend(errors);
    }

    /// What was accepted.
    pub fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sender for Memory {
    async fn post(&self, post: &Post) -> Result<Posted, SendError> {
        if let Some(error) = self.failures.lock().unwrap_or_else(PoisonError::into_inner).pop_front() {
            return Err(error);
        }
        if !self.threads && post.place != Place::Channel {
            return Err(SendError::Gone { code: "no threads here".to_owned() });
        }
        let mut posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        posts.push(post.clone());
        let standing = match &post.place {
            Place::Instead(standing) => standing.clone(),
            _ => Standing { channel: "C1".to_owned(), ts: format!("{}.0", posts.len()) },
        };
        Ok(Posted { standing: self.threads.then_some(standing) })
    }
}
