//! Removing a member.

use ruma::{OwnedRoomId, OwnedUserId, UserId};
use vestibule_policy::kind;
use vestibule_storage::tables::room::StoredMembership;
use vestibule_types::Actor;

use super::{MembershipError, member_content, member_draft};
use crate::{
    RoomTx, Rooms,
    append::Authority,
    ask::{Ask, Deed},
};

/// Remove or ban somebody.
#[derive(Clone, Debug)]
pub struct RemoveMember {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Whom.
    pub user_id: OwnedUserId,
    /// Why, in the sender's words.
    pub reason: Option<String>,
}

impl Rooms {
    /// Takes somebody out of a room, or takes back their invitation or knock.
    pub async fn kick(&self, actor: &Actor, command: RemoveMember) -> Result<(), MembershipError> {
        let deed = Deed::Kick(command.room_id.clone(), command.user_id.clone());
        let ask = self.ask(actor, &deed).await?;
        let room_id = command.room_id.clone();
        self.in_room_recommended(&room_id, move |room| {
            room.kick(&ask, &command.user_id, command.reason.as_deref())
        })
        .await?;
        Ok(())
    }
}

impl RoomTx<'_, '_> {
    pub(crate) fn kick(
        &mut self,
        ask: &Ask,
        target: &UserId,
        reason: Option<&str>,
    ) -> Result<(), MembershipError> {
        self.known()?;
        let deed = Deed::Kick(self.room_id.clone(), target.to_owned());
        let permit = self.permit::<kind::Kick>(ask, &deed)?;
        match self.member(target)?.map(|member| member.membership) {
            Some(StoredMembership::Join | StoredMembership::Invite | StoredMembership::Knock) => {}
            _ => return Err(MembershipError::WrongMembership("the user is not in this room")),
        }
        let content = member_content("leave", reason);
        let draft = member_draft((&ask.user_id, target), content, ask.now);
        self.append_local(Authority::Kick(permit), draft)?;
        Ok(())
    }
}
