//! What another server told of a user's keys, checked and cut down to what may be there.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{CanonicalJsonObject, CanonicalJsonValue, DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use serde::Deserialize;
use vestibule_storage::StorageError;
use vestibule_types::limits::{DEVICE_ID_BYTES_MAX, DEVICE_NAME_BYTES_MAX, REMOTE_DEVICES_MAX};

use crate::{
    RemoteDeviceList, ShownKeys,
    object::{self, CrossSigningKey, SignedObject, Usage, check_identity},
    remote::Json,
    show::{Sight, json},
};

/// A device of a user of another server.
#[derive(Clone, Debug)]
pub(crate) struct FetchedDevice {
    pub(crate) keys: SignedObject,
    pub(crate) display_name: Option<String>,
}

/// The keys of a user of another server. Signatures are the user's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fetched {
    pub(crate) devices: BTreeMap<OwnedDeviceId, FetchedDevice>,
    pub(crate) master: Option<CrossSigningKey>,
    pub(crate) self_signing: Option<CrossSigningKey>,
}

#[derive(Deserialize)]
struct Named {
    unsigned: Option<Unsigned>,
}

#[derive(Deserialize)]
struct Unsigned {
    device_display_name: Option<String>,
}

impl Fetched {
    /// Out of a device list.
    pub(crate) fn of_list(user: &UserId, list: RemoteDeviceList) -> Self {
        let mut fetched = Self::default();
        for device in list.devices.into_iter().take(REMOTE_DEVICES_MAX) {
            fetched.add(user, device.device_id, &device.keys, device.display_name);
        }
        fetched.set_signing_keys(user, list.master_key.as_ref(), list.self_signing_key.as_ref());
        fetched
    }

    /// Out of an answer to a query: users that were not asked about are left out.
    pub(crate) fn of_answer(
        mut answer: ShownKeys,
        asked: &BTreeSet<OwnedUserId>,
    ) -> BTreeMap<OwnedUserId, Self> {
        let mut all = BTreeMap::new();
        for user in asked {
            let devices = answer.device_keys.remove(user);
            let master = answer.master_keys.remove(user);
            let self_signing = answer.self_signing_keys.remove(user);
            if devices.is_none() && master.is_none() {
                continue;
            }
            let mut fetched = Self::default();
            for (device, keys) in devices.unwrap_or_default().into_iter().take(REMOTE_DEVICES_MAX) {
                let named = serde_json::from_str::<Named>(keys.get()).ok();
                let name = named.and_then(|it| it.unsigned?.device_display_name);
                fetched.add(user, device, &keys, name);
            }
            fetched.set_signing_keys(user, master.as_ref(), self_signing.as_ref());
            all.insert(user.clone(), fetched);
        }
        all
    }

    fn add(&mut self, user: &UserId, device: OwnedDeviceId, keys: &Json, name: Option<String>) {
        if let Some(keys) = remote_device_keys(user, &device, keys) {
            let display_name = name.map(cut);
            self.devices.insert(device, FetchedDevice { keys, display_name });
        }
    }

    fn set_signing_keys(&mut self, user: &UserId, master: Option<&Json>, own: Option<&Json>) {
        self.master = master.and_then(|json| remote_signing_key(user, json, Usage::Master));
        let signed = own.and_then(|json| remote_signing_key(user, json, Usage::SelfSigning));
        self.self_signing = signed.filter(|key| {
            let master = self.master.as_ref();
            master.is_some_and(|it| key.object.is_signed_by(user, (&it.public, &it.key)))
        });
    }

    /// Shows it without storing it. An empty list asks for all devices.
    pub(crate) fn show(
        self,
        sight: &Sight,
        (owner, wanted): (&UserId, &[OwnedDeviceId]),
        shown: &mut ShownKeys,
    ) -> Result<(), StorageError> {
        let mut keys = BTreeMap::new();
        for (device, fetched) in self.devices {
            if !wanted.is_empty() && !wanted.contains(&device) {
                continue;
            }
            let mut object = fetched.keys;
            if let Some(name) = fetched.display_name {
                let name = ("device_display_name".to_owned(), CanonicalJsonValue::String(name));
                object.set_unsigned(CanonicalJsonObject::from([name]));
            }
            keys.insert(device, json(&object)?);
        }
        shown.device_keys.insert(owner.to_owned(), keys);
        if let Some(key) = self.master {
            let master = sight.signed(&key.public, key.object);
            shown.master_keys.insert(owner.to_owned(), json(&master)?);
        }
        if let Some(key) = self.self_signing {
            shown.self_signing_keys.insert(owner.to_owned(), json(&key.object)?);
        }
        Ok(())
    }
}

/// The identity keys of a device as another server tells them. `None` when they are somebody
/// else's, or none at all.
pub(crate) fn remote_device_keys(
    user: &UserId,
    device: &DeviceId,
    keys: &Json,
) -> Option<SignedObject> {
    if device.as_str().len() > DEVICE_ID_BYTES_MAX {
        return None;
    }
    let mut object = SignedObject::parse(keys).ok()?;
    let own = object.text("user_id").ok()? == user.as_str()
        && object.text("device_id").ok()? == device.as_str();
    check_identity(&object).ok()?;
    object.retain_signatures(user, |_, _| true);
    own.then_some(object)
}

/// A cross-signing key as another server tells it.
pub(crate) fn remote_signing_key(
    user: &UserId,
    json: &Json,
    usage: Usage,
) -> Option<CrossSigningKey> {
    let mut key = object::cross_signing_key(json, user, usage).ok()?;
    key.object.retain_signatures(user, |_, _| true);
    Some(key)
}

/// A name, cut at a character so that it fits.
pub(crate) fn cut(mut name: String) -> String {
    let mut end = name.len().min(DEVICE_NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    name.truncate(end);
    name
}
