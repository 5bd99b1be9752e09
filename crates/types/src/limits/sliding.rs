//! Bounds of sliding sync.

use std::time::Duration;

/// The longest name of a connection, in bytes.
pub const SLIDING_NAME_BYTES_MAX: usize = 64;

/// Connections one device keeps; the one that was used least recently makes room for the next.
pub const SLIDING_CONNECTIONS_MAX: usize = 8;

/// How long a connection is kept that nobody uses.
pub const SLIDING_AGE_MAX: Duration = Duration::from_hours(30 * 24);

/// How exactly it is known when a connection was last used.
pub const SLIDING_USED_EVERY: Duration = Duration::from_hours(6);

/// Steps of a connection that are kept before they are folded into one.
pub const SLIDING_STEPS_MAX: u32 = 32;

/// Connections whose rooms are kept in memory.
pub const SLIDING_CONNECTIONS_READY_MAX: u64 = 5_000;

/// Users whose lists of rooms are kept in memory.
pub const SLIDING_USERS_READY_MAX: u64 = 2_000;

/// Lists of one request (MSC4186).
pub const SLIDING_LISTS_MAX: usize = 100;

/// The longest name of a list, in bytes.
pub const SLIDING_LIST_NAME_BYTES_MAX: usize = 255;

/// Ranges of one list.
pub const SLIDING_RANGES_MAX: usize = 20;

/// Rooms one request subscribes to.
pub const SLIDING_SUBSCRIPTIONS_MAX: usize = 500;

/// Pairs of event type and state key one list or subscription asks for.
pub const SLIDING_STATE_PAIRS_MAX: usize = 200;

/// Entries of one part of a filter, and rooms or lists an extension names.
pub const SLIDING_NAMES_MAX: usize = 500;

/// Rooms in one answer. Rooms beyond come with the next one, which then does not wait.
pub const SLIDING_ROOMS_MAX: usize = 500;

/// Events looked at to find the last one that moves a room up.
pub const SLIDING_BUMP_SCAN_MAX: usize = 200;

/// Events of one page of a room that somebody listens to.
pub const STREAM_EVENTS_MAX: usize = 100;

/// How often somebody who listens to a room they need not be in looks into it.
pub const PEEK_LOOK_EVERY: Duration = Duration::from_millis(200);
