//! Whatever another server sends: no panic, no internal error, and nobody else suffers.
//!
//! The fuzzers take the committed corpus in `tests/corpus` and bend it, for a few seconds, for a minute
//! where `CI` is set, or for `VESTIBULE_FUZZ_S` seconds. Input that once went wrong belongs into
//! the corpus.

mod corpus;
mod endpoints;
mod events;
mod joins;
mod sockets;
mod transactions;
