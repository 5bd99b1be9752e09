//! What other servers tell of their users' keys: `m.device_list_update` and `m.signing_key_update`.

use ruma::{OwnedDeviceId, OwnedUserId, ServerName};
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_accounts::list_change::tell_clients;
use vestibule_storage::{
    StorageError, Tx,
    tables::{
        device_key::{DEVICE_KEY, StoredDeviceKey},
        device_list::{REMOTE_DEVICE_LIST, StoredRemoteDeviceList},
    },
};
use vestibule_types::limits::{DEVICE_ID_BYTES_MAX, REMOTE_DEVICES_MAX, REMOTE_LIST_UPDATES_MAX};

use super::{
    fetch::put_signing_key,
    fetched::{
        cut, remote_device_keys, remote_signing_key, retain_signatures_of_devices, signed_by_master,
    },
    is_tracked,
};
use crate::{
    Keys,
    object::Usage,
    remote::Json,
    signing_keys::{device_key, signing_key},
};

/// A device of a user changed.
#[derive(Debug, Deserialize)]
pub struct DeviceListUpdate {
    /// Whose.
    pub user_id: OwnedUserId,
    /// Which.
    pub device_id: OwnedDeviceId,
    /// Its name.
    #[serde(default)]
    pub device_display_name: Option<String>,
    /// The version of the list with this change.
    pub stream_id: u64,
    /// The versions before it that no update named yet.
    #[serde(default)]
    pub prev_id: Vec<u64>,
    /// Whether the device is gone.
    #[serde(default)]
    pub deleted: Option<bool>,
    /// Its identity keys.
    #[serde(default)]
    pub keys: Option<Json>,
}

/// The cross-signing keys of a user changed.
#[derive(Debug, Deserialize)]
pub struct SigningKeyUpdate {
    /// Whose.
    pub user_id: OwnedUserId,
    /// The master key.
    #[serde(default)]
    pub master_key: Option<Json>,
    /// The self-signing key.
    #[serde(default)]
    pub self_signing_key: Option<Json>,
}

/// Why an update was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveUpdateError {
    /// It cannot be read.
    #[error("the update is malformed: {0}")]
    Malformed(String),
    /// It is about a user of a server other than the one that sent it.
    #[error("a server speaks for its own users only")]
    NotTheirs,
    /// It could not be stored.
    #[error("could not store the update")]
    Storage(#[from] StorageError),
}

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It is taken, or does not concern this server.
    Done,
    /// Something before it was missed.
    Missed,
}

impl Keys {
    /// Takes the content of an `m.device_list_update` that a server sent.
    #[instrument(name = "keys.list.receive_device_list_update", skip_all)]
    pub async fn receive_device_list_update(
        &self,
        origin: &ServerName,
        content: &RawValue,
    ) -> Result<(), ReceiveUpdateError> {
        let update: DeviceListUpdate = parse(content)?;
        self.check_owner(origin, &update.user_id)?;
        let (here, user) = (self.server_name().to_owned(), update.user_id.clone());
        let outcome = self
            .write::<_, StorageError, _>(&user, move |tx| take_update(tx, &here, &update))
            .await?;
        self.follow_up(user, outcome);
        Ok(())
    }

    /// Takes the content of an `m.signing_key_update` that a server sent.
    #[instrument(name = "keys.list.receive_signing_key_update", skip_all)]
    pub async fn receive_signing_key_update(
        &self,
        origin: &ServerName,
        content: &RawValue,
    ) -> Result<(), ReceiveUpdateError> {
        let update: SigningKeyUpdate = parse(content)?;
        self.check_owner(origin, &update.user_id)?;
        let (here, user) = (self.server_name().to_owned(), update.user_id.clone());
        let outcome = self
            .write::<_, StorageError, _>(&user, move |tx| take_signing_keys(tx, &here, &update))
            .await?;
        self.follow_up(user, outcome);
        Ok(())
    }

    fn check_owner(
        &self,
        origin: &ServerName,
        user: &OwnedUserId,
    ) -> Result<(), ReceiveUpdateError> {
        let theirs = user.server_name() == origin && !self.is_local(user);
        if theirs { Ok(()) } else { Err(ReceiveUpdateError::NotTheirs) }
    }

    fn follow_up(&self, user: OwnedUserId, outcome: Outcome) {
        if outcome == Outcome::Missed {
            self.fetch_soon(user);
        }
    }
}

fn parse<T: for<'de> Deserialize<'de>>(content: &RawValue) -> Result<T, ReceiveUpdateError> {
    serde_json::from_str(content.get())
        .map_err(|error| ReceiveUpdateError::Malformed(error.to_string()))
}

