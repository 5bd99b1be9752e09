//! Accounts and devices that a test needs and did not come to by registering.

use ruma::{DeviceId, UserId};
use vestibule_storage::{
    StorageError, Store,
    tables::account::{
        ACCOUNT_BY_CLASS, ACCOUNT_BY_ID, DEVICE_BY_USER, StoredAccount, StoredAccountState,
        StoredDevice,
    },
};
use vestibule_types::{Actor, ClassName};

use crate::person;

/// Stores an account of a class, without a device. Returns its owner, logged in as [`person`] says.
pub async fn put_account(store: &Store, user_id: &UserId, class: ClassName) -> Actor {
    let row = StoredAccount {
        class: class.clone(),
        state: StoredAccountState::Active,
        password: None,
        created_at: 0,
        deactivated_at: None,
        erased: false,
        appservice: None,
    };
    let (id, name) = (user_id.to_owned(), class.clone());
    let write = store.write::<_, StorageError, _>(store.slot_of_user(user_id), move |tx| {
        ACCOUNT_BY_ID.put(tx, (&id,), &row)?;
        ACCOUNT_BY_CLASS.put(tx, (&name, &id), &())
    });
    write.await.expect("stored");
    person(user_id, class)
}

/// Stores a device of somebody.
pub async fn put_device(store: &Store, user_id: &UserId, device: &DeviceId, name: Option<&str>) {
    let row = StoredDevice { display_name: name.map(str::to_owned), created_at: 0 };
    let (owner, id) = (user_id.to_owned(), device.to_owned());
    let write = store.write::<_, StorageError, _>(store.slot_of_user(user_id), move |tx| {
        DEVICE_BY_USER.put(tx, (&owner, &id), &row)
    });
    write.await.expect("stored");
}
