//! Every bound in one place, with its reason.

mod contacts;
mod inbound;
mod key_ring;
mod keys;
mod live;
mod media;
mod membership;
mod notices;
mod presence;
mod purge;
mod push;
mod remote;
mod search;
mod sender;
mod sliding;
mod sync;
mod to_device;
mod told;

use std::time::Duration;

pub use self::{
    contacts::*, inbound::*, key_ring::*, keys::*, live::*, media::*, membership::*, notices::*,
    presence::*, purge::*, push::*, remote::*, search::*, sender::*, sliding::*, sync::*,
    to_device::*, told::*,
};

/// The largest event, as canonical JSON with signatures (client-server API, "Size limits").
pub const EVENT_BYTES_MAX: usize = 65_536;

/// The longest event type, state key, sender, room id or event id, in bytes.
pub const IDENTIFIER_BYTES_MAX: usize = 255;

/// Durable jobs of one kind that run at once: what one kind waits for holds up no other.
pub const JOBS_OF_A_KIND_AT_ONCE: usize = 8;

/// Durable jobs that are read in one go.
pub const JOBS_PAGE_MAX: usize = 64;

/// Durable jobs that are looked at before whoever ended is heard; the next look goes on behind them.
pub const JOBS_LOOKED_AT_MAX: usize = 1_024;

/// The largest JSON body any endpoint reads. Media does not come through here.
pub const BODY_BYTES_MAX: usize = 1_048_576;

/// The largest form of a page of this server that is read, in bytes.
pub const FORM_BYTES_MAX: usize = 16_384;

/// For so long after a room was replaced, whoever did it and asks again is told its successor.
pub const UPGRADE_REPEATED_MS_MAX: u64 = 5 * 60 * 1_000;

/// Aliases one room may hold; bounds the reverse index scan.
pub const ALIASES_PER_ROOM_MAX: usize = 64;

/// Events an event may name as previous; more forward extremities than this wait for the next one.
pub const PREV_EVENTS_MAX: usize = 20;

/// Auth events an event may name.
pub const AUTH_EVENTS_MAX: usize = 10;

/// The deepest an event may lie: the largest integer canonical JSON can carry.
pub const DEPTH_MAX: u64 = (1 << 53) - 1;

/// How deep objects and arrays may lie in each other inside the content of a local event. JSON parsers
/// give up at 128, and an event wraps its content once more when it travels.
pub const CONTENT_DEPTH_MAX: usize = 100;

/// How much of a body that is too large is taken and thrown away, so that the client reads why.
pub const BODY_BYTES_DRAINED_MAX: usize = 16 * 1_048_576;

/// How long that may take.
pub const BODY_DRAIN_WAIT_MAX: Duration = Duration::from_secs(2);

/// How long a client may take to send one JSON body, in seconds.
pub const BODY_READ_SECONDS_MAX: u64 = 60;

/// How deep a JSON body may be nested: an event content and what a request wraps around it. Parsers stop at 128.
pub const JSON_DEPTH_MAX: usize = 120;

/// Answers below this many bytes are not worth compressing.
pub const COMPRESS_BYTES_MIN: u64 = 1_024;

/// The request line and headers of one request.
pub const HEAD_BYTES_MAX: usize = 16_384;

/// How long a client may take to send the head of a request, an idle connection included.
pub const HEAD_READ_SECONDS_MAX: u64 = 75;

/// How long a TLS handshake may take, in seconds.
pub const HANDSHAKE_SECONDS_MAX: u64 = 10;

/// Connections one listener holds at once; more wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 20_000;

/// Requests one HTTP/2 connection may have under way.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 64;

/// How long requests under way may go on once the server was asked to stop, in seconds.
pub const DRAIN_SECONDS_MAX: u64 = 10;

/// Pieces of work that may wait for one room.
pub const ROOM_QUEUE_MAX: usize = 4_096;

/// Pieces of work on one room that are committed as one batch.
pub const ROOM_BATCH_MAX: usize = 64;

