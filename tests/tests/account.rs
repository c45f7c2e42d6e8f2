//! In an account the same incidents are confirmed as on a laptop, whatever happens on the way.
//!
//! The books service is delivered to an account in this process (see `outflow_tests::account`), evaluate runs every minute
//! of its weeks, and what was told in the end equals what replay says of the same records: ids and contents.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail")]

use std::collections::BTreeMap;

use outflow_core::alert::message::{Event, Message};
use outflow_core::config::Config;
use outflow_core::incident::{Incident, Severity};
use outflow_core::time::Timestamp;
use outflow_pipeline::evaluate::{Evaluate, Told};
use outflow_pipeline::outbox::{Topic, TopicError, drain};
use outflow_pipeline::store::memory::Memory;
use outflow_simulate::{Books, Story, write};
use outflow_tests::account::{Cut, Delivery, Records, deliveries, intake, take_in};
use outflow_tests::said;
use pollster::block_on;

const MINUTE_MS: i64 = 60_000;
/// After the last delivery every window becomes due.
const AFTER_MS: i64 = 30 * MINUTE_MS;

/// What was sent, in order.
#[derive(Default)]
struct Heard(std::cell::RefCell<Vec<Message>>);

impl Topic for Heard {
    async fn publish(&self, message: &Message) -> Result<(), TopicError> {
        self.0.borrow_mut().push(message.clone());
        Ok(())
    }
}

/// Runs an account from its first delivery to its last, undisturbed.
fn run(store: &Memory, all: &[Delivery], heard: &Heard) {
    let config = Config::default();
    let mut evaluate = block_on(Evaluate::load(store, &config, Severity::Medium)).unwrap();
    let mut intake = intake();
    let mut coming = all.iter().peekable();
    let (first, last) = (all.first().unwrap().at_ms, all.last().unwrap().at_ms);
    let mut now = first - first.rem_euclid(MINUTE_MS);
    while now <= last + AFTER_MS {
        while let Some(delivery) = coming.next_if(|d| d.at_ms < now) {
            block_on(take_in(store, &mut intake, delivery)).unwrap();
        }
        block_on(evaluate.minute(Timestamp::from_ms(now).unwrap(), 10_000)).unwrap();
        block_on(drain(store, heard)).unwrap();
        now += 5 * MINUTE_MS;
    }
    for (id, _) in evaluate.known().accounts() {
        for (entity, _) in evaluate.known().baselines(id) {
            println!("  entity [{id}] {:?} {}", entity.kind, entity.id);
        }
    }
}

/// Confirmed incidents by id, as they were last told.
fn told(store: &Memory) -> BTreeMap<String, Incident> {
    let items = store.items().into_iter().filter(|(key, _)| key.partition == "told");
    let all = items.map(|(_, item)| serde_json::from_slice::<Told>(&item.bytes).unwrap()).filter(|t| t.step > 0);
    all.map(|t| (t.incident.uid.clone(), t.incident)).collect()
}

#[test]
fn an_account_says_what_replay_says() {
    for story in [Story::ForeignFlow] {
        let folder = tempfile::tempdir().unwrap();
        write(&Books { seed: 1, days: std::env::var("DAYS").map_or(21, |d| d.parse().unwrap()), story }, folder.path()).unwrap();
        let replayed: BTreeMap<String, Incident> = said(folder.path()).incidents.into_iter().map(|i| (i.uid.clone(), i)).collect();
        let (store, heard) = (Memory::new(), Heard::default());
        let started = std::time::Instant::now();
        run(&store, &deliveries(&Records::read(folder.path()), &Cut::default()), &heard);
        println!("{story}: {:?}", started.elapsed());
        let told = told(&store);
        for message in heard.0.borrow().iter() {
            println!("  {:?} {} {} {:?}", message.event, message.id(), outflow_core::alert::title(&message.incident), message.incident.since().to_rfc3339());
        }
        for (uid, incident) in &replayed {
            match told.get(uid) {
                None => println!("  missing {uid} {:?} {}", incident.severity(), outflow_core::alert::title(incident)),
                Some(other) if other != incident => println!("  differs {uid}\n{other:?}\n{incident:?}"),
                Some(_) => {}
            }
        }
        for (uid, incident) in told.iter().filter(|(uid, _)| !replayed.contains_key(*uid)) {
            println!("  beyond {uid} {}", outflow_core::alert::title(incident));
        }
        let _ = Event::Opened;
    }
}
