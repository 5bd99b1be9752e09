//! People with devices, and servers that answer as they are told.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use ruma::{
    CanonicalJsonObject, OwnedDeviceId, OwnedRoomId, OwnedUserId, RoomId, ServerName, UserId,
    server_name, signatures::sign_json,
};
use serde_json::{Value, json};
use vestibule_accounts::Accounts;
use vestibule_events::SigningKey;
use vestibule_keys::{
    ClaimedKeys, DeviceIds, Json, Keys, Queried, QueryKeys, RemoteDevice, RemoteDeviceList,
    RemoteKeys, RemoteKeysError, ShownKeys, UploadKeys, UploadKeysError, UploadSigningKeys,
    UploadSigningKeysError,
};
use vestibule_policy::PolicyConfig;
use vestibule_rooms::{CreateRoom, Join, Leave, Preset, Rooms};
use vestibule_storage::{
    StorageError, Store,
    tables::{
        device_list::{DEVICE_LIST_CHANGE, JOINED_ROOM_BY_USER},
        room::{EVENT_STATE, ROOM_NO_BY_ID, SERVER_BY_ROOM, STREAM, StoredNews},
    },
};
use vestibule_testkit::{
    Services, Settings, TestEnvironment, environment, memory_store, put_account, put_device,
};
use vestibule_types::{Actor, BoxFuture, ClassName, Credential};

pub(crate) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(crate) struct House {
    pub(crate) keys: Keys,
    pub(crate) accounts: Accounts,
    pub(crate) rooms: Rooms,
    pub(crate) store: Store,
    pub(crate) test: TestEnvironment,
    pub(crate) elsewhere: Arc<Elsewhere>,
}

impl House {
    pub(crate) fn new(slots: u16) -> Self {
        Self::under(&PolicyConfig::default(), slots)
    }

    pub(crate) fn under(policy: &PolicyConfig, slots: u16) -> Self {
        Self::over(policy, memory_store(slots))
    }

    pub(crate) fn over(policy: &PolicyConfig, store: Store) -> Self {
        let mut with = Settings::of(server_name!("home.test"));
        with.policy = policy.clone();
        let Services { store, test, accounts, rooms, keys, .. } = with.over(store, environment(5));
        let elsewhere = Arc::new(Elsewhere::default());
        keys.set_remote(elsewhere.clone());
        Self { keys, accounts, rooms, store, test, elsewhere }
    }

    /// A member with a device.
    pub(crate) async fn member(&self, localpart: &str, device: &str) -> Person {
        self.person(localpart, device, ClassName::member()).await
    }

    pub(crate) async fn person(&self, localpart: &str, device: &str, class: ClassName) -> Person {
        let user = user(localpart);
        put_account(&self.store, &user, class.clone()).await;
        self.device(&user, device, class).await
    }

    /// One more device of somebody.
    pub(crate) async fn device(&self, user: &UserId, device: &str, class: ClassName) -> Person {
        let id = OwnedDeviceId::from(device);
        put_device(&self.store, user, &id, Some(&format!("{device}'s name"))).await;
        let actor = Actor::new(user.to_owned(), Some(id.clone()), class, Credential::StoredSession);
        let key = Key::new(&format!("{user} {device}"));
        Person { actor, user: user.to_owned(), device: id, key }
    }

    pub(crate) async fn room(&self, owner: &Person) -> OwnedRoomId {
        let command = CreateRoom { preset: Some(Preset::PublicChat), ..CreateRoom::default() };
        self.rooms.create_room(&owner.actor, command).await.expect("created").room_id
    }

    pub(crate) async fn join(&self, who: &Person, room: &RoomId) {
        let command = Join { room_id: room.to_owned(), reason: None, via: Vec::new(), proof: None };
        self.rooms.join(&who.actor, command).await.expect("joined");
    }

    pub(crate) async fn leave(&self, who: &Person, room: &RoomId) {
        let command = Leave { room_id: room.to_owned(), reason: None };
        self.rooms.leave(&who.actor, command).await.expect("left");
    }

