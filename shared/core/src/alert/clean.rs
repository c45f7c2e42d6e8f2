//! Hostile text made fit for a terminal.
//!
//! The attacks: escape sequences that move the cursor, set the title or the clipboard; control characters and line breaks
//! that forge lines; marks of direction that turn a name around ("Trojan Source", CVE-2021-42574); characters without width
//! that hide a difference or pile up over other lines. All of it is left out, also where a script needs combining marks:
//! names in AWS are ASCII, and a name that lost an accent is still found. Deliberately absent: a judgement of look-alikes,
//! and of letters that are written from right to left, which are letters.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Chars;

use unicode_width::UnicodeWidthChar;

/// Characters of an escape sequence that are looked at: longer ones are no sequence, and a name can't hide behind one.
const SEQUENCE_MAX: usize = 4096;

/// The text without escape sequences, control, direction and zero-width characters, with a space for each line break or
/// tab, in at most `max_chars` characters: a longer one is cut and ends in `…`.
pub fn clean(text: &str, max_chars: usize) -> Cow<'_, str> {
    if text.len() <= max_chars && text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    let mut kept = 0;
    while let Some(c) = chars.next() {
        let Some(c) = fit(c, &mut chars) else { continue };
        if kept == max_chars {
            // There is more than fits: the last character makes room for the mark.
            out.pop();
            if max_chars > 0 {
                out.push('…');
            }
            break;
        }
        out.push(c);
        kept += 1;
    }
    Cow::Owned(out)
}

/// What a character becomes; an escape sequence takes what belongs to it.
fn fit(c: char, rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    match c {
        '\u{1b}' => escape(rest),
        '\u{9b}' => control_sequence(rest),
        '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => control_string(rest),
        '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => return Some(' '),
        c if is_visible(c) => return Some(c),
        _ => {}
    }
    None
}

/// Whether a character shows itself, and only itself.
fn is_visible(c: char) -> bool {
    let direction = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let annotation = matches!(c, '\u{fff9}'..='\u{fffb}');
    !direction && !annotation && c.width().is_some_and(|columns| columns > 0)
}

/// After ESC (ECMA-48, section 5).
fn escape(rest: &mut Peekable<Chars<'_>>) {
    match rest.peek() {
        Some('[') => {
            rest.next();
            control_sequence(rest);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            rest.next();
            control_string(rest);
        }
        Some(' '..='/') => {
            while rest.next_if(|c| (' '..='/').contains(c)).is_some() {}
            rest.next_if(|c| ('0'..='~').contains(c));
        }
        Some('0'..='~') => {
            rest.next();
        }
        _ => {}
    }
}

/// Parameters, intermediate characters, a final one.
fn control_sequence(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|c| (' '..='?').contains(c)).is_some() {}
    rest.next_if(|c| ('@'..='~').contains(c));
}

/// Up to BEL or ST. One without an end is none: what follows its introducer is shown.
fn control_string(rest: &mut Peekable<Chars<'_>>) {
    let mut ahead = rest.clone();
    for _ in 0..SEQUENCE_MAX {
        match ahead.next() {
            Some('\u{7}' | '\u{9c}') => {
                *rest = ahead;
                return;
            }
            Some('\u{1b}') if ahead.next_if_eq(&'\\').is_some() => {
                *rest = ahead;
                return;
            }
            Some(_) => {}
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_left() {
        for (text, max, want) in [
            ("author-handler", 20, "author-handler"),
            ("author-handler", 7, "author…"),
            ("", 0, ""),
            ("ab", 0, ""),
            ("ab", 1, "…"),
            ("\u{1b}[31;1mred\u{1b}[0m", 20, "red"),
            ("\u{9b}2Jx", 20, "x"),
            ("a\u{1b}]0;title\u{7}b\u{1b}]52;c;aGk=\u{1b}\\c", 20, "abc"),
            ("a\u{1b}]never ended", 20, "anever ended"),
            ("a\u{1b}(Bb\u{1b}cc\u{1b}", 20, "abc"),
            ("one\r\ntwo\tthree\u{2028}four", 40, "one  two three four"),
            ("ad\u{202e}nimda\u{202c}", 20, "adnimda"),
            ("a\u{200b}b\u{feff}c\u{ad}d\u{301}e\u{e0041}f", 20, "abcdef"),
            ("Bücher-日本", 20, "Bücher-日本"),
            ("\u{0}\u{7}\u{8}\u{7f}\u{80}x", 20, "x"),
        ] {
            assert_eq!(clean(text, max), want, "{text:?}");
        }
        assert_eq!(clean(&"x".repeat(10_000), 10), "xxxxxxxxx…");
    }

    /// The characters that the attacks need, so that a random text is full of them.
    fn hostile() -> impl Strategy<Value = String> {
        let nasty = prop::sample::select(
            "\u{1b}[]P\\;0m\u{7}\u{9b}\u{9d}\u{9c}\n\r\t\u{0}\u{7f}\u{85}\u{202e}\u{2066}\u{200b}\u{200d}\u{feff}\u{2028}\u{301}\u{fe0f}\u{e0041}aé日"
                .chars()
                .collect::<Vec<char>>(),
        );
        prop::collection::vec(prop_oneof![nasty, any::<char>()], 0..60).prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn nothing_hostile_is_left(text in hostile(), max in 0_usize..80) {
            let out = clean(&text, max);
            prop_assert!(out.chars().count() <= max);
            for c in out.chars() {
                prop_assert!(!c.is_control(), "{c:?}");
                prop_assert!(c.width().is_some_and(|w| w > 0), "{c:?}");
                let direction = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
                prop_assert!(!direction.contains(c) && !"\u{2028}\u{2029}".contains(c), "{c:?}");
            }
            prop_assert_eq!(clean(&out, max), out.as_ref(), "cleaning twice changes nothing");
        }
    }
}
