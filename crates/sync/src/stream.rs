//! The event stream as it was before `/sync` (client-server API, "old sync" and "Room previews"): all
//! that is new as one list, and everything at once to begin with. Both are made from what `/sync` says.

use std::time::Duration;

use ruma::{OwnedRoomId, RoomId, api::client::filter::RoomEventFilter};
use serde::Serialize;
use serde_json::{Map, Value, json, value::to_raw_value};
use tracing::instrument;
use vestibule_rooms::{
    Availability, Direction, MessagesQuery, ReadError, RelatedBy, TimelinePosition,
};
use vestibule_storage::{
    Positions, Snapshot, Stamp, StorageError,
    tables::{directory::PUBLICATION_BY_ROOM, room::ROOM_NO_BY_ID},
};
use vestibule_types::{
    Actor,
    limits::{
        PEEK_LOOK_EVERY, STREAM_EVENTS_MAX, SYNC_TIMELINE_DEFAULT, SYNC_TIMELINE_MAX, SYNC_WAIT_MAX,
    },
};

use crate::{
    Events, RawEvent, State, Sync, SyncError, SyncRequest, SyncResponse, SyncToken,
    pass::timeline::LIVE, service::stands,
};

/// What is to be listened to.
#[derive(Clone, Debug, Default)]
pub struct Listen {
    /// From where on; `None` for from now on.
    pub from: Option<String>,
    /// How long to wait when there is nothing.
    pub timeout: Duration,
    /// One room, which the listener need not be in; `None` for all that concerns the listener.
    pub room_id: Option<OwnedRoomId>,
}

/// A stretch of the stream.
#[derive(Debug, Default, Serialize)]
pub struct Heard {
    /// Where it begins.
    pub start: String,
    /// Where the next one begins.
    pub end: String,
    /// The events.
    pub chunk: Vec<RawEvent>,
}

