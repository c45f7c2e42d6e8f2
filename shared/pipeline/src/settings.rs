//! `outflow.toml`: all settings are optional; an unknown key is an error that names the nearest one.
//!
//! The command reads it from a file, the functions from a parameter; the text is the same. There is deliberately no
//! environment variable: what was decided by can be read in one place.

use outflow_core::config::{Config, LATE_MINUTES_LEAST};
use outflow_core::incident::Severity;
use toml::{Table, Value};

/// Every key, with what it means.
pub const KEYS: [(&str, &str); 5] = [
    ("noise_per_week", "false incidents a week that an account accepts"),
    ("resolve_minutes", "minutes of quiet after which an incident is over"),
    ("min_severity", "least severity that counts as an incident: low, medium, high"),
    ("logs_late_minutes", "in an account: minutes after which the logs of a window are there"),
    ("trail_late_minutes", "in an account: minutes after which the trail of a window is there"),
];
/// Characters of a key or value that are repeated to a person.
const SHOWN_CHARS_MAX: usize = 60;

/// What is in effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What windows are judged by.
    pub core: Config,
    /// Incidents below it are kept and not told.
    pub least: Severity,
    /// The keys that the text sets.
    pub set: Vec<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { core: Config::default(), least: Severity::Medium, set: Vec::new() }
    }
}

/// Why a text is no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It is no TOML.
    #[error("it is no TOML: {0}")]
    NotToml(#[source] Box<toml::de::Error>),
    /// There is no such key.
    #[error("there is no setting `{key}`{hint}")]
    Unknown {
        /// The key.
        key: String,
        /// `; the nearest is …`, where one is near; what else may help, or nothing.
        hint: String,
    },
    /// The value is out of bounds or of another kind.
    #[error("{key} = {value} is not {wanted}{hint}")]
    Unfit {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What it may be.
        wanted: &'static str,
        /// What else may help, or nothing.
        hint: &'static str,
    },
}

impl Settings {
    /// Reads a text; what it doesn't set has its default.
    pub fn parse(text: &str) -> Result<Settings, SettingsError> {
        let table: Table = text.parse().map_err(|e| SettingsError::NotToml(Box::new(e)))?;
        let mut settings = Settings::default();
        for (key, value) in &table {
            settings.set(key, value)?;
            settings.set.push(key.clone());
        }
        Ok(settings)
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<(), SettingsError> {
        let whole = |from: i64, to: i64| value.as_integer().filter(|n| (from..=to).contains(n)).map(|n| n as u32);
        let number = value.as_float().or(value.as_integer().map(|i| i as f64));
        let fitting = match key {
            "noise_per_week" => {
                number.filter(|n| (0.01..=1_000.0).contains(n)).map(|n| self.core.noise_per_week = n).ok_or("a number from 0.01 to 1000")
            }
            "resolve_minutes" => whole(60, 10_080).map(|n| self.core.resolve_minutes = n).ok_or("a whole number from 60 to 10080"),
            "min_severity" => value.as_str().and_then(Severity::from_word).map(|s| self.least = s).ok_or("\"low\", \"medium\" or \"high\""),
            "logs_late_minutes" => whole(1, 720).map(|n| self.core.logs_late_minutes = n).ok_or("a whole number from 1 to 720"),
            "trail_late_minutes" => {
                whole(LATE_MINUTES_LEAST.into(), 720).map(|n| self.core.trail_late_minutes = n).ok_or("a whole number from 15 to 720")
            }
            unknown => return Err(unknown_key(unknown, value)),
        };
        // In quotes it is a text, whatever it looks like.
        let quoted = value.as_str().is_some_and(|text| text.trim().parse::<f64>().is_ok());
        let hint = if quoted { ": write it without quotes" } else { "" };
        fitting.map_err(|wanted| SettingsError::Unfit { key: shown(key), value: shown(&value.to_string()), wanted, hint })
    }

    /// The value of one of [`KEYS`], as it would be written.
    pub fn value(&self, key: &str) -> String {
        match key {
            "noise_per_week" => self.core.noise_per_week.to_string(),
            "resolve_minutes" => self.core.resolve_minutes.to_string(),
            "logs_late_minutes" => self.core.logs_late_minutes.to_string(),
            "trail_late_minutes" => self.core.trail_late_minutes.to_string(),
            _ => format!("\"{}\"", self.least.word()),
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS_MAX).collect()
}

fn unknown_key(key: &str, value: &Value) -> SettingsError {
    let distance = |k: &str| if k.starts_with(key) { 0 } else { strsim::damerau_levenshtein(k, key) };
    let nearest = KEYS.iter().map(|(k, _)| *k).min_by_key(|k| distance(k));
    let hint = match nearest.filter(|k| distance(k) <= k.len() / 3) {
        _ if value.is_table() => ": settings stand in no [section]".to_owned(),
        Some(nearest) => format!("; the nearest is `{nearest}`"),
        None => String::new(),
    };
    SettingsError::Unknown { key: shown(key), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_read_again() {
        let text = "noise_per_week = 0.5\nresolve_minutes = 60\nmin_severity = \"high\"\nlogs_late_minutes = 9\ntrail_late_minutes = 30";
        let settings = Settings::parse(text).unwrap();
        assert_eq!(settings.core, Config { noise_per_week: 0.5, resolve_minutes: 60, logs_late_minutes: 9, trail_late_minutes: 30 });
        assert_eq!((settings.least, settings.set.len()), (Severity::High, KEYS.len()));
        let written: String = KEYS.iter().map(|(key, _)| format!("{key} = {}\n", settings.value(key))).collect();
        assert_eq!(Settings::parse(&written).unwrap(), Settings { set: Settings::parse(&written).unwrap().set, ..settings });
        assert_eq!(Settings::parse("").unwrap(), Settings::default());
    }

    #[test]
    fn others_are_refused() {
        for (text, says) in [
            ("noise = 1", "there is no setting `noise`; the nearest is `noise_per_week`"),
            ("noize_per_week = 1", "there is no setting `noize_per_week`; the nearest is `noise_per_week`"),
            ("colour = 1", "there is no setting `colour`"),
            ("[outflow]\nnoise_per_week = 1", "there is no setting `outflow`: settings stand in no [section]"),
            ("noise_per_week = 0", "noise_per_week = 0 is not a number from 0.01 to 1000"),
            ("noise_per_week = \"3\"", "noise_per_week = \"3\" is not a number from 0.01 to 1000: write it without quotes"),
            ("trail_late_minutes = 1.5", "trail_late_minutes = 1.5 is not a whole number from 15 to 720"),
            ("min_severity = \"\\u001b[31m\"", "min_severity = \"\\u001B[31m\" is not \"low\", \"medium\" or \"high\""),
        ] {
            assert_eq!(Settings::parse(text).unwrap_err().to_string(), says);
        }
        assert!(matches!(Settings::parse("a = "), Err(SettingsError::NotToml(_))));
    }
}
