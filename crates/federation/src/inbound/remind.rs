//! Telling a server again that users of ours left a room.
//!
//! A leave may never arrive, though its transaction does: a server that an access control list keeps out
//! is told that each of its events is refused. Once nobody of ours is in the room, nothing that we send
//! later leads back to the leave. A server that goes on telling us what happens in the room shows that
//! it does not know.

use ruma::{
    RoomId, ServerName, api::federation::transactions::send_transaction_message::v1::Request,
};
use vestibule_types::limits::REMINDER_PAUSE;

use crate::Federation;

const ID_LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const ID_LETTERS_COUNT: usize = 16;

impl Federation {
    /// Has a server that sends us events of a room told how users of ours left it, now and then.
    pub(super) fn remind_of_leaves(&self, server: &ServerName, room_id: &RoomId) {
        let now = self.inner.parts.environment.clock.monotonic();
        let key = (server.to_owned(), room_id.to_owned());
        let reminded = &self.inbound().reminded;
        if reminded.get(&key).is_some_and(|until| now < until) {
            return;
        }
        reminded.insert(key.clone(), now.saturating_add(REMINDER_PAUSE));
        let this = self.clone();
        let telling = async move {
            let (server, room_id) = key;
            this.tell_leaves(&server, &room_id).await;
        };
        self.inner.parts.environment.spawner.spawn("federation.remind", Box::pin(telling));
    }

    async fn tell_leaves(&self, server: &ServerName, room_id: &RoomId) {
        let parts = &self.inner.parts;
        let leaves = match parts.rooms.own_leaves(room_id, server).await {
            Ok(leaves) if leaves.is_empty() => return,
            Ok(leaves) => leaves,
            Err(error) => {
                tracing::warn!(%error, "how users left a room could not be read");
                return;
            }
        };
        let environment = &parts.environment;
        let id = environment.random_text(ID_LETTERS, ID_LETTERS_COUNT);
        let us = self.server_name().to_owned();
        let mut request = Request::new(id.into(), us, environment.now());
        request.pdus = leaves;
        if let Err(error) = self.remote().call(server, request).await {
            tracing::debug!(%server, %error, "a server could not be told of leaves again");
        }
    }
}
