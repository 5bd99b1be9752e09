//! What a server is told whose user's membership was let in: the room, for a join; what may be known
//! of it from outside, for a knock.

use std::collections::BTreeSet;

use ruma::{OwnedServerName, RoomId};
use serde_json::value::RawValue;
use vestibule_events::Pdu;
use vestibule_storage::{
    Read, Snapshot, StorageError,
    tables::room::{EVENT_BY_NO, StoredEvent},
};
use vestibule_types::{EventNo, limits::JOIN_ANSWER_EVENTS_MAX};

use super::HandshakeError;
use crate::{RoomView, Rooms};

/// The state shown to those who are not in a room yet (client-server API, "Stripped state").
pub const STRIPPED_TYPES: [&str; 7] = [
    "m.room.create",
    "m.room.join_rules",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.canonical_alias",
    "m.room.encryption",
];

/// A room right before a join.
#[derive(Debug)]
pub struct JoinedState {
    /// The state, as events of the room's version.
    pub state: Vec<Box<RawValue>>,
    /// The auth chain of the state and of the join.
    pub auth_chain: Vec<Box<RawValue>>,
    /// The servers in the room.
    pub servers: Vec<OwnedServerName>,
}

/// Rows read in one go.
const PAGE: usize = 500;

impl Rooms {
    /// The room as a server needs it that just joined by `join`.
    pub async fn joined_state(&self, join: &Pdu) -> Result<JoinedState, HandshakeError> {
        let id = join.event_id().clone();
        let found = self.with_view(join.room_id(), move |view| {
            let Some(event) = view.event_by_id(&id)? else {
                return Err(HandshakeError::UnknownRoom);
            };
            let Some(around) = view.around(event.no)? else {
                return Err(HandshakeError::UnknownRoom);
            };
            let state: BTreeSet<EventNo> =
                view.full_state(around.value.before, None)?.into_values().collect();
            let servers = view.servers(JOIN_ANSWER_EVENTS_MAX)?;
            let begin = state.iter().copied().chain([event.no]);
            let chain = auth_chain(&view, begin.collect())?;
            let (state, auth_chain) = (events(&view, &state)?, events(&view, &chain)?);
            Ok(JoinedState { state, auth_chain, servers })
        });
        found.await?.ok_or(HandshakeError::UnknownRoom)
    }

    /// What may be known of a room from outside, as whole events.
    pub async fn state_from_outside(
        &self,
        room_id: &RoomId,
    ) -> Result<Vec<Box<RawValue>>, HandshakeError> {
        let found = self.with_view::<_, HandshakeError, _>(room_id, |view| {
            let mut shown = Vec::new();
            for kind in STRIPPED_TYPES {
                if let Some(event) = view.sent_state_event(kind, "")? {
                    shown.push(event.to_federation_json().map_err(damaged)?);
                }
            }
            Ok(shown)
        });
        found.await?.ok_or(HandshakeError::UnknownRoom)
    }
}

/// Everything that authorizes these events, and what authorizes that.
fn auth_chain(
    view: &RoomView<'_, &Snapshot<'_>>,
    begin: BTreeSet<EventNo>,
) -> Result<BTreeSet<EventNo>, StorageError> {
    let (mut chain, mut edge) = (BTreeSet::new(), begin);
    while !edge.is_empty() && chain.len() <= JOIN_ANSWER_EVENTS_MAX {
        let looked_at: Vec<EventNo> = edge.iter().copied().collect();
        edge = BTreeSet::new();
        for page in looked_at.chunks(PAGE) {
            let keys = page.iter().map(|no| (view.room.no, *no));
            for row in EVENT_BY_NO.multi_get(&view.reader, keys)?.into_iter().flatten() {
                edge.extend(row.auth.into_iter().filter(|no| chain.insert(*no)));
            }
        }
    }
    Ok(chain)
}

/// Events as other servers are sent them, oldest number first.
fn events<R: Read>(
    view: &RoomView<'_, R>,
    numbers: &BTreeSet<EventNo>,
) -> Result<Vec<Box<RawValue>>, StorageError> {
    let numbers: Vec<EventNo> = numbers.iter().copied().collect();
    let mut events = Vec::with_capacity(numbers.len());
    for page in numbers.chunks(PAGE) {
        let keys = page.iter().map(|no| (view.room.no, *no));
        let rows = EVENT_BY_NO.multi_get(&view.reader, keys)?;
        let rows: Vec<StoredEvent> = rows.into_iter().flatten().collect();
        events.extend(view.all_written(&rows)?);
    }
    Ok(events)
}

fn damaged(error: impl std::fmt::Display) -> StorageError {
    StorageError::corrupt("event_by_no", error.to_string())
}
