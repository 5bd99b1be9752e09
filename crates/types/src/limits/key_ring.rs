//! Signed requests, the keys of servers, and the checking of signatures.

use std::time::Duration;

use super::EVENT_BYTES_MAX;

/// How deep the body of a signed request may be nested. Deeper than what this server lets its own users
/// send, so that one odd event does not stop what else travels with it.
pub const SIGNED_DEPTH_MAX: usize = 500;

/// How often the bytes of a signed request may be moved, on average, to put its keys in order.
pub const SIGNED_SORT_MAX: usize = 32;

/// The largest transaction of another server: 50 events and 100 ephemeral ones, each as large as an event
/// (server-server API, "Transactions").
pub const TRANSACTION_BYTES_MAX: usize = 150 * EVENT_BYTES_MAX;

/// Invitations of an address that an identity server may tell of at once.
pub const BOUND_INVITES_MAX: usize = 20;

/// Invitations of an address that are exchanged at once.
pub const EXCHANGES_AT_ONCE: usize = 4;

/// Invitations of addresses that wait for the inviter's server; what more there is, the identity server
/// has to say again.
pub const EXCHANGES_WAITING_MAX: usize = 256;

/// The least wait before the inviter's server is asked again, in milliseconds.
pub const EXCHANGE_WAIT_MS_MIN: u64 = 60_000;

/// The longest such wait.
pub const EXCHANGE_WAIT_MS_MAX: u64 = 6 * 3_600_000;

/// How long it is asked again and again: seven days.
pub const EXCHANGE_AGE_MS_MAX: u64 = 7 * 24 * 3_600_000;

/// How long a server may take to exchange an invitation of an address.
pub const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(10);

/// How often it is looked whether an exchanged invitation has come into a room this server is in.
pub const INVITE_LOOKS_MAX: usize = 50;

/// How long is waited between two such looks.
pub const INVITE_LOOK_WAIT: Duration = Duration::from_millis(100);

/// Keys of an identity server that the invitation of an address may name.
pub const ADDRESS_INVITE_KEYS_MAX: usize = 10;

/// Signatures looked at that an identity server made for the owner of an address.
pub const ADDRESS_SIGNATURES_MAX: usize = 10;

/// The largest answer of an identity server, in bytes.
pub const IDENTITY_ANSWER_BYTES_MAX: usize = 65_536;

/// How long an identity server may take to answer.
pub const IDENTITY_TIME_MAX: Duration = Duration::from_secs(10);

/// The longest address that is invited, and the longest token of an identity server, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 500;

/// How long an `OpenID` token works.
pub const OPENID_TOKEN_LIFE: Duration = Duration::from_hours(1);

/// `OpenID` tokens of one user that work at once; the first to end makes room for the next.
pub const OPENID_TOKENS_PER_USER_MAX: usize = 50;

/// Signatures one request of another server may carry.
pub const REQUEST_SIGNATURES_MAX: usize = 8;

/// Keys of one server that are kept; the ones that were good the longest ago make room.
pub const KEYS_PER_SERVER_MAX: usize = 64;

/// Keys of before that this server publishes. Others read [`KEYS_PER_SERVER_MAX`] at most, as it does.
pub const OWN_OLD_KEYS_MAX: usize = 32;

/// Servers whose keys are kept; the one whose answer is the oldest makes room.
pub const SERVERS_WITH_KEYS_MAX: u64 = 200_000;

/// Servers whose keys are kept in memory.
pub const SERVERS_WITH_KEYS_READY_MAX: u64 = 10_000;

/// How far ahead another server may say that its keys are good (server-server API, "Publishing Keys").
pub const KEY_VALIDITY_MAX: Duration = Duration::from_hours(7 * 24);

/// Pieces of signature checking that run at once.
pub const SIGNATURE_CHECKS_MAX: usize = 2;

/// Pieces of signature checking that may wait for their turn.
pub const SIGNATURE_CHECKS_WAITING_MAX: usize = 4_096;

/// The longest id of a key of a server.
pub const KEY_ID_BYTES_MAX: usize = 255;

/// The largest answer of a server about its keys.
pub const KEY_ANSWER_BYTES_MAX: usize = 65_536;

/// How long a server may take to tell its keys.
pub const KEY_FETCH_MAX: Duration = Duration::from_secs(10);

/// Servers that are asked for their keys at once for one piece of work.
pub const KEY_FETCHES_AT_ONCE: usize = 64;

/// Servers nothing is known of that are asked for their keys at once because somebody says to be them.
pub const STRANGERS_ASKED_MAX: usize = 32;

/// Requests of such servers that wait for that; more are refused.
pub const STRANGERS_WAITING_MAX: usize = 512;

/// How long a server that told no key that was new is not asked again, whatever keys it is said to have.
pub const KEY_FETCH_AFTER_SUCCESS: Duration = Duration::from_secs(10);

/// How long a server that did not tell its keys is not asked again.
pub const KEY_FETCH_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Servers of which it is remembered when they were asked for their keys.
pub const KEY_ATTEMPTS_REMEMBERED_MAX: u64 = 50_000;

/// Servers a notary is asked about in one request, and that it is asked about here.
pub const NOTARY_SERVERS_MAX: usize = 100;

/// Servers that are asked for their keys at once because others ask us about them.
pub const NOTARY_FETCHES_AT_ONCE: usize = 16;

/// How long others may rely on what this server tells of its own keys.
pub const OWN_KEYS_VALIDITY: Duration = Duration::from_hours(24);

/// The largest answer of a notary.
pub const NOTARY_ANSWER_BYTES_MAX: usize = 8 * 1_048_576;

/// Events whose signatures are checked as one piece of work.
pub const SIGNATURE_CHECK_EVENTS: usize = 16;
