//! Rooms whose history forks: what the index resolves equals what the plain algorithm resolves.

use std::collections::BTreeMap;

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, UserId};
use serde_json::json;
use vestibule_events::{EventBuilder, Pdu, RoomVersion, SigningKey, Verified, auth_types};
use vestibule_rooms::{CreateRoom, Preset, Received};
use vestibule_state_res::{FactSource, StateMap, resolve};
use vestibule_storage::StorageError;

use crate::support::{House, content, open_by_alias};

/// Another server that builds events on whatever ends it likes.
pub(crate) struct Away {
    key: SigningKey,
    version: RoomVersion,
    room: OwnedRoomId,
    /// Every event, with the state after it.
    pub(crate) events: BTreeMap<OwnedEventId, (Pdu, StateMap)>,
    clock: u32,
}

struct Facts<'a>(&'a BTreeMap<OwnedEventId, (Pdu, StateMap)>);

impl FactSource for Facts<'_> {
    type Error = StorageError;

    fn event(&self, id: &ruma::EventId) -> Result<Option<std::sync::Arc<Pdu>>, StorageError> {
        Ok(self.0.get(id).map(|(pdu, _)| std::sync::Arc::new(pdu.clone())))
    }
}

impl Away {
    /// Learns the room as the house has it.
    async fn new(house: &House, room: &OwnedRoomId, version: RoomVersion) -> Self {
        let mut away = Self {
            key: SigningKey::from_seed([9; 32], "b").expect("a key"),
            version,
            room: room.clone(),
            events: BTreeMap::new(),
            clock: 0,
        };
        away.catch_up(house).await;
        away
    }

    /// Learns what the house has and this server does not.
    pub(crate) async fn catch_up(&mut self, house: &House) {
        let pdus = house
            .rooms
            .with_view::<_, StorageError, _>(&self.room, |view| {
                let mut pdus = Vec::new();
                for (_, no) in view.timeline_forward(None, None, usize::MAX)? {
                    pdus.push((*view.event(no)?.expect("stored").pdu).clone());
                }
                Ok(pdus)
            })
            .await
            .expect("read")
            .expect("a room");
        for pdu in pdus {
            if !self.events.contains_key(pdu.event_id()) {
                self.learn(pdu);
            }
        }
    }

    pub(crate) fn state_before(&self, prev: &[OwnedEventId]) -> StateMap {
        let states: Vec<StateMap> = prev.iter().map(|id| self.events[id].1.clone()).collect();
        match states.as_slice() {
            [] => StateMap::new(),
            [only] => only.clone(),
            _ => resolve(self.version, &states, &Facts(&self.events)).expect("resolved"),
        }
    }

    pub(crate) fn learn(&mut self, pdu: Pdu) {
        let mut state = self.state_before(pdu.prev_events());
        if let Some(place) = pdu.state_place() {
            state.insert(place, pdu.event_id().clone());
        }
        self.events.insert(pdu.event_id().clone(), (pdu, state));
    }

    /// Builds an event on these parents.
    pub(crate) fn build(
        &mut self,
        sender: &str,
        (kind, key): (&str, Option<&str>),
        value: serde_json::Value,
        prev: &[OwnedEventId],
    ) -> Pdu {
        let sender = UserId::parse(sender).expect("a user id");
        self.build_by(sender, (kind, key), value, (prev, prev))
    }

    /// The same, authorized by the state after other events than its parents.
    pub(crate) fn build_by(
        &mut self,
        sender: OwnedUserId,
        (kind, key): (&str, Option<&str>),
        value: serde_json::Value,
        (prev, authorized_after): (&[OwnedEventId], &[OwnedEventId]),
    ) -> Pdu {
        let before = self.state_before(authorized_after);
        let raw = serde_json::value::to_raw_value(&value).expect("JSON");
        let places = auth_types(self.version, kind, &sender, key, &raw).expect("auth types");
        let skip = |place: &(String, String)| {
            self.version.room_id_is_create_event() && place.0 == "m.room.create"
        };
        let auth =
            places.into_iter().filter(|it| !skip(it)).filter_map(|it| before.get(&it).cloned());
        let depth = prev.iter().map(|id| self.events[id].0.depth()).max().unwrap_or(0) + 1;
        self.clock += 1;
        let builder = EventBuilder {
            room_id: Some(self.room.clone()),
            sender,
            event_type: kind.to_owned(),
            state_key: key.map(ToOwned::to_owned),
            content: content(value),
            origin_server_ts: ruma::MilliSecondsSinceUnixEpoch(
                ruma::UInt::from(self.clock) + ruma::uint!(1_800_000_000),
            ),
            auth_events: auth.collect(),
            prev_events: prev.to_vec(),
            depth,
            redacts: None,
        };
        let server = ruma::server_name!("away.test");
        builder.build_and_sign(self.version, &self.key, server).expect("built")
    }

