//! A room inside a write: its growing end, loaded once for a whole batch.

use std::sync::Arc;

use parking_lot::Mutex;
use ruma::{OwnedRoomId, RoomId};
use vestibule_events::RoomVersion;
use vestibule_storage::{
    Fixed, Newcomer, Savepoint, Stamp, Stamped, StorageError, Tx,
    tables::{
        directory::{BLOCKED_ROOM, SCOPE_GUARD},
        room::{
            ROOM_BY_NO, ROOM_HEAD, ROOM_NO_BY_ID, StateAt, StoredRoom, StoredRoomHead, StoredRoomNo,
        },
    },
};
use vestibule_types::{EventNo, RoomNo};

use crate::{LoggedEvent, OpenRoom, RoomView, Rooms, append::Desk, state};

/// The room a batch of work is about, inside its write transaction.
pub(crate) struct RoomTx<'a, 'tx> {
    pub(crate) rooms: &'a Rooms,
    pub(crate) tx: &'a mut Tx<'tx>,
    pub(crate) room_id: OwnedRoomId,
    pub(crate) room: Option<OpenRoom>,
    /// Where events that need the signature of a policy server are handed over.
    pub(crate) desk: Option<Arc<Mutex<Desk>>>,
    /// Events made here: worth remembering once they are committed.
    pub(crate) made: Vec<(RoomNo, LoggedEvent)>,
    changed: bool,
}

/// A moment to return to when a piece of work fails.
pub(crate) struct RoomSavepoint {
    tx: Savepoint,
    room: Option<OpenRoom>,
    made: usize,
    changed: bool,
}

impl<'a, 'tx> RoomTx<'a, 'tx> {
    /// Loads the room's growing end. The read is asserted: two batches on one room cannot both
    /// commit from the same moment.
    pub(crate) fn open(
        rooms: &'a Rooms,
        tx: &'a mut Tx<'tx>,
        room_id: &RoomId,
    ) -> Result<Self, StorageError> {
        let room = OpenRoom::load(&*tx, room_id)?;
        Ok(Self {
            rooms,
            tx,
            room_id: room_id.to_owned(),
            room,
            desk: None,
            made: Vec::new(),
            changed: false,
        })
    }

    /// Opens a room that an earlier part of this very transaction wrote. Nothing of it is committed,
    /// so nothing of it may be remembered beyond the transaction.
    pub(crate) fn open_staged(
        rooms: &'a Rooms,
        tx: &'a mut Tx<'tx>,
        room_id: &RoomId,
    ) -> Result<Self, StorageError> {
        let mut this = Self::open(rooms, tx, room_id)?;
        if let Some(room) = &mut this.room {
            room.committed = 0;
            room.committed_state = state::EMPTY;
        }
        Ok(this)
    }

    /// Stages the room's new growing end, once for the batch. Returns the events that were made.
    pub(crate) fn close(self) -> Result<Vec<(RoomNo, LoggedEvent)>, StorageError> {
        match &self.room {
            Some(room) if self.changed => ROOM_HEAD.put(self.tx, (room.no,), &room.head)?,
            _ => {}
        }
        Ok(self.made)
    }

    /// Works on another room in the same transaction, one that nobody can find yet. Returns what
    /// became of it; this room is as it was.
    pub(crate) fn aside<T>(
        &mut self,
        other: OpenRoom,
        work: impl FnOnce(&mut Self) -> T,
    ) -> (T, Option<OpenRoom>) {
        let own = (self.room.replace(other), self.changed);
        let outcome = work(self);
        let other = std::mem::replace(&mut self.room, own.0);
        self.changed = own.1;
        (outcome, other)
    }

