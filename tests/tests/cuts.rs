//! The same logs, shuffled, cut into other files and forms, in part delivered twice: byte for byte the same incidents.
//!
//! Nine days of the books service with its story, so that there are incidents to compare. What may differ is what AWS lets
//! differ: order, files, names, packing, the feed that carried a record, and how often it came.

#![allow(clippy::unwrap_used, reason = "tests may fail")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use outflow_core::incident::Severity;
use outflow_simulate::{Books, Story, write};
use outflow_tests::account::Records;
use outflow_tests::dice::Dice;
use outflow_tests::forms::{self, Event, Stream};
use outflow_tests::{ocsf_bytes, said, told};
use proptest::prelude::*;
use serde_json::Value;

const CASES: u32 = 12;

/// The records of a run, without their files.
struct Logs {
    trail: Vec<Value>,
    events: Vec<(Stream, Event)>,
    /// What the run as it was written says.
    incidents: String,
}

static LOGS: LazyLock<Logs> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    write(&Books { seed: 3, days: 9, story: Story::ForeignFlow }, folder.path()).unwrap();
    let Records { trail, mut events } = Records::read(folder.path());
    // START and END say nothing that is judged; without them the cases take half the time.
    events.retain(|(_, event)| !event.message.starts_with("START") && !event.message.starts_with("END"));
    let trail = trail.into_iter().map(|(_, record)| record).collect();
    let report = said(folder.path());
    assert!(!told(&report, Severity::Medium).is_empty(), "there is an incident to compare");
    Logs { trail, events, incidents: ocsf_bytes(&report.incidents) }
});

/// How a run is cut again.
#[derive(Clone, Debug)]
struct Cut {
    seed: u64,
    /// Records of one file at most.
    file_max: usize,
    /// Records that come twice, in percent.
    twice: u64,
    /// Records of the trail that also come through a log group.
    second_feed: u64,
    /// Shuffle everything, or leave neighbours together.
    shuffled: bool,
}

fn cuts() -> impl Strategy<Value = Cut> {
    (
        any::<u64>(),
        prop::sample::select(vec![7_usize, 60, 400, 1_500]),
        0..=30_u64,
        prop::sample::select(vec![0_u64, 10, 100]),
        any::<bool>(),
    )
        .prop_map(|(seed, file_max, twice, second_feed, shuffled)| Cut {
            seed,
            file_max: file_max.max(40),
            twice,
            second_feed,
            shuffled,
        })
}

/// Writes files under names that say nothing.
struct Folder<'a> {
    root: &'a Path,
    dice: Dice,
    files: usize,
}

impl Folder<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let places = ["", "a", "a/b", "2025/01/01", "AWSLogs/1/CloudTrail", "cloudwatch/other-function"];
        let folder = self.root.join(places[self.dice.place(places.len())]);
        std::fs::create_dir_all(&folder).unwrap();
        let ending = ["", ".json", ".gz", ".log", ".csv"][self.dice.place(5)];
        let bytes = if self.dice.chance(50) { forms::gzip(bytes) } else { bytes.to_vec() };
        std::fs::write(folder.join(format!("{:08x}-{}{ending}", self.dice.number() as u32, self.files)), bytes).unwrap();
        self.files += 1;
    }
}

fn twice<T: Clone>(all: &[T], percent: u64, dice: &mut Dice) -> Vec<T> {
    let again: Vec<T> = all.iter().filter(|_| dice.chance(percent)).cloned().collect();
    all.iter().cloned().chain(again).collect()
}

/// Parts of 1 to `max` neighbours.
fn parts<T>(mut all: Vec<T>, max: usize, dice: &mut Dice) -> Vec<Vec<T>> {
    let mut parts = Vec::new();
    while !all.is_empty() {
        let n = (1 + dice.place(max)).min(all.len());
        parts.push(all.split_off(all.len() - n));
    }
    parts
}

fn write_cut(cut: &Cut, root: &Path) -> usize {
    let mut dice = Dice(cut.seed);
    let mut folder = Folder { root, dice: Dice(cut.seed ^ 1), files: 0 };
    let mut trail = twice(&LOGS.trail, cut.twice, &mut dice);
    if cut.shuffled {
        dice.shuffle(&mut trail);
    }
    let second: Vec<Value> = trail.iter().filter(|_| dice.chance(cut.second_feed)).cloned().collect();
    for part in parts(trail, cut.file_max, &mut dice) {
        folder.put(&match dice.below(3) {
            0 => forms::trail_file(&part),
            1 => forms::trail_lines(&part),
            _ => forms::trail_messages("111122223333", "eu-west-1", &part),
        });
    }
    for part in parts(second, 200, &mut dice) {
        folder.put(&forms::trail_messages("111122223333", "eu-west-1", &part));
    }
    let mut streams: BTreeMap<Stream, Vec<Event>> = BTreeMap::new();
    for (stream, event) in twice(&LOGS.events, cut.twice, &mut dice) {
        streams.entry(stream).or_default().push(event);
    }
    for (stream, mut events) in streams {
        if cut.shuffled {
            dice.shuffle(&mut events);
        }
        for part in parts(events, cut.file_max, &mut dice) {
            folder.put(&if dice.chance(50) { forms::subscription(&stream, &part) } else { forms::awslogs(&stream, &part) });
        }
    }
    folder.files
}

static DONE: AtomicU32 = AtomicU32::new(0);

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, max_shrink_iters: 4, ..ProptestConfig::default() })]
    #[test]
    fn other_cuts_say_the_same(cut in cuts()) {
        let folder = tempfile::tempdir().unwrap();
        let files = write_cut(&cut, folder.path());
        let report = said(folder.path());
        let coverage = &report.coverage;
        let (trail, logs) = (LOGS.trail.len() as u64, LOGS.events.len() as u64);
        prop_assert_eq!((coverage.files, coverage.not_logs, coverage.rejects), (files as u64, 0, 0), "{:?}", cut);
        prop_assert!(coverage.tally.records >= trail + logs);
        prop_assert!(ocsf_bytes(&report.incidents) == LOGS.incidents, "{:?}\nas cut:\n{}\nas written:\n{}", cut, ocsf_bytes(&report.incidents), LOGS.incidents);
        let case = DONE.fetch_add(1, Ordering::Relaxed) + 1;
        println!("case {case} of {CASES}: {files} files, {} records, {} of them again, {} incidents, rare ones too", coverage.tally.records, coverage.duplicates, report.incidents.len());
    }
}
