//! What the targets share: a sink that touches everything it is given, and the laws that hold for every input.
//!
//! There is deliberately no target for one private function: what can't be reached through `decode` can't be attacked.

use std::cell::RefCell;
use std::fmt::Write as _;

use outflow_core::decode::{Decoded, LogRecord, Reject, Scratch, Sink, TrailRecord, decode};

/// Writes down every field, so that none is left unread.
#[derive(Default)]
pub struct Seen {
    /// Everything, in order.
    pub text: String,
    /// Records of all kinds.
    pub records: u64,
    /// Rejects.
    pub rejects: u64,
}

impl Sink for Seen {
    fn trail(&mut self, record: &TrailRecord<'_>, raw: &[u8]) {
        self.records += 1;
        assert!(!raw.is_empty());
        let _ = write!(self.text, "{record:?}{:?}", record.time());
    }
    fn log(&mut self, record: &LogRecord<'_>) {
        self.records += 1;
        let _ = write!(self.text, "{record:?}");
    }
    fn control(&mut self) {
        self.records += 1;
    }
    fn reject(&mut self, reject: Reject) {
        self.rejects += 1;
        let _ = write!(self.text, "{reject:?} {}", reject.reason.code());
    }
}

thread_local! {
    static KEPT: RefCell<Scratch> = RefCell::default();
}

/// Decodes with buffers that earlier inputs have used. Counts are those of the sink; without a format there is no record.
pub fn run(bytes: &[u8]) -> (Decoded, Seen) {
    let mut seen = Seen::default();
    let decoded = KEPT.with_borrow_mut(|scratch| decode(bytes, scratch, &mut seen));
    assert_eq!((decoded.records, decoded.rejects), (seen.records, seen.rejects));
    assert!(decoded.format.is_some() || decoded.records == 0);
    (decoded, seen)
}

/// What earlier inputs left in the buffers changes nothing.
pub fn run_twice(bytes: &[u8]) {
    let (decoded, seen) = run(bytes);
    let mut fresh = Seen::default();
    assert_eq!(decode(bytes, &mut Scratch::default(), &mut fresh), decoded);
    assert_eq!(fresh.text, seen.text);
}
