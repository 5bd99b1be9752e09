//! Reading and writing the rows.

use std::sync::Arc;

use ruma::{OwnedRoomId, OwnedServerName, RoomId, UserId};
use serde_json::value::RawValue;
use vestibule_events::{Pdu, RoomVersion, stripped_state};
use vestibule_storage::{
    Read, Stamp, Stamped, StorageError,
    tables::{
        handshake::{OUTSIDE_BY_ROOM, OUTSIDE_BY_USER, OUTSIDE_FORGOTTEN, StoredOutside},
        room::{STREAM, StoredMembership, StoredNews},
    },
};
use vestibule_types::limits::{OUTSIDE_FORGOTTEN_MAX, OUTSIDE_ROOMS_MAX};

use crate::RoomTx;

/// A membership in a room this server is not in, as it is read.
#[derive(Clone, Debug)]
pub struct OutsideRoom {
    /// The room.
    pub room_id: OwnedRoomId,
    /// What the user is to it.
    pub membership: StoredMembership,
    /// Since when.
    pub since: Stamp,
    /// The membership event.
    pub event: Arc<Pdu>,
    /// What may be known of the room: stripped state events, the membership last.
    pub stripped: Vec<Box<RawValue>>,
    /// It is over, and the user does not want to see it any more.
    pub forgotten: bool,
}

impl OutsideRoom {
    /// The memberships of a user in rooms this server is not in.
    pub fn all_of(reader: &impl Read, user: &UserId) -> Result<Vec<Self>, StorageError> {
        let rows = OUTSIDE_BY_USER.scan(reader, (user,), OUTSIDE_ROOMS_MAX)?;
        rows.into_iter().map(|((_, room_id), row)| Self::of(room_id, row)).collect()
    }

    /// Those, and those that are over and that the user does not want to see any more.
    pub fn all_of_with_forgotten(
        reader: &impl Read,
        user: &UserId,
    ) -> Result<Vec<Self>, StorageError> {
        let mut rooms = Self::all_of(reader, user)?;
        for ((_, room_id), row) in OUTSIDE_FORGOTTEN.scan(reader, (user,), OUTSIDE_FORGOTTEN_MAX)? {
            rooms.push(Self { forgotten: true, ..Self::of(room_id, row)? });
        }
        Ok(rooms)
    }

    /// The membership of a user in one such room.
    pub(crate) fn one(
        reader: &impl Read,
        user: &UserId,
        room_id: &RoomId,
    ) -> Result<Option<Self>, StorageError> {
        let row = OUTSIDE_BY_USER.get(reader, (user, room_id))?;
        row.map(|row| Self::of(room_id.to_owned(), row)).transpose()
    }

    fn of(room_id: OwnedRoomId, row: Stamped<StoredOutside>) -> Result<Self, StorageError> {
        let Stamped { stamp, value: row } = row;
        let damaged =
            |error: &dyn std::fmt::Display| StorageError::corrupt("outside_by_user", error);
        let version: RoomVersion = row.version.parse().map_err(|error| damaged(&error))?;
        let event = Pdu::from_stored(row.event_id, row.event, version);
        let event = event.map_err(|error| damaged(&error))?;
        let mut stripped = Vec::with_capacity(row.stripped.len() + 1);
        for json in row.stripped {
            stripped.push(RawValue::from_string(json).map_err(|error| damaged(&error))?);
        }
        stripped.push(stripped_state(&event).map_err(|error| damaged(&error))?);
        let event = Arc::new(event);
        Ok(Self {
            room_id,
            membership: row.membership,
            since: stamp,
            event,
            stripped,
            forgotten: false,
        })
    }
}

/// What is known of such a membership when it is written.
pub(crate) struct Outside<'a> {
    pub(crate) membership: StoredMembership,
    pub(crate) event: &'a Pdu,
    pub(crate) stripped: &'a [String],
    pub(crate) via: &'a [OwnedServerName],
}

impl RoomTx<'_, '_> {
    /// Writes what a user of ours is to this room, which this server is not in, and wakes them.
    pub(crate) fn put_outside(
        &mut self,
        user: &UserId,
        outside: &Outside<'_>,
    ) -> Result<(), StorageError> {
        if outside.membership != StoredMembership::Invite {
            self.forget_earlier(user)?;
        }
        let row = StoredOutside {
            membership: outside.membership,
            version: outside.event.version().as_str().to_owned(),
            event_id: outside.event.event_id().clone(),
            event: outside.event.json().clone(),
            stripped: outside.stripped.to_vec(),
            via: outside.via.to_vec(),
        };
        self.put_outside_row(user, row)
    }

    /// Writes such a row, and wakes the user.
    pub(super) fn put_outside_row(
        &mut self,
        user: &UserId,
        row: StoredOutside,
    ) -> Result<(), StorageError> {
        let (slot, stamp) = (self.tx.slot().0, self.next_stamp());
        let row = Stamped { stamp, value: row };
        OUTSIDE_BY_USER.put(self.tx, (user, &self.room_id), &row)?;
        OUTSIDE_BY_ROOM.put(self.tx, (&self.room_id, user), &())?;
        OUTSIDE_FORGOTTEN.delete(self.tx, (user, &self.room_id))?;
        STREAM.put(self.tx, (slot, stamp), &StoredNews::User { user: user.to_owned() })
    }

    /// What a user of ours is to this room, as far as that is kept beside it.
    pub(crate) fn outside(
        &self,
        user: &UserId,
    ) -> Result<Option<Stamped<StoredOutside>>, StorageError> {
        OUTSIDE_BY_USER.get(&*self.tx, (user, &self.room_id))
    }

    /// Whether anything of that is kept, be it what became of a room they forgot.
    pub(crate) fn knows_outside(&self, user: &UserId) -> Result<bool, StorageError> {
        Ok(self.outside(user)?.is_some()
            || OUTSIDE_FORGOTTEN.contains(&*self.tx, (user, &self.room_id))?)
    }

    /// Hides it from its user, who left it. Clients that knew of it are still told that it is over, unless
    /// that is so of too many.
    pub(crate) fn forget_outside(&mut self, user: &UserId) -> Result<(), StorageError> {
        let over = self.outside(user)?;
        self.drop_outside(user)?;
        let others = OUTSIDE_FORGOTTEN.scan(&*self.tx, (user,), OUTSIDE_FORGOTTEN_MAX)?;
        if let Some(mut over) = over.filter(|_| others.len() < OUTSIDE_FORGOTTEN_MAX) {
            (over.value.stripped, over.value.via) = (Vec::new(), Vec::new());
            OUTSIDE_FORGOTTEN.put(self.tx, (user, &self.room_id), &over)?;
        }
        Ok(())
    }

    /// Forgets it: the room's own state says what the user is, or they do not want to know.
    pub(crate) fn drop_outside(&mut self, user: &UserId) -> Result<(), StorageError> {
        OUTSIDE_FORGOTTEN.delete(self.tx, (user, &self.room_id))?;
        self.forget_earlier(user)?;
        OUTSIDE_BY_USER.delete(self.tx, (user, &self.room_id))?;
        OUTSIDE_BY_ROOM.delete(self.tx, (&self.room_id, user))
    }
}
