//! What an account would pay for Outflow in a month, part by part.
//!
//! Quantities follow from the volume by what was measured on this code (`make bench-units`): bytes of a delivery, units of a
//! checkpoint, how often a batch is read. Prices are one table, with source and date. Deliberately absent: free tiers and
//! discounts, which would flatter; alarms, the secret and the alerts themselves, which are no matter of volume; and what the
//! watched account pays AWS for its trail, but for data events, which stand beside the sum.

use outflow_core::time::{MINUTES_PER_WINDOW, WINDOWS_PER_HOUR};
use serde::Serialize;

use crate::evaluate::checkpoint_windows;

/// Prices in US dollars.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Prices {
    /// Where they hold.
    pub region: &'static str,
    /// When they were looked up.
    pub date: &'static str,
    /// A million invocations.
    pub lambda_million: f64,
    /// A GB-second on x86-64.
    pub lambda_gb_second: f64,
    /// A million write units on demand.
    pub table_million_writes: f64,
    /// A million read units on demand.
    pub table_million_reads: f64,
    /// A GB stored for a month.
    pub table_gb: f64,
    /// A million requests to a queue.
    pub queue_million: f64,
    /// A million reads of objects.
    pub object_million: f64,
    /// A GB of our own log.
    pub log_gb: f64,
    /// A custom metric for a month.
    pub metric: f64,
    /// An hour of a shard.
    pub shard_hour: f64,
    /// A million payload units of 25 KB put into a stream.
    pub stream_million: f64,
    /// A million data events of a trail: AWS's own price, whoever reads them.
    pub data_events_million: f64,
}

/// us-east-1. Lambda: "How AWS Pricing Works". DynamoDB: price reports of 2025. SQS and CloudWatch: price reports of March and
/// June 2026. S3 and Kinesis: the published list prices, unchanged for years and not looked up again. CloudTrail: its price page.
pub const PRICES: Prices = Prices {
    region: "us-east-1",
    date: "2026-06",
    lambda_million: 0.20,
    lambda_gb_second: 0.000_016_666_7,
    table_million_writes: 0.625,
    table_million_reads: 0.125,
    table_gb: 0.25,
    queue_million: 0.40,
    object_million: 0.40,
    log_gb: 0.50,
    metric: 0.30,
    shard_hour: 0.015,
    stream_million: 0.014,
    data_events_million: 1.0,
};

/// What happens in an account in a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Functions that act within an hour.
    pub functions: u64,
    /// Their invocations.
    pub invocations: u64,
    /// Management events of the trail.
    pub management_events: u64,
    /// Data events of the trail.
    pub data_events: u64,
    /// Invocations that one delivery of a log subscription tells.
    pub per_delivery: u64,
    /// The subscription writes to a Kinesis stream.
    pub stream: bool,
}

/// One line of the bill.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Charge {
    /// Which part of Outflow.
    pub part: &'static str,
    /// What is billed.
    pub what: &'static str,
    /// How much of it.
    pub quantity: f64,
    /// Dollars a month.
    pub usd: f64,
}

/// The whole bill.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// For what.
    pub volume: Volume,
    /// At which prices.
    pub prices: Prices,
    /// Line by line.
    pub charges: Vec<Charge>,
    /// The sum.
    pub usd: f64,
    /// What AWS takes for the data events themselves.
    pub data_events_usd: f64,
}

const MINUTES: f64 = 30.0 * 24.0 * 60.0;
const HOURS: f64 = 30.0 * 24.0;
const WINDOWS: f64 = MINUTES / MINUTES_PER_WINDOW as f64;
const WRITE_UNIT: f64 = 1_024.0;
const READ_UNIT: f64 = 4_096.0;
const GB: f64 = 1e9;

