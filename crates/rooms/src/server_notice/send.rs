//! Saying something to one user.

use ruma::{CanonicalJsonObject, OwnedRoomId, UserId};
use serde_json::json;
use vestibule_accounts::{AccountState, system_user_of, tag_notice_room};
use vestibule_storage::tables::{
    account::ACCOUNT_BY_ID, notice::NOTICE_ROOM, room::StoredMembership,
};
use vestibule_types::{Actor, ClassName, Credential};

use super::{SentNotice, ServerNotice, ServerNoticeError};
use crate::{
    CreateRoom, InitialState, Invite, Preset, Rooms, SendEvent, append::membership_of,
    content::canonical,
};

/// The device the server's own user is said to have, so that one notice is sent once to each user.
const DEVICE: &str = "notices";

impl Rooms {
    /// Says something to one user of this server.
    pub async fn send_notice(
        &self,
        user: &UserId,
        notice: &ServerNotice,
    ) -> Result<SentNotice, ServerNoticeError> {
        let id = self.inner.env.random_text(b"abcdefghijklmnopqrstuvwxyz0123456789", 16);
        self.send_notice_once(user, notice, &id).await
    }

    /// The same, where one of the same `id` that was sent already is not sent again.
    pub(super) async fn send_notice_once(
        &self,
        user: &UserId,
        notice: &ServerNotice,
        id: &str,
    ) -> Result<SentNotice, ServerNoticeError> {
        notice.check()?;
        self.takes_notices(user).await?;
        let speaker = self.speaker();
        let room_id = self.notice_room(&speaker, user).await?;
        let event = SendEvent {
            room_id: room_id.clone(),
            event_type: "m.room.message".to_owned(),
            content: notice.content(),
            transaction_id: Some(id.to_owned()),
            timestamp: None,
        };
        let event_id = self.send_event(&speaker, event).await?;
        if notice.usage_limit.is_some() {
            self.pin_notice(&speaker, &room_id, &event_id).await?;
        }
        Ok(SentNotice { room_id, event_id })
    }

    /// The server's own user.
    pub(crate) fn speaker(&self) -> Actor {
        let user_id = system_user_of(&self.inner.server_name);
        let device = Some(DEVICE.into());
        Actor::new(user_id, device, ClassName::system(), Credential::Operator)
    }

    async fn takes_notices(&self, user: &UserId) -> Result<(), ServerNoticeError> {
        let whose = user.to_owned();
        let row = self.inner.store.read(move |it| ACCOUNT_BY_ID.get(it, (&whose,))).await?;
        match row {
            None => Err(ServerNoticeError::UnknownUser),
            Some(row) if row.state == AccountState::Deactivated => {
                Err(ServerNoticeError::UnknownUser)
            }
            Some(row) if row.class.is_guest() => Err(ServerNoticeError::Guest),
            Some(_) => Ok(()),
        }
    }

    /// The user's room of notices, with the user at least invited.
    async fn notice_room(
        &self,
        speaker: &Actor,
        user: &UserId,
    ) -> Result<OwnedRoomId, ServerNoticeError> {
        let _one_at_a_time = self.inner.notice_rooms.lock().await;
        let room_id = if let Some(known) = self.known_notice_room(user).await? {
            known
        } else {
            let command = self.new_notice_room();
            let made = self.create_room_for(speaker, command, Some(user.to_owned())).await;
            made.map_err(ServerNoticeError::Room)?.room_id
        };
        // The mark is there before the user can see the room.
        let (whose, room) = (user.to_owned(), room_id.clone());
        let slot = self.inner.store.slot_of_user(user);
        let marked = self.inner.store.write(slot, move |tx| tag_notice_room(tx, &whose, &room));
        marked.await?;
        if !self.is_expected(&room_id, user).await? {
            let user_id = user.to_owned();
            let command = Invite { room_id: room_id.clone(), user_id, reason: None };
            self.invite(speaker, command).await?;
        }
        Ok(room_id)
    }

    /// The room that was made for the notices to a user.
    pub(super) async fn known_notice_room(
        &self,
        user: &UserId,
    ) -> Result<Option<OwnedRoomId>, ServerNoticeError> {
        let user = user.to_owned();
        let row = self.inner.store.read(move |it| NOTICE_ROOM.get(it, (&user,))).await?;
        Ok(row.map(|row| row.room_id))
    }

    /// Whether the user is invited to a room or joined.
    async fn is_expected(
        &self,
        room_id: &ruma::RoomId,
        user: &UserId,
    ) -> Result<bool, ServerNoticeError> {
        let user = user.to_owned();
        let member = self
            .with_view(room_id, move |view| {
                let member = view.state_event("m.room.member", user.as_str())?;
                Ok::<_, ServerNoticeError>(member.map(|it| membership_of(&it.pdu)))
            })
            .await?;
        let here = [StoredMembership::Join, StoredMembership::Invite];
        Ok(member.flatten().is_some_and(|membership| here.contains(&membership)))
    }

    /// Only the server speaks there, and nobody else is let in.
    fn new_notice_room(&self) -> CreateRoom {
        let config = &self.inner.config.notices;
        let state = |event_type: &str, content: CanonicalJsonObject| InitialState {
            event_type: event_type.to_owned(),
            state_key: String::new(),
            content,
        };
        let mut initial_state =
            vec![state("m.room.guest_access", canonical(&json!({ "guest_access": "forbidden" })))];
        if let Some(avatar) = &config.avatar {
            initial_state.push(state("m.room.avatar", canonical(&json!({ "url": avatar }))));
        }
        CreateRoom {
            creation_content: canonical(&json!({ "m.federate": false })),
            initial_state,
            name: Some(config.room_name.clone()),
            power_level_content_override: canonical(&json!({ "events_default": 50, "invite": 50 })),
            preset: Some(Preset::PrivateChat),
            ..CreateRoom::default()
        }
    }
}
