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
