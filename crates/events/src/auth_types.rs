//! Which state decides about an event.

use ruma::{UserId, state_res};
use serde_json::value::RawValue;

use crate::{Pdu, RoomVersion, StateKey};

/// The event is so malformed that its auth events cannot be named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot select auth events: {0}")]
pub struct AuthTypesError(pub String);

/// The places in the room's state whose events a new event must name as auth events, where they exist.
pub fn auth_types(
    version: RoomVersion,
    kind: &str,
    sender: &UserId,
    state_key: Option<&str>,
    content: &RawValue,
) -> Result<Vec<StateKey>, AuthTypesError> {
    let rules = &version.rules().authorization;
    let types = state_res::auth_types_for_event(&kind.into(), sender, state_key, content, rules)
        .map_err(AuthTypesError)?;
    Ok(types.into_iter().map(|(kind, key)| (kind.to_string(), key)).collect())
}

/// [`auth_types`] of an event that exists.
pub fn auth_types_of(pdu: &Pdu) -> Result<Vec<StateKey>, AuthTypesError> {
    auth_types(pdu.version(), pdu.kind(), pdu.sender(), pdu.state_key(), pdu.content())
}
