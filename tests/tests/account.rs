//! In an account the same incidents are confirmed as on a laptop, whatever happens on the way.
//!
//! The books service is delivered to an account in this process (see `outflow_tests::account`) and evaluate runs over its
//! weeks. First undisturbed: what was told in the end equals what replay says of the same records, ids and contents. Then
//! its last hours again and again, on a store that throttles, loses answers and kills its process at any point, with
//! deliveries twice, shuffled, cut and by a second feed, with one evaluator or two at once: the same incidents are
//! confirmed. `OUTFLOW_SOAK_RUNS` says how many times (`make soak`: 10,000).

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex};
use std::task::{Context, Poll, Waker};

use outflow_core::alert::message::{Event, Message};
use outflow_core::config::Config;
use outflow_core::detect::Level;
use outflow_core::incident::{Incident, Severity};
use outflow_core::time::Timestamp;
use outflow_pipeline::evaluate::{Evaluate, Evaluated, Told};
use outflow_pipeline::outbox::{Topic, TopicError, drain};
use outflow_pipeline::store::failing::{Failing, Plan};
use outflow_pipeline::store::memory::Memory;
use outflow_pipeline::store::{Expect, Item, Key, Store, StoreError, Write};
use outflow_simulate::{Books, Story, write};
use outflow_tests::account::{Cut, Delivery, Records, deliveries, intake, take_in};
use outflow_tests::dice::Dice;
use outflow_tests::said;
use pollster::block_on;

const MINUTE_MS: i64 = 60_000;
/// Evaluate runs every minute in an account; here every five, since what it confirms must not depend on it.
const STEP_MS: i64 = 5 * MINUTE_MS;
/// After the last delivery every window becomes due.
const AFTER_MS: i64 = 30 * MINUTE_MS;
/// Disturbed runs, unless `OUTFLOW_SOAK_RUNS` says otherwise.
const RUNS: u64 = 500;
/// Hours before and after the story begins that are run again and again.
const BEFORE_MS: i64 = 30 * MINUTE_MS;
const STORY_MS: i64 = 60 * MINUTE_MS;
/// Times that a minute is tried until the next one comes.
const TRIES: u32 = 4;
/// A process dies within so many of its kill points: before a call of the store, or after a commit was done.
const KILL_WITHIN: u64 = 500;

/// What was sent, in order. By chance a publish fails before or after it was done.
struct Heard {
    messages: RefCell<Vec<Message>>,
    dice: RefCell<Dice>,
    failing_percent: u64,
}

impl Heard {
    fn new(seed: u64, failing_percent: u64) -> Heard {
        Heard { messages: RefCell::default(), dice: RefCell::new(Dice(seed)), failing_percent }
    }

    fn fails(&self) -> bool {
        self.dice.borrow_mut().below(100) < self.failing_percent
    }
}

impl Topic for Heard {
    async fn publish(&self, message: &Message) -> Result<(), TopicError> {
        if self.fails() {
            return Err(TopicError("before".into()));
        }
        self.messages.borrow_mut().push(message.clone());
        if self.fails() { Err(TopicError("after".into())) } else { Ok(()) }
    }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms).unwrap()
}

/// Runs an account undisturbed over the minutes `from` up to `to`.
fn run(store: &Memory, all: &[Delivery], (from, to): (i64, i64), heard: &Heard) {
    let config = Config::default();
    let mut evaluate = block_on(Evaluate::load(store, &config, Severity::Medium)).unwrap();
    let mut intake = intake();
    let mut coming = all.iter().peekable();
    let mut now = from;
    while now <= to {
        while let Some(delivery) = coming.next_if(|d| d.at_ms < now) {
            block_on(take_in(store, &mut intake, delivery)).unwrap();
        }
        block_on(evaluate.minute(at(now), 10_000)).unwrap();
        block_on(drain(store, heard)).unwrap();
        now += STEP_MS;
    }
}

/// What was told of each incident that is confirmed, by id.
fn told(store: &Memory) -> BTreeMap<String, Told> {
    let items = store.items().into_iter().filter(|(key, _)| key.partition == "told");
    let all = items.map(|(_, item)| serde_json::from_slice::<Told>(&item.bytes).unwrap()).filter(|t| t.step > 0);
    all.map(|t| (t.incident.uid.clone(), t)).collect()
}

