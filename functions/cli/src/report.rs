//! What a replay says, as text, JSON or OCSF.
//!
//! All three say the same incidents: those of the severity that was asked for or above, by which the exit code goes, too.
//! Text says the rest in short: what was rare below it, what an account too young to judge shows, what was read, what was
//! missing, and what could not be read. For machines that goes to standard error. Paths and names may be hostile: all pass
//! `clean`.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;

use outflow_core::alert::{self, clean, clock, count as number, date, days, text::Style};
use outflow_core::detect::new_flow::FLOWS_FROM_DAYS;
use outflow_core::incident::{Incident, Severity};
use outflow_core::limits::{LEFT_OUT_MAX, OBJECT_NAME_MAX};
use outflow_core::time::{DAY_MS, Timestamp};
use outflow_pipeline::replay::{AccountSpan, Coverage, Report};

use crate::page::{Page, clean_path, width};
use crate::replay::Format;

/// Rare lines, rejects, accounts and foreign files that text spells out.
const RARE_MAX: usize = 20;
const LISTED_MAX: usize = 10;
/// Days from which rates can be incidents: three daily maxima after the second day.
const RATES_FROM_DAYS: u32 = 5;

/// Prints a report.
pub(crate) fn print(said: &Report, format: Format, least: Severity) -> io::Result<()> {
    let product = alert::ocsf::Product { version: env!("CARGO_PKG_VERSION") };
    let mut out = anstream::AutoStream::auto(io::stdout().lock());
    match format {
        Format::Text => {
            let width = width(terminal_size::terminal_size_of(io::stdout()).map(|(columns, _)| columns));
            return text(&mut Page { out, width, is_terminal: io::stdout().is_terminal() }, said, least);
        }
        Format::Json => told(said, least).try_for_each(|i| writeln!(out, "{}", alert::json::incident(i)))?,
        Format::Ocsf => told(said, least).try_for_each(|i| writeln!(out, "{}", alert::ocsf::finding(i, &product)))?,
    }
    out.flush()?;
    let mut page = of_stderr();
    // Standard error may be closed; then nobody reads it.
    let _ = headline(&mut page, said, least).and_then(|()| ranked(&mut page, said, least)).and_then(|()| coverage(&mut page, said));
    Ok(())
}

/// The incidents of a report: those that were asked for.
pub(crate) fn told(said: &Report, least: Severity) -> impl Iterator<Item = &Incident> {
    said.incidents.iter().filter(move |i| i.severity() >= least)
}

/// Coverage and rejects, where there is nothing else to say.
pub(crate) fn coverage_to_stderr(said: &Report) {
    // Standard error may be closed; then nobody reads it.
    let _ = coverage(&mut of_stderr(), said);
}

fn of_stderr() -> Page<impl Write> {
    let width = width(terminal_size::terminal_size_of(io::stderr()).map(|(columns, _)| columns));
    Page { out: anstream::AutoStream::auto(io::stderr().lock()), width, is_terminal: io::stderr().is_terminal() }
}

fn text(page: &mut Page<impl Write>, said: &Report, least: Severity) -> io::Result<()> {
    let style = Style { colour: true, width: page.width };
    for incident in told(said, least) {
        writeln!(page.out, "{}", alert::text::incident(incident, &style))?;
    }
    headline(page, said, least)?;
    let below: Vec<&Incident> = said.incidents.iter().filter(|i| i.severity() < least).collect();
    if !below.is_empty() {
        writeln!(page.out, "Rare, but not worth waking anybody; the rarest first:")?;
        let more = "--format json --min-severity low has all";
        rare(page, said, below, (RARE_MAX, more))?;
    }
    ranked(page, said, least)?;
    coverage(page, said)?;
    page.out.flush()
}

/// Why there is no incident, where there is none.
fn headline(page: &mut Page<impl Write>, said: &Report, least: Severity) -> io::Result<()> {
    if told(said, least).next().is_some() {
        return Ok(());
    }
    let beyond = said.coverage.beyond;
    let left_out = if beyond > 0 { format!(" But {} judged.", not_judged(beyond)) } else { String::new() };
    page.say(&(nothing(said, least) + &left_out))?;
    writeln!(page.out)
}

