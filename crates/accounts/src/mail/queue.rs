//! The mail that waits.

use vestibule_storage::{
    Scan, Stamp, StorageError, Tx,
    tables::contact::{MAIL_BY_DUE, MAIL_COUNT, StoredMail},
};
use vestibule_types::limits::MAIL_WAITING_MAX;

use super::Letter;

/// Names a mail that waits.
pub(super) type MailKey = (u64, u16, Stamp);

/// Stores a mail to be sent at once. `false` when too much waits already.
pub(crate) fn enqueue(
    tx: &mut Tx<'_>,
    letter: Letter,
    (now, expires_at): (u64, u64),
) -> Result<bool, StorageError> {
    let count = MAIL_COUNT.get(tx, (0,))?.unwrap_or_default();
    if count >= MAIL_WAITING_MAX as u64 {
        return Ok(false);
    }
    MAIL_COUNT.put(tx, (0,), &count.saturating_add(1))?;
    let Letter { to, subject, text } = letter;
    put(tx, &StoredMail { to, subject, text, attempts: 0, expires_at }, now)?;
    Ok(true)
}

/// Removes a mail that was sent, or that means nothing any more.
pub(super) fn remove(tx: &mut Tx<'_>, key: MailKey) -> Result<(), StorageError> {
    if !MAIL_BY_DUE.contains(tx, key)? {
        return Ok(());
    }
    MAIL_BY_DUE.delete(tx, key)?;
    let count = MAIL_COUNT.get(tx, (0,))?.unwrap_or_default();
    MAIL_COUNT.put(tx, (0,), &count.saturating_sub(1))
}

/// Puts a mail off and counts the attempt.
pub(super) fn put_off(tx: &mut Tx<'_>, key: MailKey, due: u64) -> Result<(), StorageError> {
    let Some(mut mail) = MAIL_BY_DUE.get(tx, key)? else { return Ok(()) };
    MAIL_BY_DUE.delete(tx, key)?;
    mail.attempts = mail.attempts.saturating_add(1);
    put(tx, &mail, due)
}

/// The mail that is due, the longest overdue first.
pub(super) fn due(now: u64, limit: usize) -> Scan<MailKey> {
    Scan::prefix(()).to((now,)).limit(limit)
}

fn put(tx: &mut Tx<'_>, mail: &StoredMail, due: u64) -> Result<(), StorageError> {
    let (slot, stamp) = (tx.slot(), tx.next_stamp());
    MAIL_BY_DUE.put(tx, (due, slot.0, stamp), mail)
}
