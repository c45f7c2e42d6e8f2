//! The store on AWS's emulator of DynamoDB: the suite of every store, many writers at once, what is billed, and trouble on
//! the way. Deliberately absent: throttling by load, which the emulator doesn't do; a proxy says so instead.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use expect_test::{Expect as Snapshot, expect};
use outflow_aws::dynamo::DynamoStore;
use outflow_core::observe::Class;
use outflow_core::time::{Timestamp, WindowId};
use outflow_e2e::parts::dynamodb::{DynamoDb, client, create_table};
use outflow_e2e::parts::trouble::{Act, Trouble};
use outflow_pipeline::keys;
use outflow_pipeline::store::metered::Metered;
use outflow_pipeline::store::units::item_bytes;
use outflow_pipeline::store::{Expect, Item, Key, Store, StoreError, Write, conformance};
use tokio::task::LocalSet;

/// One emulator for all tests; it ends when this process does.
fn emulator() -> Option<&'static DynamoDb> {
    static EMULATOR: OnceLock<Option<DynamoDb>> = OnceLock::new();
    EMULATOR.get_or_init(DynamoDb::start).as_ref()
}

/// A client and a fresh table.
async fn table(name: &str) -> Option<Client> {
    let client = emulator()?.client();
    create_table(&client, name).await;
    Some(client)
}

fn put(sort: &str, bytes: impl Into<Vec<u8>>, expect: Expect) -> Write {
    Write::put(Key::new("t", sort), bytes.into(), expect)
}

