//! Signatures over keys that are here: checked, then added.

use std::collections::BTreeMap;

use ruma::{OwnedUserId, UserId};
use tracing::instrument;
use vestibule_accounts::{Refusal, list_change};
use vestibule_policy::Denial;
use vestibule_storage::{
    Stamped, StorageError, Tx,
    tables::{
        cross_signing::{CROSS_SIGNING_KEY, SIGNED_BY_POSITION, SIGNED_POSITION, StoredSigned},
        device_key::{DEVICE_KEY, KEY_SIGNATURE},
        room::{STREAM, StoredNews},
    },
};
use vestibule_types::{Actor, limits::SIGNED_KEYS_PER_UPLOAD_MAX};

use crate::{
    Keys,
    ask::KeyAct,
    object::{SignedObject, Usage},
    remote::Json,
    signing_keys::{device_key, signing_key},
};

/// Signed keys by their owner and their name: a device, or the public part of a key.
pub type SignedKeys = BTreeMap<OwnedUserId, BTreeMap<String, Json>>;

/// The signatures that were not stored, by owner and name of the key.
pub type SignatureFailures = BTreeMap<OwnedUserId, BTreeMap<String, SignatureFailure>>;

/// Why a signature was not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFailure {
    /// There is no such key.
    #[error("there is no such key")]
    Unknown,
    /// The object says something else than the key that is here.
    #[error("the object is not the key that was uploaded")]
    Differs,
    /// It does not hold, is missing, or is by a key that does not sign such keys.
    #[error("the signature is not valid")]
    Invalid,
}

/// Why no signature was looked at.
#[derive(Debug, thiserror::Error)]
pub enum UploadSignaturesError {
    /// Too many keys in one request.
    #[error("one request may not name so many keys")]
    TooMany,
    /// The policy refuses.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The signatures could not be stored.
    #[error("could not store the signatures")]
    Storage(#[from] StorageError),
}

impl From<Refusal> for UploadSignaturesError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(denial) => Self::Denied(denial),
            Refusal::Storage(error) => Self::Storage(error),
        }
    }
}

impl Keys {
    /// Adds signatures of the caller to keys: of their self-signing key to their devices, of their
    /// devices to their master key, of their user-signing key to other people's master keys. None
    /// is stored that was not checked.
    #[instrument(name = "keys.upload_signatures", skip_all)]
    pub async fn upload_signatures(
        &self,
        actor: &Actor,
        keys: SignedKeys,
    ) -> Result<SignatureFailures, UploadSignaturesError> {
        if keys.values().map(BTreeMap::len).sum::<usize>() > SIGNED_KEYS_PER_UPLOAD_MAX {
            return Err(UploadSignaturesError::TooMany);
        }
        let asked = self.ask(actor, KeyAct::Upload).await?;
        let signer = actor.user_id().to_owned();
        self.write(actor.user_id(), move |tx| {
            asked.spend(tx)?;
            let mut failures = SignatureFailures::new();
            for (owner, signed) in &keys {
                let mut stored = Stored::default();
                for (name, json) in signed {
                    if let Err(failure) = add(tx, &signer, (owner, name), json, &mut stored)? {
                        failures.entry(owner.clone()).or_default().insert(name.clone(), failure);
                    }
                }
                stored.tell(tx, &signer, owner)?;
            }
            Ok(failures)
        })
        .await
    }
}

/// What was stored for one owner.
#[derive(Default)]
struct Stored {
    devices: Vec<String>,
    master: bool,
}

impl Stored {
    fn tell(&self, tx: &mut Tx<'_>, signer: &UserId, owner: &UserId) -> Result<(), StorageError> {
        if signer != owner {
            return if self.master { tell_signer(tx, signer, owner) } else { Ok(()) };
        }
        for device in &self.devices {
            list_change::device_changed(tx, owner, device.as_str().into())?;
        }
        if self.master {
            list_change::signing_keys_changed(tx, owner)?;
        }
        Ok(())
    }
}

/// Adds the signatures of one object.
fn add(
    tx: &mut Tx<'_>,
    signer: &UserId,
    (owner, name): (&UserId, &str),
    json: &Json,
    stored: &mut Stored,
) -> Result<Result<(), SignatureFailure>, StorageError> {
    let Ok(object) = SignedObject::parse(json) else { return Ok(Err(SignatureFailure::Invalid)) };
    let master = CROSS_SIGNING_KEY.get(tx, (owner, Usage::Master.row()))?;
    let master = master.filter(|master| master.public_key == name);
    let device = match &master {
        None if signer == owner => DEVICE_KEY.get(tx, (owner, <&ruma::DeviceId>::from(name)))?,
        _ => None,
    };
    let known = master.as_ref().map(|master| master.json.as_str());
    let known = known.or_else(|| device.as_ref()?.json.as_deref());
    let Some(known) = known.and_then(SignedObject::stored) else {
        return Ok(Err(SignatureFailure::Unknown));
    };
    if !known.says_the_same(&object) {
        return Ok(Err(SignatureFailure::Differs));
    }

    let mut good = Vec::new();
    for (id, signature) in object.signatures_of(signer) {
        if known.signatures_of(signer).any(|it| it == (id, signature)) {
            // It came along with the others and was checked when it was new.
            continue;
        }
        let Some(by) = id.strip_prefix("ed25519:") else {
            return Ok(Err(SignatureFailure::Invalid));
        };
        let key = match (&master, signer == owner) {
            (Some(_), true) => device_key(tx, signer, by)?,
            (Some(_), false) => named(signing_key(tx, signer, Usage::UserSigning)?, by),
            (None, _) => named(signing_key(tx, signer, Usage::SelfSigning)?, by),
        };
        if !key.is_some_and(|key| key.signed(object.object(), signature)) {
            return Ok(Err(SignatureFailure::Invalid));
        }
        good.push((id, signature));
    }
    if good.is_empty() && object.signatures_of(signer).next().is_none() {
        return Ok(Err(SignatureFailure::Invalid));
    }
    let mut news = false;
    for (id, signature) in good {
        let place = (signer, owner, name, id);
        if KEY_SIGNATURE.get(tx, place)?.as_deref() != Some(signature) {
            KEY_SIGNATURE.put(tx, place, &signature.to_owned())?;
            news = true;
        }
    }
    if news && master.is_some() {
        stored.master = true;
    } else if news {
        stored.devices.push(name.to_owned());
    }
    Ok(Ok(()))
}

fn named<K>(key: Option<(String, K)>, name: &str) -> Option<K> {
    key.filter(|(own, _)| own == name).map(|(_, key)| key)
}

/// Tells the signer's own devices that a key of somebody else has a new signature. Nobody else sees
/// it.
fn tell_signer(tx: &mut Tx<'_>, signer: &UserId, owner: &UserId) -> Result<(), StorageError> {
    if let Some(before) = SIGNED_POSITION.get(tx, (signer, owner))? {
        SIGNED_BY_POSITION.delete(tx, (signer, before.stamp))?;
    }
    let (slot, stamp) = (tx.slot().0, tx.next_stamp());
    SIGNED_BY_POSITION.put(tx, (signer, stamp), &StoredSigned { owner: owner.to_owned() })?;
    SIGNED_POSITION.put(tx, (signer, owner), &Stamped::new(stamp, ()))?;
    STREAM.put(tx, (slot, stamp), &StoredNews::User { user: signer.to_owned() })
}
