//! Asking to be let in.

use ruma::{OwnedRoomId, OwnedServerName};
use vestibule_policy::kind;
use vestibule_storage::tables::room::StoredMembership;
use vestibule_types::Actor;

use super::{MembershipError, member_content, member_draft, own_reason, put_profile};
use crate::{
    RoomTx, Rooms,
    append::Authority,
    ask::{Ask, Deed, name_suffix},
};

/// Knock on a room.
#[derive(Clone, Debug)]
pub struct Knock {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Why, in the user's words.
    pub reason: Option<String>,
    /// Servers that may be in the room, for a room this server is not in.
    pub via: Vec<OwnedServerName>,
}

impl Rooms {
    /// Asks to be let into a room.
    pub async fn knock(&self, actor: &Actor, command: Knock) -> Result<(), MembershipError> {
        if !self.is_here(&command.room_id).await? {
            return self.knock_elsewhere(actor, command).await;
        }
        let ask = self.ask(actor, &Deed::Knock(command.room_id.clone())).await?;
        self.knock_here(ask, command).await
    }

    /// Asks to be let into a room that is here.
    pub(crate) async fn knock_here(&self, ask: Ask, command: Knock) -> Result<(), MembershipError> {
        let room_id = command.room_id.clone();
        self.in_room_recommended(&room_id, move |room| room.knock(&ask, command.reason.as_deref()))
            .await?;
        Ok(())
    }
}

impl RoomTx<'_, '_> {
    /// The handler behind every road to `knock`.
    pub(crate) fn knock(&mut self, ask: &Ask, reason: Option<&str>) -> Result<(), MembershipError> {
        self.known()?;
        let user = &ask.user_id;
        let permit = self.permit::<kind::Knock>(ask, &Deed::Knock(self.room_id.clone()))?;
        match self.member(user)?.map(|member| member.membership) {
            Some(StoredMembership::Join) => {
                return Err(MembershipError::WrongMembership("you are in this room already"));
            }
            Some(StoredMembership::Invite) => {
                return Err(MembershipError::WrongMembership("you are invited to this room"));
            }
            Some(StoredMembership::Ban) => {
                return Err(MembershipError::WrongMembership("you are banned from this room"));
            }
            Some(StoredMembership::Knock | StoredMembership::Leave) | None => {}
        }
        let reason = own_reason(reason, permit.obligations())?;
        let mut content = member_content("knock", reason);
        put_profile(&*self.tx, &mut content, user, name_suffix(permit.obligations()))?;
        let draft = member_draft((user, user), content, ask.now);
        self.append_local(Authority::Knock(permit), draft)?;
        Ok(())
    }
}
