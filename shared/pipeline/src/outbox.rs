//! What leaves: messages that were committed together with what they say, sent, and then taken away.
//!
//! A process that is killed between sending and taking away sends the same message again, with the same id; it is never not
//! sent. There is deliberately no order between incidents, and none is needed: who reads keeps the last of each.

use std::future::Future;

use outflow_core::alert::message::{Message, Unreadable};

use crate::keys;
use crate::store::{Store, StoreError, Write, list};

/// Where messages go.
pub trait Topic {
    /// Sends one. After an error it stays in the outbox.
    fn publish(&self, message: &Message) -> impl Future<Output = Result<(), TopicError>>;
}

/// Why a message was not taken: whatever it was, it is tried again.
#[derive(Debug, thiserror::Error)]
#[error("the topic did not take a message")]
pub struct TopicError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// How a drain ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Messages that the topic took.
    pub sent: u64,
    /// Messages that stay.
    pub failed: u64,
}

/// Sends what is in the outbox.
pub async fn drain<S: Store, T: Topic>(store: &S, topic: &T) -> Result<Drained, StoreError> {
    let mut drained = Drained::default();
    for (key, item) in list(store, keys::OUTBOX).await? {
        let text = String::from_utf8_lossy(&item.bytes);
        let message = Message::from_json(&text).map_err(|why| match why {
            Unreadable::Newer(version) => StoreError::Format { key: key.clone(), format: u64::from(version) },
            Unreadable::Broken { .. } => StoreError::Corrupt { key: key.clone() },
        })?;
        match topic.publish(&message).await {
            Ok(()) => {
                store.commit(vec![Write::Delete { key }]).await?;
                drained.sent += 1;
            }
            Err(_) => drained.failed += 1,
        }
    }
    Ok(drained)
}
