//! Telling that a user's devices or cross-signing keys are not what they were, inside somebody's
//! transaction.

use ruma::{DeviceId, UserId};
use vestibule_storage::{
    AsKey, Key, Scan, Stamped, StorageError, Table, Tx, Value,
    tables::{
        account::DEVICE_BY_USER,
        device_key::{DEVICE_KEY, KEY_SIGNATURE},
        device_list::{
            DEVICE_LIST_CHANGE, DEVICE_LIST_NEWS, DEVICE_LIST_POSITION, DEVICE_LIST_VERSION,
            StoredDeviceListChange, StoredDeviceListNews, StoredListChange,
        },
        one_time_key::{
            FALLBACK_KEY, KEY_COUNT_POSITION, ONE_TIME_KEY, ONE_TIME_KEY_BY_ORDER,
            ONE_TIME_KEY_COUNT, SPENT_KEY, SPENT_KEY_BY_ORDER, SPENT_KEY_COUNT,
        },
        room::{STREAM, StoredNews},
    },
};
use vestibule_types::limits::{KEY_ALGORITHMS_MAX, ONE_TIME_KEYS_PER_DEVICE_MAX};

/// More rows than one table can hold for one device.
const ROWS_PER_DEVICE_MAX: usize = ONE_TIME_KEYS_PER_DEVICE_MAX * 2;

/// Tells everybody who shares a room with a user of this server that a device of theirs changed, with keys
/// or without: that it is new or gone, its keys, a signature on them, or its name.
pub fn device_changed(
    tx: &mut Tx<'_>,
    user: &UserId,
    device: &DeviceId,
) -> Result<(), StorageError> {
    let version = DEVICE_LIST_VERSION.get(tx, (user,))?.unwrap_or_default().saturating_add(1);
    DEVICE_LIST_VERSION.put(tx, (user,), &version)?;
    let change = StoredListChange::Device { device: device.to_owned(), version };
    tell_servers(tx, user, change)?;
    tell_clients(tx, user)
}

/// Tells everybody who shares a room with a user of this server that their cross-signing keys
/// changed.
pub fn signing_keys_changed(tx: &mut Tx<'_>, user: &UserId) -> Result<(), StorageError> {
    tell_servers(tx, user, StoredListChange::SigningKeys)?;
    tell_clients(tx, user)
}

/// Tells the clients of this server that the keys of a user of any server changed. The batch must
/// be in the slot of that user.
pub fn tell_clients(tx: &mut Tx<'_>, user: &UserId) -> Result<(), StorageError> {
    let slot = tx.slot().0;
    if let Some(before) = DEVICE_LIST_POSITION.get(tx, (user,))? {
        DEVICE_LIST_CHANGE.delete(tx, (slot, before.stamp))?;
    }
    let stamp = tx.next_stamp();
    let row = StoredDeviceListChange { user: user.to_owned() };
    DEVICE_LIST_CHANGE.put(tx, (slot, stamp), &row)?;
    DEVICE_LIST_POSITION.put(tx, (user,), &Stamped::new(stamp, ()))?;
    STREAM.put(tx, (slot, stamp), &StoredNews::DeviceList { user: user.to_owned() })
}

fn tell_servers(
    tx: &mut Tx<'_>,
    user: &UserId,
    change: StoredListChange,
) -> Result<(), StorageError> {
    let (slot, stamp) = (tx.slot().0, tx.next_stamp());
    DEVICE_LIST_NEWS.put(tx, (slot, stamp), &StoredDeviceListNews { user: user.to_owned(), change })
}

/// Removes every key of a device that goes, and tells that it does. The row of the device is still there.
pub(crate) fn drop_keys(
    tx: &mut Tx<'_>,
    user: &UserId,
    device: &DeviceId,
) -> Result<(), StorageError> {
    if DEVICE_KEY.contains(tx, (user, device))? {
        DEVICE_KEY.delete(tx, (user, device))?;
        delete_each(tx, &KEY_SIGNATURE, Scan::prefix((user, user, device.as_str())))?;
    }
    if DEVICE_BY_USER.contains(tx, (user, device))? {
        device_changed(tx, user, device)?;
    }
    // Whoever claims one of these read its row: the claim conflicts with the deletion.
    delete_each(tx, &ONE_TIME_KEY, Scan::prefix((user, device)))?;
    delete_each(tx, &ONE_TIME_KEY_BY_ORDER, Scan::prefix((user, device)))?;
    delete_each(tx, &FALLBACK_KEY, Scan::prefix((user, device)))?;
    KEY_COUNT_POSITION.delete(tx, (user, device))?;
    for (key, _) in ONE_TIME_KEY_COUNT.scan(tx, (user, device), KEY_ALGORITHMS_MAX)? {
        ONE_TIME_KEY_COUNT.delete(tx, key)?;
    }
    if SPENT_KEY_COUNT.get(&tx.fixed(), (user, device))? > 0 {
        SPENT_KEY.delete_prefix(tx, (user, device))?;
        SPENT_KEY_BY_ORDER.delete_prefix(tx, (user, device))?;
        SPENT_KEY_COUNT.delete(tx, (user, device))?;
    }
    Ok(())
}

/// Removes rows one by one: few as they are, that is cheaper for everybody else than a range.
fn delete_each<K: Key + AsKey<K>, V: Value>(
    tx: &mut Tx<'_>,
    table: &Table<K, V>,
    rows: Scan<K>,
) -> Result<(), StorageError> {
    for (key, _) in table.scan_with(tx, rows.limit(ROWS_PER_DEVICE_MAX))? {
        table.delete(tx, key)?;
    }
    Ok(())
}
