//! `m.device_list_update` and `m.signing_key_update`: what changed about the devices and keys of users of
//! other servers (server-server API, "Device Management", "End-to-End Encryption").

use ruma::ServerName;
use serde_json::value::RawValue;
use vestibule_keys::ReceiveUpdateError;
use vestibule_storage::StorageError;

use crate::Federation;

impl Federation {
    pub(super) async fn receive_device_list(
        &self,
        origin: &ServerName,
        content: &RawValue,
    ) -> Result<&'static str, StorageError> {
        let keys = &self.inner.parts.keys;
        taken("device_list", keys.receive_device_list_update(origin, content).await)
    }

    pub(super) async fn receive_signing_keys(
        &self,
        origin: &ServerName,
        content: &RawValue,
    ) -> Result<&'static str, StorageError> {
        let keys = &self.inner.parts.keys;
        taken("signing_keys", keys.receive_signing_key_update(origin, content).await)
    }
}

fn taken(
    what: &'static str,
    outcome: Result<(), ReceiveUpdateError>,
) -> Result<&'static str, StorageError> {
    match outcome {
        Ok(()) => Ok(what),
        Err(ReceiveUpdateError::Malformed(_)) => Ok("malformed"),
        Err(ReceiveUpdateError::NotTheirs) => Ok("foreign"),
        Err(ReceiveUpdateError::Storage(failed)) => Err(failed),
    }
}
