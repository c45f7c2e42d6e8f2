//! An incident as the person on call reads it: a screen at most.
//!
//! The facts stand in the order in which they are asked: what and where; since when and whether it goes on; what exactly, and
//! what would be usual; how unlikely; what changed before; what else; where the records are; what to do. Everything is
//! plain text that nothing must be clicked in. Deliberately absent: the terminal (the caller says how wide it is and whether
//! it shows colours) and the details, which the machine forms have.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

use crate::batch::EventId;
use crate::detect::{Detail, Finding, FlowDetail, RateDetail};
use crate::entity::{Arn, EntityKind};
use crate::facts::{Moment, Span};
use crate::incident::{Incident, Severity};
use crate::time::Timestamp;

use super::words::{clock, clock_seconds, count, date, day, days, minutes, number, plural, rarity, same_day};
use super::{clean, say, title, words};

/// Lines of one incident: a screen of a terminal, with room for the prompt. On a narrow one it is as many more as it is narrower:
/// what a person must know is broken into lines there, not cut.
const LINES_MAX: usize = 20;
/// Columns before a fact: its label stands in them.
const LABEL_AT: usize = 6;
const FACT_AT: usize = 15;
/// The narrowest screen that facts are laid out for; a narrower one gets lines of this width.
const WIDTH_MIN: usize = 40;
/// Other findings that are told; more are counted. A person reads four.
const ALSO_MAX: usize = 4;
/// Actions of one flow and changes before it that are named.
const NAMED_MAX: usize = 3;
/// Lines of what was rare, and again of its facts; and on a narrow screen.
const RARE_LINES: usize = 2;
const RARE_LINES_NARROW: usize = 4;
/// Characters of an account id or a Region.
const PLACE_CHARS_MAX: usize = 24;
/// Characters of an event id: all that is kept of it.
const EVENT_CHARS_MAX: usize = crate::limits::EVENT_ID_MAX;
/// Characters of what was changed and by whom.
const CHANGE_CHARS_MAX: usize = 64;
/// A width at which nothing is broken, and the hours that are drawn there: a day and the same hour of the day before, since a
/// channel is read on a telephone.
const UNBROKEN: usize = 1 << 12;
const HOURS_UNBROKEN: usize = 25;
/// Eight heights; the lowest is no call at all.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const MINUTE_MS: i64 = 60_000;

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Colours the severity, by ANSI escape sequences.
    pub colour: bool,
    /// Columns of the screen; at least 40 are used.
    pub width: usize,
}

impl Default for Style {
    fn default() -> Style {
        Style { colour: false, width: 80 }
    }
}

/// One incident: at most 20 lines, 40 where the screen is half as wide, and none wider than it; ends with a newline.
pub fn incident(incident: &Incident, style: &Style) -> String {
    let width = style.width.max(WIDTH_MIN);
    let mut lines = header(incident, width, style.colour);
    let Some(lead) = incident.lead() else { return finish(&lines) };
    lines.extend(told(incident, lead, width).lines());
    let mut end = Rows::new(width);
    if let Some(span) = incident.span().filter(|_| lead.span.is_some()) {
        events(&mut end, &span, incident.since());
    }
    end.put("next", say::next(lead), 2);
    end.put("id", &clean(&incident.uid, EVENT_CHARS_MAX), 1);
    let end = end.lines();
    let others = others(incident, lead);
    // Where names are so long that a screen overflows, the last lines of the facts give way.
    let least = end.len() + usize::from(others.1 > 0) * times_narrower(width);
    let most = lines_max(width);
    lines.truncate(most.saturating_sub(least));
    let room = most.saturating_sub(lines.len() + end.len());
    lines.extend(also(lead, &others, room / times_narrower(width), width).lines());
    lines.extend(end);
    finish(&lines)
}

