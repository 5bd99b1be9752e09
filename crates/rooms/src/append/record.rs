//! Writing an event that was let in.

use std::sync::Arc;

use ruma::OwnedUserId;
use vestibule_events::Pdu;
use vestibule_storage::{
    Stamp, Stamped,
    tables::room::{
        EVENT_STATE, HEAD_STATE, ROOM_POSITION, STREAM, StateAt, StoredEventNo, StoredEventState,
        StoredHeadState, StoredNews, TIMELINE,
    },
};
use vestibule_types::EventNo;

use super::AppendError;
use crate::{
    LoggedEvent, RoomTx,
    state::{self, StateChange},
};

/// The side of the timeline that grows.
pub(crate) const LIVE: u8 = 1;

/// An event that is now part of the room, once the batch is stored.
#[derive(Clone, Debug)]
pub struct Appended {
    /// The event.
    pub pdu: Arc<Pdu>,
    /// Its number.
    pub no: EventNo,
    /// Its place in the stream; the commit is known when the batch is stored.
    pub stamp: Stamp,
}

impl RoomTx<'_, '_> {
    /// Writes an accepted event with everything that follows from it.
    pub(super) fn record(
        &mut self,
        pdu: Arc<Pdu>,
        auth: &[LoggedEvent],
        prev: &[EventNo],
        before: StateAt,
    ) -> Result<Appended, AppendError> {
        let no = self.store_event(&pdu, auth, false)?;
        let room_no = self.known()?.no;
        let stamp = self.next_stamp();

        let after = self.state_after(&pdu, no, before)?;
        let around = StoredEventState { before, after, soft_failed: false };
        EVENT_STATE.put(self.tx, (room_no, no), &Stamped { stamp, value: around })?;
        TIMELINE.put(self.tx, (room_no, LIVE, stamp), &StoredEventNo(no))?;
        ROOM_POSITION.put(self.tx, (room_no,), &Stamped { stamp, value: () })?;
        let member = is_member(&pdu).and_then(|user| OwnedUserId::try_from(user).ok());
        let news = StoredNews::Event { room: room_no, event: no, member };
        STREAM.put(self.tx, (self.tx.slot().0, stamp), &news)?;
        self.index_relations(&pdu, no, stamp)?;
        if *pdu.sender().server_name() != *self.rooms.inner.server_name {
            self.redact_newcomer(&pdu)?;
        }

        self.advance_head((&pdu, no), prev, after, stamp)?;
        Ok(Appended { pdu, no, stamp })
    }

    pub(super) fn number(&mut self) -> Result<EventNo, AppendError> {
        let room = self.known_mut()?;
        let no = EventNo(room.head.next_event);
        room.head.next_event += 1;
        Ok(no)
    }

    /// The state after the event: one more version when it is a state event.
    pub(super) fn state_after(
        &mut self,
        pdu: &Pdu,
        no: EventNo,
        before: StateAt,
    ) -> Result<StateAt, AppendError> {
        let Some(state_key) = pdu.state_key() else { return Ok(before) };
        let old = self.state_event_at(before, pdu.kind(), state_key)?.map(|event| event.no);
        let key = (pdu.kind().to_owned(), state_key.to_owned());
        self.append_state(before, &[StateChange { key, new: Some(no), old }])
    }

    pub(crate) fn append_state(
        &mut self,
        at: StateAt,
        changes: &[StateChange],
    ) -> Result<StateAt, AppendError> {
        let (room_no, mut next_branch) = {
            let room = self.known()?;
            (room.no, room.head.next_branch)
        };
        let after = state::append(self.tx, room_no, at, changes, &mut next_branch)?;
        self.known_mut()?.head.next_branch = next_branch;
        Ok(after)
    }

    /// Moves the room's growing end, resolves its state, and indexes what changed.
    pub(super) fn advance_head(
        &mut self,
        (pdu, no): (&Pdu, EventNo),
        prev: &[EventNo],
        after: StateAt,
        stamp: Stamp,
    ) -> Result<(), AppendError> {
        let child = self.close_gap(pdu)?;
        let extremities = {
            let room = self.known_mut()?;
            room.head.extremities.retain(|end| !prev.contains(end));
            if child.is_none() || room.head.extremities.is_empty() {
                room.head.extremities.push(no);
            }
            room.head.depth = room.head.depth.max(pdu.depth());
            room.head.extremities.clone()
        };
        let now = match extremities.as_slice() {
            [only] if *only == no => after,
            ends => self.resolve_ends(ends)?,
        };
        let now = self.bound_ends(now)?;
        self.set_head_state(now, stamp)
    }

    /// Makes a state the room's current one, and indexes what changed.
    pub(super) fn set_head_state(&mut self, now: StateAt, stamp: Stamp) -> Result<(), AppendError> {
        let (room_no, was) = (self.known()?.no, self.known()?.head.state);
        if now == was {
            return Ok(());
        }
        self.known_mut()?.head.state = now;
        HEAD_STATE.put(self.tx, (room_no, stamp), &StoredHeadState(now))?;
        let changes = state::diff(&self.tx.fixed(), room_no, was, now)?;
        self.index_changes(&changes, stamp)
    }
}

/// The user a membership event is about.
pub(crate) fn is_member(pdu: &Pdu) -> Option<&str> {
    if pdu.kind() == "m.room.member" { pdu.state_key() } else { None }
}
