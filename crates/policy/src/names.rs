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

/// Appends a suffix unless the name ends with it already, however often that is done.
#[must_use]
pub fn with_suffix(name: &str, suffix: &str) -> String {
    format!("{}{suffix}", without_suffix(name, suffix))
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
        }
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
