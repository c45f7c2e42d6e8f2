//! `outflow simulate`: logs as AWS would write them, with the truth beside them.

use std::path::PathBuf;
use std::process::ExitCode;

use outflow_simulate::{Books, SimulateError, Story, TRUTH_FILE};

use crate::failure::Failure;

/// Arguments of `outflow simulate`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    service: Service,
}

#[derive(clap::Subcommand)]
enum Service {
    /// A small books service: an author handler, a statistics handler, some jobs.
    Books(BooksArgs),
}

#[derive(clap::Args)]
struct BooksArgs {
    /// Folder to write to; new or empty.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The same seed writes the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Days to simulate.
    #[arg(long, default_value_t = 21)]
    days: u32,
    /// What happens: foreign-flow, storm, silent-cron or none.
    #[arg(long, default_value = "foreign-flow")]
    story: Story,
}

/// Writes the logs and says where they are.
pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let Service::Books(BooksArgs { out, seed, days, story }) = args.service;
    let written = outflow_simulate::write(&Books { seed, days, story }, &out).map_err(|e| {
        let remedy = match &e {
            SimulateError::Occupied { .. } => "name a new or empty folder with --out",
            SimulateError::Days { .. } => "choose another number with --days",
            _ => "check that the folder can be written and that the disk has room",
        };
        Failure::new("OF121", format!("the logs could not be written to {}", out.display()), remedy).because(&e)
    })?;
    anstream::println!("{} files in {}: {} CloudTrail events, {} log lines", written.files, out.display(), written.events, written.lines);
    anstream::println!("what was planted stands in {}", out.join(TRUTH_FILE).display());
    Ok(ExitCode::SUCCESS)
}
