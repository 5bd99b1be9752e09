//! Rooms as the services above them use them, over a store in memory.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test that called them"
)]

mod blocking;
mod byways;
mod forks;
mod gaps;
mod guest_links;
mod guests;
mod hidden;
mod history;
mod invariants;
mod last_admin;
mod previews;
mod purge;
mod receipts;
mod redactions;
mod simulation;
mod support;
mod visibility;
