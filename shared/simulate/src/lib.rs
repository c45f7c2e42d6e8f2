//! What AWS would write for a living fleet of Lambda functions, with anomalies planted and written down.
//!
//! [`write()`] plays some weeks of a small books service in one account and leaves behind what a trail and a log subscription
//! would: CloudTrail files as S3 lays them out, and CloudWatch Logs messages, one gzip file each. Beside them stands
//! `truth.jsonl`, one line per planted story. The crate shares no code with the detectors, and must not: whoever knows how
//! detection works plants what is detected. The same seed gives the same bytes.
//!
//! ```
//! use outflow_simulate::{Books, Story, write};
//! let out = std::env::temp_dir().join(format!("outflow-books-{}", std::process::id()));
//! let written = write(&Books { seed: 7, days: 2, story: Story::ForeignFlow }, &out)?;
//! assert_eq!(written.truth.len(), 1);
//! std::fs::remove_dir_all(&out).ok();
//! # Ok::<(), outflow_simulate::SimulateError>(())
//! ```
//!
//! # The service
//!
//! | function | driven by | does |
//! | --- | --- | --- |
//! | `author-handler` | API requests, by day and week | table `books`, topic `authors`, key `alias/books` |
//! | `statistics-handler` | half-hourly rule, new objects | bucket `statistics-raw`, table `statistics` |
//! | `catalog-export` | nightly rule | tables `books`, `prices`; bucket `catalog-exports`; monthly `catalog-templates` |
//! | `price-refresh` | rule, every 15 minutes | a secret, table `prices` |
//! | `mail-sender` | queue; created on the second day | SES, table `mail-log` |
//! | `cleanup` | hourly rule | table `sessions`; weekly bucket `catalog-exports` |
//!
//! Around it: `ci-deploy` deploys each function about weekly, two people look at things in office hours, AWS's services
//! keep their own records. After the first seven days nothing benign is done for the first time, and no benign line is
//! said for the first time; deploys bring no new flows either.
//!
//! # Where the noise comes from
//!
//! | figure | here | source |
//! | --- | --- | --- |
//! | dispersion of hourly counts within an hour of the (week)day | 0.41 | 0.35, `slack_invitor`, 1,423 real invocations, pooled over hours |
//! | dispersion of 5-minute counts within their hour | 1.0 | 0.95, same |
//! | spread of log duration | 0.45 | 0.43, same |
//! | spread of log initialisation | 0.12 | 0.10, same |
//! | record to file | 45 to 200 s, then the next look every 5 min | 86/201/425 s (p5/50/95), 55 published CloudTrail files |
//! | records a file | 30 or what waited 8 minutes, at most 400 | median 20, at most 394, same |
//! | `inScopeOf` missing | 6 % | happens; no rate published: assumed |
//! | records twice, late; messages twice, late | 0.3 %, 0.2 %; 1 %, 0.5 % | "uncommon", "may occur": assumed |
//! | faults: refused, throttled, crash, timeout | 1.2, 0.4, 0.15, 0.08 % | assumed |
//! | life of an idle instance | 12 and 25 min median | real ones die after 5 to 20 minutes; longer here, to keep the number of files down |
//!
//! Simpler than life: API Gateway's calls of a function are not recorded (no such record is published), a message holds up to an hour
//! of one stream, quiet hours of the trail come in fewer files, and every function's environment is encrypted.

mod calendar;
mod calls;
mod deliver;
mod dice;
mod fleet;
mod json;
mod people;
mod plan;
mod record;
mod service;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::calendar::{DAY, START};
use crate::deliver::Sink;
use crate::fleet::Fleet;
use crate::json::Obj;
use crate::plan::Plan;
use crate::service::SPECS;

/// A year: 21 days are some 7,000 files, so more is likely a slip.
pub const DAYS_MAX: u32 = 366;
/// A story needs a day before it.
pub const STORY_DAYS_MIN: u32 = 2;
/// The file of what was planted, in the folder written to.
pub const TRUTH_FILE: &str = "truth.jsonl";

