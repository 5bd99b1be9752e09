//! Which thread an event is in, and whether it shows that its sender has read what was said there.

use ruma::OwnedEventId;
use serde::Deserialize;
use vestibule_rooms::{LoggedEvent, RoomView};
use vestibule_storage::{Read, StorageError};
use vestibule_types::limits::THREAD_HOPS_MAX;

use super::MAIN;

#[derive(Deserialize)]
struct Relating {
    #[serde(rename = "m.relates_to")]
    relates_to: Relation,
}

#[derive(Deserialize)]
struct Relation {
    rel_type: Option<String>,
    event_id: Option<OwnedEventId>,
}

/// The thread an event is in: it replies in it, or relates to what does, over a few relations.
pub(crate) fn thread_of<R: Read>(
    view: &RoomView<'_, R>,
    event: &LoggedEvent,
) -> Result<String, StorageError> {
    let mut here = event.clone();
    for _ in 0..THREAD_HOPS_MAX {
        let Ok(Relating { relates_to }) = here.pdu.content_as::<Relating>() else { break };
        let Relation { rel_type, event_id: Some(parent) } = relates_to else { break };
        if rel_type.as_deref() == Some("m.thread") {
            return Ok(parent.to_string());
        }
        let Some(next) = view.event_by_id(&parent)? else { break };
        here = next;
    }
    Ok(MAIN.to_owned())
}

/// Whether who sends an event has read what was said before in its thread: they say something. State,
/// redactions, reactions and what only refers to another event (answers of polls, places on a map) are
/// also sent by those who read nothing, or by clients of their own accord.
pub(super) fn speaks(event: &LoggedEvent) -> bool {
    if event.pdu.is_state() || event.pdu.kind() == "m.room.redaction" {
        return false;
    }
    let relating = event.pdu.content_as::<Relating>().ok();
    let rel_type = relating.and_then(|it| it.relates_to.rel_type);
    !matches!(rel_type.as_deref(), Some("m.annotation" | "m.reference"))
}
