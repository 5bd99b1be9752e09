//! A server of ours, and others that only listen.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use ruma::{CanonicalJsonObject, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde_json::{Value, json};
use vestibule_events::{EventBuilder, Pdu, RoomVersion, SigningKey, Verified, auth_types};
use vestibule_federation::{Federation, FederationParts};
use vestibule_remote::{
    Exchange, Remote, RemoteConfig, RemoteParts, Reply, Transport, TransportError,
};
use vestibule_rooms::{CreateRoom, Preset, Received, Rooms, SendEvent};
use vestibule_storage::{MemoryEngine, Scan, StorageError, Store};
use vestibule_testkit::{
    Services, Settings, TestEnvironment, environment, memory_store_with, put_account,
};
use vestibule_types::{Actor, BoxFuture, ClassName};

/// Our name in these tests.
pub(crate) const HOME: &str = "home.test";

/// A transaction as it went over the wire.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Transaction {
    pub(crate) to: String,
    pub(crate) id: String,
    pub(crate) body: Value,
}

impl Transaction {
    /// The bodies of its messages, and the types of other events.
    pub(crate) fn texts(&self) -> Vec<String> {
        let pdus = self.body["pdus"].as_array().expect("pdus");
        let text = |pdu: &Value| {
            pdu["content"]["body"].as_str().or(pdu["type"].as_str()).unwrap_or_default().to_owned()
        };
        pdus.iter().map(text).collect()
    }

    /// Type and content of its other messages.
    pub(crate) fn edus(&self) -> Vec<(String, Value)> {
        let edus = self.body["edus"].as_array().cloned().unwrap_or_default();
        let part = |edu: Value| {
            (edu["edu_type"].as_str().unwrap_or_default().to_owned(), edu["content"].clone())
        };
        edus.into_iter().map(part).collect()
    }
}

/// Carries transactions, and remembers them.
#[derive(Clone, Default)]
pub(crate) struct Wire(Arc<Mutex<WireState>>);

#[derive(Default)]
struct WireState {
    tried: Vec<Transaction>,
    taken: Vec<Transaction>,
    cut: BTreeSet<String>,
    silent: BTreeSet<String>,
    refusing: BTreeMap<String, u16>,
}

impl Wire {
    /// Makes a server unreachable.
    pub(crate) fn cut(&self, server: &str) {
        self.0.lock().cut.insert(server.to_owned());
    }

    /// Makes it reachable.
    pub(crate) fn mend(&self, server: &str) {
        let mut state = self.0.lock();
        state.cut.remove(server);
        state.silent.remove(server);
        state.refusing.remove(server);
    }

    /// It takes a transaction and never answers.
    pub(crate) fn silence(&self, server: &str) {
        self.0.lock().silent.insert(server.to_owned());
    }

    /// It answers with this status.
    pub(crate) fn refuse(&self, server: &str, status: u16) {
        self.0.lock().refusing.insert(server.to_owned(), status);
    }

    /// What was sent to a server, also what it did not get.
    pub(crate) fn tried(&self, server: &str) -> Vec<Transaction> {
        self.0.lock().tried.iter().filter(|it| it.to == server).cloned().collect()
    }

    /// What a server answered well.
    pub(crate) fn taken(&self, server: &str) -> Vec<Transaction> {
        self.0.lock().taken.iter().filter(|it| it.to == server).cloned().collect()
    }

    /// The texts a server was told, in order.
    pub(crate) fn texts(&self, server: &str) -> Vec<String> {
        self.taken(server).iter().flat_map(Transaction::texts).collect()
    }
}