fn confirmed(store: &Memory) -> BTreeMap<String, Incident> {
    told(store).into_iter().map(|(uid, told)| (uid, told.incident)).collect()
}

fn span_of(all: &[Delivery]) -> (i64, i64) {
    let (first, last) = (all.first().unwrap().at_ms, all.last().unwrap().at_ms);
    (first - first.rem_euclid(STEP_MS), last + AFTER_MS)
}

#[test]
fn an_account_confirms_what_replay_says() {
    let jobs = Mutex::new(Story::ALL.to_vec());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(story) = jobs.lock().unwrap().pop() else { break };
                    let folder = tempfile::tempdir().unwrap();
                    write(&Books { seed: 1, days: 21, story }, folder.path()).unwrap();
                    let replayed: BTreeMap<String, Incident> =
                        said(folder.path()).incidents.into_iter().map(|i| (i.uid.clone(), i)).collect();
                    let (store, heard) = (Memory::new(), Heard::new(0, 0));
                    let all = deliveries(&Records::read(folder.path()), &Cut::default());
                    run(&store, &all, span_of(&all), &heard);
                    assert_eq!(confirmed(&store), replayed, "{story}");
                    println!("{story}: {} incidents, rare ones too, {} messages", replayed.len(), heard.messages.borrow().len());
                }
            });
        }
    });
}

/// An account shortly before a story, and what must come of it.
struct Prepared {
    story: Story,
    base: Memory,
    records: Records,
    from: i64,
    until: i64,
    confirmed: BTreeMap<String, Incident>,
}

fn prepare(story: Story) -> Prepared {
    let folder = tempfile::tempdir().unwrap();
    let written = write(&Books { seed: 2, days: 21, story }, folder.path()).unwrap();
    let begins = Timestamp::parse(&written.truth[0].from).unwrap().window().start().ms();
    let records = Records::read(folder.path());
    let (from, until) = (begins - BEFORE_MS, begins + STORY_MS);
    let base = Memory::new();
    let before = deliveries(&records.between(0, from), &Cut::default());
    // All of what came before is there, and judged as far as it is due.
    run(&base, &before, (span_of(&before).0, from), &Heard::new(0, 0));
    let mut intake = intake();
    for late in before.iter().filter(|d| d.at_ms >= from - STEP_MS) {
        block_on(take_in(&base, &mut intake, late)).unwrap();
    }
    let records = records.between(from, until);
    let whole = base.fork();
    run(&whole, &deliveries(&records, &Cut::default()), (from, until + AFTER_MS), &Heard::new(0, 0));
    let confirmed = confirmed(&whole);
    assert!(confirmed.values().any(|i| i.severity() >= Severity::Medium), "{story}: there is an incident to compare");
    Prepared { story, base, records, from, until, confirmed }
}

/// Lets the other evaluator go first now and then.
struct Yielding<S> {
    inner: S,
    dice: RefCell<Dice>,
}

