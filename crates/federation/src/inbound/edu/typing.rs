//! `m.typing`: who types in a room (server-server API, "Typing Notifications").

use ruma::{OwnedRoomId, OwnedUserId, ServerName};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::is_of;
use crate::Federation;

#[derive(Deserialize)]
struct Notice {
    room_id: OwnedRoomId,
    user_id: OwnedUserId,
    typing: bool,
}

impl Federation {
    pub(super) async fn receive_typing(
        &self,
        origin: &ServerName,
        content: &RawValue,
    ) -> &'static str {
        let Ok(it) = serde_json::from_str::<Notice>(content.get()) else { return "malformed" };
        if !is_of(&it.user_id, origin) {
            return "foreign";
        }
        let who = (&*it.room_id, &*it.user_id);
        match self.inner.parts.rooms.typing_elsewhere(origin, who, it.typing).await {
            Ok(true) => "typing",
            Ok(false) => "not_in_room",
            Err(error) => {
                tracing::warn!(%error, "a notice of typing was not taken");
                "failed"
            }
        }
    }
}
