//! Which changes of an incident are said, and that each is said once.
//!
//! What was last said stands in the store beside the message that says it, in one commit. A change is said if it is news to
//! a person: the incident is new, graver, over, or something was added to it. That a flow merely goes on is not. There is
//! deliberately no channel here: how loud a message may be is the reader's to say.

use outflow_core::alert::message::{Event, Message};
use outflow_core::detect::Level;
use outflow_core::incident::{Incident, Severity};
use serde::{Deserialize, Serialize};

use crate::keys;
use crate::store::{Expect, Store, StoreError, Write};

/// Format of [`Told`].
const FORMAT: u32 = 1;
/// Other evaluators that may be faster at one incident before this one gives up and loads again.
const RACES_MAX: usize = 8;

/// An incident as it was last told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    format: u32,
    /// The step after which it was like this; 0 where it was told before its window was judged.
    pub step: u64,
    /// Number of its last message; 0 where none was sent.
    pub sequence: u32,
    /// It did not hold when its window was complete.
    pub withdrawn: bool,
    /// Its content. Its own `sequence` counts changes, not messages.
    pub incident: Incident,
}

/// What every format of [`Told`] begins with.
#[derive(Deserialize)]
struct Formatted {
    format: u32,
}

impl Told {
    fn new(step: u64, sequence: u32, incident: &Incident) -> Told {
        Told { format: FORMAT, step, sequence, withdrawn: false, incident: incident.clone() }
    }
}

/// Reads what was last told of an incident, with the revision of the item.
pub async fn load<S: Store>(store: &S, uid: &str) -> Result<Option<(Told, u64)>, StoreError> {
    let key = keys::told(uid);
    let Some(item) = store.load(&key).await? else { return Ok(None) };
    let corrupt = |_| StoreError::Corrupt { key: key.clone() };
    let Formatted { format } = serde_json::from_slice(&item.bytes).map_err(corrupt)?;
    if format != FORMAT {
        return Err(StoreError::Format { key, format: u64::from(format) });
    }
    Ok(Some((serde_json::from_slice(&item.bytes).map_err(corrupt)?, item.revision)))
}

/// Says what is new of an incident after a step. Gives the number of messages, 0 or 1.
pub(super) async fn confirm<S: Store>(store: &S, step: u64, incident: &Incident, least: Severity) -> Result<u64, StoreError> {
    for _ in 0..RACES_MAX {
        let told = load(store, &incident.uid).await?;
        if told.as_ref().is_some_and(|(told, _)| told.step >= step) {
            return Ok(0);
        }
        let last = told.as_ref().map_or(0, |(told, _)| told.sequence);
        let event = event(told.as_ref().map(|(told, _)| told), incident).filter(|_| last > 0 || incident.severity() >= least);
        let changed = told.as_ref().is_none_or(|(told, _)| told.step == 0 || is_news(&told.incident, incident) || incident.resolved);
        if event.is_none() && !changed {
            return Ok(0);
        }
        let next = Told::new(step, last + u32::from(event.is_some()), incident);
        let was_early = told.as_ref().is_some_and(|(told, _)| told.step == 0);
        let unmarked = was_early.then(|| unmark(&incident.uid));
        match write(store, next, told.map(|(_, revision)| revision), event, |writes| writes.extend(unmarked)).await {
            Err(StoreError::Conflict) => continue,
            done => return done,
        }
    }
    Err(StoreError::Conflict)
}

/// Says an incident before its window is complete, unless something was said of it.
pub(super) async fn early<S: Store>(store: &S, incident: &Incident, least: Severity) -> Result<u64, StoreError> {
    if incident.severity() < least || load(store, &incident.uid).await?.is_some() {
        return Ok(0);
    }
    let mark = Write::put(keys::early(&incident.uid), incident.updated.0.to_le_bytes().to_vec(), Expect::Any);
    match write(store, Told::new(0, 1, incident), None, Some(Event::Opened), |writes| writes.push(mark)).await {
        Err(StoreError::Conflict) => Ok(0),
        done => done,
    }
}

/// Takes back what was told early and did not hold: the windows up to its last are judged, and did not say it.
pub(super) async fn withdraw<S: Store>(store: &S, uid: &str, reason: &str) -> Result<u64, StoreError> {
    let Some((told, revision)) = load(store, uid).await?.filter(|(told, _)| told.step == 0 && !told.withdrawn) else {
        store.commit(vec![unmark(uid)]).await?;
        return Ok(0);
    };
    let next = Told { sequence: told.sequence + 1, withdrawn: true, ..told };
    let event = Event::Withdrawn { reason: reason.to_owned() };
    write(store, next, Some(revision), Some(event), |writes| writes.push(unmark(uid))).await
}

fn unmark(uid: &str) -> Write {
    Write::Delete { key: keys::early(uid) }
}

async fn write<S: Store>(
    store: &S,
    told: Told,
    revision: Option<u64>,
    event: Option<Event>,
    more: impl FnOnce(&mut Vec<Write>),
) -> Result<u64, StoreError> {
    let sent = u64::from(event.is_some());
    let bytes = serde_json::to_vec(&told).map_err(|e| StoreError::Unavailable(e.into()))?;
    let expect = revision.map_or(Expect::Absent, Expect::Revision);
    let mut writes = vec![Write::put(keys::told(&told.incident.uid), bytes, expect)];
    if let Some(event) = event {
        let key = keys::outbox(&told.incident.uid, told.sequence);
        let message = Message::new(event, Incident { sequence: told.sequence, ..told.incident });
        writes.push(Write::put(key, message.to_json().into_bytes(), Expect::Any));
    }
    more(&mut writes);
    store.commit(writes).await?;
    Ok(sent)
}

/// What a change is to a person, if it is anything.
fn event(told: Option<&Told>, incident: &Incident) -> Option<Event> {
    match told {
        None if incident.resolved => None,
        None => Some(Event::Opened),
        Some(told) if told.sequence == 0 || told.withdrawn => (!incident.resolved).then_some(Event::Opened),
        Some(_) if incident.resolved => Some(Event::Resolved),
        Some(told) => is_news(&told.incident, incident).then_some(Event::Updated),
    }
}

/// Whether an alert was added, or a finding became one.
fn is_news(before: &Incident, now: &Incident) -> bool {
    let alerts = |i: &Incident| i.findings.iter().filter(|f| f.level == Level::Alert).count();
    now.severity() > before.severity() || alerts(now) > alerts(before)
}
