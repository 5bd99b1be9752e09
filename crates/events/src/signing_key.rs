//! The key this server signs with.

use std::fmt;

use base64::{
    Engine, alphabet,
    engine::{
        DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD_NO_PAD,
    },
};
use ed25519_dalek::Signer;
use ruma::{
    AnyKeyName, CanonicalJsonObject, OwnedServerSigningKeyId, OwnedSigningKeyId, ServerName,
    signatures::{self, KeyPair, Signature},
};

/// Reads keys with and without padding, and those whose last character carries stray bits, as the
/// specification's own example does.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An Ed25519 key with the name other servers know it by.
pub struct SigningKey {
    inner: ed25519_dalek::SigningKey,
    key_id: OwnedServerSigningKeyId,
    // The same id, in the type that signatures carry.
    any_key_id: OwnedSigningKeyId<AnyKeyName>,
}

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Key names consist of ASCII letters, digits and underscores.
    #[error("the key name {0:?} is not made of letters, digits and underscores")]
    BadName(String),
    /// The text is not `ed25519 <name> <32 bytes in base64>`.
    #[error("the key is not of the form `ed25519 <name> <base64>`")]
    BadText,
    /// The object to sign has a `signatures` field that is no object.
    #[error("cannot sign: {0}")]
    BadObject(String),
}

impl SigningKey {
    /// A key from 32 random bytes, under a name such as `a_1`.
    pub fn from_seed(seed: [u8; 32], name: &str) -> Result<Self, KeyError> {
        let bad_name = || KeyError::BadName(name.to_owned());
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(allowed) {
            return Err(bad_name());
        }
        let text = format!("ed25519:{name}");
        Ok(Self {
            inner: ed25519_dalek::SigningKey::from_bytes(&seed),
            key_id: text.as_str().try_into().map_err(|_| bad_name())?,
            any_key_id: text.as_str().try_into().map_err(|_| bad_name())?,
        })
    }

    /// Reads what [`Self::to_text`] wrote; other servers keep their keys in the same form.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let mut words = text.split_ascii_whitespace();
        let (Some("ed25519"), Some(name), Some(seed), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(KeyError::BadText);
        };
        let seed = LENIENT.decode(seed).map_err(|_| KeyError::BadText)?;
        Self::from_seed(seed.try_into().map_err(|_| KeyError::BadText)?, name)
    }

    /// The secret key as one line of text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let seed = STANDARD_NO_PAD.encode(self.inner.as_bytes());
        format!("ed25519 {} {seed}", self.name())
    }

    /// The 32 secret bytes.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.inner.to_bytes()
    }

    /// The name of the key, without `ed25519:`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.key_id.key_name().as_ref()
    }

    /// The id of the key, `ed25519:name`.
    #[must_use]
    pub fn key_id(&self) -> &OwnedServerSigningKeyId {
        &self.key_id
    }

    /// The public key as other servers are told it: base64 without padding.
    #[must_use]
    pub fn public_key(&self) -> String {
        STANDARD_NO_PAD.encode(self.inner.verifying_key().as_bytes())
    }

    /// Signs a JSON object in the name of a server; the signature is added to its `signatures`.
    pub fn sign_json(
        &self,
        server_name: &ServerName,
        object: &mut CanonicalJsonObject,
    ) -> Result<(), KeyError> {
        signatures::sign_json(server_name.as_str(), self, object)
            .map_err(|error| KeyError::BadObject(error.to_string()))
    }
}

impl KeyPair for SigningKey {
    fn sign(&self, message: &[u8]) -> Signature {
        Signature::new(self.any_key_id.clone(), self.inner.sign(message).to_bytes().to_vec())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}
