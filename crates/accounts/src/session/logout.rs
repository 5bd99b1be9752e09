//! Logging out.

use ruma::UserId;
use tracing::instrument;
use vestibule_storage::{StorageError, tables::account::GUEST_BY_ID};
use vestibule_types::Actor;

use crate::{
    Accounts, DeactivateError,
    session::{close_all, close_device},
};

impl Accounts {
    /// Ends the session of the caller and forgets its device. A guest can never come back, so that it ends
    /// itself.
    #[instrument(name = "accounts.session.log_out", skip_all)]
    pub async fn log_out(&self, actor: &Actor) -> Result<(), StorageError> {
        if self.log_out_unused(actor).await? {
            return Ok(());
        }
        let Some(device_id) = actor.device_id().map(ToOwned::to_owned) else { return Ok(()) };
        let user = actor.user_id().to_owned();
        if self.was_guest(&user).await? {
            return Ok(());
        }
        self.0.write(actor.user_id(), move |tx| close_device(tx, &user, &device_id)).await
    }

    /// Ends every session of an account and forgets its devices; of a guest, the guest itself.
    #[instrument(name = "accounts.session.log_out_all", skip_all)]
    pub async fn log_out_all(&self, actor: &Actor) -> Result<(), StorageError> {
        if self.log_out_unused(actor).await? {
            return Ok(());
        }
        let user_id = actor.user_id();
        let user = user_id.to_owned();
        if self.was_guest(&user).await? {
            return Ok(());
        }
        self.0.write(user_id, move |tx| close_all(tx, &user, None)).await
    }

    /// Ends a guest: it leaves its rooms, and its places under the caps are free. Says whether it was one.
    async fn was_guest(&self, user_id: &UserId) -> Result<bool, StorageError> {
        let user = user_id.to_owned();
        if !self.0.store.read(move |read| GUEST_BY_ID.contains(read, (&user,))).await? {
            return Ok(false);
        }
        let erase = self.0.policy.current().guest_life().erase;
        match self.end_guest(user_id, erase).await {
            Ok(was) => Ok(was),
            Err(DeactivateError::Storage(cause)) => Err(cause),
            // There is nothing left to end.
            Err(DeactivateError::UnknownUser | DeactivateError::Uia(_)) => Ok(false),
        }
    }
}
