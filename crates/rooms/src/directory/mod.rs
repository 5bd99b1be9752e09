//! Names for rooms, and the public list of rooms.

mod adopt_alias;
mod block_room;
mod create_alias;
mod delete_alias;
mod find_alias;
mod find_room_abroad;
mod guest_link;
mod pin;
mod public_rooms;
mod public_rooms_elsewhere;
mod publish;
mod resolve_alias;
mod summary;

use vestibule_storage::StorageError;

pub use self::adopt_alias::Administrator;
pub(crate) use self::guest_link::grant_of;
pub use self::guest_link::{GuestLink, GuestLinkError, NewGuestLink};
pub use self::public_rooms::{NotAToken, PublicRoomsPage, PublicRoomsQuery, PublicRoomsToken};
pub(crate) use self::resolve_alias::names_of;
pub use self::summary::{PublicRoom, RoomSummary};
use crate::{ElsewhereError, UnknownRoom, ask::AskError};

/// Why the directory did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Somebody already uses this name.
    #[error("the alias is already taken")]
    Taken,
    /// No room has this name.
    #[error("no room has this alias")]
    UnknownAlias,
    /// The name belongs to another server.
    #[error("the alias belongs to another server")]
    Foreign,
    /// The alias has more bytes than a name may.
    #[error("the alias is too long")]
    TooLong,
    /// The room has as many names as it may have.
    #[error("the room has too many aliases")]
    TooManyAliases,
    /// This server does not know the room.
    #[error(transparent)]
    UnknownRoom(#[from] UnknownRoom),
    /// The server the name belongs to could not help.
    #[error(transparent)]
    Elsewhere(#[from] ElsewhereError),
    /// The caller's power in the room is not enough.
    #[error("{0}")]
    Powerless(&'static str),
    /// The policy or the database refused.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl From<StorageError> for DirectoryError {
    fn from(error: StorageError) -> Self {
        Self::Ask(AskError::Storage(error))
    }
}
