//! What telling other servers may cost.

use std::time::Duration;

/// Messages that wait for one other server beside the events of rooms; what comes beyond is dropped.
pub const EDUS_WAITING_MAX: u64 = 20_000;

/// As many waiting for a server, only the newest of what tells of a user's devices waits with them.
pub const EDUS_EACH_WAITING_MAX: u64 = 1_000;

/// Messages that wait for one other server together with those of which only the newest counts: these are
/// not dropped for others. There is one of a kind for a user.
pub const EDUS_NEWEST_WAITING_MAX: u64 = 500_000;

/// Receipts in one transaction. Several of them make one message, at worst each makes one.
pub const TRANSACTION_RECEIPTS_MAX: usize = 40;

/// Notices of typing that wait for one server.
pub const TYPING_WAITING_MAX: usize = 20;

/// After this time those who still type are named again to other servers, which forget them after a minute.
pub const TYPING_REPEAT: Duration = Duration::from_secs(40);

/// Queued messages in one transaction, in bytes; a single one may be larger.
pub const OUTBOX_BYTES_MAX: usize = 1_048_576;

/// How often a server may answer that it does not take a transaction, before it is given up.
pub const TRANSACTION_REFUSALS_MAX: u32 = 3;

/// Servers to which transactions are under way at once.
pub const SENDERS_MAX: usize = 256;

/// Lines of the log that wait in memory for one server; beyond, they are looked up in the log.
pub const SEND_QUEUE_MAX: usize = 1_000;

/// Lines of the log that are read in one go to tell other servers of them.
pub const NEWS_READ_MAX: usize = 1_000;

/// Servers that may have something outstanding after a restart.
pub const OUTGOING_MAX: usize = 200_000;

/// Rows written in one go about what servers have.
pub const FLUSH_SERVERS_MAX: usize = 1_000;

/// How long it may take until it is noted what servers have.
pub const SEND_FLUSH_EVERY: Duration = Duration::from_secs(5);

/// Commits after which it is noted that there was nothing in them for other servers.
pub const SEND_TAIL_COMMITS_MAX: u64 = 20_000;

/// How long a server that takes nothing, without being unreachable, is left alone at first.
pub const SEND_RETRY_MIN: Duration = Duration::from_mins(1);

/// The longest it is left alone.
pub const SEND_RETRY_MAX: Duration = Duration::from_hours(1);

/// Events of one room that a server is told one by one after it was out of reach; beyond, it gets the
/// newest only.
pub const CATCH_UP_EVENTS_MAX: usize = 500;

/// Events looked at in one room to find what a server missed.
pub const CATCH_UP_SCAN_MAX: usize = 5_000;

/// The newest events of a room that a server gets in place of all it missed.
pub const CATCH_UP_NEWEST_MAX: usize = 10;

/// Rooms of a server looked at in one go.
pub const ROOMS_READ_MAX: usize = 256;

/// Rooms a server left while it was out of reach, in which it is still told of that.
pub const ROOMS_LEFT_MAX: usize = 1_000;

/// Other servers of one room.
pub const ROOM_SERVERS_MAX: usize = 20_000;

/// Servers coming and going in one room that are looked at to know who was there at a moment.
pub const SERVER_CHANGES_MAX: usize = 10_000;

/// Servers kept ready in memory for rooms, all rooms together.
pub const SERVERS_READY_MAX: u64 = 1_000_000;

/// Gaps of a room's history that are looked at.
pub const GAPS_MAX: usize = 1_000;

/// Events of history that are asked for at once (they come with the state before the earliest).
pub const HISTORY_FETCH_MAX: usize = 100;

/// The largest page of history another server sends, in bytes.
pub const BACKFILL_BYTES_MAX: usize = 8 * 1_048_576;

/// Servers that are asked for one stretch of history.
pub const HISTORY_SERVERS_MAX: usize = 5;

/// Servers of a room that are compared to find the largest.
pub const SERVERS_COMPARED_MAX: usize = 1_000;

/// Stretches of history that are fetched at once; the next ones wait.
pub const HISTORY_FETCHES_AT_ONCE: usize = 16;

/// Rooms for which it is remembered that history is being fetched.
pub const HISTORY_ROOMS_MAX: u64 = 10_000;

/// How long a client waits for history that has to be fetched.
pub const HISTORY_WAIT_MAX: Duration = Duration::from_secs(20);

/// How often history is fetched for one page of it.
pub const HISTORY_FETCHES_MAX: usize = 3;

/// How often history is fetched to reach the event nearest to a moment.
pub const MOMENT_FETCHES_MAX: usize = 100;

/// Redactions of one event that wait for it.
pub const LATE_REDACTIONS_MAX: usize = 20;

/// Rows of a timeline before a gap that are passed to find room for what fills it.
pub const GAP_STEPS_MAX: usize = 64;

/// The largest answer to a question about an alias, in bytes.
pub const ALIAS_ANSWER_BYTES_MAX: usize = 262_144;

/// The largest page of another server's public rooms, in bytes.
pub const PUBLIC_ROOMS_ANSWER_BYTES_MAX: usize = 4 * 1_048_576;

/// How long somebody's client waits for another server's answer to a question.
pub const LOOKUP_MAX: Duration = Duration::from_secs(20);

/// How long a profile of another server is taken for current.
pub const PROFILE_FRESH_MAX: Duration = Duration::from_mins(2);

/// Profiles of other servers kept in memory, in bytes.
pub const PROFILES_BYTES_MAX: u64 = 8 * 1_048_576;

/// Rooms known to have nobody of another server, so that what happens there wakes nobody who sends.
/// Beyond them, rooms are asked about each time.
pub const ROOMS_ALONE_MAX: usize = 100_000;
