//! A device tells who it is and leaves keys for others to begin conversations with.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use sha2::{Digest, Sha256};
use tracing::instrument;
use vestibule_accounts::{Refusal, list_change};
use vestibule_events::DeviceSigningKey;
use vestibule_policy::Denial;
use vestibule_storage::{
    Read, Stamped, StorageError, Tx,
    tables::{
        account::DEVICE_BY_USER,
        cross_signing::CROSS_SIGNING_KEY,
        device_key::{DEVICE_KEY, KEY_SIGNATURE, StoredDeviceKey},
        one_time_key::{
            FALLBACK_KEY, KEY_COUNT_POSITION, ONE_TIME_KEY, ONE_TIME_KEY_BY_ORDER,
            ONE_TIME_KEY_COUNT, SPENT_KEY, StoredFallbackKey,
        },
        room::{STREAM, StoredNews},
    },
};
use vestibule_types::{
    Actor,
    limits::{KEY_ALGORITHMS_MAX, ONE_TIME_KEYS_PER_DEVICE_MAX},
};

use crate::{
    Keys,
    ask::KeyAct,
    object::{self, ObjectError, OneTimeKey, SIGNED, SignedObject, Usage},
    remote::Json,
    signing_keys::signing_key,
};

/// Keys of the caller's device.
#[derive(Debug, Default)]
pub struct UploadKeys {
    /// Who the device is.
    pub device_keys: Option<Json>,
    /// Keys for one conversation each, by `algorithm:name`.
    pub one_time_keys: BTreeMap<String, Json>,
    /// Keys for when those are used up, one for each algorithm, by `algorithm:name`.
    pub fallback_keys: BTreeMap<String, Json>,
}

impl UploadKeys {
    /// Refuses what is more than a device may keep.
    pub(crate) fn check_size(&self) -> Result<(), UploadKeysError> {
        let few = self.one_time_keys.len() <= ONE_TIME_KEYS_PER_DEVICE_MAX
            && self.fallback_keys.len() <= KEY_ALGORITHMS_MAX;
        if few { Ok(()) } else { Err(UploadKeysError::TooMany) }
    }
}

/// Why keys were not stored.
#[derive(Debug, thiserror::Error)]
pub enum UploadKeysError {
    /// The caller has no device.
    #[error("keys belong to a device, and this token has none")]
    NoDevice,
    /// A key is not what it should be.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The device is named like a cross-signing key.
    #[error("the device is named like one of your cross-signing keys")]
    NamedLikeAKey,
    /// There is another one-time key of this name. Clients look for these words to report it.
    #[error("One time key {0} already exists")]
    Conflict(String),
    /// Two fallback keys of one algorithm.
    #[error("there can be one fallback key for each algorithm")]
    TwoFallbacks,
    /// More keys than a device may keep here.
    #[error("a device may keep 1000 one-time keys of 16 algorithms here")]
    TooMany,
    /// The policy refuses.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The keys could not be stored.
    #[error("could not store the keys")]
    Storage(#[from] StorageError),
}

impl From<Refusal> for UploadKeysError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(denial) => Self::Denied(denial),
            Refusal::Storage(error) => Self::Storage(error),
        }
    }
}

impl Keys {
    /// Stores keys of the caller's device, and says how many one-time keys there are by algorithm.
    /// Uploading the same again changes nothing.
    ///
    /// What a device says of itself is taken whether or not its signature holds: the specification knows no
    /// refusal for it and leaves the judgement to other devices, which pass over a device that did not sign
    /// itself and a key its device did not sign. A signature of the device that can be checked and does not
    /// hold is left out, so that nobody is shown a forged one. One that cannot be checked, because the key is
    /// of no kind known here or not told yet, stays.
    #[instrument(name = "keys.upload_keys", skip_all)]
    pub async fn upload_keys(
        &self,
        actor: &Actor,
        command: UploadKeys,
    ) -> Result<BTreeMap<String, u64>, UploadKeysError> {
        let device = actor.device_id().ok_or(UploadKeysError::NoDevice)?.to_owned();
        let owner = Owner { user: actor.user_id().to_owned(), device };
        command.check_size()?;
        let asked = self.ask(actor, KeyAct::Upload).await?;
        let parsed = self.parse(&owner, command).await?;
        self.write(actor.user_id(), move |tx| {
            asked.spend(tx)?;
            owner.store(tx, &parsed)
        })
        .await
    }