/// Memory for parsed events, in bytes.
pub const EVENT_CACHE_BYTES_MAX: u64 = 64 * 1_048_576;

/// Events whose row changed after they were first stored, and which are therefore not kept parsed.
pub const REWRITTEN_EVENTS_MAX: u64 = 20_000;

/// Remembered answers of the state index.
pub const STATE_POINT_CACHE_MAX: u64 = 100_000;

/// Events one page of history may hold.
pub const MESSAGES_PAGE_MAX: usize = 1_000;

/// Rooms a walk down a space may visit.
pub const SPACE_WALK_ROOMS_MAX: usize = 5_000;

/// How long a transaction id is remembered, in milliseconds: one day.
pub const TRANSACTION_AGE_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// Invitees one `createRoom` may name.
pub const CREATE_INVITES_MAX: usize = 100;

/// State events one `createRoom` may bring.
pub const CREATE_INITIAL_STATE_MAX: usize = 200;

/// The longest access or refresh token anybody is given.
pub const TOKEN_BYTES_MAX: usize = 1_024;

/// Keys one in-memory rate limiter remembers.
pub const THROTTLE_KEYS_MAX: usize = 50_000;

/// Logins that may wait for a password to be hashed.
pub const PASSWORDS_WAITING_MAX: usize = 256;

/// The longest password.
pub const PASSWORD_BYTES_MAX: usize = 512;

/// Devices of one account; the one made first makes room for the next.
pub const DEVICES_PER_USER_MAX: usize = 500;

/// The longest device identifier a client may choose.
pub const DEVICE_ID_BYTES_MAX: usize = 255;

/// What is kept of a dehydrated device beside its keys, as canonical JSON (MSC3814). An encrypted account with
/// a hundred one-time keys takes about 10 KB.
pub const DEHYDRATED_DATA_BYTES_MAX: usize = 65_536;

/// The longest name of a device.
pub const DEVICE_NAME_BYTES_MAX: usize = 1_024;

/// Interactive authentications in progress.
pub const UIA_SESSIONS_MAX: usize = 10_000;

/// Interactive authentications of one user; a further one ends the oldest of them.
pub const UIA_SESSIONS_PER_USER_MAX: usize = 16;

/// Interactive authentications begun from one address by people who are not logged in.
pub const UIA_SESSIONS_PER_ADDRESS_MAX: usize = 256;

/// How long an interactive authentication may take.
pub const UIA_SESSION_MS_MAX: u64 = 30 * 60 * 1_000;

/// How long the last request of a registration, sent again, gets the account it made.
pub const REGISTRATION_REPEAT_MS_MAX: u64 = 5 * 60 * 1_000;

/// Nonces of shared-secret registration that wait for their use.
pub const NONCES_MAX: usize = 1_000;

/// A whole profile (client-server API, "Profiles").
pub const PROFILE_BYTES_MAX: usize = 65_535;

/// The name of a profile field (client-server API, "Profiles").
pub const PROFILE_KEY_BYTES_MAX: usize = 255;

/// The longest display name.
pub const DISPLAYNAME_BYTES_MAX: usize = 1_024;

/// One item of account data.
pub const ACCOUNT_DATA_BYTES_MAX: usize = 262_144;

/// What all items of account data of one user take.
pub const ACCOUNT_DATA_TOTAL_BYTES_MAX: u64 = 32 * 1_048_576;

/// Items of account data one user may keep.
pub const ACCOUNT_DATA_ITEMS_MAX: usize = 10_000;

/// Tags of one room.
pub const TAGS_PER_ROOM_MAX: usize = 100;

/// The longest tag (client-server API, "Room tagging").
pub const TAG_BYTES_MAX: usize = 255;

/// One filter.
pub const FILTER_BYTES_MAX: usize = 65_536;

/// Filters one user may keep; the one that was not used for longest makes room for the next.
pub const FILTERS_PER_USER_MAX: usize = 200;

/// Filters read at a time when those that nobody uses are looked for.
pub const FILTERS_PER_LOOK: usize = 100;

