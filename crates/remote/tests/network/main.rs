//! The network, over real TLS on loopback: how servers are found, whom their certificates must be
//! for, what is refused, and what an answer may cost.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bounds;
mod certificates;
mod connections;
mod delegation;
mod discovery;
mod examined;
mod pages;
mod peer;
mod scene;
mod walls;
mod web;