impl Transport for Wire {
    fn exchange(&self, exchange: Exchange) -> BoxFuture<'_, Result<Reply, TransportError>> {
        let transaction = Transaction {
            to: exchange.server.to_string(),
            id: exchange.path.rsplit('/').next().unwrap_or_default().to_owned(),
            body: serde_json::from_slice(&exchange.body).expect("JSON"),
        };
        let mut state = self.0.lock();
        state.tried.push(transaction.clone());
        if state.silent.contains(&transaction.to) {
            state.taken.push(transaction);
            return Box::pin(std::future::pending());
        }
        if state.cut.contains(&transaction.to) {
            return Box::pin(async { Err(TransportError::Unreachable("cut".to_owned())) });
        }
        let refused = state.refusing.get(&transaction.to).copied();
        if refused.is_none() {
            state.taken.push(transaction);
        }
        let status = http::StatusCode::from_u16(refused.unwrap_or(200)).expect("a status");
        let body = if refused.is_some() {
            json!({ "errcode": "M_BAD_JSON", "error": "no" })
        } else {
            json!({ "pdus": {} })
        };
        let reply =
            Reply { status, headers: http::HeaderMap::new(), body: body.to_string().into() };
        Box::pin(async move { Ok(reply) })
    }
}

/// A server of ours.
pub(crate) struct Rig {
    pub(crate) wire: Wire,
    pub(crate) rooms: Rooms,
    pub(crate) store: Store,
    pub(crate) remote: Remote,
    pub(crate) test: TestEnvironment,
    engine: MemoryEngine,
    slots: u16,
    senders: u32,
}

impl Rig {
    /// A server over a store with this many slots.
    pub(crate) async fn new(slots: u16) -> Self {
        let test = environment(7);
        Self::over(MemoryEngine::new(slots), slots, test, Wire::default()).await
    }

    async fn over(engine: MemoryEngine, slots: u16, test: TestEnvironment, wire: Wire) -> Self {
        let name = ruma::ServerName::parse(HOME).expect("a server name");
        let mut settings = Settings::of(&name);
        settings.rooms.presence.enabled = true;
        settings.rooms.presence.send = true;
        let services = settings.over(memory_store_with(engine.clone(), slots), test);
        let Services { store, policy, test, accounts, rooms, keys, media, .. } = services;
        let key = services.signing_key;
        let remote = Remote::open(RemoteParts {
            store: store.clone(),
            environment: test.environment.clone(),
            server_name: name.clone(),
            signing_key: key.clone(),
            config: RemoteConfig::default(),
            transport: Arc::new(wire.clone()),
        });
        let remote = remote.await.expect("opens");
        let federation = Federation::new(FederationParts {
            store: store.clone(),
            policy,
            environment: test.environment.clone(),
            server_name: name,
            signing_key: key,
            remote: remote.clone(),
            notaries: Vec::new(),
            accounts,
            rooms: rooms.clone(),
            keys,
            media,
        });
        federation.start();
        let rig = Self { wire, rooms, store, remote, test, engine, slots, senders: 0 };
        rig.settle().await;
        rig
    }

    /// Kills the server where it stands, and starts another over what it stored.
    pub(crate) async fn crash(self) -> Self {
        let test = environment(u64::from(self.senders) + 100);
        // The new clock goes on where the old one was; the old tasks see time stand still.
        let past = u64::from(self.test.clock_now()) - vestibule_testkit::EPOCH_MS;
        test.clock.advance(Duration::from_millis(past));
        Self::over(self.engine, self.slots, test, self.wire).await
    }

    /// Lets everything that can run come to rest.
    pub(crate) async fn settle(&self) {
        for _ in 0..2_000 {
            tokio::task::yield_now().await;
        }
    }

    /// Moves time.
    pub(crate) async fn pass(&self, time: Duration) {
        self.settle().await;
        self.test.clock.advance(time);
        self.settle().await;
    }

    pub(crate) async fn account(&self, localpart: &str) -> Actor {
        let user_id = UserId::parse(format!("@{localpart}:{HOME}")).expect("a user id");
        put_account(&self.store, &user_id, ClassName::member()).await
    }

    pub(crate) async fn open_room(&self, owner: &Actor) -> OwnedRoomId {
        let command = CreateRoom { preset: Some(Preset::PublicChat), ..CreateRoom::default() };
        self.rooms.create_room(owner, command).await.expect("created").room_id
    }

