//! Background work that can end in the middle of anything.

use parking_lot::Mutex;
use tokio::task::AbortHandle;
use vestibule_types::{BoxFuture, Spawner};

/// Runs work on the runtime until the crash, which ends all of it wherever it is.
#[derive(Debug, Default)]
pub(super) struct MortalSpawner {
    /// `None` after the crash: what is spawned then never runs.
    running: Mutex<Option<Vec<AbortHandle>>>,
}

impl MortalSpawner {
    pub(super) fn new() -> Self {
        Self { running: Mutex::new(Some(Vec::new())) }
    }

    /// Ends everything at once.
    pub(super) fn crash(&self) {
        for task in self.running.lock().take().unwrap_or_default() {
            task.abort();
        }
    }
}

impl Spawner for MortalSpawner {
    fn spawn(&self, _name: &'static str, future: BoxFuture<'static, ()>) {
        let mut running = self.running.lock();
        let Some(running) = &mut *running else { return };
        running.retain(|task| !task.is_finished());
        #[expect(clippy::disallowed_methods, reason = "this is a spawner")]
        running.push(tokio::spawn(future).abort_handle());
    }

    fn stopping(&self) -> BoxFuture<'static, ()> {
        // A crash asks nobody.
        Box::pin(std::future::pending())
    }
}
