//! The store in an account: one DynamoDB table.
//!
//! An item is `p` and `s`, its keys; `b`, its bytes; `r`, its revision; and `x`, the second it expires, where it does. A put
//! names the revision that it writes, under a condition, so that it costs one request and no read. Two puts differ:
//!
//! - With [`Expect::Any`] the old revision isn't known, so the table counts (`ADD r 1`). Sent twice it counts twice, which
//!   is harmless: revisions only rise.
//! - Batches are put plain, with revision 1: nobody asks theirs.
//!
//! Tries are repeated here and not by the SDK, because what an answer means depends on the tries before it: a condition
//! that fails after a try whose answer was lost may have been broken by that very try. Then what stands there decides: if
//! it is what was to be written, it was. A transaction carries a token, so the table itself knows. Waits are random, so
//! that writers who met once don't meet again; the randomness is the standard library's, once per store.
//!
//! DynamoDB has no empty sort keys, so a zero character stands before keys that are empty or begin with one; the
//! order stays. There is deliberately no cache, no batch write (it costs the same, and comes back half done) and no
//! creation of the table, which is the template's.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::future::Future;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use outflow_core::time::Timestamp;
use outflow_pipeline::keys;
use outflow_pipeline::store::units::expiry_second;
use outflow_pipeline::store::{Expect, Item, Key, Store, StoreError, Write, fits_table};

/// Tries of a request that is told to wait. With the waits below, five seconds at most: a burst is over by then, and a
/// function has time left to do something else.
const BUSY_TRIES_MAX: u32 = 10;
/// Tries of a request that gets no usable answer; each may last as long as the client lets it.
const LOST_TRIES_MAX: u32 = 3;
/// The first wait is random up to this, and each next one up to twice as much, up to the last.
const WAIT_MS_FIRST: u64 = 25;
const WAIT_MS_MAX: u64 = 1_000;

type Attributes = HashMap<String, AttributeValue>;

/// A table.
pub struct DynamoStore {
    client: Client,
    table: String,
    random: RandomState,
    drawn: AtomicU64,
}

impl DynamoStore {
    /// A table by its name or ARN. How long one try may take is the client's; its retries are not used.
    pub fn new(client: &Client, table: impl Into<String>) -> DynamoStore {
        let config = client.config().to_builder().retry_config(RetryConfig::disabled()).build();
        DynamoStore { client: Client::from_conf(config), table: table.into(), random: RandomState::new(), drawn: AtomicU64::new(0) }
    }

    fn draw(&self) -> u64 {
        self.random.hash_one(self.drawn.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends until there is an answer that another try would not change, at most a fixed number of times.
    async fn send<T, E, F>(&self, mut request: impl FnMut() -> F, why: fn(&E) -> Option<Why>) -> Result<T, Failed<E>>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let (mut tries, mut unsure) = (0, false);
        loop {
            let error = match request().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let why = error.as_service_error().and_then(why).unwrap_or_else(|| reason(&error));
            tries += 1;
            let tries_max = match why {
                Why::Condition | Why::Refused => 1,
                Why::Contended | Why::Throttled => BUSY_TRIES_MAX,
                Why::Lost => LOST_TRIES_MAX,
            };
            if tries >= tries_max {
                return Err(Failed { why, error, unsure });
            }
            unsure |= why == Why::Lost;
            let most = (WAIT_MS_FIRST << (tries - 1)).min(WAIT_MS_MAX);
            tokio::time::sleep(Duration::from_millis(self.draw() % (most + 1))).await;
        }
    }

    async fn commit_one(&self, write: Write) -> Result<(), StoreError> {
        match write {
            Write::Delete { key } => {
                let request = self.client.delete_item().table_name(&self.table).set_key(Some(place(&key)));
                self.send(|| request.clone().send(), |_| None).await?;
            }
            Write::Put { key, bytes, expect: Expect::Any, expires } if !keys::holds_batches(&key.partition) => {
                let (expression, values) = replacing(bytes, expires);
                let request = self.client.update_item().table_name(&self.table).set_key(Some(place(&key)));
                let request = request.update_expression(expression).set_expression_attribute_values(Some(values));
                self.send(|| request.clone().send(), |_| None).await?;
            }
            Write::Put { key, bytes, expect, expires } => {
                let fields = fields(&key, bytes, expect, expires);
                let (condition, values) = condition(expect);
                let request = self.client.put_item().table_name(&self.table).set_item(Some(fields.clone()));
                let request = request.set_condition_expression(condition).set_expression_attribute_values(values);
                let request = request.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
                match self.send(|| request.clone().send(), |_| None).await {
                    Err(failed) if failed.was_ours(&fields) => {}
                    other => drop(other?),
                }
            }
        }
        Ok(())
    }

    async fn commit_all(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let count = writes.len();
        let items: Result<Vec<_>, _> = writes.into_iter().map(|w| self.part(w)).collect();
        // A part is complete by construction: the SDK only can't say so.
        let items = items.map_err(|_| StoreError::Unfit(count))?;
        let token = format!("{:016x}{:016x}", self.draw(), self.draw());
        let request = self.client.transact_write_items().set_transact_items(Some(items)).client_request_token(token);
        self.send(|| request.clone().send(), cancelled).await?;
        Ok(())
    }

    /// One write of a transaction.
    fn part(&self, write: Write) -> Result<TransactWriteItem, aws_sdk_dynamodb::error::BuildError> {
        let item = TransactWriteItem::builder();
        Ok(match write {
            Write::Delete { key } => item.delete(Delete::builder().table_name(&self.table).set_key(Some(place(&key))).build()?),
            Write::Put { key, bytes, expect: Expect::Any, expires } if !keys::holds_batches(&key.partition) => {
                let (expression, values) = replacing(bytes, expires);
                let update = Update::builder().table_name(&self.table).set_key(Some(place(&key)));
                item.update(update.update_expression(expression).set_expression_attribute_values(Some(values)).build()?)
            }
            Write::Put { key, bytes, expect, expires } => {
                let (condition, values) = condition(expect);
                let put = Put::builder().table_name(&self.table).set_item(Some(fields(&key, bytes, expect, expires)));
                item.put(put.set_condition_expression(condition).set_expression_attribute_values(values).build()?)
            }
        }
        .build())
    }
}

impl Store for DynamoStore {
    async fn load(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let request = self.client.get_item().table_name(&self.table).set_key(Some(place(key)));
        let request = request.consistent_read(!keys::reads_may_lag(&key.partition));
        let found = self.send(|| request.clone().send(), |_| None).await?;
        found.item.map(|fields| item(fields).ok_or_else(|| StoreError::Corrupt { key: key.clone() })).transpose()
    }

