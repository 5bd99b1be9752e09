//! Turning the invitation of an address into that of a user, by what an identity server signed.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedRoomId, OwnedServerName, OwnedUserId};
use serde::Deserialize;
use vestibule_events::{AddressKey, address_keys, address_keys_that_signed};
use vestibule_storage::StorageError;

use crate::{
    HandshakeError, MembershipError, RoomTx, Rooms,
    append::Authority,
    ask::Ask,
    membership::{Abroad, blocks_invites, invite_content, member_draft, put_profile, put_text},
};

/// A server brings what an identity server signed for a user of theirs.
#[derive(Clone, Debug)]
pub struct ExchangeInvite {
    /// Whose request it is; our own name for a user of ours.
    pub origin: OwnedServerName,
    /// The room.
    pub room_id: OwnedRoomId,
    /// Who invited the address.
    pub sender: OwnedUserId,
    /// Whose the address is now.
    pub invitee: OwnedUserId,
    /// What the identity server signed.
    pub signed: CanonicalJsonObject,
}

/// Why an invitation of an address did not become one of a user.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeInviteError {
    /// This server does not answer the other about the room.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The request contradicts itself, or is not for this server.
    #[error("{0}")]
    Invalid(&'static str),
    /// The sender invited no such address, or took the invitation back.
    #[error("there is no such invitation in the room")]
    NoInvite,
    /// No key that the invitation names made one of the signatures.
    #[error("none of the invitation's keys signed this")]
    Forged,
    /// The invitation was refused.
    #[error(transparent)]
    Refused(#[from] MembershipError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<crate::UnknownRoom> for ExchangeInviteError {
    fn from(unknown: crate::UnknownRoom) -> Self {
        Self::Handshake(unknown.into())
    }
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    display_name: String,
}

/// An invitation of an address that a proof fits.
struct Awaited {
    /// The keys that signed the proof.
    keys: Vec<AddressKey>,
    /// The name that stands for the address in the room.
    display_name: String,
}

impl Rooms {
    /// The keys that signed a proof, among those its invitation names. Whether one of them was revoked
    /// since is for the caller to find out.
    pub async fn keys_of_proof(
        &self,
        command: &ExchangeInvite,
    ) -> Result<Vec<AddressKey>, ExchangeInviteError> {
        let (room_id, command) = (command.room_id.clone(), command.clone());
        let found = self.in_room(&room_id, move |room| room.awaited(&command)).await?;
        Ok(found.0.keys)
    }

    /// Invites the owner of an address that a user of ours invited.
    pub async fn exchange_invite(
        &self,
        command: ExchangeInvite,
    ) -> Result<(), ExchangeInviteError> {
        let ask = Ask::unattended(&command.sender, self.inner.env.now());
        let (room_id, target) = (command.room_id.clone(), command.invitee.clone());
        let signed = command.signed.clone();
        let found = self.in_room(&room_id, move |room| room.awaited(&command)).await?;
        let invite = Abroad {
            room_id: room_id.clone(),
            target,
            content: invite_content(None, false),
            by_address: Some(proof(&found.0.display_name, signed)),
        };
        if self.is_elsewhere(&invite.target) {
            return Ok(self.invite_elsewhere(ask, invite).await?);
        }
        let work = move |room: &mut RoomTx<'_, '_>| room.invite_by_proof(&ask, &invite);
        self.in_room_recommended::<_, MembershipError, _>(&room_id, work).await?;
        Ok(())
    }
}

/// The `third_party_invite` of a membership event.
fn proof(display_name: &str, signed: CanonicalJsonObject) -> CanonicalJsonObject {
    let mut proof = CanonicalJsonObject::new();
    put_text(&mut proof, "display_name", display_name);
    proof.insert("signed".to_owned(), CanonicalJsonValue::Object(signed));
    proof
}

impl RoomTx<'_, '_> {
    /// The invitation that a proof is for.
    fn awaited(&self, command: &ExchangeInvite) -> Result<Awaited, ExchangeInviteError> {
        let text = |key: &str| command.signed.get(key).and_then(CanonicalJsonValue::as_str);
        if command.sender.server_name() != self.rooms.inner.server_name {
            return Err(ExchangeInviteError::Invalid("`sender` is not a user of this server"));
        }
        if command.invitee.server_name() != command.origin {
            return Err(HandshakeError::NotTheirUser.into());
        }
        if text("mxid") != Some(command.invitee.as_str()) {
            return Err(ExchangeInviteError::Invalid("`mxid` is not `state_key`"));
        }
        let token = text("token").ok_or(ExchangeInviteError::Invalid("`token` is missing"))?;
        self.answers_to(&command.origin)?;
        let invite = self.address_invite(token)?.filter(|(sender, _)| *sender == command.sender);
        let (_, content) = invite.ok_or(ExchangeInviteError::NoInvite)?;
        let keys = address_keys(&content);
        if keys.is_empty() {
            return Err(ExchangeInviteError::NoInvite);
        }
        let keys = address_keys_that_signed(&command.signed, &keys);
        if keys.is_empty() {
            return Err(ExchangeInviteError::Forged);
        }
        let named = serde_json::from_str::<Named>(&content);
        let display_name = named.map(|it| it.display_name).unwrap_or_default();
        Ok(Awaited { keys, display_name })
    }

    /// Invites a user of ours who owns the address.
    fn invite_by_proof(&mut self, ask: &Ask, invite: &Abroad) -> Result<(), MembershipError> {
        let permit = self.may_invite(ask, &invite.target)?;
        if blocks_invites(&*self.tx, &invite.target)? {
            return Err(MembershipError::InviteBlocked);
        }
        let mut content = invite.content();
        put_profile(&*self.tx, &mut content, &invite.target, None)?;
        let draft = member_draft((&ask.user_id, &invite.target), content, ask.now);
        self.append_local(Authority::Invite(permit), draft)?;
        Ok(())
    }
}
