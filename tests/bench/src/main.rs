//! `make bench`: how fast replay is, and how much memory it takes.
//!
//! What counts is not a time, which is the machine's, but a ratio in one run: the whole of replay (observe, batches,
//! store, windows, detection, incidents) against its floor, which reads the same files, inflates them and decodes them
//! into the same types with the same decoders, and only counts. Each measurement is a process of its own with a single
//! thread, so that its peak of memory is its own; floor and replay take turns, and medians are compared. Logs are made
//! here, the same ones each time, and deleted at the end.
//!
//! There is deliberately no limit that fails a run: a busy machine would break the build. `BENCHMARKS.md` holds figures.

mod fleet;
mod generate;
mod measure;
mod table;
mod units;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use generate::{Feed, Shape};
use measure::{Measured, Work};
use outflow_core::time::WINDOWS_PER_DAY;
use outflow_core::time::WINDOWS_PER_HOUR;
use table::Row;

/// Days of the logs that are timed: 300,000 events, 600,000 lines.
const DAYS: u32 = 3;
/// How much longer the logs are by which memory is shown not to grow.
const LONGER: u32 = 4;
/// Rounds of floor and replay, of which medians are taken.
const ROUNDS: usize = 3;
/// Hours of the logs where instructions are counted, which slows a process down fiftyfold.
const HOURS_COUNTED: u32 = 6;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words[..] {
        [] => bench(),
        ["floor", folder] => measure::child(Work::Floor, Path::new(folder)),
        ["replay", folder] => measure::child(Work::Replay, Path::new(folder)),
        ["units"] => units::bench(),
        ["units", "deliveries"] => units::deliveries(),
        ["units", "scale"] => units::scale(),
        ["units", "account", functions, active, asleep, hours] => account(functions, active, asleep, hours),
        ["generate", feed, entities, days, folder] => generate(feed, entities, days, Path::new(folder)),
        _ => Err("outflow-bench [floor FOLDER | replay FOLDER | generate trail|lines ENTITIES DAYS FOLDER]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// One account, to look at.
fn account(functions: &str, active: &str, asleep: &str, hours: &str) -> Result<(), Box<dyn Error>> {
    let traffic = units::traffic(functions.parse()?, active.parse()?, asleep.parse()?);
    units::Account::run(traffic, hours.parse()?).map(|account| account.print())
}

/// Makes logs to keep, for a look at one case with a profiler.
fn generate(feed: &str, entities: &str, days: &str, folder: &Path) -> Result<(), Box<dyn Error>> {
    let feed = Feed::from_word(feed).ok_or("feeds are trail and lines")?;
    let shape = days_of(feed, entities.parse()?, days.parse()?);
    std::fs::create_dir_all(folder)?;
    println!("{} records", generate::write(&shape, folder)?);
    Ok(())
}

/// The whole bench.
fn bench() -> Result<(), Box<dyn Error>> {
    let place = tempfile::tempdir()?;
    print!("{}", table::head(&measure::machine()));
    for feed in [Feed::Trail, Feed::Lines] {
        for entities in [20, 2_000] {
            let row = case(place.path(), feed, entities)?;
            print!("{}", table::row(&row));
        }
    }
    print!("{}", table::foot(measure::update()));
    Ok(())
}

fn case(place: &Path, feed: Feed, entities: u32) -> Result<Row, Box<dyn Error>> {
    let shape = days_of(feed, entities, DAYS);
    let folder = make(place, "timed", &shape)?;
    let mut floors = Vec::new();
    let mut replays = Vec::new();
    for _ in 0..ROUNDS {
        floors.push(measure::run(Work::Floor, &folder)?);
        replays.push(measure::run(Work::Replay, &folder)?);
    }
    let python = measure::python(feed, &folder, ROUNDS)?;
    std::fs::remove_dir_all(&folder)?;
    let few = make(place, "few", &Shape { windows: HOURS_COUNTED * WINDOWS_PER_HOUR, ..shape })?;
    let instructions = measure::instructions(Work::Floor, &few)?.zip(measure::instructions(Work::Replay, &few)?);
    std::fs::remove_dir_all(&few)?;
    let long = make(place, "long", &Shape { windows: shape.windows * LONGER, ..shape })?;
    let longer = measure::run(Work::Replay, &long)?;
    std::fs::remove_dir_all(&long)?;
    let (floor, replay) = (Measured::median(&floors)?, Measured::median(&replays)?);
    Ok(Row { feed, entities, floor, replay, longer, instructions, python })
}

fn days_of(feed: Feed, entities: u32, days: u32) -> Shape {
    let windows = days * WINDOWS_PER_DAY;
    Shape { feed, entities, windows, windows_new: windows }
}

fn make(place: &Path, name: &str, shape: &Shape) -> Result<PathBuf, Box<dyn Error>> {
    let folder = place.join(name);
    std::fs::create_dir_all(&folder)?;
    generate::write(shape, &folder)?;
    Ok(folder)
}
