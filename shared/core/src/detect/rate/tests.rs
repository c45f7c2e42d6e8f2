//! The rate statistics against their executable reference, value by value.
//!
//! The stored examples of the reference are compared always; freshly drawn series of many shapes are put through the
//! reference itself where `python3` is. Both run with exact numbers; the same series then run with stored numbers, which
//! move few scores by more than .05: where two daily maxima are told apart in the fifth decimal only, the number of those
//! above the median may differ by one, and a score by up to a seventh. There is deliberately no expected output of our own making here.

use super::at::At;
use super::entity::{Calls, Flows};
use super::grain::{Exact, Grain, Stored};
use super::{CallsRow, Context, Family, FlowRow, Judged, Peers, Rates, threshold};
use crate::time::{Timestamp, WindowId};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The reference's families, in its order.
const FAMILIES: [&str; 13] =
    ["volume_up", "volume_down", "errors", "throttles", "denials", "flow_a", "flow_b", "lines", "median", "tail", "cost", "bytes", "slow"];
const COLUMNS: [&str; 11] =
    ["calls", "errors", "throttles", "denials", "flow_a", "flow_b", "lines", "median_ms", "p99_ms", "cost_usd", "bytes"];

/// A function's windows as the reference reads them.
#[derive(Clone, Default)]
struct Series {
    first: u32,
    rows: Vec<[f64; 11]>,
    deploys: Vec<u32>,
    clocks: Vec<u32>,
    account: Vec<u32>,
}

/// What one window gave.
struct Out {
    raw: Vec<f64>,
    digest: [f64; 13],
    slack: [f64; 13],
    low: bool,
}

/// The same steps on any grain, with the surprises in between.
struct Run<G: Grain> {
    first: WindowId,
    calls: Calls<G>,
    flows: Flows<G>,
    /// Leave out what can't matter.
    lazy: bool,
    peers: Option<Peers>,
}

impl<G: Grain> Run<G> {
    fn new(first: u32) -> Run<G> {
        Run { first: WindowId(first), calls: Calls::new(), flows: Flows::new(), lazy: false, peers: None }
    }

    fn step(&mut self, row: &[f64; 11], context: &Context) -> Out {
        let at = At::new(self.first, context.window);
        let (calls, flows) = rows_of(row);
        let seen = self.calls.surprises(&calls, &at, context, self.lazy.then_some(self.peers.as_ref()));
        let trail = self.flows.surprises(row[0], row[3], &flows, context, self.lazy);
        let us = |seen: &[super::Seen; 3]| seen.map(|s| s.u);
        let (a, b) = (trail.series[0].unwrap(), trail.series[1].unwrap());
        let mut raw: Vec<f64> = seen.up.iter().zip(&seen.down).flat_map(|(up, down)| [up.u, down.u]).collect();
        let [errors, throttles, lines] = &seen.counts;
        let [median, tail, cost] = &seen.values;
        for three in [errors, throttles, &trail.denials, &a.0, &b.0, lines, median, tail, cost, &a.1] {
            raw.extend(us(three));
        }
        raw.push(seen.slow.u);
        let judged = self.calls.judge(&seen, &at, context.account_low, self.peers.as_ref());
        let trail = self.flows.judge(&trail, &at, self.peers.as_ref());
        let mut out = Out { raw, digest: [0.; 13], slack: [0.; 13], low: judged.low };
        for score in judged.scores.iter().chain(&trail.scores) {
            let place = place_of(score.family);
            (out.digest[place], out.slack[place]) = (score.digest, score.slack);
        }
        out
    }
}

fn place_of(family: Family) -> usize {
    match family {
        Family::VolumeUp => 0,
        Family::VolumeDown => 1,
        Family::Errors => 2,
        Family::Throttles => 3,
        Family::Denials => 4,
        Family::Flow { series } => 5 + series,
        Family::Lines => 7,
        Family::Median => 8,
        Family::Tail => 9,
        Family::Cost => 10,
        Family::Bytes { .. } => 11,
        Family::Slow => 12,
    }
}

