//! Where JSON values begin and end, without reading them.
//!
//! Broken records must not cost their neighbours, and a file of 50 MB must not become a tree: so elements are found
//! here, aware of strings and without recursion, and each is parsed on its own. There is deliberately no check that
//! what is skipped is valid: whoever needs it parses it.

use super::reject::RejectReason;

/// The first position at or after `pos` that is no white space.
pub(super) fn skip_space(text: &str, pos: usize) -> usize {
    let rest = text.as_bytes().get(pos..).unwrap_or_default();
    pos + rest.iter().take_while(|b| b.is_ascii_whitespace()).count()
}

/// The byte at `pos`, or 0 behind the end.
pub(super) fn byte(text: &str, pos: usize) -> u8 {
    text.as_bytes().get(pos).copied().unwrap_or(0)
}

/// The position after the string that opens at `pos`; nothing where it doesn't end.
pub(super) fn skip_string(bytes: &[u8], pos: usize) -> Option<usize> {
    let mut at = pos + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

/// The position after the value that begins at `pos`; nothing where the text ends first, or `limit` bytes are over.
pub(super) fn skip_value(text: &str, pos: usize, limit: usize) -> Option<usize> {
    let end = text.len().min(pos.saturating_add(limit));
    let bytes = text.as_bytes().get(..end)?;
    let mut depth = 0_usize;
    let mut at = pos;
    loop {
        match *bytes.get(at)? {
            b'"' => {
                at = skip_string(bytes, at)?;
                if depth == 0 {
                    return Some(at);
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return Some(if depth == 0 { at } else { at + 1 }),
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return Some(at),
            b if depth == 0 && b.is_ascii_whitespace() => return Some(at),
            _ => {}
        }
        at += 1;
        // A bare scalar may end with the text.
        if depth == 0 && at == text.len() {
            return Some(at);
        }
    }
}

/// What follows in an object.
#[derive(Debug, PartialEq)]
pub(super) enum Member<'a> {
    /// A key and where its value begins.
    Key(&'a str, usize),
    /// The object is over; the position behind it.
    End(usize),
    /// No JSON, or its end.
    Broken,
}

/// The next key of an object, from a position behind `{` or behind a value. Keys with escapes are given as they stand:
/// none that we look for has one.
pub(super) fn member(text: &str, pos: usize) -> Member<'_> {
    let mut at = skip_space(text, pos);
    while byte(text, at) == b',' {
        at = skip_space(text, at + 1);
    }
    match byte(text, at) {
        b'}' => return Member::End(at + 1),
        b'"' => {}
        _ => return Member::Broken,
    }
    let Some(end) = skip_string(text.as_bytes(), at) else { return Member::Broken };
    let Some(key) = text.get(at + 1..end - 1) else { return Member::Broken };
    let colon = skip_space(text, end);
    if byte(text, colon) != b':' {
        return Member::Broken;
    }
    let value = skip_space(text, colon + 1);
    if value >= text.len() { Member::Broken } else { Member::Key(key, value) }
}

/// The inside of a string without its escapes. Nothing where one is unknown or needs a second look (surrogate pairs).
pub(super) fn unescape<'b>(raw: &str, buffer: &'b mut String) -> Option<&'b str> {
    buffer.clear();
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        buffer.push_str(rest.get(..at)?);
        let mut taken = 2;
        buffer.push(match byte(rest, at + 1) {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            c @ (b'"' | b'\\' | b'/') => char::from(c),
            b'u' => {
                taken = 6;
                let hex = rest.get(at + 2..at + 6).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
                char::from_u32(u32::from_str_radix(hex, 16).ok()?)?
            }
            _ => return None,
        });
        rest = rest.get(at + taken..)?;
    }
    buffer.push_str(rest);
    Some(buffer)
}

/// An element with what JSON forbids but logs contain made legal: control characters inside strings, and halves of
/// surrogate pairs. Of keys that stand twice, the last counts. A reason where it is broken otherwise.
pub(super) fn mend(element: &str) -> Result<String, RejectReason> {
    // The library tells the limit by its text alone.
    let reason = |e: serde_json::Error| match e.to_string().starts_with("recursion limit") {
        true => RejectReason::TooDeep,
        false => RejectReason::Syntax,
    };
    let mut value: serde_json::Value = serde_json::from_str(&legal(element)).map_err(reason)?;
    drop_twins(&mut value);
    Ok(value.to_string())
}

