//! Keeping somebody out, and letting them back in.

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
    /// Bans somebody, whether they are in the room or not. Banning again changes nothing.
    pub async fn ban(&self, actor: &Actor, command: ChangeMember) -> Result<(), MembershipError> {
        let deed = Deed::Ban(command.room_id.clone(), command.user_id.clone());
        let ban: Change = |room, ask, target, reason| room.ban(ask, target, reason);
        self.change_member(actor, deed, command, ban).await
    }

    /// Lifts a ban.
    pub async fn unban(&self, actor: &Actor, command: ChangeMember) -> Result<(), MembershipError> {
        let deed = Deed::Unban(command.room_id.clone(), command.user_id.clone());
        let unban: Change = |room, ask, target, reason| room.unban(ask, target, reason);
        self.change_member(actor, deed, command, unban).await
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
            return Err(MembershipError::BadState("the user is not banned from this room"));
        }
        let content = member_content("leave", reason);
        let draft = member_draft((&ask.user_id, target), content, ask.now);
        self.append_local(Authority::Ban(permit), draft)?;
        Ok(())
    }
}
