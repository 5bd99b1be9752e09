//! What a client puts together from answers is what the rooms are.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{OwnedRoomId, OwnedUserId};
use serde_json::{Value, json};
use vestibule_rooms::{ChangeMember, CreateRoom, Join, Leave};
use vestibule_storage::StorageError;
use vestibule_sync::{Sync, SyncRequest};
use vestibule_testkit::SeededRandom;
use vestibule_types::Actor;

use crate::support::{Answer, House};

/// Type and state key, and the event they lead to.
type Held = BTreeMap<(String, String), String>;

/// A client that keeps what it is told, as the specification says it must.
struct Client {
    name: &'static str,
    filter: Value,
    state_after: bool,
    full_state: bool,
    since: Option<String>,
    rooms: BTreeMap<OwnedRoomId, Held>,
    /// The rooms its user is in.
    joined: BTreeSet<OwnedRoomId>,
}

impl Client {
    fn new(name: &'static str, filter: Value) -> Self {
        let (rooms, joined) = (BTreeMap::new(), BTreeSet::new());
        Self { name, filter, state_after: false, full_state: false, since: None, rooms, joined }
    }

    fn lazy(&self) -> bool {
        self.filter["room"]["state"]["lazy_load_members"] == true
    }

    /// Goes on from the last answer, and holds what it has then against the rooms.
    async fn step(&mut self, (house, sync): (&House, &Sync), who: &Actor, trace: &str) {
        let request = SyncRequest {
            since: self.since.clone(),
            filter: Some(self.filter.to_string()),
            full_state: self.full_state,
            use_state_after: self.state_after,
            ..SyncRequest::default()
        };
        let answer = sync.sync(who, request).await.expect("an answer");
        let answer = Answer(serde_json::to_value(answer).expect("JSON"));
        self.since = Some(answer.token());
        let named = self.apply(&answer);
        let joined = house.rooms.joined_rooms(who).await.expect("rooms");
        let is_in: BTreeSet<OwnedRoomId> = joined.iter().cloned().collect();
        assert_eq!(self.joined, is_in, "{}, {trace}: {}", self.name, answer.0);
        for room in joined {
            let (mut real, mut held) =
                (state_of(house, &room).await, self.rooms.get(&room).cloned().unwrap_or_default());
            if self.lazy() {
                let needed = |key: &(String, String)| {
                    let of = (room.clone(), key.1.clone());
                    key.0 != "m.room.member" || named.contains(&of)
                };
                real.retain(|key, _| needed(key));
                held.retain(|key, _| needed(key));
            }
            assert_eq!(held, real, "{}, {trace}, {room}: {}", self.name, answer.0);
        }
    }

    /// Takes up an answer. Says who sent what it shows, and where.
    fn apply(&mut self, answer: &Answer) -> Vec<(OwnedRoomId, String)> {
        let mut senders = Vec::new();
        for section in ["join", "leave"] {
            for (id, room) in answer.0["rooms"][section].as_object().expect("rooms") {
                let id = OwnedRoomId::try_from(id.as_str()).expect("a room id");
                if section == "join" {
                    self.joined.insert(id.clone());
                } else {
                    self.joined.remove(&id);
                }
                let events = |of: &Value| of["events"].as_array().cloned().unwrap_or_default();
                let shown = events(&room["timeline"]);
                let sent = shown.iter().filter_map(|event| event["sender"].as_str());
                senders.extend(sent.map(|sender| (id.clone(), sender.to_owned())));
                let state = if self.state_after {
                    events(&room["state_after"])
                } else {
                    [events(&room["state"]), shown].concat()
                };
                let held = self.rooms.entry(id).or_default();
                for event in state {
                    if let Some(key) = event["state_key"].as_str() {
                        let text = |of: &str| event[of].as_str().expect("a text").to_owned();
                        held.insert((text("type"), key.to_owned()), text("event_id"));
                    }
                }
            }
        }
        senders
    }
}

async fn state_of(house: &House, room: &OwnedRoomId) -> Held {
    let read = house.rooms.with_view::<_, StorageError, _>(room, |view| {
        let mut held = Held::new();
        for (key, no) in view.full_state(view.room.head.state, None)? {
            let event = view.event(no)?.expect("state is kept");
            held.insert(key, event.pdu.event_id().to_string());
        }
        Ok(held)
    });
    read.await.expect("read").expect("the room is here")
}

fn pick<T: Clone>(random: &mut SeededRandom, of: &[T]) -> T {
    let count = u64::try_from(of.len()).expect("few");
    of[usize::try_from(random.below(count)).expect("few")].clone()
}

