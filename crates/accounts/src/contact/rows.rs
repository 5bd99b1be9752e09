//! The rows of third-party identifiers. Each is one account's, and an account has a bounded number.

use ruma::{OwnedUserId, UserId};
use vestibule_storage::{
    Read, StorageError, Tx,
    tables::contact::{CONTACT_BY_USER, StoredContact, StoredContactOwner, USER_BY_CONTACT},
};
use vestibule_types::limits::CONTACTS_PER_USER_MAX;

use super::EMAIL;

/// Why an identifier was not given to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotPut {
    /// It is another account's.
    InUse,
    /// The account has as many as it may.
    TooMany,
}

/// Whose an e-mail address is.
pub(crate) fn owner(read: &impl Read, address: &str) -> Result<Option<OwnedUserId>, StorageError> {
    Ok(USER_BY_CONTACT.get(read, (EMAIL, address))?.map(|row| row.user_id))
}

/// Gives an e-mail address to an account.
pub(crate) fn put_contact(
    tx: &mut Tx<'_>,
    user_id: &UserId,
    address: &str,
    contact: StoredContact,
) -> Result<Result<(), NotPut>, StorageError> {
    match owner(tx, address)? {
        Some(other) if other != user_id => return Ok(Err(NotPut::InUse)),
        Some(_) => return Ok(Ok(())),
        None => {}
    }
    let kept = CONTACT_BY_USER.scan(tx, (user_id,), CONTACTS_PER_USER_MAX)?;
    if kept.len() >= CONTACTS_PER_USER_MAX {
        return Ok(Err(NotPut::TooMany));
    }
    CONTACT_BY_USER.put(tx, (user_id, EMAIL, address), &contact)?;
    let owner = StoredContactOwner { user_id: user_id.to_owned() };
    USER_BY_CONTACT.put(tx, (EMAIL, address), &owner)?;
    Ok(Ok(()))
}

/// Takes an identifier from an account. `false` if it was not its.
pub(crate) fn drop_contact(
    tx: &mut Tx<'_>,
    user_id: &UserId,
    (medium, address): (&str, &str),
) -> Result<bool, StorageError> {
    if !CONTACT_BY_USER.contains(tx, (user_id, medium, address))? {
        return Ok(false);
    }
    CONTACT_BY_USER.delete(tx, (user_id, medium, address))?;
    USER_BY_CONTACT.delete(tx, (medium, address))?;
    Ok(true)
}

/// Takes all its identifiers from an account.
pub(crate) fn drop_contacts(tx: &mut Tx<'_>, user_id: &UserId) -> Result<(), StorageError> {
    for ((_, medium, address), _) in CONTACT_BY_USER.scan(tx, (user_id,), CONTACTS_PER_USER_MAX)? {
        drop_contact(tx, user_id, (&medium, &address))?;
    }
    Ok(())
}
