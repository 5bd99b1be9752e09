//! Event authorization and state resolution. Pure: facts come in as arguments.
//!
//! The rules themselves are `ruma-state-res`, behind types of our own so that a faster
//! algorithm can take its place beside it. What is ours is what the library leaves to its caller: finding
//! the auth difference and the conflicted subgraph without loading whole auth chains, and handing the
//! library only the part of the state that matters.
//!
//! Deliberately absent: storage, the order in which events are checked, and what becomes of an event
//! that fails. Those belong to `vestibule-rooms`.

mod auth;
mod facts;
mod graph;
mod power;
mod resolve;

pub use self::{
    auth::{AuthError, CheckError, check, check_auth_events, check_state},
    facts::{Agreed, FactSource, StateMap},
    power::{Power, PowerLevels},
    resolve::{ResolveError, resolve, resolve_parts},
};
pub use vestibule_events::StateKey;
