//! The table that a person reads, at most 96 columns wide.
//!
//! There is deliberately no other output: a machine that compares runs would compare machines.

use crate::generate::Feed;
use crate::measure::Measured;

/// One case.
pub(crate) struct Row {
    pub(crate) feed: Feed,
    pub(crate) entities: u32,
    pub(crate) floor: Measured,
    pub(crate) replay: Measured,
    /// Replay of a log that is longer.
    pub(crate) longer: Measured,
    /// Instructions a record of floor and replay, on fewer records.
    pub(crate) instructions: Option<(f64, f64)>,
    /// Nanoseconds a record of Python, doing far less.
    pub(crate) python: Option<f64>,
}

/// What was measured on what.
pub(crate) fn head(machine: &str) -> String {
    format!(
        "Measured on {machine}\n\n\
         logs        entities     seen  records   floor  replay  ratio  ratio of  peak MiB, four  python\n\
         {:39}  ns/rec  ns/rec         instruct.   times as long  ns/rec\n",
        ""
    )
}

/// One line.
pub(crate) fn row(row: &Row) -> String {
    let feed = match row.feed {
        Feed::Trail => "CloudTrail",
        Feed::Lines => "log lines",
    };
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    // The same in the longer log, or the two can't be compared.
    let seen = if row.longer.seen == row.replay.seen { row.replay.seen.to_string() } else { format!("{}!", row.longer.seen) };
    format!(
        "{feed:10}  {:8}  {seen:>7}  {:7}  {:6.0}  {:6.0}  {:5.2}  {:>8}  {:6.1}  {:6.1}  {:>6}\n",
        row.entities,
        row.replay.records,
        row.floor.ns,
        row.replay.ns,
        row.replay.ns / row.floor.ns,
        or_none(row.instructions.map(|(floor, replay)| format!("{:.2}", replay / floor))),
        row.replay.peak_mib,
        row.longer.peak_mib,
        or_none(row.python.map(|ns| format!("{ns:.0}"))),
    )
}

/// What the columns mean, and one figure that no case has: nanoseconds of a window of one entity.
pub(crate) fn foot(update_ns: f64) -> String {
    format!(
        "\nfloor   read, inflate and decode into the types of replay; counts only\n\
         replay  the same and everything else: store, windows, detection, incidents\n\
         seen    entities in the logs, the longer one the same; `!` if it has more\n\
         ratio   of processor time, medians of three rounds in turns; of instructions\n\
         \u{20}       (valgrind) in the first six hours of the same logs\n\
         python  read, inflate, orjson, first sights of (role, action) in a dictionary\n\n\
         One window of one entity's calls, judged and learnt (volume and six other\n\
         families): {update_ns:.0} ns\n"
    )
}
