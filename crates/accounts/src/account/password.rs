//! Passwords: how good one must be, and changing it.

use std::net::IpAddr;

use ruma::{OwnedDeviceId, UserId};
use tracing::instrument;
use vestibule_storage::{
    StorageError, Tx,
    tables::account::{ACCOUNT_BY_ID, StoredAccountState},
};
use vestibule_types::{Actor, Secret, limits};

use crate::{
    Accounts, ValidationPurpose,
    contact::{ProvenEmail, consume, owner},
    facts,
    password::HasherBusy,
    session::close_all,
    token,
    uia::{Attempt, Question, Stage, UiaError},
};

/// Why a password is not good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short.
    #[error("the password is too short")]
    Weak,
    /// Too long.
    #[error("the password is too long")]
    TooLong,
}

/// A change of the own password.
#[derive(Clone, Debug)]
pub struct ChangePassword {
    /// The new password.
    pub new_password: Secret,
    /// Whether all other devices are logged out.
    pub logout_devices: bool,
    /// The interactive authentication so far.
    pub attempt: Option<Attempt>,
    /// Where the request comes from.
    pub peer: IpAddr,
}

/// Why a password was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangePasswordError {
    /// The new one is not good enough.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Without a login there is no way to prove oneself on this server.
    #[error("a login is needed")]
    LoginNeeded,
    /// The session that proved the e-mail address is over or was used.
    #[error("the e-mail address is not proven any more")]
    EmailSpent,
    /// Guests have no password.
    #[error("this account has no password")]
    NoPassword,
    /// There is no such account.
    #[error("there is no such account")]
    UnknownUser,
    /// There is more to prove, or the proof could not be checked.
    #[error(transparent)]
    Uia(#[from] UiaError),
    /// Too many passwords are being hashed.
    #[error(transparent)]
    Busy(#[from] HasherBusy),
    /// The password could not be stored.
    #[error("could not store the password")]
    Storage(#[from] StorageError),
}

impl Accounts {
    /// Whether a password is good enough.
    pub(crate) fn check_password(&self, password: &Secret) -> Result<(), PasswordError> {
        match password.expose().len() {
            length if length < self.0.config.limits.password_bytes_min => Err(PasswordError::Weak),
            length if length > limits::PASSWORD_BYTES_MAX => Err(PasswordError::TooLong),
            _ => Ok(()),
        }
    }

    /// Changes the caller's password. They prove themselves by the old one, or by an e-mail address of
    /// the account.
    #[instrument(name = "accounts.account.change_password", skip_all)]
    pub async fn change_password(
        &self,
        actor: &Actor,
        command: ChangePassword,
    ) -> Result<(), ChangePasswordError> {
        self.check_password(&command.new_password)?;
        let user_id = actor.user_id();
        let mut flows = self.owner_flows(user_id).await?;
        if self.has_email() && !self.contacts(user_id).await?.is_empty() {
            flows.push(vec![Stage::Email]);
        }
        let email_for = Some(ValidationPurpose::Password);
        let question = Question::of_owner("change password", flows, user_id, command.peer);
        let question = Question { email_for, ..question };
        let granted = self.authenticate(&question, command.attempt).await?;
        let log_out = match (command.logout_devices, actor.device_id()) {
            (false, _) => LogOut::Nobody,
            (true, Some(device)) => LogOut::AllBut(device.to_owned()),
            (true, None) => LogOut::All,
        };
        let change = Change { log_out, spent: granted.email };
        self.store_password(user_id, command.new_password, change).await
    }

    /// Sets a new password for the account whose e-mail address the caller proves to have.
    #[instrument(name = "accounts.account.reset_password", skip_all)]
    pub async fn reset_password(&self, command: ChangePassword) -> Result<(), ChangePasswordError> {
        if !self.has_email() {
            return Err(ChangePasswordError::LoginNeeded);
        }
        self.check_password(&command.new_password)?;
        let question = Question {
            operation: token::digest("reset password"),
            flows: vec![vec![Stage::Email]],
            caller: None,
            email_for: Some(ValidationPurpose::Password),
            peer: command.peer,
        };
        let granted = self.authenticate(&question, command.attempt).await?;
        let owner = granted.email.as_ref().and_then(|email| email.owner.clone());
        let user_id = owner.ok_or(ChangePasswordError::UnknownUser)?;
        let log_out = if command.logout_devices { LogOut::All } else { LogOut::Nobody };
        let change = Change { log_out, spent: granted.email };
        self.store_password(&user_id, command.new_password, change).await
    }

    /// Sets somebody's password for the operator; logs all devices out if asked to.
    #[instrument(name = "accounts.account.set_password", skip_all)]
    pub async fn set_password(
        &self,
        user_id: &UserId,
        password: Secret,
        logout_devices: bool,
    ) -> Result<(), ChangePasswordError> {
        self.check_password(&password)?;
        let log_out = if logout_devices { LogOut::All } else { LogOut::Nobody };
        self.store_password(user_id, password, Change { log_out, spent: None }).await
    }

    /// Stores a password.
    async fn store_password(
        &self,
        user_id: &UserId,
        password: Secret,
        change: Change,
    ) -> Result<(), ChangePasswordError> {
        let hash = self.0.passwords.hash(password).await?;
        let (user, now) = (user_id.to_owned(), self.0.now_ms());
        self.0
            .write(user_id, move |tx| {
                if let Some(email) = &change.spent {
                    spend(tx, &user, (email, now))?;
                }
                put_password(tx, &user, &hash)?;
                match &change.log_out {
                    LogOut::Nobody => Ok(()),
                    LogOut::All => Ok(close_all(tx, &user, None)?),
                    LogOut::AllBut(device) => Ok(close_all(tx, &user, Some(device))?),
                }
            })
            .await
    }
}

/// What a new password brings with it.
struct Change {
    log_out: LogOut,
    /// The proven address it uses up.
    spent: Option<ProvenEmail>,
}

/// Uses a proven address up; it has to be the account's still.
fn spend(
    tx: &mut Tx<'_>,
    user_id: &UserId,
    (email, now): (&ProvenEmail, u64),
) -> Result<(), ChangePasswordError> {
    let own = owner(tx, &email.address)?.as_deref() == Some(user_id);
    if own && consume(tx, email, now)? { Ok(()) } else { Err(ChangePasswordError::EmailSpent) }
}

/// Whose sessions a new password ends.
enum LogOut {
    Nobody,
    All,
    AllBut(OwnedDeviceId),
}

fn put_password(tx: &mut Tx<'_>, user_id: &UserId, hash: &str) -> Result<(), ChangePasswordError> {
    let account = facts::account(tx, user_id)?;
    let mut account = account
        .filter(|account| account.state != StoredAccountState::Deactivated)
        .ok_or(ChangePasswordError::UnknownUser)?;
    if account.class.is_guest() {
        return Err(ChangePasswordError::NoPassword);
    }
    account.password = Some(hash.to_owned());
    Ok(ACCOUNT_BY_ID.put(tx, (user_id,), &account)?)
}
