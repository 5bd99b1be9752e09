//! Rooms as operators look after them.

pub(crate) mod purge_history;
