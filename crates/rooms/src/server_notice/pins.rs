//! Notices that stay in sight: the room's pinned events.

use ruma::{OwnedEventId, OwnedRoomId, RoomId, UserId};
use serde::Deserialize;
use serde_json::json;
use vestibule_types::{Actor, limits::SERVER_NOTICES_PINNED_MAX};

use super::ServerNoticeError;
use crate::{Rooms, SendState, content::canonical};

#[derive(Default, Deserialize)]
struct Pinned {
    #[serde(default)]
    pinned: Vec<OwnedEventId>,
}

impl Rooms {
    /// Takes down what is pinned in a user's room of notices. Returns how much that was.
    pub async fn unpin_notices(&self, user: &UserId) -> Result<usize, ServerNoticeError> {
        let Some(room_id) = self.known_notice_room(user).await? else { return Ok(0) };
        let _one_at_a_time = self.inner.notice_rooms.lock().await;
        let count = self.pinned_notices(&room_id).await?.len();
        if count > 0 {
            self.pin(&self.speaker(), room_id, &[]).await?;
        }
        Ok(count)
    }

    /// Pins a notice; the oldest make way.
    pub(super) async fn pin_notice(
        &self,
        speaker: &Actor,
        room_id: &RoomId,
        event_id: &OwnedEventId,
    ) -> Result<(), ServerNoticeError> {
        let _one_at_a_time = self.inner.notice_rooms.lock().await;
        let mut pinned = self.pinned_notices(room_id).await?;
        if pinned.contains(event_id) {
            return Ok(());
        }
        pinned.push(event_id.clone());
        let surplus = pinned.len().saturating_sub(SERVER_NOTICES_PINNED_MAX);
        self.pin(speaker, room_id.to_owned(), pinned.get(surplus..).unwrap_or_default()).await
    }

    async fn pinned_notices(
        &self,
        room_id: &RoomId,
    ) -> Result<Vec<OwnedEventId>, ServerNoticeError> {
        let pinned = self
            .with_view(room_id, |view| {
                let content = view.shown_state::<Pinned>("m.room.pinned_events", "")?;
                Ok::<_, ServerNoticeError>(content.unwrap_or_default().pinned)
            })
            .await?;
        Ok(pinned.unwrap_or_default())
    }

    async fn pin(
        &self,
        speaker: &Actor,
        room_id: OwnedRoomId,
        pinned: &[OwnedEventId],
    ) -> Result<(), ServerNoticeError> {
        let command = SendState {
            room_id,
            event_type: "m.room.pinned_events".to_owned(),
            state_key: String::new(),
            content: canonical(&json!({ "pinned": pinned })),
            timestamp: None,
        };
        self.send_state(speaker, command).await?;
        Ok(())
    }
}
