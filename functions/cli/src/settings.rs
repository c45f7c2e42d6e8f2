//! `outflow.toml`: all settings are optional, an unknown key is an error that names the nearest one.
//!
//! `outflow config` prints what is in effect and where each value came from. There is deliberately no environment variable:
//! what a run decided by can be read from one file and the command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use outflow_core::config::Config;
use outflow_core::incident::Severity;
use toml::{Table, Value};

use crate::failure::Failure;

/// The file that is read where no other is named.
const FILE: &str = "outflow.toml";
/// Every key, with what it means.
const KEYS: [(&str, &str); 3] = [
    ("noise_per_week", "false incidents a week that an account accepts"),
    ("resolve_minutes", "minutes of quiet after which an incident is over"),
    ("min_severity", "least severity that counts as an incident: low, medium, high"),
];

/// Arguments of `outflow config`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    file: FileArg,
}

/// Which file.
#[derive(clap::Args)]
pub(crate) struct FileArg {
    /// Settings; outflow.toml of the current folder where there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The settings in effect.
pub(crate) struct Settings {
    pub(crate) core: Config,
    pub(crate) min_severity: Severity,
    /// The keys that the file sets.
    set: Vec<String>,
    file: Option<PathBuf>,
}

impl Settings {
    /// Reads the named file, or the one in the current folder, or takes the defaults.
    pub(crate) fn load(arg: &FileArg) -> Result<Settings, Failure> {
        let file = arg.config.clone().or_else(|| Some(PathBuf::from(FILE)).filter(|f| f.is_file()));
        let mut settings = Settings { core: Config::default(), min_severity: Severity::Medium, set: Vec::new(), file };
        if let Some(file) = settings.file.clone() {
            let text = std::fs::read_to_string(&file).map_err(|e| {
                Failure::new("OF101", format!("{} can't be read", file.display()), "check the name after --config").because(&e)
            })?;
            settings.apply(&file, &text)?;
        }
        Ok(settings)
    }

    fn apply(&mut self, file: &Path, text: &str) -> Result<(), Failure> {
        let table: Table = text.parse().map_err(|e: toml::de::Error| {
            let remedy = "write one `key = value` a line; outflow config lists the keys";
            Failure::new("OF102", format!("{} is no TOML", file.display()), remedy).because(&e)
        })?;
        for (key, value) in &table {
            self.set(file, key, value)?;
            self.set.push(key.clone());
        }
        Ok(())
    }

    fn set(&mut self, file: &Path, key: &str, value: &Value) -> Result<(), Failure> {
        let number = value.as_float().or(value.as_integer().map(|i| i as f64));
        let fitting = match key {
            "noise_per_week" => {
                number.filter(|n| (0.01..=1_000.0).contains(n)).map(|n| self.core.noise_per_week = n).ok_or("from 0.01 to 1000")
            }
            "resolve_minutes" => value
                .as_integer()
                .filter(|n| (60..=10_080).contains(n))
                .map(|n| self.core.resolve_minutes = n as u32)
                .ok_or("a whole number from 60 to 10080"),
            "min_severity" => {
                value.as_str().and_then(Severity::from_word).map(|s| self.min_severity = s).ok_or("\"low\", \"medium\" or \"high\"")
            }
            unknown => return Err(unknown_key(file, unknown)),
        };
        fitting.map_err(|wanted| {
            let problem = format!("{}: {key} = {value} is not {wanted}", file.display());
            Failure::new("OF104", problem, "mend the value; outflow config shows the defaults")
        })
    }
}

fn unknown_key(file: &Path, key: &str) -> Failure {
    let nearest = KEYS.iter().map(|(k, _)| *k).min_by_key(|k| strsim::damerau_levenshtein(k, key)).unwrap_or_default();
    let shown: String = key.chars().filter(|c| !c.is_control()).take(60).collect();
    let problem = format!("{}: there is no setting `{shown}`; the nearest is `{nearest}`", file.display());
    Failure::new("OF103", problem, "mend the name or take the line away; outflow config lists all settings")
}

/// Prints the settings in effect.
pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let settings = Settings::load(&args.file)?;
    let file = settings.file.as_ref().map_or(String::new(), |f| f.display().to_string());
    for (key, meaning) in KEYS {
        let value = match key {
            "noise_per_week" => settings.core.noise_per_week.to_string(),
            "resolve_minutes" => settings.core.resolve_minutes.to_string(),
            _ => format!("\"{}\"", settings.min_severity.word()),
        };
        let from = if settings.set.iter().any(|k| k == key) { &file } else { "default" };
        anstream::println!("# {meaning} ({from})\n{key} = {value}");
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(text: &str, want: Expect) {
        let mut settings = Settings { core: Config::default(), min_severity: Severity::Medium, set: Vec::new(), file: None };
        let said = match settings.apply(Path::new("outflow.toml"), text) {
            Ok(()) => format!("{:?} {:?}", settings.core, settings.min_severity),
            Err(failure) => failure.to_string(),
        };
        want.assert_eq(&said);
    }

    #[test]
    fn settings_are_read_or_refused_with_a_remedy() {
        check("", expect!["Config { noise_per_week: 2.0, resolve_minutes: 360 } Medium"]);
        check("noise_per_week = 1\nmin_severity = \"low\"", expect!["Config { noise_per_week: 1.0, resolve_minutes: 360 } Low"]);
        check(
            "noise_per_weak = 1",
            expect![[r#"
                outflow: outflow.toml: there is no setting `noise_per_weak`; the nearest is `noise_per_week` [OF103]
                  remedy  mend the name or take the line away; outflow config lists all settings"#]],
        );
        check(
            "noise_per_week = -1",
            expect![[r#"
                outflow: outflow.toml: noise_per_week = -1 is not from 0.01 to 1000 [OF104]
                  remedy  mend the value; outflow config shows the defaults"#]],
        );
    }
}