/// After this time a filter that is used is noted as in use again, in milliseconds: one day.
pub const FILTER_RENEWED_AFTER_MS: u64 = 24 * 60 * 60 * 1_000;

/// Push rules a user may add.
pub const PUSH_RULES_MAX: usize = 1_000;

/// Sightings of devices that wait in memory for the next flush.
pub const SEEN_DEVICES_MAX: usize = 100_000;

/// Accounts in one page of a list.
pub const ACCOUNTS_PER_PAGE_MAX: usize = 1_000;

/// Keys the committer remembers having written; a batch decided before the oldest of them runs
/// again. About 40 bytes each.
pub const WINDOW_KEYS_MAX: usize = 65_536;

/// Range deletes the committer remembers; every assertion is compared with each of them.
pub const WINDOW_RANGES_MAX: usize = 64;

/// Lines of the log kept in memory for those who follow it.
pub const LINES_REMEMBERED_MAX: usize = 4_096;

/// Bytes of lines of the log kept in memory.
pub const LINES_REMEMBERED_BYTES_MAX: usize = 1_048_576;

/// Groups of commits that hold nothing a follower of the log wants, until it is told all the same, so
/// that its place does not stay behind.
pub const FOLLOWER_PASSED_MAX: u32 = 1_024;

/// Batches that may wait to be committed; more are refused as too busy.
pub const COMMIT_QUEUE_MAX: usize = 16_384;

/// Batches of one group, so that the first does not wait for the last of a long queue.
pub const GROUP_BATCHES_MAX: usize = 1_024;

/// Row changes after which a group takes no further batch.
pub const GROUP_ROWS_MAX: usize = 16_384;

/// Runs of a write closure beside others; after that it runs alone, where nothing can conflict.
pub const WRITE_ATTEMPTS_MAX: u32 = 3;

/// Aliases that are looked through for those whose makers may open no doors any more.
pub const ALIASES_DOUBTED_MAX: usize = 50_000;

/// Such aliases that are told of at once.
pub const ALIASES_TOLD_MAX: usize = 100;

/// The reason that a guest, or another account of low trust, gives for coming into a room.
pub const BRIEF_REASON_BYTES_MAX: usize = 512;

/// Rooms a walk down one space may find.
pub const SPACE_ROOMS_MAX: usize = 2_000;

/// Edges of one space that a walk follows: those that curators set.
pub const SPACE_CHILDREN_MAX: usize = 2_000;

/// Edges of one space that a walk looks at to find those.
pub const SPACE_EDGES_READ_MAX: usize = 10_000;

/// How deep below a space of the configuration rooms may lie.
pub const SPACE_DEPTH_MAX: u32 = 8;

/// Guest links there may be on this server, those that are used up included.
pub const GUEST_LINKS_MAX: usize = 1_000;

/// Accounts one guest link lets in.
pub const GUEST_LINK_USES_MAX: u32 = 1_000;

/// How long a guest link lives.
pub const GUEST_LINK_LIFE_MS_MAX: u64 = 90 * 86_400_000;

/// Accounts a room may be open to by guest links at one time.
pub const GUEST_GRANTS_PER_ROOM_MAX: usize = 2_000;

/// How long guests stay in a room of a space that cannot be read, since it was last seen inside: an hour
/// at least, since it is looked at once an hour.
pub const SPACE_GRACE_MS: u64 = 7_200_000;

/// Spaces that the server's own user may be told to be in, or to leave, at one time.
pub const SPACES_FOLLOWED_MAX: usize = 256;

/// How often the server's own user is told again to be in a space it is not in.
pub const SPACE_FOLLOW_EVERY_MS: u64 = 3_600_000;

/// How old the row that says when a room was last seen inside a space may be before it is written again.
pub const SPACE_SEEN_STEP_MS: u64 = 600_000;

/// Rate buckets kept in memory; beyond, newcomers share one bucket per class and kind of act.
pub const RATE_BUCKETS_MAX: usize = 200_000;

