//! What is said once, what twice, and what never not at all.

use outflow_core::alert::message::Event;
use outflow_core::alert::slack::Block;
use outflow_core::detect::{Detail, Finding, Level, RateDetail};
use outflow_core::entity::Entity;
use outflow_core::incident::Incident;
use outflow_core::time::WindowId;
use pollster::block_on;
use proptest::prelude::*;

use super::*;
use crate::sender::{Memory, Posted};
use crate::store::embedded::Embedded;
use crate::store::{Item, Key};

const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:outflow";

fn now() -> Timestamp {
    Timestamp::parse("2025-10-14T17:11:00Z").unwrap()
}

fn message(name: &str, sequence: u32, event: Event) -> Message {
    let rate = RateDetail {
        family: "volume up".into(),
        target: None,
        minutes: 5,
        observed: 2431.0,
        expected: 190.0,
        score: 11.0,
        extra: None,
        back: None,
    };
    let finding = Finding {
        entity: Entity::function("eu-west-1", "123456789012", name),
        subject: "rate volume up".to_owned(),
        window: WindowId(5_868_000),
        judged: WindowId(5_868_000),
        level: Level::Alert,
        years: 3.0,
        learnt_days: 21.0,
        span: None,
        count: 1,
        detail: Detail::Rate(rate),
        before: Vec::new(),
        changes_unknown: false,
        hours: Vec::new(),
        hours_to: WindowId(5_868_000),
    };
    Message::new(event, Incident { sequence, ..Incident::of("123456789012".to_owned(), vec![finding], 0) })
}

fn tell<S: Store>(store: &S, sender: &Memory, message: &Message) -> Result<Told, NotifyError> {
    block_on(notify(store, sender, message, now()))
}

fn places(sender: &Memory) -> Vec<String> {
    let short = |place: &Place| match place {
        Place::Channel => "channel".to_owned(),
        Place::Thread(s) => format!("thread {}", s.ts),
        Place::Instead(s) => format!("instead {}", s.ts),
    };
    sender.posts().iter().map(|p| format!("{} {}", p.id.rsplit('-').next().unwrap(), short(&p.place))).collect()
}

const POSTED: Told = Told::Posted { plain: false, marked: true };

fn later(after_s: Option<u32>) -> SendError {
    SendError::Later { why: "429".to_owned(), after_s }
}

#[test]
fn a_bot_threads_and_edits() {
    let (store, sender) = (Embedded::temporary().unwrap(), Memory::new(true));
    for (n, event) in [(1, Event::Opened), (2, Event::Updated), (4, Event::Updated), (5, Event::Resolved)] {
        assert_eq!(tell(&store, &sender, &message("f", n, event)).unwrap(), POSTED);
    }
    assert_eq!(places(&sender), ["1 channel", "2 thread 1.0", "4 thread 1.0", "5 instead 1.0"]);
}

#[test]
fn a_webhook_names_the_first() {
    let (store, sender) = (Embedded::temporary().unwrap(), Memory::new(false));
    for (n, event) in [(1, Event::Opened), (2, Event::Updated), (3, Event::Withdrawn { reason: "a deployment".to_owned() })] {
        assert_eq!(tell(&store, &sender, &message("f", n, event)).unwrap(), POSTED);
    }
    assert_eq!(places(&sender), ["1 channel", "2 channel", "3 channel"]);
    let said: Vec<String> = sender.posts().iter().map(|p| serde_json::to_string(&p.payload).unwrap()).collect();
    let reference = "follows “f is called 13 times as often as usual” of Tue 14 Oct 2025 17:11 UTC";
    assert_eq!(said.iter().map(|s| s.contains(reference)).collect::<Vec<_>>(), [false, true, true]);
}

#[test]
fn repeats_and_older_ones_are_not_said() {
    let (store, sender) = (Embedded::temporary().unwrap(), Memory::new(true));
    assert_eq!(tell(&store, &sender, &message("f", 2, Event::Updated)).unwrap(), POSTED);
    assert_eq!(tell(&store, &sender, &message("f", 2, Event::Updated)).unwrap(), Told::Repeat);
    assert_eq!(tell(&store, &sender, &message("f", 1, Event::Opened)).unwrap(), Told::Older);
    assert_eq!(tell(&store, &sender, &message("g", 1, Event::Opened)).unwrap(), POSTED);
    assert_eq!(places(&sender), ["2 channel", "1 channel"]);
}

