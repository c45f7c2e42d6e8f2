//! The functions at work: arrivals, instances, cold starts, retries; and how an invocation appears in the two feeds.
//!
//! An invocation takes the warm instance that was used last, or starts a new one: then Lambda takes the function's role,
//! decrypts its environment and the log gets a new stream. Asynchronous events that fail run again after one and two more minutes.
//! The concurrency limit is deliberately absent: a throttled request to Lambda leaves no line and no record.

use std::collections::BTreeMap;

use crate::SimulateError;
use crate::calendar::{self, DAY, HOUR, MINUTE, START};
use crate::calls;
use crate::deliver::Sink;
use crate::dice::Dice;
use crate::json::Obj;
use crate::plan::Plan;
use crate::record::{self, Call, Identity, Session};
use crate::service::{self, Cause, FAULTS, Fault, Level, Spec, Which};

/// Shape of the gamma factor of an hour: with [`SLOT_SHAPE`] hourly counts get a dispersion of 0.41 (0.35 measured).
const HOUR_SHAPE: f64 = 3.3;
/// Shape of the gamma factor of five minutes: a dispersion of 1 within the hour (0.95 measured).
const SLOT_SHAPE: f64 = 1.0;
/// Log-spread of durations (0.43 measured) and of initialisations (0.10 measured).
const DURATION_SIGMA: f64 = 0.45;
const INIT_SIGMA: f64 = 0.12;
/// Log-spread of how long an idle instance lives, and how long any instance lives, in hours.
const IDLE_SIGMA: f64 = 0.4;
const LIFE_H: f64 = 3.0;
/// How often each fault happens, in the order of [`FAULTS`].
const FAULT_RATES: [f64; 4] = [0.012, 0.004, 0.001_5, 0.000_8];
/// The share of throttled invocations while the service is crowded.
const CROWDED_THROTTLES: f64 = 0.08;
/// Records of a function's own calls that lack `inScopeOf`.
const UNSCOPED: f64 = 0.06;
/// Public addresses of AWS in eu-west-1: first two octets.
const NETWORKS: [&str; 6] = ["3.250", "34.244", "52.210", "54.74", "63.34", "108.129"];

/// One execution environment.
struct Instance {
    stream: String,
    version: String,
    scoped: Identity,
    bare: Identity,
    free_at: i64,
    idle_ms: i64,
    dies_at: i64,
}

/// An invocation that is due.
struct Arrival {
    cause: Cause,
    request_id: String,
    /// 0, then 1 and 2 for Lambda's retries.
    attempt: u32,
    fault: Option<Fault>,
}

/// One function and what it is doing.
pub(crate) struct Fleet<'a> {
    seed: u64,
    plan: &'a Plan,
    spec: &'static Spec,
    instances: Vec<Instance>,
    /// (instant, nth) → what is due.
    due: BTreeMap<(i64, u64), Arrival>,
    nth: u64,
}