    /// Makes a room that was built aside the room of its identifier.
    pub(crate) fn appear(&mut self, mut room: OpenRoom, seen_at: u64) -> Result<(), StorageError> {
        room.blocked = BLOCKED_ROOM.contains(&*self.tx, (&self.room_id,))?;
        if room.blocked {
            BLOCKED_ROOM.delete(self.tx, (&self.room_id,))?;
        }
        let stored = StoredRoom {
            room_id: self.room_id.clone(),
            version: room.version.as_str().to_owned(),
            seen_at,
            blocked: room.blocked,
        };
        ROOM_NO_BY_ID.put(self.tx, (&self.room_id,), &StoredRoomNo(room.no))?;
        ROOM_BY_NO.put(self.tx, (room.no,), &stored)?;
        self.room = Some(room);
        self.changed = true;
        Ok(())
    }

    pub(crate) fn savepoint(&mut self) -> RoomSavepoint {
        RoomSavepoint {
            tx: self.tx.savepoint(),
            room: self.room.clone(),
            made: self.made.len(),
            changed: self.changed,
        }
    }

    pub(crate) fn rollback_to(&mut self, before: RoomSavepoint) {
        self.tx.rollback_to(before.tx);
        self.room = before.room;
        self.made.truncate(before.made);
        self.changed = before.changed;
    }

    /// Runs a piece of work as an act of a newcomer, if it is one's.
    pub(crate) fn act<T, E: From<StorageError>>(
        &mut self,
        newcomer: Option<&Arc<dyn Newcomer>>,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.tx.begin_act(newcomer)?;
        let outcome = work(self);
        self.tx.end_act(outcome)
    }

    /// The room, which must exist.
    pub(crate) fn known(&self) -> Result<&OpenRoom, UnknownRoom> {
        self.room.as_ref().ok_or(UnknownRoom)
    }

    /// The room's growing end, about to change.
    pub(crate) fn known_mut(&mut self) -> Result<&mut OpenRoom, UnknownRoom> {
        self.changed = true;
        self.room.as_mut().ok_or(UnknownRoom)
    }

    /// Begins a room that nobody has here yet.
    pub(crate) fn begin(
        &mut self,
        no: RoomNo,
        version: RoomVersion,
        seen_at: u64,
    ) -> Result<(), StorageError> {
        let head = StoredRoomHead { next_branch: 1, ..StoredRoomHead::default() };
        let room = self.new_room(no, version, head);
        self.appear(room, seen_at)
    }

    /// A room of this identifier of which nothing may be remembered beyond the transaction.
    pub(crate) fn new_room(
        &self,
        no: RoomNo,
        version: RoomVersion,
        head: StoredRoomHead,
    ) -> OpenRoom {
        OpenRoom {
            no,
            room_id: self.room_id.clone(),
            version,
            head,
            blocked: false,
            committed: 0,
            committed_state: state::EMPTY,
        }
    }

    /// The room as this batch sees it, its own writes included. What is read here is not
    /// asserted: every batch on the room asserts its growing end.
    pub(crate) fn view(&self) -> Result<RoomView<'_, Fixed<'_>>, UnknownRoom> {
        Ok(RoomView::new(self.rooms, self.tx.fixed(), self.known()?))
    }

    /// An event of this room by number.
    pub(crate) fn event(&self, no: EventNo) -> Result<Option<LoggedEvent>, StorageError> {
        self.view().map_or(Ok(None), |view| view.event(no))
    }

    /// What a key of the resolved state leads to.
    pub(crate) fn state_event(
        &self,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<LoggedEvent>, StorageError> {
        self.view().map_or(Ok(None), |view| view.state_event(event_type, state_key))
    }

    /// What a key leads to at a moment of this room.
    pub(crate) fn state_event_at(
        &self,
        at: StateAt,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<LoggedEvent>, StorageError> {
        self.view().map_or(Ok(None), |view| view.state_event_at(at, event_type, state_key))
    }

    /// Marks what decides about scope as changed, so that no decision in flight survives it.
    pub(crate) fn bump_scope_guard(&mut self) -> Result<(), StorageError> {
        let stamp = self.tx.next_stamp();
        SCOPE_GUARD.put(self.tx, (&self.room_id,), &Stamped { stamp, value: () })
    }

    pub(crate) fn next_stamp(&mut self) -> Stamp {
        self.tx.next_stamp()
    }
}

/// The room is not here.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("this server does not know the room")]
pub struct UnknownRoom;
