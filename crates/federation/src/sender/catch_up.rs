//! What a server missed while it was out of reach, looked for in the rooms it is in.
//!
//! A room in which little happened is told in full and in order. Where more happened than a server
//! should be sent at once, it gets the newest of our events: it finds out from their parents what
//! it lacks, and asks for as much of that as it wants.

use std::collections::BTreeSet;

use ruma::ServerName;
use vestibule_rooms::{LoggedEvent, OpenRoom, RoomView};
use vestibule_storage::{
    Scan, SlotNo, Snapshot, Stamp, StorageError, Store,
    tables::{
        room::{RECEIPT_BY_POSITION, ROOM_BY_SERVER, ROOM_POSITION, StoredEventNo, TIMELINE},
        sender::{ROOM_LEFT_BY_SERVER, StoredCatchUp, StoredCursor, StoredOutgoing},
    },
};
use vestibule_types::{
    RoomNo,
    limits::{
        CATCH_UP_EVENTS_MAX, CATCH_UP_NEWEST_MAX, CATCH_UP_SCAN_MAX, ROOMS_LEFT_MAX,
        ROOMS_READ_MAX, TRANSACTION_PDUS_MAX, TRANSACTION_RECEIPTS_MAX,
    },
};

use super::{
    cursor::Cursor,
    dispatch::{Dispatch, turned_away},
    hub::Line,
    servers::Stay,
};

/// The side of the timeline that grows.
const LIVE: u8 = 1;

/// One step through what a server missed.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// What it is told, in order.
    pub(super) lines: Vec<Line>,
    /// Where it is then.
    pub(super) cursor: StoredCursor,
    /// Where to go on; `None` when there was nothing more up to `cursor`.
    pub(super) catch_up: Option<StoredCatchUp>,
}

/// Looks for what one server missed.
pub(super) struct Missed<'a, 's> {
    pub(super) dispatch: &'a Dispatch<'a>,
    pub(super) store: &'a Store,
    pub(super) snapshot: &'a Snapshot<'s>,
    pub(super) server: &'a ServerName,
}

/// Some of the rooms to go through.
struct Page {
    rooms: BTreeSet<RoomNo>,
    /// Where the next page begins.
    next: Option<RoomNo>,
}

/// What there is in one room.
struct InRoom {
    no: RoomNo,
    slot: SlotNo,
    /// What the server is told of it.
    events: Vec<Line>,
    /// The server is told the newest of them only.
    newest_only: bool,
}

impl Missed<'_, '_> {
    /// The next load of what was missed, after what the row says. Goes through one page of rooms;
    /// a step may bring nothing and yet not be the last.
    pub(super) fn step(&self, row: &StoredOutgoing) -> Result<Step, StorageError> {
        let mut way = row.catch_up.clone().map_or_else(|| self.begin(), Ok)?;
        let mut step = Step { cursor: row.cursor.clone(), ..Step::default() };
        let page = self.page(&row.cursor, way.room)?;
        for room in page.rooms {
            if room > way.room {
                way = StoredCatchUp { room, after: Stamp::default(), ..way };
            }
            if !self.add(row, &mut way, &mut step.lines)? {
                step.catch_up = Some(way);
                return Ok(step);
            }
        }
        match page.next {
            Some(room) => {
                step.catch_up = Some(StoredCatchUp { room, after: Stamp::default(), ..way });
            }
            None => step.cursor.advance_to(&way.to),
        }
        Ok(step)
    }

    /// Adds what was missed in the room the way has come to. False when not all of it found room.
    fn add(
        &self,
        row: &StoredOutgoing,
        way: &mut StoredCatchUp,
        lines: &mut Vec<Line>,
    ) -> Result<bool, StorageError> {
        let Some(here) = self.in_room(row, way)? else { return Ok(true) };
        let taken = here.events.len().min(TRANSACTION_PDUS_MAX.saturating_sub(lines.len()));
        if taken < here.events.len() {
            // The newest events of a room are told together, or not yet.
            if !here.newest_only {
                lines.extend(here.events.iter().take(taken));
                way.after = lines.last().filter(|_| taken > 0).map_or(way.after, |it| it.stamp);
            }
            return Ok(false);
        }
        lines.extend(here.events.iter());
        self.receipts(&here, (row, way), lines)?;
        Ok(true)
    }

    fn begin(&self) -> Result<StoredCatchUp, StorageError> {
        let to = StoredCursor::end_of(&self.snapshot.positions()?);
        Ok(StoredCatchUp { to, room: RoomNo(0), after: Stamp::default() })
    }

