//! Keys as somebody may see them.
//!
//! Whoever asks sees signatures made by the owner's own keys, and those they made themselves. What
//! others signed with their user-signing keys would tell who verified whom, so nobody is shown it.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use serde_json::value::RawValue;
use vestibule_storage::{
    Read, StorageError,
    tables::{
        account::DEVICE_BY_USER,
        cross_signing::CROSS_SIGNING_KEY,
        device_key::{DEVICE_KEY, KEY_SIGNATURE},
    },
};
use vestibule_types::limits::{DEVICES_PER_USER_MAX, REMOTE_DEVICES_MAX};

use crate::{
    object::{SignedObject, Usage},
    remote::{Json, ShownKeys},
};

/// Signatures of one user that are looked at: one for each device, and some over the master key.
const SIGNATURES_MAX: usize = DEVICES_PER_USER_MAX * 4;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Viewer {
    /// A user of this server.
    User(OwnedUserId),
    /// Another server.
    Server,
}

/// Shows the keys of a user. An empty list asks for all devices.
pub(crate) fn show(
    read: &impl Read,
    viewer: &Viewer,
    owner: &UserId,
    devices: &[OwnedDeviceId],
    shown: &mut ShownKeys,
) -> Result<(), StorageError> {
    let sight = Sight::new(read, viewer, owner)?;
    let wanted: BTreeSet<&OwnedDeviceId> = devices.iter().collect();
    let mut keys = BTreeMap::new();
    for (device, object) in sight.devices(read)? {
        if wanted.is_empty() || wanted.contains(&device) {
            keys.insert(device, json(&object)?);
        }
    }
    shown.device_keys.insert(owner.to_owned(), keys);
    if let Some(master) = sight.signing_key(read, Usage::Master)? {
        shown.master_keys.insert(owner.to_owned(), master);
    }
    if let Some(key) = sight.signing_key(read, Usage::SelfSigning)? {
        shown.self_signing_keys.insert(owner.to_owned(), key);
    }
    if *viewer == Viewer::User(owner.to_owned())
        && let Some(key) = sight.signing_key(read, Usage::UserSigning)?
    {
        shown.user_signing_keys.insert(owner.to_owned(), key);
    }
    Ok(())
}

/// What somebody sees of a user's keys.
pub(crate) struct Sight {
    owner: OwnedUserId,
    /// Signatures that were added to keys: who signed, with which key, and the signature.
    added: BTreeMap<String, Vec<(OwnedUserId, String, String)>>,
}

impl Sight {
    pub(crate) fn new(
        read: &impl Read,
        viewer: &Viewer,
        owner: &UserId,
    ) -> Result<Self, StorageError> {
        let mut added: BTreeMap<String, Vec<_>> = BTreeMap::new();
        let mut signers: Vec<&UserId> = vec![owner];
        if let Viewer::User(viewer) = viewer
            && viewer != owner
        {
            signers.push(viewer);
        }
        for signer in signers {
            let rows = KEY_SIGNATURE.scan(read, (signer, owner), SIGNATURES_MAX)?;
            for ((signer, _, name, id), signature) in rows {
                added.entry(name).or_default().push((signer, id, signature));
            }
        }
        Ok(Self { owner: owner.to_owned(), added })
    }

    /// The identity keys of all devices that have some.
    pub(crate) fn devices(
        &self,
        read: &impl Read,
    ) -> Result<Vec<(OwnedDeviceId, SignedObject)>, StorageError> {
        let owner = &self.owner;
        let rows = DEVICE_KEY.scan(read, (owner,), REMOTE_DEVICES_MAX)?;
        let names =
            DEVICE_BY_USER.multi_get(read, rows.iter().map(|((_, device), _)| (owner, device)))?;
        let mut devices = Vec::with_capacity(rows.len());
        for (((_, device), row), named) in rows.into_iter().zip(names) {
            let Some(object) = row.json.as_deref().and_then(SignedObject::stored) else { continue };
            let mut object = self.signed(device.as_str(), object);
            object.set_display_name(row.display_name.or_else(|| named?.display_name));
            devices.push((device, object));
        }
        Ok(devices)
    }

    /// The identity keys of one device.
    pub(crate) fn device(
        &self,
        read: &impl Read,
        device: &DeviceId,
    ) -> Result<Option<SignedObject>, StorageError> {
        let row = DEVICE_KEY.get(read, (&self.owner, device))?;
        let object = row.and_then(|row| SignedObject::stored(&row.json?));
        Ok(object.map(|object| self.signed(device.as_str(), object)))
    }

    /// A cross-signing key.
    pub(crate) fn signing_key(
        &self,
        read: &impl Read,
        usage: Usage,
    ) -> Result<Option<Json>, StorageError> {
        let Some(row) = CROSS_SIGNING_KEY.get(read, (&self.owner, usage.row()))? else {
            return Ok(None);
        };
        let Some(object) = SignedObject::stored(&row.json) else { return Ok(None) };
        json(&self.signed(&row.public_key, object)).map(Some)
    }

    /// A key with what was added to it.
    pub(crate) fn signed(&self, name: &str, mut object: SignedObject) -> SignedObject {
        for (signer, id, signature) in self.added.get(name).into_iter().flatten() {
            object.add_signature(signer, id, signature);
        }
        object
    }
}

pub(crate) fn json(object: &SignedObject) -> Result<Json, StorageError> {
    RawValue::from_string(object.to_json())
        .map_err(|error| StorageError::corrupt("device_key", error))
}
