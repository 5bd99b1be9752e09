//! The token of a guest who has no rows: it says who they are, and is signed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use ruma::{OwnedDeviceId, OwnedUserId, ServerName};
use sha2::Sha256;
use vestibule_storage::{
    StorageError,
    tables::guest_token::{GUEST_TOKEN_KEY, StoredGuestTokenKey},
};
use vestibule_types::{Secret, limits};

use super::cut;
use crate::{
    Accounts,
    token::{self, GUEST},
    username::GUEST_PREFIX,
};

/// What the signature is of, so that the key signs nothing else by mistake.
const PURPOSE: &[u8] = b"vestibule guest token\0";
/// The only layout there is.
const VERSION: u8 = 1;
/// Characters of the name after its prefix.
pub(crate) const NAME_BYTES: usize = 16;
/// What such a name is made of.
pub(crate) const NAME_ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
const MAC_BYTES: usize = 32;

/// What a guest token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GuestToken {
    pub(crate) user_id: OwnedUserId,
    pub(crate) device_id: OwnedDeviceId,
    /// What the client called its device.
    pub(crate) device_name: Option<String>,
    /// In milliseconds since the Unix epoch.
    pub(crate) issued_at: u64,
    /// When it ends unless it was used, in milliseconds since the Unix epoch.
    pub(crate) ends_at: u64,
}

impl GuestToken {
    /// The token as text. `None` for a name that is no guest's.
    pub(crate) fn sign(&self, key: &StoredGuestTokenKey) -> Option<Secret> {
        let name = self.user_id.localpart().strip_prefix(GUEST_PREFIX)?;
        let device = self.device_id.as_str();
        if name.len() != NAME_BYTES || device.len() != token::DEVICE_ID_BYTES {
            return None;
        }
        let label = cut(
            self.device_name.as_deref().unwrap_or_default(),
            limits::GUEST_DEVICE_NAME_BYTES_MAX,
        );
        let mut bytes = vec![VERSION];
        bytes.extend(self.issued_at.to_be_bytes());
        bytes.extend(self.ends_at.to_be_bytes());
        for part in [name, device, &label] {
            bytes.extend(part.as_bytes());
        }
        let mac = mac(key, self.user_id.server_name(), &bytes)?.finalize().into_bytes();
        bytes.extend(mac);
        Some(Secret::new(format!("{GUEST}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// Reads a token that was signed with this key by this server. There is one text for one token.
    pub(crate) fn verify(
        token: &str,
        key: &StoredGuestTokenKey,
        server_name: &ServerName,
    ) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix(GUEST)?).ok()?;
        let (said, signature) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        mac(key, server_name, said)?.verify_slice(signature).ok()?;
        let (version, rest) = said.split_first()?;
        if *version != VERSION {
            return None;
        }
        let (issued_at, rest) = rest.split_first_chunk::<8>()?;
        let (ends_at, rest) = rest.split_first_chunk::<8>()?;
        let (name, rest) = rest.split_at_checked(NAME_BYTES)?;
        let (device, label) = rest.split_at_checked(token::DEVICE_ID_BYTES)?;
        let [name, device, label] = [text(name)?, text(device)?, text(label)?];
        Some(Self {
            user_id: OwnedUserId::try_from(format!("@{GUEST_PREFIX}{name}:{server_name}")).ok()?,
            device_id: device.into(),
            device_name: Some(label).filter(|label| !label.is_empty()).map(str::to_owned),
            issued_at: u64::from_be_bytes(*issued_at),
            ends_at: u64::from_be_bytes(*ends_at),
        })
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn mac(
    StoredGuestTokenKey(key): &StoredGuestTokenKey,
    server_name: &ServerName,
    said: &[u8],
) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for part in [PURPOSE, server_name.as_bytes(), b"\0", said] {
        mac.update(part);
    }
    Some(mac)
}

impl Accounts {
    /// Makes the key that guest tokens are signed with, unless there is one.
    pub async fn make_guest_key(&self) -> Result<(), StorageError> {
        self.guest_key().await.map(drop)
    }

    /// What guest tokens are signed with. It is made once, and outlives restarts.
    pub(crate) async fn guest_key(&self) -> Result<StoredGuestTokenKey, StorageError> {
        if let Some(key) = self.known_guest_key().await? {
            return Ok(key);
        }
        let drawn = StoredGuestTokenKey(self.0.environment.random_bytes());
        let slot = self.0.store.slot_of_user(&self.0.system_user);
        let written = self.0.store.write_apart(slot, move |tx| {
            let kept = GUEST_TOKEN_KEY.get(tx, (0,))?;
            if kept.is_none() {
                GUEST_TOKEN_KEY.put(tx, (0,), &drawn)?;
            }
            Ok::<_, StorageError>(kept.unwrap_or(drawn))
        });
        let key = written.await?.value;
        Ok(*self.0.guest_key.get_or_init(|| key))
    }

    /// The key, if there is one: without it no token was ever signed.
    pub(super) async fn known_guest_key(
        &self,
    ) -> Result<Option<StoredGuestTokenKey>, StorageError> {
        if let Some(key) = self.0.guest_key.get() {
            return Ok(Some(*key));
        }
        let kept = self.0.store.read(|read| GUEST_TOKEN_KEY.get(read, (0,))).await?;
        Ok(kept.map(|key| *self.0.guest_key.get_or_init(|| key)))
    }
}
