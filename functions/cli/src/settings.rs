//! `outflow.toml`: all settings are optional, an unknown key is an error that names the nearest one.
//!
//! `outflow config` prints what is in effect and where each value came from. There is deliberately no environment variable:
//! what a run decided by can be read from one file and the command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use outflow_pipeline::settings::{KEYS, Settings as Parsed, SettingsError};

use crate::failure::Failure;

/// The file that is read where no other is named.
const FILE: &str = "outflow.toml";

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
    pub(crate) in_effect: Parsed,
    file: Option<PathBuf>,
}

impl Settings {
    /// Reads the named file, or the one in the current folder, or takes the defaults.
    pub(crate) fn load(arg: &FileArg) -> Result<Settings, Failure> {
        let Some(file) = arg.config.clone().or_else(|| Some(PathBuf::from(FILE)).filter(|f| f.is_file())) else {
            return Ok(Settings { in_effect: Parsed::default(), file: None });
        };
        let text = std::fs::read_to_string(&file)
            .map_err(|e| Failure::new("OF101", format!("{} can't be read", file.display()), "check the name after --config").because(&e))?;
        Ok(Settings { in_effect: parse(&file, &text)?, file: Some(file) })
    }
}

fn parse(file: &Path, text: &str) -> Result<Parsed, Failure> {
    Parsed::parse(text).map_err(|error| {
        let place = file.display();
        match &error {
            SettingsError::NotToml(cause) => {
                let remedy = "write one `key = value` a line; outflow config lists the keys";
                Failure::new("OF102", format!("{place} is no TOML"), remedy).because(&**cause)
            }
            SettingsError::Unknown { .. } => {
                Failure::new("OF103", format!("{place}: {error}"), "mend the name or take the line away; outflow config lists all settings")
            }
            SettingsError::Unfit { .. } => {
                Failure::new("OF104", format!("{place}: {error}"), "mend the value; outflow config shows the defaults")
            }
        }
    })
}

/// Prints the settings in effect; where the file can't be used, the defaults, since its remedy is to look at them.
pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    match Settings::load(&args.file) {
        Ok(settings) => {
            list(&settings);
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => {
            list(&Settings { in_effect: Parsed::default(), file: None });
            Err(failure)
        }
    }
}

fn list(Settings { in_effect, file }: &Settings) {
    let file = file.as_ref().map_or(String::new(), |f| f.display().to_string());
    for (key, meaning) in KEYS {
        let from = if in_effect.set.iter().any(|k| k == key) { &file } else { "default" };
        anstream::println!("# {meaning} ({from})\n{key} = {}", in_effect.value(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(text: &str, want: Expect) {
        let said = match parse(Path::new("outflow.toml"), text) {
            Ok(settings) => format!("{} {}", settings.core.noise_per_week, settings.least.word()),
            Err(failure) => failure.to_string(),
        };
        want.assert_eq(&said);
    }

    #[test]
    fn settings_are_read_or_refused_with_a_remedy() {
        check("", expect!["2 medium"]);
        check("noise_per_week = 1\nmin_severity = \"low\"", expect!["1 low"]);
        check(
            "noise_per_weak = 1",
            expect![[r#"
                outflow: outflow.toml: there is no setting `noise_per_weak`; the nearest is `noise_per_week` [OF103]
                  remedy  mend the name or take the line away; outflow config lists all settings"#]],
        );
        check(
            "noise_per_week = -1",
            expect![[r#"
                outflow: outflow.toml: noise_per_week = -1 is not a number from 0.01 to 1000 [OF104]
                  remedy  mend the value; outflow config shows the defaults"#]],
        );
    }
}