    /// Checks each key of an upload by itself.
    pub(crate) async fn parse(
        &self,
        owner: &Owner,
        command: UploadKeys,
    ) -> Result<Parsed, UploadKeysError> {
        // Signatures are checked where storage work is done: that takes a while.
        let (user, device) = (owner.user.clone(), owner.device.clone());
        self.store().read(move |read| Parsed::new(read, (&user, &device), &command)).await
    }

    /// How many one-time keys a device has, by algorithm.
    pub async fn one_time_key_counts(
        &self,
        user: &UserId,
        device: &DeviceId,
    ) -> Result<BTreeMap<String, u64>, StorageError> {
        let (user, device) = (user.to_owned(), device.to_owned());
        self.store().read(move |read| counts(read, &user, &device)).await
    }
}

/// How many one-time keys a device has, by algorithm.
pub(crate) fn counts(
    read: &(impl Read + ?Sized),
    user: &UserId,
    device: &DeviceId,
) -> Result<BTreeMap<String, u64>, StorageError> {
    let rows = ONE_TIME_KEY_COUNT.scan(read, (user, device), KEY_ALGORITHMS_MAX)?;
    Ok(rows.into_iter().map(|((_, _, algorithm), count)| (algorithm, count)).collect())
}

/// The keys of an upload, each checked by itself.
pub(crate) struct Parsed {
    identity: Option<SignedObject>,
    one_time: Vec<OneTimeKey>,
    fallback: Vec<OneTimeKey>,
}

impl Parsed {
    pub(crate) fn new(
        read: &impl Read,
        (user, device): (&UserId, &DeviceId),
        command: &UploadKeys,
    ) -> Result<Self, UploadKeysError> {
        let identity = command.device_keys.as_deref();
        let identity = identity.map(|json| object::device_keys(json, user, device)).transpose()?;
        let own_key: Option<DeviceSigningKey> = match &identity {
            Some(identity) => identity.ed25519(device.as_str()),
            None => DEVICE_KEY
                .get(read, (user, device))?
                .and_then(|row| SignedObject::stored(&row.json?)?.ed25519(device.as_str())),
        };
        let parse = |keys: &BTreeMap<String, Json>| -> Result<Vec<OneTimeKey>, ObjectError> {
            let signer = (user, device, own_key.as_ref());
            keys.iter().map(|(id, json)| object::one_time_key(id, json, signer)).collect()
        };
        let (one_time, fallback) = (parse(&command.one_time_keys)?, parse(&command.fallback_keys)?);
        let algorithms: BTreeSet<&str> = fallback.iter().map(|key| &*key.algorithm).collect();
        if algorithms.len() < fallback.len() {
            return Err(UploadKeysError::TwoFallbacks);
        }
        Ok(Self { identity, one_time, fallback })
    }
}

/// Whose keys these are.
pub(crate) struct Owner {
    pub(crate) user: OwnedUserId,
    pub(crate) device: OwnedDeviceId,
}

