//! `make bench-units`: what a table bills for an account, counted in this process.
//!
//! The steps are the functions' own (`ingest::arrive`, `Evaluate::minute`), over a table's twin in memory, wrapped by the
//! counter of its rules. First what a delivery costs to write, of published and of made records; then a whole account of
//! 500 functions, minute by minute; then the same traffic from ever more functions. There is deliberately no latency here,
//! and no process.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read as _;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use outflow_core::config::Config;
use outflow_core::incident::Severity;
use outflow_core::time::Timestamp;
use outflow_pipeline::cost::PRICES;
use outflow_pipeline::evaluate::Evaluate;
use outflow_pipeline::ingest::{Intake, arrive};
use outflow_pipeline::store::Store;
use outflow_pipeline::store::memory::Memory;
use outflow_pipeline::store::metered::Metered;
use outflow_pipeline::store::units::{Count, Units, read_bytes};
use outflow_tests::account::intake;
use pollster::block_on;

use crate::fleet::{Fleet, Traffic};
use crate::measure;

/// Monday, the first of September 2025, in minutes since 1970.
const START_MINUTE: i64 = 29_278_080;
/// Minutes until a trail's files are there.
const TRAIL_MINUTES: i64 = 5;
/// Files of a trail that one invocation reads.
const FILES_AT_ONCE: usize = 10;
const MINUTES_PER_HOUR: i64 = 60;
/// Deliveries of which the cost of one is the mean.
const DELIVERIES: usize = 2_000;
/// Hours that are counted, and how much less happens before.
const HOURS_COUNTED: i64 = 4;
const THINNER_BEFORE: u64 = 10;
/// Windows of a month of thirty days.
const WINDOWS_PER_MONTH: u64 = 8_640;

/// All of it.
pub(crate) fn bench() -> Result<(), Box<dyn Error>> {
    deliveries()?;
    println!("\nAn account, an hour of it, after a day:");
    Account::run(traffic(500, 200, 0), 24)?.print();
    scale()
}

/// A month's 50 million invocations and 25 million calls, from so many functions.
pub(crate) fn traffic(functions: u64, active: u64, asleep: u64) -> Traffic {
    let (invocations, events) = (50_000_000 / WINDOWS_PER_MONTH, 25_000_000 / WINDOWS_PER_MONTH);
    Traffic { functions, active, asleep, invocations, events, per_delivery: 3 }
}

/// What a delivery costs to write.
pub(crate) fn deliveries() -> Result<(), Box<dyn Error>> {
    println!("write units                                     a delivery  per 1,000 records  bytes");
    for files in [1, FILES_AT_ONCE] {
        if let Some(Published { invocations, events, units, bytes }) = published(files)? {
            row(&format!("CloudTrail, published, {files} files at once"), units, invocations, events, bytes);
        }
    }
    for (invocations, at_once) in [(1, 1), (3, 1), (10, 1), (30, 1), (75, 1), (3, 100), (3, 300)] {
        let traffic = Traffic {
            functions: 500,
            active: 200,
            asleep: 0,
            invocations: invocations * 5 * DELIVERIES as u64,
            events: 0,
            per_delivery: invocations,
        };
        let mut fleet = Fleet::new(traffic);
        let memory = Memory::new();
        let store = Metered::new(memory.clone());
        let mut intake = intake();
        let messages = fleet.logs(START_MINUTE);
        for some in messages.chunks(at_once) {
            take(&store, &mut intake, some, at(START_MINUTE + 1)?)?;
        }
        let name = format!("log lines, {} a delivery, {at_once} at once", invocations * 4);
        let records = messages.len() as u64 * invocations * 4;
        row(&name, store.units().total().write_units, messages.len().div_ceil(at_once) as u64, records, bytes(&memory));
    }
    Ok(())
}

fn row(name: &str, units: u64, invocations: u64, records: u64, bytes: usize) {
    let each = |n: f64| n / invocations as f64;
    println!("{name:46}  {:10.2}  {:17.1}  {:6.0}", each(units as f64), units as f64 * 1_000.0 / records as f64, each(bytes as f64));
}

/// Bytes of all items.
fn bytes(memory: &Memory) -> usize {
    memory.items().iter().map(|(key, item)| read_bytes(key, item)).sum()
}

/// What published files cost.
struct Published {
    invocations: u64,
    events: u64,
    units: u64,
    bytes: usize,
}

