//! What comes in from other servers: transactions, events whose parents have to be fetched, messages.

use std::time::Duration;

use super::{EVENT_BYTES_MAX, PREV_EVENTS_MAX};

/// Forward extremities of a room: as many as one event can merge. One more is merged or let go.
pub const EXTREMITIES_MAX: usize = PREV_EVENTS_MAX;

/// Local members looked at to find one in whose name the ends of a room are merged.
pub const MERGERS_SCAN_MAX: usize = 100;

/// Events of one transaction from another server (server-server API, "Transactions").
pub const TRANSACTION_PDUS_MAX: usize = 50;

/// Ephemeral messages of one transaction from another server (server-server API, "Transactions").
pub const TRANSACTION_EDUS_MAX: usize = 100;

/// The largest ephemeral message: keys for a few hundred devices.
pub const EDU_BYTES_MAX: usize = 1_048_576;

/// The longest transaction id of another server.
pub const INBOUND_TRANSACTION_ID_BYTES_MAX: usize = 255;

/// How long the answer to a transaction is remembered, in milliseconds: one hour.
pub const INBOUND_TRANSACTION_AGE_MS_MAX: u64 = 60 * 60 * 1_000;

/// Answers forgotten whenever one is remembered.
pub const ANSWERS_FORGOTTEN_AT_ONCE: usize = 8;

/// Transactions of one server that wait for the one before them.
pub const INBOUND_WAITING_PER_ORIGIN_MAX: usize = 20;

/// Transactions that are worked on at once.
pub const INBOUND_TRANSACTIONS_AT_ONCE: usize = 32;

/// Rooms of one transaction that are worked on at once.
pub const INBOUND_ROOMS_AT_ONCE: usize = 8;

/// How long a transaction waits for events whose parents have to be fetched before it is answered;
/// they are stored by then.
pub const INBOUND_WAIT_MAX: Duration = Duration::from_secs(8);

/// Events of one server that wait for their parents in one room.
pub const STAGED_PER_ORIGIN_MAX: u64 = 250;

/// Servers whose waiting events one look at a room takes up.
pub const STAGED_ORIGINS_MAX: usize = 20;

/// Events of one server that one look at a room takes up.
pub const STAGED_EVENTS_AT_ONCE: usize = 50;

/// Rooms with waiting events that are looked for when the server starts.
pub const STAGED_ROOMS_MAX: usize = 100_000;

/// Rooms whose gaps are closed at once.
pub const GAP_ROOMS_AT_ONCE: usize = 16;

/// How long an event may wait for parents that cannot be had right now, in milliseconds: six hours.
pub const STAGED_AGE_MS_MAX: u64 = 6 * 60 * 60 * 1_000;

/// The first pause before a gap that could not be closed is tried again; it doubles each time.
pub const GAP_RETRY_FIRST: Duration = Duration::from_secs(5);

/// The longest pause before a gap that could not be closed is tried again.
pub const GAP_RETRY_LAST: Duration = Duration::from_mins(15);

/// How long an event waits for a server that may have what lies before it and does not answer, before it
/// is judged by a state that another one tells, in milliseconds: ten minutes.
pub const GAP_PATIENCE_MS: u64 = 10 * 60 * 1_000;

/// How long one attempt to close the gaps of a room may take.
pub const GAP_TIME_MAX: Duration = Duration::from_mins(5);

/// Times in one attempt that a server is asked what lies before what it said last.
pub const MISSING_EVENTS_ROUNDS_MAX: usize = 5;

/// Events asked for each time.
pub const MISSING_EVENTS_PAGE_MAX: usize = 50;

/// The largest list of missing events another server may answer with.
pub const MISSING_EVENTS_BYTES_MAX: usize = MISSING_EVENTS_PAGE_MAX * EVENT_BYTES_MAX + 65_536;

/// Events whose state is fetched in one attempt, because what lies before them cannot be had.
pub const GAP_STATES_MAX: usize = 10;

/// State events, or events that authorize them, that one answer may name.
pub const FETCHED_STATE_MAX: usize = 200_000;

/// The largest answer that names a state by its events' ids.
pub const STATE_IDS_BYTES_MAX: usize = 32 * 1_048_576;

/// The largest answer with whole state events and what authorizes them.
pub const STATE_BYTES_MAX: usize = 192 * 1_048_576;

/// Missing events that are asked for one by one; more are fetched as a whole.
pub const EVENTS_ONE_BY_ONE_MAX: usize = 50;

/// Events asked for one by one at the same time.
pub const EVENTS_AT_ONCE: usize = 8;

/// Times that the auth events of fetched auth events are fetched in turn.
pub const AUTH_ROUNDS_MAX: usize = 8;

/// The largest chain of auth events another server may answer with.
pub const AUTH_CHAIN_BYTES_MAX: usize = 32 * 1_048_576;

/// Servers asked for what is missing: the one that sent the event, and others in the room.
pub const GAP_SERVERS_MAX: usize = 3;

/// Events outside the timeline that are stored in one batch.
pub const OUTLIERS_PER_BATCH_MAX: usize = 500;

/// Events remembered as not to be had, or as broken.
pub const HOPELESS_EVENTS_MAX: u64 = 20_000;

/// How long they are. What they lack may come meanwhile: then they are taken at once.
pub const HOPELESS_AGE: Duration = Duration::from_mins(5);

/// How long a server is not asked again for an event that it said it does not have.
pub const ABSENT_AGE: Duration = Duration::from_mins(5);

/// Receipts taken from one ephemeral message.
pub const RECEIPTS_PER_EDU_MAX: usize = 500;

/// How long a message to a device is remembered as taken, in milliseconds: one day.
pub const DIRECT_AGE_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// Messages to devices that are forgotten as taken whenever one is taken.
pub const DIRECT_FORGOTTEN_AT_ONCE: usize = 4;

/// Users of ours who left a room whose leaves a server in it is told again.
pub const LEAVES_REMINDED_MAX: usize = 20;

/// Users of ours who left a room that are looked at for these.
pub const LEAVES_SCAN_MAX: usize = 100;

/// How long a server is not told again how users of ours left a room.
pub const REMINDER_PAUSE: Duration = Duration::from_mins(5);

/// Pairs of a server and a room for which that is remembered.
pub const REMINDERS_MAX: u64 = 10_000;

/// How long a policy server may take to sign an event.
pub const POLICY_SERVER_TIME_MAX: Duration = Duration::from_secs(10);

/// Events of one act for which a policy server is asked for its signature: closing a room takes two, and
/// each may be asked for again when the room changes meanwhile.
pub const RECOMMENDED_EVENTS_MAX: usize = 4;

/// Events a policy server is asked about at once.
pub const POLICY_SERVER_AT_ONCE: usize = 4;

/// Hidden and rejected events that are looked behind to find out which ends an event follows.
pub const HIDDEN_PARENTS_MAX: usize = 100;

/// How long a server may take to say what is missing.
pub const GAP_CALL_MAX: Duration = Duration::from_mins(1);
