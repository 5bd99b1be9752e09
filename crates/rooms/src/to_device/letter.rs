//! Messages for one user, and what makes each arrive once.

use std::collections::BTreeMap;

use ruma::OwnedUserId;
use serde_json::value::RawValue;
use vestibule_storage::{
    Scan, StorageError, Tx, inbox,
    tables::{
        account::DEVICE_BY_USER,
        room::{STREAM, StoredNews},
        staging::{DIRECT_TAKEN, DIRECT_TAKEN_BY_TIME},
        to_device::StoredToDevice,
    },
};
use vestibule_types::limits::{
    DEVICES_PER_USER_MAX, DIRECT_AGE_MS_MAX, DIRECT_FORGOTTEN_AT_ONCE, TO_DEVICE_CONTENT_BYTES_MAX,
};

/// Messages for one user.
pub(crate) struct Letter {
    pub(crate) sender: OwnedUserId,
    pub(crate) receiver: OwnedUserId,
    pub(crate) event_type: String,
    pub(crate) messages: BTreeMap<String, Box<RawValue>>,
}

/// Whether the content of a message is within its bound.
pub(crate) fn fits(content: &RawValue) -> bool {
    content.get().len() <= TO_DEVICE_CONTENT_BYTES_MAX
}

impl Letter {
    /// Puts the letter into the receiver's devices, unless it was put there before under this id.
    /// Says whether it is new.
    pub(crate) fn put_once(
        &self,
        tx: &mut Tx<'_>,
        (id, now): (&str, u64),
    ) -> Result<bool, StorageError> {
        if DIRECT_TAKEN.contains(tx, (&self.receiver, &self.sender, id))? {
            return Ok(false);
        }
        forget_old(tx, now)?;
        DIRECT_TAKEN.put(tx, (&self.receiver, &self.sender, id), &now)?;
        DIRECT_TAKEN_BY_TIME.put(tx, (now, &self.receiver, &self.sender, id), &())?;
        self.put(tx)?;
        Ok(true)
    }

    fn put(&self, tx: &mut Tx<'_>) -> Result<(), StorageError> {
        let devices = DEVICE_BY_USER.scan(tx, (&self.receiver,), DEVICES_PER_USER_MAX)?;
        let (mut delivered, mut lost) = (false, 0);
        for ((_, device), _) in devices {
            let own = self.messages.get(device.as_str()).or_else(|| self.messages.get("*"));
            let Some(content) = own.filter(|content| fits(content)) else { continue };
            let row = StoredToDevice {
                sender: self.sender.clone(),
                event_type: self.event_type.clone(),
                content: content.get().to_owned(),
            };
            lost += inbox::put(tx, (&self.receiver, &device), &row)?;
            delivered = true;
        }
        if lost > 0 {
            tracing::warn!(lost, "a device that reads nothing loses messages");
        }
        if delivered {
            let (slot, stamp) = (tx.slot().0, tx.next_stamp());
            STREAM.put(tx, (slot, stamp), &StoredNews::User { user: self.receiver.clone() })?;
        }
        Ok(())
    }
}

/// Forgets a few messages that nobody repeats any more.
fn forget_old(tx: &mut Tx<'_>, now: u64) -> Result<(), StorageError> {
    let before = now.saturating_sub(DIRECT_AGE_MS_MAX);
    let old = Scan::prefix(()).before((before,)).limit(DIRECT_FORGOTTEN_AT_ONCE);
    for ((at, receiver, sender, id), ()) in DIRECT_TAKEN_BY_TIME.scan_with(tx, old)? {
        DIRECT_TAKEN.delete(tx, (&receiver, &sender, &id))?;
        DIRECT_TAKEN_BY_TIME.delete(tx, (at, &receiver, &sender, &id))?;
    }
    Ok(())
}
