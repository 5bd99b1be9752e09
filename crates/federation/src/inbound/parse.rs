//! From bytes of another server to events of a room.

use ruma::{OwnedEventId, OwnedRoomId, RoomId};
use serde::Deserialize;
use serde_json::value::RawValue;
use vestibule_events::{Pdu, RoomVersion};
use vestibule_types::limits::EVENT_BYTES_MAX;

/// What is looked at before the room's version is known.
#[derive(Deserialize)]
struct InRoom {
    room_id: OwnedRoomId,
}

/// The room something claims to be an event of.
pub(super) fn room_of(json: &RawValue) -> Option<OwnedRoomId> {
    serde_json::from_str::<InRoom>(json.get()).ok().map(|it| it.room_id)
}

/// Why something is no event of a room: what can be said of it, and why.
#[derive(Debug)]
pub(super) struct NoEvent {
    pub(super) event_id: Option<OwnedEventId>,
    pub(super) reason: String,
}

/// An event of this room and version.
pub(super) fn event_of(
    json: &RawValue,
    room_id: &RoomId,
    version: RoomVersion,
) -> Result<Pdu, NoEvent> {
    // Twice the size leaves room for `unsigned` and spaces; more is not worth parsing.
    if json.get().len() > 2 * EVENT_BYTES_MAX {
        return Err(NoEvent { event_id: None, reason: "the event is too large".to_owned() });
    }
    match Pdu::parse_untrusted(json.get().as_bytes(), version) {
        Ok(pdu) if pdu.room_id() == room_id => Ok(pdu),
        Ok(pdu) => Err(NoEvent {
            event_id: Some(pdu.event_id().clone()),
            reason: "the event is of another room".to_owned(),
        }),
        Err(error) => Err(NoEvent {
            event_id: Pdu::id_of_untrusted(json.get().as_bytes(), version),
            reason: error.to_string(),
        }),
    }
}
