//! The books service: its functions, what drives each, and what one invocation of each does and says.
//!
//! Six functions, each with a small repertoire of (action, target) that it runs through within its first days. Every line
//! and every call that a function can make is here; what makes a run different from the usual (the stories) is in
//! `plan.rs` and comes in as a [`Cause`]. How an invocation appears in the logs is deliberately elsewhere (`fleet.rs`).

use crate::calendar::{self, DAY, HOUR, START};
use crate::calls;
use crate::dice::Dice;
use crate::record::Call;

/// The bucket of raw statistics, which only `statistics-handler` reads, except in a story.
pub(crate) const RAW_BUCKET: &str = "statistics-raw";
const EXPORT_BUCKET: &str = "catalog-exports";
/// Median size of a raw statistics object, in bytes, and the standard deviation of its logarithm.
const RAW_BYTES: (f64, f64) = (48_000.0, 0.8);

/// Which function; the order is that of [`SPECS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Author,
    Statistics,
    Export,
    Price,
    Mail,
    Cleanup,
}

/// A schedule: an EventBridge rule that fires every `every` from `offset` after midnight.
pub(crate) struct Cron {
    pub(crate) rule: &'static str,
    pub(crate) every: i64,
    pub(crate) offset: i64,
}

/// Demand from outside that follows the day and the week: mean invocations a day.
pub(crate) struct Rhythm {
    pub(crate) weekday: f64,
    pub(crate) weekend: f64,
    pub(crate) cause: Cause,
}

/// One function as it is deployed.
pub(crate) struct Spec {
    pub(crate) which: Which,
    pub(crate) name: &'static str,
    pub(crate) role: &'static str,
    pub(crate) role_id: &'static str,
    /// `nodejs22.x` as the API writes it, and `nodejs:22.v51` as the log does.
    pub(crate) runtime: (&'static str, &'static str),
    pub(crate) agent: &'static str,
    pub(crate) memory_mb: i64,
    pub(crate) used_mb: i64,
    pub(crate) timeout_s: i64,
    pub(crate) init_ms: f64,
    pub(crate) duration_ms: f64,
    /// Invoked through an alias of published versions; else `$LATEST`.
    pub(crate) versioned: bool,
    /// 0 is Monday.
    pub(crate) deploy_weekday: u32,
    pub(crate) stack: &'static str,
    pub(crate) cron: Option<Cron>,
    pub(crate) rhythm: Option<Rhythm>,
    /// How long an idle instance lives: median, in minutes.
    pub(crate) idle_min: f64,
}

/// What an invocation was started by and for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A request through the API.
    Api,
    /// A new object in the bucket of raw statistics.
    Bucket,
    /// A batch from the queue.
    Queue,
    /// The function's schedule.
    Rule,
    /// A request that makes the function read what is not its own: `pages` of a listing, `gets` objects.
    Foreign { pages: u32, gets: u32 },
}

/// What goes wrong in an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Bad input, answered and logged.
    Refused,
    /// An exception that nobody catches.
    Crash,
    /// The function's time runs out.
    Timeout,
    /// DynamoDB refuses the first call; the SDK tries again.
    Throttle,
}

/// All faults, in the order in which the first week shows each at least once.
pub(crate) const FAULTS: [Fault; 4] = [Fault::Refused, Fault::Throttle, Fault::Crash, Fault::Timeout];

const NODE_AGENT: &str = "aws-sdk-js/3.864.0 ua/2.1 os/linux#5.10.240 lang/js md/nodejs#22.18.0 exec-env/AWS_Lambda_nodejs22.x m/E";
const PYTHON_AGENT: &str = "Boto3/1.40.4 md/Botocore#1.40.4 ua/2.1 os/linux#5.10.240 md/arch#x86_64 lang/python#3.13.4 \
                            exec-env/AWS_Lambda_python3.13 m/Z,b cfg/retry-mode#legacy Botocore/1.40.4";
const NODE: (&str, &str) = ("nodejs22.x", "nodejs:22.v51");
const PYTHON: (&str, &str) = ("python3.13", "python:3.13.v58");