/// Lines of one incident on a screen of this width.
fn lines_max(width: usize) -> usize {
    (LINES_MAX * Style::default().width).div_ceil(width).clamp(LINES_MAX, LINES_MAX * Style::default().width / WIDTH_MIN)
}

/// How many lines of this width what fits a line of an ordinary screen takes.
fn times_narrower(width: usize) -> usize {
    Style::default().width.div_ceil(width)
}

/// The facts of the screen for renderers that break lines themselves: each with its label, or with none where it goes on.
pub(super) fn facts(incident: &Incident) -> Vec<(&'static str, String)> {
    let Some(lead) = incident.lead() else { return Vec::new() };
    let mut facts = told(incident, lead, UNBROKEN);
    facts.rows.extend(also(lead, &others(incident, lead), ALSO_MAX + 1, UNBROKEN).rows);
    facts.put("next", say::next(lead), 1);
    facts.rows.into_iter().map(|row| (row.label, row.fact)).collect()
}

/// What happened, what would be usual, and what came before.
fn told(incident: &Incident, lead: &Finding, width: usize) -> Rows {
    let mut rows = Rows::new(width);
    if say::is_silence(lead) {
        noticed(&mut rows, incident, lead);
    } else {
        rows.put("since", &since(incident), 2);
    }
    if let Some(again) = lead.again() {
        rows.put("told", &say::again(&again), 2);
    }
    match &lead.detail {
        Detail::NewFlow(flow) => new_flow(&mut rows, incident, lead, flow),
        Detail::Rate(rate) => rate_rows(&mut rows, incident, lead, rate),
        Detail::Quiet { .. } => learnt(&mut rows, lead),
    }
    if let Some(rarity) = rarity(lead.years) {
        rows.put("rarity", &format!("by chance {rarity} in this account"), 2);
    }
    if let Some(before) = before(lead) {
        rows.put("before", &before, 2);
    }
    rows
}

/// What was rare, but not rare enough to call anyone: two lines, on a narrow screen or where names are long four or more.
/// `of_account`: there are several, so it is said in which.
pub fn rare(incident: &Incident, style: &Style, of_account: bool) -> String {
    let width = style.width.max(WIDTH_MIN);
    let severity = incident.severity();
    let word = if severity == Severity::Low { "rare" } else { severity.word() };
    let lead = incident.lead();
    let at = word.len() + 2;
    let said = lead.map_or_else(|| title(incident), |lead| say::deed_alone(lead, width - at));
    let each = if width < Style::default().width { RARE_LINES_NARROW } else { RARE_LINES };
    let deed = wrap(&said, width - at, each);
    let mut lines: Vec<String> = deed.iter().enumerate().map(|(i, line)| format!("{:at$}{line}", if i == 0 { word } else { "" })).collect();
    let begin = incident.since();
    let mut facts = vec![format!("{} {} UTC", date(begin), clock(begin))];
    if of_account && !incident.account.is_empty() {
        facts.push(format!("account {}", clean(&incident.account, PLACE_CHARS_MAX)));
    }
    match lead.map(|f| &f.detail) {
        Some(Detail::Rate(rate)) => {
            let (observed, expected) = amounts(rate);
            facts.push(match rate.family.as_str() {
                "silence" => format!("{observed}, usually {expected}"),
                _ => format!("{observed}, expected {expected}"),
            });
        }
        Some(Detail::NewFlow(flow)) => facts.push(match flow.again {
            Some(again) => format!("told the {} time", words::ordinal(u64::from(again.times))),
            None => format!("new in {}", days(lead.map_or(0.0, |f| f.learnt_days))),
        }),
        Some(Detail::Quiet { .. }) | None => {}
    }
    facts.extend(lead.and_then(|f| rarity(f.years)).map(|r| r.trim_start_matches("about ").to_owned()));
    let others = (incident.findings.len() as u64).saturating_sub(1).saturating_add(incident.more);
    if others > 0 {
        facts.push(plural(others as f64, "other finding"));
    }
    lines.extend(wrap(&facts.join("; "), width - LABEL_AT, each).iter().map(|l| format!("{:LABEL_AT$}{l}", "")));
    finish(&lines)
}

