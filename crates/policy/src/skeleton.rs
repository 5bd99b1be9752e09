//! What a text looks like: two texts that can be mistaken for each other have the same skeleton.

use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton as confusable_skeleton;

use vestibule_types::Glob;

/// The skeleton of a text: compatibility forms, case and look-alikes folded, what is not seen left
/// out.
pub(crate) fn skeleton(text: &str) -> String {
    let folded = fold(text);
    // Folding once more catches look-alikes of capital letters.
    fold(&confusable_skeleton(&folded).collect::<String>())
}

fn fold(text: &str) -> String {
    text.nfkc()
        .flat_map(char::to_lowercase)
        .filter(|character| !is_unseen(*character))
        .nfc()
        .collect()
}

/// Characters that leave no mark of their own, and so cannot tell two names apart.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// The pattern over skeletons that a pattern over texts means.
pub(crate) fn skeleton_glob(pattern: &str) -> Glob {
    let mut text = String::new();
    let mut literal = String::new();
    for character in pattern.chars() {
        if matches!(character, '*' | '?') {
            text.push_str(&skeleton(&literal));
            literal.clear();
            text.push(character);
        } else {
            literal.push(character);
        }
    }
    text.push_str(&skeleton(&literal));
    Glob::new(&text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn look_alikes_share_a_skeleton() {
        for (a, b) in [
            ("support", "Support"),
            ("support", "ѕuррοrt"),
            ("support", "sup\u{200b}port"),
            ("support", "ｓｕｐｐｏｒｔ"),
            ("security", "ѕесurity"),
            ("admin", "ADMIN"),
            ("admin", "аdmin"),
            ("modern", "modem"),
        ] {
            assert_eq!(skeleton(a), skeleton(b), "{a} {b}");
        }
    }

    #[test]
    fn different_names_keep_different_skeletons() {
        assert_ne!(skeleton("support"), skeleton("sport"));
        assert_ne!(skeleton("welcome"), skeleton("welcom"));
    }

    #[test]
    fn a_pattern_keeps_its_wildcards() {
        let glob = skeleton_glob("*Support*");
        assert!(glob.matches(&skeleton("my-ѕuррοrt-room")));
        assert!(!glob.matches(&skeleton("my-sport-room")));
    }

    proptest! {
        #[test]
        fn a_literal_pattern_matches_itself(text in "[^*?]{0,30}") {
            prop_assert!(skeleton_glob(&text).matches(&skeleton(&text)));
        }
    }
}
