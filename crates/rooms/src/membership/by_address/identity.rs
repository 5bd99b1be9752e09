//! What rooms need from identity servers. `federation` implements it and `server` plugs it in; without
//! it none is trusted.

use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomId, UserId};
use vestibule_events::AddressKey;
use vestibule_types::{BoxFuture, Secret};

use super::AddressProof;
use crate::MembershipError;

/// Why an identity server did not help.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IdentityError {
    /// The operator does not trust it, as they trust none unless they say so.
    #[error("this server does not trust that identity server")]
    Untrusted,
    /// It could not be reached.
    #[error("the identity server could not be reached")]
    Unreachable,
    /// Its answer cannot be used.
    #[error("the identity server's answer cannot be used: {0}")]
    BadAnswer(String),
    /// It refused.
    #[error("the identity server refused: {message}")]
    Refused {
        /// The error code of its answer.
        errcode: String,
        /// What it said.
        message: String,
    },
}

/// An identity server as a user reaches it.
#[derive(Clone, Debug)]
pub struct IdentityAccess {
    /// Its name: a host, perhaps with a port.
    pub server: String,
    /// The user's access token there.
    pub token: Secret,
}

/// An address.
#[derive(Clone, Debug)]
pub struct Address {
    /// What kind of address it is, as `email`.
    pub medium: String,
    /// The address.
    pub address: String,
}

/// An invitation for an identity server to keep and to bring to the address.
#[derive(Clone, Debug)]
pub struct AddressInvite {
    /// Who is invited.
    pub to: Address,
    /// Where to.
    pub room_id: OwnedRoomId,
    /// By whom.
    pub sender: OwnedUserId,
    /// The inviter's name.
    pub sender_name: Option<String>,
    /// The inviter's picture.
    pub sender_avatar: Option<String>,
    /// The room's name.
    pub room_name: Option<String>,
    /// The room's picture.
    pub room_avatar: Option<String>,
    /// The room's alias.
    pub room_alias: Option<OwnedRoomAliasId>,
    /// The rule by which people join it.
    pub join_rule: String,
    /// Its type, as `m.space`.
    pub room_type: Option<String>,
}

/// An invitation that an identity server keeps.
#[derive(Clone, Debug)]
pub struct KeptInvite {
    /// What the identity server will sign.
    pub token: String,
    /// The keys it may sign it with; at least one.
    pub keys: Vec<AddressKey>,
    /// A name to show in place of the address.
    pub display_name: String,
}

/// What rooms ask of identity servers.
pub trait IdentityServers: Send + Sync + 'static {
    /// Whether the operator lets this server ask that one.
    fn trusts(&self, server: &str) -> bool;

    /// The user who owns an address, if the identity server knows one.
    fn owner<'a>(
        &'a self,
        access: &'a IdentityAccess,
        address: &'a Address,
    ) -> BoxFuture<'a, Result<Option<OwnedUserId>, IdentityError>>;

    /// Has an invitation kept until the address is somebody's.
    fn keep_invite<'a>(
        &'a self,
        access: &'a IdentityAccess,
        invite: &'a AddressInvite,
    ) -> BoxFuture<'a, Result<KeptInvite, IdentityError>>;

    /// Has the server of whoever invited an address check what was signed for its owner, a user of
    /// ours, and invite them.
    fn redeem<'a>(
        &'a self,
        user_id: &'a UserId,
        room_id: &'a RoomId,
        proof: &'a AddressProof,
    ) -> BoxFuture<'a, Result<(), MembershipError>>;
}

/// None is trusted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoIdentityServers;

impl IdentityServers for NoIdentityServers {
    fn trusts(&self, _: &str) -> bool {
        false
    }

    fn owner<'a>(
        &'a self,
        _: &'a IdentityAccess,
        _: &'a Address,
    ) -> BoxFuture<'a, Result<Option<OwnedUserId>, IdentityError>> {
        Box::pin(async { Err(IdentityError::Untrusted) })
    }

    fn keep_invite<'a>(
        &'a self,
        _: &'a IdentityAccess,
        _: &'a AddressInvite,
    ) -> BoxFuture<'a, Result<KeptInvite, IdentityError>> {
        Box::pin(async { Err(IdentityError::Untrusted) })
    }

    fn redeem<'a>(
        &'a self,
        _: &'a UserId,
        _: &'a RoomId,
        _: &'a AddressProof,
    ) -> BoxFuture<'a, Result<(), MembershipError>> {
        Box::pin(async { Err(IdentityError::Untrusted.into()) })
    }
}
