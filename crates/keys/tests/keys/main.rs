//! Facts about end-to-end keys, over stores of one slot and of several.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test that called them"
)]

mod backups;
mod claims;
mod lists;
mod reach;
mod signing;
mod support;
mod uploads;