impl<'a> Fleet<'a> {
    /// A function that has not run yet.
    pub(crate) fn new(seed: u64, plan: &'a Plan, spec: &'static Spec) -> Fleet<'a> {
        Fleet { seed, plan, spec, instances: Vec::new(), due: BTreeMap::new(), nth: 0 }
    }

    /// Everything the function does on a day (0 is the first).
    pub(crate) fn day(&mut self, day: u32, sink: &mut Sink) -> Result<(), SimulateError> {
        let from = START + i64::from(day) * DAY;
        self.arrivals(day, from);
        let mut dice = Dice::new(self.seed, &format!("bodies/{}/{day}", self.spec.name));
        if self.spec.which == Which::Mail {
            self.poll(from, sink, &mut dice);
        }
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 >= from + DAY {
                break;
            }
            let ((at, _), arrival) = entry.remove_entry();
            self.run(at, arrival, sink, &mut dice)?;
        }
        Ok(())
    }

    fn arrivals(&mut self, day: u32, from: i64) {
        let mut dice = Dice::new(self.seed, &format!("arrivals/{}/{day}", self.spec.name));
        let mut times: Vec<(i64, Cause)> = Vec::new();
        if let Some(cron) = &self.spec.cron {
            let ticks = (0..DAY / cron.every).map(|n| from + cron.offset + n * cron.every);
            times.extend(ticks.map(|at| (at + dice.between(0, 38_000), Cause::Rule)));
        }
        if let Some(rhythm) = &self.spec.rhythm {
            for hour in 0..24 {
                demand(from + hour * HOUR, rhythm, &mut times, &mut dice);
            }
        }
        if self.spec.which == Which::Mail {
            let born = self.plan.mail_born;
            times.retain(|(at, _)| *at > born + 2 * MINUTE);
        }
        if let Some(plot) = self.plan.plot_of(self.spec) {
            times.retain(|(at, _)| !(plot.silent && (plot.from..plot.to).contains(at)));
        }
        times.sort_by_key(|(at, _)| *at);
        let forced = day.checked_sub(1).and_then(|n| FAULTS.get(n as usize)).copied();
        for (n, (at, cause)) in times.into_iter().enumerate() {
            let crowded = self.plan.plot_of(self.spec).is_some_and(|plot| plot.crowded && (plot.from..plot.to).contains(&at));
            let drawn = fault(crowded, &mut dice);
            self.expect(at, cause, if n == 0 && forced.is_some() { forced } else { drawn }, &mut dice);
        }
        self.planted(day, from);
    }

    /// The invocations that the story adds, from a stream of their own.
    fn planted(&mut self, day: u32, from: i64) {
        let plan = self.plan;
        let Some(plot) = plan.plot_of(self.spec) else { return };
        let mut dice = Dice::new(self.seed, &format!("planted/{}/{day}", self.spec.name));
        for (at, cause) in plot.extra.iter().filter(|(at, _)| (from..from + DAY).contains(at)) {
            let drawn = fault(plot.crowded, &mut dice);
            self.expect(*at, *cause, drawn.filter(|_| *cause == Cause::Api), &mut dice);
        }
    }

    fn expect(&mut self, at: i64, cause: Cause, fault: Option<Fault>, dice: &mut Dice) {
        self.nth += 1;
        let arrival = Arrival { cause, request_id: dice.uuid(), attempt: 0, fault };
        self.due.insert((at, self.nth), arrival);
    }

    /// The queue's poller takes the function's role every few hours and decrypts what it fetches.
    fn poll(&mut self, from: i64, sink: &mut Sink, dice: &mut Dice) {
        let mut at = from + dice.between(0, 3 * HOUR);
        while at < from + DAY {
            if at > self.plan.mail_born + 5 * MINUTE {
                let session = format!("awslambda_{}_{}", dice.between(1, 999), calendar::digits(at));
                let key = dice.access_key();
                let assume = calls::assume_role(self.spec.role, &session, &key, at, dice);
                emit(at, &Identity::service("lambda.amazonaws.com"), &assume, sink, dice);
                let who = self.on_behalf(&session, &key, at, "sqs.amazonaws.com");
                for _ in 0..dice.between(1, 4) {
                    let decrypt = calls::decrypt_context(("aws:sqs:arn", &calls::arn("sqs", "mail-queue")), dice);
                    emit(at + dice.between(1_000, 2 * HOUR), &who, &decrypt, sink, dice);
                }
            }
            at += dice.between(2 * HOUR, 5 * HOUR);
        }
    }

    /// A service that uses the function's role for the function.
    fn on_behalf(&self, session: &str, key: &str, at: i64, host: &str) -> Identity {
        let json = self.session(session, key, at, Some(host), None).json();
        Identity { json, ..Identity::service(host) }
    }

    fn session<'b>(&self, name: &'b str, key: &'b str, created: i64, invoked_by: Option<&'b str>, scope: Option<&'b str>) -> Session<'b> {
        Session { role: self.spec.role, path: "/", role_id: self.spec.role_id, name, key, created, invoked_by, scope }
    }

    /// The version that runs at this instant: published ones count the deploys.
    fn version(&self, at: i64) -> String {
        let deploys = self.plan.deploys(self.spec).iter().filter(|deploy| **deploy <= at).count();
        if self.spec.versioned { (41 + deploys).to_string() } else { "$LATEST".to_string() }
    }

    /// The instance that serves an arrival, and how long it took to start if it is new.
    fn instance(&mut self, at: i64, sink: &mut Sink, dice: &mut Dice) -> Result<(Instance, Option<f64>), SimulateError> {
        self.instances.retain(|one| at < one.free_at + one.idle_ms && at < one.dies_at);
        let free = self.instances.iter().enumerate().filter(|(_, one)| one.free_at <= at).max_by_key(|(_, one)| one.free_at);
        if let Some(index) = free.map(|(index, _)| index) {
            return Ok((self.instances.swap_remove(index), None));
        }
        let init_ms = dice.around(self.spec.init_ms, INIT_SIGMA);
        Ok((self.start(at, init_ms, sink, dice)?, Some(init_ms)))
    }

    fn start(&self, at: i64, init_ms: f64, sink: &mut Sink, dice: &mut Dice) -> Result<Instance, SimulateError> {
        let (spec, key, version) = (self.spec, dice.access_key(), self.version(at));
        let assume = calls::assume_role(spec.role, spec.name, &key, at - 900, dice);
        emit(at - 900, &Identity::service("lambda.amazonaws.com"), &assume, sink, dice);
        let decrypt = calls::decrypt_context(("aws:lambda:FunctionArn", &calls::function_arn(spec.name)), dice);
        emit(at - 800, &self.on_behalf(spec.name, &key, at - 900, "lambda.amazonaws.com"), &decrypt, sink, dice);
        let stream = format!("{}/[{version}]{}", calendar::folders(at), dice.hex(32));
        let arn = calls::function_arn(spec.name);
        let scope = Obj::new()
            .text("issuerType", "AWS::Lambda::Function")
            .text("credentialsIssuedTo", &arn)
            .text("credentialsIssuedToVersion", &format!("{arn}:{version}"))
            .done();
        let address = format!("{}.{}.{}", dice.pick(&NETWORKS), dice.below(256), dice.between(1, 254));
        let bare = Identity {
            json: self.session(spec.name, &key, at - 900, None, None).json(),
            address,
            agent: spec.agent.to_string(),
            console: false,
        };
        let scoped = Identity { json: self.session(spec.name, &key, at - 900, None, Some(&scope)).json(), ..bare.clone() };
        let runtime_arn = format!("arn:aws:lambda:{}::runtime:{}", record::REGION, blake3::hash(spec.runtime.1.as_bytes()));
        let line = format!("INIT_START Runtime Version: {}\tRuntime Version ARN: {runtime_arn}\n", spec.runtime.1);
        sink.line(spec.name, &stream, at - init_ms as i64, line)?;
        let idle_ms = (dice.around(spec.idle_min, IDLE_SIGMA) * MINUTE as f64) as i64;
        let dies_at = self.end_of_life(at, dice);
        Ok(Instance { stream, version, scoped, bare, free_at: at, idle_ms, dies_at })
    }

    /// Lambda replaces an instance after some hours, and at once when the function is deployed.
    fn end_of_life(&self, at: i64, dice: &mut Dice) -> i64 {
        let natural = at + (dice.around(LIFE_H, 0.3) * HOUR as f64) as i64;
        let deploy = self.plan.deploys(self.spec).iter().find(|deploy| **deploy > at);
        deploy.map_or(natural, |deploy| natural.min(*deploy))
    }

    fn run(&mut self, at: i64, arrival: Arrival, sink: &mut Sink, dice: &mut Dice) -> Result<(), SimulateError> {
        let spec = self.spec;
        let queued = matches!(arrival.cause, Cause::Rule | Cause::Bucket);
        if queued {
            self.queued(at, &arrival, sink, dice);
        }
        let (mut instance, init_ms) = self.instance(at, sink, dice)?;
        let work = service::work(spec, arrival.cause, at, arrival.fault, dice);
        let mut duration_ms = dice.around(spec.duration_ms, DURATION_SIGMA).min(spec.timeout_s as f64 * 900.0);
        if matches!(arrival.cause, Cause::Foreign { .. }) {
            duration_ms += 45.0 * work.calls.len() as f64;
        }
        if arrival.fault == Some(Fault::Timeout) {
            duration_ms = spec.timeout_s as f64 * 1_000.0;
        }
        let count = work.calls.len() as i64;
        for (n, call) in (1..).zip(&work.calls) {
            let who = if dice.chance(UNSCOPED) { &instance.bare } else { &instance.scoped };
            emit(at + duration_ms as i64 * n / (count + 1), who, call, sink, dice);
        }
        let told = Told { spec, at, id: &arrival.request_id, version: &instance.version, fault: arrival.fault, duration_ms, init_ms };
        for (when, text) in told.lines(&work.lines, dice) {
            sink.line(spec.name, &instance.stream, when, text)?;
        }
        let failed = matches!(arrival.fault, Some(Fault::Crash | Fault::Timeout));
        instance.free_at = at + duration_ms as i64 + 1;
        if arrival.fault != Some(Fault::Timeout) {
            self.instances.push(instance);
        }
        if queued && failed && arrival.attempt < 2 {
            self.again(at + duration_ms as i64, arrival, dice);
        }
        Ok(())
    }

    /// An asynchronous event: who sent it, once; and Lambda's attempt to run it, each time.
    fn queued(&self, at: i64, arrival: &Arrival, sink: &mut Sink, dice: &mut Dice) {
        let name = self.spec.name;
        if arrival.attempt == 0 {
            let rule = self.spec.cron.as_ref().map_or("", |cron| cron.rule);
            let (host, source) = match arrival.cause {
                Cause::Bucket => ("s3.amazonaws.com", format!("arn:aws:s3:::{}", service::RAW_BUCKET)),
                _ => ("events.amazonaws.com", calls::arn("events", &format!("rule/{rule}"))),
            };
            let invoke = calls::invoke(name, &source, &arrival.request_id, dice);
            emit(at - 150, &Identity::service(host), &invoke, sink, dice);
        }
        let attempt = calls::invoke_execution(name, &arrival.request_id, dice);
        emit(at, &Identity::service("lambda.amazonaws.com"), &attempt, sink, dice);
    }

    /// Lambda runs a failed event again after one minute, then after two; it mostly works then.
    fn again(&mut self, failed_at: i64, arrival: Arrival, dice: &mut Dice) {
        let attempt = arrival.attempt + 1;
        let at = failed_at + i64::from(attempt) * MINUTE + dice.between(0, 9_000);
        let fault = arrival.fault.filter(|_| dice.chance(0.2));
        self.nth += 1;
        self.due.insert((at, self.nth), Arrival { attempt, fault, ..arrival });
    }
}

