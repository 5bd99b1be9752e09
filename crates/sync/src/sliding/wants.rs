//! What is wanted of a room, put together from everything of a request that it fits.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use ruma::UserId;
use vestibule_storage::tables::sliding::StoredWants;
use vestibule_types::limits::SYNC_TIMELINE_MAX;

use super::request::Details;

const MEMBER: &str = "m.room.member";
const ANY: &str = "*";
const ME: &str = "$ME";
const LAZY: &str = "$LAZY";

/// State that is wanted: event types with state keys. `*` is any, `$ME` the user, and of members
/// `$LAZY` are those the client needs to show the timeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    /// Tells different ones apart.
    pub(crate) id: u64,
    pairs: BTreeSet<(String, String)>,
}

/// Which state events to read for it.
pub(crate) enum Selector<'a> {
    /// The event of a type and state key.
    One(&'a str, &'a str),
    /// All of a type.
    OfType(&'a str),
    /// All, to be asked one by one.
    All,
}

impl Wants {
    fn new(pairs: BTreeSet<(String, String)>) -> Self {
        let mut hasher = DefaultHasher::new();
        pairs.hash(&mut hasher);
        Self { id: hasher.finish(), pairs }
    }

    /// Whether everything wanted here is wanted by another.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.pairs.is_subset(&other.pairs)
    }

    pub(crate) fn stored(&self) -> StoredWants {
        StoredWants { id: self.id, pairs: self.pairs.iter().cloned().collect() }
    }

    pub(crate) fn of_stored(stored: StoredWants) -> Self {
        Self { id: stored.id, pairs: stored.pairs.into_iter().collect() }
    }

    /// Whether members are shown as the timeline needs them.
    pub(crate) fn is_lazy(&self) -> bool {
        self.pairs.iter().any(|(kind, key)| kind == MEMBER && key == LAZY)
    }

    /// Whether an event of a type and state key is wanted for itself.
    pub(crate) fn takes(&self, kind: &str, key: &str, me: &UserId) -> bool {
        let only_by_type = kind == MEMBER && self.is_lazy();
        self.pairs.iter().any(|(wanted, wanted_key)| {
            let fits = wanted == kind || (wanted == ANY && !only_by_type);
            let key_fits = match wanted_key.as_str() {
                ANY => true,
                ME => key == me,
                exact => key == exact,
            };
            fits && key_fits
        })
    }

    /// What to read to find all of it, lazy members apart.
    pub(crate) fn selectors<'a>(&'a self, me: &'a UserId) -> Vec<Selector<'a>> {
        if self.pairs.iter().any(|(kind, _)| kind == ANY) {
            return vec![Selector::All];
        }
        let wanted = self.pairs.iter().filter(|(kind, key)| !(kind == MEMBER && key == LAZY));
        let selectors = wanted.map(|(kind, key)| match key.as_str() {
            ANY => Selector::OfType(kind),
            ME => Selector::One(kind, me.as_str()),
            key => Selector::One(kind, key),
        });
        selectors.collect()
    }
}

/// What is wanted of a room.
#[derive(Clone, Debug, Default)]
pub(crate) struct RoomWants {
    pub(crate) state: Arc<Wants>,
    /// How many of the newest events.
    pub(crate) timeline: usize,
}

impl RoomWants {
    /// Everything that any of these asks for.
    pub(crate) fn together<'a>(details: impl Iterator<Item = &'a Details>) -> Self {
        let mut pairs = BTreeSet::new();
        let mut timeline = 0;
        for wanted in details {
            pairs.extend(wanted.required_state.iter().cloned());
            timeline = timeline.max(wanted.timeline_limit);
        }
        let timeline = usize::try_from(timeline).unwrap_or(usize::MAX).min(SYNC_TIMELINE_MAX);
        Self { state: Arc::new(Wants::new(pairs)), timeline }
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    fn wants(pairs: &[(&str, &str)]) -> Wants {
        Wants::new(pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect())
    }

    #[test]
    fn stars_and_the_user_stand_for_what_they_say() {
        let me = user_id!("@me:a");
        let wanted = wants(&[("m.room.name", ""), ("m.space.child", "*"), (MEMBER, "$ME")]);
        assert!(wanted.takes("m.room.name", "", me));
        assert!(!wanted.takes("m.room.topic", "", me));
        assert!(wanted.takes("m.space.child", "!a:b", me));
        assert!(wanted.takes(MEMBER, "@me:a", me));
        assert!(!wanted.takes(MEMBER, "@you:a", me));
        assert!(wants(&[("*", "")]).takes("m.room.topic", "", me));
        assert!(wants(&[("*", "*")]).takes(MEMBER, "@you:a", me));
    }

    #[test]
    fn lazy_members_are_not_among_everything() {
        let me = user_id!("@me:a");
        let wanted = wants(&[("*", "*"), (MEMBER, "$LAZY")]);
        assert!(wanted.is_lazy());
        assert!(wanted.takes("m.room.name", "", me));
        assert!(!wanted.takes(MEMBER, "@you:a", me));
    }
}
