//! Purging the history of a room: old messages lose their content.
//!
//! What goes is what redaction takes, from every event that is neither state nor a redaction and says that it was sent
//! before a moment. What stays is the event in its redacted form, as the specification wants it to be kept and passed
//! on: its id and its signatures hold, so the graph, the state, what authorizes what and the room's ends are as they
//! were. Clients are not shown it any more, relations and the index of words forget it, and other servers are given
//! the redacted form. Redactions stay, since they say what may not be shown.
//!
//! A purge is a durable job. Each of its batches is one write in the room's queue, with a row that says how far it came.

mod batch;
mod line;

use ruma::{OwnedRoomId, RoomId, UserId};
use serde::{Deserialize, Serialize};
use vestibule_storage::{SlotNo, Snapshot, StorageError, Tx, jobs};
use vestibule_types::{EventNo, RoomNo, limits::PURGE_BATCHES_AT_ONCE};

pub(crate) use self::line::Purged;
use crate::{OpenRoom, Rooms};

/// Purge the history of a room.
pub(crate) const PURGE_HISTORY: &str = "purge_history";

/// The payload of [`PURGE_HISTORY`], as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PurgeHistory {
    room_id: OwnedRoomId,
    /// What was sent before this goes, in milliseconds since the Unix epoch.
    before_ms: u64,
    /// The next event to be looked at.
    from: u64,
    /// Events numbered from here on came after the purge was asked for.
    end: u64,
}

/// Why nothing is purged.
#[derive(Debug, thiserror::Error)]
pub enum PurgeHistoryError {
    /// This server does not know the room.
    #[error("this server does not know the room")]
    UnknownRoom,
    /// The moment has not come.
    #[error("what is to be purged must be in the past")]
    InTheFuture,
    /// The database failed.
    #[error("could not read or write the database")]
    Storage(#[from] StorageError),
}

/// What is kept of the words of events elsewhere and goes with them.
pub trait EventIndex: Send + Sync + 'static {
    /// Forgets events of a room, in the transaction that takes their content away and before it does.
    fn forget(&self, tx: &mut Tx<'_>, room: RoomNo, events: &[EventNo])
    -> Result<(), StorageError>;

    /// The events of a room that are found by a user's words.
    fn written_by(
        &self,
        read: &Snapshot<'_>,
        room: RoomNo,
        user: &UserId,
    ) -> Result<Vec<EventNo>, StorageError>;
}

impl Rooms {
    /// Takes the content from messages of a room that were sent before a moment, in the background and across
    /// restarts.
    pub async fn purge_history(
        &self,
        room_id: &RoomId,
        before_ms: u64,
    ) -> Result<(), PurgeHistoryError> {
        if before_ms > self.inner.env.now_ms() {
            return Err(PurgeHistoryError::InTheFuture);
        }
        let wanted = room_id.to_owned();
        let room = self.inner.store.read(move |it| OpenRoom::load(it, &wanted)).await?;
        let end = room.ok_or(PurgeHistoryError::UnknownRoom)?.head.next_event;
        let purge = PurgeHistory { room_id: room_id.to_owned(), before_ms, from: 0, end };
        Ok(self.line_up_purge(purge).await?)
    }

    /// Some batches of a purge; what is left is put in line again.
    pub(crate) async fn purge_on(&self, purge: &PurgeHistory) -> Result<(), StorageError> {
        let mut purge = purge.clone();
        for _ in 0..PURGE_BATCHES_AT_ONCE {
            if purge.from >= purge.end {
                return Ok(());
            }
            let batch = purge.clone();
            let done = self.in_room(&purge.room_id, move |room| {
                room.purge_batch(batch.before_ms, batch.from..batch.end)
            });
            let (next, _) = done.await?;
            purge.from = next;
        }
        if purge.from < purge.end { self.line_up_purge(purge).await } else { Ok(()) }
    }

    async fn line_up_purge(&self, purge: PurgeHistory) -> Result<(), StorageError> {
        let payload = serde_json::to_vec(&purge).unwrap_or_default();
        let now = self.inner.env.now_ms();
        let lined_up = self
            .inner
            .store
            .write(SlotNo(0), move |tx| jobs::enqueue(tx, PURGE_HISTORY, payload.clone(), now));
        lined_up.await?;
        self.inner.job_bell.notify_one();
        Ok(())
    }
}
