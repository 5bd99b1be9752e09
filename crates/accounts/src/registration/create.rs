//! Writing the row of a new account, and the operator's road to one.

use ruma::{OwnedUserId, UserId};
use tracing::instrument;
use vestibule_policy::shown_name;
use vestibule_storage::{
    StorageError, Tx,
    tables::{
        account::{
            ACCOUNT_BY_CLASS, ACCOUNT_BY_ID, ADMIN_COUNT, StoredAccount, StoredAccountState,
        },
        user_data::PROFILE_FIELD,
    },
};
use vestibule_types::{ClassName, Secret};

use crate::{
    Accounts,
    account::PasswordError,
    facts::DISPLAYNAME,
    password::HasherBusy,
    username::{UsernameError, new_user_id},
};

/// An account made by the operator.
#[derive(Clone, Debug)]
pub struct CreateAccount {
    /// The localpart.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// The class.
    pub class: ClassName,
    /// The display name.
    pub displayname: Option<String>,
}

/// Why the operator's account was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateAccountError {
    /// The name cannot be had.
    #[error(transparent)]
    Username(#[from] UsernameError),
    /// The name is or was somebody's.
    #[error("the user name is taken")]
    Taken,
    /// The password is not good enough.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// No such class, or it is not one that accounts are given.
    #[error("there is no class {0} that an account can be given")]
    Class(ClassName),
    /// Too many passwords are being hashed.
    #[error(transparent)]
    Busy(#[from] HasherBusy),
    /// The account could not be stored.
    #[error("could not store the account")]
    Storage(#[from] StorageError),
}

/// What a new account begins as.
#[derive(Clone, Debug)]
pub(crate) struct NewAccount {
    pub(crate) user_id: OwnedUserId,
    pub(crate) class: ClassName,
    pub(crate) password: Option<String>,
    pub(crate) displayname: Option<String>,
    /// What the class appends to names.
    pub(crate) name_suffix: Option<String>,
    pub(crate) now: u64,
}

impl NewAccount {
    /// Writes the account, unless the name is or was somebody's.
    pub(crate) fn write(&self, tx: &mut Tx<'_>) -> Result<bool, StorageError> {
        if ACCOUNT_BY_ID.get(tx, (&*self.user_id,))?.is_some() {
            return Ok(false);
        }
        let account = StoredAccount {
            class: self.class.clone(),
            state: StoredAccountState::Active,
            password: self.password.clone(),
            created_at: self.now,
            deactivated_at: None,
            erased: false,
            appservice: None,
        };
        put_account(tx, &self.user_id, None, &account)?;
        let name = match (&self.displayname, &self.name_suffix) {
            (name, Some(suffix)) => {
                Some(shown_name(name.as_deref(), self.user_id.localpart(), suffix))
            }
            (name, None) => name.clone(),
        };
        if let Some(name) = name {
            let json = serde_json::Value::from(name).to_string();
            PROFILE_FIELD.put(tx, (&*self.user_id, DISPLAYNAME), &json)?;
        }
        Ok(true)
    }
}

/// Writes an account and everything that is counted or listed by its class and state.
pub(crate) fn put_account(
    tx: &mut Tx<'_>,
    user_id: &UserId,
    before: Option<&StoredAccount>,
    account: &StoredAccount,
) -> Result<(), StorageError> {
    if let Some(before) = before
        && before.class != account.class
    {
        ACCOUNT_BY_CLASS.delete(tx, (&before.class, user_id))?;
    }
    ACCOUNT_BY_CLASS.put(tx, (&account.class, user_id), &())?;
    let (was, is) = (before.is_some_and(is_admin), is_admin(account));
    if was != is {
        let admins = ADMIN_COUNT.get(tx, (0,))?.unwrap_or_default();
        let admins = if is { admins.saturating_add(1) } else { admins.saturating_sub(1) };
        ADMIN_COUNT.put(tx, (0,), &admins)?;
    }
    ACCOUNT_BY_ID.put(tx, (user_id,), account)
}

fn is_admin(account: &StoredAccount) -> bool {
    account.class.is_admin() && account.state != StoredAccountState::Deactivated
}

impl Accounts {
    /// Makes an account for the operator, of any class that accounts are given.
    #[instrument(name = "accounts.registration.create_account", skip_all)]
    pub async fn create_account(
        &self,
        command: CreateAccount,
    ) -> Result<OwnedUserId, CreateAccountError> {
        let user_id = new_user_id(&command.username, self.server_name())?;
        if !self.is_assignable(&command.class) {
            return Err(CreateAccountError::Class(command.class));
        }
        self.check_password(&command.password)?;
        let password = Some(self.0.passwords.hash(command.password).await?);
        let account = NewAccount {
            user_id: user_id.clone(),
            name_suffix: self.name_suffix(&command.class),
            class: command.class,
            password,
            displayname: command.displayname,
            now: self.0.now_ms(),
        };
        let written = self.0.write(&user_id, move |tx| account.write(tx)).await?;
        if written { Ok(user_id) } else { Err(CreateAccountError::Taken) }
    }
}
