//! The one place of this crate that reads the machine's clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The current moment on the monotonic clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Seconds since the Unix epoch, for the head of the report.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a report says when it was made")]
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
