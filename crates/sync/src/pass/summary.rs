//! Who is in a room, in few words.

use ruma::OwnedUserId;
use vestibule_storage::{
    StorageError,
    tables::room::{MEMBER_BY_ROOM, MEMBER_COUNT, StoredMembership},
};
use vestibule_types::{EventNo, limits::HEROES_SCAN_MAX};

use super::Sight;
use crate::response::Summary;

/// How many members a room without a name is named after.
const HEROES: usize = 5;

impl Sight<'_> {
    /// How many are in the room, and whom to name it after when it has no name.
    pub(super) fn summary(&self) -> Result<Summary, StorageError> {
        let heroes = if self.is_named()? { None } else { Some(self.heroes()?) };
        Ok(Summary {
            heroes,
            joined_member_count: Some(self.members(StoredMembership::Join)?),
            invited_member_count: Some(self.members(StoredMembership::Invite)?),
        })
    }

    /// How many have a membership.
    pub(crate) fn members(&self, membership: StoredMembership) -> Result<u64, StorageError> {
        MEMBER_COUNT.get(self.pass.snapshot, (self.view.room.no, membership.key()))
    }

    pub(crate) fn is_named(&self) -> Result<bool, StorageError> {
        for (kind, field) in [("m.room.name", "name"), ("m.room.canonical_alias", "alias")] {
            let content = self.view.shown_state::<serde_json::Value>(kind, "")?;
            let content = content.unwrap_or_default();
            if content.get(field).and_then(|it| it.as_str()).is_some_and(|it| !it.is_empty()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The first members, without the user. In a large room they are the first of some of them.
    pub(crate) fn heroes(&self) -> Result<Vec<OwnedUserId>, StorageError> {
        use StoredMembership::{Ban, Invite, Join, Leave};
        let there = self.earliest(&[Join, Invite])?;
        if there.is_empty() { self.earliest(&[Leave, Ban]) } else { Ok(there) }
    }

    fn earliest(&self, memberships: &[StoredMembership]) -> Result<Vec<OwnedUserId>, StorageError> {
        let mut members: Vec<(EventNo, OwnedUserId)> = Vec::new();
        for membership in memberships {
            let prefix = (self.view.room.no, membership.key());
            let rows = MEMBER_BY_ROOM.scan(self.pass.snapshot, prefix, HEROES_SCAN_MAX)?;
            members.extend(rows.into_iter().map(|((_, _, user), event)| (event.0, user)));
        }
        members.retain(|(_, user)| user != self.pass.user());
        members.sort();
        Ok(members.into_iter().take(HEROES).map(|(_, user)| user).collect())
    }
}
