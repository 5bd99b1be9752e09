//! The end of devices that nobody uses (`limits.device_idle_life`).

use std::time::Duration;

use ruma::{OwnedDeviceId, OwnedUserId};
use tracing::{info, instrument, warn};
use vestibule_storage::{
    Read, Scan, Snapshot, StorageError,
    tables::account::{DEVICE_BY_USER, SEEN_BY_DEVICE, StoredDevice},
};
use vestibule_types::limits::DEVICES_PER_LOOK;

use super::dehydrated;
use crate::{Accounts, session::close_device};

type Key = (OwnedUserId, OwnedDeviceId);

impl Accounts {
    /// Removes the devices that were not used for as long as the operator says, as if their owners had done
    /// it: tokens, keys, pushers and waiting messages go with them, and who shares a room with the owner is told.
    /// A dehydrated device stays, which nobody can use. Returns how many were removed.
    #[instrument(name = "accounts.device.expire", skip_all)]
    pub async fn expire_devices(&self) -> Result<u64, StorageError> {
        let Some(life) = self.0.config.sessions.device_idle_life else { return Ok(0) };
        // What is known in memory alone is newer than what is read below.
        self.flush_sightings().await?;
        let before = self.0.now_ms().saturating_sub(millis(life));
        let (mut after, mut removed) = (None, 0_u64);
        loop {
            let (idle, last) = self.idle_after(after, before).await?;
            for key in idle {
                match self.expire_device(key.clone(), before).await {
                    Ok(was) => removed = removed.saturating_add(u64::from(was)),
                    // The others' time is over all the same.
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        warn!(error, user = %key.0, device = %key.1, "a device could not be removed");
                    }
                }
            }
            after = last;
            if after.is_none() {
                break;
            }
        }
        if removed > 0 {
            info!(removed, "devices that nobody used are gone");
        }
        Ok(removed)
    }

    /// The idle ones of the devices after one, and the last that was looked at while there are more.
    async fn idle_after(
        &self,
        after: Option<Key>,
        before: u64,
    ) -> Result<(Vec<Key>, Option<Key>), StorageError> {
        let read = move |read: &Snapshot<'_>| {
            let scan = Scan::prefix(()).limit(DEVICES_PER_LOOK);
            let scan = match &after {
                Some(after) => scan.after(after),
                None => scan,
            };
            let rows = DEVICE_BY_USER.scan_with(read, scan)?;
            let full = rows.len() == DEVICES_PER_LOOK;
            let last = rows.last().map(|(key, _)| key.clone()).filter(|_| full);
            let mut idle = Vec::new();
            for (key, device) in rows {
                if is_idle(read, &key, &device, before)? {
                    idle.push(key);
                }
            }
            Ok::<_, StorageError>((idle, last))
        };
        self.0.store.read(read).await
    }

    /// Removes a device if it is idle still. Says whether it did.
    async fn expire_device(&self, key: Key, before: u64) -> Result<bool, StorageError> {
        let accounts = self.clone();
        self.0
            .write(&key.0.clone(), move |tx| {
                let Some(device) = DEVICE_BY_USER.get(tx, (&key.0, &key.1))? else {
                    return Ok(false);
                };
                let used_since = accounts.0.sightings.get(&key.0, &key.1).is_some();
                if used_since || !is_idle(tx, &key, &device, before)? {
                    return Ok(false);
                }
                close_device(tx, &key.0, &key.1)?;
                Ok::<_, StorageError>(true)
            })
            .await
    }
}

/// Whether nobody used a device since that time. Who just logged in used it.
fn is_idle(
    read: &impl Read,
    (user, device_id): &Key,
    device: &StoredDevice,
    before: u64,
) -> Result<bool, StorageError> {
    let seen = SEEN_BY_DEVICE.get(read, (user, device_id))?.map_or(0, |seen| seen.at);
    if device.created_at.max(seen) > before {
        return Ok(false);
    }
    Ok(!dehydrated::is_dehydrated(read, user, device_id)?)
}

fn millis(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX)
}
