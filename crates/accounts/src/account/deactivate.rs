//! The end of an account. Its row stays, so that its name is never given out again; its rooms are
//! left by a job that is enqueued in the same write.

use std::net::IpAddr;

use ruma::{OwnedUserId, UserId};
use tracing::instrument;
use vestibule_storage::{
    StorageError, Tx, jobs,
    tables::{
        account::{ERASED_USER, GUEST_BY_ID, StoredAccount, StoredAccountState},
        cross_signing::CROSS_SIGNING_KEY,
        key_backup::{KEY_BACKUP, KEY_BACKUP_NEWEST, ROOM_KEY},
        presence::PRESENCE_BY_USER,
        user_data::{
            ACCOUNT_DATA, ACCOUNT_DATA_BYTES, FILTER_BY_ID, PROFILE_FIELD, USER_CHANGE,
            USER_DATA_GUARD,
        },
    },
};
use vestibule_types::Actor;

use crate::{
    Accounts,
    contact::drop_contacts,
    device::list_change,
    facts,
    job::{self, DeleteMedia, ForgetWords, LeaveAll},
    profile,
    registration::{put_account, release_guest},
    session::{close_all, wake},
    uia::{Attempt, Question, UiaError},
};

/// A user has one of each kind.
const SIGNING_KEYS: usize = 3;

/// The end of the own account.
#[derive(Clone, Debug)]
pub struct Deactivate {
    /// Whether the owner wants to be forgotten.
    pub erase: bool,
    /// The interactive authentication so far.
    pub attempt: Option<Attempt>,
    /// Where the request comes from.
    pub peer: IpAddr,
}

/// Why an account was not deactivated.
#[derive(Debug, thiserror::Error)]
pub enum DeactivateError {
    /// There is no such account.
    #[error("there is no such account")]
    UnknownUser,
    /// There is more to prove, or the proof could not be checked.
    #[error(transparent)]
    Uia(#[from] UiaError),
    /// The account could not be stored.
    #[error("could not store the account")]
    Storage(#[from] StorageError),
}

impl Accounts {
    /// Deactivates the caller's account.
    #[instrument(name = "accounts.account.deactivate", skip_all)]
    pub async fn deactivate(
        &self,
        actor: &Actor,
        command: Deactivate,
    ) -> Result<(), DeactivateError> {
        let flows = self.owner_flows(actor.user_id()).await?;
        let question = Question::of_owner("deactivate", flows, actor.user_id(), command.peer);
        self.authenticate(&question, command.attempt).await?;
        self.deactivate_account(actor.user_id(), command.erase).await
    }

    /// Deactivates an account for the operator. Doing it again does nothing, but may still erase.
    #[instrument(name = "accounts.account.deactivate_account", skip_all)]
    pub async fn deactivate_account(
        &self,
        user_id: &UserId,
        erase: bool,
    ) -> Result<(), DeactivateError> {
        let (user, now) = (user_id.to_owned(), self.0.now_ms());
        self.0.write(user_id, move |tx| end(tx, &user, erase, now)).await?;
        self.0.ring();
        Ok(())
    }
}

impl Accounts {
    /// Ends a guest, if it is one still: whoever became an account meanwhile keeps it. Says whether it
    /// was.
    pub(crate) async fn end_guest(
        &self,
        user_id: &UserId,
        erase: bool,
    ) -> Result<bool, DeactivateError> {
        let (user, now) = (user_id.to_owned(), self.0.now_ms());
        let ended = self.0.write(user_id, move |tx| {
            let is_guest = GUEST_BY_ID.contains(tx, (&user,))?;
            if is_guest {
                end(tx, &user, erase, now)?;
            }
            Ok::<_, DeactivateError>(is_guest)
        });
        let ended = ended.await?;
        self.0.ring();
        Ok(ended)
    }
}

pub(super) fn end(
    tx: &mut Tx<'_>,
    user_id: &OwnedUserId,
    erase: bool,
    now: u64,
) -> Result<(), DeactivateError> {
    let before = facts::account(tx, user_id)?.ok_or(DeactivateError::UnknownUser)?;
    let after = StoredAccount {
        state: StoredAccountState::Deactivated,
        password: None,
        deactivated_at: before.deactivated_at.or(Some(now)),
        erased: before.erased || erase,
        ..before.clone()
    };
    put_account(tx, user_id, Some(&before), &after)?;
    wake(tx, user_id)?;
    close_all(tx, user_id, None)?;
    drop_user_keys(tx, user_id)?;
    drop_contacts(tx, user_id)?;
    drop_user_data(tx, user_id)?;
    let forgotten = erase && !before.erased;
    if forgotten || GUEST_BY_ID.contains(tx, (user_id,))? {
        let payload = job::encode(&DeleteMedia { user_id: user_id.clone() });
        jobs::enqueue(tx, job::DELETE_MEDIA, payload, now)?;
    }
    release_guest(tx, user_id)?;
    if forgotten {
        let payload = job::encode(&ForgetWords { user_id: user_id.clone() });
        jobs::enqueue(tx, job::FORGET_WORDS, payload, now)?;
    }
    if erase {
        ERASED_USER.put(tx, (user_id,), &now)?;
        profile::touch(tx, user_id)?;
        PROFILE_FIELD.delete_prefix(tx, (user_id,))?;
    }
    if before.state != StoredAccountState::Deactivated {
        let payload = job::encode(&LeaveAll { user_id: user_id.clone() });
        jobs::enqueue(tx, job::LEAVE_ALL, payload, now)?;
    }
    Ok(())
}

/// Removes what nobody can use any more: cross-signing keys and backups of room keys.
fn drop_user_keys(tx: &mut Tx<'_>, user_id: &UserId) -> Result<(), StorageError> {
    let signing = CROSS_SIGNING_KEY.scan(tx, (user_id,), SIGNING_KEYS)?;
    if !signing.is_empty() {
        for (key, _) in signing {
            CROSS_SIGNING_KEY.delete(tx, key)?;
        }
        list_change::signing_keys_changed(tx, user_id)?;
    }
    if KEY_BACKUP_NEWEST.contains(tx, (user_id,))? {
        ROOM_KEY.delete_prefix(tx, (user_id,))?;
        KEY_BACKUP.delete_prefix(tx, (user_id,))?;
    }
    Ok(())
}

/// Removes what is kept for the owner alone, who cannot read it any more, and what they said of
/// their presence.
fn drop_user_data(tx: &mut Tx<'_>, user_id: &UserId) -> Result<(), StorageError> {
    USER_DATA_GUARD.get(tx, (user_id,))?;
    USER_DATA_GUARD.put(tx, (user_id,), &0)?;
    ACCOUNT_DATA.delete_prefix(tx, (user_id,))?;
    ACCOUNT_DATA_BYTES.delete(tx, (user_id,))?;
    USER_CHANGE.delete_prefix(tx, (user_id,))?;
    FILTER_BY_ID.delete_prefix(tx, (user_id,))?;
    PRESENCE_BY_USER.delete(tx, (user_id,))
}
