//! Logging in.

use std::{net::IpAddr, time::Duration};

use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use tracing::instrument;
use vestibule_storage::{
    StorageError, Tx,
    tables::account::{StoredAccountState, TokenDigest},
};
use vestibule_types::{Secret, limits};

use super::{
    Minted, NewSession, login_token,
    open::{is_device_id, is_named_like_a_key},
};
use crate::{
    Accounts,
    contact::{canonical_email, owner},
    facts,
    password::HasherBusy,
    service::counted_address,
    session::open_and_tell,
    uia::UiaError,
    username::named_user,
};

/// A login.
#[derive(Clone, Debug)]
pub struct LogIn {
    /// How somebody proves who they are.
    pub proof: LogInProof,
    /// The device to use again, or to make under this name.
    pub device_id: Option<OwnedDeviceId>,
    /// The name of a new device.
    pub initial_device_display_name: Option<String>,
    /// Whether the client can refresh its token.
    pub refresh_token: bool,
    /// Where the request comes from.
    pub peer: IpAddr,
}

/// How somebody who logs in proves who they are.
#[derive(Clone, Debug)]
pub enum LogInProof {
    /// With a password.
    Password {
        /// Whose it is said to be.
        user: Named,
        /// The password.
        password: Secret,
    },
    /// With a token that somebody who is logged in asked for.
    Token(Secret),
}

/// How somebody is named by a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// By a localpart or a full identifier.
    User(String),
    /// By an e-mail address of theirs.
    Email(String),
    /// In a way that fits nobody here, such as a telephone number.
    Nobody,
}

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    /// No such account, or not its password.
    #[error("the user name or the password is not right")]
    Wrong,
    /// The login token was used, ended, or never was.
    #[error("the login token is not valid")]
    Token,
    /// The account is locked.
    #[error("this account is locked")]
    Locked,
    /// The device identifier cannot be one.
    #[error("this cannot be a device identifier")]
    DeviceId,
    /// The device would be taken for a cross-signing key of the account.
    #[error("a cross-signing key has this name, so that no device can have it")]
    KeyId,
    /// Too many logins.
    #[error("too many attempts")]
    Limited(Duration),
    /// Too many passwords are being checked.
    #[error(transparent)]
    Busy(#[from] HasherBusy),
    /// The session could not be stored.
    #[error("could not store the session")]
    Storage(#[from] StorageError),
}

impl Accounts {
    /// Logs in.
    #[instrument(name = "accounts.session.log_in", skip_all)]
    pub async fn log_in(&self, command: LogIn) -> Result<NewSession, LogInError> {
        if let Some(address) = counted_address(command.peer) {
            let now = self.0.monotonic();
            self.0.throttles.logins.charge(&address, now).map_err(LogInError::Limited)?;
        }
        if command.device_id.as_ref().is_some_and(|device_id| !is_device_id(device_id)) {
            return Err(LogInError::DeviceId);
        }
        let (user_id, spent) = match command.proof {
            LogInProof::Password { user, password } => {
                (self.prove_login(&user, password, command.peer).await?, None)
            }
            LogInProof::Token(token) => {
                let found = self.login_token_user(&token).await?;
                let (user_id, digest) = found.ok_or(LogInError::Token)?;
                (user_id, Some(digest))
            }
        };
        let minted = self.mint(command.device_id, command.refresh_token);
        let name = command.initial_device_display_name;
        let login = Login { user_id: user_id.clone(), spent, tokens: minted.clone(), name };
        self.0.write(&user_id, move |tx| login.write(tx)).await?;
        self.0.sightings.note_arrival(&user_id, &minted, command.peer);
        Ok(minted.into_session(user_id))
    }

    /// Whose login this is, if the password fits.
    async fn prove_login(
        &self,
        user: &Named,
        password: Secret,
        peer: IpAddr,
    ) -> Result<OwnedUserId, LogInError> {
        let Some(user_id) = self.whom(user).await? else {
            self.0.passwords.verify(password, None).await?;
            return Err(LogInError::Wrong);
        };
        if password.expose().len() > limits::PASSWORD_BYTES_MAX {
            return Err(LogInError::Wrong);
        }
        match self.password_fits(&user_id, password, peer).await {
            Ok(true) => Ok(user_id),
            Ok(false)
            | Err(UiaError::Challenge(_) | UiaError::OtherOperation | UiaError::OtherUser) => {
                Err(LogInError::Wrong)
            }
            Err(UiaError::Limited(wait)) => Err(LogInError::Limited(wait)),
            Err(UiaError::Busy(busy)) => Err(busy.into()),
            Err(UiaError::Storage(error)) => Err(error.into()),
        }
    }

    /// Whom a client means.
    pub(crate) async fn whom(&self, named: &Named) -> Result<Option<OwnedUserId>, StorageError> {
        match named {
            Named::User(name) => Ok(named_user(name, &self.0.config.server_name)),
            Named::Email(address) => {
                let Some(address) = canonical_email(address) else { return Ok(None) };
                self.0.store.read(move |read| owner(read, &address)).await
            }
            Named::Nobody => Ok(None),
        }
    }
}

/// What the write needs, drawn beforehand.
struct Login {
    user_id: OwnedUserId,
    /// The login token it uses up.
    spent: Option<TokenDigest>,
    tokens: Minted,
    name: Option<String>,
}

impl Login {
    fn write(&self, tx: &mut Tx<'_>) -> Result<(), LogInError> {
        let user_id: &UserId = &self.user_id;
        let account = facts::account(tx, user_id)?.ok_or(LogInError::Wrong)?;
        match account.state {
            StoredAccountState::Deactivated => return Err(LogInError::Wrong),
            StoredAccountState::Locked | StoredAccountState::LockedWhileSuspended => {
                return Err(LogInError::Locked);
            }
            StoredAccountState::Active | StoredAccountState::Suspended => {}
        }
        if is_named_like_a_key(tx, user_id, &self.tokens.device_id)? {
            return Err(LogInError::KeyId);
        }
        if let Some(token) = self.spent
            && !login_token::spend(tx, token)?
        {
            return Err(LogInError::Token);
        }
        Ok(open_and_tell(tx, user_id, &self.tokens, self.name.as_deref())?)
    }
}
