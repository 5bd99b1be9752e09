//! `m.direct_to_device`: messages to devices of ours (server-server API, "Send-to-device messaging").

use std::collections::BTreeMap;

use ruma::{OwnedUserId, ServerName};
use serde::Deserialize;
use serde_json::value::RawValue;
use vestibule_rooms::DirectMessage;
use vestibule_storage::StorageError;
use vestibule_types::limits::{IDENTIFIER_BYTES_MAX, TO_DEVICE_RECEIVERS_MAX};

use super::is_of;
use crate::Federation;

#[derive(Deserialize)]
struct Direct {
    sender: OwnedUserId,
    #[serde(rename = "type")]
    event_type: String,
    message_id: String,
    messages: BTreeMap<OwnedUserId, BTreeMap<String, Box<RawValue>>>,
}

impl Federation {
    pub(super) async fn receive_direct(
        &self,
        origin: &ServerName,
        content: &RawValue,
    ) -> Result<&'static str, StorageError> {
        let Ok(direct) = serde_json::from_str::<Direct>(content.get()) else {
            return Ok("malformed");
        };
        if !is_of(&direct.sender, origin) {
            return Ok("foreign");
        }
        if !fits(&direct) {
            return Ok("too_much");
        }
        let Direct { sender, event_type, message_id, messages } = direct;
        let rooms = &self.inner.parts.rooms;
        for (receiver, messages) in messages {
            if rooms.charge_direct(&sender).is_err() {
                return Ok("limited");
            }
            let message = DirectMessage {
                sender: sender.clone(),
                receiver,
                event_type: event_type.clone(),
                message_id: message_id.clone(),
                messages,
            };
            rooms.deliver_direct(message).await?;
        }
        Ok("direct")
    }
}

fn fits(direct: &Direct) -> bool {
    let short = |text: &String| text.len() <= IDENTIFIER_BYTES_MAX;
    let receivers: usize = direct.messages.values().map(BTreeMap::len).sum();
    let is_object = |content: &RawValue| content.get().starts_with('{');
    short(&direct.event_type)
        && short(&direct.message_id)
        && receivers <= TO_DEVICE_RECEIVERS_MAX
        && direct.messages.values().flatten().all(|(_, content)| is_object(content))
}
