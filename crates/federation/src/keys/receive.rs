//! Messages of other servers about the keys of their users, handed on to those who keep them.

use ruma::ServerName;
use serde_json::value::RawValue;
use vestibule_keys::{Keys, ReceiveUpdateError};
use vestibule_types::BoxFuture;

use crate::EduHandler;

/// Takes `m.device_list_update`.
pub(crate) struct DeviceListUpdates(pub(crate) Keys);

/// Takes `m.signing_key_update`.
pub(crate) struct SigningKeyUpdates(pub(crate) Keys);

impl EduHandler for DeviceListUpdates {
    fn receive<'a>(&'a self, origin: &'a ServerName, content: &'a RawValue) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            note(self.0.receive_device_list_update(origin, content).await);
        })
    }
}

impl EduHandler for SigningKeyUpdates {
    fn receive<'a>(&'a self, origin: &'a ServerName, content: &'a RawValue) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            note(self.0.receive_signing_key_update(origin, content).await);
        })
    }
}

/// Nobody could do anything about an update that cannot be taken: the next one shows that it is
/// missing.
fn note(taken: Result<(), ReceiveUpdateError>) {
    match taken {
        Ok(()) => {}
        Err(ReceiveUpdateError::Malformed(_) | ReceiveUpdateError::NotTheirs) => {
            tracing::debug!("an update of keys was passed over");
        }
        Err(ReceiveUpdateError::Storage(error)) => {
            tracing::warn!(%error, "an update of keys could not be stored");
        }
    }
}
