//! `--state` and `--baseline`: day by day or at once, again, killed, held by another.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may fail")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use common::{outflow, ran, replay};
use outflow_core::observe::Class;
use outflow_core::time::Timestamp;
use outflow_pipeline::keys;
use outflow_pipeline::store::embedded::Embedded;
use outflow_pipeline::store::{Expect, Store as _, Write};
use outflow_tests::{files_under, forms};
use serde_json::Value;

/// Runs that are killed.
const KILLS: u64 = 28;

/// A books run, simulated once a story.
struct Books {
    _folder: tempfile::TempDir,
    logs: PathBuf,
}

fn simulate(days: &str, story: &str) -> Books {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    let simulated = ran(outflow().args(["simulate", "books", "--days", days, "--story", story, "--out"]).arg(&logs));
    assert_eq!(simulated.code, 0, "{}", simulated.err);
    Books { _folder: folder, logs }
}

static BOOKS: LazyLock<Books> = LazyLock::new(|| simulate("10", "foreign-flow"));

/// The day on which a file came: its folders `YYYY/MM/DD` where the path has them.
fn day(path: &Path) -> String {
    let parts: Vec<&str> = path.iter().filter_map(|p| p.to_str()).collect();
    let at = parts.windows(3).find(|w| w[0].len() == 4 && w[0].starts_with("20") && w[1].len() == 2 && w[2].len() == 2);
    at.map(|w| w.concat()).unwrap_or_default()
}

/// The files of each day, linked into a folder of their own; in order of days.
fn by_day(logs: &Path, to: &Path) -> Vec<PathBuf> {
    let mut days: BTreeMap<String, PathBuf> = BTreeMap::new();
    for (i, file) in files_under(logs).into_iter().enumerate() {
        let day = day(&file);
        if day.is_empty() {
            continue;
        }
        let folder = to.join(&day);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::hard_link(&file, folder.join(format!("{i}.gz"))).unwrap();
        days.insert(day, folder);
    }
    days.into_values().collect()
}

fn incidents(out: &str) -> Vec<Value> {
    out.lines().map(|l| serde_json::from_str(l).expect(l)).collect()
}

/// Ids of incidents that say that the author handler reads the bucket of another.
fn planted(incidents: &[Value]) -> Vec<&str> {
    let reads =
        |i: &&Value| i["finding_info"]["title"].as_str().is_some_and(|t| t.starts_with("author-handler reads a bucket it never touched"));
    incidents.iter().filter(reads).map(|i| i["finding_info"]["uid"].as_str().unwrap()).collect()
}

#[test]
fn day_by_day_finds_what_all_at_once_finds() {
    let at_once = replay(&BOOKS.logs, &["--format", "ocsf"]);
    assert_eq!(at_once.code, 1);
    let wanted = incidents(&at_once.out);
    assert_eq!(planted(&wanted).len(), 1, "{}", at_once.out);
    let folder = tempfile::tempdir_in(BOOKS.logs.parent().unwrap()).unwrap();
    let state = folder.path().join("state");
    let days = by_day(&BOOKS.logs, folder.path());
    // Records that are delivered after midnight lie in the next day's folder.
    assert!((10..=11).contains(&days.len()), "{days:?}");
    let state = state.to_str().unwrap();
    let mut found = BTreeSet::new();
    for day in &days {
        let ran = replay(day, &["--state", state, "--format", "ocsf"]);
        let said = incidents(&ran.out);
        assert_eq!(ran.code, i32::from(!said.is_empty()), "{}", day.display());
        found.extend(planted(&said).into_iter().map(str::to_owned));
    }
    // Not by the same id: what comes after midnight is late for the day before, whose counts stay as they were learnt, so
    // that a rare rate beside it, which the incident may have begun with, can be another.
    assert_eq!(found.len(), 1, "one incident, whatever its updates");
    for day in &days {
        let again = replay(day, &["--state", state, "--format", "ocsf", "--min-severity", "low"]);
        assert_eq!((again.code, again.out.as_str()), (0, ""), "{}", day.display());
    }
    let all = replay(&BOOKS.logs, &["--state", state, "--format", "ocsf", "--min-severity", "low"]);
    assert_eq!((all.code, all.out.as_str()), (0, ""), "all of them again");
}

