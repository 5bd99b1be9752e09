//! Bounds of syncs, and of what they count as unread.

use std::time::Duration;

/// Events of a room's timeline in one sync, when the client names no number.
pub const SYNC_TIMELINE_DEFAULT: usize = 10;

/// Events of a room's timeline in one sync.
pub const SYNC_TIMELINE_MAX: usize = 500;

/// Rows of a timeline looked at to find the ones a sync shows: filters and history visibility may hide
/// many.
pub const SYNC_SCAN_MAX: usize = 2_000;

/// How long a sync waits for something new.
pub const SYNC_WAIT_MAX: Duration = Duration::from_mins(10);

/// Lines of the log a sync reads to find the rooms that changed; beyond, it asks the user's rooms.
pub const SYNC_NEWS_MAX: usize = 256;

/// Members looked at to name a room after some of them.
pub const HEROES_SCAN_MAX: usize = 100;

/// Members of a room that a device was shown, remembered so that they are not shown again.
pub const SHOWN_MEMBERS_MAX: usize = 2_000;

/// Devices of which that is remembered.
pub const SHOWN_DEVICES_MAX: usize = 10_000;

/// Filters kept ready in memory.
pub const FILTERS_READY_MAX: u64 = 1_000;

/// Receipts of a room that a new member is shown.
pub const RECEIPTS_SHOWN_MAX: usize = 1_000;

/// Receipts of a room before those, among which the member's own are looked for.
pub const OWN_RECEIPTS_SEARCHED_MAX: usize = 100_000;

/// Events of a room among which unread ones are counted when nothing is known of them.
pub const UNREAD_COUNTED_MAX: usize = 3_000;

/// The same when many rooms are counted at once.
pub const UNREAD_COUNTED_FEW: usize = 200;

/// Events that are looked at to count rooms in one sync before rooms are counted among few.
pub const UNREAD_LOOKS_MAX: usize = 60_000;

/// Changes of a member's name that are followed back to where they came in.
pub const RENAMES_FOLLOWED_MAX: usize = 100;

/// Unread counts kept in memory.
pub const UNREAD_COUNTS_MAX: usize = 100_000;
