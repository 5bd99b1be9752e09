//! Removing devices, which takes a password.

use std::net::IpAddr;

use ruma::OwnedDeviceId;
use tracing::instrument;
use vestibule_storage::StorageError;
use vestibule_types::Actor;

use crate::{
    Accounts,
    session::close_device,
    uia::{Attempt, Question, UiaError},
};

/// Devices to be removed.
#[derive(Clone, Debug)]
pub struct DeleteDevices {
    /// Which; those that are not there count as removed.
    pub device_ids: Vec<OwnedDeviceId>,
    /// The interactive authentication so far.
    pub attempt: Option<Attempt>,
    /// Where the request comes from.
    pub peer: IpAddr,
}

/// Why devices were not removed.
#[derive(Debug, thiserror::Error)]
pub enum DeleteDevicesError {
    /// More than an account can have.
    #[error("too many devices at once")]
    TooMany,
    /// There is more to prove, or the proof could not be checked.
    #[error(transparent)]
    Uia(#[from] UiaError),
    /// The devices could not be removed.
    #[error("could not remove the devices")]
    Storage(#[from] StorageError),
}

impl Accounts {
    /// Removes devices of the caller, and their sessions.
    #[instrument(name = "accounts.device.delete", skip_all)]
    pub async fn delete_devices(
        &self,
        actor: &Actor,
        command: DeleteDevices,
    ) -> Result<(), DeleteDevicesError> {
        let mut device_ids = command.device_ids;
        if device_ids.len() > vestibule_types::limits::DEVICES_PER_USER_MAX {
            return Err(DeleteDevicesError::TooMany);
        }
        device_ids.sort();
        let names: Vec<&str> = device_ids.iter().map(|id| id.as_str()).collect();
        let operation = format!("delete devices {}", names.join("\0"));
        let flows = self.owner_flows(actor.user_id()).await?;
        let question = Question::of_owner(&operation, flows, actor.user_id(), command.peer);
        self.authenticate(&question, command.attempt).await?;
        let user = actor.user_id().to_owned();
        self.0
            .write(actor.user_id(), move |tx| {
                device_ids.iter().try_for_each(|device| close_device(tx, &user, device))
            })
            .await
            .map_err(DeleteDevicesError::Storage)
    }
}
