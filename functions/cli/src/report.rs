//! What a replay says, as text, JSON or OCSF.
//!
//! Text is for a person: incidents first, then what was rare, then what was read and what was missing, then rejects; 80
//! columns. The other formats put incidents alone on standard output. Paths and names may be hostile: all pass `clean`.

use std::io::{self, Write};
use std::path::Path;

use outflow_core::alert::{self, clean, text::Style};
use outflow_core::incident::{Incident, Severity};
use outflow_core::limits::OBJECT_NAME_MAX;
use outflow_core::time::Timestamp;
use outflow_pipeline::replay::{Coverage, Report};
use unicode_width::UnicodeWidthStr as _;

use crate::replay::Format;

/// Columns of text.
const WIDTH: usize = 80;
/// Rare lines, rejects and foreign files that text spells out.
const RARE_MAX: usize = 20;
const LISTED_MAX: usize = 10;
/// Columns of a path or name in a line.
const NAME_MAX: usize = 56;
/// Days from which rates can be incidents: three daily maxima after the second day.
const RATES_FROM_DAYS: i64 = 5;

/// Prints a report.
pub(crate) fn print(said: &Report, format: Format, least: Severity) -> io::Result<()> {
    let product = alert::ocsf::Product { version: env!("CARGO_PKG_VERSION") };
    let loud = || told(said, least);
    let mut out = anstream::AutoStream::auto(io::stdout().lock());
    match format {
        Format::Text => return text(&mut out, said, least),
        Format::Json => loud().try_for_each(|i| writeln!(out, "{}", alert::json::incident(i)))?,
        Format::Ocsf => loud().try_for_each(|i| writeln!(out, "{}", alert::ocsf::finding(i, &product)))?,
    }
    out.flush()?;
    coverage_to_stderr(said);
    Ok(())
}

/// What machines are told: what is rare only at the lowest severity.
fn told(said: &Report, least: Severity) -> impl Iterator<Item = &Incident> {
    said.incidents.iter().chain(&said.ranked).filter(move |i| i.severity() >= least)
}

/// Coverage and rejects for a person who reads standard output by machine.
pub(crate) fn coverage_to_stderr(said: &Report) {
    let mut err = anstream::AutoStream::auto(io::stderr().lock());
    // Standard error may be closed; then nobody reads it.
    let _ = read(&mut err, said).and_then(|()| unread(&mut err, said));
}

fn text(out: &mut impl Write, said: &Report, least: Severity) -> io::Result<()> {
    let style = Style { colour: true, width: WIDTH };
    let all = said.incidents.iter().chain(&said.ranked);
    let (loud, rare): (Vec<&Incident>, Vec<&Incident>) = all.partition(|i| i.severity() >= least.max(Severity::Medium));
    for incident in &loud {
        writeln!(out, "{}", alert::text::incident(incident, &style))?;
    }
    if loud.is_empty() {
        writeln!(out, "{}\n", nothing(said, least, &rare))?;
    }
    if !rare.is_empty() {
        let head = if said.short { "Rare, the rarest first:" } else { "Rare, but not worth waking anybody:" };
        writeln!(out, "{head}")?;
        rare.iter().take(RARE_MAX).try_for_each(|i| write!(out, "{}", alert::text::rare(i, &style)))?;
        if rare.len() > RARE_MAX {
            writeln!(out, "  and {} more; --format json --min-severity low has all", rare.len() - RARE_MAX)?;
        }
        writeln!(out)?;
    }
    read(out, said)?;
    unread(out, said)?;
    out.flush()
}

fn nothing(said: &Report, least: Severity, below: &[&Incident]) -> String {
    if said.short {
        return "Less than a day of logs: nothing can be called unusual yet.\nGive more, or earlier logs with --baseline.".to_owned();
    }
    match below.iter().filter(|i| i.severity() > Severity::Low).count() as u64 {
        0 => "No incident.".to_owned(),
        n => format!("No incident of severity {}, but {} below it.", least.word(), count(n, "incident")),
    }
}

/// What was read, since when what is judged, and what was missing.
fn read(out: &mut impl Write, said: &Report) -> io::Result<()> {
    let Coverage { tally, files, functions, principals, duplicates, .. } = &said.coverage;
    writeln!(out, "Read     {}, {}", count(*files, "file"), count(tally.records, "record"))?;
    if let (Some(from), Some(to)) = (tally.from, tally.to) {
        writeln!(out, "         {} to {}", from.to_rfc3339(), to.to_rfc3339())?;
    }
    if *duplicates > 0 {
        writeln!(out, "         {} of the records came more than once and count once", number(*duplicates))?;
    }
    writeln!(out, "Seen     {}, {}", count(*functions, "function"), count(*principals, "other principal"))?;
    if said.coverage.background > 0 {
        let calls = count(said.coverage.background, "call");
        writeln!(out, "         {calls} of AWS services for themselves: background")?;
    }
    for name in said.coverage.assumed.iter().take(LISTED_MAX) {
        writeln!(out, "         {}\n           is named by its path (assumed; --function sets it)", fit(name))?;
    }
    judged(out, said)?;
    for missing in missing(said) {
        writeln!(out, "Missing  {missing}")?;
    }
    Ok(())
}

