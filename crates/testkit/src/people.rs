//! Who acts in a test.

use ruma::{OwnedUserId, UserId, device_id};
use vestibule_types::{Actor, ClassName, Credential};

/// A logged-in member with the device `TESTDEVICE`.
#[must_use]
pub fn actor(user_id: &UserId) -> Actor {
    person(user_id, ClassName::member())
}

/// A logged-in guest with the device `TESTDEVICE`.
#[must_use]
pub fn guest(user_id: &UserId) -> Actor {
    person(user_id, ClassName::guest())
}

/// A logged-in user of the given class with the device `TESTDEVICE`.
#[must_use]
pub fn person(user_id: &UserId, class: ClassName) -> Actor {
    let user_id: OwnedUserId = user_id.to_owned();
    let device_id = device_id!("TESTDEVICE").to_owned();
    Actor::new(user_id, Some(device_id), class, Credential::StoredSession)
}
