//! Bounds of purging the history of rooms.

/// Events one batch of a purge goes through: the room's writer waits for it.
pub const PURGE_BATCH_EVENTS: u64 = 200;

/// Batches of a purge after which others of the server's own jobs have their turn.
pub const PURGE_BATCHES_AT_ONCE: usize = 20;

/// Purges of one room that overlap; a further one makes the oldest end where it is.
pub const PURGE_LINES_MAX: usize = 4;
