//! A house with rooms and people, over a store in memory.

use std::sync::Arc;

use ruma::{CanonicalJsonObject, OwnedRoomId, OwnedUserId, RoomAliasId, RoomId, UserId};
use serde_json::{Value, json};
use vestibule_events::SigningKey;
use vestibule_policy::{PolicyConfig, PolicyHandle, RateBuckets, compile};
use vestibule_rooms::{
    CreateRoom, InitialState, Join, Leave, MembershipError, Preset, Rooms, RoomsConfig, RoomsParts,
    SendError, SendEvent, SendState,
};
use vestibule_storage::{StorageError, Store, tables::user_data::PROFILE_FIELD};
use vestibule_testkit::{TestEnvironment, environment, memory_store, put_account, threaded_store};
use vestibule_types::{Actor, ClassName};

/// Our name in these tests.
pub(crate) const HOME: &str = "home.test";

/// Rooms over a store in memory.
pub(crate) struct House {
    pub(crate) rooms: Rooms,
    pub(crate) store: Store,
    pub(crate) policy: PolicyHandle,
    pub(crate) test: TestEnvironment,
}

/// A content out of JSON.
pub(crate) fn content(value: Value) -> CanonicalJsonObject {
    serde_json::from_value(value).expect("canonical JSON")
}

/// The policy most tests run under: guests by alias, aliases by moderators.
pub(crate) fn open_by_alias() -> PolicyConfig {
    policy(
        r#"
        [guests]
        enabled = true
        [aliases]
        create = "moderator"
        "#,
    )
}

/// A policy from text.
pub(crate) fn policy(text: &str) -> PolicyConfig {
    toml::from_str(text).expect("a policy")
}

impl House {
    /// A house under a policy, over a store with this many slots.
    pub(crate) fn new(config: &PolicyConfig, slots: u16) -> Self {
        Self::over(config, memory_store(slots))
    }

    /// A house over a store with a commit thread and a pool, as a server has them.
    pub(crate) fn threaded(config: &PolicyConfig) -> Self {
        Self::over(config, threaded_store(2))
    }

    /// Another service over the same store: it shares no queue and no cache with the first.
    pub(crate) fn second_service(&self) -> Rooms {
        service(&self.store, &self.policy, &self.test)
    }

    fn over(config: &PolicyConfig, store: Store) -> Self {
        let test = environment(7);
        let server_name = ruma::ServerName::parse(HOME).expect("a server name");
        let (compiled, _) = compile(config, &server_name).expect("a policy without errors");
        let policy = PolicyHandle::new(compiled);
        let rooms = service(&store, &policy, &test);
        Self { rooms, store, policy, test }
    }

    /// Puts another policy in force, given as text.
    pub(crate) fn swap(&self, text: &str) {
        self.swap_to(&policy(text));
    }

    /// Puts another policy in force.
    pub(crate) fn swap_to(&self, config: &PolicyConfig) {
        let home = ruma::ServerName::parse(HOME).expect("a server name");
        let (policy, _) = compile(config, &home).expect("a policy without errors");
        self.policy.swap(policy);
    }

    /// Leaves a room.
    pub(crate) async fn leave(&self, who: &Actor, room: &RoomId) {
        let command = Leave { room_id: room.to_owned(), reason: None };
        self.rooms.leave(who, command).await.expect("left");
    }

    /// An account of a class.
    pub(crate) async fn account(&self, localpart: &str, class: &str) -> Actor {
        put_account(&self.store, &user(localpart), ClassName::new(class)).await
    }

    /// Gives somebody another name in their profile, as far as the rooms are told of it.
    pub(crate) async fn called(&self, who: &Actor, name: &str) {
        let (user, json) = (who.user_id().to_owned(), Value::from(name).to_string());
        let slot = self.store.slot_of_user(who.user_id());
        let write = self.store.write::<_, StorageError, _>(slot, move |tx| {
            PROFILE_FIELD.put(tx, (&user, "displayname"), &json)
        });
        write.await.expect("stored");
        let payload = json!({ "user_id": who.user_id() }).to_string();
        self.rooms.run_job("profile_fan_out", payload.as_bytes()).await.expect("told");
    }

    /// A house where an alias opens rooms, a moderator with a room of that alias, and a guest who came in by it.
    pub(crate) async fn with_a_guest_by(alias: &str) -> (Self, Actor, Actor, OwnedRoomId) {
        let house = Self::new(&open_by_alias(), 1);
        let alice = house.account("alice", "moderator").await;
        let guest = house.account("guest-aaaa", "guest").await;
        let room = house.open_room(&alice).await;
        house.alias(&alice, alias, &room).await.expect("named");
        house.join(&guest, &room).await.expect("open");
        (house, alice, guest, room)
    }

