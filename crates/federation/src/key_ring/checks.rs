//! Where signatures are checked: away from the async workers, a few pieces at a time.

use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};
use vestibule_storage::Executor;
use vestibule_types::limits::{SIGNATURE_CHECKS_MAX, SIGNATURE_CHECKS_WAITING_MAX};

/// Too many signatures wait to be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many signatures are being checked")]
pub struct ChecksBusy;

pub(crate) struct Checks {
    executor: Arc<dyn Executor>,
    /// Who may check now.
    turns: Semaphore,
    /// Who may wait for a turn.
    places: Semaphore,
}

impl Checks {
    pub(crate) fn new(executor: Arc<dyn Executor>) -> Self {
        Self {
            executor,
            turns: Semaphore::new(SIGNATURE_CHECKS_MAX),
            places: Semaphore::new(SIGNATURE_CHECKS_WAITING_MAX),
        }
    }

    /// Runs one short piece of work.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ChecksBusy> {
        let _place = self.places.try_acquire().map_err(|_| ChecksBusy)?;
        let _turn = self.turns.acquire().await.map_err(|_| ChecksBusy)?;
        let (answer, answered) = oneshot::channel();
        self.executor
            .execute(Box::new(move || drop(answer.send(work()))))
            .map_err(|_| ChecksBusy)?;
        answered.await.map_err(|_| ChecksBusy)
    }
}
