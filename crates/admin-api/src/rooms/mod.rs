//! Rooms as operators look after them.

pub(crate) mod block;
pub(crate) mod purge_history;
