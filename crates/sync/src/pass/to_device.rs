//! Messages to this device: told until a token that has them comes back.

use ruma::{DeviceId, UserId};
use serde::Serialize;
use serde_json::value::RawValue;
use vestibule_storage::{Read, Scan, Stamp, StorageError, inbox, tables::to_device::TO_DEVICE};
use vestibule_types::limits::TO_DEVICE_PER_SYNC_MAX;

use super::Pass;
use crate::{response::RawEvent, service::Inner};

#[derive(Serialize)]
struct Message<'a> {
    sender: &'a str,
    r#type: &'a str,
    content: &'a RawValue,
}

/// Up to `limit` messages that wait for a device after what it has, and how far they reach.
pub(crate) fn waiting(
    read: &impl Read,
    (user, device): (&UserId, &DeviceId),
    has: Stamp,
    limit: usize,
) -> Result<(Vec<RawEvent>, Stamp), StorageError> {
    let waiting = Scan::prefix((user, device))
        .after((user, device, has))
        .limit(limit.min(TO_DEVICE_PER_SYNC_MAX));
    let mut events = Vec::new();
    let mut reaches = has;
    for ((_, _, stamp), row) in TO_DEVICE.scan_with(read, waiting)? {
        reaches = stamp;
        let Ok(content) = serde_json::from_str::<&RawValue>(&row.content) else { continue };
        let message = Message { sender: row.sender.as_str(), r#type: &row.event_type, content };
        events.extend(serde_json::value::to_raw_value(&message).ok());
    }
    Ok((events, reaches))
}

impl Pass<'_> {
    /// What waits for the device after what it has, and how far that reaches.
    pub(super) fn to_device(&self) -> Result<(Vec<RawEvent>, Stamp), StorageError> {
        let has = self.since.as_ref().map_or_else(Stamp::default, |since| since.to_device);
        self.letters(has, TO_DEVICE_PER_SYNC_MAX)
    }

    /// Up to `limit` messages that wait for the device after what it has, and how far they reach.
    pub(crate) fn letters(
        &self,
        has: Stamp,
        limit: usize,
    ) -> Result<(Vec<RawEvent>, Stamp), StorageError> {
        let Some(device) = self.query.actor.device_id() else { return Ok((Vec::new(), has)) };
        waiting(self.snapshot, (self.user(), device), has, limit)
    }

    /// Whether there is something stored that the device has told it has.
    pub(super) fn has_acknowledged(&self) -> Result<bool, StorageError> {
        let has = self.since.as_ref().map_or_else(Stamp::default, |since| since.to_device);
        self.keeps_letters(has)
    }

    /// Whether there is something stored up to what the device has.
    pub(crate) fn keeps_letters(&self, has: Stamp) -> Result<bool, StorageError> {
        let Some(device) = self.query.actor.device_id() else { return Ok(false) };
        let known = Scan::prefix((self.user(), device)).to((self.user(), device, has)).limit(1);
        Ok(!TO_DEVICE.scan_with(self.snapshot, known)?.is_empty())
    }
}

/// Removes what a device has told it has.
pub(crate) async fn forget(
    inner: &Inner,
    actor: &vestibule_types::Actor,
    has: Stamp,
) -> Result<(), StorageError> {
    let Some(device) = actor.device_id().map(ToOwned::to_owned) else { return Ok(()) };
    let user = actor.user_id().to_owned();
    let store = inner.rooms.store();
    let forgotten = store.write(store.slot_of_user(&user), move |tx| {
        let known = Scan::prefix((&user, &device)).to((&user, &device, has));
        let rows = TO_DEVICE.scan_with(tx, known.limit(TO_DEVICE_PER_SYNC_MAX * 10))?;
        for ((_, _, stamp), _) in &rows {
            inbox::remove(tx, (&user, &device), *stamp)?;
        }
        Ok::<_, StorageError>(())
    });
    forgotten.await?;
    Ok(())
}