    async fn list(&self, partition: &str, from: &str, limit: usize) -> Result<Vec<(Key, Item)>, StoreError> {
        let request = self.client.query().table_name(&self.table).key_condition_expression("p = :p AND s >= :s");
        let request = request.expression_attribute_values(":p", text(partition)).expression_attribute_values(":s", text(&stored(from)));
        let request = request.consistent_read(!keys::reads_may_lag(partition));
        let (mut all, mut after) = (Vec::new(), None);
        // Each page but the last brings something or moves on, so it ends with the partition.
        while all.len() < limit {
            let wanted = i32::try_from(limit - all.len()).unwrap_or(i32::MAX);
            let request = request.clone().limit(wanted).set_exclusive_start_key(after.take());
            let page = self.send(|| request.clone().send(), |_| None).await?;
            for fields in page.items.unwrap_or_default() {
                all.push(entry(partition, fields)?);
            }
            after = page.last_evaluated_key;
            if after.is_none() {
                break;
            }
        }
        Ok(all)
    }

    async fn commit(&self, mut writes: Vec<Write>) -> Result<(), StoreError> {
        fits_table(&writes)?;
        match (writes.len(), writes.pop()) {
            (_, None) => Ok(()),
            (1, Some(write)) => self.commit_one(write).await,
            (_, Some(last)) => {
                writes.push(last);
                self.commit_all(writes).await
            }
        }
    }
}

/// Why a try failed, by what the next one could bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// A condition doesn't hold.
    Condition,
    /// Another transaction, or this one, is at the same item just now.
    Contended,
    /// Too fast.
    Throttled,
    /// No usable answer: it may have been done.
    Lost,
    /// It never will be done.
    Refused,
}

struct Failed<E> {
    why: Why,
    error: SdkError<E, HttpResponse>,
    /// Whether an earlier try may have been done.
    unsure: bool,
}

impl Failed<PutItemError> {
    /// Whether the condition failed because an earlier try had been done.
    fn was_ours(&self, fields: &Attributes) -> bool {
        match self.error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(found)) => self.unsure && found.item.as_ref() == Some(fields),
            _ => false,
        }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<Failed<E>> for StoreError {
    fn from(failed: Failed<E>) -> StoreError {
        match failed.why {
            Why::Condition | Why::Contended => StoreError::Conflict,
            Why::Throttled => StoreError::Throttled,
            Why::Lost | Why::Refused => StoreError::Unavailable(failed.error.into()),
        }
    }
}

