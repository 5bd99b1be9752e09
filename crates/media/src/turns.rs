//! Work that several want at the same moment and that is done once.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::MutexGuard;

/// Work under way, by what it is about.
pub(crate) type Turns<K> = Mutex<BTreeMap<K, Arc<tokio::sync::Mutex<()>>>>;

/// One's part in a piece of work; the last to leave takes the row away.
pub(crate) struct Share<'a, K: Ord> {
    turns: &'a Turns<K>,
    key: K,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl<'a, K: Ord + Clone> Share<'a, K> {
    /// Takes part.
    pub(crate) fn of(turns: &'a Turns<K>, key: K) -> Self {
        let lock = Arc::clone(turns.lock().entry(key.clone()).or_default());
        Self { turns, key, lock }
    }

    /// Waits until nobody else does the work.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.lock.lock().await
    }
}

impl<K: Ord> Drop for Share<'_, K> {
    fn drop(&mut self) {
        let mut turns = self.turns.lock();
        // This one and the map's.
        if Arc::strong_count(&self.lock) <= 2 {
            turns.remove(&self.key);
        }
    }
}