/// The fleet.
pub(crate) const SPECS: [Spec; 6] = [
    Spec {
        which: Which::Author,
        name: "author-handler",
        role: "books-author-handler",
        role_id: "AROARX7KQ2NVAUTHORHND",
        runtime: NODE,
        agent: NODE_AGENT,
        memory_mb: 512,
        used_mb: 118,
        timeout_s: 10,
        init_ms: 410.0,
        duration_ms: 38.0,
        versioned: true,
        deploy_weekday: 2,
        stack: "books-api",
        cron: None,
        rhythm: Some(Rhythm { weekday: 2_200.0, weekend: 800.0, cause: Cause::Api }),
        idle_min: 12.0,
    },
    Spec {
        which: Which::Statistics,
        name: "statistics-handler",
        role: "books-statistics-handler",
        role_id: "AROARX7KQ2NVSTATSHNDL",
        runtime: PYTHON,
        agent: PYTHON_AGENT,
        memory_mb: 1_024,
        used_mb: 176,
        timeout_s: 60,
        init_ms: 620.0,
        duration_ms: 450.0,
        versioned: false,
        deploy_weekday: 1,
        stack: "books-statistics",
        cron: Some(Cron { rule: "statistics-half-hourly", every: 30 * calendar::MINUTE, offset: 0 }),
        rhythm: Some(Rhythm { weekday: 240.0, weekend: 120.0, cause: Cause::Bucket }),
        idle_min: 25.0,
    },
    Spec {
        which: Which::Export,
        name: "catalog-export",
        role: "books-catalog-export",
        role_id: "AROARX7KQ2NVCATEXPORT",
        runtime: PYTHON,
        agent: PYTHON_AGENT,
        memory_mb: 2_048,
        used_mb: 840,
        timeout_s: 900,
        init_ms: 880.0,
        duration_ms: 74_000.0,
        versioned: false,
        deploy_weekday: 3,
        stack: "books-jobs",
        cron: Some(Cron { rule: "catalog-export-nightly", every: DAY, offset: 2 * HOUR + 30 * calendar::MINUTE }),
        rhythm: None,
        idle_min: 25.0,
    },
    Spec {
        which: Which::Price,
        name: "price-refresh",
        role: "books-price-refresh",
        role_id: "AROARX7KQ2NVPRICEREFR",
        runtime: NODE,
        agent: NODE_AGENT,
        memory_mb: 256,
        used_mb: 97,
        timeout_s: 30,
        init_ms: 380.0,
        duration_ms: 1_250.0,
        versioned: false,
        deploy_weekday: 0,
        stack: "books-jobs",
        cron: Some(Cron { rule: "price-refresh-quarter-hourly", every: 15 * calendar::MINUTE, offset: 0 }),
        rhythm: None,
        idle_min: 25.0,
    },
    Spec {
        which: Which::Mail,
        name: "mail-sender",
        role: "books-mail-sender",
        role_id: "AROARX7KQ2NVMAILSENDR",
        runtime: PYTHON,
        agent: PYTHON_AGENT,
        memory_mb: 256,
        used_mb: 88,
        timeout_s: 30,
        init_ms: 510.0,
        duration_ms: 210.0,
        versioned: false,
        deploy_weekday: 4,
        stack: "books-mail",
        cron: None,
        rhythm: Some(Rhythm { weekday: 210.0, weekend: 110.0, cause: Cause::Queue }),
        idle_min: 25.0,
    },
    Spec {
        which: Which::Cleanup,
        name: "cleanup",
        role: "books-cleanup",
        role_id: "AROARX7KQ2NVCLEANUPJB",
        runtime: PYTHON,
        agent: PYTHON_AGENT,
        memory_mb: 128,
        used_mb: 71,
        timeout_s: 60,
        init_ms: 450.0,
        duration_ms: 900.0,
        versioned: false,
        deploy_weekday: 3,
        stack: "books-jobs",
        cron: Some(Cron { rule: "cleanup-hourly", every: HOUR, offset: 7 * calendar::MINUTE }),
        rhythm: None,
        idle_min: 25.0,
    },
];

/// How demand spreads over the hours of a day, UTC; the weights add up to 24.
pub(crate) const HOURS: [f64; 24] = [
    0.25, 0.18, 0.14, 0.13, 0.16, 0.30, 0.62, 1.05, 1.50, 1.78, 1.84, 1.76, 1.55, 1.66, 1.78, 1.72, 1.50, 1.30, 1.22, 1.20, 1.06, 0.72,
    0.38, 0.20,
];

impl Rhythm {
    /// Mean invocations in the hour that holds this instant.
    pub(crate) fn per_hour(&self, at: i64) -> f64 {
        let days = (at - START).div_euclid(DAY);
        let hour = (at - START).rem_euclid(DAY) / HOUR;
        let day = if days.rem_euclid(7) < 5 { self.weekday } else { self.weekend };
        day / 24.0 * HOURS.get(hour as usize).copied().unwrap_or(1.0)
    }