/// From when new flows and rates could be told.
fn judged(out: &mut impl Write, said: &Report) -> io::Result<()> {
    if said.short {
        return Ok(());
    }
    for span in said.accounts.iter().take(LISTED_MAX) {
        let account =
            if span.account.is_empty() { "logs without account".to_owned() } else { format!("account {}", clean(&span.account, 20)) };
        let from = |days: i64| span.first.plus_ms(days * 86_400_000);
        let when = |at: Timestamp| if at > span.last { "not yet".to_owned() } else { format!("from {}", &at.to_rfc3339()[..10]) };
        writeln!(out, "Judged   {account}: new flows {}, rates {}", when(from(3)), when(from(RATES_FROM_DAYS)))?;
        for (from, to) in span.gaps.iter().take(LISTED_MAX) {
            writeln!(out, "         no record at all {} to {}: not judged", &from.to_rfc3339()[..16], &to.to_rfc3339()[..16])?;
        }
    }
    Ok(())
}

fn missing(said: &Report) -> Vec<String> {
    let tally = &said.coverage.tally;
    let trail = tally.trail_management + tally.trail_data + tally.trail_other;
    let mut all = Vec::new();
    if trail == 0 {
        all.push("no CloudTrail: flows can't be seen".to_owned());
    } else if tally.trail_data == 0 {
        all.push("no data events: reads and writes of objects and items can't be seen".to_owned());
    }
    if tally.log_events == 0 {
        all.push("no logs of functions: invocations, errors and durations can't be seen".to_owned());
    } else if tally.reports == 0 {
        all.push("no REPORT lines: invocations and durations can't be seen".to_owned());
    }
    if said.coverage.mistimed > 0 {
        let windows = count(said.coverage.mistimed, "window");
        all.push(format!("{windows} over 35 days away from all others: their time is not believed"));
    }
    if said.coverage.beyond > 0 {
        let windows = count(said.coverage.beyond, "window");
        all.push(format!("{windows} of entities beyond what is kept of an account: not judged"));
    }
    if tally.dropped > 0 {
        all.push(format!("{} of Lambda that log events were lost", count(tally.dropped, "notice")));
    }
    if tally.untimed > 0 {
        all.push(format!("{} without a usable time: counted, not judged", count(tally.untimed, "record")));
    }
    all
}

/// Rejects, files that are no logs, files that could not be opened.
fn unread(out: &mut impl Write, said: &Report) -> io::Result<()> {
    let path = |p: &Path| fit(&p.display().to_string());
    if said.coverage.rejects > 0 {
        let listed = (LISTED_MAX as u64).min(said.coverage.rejects);
        let of = if listed < said.coverage.rejects { format!(", the first {listed} of them") } else { String::new() };
        writeln!(out, "Rejects  {}{of}", count(said.coverage.rejects, "record"))?;
        for r in said.rejects.iter().take(LISTED_MAX) {
            let reason = format!("{} [{}]", r.reject.reason, r.reject.reason.code());
            writeln!(out, "         {} at byte {}\n           {}", path(&r.path), r.reject.offset, wrap(&reason))?;
            if let Some(object) = &r.reject.object {
                writeln!(out, "           {}", clean(object, OBJECT_NAME_MAX))?;
            }
        }
    }
    for (file, error) in said.unreadable.iter().take(LISTED_MAX) {
        writeln!(out, "Unread   {}\n           {}", path(file), wrap(&clean(error, 200)))?;
    }
    if said.coverage.not_logs > 0 {
        let listed = (LISTED_MAX as u64).min(said.coverage.not_logs);
        let of = if listed < said.coverage.not_logs { format!(", the first {listed} of them") } else { String::new() };
        writeln!(out, "Not logs {}{of}", count(said.coverage.not_logs, "file"))?;
        for (file, note) in said.not_logs.iter().take(LISTED_MAX) {
            writeln!(out, "         {}{}", path(file), note.map_or(String::new(), |n| format!("\n           {}", wrap(n))))?;
        }
    }
    Ok(())
}

/// A path or name, cleaned and cut to its columns: some characters take two.
fn fit(name: &str) -> String {
    let cleaned = clean(name, NAME_MAX);
    let chars = (1..=NAME_MAX).rev().find(|&chars| clean(name, chars).width() <= NAME_MAX).unwrap_or(1);
    if cleaned.width() <= NAME_MAX { cleaned.into_owned() } else { clean(name, chars).into_owned() }
}

/// Breaks a sentence at 66 columns, for lines that are indented by eleven.
fn wrap(sentence: &str) -> String {
    let (mut out, mut column) = (String::new(), 0);
    for word in sentence.split(' ') {
        if column > 0 && column + 1 + word.width() > WIDTH - 14 {
            out.push_str("\n           ");
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.width();
    }
    out
}

fn count(n: u64, what: &str) -> String {
    format!("{} {what}{}", number(n), if n == 1 { "" } else { "s" })
}

/// With a comma at every thousand.
fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Writes `incidents.jsonl` and `coverage.json`.
pub(crate) fn write(said: &Report, folder: &Path, least: Severity) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let product = alert::ocsf::Product { version: env!("CARGO_PKG_VERSION") };
    let lines = told(said, least).map(|i| alert::ocsf::finding(i, &product) + "\n");
    std::fs::write(folder.join("incidents.jsonl"), lines.collect::<String>())?;
    std::fs::write(folder.join("coverage.json"), coverage_json(&said.coverage) + "\n")
}

fn coverage_json(coverage: &Coverage) -> String {
    let time = |t: Option<Timestamp>| t.map(Timestamp::to_rfc3339);
    serde_json::json!({
        "files": coverage.files,
        "not_logs": coverage.not_logs,
        "records": coverage.tally.records,
        "observations": coverage.observations,
        "duplicates": coverage.duplicates,
        "rejects": coverage.rejects,
        "functions": coverage.functions,
        "principals": coverage.principals,
        "from": time(coverage.tally.from),
        "to": time(coverage.tally.to),
    })
    .to_string()
}