impl<S> Yielding<S> {
    async fn pause(&self) {
        let mut yields = self.dice.borrow_mut().below(3);
        std::future::poll_fn(|context| {
            context.waker().wake_by_ref();
            yields = yields.saturating_sub(1);
            if yields == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl<S: Store> Store for Yielding<S> {
    async fn load(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        self.pause().await;
        self.inner.load(key).await
    }

    async fn list(&self, partition: &str, from: &str, limit: usize) -> Result<Vec<(Key, Item)>, StoreError> {
        self.pause().await;
        self.inner.list(partition, from, limit).await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.pause().await;
        self.inner.commit(writes).await
    }
}

type Shaky = Yielding<Failing<Memory>>;

/// One process of evaluate: its view of the store, which may die under it, and what it knows.
struct Process {
    store: &'static Shaky,
    evaluate: Option<Evaluate<'static, Shaky>>,
}

/// What a run is disturbed by.
struct Disturbed {
    dice: Dice,
    memory: Memory,
    config: Config,
    kills: u64,
    /// Kills that are left: in the end everything is done.
    left: u64,
}

impl Disturbed {
    fn store(&mut self) -> &'static Shaky {
        let kill_at = (self.left > 0).then(|| self.dice.below(KILL_WITHIN));
        self.left = self.left.saturating_sub(1);
        let trouble = if self.dice.below(2) == 0 { 4 } else { 0 };
        let plan = Plan { seed: self.dice.number(), throttled: trouble, conflicting: trouble, lost: trouble, kill_at };
        let dice = RefCell::new(Dice(self.dice.number()));
        // Evaluators borrow their store; a test of some thousand runs may leak some small ones.
        Box::leak(Box::new(Yielding { inner: Failing::new(self.memory.clone(), plan), dice }))
    }

    fn process(&mut self) -> Process {
        Process { store: self.store(), evaluate: None }
    }

    /// A dead process is replaced by a new one.
    fn revive(&mut self, process: &mut Process) {
        if process.store.inner.is_killed() {
            self.kills += 1;
            *process = self.process();
        }
    }
}

async fn minute(process: &mut Process, config: &Config, now: i64, heard: &Heard) -> Result<(), StoreError> {
    let mut evaluate = match process.evaluate.take() {
        Some(warm) => warm,
        None => Evaluate::load(process.store, config, Severity::Medium).await?,
    };
    evaluate.minute(at(now), 60).await?;
    process.evaluate = Some(evaluate);
    drain(process.store, heard).await.map(|_| ())
}

/// Lets two futures run in turns that the dice decide.
fn race<T>(dice: &mut Dice, a: impl Future<Output = T>, b: impl Future<Output = T>) -> (T, T) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut done_a, mut done_b) = (None, None);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if done_a.is_none()
            && (done_b.is_some() || dice.below(2) == 0)
            && let Poll::Ready(value) = a.as_mut().poll(&mut context)
        {
            done_a = Some(value);
        }
        if done_b.is_none()
            && (done_a.is_some() || dice.below(2) == 0)
            && let Poll::Ready(value) = b.as_mut().poll(&mut context)
        {
            done_b = Some(value);
        }
        match (done_a.take(), done_b.take()) {
            (Some(a), Some(b)) => return (a, b),
            (a, b) => (done_a, done_b) = (a, b),
        }
    }
}

/// Runs a story's hours once, disturbed as the seed says. Gives the store, what was heard, and how many processes died.
fn disturbed(prepared: &Prepared, seed: u64, wiped: bool) -> (Memory, Heard, u64) {
    let mut dice = Dice(seed);
    let cut = Cut { seed: dice.number(), twice: 20, shuffled: true, cut: 30, by_event_bus: 10 };
    let all = deliveries(&prepared.records, &cut);
    let memory = prepared.base.fork();
    let heard = Heard::new(dice.number(), dice.below(2) * 10);
    let mut run = Disturbed { dice, memory: memory.clone(), config: Config::default(), kills: 0, left: 6 };
    let (mut ingest, mut one, mut two) = (run.process(), run.process(), run.process());
    let two_at_once = run.dice.below(2) == 0;
    let mut coming: Vec<&Delivery> = all.iter().rev().collect();
    let mut now = prepared.from;
    while now <= prepared.until + AFTER_MS {
        let mut waiting = Vec::new();
        while let Some(delivery) = coming.pop_if(|d| d.at_ms < now) {
            let mut intake = intake();
            let came = (0..TRIES).any(|_| {
                run.revive(&mut ingest);
                block_on(take_in(ingest.store, &mut intake, delivery)).is_ok()
            });
            if !came {
                waiting.push(delivery);
            }
        }
        coming.extend(waiting);
        if wiped && now >= prepared.from + BEFORE_MS + STORY_MS / 2 {
            memory.forget_all();
            break;
        }
        let last = now + STEP_MS > prepared.until + AFTER_MS;
        for _ in 0..if last { 100 } else { TRIES } {
            run.revive(&mut one);
            run.revive(&mut two);
            let config = run.config.clone();
            let mut order = Dice(run.dice.number());
            let results = if two_at_once {
                race(&mut order, minute(&mut one, &config, now, &heard), minute(&mut two, &config, now, &heard))
            } else {
                (block_on(minute(&mut one, &config, now, &heard)), Ok(()))
            };
            if matches!(results, (Ok(()), Ok(()))) && (!last || is_drained(&memory)) {
                break;
            }
        }
        now += STEP_MS;
    }
    (memory, heard, run.kills)
}

