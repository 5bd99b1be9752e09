//! Keeping somebody out, and letting them back in.

use ruma::{OwnedRoomId, OwnedUserId, UserId};
use vestibule_policy::kind;
use vestibule_storage::tables::room::StoredMembership;
use vestibule_types::Actor;

use super::{MembershipError, RemoveMember, member_content, member_draft};
use crate::{
    RoomTx, Rooms,
    append::Authority,
    ask::{Ask, Deed},
};

/// Lift a ban.
#[derive(Clone, Debug)]
pub struct Unban {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Whose.
    pub user_id: OwnedUserId,
    /// Why, in the sender's words.
    pub reason: Option<String>,
}

impl Rooms {
    /// Bans somebody, whether they are in the room or not. Banning again changes nothing.
    pub async fn ban(&self, actor: &Actor, command: RemoveMember) -> Result<(), MembershipError> {
        let deed = Deed::Ban(command.room_id.clone(), command.user_id.clone());
        let ask = self.ask(actor, &deed).await?;
        let room_id = command.room_id.clone();
        self.in_room_recommended(&room_id, move |room| {
            room.ban(&ask, &command.user_id, command.reason.as_deref())
        })
        .await?;
        Ok(())
    }

    /// Lifts a ban.
    pub async fn unban(&self, actor: &Actor, command: Unban) -> Result<(), MembershipError> {
        let deed = Deed::Unban(command.room_id.clone(), command.user_id.clone());
        let ask = self.ask(actor, &deed).await?;
        let room_id = command.room_id.clone();
        self.in_room_recommended(&room_id, move |room| {
            room.unban(&ask, &command.user_id, command.reason.as_deref())
        })
        .await?;
        Ok(())
    }
}

impl RoomTx<'_, '_> {
    pub(crate) fn ban(
        &mut self,
        ask: &Ask,
        target: &UserId,
        reason: Option<&str>,
    ) -> Result<(), MembershipError> {
        self.known()?;
        let deed = Deed::Ban(self.room_id.clone(), target.to_owned());
        let permit = self.permit::<kind::Ban>(ask, &deed)?;
        if self.member(target)?.is_some_and(|it| it.membership == StoredMembership::Ban) {
            return Ok(());
        }
        let content = member_content("ban", reason);
        let draft = member_draft((&ask.user_id, target), content, ask.now);
        self.append_local(Authority::Ban(permit), draft)?;
        Ok(())
    }

    pub(crate) fn unban(
        &mut self,
        ask: &Ask,
        target: &UserId,
        reason: Option<&str>,
    ) -> Result<(), MembershipError> {
        self.known()?;
        let deed = Deed::Unban(self.room_id.clone(), target.to_owned());
        let permit = self.permit::<kind::Ban>(ask, &deed)?;
        if self.member(target)?.is_none_or(|it| it.membership != StoredMembership::Ban) {
            return Err(MembershipError::WrongMembership("the user is not banned from this room"));
        }
        let content = member_content("leave", reason);
        let draft = member_draft((&ask.user_id, target), content, ask.now);
        self.append_local(Authority::Ban(permit), draft)?;
        Ok(())
    }
}