/// The arrivals of one hour: negative binomial by an hour's and each five minutes' gamma factor.
fn demand(from: i64, rhythm: &service::Rhythm, times: &mut Vec<(i64, Cause)>, dice: &mut Dice) {
    let mean = rhythm.per_hour(from) * dice.gamma(HOUR_SHAPE) / 12.0;
    for slot in 0..12 {
        let start = from + slot * 5 * MINUTE;
        let factor = dice.gamma(SLOT_SHAPE);
        for _ in 0..dice.poisson(mean * factor) {
            times.push((start + dice.between(0, 5 * MINUTE - 1), rhythm.cause));
        }
    }
}

fn fault(crowded: bool, dice: &mut Dice) -> Option<Fault> {
    let mut draw = dice.unit();
    if crowded && dice.chance(CROWDED_THROTTLES) {
        return Some(Fault::Throttle);
    }
    for (fault, rate) in FAULTS.into_iter().zip(FAULT_RATES) {
        draw -= rate;
        if draw < 0.0 {
            return Some(fault);
        }
    }
    None
}

fn emit(at: i64, who: &Identity, call: &Call, sink: &mut Sink, dice: &mut Dice) {
    let text = record::write(at, who, call, dice);
    sink.record(at, text, dice);
}

/// One invocation as its log tells it.
struct Told<'a> {
    spec: &'a Spec,
    at: i64,
    id: &'a str,
    version: &'a str,
    fault: Option<Fault>,
    duration_ms: f64,
    init_ms: Option<f64>,
}

