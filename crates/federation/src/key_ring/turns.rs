//! Who asks which server for its keys, and when it may be asked again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use moka::sync::Cache;
use parking_lot::Mutex;
use ruma::{OwnedServerName, ServerName};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard, Semaphore, SemaphorePermit};
use vestibule_types::limits::{
    KEY_ATTEMPTS_REMEMBERED_MAX, KEY_FETCH_AFTER_FAILURE, KEY_FETCH_AFTER_SUCCESS,
    STRANGERS_ASKED_MAX, STRANGERS_WAITING_MAX,
};

use super::ChecksBusy;

/// One question per server at a time; whoever waits for the turn finds the answer afterwards.
#[derive(Default)]
pub(super) struct Turns(Mutex<BTreeMap<OwnedServerName, Arc<Turn<()>>>>);

impl Turns {
    /// Waits for the turn to ask this server.
    pub(super) async fn take(&self, server: &ServerName) -> OwnedMutexGuard<()> {
        let turn = Arc::clone(self.0.lock().entry(server.to_owned()).or_default());
        turn.lock_owned().await
    }

    /// Forgets a server that nobody waits for.
    pub(super) fn end(&self, server: &ServerName, turn: OwnedMutexGuard<()>) {
        let mut turns = self.0.lock();
        drop(turn);
        if turns.get(server).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(server);
        }
    }
}

/// Who says to be a server nobody knows makes us ask that server, and could keep us busy with names it
/// invents. Those questions stand in a line of their own.
pub(super) struct Strangers {
    turns: Semaphore,
    places: Semaphore,
}

impl Strangers {
    pub(super) fn new() -> Self {
        Self {
            turns: Semaphore::new(STRANGERS_ASKED_MAX),
            places: Semaphore::new(STRANGERS_WAITING_MAX),
        }
    }

    /// Waits for the turn to ask about a stranger; others need none.
    pub(super) async fn turn(
        &self,
        stranger: bool,
    ) -> Result<Option<SemaphorePermit<'_>>, ChecksBusy> {
        if !stranger {
            return Ok(None);
        }
        let _place = self.places.try_acquire().map_err(|_| ChecksBusy)?;
        self.turns.acquire().await.map(Some).map_err(|_| ChecksBusy)
    }
}

/// When servers were asked, so that a key nobody has is not asked for again and again.
pub(super) struct Attempts(Cache<OwnedServerName, Attempt>);

#[derive(Clone, Copy)]
struct Attempt {
    at: Duration,
    told: Told,
}

/// What came of asking a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// A key that was not known. It may have another one by now: it is asked once more whenever that is needed.
    News,
    /// What was known.
    Nothing,
    /// It did not answer.
    Silent,
}

impl Attempt {
    fn wait(self) -> Duration {
        match self.told {
            Told::News => Duration::ZERO,
            Told::Nothing => KEY_FETCH_AFTER_SUCCESS,
            Told::Silent => KEY_FETCH_AFTER_FAILURE,
        }
    }
}

impl Attempts {
    pub(super) fn new() -> Self {
        Self(Cache::new(KEY_ATTEMPTS_REMEMBERED_MAX))
    }

    /// Whether it is long enough ago that this server was asked.
    pub(super) fn may_ask(&self, server: &ServerName, now: Duration) -> bool {
        let attempt = self.0.get(server);
        attempt.is_none_or(|attempt| now.saturating_sub(attempt.at) >= attempt.wait())
    }

    /// Notes that a server was asked, and what it told.
    pub(super) fn note(&self, server: &ServerName, now: Duration, told: Told) {
        self.0.insert(server.to_owned(), Attempt { at: now, told });
    }

    /// Whether this server did not answer when it was last asked.
    pub(super) fn unanswered(&self, server: &ServerName) -> bool {
        self.0.get(server).is_some_and(|attempt| attempt.told == Told::Silent)
    }
}
