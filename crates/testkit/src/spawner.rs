//! Where the background work of a test runs.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::watch;
use vestibule_types::{BoxFuture, Spawner};

/// Runs work on the runtime of the test. On a current-thread runtime the order is determined.
#[derive(Debug, Default)]
pub struct RuntimeSpawner {
    names: Mutex<Vec<&'static str>>,
    stop: Stop,
}

impl RuntimeSpawner {
    /// The names of all work spawned so far.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.names.lock().clone()
    }

    /// Completes every [`Spawner::stopping`].
    pub fn stop(&self) {
        self.stop.set();
    }
}

impl Spawner for RuntimeSpawner {
    fn spawn(&self, name: &'static str, future: BoxFuture<'static, ()>) {
        self.names.lock().push(name);
        #[expect(clippy::disallowed_methods, reason = "this is a spawner")]
        drop(tokio::spawn(future));
    }

    fn stopping(&self) -> BoxFuture<'static, ()> {
        self.stop.wait()
    }
}

/// Keeps work until the test runs it, so that a test decides when background work happens.
#[derive(Default)]
pub struct QueueSpawner {
    queue: Mutex<VecDeque<(&'static str, BoxFuture<'static, ()>)>>,
    stop: Stop,
}

impl QueueSpawner {
    /// The names of the waiting work, oldest first.
    #[must_use]
    pub fn waiting(&self) -> Vec<&'static str> {
        self.queue.lock().iter().map(|(name, _)| *name).collect()
    }

    /// Runs the oldest waiting work to its end. `None` when there is none.
    pub async fn run_one(&self) -> Option<&'static str> {
        let (name, future) = self.queue.lock().pop_front()?;
        future.await;
        Some(name)
    }

    /// Runs everything that waits, and what that spawns in turn.
    pub async fn run_all(&self) -> Vec<&'static str> {
        let mut ran = Vec::new();
        while let Some(name) = self.run_one().await {
            ran.push(name);
        }
        ran
    }

    /// Completes every [`Spawner::stopping`].
    pub fn stop(&self) {
        self.stop.set();
    }
}

impl Spawner for QueueSpawner {
    fn spawn(&self, name: &'static str, future: BoxFuture<'static, ()>) {
        self.queue.lock().push_back((name, future));
    }

    fn stopping(&self) -> BoxFuture<'static, ()> {
        self.stop.wait()
    }
}

#[derive(Debug)]
struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Stop {
    fn set(&self) {
        self.0.send_replace(true);
    }

    fn wait(&self) -> BoxFuture<'static, ()> {
        let mut stopped = self.0.subscribe();
        Box::pin(async move {
            if stopped.wait_for(|stopped| *stopped).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn queued_work_runs_only_when_asked_and_in_order() {
        let spawner = QueueSpawner::default();
        let seen = Arc::new(Mutex::new(Vec::new()));
        for name in ["first", "second"] {
            let seen = seen.clone();
            spawner.spawn(name, Box::pin(async move { seen.lock().push(name) }));
        }
        assert!(seen.lock().is_empty());
        assert_eq!(spawner.run_all().await, ["first", "second"]);
        assert_eq!(*seen.lock(), ["first", "second"]);
    }
}
