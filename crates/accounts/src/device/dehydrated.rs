//! The device of an account on which nobody is logged in (MSC3814), inside somebody's transaction.

use ruma::{DeviceId, OwnedDeviceId, UserId};
use vestibule_storage::{
    Read, StorageError, Tx,
    tables::{
        account::{DEVICE_BY_USER, StoredDevice},
        dehydrated::{DEHYDRATED_DEVICE, StoredDehydratedDevice},
    },
};
use vestibule_types::limits;

use crate::session::{close_device, cut, is_device_id, make_room, touch};

/// A device to be dehydrated.
#[derive(Clone, Debug)]
pub struct Dehydrate {
    /// The device.
    pub device: StoredDehydratedDevice,
    /// The name its owner gave it.
    pub display_name: Option<String>,
    /// The device of the owner that asks, which is not removed to make room.
    pub asking: Option<OwnedDeviceId>,
    /// Now, in milliseconds since the Unix epoch.
    pub now: u64,
}

/// What became of a device to be dehydrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dehydrated {
    /// It took the place of the one before, whose keys and messages are gone.
    New,
    /// It is the one that was there: the request came twice.
    Same,
    /// Somebody is or was logged in on a device of this name.
    Taken,
    /// No device can be named like this.
    BadName,
}

/// The dehydrated device of an account.
pub fn dehydrated_device(
    read: &(impl Read + ?Sized),
    user: &UserId,
) -> Result<Option<StoredDehydratedDevice>, StorageError> {
    DEHYDRATED_DEVICE.get(read, (user,))
}

/// Puts a device in the place of the dehydrated device there was. Its keys are for the caller to add in
/// the same batch.
pub fn put_dehydrated(
    tx: &mut Tx<'_>,
    user: &UserId,
    command: &Dehydrate,
) -> Result<Dehydrated, StorageError> {
    let device_id = &*command.device.device_id;
    if !is_device_id(device_id) {
        return Ok(Dehydrated::BadName);
    }
    touch(tx, user)?;
    match dehydrated_device(tx, user)? {
        Some(before) if before == command.device => return Ok(Dehydrated::Same),
        Some(before) => close_device(tx, user, &before.device_id)?,
        None => {}
    }
    if DEVICE_BY_USER.contains(tx, (user, device_id))? {
        return Ok(Dehydrated::Taken);
    }
    make_room(tx, user, command.asking.as_deref())?;
    let display_name = command.display_name.as_deref();
    let display_name = display_name.map(|name| cut(name, limits::DEVICE_NAME_BYTES_MAX));
    let row = StoredDevice { display_name, created_at: command.now };
    DEVICE_BY_USER.put(tx, (user, device_id), &row)?;
    DEHYDRATED_DEVICE.put(tx, (user,), &command.device)?;
    Ok(Dehydrated::New)
}

/// Removes the dehydrated device with its keys and messages. Says which it was.
pub fn remove_dehydrated(
    tx: &mut Tx<'_>,
    user: &UserId,
) -> Result<Option<OwnedDeviceId>, StorageError> {
    let Some(before) = dehydrated_device(tx, user)? else { return Ok(None) };
    close_device(tx, user, &before.device_id)?;
    Ok(Some(before.device_id))
}

/// Whether a device of an account is its dehydrated one.
pub(crate) fn is_dehydrated(
    read: &impl Read,
    user: &UserId,
    device: &DeviceId,
) -> Result<bool, StorageError> {
    Ok(dehydrated_device(read, user)?.is_some_and(|row| row.device_id == device))
}

/// Forgets that a device that goes was dehydrated.
pub(crate) fn forget(
    tx: &mut Tx<'_>,
    user: &UserId,
    device: &DeviceId,
) -> Result<(), StorageError> {
    if is_dehydrated(tx, user, device)? { DEHYDRATED_DEVICE.delete(tx, (user,)) } else { Ok(()) }
}
