//! What a sync tells, whom it wakes, and what it costs, over a store in memory.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test that called them"
)]

mod cost;
mod devices;
mod glances;
mod letters;
mod presence;
mod rooms;
mod sliding;
mod support;
mod waiting;
mod whole;
