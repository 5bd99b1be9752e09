//! State resolution, version 2 and 2.1.
//!
//! The library is handed the conflicted part of the states and those unconflicted entries that the
//! authorization rules can ask for; everything else is unconflicted, wins in the end, and is put back afterwards.

use std::collections::{BTreeSet, btree_map::Entry};

use ruma::{
    OwnedEventId,
    events::StateEventType,
    room_version_rules::StateResolutionV2Rules,
    state_res::{self, utils::event_id_set::EventIdSet},
};
use vestibule_events::{RoomVersion, auth_types_of};
use vestibule_types::limits::RESOLVED_STATES_MAX;

use crate::{
    FactSource, StateMap,
    facts::{Agreed, Remembered},
    graph::AuthGraph,
};

/// Why no state came out.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError<E> {
    /// A fact could not be had.
    #[error("an event needed for state resolution could not be read")]
    Facts(E),
    /// More than [`RESOLVED_STATES_MAX`] states.
    #[error("{0} states are more than can be resolved at once")]
    TooManyStates(usize),
    /// The events do not fit together: one is missing or malformed.
    #[error("state resolution failed: {0}")]
    Failed(String),
}

/// The state that several states of a room come to.
pub fn resolve<F: FactSource>(
    version: RoomVersion,
    states: &[StateMap],
    facts: &F,
) -> Result<StateMap, ResolveError<F::Error>> {
    let (mut unconflicted, forks) = split(states);
    let resolved = resolve_parts(version, &forks, &unconflicted, facts)?;
    unconflicted.extend(resolved);
    Ok(unconflicted)
}

/// [`resolve`] for a caller who knows what differs: `forks` holds, per state, the entries on which
/// not all states agree, `unconflicted` answers for the entries that are the same in all. Returns what is
/// to be added to the unconflicted entries. Costs what differs, not what is agreed on.
pub fn resolve_parts<F: FactSource>(
    version: RoomVersion,
    forks: &[StateMap],
    unconflicted: &impl Agreed<F::Error>,
    facts: &F,
) -> Result<StateMap, ResolveError<F::Error>> {
    if forks.len() > RESOLVED_STATES_MAX {
        return Err(ResolveError::TooManyStates(forks.len()));
    }
    let conflicted: BTreeSet<OwnedEventId> =
        forks.iter().flat_map(|fork| fork.values().cloned()).collect();
    if conflicted.is_empty() {
        return Ok(StateMap::new());
    }
    let rules = version.rules();
    let state_rules = rules.state_res.v2_rules().unwrap_or(&StateResolutionV2Rules::V2_0);

    let agreed = |number| unconflicted.events_from(number);
    let mut roots = Vec::new();
    if !facts.has_numbers() {
        roots = agreed(0).map_err(ResolveError::Facts)?;
    }
    let graph = AuthGraph::new(facts, conflicted.iter().chain(&roots));
    let graph = graph.map_err(ResolveError::Facts)?;
    let fork_ids: Vec<Vec<OwnedEventId>> =
        forks.iter().map(|fork| fork.values().cloned().collect()).collect();
    let difference = graph.difference(&fork_ids, agreed).map_err(ResolveError::Facts)?;
    let subgraph = if state_rules.consider_conflicted_state_subgraph {
        graph.between(&conflicted).map_err(ResolveError::Facts)?
    } else {
        BTreeSet::new()
    };

    let events = Remembered::new(facts);
    let full_conflicted = conflicted.iter().chain(&difference).chain(&subgraph);
    let relevant = relevant_entries(full_conflicted, unconflicted, &events);
    let relevant = relevant.map_err(ResolveError::Facts)?;
    let maps: Vec<_> = forks.iter().map(|fork| library_map(fork, &relevant)).collect();
    let subgraph: EventIdSet<OwnedEventId> = subgraph.into_iter().collect();
    let resolved = state_res::resolve(
        &rules.authorization,
        state_rules,
        maps.iter(),
        // The library takes the events that are not in every set: those are the ones of the first.
        vec![difference.into_iter().collect(), EventIdSet::new()],
        |id| events.event(id),
        |_| Some(subgraph.clone()),
    );
    if let Some(error) = events.into_failure() {
        return Err(ResolveError::Facts(error));
    }
    let resolved = resolved.map_err(|error| ResolveError::Failed(error.to_string()))?;
    let mut added = StateMap::new();
    for ((kind, key), id) in resolved {
        let place = (kind.to_string(), key);
        if unconflicted.get(&place).map_err(ResolveError::Facts)?.is_none() {
            added.insert(place, id);
        }
    }
    Ok(added)
}

/// Splits states into the entries all agree on and, per state, the others. The states are walked in
/// step, because most of a large room is agreed on.
fn split(states: &[StateMap]) -> (StateMap, Vec<StateMap>) {
    let mut unconflicted = Vec::new();
    let mut forks = vec![StateMap::new(); states.len()];
    let mut cursors: Vec<_> = states.iter().map(|state| state.iter().peekable()).collect();
    loop {
        let heads = cursors.iter_mut().filter_map(|cursor| cursor.peek().map(|(place, _)| *place));
        let Some(place) = heads.min() else { break };
        let held: Vec<Option<&OwnedEventId>> = cursors
            .iter_mut()
            .map(|cursor| cursor.next_if(|(head, _)| *head == place).map(|(_, id)| id))
            .collect();
        match held.first() {
            Some(Some(id)) if held.iter().all(|other| *other == Some(*id)) => {
                unconflicted.push((place.clone(), (*id).clone()));
            }
            _ => {
                for (fork, id) in forks.iter_mut().zip(held) {
                    fork.extend(id.map(|id| (place.clone(), id.clone())));
                }
            }
        }
    }
    (unconflicted.into_iter().collect(), forks)
}

/// The unconflicted entries that the rules can ask for while they check the conflicted events.
fn relevant_entries<'i, F: FactSource>(
    full_conflicted: impl Iterator<Item = &'i OwnedEventId>,
    unconflicted: &impl Agreed<F::Error>,
    events: &Remembered<'_, F>,
) -> Result<StateMap, F::Error> {
    let mut relevant = StateMap::new();
    for event in full_conflicted.filter_map(|id| events.event(id)) {
        // The library skips an event whose auth events cannot be named.
        for place in auth_types_of(&event).unwrap_or_default() {
            if let Entry::Vacant(vacant) = relevant.entry(place)
                && let Some(id) = unconflicted.get(vacant.key())?
            {
                vacant.insert(id);
            }
        }
    }
    Ok(relevant)
}

fn library_map(fork: &StateMap, relevant: &StateMap) -> state_res::StateMap<OwnedEventId> {
    let entries = fork.iter().chain(relevant);
    entries
        .map(|((kind, key), id)| ((StateEventType::from(kind.as_str()), key.clone()), id.clone()))
        .collect()
}