/// Damaged rows a check names one by one; the others it only counts.
pub const CHECK_PROBLEMS_MAX: usize = 100;

/// Guests looked at to count those of a room; a cap above this cannot be told from it.
pub const GUESTS_PER_ROOM_MAX: usize = 10_000;

/// Bytes of a device's name that a guest's token carries.
pub const GUEST_DEVICE_NAME_BYTES_MAX: usize = 256;

/// Unused guest tokens that were logged out and are remembered one by one; beyond, those that end first
/// are refused together with all that end before them.
pub const REFUSED_GUEST_TOKENS_MAX: u64 = 10_000;

/// Refused guest tokens that ended and are forgotten with one that is added.
pub const REFUSED_GUEST_TOKENS_FORGOTTEN: usize = 16;

/// How far in the future a guest token may have been signed, in milliseconds: clocks are set back a little.
pub const GUEST_TOKEN_AHEAD_MS_MAX: u64 = 300_000;

/// Logouts of unused guest tokens that requests under way may lag behind before they look for themselves.
pub const GUEST_LOGOUTS_HEARD_MAX: usize = 256;

/// Guests looked at with one read when those whose time is over are looked for.
pub const GUESTS_PER_LOOK: usize = 500;
/// Devices read at a time when those that nobody uses are looked for.
pub const DEVICES_PER_LOOK: usize = 500;

/// Events of somebody who is forgotten that are taken out of the index of words in one batch.
pub const WORDS_FORGOTTEN_AT_ONCE: usize = 100;

/// Rooms one user can be in.
pub const JOINED_ROOMS_MAX: usize = 100_000;

/// Local members of one room.
pub const LOCAL_MEMBERS_MAX: usize = 1_000_000;

/// Rooms a restricted join rule may name that are looked at.
pub const RESTRICTED_ROOMS_MAX: usize = 100;

/// Rooms on one page of the public list.
pub const PUBLIC_ROOMS_PAGE_MAX: usize = 500;

/// Rooms looked through for one page of the public list.
pub const PUBLIC_ROOMS_SEARCH_MAX: usize = 50_000;

/// Refusals that are kept; the oldest make room.
pub const AUDIT_DENIALS_MAX: usize = 10_000;

/// Classes whose decisions are counted by name; those beyond share one count.
pub const CLASSES_COUNTED_MAX: usize = 256;

/// How long after a guest could not be ended it is tried again, in milliseconds.
pub const GUEST_AGAIN_MS: u64 = 60_000;

/// Decisions of one action that are recorded, of the allowed and of the refused ones each; the oldest make room.
pub const RECORDED_OF_ACTION_MAX: usize = 64;

/// Of what people do all the time, one decision in so many is recorded.
pub const RECORDED_EVERY: u64 = 64;

/// Aliases of a room beyond which decisions about it are not recorded.
pub const RECORDED_ALIASES_MAX: usize = 64;

/// Length of a display name or an event type, in bytes, beyond which a decision is not recorded.
pub const RECORDED_TEXT_BYTES_MAX: usize = 512;

/// Overdue jobs that are looked at for how late the sweep is.
pub const SCOPE_JOBS_LOOKED_AT: usize = 1_000;

/// Old refusals that make room for one at most.
pub const AUDIT_DROPPED_AT_ONCE: usize = 16;

/// How long a refusal is kept, in milliseconds: 30 days.
pub const AUDIT_AGE_MS_MAX: u64 = 30 * 24 * 60 * 60 * 1_000;

/// States of a room that are resolved in one go. An event has at most [`PREV_EVENTS_MAX`] parents; the
/// states are kept apart by the bits of one word.
pub const RESOLVED_STATES_MAX: usize = 64;

/// Bans a room's successor takes over.
pub const BANS_COPIED_MAX: usize = 1_000;

/// Events looked at for one page of history; a page whose filter or visibility leaves little may
/// end before it is full.
pub const HISTORY_SCAN_MAX: usize = 10_000;

/// Relations between events that are followed towards an event that was asked about; the
/// specification wants at least three.
pub const RELATION_DEPTH_MAX: u8 = 3;

