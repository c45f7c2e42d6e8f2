//! Every minute: settings, what is due, messages to the topic.
//!
//! What is known stays between two minutes while the process lives; after an error it is dropped and loaded again. The
//! time is the schedule's, so that a late start judges what its minute was to judge. There is deliberately no decision
//! here: those stand in the pipeline.

use aws_sdk_sns::Client;
use outflow_core::alert::message::Message;
use outflow_core::alert::ocsf::Product;
use outflow_core::alert::sns;
use outflow_core::time::Timestamp;
use outflow_pipeline::evaluate::{Evaluate, Evaluated};
use outflow_pipeline::outbox::{Drained, Topic, TopicError, drain};
use outflow_pipeline::settings::Settings;
use outflow_pipeline::store::{Store, StoreError};
use serde::Deserialize;

use crate::failure::why;
use crate::own_log::{Line, Metric};
use crate::sns::publish;

/// Steps of one run: an hour's backlog in a few runs, each well within its time.
const STEPS_MAX: u64 = 60;
/// How long settings are used without a look at the parameter.
const SETTINGS_KEPT_MS: i64 = 300_000;
/// Version of the program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The schedule's event; whatever else is in it.
#[derive(Debug, Default, Deserialize)]
pub struct Tick {
    /// When it was to run.
    #[serde(default)]
    time: Option<String>,
}

impl Tick {
    /// The minute that is meant; `clock` where the event doesn't say.
    pub fn now(&self, clock: Timestamp) -> Timestamp {
        self.time.as_deref().and_then(Timestamp::parse).unwrap_or(clock)
    }
}

/// The topic of alerts.
pub struct AlertTopic {
    client: Client,
    arn: String,
}

impl AlertTopic {
    /// The topic of this ARN.
    pub fn new(client: Client, arn: String) -> AlertTopic {
        AlertTopic { client, arn }
    }
}

impl Topic for AlertTopic {
    async fn publish(&self, message: &Message) -> Result<(), TopicError> {
        let published = sns::publish(message, &Product { version: VERSION });
        publish(&self.client, &self.arn, &published).await.map(|_| ()).map_err(|e| TopicError(e.into()))
    }
}

/// Settings from a parameter.
pub struct Parameter {
    client: aws_sdk_ssm::Client,
    name: Option<String>,
    read: Option<Timestamp>,
    settings: Settings,
    /// Why the last look gave nothing: the settings before stay in effect.
    bad: Option<String>,
}

impl Parameter {
    /// The parameter of this name; without one, defaults.
    pub fn new(client: aws_sdk_ssm::Client, name: Option<String>) -> Parameter {
        Parameter { client, name, read: None, settings: Settings::default(), bad: None }
    }

    async fn look(&mut self, now: Timestamp) {
        let Some(name) = self.name.as_ref().filter(|_| self.read.is_none_or(|at| now.ms() - at.ms() >= SETTINGS_KEPT_MS)) else { return };
        let answer = self.client.get_parameter().name(name).send().await;
        let text = answer.map_err(|e| why(&e)).map(|a| a.parameter.and_then(|p| p.value).unwrap_or_default());
        match text.and_then(|text| Settings::parse(&text).map_err(|e| e.to_string())) {
            Ok(settings) => (self.settings, self.bad) = (settings, None),
            Err(error) => self.bad = Some(error),
        }
        self.read = Some(now);
    }
}

/// What one process of evaluate holds.
pub struct Minutes<'s, S> {
    store: &'s S,
    topic: AlertTopic,
    parameter: Parameter,
    warm: Option<Evaluate<'s, S>>,
}

/// How one run went.
pub struct Run {
    evaluated: Evaluated,
    drained: Drained,
    cold: bool,
    settings: Option<String>,
    lag_s: u64,
}

impl<'s, S: Store> Minutes<'s, S> {
    /// Begins with nothing known.
    pub fn new(store: &'s S, topic: AlertTopic, parameter: Parameter) -> Minutes<'s, S> {
        Minutes { store, topic, parameter, warm: None }
    }

    /// One run.
    pub async fn run(&mut self, now: Timestamp) -> Result<Run, StoreError> {
        self.parameter.look(now).await;
        let Settings { core, least, .. } = &self.parameter.settings;
        // Taken out, so that after an error nothing stale is left.
        let (mut evaluate, cold) = match self.warm.take() {
            Some(warm) => (warm, false),
            None => (Evaluate::load(self.store, core, *least).await?, true),
        };
        evaluate.set_config(core, *least);
        let evaluated = evaluate.minute(now, STEPS_MAX).await?;
        self.warm = Some(evaluate);
        let drained = drain(self.store, &self.topic).await?;
        let lag_s = evaluated.cursor.map_or(0, |window| ((now.ms() - window.end().ms()) / 1000).max(0) as u64);
        Ok(Run { evaluated, drained, cold, settings: self.parameter.bad.clone(), lag_s })
    }
}

impl Run {
    /// The line of the run.
    pub fn line(&self) -> Line {
        let run = &self.evaluated;
        let line = Line::new("evaluate")
            .note("steps", run.steps)
            .metric(Metric::LagSeconds, self.lag_s)
            .metric(Metric::Messages, self.drained.sent)
            .metric(Metric::Failed, self.drained.failed + run.damaged)
            .metric(Metric::SettingsBad, u64::from(self.settings.is_some()))
            .note("late", run.late)
            .note("observations", run.observations)
            .note("duplicates", run.duplicates)
            .note("mistimed", run.mistimed)
            .note("lost", run.lost)
            .note("damaged", run.damaged)
            .note("saved", run.saved)
            .note("behind", run.behind)
            .note("cold", self.cold);
        match &self.settings {
            Some(why) => line.note("settings", why.as_str()),
            None => line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_says_what_minute_it_is() {
        let clock = Timestamp::parse("2025-03-20T06:42:33Z").unwrap();
        let tick = |text: &str| serde_json::from_str::<Tick>(text).unwrap().now(clock).to_rfc3339();
        let scheduled =
            r#"{"version":"0","detail-type":"Scheduled Event","source":"aws.events","time":"2025-03-20T06:40:00Z","detail":{}}"#;
        assert_eq!(tick(scheduled), "2025-03-20T06:40:00Z");
        for text in ["{}", r#"{"time":"soon"}"#, r#"{"time":null,"x":1}"#] {
            assert_eq!(tick(text), clock.to_rfc3339(), "{text}");
        }
    }
}
