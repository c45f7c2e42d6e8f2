//! What a replay says, as text, JSON or OCSF.
//!
//! Text is for a person: incidents first, then what was rare, then what was read and what was missing, then rejects; as
//! many columns as the shell's COLUMNS says, else 80. The other formats put incidents alone on standard output. Paths and names may be hostile: all pass `clean`.

use std::io::{self, Write};
use std::path::Path;

use outflow_core::alert::{self, clean, text::Style};
use outflow_core::detect::new_flow::FLOWS_FROM_DAYS;
use outflow_core::incident::{Incident, Severity};
use outflow_core::limits::OBJECT_NAME_MAX;
use outflow_core::time::{DAY_MS, Timestamp};
use outflow_pipeline::replay::{Coverage, Report};
use unicode_width::UnicodeWidthStr as _;

use crate::replay::Format;

/// Columns of text, where the shell names none; and within which those that it names are followed.
const WIDTH: usize = 80;
const WIDTH_LEAST: usize = 40;
const WIDTH_MOST: usize = 120;
/// Columns of a label.
const LABEL: usize = 9;
/// Rare lines, rejects and foreign files that text spells out.
const RARE_MAX: usize = 20;
const LISTED_MAX: usize = 10;
/// Columns of a path or name in a line.
const NAME_MAX: usize = 56;
/// Days from which rates can be incidents: three daily maxima after the second day.
const RATES_FROM_DAYS: u32 = 5;

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
    let mut page = Page { out: anstream::AutoStream::auto(io::stderr().lock()), width: width() };
    // Standard error may be closed; then nobody reads it.
    let _ = read(&mut page, said).and_then(|()| unread(&mut page, said));
}

fn text(out: &mut impl Write, said: &Report, least: Severity) -> io::Result<()> {
    let style = Style { colour: true, width: width() };
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
            writeln!(out, "  and {} more like these; --format json --min-severity low has all", rare.len() - RARE_MAX)?;
        }
        writeln!(out)?;
    }
    let mut page = Page { out, width: style.width };
    read(&mut page, said)?;
    unread(&mut page, said)?;
    page.out.flush()
}

/// The columns that the shell names, within what lines can be laid out for; else those of an ordinary terminal.
fn width() -> usize {
    let named = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse::<usize>().ok());
    named.unwrap_or(WIDTH).clamp(WIDTH_LEAST, WIDTH_MOST)
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
fn read(page: &mut Page<impl Write>, said: &Report) -> io::Result<()> {
    let Coverage { tally, files, functions, principals, duplicates, .. } = &said.coverage;
    page.put("Read", &format!("{}, {}", count(*files, "file"), count(tally.records, "record")))?;
    if let (Some(from), Some(to)) = (tally.from, tally.to) {
        page.put("", &format!("{} to {}", from.to_rfc3339(), to.to_rfc3339()))?;
    }
    if *duplicates > 0 {
        page.put("", &format!("{} of the records came more than once and count once", alert::count(*duplicates)))?;
    }
    page.put("Seen", &format!("{}, {}", count(*functions, "function"), count(*principals, "other principal")))?;
    if said.coverage.background > 0 {
        let calls = count(said.coverage.background, "call");
        page.put("", &format!("{calls} of AWS services for themselves: background"))?;
    }
    for name in said.coverage.assumed.iter().take(LISTED_MAX) {
        page.name("", name)?;
        page.note("is named by its path (assumed; --function sets it)")?;
    }
    judged(page, said)?;
    missing(said).iter().try_for_each(|missing| page.put("Missing", missing))
}

