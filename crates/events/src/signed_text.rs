//! The canonical form of what another server signed, when it need not be strictly canonical.
//!
//! A request may carry numbers that canonical JSON has no place for, inside events of old rooms or in
//! what users send each other. Its sender signed them as it wrote them, so they are kept as written.

use std::{cmp::Ordering, ops::Range};

use vestibule_types::limits::{SIGNED_DEPTH_MAX, SIGNED_SORT_MAX};

use crate::ContentError;

/// The canonical form of a JSON text: keys sorted, the last of equal keys kept, no white space, strings
/// escaped no more than needed, numbers as they are written. The text must be known to be JSON.
///
/// Nesting is bounded by [`SIGNED_DEPTH_MAX`], the work of sorting by [`SIGNED_SORT_MAX`].
pub fn signed_text(text: &str) -> Result<String, ContentError> {
    let out = String::with_capacity(text.len());
    let sorting_left = text.len().saturating_mul(SIGNED_SORT_MAX);
    let mut writer = Writer { text, at: 0, out, depth: 0, sorting_left };
    writer.value()?;
    writer.skip_space();
    if writer.at != text.len() {
        return Err(malformed());
    }
    Ok(writer.out)
}

struct Writer<'a> {
    text: &'a str,
    at: usize,
    out: String,
    depth: usize,
    /// Bytes that may still be moved to put keys in order.
    sorting_left: usize,
}

/// One entry of an object: where it was written, and its key where that was escaped.
struct Entry {
    whole: Range<usize>,
    key: Range<usize>,
    unescaped: Option<String>,
}

impl Entry {
    fn key<'a>(&'a self, out: &'a str) -> &'a str {
        let written = || out.get(self.key.clone()).unwrap_or_default().trim_matches('"');
        self.unescaped.as_deref().unwrap_or_else(written)
    }
}