#[test]
fn the_same_files_again_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let state = state.to_str().unwrap();
    let low = ["--format", "ocsf", "--min-severity", "low"];
    let without = replay(&BOOKS.logs, &low);
    let first = replay(&BOOKS.logs, &[&low[..], &["--state", state]].concat());
    assert_eq!((first.code, &first.out), (1, &without.out), "a new state file makes no difference");
    for _ in 0..2 {
        let again = replay(&BOOKS.logs, &[&low[..], &["--state", state]].concat());
        assert_eq!((again.code, again.out.as_str()), (0, ""), "{}", again.err);
    }
}

#[test]
fn a_kill_at_any_moment_leaves_the_file_whole() {
    let args = ["--format", "ocsf", "--min-severity", "low"];
    let undisturbed = replay(&BOOKS.logs, &args);
    let started = std::time::Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let timed = folder.path().join("timed");
    replay(&BOOKS.logs, &["--state", timed.to_str().unwrap()]);
    // Other tests run beside it: most of the kills must come before the end even where this run was slow.
    let whole_ms = started.elapsed().as_millis() as u64 * 2 / 3;
    let mut killed = 0;
    for round in 0..KILLS / 4 {
        let state = folder.path().join(format!("state-{round}"));
        let state = state.to_str().unwrap();
        // Each state file is killed over several times before a run may finish; what they said until then counts.
        let mut said = String::new();
        for kill in 0..4 {
            let out = folder.path().join("out");
            let file = std::fs::File::create(&out).unwrap();
            let mut run = outflow();
            run.arg("replay").arg(&BOOKS.logs).args(args).args(["--state", state]).stdout(file).stderr(Stdio::null());
            let mut child = run.spawn().unwrap();
            // Moments spread over the run by the golden ratio.
            let n = round * 4 + kill;
            std::thread::sleep(Duration::from_millis((n * 618_034 % 1_000_000) * whole_ms / 1_000_000));
            child.kill().unwrap();
            killed += u64::from(child.wait().unwrap().code().is_none());
            said += &std::fs::read_to_string(&out).unwrap();
        }
        // What a killed run had committed and not told is told now.
        let after = replay(&BOOKS.logs, &[&args[..], &["--state", state]].concat());
        assert!(after.code < 2, "{}", after.err);
        said += &after.out;
        let again = replay(&BOOKS.logs, &[&args[..], &["--state", state]].concat());
        assert_eq!((again.code, again.out.as_str()), (0, ""), "{}", again.err);
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<String>>();
        assert_eq!(lines(&said), lines(&undisturbed.out), "round {round}");
    }
    println!("{killed} of {KILLS} runs of some {whole_ms} ms were killed");
    assert!(killed >= 20, "{killed}");
}

#[test]
fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    // Whoever opens a named pipe for reading waits; a store stays open meanwhile. The command opens no pipes, so a
    // library holds the file here.
    let store = Embedded::open(&state).unwrap();
    let second = replay(&BOOKS.logs, &["--state", state.to_str().unwrap()]);
    assert_eq!(second.code, 2);
    assert!(second.err.contains("[OF113]") && second.err.contains("another process"), "{}", second.err);
    drop(store);
    assert!(replay(&BOOKS.logs, &["--state", state.to_str().unwrap()]).code < 2);
    std::fs::write(&state, "this is no database, but a text that is long enough to be one").unwrap();
    let foreign = replay(&BOOKS.logs, &["--state", state.to_str().unwrap()]);
    assert_eq!(foreign.code, 2);
    assert!(foreign.err.contains("[OF113]") && foreign.err.contains("remedy"), "{}", foreign.err);
}

