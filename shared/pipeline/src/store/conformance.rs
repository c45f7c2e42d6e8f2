//! What every store must do, whatever it stands on. One call runs it all; a failure panics with what was expected.
//!
//! The suite writes under keys of its own (`conformance…`), and expects to find none there. There is deliberately nothing
//! about speed or billing here.

#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used)]

use super::{COMMIT_WRITES_MAX, Expect, Item, Key, Store, StoreError, Write};

/// Runs the suite.
pub async fn all<S: Store>(store: &S) {
    items_come_back(store).await;
    expectations_hold(store).await;
    commits_are_all_or_nothing(store).await;
    lists_are_in_order(store).await;
    large_items_come_back(store).await;
    unfit_commits_are_refused(store).await;
}

fn put(partition: &str, sort: &str, bytes: &[u8], expect: Expect) -> Write {
    Write::put(Key::new(format!("conformance-{partition}"), sort), bytes.to_vec(), expect)
}

async fn get<S: Store>(store: &S, partition: &str, sort: &str) -> Option<Item> {
    store.load(&Key::new(format!("conformance-{partition}"), sort)).await.expect("load")
}

async fn items_come_back<S: Store>(store: &S) {
    assert_eq!(get(store, "a", "x").await, None, "nothing is there at first");
    store.commit(vec![put("a", "x", b"1", Expect::Any)]).await.expect("put");
    assert_eq!(get(store, "a", "x").await, Some(Item { revision: 1, bytes: b"1".to_vec() }));
    store.commit(vec![put("a", "x", b"", Expect::Any)]).await.expect("put again");
    assert_eq!(get(store, "a", "x").await, Some(Item { revision: 2, bytes: Vec::new() }), "a put raises the revision");
    let key = Key::new("conformance-a", "x");
    store.commit(vec![Write::Delete { key: key.clone() }]).await.expect("delete");
    store.commit(vec![Write::Delete { key }]).await.expect("deleting nothing is fine");
    assert_eq!(get(store, "a", "x").await, None);
}

async fn expectations_hold<S: Store>(store: &S) {
    store.commit(vec![put("b", "x", b"1", Expect::Absent)]).await.expect("absent");
    let conflicts = [Expect::Absent, Expect::Revision(2), Expect::Revision(0)];
    for expect in conflicts {
        let result = store.commit(vec![put("b", "x", b"2", expect)]).await;
        assert!(matches!(result, Err(StoreError::Conflict)), "{expect:?} gave {result:?}");
    }
    let result = store.commit(vec![put("b", "missing", b"2", Expect::Revision(1))]).await;
    assert!(matches!(result, Err(StoreError::Conflict)), "a revision of nothing gave {result:?}");
    store.commit(vec![put("b", "x", b"2", Expect::Revision(1))]).await.expect("the right revision");
    assert_eq!(get(store, "b", "x").await, Some(Item { revision: 2, bytes: b"2".to_vec() }));
}

async fn commits_are_all_or_nothing<S: Store>(store: &S) {
    store.commit(vec![put("c", "old", b"1", Expect::Absent)]).await.expect("put");
    let writes = vec![
        put("c", "new", b"1", Expect::Absent),
        put("c2", "new", b"1", Expect::Any),
        Write::Delete { key: Key::new("conformance-c", "gone") },
        put("c", "old", b"2", Expect::Absent),
    ];
    assert!(matches!(store.commit(writes.clone()).await, Err(StoreError::Conflict)));
    assert_eq!(get(store, "c", "new").await, None, "nothing of a refused commit is there");
    assert_eq!(get(store, "c2", "new").await, None, "nor in another partition");
    store.commit(writes[..3].to_vec()).await.expect("the rest of it");
    assert!(get(store, "c", "new").await.is_some() && get(store, "c2", "new").await.is_some());
}

async fn lists_are_in_order<S: Store>(store: &S) {
    for sort in ["b", "a", "+", "a/1", "ü", "c"] {
        store.commit(vec![put("d", sort, sort.as_bytes(), Expect::Any)]).await.expect("put");
    }
    store.commit(vec![put("d2", "a", b"other", Expect::Any), put("c9", "a", b"other", Expect::Any)]).await.expect("neighbours");
    let list = |from: &'static str, limit| async move {
        let all = store.list("conformance-d", from, limit).await.expect("list");
        all.into_iter().map(|(key, _)| key.sort).collect::<Vec<_>>()
    };
    assert_eq!(list("", 10).await, ["+", "a", "a/1", "b", "c", "ü"]);
    assert_eq!(list("a/", 2).await, ["a/1", "b"]);
    assert_eq!(list("x", 10).await, ["ü"]);
    assert!(list("ü2", 10).await.is_empty());
    assert!(store.list("conformance-none", "", 10).await.expect("list").is_empty());
}

async fn large_items_come_back<S: Store>(store: &S) {
    // DynamoDB's limit is 409,600 bytes with names; a batch is cut below it.
    let bytes: Vec<u8> = (0..380_000u32).map(|i| (i % 251) as u8).collect();
    store.commit(vec![put("e", "large", &bytes, Expect::Any)]).await.expect("put");
    assert_eq!(get(store, "e", "large").await.map(|i| i.bytes), Some(bytes));
}

async fn unfit_commits_are_refused<S: Store>(store: &S) {
    let many = (0..=COMMIT_WRITES_MAX).map(|i| put("f", &i.to_string(), b"", Expect::Any)).collect();
    assert!(matches!(store.commit(many).await, Err(StoreError::Unfit(_))));
    let twice = vec![put("f", "x", b"1", Expect::Any), put("f", "x", b"2", Expect::Any)];
    assert!(matches!(store.commit(twice).await, Err(StoreError::Unfit(_))));
    store.commit(Vec::new()).await.expect("an empty commit is fine");
    assert!(store.list("conformance-f", "", 1).await.expect("list").is_empty());
}
