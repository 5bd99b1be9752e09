//! Invitations that other servers bring for users of ours.

use ruma::{OwnedEventId, OwnedRoomId, OwnedServerName, OwnedUserId, RoomId, RoomVersionId};
use serde_json::value::RawValue;
use vestibule_events::{Pdu, RoomVersion, Verified};
use vestibule_rooms::{BeInvited, BeInvitedError, pruned_state};
use vestibule_types::limits::STRIPPED_STATE_MAX;

use crate::{Federation, VerifyEventError};

/// An invitation as it was brought.
#[derive(Clone, Debug)]
pub struct BroughtInvite {
    /// Whose request it is.
    pub origin: OwnedServerName,
    /// The room of the request.
    pub room_id: OwnedRoomId,
    /// The event identifier of the request.
    pub event_id: OwnedEventId,
    /// The version of the room.
    pub room_version: RoomVersionId,
    /// The invitation.
    pub event: Box<RawValue>,
    /// What may be known of the room.
    pub state: Vec<Box<RawValue>>,
}

/// An invitation to a room whose version is not named.
#[derive(Clone, Debug)]
pub struct OldInvite {
    /// Whose request it is.
    pub origin: OwnedServerName,
    /// The type of the event.
    pub kind: String,
    /// Its `membership`.
    pub membership: String,
    /// Who invites.
    pub sender: OwnedUserId,
    /// Who is invited.
    pub invitee: OwnedUserId,
}

/// Why an invitation was not signed.
#[derive(Debug, thiserror::Error)]
pub enum BringInviteError {
    /// This server does not know the version of the room.
    #[error("this server does not know room version {0}")]
    UnknownVersion(RoomVersionId),
    /// It is no event of the room's version.
    #[error("{0}")]
    Malformed(String),
    /// Its signatures do not hold.
    #[error("{0}")]
    Forged(String),
    /// The keys to check it with cannot be had now.
    #[error("{0}")]
    Unverified(String),
    /// What is said of the room does not hold.
    #[error("the state of the room does not hold: {0}")]
    BadState(&'static str),
    /// It was refused.
    #[error(transparent)]
    Refused(#[from] BeInvitedError),
}

impl From<VerifyEventError> for BringInviteError {
    fn from(error: VerifyEventError) -> Self {
        let message = error.to_string();
        match error {
            VerifyEventError::Invalid(_) | VerifyEventError::NoKeys(_) => Self::Forged(message),
            VerifyEventError::Unavailable(_) => Self::Unverified(message),
        }
    }
}

impl Federation {
    /// Why an invitation is not signed that names no room version: it is to a room of version 1 or 2
    /// (server-server API, `PUT /v1/invite`), which this server does not speak.
    #[must_use]
    pub fn refuse_old_invite(&self, invite: &OldInvite) -> BringInviteError {
        let invalid = |what| BringInviteError::Refused(BeInvitedError::Invalid(what));
        if invite.kind != "m.room.member" {
            return invalid("the event is not a membership");
        }
        if invite.membership != "invite" {
            return invalid("`membership` is another one");
        }
        if invite.sender.server_name() != invite.origin {
            return invalid("the sender is not a user of the asking server");
        }
        if invite.invitee.server_name() != self.server_name() {
            return invalid("`state_key` is not a user of this server");
        }
        BringInviteError::UnknownVersion(RoomVersionId::V1)
    }

    /// Checks an invitation and returns it with our signature.
    pub async fn take_invite(&self, invite: BroughtInvite) -> Result<Pdu, BringInviteError> {
        let version = RoomVersion::try_from(&invite.room_version)
            .map_err(|_| BringInviteError::UnknownVersion(invite.room_version.clone()))?;
        let pdu = Pdu::parse_untrusted(invite.event.get().as_bytes(), version)
            .map_err(|error| BringInviteError::Malformed(error.to_string()))?;
        if invite.state.len() > STRIPPED_STATE_MAX {
            return Err(BringInviteError::BadState("there is too much of it"));
        }
        let mut events = vec![pdu];
        let whole = parse_state(&invite.state, version);
        events.extend(whole.clone().unwrap_or_default());
        let mut verified = self.key_ring().verify_events(events).await.into_iter();
        let none = || BringInviteError::Unverified("the signature was not checked".to_owned());
        let event = verified.next().ok_or_else(none)??;
        let state: Vec<_> = verified.collect();
        // Older servers send less than whole events for the rooms of their time.
        if version.room_id_is_create_event() {
            check_state(&invite.room_id, whole.is_some(), &state)?;
        }
        let command = BeInvited {
            origin: invite.origin,
            room_id: invite.room_id,
            event_id: invite.event_id,
            event,
            stripped: pruned_state(&invite.state),
        };
        Ok(self.inner.parts.rooms.be_invited(command).await?)
    }
}

/// The state as whole events, if it is that.
fn parse_state(state: &[Box<RawValue>], version: RoomVersion) -> Option<Vec<Pdu>> {
    let parsed = state.iter().map(|json| Pdu::parse_untrusted(json.get().as_bytes(), version));
    parsed.collect::<Result<_, _>>().ok()
}

/// What is said of a room must be whole, signed events of it, its creation among them (server-server
/// API, "Inviting to a room").
fn check_state(
    room_id: &RoomId,
    is_whole: bool,
    state: &[Result<Verified, VerifyEventError>],
) -> Result<(), BringInviteError> {
    if !is_whole {
        return Err(BringInviteError::BadState("an entry is no event of the room's version"));
    }
    let mut created = false;
    for event in state {
        let Ok(event) = event else {
            return Err(BringInviteError::BadState("a signature does not hold"));
        };
        if event.pdu().room_id() != room_id {
            return Err(BringInviteError::BadState("an event is of another room"));
        }
        created |= event.pdu().is_state_of("m.room.create", "");
    }
    if created { Ok(()) } else { Err(BringInviteError::BadState("`m.room.create` is missing")) }
}
