//! Bodies that several endpoints share.

use ruma::{OwnedRoomId, OwnedServerName, OwnedUserId};
use serde::Deserialize;
use serde_json::value::RawValue;
use vestibule_events::{ContentError, canonical_content};
use vestibule_http::MatrixError;
use vestibule_rooms::{Address, AddressProof, IdentityAccess, Invite, InviteByAddress, Join};
use vestibule_types::Secret;

/// `reason`, and nothing else that matters.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ReasonBody {
    pub(super) reason: Option<String>,
}

/// Joining: why, and perhaps what an identity server signed for whoever joins.
#[derive(Debug, Default, Deserialize)]
pub(super) struct JoinBody {
    reason: Option<String>,
    third_party_signed: Option<Box<RawValue>>,
}

/// What of it says who invited the address.
#[derive(Deserialize)]
struct SignedBy {
    sender: OwnedUserId,
}

impl JoinBody {
    /// The join of a room through these servers.
    pub(super) fn join(
        self,
        room_id: OwnedRoomId,
        via: Vec<OwnedServerName>,
    ) -> Result<Join, MatrixError> {
        let proof = self.third_party_signed.map(|signed| {
            let by: SignedBy = serde_json::from_str(signed.get())
                .map_err(|error| MatrixError::bad_json(format!("`third_party_signed`: {error}")))?;
            Ok::<_, MatrixError>(AddressProof { sender: by.sender, signed: content(&signed)? })
        });
        Ok(Join { room_id, reason: self.reason, via, proof: proof.transpose()? })
    }
}

/// A user, and why.
#[derive(Debug, Deserialize)]
pub(super) struct MemberBody {
    pub(super) user_id: OwnedUserId,
    pub(super) reason: Option<String>,
}

/// Whom to invite: a user, or whoever owns an address.
#[derive(Debug, Deserialize)]
pub(super) struct InviteBody {
    user_id: Option<OwnedUserId>,
    reason: Option<String>,
    #[serde(flatten)]
    address: Option<AddressBody>,
}

/// An address, and the identity server that knows it.
#[derive(Debug, Deserialize)]
pub(super) struct AddressBody {
    id_server: String,
    id_access_token: String,
    medium: String,
    address: String,
}

/// Whom an invitation is for.
pub(super) enum Invited {
    User(Invite),
    Address(InviteByAddress),
}

impl InviteBody {
    pub(super) fn invited(self, room_id: OwnedRoomId) -> Result<Invited, MatrixError> {
        match (self.user_id, self.address) {
            (Some(user_id), _) => {
                Ok(Invited::User(Invite { room_id, user_id, reason: self.reason }))
            }
            (None, Some(address)) => {
                let (address, identity) = address.invited();
                Ok(Invited::Address(InviteByAddress { room_id, address, identity }))
            }
            (None, None) => Err(MatrixError::missing_param("`user_id` is missing")),
        }
    }
}

impl AddressBody {
    pub(super) fn invited(self) -> (Address, IdentityAccess) {
        let token = Secret::new(self.id_access_token);
        let identity = IdentityAccess { server: self.id_server, token };
        (Address { medium: self.medium, address: self.address }, identity)
    }
}

/// An event content as the client wrote it, in canonical form.
pub(super) fn content(raw: &RawValue) -> Result<ruma::CanonicalJsonObject, MatrixError> {
    canonical_content(raw).map_err(|error| match error {
        ContentError::NotAnObject | ContentError::TooDeep | ContentError::NotCanonical(_) => {
            MatrixError::bad_json(error.to_string())
        }
    })
}