fn nothing(said: &Report, least: Severity) -> String {
    let Coverage { tally, fresh, late, read_before, .. } = &said.coverage;
    let young = said.accounts.iter().filter(|span| span.young).count();
    let judged = said.judged_before.map_or_else(String::new, when);
    if said.accounts.is_empty() {
        return "Nothing to judge: no record has a usable time.".to_owned();
    }
    if *fresh == 0 && *read_before > 0 {
        return format!("Nothing new: {} were read before.", all_of(tally.records));
    }
    if late == fresh && *late > 0 {
        let what = if *read_before == 0 { all_of(tally.records) } else { format!("{} that were not read before", count(*late, "record")) };
        return format!(
            "Nothing to judge: {what} lie before what this state has judged, up to {judged}. New flows of them are told, rates are not."
        );
    }
    match (said.accounts.as_slice(), young) {
        ([span], 1) => {
            let (learnt, from) = (days((span.last.ms() - span.first.ms()) as f64 / DAY_MS as f64), date(reaches(span, FLOWS_FROM_DAYS)));
            format!("Too early to judge until {from}: so far the logs reach over {learnt}. Give more, or earlier ones with --baseline.")
        }
        (all, young) if young == all.len() => format!(
            "Too early to judge: each account is judged by itself, and none of {} has logs of {FLOWS_FROM_DAYS} days. Give more, or \
             earlier ones with --baseline.",
            all.len()
        ),
        (all, young) => {
            let below = said.incidents.iter().filter(|i| i.severity() > Severity::Low).count() as u64;
            let mut said = match below {
                0 => "No incident.".to_owned(),
                n => format!("No incident of severity {}, but {} below it.", least.word(), count(n, "incident")),
            };
            if young > 0 {
                let _ = write!(said, " For {young} of {} accounts it is too early to judge.", all.len());
            }
            said
        }
    }
}

fn not_judged(entities: u64) -> String {
    match entities {
        1 => "1 entity was not".to_owned(),
        n if n >= LEFT_OUT_MAX as u64 => format!("{} entities or more were not", number(n)),
        n => format!("{} entities were not", number(n)),
    }
}

fn all_of(records: u64) -> String {
    if records == 1 { "the only record".to_owned() } else { format!("all {}", count(records, "record")) }
}

/// What accounts show that are too young to judge.
fn ranked(page: &mut Page<impl Write>, said: &Report, least: Severity) -> io::Result<()> {
    if said.ranked.is_empty() {
        return Ok(());
    }
    writeln!(page.out, "Rare so far, the rarest first; no incidents:")?;
    let most = if least == Severity::Low { usize::MAX } else { RARE_MAX };
    rare(page, said, said.ranked.iter().collect(), (most, "--min-severity low lists them"))
}

fn rare(page: &mut Page<impl Write>, said: &Report, mut all: Vec<&Incident>, (most, more): (usize, &str)) -> io::Result<()> {
    let style = Style { colour: true, width: page.width };
    let years = |i: &Incident| i.lead().map_or(0.0, |lead| lead.years);
    all.sort_by(|a, b| b.severity().cmp(&a.severity()).then_with(|| years(b).total_cmp(&years(a))));
    let several = said.accounts.len() > 1;
    all.iter().take(most).try_for_each(|i| write!(page.out, "{}", alert::text::rare(i, &style, several)))?;
    if all.len() > most {
        page.say(&format!("and {} more; {more}", all.len() - most))?;
    }
    writeln!(page.out)
}

/// What was read, and what was not.
fn coverage(page: &mut Page<impl Write>, said: &Report) -> io::Result<()> {
    if said.coverage.beyond > 0 {
        let left_out = not_judged(said.coverage.beyond);
        page.put("Unjudged", &format!("{left_out} judged: their account has more than 100,000, or there are more than 10,000 accounts"))?;
    }
    read(page, said)?;
    judged(page, said)?;
    missing(said).iter().try_for_each(|missing| page.put("Missing", missing))?;
    unread(page, said)
}

