//! Sending: message-like events, state, redactions, and the transaction ids that make a repeated
//! request harmless.

mod redact;
mod send_event;
mod send_state;
mod shape;
mod transaction;

use ruma::OwnedEventId;
use vestibule_storage::StorageError;

pub(crate) use self::shape::named_aliases;
pub use self::{redact::Redact, send_event::SendEvent, send_state::SendState};
use crate::{AppendError, MembershipError, UnknownRoom, ask::AskError};

/// Why an event was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// This server does not know the room.
    #[error(transparent)]
    UnknownRoom(#[from] UnknownRoom),
    /// The policy or the database refused.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The room's rules refused, or the event could not be made.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// It was a membership event, and that road refused.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The content cannot be what its type says.
    #[error("{0}")]
    BadContent(&'static str),
    /// The content is not of the shape in which the room's rules read it.
    #[error("{0}")]
    Malformed(&'static str),
    /// The event a thread is to start from relates to another itself.
    #[error("a thread cannot start from an event that has a relation itself")]
    NoThread,
    /// The sender has reacted like this already.
    #[error("you have already reacted like this")]
    DuplicateAnnotation(OwnedEventId),
    /// An alias the content names does not lead to this room.
    #[error("{0} does not lead to this room")]
    BadAlias(String),
    /// The event that was to be changed is not in this room.
    #[error("the event is not in this room")]
    UnknownEvent,
}

impl From<StorageError> for SendError {
    fn from(error: StorageError) -> Self {
        Self::Ask(AskError::Storage(error))
    }
}
