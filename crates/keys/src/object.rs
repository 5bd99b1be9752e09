//! Keys as they are uploaded: signed JSON objects, parsed once.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, DeviceId, UserId};
use serde_json::value::RawValue;
use vestibule_events::{DeviceSigningKey, canonical_content};
use vestibule_types::limits::{KEY_NAME_BYTES_MAX, KEY_OBJECT_BYTES_MAX};

/// Why an object is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// Too large, not canonical JSON, or not of the shape of such a key.
    #[error("{0}")]
    Malformed(String),
    /// A field that must be there is not.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// It belongs to somebody else.
    #[error("the key is not of this user and device")]
    NotOwn,
    /// A signature of a cross-signing key does not hold, or one that must be there is not.
    #[error("the signature is not valid")]
    Signature,
}

fn malformed(what: &str) -> ObjectError {
    ObjectError::Malformed(what.to_owned())
}

/// A JSON object with `signatures`, without `unsigned`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedObject(CanonicalJsonObject);

impl SignedObject {
    pub(crate) fn parse(json: &RawValue) -> Result<Self, ObjectError> {
        if json.get().len() > KEY_OBJECT_BYTES_MAX {
            return Err(malformed("the key is too large"));
        }
        let mut object =
            canonical_content(json).map_err(|error| ObjectError::Malformed(error.to_string()))?;
        object.remove("unsigned");
        let object = Self(object);
        object.check_signatures()?;
        Ok(object)
    }

    /// What a table holds.
    pub(crate) fn stored(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok().map(Self)
    }

    fn check_signatures(&self) -> Result<(), ObjectError> {
        let Some(signatures) = self.0.get("signatures") else { return Ok(()) };
        let by_user = signatures.as_object().ok_or_else(|| malformed("`signatures`"))?;
        for of_user in by_user.values() {
            let of_user = of_user.as_object().ok_or_else(|| malformed("`signatures`"))?;
            if of_user.values().any(|signature| signature.as_str().is_none()) {
                return Err(malformed("`signatures`"));
            }
        }
        Ok(())
    }

    pub(crate) fn object(&self) -> &CanonicalJsonObject {
        &self.0
    }

    /// A field that must be a text.
    pub(crate) fn text(&self, field: &str) -> Result<&str, ObjectError> {
        let value = self.0.get(field).and_then(CanonicalJsonValue::as_str);
        value.ok_or_else(|| ObjectError::Malformed(format!("`{field}` is not a text")))
    }