/// Bytes of an item of one delivery, and of each invocation that it tells (four lines).
const DELIVERY_BYTES: f64 = 185.0;
const INVOCATION_BYTES: f64 = 26.0;
/// Bytes of one delivery more in an item that holds many.
const PACKED_DELIVERY_BYTES: f64 = 70.0;
/// Write units of a thousand events of the trail, ten files at once: of 500 functions, 200 of them in a window, which is the
/// dearer of the two that were measured (published files of few principals: 30).
const TRAIL_WRITES_PER_THOUSAND: f64 = 42.0;
/// Events of one file of a trail.
const EVENTS_PER_FILE: f64 = 53.0;
const FILES_AT_ONCE: f64 = 10.0;
/// Seconds that a stream collects before it calls, and records that a shard takes in a second.
const STREAM_SECONDS: f64 = 10.0;
const SHARD_RECORDS: f64 = 1_000.0;
/// How much more than its mean comes in the busiest second.
const PEAK: f64 = 10.0;
/// How often each batch is read, by early looks and by the judgement.
const READ_TIMES: f64 = 2.7;
/// Read units of a minute in which nothing happened: the journal, late marks, open windows.
const IDLE_READS: f64 = 6.5;
/// Bytes by which a step names a batch.
const STEP_BYTES: f64 = 9.0;
/// Write units of one function in an hour's checkpoint, after four days.
const CHECKPOINT_UNITS: f64 = 4.7;
/// Days that batches are kept, the table's delay included.
const KEPT_DAYS: f64 = 5.0;
/// Empty receives of the five pollers that a queue's trigger has at least.
const EMPTY_RECEIVES: f64 = 5.0 * 3.0 * MINUTES;
/// Custom metrics of all functions together.
const METRICS: f64 = 6.0;

/// Memory in GB and milliseconds of one run, and bytes that it writes to its own log: our line, what Lambda adds to it (time
/// and level), and the 26 bytes that CloudWatch counts for it; Lambda's own lines are switched off but for warnings.
/// Milliseconds are assumed: what this code takes of a processor, and five for each request.
struct Run {
    gb: f64,
    ms: f64,
    log_bytes: f64,
}

const LOGS_RUN: Run = Run { gb: 0.25, ms: 10.0, log_bytes: 360.0 };
const TRAIL_RUN: Run = Run { gb: 0.5, ms: 150.0, log_bytes: 400.0 };
const EVALUATE_RUN: Run = Run { gb: 1.0, ms: 60.0, log_bytes: 450.0 };
/// Milliseconds more of evaluate for each thousand records of a minute, and for each function.
const EVALUATE_MS_PER_THOUSAND: f64 = 10.0;
const EVALUATE_MS_PER_FUNCTION: f64 = 0.05;
/// Milliseconds of one delivery more in an invocation of ingest-logs that has many.
const STREAM_MS_PER_DELIVERY: f64 = 0.1;

/// The bill of a month.
pub fn estimate(volume: &Volume, prices: &Prices) -> Estimate {
    let mut bill = Bill { prices, charges: Vec::new() };
    let logs = bill.logs(volume);
    let trail = bill.trail(volume);
    bill.evaluate(volume, logs.batches + trail.batches, logs.bytes + trail.bytes);
    let stored = (logs.bytes + trail.bytes) * KEPT_DAYS / 30.0 / GB;
    bill.put("table", "GB stored", stored, prices.table_gb);
    bill.put("metrics", "custom metrics", METRICS, prices.metric);
    let usd = bill.charges.iter().map(|charge| charge.usd).sum();
    let data_events_usd = volume.data_events as f64 / 1e6 * prices.data_events_million;
    Estimate { volume: *volume, prices: *prices, charges: bill.charges, usd, data_events_usd }
}

/// What a part of ingest writes.
struct Written {
    batches: f64,
    bytes: f64,
}

struct Bill<'a> {
    prices: &'a Prices,
    charges: Vec<Charge>,
}

