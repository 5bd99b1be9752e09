//! Whole-server tests over real HTTP: the binary as a process, people who talk to it, and facts.
//!
//! A test raises a [`Town`] with the policy it is about, lets [`Person`]s in, and states what they
//! were answered. Requests leave as they are written: nothing tidies a path on its way.
//!
//! `VESTIBULE_BIN` names the server; without it cargo builds the debug one. On a machine that
//! cannot build or run it, `VESTIBULE_SKIP_PROCESS_TESTS=1` leaves these tests out, and they say so.
//!
//! Deliberately absent: the Matrix SDKs. They walk through the same doors in `tests/clients`.

mod person;
mod program;
mod town;

pub use person::{Answer, Person};
pub use program::{launch, say};
pub use town::{MANY_GUESTS, Said, Town};
pub use vestibule_types::segment;
