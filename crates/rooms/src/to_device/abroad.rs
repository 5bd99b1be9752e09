//! Messages for devices of other servers: each waits in the outbox until that server has it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::{json, value::RawValue};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use vestibule_storage::{StorageError, Tx, outbox::queue_edu, tables::sender::StoredEdu};

use super::Letter;

/// The longest message id (server-server API, "Send-to-device messaging").
const MESSAGE_ID_MAX: usize = 32;

/// The content of `m.direct_to_device`.
#[derive(Serialize)]
struct Content<'a> {
    sender: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    message_id: String,
    messages: BTreeMap<&'a str, &'a BTreeMap<String, Box<RawValue>>>,
}

impl Letter {
    /// Queues the letter for the receiver's server; `origin` tells the request it comes from.
    pub(super) fn queue(&self, tx: &mut Tx<'_>, origin: &str) -> Result<(), StorageError> {
        let content = Content {
            sender: self.sender.as_str(),
            event_type: &self.event_type,
            message_id: self.message_id(origin),
            messages: [(self.receiver.as_str(), &self.messages)].into(),
        };
        let content = serde_json::to_string(&content).map_err(StorageError::engine)?;
        let edu = StoredEdu { edu_type: "m.direct_to_device".to_owned(), content, key: None };
        if queue_edu(tx, [self.receiver.server_name().to_owned()], &edu)? > 0 {
            tracing::warn!("a server that takes nothing loses messages to its devices");
        }
        Ok(())
    }

    /// The same for the same request of the same device: a client that repeats a request which broke
    /// off does not double what was sent already.
    pub(super) fn message_id(&self, origin: &str) -> String {
        let of = json!([self.sender, origin, self.event_type, self.receiver]);
        let mut id = URL_SAFE_NO_PAD.encode(Sha256::digest(of.to_string()));
        id.truncate(MESSAGE_ID_MAX);
        id
    }
}