    /// Puts a user of another server into a room, as an event of theirs would.
    pub(crate) async fn place(&self, remote: &UserId, room: &RoomId) {
        let (user, room) = (remote.to_owned(), room.to_owned());
        self.store
            .write::<_, StorageError, _>(self.store.slot_of_room(&room.clone()), move |tx| {
                let no = ROOM_NO_BY_ID.get(tx, (&room,))?.expect("a room").0;
                JOINED_ROOM_BY_USER.put(tx, (&user, no), &())?;
                SERVER_BY_ROOM.put(tx, (no, user.server_name()), &1)
            })
            .await
            .expect("placed");
    }

    /// The log says that somebody who was not in a room before an event is in it after.
    pub(crate) async fn came_in(&self, remote: &UserId, room: &RoomId) {
        let (user, room) = (remote.to_owned(), room.to_owned());
        self.store
            .write::<_, StorageError, _>(self.store.slot_of_room(&room.clone()), move |tx| {
                let no = ROOM_NO_BY_ID.get(tx, (&room,))?.expect("a room").0;
                let events = EVENT_STATE.scan(tx, (no,), 1)?;
                let ((_, event), _) = events.into_iter().next().expect("an event");
                let (slot, stamp) = (tx.slot().0, tx.next_stamp());
                let member = Some(user.clone());
                STREAM.put(tx, (slot, stamp), &StoredNews::Event { room: no, event, member })
            })
            .await
            .expect("written");
    }

    pub(crate) async fn query(&self, who: &Person, targets: &[&UserId]) -> Queried {
        let device_keys: DeviceIds =
            targets.iter().map(|user| ((*user).to_owned(), Vec::new())).collect();
        let command = QueryKeys { device_keys, timeout: None };
        self.keys.query_keys(&who.actor, command).await.expect("an answer")
    }

    /// How many changes of device lists clients were told of: one row for each user.
    pub(crate) async fn told(&self, user: &UserId) -> Option<u64> {
        let user = user.to_owned();
        self.store
            .read::<_, StorageError, _>(move |read| {
                let rows = DEVICE_LIST_CHANGE.scan(read, (), 1_000)?;
                let own = rows.into_iter().filter(|(_, row)| row.user == user);
                let stamps: Vec<_> = own.map(|((_, stamp), _)| stamp.commit).collect();
                assert!(stamps.len() < 2, "one row for each user");
                Ok(stamps.first().copied())
            })
            .await
            .expect("read")
    }
}

pub(crate) fn user(localpart: &str) -> OwnedUserId {
    UserId::parse(format!("@{localpart}:home.test")).expect("a user id")
}

/// A key that signs.
#[derive(Clone)]
pub(crate) struct Key(Arc<SigningKey>);

impl Key {
    pub(crate) fn new(seed: &str) -> Self {
        let mut bytes = [0_u8; 32];
        for (at, byte) in seed.bytes().enumerate() {
            bytes[at % 32] = bytes[at % 32].wrapping_mul(31).wrapping_add(byte);
        }
        Self(Arc::new(SigningKey::from_seed(bytes, "x").expect("a key")))
    }

    pub(crate) fn public(&self) -> String {
        self.0.public_key()
    }

    /// The signature over an object.
    pub(crate) fn signature(&self, object: &Value) -> String {
        let mut object: CanonicalJsonObject =
            serde_json::from_value(object.clone()).expect("canonical JSON");
        object.remove("signatures");
        object.remove("unsigned");
        sign_json("me", &*self.0, &mut object).expect("signed");
        let object = serde_json::to_value(object).expect("JSON");
        object["signatures"]["me"]["ed25519:x"].as_str().expect("a signature").to_owned()
    }

    /// Signs an object in the name of a user's key.
    pub(crate) fn sign(&self, object: &mut Value, user: &UserId, name: &str) {
        let signature = self.signature(object);
        object["signatures"][user.as_str()][format!("ed25519:{name}")] = signature.into();
    }
}

