//! `outflow cost`: what Outflow would cost an account in a month.
//!
//! It asks nobody: volumes are arguments. There is deliberately no price here: those stand in one table of the pipeline.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use outflow_pipeline::cost::{Estimate, PRICES, Volume, estimate};

use crate::failure::Failure;

/// Arguments of `outflow cost`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Functions that act within an hour.
    #[arg(long, value_name = "N", value_parser = volume, allow_hyphen_values = true)]
    functions: u64,
    /// Invocations a month, of all functions.
    #[arg(long, value_name = "N", value_parser = volume, allow_hyphen_values = true)]
    invocations: u64,
    /// Management events of CloudTrail a month.
    #[arg(long, value_name = "N", value_parser = volume, allow_hyphen_values = true)]
    management_events: u64,
    /// Data events of CloudTrail a month.
    #[arg(long, value_name = "N", value_parser = volume, allow_hyphen_values = true)]
    data_events: u64,
    /// Invocations that one delivery of the log subscription tells: the busier a function, the more.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    per_delivery: u64,
    /// Logs come through a Kinesis stream, many deliveries at once.
    #[arg(long)]
    stream: bool,
    /// text for a person, json for a machine.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Of anything in a month: beyond, sums of money mean nothing.
const MOST: u64 = 1_000_000_000_000_000;

/// Reads `10000000`, `10_000_000`, `10,000,000`, `10M` or `1e7`.
fn volume(text: &str) -> Result<u64, String> {
    let plain: String = text.trim().chars().filter(|c| !matches!(c, '_' | ',')).collect();
    let units = [('k', 1e3), ('K', 1e3), ('M', 1e6), ('G', 1e9)];
    let unit = units.iter().find_map(|(unit, times)| Some((plain.strip_suffix(*unit)?, *times)));
    let (digits, times) = unit.unwrap_or((&plain, 1.0));
    let exact = digits.parse::<u64>().ok().filter(|_| unit.is_none());
    // What is no whole number exactly is rounded; below the bound a float holds every one.
    let value =
        exact.or(digits.parse::<f64>().ok().map(|n| n * times).filter(|n| (0.0..=MOST as f64).contains(n)).map(|n| n.round() as u64));
    value.filter(|n| *n <= MOST).ok_or_else(|| "not a number from 0 to 10^15, as 10000000, 10_000_000, 10M or 1e7".to_owned())
}

/// How the bill is written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Prints the bill.
pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let Args { functions, invocations, management_events, data_events, per_delivery, stream, format } = args;
    let volume = Volume { functions, invocations, management_events, data_events, per_delivery, stream };
    let bill = estimate(&volume, &PRICES);
    let text = match format {
        Format::Text => text(&bill),
        // What holds only numbers and words can be written.
        Format::Json => serde_json::to_string(&bill).unwrap_or_default() + "\n",
    };
    let written = anstream::AutoStream::auto(io::stdout().lock()).write_all(text.as_bytes());
    written
        .map(|()| ExitCode::SUCCESS)
        .map_err(|e| Failure::new("OF117", "the bill could not be written", "check where standard output goes").because(&e))
}

fn text(bill: &Estimate) -> String {
    let mut all = String::new();
    let mut part = "";
    for charge in &bill.charges {
        let name = if charge.part == part { "" } else { charge.part };
        part = charge.part;
        all += &format!("{name:13} {:22} {:>16} {:>9}\n", charge.what, quantity(charge.quantity), dollars(charge.usd));
    }
    all += &format!("{:13} {:22} {:>16} {:>9}\n", "a month", "", "", dollars(bill.usd));
    let prices = &bill.prices;
    all += &format!("\nBeside it, AWS takes {} for the data events themselves.\n", dollars(bill.data_events_usd));
    all += &format!("List prices of {} as of {}, without any free tier. Left out: alarms,\n", prices.region, prices.date);
    all += "the secret and alerts. Units are measured on made traffic, run times assumed.\n";
    all
}

/// With three digits at least, in groups.
fn quantity(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut all = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            all.push(',');
        }
        all.push(digit);
    }
    all
}

fn dollars(usd: f64) -> String {
    format!("${usd:.2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_read_as_people_write_them() {
        for text in ["10000000", "10_000_000", "10,000,000", "10M", "1e7", "0.01G", "10000k"] {
            assert_eq!(volume(text), Ok(10_000_000), "{text}");
        }
        assert_eq!((volume("0"), volume("1000000000000000")), (Ok(0), Ok(MOST)));
        for text in ["-5", "", "M", "many", "NaN", "inf", "1000000000000001", "1e16", "10 M x"] {
            assert!(volume(text).is_err(), "{text}");
        }
    }
}
