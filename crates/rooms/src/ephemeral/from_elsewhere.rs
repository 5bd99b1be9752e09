//! Typing and receipts of users of other servers. Their servers say them; what counts is that the user
//! belongs to that server and is in the room. Receipts that cannot be, and rooms that are not here, are
//! passed over without a word.

use std::time::Duration;

use ruma::{OwnedEventId, OwnedUserId, RoomId, ServerName, UserId};
use vestibule_storage::{StorageError, tables::room::StoredMembership};

use super::{ReceiptKind, SendReceipt, receipt::Reader};
use crate::{AppendError, RoomTx, Rooms, append::membership_of, ask::AskError};

/// How long a user of another server types, unless their server says something else by then.
const TYPING_ELSEWHERE: Duration = Duration::from_secs(30);

/// A read receipt of a user of another server.
#[derive(Clone, Debug)]
pub struct ReceiptElsewhere {
    /// Who has read.
    pub user_id: OwnedUserId,
    /// Up to which event; of several, the last that is here counts.
    pub event_ids: Vec<OwnedEventId>,
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// The thread it is about: an event, or `main`; `None` for the whole room.
    pub thread: Option<String>,
}

impl Rooms {
    /// Notes that a user of another server types in a room, or no longer. Says whether the user is in
    /// the room.
    pub async fn typing_elsewhere(
        &self,
        origin: &ServerName,
        (room_id, user_id): (&RoomId, &UserId),
        types: bool,
    ) -> Result<bool, StorageError> {
        if user_id.server_name() != origin {
            return Ok(false);
        }
        let (origin, user) = (origin.to_owned(), user_id.to_owned());
        let found = self.with_view::<_, StorageError, _>(room_id, move |view| {
            let member = view.state_event("m.room.member", user.as_str())?;
            let joined = member.is_some_and(|it| membership_of(&it.pdu) == StoredMembership::Join);
            Ok((joined && view.acl_allows(&origin)?).then_some(view.room.no))
        });
        let Some(room) = found.await?.flatten() else { return Ok(false) };
        let now = self.inner.env.clock.monotonic();
        let until = types.then(|| now.saturating_add(TYPING_ELSEWHERE));
        self.inner.typing.set((room, room_id), user_id, until);
        Ok(true)
    }

    /// Takes read receipts that a server has for its users. Says how many of them told something new.
    pub async fn receipts_elsewhere(
        &self,
        origin: &ServerName,
        room_id: &RoomId,
        receipts: Vec<ReceiptElsewhere>,
    ) -> Result<usize, AppendError> {
        let origin = origin.to_owned();
        let taken = self.in_room(room_id, move |room| {
            let allowed = match room.view() {
                Ok(view) => view.acl_allows(&origin)?,
                Err(_unknown) => false,
            };
            if !allowed {
                return Ok(0);
            }
            let mut taken = 0;
            for receipt in receipts.iter().filter(|it| it.user_id.server_name() == origin) {
                taken += usize::from(room.receipt_elsewhere(receipt)?);
            }
            Ok::<_, AppendError>(taken)
        });
        Ok(taken.await?.0)
    }
}

impl RoomTx<'_, '_> {
    fn receipt_elsewhere(&mut self, receipt: &ReceiptElsewhere) -> Result<bool, AppendError> {
        let member = self.member(&receipt.user_id)?;
        if member.is_none_or(|it| it.membership != StoredMembership::Join) {
            return Ok(false);
        }
        let view = self.view()?;
        let mut here = None;
        for id in receipt.event_ids.iter().rev() {
            if view.event_no(id)?.is_some() {
                here = Some(id.clone());
                break;
            }
        }
        let Some(event_id) = here else { return Ok(false) };
        let room_id = self.room_id.clone();
        let thread = receipt.thread.clone();
        let command = SendReceipt { room_id, event_id, kind: ReceiptKind::Public, thread };
        let reader = Reader { user_id: &receipt.user_id, at: receipt.at };
        match self.take_receipt(reader, &command) {
            Ok(()) => Ok(true),
            Err(super::NoticeError::Ask(AskError::Storage(failed))) => Err(failed.into()),
            // It names a thread its event is not in.
            Err(_) => Ok(false),
        }
    }
}