    pub(crate) async fn say(&self, who: &Actor, room: &RoomId, text: &str) -> OwnedEventId {
        let content = json!({ "msgtype": "m.text", "body": text });
        let command = SendEvent {
            room_id: room.to_owned(),
            event_type: "m.room.message".to_owned(),
            content: object(content),
            transaction_id: None,
            timestamp: None,
        };
        self.rooms.send_event(who, command).await.expect("sent")
    }

    /// An event of another server's user at the end of the room.
    pub(crate) async fn build(
        &self,
        room: &RoomId,
        (sender, kind, key): (&str, &str, Option<&str>),
        content: Value,
    ) -> Pdu {
        let sender: OwnedUserId = UserId::parse(sender).expect("a user id");
        let raw = serde_json::value::to_raw_value(&content).expect("JSON");
        let places = auth_types(RoomVersion::DEFAULT, kind, &sender, key, &raw).expect("types");
        let found = self
            .rooms
            .with_view::<_, StorageError, _>(room, move |view| {
                let (mut auth, mut prev) = (Vec::new(), Vec::new());
                for (kind, key) in places.into_iter().filter(|it| it.0 != "m.room.create") {
                    let event = view.state_event(&kind, &key)?;
                    auth.extend(event.map(|it| it.pdu.event_id().clone()));
                }
                for no in &view.room.head.extremities {
                    let event = view.event(*no)?.expect("stored");
                    prev.push(event.pdu.event_id().clone());
                }
                Ok((auth, prev, view.room.head.depth))
            })
            .await
            .expect("read");
        let (auth_events, prev_events, depth) = found.expect("a room");
        let builder = EventBuilder {
            room_id: Some(room.to_owned()),
            sender: sender.clone(),
            event_type: kind.to_owned(),
            state_key: key.map(ToOwned::to_owned),
            content: object(content),
            origin_server_ts: self.test.environment.now(),
            auth_events,
            prev_events,
            depth: depth + 1,
            redacts: None,
        };
        let key = SigningKey::from_seed([9; 32], "b").expect("a key");
        let built = builder.build_and_sign(RoomVersion::DEFAULT, &key, sender.server_name());
        built.expect("built")
    }

    /// Somebody of another server joins; their server told us.
    pub(crate) async fn join_from(&self, room: &RoomId, user: &str) {
        let join = json!({ "membership": "join" });
        let pdu = self.build(room, (user, "m.room.member", Some(user)), join).await;
        let received =
            self.rooms.receive(Verified::unchecked_for_tests(pdu)).await.expect("judged");
        assert_eq!(received, Received::Accepted);
        self.settle().await;
    }

    /// The event that sets a key of a room's state.
    pub(crate) async fn state_id(&self, room: &RoomId, kind: &str, key: &str) -> OwnedEventId {
        let (kind, key) = (kind.to_owned(), key.to_owned());
        let found = self.rooms.with_view::<_, StorageError, _>(room, move |view| {
            let event = view.state_event(&kind, &key)?.expect("set");
            Ok(event.pdu.event_id().clone())
        });
        found.await.expect("read").expect("a room")
    }

    /// How many commits there were.
    pub(crate) fn commits(&self) -> u64 {
        self.store.positions().iter().map(|(_, commit)| commit).sum()
    }

    /// How many rows tell of servers that lack something.
    pub(crate) async fn rows(&self) -> usize {
        use vestibule_storage::tables::sender::OUTGOING;
        let read = self.store.read::<_, StorageError, _>(|snapshot| {
            Ok(OUTGOING.scan_with(snapshot, Scan::prefix(()))?.len())
        });
        read.await.expect("read")
    }
}

trait Now {
    fn clock_now(&self) -> ruma::UInt;
}

impl Now for TestEnvironment {
    fn clock_now(&self) -> ruma::UInt {
        self.environment.now().get()
    }
}

pub(crate) fn object(value: Value) -> CanonicalJsonObject {
    serde_json::from_value(value).expect("canonical JSON")
}
