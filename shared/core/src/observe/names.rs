//! Names of functions and resources: the words in them, and what in them is only an id.
//!
//! A name is evidence of who belongs together (`shop-cart-fn`, `shop-orders-table`) where no tag says so. What changes from
//! day to day in a name (ids, dates, counters) would make every target new, so [`generalise`] replaces it. Deliberately
//! absent: a dictionary of words, and random suffixes of letters such as CloudFormation's, which can't be told from words.

use std::borrow::Cow;
use std::collections::BTreeSet;

/// Digits in a row that make an id, a year or a counter: `books-v2` and `eu-west-1` keep theirs.
const ID_DIGITS: usize = 4;
/// Hex digits in a row that make an id, if one of them is a digit: `deadbeef` may be a word, `deadbee1` is none.
const ID_HEX: usize = 8;
/// Hex digits that are no token, since two names would share them by chance.
const TOKEN_HEX: usize = 4;

/// Replaces what is only an id in a name by `#`: UUIDs; runs of 8 or more hex digits with a decimal one among them; dates
/// (`2025-03-20`, `2025/03/20`, `20250320`) with the hours and minutes after them; 4 or more digits in a row; digits after
/// an equals sign (`month=03`). A year is a date: `orders-2024` becomes `orders-#`, so that next year's is no new target.
pub fn generalise(name: &str) -> Cow<'_, str> {
    let bytes = name.as_bytes();
    let mut out = String::new();
    let (mut at, mut copied) = (0, 0);
    while at < bytes.len() {
        let end = id_end(bytes, at);
        if end == at {
            at += 1;
            continue;
        }
        // An id is ASCII and starts where another character ends, so both bounds are bounds of characters.
        out.push_str(name.get(copied..at).unwrap_or_default());
        out.push('#');
        (at, copied) = (end, end);
    }
    if copied == 0 {
        return Cow::Borrowed(name);
    }
    out.push_str(name.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// Where an id that starts at `at` ends; `at` itself if none does.
fn id_end(bytes: &[u8], at: usize) -> usize {
    let before = at.checked_sub(1).and_then(|i| bytes.get(i)).copied().unwrap_or(b' ');
    if !before.is_ascii_alphanumeric()
        && let Some(end) = uuid_end(bytes, at).or_else(|| hex_end(bytes, at))
    {
        return end;
    }
    let digits = run(bytes, at, |b| b.is_ascii_digit());
    if before.is_ascii_digit() || digits == 0 {
        return at;
    }
    date_end(bytes, at).unwrap_or(if digits >= ID_DIGITS || before == b'=' { at + digits } else { at })
}

/// How many bytes from `at` on are of a kind.
fn run(bytes: &[u8], at: usize, kind: impl Fn(&u8) -> bool) -> usize {
    bytes.iter().skip(at).take_while(|b| kind(b)).count()
}

/// Groups of 8, 4, 4, 4 and 12 hex digits.
fn uuid_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    for (group, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if group > 0 {
            at = (bytes.get(at) == Some(&b'-')).then_some(at + 1)?;
        }
        at = (run(bytes, at, u8::is_ascii_hexdigit) == length).then_some(at + length)?;
    }
    (!bytes.get(at).is_some_and(u8::is_ascii_alphanumeric)).then_some(at)
}

/// A whole word of hex digits, long enough and with a decimal digit.
fn hex_end(bytes: &[u8], start: usize) -> Option<usize> {
    let length = run(bytes, start, u8::is_ascii_alphanumeric);
    let word = bytes.get(start..start + length)?;
    (length >= ID_HEX && word.iter().all(u8::is_ascii_hexdigit) && word.iter().any(u8::is_ascii_digit)).then_some(start + length)
}