/// Facts with their labels, not yet broken into lines.
struct Rows {
    width: usize,
    rows: Vec<Row>,
}

struct Row {
    label: &'static str,
    fact: String,
    lines_max: usize,
}

impl Rows {
    fn new(width: usize) -> Rows {
        Rows { width, rows: Vec::new() }
    }

    /// A fact with its label, in so many lines at most; in as many more on a narrow screen as it is narrower.
    fn put(&mut self, label: &'static str, fact: &str, lines_max: usize) {
        self.rows.push(Row { label, fact: fact.to_owned(), lines_max });
    }

    fn lines(self) -> Vec<String> {
        let mut lines = Vec::new();
        for Row { label, fact, lines_max } in self.rows {
            let lines_max = lines_max * times_narrower(self.width);
            for (i, line) in wrap(&fact, self.width - FACT_AT, lines_max).iter().enumerate() {
                let label = if i == 0 { label } else { "" };
                let width = FACT_AT - LABEL_AT;
                lines.push(format!("{:LABEL_AT$}{label:<width$}{line}", ""));
            }
        }
        lines
    }
}

/// Severity, title and, where it fits, the place at the right; else the place has a row of its own.
fn header(incident: &Incident, width: usize, colour: bool) -> Vec<String> {
    let severity = incident.severity();
    let word = severity.word().to_uppercase();
    let at = word.len() + 2;
    let place = place(incident);
    let title = title(incident);
    let used = at + columns(&title);
    let gap = width.checked_sub(used + columns(&place)).filter(|gap| *gap >= 2 && !place.is_empty());
    let mut lines = Vec::new();
    for (i, line) in wrap(&title, width - at, 2).iter().enumerate() {
        let head = if i == 0 { format!("{}  ", coloured(&word, severity, colour)) } else { " ".repeat(at) };
        let tail = gap.map_or_else(String::new, |gap| format!("{:gap$}{place}", ""));
        lines.push(format!("{head}{line}{tail}"));
    }
    if gap.is_none() && !place.is_empty() {
        let mut rows = Rows::new(width);
        rows.put("where", &if incident.account.is_empty() { place } else { format!("account {place}") }, 1);
        lines.extend(rows.lines());
    }
    lines
}

fn coloured(word: &str, severity: Severity, colour: bool) -> String {
    if !colour {
        return word.to_owned();
    }
    let code = match severity {
        Severity::High => "1;31",
        Severity::Medium => "33",
        Severity::Low => "2",
    };
    format!("\u{1b}[{code}m{word}\u{1b}[0m")
}

