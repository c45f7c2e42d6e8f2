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
use crate::time::WindowId;
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
                if off(a, b) > self.score {
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
    assert!(exact.windows == 36 && exact.surprise < 1e-6 && exact.score < 1e-6 && exact.flags + exact.lows == 0, "{exact:?}");
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
    assert!(exact.surprise < 1e-6 && exact.score < 1e-6 && exact.flags + exact.lows == 0, "{exact:?}");
    assert!(stored.score < 0.15 && stored.scores_off * 50 <= stored.scores, "{stored:?}");
    assert_eq!((stored.flags, stored.lows), (0, SHAPES[i].4), "{stored:?}");
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_rows_give_numbers_and_any_checkpoint_changes_nothing(
        first in 0u32..10_000_000,
        rows in prop::collection::vec((any_row(), prop_oneof![0..3u16, 0..3000u16], any::<u8>()), 1..20),
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