fn read(page: &mut Page<impl Write>, said: &Report) -> io::Result<()> {
    let Coverage { tally, files, functions, principals, duplicates, read_before, passed, late, .. } = &said.coverage;
    page.put("Read", &format!("{}, {}", count(*files, "file"), count(tally.records, "record")))?;
    if let (Some(from), Some(to)) = (tally.from, tally.to) {
        page.put("", &format!("{} to {} UTC", short(from), short(to)))?;
    }
    if *read_before > 0 {
        page.put("", &format!("{} of the records were read before and count once", number(*read_before)))?;
    }
    if duplicates > read_before {
        page.put("", &format!("{} of the records came more than once and count once", number(duplicates - read_before)))?;
    }
    if let (Some(judged), 1..) = (said.judged_before, *late) {
        let (late, judged) = (number(*late), when(judged));
        page.put("", &format!("{late} lie before what this state has judged (up to {judged}): new flows of them are told, rates are not"))?;
    }
    if *passed > 0 {
        let links = several(*passed, "link or special file", "links or special files");
        page.put("", &format!("{links} passed over: inside a folder only plain files are read"))?;
    }
    page.put("Seen", &format!("{}, {}", count(*functions, "function"), count(*principals, "other principal")))?;
    if said.coverage.background > 0 {
        let calls = count(said.coverage.background, "call");
        page.put("", &format!("{calls} of AWS services for themselves: background"))?;
    }
    assumed(page, said)
}

/// Functions that are named by no content.
fn assumed(page: &mut Page<impl Write>, said: &Report) -> io::Result<()> {
    let Coverage { assumed, unnamed, .. } = &said.coverage;
    if let Some(function) = &said.function {
        let name = clean(function, LISTED_NAME_CHARS_MAX);
        return match unnamed {
            0 => page.put("", &format!("--function {name} applies to nothing: every log names its function")),
            n => page.put("", &format!("{} without a function's name: counted as {name}", count(*n, "log"))),
        };
    }
    for name in assumed.iter().take(LISTED_MAX) {
        page.name("", name)?;
        page.note("is named by its path (assumed; --function sets it)")?;
    }
    more(page, assumed.len())
}

/// Characters of a function's name: AWS allows 64.
const LISTED_NAME_CHARS_MAX: usize = 64;

fn more(page: &mut Page<impl Write>, all: usize) -> io::Result<()> {
    if all > LISTED_MAX { page.put("", &format!("and {} more", all - LISTED_MAX)) } else { Ok(()) }
}

/// When an account has so many days of logs, gaps left out.
fn reaches(span: &AccountSpan, days: u32) -> Timestamp {
    let learnt = span.first.plus_ms(i64::from(days) * DAY_MS);
    span.gaps.iter().fold(learnt, |at, (from, to)| if *from < at { at.plus_ms(to.ms() - from.ms()) } else { at })
}