/// Published files in the order in which they came, so many at once.
fn published(files: usize) -> Result<Option<Published>, Box<dyn Error>> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/cloudtrail/invictus-aws_dataset"));
    if !folder.exists() {
        eprintln!("skipped: {} is missing", folder.display());
        return Ok(None);
    }
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let Some(minute) = name.split('_').nth(3).and_then(stamped) else { continue };
        let mut text = Vec::new();
        MultiGzDecoder::new(&std::fs::read(&path)?[..]).read_to_end(&mut text)?;
        all.insert((minute, name), text);
    }
    let memory = Memory::new();
    let store = Metered::new(memory.clone());
    let mut intake = intake();
    let all: Vec<((i64, String), Vec<u8>)> = all.into_iter().collect();
    for some in all.chunks(files) {
        let minute = some.last().map_or(0, |((minute, _), _)| *minute);
        let messages: Vec<Vec<u8>> = some.iter().map(|(_, text)| text.clone()).collect();
        take(&store, &mut intake, &messages, at(minute)?)?;
    }
    let (invocations, events, units) = (all.len().div_ceil(files) as u64, intake.tally.records, store.units().total().write_units);
    Ok(Some(Published { invocations, events, units, bytes: bytes(&memory) }))
}

/// The minute in the name of a trail's file: `20230710T1145Z`.
fn stamped(text: &str) -> Option<i64> {
    let at = |from: usize, to: usize| text.get(from..to);
    let time = format!("{}-{}-{}T{}:{}:00Z", at(0, 4)?, at(4, 6)?, at(6, 8)?, at(9, 11)?, at(11, 13)?);
    Timestamp::parse(&time).map(|t| t.ms() / 60_000)
}

/// What one invocation of ingest does.
fn take<S: Store>(store: &S, intake: &mut Intake, messages: &[Vec<u8>], now: Timestamp) -> Result<(), Box<dyn Error>> {
    let mut rejects = 0;
    messages.iter().for_each(|bytes| {
        intake.take(bytes, "", &mut |_| rejects += 1);
    });
    if rejects > 0 {
        return Err("a record was not understood".into());
    }
    block_on(arrive(store, &intake.packer.finish().0, now))?;
    Ok(())
}

fn at(minute: i64) -> Result<Timestamp, Box<dyn Error>> {
    Timestamp::from_ms(minute * 60_000).ok_or_else(|| "no such minute".into())
}

/// What an account cost.
pub(crate) struct Account {
    traffic: Traffic,
    records: u64,
    logs: Units,
    trail: Units,
    evaluate: Units,
    evaluate_ns: f64,
    entities: usize,
    baseline_bytes: usize,
}

impl Account {
    /// Runs it for so many hours with less of everything, and then counts.
    pub(crate) fn run(traffic: Traffic, hours_before: i64) -> Result<Account, Box<dyn Error>> {
        let memory = Memory::new();
        let stores = [(); 3].map(|()| Metered::new(memory.clone()));
        let [logs, trail, evaluating] = &stores;
        let mut evaluate = block_on(Evaluate::load(evaluating, &Config::default(), Severity::Medium))?;
        let mut fleet = Fleet::new(traffic);
        let mut intake = intake();
        let roll_call = fleet.roll_call(START_MINUTE);
        take(logs, &mut intake, &roll_call, at(START_MINUTE + 1)?)?;
        let counted_from = START_MINUTE + hours_before * MINUTES_PER_HOUR;
        let (mut before, mut records_before, mut spent) = (stores.each_ref().map(Metered::units), 0, 0.0);
        for minute in START_MINUTE + 1..counted_from + HOURS_COUNTED * MINUTES_PER_HOUR {
            let thinner = if minute < counted_from - MINUTES_PER_HOUR { THINNER_BEFORE } else { 1 };
            let thin = |n: u64| (n / thinner).max(n.min(2 * traffic.active));
            fleet.traffic = Traffic { invocations: thin(traffic.invocations), events: thin(traffic.events), ..traffic };
            if minute == counted_from {
                (before, records_before, spent) = (stores.each_ref().map(Metered::units), intake.tally.records, 0.0);
            }
            let messages = fleet.logs(minute - 2);
            for (n, message) in messages.chunks(1).enumerate() {
                // They come all through the minute before.
                let into = n as i64 * 60_000 / messages.len() as i64;
                take(logs, &mut intake, message, at(minute - 1)?.plus_ms(into))?;
            }
            let files = fleet.trail(minute - TRAIL_MINUTES);
            // A minute's files make less than a batch of the queue where little happens; they wait for no others.
            for some in files.chunks(FILES_AT_ONCE) {
                take(trail, &mut intake, some, at(minute - 1)?.plus_ms(30_000))?;
            }
            if thinner == 1 || minute % 5 == 0 {
                let begin = measure::now();
                block_on(evaluate.minute(at(minute)?, 1_000))?;
                spent += measure::now() - begin;
            }
            if minute % MINUTES_PER_HOUR == 0 {
                memory.forget(at(minute)?);
            }
        }
        let known = evaluate.known();
        let sizes = known.accounts().flat_map(|(id, _)| known.baselines(id)).map(|(_, baseline)| baseline.encode().len());
        let sizes: Vec<usize> = sizes.collect();
        let [logs, trail, evaluating] = [0, 1, 2].map(|i| less(&stores[i].units(), &before[i]));
        Ok(Account {
            traffic,
            records: intake.tally.records - records_before,
            logs,
            trail,
            evaluate: evaluating,
            evaluate_ns: spent,
            entities: sizes.len(),
            baseline_bytes: sizes.iter().sum(),
        })
    }

