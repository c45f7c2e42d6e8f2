//! Writing instants the ways AWS writes them.
//!
//! An instant is `i64` milliseconds since 1970 in UTC. The few layouts are written by hand, because each is fixed and no
//! zone is involved. Reading times is deliberately absent: the simulator only writes.

/// Milliseconds of one minute, hour and day.
pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
/// Monday 2025-09-01T00:00:00Z, on which every run starts.
pub(crate) const START: i64 = 1_756_684_800_000;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The calendar fields of an instant.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    ms: i64,
}

/// Days to year, month and day: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil(at: i64) -> Civil {
    let (days, rest) = (at.div_euclid(DAY), at.rem_euclid(DAY));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    Civil {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month,
        day: day_of_year - (153 * shifted + 2) / 5 + 1,
        hour: rest / HOUR,
        minute: rest / MINUTE % 60,
        second: rest / 1_000 % 60,
        ms: rest % 1_000,
    }
}

/// `2025-09-01T08:00:00Z`: an `eventTime`.
pub(crate) fn seconds(at: i64) -> String {
    let c = civil(at);
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", c.year, c.month, c.day, c.hour, c.minute, c.second)
}

/// `2025-09-01T08:00:00.123Z`: a runtime's prefix of a log line.
pub(crate) fn millis(at: i64) -> String {
    let c = civil(at);
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", c.year, c.month, c.day, c.hour, c.minute, c.second, c.ms)
}

/// `2025-09-01T08:00:00.000+0000`: `lastModified` of a function.
pub(crate) fn modified(at: i64) -> String {
    millis(at).replace('Z', "+0000")
}

/// `2025/09/01`: folders of CloudTrail, names of log streams.
pub(crate) fn folders(at: i64) -> String {
    let c = civil(at);
    format!("{:04}/{:02}/{:02}", c.year, c.month, c.day)
}

/// `20250901T0800Z`: in the name of a CloudTrail file.
pub(crate) fn stamp(at: i64) -> String {
    let c = civil(at);
    format!("{:04}{:02}{:02}T{:02}{:02}Z", c.year, c.month, c.day, c.hour, c.minute)
}

/// `20250901080000123`: in the session name of an event source's poller.
pub(crate) fn digits(at: i64) -> String {
    let c = civil(at);
    format!("{:04}{:02}{:02}{:02}{:02}{:02}{:03}", c.year, c.month, c.day, c.hour, c.minute, c.second, c.ms)
}

/// `Sep 1, 2025, 8:00:00 PM`: when STS says that a key expires.
pub(crate) fn expiry(at: i64) -> String {
    let c = civil(at);
    let (half, hour) = (if c.hour < 12 { "AM" } else { "PM" }, (c.hour + 11) % 12 + 1);
    let month = MONTHS.get(c.month as usize - 1).copied().unwrap_or("Jan");
    format!("{month} {}, {}, {hour}:{:02}:{:02} {half}", c.day, c.year, c.minute, c.second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts() {
        let at = START + 13 * HOUR + 5 * MINUTE + 9_007;
        assert_eq!(seconds(at), "2025-09-01T13:05:09Z");
        assert_eq!(millis(at), "2025-09-01T13:05:09.007Z");
        assert_eq!(modified(at), "2025-09-01T13:05:09.007+0000");
        assert_eq!(folders(at), "2025/09/01");
        assert_eq!(stamp(at), "20250901T1305Z");
        assert_eq!(digits(at), "20250901130509007");
        assert_eq!(expiry(at), "Sep 1, 2025, 1:05:09 PM");
        assert_eq!(expiry(START), "Sep 1, 2025, 12:00:00 AM");
    }

    /// Instants checked against GNU `date -u -d @…`.
    #[test]
    fn leap_days_and_ends_of_years() {
        let table = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (1_767_225_600, "2026-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (second, text) in table {
            assert_eq!(seconds(second * 1_000), text);
        }
    }
}
