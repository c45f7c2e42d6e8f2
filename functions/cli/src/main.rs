//! The `outflow` command: the same steps as in an account, over a folder of logs on a laptop.
//!
//! A shell: it reads arguments and `outflow.toml`, calls one step, prints what the step says. Exit codes: 0 nothing to
//! report, 1 an incident, 2 the command could not be done. There is deliberately nothing here that decides.

mod cost;
mod failure;
mod page;
mod progress;
mod replay;
mod report;
mod settings;
mod simulate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

/// Finds atypical flows and rates of AWS Lambda functions in the logs that AWS already writes.
#[derive(Parser)]
#[command(name = "outflow", version, max_term_width = 80)]
struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Read a folder of logs, learn, and say what was unusual.
    Replay(replay::Args),
    /// Write the logs of a small service, as AWS would, with something planted in them.
    Simulate(simulate::Args),
    /// Say what Outflow would cost an account in a month.
    Cost(cost::Args),
    /// Print the settings in effect and where each came from.
    Config(settings::Args),
}

fn main() -> ExitCode {
    // clap ends the process with 2 on wrong usage, and with 0 on --help and --version.
    let result = match Command::parse().what {
        What::Replay(args) => replay::run(args),
        What::Simulate(args) => simulate::run(args),
        What::Cost(args) => cost::run(args),
        What::Config(args) => settings::run(args),
    };
    result.unwrap_or_else(|failure: Failure| {
        anstream::eprintln!("{failure}");
        ExitCode::from(2)
    })
}
