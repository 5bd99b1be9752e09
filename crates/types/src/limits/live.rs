//! What is kept in memory for users who wait for news.

use std::time::Duration;

/// How long a user's rooms are kept in memory after their last sync.
pub const LIVE_USER_AGE_MAX: Duration = Duration::from_mins(5);

/// Users kept in memory before those who went away are let go.
pub const LIVE_USERS_MIN: usize = 1_024;

/// The last things that happened in a room which are kept in memory while somebody listens to it.
pub const RECENT_LINES_MAX: usize = 32;

/// Rooms in which something happened last that are kept in memory for each user who listens.
pub const RECENT_ROOMS_MAX: usize = 32;

/// Devices of a user of which it is kept in memory what their last sync found.
pub const CARRIED_DEVICES_MAX: usize = 8;

/// Rooms whose last change is kept in memory; beyond, it begins anew.
pub const CHANGED_ROOMS_MAX: usize = 500_000;

/// Listeners to a room from which on what is new in it is made ready for all of them at once.
pub const SHARED_LISTENERS_MIN: usize = 3;

/// How often a sync waits for somebody else to render what both are about to show.
pub const RENDERINGS_AWAITED_MAX: usize = 2;

/// Memory for stretches of timelines that several members of a room are about to be shown.
pub const SHARED_TIMELINES_BYTES_MAX: u64 = 16 * 1_048_576;

/// Memory for receipts that several members of a room are about to be shown.
pub const SHARED_RECEIPTS_BYTES_MAX: u64 = 4 * 1_048_576;

/// How many of them that is usually.
pub const SHARED_TIMELINES_USUAL: usize = 8_192;