    pub(crate) async fn send(&mut self, house: &House, pdu: Pdu) -> Received {
        let received =
            house.rooms.receive(Verified::unchecked_for_tests(pdu.clone())).await.expect("judged");
        if received == Received::Accepted || received == Received::SoftFailed {
            self.learn(pdu);
        }
        received
    }
}

/// The current state of the room as the house has it.
pub(crate) async fn state_of(house: &House, room: &OwnedRoomId) -> StateMap {
    house
        .rooms
        .with_view::<_, StorageError, _>(room, |view| {
            let mut state = StateMap::new();
            for (key, no) in view.full_state(view.room.head.state, None)? {
                state.insert(key, view.event(no)?.expect("stored").pdu.event_id().clone());
            }
            Ok(state)
        })
        .await
        .expect("read")
        .expect("a room")
}

pub(crate) async fn ends_of(house: &House, room: &OwnedRoomId) -> Vec<OwnedEventId> {
    house
        .rooms
        .with_view::<_, StorageError, _>(room, |view| {
            let mut ends = Vec::new();
            for no in &view.room.head.extremities {
                ends.push(view.event(*no)?.expect("stored").pdu.event_id().clone());
            }
            Ok(ends)
        })
        .await
        .expect("read")
        .expect("a room")
}

pub(crate) async fn room_with_remote_admins(version: RoomVersion) -> (House, Away, OwnedRoomId) {
    let house = House::new(&open_by_alias(), 1);
    let alice = house.account("alice", "moderator").await;
    let users = if version.rules().authorization.explicitly_privilege_room_creators {
        json!({ "@eve:away.test": 60, "@mallory:away.test": 50 })
    } else {
        json!({ "@alice:home.test": 100, "@eve:away.test": 60, "@mallory:away.test": 50 })
    };
    let command = CreateRoom {
        preset: Some(Preset::PublicChat),
        room_version: Some(version.as_str().to_owned()),
        power_level_content_override: content(json!({ "users": users })),
        ..CreateRoom::default()
    };
    let room = house.rooms.create_room(&alice, command).await.expect("created").room_id;
    let mut away = Away::new(&house, &room, version).await;
    for user in ["@eve:away.test", "@mallory:away.test", "@trent:away.test"] {
        let ends = ends_of(&house, &room).await;
        let join = json!({ "membership": "join" });
        let pdu = away.build(user, ("m.room.member", Some(user)), join, &ends);
        assert_eq!(away.send(&house, pdu).await, Received::Accepted);
    }
    (house, away, room)
}

#[tokio::test]
async fn random_forks_resolve_as_the_plain_algorithm_does() {
    for version in [RoomVersion::V6, RoomVersion::V11, RoomVersion::V12] {
        for seed in 0..6_u64 {
            let (house, mut away, room) = room_with_remote_admins(version).await;
            let random = vestibule_testkit::SeededRandom::new(seed);
            let mut ends = vec![ends_of(&house, &room).await];
            for step in 0..24 {
                // Build on one of the lines, or on two of them at once.
                let one = usize::try_from(random.below(ends.len() as u64)).expect("small");
                let mut prev = ends[one].clone();
                if random.below(4) == 0 {
                    let other = usize::try_from(random.below(ends.len() as u64)).expect("small");
                    prev.extend(ends[other].clone());
                    prev.sort();
                    prev.dedup();
                }
                let pdu = random_event(&mut away, &random, step, &prev);
                let id = pdu.event_id().clone();
                let outcome = away.send(&house, pdu).await;
                if matches!(outcome, Received::Accepted | Received::SoftFailed) {
                    if random.below(3) == 0 {
                        ends.push(vec![id]);
                    } else {
                        ends[one] = vec![id];
                    }
                }
            }
            let expected = away.state_before(&ends_of(&house, &room).await);
            assert_eq!(state_of(&house, &room).await, expected, "version {version}, seed {seed}");
        }
    }
}

