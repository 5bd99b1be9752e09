//! `/_synapse/admin/v1/register`: making accounts with a secret that is shared with the server.

use std::time::Duration;

use hmac::{Hmac, Mac};
use ruma::OwnedUserId;
use sha1::Sha1;
use tracing::instrument;
use vestibule_storage::StorageError;
use vestibule_types::{ClassName, Secret, limits};

use super::{CreateAccount, CreateAccountError};
use crate::{Accounts, NewSession, session};

/// How long a nonce is good.
const NONCE_LIFE: Duration = Duration::from_mins(1);

/// An account made with the shared secret.
#[derive(Clone, Debug)]
pub struct RegisterShared {
    /// The nonce this server gave out.
    pub nonce: String,
    /// The localpart.
    pub username: String,
    /// The display name.
    pub displayname: Option<String>,
    /// The password.
    pub password: Secret,
    /// Whether the account is an admin's.
    pub admin: bool,
    /// Part of what is signed; means nothing here.
    pub user_type: Option<String>,
    /// The HMAC-SHA1 of it all, in hexadecimal.
    pub mac: String,
}

/// Why the account was not made.
#[derive(Debug, thiserror::Error)]
pub enum RegisterSharedError {
    /// There is no shared secret.
    #[error("shared-secret registration is not enabled")]
    Off,
    /// The nonce is unknown, old or was used.
    #[error("the nonce is not valid")]
    Nonce,
    /// The HMAC does not fit.
    #[error("the HMAC is not right")]
    Mac,
    /// The account could not be made.
    #[error(transparent)]
    Create(#[from] CreateAccountError),
    /// Its session could not be stored.
    #[error("could not store the session")]
    Storage(#[from] StorageError),
}

impl Accounts {
    /// A nonce for one registration; `None` without a shared secret.
    #[must_use]
    pub fn registration_nonce(&self) -> Option<String> {
        self.0.config.registration.shared_secret.as_ref()?;
        let nonce = self.0.environment.random_text(b"0123456789abcdef", 64);
        let now = self.0.monotonic();
        let mut nonces = self.0.nonces.lock();
        nonces.retain(|_, until| *until > now);
        if nonces.len() >= limits::NONCES_MAX {
            nonces.pop_first();
        }
        nonces.insert(nonce.clone(), now + NONCE_LIFE);
        Some(nonce)
    }

    /// Makes an account with the shared secret.
    #[instrument(name = "accounts.registration.register_shared", skip_all)]
    pub async fn register_shared(
        &self,
        command: RegisterShared,
    ) -> Result<(OwnedUserId, NewSession), RegisterSharedError> {
        let secret = self.0.config.registration.shared_secret.as_ref();
        let secret = secret.ok_or(RegisterSharedError::Off)?;
        let until = self.0.nonces.lock().remove(&command.nonce);
        if until.is_none_or(|until| until <= self.0.monotonic()) {
            return Err(RegisterSharedError::Nonce);
        }
        if !mac_fits(secret, &command) {
            return Err(RegisterSharedError::Mac);
        }
        let class = if command.admin { ClassName::admin() } else { ClassName::member() };
        let user_id = self
            .create_account(CreateAccount {
                username: command.username,
                password: command.password,
                class,
                displayname: command.displayname,
            })
            .await?;
        let minted = self.mint(None, false);
        let (user, tokens) = (user_id.clone(), minted.clone());
        self.0.write(&user_id, move |tx| session::open(tx, &user, &tokens, None)).await?;
        Ok((user_id.clone(), minted.into_session(user_id)))
    }
}

fn mac_fits(secret: &Secret, command: &RegisterShared) -> bool {
    let Some(given) = decode_hex(&command.mac) else { return false };
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes()) else {
        return false;
    };
    let admin = if command.admin { "admin" } else { "notadmin" };
    let mut parts =
        vec![command.nonce.as_str(), &command.username, command.password.expose(), admin];
    parts.extend(command.user_type.as_deref());
    mac.update(parts.join("\0").as_bytes());
    mac.verify_slice(&given).is_ok()
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 40 || !text.is_ascii() {
        return None;
    }
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