/// Spellings of one field of which a record may have both.
const TWINS: [(&str, &str); 3] = [("eventID", "eventId"), ("ARN", "arn"), ("tableName", "TableName")];

fn drop_twins(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(map) => {
            for (kept, dropped) in TWINS {
                if map.contains_key(kept) {
                    map.remove(dropped);
                }
            }
            map.values_mut().for_each(drop_twins);
        }
        serde_json::Value::Array(all) => all.iter_mut().for_each(drop_twins),
        _ => {}
    }
}

fn legal(element: &str) -> String {
    let mut out = String::with_capacity(element.len() + 16);
    let mut in_string = false;
    let mut rest = element;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '"' => in_string = !in_string,
            '\\' if in_string => {
                taken = escape(rest, &mut out);
                rest = rest.get(taken..).unwrap_or_default();
                continue;
            }
            c if in_string && c < ' ' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
                rest = rest.get(taken..).unwrap_or_default();
                continue;
            }
            _ => {}
        }
        out.push_str(rest.get(..taken).unwrap_or_default());
        rest = rest.get(taken..).unwrap_or_default();
    }
    out
}

/// Copies the escape at the start of `rest`, a lone half of a surrogate pair as the replacement character; returns its
/// length.
fn escape(rest: &str, out: &mut String) -> usize {
    let half = |at: usize| {
        let hex = rest.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(hex, 16).ok()
    };
    match (half(0), half(6)) {
        (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => {
            out.push_str(rest.get(..12).unwrap_or_default());
            12
        }
        (Some(0xD800..=0xDFFF), _) => {
            out.push_str("\\ufffd");
            6
        }
        _ => {
            let taken = 1 + rest.chars().nth(1).map_or(0, char::len_utf8);
            out.push_str(rest.get(..taken).unwrap_or_default());
            taken
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_end_where_they_end() {
        for (text, end) in [
            (r#"{"a":"}]\"","b":[1,{}]} x"#, Some(23)),
            (r#""a\\" ,"#, Some(5)),
            ("12,3", Some(2)),
            ("true", Some(4)),
            ("]", Some(0)),
            (r#"{"a":[}"#, None),
            (r#"{"a":"#, None),
            (r#""a\"#, None),
            ("", None),
        ] {
            assert_eq!(skip_value(text, 0, usize::MAX), end, "{text}");
        }
        assert_eq!(skip_value("[1,2,3]", 0, 4), None);
    }

    #[test]
    fn mends_what_logs_contain() {
        assert_eq!(mend("{\"a\":\"x\ty\\ud83d!\",\"a\":\"\\ud83d\\ude00\u{7}\"}").unwrap(), "{\"a\":\"\u{1f600}\\u0007\"}");
        assert_eq!(mend(r#"{"eventID":"1","eventId":"2","x":"\ud83d"}"#).unwrap(), "{\"eventID\":\"1\",\"x\":\"\u{fffd}\"}");
        assert!(mend("{\"a\":tru}").is_err());
    }

    proptest! {
        #[test]
        fn a_valid_value_is_skipped_whole(text in r#"[ -~é\n]{0,20}"#, n in any::<u32>()) {
            let value = serde_json::json!({ "k": text, "n": [n, { "e": null }] }).to_string();
            prop_assert_eq!(skip_value(&format!("{value},1"), 0, usize::MAX), Some(value.len()));
            prop_assert_eq!(mend(&value), Ok(value));
        }

        #[test]
        fn unescapes_as_the_parser_does(raw in r#"([ -!#-\[\]-~é]|\\[nrtbf/"\\ux]|\\u00[0-9a-fA-F]{2}|\\ud83d){0,12}"#) {
            let mut buffer = String::new();
            if let Some(text) = unescape(&raw, &mut buffer) {
                let quoted = format!("\"{raw}\"");
                let parsed: Option<String> = serde_json::from_str(&quoted).ok();
                prop_assert_eq!(parsed.as_deref(), Some(text));
            }
        }

        #[test]
        fn never_panics(text in ".{0,60}", pos in 0_usize..70) {
            skip_value(&text, pos, 50);
            member(&text, pos);
            let _ = mend(&text);
        }
    }
}
