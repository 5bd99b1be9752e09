//! Inviting somebody.

use ruma::{CanonicalJsonValue, OwnedRoomId, OwnedUserId, UserId};
use vestibule_policy::{Permit, kind};
use vestibule_storage::tables::room::StoredMembership;
use vestibule_types::Actor;

use super::{MembershipError, member_content, member_draft, put_profile};
use crate::{
    RoomTx, Rooms,
    append::Authority,
    ask::{Ask, Deed},
};

/// Invite a user to a room.
#[derive(Clone, Debug)]
pub struct Invite {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Whom.
    pub user_id: OwnedUserId,
    /// Why, in the sender's words.
    pub reason: Option<String>,
}

impl Rooms {
    /// Invites a user to a room.
    pub async fn invite(&self, actor: &Actor, command: Invite) -> Result<(), MembershipError> {
        let deed = Deed::Invite(command.room_id.clone(), command.user_id.clone());
        let ask = self.ask(actor, &deed).await?;
        let room_id = command.room_id.clone();
        self.in_room(&room_id, move |room| {
            room.invite(&ask, &command.user_id, command.reason.as_deref())
        })
        .await?;
        Ok(())
    }
}

impl RoomTx<'_, '_> {
    /// The handler behind every road to `invite` in a room that exists.
    pub(crate) fn invite(
        &mut self,
        ask: &Ask,
        target: &UserId,
        reason: Option<&str>,
    ) -> Result<(), MembershipError> {
        self.known()?;
        if target.server_name() != self.rooms.inner.server_name {
            return Err(MembershipError::Invalid(
                "this server cannot invite users of other servers",
            ));
        }
        let deed = Deed::Invite(self.room_id.clone(), target.to_owned());
        let permit = self.permit::<kind::Invite>(ask, &deed)?;
        match self.member(target)?.map(|member| member.membership) {
            Some(StoredMembership::Join) => {
                return Err(MembershipError::WrongMembership("the user is in this room already"));
            }
            Some(StoredMembership::Ban) => {
                return Err(MembershipError::WrongMembership("the user is banned from this room"));
            }
            _ => {}
        }
        self.append_invite(ask, permit, (target, reason, false))
    }

    /// Appends an invitation that was allowed.
    pub(crate) fn append_invite(
        &mut self,
        ask: &Ask,
        permit: Permit<kind::Invite>,
        (target, reason, is_direct): (&UserId, Option<&str>, bool),
    ) -> Result<(), MembershipError> {
        let mut content = member_content("invite", reason);
        if is_direct {
            content.insert("is_direct".to_owned(), CanonicalJsonValue::Bool(true));
        }
        put_profile(&*self.tx, &mut content, target, None)?;
        let draft = member_draft((&ask.user_id, target), content, ask.now);
        self.append_local(Authority::Invite(permit), draft)?;
        Ok(())
    }
}
