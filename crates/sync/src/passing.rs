//! What passes in one room: who of it is there, and what they read.

use ruma::{OwnedRoomId, OwnedUserId, RoomId};
use serde::Deserialize;
use serde_json::json;
use tracing::instrument;
use vestibule_rooms::Availability;
use vestibule_storage::{
    StorageError,
    tables::{device_list::JOINED_ROOM_BY_USER, room::ROOM_NO_BY_ID},
};
use vestibule_types::Actor;

use crate::{RawEvent, Sync, SyncError, SyncRequest, pass::ephemeral::RECEIPTS, stream::in_room};

/// What passes in a room that somebody is in.
#[derive(Debug, Default)]
pub struct Passing {
    /// Who of its members is there.
    pub presence: Vec<RawEvent>,
    /// Who read how far, as one event.
    pub receipts: Vec<RawEvent>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    r#type: &'a str,
}

#[derive(Deserialize)]
struct Sent {
    sender: OwnedUserId,
}

impl Sync {
    /// What passes in a room, as far as `/sync` would tell it: nothing to those who are not in it.
    #[instrument(name = "sync.passing", skip_all)]
    pub async fn passing(&self, actor: &Actor, room_id: &RoomId) -> Result<Passing, SyncError> {
        let nothing = json!({ "types": [] });
        let filter = json!({
            "account_data": nothing,
            "room": {
                "rooms": [room_id], "account_data": nothing, "timeline": { "limit": 1 },
                "state": { "types": [], "lazy_load_members": true },
            },
        });
        let request = SyncRequest {
            filter: Some(filter.to_string()),
            presence: Availability::Offline,
            ..SyncRequest::default()
        };
        let mut response = self.sync(actor, request).await?;
        let Some(room) = response.rooms.join.remove(room_id) else {
            return Ok(Passing::default());
        };
        let read = |event: &&RawEvent| {
            serde_json::from_str::<Kind<'_>>(event.get()).is_ok_and(|it| it.r#type == RECEIPTS)
        };
        let receipts = room.ephemeral.events.iter().filter(read);
        let receipts = receipts.filter_map(|event| in_room(event, room_id)).collect();
        let presence = self.of_members(room_id.to_owned(), response.presence.events).await?;
        Ok(Passing { presence, receipts })
    }

    /// Those of some events that somebody sent who is in a room.
    async fn of_members(
        &self,
        room_id: OwnedRoomId,
        events: Vec<RawEvent>,
    ) -> Result<Vec<RawEvent>, StorageError> {
        let read = self.inner().rooms.store().read::<_, StorageError, _>(move |snapshot| {
            let Some(room) = ROOM_NO_BY_ID.get(snapshot, (&room_id,))? else {
                return Ok(Vec::new());
            };
            let mut kept = Vec::with_capacity(events.len());
            for event in events {
                let Ok(Sent { sender }) = serde_json::from_str(event.get()) else { continue };
                if JOINED_ROOM_BY_USER.contains(snapshot, (&sender, room.0))? {
                    kept.push(event);
                }
            }
            Ok(kept)
        });
        read.await
    }
}
