//! Messages that pass: typing, receipts, presence, messages to devices, changes of keys.
//!
//! What is malformed, not from where it says, or of an unknown type is passed over; nobody is told, for
//! nobody could do anything about it. What must not be lost and cannot be stored right now fails the
//! transaction, so that it is sent again.

mod direct_to_device;
mod keys;
mod presence;
mod receipt;
mod typing;

use ruma::{ServerName, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;
use vestibule_storage::StorageError;
use vestibule_types::limits::EDU_BYTES_MAX;

use crate::Federation;

#[derive(Deserialize)]
struct Edu<'a> {
    edu_type: String,
    #[serde(borrow)]
    content: &'a RawValue,
}

impl Federation {
    pub(super) async fn receive_edus(
        &self,
        origin: &ServerName,
        edus: Vec<Box<RawValue>>,
    ) -> Result<(), StorageError> {
        for json in edus {
            let taken = match serde_json::from_str::<Edu<'_>>(json.get()) {
                Ok(edu) if json.get().len() <= EDU_BYTES_MAX => {
                    self.receive_edu(origin, &edu).await?
                }
                Ok(_) | Err(_) => "malformed",
            };
            metrics::counter!("vestibule_federation_edus_total", "outcome" => taken).increment(1);
        }
        Ok(())
    }

    /// Hands a message to whoever takes its type, and says under which name it is counted.
    async fn receive_edu(
        &self,
        origin: &ServerName,
        edu: &Edu<'_>,
    ) -> Result<&'static str, StorageError> {
        match edu.edu_type.as_str() {
            "m.typing" => Ok(self.receive_typing(origin, edu.content).await),
            "m.presence" => Ok(self.receive_presence(origin, edu.content).await),
            "m.receipt" => Ok(self.receive_receipts(origin, edu.content).await),
            "m.direct_to_device" => self.receive_direct(origin, edu.content).await,
            "m.device_list_update" => self.receive_device_list(origin, edu.content).await,
            "m.signing_key_update" => self.receive_signing_keys(origin, edu.content).await,
            _ => Ok("ignored"),
        }
    }
}

/// Whether a user is one of a server's.
fn is_of(user: &UserId, server: &ServerName) -> bool {
    user.server_name() == server
}
