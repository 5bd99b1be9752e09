//! What was handed over, put in order. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ruma::OwnedEventId;
use serde::Deserialize;
use vestibule_events::{Pdu, Verified};
use vestibule_types::limits::{IMPORT_CHUNK_EVENTS, JOIN_ANSWER_EVENTS_MAX};

use super::Arrival;
use crate::{append::auth_events_first, state::StateKey};

/// A room in parts: its events in an order in which each comes after those that authorize it.
#[derive(Debug)]
pub(super) struct Parcel {
    /// Our join.
    pub(super) join: Arc<Pdu>,
    /// The auth chain and the state.
    pub(super) events: Vec<Verified>,
    /// Which event holds each place of the state.
    pub(super) state: BTreeMap<StateKey, OwnedEventId>,
}

#[derive(Deserialize)]
struct CreateContent {
    room_version: Option<String>,
}

impl Parcel {
    /// Checks what can be checked without the rules, and sorts the events.
    pub(super) fn open(arrival: Arrival) -> Result<Self, String> {
        let Arrival { join, mut answer } = arrival;
        let count = answer.state.len().max(answer.auth_chain.len());
        if count > JOIN_ANSWER_EVENTS_MAX {
            return Err(format!("a room of {count} events is too large"));
        }
        let join = match answer.event {
            Some(event) => cosigned(&join, event)?,
            None => join,
        };
        // As whatever else is no part of the room, events of others are left out.
        let of_it = |event: &Verified| event.pdu().room_id() == join.room_id();
        answer.state.retain(of_it);
        answer.auth_chain.retain(of_it);
        let state = places(&join, &answer.state)?;
        let mut kinds: BTreeMap<OwnedEventId, Verified> = BTreeMap::new();
        for event in answer.auth_chain.into_iter().chain(answer.state) {
            let id = event.pdu().event_id().clone();
            // Where the same event came whole and redacted, the whole one is kept.
            if event.is_whole() || !kinds.contains_key(&id) {
                kinds.insert(id, event);
            }
        }
        // Ours is recorded in its own place, not as an outlier.
        kinds.remove(join.event_id());
        let by_id = kinds
            .iter()
            .map(|(id, event)| (id.clone(), Arc::new(event.pdu().clone())))
            .collect::<BTreeMap<_, _>>();
        let order = auth_events_first(&by_id);
        let events = order.iter().filter_map(|id| kinds.remove(id)).collect();
        Ok(Self { join, events, state })
    }

    /// Some of the events.
    pub(super) fn chunk(&self, number: usize) -> &[Verified] {
        self.events.chunks(IMPORT_CHUNK_EVENTS).nth(number).unwrap_or_default()
    }
}

/// The join as the other server sent it back: the same event with more signatures.
fn cosigned(join: &Pdu, event: Verified) -> Result<Arc<Pdu>, String> {
    if !event.is_whole() {
        return Err("the join came back with another content".to_owned());
    }
    let event = event.into_pdu();
    if event.event_id() != join.event_id() {
        return Err("another join than ours came back".to_owned());
    }
    Ok(Arc::new(event))
}

fn places(join: &Pdu, state: &[Verified]) -> Result<BTreeMap<StateKey, OwnedEventId>, String> {
    let mut places = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for event in state.iter().map(Verified::pdu) {
        let place = event.state_place().ok_or("an event of the state is no state event")?;
        if ids.insert(event.event_id()) && places.insert(place, event.event_id().clone()).is_some()
        {
            return Err("two events take the same place of the state".to_owned());
        }
    }
    let create =
        state.iter().map(Verified::pdu).find(|event| event.is_state_of("m.room.create", ""));
    let create = create.ok_or("the state has no create event")?;
    let version = create.content_as::<CreateContent>().ok().and_then(|it| it.room_version);
    if version.as_deref() != Some(join.version().as_str()) {
        return Err("the room is of another version than was said".to_owned());
    }
    Ok(places)
}
