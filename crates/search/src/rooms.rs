//! Which rooms somebody searches: those they are in and those they were in, but for encrypted ones.

use std::collections::BTreeSet;

use ruma::{OwnedRoomId, RoomId, UserId, api::client::filter::RoomEventFilter};
use serde::Deserialize;
use vestibule_rooms::{OpenRoom, RoomView, Rooms, StateAt};
use vestibule_storage::{Snapshot, StorageError, tables::room::ROOM_BY_MEMBER};
use vestibule_types::limits::{JOINED_ROOMS_MAX, SEARCH_PREDECESSORS_MAX};

/// A room that is searched.
#[derive(Debug)]
pub(crate) struct Readable {
    /// The room.
    pub(crate) room: OpenRoom,
    /// The moment of its state that the reader sees.
    pub(crate) sees: StateAt,
}

#[derive(Deserialize)]
struct Creation {
    predecessor: Option<Predecessor>,
}

#[derive(Deserialize)]
struct Predecessor {
    room_id: OwnedRoomId,
}

/// The rooms a user searches that a filter lets through. With a room that is named come those it
/// replaced.
pub(crate) fn readable(
    (rooms, snapshot): (&Rooms, &Snapshot<'_>),
    user: &UserId,
    (filter, only): (&RoomEventFilter, Option<&RoomId>),
) -> Result<Vec<Readable>, StorageError> {
    let all = match &filter.rooms {
        Some(named) => with_predecessors((rooms, snapshot), user, named)?,
        None => every_room((rooms, snapshot), user)?,
    };
    let wanted = |it: &Readable| {
        only.is_none_or(|only| it.room.room_id == only)
            && !filter.not_rooms.contains(&it.room.room_id)
    };
    Ok(all.into_iter().filter(wanted).collect())
}

fn every_room(
    (rooms, snapshot): (&Rooms, &Snapshot<'_>),
    user: &UserId,
) -> Result<Vec<Readable>, StorageError> {
    let rows = ROOM_BY_MEMBER.scan(snapshot, (user,), JOINED_ROOMS_MAX)?;
    let mut found = Vec::new();
    for ((_, no), _) in rows {
        if let Some(room) = OpenRoom::load_no(snapshot, no)? {
            found.extend(judge((rooms, snapshot), user, room)?);
        }
    }
    Ok(found)
}

fn with_predecessors(
    (rooms, snapshot): (&Rooms, &Snapshot<'_>),
    user: &UserId,
    named: &[OwnedRoomId],
) -> Result<Vec<Readable>, StorageError> {
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    for room_id in named.iter().take(JOINED_ROOMS_MAX) {
        let mut next = Some(room_id.clone());
        for _ in 0..=SEARCH_PREDECESSORS_MAX {
            let Some(room_id) = next.take().filter(|it| seen.insert(it.clone())) else { break };
            let Some(room) = OpenRoom::load(snapshot, &room_id)? else { break };
            let view = RoomView::new(rooms, snapshot, &room);
            if view.member_sees(user)?.is_none() {
                break;
            }
            next = predecessor(&view)?;
            found.extend(judge((rooms, snapshot), user, room)?);
        }
    }
    Ok(found)
}

/// The room that this one replaced.
fn predecessor(view: &RoomView<'_, &Snapshot<'_>>) -> Result<Option<OwnedRoomId>, StorageError> {
    let create = view.state_event("m.room.create", "")?;
    let content = create.and_then(|event| event.pdu.content_as::<Creation>().ok());
    Ok(content.and_then(|content| content.predecessor).map(|it| it.room_id))
}

/// The room, if the user reads it and it is not encrypted.
fn judge(
    (rooms, snapshot): (&Rooms, &Snapshot<'_>),
    user: &UserId,
    room: OpenRoom,
) -> Result<Option<Readable>, StorageError> {
    let view = RoomView::new(rooms, snapshot, &room);
    let Some(sees) = view.member_sees(user)? else { return Ok(None) };
    if view.state_event_at(sees, "m.room.encryption", "")?.is_some() {
        return Ok(None);
    }
    Ok(Some(Readable { room, sees }))
}
