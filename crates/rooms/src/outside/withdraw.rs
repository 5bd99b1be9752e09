//! The end of an invitation, or of a knock, by those who are in the room.
//!
//! The room's state is not here, so who may end it cannot be judged by the authorization rules. What is
//! accepted is what can be known without it: the event builds on the very invitation or knock that is
//! kept, so it was made by somebody who saw that; an invitation is ended by whoever made it; a knock by
//! the server it was handed in through, or by one of which somebody set the state that server showed.

use std::sync::Arc;

use ruma::{OwnedUserId, RoomId, ServerName};
use serde::Deserialize;
use vestibule_events::{Pdu, RoomVersion, Verified};
use vestibule_storage::{
    StorageError,
    tables::{
        handshake::{OUTSIDE_BY_ROOM, OUTSIDE_BY_USER, StoredOutside},
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
    /// somebody else that takes it back or bans the user. `false` when there is nothing to end, or not by
    /// this event.
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
        if !may_end(&row.value, pdu) {
            return self.end_earlier(user, pdu);
        }
        if let Some(earlier) = self.take_earlier(user)? {
            self.put_outside_row(user, earlier)?;
            return Ok(true);
        }
        let (stripped, via) = (&row.value.stripped, &row.value.via);
        self.put_outside(user, &Outside { membership: ended, event: pdu, stripped, via })?;
        Ok(true)
    }
}

/// Whether an event may end a membership that waits for an answer.
pub(super) fn may_end(row: &StoredOutside, pdu: &Pdu) -> bool {
    row.version == pdu.version().as_str()
        && pdu.auth_events().contains(&row.event_id)
        && speaks_for(row, pdu.sender().server_name())
        && (row.membership != StoredMembership::Invite
            || sender_of(&row.event).is_some_and(|it| it == pdu.sender()))
}

/// Whether a server has a part in a membership that waits for an answer: it made the invitation, or was
/// brought the knock, or somebody of it set any of the state that was shown to whoever knocked.
pub(super) fn speaks_for(row: &StoredOutside, server: &ServerName) -> bool {
    let is_of = |json: &[u8]| sender_of(json).is_some_and(|it| it.server_name() == server);
    match row.membership {
        StoredMembership::Invite => is_of(&row.event),
        StoredMembership::Knock => {
            row.via.iter().any(|via| via == server)
                || row.stripped.iter().any(|json| is_of(json.as_bytes()))
        }
        StoredMembership::Join | StoredMembership::Leave | StoredMembership::Ban => false,
    }
}

pub(super) fn sender_of(json: &[u8]) -> Option<OwnedUserId> {
    #[derive(Deserialize)]
    struct Sent {
        sender: OwnedUserId,
    }
    serde_json::from_slice::<Sent>(json).ok().map(|sent| sent.sender)
}
