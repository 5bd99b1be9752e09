//! Making a room.
//!
//! Everything that may be refused is decided before anything is written: the room, its alias, its
//! place in the directory, and every invitation. Then all its events are one batch, so a room is
//! there as a whole or not at all.

mod execute;
mod plan;

use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedRoomId, OwnedUserId};
use vestibule_events::{BuildError, RoomVersion, RoomVersionError};
use vestibule_policy::RoomKind;
use vestibule_storage::StorageError;

use crate::{Address, AppendError, DirectoryError, IdentityAccess, MembershipError, ask::AskError};

/// What a new room is like before its own state says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// By invitation.
    PrivateChat,
    /// By invitation, everybody invited has the creator's power.
    TrustedPrivateChat,
    /// Anybody may join.
    PublicChat,
}

/// A state event a room begins with.
#[derive(Clone, Debug)]
pub struct InitialState {
    /// Its type.
    pub event_type: String,
    /// Its state key.
    pub state_key: String,
    /// Its content.
    pub content: CanonicalJsonObject,
}

/// Make a room.
#[derive(Clone, Debug, Default)]
pub struct CreateRoom {
    /// More for the create event.
    pub creation_content: CanonicalJsonObject,
    /// State beyond the preset.
    pub initial_state: Vec<InitialState>,
    /// Whom to invite.
    pub invite: Vec<OwnedUserId>,
    /// Whose addresses to invite, each with the identity server that knows it.
    pub invite_addresses: Vec<(Address, IdentityAccess)>,
    /// Whether the invitations are to a direct chat.
    pub is_direct: bool,
    /// The room's name.
    pub name: Option<String>,
    /// The room's topic.
    pub topic: Option<String>,
    /// Keys that replace those of the default power levels.
    pub power_level_content_override: CanonicalJsonObject,
    /// The preset; follows from `published` when it is not given.
    pub preset: Option<Preset>,
    /// The local part of an alias.
    pub alias_localpart: Option<String>,
    /// The room version; the server's default when it is not given.
    pub room_version: Option<String>,
    /// Whether to list the room in the directory.
    pub published: bool,
}

impl CreateRoom {
    fn preset(&self) -> Preset {
        self.preset.unwrap_or(if self.published { Preset::PublicChat } else { Preset::PrivateChat })
    }

    /// What kind of room the policy is asked about.
    fn kind(&self) -> RoomKind {
        if self.is_space() {
            RoomKind::Space
        } else if self.opens() {
            RoomKind::Public
        } else if self.is_direct {
            RoomKind::Dm
        } else {
            RoomKind::Private
        }
    }

    /// What else it has to be allowed as: a space that anybody may join is a public room too.
    fn kind_beside(&self) -> Option<RoomKind> {
        (self.is_space() && self.opens()).then_some(RoomKind::Public)
    }

    fn is_space(&self) -> bool {
        matches!(
            self.creation_content.get("type"),
            Some(CanonicalJsonValue::String(kind)) if kind == "m.space"
        )
    }

    /// Whether anybody may join.
    fn opens(&self) -> bool {
        let opens = |event: &InitialState| {
            event.event_type == "m.room.join_rules"
                && matches!(
                    event.content.get("join_rule"),
                    Some(CanonicalJsonValue::String(rule)) if rule == "public"
                )
        };
        self.preset() == Preset::PublicChat
            || self.published
            || self.initial_state.iter().any(opens)
    }
}

/// Why a room was not made. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum CreateRoomError {
    /// The room version is not one this server makes.
    #[error(transparent)]
    Version(#[from] RoomVersionError),
    /// The policy or the database refused.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The alias cannot be had.
    #[error(transparent)]
    Alias(#[from] DirectoryError),
    /// The alias is not one.
    #[error("the alias is not a valid room alias")]
    BadAlias,
    /// An alias the initial state names does not lead to the room.
    #[error("{0} does not lead to this room")]
    AliasElsewhere(String),
    /// The creation content says something that cannot be.
    #[error("{0}")]
    BadCreation(String),
    /// More invitees or state events than one request may bring.
    #[error("too many {0}")]
    TooMany(&'static str),
    /// What was asked for makes a state that the room's own rules refuse.
    #[error("the initial state is not valid: {0}")]
    InvalidState(String),
    /// Another room was given this identifier a moment ago; the next moment gives another one.
    #[error("another room was made in the same moment")]
    SameMoment,
    /// An invitation was refused.
    #[error(transparent)]
    Invite(#[from] MembershipError),
    /// An event could not be made or stored.
    #[error(transparent)]
    Append(AppendError),
}

impl From<AppendError> for CreateRoomError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Forbidden(reason) => Self::InvalidState(reason),
            other => Self::Append(other),
        }
    }
}

impl From<BuildError> for CreateRoomError {
    fn from(error: BuildError) -> Self {
        Self::Append(error.into())
    }
}

impl From<StorageError> for CreateRoomError {
    fn from(error: StorageError) -> Self {
        Self::Ask(AskError::Storage(error))
    }
}

/// A room that was made.
#[derive(Clone, Debug)]
pub struct CreatedRoom {
    /// Its identifier.
    pub room_id: OwnedRoomId,
    /// Its version.
    pub version: RoomVersion,
}
