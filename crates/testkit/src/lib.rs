//! Clocks, stores, servers and people for tests. Never a normal dependency.
//!
//! Without features this crate knows only the ground floor and `storage`, so that every service
//! can use it in its own tests. The feature `services` adds the services over one store, the feature `server` a
//! whole server in this process.

mod clock;
mod mutator;
mod people;
mod probe;
mod random;
#[expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a helper of tests fails the test that called it"
)]
mod rows;
#[cfg(feature = "server")]
#[expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a helper of tests fails the test that called it"
)]
pub mod server;
#[cfg(feature = "services")]
#[expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a helper of tests fails the test that called it"
)]
mod services;
#[cfg(feature = "server")]
#[expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a helper of tests fails the test that called it"
)]
pub mod simulator;
mod spawner;
#[cfg(feature = "spec")]
#[expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a helper of tests fails the test that called it"
)]
pub mod spec;
#[expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a helper of tests fails the test that called it"
)]
mod store;
#[cfg(feature = "tls")]
#[expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a helper of tests fails the test that called it"
)]
pub mod tls;

#[cfg(feature = "services")]
pub use self::services::{Services, Settings};
pub use self::{
    clock::ManualClock,
    mutator::Mutator,
    people::{actor, guest, person},
    probe::{AnswerTable, Probe, is_told},
    random::SeededRandom,
    rows::{put_account, put_device},
    spawner::{QueueSpawner, RuntimeSpawner},
    store::{memory_store, memory_store_with, threaded_store},
};

use std::sync::Arc;

use vestibule_types::Environment;

/// The moment at which test time begins: 2026-01-01T00:00:00Z.
pub const EPOCH_MS: u64 = 1_767_225_600_000;

/// An [`Environment`] together with the handles that steer it.
#[derive(Clone, Debug)]
pub struct TestEnvironment {
    /// What services take.
    pub environment: Environment,
    /// Moves time.
    pub clock: Arc<ManualClock>,
    /// The bytes that services will draw, in order.
    pub random: Arc<SeededRandom>,
    /// Runs what services spawn, on the runtime of the test.
    pub spawner: Arc<RuntimeSpawner>,
}

/// A manual clock at [`EPOCH_MS`], seeded randomness, and spawning on the runtime of the test.
///
/// On a current-thread runtime the same seed gives the same run.
#[must_use]
pub fn environment(seed: u64) -> TestEnvironment {
    let clock = Arc::new(ManualClock::at(EPOCH_MS));
    let random = Arc::new(SeededRandom::new(seed));
    let spawner = Arc::new(RuntimeSpawner::default());
    let environment =
        Environment { clock: clock.clone(), random: random.clone(), spawner: spawner.clone() };
    TestEnvironment { environment, clock, random, spawner }
}