/// `2025-03-20` or `2025/03/20`, and the pairs of digits after it (`/06`, `T06:42:33Z`).
fn date_end(bytes: &[u8], start: usize) -> Option<usize> {
    let pair = |at: usize, separators: &[u8]| {
        let joined = bytes.get(at).is_some_and(|b| separators.contains(b));
        (joined && run(bytes, at + 1, u8::is_ascii_digit) == 2).then_some(at + 3)
    };
    let year = (run(bytes, start, u8::is_ascii_digit) == 4).then_some(start + 4)?;
    let mut end = pair(pair(year, b"-/")?, b"-/")?;
    while let Some(next) = pair(end, b"-/T:_ ") {
        end = next;
    }
    Some(if bytes.get(end) == Some(&b'Z') { end + 1 } else { end })
}

/// The words of a name: `[a-z]+[0-9]*` of it in lower case, but not 4 or more hex digits.
pub(crate) fn tokens(name: &str) -> BTreeSet<String> {
    let lower = name.to_lowercase();
    let bytes = lower.as_bytes();
    let mut found = BTreeSet::new();
    let mut at = 0;
    while at < bytes.len() {
        let letters = run(bytes, at, u8::is_ascii_lowercase);
        if letters == 0 {
            at += 1;
            continue;
        }
        let end = at + letters + run(bytes, at + letters, u8::is_ascii_digit);
        let token = lower.get(at..end).unwrap_or_default();
        if token.len() < TOKEN_HEX || !token.bytes().all(|b| b.is_ascii_hexdigit()) {
            found.insert(token.to_owned());
        }
        at = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{generalise, tokens};
    use std::borrow::Cow;

    #[test]
    fn ids_and_dates_become_one_name() {
        for (name, general) in [
            ("statistics-raw", "statistics-raw"),
            ("books-v2", "books-v2"),
            ("orders-2024", "orders-#"),
            ("orders2024", "orders#"),
            ("eu-west-1", "eu-west-1"),
            ("arn:aws:s3:::my-bucket", "arn:aws:s3:::my-bucket"),
            ("queue-218007301253-eu", "queue-#-eu"),
            ("year=2025/month=03/day=20/part-7", "year=#/month=#/day=#/part-7"),
            ("raw/2025/03/20/06/events", "raw/#/events"),
            ("raw-2025-03-20", "raw-#"),
            ("raw-20250320.csv", "raw-#.csv"),
            ("at 2025-03-20T06:42:33Z done", "at # done"),
            ("2025-03-200", "#-03-200"),
            ("2025/03/20/[$LATEST]9f86d081884c7d659a2feaa0c55ad015", "#/[$LATEST]#"),
            ("job/6ba7b810-9dad-11d1-80b4-00c04fd430c8/out", "job/#/out"),
            ("6BA7B810-9DAD-11D1-80B4-00C04FD430C8", "#"),
            ("deadbeef", "deadbeef"),
            ("deadbee1", "#"),
            ("defaced-facade", "defaced-facade"),
            ("user/ab12cd34", "user/#"),
            ("abg1234def", "abg#def"),
            ("v123", "v123"),
            ("über-12345-ñ", "über-#-ñ"),
            ("é12345", "é#"),
            ("", ""),
            ("#", "#"),
        ] {
            assert_eq!(generalise(name), general, "{name}");
        }
        assert!(matches!(generalise("statistics-raw"), Cow::Borrowed(_)));
    }

    #[test]
    fn tokens_are_words_with_their_numbers() {
        let of = |name: &str| tokens(name).into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(of("Shop-Orders-Table"), "orders shop table");
        assert_eq!(of("shopCartV2"), "shopcartv2");
        assert_eq!(of("mail-queue-#"), "mail queue");
        assert_eq!(of("x91-1a-abcd-abc-dead1-9f"), "a abc f x91");
        assert_eq!(of("12 34"), "");
        assert_eq!(of("İstanbul"), "i stanbul");
    }

    proptest::proptest! {
        #[test]
        fn any_name_is_read(name in ".{0,60}") {
            let general = generalise(&name);
            proptest::prop_assert!(general.len() <= name.len());
            tokens(&name);
        }

        #[test]
        fn words_without_digits_stay(name in "[a-zA-Z/_.:-]{0,40}") {
            proptest::prop_assert_eq!(generalise(&name), name.as_str());
        }
    }
}
