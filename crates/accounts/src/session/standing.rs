//! Whether a request that takes long may still be answered.

use vestibule_storage::{
    Read, StorageError, Tx,
    tables::{
        account::{DEVICE_BY_USER, StoredAccountState},
        room::{STREAM, StoredNews},
    },
};
use vestibule_types::Actor;

use crate::facts;

/// How a session ended while a request of it was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionEnd {
    /// It was logged out, or its account was deactivated.
    #[error("the session is over")]
    LoggedOut,
    /// Its account was locked.
    #[error("the account is locked")]
    Locked,
}

/// Whether the session of a caller ended since it was looked up.
pub fn session_end(read: &impl Read, actor: &Actor) -> Result<Option<SessionEnd>, StorageError> {
    let state = facts::account(read, actor.user_id())?.map(|account| account.state);
    match state {
        None | Some(StoredAccountState::Deactivated) => return Ok(Some(SessionEnd::LoggedOut)),
        Some(StoredAccountState::Locked | StoredAccountState::LockedWhileSuspended) => {
            return Ok(Some(SessionEnd::Locked));
        }
        Some(StoredAccountState::Active | StoredAccountState::Suspended) => {}
    }
    let open = match actor.device_id() {
        Some(device) => DEVICE_BY_USER.contains(read, (actor.user_id(), device))?,
        None => true,
    };
    Ok((!open).then_some(SessionEnd::LoggedOut))
}

/// Wakes requests of a user that wait, so that they see that their session ended.
pub(crate) fn wake(tx: &mut Tx<'_>, user: &ruma::UserId) -> Result<(), StorageError> {
    let (slot, stamp) = (tx.slot().0, tx.next_stamp());
    STREAM.put(tx, (slot, stamp), &StoredNews::User { user: user.to_owned() })
}
