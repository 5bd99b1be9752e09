//! Ending somebody's account for them.

use ruma::OwnedUserId;
use tracing::instrument;
use vestibule_storage::{
    StorageError,
    tables::{
        account::StoredAccountState,
        moderation::{StoredModerationAct, StoredModerationKind},
    },
};

use super::{Assigner, DeactivateError, deactivate::end, moderation_log};
use crate::{Accounts, facts};

/// The end of an account.
#[derive(Clone, Debug)]
pub struct EndAccount {
    /// Whose.
    pub user_id: OwnedUserId,
    /// Whether they are forgotten.
    pub erase: bool,
}

/// Why an account was not ended.
#[derive(Debug, thiserror::Error)]
pub enum EndAccountError {
    /// There is no such account here.
    #[error("there is no such account")]
    UnknownUser,
    /// Nobody ends their own account here.
    #[error("this is your own account")]
    Oneself,
    /// Admins lose their class first.
    #[error("an admin cannot be deactivated")]
    Admin,
    /// The account could not be read or stored.
    #[error("could not read or store the account")]
    Storage(#[from] StorageError),
}

impl From<DeactivateError> for EndAccountError {
    fn from(error: DeactivateError) -> Self {
        match error {
            DeactivateError::Storage(cause) => Self::Storage(cause),
            DeactivateError::UnknownUser | DeactivateError::Uia(_) => Self::UnknownUser,
        }
    }
}

impl Accounts {
    /// Deactivates an account for an operator or an admin, and notes who did. Once more does nothing, but
    /// may still erase.
    #[instrument(name = "accounts.account.end_account", skip_all)]
    pub async fn end_account(
        &self,
        by: &Assigner,
        command: EndAccount,
    ) -> Result<(), EndAccountError> {
        let by = match by {
            Assigner::Operator => None,
            Assigner::Admin(actor) => Some(actor.user_id().to_owned()),
        };
        let EndAccount { user_id, erase } = command;
        if user_id.server_name() != self.server_name() {
            return Err(EndAccountError::UnknownUser);
        }
        if by.as_ref() == Some(&user_id) {
            return Err(EndAccountError::Oneself);
        }
        let (user, now) = (user_id.clone(), self.0.now_ms());
        let ended = self.0.write(&user_id, move |tx| {
            let before = facts::account(tx, &user)?.ok_or(EndAccountError::UnknownUser)?;
            let over = before.state == StoredAccountState::Deactivated;
            if before.class.is_admin() && !over {
                return Err(EndAccountError::Admin);
            }
            end(tx, &user, erase, now)?;
            if !over {
                let (by, kind) = (by.clone(), StoredModerationKind::Deactivate);
                let act = StoredModerationAct { at: now, by, user_id: user.clone(), kind };
                moderation_log::note(tx, &act)?;
            }
            Ok(!over)
        });
        if ended.await? {
            metrics::counter!("vestibule_account_moderation_total", "act" => "deactivate")
                .increment(1);
        }
        self.0.ring();
        Ok(())
    }
}
