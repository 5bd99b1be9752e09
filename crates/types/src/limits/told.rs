//! Bounds of what other servers are told of rooms here, and of what they tell of theirs.

use std::time::Duration;

/// Remembered answers of access control lists: which list, which server.
pub const ACL_ANSWERS_MAX: u64 = 50_000;

/// Invitations of a room looked at to find one for a server.
pub const INVITED_SCAN_MAX: usize = 1_000;

/// Stored events read in one go where many are read past the cache.
pub const EVENTS_READ_AT_ONCE: usize = 256;

/// Events read in one go while they are sent to another server.
pub const PDUS_READ_AT_ONCE: usize = 128;

/// Whole states of rooms read at once for other servers; more wait their turn.
pub const STATE_READS_AT_ONCE_MAX: usize = 8;

/// Events one backfill brings.
pub const BACKFILL_EVENTS_MAX: usize = 100;

/// Events one backfill may start from.
pub const BACKFILL_STARTS_MAX: usize = 100;

/// Events one answer about missing events brings.
pub const MISSING_EVENTS_MAX: usize = 100;

/// Events one question about missing events may name as had, and as the ones to start from.
pub const MISSING_EVENTS_NAMED_MAX: usize = 200;

/// Events looked at on a walk back through a room's graph for another server; those that are not
/// shown count too.
pub const HISTORY_WALK_MAX: usize = 1_000;

/// Children of a space another server is told of.
pub const CHILDREN_TOLD_MAX: usize = 500;

/// Servers named for an alias.
pub const ALIAS_SERVERS_MAX: usize = 100;

/// Rooms of a user that are looked at for one of another server.
pub const SHARED_ROOMS_SCAN_MAX: usize = 2_000;

/// Rooms of a space that other servers are asked about for one page of it.
pub const HIERARCHY_ASKED_MAX: usize = 20;

/// Servers of one child of a space that are remembered as knowing it.
pub const SPACE_CHILD_VIA_MAX: usize = 10;

/// Servers that are asked about one room, one after the other.
pub const SPACE_VIA_ASKED_MAX: usize = 3;

/// The largest answer about a space, in bytes.
pub const HIERARCHY_ANSWER_BYTES_MAX: usize = 4 * 1_048_576;

/// How long what another server told of a space is taken for current.
pub const SPACE_FRESH_MAX: Duration = Duration::from_mins(5);

/// What other servers told of spaces, kept in memory, in bytes.
pub const SPACES_ELSEWHERE_BYTES_MAX: u64 = 16 * 1_048_576;

/// Servers that are asked which event of a room lies nearest to a moment.
pub const MOMENT_SERVERS_MAX: usize = 3;

/// How long one of them may take to answer.
pub const MOMENT_ASKED_MAX: Duration = Duration::from_secs(8);