fn is_drained(memory: &Memory) -> bool {
    !memory.items().iter().any(|(key, _)| key.partition == "outbox")
}

/// What is wrong with a run, if anything.
fn wrong(prepared: &Prepared, memory: &Memory, heard: &Heard) -> Option<String> {
    let now = confirmed(memory);
    if now != prepared.confirmed {
        let differs = |uid: &&String| now.get(*uid) != prepared.confirmed.get(*uid);
        let uids: Vec<&String> = now.keys().chain(prepared.confirmed.keys()).filter(differs).collect();
        return Some(format!("other incidents: {uids:?}"));
    }
    let mut by_id: BTreeMap<String, &Message> = BTreeMap::new();
    let messages = heard.messages.borrow();
    for message in messages.iter() {
        if *by_id.entry(message.id()).or_insert(message) != message {
            return Some(format!("two messages with the id {}", message.id()));
        }
    }
    for (uid, told) in told(memory).into_iter().filter(|(_, told)| told.sequence > 0) {
        // What the base had told before is not heard again.
        let last = format!("{uid}-{}", told.sequence);
        let in_base = prepared.base.items().iter().any(|(key, _)| key.partition == "told" && key.sort == uid);
        if !in_base && !by_id.contains_key(&last) {
            return Some(format!("the message {last} was never sent"));
        }
    }
    None
}

/// An account shortly before a foreign flow.
static FOREIGN: LazyLock<Prepared> = LazyLock::new(|| prepare(Story::ForeignFlow));

/// Runs the foreign flow minute by minute; `each` is called after every minute with what it did.
fn by_minutes(all: &[Delivery], mut each: impl FnMut(&Memory, i64, &Evaluated, &Heard)) -> Memory {
    let (memory, heard) = (FOREIGN.base.fork(), Heard::new(0, 0));
    let mut evaluate = block_on(Evaluate::load(&memory, &Config::default(), Severity::Medium)).unwrap();
    let (mut intake, mut coming) = (intake(), all.iter().peekable());
    let mut now = FOREIGN.from;
    while now <= all.last().unwrap().at_ms.max(FOREIGN.until) + AFTER_MS {
        while let Some(delivery) = coming.next_if(|d| d.at_ms < now) {
            block_on(take_in(&memory, &mut intake, delivery)).unwrap();
        }
        let did = block_on(evaluate.minute(at(now), 60)).unwrap();
        block_on(drain(&memory, &heard)).unwrap();
        each(&memory, now, &did, &heard);
        now += MINUTE_MS;
    }
    memory
}

/// Before its window is due, and as what is confirmed later.
#[test]
fn a_first_sight_is_told_before_its_window_is_complete() {
    let mut first = None;
    let memory = by_minutes(&deliveries(&FOREIGN.records, &Cut::default()), |_, now, _, heard| {
        first = first.take().or_else(|| heard.messages.borrow().first().map(|m| (now, m.clone())));
    });
    let (now, message) = first.unwrap();
    assert_eq!(message.event, Event::Opened);
    assert!(now < message.incident.opened.end().ms() + 15 * MINUTE_MS, "told at {now}");
    assert!(told(&memory).contains_key(&message.incident.uid), "and confirmed");
    assert_eq!(confirmed(&memory), FOREIGN.confirmed);
}

/// What stands in the table and was not written by us is counted, and keeps nothing else from being judged.
#[test]
fn a_damaged_batch_keeps_nothing_from_being_judged() {
    let (mut planted, mut damaged) = (BTreeSet::new(), 0);
    let memory = by_minutes(&deliveries(&FOREIGN.records, &Cut::default()), |memory, _, did, _| {
        damaged += did.damaged;
        let batches = memory.items().into_iter().filter(|(key, _)| key.partition.starts_with("w/"));
        for key in batches.map(|(key, _)| Key::new(&key.partition, format!("{}~", key.sort))) {
            if planted.insert(key.partition.clone()) {
                block_on(memory.commit(vec![Write::put(key, vec![3, 255], Expect::Any)])).unwrap();
            }
        }
    });
    assert!(damaged > 0);
    assert_eq!(confirmed(&memory), FOREIGN.confirmed);
}

