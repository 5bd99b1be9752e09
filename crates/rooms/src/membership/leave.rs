//! Leaving, and declining an invitation or taking back a knock. The policy never forbids it.

use ruma::OwnedRoomId;
use vestibule_policy::kind;
use vestibule_storage::tables::{notice::NOTICE_ROOM, room::StoredMembership};
use vestibule_types::Actor;

use super::{GuardNote, MembershipError, member_content, member_draft};
use crate::{
    RoomTx, Rooms,
    append::Authority,
    ask::{Ask, Deed, strips_reason},
};

/// Leave a room.
#[derive(Clone, Debug)]
pub struct Leave {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Why, in the user's words.
    pub reason: Option<String>,
}

impl Rooms {
    /// Takes a local user out of a room. Leaving again changes nothing.
    pub async fn leave(&self, actor: &Actor, command: Leave) -> Result<GuardNote, MembershipError> {
        if !self.is_here(&command.room_id).await? {
            return self.leave_elsewhere(actor, command).await;
        }
        let ask = self.ask(actor, &Deed::Leave(command.room_id.clone())).await?;
        self.leave_here(ask, command).await
    }

    /// Takes a local user out of a room that is here.
    pub(crate) async fn leave_here(
        &self,
        ask: Ask,
        command: Leave,
    ) -> Result<GuardNote, MembershipError> {
        let room_id = command.room_id.clone();
        let left = self.in_room_recommended(&room_id, move |room| {
            room.may_decline(&ask)?;
            let note = room.guard_last_admin(&ask, None)?;
            room.leave(&ask, command.reason.as_deref())?;
            Ok::<_, MembershipError>(note)
        });
        let (note, _) = left.await?;
        Self::note_unmanaged(note);
        Ok(note)
    }
}

impl RoomTx<'_, '_> {
    /// Whether a user may reject an invitation here: not where the server speaks to them (client-server API,
    /// "Server Notices"). Once joined they may leave, and the server's own work on their behalf does not ask.
    pub(crate) fn may_decline(&self, ask: &Ask) -> Result<(), MembershipError> {
        let invited = self
            .member(&ask.user_id)?
            .is_some_and(|member| member.membership == StoredMembership::Invite);
        let notices = NOTICE_ROOM.get(&self.tx.fixed(), (&ask.user_id,))?;
        if invited && notices.is_some_and(|row| row.room_id == self.room_id) {
            return Err(MembershipError::ServerNotices);
        }
        Ok(())
    }

    /// The handler behind every road by which somebody leaves.
    pub(crate) fn leave(&mut self, ask: &Ask, reason: Option<&str>) -> Result<(), MembershipError> {
        self.known()?;
        let user = &ask.user_id;
        match self.member(user)?.map(|member| member.membership) {
            Some(StoredMembership::Leave) => return Ok(()),
            Some(StoredMembership::Ban) => {
                return Err(MembershipError::WrongMembership("you are banned from this room"));
            }
            None => return Err(MembershipError::WrongMembership("you are not in this room")),
            Some(_) => {}
        }
        let permit = self.permit::<kind::Leave>(ask, &Deed::Leave(self.room_id.clone()))?;
        let reason = reason.filter(|_| !strips_reason(permit.obligations()));
        let draft = member_draft((user, user), member_content("leave", reason), ask.now);
        self.append_local(Authority::Leave(permit), draft)?;
        Ok(())
    }
}
