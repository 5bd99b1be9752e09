//! The binary, as operators run it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that called them")]

mod bench;
mod commands;
mod serve;
