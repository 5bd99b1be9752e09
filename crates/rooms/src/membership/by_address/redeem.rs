//! Joining by what an identity server signed: the invitation of the address becomes one of its owner
//! before the owner joins (client-server API, `third_party_signed` of the join endpoints).

use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedUserId, RoomId, ServerName, UserId};
use vestibule_storage::{StorageError, tables::room::StoredMembership};
use vestibule_types::{
    Actor,
    limits::{INVITE_LOOK_WAIT, INVITE_LOOKS_MAX},
};

use crate::{
    MembershipError, OutsideRoom, Rooms,
    ask::{Afar, Ask, Deed},
};

const MEMBER: &str = "m.room.member";

/// What an identity server signed for the owner of an address that was invited.
#[derive(Clone, Debug)]
pub struct AddressProof {
    /// Who invited the address.
    pub sender: OwnedUserId,
    /// What was signed.
    pub signed: CanonicalJsonObject,
}

impl Rooms {
    /// Has the invitation of an address become one of the user who wants to join by it. Whoever is
    /// invited or joined already needs no proof. The policy is asked before anybody elsewhere is, and
    /// again by the join.
    pub(crate) async fn redeem(
        &self,
        actor: &Actor,
        room_id: &RoomId,
        proof: AddressProof,
    ) -> Result<(), MembershipError> {
        let user = actor.user_id();
        if self.is_let_in(user, room_id).await? {
            return Ok(());
        }
        let mxid = proof.signed.get("mxid").and_then(CanonicalJsonValue::as_str);
        if mxid != Some(user.as_str()) {
            return Err(MembershipError::Unproven("this was signed for somebody else"));
        }
        let afar = Afar { guest_can_join: Some(true), ..Afar::default() };
        let ask = self.ask_afar(actor, &Deed::Join(room_id.to_owned()), afar).await?;
        self.may_have_asked(&ask, room_id, proof.sender.server_name()).await?;
        self.identity_servers().redeem(user, room_id, &proof).await?;
        self.invitation_came(user, room_id).await
    }

    /// Whom this server talks to is not for everybody to choose.
    async fn may_have_asked(
        &self,
        ask: &Ask,
        room_id: &RoomId,
        server: &ServerName,
    ) -> Result<(), MembershipError> {
        if *server == self.inner.server_name
            || self.vias(ask, room_id, vec![server.to_owned()]).await?.iter().any(|it| it == server)
        {
            return Ok(());
        }
        Err(MembershipError::Unproven("the inviter's server is not asked for this account"))
    }

    /// Waits for the invitation. Where this server is in the room and the inviter's is another, it
    /// comes as an event of the room, after that server has answered.
    async fn invitation_came(
        &self,
        user: &UserId,
        room_id: &RoomId,
    ) -> Result<(), MembershipError> {
        for _ in 0..INVITE_LOOKS_MAX {
            if self.is_let_in(user, room_id).await? {
                return Ok(());
            }
            self.inner.env.clock.sleep(INVITE_LOOK_WAIT).await;
        }
        // The join says what is the matter, if anything still is.
        Ok(())
    }

    /// Whether a user is invited to a room or joined to it, here or outside.
    async fn is_let_in(&self, user: &UserId, room_id: &RoomId) -> Result<bool, StorageError> {
        let is_in = |it| matches!(it, StoredMembership::Join | StoredMembership::Invite);
        if self.is_here(room_id).await? {
            let whose = user.to_owned();
            let found =
                self.with_view(room_id, move |view| view.state_event(MEMBER, whose.as_str()));
            let member = found.await?.flatten();
            return Ok(member.and_then(|it| it.membership()).is_some_and(is_in));
        }
        let (whose, room) = (user.to_owned(), room_id.to_owned());
        let found =
            self.inner.store.read(move |snapshot| OutsideRoom::one(snapshot, &whose, &room));
        Ok(found.await?.is_some_and(|it| is_in(it.membership)))
    }
}
