//! How many keys a device has left for others to begin conversations with.

use std::collections::BTreeMap;

use vestibule_storage::{
    StorageError,
    tables::one_time_key::{FALLBACK_KEY, KEY_COUNT_POSITION, ONE_TIME_KEY_COUNT},
};
use vestibule_types::limits::KEY_ALGORITHMS_MAX;

use super::Pass;
use crate::response::KeyCounts;

/// Clients that are told nothing of this algorithm take it for unchanged rather than for none.
const ALWAYS_TOLD: &str = "signed_curve25519";

impl Pass<'_> {
    /// The one-time keys and unused fallback keys of the device.
    pub(crate) fn key_counts(&self) -> Result<KeyCounts, StorageError> {
        let Some(device) = self.query.actor.device_id() else { return Ok(KeyCounts::default()) };
        let place = (self.user(), device);
        let rows = ONE_TIME_KEY_COUNT.scan(self.snapshot, place, KEY_ALGORITHMS_MAX)?;
        let mut one_time: BTreeMap<String, u64> =
            rows.into_iter().map(|((_, _, algorithm), count)| (algorithm, count)).collect();
        one_time.entry(ALWAYS_TOLD.to_owned()).or_default();
        let fallback = FALLBACK_KEY.scan(self.snapshot, place, KEY_ALGORITHMS_MAX)?;
        let unused = fallback.into_iter().filter(|(_, key)| !key.used);
        let moved = KEY_COUNT_POSITION.get(self.snapshot, place)?;
        let slot = self.inner.rooms.store().slot_of_user(self.user());
        let since = self.since.as_ref().map(|since| since.positions.get(slot));
        let moved = moved.is_some_and(|it| since.is_some_and(|since| it.stamp.commit > since));
        let unused_fallback = unused.map(|((_, _, algorithm), _)| algorithm).collect();
        Ok(KeyCounts { one_time, unused_fallback, moved })
    }
}
