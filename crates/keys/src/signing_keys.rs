//! Cross-signing keys: storing them, and who has to prove themselves before.

use std::net::IpAddr;

use ruma::{OwnedUserId, UserId};
use tracing::instrument;
use vestibule_accounts::{Attempt, Refusal, UiaError, list_change};
use vestibule_events::DeviceSigningKey;
use vestibule_policy::Denial;
use vestibule_storage::{
    Read, StorageError, Tx,
    tables::{
        account::DEVICE_BY_USER,
        cross_signing::{CROSS_SIGNING_KEY, StoredSigningKey},
        device_key::{DEVICE_KEY, KEY_SIGNATURE},
    },
};
use vestibule_types::{Actor, limits::DEVICES_PER_USER_MAX};

use crate::{
    Keys,
    ask::{Asked, KeyAct},
    object::{self, CrossSigningKey, ObjectError, SignedObject, Usage},
    remote::Json,
};

/// Cross-signing keys of the caller.
#[derive(Debug)]
pub struct UploadSigningKeys {
    /// The key that stands for the user.
    pub master: Option<Json>,
    /// The key that signs the user's devices.
    pub self_signing: Option<Json>,
    /// The key that signs other users' master keys.
    pub user_signing: Option<Json>,
    /// The interactive authentication so far.
    pub attempt: Option<Attempt>,
    /// Where the request comes from.
    pub peer: IpAddr,
}

/// Why cross-signing keys were not stored.
#[derive(Debug, thiserror::Error)]
pub enum UploadSigningKeysError {
    /// A key is not what it should be.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// There is no master key, neither in the request nor here.
    #[error("there is no master key")]
    NoMaster,
    /// A key is named like a device of the user, or like another of the keys.
    #[error("the key has the name of one of your devices or of another of your keys")]
    NameTaken,
    /// There is more to prove.
    #[error(transparent)]
    Uia(#[from] UiaError),
    /// The policy refuses.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The keys could not be stored.
    #[error("could not store the keys")]
    Storage(#[from] StorageError),
}

impl From<Refusal> for UploadSigningKeysError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(denial) => Self::Denied(denial),
            Refusal::Storage(error) => Self::Storage(error),
        }
    }
}

/// What became of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The keys are stored, or were already.
    Stored,
    /// They would replace others: the caller has to prove who they are.
    NeedsProof,
}

impl Keys {
    /// Stores cross-signing keys. The first ones are free, and so is uploading the same again;
    /// whoever replaces some has to prove to be the owner of the account.
    #[instrument(name = "keys.upload_signing_keys", skip_all)]
    pub async fn upload_signing_keys(
        &self,
        actor: &Actor,
        command: UploadSigningKeys,
    ) -> Result<(), UploadSigningKeysError> {
        let asked = self.ask(actor, KeyAct::Upload).await?;
        let user = actor.user_id();
        let parse = |json: Option<&Json>, usage| {
            json.map(|json| object::cross_signing_key(json, user, usage)).transpose()
        };
        let upload = Upload {
            user: user.to_owned(),
            asked,
            master: parse(command.master.as_ref(), Usage::Master)?,
            self_signing: parse(command.self_signing.as_ref(), Usage::SelfSigning)?,
            user_signing: parse(command.user_signing.as_ref(), Usage::UserSigning)?,
        };
        let first = upload.clone();
        let outcome = self.write(user, move |tx| first.store(tx, false)).await?;
        if outcome == Outcome::Stored {
            return Ok(());
        }
        let accounts = &self.inner.parts.accounts;
        accounts.prove_owner(actor, "upload signing keys", command.attempt, command.peer).await?;
        self.write(user, move |tx| upload.store(tx, true)).await?;
        Ok(())
    }
}

/// The keys of an upload, each checked by itself.
#[derive(Clone)]
struct Upload {
    user: OwnedUserId,
    asked: Asked,
    master: Option<CrossSigningKey>,
    self_signing: Option<CrossSigningKey>,
    user_signing: Option<CrossSigningKey>,
}

impl Upload {
    fn keys(&self) -> impl Iterator<Item = (Usage, &CrossSigningKey)> {
        let each = [
            (Usage::Master, &self.master),
            (Usage::SelfSigning, &self.self_signing),
            (Usage::UserSigning, &self.user_signing),
        ];
        each.into_iter().filter_map(|(usage, key)| Some((usage, key.as_ref()?)))
    }

