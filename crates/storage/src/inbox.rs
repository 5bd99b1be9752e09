//! Messages that wait for a device. Whoever fills the place there is loses messages of their own,
//! not those of others.

use std::ops::ControlFlow::{Break, Continue};

use ruma::{DeviceId, UserId};
use vestibule_types::limits::{TO_DEVICE_DROPPED_AT_ONCE, TO_DEVICE_WAITING_MAX};

use crate::{
    Scan, Stamp, StorageError, Tx,
    tables::to_device::{StoredToDevice, TO_DEVICE, TO_DEVICE_BY_SHARE, TO_DEVICE_COUNT},
};

/// Lets a message wait for a device. Where too much waits already, whoever has most waiting there
/// loses their oldest; how many messages were lost is returned.
pub fn put(
    tx: &mut Tx<'_>,
    (user, device): (&UserId, &DeviceId),
    message: &StoredToDevice,
) -> Result<usize, StorageError> {
    let waiting = TO_DEVICE_COUNT.get(&tx.fixed(), (user, device))?;
    let lost = if waiting >= TO_DEVICE_WAITING_MAX {
        let lost = oldest_of_largest(tx, (user, device))?;
        for stamp in &lost {
            remove(tx, (user, device), *stamp)?;
        }
        lost.len()
    } else {
        0
    };
    let stamp = tx.next_stamp();
    TO_DEVICE.put(tx, (user, device, stamp), message)?;
    let share = share_of(user, &message.sender);
    TO_DEVICE_BY_SHARE.put(tx, (user, device, share, stamp), &())?;
    TO_DEVICE_COUNT.add(tx, (user, device), 1)?;
    Ok(lost)
}

/// Removes a message, unless it is gone already.
pub fn remove(
    tx: &mut Tx<'_>,
    (user, device): (&UserId, &DeviceId),
    stamp: Stamp,
) -> Result<(), StorageError> {
    // Asserted: of two who remove it one counts.
    let Some(message) = TO_DEVICE.get(tx, (user, device, stamp))? else { return Ok(()) };
    TO_DEVICE.delete(tx, (user, device, stamp))?;
    let share = share_of(user, &message.sender);
    TO_DEVICE_BY_SHARE.delete(tx, (user, device, share, stamp))?;
    TO_DEVICE_COUNT.add(tx, (user, device), -1)
}

/// Removes everything that waits for a device that goes.
pub fn remove_all(
    tx: &mut Tx<'_>,
    (user, device): (&UserId, &DeviceId),
) -> Result<(), StorageError> {
    TO_DEVICE.delete_prefix(tx, (user, device))?;
    TO_DEVICE_BY_SHARE.delete_prefix(tx, (user, device))?;
    TO_DEVICE_COUNT.delete(tx, (user, device))
}

/// In whose share a message counts: its sender's, or that of their server if it is another one, for
/// a server makes as many users as it likes.
fn share_of<'a>(user: &UserId, sender: &'a UserId) -> &'a str {
    let server = sender.server_name();
    if server == user.server_name() { sender.as_str() } else { server.as_str() }
}

/// The oldest messages of whoever has most waiting. What was kept before shares were counted is one
/// share.
fn oldest_of_largest(
    tx: &Tx<'_>,
    (user, device): (&UserId, &DeviceId),
) -> Result<Vec<Stamp>, StorageError> {
    let most = usize::try_from(TO_DEVICE_WAITING_MAX).unwrap_or(usize::MAX);
    let (mut largest, mut current): (Share, Share) = Default::default();
    let mut counted = 0;
    let all = Scan::prefix((user, device)).limit(most);
    TO_DEVICE_BY_SHARE.each(tx, all, |(_, _, share, stamp), ()| {
        counted += 1;
        if current.name.as_deref() != Some(&share) {
            let before = std::mem::replace(&mut current, Share::of(share));
            largest = std::mem::take(&mut largest).or_larger(before);
        }
        current.add(stamp);
        Continue(())
    })?;
    largest = largest.or_larger(current);
    if most.saturating_sub(counted) <= largest.count {
        return Ok(largest.oldest);
    }
    let mut oldest = Vec::new();
    TO_DEVICE.each(tx, Scan::prefix((user, device)).limit(most), |(_, _, stamp), _| {
        oldest.push(stamp);
        if oldest.len() < TO_DEVICE_DROPPED_AT_ONCE { Continue(()) } else { Break(()) }
    })?;
    Ok(oldest)
}

/// What waits of one sender, or of one other server.
#[derive(Default)]
struct Share {
    name: Option<String>,
    count: usize,
    oldest: Vec<Stamp>,
}

impl Share {
    fn of(name: String) -> Self {
        Self { name: Some(name), ..Self::default() }
    }

    fn add(&mut self, stamp: Stamp) {
        self.count += 1;
        if self.oldest.len() < TO_DEVICE_DROPPED_AT_ONCE {
            self.oldest.push(stamp);
        }
    }

    fn or_larger(self, other: Self) -> Self {
        if other.count > self.count { other } else { self }
    }
}
