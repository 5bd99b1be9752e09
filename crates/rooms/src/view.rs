//! A room as somebody reads it: one moment of its log, state and timeline.

use ruma::{EventId, RoomId, UserId};
use vestibule_events::RoomVersion;
use vestibule_storage::{
    Read, Scan, Stamp, Stamped, StorageError,
    tables::{
        history::REDACTION_WITHHELD,
        room::{
            EVENT_BY_ID, EVENT_STATE, HEAD_STATE, REDACTION_BY_TARGET, ROOM_BY_MEMBER, ROOM_BY_NO,
            ROOM_HEAD, ROOM_NO_BY_ID, StateAt, StoredEventState, StoredHeadState, StoredMember,
            StoredRoomHead, StoredRoomNo, TIMELINE,
        },
    },
};
use vestibule_types::{EventNo, RoomNo};

use crate::{
    LoggedEvent, Rooms,
    state::{self, StateChange, StateKey},
};

/// What is known of a room before anything else is read.
#[derive(Clone, Debug)]
pub struct OpenRoom {
    /// Its number.
    pub no: RoomNo,
    /// Its identifier.
    pub room_id: ruma::OwnedRoomId,
    /// Its version.
    pub version: RoomVersion,
    /// Its growing end.
    pub head: StoredRoomHead,
    /// Whether an operator blocked it.
    pub blocked: bool,
    /// Events numbered below this were committed when the room was opened.
    pub(crate) committed: u64,
    /// The state the room had when it was opened.
    pub(crate) committed_state: StateAt,
}

impl OpenRoom {
    /// Opens the room, if this server has it.
    pub fn load(reader: &impl Read, room_id: &RoomId) -> Result<Option<Self>, StorageError> {
        match ROOM_NO_BY_ID.get(reader, (room_id,))? {
            Some(StoredRoomNo(no)) => Self::load_no(reader, no),
            None => Ok(None),
        }
    }

    /// A room of which nothing is known here. No room has its number.
    pub(crate) fn nowhere(room_id: &RoomId) -> Self {
        Self {
            no: RoomNo(u64::MAX),
            room_id: room_id.to_owned(),
            version: RoomVersion::DEFAULT,
            head: StoredRoomHead::default(),
            blocked: false,
            committed: 0,
            committed_state: state::EMPTY,
        }
    }

    /// Opens the room with this number.
    pub fn load_no(reader: &impl Read, no: RoomNo) -> Result<Option<Self>, StorageError> {
        let (Some(stored), Some(head)) =
            (ROOM_BY_NO.get(reader, (no,))?, ROOM_HEAD.get(reader, (no,))?)
        else {
            return Ok(None);
        };
        let version = stored
            .version
            .parse::<RoomVersion>()
            .map_err(|error| StorageError::corrupt("room_by_no", error.to_string()))?;
        Ok(Some(Self {
            no,
            room_id: stored.room_id,
            version,
            committed: head.next_event,
            committed_state: head.state,
            head,
            blocked: stored.blocked,
        }))
    }
}

/// A position in a room's timeline: its side (0 backfill, 1 live) and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimelinePosition {
    /// 0 for what was fetched from before, 1 for what came live.
    pub side: u8,
    /// The place on that side.
    pub stamp: Stamp,
}

/// A room at the moment its reader shows.
#[derive(Debug)]
pub struct RoomView<'a, R> {
    /// The services it belongs to.
    pub(crate) rooms: &'a Rooms,
    /// Where rows come from.
    pub reader: R,
    /// The room.
    pub room: &'a OpenRoom,
}

impl<'a, R: Read> RoomView<'a, R> {
    /// Looks at a room through a reader.
    pub fn new(rooms: &'a Rooms, reader: R, room: &'a OpenRoom) -> Self {
        Self { rooms, reader, room }
    }

    /// An event of this room by number.
    pub fn event(&self, no: EventNo) -> Result<Option<LoggedEvent>, StorageError> {
        let room = self.room;
        self.rooms.inner.events.event(&self.reader, room, no)
    }

    /// Several events of this room by number, read at once.
    pub fn events(&self, nos: &[EventNo]) -> Result<Vec<Option<LoggedEvent>>, StorageError> {
        self.rooms.inner.events.events(&self.reader, self.room, nos)
    }

    /// The number of an event of this room.
    pub fn event_no(&self, id: &EventId) -> Result<Option<EventNo>, StorageError> {
        let place = EVENT_BY_ID.get(&self.reader, (id,))?;
        Ok(place.filter(|place| place.room == self.room.no).map(|place| place.event))
    }

    /// An event of this room by id.
    pub fn event_by_id(&self, id: &EventId) -> Result<Option<LoggedEvent>, StorageError> {
        match self.event_no(id)? {
            Some(no) => self.event(no),
            None => Ok(None),
        }
    }

    /// The redaction that took effect on an event, if there is one.
    pub fn redaction_of(&self, id: &EventId) -> Result<Option<LoggedEvent>, StorageError> {
        match REDACTION_BY_TARGET.get(&self.reader, (self.room.no, id))? {
            Some(row) => self.event(row.0),
            None => Ok(None),
        }
    }

    /// Whether an event is a redaction that took no effect, or not yet.
    pub(crate) fn is_withheld(&self, no: EventNo) -> Result<bool, StorageError> {
        REDACTION_WITHHELD.contains(&self.reader, (self.room.no, no))
    }

    /// The state around an event and its place in the stream. `None` for an event outside the
    /// timeline.
    pub fn around(&self, no: EventNo) -> Result<Option<Stamped<StoredEventState>>, StorageError> {
        EVENT_STATE.get(&self.reader, (self.room.no, no))
    }