#[test]
fn a_refused_payload_is_said_once_more_plainly() {
    let (store, sender) = (Embedded::temporary().unwrap(), Memory::new(true));
    let unfit = || SendError::Unfit { code: "invalid_blocks".to_owned() };
    sender.fail([unfit()]);
    assert_eq!(tell(&store, &sender, &message("f", 1, Event::Opened)).unwrap(), Told::Posted { plain: true, marked: true });
    assert!(sender.posts()[0].payload.blocks.is_empty());
    sender.fail([unfit(), unfit()]);
    assert!(matches!(tell(&store, &sender, &message("f", 2, Event::Updated)), Err(NotifyError::Send(SendError::Unfit { .. }))));
    assert_eq!(tell(&store, &sender, &message("f", 2, Event::Updated)).unwrap(), POSTED, "it was not marked");
}

#[test]
fn where_the_first_is_gone_the_next_takes_its_place() {
    let (store, sender) = (Embedded::temporary().unwrap(), Memory::new(true));
    tell(&store, &sender, &message("f", 1, Event::Opened)).unwrap();
    sender.fail([SendError::Gone { code: "thread_not_found".to_owned() }]);
    tell(&store, &sender, &message("f", 2, Event::Updated)).unwrap();
    tell(&store, &sender, &message("f", 3, Event::Updated)).unwrap();
    assert_eq!(places(&sender), ["1 channel", "2 channel", "3 thread 2.0"]);
    assert!(sender.posts()[1].payload.blocks.iter().any(|b| matches!(b, Block::Context { .. }) && format!("{b:?}").contains("follows")));
}

/// A store whose next commits fail.
struct Failing {
    inner: Embedded,
    left: std::cell::Cell<u32>,
}

impl Store for Failing {
    async fn load(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        self.inner.load(key).await
    }

    async fn list(&self, partition: &str, from: &str, limit: usize) -> Result<Vec<(Key, Item)>, StoreError> {
        self.inner.list(partition, from, limit).await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        if self.left.get() > 0 {
            self.left.set(self.left.get() - 1);
            return Err(StoreError::Throttled);
        }
        self.inner.commit(writes).await
    }
}

#[test]
fn between_post_and_mark_it_is_said_twice_with_the_same_id() {
    let store = Failing { inner: Embedded::temporary().unwrap(), left: 1.into() };
    let sender = Memory::new(true);
    assert_eq!(tell(&store, &sender, &message("f", 1, Event::Opened)).unwrap(), Told::Posted { plain: false, marked: false });
    assert_eq!(tell(&store, &sender, &message("f", 1, Event::Opened)).unwrap(), POSTED);
    let posts = sender.posts();
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[0], posts[1]);
}

/// A channel in which another message of the incident is told while one is being posted.
struct Overtaken<'a> {
    store: &'a Embedded,
    inner: &'a Memory,
    with: Message,
}

impl Sender for Overtaken<'_> {
    async fn post(&self, post: &Post) -> Result<Posted, SendError> {
        let posted = self.inner.post(post).await?;
        notify(self.store, self.inner, &self.with, now()).await.unwrap();
        Ok(posted)
    }
}

#[test]
fn the_newer_mark_stays() {
    for (mine, other) in [(1, 2), (2, 1)] {
        let (store, sender) = (Embedded::temporary().unwrap(), Memory::new(true));
        let overtaken = Overtaken { store: &store, inner: &sender, with: message("f", other, Event::Updated) };
        assert_eq!(block_on(notify(&store, &overtaken, &message("f", mine, Event::Updated), now())).unwrap(), POSTED);
        assert_eq!(tell(&store, &sender, &message("f", 2, Event::Updated)).unwrap(), Told::Repeat);
    }
}

fn envelope(topic: &str, message: &Message) -> String {
    serde_json::json!({"Type": "Notification", "MessageId": "1", "TopicArn": topic, "Message": message.to_json(),
        "Timestamp": "2025-10-14T17:11:00.000Z", "MessageAttributes": {"severity": {"Type": "String", "Value": "high"}}})
    .to_string()
}

fn outcomes(store: &Embedded, sender: &Memory, bodies: &[(String, u32)]) -> Vec<Outcome> {
    let deliveries: Vec<Delivery<'_>> = bodies.iter().map(|(body, tries)| Delivery { id: "x", body, tries: *tries }).collect();
    block_on(deliver(store, sender, Some(TOPIC), &deliveries, now()))
}

