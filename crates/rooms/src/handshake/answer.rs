//! What a server is told whose user's membership was let in: the room, for a join; what may be known
//! of it from outside, for a knock.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{OwnedServerName, RoomId, UserId};
use serde_json::value::RawValue;
use vestibule_events::Pdu;
use vestibule_storage::{
    Read, Snapshot, StorageError,
    tables::room::{EVENT_BY_NO, MEMBER_BY_ROOM, StoredEvent, StoredMembership},
};
use vestibule_types::{
    EventNo,
    limits::{HEROES_SCAN_MAX, JOIN_ANSWER_EVENTS_MAX},
};

use super::HandshakeError;
use crate::{RoomView, Rooms, StateAt, StateKey};

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

const MEMBER: &str = "m.room.member";

/// How many members a room without a name is called by.
const HEROES: usize = 5;

/// Rows read in one go.
const PAGE: usize = 500;

impl Rooms {
    /// The room as a server needs it that just joined by `join`. Without its members, where the server asked
    /// for less: but those who authorize what it is told, and those a room without a name is called by.
    pub async fn joined_state(
        &self,
        join: &Pdu,
        omit_members: bool,
    ) -> Result<JoinedState, HandshakeError> {
        let id = join.event_id().clone();
        let found = self.with_view(join.room_id(), move |view| {
            let Some(event) = view.event_by_id(&id)? else {
                return Err(HandshakeError::UnknownRoom);
            };
            let Some(around) = view.around(event.no)? else {
                return Err(HandshakeError::UnknownRoom);
            };
            let before = around.value.before;
            let state: BTreeSet<EventNo> = if omit_members {
                let mut state = view.full_state_without(before, MEMBER)?;
                if !is_named(&state) {
                    state.extend(heroes(&view, before, event.pdu.sender())?);
                }
                state.into_values().collect()
            } else {
                view.full_state(before, None)?.into_values().collect()
            };
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

fn is_named(state: &BTreeMap<StateKey, EventNo>) -> bool {
    let kinds = ["m.room.name", "m.room.canonical_alias"];
    kinds.iter().any(|kind| state.contains_key(&((*kind).to_owned(), String::new())))
}

/// The members that a room without a name is called by, with the events that say so: those who came
/// first, as in the summary of a room (client-server API, `m.heroes`).
fn heroes(
    view: &RoomView<'_, &Snapshot<'_>>,
    at: StateAt,
    joining: &UserId,
) -> Result<Vec<(StateKey, EventNo)>, StorageError> {
    let mut heroes = Vec::new();
    for membership in [StoredMembership::Join, StoredMembership::Invite] {
        let wanted = (view.room.no, membership.key());
        for ((_, _, user), _) in MEMBER_BY_ROOM.scan(&view.reader, wanted, HEROES_SCAN_MAX)? {
            if user == joining {
                continue;
            }
            if let Some(event) = view.state_event_at(at, MEMBER, user.as_str())? {
                heroes.push(((MEMBER.to_owned(), user.to_string()), event.no));
            }
        }
    }
    heroes.sort_by_key(|(_, no)| *no);
    heroes.truncate(HEROES);
    Ok(heroes)
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
