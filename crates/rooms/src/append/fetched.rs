//! A state that another server told us, as a state of ours.
//!
//! Where parents of an event cannot be had, the state after them is fetched. It is written as what
//! differs from the nearest state we know, so it costs its difference and not its size.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use ruma::OwnedEventId;
use vestibule_storage::tables::room::EVENT_BY_ID;
use vestibule_types::EventNo;

use super::AppendError;
use crate::{
    LoggedEvent, RoomTx, StateAt,
    state::{StateChange, StateKey},
};

impl RoomTx<'_, '_> {
    /// The state before an event some of whose parents are missing: resolved from the states after
    /// those that are here and the states that were fetched. `None` when one of those is no state.
    pub(super) fn state_over_gap(
        &mut self,
        here: &[LoggedEvent],
        fetched: &[Arc<[OwnedEventId]>],
    ) -> Result<Option<StateAt>, AppendError> {
        let ends = here.iter().map(|event| event.no).collect::<Vec<_>>();
        let mut states = self.states_after(&ends)?;
        let near = match states.first() {
            Some(after) => *after,
            None => self.known()?.head.state,
        };
        for ids in fetched {
            let Some(state) = self.fetched_state(ids, near)? else { return Ok(None) };
            if !states.contains(&state) {
                states.push(state);
            }
        }
        self.resolve_all(&states).map(Some)
    }

    /// Writes a state, given as the ids of its events, as a difference from `near`. Events that are not
    /// here, that are no state or that are rejected are left out; without a create event it is no state.
    pub(super) fn fetched_state(
        &mut self,
        ids: &[OwnedEventId],
        near: StateAt,
    ) -> Result<Option<StateAt>, AppendError> {
        let (old, new) = {
            let view = self.view()?;
            let old = view.full_state(near, None)?;
            let places: HashMap<EventNo, &StateKey> =
                old.iter().map(|(key, no)| (*no, key)).collect();
            let mut new: BTreeMap<StateKey, EventNo> = BTreeMap::new();
            for row in EVENT_BY_ID.multi_get(&view.reader, ids.iter().map(|id| (id,)))? {
                let Some(row) = row.filter(|row| row.room == view.room.no) else { continue };
                if let Some(place) = places.get(&row.event) {
                    new.insert((*place).clone(), row.event);
                    continue;
                }
                let Some(event) = view.event(row.event)? else { continue };
                if let Some(place) = event.pdu.state_place().filter(|_| !event.pdu.rejected()) {
                    new.insert(place, row.event);
                }
            }
            (old, new)
        };
        if !new.contains_key(&("m.room.create".to_owned(), String::new())) {
            return Ok(None);
        }
        self.append_state(near, &difference(&old, &new)).map(Some)
    }
}

fn difference(
    old: &BTreeMap<StateKey, EventNo>,
    new: &BTreeMap<StateKey, EventNo>,
) -> Vec<StateChange> {
    let gone = old.iter().filter(|(key, _)| !new.contains_key(*key)).map(|(key, no)| StateChange {
        key: key.clone(),
        new: None,
        old: Some(*no),
    });
    let set = new.iter().filter(|(key, no)| old.get(*key) != Some(*no)).map(|(key, no)| {
        StateChange { key: key.clone(), new: Some(*no), old: old.get(key).copied() }
    });
    gone.chain(set).collect()
}
