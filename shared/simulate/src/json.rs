//! Writing JSON objects field by field.
//!
//! AWS writes its fields in a fixed order that a map type would lose, and the same bytes must come out whatever features
//! of the JSON library another crate turns on. Reading is deliberately absent.

/// An object being written.
pub(crate) struct Obj(String);

impl Obj {
    /// An empty object.
    pub(crate) fn new() -> Obj {
        Obj(String::from("{"))
    }

    /// A string field, escaped.
    pub(crate) fn text(self, key: &str, value: &str) -> Obj {
        let value = quote(value);
        self.raw(key, &value)
    }

    /// A field whose value is JSON already: a number, a boolean, `null`, a nested object.
    pub(crate) fn raw(mut self, key: &str, value: &str) -> Obj {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(key);
        self.0.push_str("\":");
        self.0.push_str(value);
        self
    }

    /// A boolean field.
    pub(crate) fn flag(self, key: &str, value: bool) -> Obj {
        self.raw(key, if value { "true" } else { "false" })
    }

    /// The object's text.
    pub(crate) fn done(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// A JSON string with its quotes.
pub(crate) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A JSON list of strings.
pub(crate) fn list(items: &[&str]) -> String {
    let items: Vec<String> = items.iter().map(|item| quote(item)).collect();
    format!("[{}]", items.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_in_order_and_escapes() {
        let inner = Obj::new().flag("on", true).done();
        let text = Obj::new().text("z", "tab\t\"q\"").raw("a", "null").raw("n", &inner).done();
        assert_eq!(text, r#"{"z":"tab\t\"q\"","a":null,"n":{"on":true}}"#);
        assert_eq!((Obj::new().done().as_str(), list(&["a", "b"]).as_str()), ("{}", r#"["a","b"]"#));
    }
}