impl Owner {
    pub(crate) fn store(
        &self,
        tx: &mut Tx<'_>,
        parsed: &Parsed,
    ) -> Result<BTreeMap<String, u64>, UploadKeysError> {
        // Asserted: a device that logs out meanwhile leaves no keys behind.
        if !DEVICE_BY_USER.contains(tx, (&self.user, &self.device))? {
            return Err(UploadKeysError::NoDevice);
        }
        if let Some(identity) = &parsed.identity {
            self.store_identity(tx, identity.clone())?;
        }
        let mut counts = counts(&tx.fixed(), &self.user, &self.device)?;
        let mut news = false;
        for key in &parsed.one_time {
            if self.store_one_time(tx, key)? {
                *counts.entry(key.algorithm.clone()).or_default() += 1;
                news = true;
            }
        }
        for key in &parsed.fallback {
            news |= self.store_fallback(tx, key)?;
        }
        let device = (&self.user, &self.device);
        let fallbacks = FALLBACK_KEY.scan(tx, device, KEY_ALGORITHMS_MAX.saturating_add(1))?;
        let kept: u64 = counts.values().sum();
        let kept_max = u64::try_from(ONE_TIME_KEYS_PER_DEVICE_MAX).unwrap_or(u64::MAX);
        let algorithms = counts.len().max(fallbacks.len());
        if kept > kept_max || algorithms > KEY_ALGORITHMS_MAX {
            return Err(UploadKeysError::TooMany);
        }
        if news {
            let (slot, stamp) = (tx.slot().0, tx.next_stamp());
            STREAM.put(tx, (slot, stamp), &StoredNews::User { user: self.user.clone() })?;
            KEY_COUNT_POSITION.put(tx, (&self.user, &self.device), &Stamped::new(stamp, ()))?;
        }
        Ok(counts)
    }

    fn store_identity(
        &self,
        tx: &mut Tx<'_>,
        mut identity: SignedObject,
    ) -> Result<(), UploadKeysError> {
        let (user, device) = (&self.user, &self.device);
        for usage in [Usage::Master, Usage::SelfSigning, Usage::UserSigning] {
            let key = CROSS_SIGNING_KEY.get(tx, (user, usage.row()))?;
            if key.is_some_and(|key| key.public_key == device.as_str()) {
                return Err(UploadKeysError::NamedLikeAKey);
            }
        }
        let signer = signing_key(tx, user, Usage::SelfSigning)?;
        let signer = signer.as_ref().map(|(name, key)| (&**name, key));
        identity.retain_signatures_that_hold(user, (device, signer));
        let before = DEVICE_KEY.get(tx, (user, device))?;
        let before = before.and_then(|row| SignedObject::stored(&row.json?));
        if before.as_ref() == Some(&identity) {
            return Ok(());
        }
        self.sift(tx, &identity, before.as_ref())?;
        if before.is_some_and(|before| !before.says_the_same(&identity)) {
            // Signatures are of what the device said before.
            for (key, _) in
                KEY_SIGNATURE.scan(tx, (user, user, device.as_str()), KEY_ALGORITHMS_MAX)?
            {
                KEY_SIGNATURE.delete(tx, key)?;
            }
        }
        let row = StoredDeviceKey { json: Some(identity.to_json()), display_name: None };
        DEVICE_KEY.put(tx, (user, device), &row)?;
        Ok(list_change::device_changed(tx, user, device)?)
    }

    /// Judges the keys that were left before by the identity they now belong to. Of those that came before
    /// any, when nothing could be told, a signature that does not hold is left out. Of those of another
    /// identity none stays: nobody has their other half any more.
    fn sift(
        &self,
        tx: &mut Tx<'_>,
        identity: &SignedObject,
        before: Option<&SignedObject>,
    ) -> Result<(), StorageError> {
        let (user, device) = (&self.user, &self.device);
        let key = identity.ed25519_text(device.as_str());
        if before.is_some_and(|before| before.ed25519_text(device.as_str()) == key) {
            return Ok(());
        }
        let Some(own) = identity.ed25519(device.as_str()) else { return Ok(()) };
        let judge = |algorithm: &str, json: &str| match before {
            Some(_) => is_of(&own, self, (algorithm, json)).then(|| json.to_owned()),
            None => Some(without_forged(&own, self, json)),
        };
        for (key, mut row) in ONE_TIME_KEY.scan(tx, (user, device), ONE_TIME_KEYS_PER_DEVICE_MAX)? {
            let (_, _, algorithm, _) = &key;
            match judge(algorithm, &row.value) {
                Some(json) if json == row.value => {}
                Some(json) => {
                    row.value = json;
                    ONE_TIME_KEY.put(tx, &key, &row)?;
                }
                None => {
                    ONE_TIME_KEY_BY_ORDER.delete(tx, (user, device, algorithm, row.stamp))?;
                    ONE_TIME_KEY_COUNT.add(tx, (user, device, algorithm), -1)?;
                    ONE_TIME_KEY.delete(tx, &key)?;
                }
            }
        }
        for (key, mut row) in FALLBACK_KEY.scan(tx, (user, device), KEY_ALGORITHMS_MAX)? {
            match judge(&key.2, &row.json) {
                Some(json) if json == row.json => {}
                Some(json) => {
                    row.json = json;
                    FALLBACK_KEY.put(tx, &key, &row)?;
                }
                None => FALLBACK_KEY.delete(tx, &key)?,
            }
        }
        Ok(())
    }

