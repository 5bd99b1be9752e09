//! When devices were last seen. Kept in memory, because it changes with every request, and written
//! now and then.

use std::{collections::BTreeMap, net::IpAddr};

use parking_lot::Mutex;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use vestibule_storage::tables::account::StoredSeen;
use vestibule_types::limits;

use crate::{
    Sighting,
    session::{Minted, cut},
};

/// What is known of the newest request of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seeing {
    /// When and from where.
    pub(crate) seen: StoredSeen,
    /// What the client called itself.
    pub(crate) user_agent: Option<String>,
}

#[derive(Default)]
pub(crate) struct Sightings {
    waiting: Mutex<BTreeMap<(OwnedUserId, OwnedDeviceId), Seeing>>,
}

impl Sightings {
    /// Notes that a device made a request.
    pub(crate) fn note(&self, user: &UserId, device: &DeviceId, at: u64, from: Sighting<'_>) {
        let key = (user.to_owned(), device.to_owned());
        let address = from.address.filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string());
        let user_agent = from.user_agent.map(|text| cut(text, limits::USER_AGENT_BYTES_MAX));
        let mut waiting = self.waiting.lock();
        if waiting.len() < limits::SEEN_DEVICES_MAX || waiting.contains_key(&key) {
            waiting.insert(key, Seeing { seen: StoredSeen { at, address }, user_agent });
        }
    }

    /// Notes that a session was opened on a device. What its client calls itself comes with the first
    /// request it makes.
    pub(crate) fn note_arrival(&self, user: &UserId, opened: &Minted, peer: IpAddr) {
        let from = Sighting { address: Some(peer), user_agent: None };
        self.note(user, &opened.device_id, opened.now, from);
    }

    /// The newest sighting of a device that is not written yet.
    pub(crate) fn get(&self, user: &UserId, device: &DeviceId) -> Option<Seeing> {
        self.waiting.lock().get(&(user.to_owned(), device.to_owned())).cloned()
    }

    /// Takes everything that waits to be written.
    pub(crate) fn take(&self) -> BTreeMap<(OwnedUserId, OwnedDeviceId), Seeing> {
        std::mem::take(&mut *self.waiting.lock())
    }
}