impl Bill<'_> {
    fn put(&mut self, part: &'static str, what: &'static str, quantity: f64, price: f64) {
        if quantity > 0.0 {
            self.charges.push(Charge { part, what, quantity, usd: quantity * price });
        }
    }

    fn runs(&mut self, part: &'static str, runs: f64, ms: f64, run: &Run) {
        self.put(part, "invocations", runs, self.prices.lambda_million / 1e6);
        self.put(part, "GB-seconds", runs * ms / 1_000.0 * run.gb, self.prices.lambda_gb_second);
        self.put(part, "GB of its own log", runs * run.log_bytes / GB, self.prices.log_gb);
    }

    fn writes(&mut self, part: &'static str, units: f64) {
        self.put(part, "write units", units, self.prices.table_million_writes / 1e6);
    }

    fn logs(&mut self, volume: &Volume) -> Written {
        let part = "ingest-logs";
        let per_delivery = volume.per_delivery.max(1) as f64;
        let deliveries = volume.invocations as f64 / per_delivery;
        let runs = if volume.stream { deliveries.min(MINUTES * 60.0 / STREAM_SECONDS) } else { deliveries };
        if runs == 0.0 {
            return Written { batches: 0.0, bytes: 0.0 };
        }
        let more = deliveries / runs - 1.0;
        let bytes = DELIVERY_BYTES + more * PACKED_DELIVERY_BYTES + (1.0 + more) * per_delivery * INVOCATION_BYTES;
        let ms = LOGS_RUN.ms + more * STREAM_MS_PER_DELIVERY;
        self.runs(part, runs, ms, &LOGS_RUN);
        self.writes(part, runs * (bytes / WRITE_UNIT).ceil());
        if volume.stream {
            let shards = (deliveries / (MINUTES * 60.0) * PEAK / SHARD_RECORDS).ceil();
            self.put(part, "hours of shards", shards * HOURS, self.prices.shard_hour);
            self.put(part, "payload units", deliveries, self.prices.stream_million / 1e6);
        }
        Written { batches: runs, bytes: runs * bytes }
    }

    fn trail(&mut self, volume: &Volume) -> Written {
        let part = "ingest-trail";
        let events = (volume.management_events + volume.data_events) as f64;
        // However little happens: a file every five minutes at most, and an invocation every minute.
        let files = (events / EVENTS_PER_FILE).max(events.min(WINDOWS));
        if files == 0.0 {
            return Written { batches: 0.0, bytes: 0.0 };
        }
        let runs = (files / FILES_AT_ONCE).max(files.min(WINDOWS));
        self.runs(part, runs, TRAIL_RUN.ms, &TRAIL_RUN);
        let units = (events / 1_000.0 * TRAIL_WRITES_PER_THOUSAND).max(runs);
        self.writes(part, units);
        self.put(part, "reads of objects", files, self.prices.object_million / 1e6);
        self.put(part, "requests to its queue", files + 2.0 * runs + EMPTY_RECEIVES, self.prices.queue_million / 1e6);
        Written { batches: runs, bytes: units * WRITE_UNIT }
    }

    fn evaluate(&mut self, volume: &Volume, batches: f64, bytes: f64) {
        let part = "evaluate";
        let records = (4 * volume.invocations + volume.management_events + volume.data_events) as f64;
        let more = records / MINUTES / 1_000.0 * EVALUATE_MS_PER_THOUSAND + volume.functions as f64 * EVALUATE_MS_PER_FUNCTION;
        let ms = EVALUATE_RUN.ms + more;
        self.runs(part, MINUTES, ms, &EVALUATE_RUN);
        let reads = MINUTES * IDLE_READS + bytes * READ_TIMES / READ_UNIT / 2.0;
        self.put(part, "read units", reads, self.prices.table_million_reads / 1e6);
        let journal = WINDOWS.min(batches) * (batches / WINDOWS * STEP_BYTES / WRITE_UNIT).ceil();
        let hours = f64::from(checkpoint_windows(volume.functions as usize) / WINDOWS_PER_HOUR);
        let checkpoints = volume.functions as f64 * CHECKPOINT_UNITS * HOURS / hours;
        self.writes(part, MINUTES + journal + checkpoints);
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    const ACCOUNT: Volume = Volume {
        functions: 500,
        invocations: 50_000_000,
        management_events: 5_000_000,
        data_events: 20_000_000,
        per_delivery: 3,
        stream: false,
    };

    fn sum(volume: Volume) -> String {
        let bill = estimate(&volume, &PRICES);
        let mut parts = std::collections::BTreeMap::<&str, f64>::new();
        bill.charges.iter().for_each(|charge| *parts.entry(charge.part).or_default() += charge.usd);
        let parts: Vec<String> = parts.iter().map(|(part, usd)| format!("{part} {usd:.2}")).collect();
        format!("{:.2} = {}", bill.usd, parts.join(" + "))
    }

    #[test]
    fn bills() {
        let nothing = Volume { functions: 0, invocations: 0, management_events: 0, data_events: 0, ..ACCOUNT };
        let cases = [
            ("one invocation a delivery", Volume { per_delivery: 1, ..ACCOUNT }),
            ("three", ACCOUNT),
            ("ten", Volume { per_delivery: 10, ..ACCOUNT }),
            ("thirty", Volume { per_delivery: 30, ..ACCOUNT }),
            ("three, through a stream", Volume { stream: true, ..ACCOUNT }),
            ("ten thousand functions", Volume { functions: 10_000, ..ACCOUNT }),
            ("no data events", Volume { data_events: 0, ..ACCOUNT }),
            ("a small account", Volume { functions: 10, invocations: 100_000, management_events: 50_000, data_events: 0, ..ACCOUNT }),
            ("nothing happens", nothing),
            ("nothing through a stream", Volume { stream: true, ..nothing }),
        ];
        let said: String = cases.iter().map(|(name, volume)| format!("{name}: {}\n", sum(*volume))).collect();
        expect![[r#"
            one invocation a delivery: 58.02 = evaluate 1.99 + ingest-logs 52.33 + ingest-trail 1.41 + metrics 1.80 + table 0.48
            three: 22.44 = evaluate 1.56 + ingest-logs 17.44 + ingest-trail 1.41 + metrics 1.80 + table 0.23
            ten: 9.98 = evaluate 1.41 + ingest-logs 5.23 + ingest-trail 1.41 + metrics 1.80 + table 0.14
            thirty: 6.42 = evaluate 1.36 + ingest-logs 1.74 + ingest-trail 1.41 + metrics 1.80 + table 0.11
            three, through a stream: 17.52 = evaluate 1.39 + ingest-logs 12.77 + ingest-trail 1.41 + metrics 1.80 + table 0.15
            ten thousand functions: 27.01 = evaluate 6.13 + ingest-logs 17.44 + ingest-trail 1.41 + metrics 1.80 + table 0.23
            no data events: 21.44 = evaluate 1.51 + ingest-logs 17.44 + ingest-trail 0.49 + metrics 1.80 + table 0.19
            a small account: 2.28 = evaluate 0.15 + ingest-logs 0.03 + ingest-trail 0.29 + metrics 1.80 + table 0.00
            nothing happens: 1.92 = evaluate 0.12 + metrics 1.80
            nothing through a stream: 1.92 = evaluate 0.12 + metrics 1.80
        "#]]
        .assert_eq(&said);
    }

    /// By hand: 50 million in threes are 16,666,667 calls at 20 cents a million and as many writes of one unit at 62.5.
    #[test]
    fn a_line_is_quantity_times_price() {
        let bill = estimate(&ACCOUNT, &PRICES);
        let line = |part: &str, what: &str| bill.charges.iter().find(|c| c.part == part && c.what == what).map_or(0.0, |c| c.usd);
        assert!((line("ingest-logs", "invocations") - 50.0 / 3.0 * 0.2).abs() < 1e-9);
        assert!((line("ingest-logs", "write units") - 50.0 / 3.0 * 0.625).abs() < 1e-9);
        assert!((line("ingest-trail", "write units") - 25_000.0 * 42.0 / 1e6 * 0.625).abs() < 1e-9);
        assert!((bill.data_events_usd - 20.0).abs() < 1e-9);
        assert!((bill.usd - bill.charges.iter().map(|c| c.usd).sum::<f64>()).abs() < 1e-9);
    }

    #[test]
    fn more_in_a_delivery_never_costs_more() {
        let mut last = f64::INFINITY;
        for per_delivery in 1..=32 {
            let usd = estimate(&Volume { per_delivery, ..ACCOUNT }, &PRICES).usd;
            assert!(usd <= last, "{per_delivery}");
            last = usd;
        }
    }
}