    /// The rooms from a number on that the server is in, or left in the meantime, or that ended an
    /// invitation or a knock of one of its users, and in which something may have happened.
    fn page(&self, cursor: &StoredCursor, from: RoomNo) -> Result<Page, StorageError> {
        let scan = Scan::prefix((self.server,)).from((self.server, from)).limit(ROOMS_READ_MAX);
        let there = ROOM_BY_SERVER.scan_with(self.snapshot, scan)?;
        let there: Vec<RoomNo> = there.into_iter().map(|((_, room), ())| room).collect();
        let full = there.len() == ROOMS_READ_MAX;
        let next = there.last().filter(|_| full).map(|last| RoomNo(last.0 + 1));
        let left = self.left_since(cursor)?.into_iter();
        let left = left.filter(|room| *room >= from && next.is_none_or(|next| *room < next));
        let mut rooms: BTreeSet<RoomNo> = left.collect();

        let oldest = cursor.0.iter().min().copied().unwrap_or_default();
        let positions =
            ROOM_POSITION.multi_get(self.snapshot, there.iter().map(|room| (*room,)))?;
        for (room, position) in there.into_iter().zip(positions) {
            // A receipt does not move the room's position: it costs a seek of its own.
            let moved = position.is_some_and(|position| position.stamp > oldest);
            if moved || self.any_receipt(room, oldest)? {
                rooms.insert(room);
            }
        }
        Ok(Page { rooms, next })
    }

    fn any_receipt(&self, room: RoomNo, since: Stamp) -> Result<bool, StorageError> {
        let scan = Scan::prefix((room,)).after((room, since)).limit(1);
        Ok(!RECEIPT_BY_POSITION.scan_with(self.snapshot, scan)?.is_empty())
    }

    fn left_since(&self, cursor: &StoredCursor) -> Result<BTreeSet<RoomNo>, StorageError> {
        let mut left = BTreeSet::new();
        for (slot, _) in self.snapshot.positions()?.iter() {
            let (server, since) = (self.server, cursor.at(slot));
            let scan =
                Scan::prefix((server, slot.0)).after((server, slot.0, since)).limit(ROOMS_LEFT_MAX);
            let rows = ROOM_LEFT_BY_SERVER.scan_with(self.snapshot, scan)?;
            left.extend(rows.into_iter().map(|(_, room)| room.0));
        }
        Ok(left)
    }

    /// What the server missed in the room the way has come to; `None` when it is not here any more.
    fn in_room(
        &self,
        row: &StoredOutgoing,
        way: &StoredCatchUp,
    ) -> Result<Option<InRoom>, StorageError> {
        let no = way.room;
        let Some(room) = OpenRoom::load_no(self.snapshot, no)? else { return Ok(None) };
        let slot = self.store.slot_of_room(&room.room_id);
        let (after, to) = (row.cursor.at(slot).max(way.after), way.to.at(slot));
        let stay = Stay::since(self.snapshot, (no, self.server), after)?;
        let view = RoomView::new(self.dispatch.rooms, self.snapshot, &room);
        let told = |event: &LoggedEvent, stamp| -> Result<bool, StorageError> {
            let own = event.pdu.sender().server_name() == self.server;
            if own || !self.dispatch.is_ours(self.snapshot, (no, event))? {
                return Ok(false);
            }
            Ok(stay.covers(stamp)
                || turned_away(&view, event)?.is_some_and(|it| it == *self.server))
        };

        let span = Scan::prefix((no, LIVE)).after((no, LIVE, after)).to((no, LIVE, to));
        let line = |event, stamp| Line { slot, stamp, room: no, event: Some(event) };
        let (mut events, mut scanned) = (Vec::new(), 0);
        let rows = TIMELINE.scan_with(self.snapshot, span.clone().limit(CATCH_UP_SCAN_MAX))?;
        for ((_, _, stamp), StoredEventNo(event)) in rows {
            scanned += 1;
            let logged = view.event(event)?;
            if logged.map_or(Ok(false), |logged| told(&logged, stamp))? {
                events.push(line(event, stamp));
            }
        }
        let newest_only = events.len() > CATCH_UP_EVENTS_MAX || scanned == CATCH_UP_SCAN_MAX;
        if newest_only {
            events.clear();
            let rows =
                TIMELINE.scan_with(self.snapshot, span.reverse().limit(CATCH_UP_SCAN_MAX))?;
            for ((_, _, stamp), StoredEventNo(event)) in rows {
                let candidate = events.is_empty() || room.head.extremities.contains(&event);
                let Some(logged) = view.event(event)?.filter(|_| candidate) else { continue };
                if told(&logged, stamp)? && events.len() < CATCH_UP_NEWEST_MAX {
                    events.push(line(event, stamp));
                }
            }
            events.reverse();
        }
        Ok(Some(InRoom { no, slot, events, newest_only }))
    }

    /// Receipts of our users that changed in a room the server is in.
    fn receipts(
        &self,
        here: &InRoom,
        (row, way): (&StoredOutgoing, &StoredCatchUp),
        lines: &mut Vec<Line>,
    ) -> Result<(), StorageError> {
        let (no, slot) = (here.no, here.slot);
        let stay = Stay::since(self.snapshot, (no, self.server), row.cursor.at(slot))?;
        let scan = Scan::prefix((no,))
            .after((no, row.cursor.at(slot)))
            .to((no, way.to.at(slot)))
            .limit(TRANSACTION_RECEIPTS_MAX);
        for ((_, stamp), _) in RECEIPT_BY_POSITION.scan_with(self.snapshot, scan)? {
            let receipts = lines.iter().filter(|line| line.event.is_none()).count();
            if receipts < TRANSACTION_RECEIPTS_MAX
                && stay.covers(stamp)
                && self.dispatch.is_public_receipt(self.snapshot, no, stamp)?
            {
                lines.push(Line { slot, stamp, room: no, event: None });
            }
        }
        Ok(())
    }
}