/// From when new flows and rates could be told.
fn judged(page: &mut Page<impl Write>, said: &Report) -> io::Result<()> {
    if said.short {
        return Ok(());
    }
    for span in said.accounts.iter().take(LISTED_MAX) {
        let account =
            if span.account.is_empty() { "logs without account".to_owned() } else { format!("account {}", clean(&span.account, 20)) };
        let after = |at: Timestamp, days: u32| at.plus_ms(i64::from(days) * DAY_MS);
        let when = |at: Timestamp| if at > span.last { "not yet".to_owned() } else { format!("from {}", &at.to_rfc3339()[..10]) };
        let from = |days: u32| when(after(span.first, days));
        page.put("Judged", &format!("{account}: new flows {}, rates {}", from(FLOWS_FROM_DAYS), from(RATES_FROM_DAYS)))?;
        // What begins in the account's own first days is hardly later than the rest.
        let late = span.late_data.iter().filter(|(_, first)| *first >= after(span.first, FLOWS_FROM_DAYS));
        for (service, first) in late.take(LISTED_MAX) {
            let (service, day) = (clean(service, 20), &first.to_rfc3339()[..10]);
            page.put("", &format!("data events of {service} begin {day}: their new flows {}", when(after(*first, FLOWS_FROM_DAYS))))?;
        }
        for (from, to) in span.gaps.iter().take(LISTED_MAX) {
            page.put("", &format!("no record at all {} to {}: not judged", &from.to_rfc3339()[..16], &to.to_rfc3339()[..16]))?;
        }
    }
    if let (Some(to), Some(from)) = (said.coverage.baseline_overlaps_to, said.judged_from) {
        let (to, from) = (&to.to_rfc3339()[..16], &from.to_rfc3339()[..16]);
        page.put("", &format!("the baseline overlaps the logs: it goes on to {to}, and from {from} on it is judged, too"))?;
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
    if said.coverage.cut > 0 {
        all.push(format!("{} flows, names or permissions beyond what is kept: left out", alert::count(said.coverage.cut)));
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
fn unread(page: &mut Page<impl Write>, said: &Report) -> io::Result<()> {
    let listed = |all: u64| {
        let listed = (LISTED_MAX as u64).min(all);
        if listed < all { format!(", the first {listed} of them") } else { String::new() }
    };
    let coverage = &said.coverage;
    if coverage.rejects > 0 {
        let codes: Vec<String> = coverage.rejects_by_code.iter().map(|(code, n)| format!("{code} ×{}", alert::count(*n))).collect();
        page.put("Rejects", &format!("{}: {}{}", count(coverage.rejects, "record"), codes.join(", "), listed(coverage.rejects)))?;
        for r in said.rejects.iter().take(LISTED_MAX) {
            page.path("", &r.path, &format!(" at byte {}", r.reject.offset))?;
            page.note(&format!("{} [{}]", r.reject.reason, r.reject.reason.code()))?;
            if let Some(object) = &r.reject.object {
                page.note(&clean(object, OBJECT_NAME_MAX))?;
            }
        }
    }
    for (file, error) in said.unreadable.iter().take(LISTED_MAX) {
        page.path("Unread", file, "")?;
        page.note(&clean(error, 200))?;
    }
    if coverage.not_logs > 0 {
        page.put("Not logs", &format!("{}{}", count(coverage.not_logs, "file"), listed(coverage.not_logs)))?;
        for (file, note) in said.not_logs.iter().take(LISTED_MAX) {
            page.path("", file, "")?;
            note.iter().try_for_each(|note| page.note(note))?;
        }
    }
    Ok(())
}

/// Where a person reads, with so many columns.
struct Page<W> {
    out: W,
    width: usize,
}

impl<W: Write> Page<W> {
    /// A fact behind its label.
    fn put(&mut self, label: &str, fact: &str) -> io::Result<()> {
        for (i, line) in broken(fact, self.width - LABEL).iter().enumerate() {
            let (label, indent) = if i == 0 { (label, LABEL) } else { ("", LABEL + 2) };
            writeln!(self.out, "{label:<indent$}{line}")?;
        }
        Ok(())
    }

    /// What belongs to the line above.
    fn note(&mut self, note: &str) -> io::Result<()> {
        let indent = LABEL + 2;
        broken(note, self.width - indent).iter().try_for_each(|line| writeln!(self.out, "{:indent$}{line}", ""))
    }

    fn name(&mut self, label: &str, name: &str) -> io::Result<()> {
        writeln!(self.out, "{label:<LABEL$}{}", fit(name, self.width - LABEL))
    }

    fn path(&mut self, label: &str, path: &Path, behind: &str) -> io::Result<()> {
        let room = (self.width - LABEL).saturating_sub(behind.len());
        writeln!(self.out, "{label:<LABEL$}{}{behind}", fit(&path.display().to_string(), room.min(NAME_MAX)))
    }
}

/// A path or name, cleaned and cut to its columns: some characters take two.
fn fit(name: &str, columns: usize) -> String {
    let cleaned = clean(name, columns);
    let chars = (1..=columns).rev().find(|&chars| clean(name, chars).width() <= columns).unwrap_or(1);
    if cleaned.width() <= columns { cleaned.into_owned() } else { clean(name, chars).into_owned() }
}

/// Breaks a sentence at spaces; lines after the first have two columns less, because they are indented.
fn broken(sentence: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in sentence.split(' ') {
        let room = if lines.len() > 1 { width - 2 } else { width };
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn count(n: u64, what: &str) -> String {
    format!("{} {what}{}", alert::count(n), if n == 1 { "" } else { "s" })
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
        "rejects_by_code": coverage.rejects_by_code,
        "baseline_overlaps_to": time(coverage.baseline_overlaps_to),
        "functions": coverage.functions,
        "principals": coverage.principals,
        "from": time(coverage.tally.from),
        "to": time(coverage.tally.to),
    })
    .to_string()
}
