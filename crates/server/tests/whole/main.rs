//! A whole server over loopback: its thread through all floors, its life, its reloads.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test that called them"
)]

mod destinations;
mod keys;
mod life;
mod mail;
mod notices;
mod operator;
mod policy;
mod purge;
mod reload;
mod thread;
