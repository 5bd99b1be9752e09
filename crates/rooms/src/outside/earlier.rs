//! What waited when somebody else invited the same user to the same room.
//!
//! Any server may say that it invites somebody to a room, and may then take that back. So what waited before
//! is kept, and waits again: otherwise a stranger could end it by inviting once more.

use ruma::{OwnedServerName, UserId};
use vestibule_storage::{
    Stamped, StorageError,
    tables::{
        handshake::{OUTSIDE_EARLIER, StoredOutside},
        room::StoredMembership,
    },
};
use vestibule_types::limits::OUTSIDE_EARLIER_MAX;

use super::withdraw::{may_end, sender_of, speaks_for};
use crate::RoomTx;

impl RoomTx<'_, '_> {
    /// Keeps what waits for a user when a server invites them that could not have ended it.
    pub(super) fn keep_earlier(
        &mut self,
        user: &UserId,
        inviting: &OwnedServerName,
    ) -> Result<(), StorageError> {
        let Some(Stamped { value: row, .. }) = self.outside(user)? else { return Ok(()) };
        let waits = matches!(row.membership, StoredMembership::Invite | StoredMembership::Knock);
        if !waits || speaks_for(&row, inviting) {
            return Ok(());
        }
        let Some(sender) = sender_of(&row.event) else { return Ok(()) };
        let kept = self.earlier(user)?.len();
        if kept < OUTSIDE_EARLIER_MAX {
            let key = (user, &self.room_id, sender.server_name());
            OUTSIDE_EARLIER.put(self.tx, key, &row)?;
        }
        // Whoever invites again is not among those of before.
        OUTSIDE_EARLIER.delete(self.tx, (user, &self.room_id, inviting))
    }

    /// Ends one of those by an event. Says whether there was one.
    pub(super) fn end_earlier(
        &mut self,
        user: &UserId,
        pdu: &vestibule_events::Pdu,
    ) -> Result<bool, StorageError> {
        for (server, row) in self.earlier(user)? {
            if may_end(&row, pdu) {
                OUTSIDE_EARLIER.delete(self.tx, (user, &self.room_id, &server))?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes one of those out: it waits again.
    pub(super) fn take_earlier(
        &mut self,
        user: &UserId,
    ) -> Result<Option<StoredOutside>, StorageError> {
        let Some((server, row)) = self.earlier(user)?.pop() else { return Ok(None) };
        OUTSIDE_EARLIER.delete(self.tx, (user, &self.room_id, &server))?;
        Ok(Some(row))
    }

    /// Forgets them all: the user decided, or is in.
    pub(super) fn forget_earlier(&mut self, user: &UserId) -> Result<(), StorageError> {
        for (server, _) in self.earlier(user)? {
            OUTSIDE_EARLIER.delete(self.tx, (user, &self.room_id, &server))?;
        }
        Ok(())
    }

    fn earlier(
        &self,
        user: &UserId,
    ) -> Result<Vec<(OwnedServerName, StoredOutside)>, StorageError> {
        let kept =
            OUTSIDE_EARLIER.scan(&*self.tx, (user, &self.room_id), OUTSIDE_EARLIER_MAX + 1)?;
        Ok(kept.into_iter().map(|((_, _, server), row)| (server, row)).collect())
    }
}
