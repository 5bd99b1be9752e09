//! Logging out.

use ruma::UserId;
use tracing::instrument;
use vestibule_storage::StorageError;
use vestibule_types::Actor;

use crate::{
    Accounts,
    session::{close_all, close_device},
};

impl Accounts {
    /// Ends the session of the caller and forgets its device.
    #[instrument(name = "accounts.session.log_out", skip_all)]
    pub async fn log_out(&self, actor: &Actor) -> Result<(), StorageError> {
        let Some(device_id) = actor.device_id().map(ToOwned::to_owned) else { return Ok(()) };
        let user = actor.user_id().to_owned();
        self.0.write(actor.user_id(), move |tx| close_device(tx, &user, &device_id)).await
    }

    /// Ends every session of an account and forgets its devices.
    #[instrument(name = "accounts.session.log_out_all", skip_all)]
    pub async fn log_out_all(&self, user_id: &UserId) -> Result<(), StorageError> {
        let user = user_id.to_owned();
        self.0.write(user_id, move |tx| close_all(tx, &user, None)).await
    }
}