    /// Says whether the key is new.
    fn store_one_time(&self, tx: &mut Tx<'_>, key: &OneTimeKey) -> Result<bool, UploadKeysError> {
        let place = (&self.user, &self.device, &key.algorithm, &key.name);
        if let Some(before) = ONE_TIME_KEY.get(tx, place)? {
            let before = OneTimeKey { json: before.value, ..key.clone() };
            // Whoever signed it: a device may sign a key of its own anew.
            if before.unsigned() == key.unsigned() {
                return Ok(false);
            }
            return Err(UploadKeysError::Conflict(format!("{}:{}", key.algorithm, key.name)));
        }
        // With its signatures it was remembered once.
        for digest in [digest(&key.unsigned()), digest(key)] {
            if SPENT_KEY.contains(tx, (&self.user, &self.device, digest))? {
                return Ok(false);
            }
        }
        let stamp = tx.next_stamp();
        ONE_TIME_KEY.put(tx, place, &Stamped::new(stamp, key.json.clone()))?;
        let order = (&self.user, &self.device, &key.algorithm, stamp);
        ONE_TIME_KEY_BY_ORDER.put(tx, order, &key.name)?;
        ONE_TIME_KEY_COUNT.add(tx, (&self.user, &self.device, &key.algorithm), 1)?;
        Ok(true)
    }

    /// Says whether the key is new.
    fn store_fallback(&self, tx: &mut Tx<'_>, key: &OneTimeKey) -> Result<bool, StorageError> {
        let place = (&self.user, &self.device, &key.algorithm);
        let before = FALLBACK_KEY.get(tx, place)?;
        if before.is_some_and(|it| it.key_name == key.name && it.json == key.json) {
            return Ok(false);
        }
        let (key_name, json) = (key.name.clone(), key.json.clone());
        FALLBACK_KEY.put(tx, place, &StoredFallbackKey { key_name, json, used: false })?;
        Ok(true)
    }
}

/// Whether a key that was left before is by this identity. What is not signed at all may be, unless keys of
/// its algorithm are signed.
fn is_of(own: &DeviceSigningKey, owner: &Owner, (algorithm, json): (&str, &str)) -> bool {
    let object = SignedObject::stored(json);
    let signature = object.as_ref().and_then(|it| it.signature(&owner.user, owner.device.as_str()));
    match (&object, signature) {
        (Some(object), Some(signature)) => own.signed(object.object(), signature),
        _ => !algorithm.starts_with(SIGNED),
    }
}

/// A key without a signature of its device that does not hold.
fn without_forged(own: &DeviceSigningKey, owner: &Owner, json: &str) -> String {
    let Some(mut object) = SignedObject::stored(json) else { return json.to_owned() };
    object.drop_forged(&owner.user, (&owner.device, own));
    object.to_json()
}

/// What is remembered of a key that was given out.
pub(crate) fn digest(key: &OneTimeKey) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in [&key.algorithm, &key.name, &key.json] {
        hasher.update(part.len().to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}
