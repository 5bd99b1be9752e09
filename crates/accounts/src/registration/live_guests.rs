//! How many guests there are.

use vestibule_storage::{StorageError, tables::account::GUESTS_LIVE};

use crate::Accounts;

impl Accounts {
    /// How many guests have an account now: those that the cap `live` counts.
    pub async fn live_guests(&self) -> Result<u64, StorageError> {
        self.0.store.read(|read| Ok(GUESTS_LIVE.get(read, (0_u8,))?.unwrap_or_default())).await
    }
}