    /// The signatures of a user: key ids and signatures.
    pub(crate) fn signatures_of<'a>(
        &'a self,
        user: &UserId,
    ) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let of_user = self.0.get("signatures").and_then(CanonicalJsonValue::as_object);
        let of_user = of_user.and_then(|it| it.get(user.as_str())?.as_object());
        let each = of_user.into_iter().flatten();
        each.filter_map(|(key, signature)| Some((key.as_str(), signature.as_str()?)))
    }

    /// The signature of a user's Ed25519 key of this name.
    pub(crate) fn signature(&self, user: &UserId, key_name: &str) -> Option<&str> {
        let wanted = |key: &str| key.strip_prefix("ed25519:") == Some(key_name);
        self.signatures_of(user).find(|(key, _)| wanted(key)).map(|(_, signature)| signature)
    }

    /// Whether a user's key of this name signed the object.
    pub(crate) fn is_signed_by(
        &self,
        user: &UserId,
        (key_name, key): (&str, &DeviceSigningKey),
    ) -> bool {
        self.signature(user, key_name).is_some_and(|signature| key.signed(&self.0, signature))
    }

    /// Leaves only the signatures of a user that are wanted.
    pub(crate) fn retain_signatures(&mut self, user: &UserId, wanted: impl Fn(&str, &str) -> bool) {
        let kept: CanonicalJsonObject = self
            .signatures_of(user)
            .filter(|(key, signature)| wanted(key, signature))
            .map(|(key, signature)| {
                (key.to_owned(), CanonicalJsonValue::String(signature.to_owned()))
            })
            .collect();
        self.0.remove("signatures");
        if !kept.is_empty() {
            let of_user = (user.to_string(), CanonicalJsonValue::Object(kept));
            let signatures = CanonicalJsonValue::Object([of_user].into());
            self.0.insert("signatures".to_owned(), signatures);
        }
    }

    /// Leaves out the signature of a device that its key did not make.
    pub(crate) fn drop_forged(
        &mut self,
        user: &UserId,
        (device, key): (&DeviceId, &DeviceSigningKey),
    ) {
        let Some(signature) = self.signature(user, device.as_str()) else { return };
        if key.signed(&self.0, signature) {
            return;
        }
        let signatures = self.0.get_mut("signatures").and_then(CanonicalJsonValue::as_object_mut);
        let Some(signatures) = signatures else { return };
        let of_user = signatures.get_mut(user.as_str());
        if let Some(of_user) = of_user.and_then(CanonicalJsonValue::as_object_mut) {
            of_user.remove(&format!("ed25519:{device}"));
            if of_user.is_empty() {
                signatures.remove(user.as_str());
            }
        }
    }

    /// Leaves the signatures of identity keys that hold: the device's own, and that of its owner's
    /// self-signing key.
    pub(crate) fn retain_signatures_that_hold(
        &mut self,
        user: &UserId,
        (device, self_signing): (&DeviceId, Option<(&str, &DeviceSigningKey)>),
    ) {
        let own = self.ed25519(device.as_str());
        let whole = self.0.clone();
        self.retain_signatures(user, |id, signature| {
            let Some(name) = id.strip_prefix("ed25519:") else { return false };
            let by = |key: &DeviceSigningKey| key.signed(&whole, signature);
            // Without a key that can be checked with here it is for other devices to judge.
            (name == device.as_str() && own.as_ref().is_none_or(by))
                || self_signing.is_some_and(|(signer, key)| signer == name && by(key))
        });
        // Identity keys have the field, be there any or none.
        let empty = || CanonicalJsonValue::Object(CanonicalJsonObject::new());
        self.0.entry("signatures".to_owned()).or_insert_with(empty);
    }

    /// Adds a signature.
    pub(crate) fn add_signature(&mut self, user: &UserId, key: &str, signature: &str) {
        let empty = || CanonicalJsonValue::Object(CanonicalJsonObject::new());
        let signatures = self.0.entry("signatures".to_owned()).or_insert_with(empty);
        let CanonicalJsonValue::Object(signatures) = signatures else { return };
        let of_user = signatures.entry(user.to_string()).or_insert_with(empty);
        let CanonicalJsonValue::Object(of_user) = of_user else { return };
        of_user.insert(key.to_owned(), CanonicalJsonValue::String(signature.to_owned()));
    }

    /// Sets `unsigned`, which signatures do not cover and which shown devices have, named or not.
    pub(crate) fn set_display_name(&mut self, name: Option<String>) {
        let field = |name| ("device_display_name".to_owned(), CanonicalJsonValue::String(name));
        let unsigned = name.map(field).into_iter().collect();
        self.0.insert("unsigned".to_owned(), CanonicalJsonValue::Object(unsigned));
    }

    /// Takes away what signatures do not cover.
    pub(crate) fn remove_unsigned(&mut self) {
        self.0.remove("unsigned");
    }

    /// Whether two objects say the same, whoever signed them.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        let said = |(key, _): &(&String, &CanonicalJsonValue)| {
            !["signatures", "unsigned"].contains(&key.as_str())
        };
        self.0.iter().filter(said).eq(other.0.iter().filter(said))
    }

    /// As canonical JSON.
    pub(crate) fn to_json(&self) -> String {
        // A canonical object always has a text.
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// The Ed25519 key of this name in `keys`. `None` when there is none, or none we can check with.
    pub(crate) fn ed25519(&self, name: &str) -> Option<DeviceSigningKey> {
        DeviceSigningKey::from_base64(self.ed25519_text(name)?)
    }

    /// The same as it was written.
    pub(crate) fn ed25519_text(&self, name: &str) -> Option<&str> {
        let keys = self.0.get("keys")?.as_object()?;
        keys.get(&format!("ed25519:{name}"))?.as_str()
    }
}

/// The identity keys of a device, as its owner uploads them. Their signatures are not checked here: what
/// does not hold is left out where they are stored, and every device looks for the signature itself.
pub(crate) fn device_keys(
    json: &RawValue,
    user: &UserId,
    device: &DeviceId,
) -> Result<SignedObject, ObjectError> {
    let object = SignedObject::parse(json)?;
    for field in ["user_id", "device_id", "algorithms", "keys", "signatures"] {
        if !object.0.contains_key(field) {
            return Err(ObjectError::Missing(field));
        }
    }
    if object.text("user_id")? != user.as_str() || object.text("device_id")? != device.as_str() {
        return Err(ObjectError::NotOwn);
    }
    check_identity(&object)?;
    Ok(object)
}

/// What the identity keys of any device look like.
pub(crate) fn check_identity(object: &SignedObject) -> Result<(), ObjectError> {
    let algorithms = object.object().get("algorithms").and_then(CanonicalJsonValue::as_array);
    let algorithms = algorithms.ok_or_else(|| malformed("`algorithms` is not a list"))?;
    if algorithms.iter().any(|name| name.as_str().is_none()) {
        return Err(malformed("`algorithms` holds something that is not a text"));
    }
    let keys = object.object().get("keys").and_then(CanonicalJsonValue::as_object);
    let keys = keys.ok_or_else(|| malformed("`keys` is not an object"))?;
    if keys.values().any(|key| key.as_str().is_none()) {
        return Err(malformed("`keys` holds something that is not a text"));
    }
    Ok(())
}