#[test]
fn bodies() {
    let (store, sender) = (Embedded::temporary().unwrap(), Memory::new(true));
    let opened = message("f", 1, Event::Opened);
    let newer = Message { version: 9, ..opened.clone() };
    let said = outcomes(
        &store,
        &sender,
        &[
            (envelope(TOPIC, &message("f", 2, Event::Updated)), 1),
            (envelope(TOPIC, &opened), 1),
            (message("g", 1, Event::Opened).to_json(), 1),
            (envelope("arn:aws:sns:eu-west-1:999999999999:other", &opened), 1),
            ("{\"secret\":1}".to_owned(), 1),
            (envelope(TOPIC, &newer), 3),
        ],
    );
    expect_test::expect![[r#"
        Done(Posted { plain: false, marked: true })
        Done(Posted { plain: false, marked: true })
        Done(Posted { plain: false, marked: true })
        Dead { why: "it came from another topic than the one that is stated; see who may send to the queue" }
        Dead { why: "no message of Outflow (line 1, column 12)" }
        Retry { after_s: 20, why: "message of version 9; this program reads version 1" }
    "#]]
    .assert_eq(&said.iter().map(|o| format!("{o:?}\n")).collect::<String>());
    assert_eq!(places(&sender).len(), 3);
}

#[test]
fn a_pause_that_is_asked_for_is_kept() {
    let (store, sender) = (Embedded::temporary().unwrap(), Memory::new(true));
    sender.fail([later(Some(30))]);
    let bodies: Vec<(String, u32)> = ["a", "b", "c"].map(|f| (envelope(TOPIC, &message(f, 1, Event::Opened)), 1)).to_vec();
    let mut after: Vec<u32> =
        outcomes(&store, &sender, &bodies).iter().map(|o| if let Outcome::Retry { after_s, .. } = o { *after_s } else { 0 }).collect();
    after.sort_unstable();
    assert_eq!(after, [30, 31, 32]);
    assert!(sender.posts().is_empty(), "nothing is posted in a pause");
    assert!(outcomes(&store, &sender, &bodies).iter().all(|o| *o == Outcome::Done(POSTED)));
}

#[test]
fn every_failure_has_its_outcome() {
    let said = |error: SendError, tries: u32| {
        let (store, sender) = (Embedded::temporary().unwrap(), Memory::new(false));
        sender.fail([error.clone(), error]);
        outcomes(&store, &sender, &[(envelope(TOPIC, &message("f", 1, Event::Opened)), tries)]).remove(0)
    };
    let refused = SendError::Refused { code: "channel_not_found".to_owned(), remedy: "invite it".to_owned() };
    let shown = [
        said(later(None), 1),
        said(later(None), 4),
        said(later(None), u32::MAX),
        said(later(Some(0)), 1),
        said(later(Some(1_000_000)), 1),
        said(refused, 1),
        said(SendError::Unfit { code: "invalid_payload".to_owned() }, 1),
    ];
    expect_test::expect![[r#"
        Retry { after_s: 5, why: "try again later: 429" }
        Retry { after_s: 40, why: "try again later: 429" }
        Retry { after_s: 900, why: "try again later: 429" }
        Retry { after_s: 1, why: "try again later: 429" }
        Retry { after_s: 3600, why: "try again later: 429" }
        Dead { why: "refused (channel_not_found): invite it" }
        Dead { why: "the message was refused: invalid_payload" }
    "#]]
    .assert_eq(&shown.iter().map(|o| format!("{o:?}\n")).collect::<String>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    /// Any order, repeats and failures: the last is said, nothing is said twice that was marked, nothing older after newer.
    #[test]
    fn however_it_is_delivered(
        order in prop::collection::vec(1_u32..6, 1..24),
        failures in prop::collection::vec(prop::option::of(0_u32..3), 0..12),
        threads in any::<bool>(),
    ) {
        let (store, sender) = (Embedded::temporary().unwrap(), Memory::new(threads));
        let event = |n| if n == 5 { Event::Resolved } else if n == 1 { Event::Opened } else { Event::Updated };
        let mut failures = failures.into_iter();
        let mut left: Vec<u32> = order.clone();
        while !left.is_empty() {
            match failures.next().flatten() {
                Some(0) => sender.fail([later(None)]),
                Some(1) => sender.fail([SendError::Unfit { code: "invalid_blocks".to_owned() }]),
                Some(_) => sender.fail([later(Some(1))]),
                None => {}
            }
            let bodies: Vec<(String, u32)> = left.drain(..left.len().min(3)).map(|n| (envelope(TOPIC, &message("f", n, event(n))), 1)).collect();
            let said = outcomes(&store, &sender, &bodies);
            for ((body, _), outcome) in bodies.iter().zip(said) {
                match outcome {
                    Outcome::Done(_) => {}
                    // Two refusals may meet one message, in blocks and plain: somebody takes it from the dead letters.
                    Outcome::Retry { .. } | Outcome::Dead { .. } => left.push(read(body, None).unwrap().incident.sequence),
                }
            }
        }
        let said: Vec<u32> = sender.posts().iter().map(|p| p.id.rsplit('-').next().unwrap().parse().unwrap()).collect();
        prop_assert!(said.windows(2).all(|pair| pair[0] < pair[1]), "{said:?}");
        prop_assert_eq!(said.last(), order.iter().max());
    }
}