fn random_event(
    away: &mut Away,
    random: &vestibule_testkit::SeededRandom,
    step: u32,
    prev: &[OwnedEventId],
) -> Pdu {
    let sender = ["@eve:away.test", "@mallory:away.test", "@trent:away.test"]
        [usize::try_from(random.below(3)).expect("small")];
    match random.below(5) {
        0 => {
            let name = json!({ "name": format!("n{step}") });
            away.build(sender, ("m.room.name", Some("")), name, prev)
        }
        1 => {
            let topic = json!({ "topic": format!("t{step}") });
            away.build(sender, ("m.room.topic", Some("")), topic, prev)
        }
        2 => {
            let ban = json!({ "membership": "ban" });
            away.build(sender, ("m.room.member", Some("@trent:away.test")), ban, prev)
        }
        3 => {
            let back = json!({ "membership": "leave" });
            away.build(sender, ("m.room.member", Some("@trent:away.test")), back, prev)
        }
        _ => {
            let text = json!({ "msgtype": "m.text", "body": format!("{step}") });
            away.build(sender, ("m.room.message", None), text, prev)
        }
    }
}

#[tokio::test]
async fn a_local_event_joins_the_ends_of_a_fork() {
    let (house, mut away, room) = room_with_remote_admins(RoomVersion::V12).await;
    let alice = vestibule_testkit::actor(&crate::support::user("alice"));
    let base = ends_of(&house, &room).await;
    for name in ["left", "right"] {
        let pdu =
            away.build("@eve:away.test", ("m.room.name", Some("")), json!({ "name": name }), &base);
        assert_eq!(away.send(&house, pdu).await, Received::Accepted);
    }
    assert_eq!(ends_of(&house, &room).await.len(), 2);
    house.say(&alice, &room, "together again").await.expect("sent");
    assert_eq!(ends_of(&house, &room).await.len(), 1);
    let name = house.state(&room, "m.room.name", "").await.expect("a name");
    assert!(name == json!({ "name": "left" }) || name == json!({ "name": "right" }), "{name}");
}

#[tokio::test]
async fn what_the_rules_refuse_is_remembered_and_changes_nothing() {
    let (house, mut away, room) = room_with_remote_admins(RoomVersion::V11).await;
    let ends = ends_of(&house, &room).await;
    let before = state_of(&house, &room).await;
    let pdu =
        away.build("@trent:away.test", ("m.room.name", Some("")), json!({ "name": "mine" }), &ends);
    let outcome = away.send(&house, pdu.clone()).await;
    assert!(matches!(outcome, Received::Rejected(_)), "{outcome:?}");
    assert_eq!(away.send(&house, pdu).await, Received::Known);
    assert_eq!(state_of(&house, &room).await, before);
    assert_eq!(ends_of(&house, &room).await, ends);
}

#[tokio::test]
async fn an_event_on_an_old_end_that_the_present_state_refuses_is_hidden() {
    let (house, mut away, room) = room_with_remote_admins(RoomVersion::V11).await;
    let ends = ends_of(&house, &room).await;
    let ban = json!({ "membership": "ban" });
    let place = ("m.room.member", Some("@trent:away.test"));
    let banned = away.build("@eve:away.test", place, ban, &ends);
    assert_eq!(away.send(&house, banned).await, Received::Accepted);
    let text = json!({ "msgtype": "m.text", "body": "too late" });
    let late = away.build("@trent:away.test", ("m.room.message", None), text, &ends);
    assert_eq!(away.send(&house, late).await, Received::SoftFailed);
    assert!(!house.timeline(&room).await.contains(&"m.room.message".to_owned()));
}