    /// The state around several events, read at once.
    pub(crate) fn around_all(
        &self,
        nos: impl IntoIterator<Item = EventNo>,
    ) -> Result<Vec<Option<Stamped<StoredEventState>>>, StorageError> {
        EVENT_STATE.multi_get(&self.reader, nos.into_iter().map(|no| (self.room.no, no)))
    }

    /// Which of some events a redaction took effect on, read at once.
    pub(crate) fn redacted<'e>(
        &self,
        ids: impl IntoIterator<Item = &'e EventId>,
    ) -> Result<Vec<bool>, StorageError> {
        let keys = ids.into_iter().map(|id| (self.room.no, id));
        let rows = REDACTION_BY_TARGET.multi_get(&self.reader, keys)?;
        Ok(rows.into_iter().map(|row| row.is_some()).collect())
    }

    /// What a key of the current resolved state leads to.
    pub fn state_event(
        &self,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<LoggedEvent>, StorageError> {
        self.state_event_at(self.room.head.state, event_type, state_key)
    }

    /// What a key leads to at a moment of this room.
    pub fn state_event_at(
        &self,
        at: StateAt,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<LoggedEvent>, StorageError> {
        let no = if at == self.room.committed_state {
            let points = &self.rooms.inner.points;
            points.get(&self.reader, self.room.no, at, (event_type, state_key))?
        } else {
            state::get(&self.reader, self.room.no, at, event_type, state_key)?
        };
        match no {
            Some(no) => self.event(no),
            None => Ok(None),
        }
    }

    /// All state at a moment, or all of one type.
    pub fn full_state(
        &self,
        at: StateAt,
        event_type: Option<&str>,
    ) -> Result<std::collections::BTreeMap<StateKey, EventNo>, StorageError> {
        state::full(&self.reader, self.room.no, at, event_type)
    }

    /// All state at a moment but that of one type; costs nothing for what is left out.
    pub fn full_state_without(
        &self,
        at: StateAt,
        event_type: &str,
    ) -> Result<std::collections::BTreeMap<StateKey, EventNo>, StorageError> {
        state::full_without(&self.reader, self.room.no, at, event_type)
    }

    /// What differs between two moments.
    pub fn state_diff(&self, from: StateAt, to: StateAt) -> Result<Vec<StateChange>, StorageError> {
        state::diff(&self.reader, self.room.no, from, to)
    }

    /// The resolved state as of a commit: what it was after everything up to and including it.
    pub fn state_as_of(&self, commit: u64) -> Result<StateAt, StorageError> {
        let next = Stamp { commit: commit.saturating_add(1), index: 0 };
        Ok(self.head_state_before(next)?.unwrap_or(state::EMPTY))
    }

    /// The resolved state right before a place. `None` before the first state this server knew.
    pub fn head_state_before(&self, place: Stamp) -> Result<Option<StateAt>, StorageError> {
        let no = self.room.no;
        let newest_first = Scan::prefix((no,)).before((no, place)).reverse().limit(1);
        let found = HEAD_STATE.scan_with(&self.reader, newest_first)?;
        Ok(found.first().map(|(_, StoredHeadState(at))| *at))
    }

    /// The membership of a local user.
    pub fn local_member(
        &self,
        user: &UserId,
    ) -> Result<Option<Stamped<StoredMember>>, StorageError> {
        ROOM_BY_MEMBER.get(&self.reader, (user, self.room.no))
    }

    /// Up to `limit` events of the timeline, newest first, strictly before `before` and not before
    /// `after` (exclusive).
    pub fn timeline_back(
        &self,
        before: Option<TimelinePosition>,
        after: Option<TimelinePosition>,
        limit: usize,
    ) -> Result<Vec<(TimelinePosition, EventNo)>, StorageError> {
        let no = self.room.no;
        let mut scan = Scan::prefix((no,)).reverse().limit(limit);
        if let Some(before) = before {
            scan = scan.before((no, before.side, before.stamp));
        }
        if let Some(after) = after {
            scan = scan.after((no, after.side, after.stamp));
        }
        let rows = TIMELINE.scan_with(&self.reader, scan)?;
        Ok(rows.into_iter().map(position).collect())
    }

    /// The event at a place of the timeline, if there is one.
    pub fn timeline_at(&self, at: TimelinePosition) -> Result<Option<EventNo>, StorageError> {
        let row = TIMELINE.get(&self.reader, (self.room.no, at.side, at.stamp))?;
        Ok(row.map(|row| row.0))
    }

    /// Up to `limit` events of the timeline, oldest first, strictly after `after` and before
    /// `before` (exclusive).
    pub fn timeline_forward(
        &self,
        after: Option<TimelinePosition>,
        before: Option<TimelinePosition>,
        limit: usize,
    ) -> Result<Vec<(TimelinePosition, EventNo)>, StorageError> {
        let no = self.room.no;
        let mut scan = Scan::prefix((no,)).limit(limit);
        if let Some(after) = after {
            scan = scan.after((no, after.side, after.stamp));
        }
        if let Some(before) = before {
            scan = scan.before((no, before.side, before.stamp));
        }
        let rows = TIMELINE.scan_with(&self.reader, scan)?;
        Ok(rows.into_iter().map(position).collect())
    }
}

fn position(
    ((_, side, stamp), event): (
        (RoomNo, u8, Stamp),
        vestibule_storage::tables::room::StoredEventNo,
    ),
) -> (TimelinePosition, EventNo) {
    (TimelinePosition { side, stamp }, event.0)
}