    /// Mean invocations in the busiest hour of a weekday.
    pub(crate) fn busiest_hour(&self) -> f64 {
        self.weekday / 24.0 * HOURS.iter().copied().fold(0.0, f64::max)
    }
}

impl Spec {
    /// Written in JavaScript; else in Python.
    pub(crate) fn is_node(&self) -> bool {
        self.runtime == NODE
    }
}

/// How loud a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warn,
}

/// What one invocation does: its calls in order, its lines in order.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) calls: Vec<Call>,
    pub(crate) lines: Vec<(Level, String)>,
}

impl Work {
    fn say(&mut self, line: String) {
        self.lines.push((Level::Info, line));
    }
}

/// What an invocation of this function at this instant does.
pub(crate) fn work(spec: &Spec, cause: Cause, at: i64, fault: Option<Fault>, dice: &mut Dice) -> Work {
    let mut work = Work::default();
    if let Cause::Foreign { pages, gets } = cause {
        foreign(pages, gets, at, &mut work, dice);
        return work;
    }
    match spec.which {
        Which::Author => author(&mut work, fault, dice),
        Which::Statistics if cause == Cause::Bucket => statistics_object(&mut work, at, dice),
        Which::Statistics => statistics_sweep(&mut work, at, dice),
        Which::Export => export(&mut work, at, dice),
        Which::Price => price(&mut work, dice),
        Which::Mail => mail(&mut work, dice),
        Which::Cleanup => cleanup(&mut work, at, dice),
    }
    if fault == Some(Fault::Refused) && spec.which != Which::Author {
        work.lines.push((Level::Warn, format!("skipped item {}: field 'updated' is missing", dice.between(1_000, 99_999))));
    }
    if fault == Some(Fault::Throttle)
        && let Some(first) = work.calls.iter().position(|call| call.source == "dynamodb")
    {
        let refused = calls::throttled(work.calls[first].clone());
        work.calls.insert(first, refused);
        work.lines.push((Level::Warn, format!("throttled by DynamoDB, retry in {} ms", dice.between(25, 400))));
    }
    work
}

fn author(work: &mut Work, fault: Option<Fault>, dice: &mut Dice) {
    let id = dice.between(1, 4_200);
    let (key, took) = (format!("author#{id}"), dice.around(24.0, 0.5) as i64 + 2);
    if fault == Some(Fault::Refused) {
        work.lines.push((Level::Warn, format!("POST /authors 400 {took} ms: field 'name' is missing")));
        return;
    }
    match dice.below(100) {
        0..55 => {
            work.calls.push(calls::table("GetItem", "books", Some(&key), dice));
            work.say(format!("GET /authors/{id} 200 {took} ms"));
        }
        55..80 => {
            work.calls.push(calls::table("Query", "books", Some(&key), dice));
            work.say(format!("GET /authors/{id}/books 200 {took} ms, {} items", dice.between(0, 40)));
        }
        80..92 => {
            work.calls.push(calls::table("PutItem", "books", Some(&key), dice));
            work.calls.push(calls::publish("authors", dice));
            work.say(format!("POST /authors 201 {took} ms, author {id}"));
        }
        _ => {
            work.calls.push(calls::table("GetItem", "books", Some(&key), dice));
            work.calls.push(calls::table("PutItem", "books", Some(&key), dice));
            work.say(format!("PUT /authors/{id} 200 {took} ms"));
        }
    }
    if dice.chance(0.05) {
        work.calls.push(calls::decrypt_alias(dice));
    }
    if dice.chance(0.3) {
        work.say(format!("cache miss for author {id}"));
    }
}

/// The key of a raw object written in the hour before `at`.
fn raw_key(at: i64, dice: &mut Dice) -> String {
    let hour = (at - START).rem_euclid(DAY) / HOUR;
    format!("{}/{hour:02}/events-{:05}-{}.json", calendar::folders(at), dice.between(1, 99_999), dice.hex(8))
}

fn get_raw(at: i64, work: &mut Work, dice: &mut Dice) -> (String, u64) {
    let (key, size) = (raw_key(at, dice), dice.around(RAW_BYTES.0, RAW_BYTES.1) as u64);
    work.calls.push(calls::object("GetObject", RAW_BUCKET, &key, size, dice));
    (key, size)
}