/// From when new flows and rates could be told.
fn judged(page: &mut Page<impl Write>, said: &Report) -> io::Result<()> {
    for span in said.accounts.iter().take(LISTED_MAX) {
        let account =
            if span.account.is_empty() { "logs without account".to_owned() } else { format!("account {}", clean(&span.account, 20)) };
        let from = |at: Timestamp| if at > span.last { format!("not before {}", date(at)) } else { format!("from {}", date(at)) };
        let (flows, rates) = (from(reaches(span, FLOWS_FROM_DAYS)), from(reaches(span, RATES_FROM_DAYS)));
        page.put("Judged", &format!("{account}: new flows {flows}, rates {rates}"))?;
        // What begins in the account's own first days is hardly later than the rest.
        let late = span.late_data.iter().filter(|(_, first)| *first >= reaches(span, FLOWS_FROM_DAYS));
        for (service, first) in late.take(LISTED_MAX) {
            let (service, day, flows) = (clean(service, 20), date(*first), from(first.plus_ms(i64::from(FLOWS_FROM_DAYS) * DAY_MS)));
            page.put("", &format!("data events of {service} begin {day}: their new flows {flows}"))?;
        }
        for (from, to) in span.gaps.iter().take(LISTED_MAX) {
            page.put("", &format!("no record at all {} to {} UTC: not judged", short(*from), short(*to)))?;
        }
    }
    more(page, said.accounts.len())?;
    if let (Some(to), Some(from)) = (said.coverage.baseline_overlaps_to, said.judged_from) {
        let (to, from) = (when(to), when(from));
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
        all.push(format!("{windows} far from all others: their time is not believed, and they are not judged"));
    }
    if said.coverage.cut > 0 {
        all.push(format!("{} flows, names or permissions beyond what is kept: left out", number(said.coverage.cut)));
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
        if listed < all { format!(", the first {listed} of them (--out DIR writes all to rejects.jsonl)") } else { String::new() }
    };
    let coverage = &said.coverage;
    if coverage.rejects > 0 {
        let codes: Vec<String> = coverage.rejects_by_code.iter().map(|(code, n)| format!("{code} ×{}", number(*n))).collect();
        page.put("Rejects", &format!("{}: {}{}", count(coverage.rejects, "record"), codes.join(", "), listed(coverage.rejects)))?;
        for r in said.rejects.iter().take(LISTED_MAX) {
            page.path("", &r.path, &format!(" at byte {}", r.reject.offset))?;
            page.note(&format!("{} [{}]", r.reject.reason, r.reject.reason.code()))?;
            if let Some(object) = &r.reject.object {
                page.note(&clean(object, OBJECT_NAME_MAX))?;
            }
        }
    }
    if coverage.unreadable > 0 {
        let all = coverage.unreadable;
        let files = several(all, "file or folder", "files or folders");
        page.put("Unread", &format!("{files} that could not be opened{}", listed(all)))?;
        for (file, error) in said.unreadable.iter().take(LISTED_MAX) {
            page.path("", file, "")?;
            page.note(&clean(error, 200))?;
        }
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

/// `16 Sep 2025 23:50`.
fn short(at: Timestamp) -> String {
    format!("{} {}", date(at), clock(at))
}

fn when(at: Timestamp) -> String {
    format!("{} UTC", short(at))
}

fn count(n: u64, what: &str) -> String {
    several(n, what, &format!("{what}s"))
}

fn several(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { many })
}

/// Writes `incidents.jsonl`, `coverage.json` and `rejects.jsonl`.
pub(crate) fn write(said: &Report, folder: &Path, least: Severity) -> io::Result<()> {
    let product = alert::ocsf::Product { version: env!("CARGO_PKG_VERSION") };
    let lines = told(said, least).map(|i| alert::ocsf::finding(i, &product) + "\n");
    std::fs::write(folder.join("incidents.jsonl"), lines.collect::<String>())?;
    std::fs::write(folder.join("rejects.jsonl"), rejects_json(said))?;
    std::fs::write(folder.join("coverage.json"), coverage_json(said) + "\n")
}

/// A line for each record and each file that could not be read.
fn rejects_json(said: &Report) -> String {
    let rejects = said.rejects.iter().map(|r| {
        let (code, reason) = (r.reject.reason.code(), r.reject.reason.to_string());
        let object = r.reject.object.as_ref().map(|o| clean(o, OBJECT_NAME_MAX));
        serde_json::json!({ "path": clean_path(&r.path), "offset": r.reject.offset, "code": code, "reason": reason, "object": object })
    });
    let file = |path: &Path, reason: &str| serde_json::json!({ "path": clean_path(path), "offset": null, "code": null, "reason": reason });
    let unreadable = said.unreadable.iter().map(|(path, error)| file(path, &clean(error, 200)));
    let not_logs = said.not_logs.iter().map(|(path, note)| file(path, note.unwrap_or("no AWS log")));
    rejects.chain(unreadable).chain(not_logs).map(|line| line.to_string() + "\n").collect()
}

fn coverage_json(said: &Report) -> String {
    let coverage = &said.coverage;
    let time = |t: Option<Timestamp>| t.map(Timestamp::to_rfc3339);
    serde_json::json!({
        "files": coverage.files,
        "not_logs": coverage.not_logs,
        "unreadable": coverage.unreadable,
        "not_plain": coverage.passed,
        "records": coverage.tally.records,
        "observations": coverage.observations,
        "duplicates": coverage.duplicates,
        "read_before": coverage.read_before,
        "late": coverage.late,
        "rejects": coverage.rejects,
        "rejects_by_code": coverage.rejects_by_code,
        "baseline_overlaps_to": time(coverage.baseline_overlaps_to),
        "foreign": coverage.foreign,
        "untimed": coverage.tally.untimed,
        "controls": coverage.tally.controls,
        "mistimed": coverage.mistimed,
        "beyond": coverage.beyond,
        "functions": coverage.functions,
        "principals": coverage.principals,
        "accounts": said.accounts.len(),
        "accounts_too_young": said.accounts.iter().filter(|span| span.young).count(),
        "from": time(coverage.tally.from),
        "to": time(coverage.tally.to),
    })
    .to_string()
}
