//! Writing sightings of devices now and then.

use ruma::{OwnedDeviceId, OwnedUserId};
use tracing::warn;
use vestibule_storage::{
    StorageError,
    tables::account::{AGENT_BY_DEVICE, DEVICE_BY_USER, SEEN_BY_DEVICE},
};

use crate::{Accounts, seen::Seeing};

/// Sightings written in one batch.
const SIGHTINGS_PER_BATCH: usize = 500;

impl Accounts {
    /// Starts the background work of this service. It ends with one last flush when the server
    /// stops.
    pub fn start(&self) {
        let accounts = self.clone();
        let environment = self.0.environment.clone();
        let every = self.0.config.sessions.seen_flush_every;
        let spawner = environment.spawner.clone();
        let work = async move {
            let mut stopping = environment.spawner.stopping();
            // Where the store takes no writes now, the first guest has it made.
            if let Err(error) = accounts.make_guest_key().await {
                let error = &error as &dyn std::error::Error;
                warn!(error, "the key of guest tokens could not be made");
            }
            loop {
                let stop = tokio::select! {
                    biased;
                    () = &mut stopping => true,
                    () = environment.clock.sleep(every) => false,
                };
                // Passwords are among what was said in them.
                accounts.0.uia.drop_ended(accounts.0.monotonic());
                if let Err(error) = accounts.flush_sightings().await {
                    warn!(error = &error as &dyn std::error::Error, "sightings were not written");
                }
                if stop {
                    break;
                }
            }
        };
        spawner.spawn("accounts.flush_sightings", Box::pin(work));
        if self.has_email() {
            self.start_mail();
        }
    }

    /// Writes what was seen since the last time.
    pub async fn flush_sightings(&self) -> Result<(), StorageError> {
        let waiting: Vec<_> = self.0.sightings.take().into_iter().collect();
        let slot = self.0.store.slot_of_user(&self.0.system_user);
        for batch in waiting.chunks(SIGHTINGS_PER_BATCH) {
            let batch: Vec<((OwnedUserId, OwnedDeviceId), Seeing)> = batch.to_vec();
            self.0
                .store
                .write(slot, move |tx| {
                    let keys = batch.iter().map(|((user, device), _)| (user, device));
                    let devices = DEVICE_BY_USER.multi_get(tx, keys)?;
                    for (((user, device), seeing), row) in batch.iter().zip(devices) {
                        // A device that logged out meanwhile leaves nothing behind.
                        if row.is_none() {
                            continue;
                        }
                        SEEN_BY_DEVICE.put(tx, (user, device), &seeing.seen)?;
                        match &seeing.user_agent {
                            Some(agent) => AGENT_BY_DEVICE.put(tx, (user, device), agent)?,
                            None => AGENT_BY_DEVICE.delete(tx, (user, device))?,
                        }
                    }
                    Ok::<_, StorageError>(())
                })
                .await?;
        }
        Ok(())
    }
}
