//! People in rooms, over a store in memory, and what a sync tells them.

use std::time::Duration;

use ruma::{OwnedEventId, OwnedRoomId, RoomId, device_id, server_name};
use serde_json::{Value, json};
use vestibule_accounts::{Accounts, PutAccountData};
use vestibule_keys::Keys;
use vestibule_push::Unread;
use vestibule_rooms::{
    CreateRoom, Invite, Join, Leave, PresenceConfig, Preset, ReceiptKind, Rooms, RoomsConfig,
    SendEvent, SendReceipt, SendState,
};
use vestibule_storage::{StorageError, Store};
use vestibule_sync::{Sync, SyncError, SyncParts, SyncRequest};
use vestibule_testkit::{
    Services, Settings, TestEnvironment, environment, memory_store, put_account, put_device,
};
use vestibule_types::{Actor, ClassName};

/// Longer than anything a test waits for.
pub(crate) const LONG: Duration = Duration::from_mins(5);

pub(crate) struct House {
    pub(crate) rooms: Rooms,
    pub(crate) accounts: Accounts,
    pub(crate) keys: Keys,
    pub(crate) sync: Sync,
    pub(crate) store: Store,
    pub(crate) test: TestEnvironment,
}

impl House {
    pub(crate) fn new(slots: u16) -> Self {
        Self::over(memory_store(slots))
    }

    pub(crate) fn over(store: Store) -> Self {
        Self::with(store, RoomsConfig::default())
    }

    /// A house that keeps presence.
    pub(crate) fn with_presence(slots: u16) -> Self {
        Self::keeping_presence(memory_store(slots))
    }

    pub(crate) fn keeping_presence(store: Store) -> Self {
        let presence = PresenceConfig { enabled: true, ..PresenceConfig::default() };
        Self::with(store, RoomsConfig { presence, ..RoomsConfig::default() })
    }

    fn with(store: Store, config: RoomsConfig) -> Self {
        let test = environment(11);
        let with = Settings { rooms: config, ..Settings::of(server_name!("home.test")) };
        let Services { store, test, accounts, rooms, keys, .. } = with.over(store, test);
        let sync = started(&rooms, &test);
        Self { rooms, accounts, keys, sync, store, test }
    }

    /// The service as after a restart: nothing in memory.
    pub(crate) fn restarted(&self) -> Sync {
        started(&self.rooms, &self.test)
    }

    /// A service that never heard of anything, and hears of nothing.
    pub(crate) fn without_memory(&self) -> Sync {
        Sync::new(parts(&self.rooms, &self.test))
    }

    pub(crate) async fn account(&self, localpart: &str) -> Actor {
        let id = ruma::UserId::parse(format!("@{localpart}:home.test")).expect("a user id");
        let actor = put_account(&self.store, &id, ClassName::member()).await;
        put_device(&self.store, &id, device_id!("TESTDEVICE"), None).await;
        actor
    }

    pub(crate) async fn room(&self, owner: &Actor) -> OwnedRoomId {
        self.room_with(
            owner,
            CreateRoom { preset: Some(Preset::PublicChat), ..CreateRoom::default() },
        )
        .await
    }

    pub(crate) async fn room_with(&self, owner: &Actor, command: CreateRoom) -> OwnedRoomId {
        self.rooms.create_room(owner, command).await.expect("created").room_id
    }

    pub(crate) async fn join(&self, who: &Actor, room: &RoomId) {
        let command = Join { room_id: room.to_owned(), reason: None, via: Vec::new(), proof: None };
        self.rooms.join(who, command).await.expect("joined");
    }

    pub(crate) async fn leave(&self, who: &Actor, room: &RoomId) {
        let command = Leave { room_id: room.to_owned(), reason: None };
        self.rooms.leave(who, command).await.expect("left");
    }

    pub(crate) async fn invite(&self, who: &Actor, whom: &Actor, room: &RoomId) {
        let user_id = whom.user_id().to_owned();
        let command = Invite { room_id: room.to_owned(), user_id, reason: None };
        self.rooms.invite(who, command).await.expect("invited");
    }

    pub(crate) async fn say(&self, who: &Actor, room: &RoomId, text: &str) -> OwnedEventId {
        self.send(who, room, json!({ "msgtype": "m.text", "body": text })).await
    }

    pub(crate) async fn send(&self, who: &Actor, room: &RoomId, content: Value) -> OwnedEventId {
        let command = SendEvent {
            room_id: room.to_owned(),
            event_type: "m.room.message".to_owned(),
            content: serde_json::from_value(content).expect("canonical JSON"),
            transaction_id: None,
            timestamp: None,
        };
        self.rooms.send_event(who, command).await.expect("sent")
    }