/// Somebody with a device.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) actor: Actor,
    pub(crate) user: OwnedUserId,
    pub(crate) device: OwnedDeviceId,
    pub(crate) key: Key,
}

impl Person {
    /// The identity keys of the device, signed by it.
    pub(crate) fn identity(&self) -> Value {
        let device = &self.device;
        let mut object = json!({
            "user_id": self.user,
            "device_id": device,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
            "keys": {
                format!("curve25519:{device}"): "curve",
                format!("ed25519:{device}"): self.key.public(),
            },
        });
        self.key.sign(&mut object, &self.user, device.as_str());
        object
    }

    /// A signed one-time key.
    pub(crate) fn one_time_key(&self, content: &str) -> Value {
        let mut object = json!({ "key": content });
        self.key.sign(&mut object, &self.user, self.device.as_str());
        object
    }

    pub(crate) async fn upload(
        &self,
        house: &House,
        command: UploadKeys,
    ) -> Result<BTreeMap<String, u64>, UploadKeysError> {
        house.keys.upload_keys(&self.actor, command).await
    }

    /// Tells who the device is.
    pub(crate) async fn introduce(&self, house: &House) {
        let command = UploadKeys { device_keys: Some(raw(&self.identity())), ..Default::default() };
        self.upload(house, command).await.expect("stored");
    }

    /// Leaves one-time keys of these names.
    pub(crate) async fn leave_keys(&self, house: &House, names: &[&str]) -> BTreeMap<String, u64> {
        let keys = names.iter().map(|name| {
            (format!("signed_curve25519:{name}"), raw(&self.one_time_key(&format!("key {name}"))))
        });
        let command = UploadKeys { one_time_keys: keys.collect(), ..Default::default() };
        self.upload(house, command).await.expect("stored")
    }

    /// Leaves a fallback key.
    pub(crate) async fn leave_fallback(&self, house: &House, name: &str) {
        let mut object = json!({ "key": format!("fallback {name}"), "fallback": true });
        self.key.sign(&mut object, &self.user, self.device.as_str());
        let keys = BTreeMap::from([(format!("signed_curve25519:{name}"), raw(&object))]);
        let command = UploadKeys { fallback_keys: keys, ..Default::default() };
        self.upload(house, command).await.expect("stored");
    }
}

/// The cross-signing keys of somebody.
#[derive(Clone)]
pub(crate) struct CrossSigning {
    pub(crate) user: OwnedUserId,
    pub(crate) master: Key,
    pub(crate) own: Key,
    pub(crate) others: Key,
}

impl CrossSigning {
    pub(crate) fn new(user: &UserId, seed: &str) -> Self {
        let key = |role: &str| Key::new(&format!("{seed} {role} {user}"));
        Self { user: user.to_owned(), master: key("m"), own: key("s"), others: key("u") }
    }

    pub(crate) fn object(&self, usage: &str, key: &Key) -> Value {
        let public = key.public();
        let mut object = json!({
            "user_id": self.user,
            "usage": [usage],
            "keys": { format!("ed25519:{public}"): public },
        });
        if usage != "master" {
            self.master.sign(&mut object, &self.user, &self.master.public());
        }
        object
    }

    pub(crate) fn master_key(&self) -> Value {
        self.object("master", &self.master)
    }

    pub(crate) fn upload(&self) -> UploadSigningKeys {
        UploadSigningKeys {
            master: Some(raw(&self.master_key())),
            self_signing: Some(raw(&self.object("self_signing", &self.own))),
            user_signing: Some(raw(&self.object("user_signing", &self.others))),
            attempt: None,
            peer: HERE,
        }
    }

    pub(crate) async fn store(
        &self,
        house: &House,
        who: &Person,
    ) -> Result<(), UploadSigningKeysError> {
        house.keys.upload_signing_keys(&who.actor, self.upload()).await
    }
}

