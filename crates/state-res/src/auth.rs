//! The authorization rules.

use std::{cell::RefCell, collections::HashMap, sync::Arc};

use ruma::{EventId, events::StateEventType, state_res};
use serde::Deserialize;
use vestibule_events::{Pdu, StateKey};

/// A rule that an event breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct AuthError {
    /// Which rule, in words for the log; clients only learn that the event is forbidden.
    pub reason: String,
}

impl AuthError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// Why an event was not found to be allowed.
#[derive(Debug, thiserror::Error)]
pub enum CheckError<E> {
    /// It is not allowed.
    #[error(transparent)]
    Denied(#[from] AuthError),
    /// Nobody knows: a fact could not be had.
    #[error("an event needed for the check could not be read")]
    Facts(E),
}

/// Checks an event against its own auth events and against a state of the room.
///
/// On receipt of an event from elsewhere the two halves have different consequences and
/// states: see [`check_auth_events`] and [`check_state`].
pub fn check<E>(
    pdu: &Pdu,
    auth_event: impl Fn(&EventId) -> Result<Option<Arc<Pdu>>, E>,
    state: impl Fn(&str, &str) -> Result<Option<Arc<Pdu>>, E>,
) -> Result<(), CheckError<E>> {
    check_auth_events(pdu, auth_event)?;
    check_state(pdu, state)
}

/// Checks the choice of auth events, and the event against the state they make up. An event that
/// fails is rejected.
pub fn check_auth_events<E>(
    pdu: &Pdu,
    auth_event: impl Fn(&EventId) -> Result<Option<Arc<Pdu>>, E>,
) -> Result<(), CheckError<E>> {
    check_room_version(pdu)?;
    let rules = &pdu.version().rules().authorization;
    let failure = RefCell::new(None);
    let seen = RefCell::new(HashMap::<StateKey, Arc<Pdu>>::new());
    let fetch = |id: &EventId| {
        let event = answer(auth_event(id), &failure)?;
        // The check asks for every auth event, and for the create event where that is not one.
        if let Some(place) = event.state_place() {
            seen.borrow_mut().insert(place, Arc::clone(&event));
        }
        Some(event)
    };
    let outcome = state_res::check_state_independent_auth_rules(rules, pdu, fetch);
    conclude(outcome, failure)?;
    let seen = seen.into_inner();
    let nothing_fails = RefCell::new(None);
    let place =
        |kind: &StateEventType, key: &str| seen.get(&(kind.to_string(), key.to_owned())).cloned();
    conclude(state_res::check_state_dependent_auth_rules(rules, pdu, place), nothing_fails)
}

/// Checks an event against a state of the room: the state before it, where failure rejects it, or the
/// room's current state, where failure hides it from clients ("soft failure").
pub fn check_state<E>(
    pdu: &Pdu,
    state: impl Fn(&str, &str) -> Result<Option<Arc<Pdu>>, E>,
) -> Result<(), CheckError<E>> {
    let rules = &pdu.version().rules().authorization;
    let failure = RefCell::new(None);
    let fetch = |kind: &StateEventType, key: &str| answer(state(&kind.to_string(), key), &failure);
    conclude(state_res::check_state_dependent_auth_rules(rules, pdu, fetch), failure)
}

#[derive(Deserialize)]
struct CreateContent {
    room_version: Option<String>,
}

/// The create event decides the version by whose rules it is checked, so it has to name that one.
/// Before version 11 a redacted create event names none.
fn check_room_version(pdu: &Pdu) -> Result<(), AuthError> {
    if pdu.kind() != "m.room.create" {
        return Ok(());
    }
    let content: CreateContent = pdu
        .content_as()
        .map_err(|error| AuthError::new(format!("malformed `m.room.create` content: {error}")))?;
    let may_be_absent = !pdu.version().rules().redaction.keep_room_create_content;
    match content.room_version.as_deref() {
        None if may_be_absent => Ok(()),
        Some(version) if version == pdu.version().as_str() => Ok(()),
        _ => Err(AuthError::new("the create event is of another room version")),
    }
}

fn answer<E>(
    result: Result<Option<Arc<Pdu>>, E>,
    failure: &RefCell<Option<E>>,
) -> Option<Arc<Pdu>> {
    match result {
        Ok(event) => event,
        Err(error) => {
            failure.borrow_mut().get_or_insert(error);
            None
        }
    }
}

fn conclude<E>(
    outcome: Result<(), String>,
    failure: RefCell<Option<E>>,
) -> Result<(), CheckError<E>> {
    if let Some(error) = failure.into_inner() {
        return Err(CheckError::Facts(error));
    }
    outcome.map_err(|reason| CheckError::Denied(AuthError { reason }))
}
