//! Naming a device.

use ruma::DeviceId;
use tracing::instrument;
use vestibule_storage::{StorageError, tables::account::DEVICE_BY_USER};
use vestibule_types::{Actor, limits};

use super::list_change;
use crate::Accounts;

/// Why a device kept its name.
#[derive(Debug, thiserror::Error)]
pub enum UpdateDeviceError {
    /// The account has no such device.
    #[error("you have no such device")]
    Unknown,
    /// The name is too long.
    #[error("the name of a device may have at most 1024 bytes")]
    NameTooLong,
    /// The name could not be stored.
    #[error("could not store the name")]
    Storage(#[from] StorageError),
}

impl Accounts {
    /// Gives a device of the caller another name; `None` leaves it as it is.
    #[instrument(name = "accounts.device.update", skip_all)]
    pub async fn update_device(
        &self,
        actor: &Actor,
        device_id: &DeviceId,
        display_name: Option<String>,
    ) -> Result<(), UpdateDeviceError> {
        if display_name.as_ref().is_some_and(|name| name.len() > limits::DEVICE_NAME_BYTES_MAX) {
            return Err(UpdateDeviceError::NameTooLong);
        }
        let (user, device_id) = (actor.user_id().to_owned(), device_id.to_owned());
        self.0
            .write(actor.user_id(), move |tx| {
                let row = DEVICE_BY_USER.get(tx, (&user, &device_id))?;
                let mut row = row.ok_or(UpdateDeviceError::Unknown)?;
                let Some(name) = &display_name else { return Ok(()) };
                if row.display_name.as_ref() == Some(name) {
                    return Ok(());
                }
                row.display_name = Some(name.clone());
                DEVICE_BY_USER.put(tx, (&user, &device_id), &row)?;
                Ok(list_change::device_changed(tx, &user, &device_id)?)
            })
            .await
    }
}
