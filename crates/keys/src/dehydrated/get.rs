//! Looking at the dehydrated device.

use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_accounts::dehydrated::dehydrated_device;
use vestibule_storage::StorageError;
use vestibule_types::Actor;

use super::{DehydratedDevice, DehydratedDeviceError};
use crate::Keys;

impl Keys {
    /// The dehydrated device of the caller.
    #[instrument(name = "keys.dehydrated.get", skip_all)]
    pub async fn dehydrated_device(
        &self,
        actor: &Actor,
    ) -> Result<DehydratedDevice, DehydratedDeviceError> {
        let user = actor.user_id().to_owned();
        let row = self.store().read(move |read| dehydrated_device(read, &user)).await?;
        let row = row.ok_or(DehydratedDeviceError::None)?;
        let data = RawValue::from_string(row.data)
            .map_err(|error| StorageError::corrupt("dehydrated_device", error))?;
        Ok(DehydratedDevice { device_id: row.device_id, data })
    }
}
