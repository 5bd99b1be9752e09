//! What passes: who is typing, and how far everybody has read.

mod from_elsewhere;
mod read_marker;
mod receipt;
mod set_typing;
mod typing;

use ruma::EventId;
use vestibule_accounts::spend;
use vestibule_policy::{Object, Permit, kind};
use vestibule_storage::{Read, StorageError, tables::room::StoredMembership};

pub use self::{
    from_elsewhere::ReceiptElsewhere,
    receipt::{ReceiptKind, SendReceipt},
    set_typing::SetTyping,
    typing::{Typing, TypingIn},
};
use crate::{LoggedEvent, RoomView, UnknownRoom, ask::Ask, ask::AskError};

/// Why a notice was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NoticeError {
    /// This server does not know the room.
    #[error(transparent)]
    UnknownRoom(#[from] UnknownRoom),
    /// The user is not in the room.
    #[error("you are not in this room")]
    NotJoined,
    /// The room has no such event.
    #[error("the room has no such event")]
    UnknownEvent,
    /// The receipt names a thread that its event is not in.
    #[error("{0}")]
    BadThread(&'static str),
    /// The policy or the database refused.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl From<StorageError> for NoticeError {
    fn from(error: StorageError) -> Self {
        Self::Ask(AskError::Storage(error))
    }
}

impl<R: Read> RoomView<'_, R> {
    /// Spends the permit of somebody who must be in the room.
    fn spend_notice(&self, ask: &Ask, permit: Permit<kind::Ephemeral>) -> Result<(), NoticeError> {
        spend(&self.reader, permit, &ask.user_id, &Object::room(&self.room.room_id))?;
        let member = self.local_member(&ask.user_id)?;
        let joined = member.is_some_and(|row| row.value.membership == StoredMembership::Join);
        if joined { Ok(()) } else { Err(NoticeError::NotJoined) }
    }

    fn noticed_event(&self, id: &EventId) -> Result<LoggedEvent, NoticeError> {
        self.event_by_id(id)?.ok_or(NoticeError::UnknownEvent)
    }
}