/// What a cross-signing key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    Master,
    SelfSigning,
    UserSigning,
}

impl Usage {
    /// Its name in `usage`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::SelfSigning => "self_signing",
            Self::UserSigning => "user_signing",
        }
    }

    /// Its place in `CROSS_SIGNING_KEY`.
    pub(crate) fn row(self) -> u8 {
        use vestibule_storage::tables::cross_signing::{MASTER, SELF_SIGNING, USER_SIGNING};
        match self {
            Self::Master => MASTER,
            Self::SelfSigning => SELF_SIGNING,
            Self::UserSigning => USER_SIGNING,
        }
    }
}

/// A cross-signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CrossSigningKey {
    pub(crate) object: SignedObject,
    /// Its public part, which is also its name.
    pub(crate) public: String,
    pub(crate) key: DeviceSigningKey,
}

/// A cross-signing key of a user. Its signatures are not checked here.
pub(crate) fn cross_signing_key(
    json: &RawValue,
    user: &UserId,
    usage: Usage,
) -> Result<CrossSigningKey, ObjectError> {
    let object = SignedObject::parse(json)?;
    if object.text("user_id")? != user.as_str() {
        return Err(ObjectError::NotOwn);
    }
    let usages = object.object().get("usage").and_then(CanonicalJsonValue::as_array);
    let named = |it: &CanonicalJsonValue| it.as_str() == Some(usage.name());
    if !usages.is_some_and(|usages| usages.iter().any(named)) {
        let message = format!("`usage` does not name `{}`", usage.name());
        return Err(ObjectError::Malformed(message));
    }
    let public = only_key(&object)?.to_owned();
    let key = object.ed25519(&public);
    let key = key.ok_or_else(|| malformed("the key is not an Ed25519 key in base64"))?;
    Ok(CrossSigningKey { object, public, key })
}

/// The public part of the one key of a cross-signing key, which must also be its name.
fn only_key(object: &SignedObject) -> Result<&str, ObjectError> {
    let keys = object.object().get("keys").and_then(CanonicalJsonValue::as_object);
    let mut keys = keys.ok_or_else(|| malformed("`keys` is not an object"))?.iter();
    let (Some((id, key)), None) = (keys.next(), keys.next()) else {
        return Err(malformed("`keys` must hold exactly one key"));
    };
    let name = id.strip_prefix("ed25519:").ok_or_else(|| malformed("the key is not Ed25519"))?;
    if key.as_str() != Some(name) {
        return Err(malformed("the name of the key is not its public part"));
    }
    Ok(name)
}

/// How the names of algorithms begin whose keys devices sign.
pub(crate) const SIGNED: &str = "signed_";

/// A one-time or fallback key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OneTimeKey {
    pub(crate) algorithm: String,
    pub(crate) name: String,
    /// As canonical JSON.
    pub(crate) json: String,
}

impl OneTimeKey {
    /// What the key says, whoever signed it.
    pub(crate) fn unsigned(&self) -> Self {
        let mut bare = self.clone();
        if let Some(mut object) = SignedObject::stored(&self.json) {
            object.0.remove("signatures");
            bare.json = object.to_json();
        }
        bare
    }
}

/// A one-time or fallback key under its id, `algorithm:name`. Where the device's key is known, a signature
/// of the device that does not hold is left out.
pub(crate) fn one_time_key(
    id: &str,
    json: &RawValue,
    (user, device, key): (&UserId, &DeviceId, Option<&DeviceSigningKey>),
) -> Result<OneTimeKey, ObjectError> {
    let (algorithm, name) = id.split_once(':').ok_or_else(|| malformed("a key id has a colon"))?;
    if algorithm.is_empty() || algorithm.len().max(name.len()) > KEY_NAME_BYTES_MAX {
        return Err(malformed("a key id is too long or too short"));
    }
    let text = json.get().trim();
    let json = if text.starts_with('"') {
        if text.len() > KEY_OBJECT_BYTES_MAX {
            return Err(malformed("the key is too large"));
        }
        text.to_owned()
    } else {
        let mut object = SignedObject::parse(json)?;
        // Identity keys that come later say whether it holds.
        if let Some(key) = key {
            object.drop_forged(user, (device, key));
        }
        object.to_json()
    };
    Ok(OneTimeKey { algorithm: algorithm.to_owned(), name: name.to_owned(), json })
}
