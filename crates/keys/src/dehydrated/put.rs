//! Dehydrating a device: it comes with its keys, and takes the place of the one before.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedDeviceId};
use tracing::instrument;
use vestibule_accounts::{
    Refusal,
    dehydrated::{Dehydrate, Dehydrated, put_dehydrated},
};
use vestibule_events::canonical_content;
use vestibule_policy::Denial;
use vestibule_storage::{StorageError, tables::dehydrated::StoredDehydratedDevice};
use vestibule_types::{Actor, limits::DEHYDRATED_DATA_BYTES_MAX};

use crate::{Json, Keys, UploadKeys, UploadKeysError, ask::KeyAct, upload_keys::Owner};

/// A device to be dehydrated.
#[derive(Debug)]
pub struct PutDehydratedDevice {
    /// Its identifier.
    pub device_id: OwnedDeviceId,
    /// What its owner needs to use it again.
    pub data: Json,
    /// Its name.
    pub display_name: Option<String>,
    /// Its keys. Who it is must be among them.
    pub keys: UploadKeys,
}

/// Why a device was not dehydrated.
#[derive(Debug, thiserror::Error)]
pub enum PutDehydratedDeviceError {
    /// A name no device may have.
    #[error("a device identifier has 1 to 255 bytes")]
    BadName,
    /// Somebody is logged in on a device of this name.
    #[error("you are logged in on a device of this name")]
    Taken,
    /// The device does not tell who it is.
    #[error("`device_keys` is missing")]
    NoIdentity,
    /// What is kept for its owner is not of the shape of such data.
    #[error("{0}")]
    BadData(String),
    /// What is kept for its owner is too large.
    #[error("`device_data` may have at most 65536 bytes")]
    TooLarge,
    /// A key is not what it should be.
    #[error(transparent)]
    Keys(#[from] UploadKeysError),
    /// The policy refuses.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The device could not be stored.
    #[error("could not store the device")]
    Storage(#[from] StorageError),
}

impl From<Refusal> for PutDehydratedDeviceError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(denial) => Self::Denied(denial),
            Refusal::Storage(error) => Self::Storage(error),
        }
    }
}

impl Keys {
    /// Dehydrates a device of the caller, in the place of the one before, whose keys and messages are
    /// removed. The same request again changes nothing.
    #[instrument(name = "keys.dehydrated.put", skip_all)]
    pub async fn put_dehydrated_device(
        &self,
        actor: &Actor,
        command: PutDehydratedDevice,
    ) -> Result<OwnedDeviceId, PutDehydratedDeviceError> {
        let PutDehydratedDevice { device_id, data, display_name, keys } = command;
        if keys.device_keys.is_none() {
            return Err(PutDehydratedDeviceError::NoIdentity);
        }
        keys.check_size()?;
        let data = kept(&data)?;
        let owner = Owner { user: actor.user_id().to_owned(), device: device_id.clone() };
        let asked = self.ask(actor, KeyAct::Upload).await?;
        let parsed = self.parse(&owner, keys).await?;
        let dehydrate = Dehydrate {
            device: StoredDehydratedDevice { device_id: device_id.clone(), data },
            display_name,
            asking: actor.device_id().map(ToOwned::to_owned),
            now: self.inner.parts.environment.now_ms(),
        };
        self.write(actor.user_id(), move |tx| {
            asked.spend(tx)?;
            match put_dehydrated(tx, &owner.user, &dehydrate)? {
                // Of the same device keys may come that were not there before.
                Dehydrated::New | Dehydrated::Same => Ok(owner.store(tx, &parsed).map(drop)?),
                Dehydrated::Taken => Err(PutDehydratedDeviceError::Taken),
                Dehydrated::BadName => Err(PutDehydratedDeviceError::BadName),
            }
        })
        .await?;
        Ok(device_id)
    }
}

/// What is kept for the owner, in the form in which it is kept.
fn kept(data: &Json) -> Result<String, PutDehydratedDeviceError> {
    if data.get().len() > DEHYDRATED_DATA_BYTES_MAX {
        return Err(PutDehydratedDeviceError::TooLarge);
    }
    let bad = |message: String| PutDehydratedDeviceError::BadData(message);
    let object: CanonicalJsonObject =
        canonical_content(data).map_err(|error| bad(format!("`device_data`: {error}")))?;
    if object.get("algorithm").and_then(CanonicalJsonValue::as_str).is_none() {
        return Err(bad("`device_data` does not name its algorithm".to_owned()));
    }
    serde_json::to_string(&object).map_err(|error| bad(error.to_string()))
}
