//! Servers of ours that tell each other what happens, and fetch what they were not there for.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test that called them"
)]

mod addresses;
mod history;
mod joins;
mod lookups;
mod migrated;
mod telling;
mod town;