fn statistics_object(work: &mut Work, at: i64, dice: &mut Dice) {
    let (key, size) = get_raw(at, work, dice);
    let item = format!("day#{}", calendar::folders(at));
    work.calls.push(calls::table("GetItem", "statistics", Some(&item), dice));
    work.calls.push(calls::table("PutItem", "statistics", Some(&item), dice));
    work.say(format!("read {size} bytes from s3://{RAW_BUCKET}/{key}"));
    work.say(format!("stored {} events", dice.between(20, 900)));
}

fn statistics_sweep(work: &mut Work, at: i64, dice: &mut Dice) {
    let prefix = format!("{}/", calendar::folders(at));
    work.calls.push(calls::list_objects(RAW_BUCKET, &prefix, dice));
    let objects = dice.between(3, 11);
    for _ in 0..objects {
        get_raw(at, work, dice);
    }
    for span in ["hour", "day"] {
        let item = format!("{span}#{prefix}");
        work.calls.push(calls::table("PutItem", "statistics", Some(&item), dice));
    }
    work.say(format!("sweep of {prefix}: {objects} objects, {} events", objects * dice.between(80, 400)));
}

fn export(work: &mut Work, at: i64, dice: &mut Dice) {
    for table in ["books", "prices"] {
        for _ in 0..dice.between(2, 4) {
            work.calls.push(calls::table("Scan", table, None, dice));
        }
        work.say(format!("scanned table {table}: {} items", dice.between(38_000, 42_000)));
    }
    if on_day_of_month(at, 4) {
        // Rare but known: the monthly form of the export. The run starts on the 1st, so it falls into the first week.
        work.calls.push(calls::object("GetObject", "catalog-templates", "monthly/layout.xslt", 18_204, dice));
    }
    for part in 0..dice.between(2, 4) {
        let key = format!("{}/catalog-{part:03}.csv.gz", calendar::folders(at));
        let size = dice.around(4_200_000.0, 0.2) as u64;
        work.calls.push(calls::object("PutObject", EXPORT_BUCKET, &key, size, dice));
        work.say(format!("wrote s3://{EXPORT_BUCKET}/{key}, {size} bytes"));
    }
}

fn price(work: &mut Work, dice: &mut Dice) {
    work.calls.push(calls::secret("price-feed-AbX3kQ", dice));
    for _ in 0..dice.between(1, 3) {
        work.calls.push(calls::batch_write("prices", dice));
    }
    work.say(format!("fetched {} prices in {} ms", dice.between(380, 420), dice.around(640.0, 0.3) as i64));
    work.say(format!("updated {} prices", dice.between(0, 60)));
}

fn mail(work: &mut Work, dice: &mut Dice) {
    let mails = dice.between(1, 3);
    for _ in 0..mails {
        work.calls.push(calls::send_email(dice));
    }
    let key = format!("mail#{}", dice.hex(12));
    work.calls.push(calls::table("PutItem", "mail-log", Some(&key), dice));
    work.say(format!("sent {mails} mails of template welcome-{}", dice.between(1, 9)));
}

fn cleanup(work: &mut Work, at: i64, dice: &mut Dice) {
    work.calls.push(calls::table("Query", "sessions", Some("expired"), dice));
    let expired = dice.between(1, 6);
    for _ in 0..expired {
        let key = format!("session#{}", dice.hex(16));
        work.calls.push(calls::table("DeleteItem", "sessions", Some(&key), dice));
    }
    work.say(format!("removed {expired} expired sessions"));
    let (day, hour) = ((at - START).div_euclid(DAY), (at - START).rem_euclid(DAY) / HOUR);
    if day.rem_euclid(7) == 1 && hour == 3 {
        let key = format!("{}/catalog-000.csv.gz", calendar::folders(at - 60 * DAY));
        work.calls.push(calls::object("DeleteObject", EXPORT_BUCKET, &key, 0, dice));
        work.say(format!("removed s3://{EXPORT_BUCKET}/{key}"));
    }
}

/// The planted reads. They say nothing: whoever abuses a function does not log.
fn foreign(pages: u32, gets: u32, at: i64, work: &mut Work, dice: &mut Dice) {
    for _ in 0..pages {
        work.calls.push(calls::list_objects(RAW_BUCKET, "", dice));
    }
    for _ in 0..gets {
        let age = dice.between(0, 20) * DAY;
        get_raw(at - age, work, dice);
    }
}

fn on_day_of_month(at: i64, day: u32) -> bool {
    calendar::folders(at).ends_with(&format!("/{day:02}"))
}
