//! The end of an invitation, or of a knock, by those who are in the room.

use std::sync::Arc;

use ruma::{OwnedUserId, RoomId};
use vestibule_events::{Pdu, RoomVersion, Verified};
use vestibule_storage::{
    StorageError,
    tables::{
        handshake::{OUTSIDE_BY_ROOM, OUTSIDE_BY_USER},
        room::StoredMembership,
    },
};
use vestibule_types::limits::OUTSIDE_ROOMS_MAX;

use super::row::Outside;
use crate::{RoomTx, Rooms, append::membership_of};

impl Rooms {
    /// The version of a room this server is not in but a user of ours is invited to, or knocked at: how
    /// events about them have to be read.
    pub async fn version_from_outside(
        &self,
        room_id: &RoomId,
    ) -> Result<Option<RoomVersion>, StorageError> {
        let room_id = room_id.to_owned();
        self.inner
            .store
            .read(move |snapshot| {
                let users = OUTSIDE_BY_ROOM.scan(snapshot, (&room_id,), OUTSIDE_ROOMS_MAX)?;
                for ((_, user), ()) in users {
                    if let Some(row) = OUTSIDE_BY_USER.get(snapshot, (&user, &room_id))? {
                        return Ok(row.value.version.parse().ok());
                    }
                }
                Ok(None)
            })
            .await
    }

    /// Ends an invitation or a knock of a user of ours in a room this server is not in, by an event of
    /// somebody else that takes it back or bans the user. `false` when there is nothing to end.
    pub async fn withdraw_invite(&self, event: Verified) -> Result<bool, StorageError> {
        if !event.is_whole() {
            return Ok(false);
        }
        let pdu = event.into_pdu();
        let ended = match membership_of(&pdu) {
            StoredMembership::Leave => StoredMembership::Leave,
            StoredMembership::Ban => StoredMembership::Ban,
            StoredMembership::Join | StoredMembership::Invite | StoredMembership::Knock => {
                return Ok(false);
            }
        };
        let user = pdu.state_key().and_then(|key| OwnedUserId::try_from(key).ok());
        let Some(user) = user.filter(|user| *user != pdu.sender()) else { return Ok(false) };
        if pdu.kind() != "m.room.member" {
            return Ok(false);
        }
        let (room_id, pdu) = (pdu.room_id().to_owned(), Arc::new(pdu));
        let work = move |room: &mut RoomTx<'_, '_>| room.withdraw(&user, ended, &pdu);
        Ok(self.in_room(&room_id, work).await?.0)
    }
}

impl RoomTx<'_, '_> {
    fn withdraw(
        &mut self,
        user: &OwnedUserId,
        ended: StoredMembership,
        pdu: &Pdu,
    ) -> Result<bool, StorageError> {
        let Some(row) = self.outside(user)? else { return Ok(false) };
        let waiting =
            matches!(row.value.membership, StoredMembership::Invite | StoredMembership::Knock);
        if !waiting || row.value.version != pdu.version().as_str() {
            return Ok(false);
        }
        let (stripped, via) = (&row.value.stripped, &row.value.via);
        self.put_outside(user, &Outside { membership: ended, event: pdu, stripped, via })?;
        Ok(true)
    }
}