/// Relations towards one event that are looked at.
pub const RELATIONS_SCAN_MAX: usize = 10_000;

/// Replies of one thread that are counted.
pub const THREAD_REPLIES_COUNTED_MAX: usize = 1_000;

/// Threads looked at for one page of them.
pub const THREADS_SCAN_MAX: usize = 500;

/// Edits of one event that are compared to find the most recent one.
pub const EDITS_COMPARED_MAX: usize = 500;

/// References to one event that are told together with it.
pub const REFERENCES_BUNDLED_MAX: usize = 250;

/// Types of relations, and users, by which a filter chooses events that something relates to; further
/// ones are not looked for.
pub const RELATED_BY_NAMES_MAX: usize = 20;

/// Relations to one event that are looked at to see whether such a filter lets it through.
pub const RELATED_BY_SCAN_MAX: usize = 500;

/// Addresses of a TURN server that clients are told.
pub const TURN_URIS_MAX: usize = 10;

/// Rooms on one page of a space's hierarchy.
pub const HIERARCHY_PAGE_MAX: usize = 100;

/// How deep below a space its hierarchy is shown.
pub const HIERARCHY_DEPTH_MAX: u64 = 100;

/// Events looked at to find the one nearest to a moment. A room with more is first searched by halves.
pub const MOMENT_SCAN_MAX: usize = 500;

/// Events looked at on the other side of a moment as well, because clocks disagree a little.
pub const MOMENT_LEAD: usize = 100;

/// Events in the snapshot of one room.
pub const ROOM_SNAPSHOT_EVENTS: usize = 20;

/// Accounts looked at in one search of the user directory.
pub const USERS_SEARCHED_MAX: usize = 100_000;

/// Members of rooms looked at in one search of the user directory, to find those of other servers.
pub const OTHERS_SEARCHED_MAX: usize = 50_000;

/// How many of them are read, to find them by what they call themselves.
pub const OTHERS_NAMED_MAX: usize = 10_000;

/// How many of them in one room, so that a large one leaves some for the others.
pub const OTHERS_NAMED_IN_ROOM_MAX: usize = 2_000;

/// Rooms of which it is looked up whether they are open to everybody, in one such search.
pub const OPEN_ROOMS_SEARCHED_MAX: usize = 2_000;

/// Users a search of the directory ranks.
pub const USERS_FOUND_MAX: usize = 500;

/// Reports kept per slot; the oldest makes room for the next.
pub const REPORTS_MAX: usize = 10_000;

/// The longest reason of a report; what is beyond is cut off.
pub const REPORT_REASON_BYTES_MAX: usize = 4_096;

/// Rooms of which it is remembered that somebody was typing.
pub const TYPING_ROOMS_MAX: usize = 50_000;

/// Users shown as typing in one room.
pub const TYPING_USERS_MAX: usize = 200;

/// The longest a notice of typing holds.
pub const TYPING_MAX: Duration = Duration::from_mins(2);

/// Users remembered for having been told that they are a room's last admin.
pub const LAST_ADMIN_REFUSALS_MAX: u64 = 10_000;

/// Users named by power levels that are looked at for another admin.
pub const POWERFUL_USERS_MAX: usize = 1_000;

/// Transaction ids forgotten in one go.
pub const TRANSACTIONS_FORGOTTEN_AT_ONCE: usize = 1_000;

/// Users whose push rules are kept ready in memory.
pub const RULESETS_READY_MAX: u64 = 10_000;

/// Steps reported when an operator asks how a server is reached.
pub const FINDINGS_MAX: usize = 100;

/// Recoveries of servers that wait for a slow listener.
pub const RECOVERIES_WAITING_MAX: usize = 1_024;

/// Syncs that look for news at once; more wait their turn without taking a storage thread.
pub const SYNC_PASSES_MAX: usize = 32;

/// Syncs that show everything at once: they are long, and must not take all storage threads.
pub const SYNC_WHOLE_PASSES_MAX: usize = 2;
