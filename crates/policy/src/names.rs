//! Names people show: the server's suffix, protected names, reserved localparts.

use ruma::ServerName;
use vestibule_types::ClassName;

use crate::{Denial, Policy, Reason, Subject, skeleton::skeleton};

/// What every guest's localpart begins with. Reserved against everybody else.
pub const GUEST_LOCALPART_PREFIX: &str = "guest-";

/// The compiled list of protected display names.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameGuard {
    skeletons: Vec<String>,
}

impl NameGuard {
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self { skeletons: names.into_iter().map(bare_skeleton).collect() }
    }

    fn protects(&self, name: &str) -> bool {
        let bare = bare_skeleton(name);
        !bare.is_empty() && self.skeletons.contains(&bare)
    }
}

/// The skeleton of a name's letters and digits: spaces and ornaments do not make another name.
fn bare_skeleton(name: &str) -> String {
    skeleton(name).chars().filter(|character| character.is_alphanumeric()).collect()
}

/// Appends a suffix unless the name ends with it already, however often that is done. What could
/// turn the suffix round, or push it out of sight, is left out of the name.
#[must_use]
pub fn with_suffix(name: &str, suffix: &str) -> String {
    format!("{}{suffix}", bare_name(name, suffix))
}

/// What somebody is called who chose `name`, or nothing: with a suffix, once, and never by the
/// suffix alone.
#[must_use]
pub fn shown_name(name: Option<&str>, localpart: &str, suffix: &str) -> String {
    let bare = bare_name(name.unwrap_or_default(), suffix);
    let seen = !skeleton(&bare).is_empty();
    format!("{}{suffix}", if seen { &bare } else { localpart })
}

/// The name without the suffix, and tidy.
fn bare_name(name: &str, suffix: &str) -> String {
    let mut bare = name.to_owned();
    // Every round but the last makes it shorter, or only spaces of it plain ones.
    loop {
        let next = tidy(without_suffix(&bare, suffix));
        if next == bare {
            return bare;
        }
        bare = next;
    }
}

/// The name on one line, from left to right as it was written: without characters that steer the
/// text, and with single spaces.
fn tidy(name: &str) -> String {
    let mut tidy = String::with_capacity(name.len());
    let mut gap = false;
    for character in name.chars() {
        if is_blank(character) {
            gap = true;
        } else if !(steers(character) || (gap && is_joiner(character))) {
            if gap && !tidy.is_empty() {
                tidy.push(' ');
            }
            gap = false;
            tidy.push(character);
        }
    }
    tidy
}

/// Characters that show as a space.
fn is_blank(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}')
}

/// Characters that join the ones beside them, and between spaces only keep these apart.
fn is_joiner(character: char) -> bool {
    matches!(character, '\u{200c}' | '\u{200d}')
}

/// Characters that are not shown and act on the text around them.
fn steers(character: char) -> bool {
    turns(character)
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2060}'
                ..='\u{206f}' | '\u{feff}'
        )
}

/// Characters that turn what follows round, or break the line. No name needs them.
fn turns(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// The name without the suffix, however often it was appended.
fn without_suffix<'a>(name: &'a str, suffix: &str) -> &'a str {
    let mut name = name;
    if suffix.is_empty() {
        return name;
    }
    while let Some(shorter) = name.strip_suffix(suffix) {
        name = shorter;
    }
    name
}

impl Policy {
    /// The display name an account of that class gets when it asks for `name`: with the class's
    /// suffix, once.
    #[must_use]
    pub fn display_name(&self, class: &ClassName, name: &str) -> String {
        match self.class(class).and_then(|class| class.name_suffix.as_deref()) {
            Some(suffix) => with_suffix(name, suffix),
            None => name.to_owned(),
        }
    }

    /// Whether a low-trust account may not call itself that: a protected name or one that looks
    /// like it, with or without the suffix, or a user id.
    pub(crate) fn name_is_protected(&self, class: &ClassName, name: &str) -> bool {
        let Some(class) = self.class(class) else { return true };
        if !class.is_low_trust() {
            return false;
        }
        let bare = without_suffix(name, class.name_suffix.as_deref().unwrap_or_default());
        self.names.protects(bare) || self.names.protects(name) || looks_like_a_user_id(bare)
    }

    /// Whether a low-trust account chose a name that hides what it is by turning or breaking text.
    pub(crate) fn name_is_disguised(&self, class: &ClassName, name: &str) -> bool {
        self.class(class).is_none_or(crate::Class::is_low_trust) && name.chars().any(turns)
    }

    /// Whether an application service may act as this account, in whose namespace it lies.
    pub fn may_masquerade(&self, target: &Subject) -> Result<(), Denial> {
        let refused = target.is_spec_guest
            || self.class(&target.class).is_none_or(crate::Class::is_guest_like)
            || target.class.as_str() == ClassName::SYSTEM;
        if refused {
            let what = "an account that is neither a guest nor the server's own";
            return Err(Denial::new(Reason::MasqueradeRefused, false, what));
        }
        Ok(())
    }
}

/// `@somebody:server` as a display name passes for that somebody.
fn looks_like_a_user_id(name: &str) -> bool {
    let name = name.trim();
    name.starts_with('@')
        && name.split_once(':').is_some_and(|(_, server)| <&ServerName>::try_from(server).is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_suffix_is_appended_once(name in ".{0,20}", times in 1_usize..5) {
            let mut shown = name.clone();
            for _ in 0..times {
                shown = with_suffix(&shown, " (guest)");
            }
            prop_assert_eq!(&shown, &with_suffix(&name, " (guest)"));
            prop_assert!(shown.ends_with(" (guest)"));
            prop_assert!(!shown.ends_with(" (guest) (guest)"));
            prop_assert!(!shown.chars().any(turns));
            prop_assert!(!shown.contains("  "));
        }
    }

    #[test]
    fn nothing_in_a_name_turns_its_suffix_round_or_pushes_it_away() {
        for (name, shown) in [
            ("\u{202e}enimda", "enimda (guest)"),
            ("Bob\u{2066}", "Bob (guest)"),
            ("a\nb", "a b (guest)"),
            ("  Bob   Smith \u{3000}\u{2800}\u{200d} \u{3164}", "Bob Smith (guest)"),
            ("Ada (\u{202e}guest)", "Ada (guest)"),
            ("👩\u{200d}🚒", "👩\u{200d}🚒 (guest)"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم (guest)"),
            ("\u{2067}\u{200f} \u{200b}\u{200d}", "guest-abc (guest)"),
            (" (guest)", "guest-abc (guest)"),
        ] {
            assert_eq!(shown_name(Some(name), "guest-abc", " (guest)"), shown, "{name:?}");
        }
        assert_eq!(shown_name(None, "guest-abc", " (guest)"), "guest-abc (guest)");
    }

    #[test]
    fn look_alikes_of_a_protected_name_are_protected() {
        let guard = NameGuard::new(["support", "Server Notices"]);
        for name in ["support", "Support!", "ѕuррοrt", "s u p p o r t", "server-notices"] {
            assert!(guard.protects(name), "{name}");
        }
        for name in ["supporter", "Ada", "", "  ", "!!"] {
            assert!(!guard.protects(name), "{name}");
        }
    }

    #[test]
    fn a_user_id_is_not_a_display_name() {
        assert!(looks_like_a_user_id("@ada:example.org"));
        assert!(!looks_like_a_user_id("@ada"));
        assert!(!looks_like_a_user_id("ada: hello"));
    }
}
