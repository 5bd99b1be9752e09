//! Logging in with a password.

use std::{net::IpAddr, time::Duration};

use ruma::{OwnedDeviceId, OwnedUserId};
use tracing::instrument;
use vestibule_storage::{StorageError, tables::account::StoredAccountState};
use vestibule_types::{Secret, limits};

use super::{
    NewSession,
    open::{is_device_id, is_named_like_a_key},
};
use crate::{
    Accounts, facts, password::HasherBusy, service::counted_address, session::open, uia::UiaError,
    username::named_user,
};

/// A login with a password.
#[derive(Clone, Debug)]
pub struct LogIn {
    /// A localpart or a full identifier; `None` when somebody was named in a way that fits nobody
    /// here, such as an email address.
    pub user: Option<String>,
    /// The password.
    pub password: Secret,
    /// The device to use again, or to make under this name.
    pub device_id: Option<OwnedDeviceId>,
    /// The name of a new device.
    pub initial_device_display_name: Option<String>,
    /// Whether the client can refresh its token.
    pub refresh_token: bool,
    /// Where the request comes from.
    pub peer: IpAddr,
}

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    /// No such account, or not its password.
    #[error("the user name or the password is not right")]
    Wrong,
    /// The account is locked.
    #[error("this account is locked")]
    Locked,
    /// The device identifier cannot be one.
    #[error("this cannot be a device identifier")]
    DeviceId,
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
    /// Logs in with a password.
    #[instrument(name = "accounts.session.log_in", skip_all)]
    pub async fn log_in(&self, command: LogIn) -> Result<NewSession, LogInError> {
        if let Some(address) = counted_address(command.peer) {
            let now = self.0.monotonic();
            self.0.throttles.logins.charge(&address, now).map_err(LogInError::Limited)?;
        }
        if command.device_id.as_ref().is_some_and(|device_id| !is_device_id(device_id)) {
            return Err(LogInError::DeviceId);
        }
        let user_id = self.prove_login(&command).await?;
        let minted = self.mint(command.device_id, command.refresh_token);
        let (user, tokens) = (user_id.clone(), minted.clone());
        let name = command.initial_device_display_name;
        self.0
            .write(&user_id, move |tx| {
                let account = facts::account(tx, &user)?.ok_or(LogInError::Wrong)?;
                match account.state {
                    StoredAccountState::Deactivated => Err(LogInError::Wrong),
                    StoredAccountState::Locked => Err(LogInError::Locked),
                    StoredAccountState::Active | StoredAccountState::Suspended => {
                        if is_named_like_a_key(tx, &user, &tokens.device_id)? {
                            return Err(LogInError::DeviceId);
                        }
                        Ok(open(tx, &user, &tokens, name.as_deref())?)
                    }
                }
            })
            .await?;
        Ok(minted.into_session(user_id))
    }

    /// Whose login this is, if the password fits.
    async fn prove_login(&self, command: &LogIn) -> Result<OwnedUserId, LogInError> {
        let server_name = &self.0.config.server_name;
        let named = command.user.as_deref().and_then(|user| named_user(user, server_name));
        let Some(user_id) = named else {
            self.0.passwords.verify(command.password.clone(), None).await?;
            return Err(LogInError::Wrong);
        };
        if command.password.expose().len() > limits::PASSWORD_BYTES_MAX {
            return Err(LogInError::Wrong);
        }
        let fits = self.password_fits(&user_id, command.password.clone(), command.peer).await;
        match fits {
            Ok(true) => Ok(user_id),
            Ok(false) | Err(UiaError::Challenge(_)) => Err(LogInError::Wrong),
            Err(UiaError::Limited(wait)) => Err(LogInError::Limited(wait)),
            Err(UiaError::Busy(busy)) => Err(busy.into()),
            Err(UiaError::Storage(error)) => Err(error.into()),
        }
    }
}
