//! Inviting somebody.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedRoomId, OwnedUserId, UserId};
use vestibule_policy::{Permit, kind};
use vestibule_types::Actor;

use super::{Abroad, MembershipError, blocks_invites, member_content, member_draft, put_profile};
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
    /// Invites a user to a room. Somebody of another server is invited through that server.
    pub async fn invite(&self, actor: &Actor, command: Invite) -> Result<(), MembershipError> {
        let deed = Deed::Invite(command.room_id.clone(), command.user_id.clone());
        let ask = self.ask(actor, &deed).await?;
        let Invite { room_id, user_id, reason } = command;
        if user_id.server_name() != self.inner.server_name {
            let content = invite_content(reason.as_deref(), false);
            let abroad = Abroad { room_id, target: user_id, content, by_address: None };
            return self.invite_elsewhere(ask, abroad).await;
        }
        self.in_room_recommended(&room_id, move |room| {
            room.invite(&ask, &user_id, invite_content(reason.as_deref(), false))
        })
        .await?;
        Ok(())
    }
}

/// What an invitation says that has nothing of its own to say.
pub(crate) fn invite_content(reason: Option<&str>, is_direct: bool) -> CanonicalJsonObject {
    let mut content = member_content("invite", reason);
    if is_direct {
        content.insert("is_direct".to_owned(), CanonicalJsonValue::Bool(true));
    }
    content
}

/// What an invitation says that was written as state: all its inviter wrote, but for what is the
/// invitee's to say and what others vouch for.
pub(crate) fn invite_written(written: &CanonicalJsonObject) -> CanonicalJsonObject {
    let mut content = written.clone();
    for others in
        ["displayname", "avatar_url", "third_party_invite", "join_authorised_via_users_server"]
    {
        content.remove(others);
    }
    content
}

impl RoomTx<'_, '_> {
    /// The handler behind every road to `invite` of a user of ours, in a room that exists.
    pub(crate) fn invite(
        &mut self,
        ask: &Ask,
        target: &UserId,
        content: CanonicalJsonObject,
    ) -> Result<(), MembershipError> {
        self.known()?;
        if target.server_name() != self.rooms.inner.server_name {
            return Err(MembershipError::Invalid("users of other servers are invited by /invite"));
        }
        let permit = self.may_invite(ask, target)?;
        if blocks_invites(&*self.tx, target)? {
            return Err(MembershipError::InviteBlocked);
        }
        self.append_invite(ask, permit, (target, content))
    }

    /// Appends an invitation that was allowed.
    pub(crate) fn append_invite(
        &mut self,
        ask: &Ask,
        permit: Permit<kind::Invite>,
        (target, mut content): (&UserId, CanonicalJsonObject),
    ) -> Result<(), MembershipError> {
        put_profile(&*self.tx, &mut content, target, None)?;
        let draft = member_draft((&ask.user_id, target), content, ask.now);
        self.append_local(Authority::Invite(permit), draft)?;
        Ok(())
    }
}