/// Why nothing is heard.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The stream could not be read.
    #[error(transparent)]
    Stream(#[from] SyncError),
    /// The room could not be read.
    #[error(transparent)]
    Room(#[from] ReadError),
}

/// Everything, to begin with.
#[derive(Debug, Default, Serialize)]
pub struct Everything {
    /// Where the stream goes on.
    pub end: String,
    /// Who is there.
    pub presence: Vec<RawEvent>,
    /// The user's own data that belongs to no room.
    pub account_data: Vec<RawEvent>,
    /// The rooms.
    pub rooms: Vec<RoomNow>,
}

/// A room of [`Everything`].
#[derive(Debug, Default, Serialize)]
pub struct RoomNow {
    /// Which.
    pub room_id: String,
    /// What the user is to it.
    pub membership: &'static str,
    /// The invitation, stripped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invite: Option<RawEvent>,
    /// The newest events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Heard>,
    /// The state at their end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<RawEvent>,
    /// Whether it is in the public list.
    pub visibility: &'static str,
    /// The user's own data of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub account_data: Vec<RawEvent>,
}

impl Sync {
    /// What happens from a place on: whatever concerns the caller, or in one room that they may look
    /// into.
    #[instrument(name = "sync.listen", skip_all)]
    pub async fn listen(&self, actor: &Actor, listen: Listen) -> Result<Heard, ListenError> {
        match listen.room_id {
            Some(room_id) => {
                let to = (listen.from, listen.timeout.min(SYNC_WAIT_MAX));
                self.listen_in(actor, room_id, to).await
            }
            None => Ok(self.listen_to_all(actor, listen.from, listen.timeout).await?),
        }
    }

    async fn listen_to_all(
        &self,
        actor: &Actor,
        from: Option<String>,
        timeout: Duration,
    ) -> Result<Heard, SyncError> {
        let start = match from.filter(|from| !from.is_empty()) {
            Some(from) => self.apart(&from).ok_or(SyncError::BadToken)?,
            None => self.now(),
        };
        let filter = json!({ "room": { "timeline": { "limit": SYNC_TIMELINE_MAX } } });
        let request = SyncRequest {
            since: Some(start.clone()),
            filter: Some(filter.to_string()),
            timeout,
            ..SyncRequest::default()
        };
        let response = self.sync(actor, request).await?;
        let end = self.apart(&response.next_batch).unwrap_or_default();
        Ok(Heard { start, end, chunk: all_of(response) })
    }

    /// What happens in a room. A page ends where the log ended when it was begun, so that the next one
    /// misses nothing and repeats nothing.
    async fn listen_in(
        &self,
        actor: &Actor,
        room_id: OwnedRoomId,
        (from, timeout): (Option<String>, Duration),
    ) -> Result<Heard, ListenError> {
        let inner = self.inner();
        let clock = &inner.environment.clock;
        let mut published = inner.rooms.store().watch();
        let mut over = clock.sleep(timeout);
        let mut stopping = inner.environment.spawner.stopping();
        let start = from.filter(|from| !from.is_empty()).unwrap_or_else(|| self.place(&room_id));
        loop {
            published.mark_unchanged();
            let end = self.place(&room_id);
            let query = MessagesQuery {
                room_id: room_id.clone(),
                direction: Direction::Forward,
                from: Some(start.clone()),
                to: Some(end.clone()),
                limit: STREAM_EVENTS_MAX,
                filter: RoomEventFilter::default(),
                related_by: RelatedBy::default(),
            };
            let caller = actor.clone();
            let standing = move |read: &Snapshot<'_>| stands::<SyncError>(read, &caller);
            inner.rooms.store().read(standing).await?;
            let page = inner.rooms.messages(actor, query).await?;
            if !page.chunk.is_empty() {
                return Ok(Heard { start, end: page.end.unwrap_or(end), chunk: page.chunk });
            }
            let nothing = Heard { start: start.clone(), end, chunk: Vec::new() };
            tokio::select! {
                biased;
                () = &mut over => return Ok(nothing),
                () = &mut stopping => return Ok(nothing),
                changed = published.changed() => if changed.is_err() { return Ok(nothing) },
            }
            // Whatever was committed need not be in this room: looks are not taken without pause.
            clock.sleep(PEEK_LOOK_EVERY).await;
        }
    }

    /// Everything the caller has to do with, and where the stream goes on from there.
    #[instrument(name = "sync.everything", skip_all)]
    pub async fn everything(
        &self,
        actor: &Actor,
        limit: Option<usize>,
        archived: bool,
    ) -> Result<Everything, SyncError> {
        let limit = limit.unwrap_or(SYNC_TIMELINE_DEFAULT).min(SYNC_TIMELINE_MAX);
        let room = json!({ "timeline": { "limit": limit }, "include_leave": archived });
        let request = SyncRequest {
            filter: Some(json!({ "room": room }).to_string()),
            use_state_after: true,
            presence: Availability::Online,
            ..SyncRequest::default()
        };
        let response = self.sync(actor, request).await?;
        let mut everything = Everything {
            end: self.apart(&response.next_batch).unwrap_or_default(),
            presence: response.presence.events,
            account_data: response.account_data.events,
            rooms: Vec::new(),
        };
        let end = |id: &RoomId| self.place(id);
        for (id, room) in response.rooms.join {
            let messages = (room.timeline, end(&id));
            everything.rooms.push(room_now(&id, "join", (messages, room.state, room.account_data)));
        }
        for (id, room) in response.rooms.leave {
            let messages = (room.timeline, end(&id));
            everything.rooms.push(room_now(
                &id,
                "leave",
                (messages, room.state, room.account_data),
            ));
        }
        for (id, room) in response.rooms.invite {
            let invite = room.invite_state.events.into_iter().next_back();
            everything.rooms.push(RoomNow {
                invite: invite.and_then(|event| in_room(&event, &id)),
                room_id: id.to_string(),
                membership: "invite",
                ..RoomNow::default()
            });
        }
        self.put_visibility(&mut everything.rooms).await?;
        Ok(everything)
    }

    async fn put_visibility(&self, rooms: &mut [RoomNow]) -> Result<(), StorageError> {
        let ids: Vec<OwnedRoomId> =
            rooms.iter().filter_map(|room| RoomId::parse(&room.room_id).ok()).collect();
        let read = self.inner().rooms.store().read::<_, StorageError, _>(move |snapshot| {
            let mut published = Vec::with_capacity(ids.len());
            for id in &ids {
                let no = ROOM_NO_BY_ID.get(snapshot, (id,))?;
                published.push(match no {
                    Some(no) => PUBLICATION_BY_ROOM.contains(snapshot, (no.0,))?,
                    None => false,
                });
            }
            Ok(published)
        });
        for (room, published) in rooms.iter_mut().zip(read.await?) {
            room.visibility = if published { "public" } else { "private" };
        }
        Ok(())
    }

    /// A token of `/sync` that says nothing of messages to the device: who listens here is not given
    /// any, and must not make them be forgotten.
    fn apart(&self, token: &str) -> Option<String> {
        let token = SyncToken::parse(token, self.inner().rooms.store().slots())?;
        Some(SyncToken { to_device: Stamp::default(), ..token }.to_string())
    }

    fn now(&self) -> String {
        let rooms = &self.inner().rooms;
        let (typing, _) = rooms.typing().since(u64::MAX);
        let presence = if rooms.presence().config().enabled { rooms.presence().last() } else { 0 };
        let positions = rooms.store().positions();
        SyncToken { positions, typing, presence, ..SyncToken::default() }.to_string()
    }

    /// The end of a room's timeline.
    fn place(&self, room_id: &RoomId) -> String {
        let store = self.inner().rooms.store();
        let now: Positions = store.positions();
        let stamp = Stamp::end_of(now.get(store.slot_of_room(room_id)));
        TimelinePosition { side: LIVE, stamp }.to_string()
    }
}

fn room_now(
    id: &RoomId,
    membership: &'static str,
    ((timeline, end), state, account_data): ((crate::Timeline, String), State, Events),
) -> RoomNow {
    let inside = |events: Vec<RawEvent>| -> Vec<RawEvent> {
        events.iter().filter_map(|event| in_room(event, id)).collect()
    };
    let start = timeline.prev_batch.unwrap_or_else(|| end.clone());
    RoomNow {
        room_id: id.to_string(),
        membership,
        invite: None,
        messages: Some(Heard { start, end, chunk: inside(timeline.events) }),
        state: inside(match state {
            State::Before(state) | State::After(state) | State::AfterByItsOldName(state) => {
                state.events
            }
        }),
        visibility: "private",
        account_data: account_data.events,
    }
}

/// All events of an answer, each with its room.
fn all_of(response: SyncResponse) -> Vec<RawEvent> {
    let mut chunk = response.presence.events;
    for (id, room) in response.rooms.join {
        let events = room.timeline.events.iter().chain(&room.ephemeral.events);
        chunk.extend(events.filter_map(|event| in_room(event, &id)));
    }
    for (id, room) in response.rooms.leave {
        chunk.extend(room.timeline.events.iter().filter_map(|event| in_room(event, &id)));
    }
    for (id, room) in response.rooms.invite {
        // The invitation itself comes last.
        let invite = room.invite_state.events.last();
        chunk.extend(invite.and_then(|event| in_room(event, &id)));
    }
    chunk
}

/// The event with the room it is of.
pub(crate) fn in_room(event: &RawEvent, room_id: &RoomId) -> Option<RawEvent> {
    let mut event: Map<String, Value> = serde_json::from_str(event.get()).ok()?;
    event.insert("room_id".to_owned(), room_id.as_str().into());
    to_raw_value(&event).ok()
}