/// What is planted, at two thirds to six sevenths of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Story {
    /// `author-handler` lists and reads a bucket that only `statistics-handler` read before.
    #[default]
    ForeignFlow,
    /// `author-handler` is invoked 25 to 60 times as often as in its busiest hour, for 20 to 60 minutes.
    Storm,
    /// `price-refresh` doesn't run for a day or more.
    SilentCron,
    /// Nothing.
    None,
}

impl Story {
    /// All stories.
    pub const ALL: [Story; 4] = [Story::ForeignFlow, Story::Storm, Story::SilentCron, Story::None];

    fn name(self) -> &'static str {
        match self {
            Story::ForeignFlow => "foreign-flow",
            Story::Storm => "storm",
            Story::SilentCron => "silent-cron",
            Story::None => "none",
        }
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Story {
    type Err = SimulateError;

    fn from_str(text: &str) -> Result<Story, SimulateError> {
        Story::ALL.into_iter().find(|story| story.name() == text).ok_or_else(|| SimulateError::Story { given: text.to_string() })
    }
}

/// A run of the books service, from Monday 2025-09-01 00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Books {
    /// Everything random follows from it.
    pub seed: u64,
    /// Length in days, 1 to [`DAYS_MAX`].
    pub days: u32,
    /// What is planted.
    pub story: Story,
}

impl Default for Books {
    fn default() -> Books {
        Books { seed: 1, days: 21, story: Story::default() }
    }
}

/// One planted story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// The story's name.
    pub what: String,
    /// ARN of the function, without version.
    pub entity: String,
    /// When it begins, `2025-09-15T08:00:00Z`.
    pub from: String,
    /// When it ends, exclusive.
    pub to: String,
    /// What happened, for a person.
    pub tell: String,
}

impl Truth {
    fn json(&self) -> String {
        let head = Obj::new().text("what", &self.what).text("entity", &self.entity);
        head.text("from", &self.from).text("to", &self.to).text("tell", &self.tell).done()
    }
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Log files, without `truth.jsonl`.
    pub files: u64,
    /// CloudTrail records, those delivered twice counted twice.
    pub events: u64,
    /// Log lines, likewise.
    pub lines: u64,
    /// What was planted.
    pub truth: Vec<Truth>,
}

/// Why nothing, or not everything, was written.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The length makes no sense: choose another.
    #[error("{days} days: between {min} and {DAYS_MAX} are possible with this story")]
    Days {
        /// What was asked for.
        days: u32,
        /// The least that the story needs.
        min: u32,
    },
    /// No such story: choose another.
    #[error("no story is called '{given}': foreign-flow, storm, silent-cron, none")]
    Story {
        /// What was asked for.
        given: String,
    },
    /// The folder holds something already, and two runs must not mix: choose another.
    #[error("{} is not empty", .path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// The disk refused.
    #[error("can't write {}", .path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// Plays the service and writes its logs into an empty or new folder, with `truth.jsonl` beside them.
pub fn write(books: &Books, out: &Path) -> Result<Written, SimulateError> {
    let min = if books.story == Story::None { 1 } else { STORY_DAYS_MIN };
    if !(min..=DAYS_MAX).contains(&books.days) {
        return Err(SimulateError::Days { days: books.days, min });
    }
    let failed = |source| SimulateError::Write { path: out.to_path_buf(), source };
    fs::create_dir_all(out).map_err(failed)?;
    if fs::read_dir(out).map_err(failed)?.next().is_some() {
        return Err(SimulateError::Occupied { path: out.to_path_buf() });
    }
    let plan = Plan::new(books);
    let mut sink = Sink::new(out, books.seed);
    let mut fleets: Vec<Fleet> = SPECS.iter().map(|spec| Fleet::new(books.seed, &plan, spec)).collect();
    for day in 0..books.days {
        for fleet in &mut fleets {
            fleet.day(day, &mut sink)?;
        }
        people::day(books.seed, &plan, day, &mut sink);
        let last = day + 1 == books.days;
        sink.flush(START + i64::from(day + 1) * DAY, last)?;
    }
    let truth = plan.truth(books.story);
    let text: String = truth.iter().map(|one| one.json() + "\n").collect();
    let path = out.join(TRUTH_FILE);
    fs::write(&path, text).map_err(|source| SimulateError::Write { path, source })?;
    Ok(Written { files: sink.files, events: sink.events, lines: sink.lines, truth })
}