fn reason<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Why {
    let answer = match error {
        SdkError::ServiceError(answer) => answer,
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => return Why::Lost,
        _ => return Why::Refused,
    };
    match answer.err().code().unwrap_or_default() {
        "ConditionalCheckFailedException" => Why::Condition,
        "TransactionConflictException" | "TransactionInProgressException" | "ReplicatedWriteConflictException" => Why::Contended,
        "ProvisionedThroughputExceededException" | "RequestLimitExceeded" | "ThrottlingException" => Why::Throttled,
        _ if answer.raw().status().is_server_error() => Why::Lost,
        _ => Why::Refused,
    }
}

/// Why a transaction was cancelled: what no try mends goes first.
fn cancelled(error: &TransactWriteItemsError) -> Option<Why> {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else { return None };
    let codes = || cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code());
    let any = |code: &[&str]| codes().any(|c| code.contains(&c));
    Some(if any(&["ValidationError", "ItemCollectionSizeLimitExceeded"]) {
        Why::Refused
    } else if any(&["ConditionalCheckFailed"]) {
        Why::Condition
    } else if any(&["TransactionConflict"]) {
        Why::Contended
    } else if any(&["ProvisionedThroughputExceeded", "ThrottlingError"]) {
        Why::Throttled
    } else {
        Why::Refused
    })
}

/// The sort key as it is stored: never empty, in the same order.
fn stored(sort: &str) -> String {
    if sort.is_empty() || sort.starts_with('\0') { format!("\0{sort}") } else { sort.to_owned() }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: impl fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn place(key: &Key) -> Attributes {
    HashMap::from([("p".to_owned(), text(&key.partition)), ("s".to_owned(), text(&stored(&key.sort)))])
}

fn seconds(expires: Timestamp) -> AttributeValue {
    number(expiry_second(expires))
}

/// The whole item, with the revision that it has where what is expected holds.
fn fields(key: &Key, bytes: Vec<u8>, expect: Expect, expires: Option<Timestamp>) -> Attributes {
    let revision = match expect {
        Expect::Any | Expect::Absent => 1,
        Expect::Revision(found) => found.saturating_add(1),
    };
    let mut fields = place(key);
    fields.insert("r".to_owned(), number(revision));
    fields.insert("b".to_owned(), AttributeValue::B(Blob::new(bytes)));
    fields.extend(expires.map(|at| ("x".to_owned(), seconds(at))));
    fields
}

fn condition(expect: Expect) -> (Option<String>, Option<Attributes>) {
    match expect {
        Expect::Any => (None, None),
        Expect::Absent => (Some("attribute_not_exists(p)".to_owned()), None),
        Expect::Revision(found) => (Some("r = :r".to_owned()), Some(HashMap::from([(":r".to_owned(), number(found))]))),
    }
}

/// Puts in the place of whatever there is, with a revision more: an old expiry goes.
fn replacing(bytes: Vec<u8>, expires: Option<Timestamp>) -> (&'static str, Attributes) {
    let mut values = HashMap::from([(":b".to_owned(), AttributeValue::B(Blob::new(bytes))), (":one".to_owned(), number(1))]);
    let Some(at) = expires else { return ("SET b = :b ADD r :one REMOVE x", values) };
    values.insert(":x".to_owned(), seconds(at));
    ("SET b = :b, x = :x ADD r :one", values)
}

fn item(mut fields: Attributes) -> Option<Item> {
    let revision = fields.get("r")?.as_n().ok()?.parse().ok()?;
    let AttributeValue::B(bytes) = fields.remove("b")? else { return None };
    Some(Item { revision, bytes: bytes.into_inner() })
}

fn entry(partition: &str, fields: Attributes) -> Result<(Key, Item), StoreError> {
    let sort = fields.get("s").and_then(|s| s.as_s().ok()).map_or("", |s| s.strip_prefix('\0').unwrap_or(s));
    let key = Key::new(partition, sort);
    match item(fields) {
        Some(item) => Ok((key, item)),
        None => Err(StoreError::Corrupt { key }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sort_keys_keep_their_order_and_are_never_empty() {
        let sorts = ["", "\0", "\0\0", "\0a", "\u{1}", "a", "a\0", "a\0\0", "b"];
        let all: Vec<String> = sorts.iter().map(|sort| stored(sort)).collect();
        assert!(all.is_sorted_by(|a, b| a < b) && all.iter().all(|s| !s.is_empty()), "{all:?}");
        for (sort, stored) in sorts.iter().zip(all) {
            let fields = fields(&Key::new("p", *sort), Vec::new(), Expect::Any, None);
            assert_eq!(fields["s"], text(&stored));
            assert_eq!(entry("p", fields).unwrap().0.sort, *sort);
        }
    }

    #[test]
    fn expiry_is_rounded_up() {
        let second = |ms| Timestamp::from_ms(ms).map(seconds);
        assert_eq!(second(1_764_000_000_000), Some(number(1_764_000_000)));
        assert_eq!(second(1_764_000_000_001), Some(number(1_764_000_001)));
    }
}
