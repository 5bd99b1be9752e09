//! The devices of an account.

use ruma::{DeviceId, OwnedDeviceId, UserId};
use vestibule_storage::{
    Read, StorageError,
    tables::account::{DEVICE_BY_USER, SEEN_BY_DEVICE, StoredDevice, StoredSeen},
};
use vestibule_types::limits;

use crate::Accounts;

/// A device of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its identifier.
    pub device_id: OwnedDeviceId,
    /// The name its owner gave it.
    pub display_name: Option<String>,
    /// When and from where it was last seen.
    pub last_seen: Option<StoredSeen>,
}

impl Accounts {
    /// The devices of an account, by identifier.
    pub async fn devices(&self, user_id: &UserId) -> Result<Vec<Device>, StorageError> {
        let user = user_id.to_owned();
        let rows = self.0.store.read(move |read| devices(read, &user)).await?;
        Ok(rows.into_iter().map(|row| self.with_sighting(user_id, row)).collect())
    }

    /// One device of an account.
    pub async fn device(
        &self,
        user_id: &UserId,
        device_id: &DeviceId,
    ) -> Result<Option<Device>, StorageError> {
        let (user, device) = (user_id.to_owned(), device_id.to_owned());
        let row = self
            .0
            .store
            .read(move |read| {
                let Some(row) = DEVICE_BY_USER.get(read, (&user, &device))? else {
                    return Ok::<_, StorageError>(None);
                };
                let seen = SEEN_BY_DEVICE.get(read, (&user, &device))?;
                Ok(Some(describe(device, row, seen)))
            })
            .await?;
        Ok(row.map(|row| self.with_sighting(user_id, row)))
    }

    fn with_sighting(&self, user_id: &UserId, device: Device) -> Device {
        let newest = self.0.sightings.get(user_id, &device.device_id);
        let newest = newest.map(|newest| newest.seen);
        Device { last_seen: newest.or(device.last_seen), ..device }
    }
}

fn devices(read: &impl Read, user_id: &UserId) -> Result<Vec<Device>, StorageError> {
    let rows = DEVICE_BY_USER.scan(read, (user_id,), limits::DEVICES_PER_USER_MAX)?;
    let seen =
        SEEN_BY_DEVICE.multi_get(read, rows.iter().map(|((_, device), _)| (user_id, device)))?;
    let rows = rows.into_iter().zip(seen);
    Ok(rows.map(|(((_, device_id), row), seen)| describe(device_id, row, seen)).collect())
}

fn describe(device_id: OwnedDeviceId, row: StoredDevice, seen: Option<StoredSeen>) -> Device {
    Device { device_id, display_name: row.display_name, last_seen: seen }
}
