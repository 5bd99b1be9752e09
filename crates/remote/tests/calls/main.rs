//! Calls over a transport that the test plays: what is signed, what is judged, what is remembered.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod back_off;
mod examined;
mod peer;
mod signing;
mod streamed;
