//! Whether the operator switched guests off, whatever the configuration says.

use vestibule_storage::{
    StorageError,
    tables::policy::{GUESTS_OFF, StoredGuestsOff},
};

use crate::Accounts;

impl Accounts {
    /// Since when and by whom guests are switched off, if they are.
    pub async fn guests_off(&self) -> Result<Option<StoredGuestsOff>, StorageError> {
        self.0.store.read(|read| GUESTS_OFF.get(read, (0_u8,))).await
    }

    /// Has guests looked at whose time is over: it may be over for all of them.
    pub fn look_at_guests(&self) {
        self.0.guest_bell.notify_one();
    }

    /// Completes when guests are to be looked at out of turn.
    pub async fn guests_to_look_at(&self) {
        self.0.guest_bell.notified().await;
    }
}