/// What was told early and whose records are gone when the window is judged is taken back, once.
#[test]
fn what_does_not_hold_is_withdrawn() {
    let mut wiped = false;
    let mut said = Vec::new();
    by_minutes(&deliveries(&FOREIGN.records, &Cut::default()), |memory, _, _, heard| {
        if !wiped && !heard.messages.borrow().is_empty() {
            let batches = memory.items().into_iter().filter(|(key, _)| key.partition.starts_with("w/"));
            batches.for_each(|(key, _)| block_on(memory.commit(vec![Write::Delete { key }])).unwrap());
            wiped = true;
        }
        said = heard.messages.borrow().iter().map(|m| (m.incident.uid.clone(), m.event.word())).collect();
    });
    let of_first: Vec<&str> = said.iter().filter(|(uid, _)| *uid == said[0].0).map(|(_, word)| *word).collect();
    assert_eq!(of_first, ["opened", "withdrawn"]);
}

/// The trail of the story comes two hours late: its first sights are told all the same, and no mark is left. Ids may differ:
/// an incident begins with what came of its window first.
#[test]
fn first_sights_that_come_late_are_told() {
    let mut all = deliveries(&Records { events: Vec::new(), ..FOREIGN.records.clone() }, &Cut::default());
    all.iter_mut().for_each(|d| d.at_ms += 2 * 60 * MINUTE_MS);
    all.extend(deliveries(&Records { trail: Vec::new(), ..FOREIGN.records.clone() }, &Cut::default()));
    all.sort_by_key(|d| d.at_ms);
    let mut late = 0;
    let memory = by_minutes(&all, |_, _, did, _| late += did.late);
    assert!(late > 0);
    let flows = |all: &BTreeMap<String, Incident>| -> BTreeSet<String> {
        let alerts = all.values().flat_map(|i| &i.findings).filter(|f| f.level == Level::Alert);
        alerts.map(|f| f.subject.clone()).filter(|subject| subject.starts_with("flow ")).collect()
    };
    assert!(!flows(&FOREIGN.confirmed).is_empty());
    assert_eq!(flows(&confirmed(&memory)), flows(&FOREIGN.confirmed));
    assert!(!memory.items().iter().any(|(key, _)| key.partition == "late"), "no mark is left");
}

fn runs() -> u64 {
    std::env::var("OUTFLOW_SOAK_RUNS").map_or(RUNS, |text| text.parse().unwrap())
}

#[test]
fn nothing_on_the_way_changes_what_is_confirmed() {
    let prepared: Vec<Prepared> = std::thread::scope(|scope| {
        let jobs: Vec<_> = [Story::ForeignFlow, Story::Storm].map(|story| scope.spawn(move || prepare(story))).into();
        jobs.into_iter().map(|job| job.join().unwrap()).collect()
    });
    let next = AtomicU64::new(0);
    let (kills, sent, wrongs) = (Mutex::new(0), Mutex::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= runs() {
                        break;
                    }
                    let prepared = &prepared[seed as usize % prepared.len()];
                    let (memory, heard, died) = disturbed(prepared, seed, false);
                    *kills.lock().unwrap() += died;
                    *sent.lock().unwrap() += heard.messages.borrow().len();
                    if let Some(what) = wrong(prepared, &memory, &heard) {
                        wrongs.lock().unwrap().push(format!("{} seed {seed}: {what}\n", prepared.story));
                    }
                }
            });
        }
    });
    let wrongs = wrongs.into_inner().unwrap();
    let (kills, sent) = (kills.into_inner().unwrap(), sent.into_inner().unwrap());
    println!("{} runs, {kills} processes killed, {sent} messages, {} differences", runs(), wrongs.len());
    assert!(kills > runs(), "processes were killed");
    assert!(wrongs.is_empty(), "{}", wrongs.concat());
    // A run that must be seen to differ: the table is lost in the middle.
    let (memory, heard, _) = disturbed(&prepared[0], 1, true);
    assert!(wrong(&prepared[0], &memory, &heard).is_some(), "a lost table is noticed");
}