    /// A public room that admits guests.
    pub(crate) async fn open_room(&self, owner: &Actor) -> OwnedRoomId {
        let guests = InitialState {
            event_type: "m.room.guest_access".to_owned(),
            state_key: String::new(),
            content: content(json!({ "guest_access": "can_join" })),
        };
        let command = CreateRoom {
            preset: Some(Preset::PublicChat),
            initial_state: vec![guests],
            ..CreateRoom::default()
        };
        self.rooms.create_room(owner, command).await.expect("created").room_id
    }

    pub(crate) async fn join(&self, who: &Actor, room: &RoomId) -> Result<(), MembershipError> {
        let command = Join { room_id: room.to_owned(), reason: None, via: Vec::new(), proof: None };
        self.rooms.join(who, command).await.map(|_| ())
    }

    pub(crate) async fn say(
        &self,
        who: &Actor,
        room: &RoomId,
        text: &str,
    ) -> Result<(), SendError> {
        let command = SendEvent {
            room_id: room.to_owned(),
            event_type: "m.room.message".to_owned(),
            content: content(json!({ "msgtype": "m.text", "body": text })),
            transaction_id: None,
            timestamp: None,
        };
        self.rooms.send_event(who, command).await.map(|_| ())
    }

    pub(crate) async fn set(
        &self,
        who: &Actor,
        room: &RoomId,
        (kind, key): (&str, &str),
        value: Value,
    ) -> Result<(), SendError> {
        let command = SendState {
            room_id: room.to_owned(),
            event_type: kind.to_owned(),
            state_key: key.to_owned(),
            content: content(value),
            timestamp: None,
        };
        self.rooms.send_state(who, command).await.map(|_| ())
    }

    pub(crate) async fn alias(
        &self,
        who: &Actor,
        name: &str,
        room: &RoomId,
    ) -> Result<(), vestibule_rooms::DirectoryError> {
        self.rooms.create_alias(who, alias(name), room.to_owned()).await
    }

    /// The content of a state event, if the room has it.
    pub(crate) async fn state(&self, room: &RoomId, kind: &str, key: &str) -> Option<Value> {
        let (kind, key) = (kind.to_owned(), key.to_owned());
        self.rooms
            .with_view::<_, StorageError, _>(room, move |view| {
                let event = view.state_event(&kind, &key)?;
                Ok(event.map(|event| event.pdu.content_as::<Value>().expect("JSON")))
            })
            .await
            .expect("read")
            .flatten()
    }

    /// The membership of a user.
    pub(crate) async fn membership(&self, room: &RoomId, who: &Actor) -> Option<String> {
        let member = self.state(room, "m.room.member", who.user_id().as_str()).await?;
        member["membership"].as_str().map(ToOwned::to_owned)
    }

    /// The types of all events of the timeline, oldest first.
    pub(crate) async fn timeline(&self, room: &RoomId) -> Vec<String> {
        self.rooms
            .with_view::<_, StorageError, _>(room, move |view| {
                let rows = view.timeline_forward(None, None, usize::MAX)?;
                let mut kinds = Vec::new();
                for (_, no) in rows {
                    kinds.push(view.event(no)?.expect("stored").pdu.kind().to_owned());
                }
                Ok(kinds)
            })
            .await
            .expect("read")
            .unwrap_or_default()
    }

    /// Does every job that is due, as the server would.
    pub(crate) async fn run_jobs(&self) {
        use vestibule_storage::jobs;
        loop {
            let now = self.test.environment.now_ms();
            let due = self
                .store
                .read::<_, StorageError, _>(move |snapshot| jobs::due(snapshot, None, now, 64))
                .await
                .expect("read");
            if due.is_empty() {
                return;
            }
            for (key, job) in due {
                let again = self.rooms.run_job(&job.kind, &job.payload).await.expect("done");
                let slot = vestibule_storage::SlotNo(0);
                self.store
                    .write::<_, StorageError, _>(slot, move |tx| {
                        match again {
                            Some(at) => jobs::progress(tx, key, job.payload.clone(), at)?,
                            None => jobs::finish(tx, key)?,
                        };
                        Ok(())
                    })
                    .await
                    .expect("stored");
            }
        }
    }
}

fn service(store: &Store, policy: &PolicyHandle, test: &TestEnvironment) -> Rooms {
    Rooms::new(RoomsParts {
        store: store.clone(),
        policy: policy.clone(),
        rates: Arc::new(RateBuckets::default()),
        environment: test.environment.clone(),
        server_name: ruma::ServerName::parse(HOME).expect("a server name"),
        signing_key: SigningKey::from_seed([7; 32], "a").expect("a key").into(),
        config: RoomsConfig::default(),
        job_bell: Arc::default(),
    })
}

pub(crate) fn user(localpart: &str) -> OwnedUserId {
    UserId::parse(format!("@{localpart}:{HOME}")).expect("a user id")
}

pub(crate) fn alias(name: &str) -> ruma::OwnedRoomAliasId {
    RoomAliasId::parse(format!("#{name}:{HOME}")).expect("an alias")
}
