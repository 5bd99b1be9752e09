//! Bounds of what is asked of other servers, and of how they are found.

use std::time::Duration;

/// Requests to other servers under way at once; more wait for their turn.
pub const REMOTE_CALLS_MAX: usize = 2_048;

/// The largest answer of another server that is read, where an endpoint has no bound of its own: a
/// page of a hundred of the largest events fits.
pub const REMOTE_ANSWER_BYTES_MAX: usize = 8 * 1_048_576;

/// How long a request to another server may take altogether, where it has no bound of its own.
pub const REMOTE_CALL_MAX: Duration = Duration::from_mins(1);

/// How long a server is left alone after its first failure. Doubled with each further one.
pub const BACK_OFF_MIN: Duration = Duration::from_secs(5);

/// How long a failing server is left alone at most.
pub const BACK_OFF_MAX: Duration = Duration::from_hours(24);

/// Failing servers that are remembered; beyond, those that are due for another try are forgotten.
pub const DESTINATIONS_FAILING_MAX: usize = 50_000;

/// The longest reason of a failure that is kept.
pub const FAILURE_REASON_BYTES_MAX: usize = 256;

/// How long one attempt to connect to another server may take, its TLS handshake apart.
pub const REMOTE_CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long the attempt to connect to one address has before the next address is tried beside it.
pub const REMOTE_CONNECT_HEAD_START: Duration = Duration::from_millis(300);

/// How long the TLS handshake with another server may take.
pub const REMOTE_HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// Addresses of one server that are tried.
pub const REMOTE_ADDRESSES_MAX: usize = 16;

/// Servers an SRV record may name that are looked at.
pub const SRV_TARGETS_MAX: usize = 8;

/// How long a look-up of SRV records may take before a server counts as having none.
pub const SRV_LOOKUP_MAX: Duration = Duration::from_secs(8);

/// How long an unused connection to another server is kept.
pub const REMOTE_IDLE_MAX: Duration = Duration::from_secs(45);

/// Unused connections kept to one server.
pub const REMOTE_IDLE_CONNECTIONS_MAX: usize = 4;

/// How often a silent HTTP/2 connection in use is asked for a sign of life.
pub const REMOTE_PING_EVERY: Duration = Duration::from_secs(20);

/// The largest `.well-known/matrix/server`.
pub const WELL_KNOWN_BYTES_MAX: usize = 51_200;

/// How long fetching it may take, redirects included.
pub const WELL_KNOWN_FETCH_MAX: Duration = Duration::from_secs(15);

/// Redirects that are followed on the way to it.
pub const WELL_KNOWN_REDIRECTS_MAX: usize = 5;

/// Servers whose delegation is remembered.
pub const WELL_KNOWN_CACHED_MAX: u64 = 20_000;

/// How long a delegation holds that says nothing of it (server-server API, "Resolving server names").
pub const WELL_KNOWN_AGE_DEFAULT: Duration = Duration::from_hours(24);

/// How long a delegation holds at most (server-server API, "Resolving server names").
pub const WELL_KNOWN_AGE_MAX: Duration = Duration::from_hours(48);

/// How long a delegation holds at least, so that no server is asked with every request.
pub const WELL_KNOWN_AGE_MIN: Duration = Duration::from_mins(5);

/// How long the first failure to fetch a delegation holds. Doubled with each further one.
pub const WELL_KNOWN_FAILURE_MIN: Duration = Duration::from_mins(1);

/// How long it holds at most that a server delegates nothing, or could not be asked.
pub const WELL_KNOWN_FAILURE_MAX: Duration = Duration::from_hours(1);
