//! The state several ends of a room come to.

use std::{collections::BTreeMap, sync::Arc};

use ruma::{EventId, OwnedEventId};
use vestibule_events::Pdu;
use vestibule_state_res::{Agreed, FactSource, ResolveError, StateMap, resolve_parts};
use vestibule_storage::StorageError;
use vestibule_types::EventNo;

use super::AppendError;
use crate::{
    LoggedEvent, RoomTx, RoomView, StateAt,
    state::{StateChange, StateKey},
};

impl RoomTx<'_, '_> {
    /// The state before an event that follows all of these.
    pub(super) fn state_after_all(&mut self, prev: &[LoggedEvent]) -> Result<StateAt, AppendError> {
        let ends = prev.iter().map(|event| event.no).collect::<Vec<_>>();
        self.resolve_ends(&ends)
    }

    /// Resolves the states after these events, and stores the outcome where it is new: as what
    /// differs from the state that needs the fewest changes.
    pub(super) fn resolve_ends(&mut self, ends: &[EventNo]) -> Result<StateAt, AppendError> {
        let states = self.states_after(ends)?;
        self.resolve_all(&states)
    }

    /// The states after these events, each once.
    pub(super) fn states_after(&self, ends: &[EventNo]) -> Result<Vec<StateAt>, AppendError> {
        let mut states: Vec<StateAt> = Vec::new();
        for end in ends {
            let around = self.view()?.around(*end)?;
            let after = around.map(|around| around.value.after).ok_or_else(|| {
                StorageError::corrupt("event_state", "an end of a room has no state")
            })?;
            if !states.contains(&after) {
                states.push(after);
            }
        }
        Ok(states)
    }

    /// What several states come to.
    pub(super) fn resolve_all(&mut self, states: &[StateAt]) -> Result<StateAt, AppendError> {
        match states {
            [] => Ok(crate::state::EMPTY),
            [only] => Ok(*only),
            _ => self.resolve_states(states),
        }
    }

    fn resolve_states(&mut self, states: &[StateAt]) -> Result<StateAt, AppendError> {
        let resolved = self.view().map_err(AppendError::from).and_then(|v| resolved(&v, states))?;
        let mut cheapest: Option<(StateAt, Vec<StateChange>)> = None;
        for (state, keys) in states.iter().zip(&resolved.by_state) {
            let changes: Vec<StateChange> = keys
                .iter()
                .filter_map(|(key, old)| {
                    let new = resolved.outcome.get(key).copied();
                    (new != *old).then(|| StateChange { key: key.clone(), new, old: *old })
                })
                .collect();
            if cheapest.as_ref().is_none_or(|(_, known)| changes.len() < known.len()) {
                cheapest = Some((*state, changes));
            }
        }
        match cheapest {
            Some((base, changes)) => self.append_state(base, &changes),
            None => Ok(crate::state::EMPTY),
        }
    }
}

/// The conflicted keys: what they come to, and what each state had there.
struct Resolved {
    outcome: BTreeMap<StateKey, EventNo>,
    by_state: Vec<BTreeMap<StateKey, Option<EventNo>>>,
}

fn resolved<R: vestibule_storage::Read>(
    view: &RoomView<'_, R>,
    states: &[StateAt],
) -> Result<Resolved, AppendError> {
    let Some((first, others)) = states.split_first() else {
        return Ok(Resolved { outcome: BTreeMap::new(), by_state: Vec::new() });
    };
    // What differs from the first state anywhere is what they do not all agree on.
    let mut conflicted: BTreeMap<StateKey, Option<EventNo>> = BTreeMap::new();
    let mut differences = Vec::new();
    for other in others {
        let difference = view.state_diff(*first, *other)?;
        conflicted.extend(difference.iter().map(|change| (change.key.clone(), change.old)));
        differences.push(difference);
    }
    let mut by_state = vec![conflicted.clone()];
    for difference in differences {
        let mut own = conflicted.clone();
        own.extend(difference.into_iter().map(|change| (change.key, change.new)));
        by_state.push(own);
    }

    let mut forks = Vec::new();
    for state in &by_state {
        let mut fork = StateMap::new();
        for (key, no) in state {
            if let Some(no) = no {
                fork.insert(key.clone(), id_of(view, *no)?);
            }
        }
        forks.push(fork);
    }
    let facts = Facts(view);
    let agreed = AgreedState { view, at: *first, conflicted: &conflicted };
    let outcome =
        resolve_parts(view.room.version, &forks, &agreed, &facts).map_err(|error| match error {
            ResolveError::Facts(failed) => AppendError::Storage(failed),
            other => AppendError::Forbidden(other.to_string()),
        })?;
    let mut numbers = BTreeMap::new();
    for (key, id) in outcome {
        if let Some(no) = view.event_no(&id)? {
            numbers.insert(key, no);
        }
    }
    Ok(Resolved { outcome: numbers, by_state })
}

fn id_of<R: vestibule_storage::Read>(
    view: &RoomView<'_, R>,
    no: EventNo,
) -> Result<OwnedEventId, StorageError> {
    match view.event(no)? {
        Some(event) => Ok(event.pdu.event_id().to_owned()),
        None => Err(StorageError::corrupt("event_by_no", "a state event is missing")),
    }
}

/// What is the same in all states: everything in one of them but the conflicted keys.
struct AgreedState<'v, 'a, R> {
    view: &'v RoomView<'a, R>,
    at: StateAt,
    conflicted: &'v BTreeMap<StateKey, Option<EventNo>>,
}

impl<R: vestibule_storage::Read> Agreed<StorageError> for AgreedState<'_, '_, R> {
    fn get(&self, place: &StateKey) -> Result<Option<OwnedEventId>, StorageError> {
        if self.conflicted.contains_key(place) {
            return Ok(None);
        }
        let event = self.view.state_event_at(self.at, &place.0, &place.1)?;
        Ok(event.map(|event| event.pdu.event_id().to_owned()))
    }

    fn events_from(&self, number: u64) -> Result<Vec<OwnedEventId>, StorageError> {
        let state = self.view.full_state(self.at, None)?;
        let newer = state
            .into_iter()
            .filter(|(key, no)| no.0 >= number && !self.conflicted.contains_key(key));
        newer.map(|(_, no)| id_of(self.view, no)).collect()
    }
}

/// The events of a room as facts for state resolution. An event's number is greater than those of
/// its auth events, so walks end early.
struct Facts<'v, 'a, R>(&'v RoomView<'a, R>);

impl<R: vestibule_storage::Read> FactSource for Facts<'_, '_, R> {
    type Error = StorageError;

    fn event(&self, id: &EventId) -> Result<Option<Arc<Pdu>>, StorageError> {
        Ok(self.0.event_by_id(id)?.map(|event| event.pdu))
    }

    fn number(&self, id: &EventId) -> Result<Option<u64>, StorageError> {
        Ok(self.0.event_no(id)?.map(|no| no.0))
    }

    fn has_numbers(&self) -> bool {
        true
    }
}