/// Changes what is stored first in a partition of a state file.
fn change(state: &Path, partition: &str, with: impl Fn(&mut Vec<u8>)) {
    let store = Embedded::open(state).unwrap();
    let (key, item) = pollster::block_on(store.list(partition, "", 1)).unwrap().into_iter().next().expect(partition);
    let mut bytes = item.bytes;
    with(&mut bytes);
    pollster::block_on(store.commit(vec![Write::put(key, bytes, Expect::Any)])).unwrap();
    store.persist().unwrap();
}

#[test]
fn what_a_newer_version_stored_is_no_damage_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, state) = (folder.path().join("kept"), folder.path().join("state"));
    replay(&BOOKS.logs, &["--state", kept.to_str().unwrap()]);
    let noon = Timestamp::parse("2025-09-08T12:00:00Z").unwrap().window();
    let (baselines, batches) = (keys::baselines("111122223333"), keys::batches(Some(noon), Class::Trail));
    // An array of CBOR has its length before its first field; a batch begins with its format.
    for (partition, at) in [(keys::ACCOUNTS, 1), (&*baselines, 1), (&*batches, 0)] {
        let told = || replay(&BOOKS.logs, &["--state", state.to_str().unwrap()]);
        std::fs::copy(&kept, &state).unwrap();
        change(&state, partition, |bytes| bytes[at] = 20);
        for again in [false, true] {
            let newer = told();
            let says = newer.err.contains("[OF114]") && newer.err.contains("format 20") && newer.err.contains("use a newer version");
            assert!(newer.code == 2 && says, "{partition}, again: {again}: {}", newer.err);
        }
        std::fs::copy(&kept, &state).unwrap();
        change(&state, partition, |bytes| bytes.truncate(2));
        let damaged = told();
        assert!(damaged.code == 2 && damaged.err.contains("[OF115]"), "{partition}: {}", damaged.err);
    }
}

#[test]
fn a_baseline_is_learnt_in_silence() {
    let quiet = simulate("8", "none");
    // The same service again, three weeks later: one day, in which a story is told that the baseline's days had not.
    let folder = tempfile::tempdir().unwrap();
    let later = folder.path().join("later");
    std::fs::create_dir(&later).unwrap();
    let files = files_under(&BOOKS.logs);
    let last_days = ["20250907", "20250908", "20250909", "20250910", "20250911"];
    for (i, file) in files.iter().filter(|f| last_days.contains(&day(f).as_str())).enumerate() {
        std::fs::hard_link(file, later.join(format!("{i}.gz")))
            .or_else(|_| std::fs::copy(file, later.join(format!("{i}.gz"))).map(|_| ()))
            .unwrap();
    }
    let silent = replay(&later, &["--baseline", quiet.logs.to_str().unwrap(), "--format", "ocsf"]);
    let alone = replay(&quiet.logs, &["--format", "ocsf", "--min-severity", "low"]);
    let said = incidents(&silent.out);
    assert_eq!(planted(&said).len(), 1, "{}\n{}", silent.out, silent.err);
    for line in alone.out.lines() {
        assert!(!silent.out.contains(line), "told of the baseline: {line}");
    }
    let first = said.iter().map(|i| i["finding_info"]["first_seen_time"].as_i64().unwrap()).min();
    assert!(first >= Timestamp::parse("2025-09-07T00:00:00Z").map(|t| t.ms()), "{}", silent.out);
    // Packed the same way by another hand, it is learnt the same.
    let packed = folder.path().join("one-file");
    std::fs::create_dir(&packed).unwrap();
    let records: Vec<Value> = files_under(&quiet.logs.join("AWSLogs"))
        .iter()
        .flat_map(|f| {
            serde_json::from_str::<Value>(&forms::gunzip(&std::fs::read(f).unwrap())).unwrap()["Records"].as_array().unwrap().clone()
        })
        .collect();
    std::fs::write(packed.join("trail.jsonl"), forms::trail_lines(&records)).unwrap();
    let logs = quiet.logs.join("cloudwatch");
    let again = ran(outflow().arg("replay").arg(&later).arg("--baseline").args([&packed, &logs]).args(["--format", "ocsf"]));
    assert_eq!(again.out, silent.out);
}
