//! Bounds of the notices this server sends to its users.

/// The longest text of a notice, in bytes.
pub const SERVER_NOTICE_BYTES_MAX: usize = 16_384;

/// Accounts that one step of a notice to everybody looks at.
pub const SERVER_NOTICES_AT_ONCE: usize = 100;

/// Notices that stay pinned in one user's room; the oldest make way.
pub const SERVER_NOTICES_PINNED_MAX: usize = 10;