fn take_update(
    tx: &mut Tx<'_>,
    here: &ServerName,
    update: &DeviceListUpdate,
) -> Result<Outcome, StorageError> {
    let user = &update.user_id;
    if !is_tracked(&tx.fixed(), here, user)? {
        return Ok(Outcome::Done);
    }
    let Some(mut list) = REMOTE_DEVICE_LIST.get(tx, (user,))? else {
        // Nobody asked for this list yet; whoever does is shown what their server has then.
        tell_clients(tx, user)?;
        return Ok(Outcome::Done);
    };
    if list.updates.contains(&update.stream_id) {
        return Ok(Outcome::Done);
    }
    tell_clients(tx, user)?;
    let follows = list.fresh
        && !update.prev_id.is_empty()
        && update.prev_id.iter().all(|it| list.updates.contains(it));
    if !follows || !apply(tx, update)? {
        return missed(tx, user, list);
    }
    list.updates.push(update.stream_id);
    let too_many = list.updates.len().saturating_sub(REMOTE_LIST_UPDATES_MAX);
    list.updates.drain(..too_many);
    REMOTE_DEVICE_LIST.put(tx, (user,), &list)?;
    Ok(Outcome::Done)
}

/// Changes one device. `false` when the update cannot be applied as it is.
fn apply(tx: &mut Tx<'_>, update: &DeviceListUpdate) -> Result<bool, StorageError> {
    let (user, device) = (&update.user_id, &update.device_id);
    if update.deleted == Some(true) {
        DEVICE_KEY.delete(tx, (user, device))?;
        return Ok(true);
    }
    if device.as_str().len() > DEVICE_ID_BYTES_MAX {
        return Ok(false);
    }
    let signer = signing_key(tx, user, Usage::SelfSigning)?;
    let signer = signer.as_ref().map(|(name, key)| (&**name, key));
    let keys = update.keys.as_ref().map(|keys| remote_device_keys(user, (device, keys), signer));
    let json = match keys {
        None => None,
        Some(Some((keys, false))) => Some(keys.to_json()),
        // A signature by a key that is not here: what the list says as a whole can be checked.
        Some(Some((_, true)) | None) => return Ok(false),
    };
    let known = DEVICE_KEY.contains(tx, (user, device))?;
    if !known && DEVICE_KEY.scan(tx, (user,), REMOTE_DEVICES_MAX)?.len() >= REMOTE_DEVICES_MAX {
        return Ok(false);
    }
    let display_name = update.device_display_name.clone().map(cut);
    DEVICE_KEY.put(tx, (user, device), &StoredDeviceKey { json, display_name })?;
    Ok(true)
}

fn missed(
    tx: &mut Tx<'_>,
    user: &OwnedUserId,
    mut list: StoredRemoteDeviceList,
) -> Result<Outcome, StorageError> {
    list.fresh = false;
    REMOTE_DEVICE_LIST.put(tx, (user,), &list)?;
    Ok(Outcome::Missed)
}

fn take_signing_keys(
    tx: &mut Tx<'_>,
    here: &ServerName,
    update: &SigningKeyUpdate,
) -> Result<Outcome, StorageError> {
    let user = &update.user_id;
    if !is_tracked(&tx.fixed(), here, user)? {
        return Ok(Outcome::Done);
    }
    tell_clients(tx, user)?;
    let Some(list) = REMOTE_DEVICE_LIST.get(tx, (user,))? else { return Ok(Outcome::Done) };
    let master = match &update.master_key {
        Some(json) => match remote_signing_key(user, json, Usage::Master) {
            Some(mut key) => {
                retain_signatures_of_devices(&mut key, user, |name| {
                    // What cannot be read did not sign.
                    device_key(&tx.fixed(), user, name).ok().flatten()
                });
                Some(key)
            }
            None => return missed(tx, user, list),
        },
        None => None,
    };
    let trusted = match &master {
        Some(key) => Some((key.public.clone(), key.key.clone())),
        None => signing_key(tx, user, Usage::Master)?,
    };
    let own = match &update.self_signing_key {
        Some(json) => {
            let key = remote_signing_key(user, json, Usage::SelfSigning);
            let trusted = trusted.as_ref().map(|(name, key)| (&**name, key));
            match key.and_then(|key| signed_by_master(key, user, trusted?)) {
                Some(key) => Some(key),
                None => return missed(tx, user, list),
            }
        }
        None => None,
    };
    if let Some(key) = &master {
        let before = signing_key(tx, user, Usage::Master)?;
        put_signing_key(tx, user, Usage::Master, Some(key))?;
        if own.is_none() && before.is_some_and(|(name, _)| name != key.public) {
            // What the master key before it signed hangs in the air.
            put_signing_key(tx, user, Usage::SelfSigning, None)?;
            return missed(tx, user, list);
        }
    }
    if let Some(key) = &own {
        put_signing_key(tx, user, Usage::SelfSigning, Some(key))?;
    }
    Ok(Outcome::Done)
}
