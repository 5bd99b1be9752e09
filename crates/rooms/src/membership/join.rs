//! Becoming joined.

use ruma::{OwnedRoomId, OwnedServerName, UserId};
use vestibule_policy::kind;
use vestibule_storage::tables::room::StoredMembership;
use vestibule_types::Actor;

use super::{
    AddressProof, MembershipError, Vouching, member_content, member_draft, own_reason, put_profile,
    put_text,
};
use crate::{
    RoomTx, Rooms,
    append::Authority,
    ask::{Ask, Deed},
};

/// Join a room.
#[derive(Clone, Debug)]
pub struct Join {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Why, in the user's words.
    pub reason: Option<String>,
    /// Servers that may be in the room, for a room this server is not in.
    pub via: Vec<OwnedServerName>,
    /// What shows that the user was invited by an address of theirs.
    pub proof: Option<AddressProof>,
}

impl Rooms {
    /// Joins a local user to a room, which is brought here if it is not. Joining again changes
    /// nothing.
    pub async fn join(
        &self,
        actor: &Actor,
        mut command: Join,
    ) -> Result<OwnedRoomId, MembershipError> {
        if let Some(proof) = command.proof.take() {
            self.redeem(actor, &command.room_id, proof).await?;
        }
        if self.is_here(&command.room_id).await? {
            return self.join_here(actor, command).await;
        }
        self.join_elsewhere(actor, command).await
    }

    pub(crate) async fn join_here(
        &self,
        actor: &Actor,
        command: Join,
    ) -> Result<OwnedRoomId, MembershipError> {
        let ask = self.ask(actor, &Deed::Join(command.room_id.clone())).await?;
        let (room_id, follower) = (command.room_id.clone(), ask.clone());
        self.in_room_recommended(&room_id, move |room| room.join(&ask, &command)).await?;
        self.follow_upgrade(&follower, &room_id).await?;
        Ok(room_id)
    }
}

impl RoomTx<'_, '_> {
    /// The one handler behind every road to `join`.
    pub(crate) fn join(&mut self, ask: &Ask, command: &Join) -> Result<(), MembershipError> {
        self.known()?;
        let user = &ask.user_id;
        let now = self.member(user)?;
        if now.is_some_and(|member| member.membership == StoredMembership::Join) {
            return Ok(());
        }
        let permit = self.permit::<kind::Join>(ask, &Deed::Join(self.room_id.clone()))?;
        let content = self.join_content(user, command, &permit)?;
        let draft = member_draft((user, user), content, ask.now);
        self.append_local(Authority::Join(permit), draft)?;
        Ok(())
    }

    fn join_content(
        &self,
        user: &UserId,
        command: &Join,
        permit: &vestibule_policy::Permit<kind::Join>,
    ) -> Result<ruma::CanonicalJsonObject, MembershipError> {
        let reason = own_reason(command.reason.as_deref(), permit.obligations())?;
        let mut content = member_content("join", reason);
        let suffix = crate::ask::name_suffix(permit.obligations());
        put_profile(&*self.tx, &mut content, user, suffix)?;
        match self.vouching(user)? {
            Vouching::NotNeeded => {}
            Vouching::By(voucher) => {
                put_text(&mut content, "join_authorised_via_users_server", voucher.as_str());
            }
            Vouching::Refused | Vouching::Nobody | Vouching::Unknown => {
                return Err(MembershipError::NotAllowedIn);
            }
        }
        Ok(content)
    }
}
