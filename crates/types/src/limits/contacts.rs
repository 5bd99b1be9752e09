//! Bounds of what accounts are reached and recovered by, and of what operators do to them.

use std::time::Duration;

/// Rooms in one answer about the rooms two users share.
pub const MUTUAL_ROOMS_PAGE_MAX: usize = 200;

/// How long a token for one more login works (client-server API, "`POST /login/get_token`").
pub const LOGIN_TOKEN_LIFE: Duration = Duration::from_mins(2);

/// Tokens for one more login of one account that wait for their use.
pub const LOGIN_TOKENS_PER_USER_MAX: usize = 5;

/// The longest `User-Agent` that is kept of a device.
pub const USER_AGENT_BYTES_MAX: usize = 256;

/// Acts upon accounts that are kept for operators to read.
pub const MODERATION_ACTS_MAX: usize = 10_000;

/// Acts upon accounts in one answer.
pub const MODERATION_ACTS_PER_PAGE_MAX: usize = 500;

/// The longest e-mail address (RFC 5321).
pub const EMAIL_BYTES_MAX: usize = 254;

/// The longest address of the web that people can be sent to after they opened a link.
pub const NEXT_LINK_BYTES_MAX: usize = 2_048;

/// Third-party identifiers of one account.
pub const CONTACTS_PER_USER_MAX: usize = 20;

/// Sessions in which somebody proves to have an address; the one that ends first makes room.
pub const VALIDATIONS_MAX: usize = 10_000;

/// Mail that waits to be sent; more is refused.
pub const MAIL_WAITING_MAX: usize = 10_000;