fn rows_of(row: &[f64; 11]) -> (CallsRow, [FlowRow; 2]) {
    let &[calls, errors, throttles, _, flow_a, flow_b, lines, median_ms, p99_ms, cost_usd, bytes] = row;
    let flows = [FlowRow { series: 0, calls: flow_a, bytes }, FlowRow { series: 1, calls: flow_b, bytes: 0. }];
    (CallsRow { calls, errors, throttles, lines, median_ms, p99_ms, cost_usd }, flows)
}

impl Series {
    fn context(&self, i: usize) -> Context {
        let window = self.first + i as u32;
        Context {
            window: WindowId(window),
            deployed: self.deploys.contains(&window),
            clocks_shifted: self.clocks.iter().any(|c| (0..14 * 288).contains(&(i64::from(window) - i64::from(*c)))),
            account_low: self.account.contains(&window),
        }
    }

    fn run<G: Grain>(&self) -> Vec<Out> {
        let mut run = Run::<G>::new(self.first);
        self.rows.iter().enumerate().map(|(i, row)| run.step(row, &self.context(i))).collect()
    }

    /// Reads the reference's input, filling holes with zeros.
    fn read(text: &str) -> Series {
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap().split(',').collect();
        let mut series = Series::default();
        for line in lines {
            let cells: Vec<f64> = line.split(',').map(|v| v.parse().unwrap_or(0.)).collect();
            let window = (cells[0] / 300.) as u32;
            if series.rows.is_empty() {
                series.first = window;
            }
            series.rows.resize((window - series.first) as usize, [0.; 11]);
            series.rows.push(COLUMNS.map(|name| cells[header.iter().position(|h| *h == name).unwrap()]));
        }
        series
    }

    fn write(&self) -> String {
        let mut text = format!("t,{}\n", COLUMNS.join(","));
        for (i, row) in self.rows.iter().enumerate() {
            if row.iter().any(|v| *v != 0.) || i == 0 || i + 1 == self.rows.len() {
                let cells: Vec<String> = row.iter().map(f64::to_string).collect();
                writeln!(text, "{},{}", (u64::from(self.first) + i as u64) * 300, cells.join(",")).unwrap();
            }
        }
        text
    }
}

/// Differences between our windows and the reference's lines: the largest of surprises and of scores, and flags.
#[derive(Debug, Default)]
struct Difference {
    windows: usize,
    surprise: f64,
    score: f64,
    /// Scores above 0, those off by more than .05 (relative above 1); flags that differ, and `low`.
    scores: usize,
    scores_off: usize,
    flags: usize,
    lows: usize,
    worst: String,
    worst_score: String,
}

impl Difference {
    fn see(&mut self, ours: &Out, line: &BTreeMap<&str, f64>, names: &[&str]) {
        self.windows += 1;
        let off = |a: f64, b: f64| (a - b).abs() / b.abs().max(1.);
        for (name, u) in names.iter().zip(&ours.raw) {
            let theirs = line[name];
            // U jumps from 0 to ln 2 where z crosses 0, and how z, a root, rounds there is nobody's to say.
            let crossing = u.max(theirs) < 0.6935;
            if !crossing && off(*u, theirs) > self.surprise {
                (self.surprise, self.worst) = (off(*u, theirs), format!("{name} at {}: {u} for {theirs}", line["t"]));
            }
        }
        for (i, family) in FAMILIES.iter().enumerate() {
            let slack = line.get(format!("slack_{family}").as_str()).copied().unwrap_or(0.);
            for (a, b) in [(ours.digest[i], line[format!("digest_{family}").as_str()]), (ours.slack[i], slack)] {
                self.scores += usize::from(a.max(b) > 0.);
                self.scores_off += usize::from(off(a, b) > 0.05);
                // A score jumps from 0 to ln 2 where U crosses the ring's median.
                let crossing = a.min(b) == 0. && a.max(b) < 0.7;
                if !crossing && off(a, b) > self.score {
                    (self.score, self.worst_score) = (off(a, b), format!("{family} at {}: {a} for {b}", line["t"]));
                }
            }
        }
        let t = threshold(200., 1.);
        for (scores, name) in [(ours.digest, "digest"), (ours.slack, "slack")] {
            self.flags += usize::from(scores.iter().any(|s| *s >= t) != (line[name] == 1.));
        }
        self.lows += usize::from(ours.low != (line["low"] == 1.));
    }