/// Something happens in a room, most often to its state. Nobody minds when it may not.
async fn happen(house: &House, random: &mut SeededRandom, people: &[Actor], room: &OwnedRoomId) {
    let (owner, me) = (&people[0], &people[1]);
    let who = &pick(random, people);
    let me_id: OwnedUserId = me.user_id().to_owned();
    let change = || ChangeMember { room_id: room.clone(), user_id: me_id.clone(), reason: None };
    let is_in = house.rooms.joined_rooms(who).await.expect("rooms").contains(room);
    match random.below(24) {
        0..=2 => {
            let (room_id, via) = (room.clone(), Vec::new());
            let join = Join { room_id, reason: None, via, proof: None };
            let _refused = house.rooms.join(me, join).await;
        }
        3 => {
            let _refused =
                house.rooms.leave(me, Leave { room_id: room.clone(), reason: None }).await;
        }
        4 => {
            let _refused = house.rooms.kick(owner, change()).await;
        }
        5 => {
            let _refused = house.rooms.ban(owner, change()).await;
        }
        6 | 7 => {
            let _refused = house.rooms.unban(owner, change()).await;
        }
        8 => {
            let visibility = pick(random, &["shared", "invited", "joined", "joined"]);
            let content = json!({ "history_visibility": visibility });
            house.set(owner, room, ("m.room.history_visibility", ""), content).await;
        }
        16 | 17 => {
            let _refused = house.rooms.forget(me, room).await;
        }
        9 | 10 if is_in => {
            let content = json!({ "membership": "join", "displayname": random.next().to_string() });
            house.set(who, room, ("m.room.member", who.user_id().as_str()), content).await;
        }
        11..=15 if is_in => {
            let (kind, field) = pick(random, &[("m.room.name", "name"), ("m.room.topic", "topic")]);
            let content = json!({ field: random.next().to_string() });
            house.set(who, room, (kind, ""), content).await;
        }
        _ if is_in => {
            house.say(who, room, "talk").await;
        }
        _ => {}
    }
}

fn clients() -> Vec<Client> {
    let timeline = |timeline: Value| json!({ "room": { "timeline": timeline } });
    let lazy = json!({ "lazy_load_members": true });
    let with_state_after =
        Client { state_after: true, ..Client::new("state_after", timeline(json!({ "limit": 3 }))) };
    let whole = Client { full_state: true, ..Client::new("full", timeline(json!({ "limit": 4 }))) };
    vec![
        Client::new("short", timeline(json!({ "limit": 3 }))),
        Client::new("long", timeline(json!({ "limit": 60 }))),
        Client::new("messages", timeline(json!({ "limit": 2, "types": ["m.room.message"] }))),
        Client::new("without one", timeline(json!({ "not_senders": ["@owner:home.test"] }))),
        Client::new("lazy", json!({ "room": { "state": lazy, "timeline": { "limit": 6 } } })),
        Client::new(
            "lazy messages",
            json!({ "room": { "state": lazy, "timeline": { "types": ["m.room.message"] } } }),
        ),
        with_state_after,
        whole,
    ]
}

#[tokio::test]
async fn state_and_timeline_together_are_the_state_of_the_room_for_every_filter() {
    for seed in 0..6 {
        let house = House::new(1 + 2 * u16::try_from(seed % 2).expect("few"));
        let mut random = SeededRandom::new(seed);
        let mut people = Vec::new();
        for name in ["owner", "me", "bob", "carol"] {
            people.push(house.account(name).await);
        }
        let mut rooms = Vec::new();
        for _ in 0..2 {
            let power = json!({ "users_default": 50 });
            let power = serde_json::from_value(power).expect("canonical JSON");
            let preset = Some(vestibule_rooms::Preset::PublicChat);
            let command = CreateRoom {
                preset,
                name: Some("First".to_owned()),
                power_level_content_override: power,
                ..CreateRoom::default()
            };
            let room = house.room_with(&people[0], command).await;
            house.join(&people[2], &room).await;
            house.join(&people[3], &room).await;
            rooms.push(room);
        }
        // What a device was shown is remembered, so each has a service of its own.
        let mut clients: Vec<(Client, Sync)> =
            clients().into_iter().map(|client| (client, house.restarted())).collect();
        for turn in 0..50 {
            for _ in 0..=random.below(5) {
                let room = &pick(&mut random, &rooms);
                happen(&house, &mut random, &people, room).await;
            }
            for (client, sync) in &mut clients {
                if random.below(3) > 0 {
                    let trace = format!("seed {seed}, turn {turn}");
                    client.step((&house, sync), &people[1], &trace).await;
                }
                // One that begins now.
                if random.below(12) == 0 {
                    (client.since, client.rooms) = (None, BTreeMap::new());
                    client.joined.clear();
                }
            }
        }
    }
}
