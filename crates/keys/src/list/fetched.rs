//! What another server told of a user's keys, checked and cut down to what may be there.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use serde::Deserialize;
use vestibule_events::DeviceSigningKey;
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
        fetched.set_signing_keys(user, list.master_key.as_ref(), list.self_signing_key.as_ref());
        for device in list.devices.into_iter().take(REMOTE_DEVICES_MAX) {
            fetched.add(user, device.device_id, &device.keys, device.display_name);
        }
        fetched.check_master(user);
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
            fetched.set_signing_keys(user, master.as_ref(), self_signing.as_ref());
            for (device, keys) in devices.unwrap_or_default().into_iter().take(REMOTE_DEVICES_MAX) {
                let named = serde_json::from_str::<Named>(keys.get()).ok();
                let name = named.and_then(|it| it.unsigned?.device_display_name);
                fetched.add(user, device, &keys, name);
            }
            fetched.check_master(user);
            all.insert(user.clone(), fetched);
        }
        all
    }

    fn add(&mut self, user: &UserId, device: OwnedDeviceId, keys: &Json, name: Option<String>) {
        let signer = self.self_signing.as_ref().map(|key| (&*key.public, &key.key));
        if let Some((keys, _)) = remote_device_keys(user, (&device, keys), signer) {
            let display_name = name.map(cut);
            self.devices.insert(device, FetchedDevice { keys, display_name });
        }
    }

    fn set_signing_keys(&mut self, user: &UserId, master: Option<&Json>, own: Option<&Json>) {
        self.master = master.and_then(|json| remote_signing_key(user, json, Usage::Master));
        let signed = own.and_then(|json| remote_signing_key(user, json, Usage::SelfSigning));
        let master = self.master.as_ref().map(|it| (&*it.public, &it.key));
        self.self_signing = signed.and_then(|key| signed_by_master(key, user, master?));
    }

    /// Leaves the signatures of the master key that devices told beside it made.
    fn check_master(&mut self, user: &UserId) {
        let devices = &self.devices;
        let key_of = |name: &str| {
            let device: &DeviceId = name.into();
            devices.get(device)?.keys.ed25519(name)
        };
        if let Some(master) = &mut self.master {
            retain_signatures_of_devices(master, user, key_of);
        }
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
            object.set_display_name(fetched.display_name);
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

/// The identity keys of a device as another server tells them, with the signatures that hold: the
/// device's own and the self-signing key's; and whether there are others, of keys not known here.
/// `None` when they are somebody else's, or none at all.
pub(crate) fn remote_device_keys(
    user: &UserId,
    (device, keys): (&DeviceId, &Json),
    signer: Option<(&str, &DeviceSigningKey)>,
) -> Option<(SignedObject, bool)> {
    if device.as_str().len() > DEVICE_ID_BYTES_MAX {
        return None;
    }
    let mut object = SignedObject::parse(keys).ok()?;
    let own = object.text("user_id").ok()? == user.as_str()
        && object.text("device_id").ok()? == device.as_str();
    check_identity(&object).ok()?;
    let known = |id: &str| {
        let name = id.strip_prefix("ed25519:");
        name == Some(device.as_str()) || (name.is_some() && name == signer.map(|(name, _)| name))
    };
    let others = object.signatures_of(user).any(|(id, _)| !known(id));
    object.retain_signatures_that_hold(user, (device, signer));
    own.then_some((object, others))
}

/// A cross-signing key as another server tells it. Of its signatures those of devices are not
/// checked here.
pub(crate) fn remote_signing_key(
    user: &UserId,
    json: &Json,
    usage: Usage,
) -> Option<CrossSigningKey> {
    let mut key = object::cross_signing_key(json, user, usage).ok()?;
    key.object.retain_signatures(user, |_, _| true);
    Some(key)
}

/// A self-signing key with its master key's signature and no other. `None` without one that holds.
pub(crate) fn signed_by_master(
    mut key: CrossSigningKey,
    user: &UserId,
    (name, master): (&str, &DeviceSigningKey),
) -> Option<CrossSigningKey> {
    if !key.object.is_signed_by(user, (name, master)) {
        return None;
    }
    key.object.retain_signatures(user, |id, _| id.strip_prefix("ed25519:") == Some(name));
    Some(key)
}

/// Leaves the signatures of a cross-signing key that a key of its owner's devices made.
pub(crate) fn retain_signatures_of_devices(
    key: &mut CrossSigningKey,
    user: &UserId,
    key_of: impl Fn(&str) -> Option<DeviceSigningKey>,
) {
    let whole = key.object.clone();
    key.object.retain_signatures(user, |id, signature| {
        let signer = id.strip_prefix("ed25519:").and_then(&key_of);
        signer.is_some_and(|signer| signer.signed(whole.object(), signature))
    });
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