    pub(crate) async fn set(
        &self,
        who: &Actor,
        room: &RoomId,
        (kind, key): (&str, &str),
        content: Value,
    ) {
        let command = SendState {
            room_id: room.to_owned(),
            event_type: kind.to_owned(),
            state_key: key.to_owned(),
            content: serde_json::from_value(content).expect("canonical JSON"),
            timestamp: None,
        };
        self.rooms.send_state(who, command).await.expect("set");
    }

    /// The event that sets a key of the current state.
    pub(crate) async fn state_id(&self, room: &RoomId, kind: &str) -> OwnedEventId {
        let kind = kind.to_owned();
        let found = self.rooms.with_view::<_, StorageError, _>(room, move |view| {
            let event = view.state_event(&kind, "")?.expect("it is set");
            Ok(event.pdu.event_id().clone())
        });
        found.await.expect("read").expect("the room is here")
    }

    pub(crate) async fn read(
        &self,
        who: &Actor,
        room: &RoomId,
        event: &OwnedEventId,
        kind: ReceiptKind,
    ) {
        let command =
            SendReceipt { room_id: room.to_owned(), event_id: event.clone(), kind, thread: None };
        self.rooms.send_receipt(who, command).await.expect("read");
    }

    pub(crate) async fn keep(
        &self,
        who: &Actor,
        room: Option<&RoomId>,
        kind: &str,
        content: Value,
    ) {
        let command = PutAccountData {
            user_id: who.user_id().to_owned(),
            room_id: room.map(ToOwned::to_owned),
            event_type: kind.to_owned(),
            content: content.to_string(),
            peer: None,
        };
        self.accounts.put_account_data(who, command).await.expect("kept");
    }

    pub(crate) async fn sync(&self, who: &Actor, request: SyncRequest) -> Answer {
        self.try_sync(who, request).await.expect("an answer")
    }

    pub(crate) async fn try_sync(
        &self,
        who: &Actor,
        request: SyncRequest,
    ) -> Result<Answer, SyncError> {
        let response = self.sync.sync(who, request).await?;
        Ok(Answer(serde_json::to_value(response).expect("JSON")))
    }

    /// Everything.
    pub(crate) async fn first(&self, who: &Actor) -> Answer {
        self.sync(who, SyncRequest::default()).await
    }

    /// What is new.
    pub(crate) async fn next(&self, who: &Actor, since: &Answer) -> Answer {
        self.sync(who, since.then()).await
    }
}

fn started(rooms: &Rooms, test: &TestEnvironment) -> Sync {
    let sync = Sync::new(parts(rooms, test));
    sync.start();
    sync
}

fn parts(rooms: &Rooms, test: &TestEnvironment) -> SyncParts {
    let environment = test.environment.clone();
    SyncParts { rooms: rooms.clone(), unread: Unread::default(), environment }
}

/// What a sync said.
pub(crate) struct Answer(pub Value);

impl Answer {
    pub(crate) fn token(&self) -> String {
        self.0["next_batch"].as_str().expect("a token").to_owned()
    }

    /// The request that goes on from here.
    pub(crate) fn then(&self) -> SyncRequest {
        SyncRequest { since: Some(self.token()), ..SyncRequest::default() }
    }

    /// A section of a room: `join`, `invite`, `knock` or `leave`.
    pub(crate) fn room(&self, section: &str, room: &RoomId) -> &Value {
        &self.0["rooms"][section][room.as_str()]
    }

    pub(crate) fn joined(&self, room: &RoomId) -> &Value {
        self.room("join", room)
    }

    /// How many rooms are in all sections.
    pub(crate) fn rooms(&self) -> usize {
        let sections = self.0["rooms"].as_object().expect("sections");
        sections.values().map(|rooms| rooms.as_object().expect("rooms").len()).sum()
    }
}

/// The bodies of the messages of a room section.
pub(crate) fn bodies(room: &Value) -> Vec<&str> {
    let events = room["timeline"]["events"].as_array().into_iter().flatten();
    events.filter_map(|event| event["content"]["body"].as_str()).collect()
}

/// Type and state key of every event of a list.
pub(crate) fn keys(events: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let events = events["events"].as_array().into_iter().flatten();
    events.map(|event| (text(&event["type"]), text(&event["state_key"]))).collect()
}

/// The event of a type and state key in a list.
pub(crate) fn state<'a>(events: &'a Value, kind: &str, key: &str) -> Option<&'a Value> {
    let mut events = events["events"].as_array()?.iter();
    events.find(|event| event["type"] == kind && event["state_key"] == key)
}
