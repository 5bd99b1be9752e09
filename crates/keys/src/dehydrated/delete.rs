//! Removing the dehydrated device.

use ruma::OwnedDeviceId;
use tracing::instrument;
use vestibule_accounts::dehydrated::remove_dehydrated;
use vestibule_types::Actor;

use super::DehydratedDeviceError;
use crate::Keys;

impl Keys {
    /// Removes the dehydrated device of the caller, its keys and what waits for it. Says which it was.
    #[instrument(name = "keys.dehydrated.delete", skip_all)]
    pub async fn delete_dehydrated_device(
        &self,
        actor: &Actor,
    ) -> Result<OwnedDeviceId, DehydratedDeviceError> {
        let user = actor.user_id().to_owned();
        self.write(actor.user_id(), move |tx| {
            remove_dehydrated(tx, &user)?.ok_or(DehydratedDeviceError::None)
        })
        .await
    }
}
