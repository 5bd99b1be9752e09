//! The machine's own clock, randomness and task tracker: the only place that touches them.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use ruma::{MilliSecondsSinceUnixEpoch, UInt};
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use vestibule_types::{BoxFuture, Clock, Environment, Random, Spawner};

/// The clock of this machine.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock that others are handed")]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that others are handed")]
    fn now(&self) -> MilliSecondsSinceUnixEpoch {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        MilliSecondsSinceUnixEpoch(UInt::new_saturating(millis))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// The operating system's random bytes.
#[derive(Debug)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(clippy::expect_used, reason = "without randomness no token may be made")]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}

/// Runs background work, and knows when all of it has ended.
#[derive(Clone, Debug)]
pub struct Tasks {
    runtime: Handle,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Tasks on this runtime.
    #[must_use]
    pub fn on(runtime: Handle) -> Self {
        Self { runtime, tracker: TaskTracker::new(), stop: CancellationToken::new() }
    }

    /// Asks everything to stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Completes when the stop was asked for.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Completes when all work has ended. Work may still be spawned meanwhile, and is waited for.
    pub async fn wait(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl Spawner for Tasks {
    fn spawn(&self, name: &'static str, future: BoxFuture<'static, ()>) {
        let running = self.tracker.spawn_on(future, &self.runtime);
        // The panic hook logs the panic itself; this says which work is gone.
        self.tracker.spawn_on(
            async move {
                if running.await.is_err_and(|error| error.is_panic()) {
                    tracing::error!(name, "background work panicked and is gone");
                }
            },
            &self.runtime,
        );
    }

    fn stopping(&self) -> BoxFuture<'static, ()> {
        let stop = self.stop.clone();
        Box::pin(async move { stop.cancelled().await })
    }
}

/// The environment of a real server.
#[must_use]
pub fn system(tasks: &Tasks) -> Environment {
    Environment {
        clock: Arc::new(SystemClock::new()),
        random: Arc::new(SystemRandom),
        spawner: Arc::new(tasks.clone()),
    }
}