    /// Compares with the reference's output.
    fn of(series: &Series, ours: &[Out], reference: &str) -> Difference {
        let mut lines = reference.lines();
        let header: Vec<&str> = lines.next().unwrap().split(',').collect();
        let start = header.iter().position(|h| *h == "U1").unwrap();
        let mut difference = Difference::default();
        for line in lines {
            let line: BTreeMap<&str, f64> = header.iter().copied().zip(line.split(',').map(|v| v.parse().unwrap())).collect();
            let i = (line["t"] / 300.) as usize - series.first as usize;
            difference.see(&ours[i], &line, &header[start..start + 39]);
        }
        difference
    }
}

#[expect(clippy::disallowed_methods, reason = "only a test asks whether missing data is a failure")]
fn missing(what: &str) {
    assert!(std::env::var_os("OUTFLOW_REQUIRE_ALL").is_none_or(|v| v != "1"), "{what} is missing");
    eprintln!("SKIPPED: {what} is missing");
}

fn prototypes() -> Option<PathBuf> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/prototypes"));
    if !folder.join("rate.py").exists() {
        missing("the folder of references, ../shared/prototypes");
        return None;
    }
    Some(folder.to_path_buf())
}

/// Runs the reference over a series; nothing where there is no interpreter.
fn reference(folder: &Path, name: &str, series: &Series) -> Option<String> {
    let place = std::env::temp_dir().join(format!("outflow-rate-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("rows.csv"), series.write()).unwrap();
    let mut command = std::process::Command::new("python3");
    command.arg(folder.join("rate.py")).arg("--raw").arg(place.join("rows.csv"));
    for (option, windows) in [("deploys", &series.deploys), ("clocks", &series.clocks), ("account", &series.account)] {
        let times: Vec<String> = windows.iter().map(|w| (u64::from(*w) * 300).to_string()).collect();
        std::fs::write(place.join(option), times.join("\n")).unwrap();
        command.arg(format!("--{option}")).arg(place.join(option));
    }
    let output = command.output();
    std::fs::remove_dir_all(&place).unwrap();
    let Ok(output) = output else {
        missing("python3");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Numbers of a fixed sequence, good enough to draw series from (Steele et al., "SplitMix64").
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.
    }

    /// About negative binomial: a count of mean m whose standard deviation has a relative part.
    fn count(&mut self, m: f64, spread: f64) -> f64 {
        let m = m * libm::exp(spread * self.normal() - 0.5 * spread * spread);
        if m > 30. {
            return (m + m.sqrt() * self.normal()).max(0.).round();
        }
        let (mut k, mut p, limit) = (0., 1., libm::exp(-m));
        loop {
            p *= self.next();
            if p <= limit {
                return k;
            }
            k += 1.;
        }
    }
}

/// A shape of series: calls expected in window i of the run at a place, and their spread.
///
/// The last is how many `low` stored numbers move: one low score of 3.99 for 4.00 is remembered for 73 windows.
type Shape = (&'static str, u32, fn(usize, &At) -> f64, f64, usize);

const SHAPES: [Shape; 6] = [
    ("api", 75, |i, at| if i < 16_000 { 80. } else { 200. } * (1.2 + libm::sin((at.slot_of_day as f64) / 45.8)), 0.2, 73),
    ("sparse", 30, |_, _| 0.02, 0.5, 0),
    ("cron", 20, |_, at| if at.slot_of_hour == 3 { 12. } else { 0. }, 0., 0),
    ("business", 30, |_, at| if !at.weekend && (8..18).contains(&at.hour_of_day) { 150. } else { 0.5 }, 0.2, 0),
    ("storm", 16, |i, _| if (2600..2650).contains(&i) || (4000..4300).contains(&i) { 900. } else { 40. }, 0.3, 0),
    ("drop", 24, |i, _| if (3000..3200).contains(&i) || i > 6000 { 0. } else { 25. }, 0.3, 0),
];

fn draw((name, days, mean, spread, _): &Shape) -> Series {
    let mut draw = Draw(name.bytes().fold(7, |v, b| v * 31 + u64::from(b)));
    // Wednesday 19 March 2025, at a time that is on no hour.
    let first = WindowId(5_805_248 + 107 + (draw.next() * 12.) as u32);
    let mut series = Series { first: first.0, ..Series::default() };
    for i in 0..(days * 288) as usize {
        let window = first.0 + i as u32;
        let n = draw.count(mean(i, &At::new(first, WindowId(window))), *spread);
        let burst = if (1500..1520).contains(&(i % 2500)) { 8. } else { 1. };
        let mut row = [0.; 11];
        row[0] = if *name == "cron" { n.min(12.).max(if n > 0. { 12. } else { 0. }) } else { n };
        row[2] = draw.count(0.002 * n * burst * burst, 1.);
        row[3] = draw.count(0.003 * n * burst * burst, 1.);
        if row[0] > 0. {
            row[1] = draw.count(0.01 * n * burst, 0.8).min(row[0]);
            row[4] = draw.count(2. * n * burst, 0.1);
            row[5] = draw.count(0.1 * n, 0.1);
            row[6] = draw.count(5. * n * burst, 0.05);
            row[7] = (120. * burst * libm::exp(0.3 * draw.normal() / n.max(1.).sqrt()) * 100.).round() / 100.;
            row[8] = (row[7] * (3. + 2. * draw.next()) * 100.).round() / 100.;
            row[9] = 1.7e-6 * n * row[7] / 100.;
            row[10] = (row[4] * 2000. * burst * libm::exp(0.2 * draw.normal())).round();
        }
        series.rows.push(row);
    }
    series.deploys = vec![first.0 + 2000, first.0 + 3333];
    series.clocks = if *name == "business" { vec![first.0 + 3100] } else { Vec::new() };
    series.account = if *name == "drop" { (3050..3100).map(|i| first.0 + i).collect() } else { Vec::new() };
    series
}

#[test]
fn the_examples_of_the_reference() {
    let Some(folder) = prototypes() else { return };
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let mut series = Series::read(&read("rate.example.csv"));
    series.deploys = read("rate.example.deploys").lines().map(|t| (t.parse::<f64>().unwrap() / 300.) as u32).collect();
    let expected = read("rate.example.out.csv");
    let exact = Difference::of(&series, &series.run::<Exact>(), &expected);
    assert!(
        exact.windows == 36 && exact.surprise < 1e-6 && exact.score < 1e-6 && exact.flags + exact.lows + exact.scores_off == 0,
        "{exact:?}"
    );
    let stored = Difference::of(&series, &series.run::<Stored>(), &expected);
    assert!(stored.score < 0.05 && stored.flags + stored.lows == 0, "{stored:?}");
}

/// One test a shape, so that they run side by side.
fn compare(i: usize) {
    let Some(folder) = prototypes() else { return };
    let series = draw(&SHAPES[i]);
    let Some(expected) = reference(&folder, SHAPES[i].0, &series) else { return };
    let exact = Difference::of(&series, &series.run::<Exact>(), &expected);
    eprintln!("{} exact: {exact:?}", SHAPES[i].0);
    let stored = Difference::of(&series, &series.run::<Stored>(), &expected);
    eprintln!("{} stored: {stored:?}", SHAPES[i].0);
    assert!(exact.surprise < 1e-6 && exact.score < 1e-6 && exact.flags + exact.lows + exact.scores_off == 0, "{exact:?}");
    assert!(stored.score < 0.15 && stored.scores_off * 50 <= stored.scores, "{stored:?}");
    assert_eq!((stored.flags, stored.lows), (0, SHAPES[i].4), "{stored:?}");
}

/// Real counts: requests of a load balancer and bytes into a machine, as the Numenta Anomaly Benchmark has them.
#[test]
fn real_counts_as_the_reference() {
    let (Some(folder), data) =
        (prototypes(), Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/nab/data/realAWSCloudwatch")))
    else {
        return;
    };
    // Sums of 1e9 leave the root of a deviance near 0 four digits, in the reference as here.
    for (name, limit) in [("elb_request_count_8c0756", 1e-6), ("ec2_network_in_257a54", 1e-4)] {
        let Ok(file) = std::fs::File::open(data.join(format!("{name}.csv.gz"))) else {
            missing(name);
            continue;
        };
        let mut text = String::new();
        std::io::Read::read_to_string(&mut flate2::read::MultiGzDecoder::new(file), &mut text).unwrap();
        let mut series = Series::default();
        for (time, value) in text.lines().skip(1).filter_map(|line| line.split_once(',')) {
            let window = Timestamp::parse(time).unwrap().window().0;
            if series.rows.is_empty() {
                series.first = window;
            }
            series.rows.resize(series.rows.len().max((window - series.first + 1) as usize), [0.; 11]);
            series.rows[(window - series.first) as usize][0] = value.parse::<f64>().unwrap().floor();
        }
        let Some(expected) = reference(&folder, name, &series) else { return };
        let exact = Difference::of(&series, &series.run::<Exact>(), &expected);
        eprintln!("{name} exact: {exact:?}");
        assert!(exact.surprise < limit && exact.score < limit && exact.flags + exact.lows + exact.scores_off == 0, "{exact:?}");
        let stored = Difference::of(&series, &series.run::<Stored>(), &expected);
        eprintln!("{name} stored: {stored:?}");
        assert!(stored.score < 0.15 && stored.scores_off * 50 <= stored.scores && stored.flags == 0, "{stored:?}");
    }
}

macro_rules! compared {
    ($($name:ident $i:literal),*) => { $(#[test] fn $name() { compare($i) })* };
}
compared!(api_as_the_reference 0, sparse_as_the_reference 1, cron_as_the_reference 2, business_as_the_reference 3, storm_as_the_reference 4, drop_as_the_reference 5);

/// Rows of any size, also none.
fn any_row() -> impl Strategy<Value = [f64; 11]> {
    let value = prop_oneof![3 => Just(0.), 3 => (0u32..50).prop_map(f64::from), 2 => 0.0..1e6f64, 1 => 0.0..1e12f64, 1 => Just(1e300)];
    proptest::array::uniform11(value)
}

fn sane(judged: &Judged) -> bool {
    let fine = |v: f64| v.is_finite() && v >= 0.;
    judged
        .scores
        .iter()
        .all(|s| fine(s.digest) && fine(s.slack) && fine(s.evidence.surprise) && fine(s.evidence.observed) && fine(s.evidence.expected))
}

/// Steps both kinds through rows, each followed by a run without activity.
fn walk(rates: &mut Rates, mut window: u32, rows: &[([f64; 11], u16, u8)], peers: &Peers) -> Vec<Judged> {
    let mut all = Vec::new();
    for (row, idle, flags) in rows {
        let (deployed, clocks_shifted, account_low) = (flags & 1 > 0, flags & 2 > 0, flags & 4 > 0);
        let context = Context { window: WindowId(window), deployed, clocks_shifted, account_low };
        let peers = (flags & 8 > 0).then_some(peers);
        let (calls, flows) = rows_of(row);
        all.push(rates.step_calls(&calls, &context, peers));
        all.push(rates.step_flows(row[0], row[3], &flows, &context, peers));
        let (from, to) = (WindowId(window + 1), WindowId(window + 1 + u32::from(*idle)));
        all.push(rates.idle_calls(from, to, clocks_shifted, account_low, peers).worst);
        all.push(rates.idle_flows(from, to, peers).worst);
        window = to.0;
    }
    all
}

/// Ten days of peers that were surprised now and then.
fn some_peers() -> Peers {
    let (mut peers, mut rates, series) = (Peers::default(), Rates::new(WindowId(0)), draw(&SHAPES[4]));
    for (i, row) in series.rows.iter().enumerate() {
        let (calls, flows) = rows_of(row);
        if i % (5 * 288) == 0 {
            rates = Rates::new(series.context(i).window);
        }
        for judged in
            [rates.step_calls(&calls, &series.context(i), None), rates.step_flows(row[0], row[3], &flows, &series.context(i), None)]
        {
            if let Some(day) = judged.day_ended {
                peers.add(&day);
            }
        }
    }
    peers
}

/// A young entity is judged by its peers, for the digest only, and hands out its first five days.
#[test]
fn peers_judge_the_young() {
    let (peers, series) = (some_peers(), draw(&SHAPES[4]));
    let (mut known, mut alone, mut days) = (Rates::new(WindowId(series.first)), Rates::new(WindowId(series.first)), 0);
    let (mut by_peers, mut without) = (0., 0.);
    for i in 0..2 * 288 {
        let (mut row, context) = (rows_of(&series.rows[i]).0, series.context(i));
        if (20..25).contains(&i) {
            row.errors = row.calls;
        }
        let (a, b) = (known.step_calls(&row, &context, Some(&peers)), alone.step_calls(&row, &context, None));
        days += usize::from(a.day_ended.is_some());
        assert_eq!(a.slack(), 0.);
        if i < 30 {
            (by_peers, without) = (a.digest().max(by_peers), b.digest().max(without));
        }
    }
    assert!(by_peers > 5. && without == 0., "{by_peers} {without}");
    let end = WindowId(series.first + 2 * 288);
    let idle = known.idle_calls(end, WindowId(end.0 + 20 * 288), false, false, Some(&peers));
    assert_eq!(days + idle.days_ended.len(), 5);
    assert!(Peers::decode(&peers.encode()[..20]).is_err() && Peers::decode(&[9]).is_err());
}

/// In the year 2255.
const FAR: WindowId = WindowId(30_000_000);

/// A run of any length ends soon, and what was known fades.
#[test]
fn the_longest_run_is_bounded() {
    let mut rates = Rates::new(WindowId(0));
    walk(&mut rates, 0, &[([50.; 11], 3000, 0)], &Peers::default());
    let idle = rates.idle_calls(WindowId(3001), FAR, false, false, None);
    assert!(sane(&idle.worst) && idle.worst.scores.len() < 9);
    rates.idle_flows(WindowId(3001), FAR, None);
    let context = Context { window: FAR, deployed: true, clocks_shifted: true, account_low: false };
    assert!(sane(&rates.step_calls(&rows_of(&[50.; 11]).0, &context, None)));
}

#[test]
fn thresholds_are_those_of_the_rule() {
    for (entities, alerts, t) in [(200., 1., 7.5), (10., 1., 7.5), (2000., 1., 14.407_755_278_982_137), (400., 2., 7.5)] {
        assert!((threshold(entities, alerts) - t).abs() < 1e-12);
    }
    assert!(
        (super::months_per_false_alarm(7.5, false) - 42.).abs() < 1e-12
            && (super::months_per_false_alarm(10.5, true) - 13.591_409).abs() < 1e-5
    );
}

/// What is left out changes no score, no flag, no ring.
#[test]
fn surprises_left_out_do_not_matter() {
    for (i, shape) in SHAPES.iter().enumerate() {
        let series = draw(shape);
        let (mut whole, mut lazy) = (Run::<Stored>::new(series.first), Run::<Stored>::new(series.first));
        lazy.lazy = true;
        if i % 2 == 1 {
            (whole.peers, lazy.peers) = (Some(some_peers()), Some(some_peers()));
        }
        let mut left_out = 0;
        for (i, row) in series.rows.iter().enumerate() {
            let (a, b) = (whole.step(row, &series.context(i)), lazy.step(row, &series.context(i)));
            assert_eq!((a.digest, a.slack, a.low), (b.digest, b.slack, b.low), "{} window {i}", shape.0);
            left_out += a.raw.iter().zip(&b.raw).filter(|(a, b)| a != b).count();
        }
        let rings = |run: &Run<Stored>| run.calls.counts.iter().map(|(_, family)| family.rings.clone()).collect::<Vec<_>>();
        assert_eq!(rings(&whole), rings(&lazy));
        assert_eq!((&whole.calls.up.rings, &whole.calls.low), (&lazy.calls.up.rings, &lazy.calls.low));
        assert!(left_out > 0);
    }
}

/// The scores of the windows with activity, with runs without in between passed at once or stepped.
fn scored(series: &Series, at_once: bool) -> (Vec<Judged>, Rates) {
    let (mut rates, mut all, mut i) = (Rates::new(WindowId(series.first)), Vec::new(), 0);
    while i < series.rows.len() {
        let (row, context) = (&series.rows[i], series.context(i));
        let steady =
            |j: usize| (series.context(j).clocks_shifted, series.context(j).account_low) == (context.clocks_shifted, context.account_low);
        let idle = |j: &usize| series.rows[*j].iter().all(|v| *v == 0.) && !series.context(*j).deployed && steady(*j);
        let run = (i..series.rows.len()).take_while(idle).count();
        if at_once && run > 0 {
            let (from, to) = (context.window, WindowId(context.window.0 + run as u32));
            all.push(rates.idle_calls(from, to, context.clocks_shifted, context.account_low, None).worst);
            all.push(rates.idle_flows(from, to, None).worst);
            i += run;
            continue;
        }
        let (calls, flows) = rows_of(row);
        let mut worst = [super::Idle::default(), super::Idle::default()];
        for j in i..i + run.max(1) {
            let context = series.context(j);
            worst[0].merge(rates.step_calls(&calls, &context, None));
            worst[1].merge(rates.step_flows(row[0], row[3], if run > 0 { &[] } else { &flows }, &context, None));
        }
        all.extend(worst.map(|idle| idle.worst));
        i += run.max(1);
    }
    (all, rates)
}

/// Shapes that sleep long, a burst now and then, one job a week, a function that was switched off; and shapes that sleep
/// often, of a hundred calls a day, of dozens.
const SLEEPERS: [Shape; 7] = [
    ("rare", 120, |i, _| if i.wrapping_mul(2_654_435_761) % 3001 < 2 { 70. } else { 0. }, 0.3, 0),
    ("weekly", 100, |_, at| if at.hour_of_week == 50 && at.slot_of_hour == 4 { 30. } else { 0. }, 0.2, 0),
    ("gone", 110, |i, _| if i < 8000 { 1.5 } else { 0. }, 0.3, 0),
    ("handful", 120, |_, at| if at.weekend { 0. } else { 0.015 }, 0.3, 0),
    ("hundred", 60, |i, _| if (9000..9200).contains(&i) { 0. } else { 0.35 }, 0.3, 0),
    ("dozens", 60, |_, at| if (8..18).contains(&at.hour_of_day) { 0.25 } else { 0.03 }, 0.8, 0),
    ("hourly", 40, |i, at| if at.slot_of_hour == 7 && !(6000..6100).contains(&i) { 1. } else { 0. }, 0., 0),
];

/// How far passing runs at once moves scores: of windows with activity and the worst of runs.
#[test]
fn runs_at_once_are_near_steps() {
    // Per shape: scores off by more than .05 where two daily maxima are told apart in the fifth decimal, as above, and `low`
    // flags, each such score being remembered for 73 windows.
    let held = |name: &str| match name {
        "dozens" => (0, 33),
        "hourly" => (2, 0),
        _ => (0, 0),
    };
    for shape in SHAPES.iter().chain(&SLEEPERS) {
        let series = draw(shape);
        let ((steps, stepped), (runs, passed)) = (scored(&series, false), scored(&series, true));
        let (mut off, mut scores, mut lows, mut most) = (0, 0, 0, 0f64);
        for (a, b) in steps.iter().zip(&runs) {
            lows += usize::from(a.low != b.low);
            let of = |judged: &Judged, family| judged.scores.iter().find(|s| s.family == family).map_or((0., 0.), |s| (s.digest, s.slack));
            for family in a.scores.iter().chain(&b.scores).map(|s| s.family) {
                let (a, b) = (of(a, family), of(b, family));
                let distance = |a: f64, b: f64| (a - b).abs() / a.max(1.);
                let worse = distance(a.0, b.0).max(distance(a.1, b.1));
                (scores, most, off) = (scores + 1, most.max(worse), off + usize::from(worse > 0.05));
            }
        }
        let rings = |rates: &Rates| {
            rates.calls.down.rings.each_ref().map(|ring| ring.past.as_ref().map_or([0.; 35], |past| past.days.map(super::grain::Cell::get)))
        };
        let ring_off = rings(&stepped).iter().flatten().zip(rings(&passed).iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0., f64::max);
        eprintln!(
            "{}: {} runs and windows, {scores} scores, {off} off, {most:.3} at most, {lows} low; rings {ring_off:.3}",
            shape.0,
            steps.len()
        );
        assert_eq!(steps.len(), runs.len());
        let limit = if off > 0 { 1. / 7. } else { 0.05 };
        assert!((off, lows) == held(shape.0) && most < limit && ring_off < 0.2, "{}", shape.0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_rows_give_numbers_and_any_checkpoint_changes_nothing(
        first in 0u32..10_000_000,
        rows in prop::collection::vec((any_row(), prop_oneof![2 => 0..3u16, 2 => 0..1000u16, 1 => 0..20_000u16], any::<u8>()), 1..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let peers = some_peers();
        let mut whole = Rates::new(WindowId(first));
        let cut = cut.index(rows.len());
        let mut all = walk(&mut whole, first, &rows[..cut], &peers);
        let bytes = whole.encode();
        let mut again = Rates::decode(&bytes).unwrap();
        prop_assert_eq!(&again, &whole);
        prop_assert_eq!(again.encode(), bytes);
        let next = first + rows[..cut].iter().map(|(_, idle, _)| u32::from(*idle) + 1).sum::<u32>();
        let rest = walk(&mut whole, next, &rows[cut..], &peers);
        prop_assert_eq!(&walk(&mut again, next, &rows[cut..], &Peers::decode(&peers.encode()).unwrap()), &rest);
        all.extend(rest);
        for judged in &all {
            prop_assert!(sane(judged), "{judged:?}");
        }
        prop_assert_eq!(again, whole);
    }

    #[test]
    fn spoilt_checkpoints_are_refused_or_stepped(
        spoils in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
        cut in any::<prop::sample::Index>(),
        row in any_row(),
    ) {
        let mut rates = Rates::new(WindowId(5_805_355));
        walk(&mut rates, 5_805_355, &[([7.; 11], 2000, 0), ([3.; 11], 5, 0)], &Peers::default());
        let mut bytes = rates.encode();
        for (place, value) in spoils {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Ok(mut rates) = Rates::decode(&bytes) {
            walk(&mut rates, 5_805_355 + 2100, &[(row, 400, 0), (row, 4, 0)], &Peers::default());
        }
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(Rates::decode(&bytes).is_err());
        let _ = Peers::decode(&bytes);
    }
}
