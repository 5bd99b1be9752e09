//! Leaving alone who does not answer.
//!
//! What is remembered lives in memory and on disk: reading costs nothing, and a restart forgets
//! nothing. Only servers that fail have a row.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use ruma::{OwnedServerName, ServerName};
use tokio::sync::broadcast;
use vestibule_storage::{
    SlotNo, StorageError, Store,
    tables::destination::{DESTINATION, StoredDestination},
};
use vestibule_types::{
    Environment,
    limits::{
        BACK_OFF_MAX, BACK_OFF_MIN, DESTINATIONS_FAILING_MAX, FAILURE_REASON_BYTES_MAX,
        RECOVERIES_WAITING_MAX,
    },
};

/// The slot of what belongs to the whole server.
const SLOT: SlotNo = SlotNo(0);

type Failing = Arc<Mutex<BTreeMap<OwnedServerName, StoredDestination>>>;

/// The servers that do not answer.
pub(crate) struct BackOffs {
    store: Store,
    environment: Environment,
    failing: Failing,
    recovered: broadcast::Sender<OwnedServerName>,
}

/// A server that does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailingServer {
    /// Which one.
    pub server: OwnedServerName,
    /// Failures in a row.
    pub failures: u32,
    /// When the first of them was, in milliseconds since the Unix epoch.
    pub failing_since: u64,
    /// When the last of them was, in milliseconds since the Unix epoch.
    pub failed_at: u64,
    /// When it is asked again, in milliseconds since the Unix epoch.
    pub retry_at: u64,
    /// What went wrong the last time.
    pub reason: String,
}

impl BackOffs {
    pub(crate) fn new(store: Store, environment: Environment) -> Self {
        let (recovered, _) = broadcast::channel(RECOVERIES_WAITING_MAX);
        Self { store, environment, failing: Failing::default(), recovered }
    }

    /// Takes over what an earlier run learnt.
    pub(crate) async fn load(&self) -> Result<(), StorageError> {
        let rows: Vec<_> = self
            .store
            .read(|snapshot| DESTINATION.scan(snapshot, (), DESTINATIONS_FAILING_MAX))
            .await?;
        self.failing.lock().extend(rows.into_iter().map(|((server,), row)| (server, row)));
        Ok(())
    }

    /// How long it is still left alone.
    pub(crate) fn retry_after(&self, server: &ServerName) -> Option<Duration> {
        let retry_at = self.failing.lock().get(server)?.retry_at;
        let left = retry_at.saturating_sub(self.environment.now_ms());
        (left > 0).then(|| Duration::from_millis(left))
    }

    /// The servers that do not answer, the longest failing ones first.
    pub(crate) fn failing(&self, limit: usize) -> Vec<FailingServer> {
        let mut found: Vec<FailingServer> =
            self.failing.lock().iter().map(|(server, row)| shown(server, row)).collect();
        found.sort_by(|a, b| (a.failing_since, &a.server).cmp(&(b.failing_since, &b.server)));
        found.truncate(limit);
        found
    }

    pub(crate) fn failing_one(&self, server: &ServerName) -> Option<FailingServer> {
        self.failing.lock().get(server).map(|row| shown(server, row))
    }

    pub(crate) fn recovered(&self) -> broadcast::Receiver<OwnedServerName> {
        self.recovered.subscribe()
    }

    /// It answered, or made itself heard.
    pub(crate) async fn cleared(&self, server: &ServerName) -> Result<bool, StorageError> {
        if self.failing.lock().remove(server).is_none() {
            return Ok(false);
        }
        // Nobody needs to listen.
        let _: Result<usize, _> = self.recovered.send(server.to_owned());
        self.keep(server).await?;
        Ok(true)
    }

    /// A request that was begun at this time failed. Requests that were under way together count
    /// as one failure.
    pub(crate) async fn failed(
        &self,
        server: &ServerName,
        started: u64,
        mut reason: String,
    ) -> Result<(), StorageError> {
        let now = self.environment.now_ms();
        reason.truncate(reason.floor_char_boundary(FAILURE_REASON_BYTES_MAX));
        let forgotten = {
            let mut failing = self.failing.lock();
            let before = failing.get(server);
            if before.is_some_and(|before| before.failed_at >= started) {
                return Ok(());
            }
            let failures = before.map_or(1, |before| before.failures.saturating_add(1));
            let failing_since = before.map_or(now, |before| before.failing_since);
            let retry_at = now.saturating_add(self.delay_ms(failures));
            let forgotten = make_room(&mut failing, server);
            let row =
                StoredDestination { failures, failing_since, failed_at: now, retry_at, reason };
            failing.insert(server.to_owned(), row);
            forgotten
        };
        if let Some(forgotten) = forgotten {
            self.keep(&forgotten).await?;
        }
        self.keep(server).await
    }

    /// Doubles with each failure; a fifth more or less, so that servers that went away together do
    /// not get asked together.
    fn delay_ms(&self, failures: u32) -> u64 {
        let doubled = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
        let whole = millis(BACK_OFF_MIN).saturating_mul(doubled).min(millis(BACK_OFF_MAX));
        let draw = u64::from(u16::from_be_bytes(self.environment.random_bytes()));
        whole - whole / 5 + whole * 2 / 5 * draw / u64::from(u16::MAX)
    }

    /// Makes the row say what memory says. The row is read, so of two such writes that overlap one
    /// runs again, and then sees what memory says by then.
    async fn keep(&self, server: &ServerName) -> Result<(), StorageError> {
        let (failing, server) = (self.failing.clone(), server.to_owned());
        let write = self.store.write(SLOT, move |tx| {
            let kept = DESTINATION.get(tx, (&*server,))?;
            let wanted = failing.lock().get(&server).cloned();
            match wanted {
                Some(row) if kept.as_ref() != Some(&row) => DESTINATION.put(tx, (&*server,), &row),
                None if kept.is_some() => DESTINATION.delete(tx, (&*server,)),
                _ => Ok(()),
            }
        });
        write.await.map(|_| ())
    }
}

/// Forgets the one that may be asked again first, when there are too many.
fn make_room(
    failing: &mut BTreeMap<OwnedServerName, StoredDestination>,
    newcomer: &ServerName,
) -> Option<OwnedServerName> {
    if failing.len() < DESTINATIONS_FAILING_MAX || failing.contains_key(newcomer) {
        return None;
    }
    let (first, _) = failing.iter().min_by_key(|(_, row)| row.retry_at)?;
    let first = first.clone();
    failing.remove(&first);
    Some(first)
}

fn shown(server: &ServerName, row: &StoredDestination) -> FailingServer {
    FailingServer {
        server: server.to_owned(),
        failures: row.failures,
        failing_since: row.failing_since,
        failed_at: row.failed_at,
        retry_at: row.retry_at,
        reason: row.reason.clone(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
