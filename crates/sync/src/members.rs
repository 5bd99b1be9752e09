//! Which members a device was shown already, for clients that load members lazily.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use quick_cache::{Equivalent, sync::Cache};
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use vestibule_types::{
    EventNo, RoomNo,
    limits::{SHOWN_DEVICES_MAX, SHOWN_MEMBERS_MAX},
};

/// What devices were shown. Forgetting costs a few bytes in a later answer, nothing else.
#[derive(Debug)]
pub(crate) struct ShownMembers(Cache<(OwnedUserId, OwnedDeviceId), Arc<Mutex<Shown>>>);

type Shown = HashMap<(RoomNo, OwnedUserId), ShownIn>;

/// A member event in an answer.
#[derive(Clone, Copy, Debug)]
struct ShownIn {
    event: EventNo,
    /// The commit the answer went up to. Only a client that comes back from there has the answer.
    answer: u64,
}

impl Default for ShownMembers {
    fn default() -> Self {
        Self(Cache::new(SHOWN_DEVICES_MAX))
    }
}

impl ShownMembers {
    /// What a device was shown.
    pub(crate) fn of(&self, user: &UserId, device: &DeviceId) -> ShownTo {
        if let Some(known) = self.0.get(&Device { user, device }) {
            return ShownTo(known);
        }
        let fresh = Arc::default();
        self.0.insert((user.to_owned(), device.to_owned()), Arc::clone(&fresh));
        ShownTo(fresh)
    }
}

/// Whose device.
#[derive(Hash)]
struct Device<'a> {
    user: &'a UserId,
    device: &'a DeviceId,
}

impl Equivalent<(OwnedUserId, OwnedDeviceId)> for Device<'_> {
    fn equivalent(&self, (user, device): &(OwnedUserId, OwnedDeviceId)) -> bool {
        self.user == user && self.device == device
    }
}

/// What one device was shown.
#[derive(Debug)]
pub(crate) struct ShownTo(Arc<Mutex<Shown>>);

impl ShownTo {
    /// Whether the client has this member event: it was in an answer it came back from. Notes that
    /// it has it from this answer on.
    pub(crate) fn has(
        &self,
        (room, user): (RoomNo, &UserId),
        event: EventNo,
        (since, answer): (Option<u64>, u64),
    ) -> bool {
        let mut shown = self.0.lock();
        let key = (room, user.to_owned());
        let known = shown.get(&key).is_some_and(|known| {
            known.event == event && since.is_some_and(|since| known.answer <= since)
        });
        if !known {
            if shown.len() >= SHOWN_MEMBERS_MAX {
                shown.clear();
            }
            shown.insert(key, ShownIn { event, answer });
        }
        known
    }

    /// Forgets what it was shown of a room: the client begins with it.
    pub(crate) fn begin(&self, room: RoomNo) {
        self.0.lock().retain(|(of, _), _| *of != room);
    }

    /// Forgets everything: the client begins.
    pub(crate) fn begin_all(&self) {
        self.0.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use ruma::{device_id, user_id};

    use super::*;

    #[test]
    fn a_member_is_redundant_only_for_who_came_back_from_the_answer_it_was_in() {
        let shown = ShownMembers::default().of(user_id!("@me:a"), device_id!("D"));
        let bob = (RoomNo(1), user_id!("@bob:a"));
        assert!(!shown.has(bob, EventNo(4), (Some(10), 11)));
        assert!(!shown.has(bob, EventNo(4), (Some(10), 11)), "the answer was lost");
        assert!(shown.has(bob, EventNo(4), (Some(11), 12)));
        assert!(!shown.has(bob, EventNo(9), (Some(12), 13)), "another event");
        assert!(!shown.has(bob, EventNo(9), (None, 14)), "from the beginning");
    }

    #[test]
    fn a_client_that_begins_has_nothing() {
        let shown = ShownMembers::default().of(user_id!("@me:a"), device_id!("D"));
        let (here, there) = (RoomNo(1), RoomNo(2));
        let bob = user_id!("@bob:a");
        for room in [here, there] {
            assert!(!shown.has((room, bob), EventNo(4), (Some(10), 11)));
        }
        shown.begin(here);
        assert!(!shown.has((here, bob), EventNo(4), (Some(11), 12)));
        assert!(shown.has((there, bob), EventNo(4), (Some(11), 12)));
        shown.begin_all();
        assert!(!shown.has((there, bob), EventNo(4), (Some(12), 13)));
    }
}
