//! One measurement: a process of its own that works through a folder and says what it took.
//!
//! Time is that of the processor, user and kernel, of the only thread, so that neighbours disturb less; where the system
//! doesn't tell it, the clock's. Memory is the peak of what was resident. Where `valgrind` is installed instructions are
//! counted as well, which are the same on every run. There is deliberately no warm-up: the first files are as dear as the
//! last, and floor and replay read the same ones in turns.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use outflow_core::batch::HashKey;
use outflow_core::config::Config;
use outflow_core::decode::{LogRecord, Reject, Scratch, Sink, TrailRecord, decode};
use outflow_core::detect::rate::{CallsRow, Context, Rates};
use outflow_core::time::{WINDOWS_PER_DAY, WindowId};
use outflow_pipeline::replay::{Progress, Replay, replay};
use outflow_pipeline::source;
use outflow_pipeline::store::embedded::Embedded;

use crate::generate::Feed;

/// What is done with a folder of logs.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// Read, inflate and decode into the types of replay, and count.
    Floor,
    /// Everything.
    Replay,
}

impl Work {
    fn word(self) -> &'static str {
        match self {
            Work::Floor => "floor",
            Work::Replay => "replay",
        }
    }
}

/// What a process took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Records read.
    pub(crate) records: u64,
    /// Time a record.
    pub(crate) ns: f64,
    /// Peak of resident memory; 0 where the system doesn't tell it.
    pub(crate) peak_mib: f64,
    /// Functions and other principals seen; 0 where nobody looked.
    pub(crate) seen: u64,
}

impl Measured {
    /// The one whose time is the median.
    pub(crate) fn median(all: &[Measured]) -> Result<Measured, Box<dyn Error>> {
        let mut sorted = all.to_vec();
        sorted.sort_by(|a, b| a.ns.total_cmp(&b.ns));
        Ok(*sorted.get(sorted.len() / 2).ok_or("nothing was measured")?)
    }

    fn read(text: &str) -> Result<Measured, Box<dyn Error>> {
        let mut words = text.split_whitespace();
        let mut next = || words.next().ok_or_else(|| format!("a measurement said {text:?}"));
        Ok(Measured { records: next()?.parse()?, ns: next()?.parse()?, peak_mib: next()?.parse()?, seen: next()?.parse()? })
    }
}

/// Takes the records in and does nothing with them.
#[derive(Default)]
struct Counter {
    records: u64,
}

impl Sink for Counter {
    fn trail(&mut self, record: &TrailRecord<'_>, _: &[u8]) {
        std::hint::black_box(record);
        self.records += 1;
    }
    fn log(&mut self, record: &LogRecord<'_>) {
        std::hint::black_box(record);
        self.records += 1;
    }
    fn control(&mut self) {}
    fn reject(&mut self, _: Reject) {}
}

struct Quiet;

impl Progress for Quiet {
    fn read(&mut self, _: usize, _: usize) {}
    fn judged(&mut self, _: usize, _: usize) {}
}

/// Works through a folder and prints what it took.
pub(crate) fn child(work: Work, folder: &Path) -> Result<(), Box<dyn Error>> {
    let begin = now();
    let (records, seen) = match work {
        Work::Floor => (floor(folder)?, 0),
        Work::Replay => whole(folder)?,
    };
    let ns = now() - begin;
    println!("{records} {} {} {seen}", ns / records.max(1) as f64, peak_mib());
    Ok(())
}

fn floor(folder: &Path) -> Result<u64, Box<dyn Error>> {
    let (mut counter, mut scratch, mut buffer) = (Counter::default(), Scratch::default(), Vec::new());
    for path in source::files(&[folder.to_owned()]).files {
        source::read(&path, &mut buffer)?;
        decode(&buffer, &mut scratch, &mut counter);
    }
    Ok(counter.records)
}

fn whole(folder: &Path) -> Result<(u64, u64), Box<dyn Error>> {
    let what = Replay {
        logs: vec![folder.to_owned()],
        baseline: Vec::new(),
        function: None,
        config: Config::default(),
        hash_key: HashKey([7; 16]),
        keep: false,
    };
    let report = pollster::block_on(replay(&what, &Embedded::temporary()?, &mut Quiet))?;
    let coverage = std::hint::black_box(report).coverage;
    Ok((coverage.tally.records, coverage.functions + coverage.principals))
}

/// Nanoseconds to judge and learn one window of an entity's calls: the volume, and what else its reports tell. There is no
/// measure of the volume alone, which nothing outside of the detector can step.
pub(crate) fn update() -> f64 {
    let (windows, mut rates) = (30 * WINDOWS_PER_DAY, Rates::new(WindowId(0)));
    let begin = now();
    for n in 0..windows {
        let calls = f64::from((n.wrapping_mul(2_654_435_761) >> 8) % 40);
        let row = CallsRow { calls, median_ms: 20.0 + calls, p99_ms: 90.0 + calls, cost_usd: calls * 1e-6, ..CallsRow::default() };
        let context = Context { window: WindowId(n), deployed: false, clocks_shifted: false, account_low: false };
        std::hint::black_box(rates.step_calls(&row, &context, None));
    }
    (now() - begin) / f64::from(windows)
}

/// Nanoseconds on the processor so far, or by the clock.
pub(crate) fn now() -> f64 {
    thread_local!(static START: Instant = Instant::now());
    let spent = std::fs::read_to_string("/proc/self/schedstat").ok();
    let ns = spent.and_then(|text| text.split_whitespace().next()?.parse().ok());
    ns.unwrap_or_else(|| START.with(Instant::elapsed).as_nanos() as f64)
}

fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|kib| kib.trim().strip_suffix(" kB")?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// Measures in a process of its own.
pub(crate) fn run(work: Work, folder: &Path) -> Result<Measured, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    Measured::read(&output(command.arg(work.word()).arg(folder))?)
}

fn output(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let done = command.stderr(Stdio::inherit()).output()?;
    if !done.status.success() {
        return Err(format!("{command:?} ended with {}", done.status).into());
    }
    Ok(String::from_utf8(done.stdout)?)
}

/// Instructions a record, where `valgrind` is installed.
pub(crate) fn instructions(work: Work, folder: &Path) -> Result<Option<f64>, Box<dyn Error>> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    let Ok(done) = command.arg(std::env::current_exe()?).arg(work.word()).arg(folder).output() else { return Ok(None) };
    let measured = Measured::read(&String::from_utf8(done.stdout)?)?;
    let said = String::from_utf8_lossy(&done.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse::<f64>().ok());
    Ok(collected.map(|all| all / measured.records as f64))
}

/// Nanoseconds an event of Python doing the first sights of CloudTrail alone, where `.tools/venv` has orjson.
pub(crate) fn python(feed: Feed, folder: &Path, rounds: usize) -> Result<Option<f64>, Box<dyn Error>> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let interpreter = root.join(".tools/venv/bin/python");
    let has_orjson = Command::new(&interpreter).args(["-c", "import orjson"]).stderr(Stdio::null()).status();
    if feed == Feed::Lines || !has_orjson.is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    let mut all = Vec::new();
    for _ in 0..rounds {
        let mut command = Command::new(&interpreter);
        all.push(Measured::read(&output(command.arg(root.join("tests/bench/first_seen.py")).arg(folder))?)?);
    }
    Ok(Some(Measured::median(&all)?.ns))
}

/// What it was measured on.
pub(crate) fn machine() -> String {
    let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = about.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|m| m.1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{}, one of {cores} cores, {}", model.unwrap_or("unknown processor"), std::env::consts::OS)
}
