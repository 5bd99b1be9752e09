//! What other servers send: taken where it holds, answered where it does not, and never the end of a room.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that called them"
)]

mod addresses;
mod aliases;
mod gaps;
mod hostile;
mod messages;
mod policy_server;
mod redactions;
mod staging;
mod support;
mod transactions;
