//! Inviting by an address.

use ruma::{CanonicalJsonObject, OwnedRoomId, OwnedUserId};
use serde_json::json;
use vestibule_accounts::facts::member_profile;
use vestibule_events::AddressKey;
use vestibule_policy::kind;
use vestibule_storage::StorageError;
use vestibule_types::{Actor, limits::ADDRESS_BYTES_MAX};

use super::{Address, AddressInvite, IdentityAccess, IdentityError, KeptInvite};
use crate::{
    AppendError, Invite, MembershipError, RoomTx, Rooms,
    append::{Authority, Draft},
    ask::{Ask, Deed},
    content::canonical,
};

const THIRD_PARTY_INVITE: &str = "m.room.third_party_invite";

/// Invite whoever owns an address.
#[derive(Clone, Debug)]
pub struct InviteByAddress {
    /// The room.
    pub room_id: OwnedRoomId,
    /// The address.
    pub address: Address,
    /// The identity server that knows addresses.
    pub identity: IdentityAccess,
}

impl Rooms {
    /// Whether the operator lets users invite through an identity server.
    pub fn trusts_identity_server(&self, server: &str) -> Result<(), IdentityError> {
        if self.identity_servers().trusts(server) { Ok(()) } else { Err(IdentityError::Untrusted) }
    }

    /// Invites whoever owns an address: the user whom the identity server knows by it, or else
    /// whoever it turns out to be.
    pub async fn invite_by_address(
        &self,
        actor: &Actor,
        command: InviteByAddress,
    ) -> Result<(), MembershipError> {
        self.trusts_identity_server(&command.identity.server)?;
        let InviteByAddress { room_id, mut address, identity } = command;
        if address.address.is_empty() || address.address.len() > ADDRESS_BYTES_MAX {
            return Err(MembershipError::Invalid("nobody has such an address"));
        }
        match address.medium.as_str() {
            "email" => address.address = address.address.to_lowercase(),
            "msisdn" => {}
            _ => return Err(MembershipError::Invalid("`medium` is not a known kind of address")),
        }
        let deed = Deed::SendState(room_id.clone(), THIRD_PARTY_INVITE.to_owned());
        let ask = self.ask(actor, &deed).await?;
        let asked = ask.clone();
        // An identity server writes to the address: only for somebody who may invite.
        let work = move |room: &mut RoomTx<'_, '_>| room.lay_out_address_invite(&asked, &address);
        let invite = self.in_room(&room_id, work).await?.0;
        if let Some(user_id) = self.identity_servers().owner(&identity, &invite.to).await? {
            return self.invite(actor, Invite { room_id, user_id, reason: None }).await;
        }
        let kept = self.identity_servers().keep_invite(&identity, &invite).await?;
        let work = move |room: &mut RoomTx<'_, '_>| room.append_address_invite(&ask, &kept);
        self.in_room_recommended(&room_id, work).await?;
        Ok(())
    }
}

impl RoomTx<'_, '_> {
    /// What an identity server is told of the room. Nothing changes; who may not invite is refused.
    fn lay_out_address_invite(
        &mut self,
        ask: &Ask,
        to: &Address,
    ) -> Result<AddressInvite, MembershipError> {
        self.known()?;
        drop(self.permit::<kind::SendState>(ask, &self.address_deed())?);
        let draft = address_draft(ask, "", CanonicalJsonObject::new());
        let place = self.place_for(&draft)?;
        let (version, inner) = (self.known()?.version, &self.rooms.inner);
        let pdu = self
            .builder(draft, &place)
            .build_and_sign(version, &inner.signing_key, &inner.server_name)
            .map_err(AppendError::from)?;
        self.authorize(&pdu, &place.auth, place.before)?;
        let profile = member_profile(&*self.tx, &ask.user_id)?;
        let room = self.view()?.summary()?.room;
        Ok(AddressInvite {
            to: to.clone(),
            room_id: self.room_id.clone(),
            sender: ask.user_id.clone(),
            sender_name: profile.displayname,
            sender_avatar: profile.avatar_url,
            room_name: room.name,
            room_avatar: room.avatar_url,
            room_alias: room.canonical_alias,
            join_rule: room.join_rule,
            room_type: room.room_type,
        })
    }

    fn append_address_invite(
        &mut self,
        ask: &Ask,
        kept: &KeptInvite,
    ) -> Result<(), MembershipError> {
        self.known()?;
        let permit = self.permit::<kind::SendState>(ask, &self.address_deed())?;
        let draft = address_draft(ask, &kept.token, content_of(kept));
        self.append_local(Authority::SendState(permit), draft)?;
        Ok(())
    }

    fn address_deed(&self) -> Deed {
        Deed::SendState(self.room_id.clone(), THIRD_PARTY_INVITE.to_owned())
    }

    /// The content of the invitation of an address, and who made it. One that was redacted names no
    /// keys: it is taken back.
    pub(super) fn address_invite(
        &self,
        token: &str,
    ) -> Result<Option<(OwnedUserId, String)>, StorageError> {
        let Ok(view) = self.view() else { return Ok(None) };
        let event = view.shown_state_event(THIRD_PARTY_INVITE, token)?;
        Ok(event.map(|it| (it.sender().to_owned(), it.content().get().to_owned())))
    }
}

fn address_draft(ask: &Ask, token: &str, content: CanonicalJsonObject) -> Draft {
    Draft::state(&ask.user_id, THIRD_PARTY_INVITE, token, content, ask.now)
}

/// The first key also stands where those look who read only one.
fn content_of(kept: &KeptInvite) -> CanonicalJsonObject {
    let key = |key: &AddressKey| match &key.validity_url {
        Some(url) => json!({ "public_key": key.public_key, "key_validity_url": url }),
        None => json!({ "public_key": key.public_key }),
    };
    let first = kept.keys.first();
    canonical(&json!({
        "display_name": kept.display_name,
        "public_keys": kept.keys.iter().map(key).collect::<Vec<_>>(),
        "public_key": first.map(|it| it.public_key.as_str()).unwrap_or_default(),
        "key_validity_url": first.and_then(|it| it.validity_url.as_deref()).unwrap_or_default(),
    }))
}
