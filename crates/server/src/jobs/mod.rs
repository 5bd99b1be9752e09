//! Runs durable jobs: what a transaction promised, done after it, also after a restart.
//!
//! Jobs run beside each other, so that one which waits for a server that hangs holds up nobody else's.
//! Of every kind a few run at once, and of those in the same lane only one: what concerns the same room,
//! the same user or the same other server is done one after the other. A job stays in its table until it
//! is done; whatever was under way when the server stopped is begun again.

mod lanes;
#[cfg(test)]
mod tests;
mod work;

use std::{future::pending, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::Notify;
use tracing::{error, warn};
use vestibule_storage::{
    Positions, StorageError, Store,
    jobs::{self, JobKey, StoredJob},
};
use vestibule_types::{
    BoxFuture, Environment,
    limits::{JOBS_LOOKED_AT_MAX, JOBS_PAGE_MAX},
    watch,
};

use self::lanes::{Place, UnderWay};
pub(crate) use self::work::{Doers, Work};
use crate::identity::SERVER_SLOT;

/// The pause before the table is looked at again after a commit that rang no bell.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The longest pause: a clock that was set forward is noticed.
const LOOK_LATEST: Duration = Duration::from_mins(1);
/// The first wait after a failure; it doubles each time.
const RETRY_FIRST_MS: u64 = 1_000;
/// The longest wait after a failure.
const RETRY_LAST_MS: u64 = 3_600_000;

/// Runs jobs in the background until the server stops.
pub(crate) fn start(
    store: Store,
    work: Arc<dyn Work>,
    environment: &Environment,
    bell: Arc<Notify>,
) {
    let runner = Runner { store, environment: environment.clone(), work, bell };
    let stopping = environment.spawner.stopping();
    environment.spawner.spawn(
        "durable jobs",
        Box::pin(async move {
            tokio::select! {
                biased;
                () = runner.run() => {}
                () = stopping => {}
            }
        }),
    );
}

struct Runner {
    store: Store,
    environment: Environment,
    work: Arc<dyn Work>,
    bell: Arc<Notify>,
}

/// What is under way; each ends with its place, and with whether its outcome could be stored.
type Running<'a> = FuturesUnordered<BoxFuture<'a, (Place, Result<(), StorageError>)>>;

impl Runner {
    async fn run(&self) {
        let mut published = self.store.watch();
        let (mut under_way, mut running) = (UnderWay::default(), Running::new());
        loop {
            published.mark_unchanged();
            let pause = match self.begin(&mut under_way, &mut running).await {
                Ok(pause) => pause,
                Err(cause) => {
                    warn!(%cause, "the jobs cannot be read");
                    Duration::from_millis(RETRY_FIRST_MS)
                }
            };
            tokio::select! {
                // In order, so that a simulation with a seed tells one story.
                biased;
                Some((place, stored)) = running.next() => {
                    under_way.leave(&place);
                    self.after_an_end(stored).await;
                }
                () = self.environment.clock.sleep(pause) => {}
                () = self.bell.notified() => {}
                () = self.after_a_commit(&mut published) => {}
            }
        }
    }

    /// A job whose outcome could not be stored is still in its table; it is not begun at once again.
    async fn after_an_end(&self, stored: Result<(), StorageError>) {
        if let Err(cause) = stored {
            warn!(%cause, "what came of a job cannot be stored");
            self.environment.clock.sleep(Duration::from_millis(RETRY_FIRST_MS)).await;
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

    /// Begins what is due and has a place, and says how long there is nothing more to begin unless
    /// something ends. Jobs without a place are passed over, up to a bound; then the next look goes on
    /// behind them, so that no crowd of one kind hides the others.
    async fn begin<'a>(
        &'a self,
        under_way: &mut UnderWay,
        running: &mut Running<'a>,
    ) -> Result<Duration, StorageError> {
        let now = self.environment.now_ms();
        let mut after = under_way.looked_to.take();
        for _ in 0..JOBS_LOOKED_AT_MAX / JOBS_PAGE_MAX {
            let page = self.store.read(move |read| jobs::due(read, after, now, JOBS_PAGE_MAX));
            let page = page.await?;
            let whole = page.len() == JOBS_PAGE_MAX;
            after = page.last().map(|(key, _)| *key);
            for (key, job) in page {
                let lane = self.work.lane(&job.kind, &job.payload);
                let place = Place { kind: job.kind.clone(), lane };
                if under_way.enter(&place) {
                    running.push(Box::pin(async move { (place, self.one(key, job).await) }));
                }
            }
            if !whole {
                return self.until_next(now).await;
            }
        }
        under_way.looked_to = after;
        Ok(Duration::ZERO)
    }

    async fn until_next(&self, now: u64) -> Result<Duration, StorageError> {
        let next = self.store.read(move |read| jobs::next_due(read, now)).await?;
        let wait = next.map(|due| due.saturating_sub(self.environment.now_ms()));
        Ok(wait.map_or(LOOK_LATEST, Duration::from_millis).min(LOOK_LATEST))
    }

    async fn one(&self, key: JobKey, job: StoredJob) -> Result<(), StorageError> {
        let done = self.work.run(&job.kind, &job.payload).await;
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