fn finish(lines: &[String]) -> String {
    let mut out = String::new();
    for line in lines {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Columns on a terminal, or a little more: never fewer.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// Breaks at spaces; a word wider than a line is broken anywhere. What doesn't fit into so many lines is cut, with `…`.
fn wrap(text: &str, width: usize, lines_max: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text.trim_end();
    while !rest.is_empty() && lines.len() < lines_max {
        let fits = fitting(rest, width);
        if fits == rest.len() {
            lines.push(rest.to_owned());
            break;
        }
        let (head, tail) = rest.split_at(fits);
        let last = lines.len() + 1 == lines_max;
        let broken = if tail.starts_with(' ') { Some(fits) } else { head.rfind(' ').filter(|at| *at > 0) };
        let end = if last { fitting(rest, width.saturating_sub(1)) } else { broken.unwrap_or(fits).max(1) };
        let (line, after) = rest.split_at(rest.ceil_char_boundary(end));
        lines.push(if last { format!("{}…", line.trim_end()) } else { line.trim_end().to_owned() });
        rest = after.trim_start();
    }
    lines
}

/// Bytes of the longest beginning that is no wider.
fn fitting(text: &str, width: usize) -> usize {
    let mut used = 0;
    let too_wide = |c: char| {
        used += c.width().unwrap_or(0);
        used > width
    };
    text.find(too_wide).unwrap_or(text.len())
}

/// `123456789012 · eu-west-1`, as far as it is known.
pub(super) fn place(incident: &Incident) -> String {
    let region = incident.lead().and_then(|f| Arn::parse(&f.entity.id)).map_or("", |arn| arn.region);
    let parts = [incident.account.as_str(), region].map(|part| clean(part, PLACE_CHARS_MAX));
    parts.iter().filter(|part| !part.is_empty()).map(|part| part.as_ref()).collect::<Vec<_>>().join(" · ")
}

/// `Tue 14 Oct 2025 17:05 UTC, 12 minutes, still going`.
pub(super) fn since(incident: &Incident) -> String {
    let (begin, end) = (incident.since(), incident.until());
    let lasted_ms = end.ms() - begin.ms();
    let mut out = format!("{} {}", day(begin), clock(begin));
    if incident.resolved && lasted_ms >= MINUTE_MS {
        let end = if same_day(begin, end) { clock(end) } else { format!("{} {}", day(end), clock(end)) };
        let _ = write!(out, " to {end}");
    }
    out.push_str(" UTC, ");
    let events = incident.findings.iter().fold(0_u64, |n, f| n.saturating_add(f.count));
    out.push_str(&match (lasted_ms, incident.resolved) {
        (MINUTE_MS.., true) => format!("{}, over", minutes((lasted_ms / MINUTE_MS) as u64)),
        (MINUTE_MS.., false) => format!("{}, still going", minutes((lasted_ms / MINUTE_MS) as u64)),
        (_, true) => (if events == 1 { "once, over" } else { "within a minute, over" }).to_owned(),
        (_, false) => (if events == 1 { "once so far" } else { "within a minute so far" }).to_owned(),
    });
    out
}

/// Silence has no first event: it is known since when by its length, or else when it was noticed. It is over with the next call;
/// its incident is closed without one when nothing more is said. A log that names no account was exported by itself: whether
/// the function or the export ended, nothing tells.
fn noticed(rows: &mut Rows, incident: &Incident, lead: &Finding) {
    let back = match &lead.detail {
        Detail::Rate(rate) => rate.back,
        _ => None,
    };
    let state = match (back, incident.resolved) {
        (Some(at), _) => format!("over: calls are back since {} {} UTC", day(at), clock(at)),
        (None, true) => "closed: no call came back".to_owned(),
        (None, false) => "still open".to_owned(),
    };
    let written = |at: Timestamp| format!("{} {} UTC", day(at), clock(at));
    let pause_ms = match &lead.detail {
        Detail::Rate(rate) if rate.family == "silence" => Some(i64::from(rate.minutes) * MINUTE_MS),
        _ => None,
    };
    match pause_ms {
        Some(pause_ms) => rows.put("since", &format!("{}, {state}", written(lead.judged.end().plus_ms(-pause_ms))), 2),
        None => rows.put("noticed", &format!("{}, {state}", written(lead.window.end())), 2),
    }
    if back.is_none() && Arn::parse(&lead.entity.id).is_some_and(|arn| arn.account.is_empty()) {
        rows.put("", "its log names no account: perhaps only the export ends here", 2);
    }
}

/// The flow with all its actions, what the entity does otherwise, and who else uses the target.
fn new_flow(rows: &mut Rows, incident: &Incident, lead: &Finding, flow: &FlowDetail) {
    let same: Vec<&Finding> = incident.findings.iter().filter(|f| is_same_flow(f, lead)).collect();
    let named = same.iter().take(NAMED_MAX).filter_map(|f| match &f.detail {
        Detail::NewFlow(flow) => Some((say::name(&flow.action), f.count)),
        _ => None,
    });
    let mut actions: Vec<String> = named.map(|(action, n)| if n == 1 { action } else { format!("{action} ×{}", count(n)) }).collect();
    if same.len() > NAMED_MAX {
        actions.push(plural((same.len() - NAMED_MAX) as f64, "other action"));
    }
    let refused = if flow.denied { " (refused)" } else { "" };
    let outside = if flow.outside { " (another account's)" } else { "" };
    let (who, target) = (say::who(&lead.entity), format!("{}{outside}", say::target(&flow.target)));
    let does = format!("{who} → {}{refused}", actions.join(", "));
    if columns(&does) + columns(&target) + 3 <= rows.width - FACT_AT {
        rows.put("flow", &format!("{does} → {target}"), 1);
    } else {
        rows.put("flow", &does, 2);
        rows.put("", &format!("→ {target}"), 2);
    }
    let learnt = days(lead.learnt_days);
    let usual: Vec<String> = flow.usual.0.iter().map(|t| say::target(t)).collect();
    let all = plural(flow.usual.1 as f64, "target");
    rows.put(
        "usual",
        &match (usual.is_empty(), (usual.len() as u64) < flow.usual.1) {
            (true, _) => format!("it was seen for {learnt}, and used nothing else so far"),
            (false, true) => format!("in {learnt} {all}, such as {}", usual.join(", ")),
            (false, false) => format!("in {learnt} {all}: {}", usual.join(", ")),
        },
        2,
    );
    if let Some(users) = users(lead, flow) {
        rows.put("", &users, 2);
    }
}

/// The same entity did something else to the same target.
fn is_same_flow(finding: &Finding, lead: &Finding) -> bool {
    match (&finding.detail, &lead.detail) {
        (Detail::NewFlow(a), Detail::NewFlow(b)) => finding.entity == lead.entity && a.target == b.target && a.denied == b.denied,
        _ => false,
    }
}

/// `bucket statistics-raw: only statistics-handler, for 19+ days`; nothing of account-wide listings.
///
/// A user's day counts from the first record of the account, which is at least as old as the entity's own baseline: so what
/// can be said is how long at least.
fn users(lead: &Finding, flow: &FlowDetail) -> Option<String> {
    if flow.target == format!("service {}", flow.service) {
        return None;
    }
    let target = say::target(&flow.target);
    let others = if lead.entity.kind == EntityKind::Function { "function" } else { "user or role" };
    let (known, all) = (&flow.users.0, flow.users.1);
    let named: Vec<String> = known.iter().map(|(id, _)| say::who_by_id(id)).collect();
    Some(match (named.as_slice(), all) {
        ([], 0) => format!("{target}: no other {others} is known to use it"),
        ([], n) => format!("{target}: used by {}", plural(n as f64, others)),
        ([one], 0 | 1) => {
            let for_days = known.first().map(|(_, since)| lead.learnt_days - since).filter(|d| *d >= 1.0);
            let so_long = for_days.map_or_else(String::new, |d| format!(", for {:.0}+ days", d.floor()));
            format!("{target}: only {one}{so_long}")
        }
        (some, n) if n > some.len() as u64 => {
            format!("{target}: {} and {}", some.join(", "), plural((n - some.len() as u64) as f64, "other"))
        }
        (some, _) => format!("{target}: only {}", some.join(", ")),
    })
}

fn rate_rows(rows: &mut Rows, incident: &Incident, lead: &Finding, rate: &RateDetail) {
    let end = lead.judged.end();
    // Where the incident began with something else or went on, it is said when the numbers were so.
    let later = (lead.judged > incident.since().window()).then(|| format!("up to {} {} UTC", day(end), clock(end)));
    rows.put("rate", &measured(rate), 2);
    let extra = rate.extra.filter(|extra| *extra >= 1.0);
    if let Some(later) = later {
        rows.put("", &if extra.is_some() { format!("at its height, {later}") } else { later }, 2);
    }
    if let Some(extra) = extra {
        let last = lead.span.as_ref().map_or(end, |span| span.last.at);
        let day = if same_day(last, incident.since()) { String::new() } else { format!("{} ", day(last)) };
        let more = plural(extra.round(), "call");
        rows.put("", &format!("in all, up to {day}{}, about {more} more than expected", clock(last)), 2);
    }
    learnt(rows, lead);
    let most = lead.hours.iter().copied().filter(|n| n.is_finite()).fold(0.0_f32, f32::max);
    if most <= 0.0 {
        return;
    }
    let room = if rows.width == UNBROKEN { HOURS_UNBROKEN } else { rows.width - FACT_AT - 2 };
    let shown = lead.hours.get(lead.hours.len().saturating_sub(room)..).unwrap_or_default();
    let height = |n: &f32| {
        let step = if *n > 0.0 { (n / most * 7.0).ceil().clamp(1.0, 7.0) as usize } else { 0 };
        HEIGHTS.get(step).copied().unwrap_or('█')
    };
    let mut bars: Vec<char> = shown.iter().map(height).collect();
    let now = bars.pop().unwrap_or(' ');
    rows.put("hours", &format!("{}[{now}]", bars.into_iter().collect::<String>()), 1);
    let last = number(f64::from(lead.hours.last().copied().unwrap_or(0.0)));
    let from = format!("from {} on", clock(hour_of(lead.hours_to.start())));
    let now = match say::hours_without(lead) {
        0 => format!("{from} {last}"),
        1 => format!("{from} none"),
        2 => "none for over an hour".to_owned(),
        n => format!("none for over {} hours", n - 1),
    };
    rows.put("", &format!("calls an hour in {} hours: most {}; {now}", shown.len(), number(f64::from(most))), 2);
}

fn hour_of(at: Timestamp) -> Timestamp {
    at.plus_ms(-at.ms().rem_euclid(60 * MINUTE_MS))
}

fn learnt(rows: &mut Rows, lead: &Finding) {
    let whose = if lead.entity.kind == EntityKind::Service { "the account's" } else { "its" };
    rows.put("learnt", &format!("from {} of {whose} history", days(lead.learnt_days)), 1);
}

/// `observed 2,431 calls in 5 minutes, expected 190`.
pub(super) fn measured(rate: &RateDetail) -> String {
    let time = match rate.minutes {
        // Longer sums fade, so their length is about so much.
        n if n > 5 => format!("about {}", minutes(u64::from(n))),
        n => minutes(u64::from(n)),
    };
    let (observed, expected) = amounts(rate);
    match rate.family.as_str() {
        "slow shift" => format!("observed {observed} a day, expected {expected}"),
        "silence" => format!("no call for {observed}, usually {expected} at most between two calls"),
        "median duration" => format!("observed a median of {observed} over {time}, expected {expected}"),
        "tail duration" => format!("observed {observed} for the slowest 1 in 100 over {time}, expected {expected}"),
        _ => format!("observed {observed} in {time}, expected {expected}"),
    }
}

/// Observed with its unit, and expected with it where it is no count.
pub(super) fn amounts(rate: &RateDetail) -> (String, String) {
    let counted = |one: &str| (tally(rate, one), number(rate.expected));
    match rate.family.as_str() {
        "errors" => counted("failed call"),
        "throttles" => counted("throttled call"),
        "denials" => counted("refused call"),
        "lines" => counted("line"),
        "median duration" | "tail duration" => (words::duration_ms(rate.observed), words::duration_ms(rate.expected)),
        "silence" => (words::minutes(rate.observed.max(0.0) as u64), words::minutes(rate.expected.max(0.0) as u64)),
        "cost" => (words::dollars(rate.observed), words::dollars(rate.expected)),
        "bytes" => (words::bytes(rate.observed), words::bytes(rate.expected)),
        _ => counted("call"),
    }
}

/// `608 calls`. A long sum fades: a part of a call is what is left of one that came before.
fn tally(rate: &RateDetail, one: &str) -> String {
    match rate.observed {
        n if rate.minutes <= 5 || !n.is_finite() => plural(n, one),
        n if n < say::NOTHING => format!("no {one}"),
        n if n < 1.0 => format!("fewer than one {one}"),
        n => plural(n.round(), one),
    }
}

/// What was changed in the day before. Only functions' changes are followed.
fn before(lead: &Finding) -> Option<String> {
    if lead.before.is_empty() {
        let nothing = match lead.changes_unknown {
            true => "unknown: no CloudTrail was read, which would show changes",
            false => "no change of it was seen in the day before",
        };
        return (lead.entity.kind == EntityKind::Function).then(|| nothing.to_owned());
    }
    let mut said: Vec<String> = lead.before.iter().take(NAMED_MAX).map(|c| clean(c, CHANGE_CHARS_MAX).into_owned()).collect();
    if lead.before.len() > NAMED_MAX {
        said.push(plural((lead.before.len() - NAMED_MAX) as f64, "earlier change"));
    }
    Some(format!("in the day before: {}", said.join("; ")))
}

/// The findings that no other line tells, and how many there are with those that were only counted.
fn others<'a>(incident: &'a Incident, lead: &Finding) -> (Vec<&'a Finding>, u64) {
    let told = |f: &Finding| (f.entity == lead.entity && f.subject == lead.subject) || is_same_flow(f, lead);
    let mut others: Vec<&Finding> = Vec::new();
    // What two detectors say in the same words is said once.
    for finding in incident.findings.iter().filter(|f| !told(f)) {
        if !others.iter().chain([&lead]).any(|f| say::sentence(f) == say::sentence(finding)) {
            others.push(finding);
        }
    }
    let all = (others.len() as u64).saturating_add(incident.more);
    (others, all)
}

/// The other findings, in so many lines; the line that counts the rest takes the place of one.
fn also(lead: &Finding, (others, all): &(Vec<&Finding>, u64), room: usize, width: usize) -> Rows {
    let mut rows = Rows::new(width);
    let mut told = others.len().min(ALSO_MAX).min(room);
    if *all > told as u64 && told == room {
        told = told.saturating_sub(1);
    }
    let mut label = "also";
    for finding in others.iter().take(told) {
        let at = finding.window.start();
        let when = if same_day(at, lead.window.start()) { String::new() } else { format!("{}: ", date(at)) };
        let whole = format!("{when}{}", say::sentence(finding));
        let fits = columns(&whole) <= rows.width - FACT_AT;
        rows.put(
            label,
            &if fits { whole } else { format!("{when}{}", say::deed_alone(finding, rows.width - FACT_AT - columns(&when))) },
            1,
        );
        label = "";
    }
    let rest = all - told as u64;
    if rest > 0 && room > 0 {
        let and = if told == 0 { "" } else { "and " };
        rows.put(label, &format!("{and}{}", plural(rest as f64, "more finding")), 1);
    }
    rows
}

/// Where the records are: ids of the first and the last event.
fn events(rows: &mut Rows, span: &Span, since: Timestamp) {
    if span.first.event == EventId::None && span.last.event == EventId::None {
        return;
    }
    if span.first == span.last {
        rows.put("event", &event(&span.first, since), 2);
        return;
    }
    rows.put("events", &format!("first {}", event(&span.first, since)), 2);
    rows.put("", &format!("last  {}", event(&span.last, since)), 2);
}

fn event(moment: &Moment, since: Timestamp) -> String {
    let day = if same_day(moment.at, since) { String::new() } else { format!("{} ", day(moment.at)) };
    format!("{day}{} {}", clock_seconds(moment.at), clean(&moment.event.to_string(), EVENT_CHARS_MAX))
}
