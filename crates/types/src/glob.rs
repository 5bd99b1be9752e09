//! Patterns with `*` and `?`, as they are written for aliases, event types, names and servers.

use std::fmt;

use serde::{Serialize, Serializer};

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Just(char),
    One,
    Any,
}

impl Glob {
    /// Reads a pattern: `*` is any text, `?` any one character, everything else itself.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self { text: pattern.to_owned(), parts: parts(pattern) }
    }

    /// Reads a pattern in which `placeholder` stands for `value` taken literally, or for anything
    /// when there is no value.
    #[must_use]
    pub fn with_placeholder(pattern: &str, placeholder: &str, value: Option<&str>) -> Self {
        let mut all = Vec::new();
        for (index, piece) in pattern.split(placeholder).enumerate() {
            if index > 0 {
                match value {
                    Some(value) => all.extend(value.chars().map(Part::Just)),
                    None => all.push(Part::Any),
                }
            }
            all.extend(parts(piece));
        }
        Self { text: pattern.to_owned(), parts: all }
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the whole text matches. Takes time linear in text × pattern at worst.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at_text, mut at_part) = (0, 0);
        // Where to go on when a literal fails after the last `*`.
        let mut retry: Option<(usize, usize)> = None;
        while let Some(&character) = text.get(at_text) {
            match self.parts.get(at_part) {
                Some(Part::Any) => {
                    retry = Some((at_text, at_part + 1));
                    at_part += 1;
                    continue;
                }
                Some(Part::One) => {
                    at_text += 1;
                    at_part += 1;
                    continue;
                }
                Some(Part::Just(expected)) if *expected == character => {
                    at_text += 1;
                    at_part += 1;
                    continue;
                }
                _ => {}
            }
            let Some((from_text, from_part)) = retry else { return false };
            retry = Some((from_text + 1, from_part));
            at_text = from_text + 1;
            at_part = from_part;
        }
        self.parts.iter().skip(at_part).all(|part| *part == Part::Any)
    }
}

fn parts(pattern: &str) -> Vec<Part> {
    pattern
        .chars()
        .map(|character| match character {
            '*' => Part::Any,
            '?' => Part::One,
            other => Part::Just(other),
        })
        .collect()
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Glob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn matches_as_the_manual_says() {
        for (pattern, text, expected) in [
            ("#*:gnome.org", "#welcome:gnome.org", true),
            ("#*:gnome.org", "#welcome:evil.org", false),
            ("#*:gnome.org", "#welcome:gnome.org.evil", false),
            ("m.poll.*", "m.poll.start", true),
            ("m.poll.*", "m.poll", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("**a**", "bab", true),
            ("*ab", "aab", true),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_placeholder_is_literal_even_if_it_looks_like_a_pattern() {
        let glob = Glob::with_placeholder("#~{localpart}~*:x", "{localpart}", Some("*"));
        assert!(glob.matches("#~*~tea:x"));
        assert!(!glob.matches("#~bob~tea:x"));
        let any = Glob::with_placeholder("#~{localpart}~*:x", "{localpart}", None);
        assert!(any.matches("#~bob~tea:x"));
        assert!(!any.matches("#bob:x"));
    }

    #[test]
    fn many_stars_do_not_blow_up() {
        let glob = Glob::new(&"*a".repeat(60));
        assert!(
            !glob.matches(&"a".repeat(50_000).replace('b', "")[..50].repeat(40).replace('a', "b"))
        );
    }

    proptest! {
        #[test]
        fn agrees_with_the_obvious_recursion(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            fn naive(pattern: &[u8], text: &[u8]) -> bool {
                match (pattern.split_first(), text.split_first()) {
                    (None, None) => true,
                    (Some((b'*', rest)), _) if naive(rest, text) => true,
                    (Some((b'*', _)), Some((_, tail))) => naive(pattern, tail),
                    (Some((b'?', rest)), Some((_, tail))) => naive(rest, tail),
                    (Some((a, rest)), Some((b, tail))) if a == b => naive(rest, tail),
                    _ => false,
                }
            }
            prop_assert_eq!(Glob::new(&pattern).matches(&text), naive(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