impl Writer<'_> {
    fn value(&mut self) -> Result<(), ContentError> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(drop),
            _ => self.word(),
        }
    }

    fn nested(
        &mut self,
        inner: fn(&mut Self) -> Result<(), ContentError>,
    ) -> Result<(), ContentError> {
        self.depth += 1;
        if self.depth > SIGNED_DEPTH_MAX {
            return Err(ContentError::TooDeep);
        }
        self.at += 1;
        inner(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn array(&mut self) -> Result<(), ContentError> {
        self.out.push('[');
        let mut first = true;
        while !self.ends(b']') {
            if !first {
                self.expect(b',')?;
                self.out.push(',');
            }
            first = false;
            self.value()?;
        }
        self.out.push(']');
        Ok(())
    }

    fn object(&mut self) -> Result<(), ContentError> {
        self.out.push('{');
        let start = self.out.len();
        let mut entries: Vec<Entry> = Vec::new();
        let mut in_order = true;
        while !self.ends(b'}') {
            if !entries.is_empty() {
                self.expect(b',')?;
                self.out.push(',');
            }
            let entry = self.entry()?;
            in_order &= entries
                .last()
                .is_none_or(|last| last.key(&self.out).cmp(entry.key(&self.out)) == Ordering::Less);
            entries.push(entry);
        }
        if !in_order {
            self.sort(start, entries)?;
        }
        self.out.push('}');
        Ok(())
    }

    fn entry(&mut self) -> Result<Entry, ContentError> {
        self.skip_space();
        let start = self.out.len();
        let unescaped = self.string()?;
        let key = start..self.out.len();
        self.expect(b':')?;
        self.out.push(':');
        self.value()?;
        Ok(Entry { whole: start..self.out.len(), key, unescaped })
    }

    /// Puts what was written since `start` in the order of its keys.
    fn sort(&mut self, start: usize, mut entries: Vec<Entry>) -> Result<(), ContentError> {
        let moved = self.out.len() - start;
        self.sorting_left = self.sorting_left.checked_sub(moved).ok_or(ContentError::TooDeep)?;
        // Stable: the last of equal keys stays the last.
        entries.sort_by(|a, b| a.key(&self.out).cmp(b.key(&self.out)));
        let mut sorted = String::with_capacity(moved);
        for (index, entry) in entries.iter().enumerate() {
            let next = entries.get(index + 1);
            if next.is_some_and(|next| next.key(&self.out) == entry.key(&self.out)) {
                continue;
            }
            if !sorted.is_empty() {
                sorted.push(',');
            }
            sorted.push_str(self.out.get(entry.whole.clone()).unwrap_or_default());
        }
        self.out.truncate(start);
        self.out.push_str(&sorted);
        Ok(())
    }

    /// Writes a string; returns it when its escapes hide what it says.
    fn string(&mut self) -> Result<Option<String>, ContentError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with('"') {
            return Err(malformed());
        }
        let (mut skipping, mut any) = (false, false);
        let end = rest.bytes().enumerate().skip(1).find_map(|(at, byte)| match byte {
            _ if skipping => {
                skipping = false;
                None
            }
            b'\\' => {
                (skipping, any) = (true, true);
                None
            }
            b'"' => Some(at + 1),
            _ => None,
        });
        let token = end.and_then(|end| rest.get(..end)).ok_or_else(malformed)?;
        self.at += token.len();
        if !any {
            self.out.push_str(token);
            return Ok(None);
        }
        let plain: String = serde_json::from_str(token).map_err(|_| malformed())?;
        self.out.push_str(&serde_json::to_string(&plain).map_err(|_| malformed())?);
        Ok(Some(plain))
    }

    /// Writes a number, `true`, `false` or `null`.
    fn word(&mut self) -> Result<(), ContentError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let of_word = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let end = rest.bytes().position(|byte| !of_word(byte)).unwrap_or(rest.len());
        let word = rest.get(..end).filter(|word| !word.is_empty()).ok_or_else(malformed)?;
        self.out.push_str(word);
        self.at += end;
        Ok(())
    }

    /// Steps over the end of an array or object, if it is here.
    fn ends(&mut self, end: u8) -> bool {
        self.skip_space();
        let ends = self.peek() == Some(end);
        self.at += usize::from(ends);
        ends
    }

    fn expect(&mut self, byte: u8) -> Result<(), ContentError> {
        self.skip_space();
        if self.peek() != Some(byte) {
            return Err(malformed());
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

fn malformed() -> ContentError {
    ContentError::NotCanonical("not JSON".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(signed_text(text).unwrap(), expected);
    }

    #[test]
    fn keys_are_sorted_at_every_level_and_numbers_stay() {
        check(r#" { "b" : 1 , "a" : [ 1.50 , -0 , 1e3 ] } "#, r#"{"a":[1.50,-0,1e3],"b":1}"#);
        check(r#"{"z":{"b":true,"a":null},"y":[]}"#, r#"{"y":[],"z":{"a":null,"b":true}}"#);
        check(r"{}", r"{}");
    }

    #[test]
    fn strings_are_escaped_no_more_than_needed() {
        check(r#"{"\u0061\/":"\u00e9\u000a\u001f\""}"#, "{\"a/\":\"é\\n\\u001f\\\"\"}");
        check("{\"日\":1,\"本\":2}", "{\"日\":1,\"本\":2}");
    }

    #[test]
    fn escaped_keys_are_sorted_by_what_they_say() {
        check(r#"{"\u0062":1,"a":2}"#, r#"{"a":2,"b":1}"#);
        check(r##"{"#\"":1,"!":2,"\"":3}"##, r##"{"!":2,"\"":3,"#\"":1}"##);
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        check(r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn agrees_with_strictly_canonical_json() {
        let text = r#"{"b":[{"y":"\t","x":-12}],"a":{"\ud83d\ude00":false,"":"\\"}}"#;
        let strict: ruma::CanonicalJsonObject = serde_json::from_str(text).unwrap();
        check(text, &serde_json::to_string(&strict).unwrap());
    }

    #[test]
    fn hostile_texts_end_soon() {
        let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert!(matches!(signed_text(&deep), Err(ContentError::TooDeep)));
        let level = |inner: String| format!(r#"{{"b":{inner},"a":0}}"#);
        let unsorted = (0..SIGNED_DEPTH_MAX).fold("0".to_owned(), |inner, _| level(inner));
        assert!(matches!(signed_text(&unsorted), Err(ContentError::TooDeep)));
        for broken in ["{", "{\"a\"", "{\"a\":}", "[1 2]", "\"", "", "{\"a\":1}x", "{1:2}"] {
            assert!(signed_text(broken).is_err(), "{broken}");
        }
    }
}