async fn raw(client: &Client, table: &str, key: &Key) -> Vec<(String, AttributeValue)> {
    let request = client.get_item().table_name(table).key("p", AttributeValue::S(key.partition.clone()));
    let found = request.key("s", AttributeValue::S(key.sort.clone())).consistent_read(true).send().await.unwrap();
    let mut fields: Vec<_> = found.item.unwrap_or_default().into_iter().collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

#[tokio::test]
async fn conforms() {
    let Some(client) = table("conforms").await else { return };
    conformance::all(&DynamoStore::new(&client, "conforms")).await;
}

#[tokio::test]
async fn items_are_written_as_documented() {
    let Some(client) = table("items").await else { return };
    let store = DynamoStore::new(&client, "items");
    let expires = Timestamp::from_ms(1_764_000_000_001);
    let write = |key: &Key, expires| Write::Put { key: key.clone(), bytes: b"1".to_vec(), expect: Expect::Any, expires };
    let (state, batch) = (Key::new("b/1", "fx"), keys::batch(Some(WindowId(0x5a_0000)), Class::Logs, &[7; 16]));
    let mut said = String::new();
    for (key, expires) in [(&state, expires), (&state, None), (&batch, expires), (&batch, expires)] {
        store.commit(vec![write(key, expires)]).await.unwrap();
        said += &format!("{:?}\n", raw(&client, "items", key).await);
    }
    store.commit(vec![write(&state, expires), write(&batch, None)]).await.unwrap();
    for key in [&state, &batch] {
        said += &format!("{:?}\n", raw(&client, "items", key).await);
    }
    expect![[r#"
        [("b", B(Blob { inner: 31 })), ("p", S("b/1")), ("r", N("1")), ("s", S("fx")), ("x", N("1764000001"))]
        [("b", B(Blob { inner: 31 })), ("p", S("b/1")), ("r", N("2")), ("s", S("fx"))]
        [("b", B(Blob { inner: 31 })), ("p", S("w/005a0000/l")), ("r", N("1")), ("s", S("07070707070707070707070707070707")), ("x", N("1764000001"))]
        [("b", B(Blob { inner: 31 })), ("p", S("w/005a0000/l")), ("r", N("1")), ("s", S("07070707070707070707070707070707")), ("x", N("1764000001"))]
        [("b", B(Blob { inner: 31 })), ("p", S("b/1")), ("r", N("3")), ("s", S("fx")), ("x", N("1764000001"))]
        [("b", B(Blob { inner: 31 })), ("p", S("w/005a0000/l")), ("r", N("1")), ("s", S("07070707070707070707070707070707"))]
    "#]].assert_eq(&said);
}

#[tokio::test]
async fn damaged_items_are_named() {
    let Some(client) = table("damaged").await else { return };
    let store = DynamoStore::new(&client, "damaged");
    let text = |s: &str| AttributeValue::S(s.to_owned());
    client.put_item().table_name("damaged").item("p", text("t")).item("s", text("x")).item("r", text("no number")).send().await.unwrap();
    let key = Key::new("t", "x");
    assert!(matches!(store.load(&key).await, Err(StoreError::Corrupt { key: k }) if k == key));
    assert!(matches!(store.list("t", "", 10).await, Err(StoreError::Corrupt { key: k }) if k == key));
}

const WRITERS: usize = 16;

/// Runs writers at once, each with a store of its own, and gives what they give.
async fn at_once<T: 'static, F: Future<Output = T> + 'static>(work: impl Fn(usize) -> F) -> Vec<T> {
    let local = LocalSet::new();
    let tasks: Vec<_> = (0..WRITERS).map(|writer| local.spawn_local(work(writer))).collect();
    local.await;
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.unwrap());
    }
    all
}

#[tokio::test]
async fn of_many_creators_one_wins() {
    let Some(client) = table("creators").await else { return };
    for round in 0..20 {
        let results = at_once(|writer| {
            let store = DynamoStore::new(&client, "creators");
            async move { store.commit(vec![put(&round.to_string(), [writer as u8], Expect::Absent)]).await }
        });
        let results = results.await;
        let winners: Vec<usize> = (0..WRITERS).filter(|w| results[*w].is_ok()).collect();
        assert!(results.iter().all(|r| matches!(r, Ok(()) | Err(StoreError::Conflict))), "{results:?}");
        let item = DynamoStore::new(&client, "creators").load(&Key::new("t", round.to_string())).await.unwrap().unwrap();
        assert_eq!((winners, item.revision), (vec![usize::from(item.bytes[0])], 1));
    }
}

/// Adds one to a counter and leaves a receipt, as often as it takes. Gives the conflicts met.
async fn add_one(store: &DynamoStore, receipt: &str) -> usize {
    for conflicts in 0.. {
        let found = store.load(&Key::new("t", "counter")).await.unwrap();
        let count = found.as_ref().map_or(0, |item| u32::from_le_bytes(item.bytes[..].try_into().unwrap())) + 1;
        let expect = found.map_or(Expect::Absent, |item| Expect::Revision(item.revision));
        let writes = vec![put("counter", count.to_le_bytes(), expect), put(receipt, [], Expect::Absent)];
        match store.commit(writes).await {
            Ok(()) => return conflicts,
            Err(StoreError::Conflict) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    unreachable!("a loop without an end ended")
}

#[tokio::test]
async fn transactions_on_one_item_lose_nothing() {
    let Some(client) = table("transactions").await else { return };
    const EACH: usize = 10;
    let conflicts = at_once(|writer| {
        let store = DynamoStore::new(&client, "transactions");
        async move {
            let mut conflicts = 0;
            for i in 0..EACH {
                conflicts += add_one(&store, &format!("receipt-{writer}-{i}")).await;
            }
            conflicts
        }
    });
    let conflicts: usize = conflicts.await.iter().sum();
    let store = DynamoStore::new(&client, "transactions");
    let counter = store.load(&Key::new("t", "counter")).await.unwrap().unwrap();
    let all = (WRITERS * EACH) as u32;
    assert_eq!(counter, Item { revision: u64::from(all), bytes: all.to_le_bytes().to_vec() });
    assert_eq!(store.list("t", "receipt", 1_000).await.unwrap().len(), WRITERS * EACH);
    assert!(conflicts > 0, "the writers never met: this test shows nothing");
}

#[tokio::test]
async fn every_put_raises_the_revision() {
    let Some(client) = table("puts").await else { return };
    let done = at_once(|writer| {
        let store = DynamoStore::new(&client, "puts");
        async move {
            for _ in 0..10 {
                store.commit(vec![put("x", [writer as u8], Expect::Any)]).await.unwrap();
            }
        }
    });
    assert_eq!(done.await.len(), WRITERS);
    let item = DynamoStore::new(&client, "puts").load(&Key::new("t", "x")).await.unwrap().unwrap();
    assert_eq!(item.revision, 10 * WRITERS as u64);
}

/// What the emulator bills for writing this item again as it stands, and for reading it.
async fn billed(client: &Client, table: &str, key: &Key) -> (f64, f64) {
    let item = raw(client, table, key).await.into_iter().collect();
    let total = ReturnConsumedCapacity::Total;
    let written = client.put_item().table_name(table).set_item(Some(item)).return_consumed_capacity(total.clone()).send().await.unwrap();
    let request = client.get_item().table_name(table).key("p", AttributeValue::S(key.partition.clone()));
    let request = request.key("s", AttributeValue::S(key.sort.clone())).return_consumed_capacity(total);
    let read = request.consistent_read(!keys::reads_may_lag(&key.partition)).send().await.unwrap();
    (written.consumed_capacity.unwrap().capacity_units.unwrap(), read.consumed_capacity.unwrap().capacity_units.unwrap())
}

#[tokio::test]
async fn units_are_what_the_emulator_bills() {
    let Some(client) = table("units").await else { return };
    let state = Key::new("b/123456789012", "farn:aws:lambda:eu-west-1:123456789012:function:books-\u{fc}");
    let batch = keys::batch(Some(WindowId(0x5a_0000)), Class::Trail, &[7; 16]);
    let (round, expires) = (Timestamp::from_ms(1_764_000_000_000), Timestamp::from_ms(1_764_123_456_000));
    for (key, expect, expires) in [
        (&state, Expect::Absent, None),
        (&state, Expect::Any, expires),
        (&state, Expect::Absent, round),
        (&batch, Expect::Any, None),
        (&batch, Expect::Any, expires),
    ] {
        for kib in [1, 2, 4, 5, 100] {
            let names = item_bytes(key, 0, 1, expires);
            for bytes in [kib * 1_024 - names, kib * 1_024 - names + 1] {
                let store = Metered::new(DynamoStore::new(&client, "units"));
                store.commit(vec![Write::Delete { key: key.clone() }]).await.unwrap();
                let before = store.units().total().write_units;
                store.commit(vec![Write::Put { key: key.clone(), bytes: vec![7; bytes], expect, expires }]).await.unwrap();
                store.load(key).await.unwrap();
                let ours = store.units().total();
                let (written, read) = billed(&client, "units", key).await;
                let said = ((ours.write_units - before) as f64, ours.read_halves as f64 / 2.0);
                // Whether an item expires isn't told to a reader, which is seven bytes at most.
                let seven_more = expires.is_some() && kib % 4 == 0 && bytes + names > kib * 1_024;
                assert_eq!(said.0, written, "writing {bytes} bytes under {key:?}, {expires:?}");
                assert!(said.1 == read || seven_more, "reading {bytes} bytes under {key:?}, {expires:?}: {said:?} for {read}");
            }
        }
    }
}

#[tokio::test]
async fn units_of_lists_are_what_the_emulator_bills() {
    let Some(client) = table("lists").await else { return };
    for (partition, strong) in [("b/1", true), ("w/005a0000/l", false)] {
        for i in 0..9 {
            let write = Write::put(Key::new(partition, i.to_string()), vec![1; 1_000], Expect::Any);
            DynamoStore::new(&client, "lists").commit(vec![write]).await.unwrap();
        }
        // A list of nothing is left out: an account is billed the least read for it, the emulator bills nothing.
        for (from, limit) in [("", 100), ("5", 1), ("8", 5)] {
            let store = Metered::new(DynamoStore::new(&client, "lists"));
            store.list(partition, from, limit).await.unwrap();
            let request = client.query().table_name("lists").key_condition_expression("p = :p AND s >= :s").limit(limit as i32);
            let request = request.expression_attribute_values(":p", AttributeValue::S(partition.to_owned()));
            let from = if from.is_empty() { "\0" } else { from };
            let request = request.expression_attribute_values(":s", AttributeValue::S(from.to_owned())).consistent_read(strong);
            let page = request.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.unwrap();
            let theirs = page.consumed_capacity.unwrap().capacity_units.unwrap();
            assert_eq!(store.units().total().read_halves as f64 / 2.0, theirs, "{partition} from {from:?}, {limit}");
        }
    }
}

fn refuse(status: u16, name: &str) -> Act {
    Act::Refuse(status, format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{name}","message":"as planned"}}"#))
}

fn cancel(reason: &str) -> Act {
    let name = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    Act::Refuse(400, format!(r#"{{"__type":"{name}","message":"-","CancellationReasons":[{{"Code":"None"}},{{"Code":"{reason}"}}]}}"#))
}

/// What one commit, over an item `x` of revision 1 with the bytes `old`, comes to behind a proxy with this script.
async fn through(name: &str, acts: Vec<Act>, then: Act, writes: Vec<Write>) -> Option<String> {
    let direct = table(name).await?;
    let direct = DynamoStore::new(&direct, name);
    direct.commit(vec![put("x", "old", Expect::Absent)]).await.unwrap();
    let trouble = Trouble::start(emulator()?.address, acts, then);
    let store = DynamoStore::new(&client(trouble.address, Duration::from_millis(300)), name);
    let result = match store.commit(writes).await {
        Ok(()) => "ok".to_owned(),
        Err(StoreError::Unavailable(_)) => "unavailable".to_owned(),
        Err(other) => format!("{other:?}").to_lowercase(),
    };
    let items = direct.list("t", "", 10).await.unwrap();
    let items = items.into_iter().map(|(key, item)| format!("{}={} r{}", key.sort, String::from_utf8_lossy(&item.bytes), item.revision));
    Some(format!("{name}: {result}, {} tries; {}\n", trouble.seen(), items.collect::<Vec<_>>().join(", ")))
}

async fn check(cases: Vec<(&str, Vec<Act>, Act, Vec<Write>)>, snapshot: Snapshot) {
    let mut said = String::new();
    for (name, acts, then, writes) in cases {
        let Some(line) = through(name, acts, then, writes).await else { return };
        said += &line;
    }
    snapshot.assert_eq(&said);
}

#[tokio::test]
async fn tries_are_bounded() {
    let (throttle, broken) = (|| refuse(400, "ThrottlingException"), || refuse(500, "InternalServerError"));
    let new = || vec![put("x", "new", Expect::Revision(1))];
    let two = || vec![put("x", "new", Expect::Revision(1)), put("y", "new", Expect::Absent)];
    let cases = vec![
        ("throttled-twice", vec![throttle(), refuse(400, "ProvisionedThroughputExceededException")], Act::Pass, new()),
        ("throttled-always", vec![], throttle(), new()),
        ("broken-twice", vec![broken(), refuse(503, "ServiceUnavailable")], Act::Pass, new()),
        ("broken-always", vec![], broken(), new()),
        ("hangs-once", vec![Act::Hang], Act::Pass, new()),
        ("hangs-always", vec![], Act::Hang, new()),
        ("contended-once", vec![refuse(400, "TransactionConflictException")], Act::Pass, new()),
        ("cancelled-twice", vec![cancel("TransactionConflict"), cancel("ThrottlingError")], Act::Pass, two()),
        ("cancelled-always", vec![], cancel("TransactionConflict"), two()),
        ("transaction-throttled", vec![], cancel("ProvisionedThroughputExceeded"), two()),
        ("transaction-in-progress", vec![refuse(400, "TransactionInProgressException")], Act::Pass, two()),
        ("condition", vec![], cancel("ConditionalCheckFailed"), two()),
        ("denied", vec![], refuse(400, "AccessDeniedException"), new()),
    ];
    check(
        cases,
        expect![[r#"
        throttled-twice: ok, 3 tries; x=new r2
        throttled-always: throttled, 10 tries; x=old r1
        broken-twice: ok, 3 tries; x=new r2
        broken-always: unavailable, 3 tries; x=old r1
        hangs-once: ok, 2 tries; x=new r2
        hangs-always: unavailable, 3 tries; x=old r1
        contended-once: ok, 2 tries; x=new r2
        cancelled-twice: ok, 3 tries; x=new r2, y=new r1
        cancelled-always: conflict, 10 tries; x=old r1
        transaction-throttled: throttled, 10 tries; x=old r1
        transaction-in-progress: ok, 2 tries; x=new r2, y=new r1
        condition: conflict, 1 tries; x=old r1
        denied: unavailable, 1 tries; x=old r1
    "#]],
    )
    .await;
}

#[tokio::test]
async fn lost_answers_lose_nothing() {
    let lose = || vec![Act::Lose];
    let two = |expect| vec![put("x", "new", expect), put("y", "new", Expect::Any)];
    let cases = vec![
        ("create", lose(), Act::Pass, vec![put("y", "new", Expect::Absent)]),
        ("replace", lose(), Act::Pass, vec![put("x", "new", Expect::Revision(1))]),
        ("replace-thrice", vec![Act::Lose, Act::Lose], Act::Pass, vec![put("x", "new", Expect::Revision(1))]),
        ("lost-always", vec![], Act::Lose, vec![put("x", "new", Expect::Revision(1))]),
        ("any", lose(), Act::Pass, vec![put("x", "new", Expect::Any)]),
        ("delete", lose(), Act::Pass, vec![Write::Delete { key: Key::new("t", "x") }]),
        ("transaction", lose(), Act::Pass, two(Expect::Revision(1))),
        ("transaction-any", lose(), Act::Pass, two(Expect::Any)),
        ("same-bytes-of-another", vec![], Act::Pass, vec![put("x", "old", Expect::Absent)]),
        ("throttled-then-of-another", vec![refuse(400, "ThrottlingException")], Act::Pass, vec![put("x", "old", Expect::Absent)]),
        ("lost-and-of-another", vec![refuse(500, "InternalServerError")], Act::Pass, vec![put("x", "new", Expect::Absent)]),
    ];
    check(
        cases,
        expect![[r#"
        create: ok, 2 tries; x=old r1, y=new r1
        replace: ok, 2 tries; x=new r2
        replace-thrice: ok, 3 tries; x=new r2
        lost-always: unavailable, 3 tries; x=new r2
        any: ok, 2 tries; x=new r3
        delete: ok, 2 tries; 
        transaction: ok, 2 tries; x=new r2, y=new r1
        transaction-any: ok, 2 tries; x=new r2, y=new r1
        same-bytes-of-another: conflict, 1 tries; x=old r1
        throttled-then-of-another: conflict, 2 tries; x=old r1
        lost-and-of-another: conflict, 2 tries; x=old r1
    "#]],
    )
    .await;
}

#[tokio::test]
async fn reads_are_repeated_too() {
    let Some(direct) = table("reads").await else { return };
    DynamoStore::new(&direct, "reads").commit(vec![put("x", "old", Expect::Absent)]).await.unwrap();
    let Some(emulator) = emulator() else { return };
    let acts = [Act::Lose, refuse(400, "ThrottlingException"), Act::Pass, Act::Hang, refuse(500, "InternalServerError")];
    let trouble = Trouble::start(emulator.address, acts, Act::Pass);
    let store = DynamoStore::new(&client(trouble.address, Duration::from_millis(300)), "reads");
    assert!(store.load(&Key::new("t", "x")).await.unwrap().is_some());
    assert_eq!(store.list("t", "", 10).await.unwrap().len(), 1);
    assert_eq!(trouble.seen(), 6);
}
