//! Memberships across servers.

use std::time::Duration;

/// Servers that are asked, one after the other, to help with a membership in a room this server is not in.
pub const HANDSHAKE_VIAS_MAX: usize = 8;

/// Servers that a request may name to be asked about a room; those beyond are not read.
pub const VIAS_READ_MAX: usize = 50;

/// The answer to a join: the state of a room with a hundred thousand members, and its auth chain.
pub const JOIN_ANSWER_BYTES_MAX: usize = 256 * 1_048_576;

/// How long another server may take to answer a join: it may have to write down a very large room.
pub const JOIN_ANSWER_TIME_MAX: Duration = Duration::from_mins(3);

/// How long after a join was handed in it is looked whether the room came here, in milliseconds: later
/// than an answer may take.
pub const JOIN_UNDO_AFTER_MS: u64 = 5 * 60 * 1_000;

/// How long a server that may have let our user in is asked to let them out again, in milliseconds: one day.
pub const JOIN_UNDO_AGE_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// Events of the state, or of the auth chain, in the answer to a join.
pub const JOIN_ANSWER_EVENTS_MAX: usize = 200_000;

/// Events of a room that are brought here in one batch.
pub const IMPORT_CHUNK_EVENTS: usize = 500;

/// Rooms that are brought here at once: each may lie in memory for a while.
pub const IMPORTS_MAX: usize = 4;

/// State shown to somebody who is not in the room yet, as another server sends it.
pub const STRIPPED_STATE_MAX: usize = 64;

/// Invitations, knocks and what became of them that are kept for one user and rooms this server is not in.
pub const OUTSIDE_ROOMS_MAX: usize = 1_000;

/// Of what became of these, what is kept for one user who forgot them, for other clients to be told that they are over.
pub const OUTSIDE_FORGOTTEN_MAX: usize = 200;

/// Invitations and knocks of one user at one room that are kept while another server's invitation waits.
pub const OUTSIDE_EARLIER_MAX: usize = 8;

/// The first wait before a server is told once more of a leave that nobody could be told.
pub const LEAVE_TOLD_WAIT_MS_MIN: u64 = 1_000;

/// The longest such wait.
pub const LEAVE_TOLD_WAIT_MS_MAX: u64 = 3_600_000;

/// How long it is tried: a week.
pub const LEAVE_TOLD_AGE_MS_MAX: u64 = 604_800_000;
