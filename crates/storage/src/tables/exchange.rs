//! Invitations by address that wait for the inviter's server.
//!
//! All of it lies in slot 0.

use crate::Table;

/// What waits, by a digest of it: a job that does the same as another is not enqueued twice.
pub const EXCHANGE_WAITING: Table<(String,), ()> = Table::new(0x0A20, "exchange_waiting");
