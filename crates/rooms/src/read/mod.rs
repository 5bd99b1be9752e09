//! What somebody reads of a room, as far as they may see it.

mod access;
mod context;
mod event;
mod event_at;
mod gaps;
mod hierarchy;
mod hierarchy_elsewhere;
mod inbound;
mod initial_sync;
mod joined;
mod members;
mod messages;
mod mutual_rooms;
mod preview;
mod related;
mod relations;
mod room_summary;
mod search_others;
mod search_users;
mod space_child;
mod state;
mod threads;

use vestibule_storage::StorageError;

pub use self::{
    context::{Context, ContextQuery},
    event_at::EventAt,
    gaps::Gaps,
    hierarchy::{Hierarchy, HierarchyQuery, SpaceRoom},
    inbound::{EventKnown, InboundRoom, PolicyServer},
    initial_sync::{RoomAccountData, RoomSnapshot},
    joined::JoinedMember,
    members::MembersQuery,
    messages::{Direction, Messages, MessagesQuery, type_matches, wanted as filter_wants},
    mutual_rooms::{MutualRooms, MutualRoomsError},
    related::RelatedBy,
    relations::{Relations, RelationsQuery},
    room_summary::RoomPreview,
    search_users::{FoundUser, FoundUsers},
    threads::{Threads, ThreadsQuery},
};
pub(crate) use self::{event_at::nearest, hierarchy_elsewhere::SpacesElsewhere};
use crate::{BadToken, ask::AskError};

/// Why something was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The reader is not, and was not, in the room, or there is none: the same answer for both.
    #[error("you are not in this room")]
    NotMember,
    /// The reader may not see the room as it was then.
    #[error("you may not see this room as it was then")]
    Hidden,
    /// The reader may not see the event.
    #[error("you may not see this event")]
    Unseen,
    /// There is no such event or state, or the reader may not see it.
    #[error("not found")]
    NotFound,
    /// The pagination token is not one of ours.
    #[error(transparent)]
    BadToken(#[from] BadToken),
    /// The policy or the database refused.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl From<StorageError> for ReadError {
    fn from(error: StorageError) -> Self {
        Self::Ask(AskError::Storage(error))
    }
}
