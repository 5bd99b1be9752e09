//! When devices were last seen. Kept in memory, because it changes with every request, and written
//! now and then.

use std::{collections::BTreeMap, net::IpAddr};

use parking_lot::Mutex;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use vestibule_storage::tables::account::StoredSeen;
use vestibule_types::limits;

#[derive(Default)]
pub(crate) struct Sightings {
    waiting: Mutex<BTreeMap<(OwnedUserId, OwnedDeviceId), StoredSeen>>,
}

impl Sightings {
    /// Notes that a device made a request.
    pub(crate) fn note(&self, user: &UserId, device: &DeviceId, at: u64, from: Option<IpAddr>) {
        let key = (user.to_owned(), device.to_owned());
        let mut waiting = self.waiting.lock();
        if waiting.len() < limits::SEEN_DEVICES_MAX || waiting.contains_key(&key) {
            let address = from.filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string());
            waiting.insert(key, StoredSeen { at, address });
        }
    }

    /// The newest sighting of a device that is not written yet.
    pub(crate) fn get(&self, user: &UserId, device: &DeviceId) -> Option<StoredSeen> {
        self.waiting.lock().get(&(user.to_owned(), device.to_owned())).cloned()
    }

    /// Takes everything that waits to be written.
    pub(crate) fn take(&self) -> BTreeMap<(OwnedUserId, OwnedDeviceId), StoredSeen> {
        std::mem::take(&mut *self.waiting.lock())
    }
}
