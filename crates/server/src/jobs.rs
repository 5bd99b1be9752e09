//! Runs durable jobs: what a transaction promised, done after it, also after a restart.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::sync::{Notify, watch};
use tracing::{error, warn};
use vestibule_rooms::Rooms;
use vestibule_storage::{
    Positions, StorageError, Store,
    jobs::{self, JobKey, StoredJob},
};
use vestibule_types::Environment;

use crate::identity::SERVER_SLOT;

/// Jobs taken from the table at once.
const JOBS_AT_ONCE: usize = 32;
/// The pause before the table is looked at again after a commit that rang no bell.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The longest pause: a clock that was set forward is noticed.
const LOOK_LATEST: Duration = Duration::from_mins(1);
/// The first wait after a failure; it doubles each time.
const RETRY_FIRST_MS: u64 = 1_000;
/// The longest wait after a failure.
const RETRY_LAST_MS: u64 = 3_600_000;

/// Runs jobs in the background until the server stops.
pub(crate) fn start(rooms: Rooms, environment: &Environment, bell: Arc<Notify>) {
    let store = rooms.store().clone();
    let runner = Runner { store, environment: environment.clone(), rooms, bell };
    let stopping = environment.spawner.stopping();
    environment.spawner.spawn(
        "durable jobs",
        Box::pin(async move {
            tokio::select! {
                () = runner.run() => {}
                () = stopping => {}
            }
        }),
    );
}

struct Runner {
    store: Store,
    environment: Environment,
    rooms: Rooms,
    bell: Arc<Notify>,
}

impl Runner {
    async fn run(&self) {
        let mut published = self.store.watch();
        loop {
            published.borrow_and_update();
            let pause = match self.round().await {
                Ok(pause) => pause,
                Err(cause) => {
                    warn!(%cause, "the jobs cannot be read");
                    Duration::from_millis(RETRY_FIRST_MS)
                }
            };
            tokio::select! {
                () = self.environment.clock.sleep(pause) => {}
                () = self.bell.notified() => {}
                () = self.after_a_commit(&mut published) => {}
            }
        }
    }

    /// Completes a moment after something was committed: it may have been a job.
    async fn after_a_commit(&self, published: &mut watch::Receiver<Positions>) {
        match published.changed().await {
            Ok(()) => self.environment.clock.sleep(LOOK_EVERY).await,
            // The store is closed; the server is about to stop.
            Err(_) => pending().await,
        }
    }

    /// Runs what is due and says how long there is nothing more.
    async fn round(&self) -> Result<Duration, StorageError> {
        let now = self.environment.now_ms();
        let due = self.store.read(move |read| jobs::due(read, now, JOBS_AT_ONCE)).await?;
        for (key, job) in due {
            self.one(key, job).await?;
        }
        let next = self.store.read(|read| jobs::next_due(read)).await?;
        let wait = next.map(|due| due.saturating_sub(self.environment.now_ms()));
        Ok(wait.map_or(LOOK_LATEST, Duration::from_millis).min(LOOK_LATEST))
    }

    async fn one(&self, key: JobKey, job: StoredJob) -> Result<(), StorageError> {
        let done = self.rooms.run_job(&job.kind, &job.payload).await;
        let outcome = if done.is_ok() { "done" } else { "failed" };
        metrics::counter!("vestibule_jobs_total", "outcome" => outcome).increment(1);
        match done {
            Ok(None) => self.write(move |tx| jobs::finish(tx, key)).await,
            Ok(Some(due_ms)) => {
                let payload = job.payload;
                self.write(move |tx| jobs::progress(tx, key, payload.clone(), due_ms)).await
            }
            Err(cause) => {
                let wait = back_off(job.attempts);
                error!(
                    kind = job.kind,
                    attempts = job.attempts,
                    cause = &cause as &dyn std::error::Error,
                    wait,
                    "a job failed"
                );
                let due_ms = self.environment.now_ms().saturating_add(wait);
                self.write(move |tx| jobs::retry(tx, key, due_ms)).await
            }
        }
    }

    async fn write<F>(&self, closure: F) -> Result<(), StorageError>
    where
        F: FnMut(&mut vestibule_storage::Tx<'_>) -> Result<bool, StorageError> + Send + 'static,
    {
        self.store.write(SERVER_SLOT, closure).await.map(drop)
    }
}

fn back_off(attempts: u32) -> u64 {
    RETRY_FIRST_MS.saturating_mul(1 << attempts.min(20)).min(RETRY_LAST_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_wait_longer_and_longer_up_to_an_hour() {
        assert_eq!(back_off(0), 1_000);
        assert_eq!(back_off(1), 2_000);
        assert_eq!(back_off(30), RETRY_LAST_MS);
    }
}
