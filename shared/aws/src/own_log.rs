//! Our own log: one line of JSON an invocation, with its metrics in it.
//!
//! CloudWatch makes metrics of the `_aws` block ("Embedded metric format" of the CloudWatch user guide); a custom metric
//! costs by its name and dimensions, so there are few, and their only dimension is the stack: which function it was stands
//! in the line. What is 0 is left out, since a log costs by its bytes; a metric without a point is no alarm.
//!
//! Of a panic only the place in our source is told, since its words may quote what was read. There is deliberately nothing
//! of a record here and no line for one: who watches logs would read it again.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use outflow_core::time::Timestamp;
use serde_json::{Map, Value, json};

/// Where all our metrics stand.
const NAMESPACE: &str = "Outflow";
/// The only dimension.
const STACK: &str = "stack";
/// The field that says which function it was.
const FUNCTION: &str = "function";
/// Places of panics that one process tells: the next of the same would be the same line.
const PANICS_MAX: usize = 16;

/// What alarms and dashboards can be made of. Ten names at most, over all functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Records that were read.
    Records,
    /// Parts of feeds that could not be read.
    Rejects,
    /// Messages, deliveries or steps that failed and will be tried again.
    Failed,
    /// From the end of the last window judged until now.
    LagSeconds,
    /// Messages that the topic took.
    Messages,
    /// 1 while the settings that are in effect are not those of the parameter, because it can't be read.
    SettingsBad,
}

impl Metric {
    /// Its name, and its unit in CloudWatch.
    fn name(self) -> (&'static str, &'static str) {
        match self {
            Metric::Records => ("records", "Count"),
            Metric::Rejects => ("rejects", "Count"),
            Metric::Failed => ("failed", "Count"),
            Metric::LagSeconds => ("lag_seconds", "Seconds"),
            Metric::Messages => ("messages", "Count"),
            Metric::SettingsBad => ("settings_bad", "Count"),
        }
    }
}

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    fields: Map<String, Value>,
    metrics: Vec<Value>,
}

impl Line {
    /// The line of one invocation of a function.
    pub fn new(function: &str) -> Line {
        Line { fields: Map::from_iter([(FUNCTION.to_owned(), function.into())]), metrics: Vec::new() }
    }

    /// A value that is a metric.
    pub fn metric(mut self, metric: Metric, value: u64) -> Line {
        let (name, unit) = metric.name();
        if value > 0 {
            self.metrics.push(json!({ "Name": name, "Unit": unit }));
        }
        self.note(name, value)
    }

    /// A value that is only told.
    pub fn note(mut self, name: &'static str, value: impl Into<Value>) -> Line {
        let value = value.into();
        if value != 0 && value != false {
            self.fields.insert(name.to_owned(), value);
        }
        self
    }

    /// The line of a stack, with its time.
    pub fn text(mut self, stack: &str, now: Timestamp) -> String {
        if !self.metrics.is_empty() {
            let directive = json!({ "Namespace": NAMESPACE, "Dimensions": [[STACK]], "Metrics": self.metrics });
            self.fields.insert("_aws".to_owned(), json!({ "Timestamp": now.ms(), "CloudWatchMetrics": [directive] }));
        }
        self.fields.insert(STACK.to_owned(), stack.into());
        Value::Object(self.fields).to_string()
    }

    /// Writes it where Lambda picks it up.
    pub fn write(self, stack: &str, now: Timestamp) {
        println!("{}", self.text(stack, now));
    }
}

/// Tells of each panic only where it was, once.
pub fn quiet_panics() {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < PANICS_MAX && told.insert(place.clone()) {
            println!("{}", json!({ "level": "ERROR", "defect": place }));
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_metrics_and_notes() {
        let line = Line::new("ingest-logs").metric(Metric::Records, 3).metric(Metric::Failed, 0).note("own", 1).note("late", 0);
        let now = Timestamp::parse("2025-03-20T06:42:33Z").unwrap();
        expect_test::expect![[r#"{"_aws":{"CloudWatchMetrics":[{"Dimensions":[["stack"]],"Metrics":[{"Name":"records","Unit":"Count"}],"Namespace":"Outflow"}],"Timestamp":1742452953000},"function":"ingest-logs","own":1,"records":3,"stack":"outflow"}"#]].assert_eq(&line.text("outflow", now));
    }
}
