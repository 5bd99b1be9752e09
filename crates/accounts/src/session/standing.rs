//! Whether a request that takes long may still be answered.

use ruma::{DeviceId, UserId};
use vestibule_storage::{
    Read, StorageError, Tx,
    tables::{
        account::{
            DEVICE_BY_USER, SESSION_BY_TOKEN, StoredAccountState, TOKEN_BY_DEVICE, TokenDigest,
        },
        room::{STREAM, StoredNews},
    },
};
use vestibule_types::Actor;

use super::open::REPLACED;
use crate::facts;

/// How a session ended while a request of it was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionEnd {
    /// It was logged out, somebody logged in on its device, or its account was deactivated.
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
    let session = actor.session().map(TokenDigest);
    if let Some(session) = session
        && SESSION_BY_TOKEN.contains(read, (session,))?
    {
        return Ok(None);
    }
    // A token that was refreshed meanwhile is gone too, and its session goes on.
    let open = match actor.device_id() {
        Some(device) => {
            DEVICE_BY_USER.contains(read, (actor.user_id(), device))?
                && !was_replaced(read, (actor.user_id(), device), session)?
        }
        None => true,
    };
    Ok((!open).then_some(SessionEnd::LoggedOut))
}

/// Whether somebody logged in on the device of a session since.
fn was_replaced(
    read: &impl Read,
    (user, device): (&UserId, &DeviceId),
    session: Option<TokenDigest>,
) -> Result<bool, StorageError> {
    match session {
        Some(session) => TOKEN_BY_DEVICE.contains(read, (user, device, REPLACED, session)),
        None => Ok(false),
    }
}

/// Wakes requests of a user that wait, so that they see that their session ended.
pub(crate) fn wake(tx: &mut Tx<'_>, user: &UserId) -> Result<(), StorageError> {
    let (slot, stamp) = (tx.slot().0, tx.next_stamp());
    STREAM.put(tx, (slot, stamp), &StoredNews::User { user: user.to_owned() })
}
