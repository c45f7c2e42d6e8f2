//! `outflow replay`: a folder of logs in, incidents out.
//!
//! Standard output is for the incidents; progress and, for machines, everything else go to standard error.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use outflow_core::incident::Severity;
use outflow_pipeline::head;
use outflow_pipeline::replay::{Replay, ReplayError, replay, told};
use outflow_pipeline::store::StoreError;
use outflow_pipeline::store::embedded::{Embedded, OpenError};

use crate::failure::Failure;
use crate::progress::Line;
use crate::report;
use crate::settings::{FileArg, Settings};

/// Arguments of `outflow replay`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Files and folders of AWS logs: CloudTrail, CloudWatch Logs; gzip or plain.
    #[arg(required = true, value_name = "PATH")]
    logs: Vec<PathBuf>,
    /// Logs to learn from without telling what they hold.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    baseline: Vec<PathBuf>,
    /// Keep what is learnt in this file, and go on from it the next time.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// text for a person, json for a machine, ocsf for a SIEM.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Least severity that counts as an incident and as exit code 1.
    #[arg(long, value_enum)]
    min_severity: Option<MinSeverity>,
    /// The function of logs that name none; else the name of the file or folder.
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    function: Option<String>,
    /// Also write incidents.jsonl and coverage.json to this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    config: FileArg,
}

/// How incidents are written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
    Ocsf,
}

/// Severities on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum MinSeverity {
    Low,
    Medium,
    High,
}

impl From<MinSeverity> for Severity {
    fn from(arg: MinSeverity) -> Severity {
        match arg {
            MinSeverity::Low => Severity::Low,
            MinSeverity::Medium => Severity::Medium,
            MinSeverity::High => Severity::High,
        }
    }
}

/// Replays and prints.
pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let settings = Settings::load(&args.config)?;
    let least = args.min_severity.map_or(settings.in_effect.least, Severity::from);
    if let Some(missing) = args.logs.iter().chain(&args.baseline).find(|p| !p.exists()) {
        return Err(Failure::new("OF111", format!("{} does not exist", missing.display()), "name files or folders that do"));
    }
    let store = open(args.state.as_deref())?;
    let what = Replay {
        logs: args.logs,
        baseline: args.baseline,
        function: args.function,
        config: settings.in_effect.core,
        hash_key: head::random_key(),
        keep: args.state.is_some(),
    };
    let said = pollster::block_on(replay(&what, &store, &mut Line::new())).map_err(|e| failed(&e, args.state.as_deref()))?;
    if said.coverage.tally.records == 0 {
        report::coverage_to_stderr(&said);
        let problem = "there is no readable AWS log in what was named";
        return Err(Failure::new("OF112", problem, "name a folder with CloudTrail files or CloudWatch Logs exports"));
    }
    let found = said.incidents.iter().any(|i| i.severity() >= least);
    match report::print(&said, args.format, least) {
        // Whoever read it has seen enough.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => return Ok(ExitCode::from(u8::from(found))),
        printed => printed.map_err(|e| write_failed(Path::new("standard output"), &e))?,
    }
    if let Some(out) = &args.out {
        report::write(&said, out, least).map_err(|e| write_failed(out, &e))?;
    }
    if what.keep {
        pollster::block_on(told(&store)).map_err(|e| failed(&e.into(), args.state.as_deref()))?;
    }
    Ok(ExitCode::from(u8::from(found)))
}

fn open(state: Option<&Path>) -> Result<Embedded, Failure> {
    let Some(path) = state else {
        return Embedded::temporary().map_err(|e| {
            Failure::new("OF115", "no temporary file can be made", "free some disk, or set TMPDIR to a folder that can be written")
                .because(&e)
        });
    };
    Embedded::open(path).map_err(|e| {
        let remedy = match e {
            OpenError::InUse => "wait for the other process, or use another file",
            OpenError::Unusable(_) => "name a state file that outflow made, or one that does not exist yet",
        };
        Failure::new("OF113", format!("the state file {} can't be used", path.display()), remedy).because(&e)
    })
}

fn failed(error: &ReplayError, state: Option<&Path>) -> Failure {
    let place = state.map_or_else(|| "the temporary store".to_owned(), |p| p.display().to_string());
    match error {
        ReplayError::Format(_) | ReplayError::Store(StoreError::Format { .. }) => {
            Failure::new("OF114", format!("the state file {place} can't be read"), "use a newer version of outflow").because(error)
        }
        ReplayError::BaselineLater { .. } => {
            let remedy = "name earlier logs after --baseline: what is normal must come before what is judged";
            Failure::new("OF116", "the baseline is later than the logs", remedy).because(error)
        }
        ReplayError::Store(_) => {
            let remedy = "check that the disk has room; if the state file is damaged, move it away and learn anew";
            Failure::new("OF115", format!("{place} failed"), remedy).because(error)
        }
    }
}

fn write_failed(place: &Path, error: &std::io::Error) -> Failure {
    Failure::new("OF117", format!("{} can't be written", place.display()), "check that the folder can be written").because(error)
}
