//! Unread counts that were worked out before, so that a sync counts only what is new.

use std::{collections::BTreeMap, sync::Arc};

use moka::sync::Cache;
use ruma::{OwnedUserId, UserId, push::Ruleset};
use vestibule_storage::Stamp;
use vestibule_types::{
    RoomNo,
    limits::{RULESETS_READY_MAX, UNREAD_COUNTS_MAX},
};

use crate::UnreadCounts;

/// The thread of what is in no thread.
pub(crate) const MAIN: &str = "main";

/// What one user has not read in one room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Up to which commit of the room's slot it was counted.
    pub(crate) at: u64,
    /// The push rules it was counted by.
    pub(crate) rules: Stamp,
    /// Since when the user has been in the room.
    pub(crate) member: Stamp,
    /// What is unread, by thread. Threads without anything are not in it.
    pub(crate) by_thread: BTreeMap<String, UnreadCounts>,
}

impl Tally {
    /// All of it.
    pub(crate) fn total(&self) -> UnreadCounts {
        self.by_thread.values().fold(UnreadCounts::default(), |sum, it| UnreadCounts {
            notification_count: sum.notification_count + it.notification_count,
            highlight_count: sum.highlight_count + it.highlight_count,
        })
    }
}

/// What was counted, and the rules it was counted by. All of it can be worked out again.
#[derive(Debug)]
pub(crate) struct Unread {
    tallies: Cache<(OwnedUserId, RoomNo), Arc<Tally>>,
    rules: Cache<OwnedUserId, (Stamp, Arc<Ruleset>)>,
}

impl Default for Unread {
    fn default() -> Self {
        Self { tallies: Cache::new(UNREAD_COUNTS_MAX), rules: Cache::new(RULESETS_READY_MAX) }
    }
}

impl Unread {
    pub(crate) fn get(&self, user: &UserId, room: RoomNo) -> Option<Arc<Tally>> {
        self.tallies.get(&(user.to_owned(), room))
    }

    pub(crate) fn put(&self, user: &UserId, room: RoomNo, tally: Arc<Tally>) {
        self.tallies.insert((user.to_owned(), room), tally);
    }

    /// The rules of a user as of a change of them, parsed once.
    pub(crate) fn rules(
        &self,
        user: &UserId,
        changed: Stamp,
        parse: impl FnOnce() -> Ruleset,
    ) -> Arc<Ruleset> {
        if let Some((at, rules)) = self.rules.get(user)
            && at == changed
        {
            return rules;
        }
        let rules = Arc::new(parse());
        self.rules.insert(user.to_owned(), (changed, Arc::clone(&rules)));
        rules
    }
}