impl Told<'_> {
    /// The lines with their times: START, what the application says, END, REPORT.
    fn lines(&self, said: &[(Level, String)], dice: &mut Dice) -> Vec<(i64, String)> {
        let (end, id) = (self.at + self.duration_ms as i64, self.id);
        let mut lines = vec![(self.at, format!("START RequestId: {id} Version: {}\n", self.version))];
        let failed = matches!(self.fault, Some(Fault::Crash | Fault::Timeout));
        // A failing invocation stops half way.
        let kept = if failed { said.len() / 2 } else { said.len() };
        for (n, (level, text)) in (1..).zip(said.iter().take(kept)) {
            let when = self.at + self.duration_ms as i64 * n / (said.len() as i64 + 1);
            lines.push((when, self.said(when, *level, text)));
        }
        match self.fault {
            Some(Fault::Crash) => lines.push((end, self.crash(end))),
            Some(Fault::Timeout) => {
                let seconds = self.duration_ms / 1_000.0;
                lines.push((end, format!("{} {id} Task timed out after {seconds:.2} seconds\n\n", calendar::millis(end))));
            }
            _ => {}
        }
        lines.push((end, format!("END RequestId: {id}\n")));
        lines.push((end, self.report(dice)));
        lines
    }

    /// A line of the application with the runtime's prefix.
    fn said(&self, when: i64, level: Level, text: &str) -> String {
        let (time, id) = (calendar::millis(when), self.id);
        match (self.spec.is_node(), level) {
            (true, Level::Info) => format!("{time}\t{id}\tINFO\t{text}\n"),
            (true, Level::Warn) => format!("{time}\t{id}\tWARN\t{text}\n"),
            (false, Level::Info) => format!("[INFO]\t{time}\t{id}\t{text}\n"),
            (false, Level::Warn) => format!("[WARNING]\t{time}\t{id}\t{text}\n"),
        }
    }

    fn crash(&self, when: i64) -> String {
        if self.spec.is_node() {
            let error = "{\"errorType\":\"TypeError\",\"errorMessage\":\"Cannot read properties of undefined (reading 'items')\",\"stack\":\
                         [\"TypeError: Cannot read properties of undefined (reading 'items')\",\
                         \"    at Runtime.handler (file:///var/task/index.mjs:74:31)\"]}";
            return format!("{}\t{}\tERROR\tInvoke Error \t{error}\n", calendar::millis(when), self.id);
        }
        "[ERROR] KeyError: 'detail'\nTraceback (most recent call last):\n\u{a0}\u{a0}File \"/var/task/app.py\", line 58, in handler\n\
         \u{a0}\u{a0}\u{a0}\u{a0}detail = event['detail']\n"
            .to_string()
    }

    /// The REPORT line. Since August 2025 the initialisation is billed too.
    fn report(&self, dice: &mut Dice) -> String {
        let (spec, id) = (self.spec, self.id);
        let billed = (self.duration_ms + self.init_ms.unwrap_or(0.0)).ceil();
        let used = (spec.used_mb + dice.between(-2, 3)).min(spec.memory_mb);
        let init = self.init_ms.map_or(String::new(), |ms| format!("Init Duration: {ms:.2} ms\t"));
        let status = if self.fault == Some(Fault::Timeout) { "Status: timeout" } else { "" };
        format!(
            "REPORT RequestId: {id}\tDuration: {:.2} ms\tBilled Duration: {billed} ms\tMemory Size: {} MB\tMax Memory Used: {used} MB\t{init}{status}\n",
            self.duration_ms, spec.memory_mb
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    /// Excess variance over the squared mean, pooled over groups of counts that have one mean: 0 for Poisson.
    fn dispersion(groups: &BTreeMap<(bool, i64), Vec<f64>>) -> f64 {
        let (mut excess, mut square) = (0.0, 0.0);
        for counts in groups.values().filter(|counts| counts.len() > 1) {
            let n = counts.len() as f64;
            let mean = counts.iter().sum::<f64>() / n;
            let variance = counts.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0);
            excess += (n - 1.0) * (variance - mean);
            square += (n - 1.0) * mean * mean;
        }
        excess / square
    }

    /// Counts of hours since a Monday, grouped by hour of a weekday or weekend.
    fn grouped(hours: &[i64], first: i64, last: i64) -> f64 {
        let mut groups: BTreeMap<(bool, i64), Vec<f64>> = BTreeMap::new();
        for hour in first..=last {
            let count = hours.iter().filter(|h| **h == hour).count() as f64;
            groups.entry((hour / 24 % 7 >= 5, hour % 24)).or_default().push(count);
        }
        dispersion(&groups)
    }

    /// Hours since Monday 2025-03-17 of the START lines of a published function.
    fn published() -> Option<Vec<i64>> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/cloudwatch/slack_invitor/2025-03-20_to_26.csv.gz");
        let Ok(bytes) = std::fs::read(path) else {
            #[allow(clippy::disallowed_methods, reason = "the environment says whether data may be absent")]
            let required = std::env::var_os("OUTFLOW_REQUIRE_ALL").is_some_and(|value| value == "1");
            assert!(!required, "{path} is missing");
            eprintln!("SKIPPED: {path} is missing");
            return None;
        };
        let mut text = String::new();
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
        let starts = text.lines().filter(|line| line.contains(",\"START") || line.contains(",START"));
        Some(starts.map(|line| (line[8..10].parse::<i64>().unwrap() - 17) * 24 + line[11..13].parse::<i64>().unwrap()).collect())
    }

    /// The claim of the crate's doc: hourly counts are at least as rough as those of a real function.
    #[test]
    fn demand_is_as_rough_as_life() {
        let rhythm = service::Rhythm { weekday: 480.0, weekend: 480.0, cause: Cause::Api };
        let mut dice = Dice::new(1, "rough");
        let mut times = Vec::new();
        let hours = 24 * 7 * 12;
        for hour in 0..hours {
            demand(START + hour * HOUR, &rhythm, &mut times, &mut dice);
        }
        let ours: Vec<i64> = times.iter().map(|(at, _)| (at - START) / HOUR).collect();
        let ours = grouped(&ours, 0, hours - 1);
        assert!((0.36..0.46).contains(&ours), "{ours}");
        let Some(real) = published() else { return };
        let real = grouped(&real, *real.iter().min().unwrap(), *real.iter().max().unwrap());
        assert!((0.30..0.36).contains(&real), "{real}");
    }

    #[test]
    fn weights_of_hours_add_up_to_a_day() {
        let sum: f64 = service::HOURS.iter().sum();
        assert!((sum - 24.0).abs() < 1e-9, "{sum}");
    }
}
