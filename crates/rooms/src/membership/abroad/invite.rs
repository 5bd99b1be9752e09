//! Inviting somebody of another server to a room of ours: their server signs the invitation before it
//! enters the room.

use std::sync::Arc;

use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedRoomId, OwnedUserId};
use vestibule_events::Pdu;
use vestibule_policy::kind;
use vestibule_storage::tables::room::StoredMembership;

use crate::{
    AppendError, ElsewhereError, InviteAbroad, MembershipError, PolicyServer, RoomTx, Rooms,
    STRIPPED_TYPES,
    append::Authority,
    ask::{Ask, Deed},
    membership::member_draft,
};

/// An invitation of somebody of another server.
#[derive(Clone, Debug)]
pub(crate) struct Abroad {
    pub(crate) room_id: OwnedRoomId,
    pub(crate) target: OwnedUserId,
    /// What the inviter says beside it: see [`invite_content`] and [`invite_written`].
    ///
    /// [`invite_content`]: crate::membership::invite_content
    /// [`invite_written`]: crate::membership::invite_written
    pub(crate) content: CanonicalJsonObject,
    /// What an identity server signed, where the invitation was of an address.
    pub(crate) by_address: Option<CanonicalJsonObject>,
}

impl Abroad {
    /// The content of the membership event.
    pub(crate) fn content(&self) -> CanonicalJsonObject {
        let mut content = self.content.clone();
        if let Some(proof) = &self.by_address {
            let proof = CanonicalJsonValue::Object(proof.clone());
            content.insert("third_party_invite".to_owned(), proof);
        }
        content
    }
}

impl Rooms {
    pub(crate) async fn invite_elsewhere(
        &self,
        ask: Ask,
        invite: Abroad,
    ) -> Result<(), MembershipError> {
        let rooms = self.clone();
        self.see_through(async move {
            let room_id = invite.room_id.clone();
            let (draft, asked) = (invite.clone(), ask.clone());
            let laid_out = rooms.in_room(&room_id, move |room| room.lay_out_invite(&asked, &draft));
            let (mut laid_out, policy_server) = laid_out.await?.0;
            if let Some(server) = &policy_server {
                let recommended = rooms.recommend(server, &laid_out.pdu).await;
                laid_out.pdu = recommended.map_err(AppendError::NotRecommended)?;
            }
            let recommended = Arc::clone(&laid_out.pdu);
            let signed = rooms.elsewhere().invite(laid_out).await?;
            // The invitee's server need not have kept the signature of the policy server.
            let signed = match &policy_server {
                Some(server) => signed
                    .with_policy_signature_of(&recommended, &server.via)
                    .map_err(|error| ElsewhereError::BadAnswer(error.to_string()))?,
                None => signed,
            };
            let signed = Arc::new(signed);
            let work = move |room: &mut RoomTx<'_, '_>| {
                room.append_invite_elsewhere(&ask, &invite, &signed)
            };
            rooms.in_room(&room_id, work).await?;
            Ok(())
        })
        .await
    }
}

impl RoomTx<'_, '_> {
    /// Builds and signs the invitation, with what its receiver may know of the room. Nothing changes.
    fn lay_out_invite(
        &mut self,
        ask: &Ask,
        invite: &Abroad,
    ) -> Result<(InviteAbroad, Option<PolicyServer>), MembershipError> {
        drop(self.may_invite(ask, &invite.target)?);
        let version = self.known()?.version;
        let now = self.rooms.inner.env.now();
        let draft = member_draft((&ask.user_id, &invite.target), invite.content(), now);
        let place = self.place_for(&draft)?;
        let policy_server = self.policy_server_for(&draft)?;
        let inner = &self.rooms.inner;
        let pdu = self
            .builder(draft, &place)
            .build_and_sign(version, &inner.signing_key, &inner.server_name)
            .map_err(AppendError::from)?;
        self.authorize(&pdu, &place.auth, place.before)?;
        let stripped = self.shown_to_invitee(ask)?;
        Ok((InviteAbroad { pdu: Arc::new(pdu), stripped }, policy_server))
    }

    fn shown_to_invitee(&self, ask: &Ask) -> Result<Vec<Arc<Pdu>>, MembershipError> {
        let (view, mut shown) = (self.view()?, Vec::new());
        for kind in STRIPPED_TYPES {
            shown.extend(view.sent_state_event(kind, "")?);
        }
        shown.extend(view.sent_state_event("m.room.member", ask.user_id.as_str())?);
        Ok(shown)
    }

    fn append_invite_elsewhere(
        &mut self,
        ask: &Ask,
        invite: &Abroad,
        signed: &Arc<Pdu>,
    ) -> Result<(), MembershipError> {
        let permit = self.may_invite(ask, &invite.target)?;
        self.append_cosigned(Authority::Invite(permit), signed)?;
        Ok(())
    }

    /// The permit to invite somebody, who must be neither in the room nor banned from it.
    pub(crate) fn may_invite(
        &self,
        ask: &Ask,
        target: &ruma::UserId,
    ) -> Result<vestibule_policy::Permit<kind::Invite>, MembershipError> {
        self.known()?;
        let deed = Deed::Invite(self.room_id.clone(), target.to_owned());
        let permit = self.permit::<kind::Invite>(ask, &deed)?;
        match self.member(target)?.map(|member| member.membership) {
            Some(StoredMembership::Join) => {
                Err(MembershipError::WrongMembership("the user is in this room already"))
            }
            Some(StoredMembership::Ban) => {
                Err(MembershipError::BadState("the user is banned from this room"))
            }
            _ => Ok(permit),
        }
    }
}