pub(crate) fn raw(value: &Value) -> Json {
    serde_json::value::to_raw_value(value).expect("JSON")
}

pub(crate) fn value(json: &Json) -> Value {
    serde_json::from_str(json.get()).expect("JSON")
}

/// One-time keys and their ids, by user and device.
type OneTimeKeys = HashMap<(OwnedUserId, OwnedDeviceId), Vec<(String, Value)>>;

/// The other servers: what they would answer, and what they were asked.
#[derive(Default)]
pub(crate) struct Elsewhere {
    /// Device lists by user: version, devices with their keys, master key, self-signing key.
    pub(crate) lists: Mutex<HashMap<OwnedUserId, RemoteList>>,
    /// One-time keys by user and device.
    pub(crate) one_time: Mutex<OneTimeKeys>,
    pub(crate) unreachable: Mutex<bool>,
    pub(crate) asked: Mutex<Vec<String>>,
}

#[derive(Clone, Default)]
pub(crate) struct RemoteList {
    pub(crate) version: u64,
    pub(crate) devices: Vec<(OwnedDeviceId, Value)>,
    pub(crate) master: Option<Value>,
    pub(crate) own: Option<Value>,
}

impl Elsewhere {
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock())
    }

    fn check(&self, what: String) -> Result<(), RemoteKeysError> {
        self.asked.lock().push(what);
        if *self.unreachable.lock() { Err(RemoteKeysError::Unreachable) } else { Ok(()) }
    }
}

impl RemoteKeys for Elsewhere {
    fn query<'a>(
        &'a self,
        server: &'a ServerName,
        devices: DeviceIds,
        _: Duration,
    ) -> BoxFuture<'a, Result<ShownKeys, RemoteKeysError>> {
        Box::pin(async move {
            self.check(format!("query {server}"))?;
            let mut shown = ShownKeys::default();
            let lists = self.lists.lock();
            for user in devices.into_keys() {
                let Some(list) = lists.get(&user) else { continue };
                let devices = list.devices.iter().map(|(id, keys)| (id.clone(), raw(keys)));
                shown.device_keys.insert(user.clone(), devices.collect());
                shown.master_keys.extend(list.master.as_ref().map(|it| (user.clone(), raw(it))));
                let own = list.own.as_ref();
                shown.self_signing_keys.extend(own.map(|it| (user.clone(), raw(it))));
            }
            Ok(shown)
        })
    }

    fn claim<'a>(
        &'a self,
        server: &'a ServerName,
        devices: BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, String>>,
        _: Duration,
    ) -> BoxFuture<'a, Result<ClaimedKeys, RemoteKeysError>> {
        Box::pin(async move {
            self.check(format!("claim {server}"))?;
            let mut keys = self.one_time.lock();
            let mut claimed = ClaimedKeys::new();
            for (user, devices) in devices {
                for device in devices.into_keys() {
                    let own = keys.get_mut(&(user.clone(), device.clone()));
                    let Some((name, key)) = own.and_then(Vec::pop) else { continue };
                    let key = BTreeMap::from([(name, raw(&key))]);
                    claimed.entry(user.clone()).or_default().insert(device, key);
                }
            }
            Ok(claimed)
        })
    }

    fn device_list<'a>(
        &'a self,
        user: &'a UserId,
        _: Duration,
    ) -> BoxFuture<'a, Result<RemoteDeviceList, RemoteKeysError>> {
        Box::pin(async move {
            self.check(format!("devices {user}"))?;
            let lists = self.lists.lock();
            let list = lists.get(user).ok_or(RemoteKeysError::Refused)?;
            let devices = list.devices.iter().map(|(id, keys)| RemoteDevice {
                device_id: id.clone(),
                keys: raw(keys),
                display_name: None,
            });
            Ok(RemoteDeviceList {
                stream_id: list.version,
                devices: devices.collect(),
                master_key: list.master.as_ref().map(raw),
                self_signing_key: list.own.as_ref().map(raw),
            })
        })
    }
}
