//! What other servers may read here, and what they may not.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod answers;
mod directory;
mod hierarchy;
mod kinds;
mod leaks;
mod pretending;
mod spaces;
mod support;
