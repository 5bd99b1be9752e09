//! A user who writes until the server is gone, and remembers what was acknowledged.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::{
    client::{Client, write_request},
    matrix::{User, message_path},
};

/// Every so many messages a room is made, and used from then on.
const MESSAGES_PER_ROOM: u64 = 40;

/// A user, its rooms, and the number of its next message.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) user: User,
    /// Rooms that were acknowledged; the last one is written to.
    pub(super) rooms: Vec<String>,
    /// Every message that was acknowledged.
    pub(super) messages: Vec<Message>,
    next: u64,
}

/// An acknowledged message.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) room: String,
    pub(super) event_id: String,
    pub(super) body: String,
}

/// A message whose answer did not come.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) room: String,
    pub(super) body: String,
}

/// What was acknowledged between two kills.
#[derive(Debug, Default)]
pub(super) struct Spell {
    pub(super) messages: Vec<Message>,
    pub(super) rooms: Vec<String>,
    pub(super) unanswered: Option<Unanswered>,
}

impl Worker {
    pub(super) fn new(user: User, room: String) -> Self {
        Self { user, rooms: vec![room], messages: Vec::new(), next: 0 }
    }

    /// Writes until the connection breaks. A refusal is an error: the server has no reason for one.
    pub(super) async fn work(&mut self, address: SocketAddr) -> Result<Spell> {
        let mut spell = Spell::default();
        let mut request = Vec::new();
        let Ok(mut client) = Client::connect(address).await else { return Ok(spell) };
        loop {
            self.next += 1;
            if self.next.is_multiple_of(MESSAGES_PER_ROOM) {
                let body = json!({ "preset": "public_chat", "name": "crash", "topic": "crash" });
                let path = "/_matrix/client/v3/createRoom";
                self.write(&mut request, "POST", path, &body);
                let Some(room) = answered(&mut client, &request, "room_id").await? else {
                    return Ok(spell);
                };
                self.rooms.push(room.clone());
                spell.rooms.push(room);
                continue;
            }
            let room = self.rooms.last().cloned().unwrap_or_default();
            let body = format!("m{}", self.next);
            self.write(&mut request, "PUT", &message_path(&room, &body), &content(&body));
            let Some(event_id) = answered(&mut client, &request, "event_id").await? else {
                spell.unanswered = Some(Unanswered { room, body });
                return Ok(spell);
            };
            let message = Message { room, event_id, body };
            self.messages.push(message.clone());
            spell.messages.push(message);
        }
    }

    /// Sends an unanswered message again under its old transaction identifier.
    pub(super) async fn repeat(
        &mut self,
        client: &mut Client,
        unanswered: &Unanswered,
    ) -> Result<bool> {
        let mut request = Vec::new();
        let Unanswered { room, body } = unanswered;
        self.write(&mut request, "PUT", &message_path(room, body), &content(body));
        let Some(event_id) = answered(client, &request, "event_id").await? else {
            return Ok(false);
        };
        self.messages.push(Message { room: room.clone(), event_id, body: body.clone() });
        Ok(true)
    }

    fn write(&self, request: &mut Vec<u8>, method: &str, path: &str, body: &Value) {
        write_request(request, method, path, Some(&self.user.token), body.to_string().as_bytes());
    }
}

fn content(body: &str) -> Value {
    json!({ "msgtype": "m.text", "body": body })
}

/// The named text of an accepted answer; nothing when the connection broke.
async fn answered(client: &mut Client, request: &[u8], key: &str) -> Result<Option<String>> {
    let Ok(answer) = client.call(request).await else { return Ok(None) };
    let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match value.get(key).and_then(Value::as_str) {
        Some(text) if answer.status == 200 => Ok(Some(text.to_owned())),
        _ => bail!("a write was refused with {}: {value}", answer.status),
    }
}
