//! Instants and windows of event time.
//!
//! A [`Timestamp`] is milliseconds since 1970 in UTC, as AWS writes them; a [`WindowId`] is the number of a five-minute
//! window. RFC 3339 is read by hand, because every record carries one and its layout is fixed. There is deliberately no
//! `now`: time is an argument.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Milliseconds of one day.
pub const DAY_MS: i64 = 86_400_000;
/// Minutes of one window.
pub const MINUTES_PER_WINDOW: u32 = 5;
/// Milliseconds of one window.
pub const WINDOW_MS: i64 = MINUTES_PER_WINDOW as i64 * 60_000;
/// Windows of one hour.
pub const WINDOWS_PER_HOUR: u32 = 60 / MINUTES_PER_WINDOW;
/// Windows of one day.
pub const WINDOWS_PER_DAY: u32 = 24 * WINDOWS_PER_HOUR;
/// 2013-01-01: CloudTrail began in November 2013; whatever claims to be older has no usable time.
const EARLIEST_MS: i64 = 1_356_998_400_000;
/// 2100-01-01: whatever claims to be later has no usable time.
const LATEST_MS: i64 = 4_102_444_800_000;

/// An instant, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(i64);

/// The number of a five-minute window: milliseconds since 1970 divided by [`WINDOW_MS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode)]
#[cbor(transparent)]
pub struct WindowId(#[n(0)] pub u32);

impl Timestamp {
    /// An instant between 2013 and 2100, or nothing: other times can't be of an AWS record.
    pub fn from_ms(ms: i64) -> Option<Timestamp> {
        (EARLIEST_MS..LATEST_MS).contains(&ms).then_some(Timestamp(ms))
    }

    /// Reads `2025-03-20T06:42:33Z`, also with a fraction, with a space for the `T`, with an offset (`+01:00`, `+0100`)
    /// or with none (UTC).
    pub fn parse(text: &str) -> Option<Timestamp> {
        let b = text.trim().as_bytes();
        if b.len() < 19 || b[4] != b'-' || b[7] != b'-' || !matches!(b[10], b'T' | b't' | b' ') || b[13] != b':' || b[16] != b':' {
            return None;
        }
        let (year, month, day) = (digits(&b[..4])?, digits(&b[5..7])?, digits(&b[8..10])?);
        let (hour, minute, second) = (digits(&b[11..13])?, digits(&b[14..16])?, digits(&b[17..19])?);
        if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let (fraction_ms, rest) = fraction(&b[19..])?;
        let offset_ms = offset(rest)?;
        let ms = days_from_civil(year, month, day) * DAY_MS + (hour * 3600 + minute * 60 + second) * 1000 + fraction_ms - offset_ms;
        Timestamp::from_ms(ms)
    }

    /// Milliseconds since 1970.
    pub fn ms(self) -> i64 {
        self.0
    }

    /// The instant so many milliseconds later, or earlier where negative.
    pub fn plus_ms(self, ms: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(ms))
    }

    /// The window it falls into.
    pub fn window(self) -> WindowId {
        WindowId((self.0 / WINDOW_MS) as u32)
    }

    /// `2025-03-20T06:42:33Z`, without the milliseconds.
    pub fn to_rfc3339(self) -> String {
        let (year, month, day) = civil_from_days(self.0.div_euclid(DAY_MS));
        let s = self.0.rem_euclid(DAY_MS) / 1000;
        format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", s / 3600, s / 60 % 60, s % 60)
    }
}

impl WindowId {
    /// The first instant of the window.
    pub fn start(self) -> Timestamp {
        Timestamp(i64::from(self.0) * WINDOW_MS)
    }

    /// The first instant after the window.
    pub fn end(self) -> Timestamp {
        Timestamp((i64::from(self.0) + 1) * WINDOW_MS)
    }

    /// Its place in the week, 0 to 2,015, Monday 00:00 UTC being 0 (1 January 1970 was a Thursday).
    pub fn slot_of_week(self) -> u32 {
        (self.0 % (7 * WINDOWS_PER_DAY) + 3 * WINDOWS_PER_DAY) % (7 * WINDOWS_PER_DAY)
    }

    /// Days since 1970, UTC.
    pub fn day(self) -> u32 {
        self.0 / WINDOWS_PER_DAY
    }
}

fn digits(b: &[u8]) -> Option<i64> {
    b.iter().try_fold(0, |n, &c| c.is_ascii_digit().then(|| n * 10 + i64::from(c - b'0')))
}

fn fraction(b: &[u8]) -> Option<(i64, &[u8])> {
    let Some(rest) = b.strip_prefix(b".").or_else(|| b.strip_prefix(b",")) else { return Some((0, b)) };
    let n = rest.iter().take_while(|c| c.is_ascii_digit()).count();
    if n == 0 {
        return None;
    }
    let ms = (0..3).fold(0, |ms, i| ms * 10 + rest[..n].get(i).map_or(0, |c| i64::from(c - b'0')));
    Some((ms, &rest[n..]))
}

fn offset(b: &[u8]) -> Option<i64> {
    match b {
        [] | [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), rest @ ..] => {
            let (hour, minute) = match rest {
                [h1, h2, b':', m1, m2] | [h1, h2, m1, m2] => (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?),
                [h1, h2] => (digits(&[*h1, *h2])?, 0),
                _ => return None,
            };
            if hour > 15 || minute > 59 {
                return None;
            }
            let ms = (hour * 60 + minute) * 60_000;
            Some(if *sign == b'-' { -ms } else { ms })
        }
        _ => None,
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a Gregorian date (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_aws_writes() {
        for (text, ms) in [
            ("2025-03-20T06:42:33Z", Some(1_742_452_953_000)),
            ("2025-03-20T06:42:33.296000", Some(1_742_452_953_296)),
            ("2025-03-20 06:42:33", Some(1_742_452_953_000)),
            ("2025-03-20T07:42:33.5+01:00", Some(1_742_452_953_500)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800_000)),
            ("2023-02-29T00:00:00Z", None),
            ("1970-01-01T00:00:00Z", None),
            ("2025-03-20T06:42:33.", None),
            ("yesterday", None),
        ] {
            assert_eq!(Timestamp::parse(text).map(Timestamp::ms), ms, "{text}");
        }
    }

    #[test]
    fn writes_back_what_it_read() {
        for text in ["2013-01-01T00:00:00Z", "2024-02-29T23:59:59Z", "2099-12-31T12:00:01Z"] {
            assert_eq!(Timestamp::parse(text).unwrap().to_rfc3339(), text);
        }
    }

    #[test]
    fn weeks_start_on_monday() {
        let monday = Timestamp::parse("2025-03-17T00:00:00Z").unwrap().window();
        assert_eq!(monday.slot_of_week(), 0);
        assert_eq!(WindowId(monday.0 - 1).slot_of_week(), 2015);
        assert_eq!(monday.end().window(), WindowId(monday.0 + 1));
    }
}
