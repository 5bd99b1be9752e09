//! What an event is about: its room and its sender, as people call them.

use ruma::{OwnedRoomId, UserId};
use serde::{Deserialize, de::DeserializeOwned};
use vestibule_events::Pdu;
use vestibule_rooms::{LoggedEvent, OutsideRoom, RoomView};
use vestibule_storage::{Read, StorageError};

use crate::rules::MemberName;

/// An event and what surrounds it.
pub(super) struct About<'a> {
    pub(super) pdu: &'a Pdu,
    pub(super) room_id: OwnedRoomId,
    pub(super) sender_name: Option<String>,
    pub(super) room_name: Option<String>,
    pub(super) room_alias: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RoomName {
    name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CanonicalAlias {
    alias: Option<String>,
}

#[derive(Deserialize)]
struct Stripped<C> {
    r#type: String,
    state_key: String,
    content: C,
}

impl<'a> About<'a> {
    /// An event of a room this server is in.
    pub(super) fn of<R: Read>(
        view: &RoomView<'_, R>,
        event: &'a LoggedEvent,
    ) -> Result<Self, StorageError> {
        let sender =
            view.shown_state::<MemberName>("m.room.member", event.pdu.sender().as_str())?;
        let name = view.shown_state::<RoomName>("m.room.name", "")?;
        let alias = view.shown_state::<CanonicalAlias>("m.room.canonical_alias", "")?;
        Ok(Self {
            pdu: &event.pdu,
            room_id: view.room.room_id.clone(),
            sender_name: sender.and_then(|it| it.displayname),
            room_name: name.and_then(|it| it.name),
            room_alias: alias.and_then(|it| it.alias),
        })
    }

    /// An invitation to a room elsewhere, of which only so much is known as came with it.
    pub(super) fn invitation(room: &'a OutsideRoom) -> Self {
        let sender: &UserId = room.event.sender();
        let (name, alias) = ("m.room.name", "m.room.canonical_alias");
        let member = stripped::<MemberName>(room, ("m.room.member", sender.as_str()));
        Self {
            pdu: &room.event,
            room_id: room.room_id.clone(),
            sender_name: member.and_then(|it| it.displayname),
            room_name: stripped::<RoomName>(room, (name, "")).and_then(|it| it.name),
            room_alias: stripped::<CanonicalAlias>(room, (alias, "")).and_then(|it| it.alias),
        }
    }
}

/// The content of a stripped state event.
fn stripped<C: DeserializeOwned>(room: &OutsideRoom, (kind, state_key): (&str, &str)) -> Option<C> {
    let events = room.stripped.iter();
    let mut found = events.filter_map(|it| serde_json::from_str::<Stripped<C>>(it.get()).ok());
    found.find(|it| it.r#type == kind && it.state_key == state_key).map(|it| it.content)
}
