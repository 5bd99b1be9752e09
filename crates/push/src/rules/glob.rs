//! Glob patterns (appendices, "Glob-style matching"): `*` for any text, `?` for one letter.
//!
//! A pattern is a set of states, one bit each; a letter of the text moves all of them at once. Nothing
//! is ever tried again, so a hostile pattern costs no more than a harmless one.

use std::borrow::Cow;

use vestibule_types::limits::PUSH_PATTERN_LETTERS_MAX;

const _: () = assert!(PUSH_PATTERN_LETTERS_MAX < 128, "a state is a bit of a u128");

/// A pattern with wildcards.
struct Glob {
    /// What each letter moves on.
    letters: Vec<(char, u128)>,
    any: u128,
    stars: u128,
    end: u128,
}

/// Whether a pattern matches all of a value. Case plays no part.
pub(super) fn matches_value(pattern: &str, value: &str) -> bool {
    if pattern.is_ascii() && value.is_ascii() && !has_wildcards(pattern) {
        return pattern.eq_ignore_ascii_case(value);
    }
    let (pattern, value) = (small(pattern), small(value));
    if !has_wildcards(&pattern) {
        return pattern == value;
    }
    Glob::parse(&pattern).is_some_and(|glob| glob.matches_value(&value))
}

/// Whether a pattern matches a part of a text that begins and ends at word boundaries. Case plays no
/// part; the text is in small letters already.
pub(super) fn matches_words(pattern: &str, text: &str) -> bool {
    let pattern = small(pattern);
    if !has_wildcards(&pattern) {
        return has_words(&pattern, text);
    }
    Glob::parse(&pattern).is_some_and(|glob| glob.matches_words(text))
}

/// Whether some words are in a text, as they stand. Case plays no part; the text is in small letters
/// already.
pub(super) fn contains_words(words: &str, text: &str) -> bool {
    has_words(&small(words), text)
}

/// A text in small letters.
fn small(text: &str) -> Cow<'_, str> {
    let is_small = text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if is_small { Cow::Borrowed(text) } else { Cow::Owned(text.to_lowercase()) }
}

fn has_wildcards(pattern: &str) -> bool {
    pattern.bytes().any(|byte| matches!(byte, b'*' | b'?'))
}

fn has_words(words: &str, text: &str) -> bool {
    if words.is_empty() {
        return text.is_empty();
    }
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find(words)) {
        let start = from + found;
        if is_boundary_at(text, start) && is_boundary_at(text, start + words.len()) {
            return true;
        }
        let Some(letter) = text.get(start..).and_then(|rest| rest.chars().next()) else { break };
        from = start + letter.len_utf8();
    }
    false
}

fn is_boundary_at(text: &str, at: usize) -> bool {
    let (Some(before), Some(after)) = (text.get(..at), text.get(at..)) else { return false };
    is_boundary(before.chars().next_back(), after.chars().next())
}

/// Whether a word may begin or end between two letters; `None` is an end of the text.
fn is_boundary(before: Option<char>, after: Option<char>) -> bool {
    let in_word = |letter: Option<char>| {
        letter.is_some_and(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    !(in_word(before) && in_word(after))
}

impl Glob {
    /// `None` for a pattern that is too long to be one.
    fn parse(pattern: &str) -> Option<Self> {
        let mut glob = Self { letters: Vec::new(), any: 0, stars: 0, end: 1 };
        for letter in pattern.chars() {
            let here = glob.end;
            match letter {
                // Two stars say no more than one.
                '*' if glob.stars & (here >> 1) != 0 => continue,
                '*' => glob.stars |= here,
                '?' => glob.any |= here,
                letter => match glob.letters.iter_mut().find(|(known, _)| *known == letter) {
                    Some((_, places)) => *places |= here,
                    None => glob.letters.push((letter, here)),
                },
            }
            glob.end = here.checked_mul(2)?;
        }
        Some(glob)
    }

    /// A star also stands for nothing.
    fn with_empty_stars(&self, states: u128) -> u128 {
        states | ((states & self.stars) << 1)
    }

    fn step(&self, states: u128, letter: char) -> u128 {
        let known = self.letters.iter().find(|(known, _)| *known == letter);
        let places = known.map_or(0, |(_, places)| *places) | self.any;
        self.with_empty_stars(((states & places) << 1) | (states & self.stars))
    }

    fn matches_value(&self, value: &str) -> bool {
        let begin = self.with_empty_stars(1);
        value.chars().fold(begin, |states, letter| self.step(states, letter)) & self.end != 0
    }

    fn matches_words(&self, text: &str) -> bool {
        let begin = self.with_empty_stars(1);
        let (mut states, mut before) = (0, None);
        for letter in text.chars() {
            if is_boundary(before, Some(letter)) {
                if states & self.end != 0 {
                    return true;
                }
                states |= begin;
            }
            states = self.step(states, letter);
            before = Some(letter);
        }
        (states | if before.is_none() { begin } else { 0 }) & self.end != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_matched_whole_and_without_regard_to_case() {
        for (pattern, value, expected) in [
            ("lunc?*", "Lunch plans", true),
            ("lunc?*", "LUNCH", true),
            ("lunc?*", " lunch", false),
            ("lunc?*", "lunc", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("a**b", "a---b", true),
            ("?", "ä", true),
            ("?", "", false),
            ("a.c", "abc", false),
        ] {
            assert_eq!(matches_value(pattern, value), expected, "{pattern} against {value}");
        }
    }

    #[test]
    fn words_are_matched_at_their_boundaries() {
        for (pattern, text, expected) in [
            ("ex*ple", "an example event.", true),
            ("ex*ple", "exple", true),
            ("ex*ple", "an exciting triple-whammy", true),
            ("ex*ple", "examples", false),
            ("cake", "piece of cake", true),
            ("cake", "cakes", false),
            ("cake", "pancake", false),
            ("cake", "cake_x", false),
            ("cake", "so:cake!", true),
            ("cake", "cakecake cake", true),
            ("c?ke", "a coke", true),
            ("c?ke", "cooke", false),
            ("*", "", true),
            ("*", "anything", true),
            ("", "", true),
            ("", "x", false),
            // A letter beyond ASCII is no part of a word.
            ("ä", "bäb", true),
            ("@room", "hello @room", true),
            ("a b", "xa b a b", true),
        ] {
            assert_eq!(matches_words(pattern, text), expected, "{pattern} against {text}");
        }
    }

    #[test]
    fn names_are_taken_as_they_stand() {
        assert!(contains_words("A*", "say a* loud"));
        assert!(!contains_words("A*", "say abc loud"));
    }

    #[test]
    fn a_pattern_of_any_length_and_shape_is_cheap() {
        let text = "aa ".repeat(20_000);
        assert!(!matches_words("a", &text));
        assert!(!matches_words(&"a*".repeat(60), &"b".repeat(60_000)));
        assert!(!matches_words(&"?".repeat(60_000), &text));
        assert!(!matches_value(&"*a".repeat(60), &"b".repeat(60_000)));
    }

    #[test]
    fn the_longest_pattern_is_one() {
        let longest = "?".repeat(PUSH_PATTERN_LETTERS_MAX);
        assert!(matches_value(&longest, &"x".repeat(PUSH_PATTERN_LETTERS_MAX)));
        assert!(!matches_value(&format!("{longest}?"), &"x".repeat(PUSH_PATTERN_LETTERS_MAX + 1)));
    }
}
