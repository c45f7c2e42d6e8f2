//! What every store must do, whatever it stands on. One call runs it all; a failure panics with what was expected.
//!
//! The suite writes under keys of its own (`conformance…`), and expects to find none there. There is deliberately nothing
//! about speed, billing or concurrent writers here: those need the store itself.

#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used)]

use outflow_core::time::Timestamp;

use super::{COMMIT_WRITES_MAX, Expect, Item, Key, Store, StoreError, Write};

/// Runs the suite.
pub async fn all<S: Store>(store: &S) {
    items_come_back(store).await;
    expectations_hold(store).await;
    commits_are_all_or_nothing(store).await;
    revisions_rise(store).await;
    lists_are_in_order(store).await;
    lists_go_on_where_they_ended(store).await;
    hostile_keys_are_keys(store).await;
    expired_items_are_still_there(store).await;
    large_items_come_back(store).await;
    large_lists_come_back(store).await;
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

async fn revisions_rise<S: Store>(store: &S) {
    let revision = || async { get(store, "g", "x").await.map(|item| item.revision) };
    let key = Key::new("conformance-g", "x");
    store.commit(vec![put("g", "x", b"1", Expect::Absent)]).await.expect("absent");
    store.commit(vec![put("g", "x", b"2", Expect::Any)]).await.expect("any");
    assert_eq!(revision().await, Some(2));
    store.commit(vec![put("g", "x", b"3", Expect::Any), put("g", "y", b"1", Expect::Any)]).await.expect("any of several");
    assert_eq!(revision().await, Some(3));
    store.commit(vec![put("g", "x", b"4", Expect::Revision(3)), put("g", "y", b"2", Expect::Revision(1))]).await.expect("revisions");
    assert_eq!(revision().await, Some(4));
    let writes = vec![put("g", "x", b"5", Expect::Revision(4)), put("g", "y", b"3", Expect::Revision(1))];
    assert!(matches!(store.commit(writes).await, Err(StoreError::Conflict)));
    assert_eq!(get(store, "g", "x").await, Some(Item { revision: 4, bytes: b"4".to_vec() }));
    store.commit(vec![Write::Delete { key: key.clone() }]).await.expect("delete");
    store.commit(vec![put("g", "x", b"6", Expect::Absent)]).await.expect("absent again");
    assert_eq!(revision().await, Some(1), "what was deleted begins anew");
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

async fn lists_go_on_where_they_ended<S: Store>(store: &S) {
    // U+FB00 is before U+1F600 in UTF-8 and after it in UTF-16; zero characters are the least.
    let sorts = ["", "\0", "\0a", "A", "a", "a\0", "aa", "b", "\u{fb00}", "\u{1f600}"];
    for sort in sorts.iter().rev() {
        store.commit(vec![put("h", sort, sort.as_bytes(), Expect::Absent)]).await.expect("put");
    }
    for limit in [1, 3, 100] {
        let (mut seen, mut from): (Vec<String>, String) = (Vec::new(), String::new());
        loop {
            let page = store.list("conformance-h", &from, limit).await.expect("list");
            assert!(page.len() <= limit && page.iter().all(|(key, item)| key.sort.as_bytes() == item.bytes));
            let Some((last, _)) = page.last() else { break };
            from = format!("{}\0", last.sort);
            seen.extend(page.into_iter().map(|(key, _)| key.sort));
        }
        assert_eq!(seen, sorts, "pages of {limit}");
    }
    assert!(store.list("conformance-h", "", 0).await.expect("list").is_empty());
}

async fn hostile_keys_are_keys<S: Store>(store: &S) {
    let sorts = ["'; DROP TABLE items --", "\"}]}", "a\nb\r\tc", "\u{202e}evil", "#p", ":b", "../..", "%00", "null"];
    for sort in sorts {
        store.commit(vec![put("i", sort, sort.as_bytes(), Expect::Absent)]).await.expect("put");
        assert_eq!(get(store, "i", sort).await.map(|item| item.bytes), Some(sort.as_bytes().to_vec()));
    }
    assert_eq!(store.list("conformance-i", "", 100).await.expect("list").len(), sorts.len());
}

async fn expired_items_are_still_there<S: Store>(store: &S) {
    // DynamoDB deletes nothing that expired more than five years ago, so that this holds in an account too.
    let long_ago = Timestamp::from_ms(1_400_000_000_000);
    let put =
        |bytes: &[u8], expect, expires| vec![Write::Put { key: Key::new("conformance-j", "x"), bytes: bytes.to_vec(), expect, expires }];
    store.commit(put(b"1", Expect::Absent, long_ago)).await.expect("put");
    assert_eq!(get(store, "j", "x").await, Some(Item { revision: 1, bytes: b"1".to_vec() }));
    assert_eq!(store.list("conformance-j", "", 10).await.expect("list").len(), 1);
    let conflict = store.commit(put(b"2", Expect::Absent, None)).await;
    assert!(matches!(conflict, Err(StoreError::Conflict)), "what has expired is not absent, gave {conflict:?}");
    store.commit(put(b"2", Expect::Any, long_ago)).await.expect("put again");
    assert_eq!(get(store, "j", "x").await, Some(Item { revision: 2, bytes: b"2".to_vec() }));
}

async fn large_items_come_back<S: Store>(store: &S) {
    // DynamoDB's limit is 409,600 bytes with names; a batch is cut below it.
    let bytes: Vec<u8> = (0..380_000u32).map(|i| (i % 251) as u8).collect();
    store.commit(vec![put("e", "large", &bytes, Expect::Any)]).await.expect("put");
    assert_eq!(get(store, "e", "large").await.map(|i| i.bytes), Some(bytes));
}

async fn large_lists_come_back<S: Store>(store: &S) {
    // DynamoDB gives at most 1 MiB at once.
    for i in 0..7u8 {
        store.commit(vec![put("k", &i.to_string(), &vec![i; 300_000], Expect::Any)]).await.expect("put");
    }
    let all = store.list("conformance-k", "", 100).await.expect("list");
    assert!(all.iter().enumerate().all(|(i, (_, item))| item.bytes == vec![i as u8; 300_000]) && all.len() == 7);
    let some = store.list("conformance-k", "1", 5).await.expect("list");
    assert_eq!(some.iter().map(|(key, _)| &*key.sort).collect::<Vec<_>>(), ["1", "2", "3", "4", "5"]);
}

async fn unfit_commits_are_refused<S: Store>(store: &S) {
    let many = (0..=COMMIT_WRITES_MAX).map(|i| put("f", &i.to_string(), b"", Expect::Any)).collect();
    assert!(matches!(store.commit(many).await, Err(StoreError::Unfit(_))));
    let twice = vec![put("f", "x", b"1", Expect::Any), put("f", "x", b"2", Expect::Any)];
    assert!(matches!(store.commit(twice).await, Err(StoreError::Unfit(_))));
    for partition in ["", "conformance\0f"] {
        let nowhere = vec![Write::put(Key::new(partition, "x"), vec![1], Expect::Any)];
        assert!(matches!(store.commit(nowhere).await, Err(StoreError::Unfit(_))), "partition {partition:?}");
    }
    store.commit(Vec::new()).await.expect("an empty commit is fine");
    assert!(store.list("conformance-f", "", 1).await.expect("list").is_empty());
}