    fn store(&self, tx: &mut Tx<'_>, proven: bool) -> Result<Outcome, UploadSigningKeysError> {
        self.asked.spend(tx)?;
        let stored_master = signing_key(tx, &self.user, Usage::Master)?;
        let master = match (&self.master, &stored_master) {
            (Some(new), _) => (new.public.clone(), new.key.clone()),
            (None, Some(stored)) => stored.clone(),
            (None, None) => return Err(UploadSigningKeysError::NoMaster),
        };
        self.check_names(tx)?;
        let mut changed = Vec::new();
        for (usage, key) in self.keys() {
            let signed = key.object.is_signed_by(&self.user, (&master.0, &master.1));
            if usage != Usage::Master && !signed {
                return Err(ObjectError::Signature.into());
            }
            let before = CROSS_SIGNING_KEY.get(tx, (&self.user, usage.row()))?;
            let before = before.and_then(|row| SignedObject::stored(&row.json));
            if !before.is_some_and(|before| before.says_the_same(&key.object)) {
                changed.push((usage, key));
            }
        }
        if changed.is_empty() {
            return Ok(Outcome::Stored);
        }
        if stored_master.is_some() && !proven {
            return Ok(Outcome::NeedsProof);
        }
        self.drop_orphans(tx, stored_master.as_ref().map(|(name, _)| name.as_str()), &master)?;
        for (usage, key) in changed {
            self.put(tx, usage, key)?;
        }
        list_change::signing_keys_changed(tx, &self.user)?;
        Ok(Outcome::Stored)
    }

    /// Devices and cross-signing keys share one space of names.
    fn check_names(&self, tx: &Tx<'_>) -> Result<(), UploadSigningKeysError> {
        let mut names = Vec::new();
        for (_, key) in self.keys() {
            let device: &ruma::DeviceId = key.public.as_str().into();
            let taken = names.contains(&&key.public)
                || DEVICE_BY_USER.contains(tx, (&self.user, device))?;
            if taken {
                return Err(UploadSigningKeysError::NameTaken);
            }
            names.push(&key.public);
        }
        Ok(())
    }

    /// Removes keys that a new master key did not sign: nobody can trust them any more.
    fn drop_orphans(
        &self,
        tx: &mut Tx<'_>,
        before: Option<&str>,
        master: &(String, DeviceSigningKey),
    ) -> Result<(), StorageError> {
        if before.is_none_or(|before| before == master.0) {
            return Ok(());
        }
        for usage in [Usage::SelfSigning, Usage::UserSigning] {
            CROSS_SIGNING_KEY.delete(tx, (&self.user, usage.row()))?;
        }
        Ok(())
    }

    fn put(
        &self,
        tx: &mut Tx<'_>,
        usage: Usage,
        key: &CrossSigningKey,
    ) -> Result<(), StorageError> {
        let user = &self.user;
        let mut object = key.object.clone();
        let mut good = Vec::new();
        for (id, signature) in key.object.signatures_of(user) {
            let Some(name) = id.strip_prefix("ed25519:") else { continue };
            let signer = match &self.master {
                Some(master) if master.public == name => Some(master.key.clone()),
                _ => own_key(tx, user, name)?,
            };
            if signer.is_some_and(|signer| signer.signed(key.object.object(), signature)) {
                good.push(id.to_owned());
            }
        }
        object.retain_signatures(user, |id, _| good.iter().any(|good| good == id));
        let stale =
            KEY_SIGNATURE.scan(tx, (user, user, key.public.as_str()), DEVICES_PER_USER_MAX)?;
        for (place, _) in stale {
            KEY_SIGNATURE.delete(tx, place)?;
        }
        let row = StoredSigningKey { public_key: key.public.clone(), json: object.to_json() };
        CROSS_SIGNING_KEY.put(tx, (user, usage.row()), &row)
    }
}

/// The public part of a cross-signing key, which is its name, and the key to check signatures with.
pub(crate) fn signing_key(
    read: &(impl Read + ?Sized),
    user: &UserId,
    usage: Usage,
) -> Result<Option<(String, DeviceSigningKey)>, StorageError> {
    let row = CROSS_SIGNING_KEY.get(read, (user, usage.row()))?;
    Ok(row.and_then(|row| {
        let key = DeviceSigningKey::from_base64(&row.public_key)?;
        Some((row.public_key, key))
    }))
}

/// A key of the user by name: a cross-signing key or a device.
pub(crate) fn own_key(
    read: &(impl Read + ?Sized),
    user: &UserId,
    name: &str,
) -> Result<Option<DeviceSigningKey>, StorageError> {
    for usage in [Usage::Master, Usage::SelfSigning, Usage::UserSigning] {
        if let Some((public, key)) = signing_key(read, user, usage)?
            && public == name
        {
            return Ok(Some(key));
        }
    }
    device_key(read, user, name)
}

/// The key a device signs with.
pub(crate) fn device_key(
    read: &(impl Read + ?Sized),
    user: &UserId,
    device: &str,
) -> Result<Option<DeviceSigningKey>, StorageError> {
    let id: &ruma::DeviceId = device.into();
    let row = DEVICE_KEY.get(read, (user, id))?;
    Ok(row.and_then(|row| SignedObject::stored(&row.json?)?.ed25519(device)))
}
