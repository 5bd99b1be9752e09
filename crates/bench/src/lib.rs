//! Performance bars: a load generator over loopback and the probes beside it.
//!
//! `vestibule-bench` starts the real server binary with a fresh data folder, drives it with a lean
//! keep-alive client that has one request in flight per sender, and writes one JSON document with
//! every sample. The physical limits of the machine (`probe`) are measured between the samples, so
//! that a noisy disk lowers both sides of a comparison. `docs/benchmarks.md` explains the rows.
//!
//! The same machinery kills the server under load and looks for what it had acknowledged (`crash`).
//!
//! Deliberately absent: retries, warm-up that is not written down, and any switch that makes a
//! figure better without saying so in the document.

pub mod broadcast;
pub mod client;
pub mod clock;
pub mod corpus;
pub mod crash;
pub mod load;
pub mod matrix;
pub mod peers;
pub mod probe;
pub mod process;
pub mod rehearsal;
pub mod report;
pub mod rows;
pub mod server;
