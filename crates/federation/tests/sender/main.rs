//! What other servers are told, and what telling them costs: over a wire that a test holds in its
//! hands, with a clock that it moves.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that called them"
)]

mod catching_up;
mod inbox;
mod outbox;
mod rig;
mod telling;
