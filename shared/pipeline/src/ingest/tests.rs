//! What arrives in the account: keys, marks, expiry, and what is left out.

use std::cell::RefCell;

use outflow_core::batch::HashKey;
use outflow_core::decode::RejectReason;
use outflow_core::window::unite;

use super::*;
use crate::store::{Item, embedded::Embedded};

const NOW: &str = "2025-03-20T07:00:00Z";

fn now() -> Timestamp {
    Timestamp::parse(NOW).unwrap()
}

fn call(id: &str, time: &str, role: &str, account: &str) -> String {
    format!(
        r#"{{"eventVersion":"1.11","eventTime":"{time}","eventSource":"s3.amazonaws.com","eventName":"GetObject","eventID":"{id}","eventCategory":"Data","recipientAccountId":"123456789012","requestParameters":{{"bucketName":"b"}},"userIdentity":{{"type":"AssumedRole","arn":"arn:aws:sts::{account}:assumed-role/{role}/s","accountId":"{account}","sessionContext":{{"sessionIssuer":{{"arn":"arn:aws:iam::{account}:role/some/path/{role}"}}}}}}}}"#
    )
}

/// The same, as a management event.
fn managed(call: &str, read_only: bool) -> String {
    call.replace(r#""Data""#, &format!(r#""Management","readOnly":{read_only}"#))
}

fn message(group: &str, time: &str, text: &str) -> String {
    let ms = Timestamp::parse(time).unwrap().ms();
    format!(
        r#"{{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"{group}","logStream":"2025/03/20/[$LATEST]ab","subscriptionFilters":["f"],"logEvents":[{{"id":"{ms}","timestamp":{ms},"message":"{text}"}}]}}"#
    )
}

/// Keeps the writes in their order; refuses those of some partitions.
#[derive(Default)]
struct Recorded {
    writes: RefCell<Vec<Write>>,
    refuses: Option<&'static str>,
}

impl Store for Recorded {
    async fn load(&self, _: &Key) -> Result<Option<Item>, StoreError> {
        panic!("ingest reads nothing")
    }
    async fn list(&self, _: &str, _: &str, _: usize) -> Result<Vec<(Key, Item)>, StoreError> {
        panic!("ingest reads nothing")
    }
    async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        assert_eq!(writes.len(), 1, "no transaction");
        if self.refuses.is_some_and(|refused| writes[0].key().partition.starts_with(refused)) {
            return Err(StoreError::Throttled);
        }
        self.writes.borrow_mut().extend(writes);
        Ok(())
    }
}

fn batches(contents: &[String]) -> Vec<Batch> {
    let mut intake = Intake::new(Packer::new(HashKey([7; 16])));
    for content in contents {
        intake.take(content.as_bytes(), "", &mut |reject| panic!("{reject:?}"));
    }
    intake.packer.finish().0
}

#[test]
fn late_batches_are_marked_after_they_are_written() {
    // The window of 06:45 is judged at 07:05 at the earliest, so from 07:03 on what belongs to it is late.
    for (content, late) in [
        (message("g", "2025-03-20T06:44:59Z", "x"), true),
        (message("g", "2025-03-20T06:55:00Z", "x"), false),
        (message("g", "2025-03-20T07:01:00Z", "x"), false),
        (call("1", "2025-03-20T06:44:59Z", "r", "1"), true),
        (call("1", "2025-03-20T06:46:00Z", "r", "1"), false),
    ] {
        let store = Recorded::default();
        let batches = batches(std::slice::from_ref(&content));
        let arrived = pollster::block_on(arrive(&store, &batches, now())).unwrap();
        assert_eq!(arrived, Arrived { batches: 1, late: u64::from(late) }, "{content}");
        let writes = store.writes.into_inner();
        let key = keys::arrived(batches[0].window, batches[0].class, &delivery_id(&batches[0].encode()), now());
        assert_eq!(writes[0].key(), &key);
        let mark = writes.get(1).and_then(|mark| keys::late_batch(mark.key()));
        assert_eq!(mark, late.then(|| (batches[0].window.unwrap(), batches[0].class, key)));
        for write in writes {
            assert!(matches!(write, Write::Put { expires: Some(at), expect: Expect::Any, .. } if at == now().plus_ms(3 * DAY_MS)));
        }
    }
}

