//! Memberships of users of other servers in rooms this server is in (server-server API, "Joining
//! Rooms", "Knocking upon a room", "Leaving Rooms").
//!
//! A server that is not in the room asks for a template, signs it, and hands it in. Both steps check
//! the same things, because nothing of the first binds whoever sends the second. This server answers
//! for a room only while a user of ours is joined: the state of a room we left is not evidence.

mod accept;
mod answer;
mod template;

use ruma::{CanonicalJsonObject, RoomId, ServerName, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;
use vestibule_events::{BuildError, Pdu, RoomVersion};
use vestibule_storage::StorageError;

pub use self::{
    accept::HandedIn,
    answer::{JoinedState, STRIPPED_TYPES},
    template::{MakeMembership, Template},
};
use crate::{
    AppendError, MembershipError, ReceiveError, RoomTx, UnknownRoom, membership::Vouching,
};

/// What somebody wants to become by a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// Joined.
    Join,
    /// Waiting to be let in.
    Knock,
    /// Out: an invitation is rejected, or a knock taken back.
    Leave,
}

impl Wanted {
    /// The membership, as events spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Knock => "knock",
            Self::Leave => "leave",
        }
    }
}

/// Why another server's user did not get the membership they wanted.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// This server does not have the room, or is not in it any more.
    #[error("this server is not in the room")]
    UnknownRoom,
    /// The user belongs to another server than the one that asks.
    #[error("the user is not one of the asking server's")]
    NotTheirUser,
    /// The room's access control list keeps the server out.
    #[error("the room's access control list keeps this server out")]
    AclDenied,
    /// The asking server does not know the version of the room.
    #[error("the room is of version {0}")]
    IncompatibleVersion(RoomVersion),
    /// The room's rules refuse it.
    #[error("{0}")]
    Forbidden(String),
    /// The room is restricted, and this server is in none of the rooms that would let somebody in.
    #[error("this server is in none of the rooms that let people in here")]
    UnableToAuthorise,
    /// The room would let the user in, but none of our users there may invite.
    #[error("no user of this server may let people into the room")]
    UnableToGrant,
    /// What was handed in is not what it should be.
    #[error("{0}")]
    Invalid(&'static str),
    /// The event could not be made or stored.
    #[error(transparent)]
    Append(AppendError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<AppendError> for HandshakeError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::UnknownRoom(_) => Self::UnknownRoom,
            AppendError::Forbidden(reason) => Self::Forbidden(reason),
            AppendError::Storage(cause) => Self::Storage(cause),
            other => Self::Append(other),
        }
    }
}

impl From<UnknownRoom> for HandshakeError {
    fn from(_: UnknownRoom) -> Self {
        Self::UnknownRoom
    }
}

impl From<BuildError> for HandshakeError {
    fn from(error: BuildError) -> Self {
        Self::Append(error.into())
    }
}

impl From<ReceiveError> for HandshakeError {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Append(error) => error.into(),
            ReceiveError::Missing(_) | ReceiveError::NoState => {
                Self::Invalid("the event names events nobody knows here")
            }
        }
    }
}

impl From<MembershipError> for HandshakeError {
    fn from(error: MembershipError) -> Self {
        match error {
            MembershipError::Append(error) => error.into(),
            other => Self::Forbidden(other.to_string()),
        }
    }
}

#[derive(Deserialize)]
struct MemberContent {
    membership: String,
    join_authorised_via_users_server: Option<ruma::OwnedUserId>,
}

/// Checks that an event is the membership that was asked for, by a user of the asking server.
fn check_shape(
    (origin, wanted, room_id): (&ServerName, Wanted, &RoomId),
    pdu: &Pdu,
) -> Result<MemberContent, HandshakeError> {
    if pdu.room_id() != room_id {
        return Err(HandshakeError::Invalid("the event is of another room"));
    }
    if pdu.kind() != "m.room.member" {
        return Err(HandshakeError::Invalid("the event is not a membership"));
    }
    if pdu.state_key() != Some(pdu.sender().as_str()) {
        return Err(HandshakeError::Invalid("`state_key` is not the sender"));
    }
    if pdu.sender().server_name() != origin {
        return Err(HandshakeError::NotTheirUser);
    }
    let content: MemberContent =
        pdu.content_as().map_err(|_| HandshakeError::Invalid("`membership` is missing"))?;
    if content.membership != wanted.as_str() {
        return Err(HandshakeError::Invalid("`membership` is another one"));
    }
    Ok(content)
}

impl RoomTx<'_, '_> {
    /// Checks that this server may answer a server about this room.
    pub(crate) fn answers_to(&self, origin: &ServerName) -> Result<(), HandshakeError> {
        let view = self.view()?;
        if view.room.blocked || !view.is_resident()? {
            return Err(HandshakeError::UnknownRoom);
        }
        if !view.acl_allows(origin)? {
            return Err(HandshakeError::AclDenied);
        }
        Ok(())
    }

    /// Who of ours vouches for a user of another server, when somebody has to.
    fn vouched(&self, user: &UserId) -> Result<Option<ruma::OwnedUserId>, HandshakeError> {
        match self.vouching(user)? {
            Vouching::NotNeeded => Ok(None),
            Vouching::By(voucher) => Ok(Some(voucher)),
            Vouching::Nobody => Err(HandshakeError::UnableToGrant),
            Vouching::Unknown => Err(HandshakeError::UnableToAuthorise),
            Vouching::Refused => {
                Err(HandshakeError::Forbidden(MembershipError::NotAllowedIn.to_string()))
            }
        }
    }
}

/// An object as it is written.
fn raw(object: &CanonicalJsonObject) -> Result<Box<RawValue>, HandshakeError> {
    serde_json::value::to_raw_value(object)
        .map_err(|error| HandshakeError::Append(AppendError::BadContent(error.to_string())))
}
