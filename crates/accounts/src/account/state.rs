//! Locking and suspending accounts (client-server API, "Account moderation").

use ruma::{OwnedUserId, UserId};
use tracing::instrument;
use vestibule_storage::{
    Read, StorageError, Tx,
    tables::{
        account::{StoredAccount, StoredAccountState},
        moderation::{StoredModerationAct, StoredModerationKind},
    },
};

use super::{Assigner, moderation_log};
use crate::{Accounts, facts, registration::put_account, session::wake};

/// What is put upon an account, and taken off it again. One does not touch the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restraint {
    /// Its sessions stay, and may do nothing but log out.
    Lock,
    /// It may read, leave, and do little else.
    Suspension,
}

/// A restraint for an account.
#[derive(Clone, Debug)]
pub struct Restrain {
    /// Whose.
    pub user_id: OwnedUserId,
    /// Which.
    pub restraint: Restraint,
    /// Whether it is put on, or taken off.
    pub on: bool,
}

/// Why an account is not restrained, or nothing is told of it.
#[derive(Debug, thiserror::Error)]
pub enum RestrainError {
    /// The user is another server's.
    #[error("this user does not belong to this server")]
    Foreign,
    /// There is no such account, or it is deactivated.
    #[error("there is no such account")]
    UnknownUser,
    /// Nobody restrains themselves.
    #[error("this is your own account")]
    Oneself,
    /// Admins are not restrained; their class is taken away first.
    #[error("an admin cannot be suspended or locked")]
    Admin,
    /// The account could not be read or stored.
    #[error("could not read or store the account")]
    Storage(#[from] StorageError),
}

/// A restraint, ready to be written.
struct Change {
    command: Restrain,
    by: Option<OwnedUserId>,
    now: u64,
}

impl Accounts {
    /// Puts a restraint upon an account or takes it off. Its sessions stay and act by it at once.
    #[instrument(name = "accounts.account.restrain", skip_all)]
    pub async fn restrain(&self, by: &Assigner, command: Restrain) -> Result<(), RestrainError> {
        let by = match by {
            Assigner::Operator => None,
            Assigner::Admin(actor) => Some(actor.user_id().to_owned()),
        };
        self.check_local(&command.user_id)?;
        if by.as_ref() == Some(&command.user_id) {
            return Err(RestrainError::Oneself);
        }
        let user_id = command.user_id.clone();
        let kind = kind(&command);
        let change = Change { command, by, now: self.0.now_ms() };
        let changed = self.0.write(&user_id, move |tx| change.write(tx)).await?;
        if changed {
            metrics::counter!("vestibule_account_moderation_total", "act" => name(kind))
                .increment(1);
        }
        Ok(())
    }

    /// Whether an account is under a restraint, for an admin.
    #[instrument(name = "accounts.account.is_restrained", skip_all)]
    pub async fn is_restrained(
        &self,
        by: &UserId,
        user_id: &UserId,
        restraint: Restraint,
    ) -> Result<bool, RestrainError> {
        self.check_local(user_id)?;
        let (user, own) = (user_id.to_owned(), by == user_id);
        self.0
            .store
            .read(move |read| {
                let account = live(read, &user)?;
                if account.class.is_admin() && !own {
                    return Err(RestrainError::Admin);
                }
                let (locked, suspended) = restraints(account.state);
                Ok(match restraint {
                    Restraint::Lock => locked,
                    Restraint::Suspension => suspended,
                })
            })
            .await
    }

    fn check_local(&self, user_id: &UserId) -> Result<(), RestrainError> {
        let local = user_id.server_name() == self.server_name();
        if local { Ok(()) } else { Err(RestrainError::Foreign) }
    }

    /// The row of an account; `None` when there is none.
    pub async fn account(&self, user_id: &UserId) -> Result<Option<StoredAccount>, StorageError> {
        let user_id = user_id.to_owned();
        self.0.store.read(move |read| facts::account(read, &user_id)).await
    }
}

impl Change {
    /// Writes the new state and notes the act; `false` when the state was so already.
    fn write(&self, tx: &mut Tx<'_>) -> Result<bool, RestrainError> {
        let Restrain { user_id, restraint, on } = &self.command;
        let before = live(tx, user_id)?;
        if before.class.is_admin() && *on {
            return Err(RestrainError::Admin);
        }
        let (locked, suspended) = restraints(before.state);
        let state = match restraint {
            Restraint::Lock => state(*on, suspended),
            Restraint::Suspension => state(locked, *on),
        };
        if state == before.state {
            return Ok(false);
        }
        let after = StoredAccount { state, ..before.clone() };
        put_account(tx, user_id, Some(&before), &after)?;
        wake(tx, user_id)?;
        let act = StoredModerationAct {
            at: self.now,
            by: self.by.clone(),
            user_id: user_id.clone(),
            kind: kind(&self.command),
        };
        moderation_log::note(tx, &act)?;
        Ok(true)
    }
}

/// The row of an account that is not deactivated.
fn live(read: &impl Read, user_id: &UserId) -> Result<StoredAccount, RestrainError> {
    let account = facts::account(read, user_id)?;
    account
        .filter(|account| account.state != StoredAccountState::Deactivated)
        .ok_or(RestrainError::UnknownUser)
}

/// Whether an account in this state is locked, and whether it is suspended.
fn restraints(state: StoredAccountState) -> (bool, bool) {
    match state {
        StoredAccountState::Active | StoredAccountState::Deactivated => (false, false),
        StoredAccountState::Suspended => (false, true),
        StoredAccountState::Locked => (true, false),
        StoredAccountState::LockedWhileSuspended => (true, true),
    }
}

fn state(locked: bool, suspended: bool) -> StoredAccountState {
    match (locked, suspended) {
        (false, false) => StoredAccountState::Active,
        (false, true) => StoredAccountState::Suspended,
        (true, false) => StoredAccountState::Locked,
        (true, true) => StoredAccountState::LockedWhileSuspended,
    }
}

fn kind(command: &Restrain) -> StoredModerationKind {
    match (command.restraint, command.on) {
        (Restraint::Lock, true) => StoredModerationKind::Lock,
        (Restraint::Lock, false) => StoredModerationKind::Unlock,
        (Restraint::Suspension, true) => StoredModerationKind::Suspend,
        (Restraint::Suspension, false) => StoredModerationKind::Unsuspend,
    }
}

/// The word for an act in metrics and answers.
pub(super) fn name(kind: StoredModerationKind) -> &'static str {
    match kind {
        StoredModerationKind::Lock => "lock",
        StoredModerationKind::Unlock => "unlock",
        StoredModerationKind::Suspend => "suspend",
        StoredModerationKind::Unsuspend => "unsuspend",
        StoredModerationKind::Deactivate => "deactivate",
    }
}