    /// What an hour of it cost.
    pub(crate) fn print(&self) {
        let hours = HOURS_COUNTED as u64;
        let Traffic { functions, active, asleep, invocations, events, per_delivery } = self.traffic;
        println!(
            "{functions} functions, {active} active in a window, {asleep} asleep, {invocations} invocations and {events} events a window, {per_delivery} a delivery\n\
             {} records an hour; {} baselines of {} bytes",
            self.records / hours,
            self.entities,
            self.baseline_bytes / self.entities.max(1)
        );
        for (name, units) in [("ingest-logs", &self.logs), ("ingest-trail", &self.trail), ("evaluate", &self.evaluate)] {
            for (kind, count) in &units.kinds {
                println!(
                    "  {name:12} {kind:8}  {:9} reads  {:9.1} read units  {:8} writes  {:8} write units",
                    count.reads / hours,
                    count.read_halves as f64 / 2.0 / hours as f64,
                    count.writes / hours,
                    count.write_units / hours
                );
            }
        }
        println!("  evaluate, of the processor: {:.1} ms a minute", self.evaluate_ms());
    }

    fn all(&self) -> Count {
        let mut all = self.logs.clone();
        all.add(&self.trail);
        all.add(&self.evaluate);
        all.total()
    }

    fn write_units(&self) -> u64 {
        self.all().write_units
    }

    /// Of the processor, for a run.
    fn evaluate_ms(&self) -> f64 {
        self.evaluate_ns / (HOURS_COUNTED * MINUTES_PER_HOUR) as f64 / 1e6
    }

    /// The table, invocations of ingest, and evaluate with a GB of memory.
    fn dollars_a_million(&self) -> f64 {
        let table = self.write_units() as f64 / 1e6 * PRICES.table_million_writes
            + self.all().read_halves as f64 / 2e6 * PRICES.table_million_reads;
        let deliveries = self.logs.total().writes as f64 / 1e6 * PRICES.lambda_million;
        let evaluate = self.evaluate_ns / 1e9 * PRICES.lambda_gb_second;
        (table + deliveries + evaluate) / self.records as f64 * 1e6
    }
}

fn less(units: &Units, before: &Units) -> Units {
    let mut rest = units.clone();
    for (kind, count) in &mut rest.kinds {
        let earlier = before.kinds.get(kind).copied().unwrap_or_default();
        count.reads -= earlier.reads;
        count.read_halves -= earlier.read_halves;
        count.writes -= earlier.writes;
        count.write_units -= earlier.write_units;
    }
    rest
}

/// The same traffic from ever more functions; and from as many as at first, beside which all others sleep.
pub(crate) fn scale() -> Result<(), Box<dyn Error>> {
    println!("\nThe same traffic, by functions; dollars of the table and of evaluate's time for a million records:");
    println!("functions  asleep  baselines  write units  of these    read units  evaluate   dollars  times the");
    println!("                               an hour      checkpoint  an hour     ms a run             first");
    let mut first = None;
    for (functions, asleep) in [(10, 0), (100, 0), (1_000, 0), (10_000, 0), (100, 9_900)] {
        let active = functions * 2 / 5;
        let account = Account::run(traffic(functions, active, asleep), 4)?;
        let dollars = account.dollars_a_million();
        let base = *first.get_or_insert(dollars);
        let (written, read) = (account.write_units(), account.all().read_halves / 2);
        let checkpoint = account.evaluate.kinds.get("c").map_or(0, |count| count.write_units);
        let hours = HOURS_COUNTED as u64;
        println!(
            "{functions:9}  {asleep:6}  {:9}  {:11}  {:10}  {:10}  {:8.1}  {dollars:8.4}  {:9.2}",
            account.entities,
            written / hours,
            checkpoint / hours,
            read / hours,
            account.evaluate_ms(),
            dollars / base
        );
    }
    Ok(())
}
