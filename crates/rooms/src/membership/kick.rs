//! Removing a member.

use ruma::UserId;
use vestibule_policy::kind;
use vestibule_storage::tables::room::StoredMembership;
use vestibule_types::Actor;

use super::{Change, ChangeMember, MembershipError, member_content, member_draft};
use crate::{
    RoomTx, Rooms,
    append::Authority,
    ask::{Ask, Deed},
};

impl Rooms {
    /// Takes somebody out of a room, or takes back their invitation or knock.
    pub async fn kick(&self, actor: &Actor, command: ChangeMember) -> Result<(), MembershipError> {
        let deed = Deed::Kick(command.room_id.clone(), command.user_id.clone());
        let kick: Change = |room, ask, target, reason| room.kick(ask, target, reason);
        self.change_member(actor, deed, command, kick).await
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
            Some(StoredMembership::Ban) => {
                return Err(MembershipError::BadState("the user is banned from this room"));
            }
            _ => return Err(MembershipError::WrongMembership("the user is not in this room")),
        }
        let content = member_content("leave", reason);
        let draft = member_draft((&ask.user_id, target), content, ask.now);
        self.append_local(Authority::Kick(permit), draft)?;
        Ok(())
    }
}