#[test]
fn what_fails_does_not_keep_the_rest_from_being_written() {
    let windows = ["06:40", "06:45", "06:50", "06:55"].map(|at| message("g", &format!("2025-03-20T{at}:00Z"), "x"));
    let batches = batches(&windows);
    assert_eq!(batches.len(), 4);
    let refused = Recorded { refuses: Some("w/"), ..Recorded::default() };
    assert!(matches!(pollster::block_on(arrive(&refused, &batches, now())), Err(StoreError::Throttled)));
    assert!(refused.writes.into_inner().is_empty(), "no mark without its batch");
    let marks_refused = Recorded { refuses: Some(keys::LATE), ..Recorded::default() };
    assert!(matches!(pollster::block_on(arrive(&marks_refused, &batches, now())), Err(StoreError::Throttled)));
    assert_eq!(marks_refused.writes.into_inner().len(), 4);
}

#[test]
fn what_arrived_is_read_back() {
    let store = Embedded::temporary().unwrap();
    let batches = batches(&[message("g", "2025-03-20T06:44:00Z", "x")]);
    for _ in 0..2 {
        pollster::block_on(arrive(&store, &batches, now())).unwrap();
    }
    let marks = pollster::block_on(store.list(keys::LATE, "", 10)).unwrap();
    assert_eq!(marks.len(), 1, "a retry writes both again");
    let (_, _, key) = keys::late_batch(&marks[0].0).unwrap();
    let item = pollster::block_on(store.load(&key)).unwrap().unwrap();
    assert_eq!(Batch::decode(&item.bytes).unwrap(), batches[0]);
}

#[test]
fn what_we_wrote_ourselves_is_left_out() {
    let time = "2025-03-20T06:46:00Z";
    let ours = "123456789012";
    for (content, left_out) in [
        (call("1", time, "outflow-ingest-1X", ours), true),
        (call("1", time, "orders", ours), false),
        (call("1", time, "outflow-ingest-1X", "999999999999"), false),
        (call("1", time, "outflow-ingest-1X", ours).replace("sessionIssuer", "none"), true),
        (call("1", time, "my-outflow-x", ours), false),
        (managed(&call("1", time, "outflow-ingest-1X", ours), true), true),
        (managed(&call("1", time, "outflow-ingest-1X", ours), false), false),
        (message("/aws/lambda/outflow-evaluate", time, "x"), true),
        (message("/aws/lambda/orders", time, "x"), false),
        (message("outflow-evaluate", time, "x"), false),
    ] {
        for (prefix, own) in [("outflow-", u64::from(left_out)), ("", 0)] {
            let mut intake = Intake::new(Packer::new(HashKey([7; 16]))).without(Own::of_stack(prefix));
            intake.take(content.as_bytes(), "", &mut |reject| panic!("{reject:?}"));
            assert_eq!((intake.tally.records, intake.tally.own), (1, own), "{prefix} {content}");
            assert_eq!(intake.packer.finish().0.len() as u64, 1 - own, "{prefix} {content}");
        }
    }
}

/// A panic outside every record: here of the caller's own, at a fault of the whole content.
#[test]
fn a_delivery_that_panics_costs_itself() {
    let time = "2025-03-20T06:46:00Z";
    let mut intake = Intake::new(Packer::new(HashKey([7; 16])));
    intake.take(message("g", time, "before").as_bytes(), "", &mut |_| {});
    let cut = &[0x1F, 0x8B, 8, 0][..];
    let result = intake.try_take(cut, "", &mut |reject| panic!("planted at {:?}", reject.reason == RejectReason::Deflate));
    assert!(matches!(result, Err(Panicked)));
    intake.try_take(message("g", "2025-03-20T06:47:00Z", "after").as_bytes(), "", &mut |_| {}).unwrap();
    assert_eq!(intake.packer.finish().0[0].records(), 2);
}

#[test]
fn a_batch_that_is_too_large_for_a_table_is_cut() {
    let time = "2025-03-20T06:46:00Z";
    let contents: Vec<String> = (0..500).map(|i| call(&i.to_string(), time, &format!("role-{}", i % 50), "1")).collect();
    let whole = batches(&contents).remove(0);
    let bytes_max = deflated(whole.encode()).len() / 3;
    let mut parts = Vec::new();
    pack(&whole, bytes_max, &mut parts);
    assert!(parts.len() > 3 && parts.iter().all(|part| part.bytes.len() <= bytes_max), "{} parts", parts.len());
    let read = parts.iter().map(|part| Batch::decode(&part.bytes).unwrap()).collect();
    assert_eq!(unite(whole.window, whole.class, read).0, whole);
}
