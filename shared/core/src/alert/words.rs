//! Numbers, times and rarity in the words of a person.
//!
//! Everything is UTC and says so where a day is named. There is no clock here, so nothing is "today" and a day has its year.
//! Numbers are rounded to what is read at a glance: the exact ones stand in the machine forms.

use crate::time::{DAY_MS, Timestamp};

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Past it, an estimate of years says nothing more.
const YEARS_MAX: f64 = 1000.0;
const MONTHS_PER_YEAR: f64 = 12.0;
const WEEKS_PER_YEAR: f64 = 52.18;
/// The least share of a number that is not shown as 0.
const SMALLEST: f64 = 0.05;

/// `2,431`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `2,431`, `3.5`, `0`, `<0.1`: whole from 10 on. What is no number is `?`.
pub(super) fn number(n: f64) -> String {
    if !n.is_finite() {
        return "?".to_owned();
    }
    if n < 0.0 {
        return format!("-{}", number(-n));
    }
    if n > 0.0 && n < SMALLEST {
        return "<0.1".to_owned();
    }
    if n >= 9.95 {
        // A float beyond the range of integers is cut to it by the cast.
        return count(n.round() as u64);
    }
    let text = format!("{n:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// `1st`, `2nd`, `11th`.
pub(super) fn ordinal(n: u64) -> String {
    let end = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{end}")
}

/// `1 call`, `12 calls`.
pub(super) fn plural(n: f64, one: &str) -> String {
    let text = number(n);
    let s = if text == "1" { "" } else { "s" };
    format!("{text} {one}{s}")
}

/// `240 ms`, `1.8 s`, `4.2 min`.
pub(super) fn duration_ms(ms: f64) -> String {
    if ms < 1000.0 {
        format!("{} ms", number(ms))
    } else if ms < 100_000.0 {
        format!("{} s", number(ms / 1000.0))
    } else {
        format!("{} min", number(ms / 60_000.0))
    }
}

/// `300 bytes`, `14 KB`, `3.2 GB`: thousands, as networks and bills count.
pub(super) fn bytes(n: f64) -> String {
    let steps = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "KB")];
    match steps.iter().find(|(size, _)| n >= *size) {
        Some((size, unit)) => format!("{} {unit}", number(n / size)),
        None => plural(n, "byte"),
    }
}

/// `$1,204`, `$3.20`, `$0.0041`.
pub(super) fn dollars(n: f64) -> String {
    if !n.is_finite() {
        "$?".to_owned()
    } else if n >= 100.0 {
        format!("${}", number(n))
    } else if n >= 0.1 || n <= 0.0 {
        format!("${n:.2}")
    } else if n >= 0.0001 {
        format!("${n:.4}")
    } else {
        "under $0.0001".to_owned()
    }
}

/// `5 minutes`, `3 hours`, `2 days`: in the largest unit of which there are two.
pub(super) fn minutes(n: u64) -> String {
    let (value, unit) = match n {
        2880.. => (n.saturating_add(720) / 1440, "day"),
        120.. => ((n + 30) / 60, "hour"),
        _ => (n, "minute"),
    };
    plural(value as f64, unit)
}

/// How long something was learnt or known: `21 days`, `9 hours`.
pub(super) fn days(n: f64) -> String {
    let hours = if n.is_finite() { (n * 24.0).max(0.0) } else { 0.0 };
    if hours < 48.0 { plural(hours.floor().max(1.0), "hour") } else { plural((hours / 24.0).floor(), "day") }
}

/// `12 times`, `2.4 times`, `over 1,000 times`; nothing where there is no sense in a ratio.
pub(super) fn times(observed: f64, expected: f64) -> Option<String> {
    let factor = observed / expected;
    if !factor.is_finite() || expected <= 0.0 {
        return None;
    }
    Some(if factor >= 1000.0 { "over 1,000 times".to_owned() } else { format!("{} times", number(factor)) })
}

/// `about once in 3 years`; nothing where it was not estimated.
pub(super) fn rarity(years: f64) -> Option<String> {
    if years.is_nan() || years <= 0.0 {
        return None;
    }
    let (months, weeks) = ((years * MONTHS_PER_YEAR).round(), (years * WEEKS_PER_YEAR).round());
    Some(if years >= YEARS_MAX {
        "less than once in 1,000 years".to_owned()
    } else if years >= 1.5 {
        format!("about once in {} years", number(years.round()))
    } else if months >= 11.0 {
        "about once a year".to_owned()
    } else if months >= 3.0 {
        format!("about once in {months:.0} months")
    } else if weeks >= 2.0 {
        format!("about once in {weeks:.0} weeks")
    } else if weeks >= 1.0 {
        "about once a week".to_owned()
    } else {
        "more than once a week".to_owned()
    })
}

