//! The state of a room at any moment: a versioned index.
//!
//! A room's state lives on branches. A branch is a line of versions; each version changes a few
//! keys of the one before. An event remembers the [`StateAt`] before and after it. An event that
//! changes state at the end of a branch appends a version there; one that does not (a fork) opens
//! a branch that holds only what differs. Reading a key is one seek per branch on the way up.
//!
//! All functions take the room's number and a reader; nothing here caches or decides.

mod append;
mod diff;
mod full;
mod get;

use vestibule_types::EventNo;

pub(crate) use self::{
    append::append,
    diff::diff,
    full::{full, full_without},
    get::get,
};
pub use vestibule_storage::tables::room::StateAt;

/// A state key: event type and state key.
pub type StateKey = (String, String);

/// One difference between two states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// The key that differs.
    pub key: StateKey,
    /// The event it leads to afterwards.
    pub new: Option<EventNo>,
    /// The event it led to before.
    pub old: Option<EventNo>,
}

/// Branches above a branch; deeper ones are flattened when they are opened.
const BRANCH_DEPTH_MAX: u8 = 8;

/// The root branch begins here: version zero, nothing in it.
pub(crate) const EMPTY: StateAt = StateAt { branch: 0, version: 0 };

/// How a version is written in a key, so that the newest comes first.
const fn inverted(version: u64) -> u64 {
    u64::MAX - version
}

#[cfg(test)]
mod tests;
