//! The device list of a user of this server, as other servers may have it.

use ruma::{OwnedDeviceId, UserId};
use tracing::instrument;
use vestibule_storage::{
    StorageError,
    tables::{account::ACCOUNT_BY_ID, account::DEVICE_BY_USER, device_list::DEVICE_LIST_VERSION},
};

use crate::{
    Keys,
    object::Usage,
    remote::Json,
    show::{Sight, Viewer, json},
};

/// A device of a user of this server.
#[derive(Debug)]
pub struct OwnDevice {
    /// Which one.
    pub device_id: OwnedDeviceId,
    /// Its identity keys.
    pub keys: Json,
    /// The name its owner gave it.
    pub display_name: Option<String>,
}

/// All devices of a user of this server that have keys.
#[derive(Debug)]
pub struct OwnDeviceList {
    /// The version of the list.
    pub stream_id: u64,
    /// The devices.
    pub devices: Vec<OwnDevice>,
    /// The master key.
    pub master_key: Option<Json>,
    /// The self-signing key.
    pub self_signing_key: Option<Json>,
}

impl Keys {
    /// The device list of a user of this server. `None` when there is no such user.
    #[instrument(name = "keys.list.device_list", skip_all)]
    pub async fn device_list(&self, user: &UserId) -> Result<Option<OwnDeviceList>, StorageError> {
        if !self.is_local(user) {
            return Ok(None);
        }
        let user = user.to_owned();
        self.store()
            .read(move |read| {
                if !ACCOUNT_BY_ID.contains(read, (&user,))? {
                    return Ok(None);
                }
                let sight = Sight::new(read, &Viewer::Server, &user)?;
                let mut devices = Vec::new();
                for (device_id, mut object) in sight.devices(read)? {
                    object.remove_unsigned();
                    let row = DEVICE_BY_USER.get(read, (&user, &device_id))?;
                    let display_name = row.and_then(|row| row.display_name);
                    devices.push(OwnDevice { device_id, keys: json(&object)?, display_name });
                }
                Ok(Some(OwnDeviceList {
                    stream_id: DEVICE_LIST_VERSION.get(read, (&user,))?.unwrap_or_default(),
                    devices,
                    master_key: sight.signing_key(read, Usage::Master)?,
                    self_signing_key: sight.signing_key(read, Usage::SelfSigning)?,
                }))
            })
            .await
    }
}