/// `Tue 14 Oct 2025`.
pub(super) fn day(at: Timestamp) -> String {
    // 1 January 1970 was a Thursday.
    let weekday = WEEKDAYS.get((at.ms().div_euclid(DAY_MS) + 3).rem_euclid(7) as usize).copied().unwrap_or_default();
    format!("{weekday} {}", date(at))
}

/// `14 Oct 2025`.
pub(super) fn date(at: Timestamp) -> String {
    let text = at.to_rfc3339();
    let part = |from, to| text.get(from..to).unwrap_or_default();
    let month = part(5, 7).parse::<usize>().ok().and_then(|m| MONTHS.get(m.wrapping_sub(1))).copied().unwrap_or_default();
    format!("{} {month} {}", part(8, 10).trim_start_matches('0'), part(0, 4))
}

/// `17:05`.
pub(super) fn clock(at: Timestamp) -> String {
    at.to_rfc3339().get(11..16).unwrap_or_default().to_owned()
}

/// `17:05:12`.
pub(super) fn clock_seconds(at: Timestamp) -> String {
    at.to_rfc3339().get(11..19).unwrap_or_default().to_owned()
}

/// Whether two instants are of one day.
pub(super) fn same_day(a: Timestamp, b: Timestamp) -> bool {
    a.ms().div_euclid(DAY_MS) == b.ms().div_euclid(DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(String, &str)]) {
        for (got, want) in rows {
            assert_eq!(got, want);
        }
    }

    #[test]
    fn numbers() {
        table(&[
            (count(0), "0"),
            (count(999), "999"),
            (count(1000), "1,000"),
            (count(u64::MAX), "18,446,744,073,709,551,615"),
            (number(0.0), "0"),
            (number(0.01), "<0.1"),
            (number(3.0), "3"),
            (number(3.46), "3.5"),
            (number(9.96), "10"),
            (number(2431.4), "2,431"),
            (number(f64::NAN), "?"),
            (ordinal(2), "2nd"),
            (ordinal(11), "11th"),
            (ordinal(23), "23rd"),
            (plural(1.0, "call"), "1 call"),
            (plural(0.0, "call"), "0 calls"),
            (duration_ms(240.2), "240 ms"),
            (duration_ms(1834.0), "1.8 s"),
            (duration_ms(900_000.0), "15 min"),
            (bytes(300.0), "300 bytes"),
            (bytes(14_200.0), "14 KB"),
            (bytes(3.2e9), "3.2 GB"),
            (dollars(1204.4), "$1,204"),
            (dollars(3.2), "$3.20"),
            (dollars(0.0041), "$0.0041"),
            (minutes(5), "5 minutes"),
            (minutes(180), "3 hours"),
            (minutes(10_080), "7 days"),
            (days(21.3), "21 days"),
            (days(0.4), "9 hours"),
        ]);
        assert_eq!(times(2431.0, 190.0).as_deref(), Some("13 times"));
        assert_eq!(times(5000.0, 0.1).as_deref(), Some("over 1,000 times"));
        assert_eq!(times(5.0, 0.0), None);
    }

    #[test]
    fn rarities() {
        for (years, want) in [
            (0.0, None),
            (f64::NAN, None),
            (0.005, Some("more than once a week")),
            (0.02, Some("about once a week")),
            (0.1, Some("about once in 5 weeks")),
            (0.5, Some("about once in 6 months")),
            (1.0, Some("about once a year")),
            (3.2, Some("about once in 3 years")),
            (999.0, Some("about once in 999 years")),
            (1000.0, Some("less than once in 1,000 years")),
            (f64::INFINITY, Some("less than once in 1,000 years")),
        ] {
            assert_eq!(rarity(years).as_deref(), want, "{years}");
        }
    }

    #[test]
    fn times_of_day() {
        let at = |text| Timestamp::parse(text).unwrap();
        table(&[
            (day(at("2025-10-14T17:05:12Z")), "Tue 14 Oct 2025"),
            (day(at("2024-02-29T00:00:00Z")), "Thu 29 Feb 2024"),
            (day(at("2026-01-04T00:00:00Z")), "Sun 4 Jan 2026"),
            (clock(at("2025-10-14T17:05:12Z")), "17:05"),
            (clock_seconds(at("2025-10-14T17:05:12Z")), "17:05:12"),
        ]);
        assert!(!same_day(at("2025-10-14T23:59:59Z"), at("2025-10-15T00:00:00Z")));
    }
}
