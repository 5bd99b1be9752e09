//! The reduced call gives what the plain one gives, on rooms grown at random.

#![cfg(test)]

mod support;

use std::collections::BTreeMap;

use proptest::prelude::*;
use ruma::OwnedEventId;
use serde_json::{Value, json};
use vestibule_events::RoomVersion;
use vestibule_state_res::{StateMap, check, resolve};

use support::{Room, Say, id, plain, user};

const USERS: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];

/// One step of a random room: who does what, where in the graph.
#[derive(Clone, Debug)]
struct Step {
    parents: Vec<prop::sample::Index>,
    sender: usize,
    target: usize,
    what: u8,
    level: i64,
    ts: u64,
}

fn step() -> impl Strategy<Value = Step> {
    (
        prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        0..USERS.len(),
        0..USERS.len(),
        0_u8..12,
        prop::sample::select(vec![0_i64, 25, 50, 75, 100]),
        0_u64..20,
    )
        .prop_map(|(parents, sender, target, what, level, ts)| Step {
            parents,
            sender,
            target,
            what,
            level,
            ts,
        })
}

/// What a step says: type, state key and content.
fn act(step: &Step, version: RoomVersion) -> (&'static str, String, Value) {
    let target = user(USERS[step.target]);
    let sender = user(USERS[step.sender]);
    let member =
        |state_key, membership| ("m.room.member", state_key, json!({ "membership": membership }));
    match step.what {
        0 | 1 => member(sender, "join"),
        2 => member(sender, "leave"),
        3 => member(target, "invite"),
        4 => member(target, "ban"),
        5 => member(target, "leave"),
        6 | 7 => {
            let mut users = BTreeMap::from([(user("bob"), 75), (user("carol"), 50)]);
            users.insert(target, step.level);
            let content = power_levels(users, version);
            ("m.room.power_levels", String::new(), content)
        }
        8 => {
            let rule = if step.level > 25 { "public" } else { "invite" };
            ("m.room.join_rules", String::new(), json!({ "join_rule": rule }))
        }
        9 => ("m.room.topic", String::new(), json!({ "topic": step.ts })),
        10 => ("m.room.name", String::new(), json!({ "name": step.ts })),
        _ => ("org.example.note", USERS[step.target].to_owned(), json!({ "note": step.level })),
    }
}

/// Everybody may send state, until somebody says otherwise; the creator keeps its power.
fn power_levels(mut users: BTreeMap<String, i64>, version: RoomVersion) -> Value {
    if version.room_id_is_create_event() {
        users.remove(&user("alice"));
    } else {
        users.insert(user("alice"), 100);
    }
    json!({ "users": users, "state_default": 25, "users_default": 25, "kick": 50, "ban": 50 })
}

/// New events build on recent ones, so that states differ in some places and agree in most.
fn newest<T>(all: &[T]) -> &[T] {
    &all[all.len().saturating_sub(8)..]
}

/// Grows a room; returns it with the state after each of its events.
fn grow(version: RoomVersion, steps: &[Step]) -> (Room, Vec<StateMap>) {
    let mut room = Room::new(version);
    let alice = user("alice");
    let mut state = StateMap::new();
    let mut after: BTreeMap<OwnedEventId, StateMap> = BTreeMap::new();
    let levels = power_levels([(user("bob"), 75), (user("carol"), 50)].into(), version);
    let (bob, carol) = (user("bob"), user("carol"));
    let begin: [(&str, &str, &str, &str, Value); 6] = [
        (
            "create",
            &alice,
            "m.room.create",
            "",
            json!({ "creator": alice, "room_version": version }),
        ),
        ("alice", &alice, "m.room.member", &alice, json!({ "membership": "join" })),
        ("power", &alice, "m.room.power_levels", "", levels),
        ("rules", &alice, "m.room.join_rules", "", json!({ "join_rule": "public" })),
        ("bob", &bob, "m.room.member", &bob, json!({ "membership": "join" })),
        ("carol", &carol, "m.room.member", &carol, json!({ "membership": "join" })),
    ];
    for (ts, (name, sender, kind, key, content)) in begin.into_iter().enumerate() {
        let say = Say { name, sender, kind, key: Some(key), content, ts: ts as u64 };
        let pdu = room.auth_from(&say, &state);
        state.insert(pdu.state_place().expect("state"), id(name));
        after.insert(room.add(pdu), state.clone());
    }
    for (number, step) in steps.iter().enumerate() {
        let parents: Vec<_> =
            step.parents.iter().map(|parent| parent.get(newest(&room.order)).clone()).collect();
        let states: Vec<_> = parents.iter().map(|parent| after[parent].clone()).collect();
        let mut before = plain::resolve(&room, &states);
        let (kind, key, content) = act(step, version);
        let name = format!("e{number}");
        let sender = user(USERS[step.sender]);
        let say = Say { name: &name, sender: &sender, kind, key: Some(&key), content, ts: step.ts };
        let pdu = room.auth_from(&say, &before);
        let allowed = check(
            &pdu,
            |event_id| Ok::<_, ()>(room.events.get(event_id).cloned()),
            |kind, key| {
                let held = before.get(&(kind.to_owned(), key.to_owned()));
                Ok(held.map(|event_id| room.get(event_id)))
            },
        );
        if allowed.is_ok() {
            before.insert(pdu.state_place().expect("state"), id(&name));
            after.insert(room.add(pdu), before);
        }
    }
    let states = room.order.iter().map(|event_id| after[event_id].clone()).collect();
    (room, states)
}

fn versions() -> impl Strategy<Value = RoomVersion> {
    prop::sample::select(vec![
        RoomVersion::V6,
        RoomVersion::V10,
        RoomVersion::V11,
        RoomVersion::V12,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reduced_maps_and_walks_give_the_plain_result(
        version in versions(),
        steps in prop::collection::vec(step(), 1..60),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..5),
    ) {
        let (mut room, states) = grow(version, &steps);
        let picked: Vec<StateMap> = picks.iter().map(|pick| pick.get(newest(&states)).clone()).collect();
        let expected = plain::resolve(&room, &picked);
        prop_assert_eq!(&resolve(version, &picked, &room).expect("resolves"), &expected);

        let backwards: Vec<StateMap> = picked.iter().rev().cloned().collect();
        prop_assert_eq!(&resolve(version, &backwards, &room).expect("resolves"), &expected);

        room.numbered = false;
        prop_assert_eq!(&resolve(version, &picked, &room).expect("resolves"), &expected);
    }
}

#[test]
fn random_rooms_do_have_conflicts() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let (mut conflicted, mut forked) = (0, 0);
    for _ in 0..40 {
        let steps = prop::collection::vec(step(), 40..60);
        let steps = steps.new_tree(&mut runner).expect("a value").current();
        let (room, states) = grow(RoomVersion::V11, &steps);
        assert!(room.order.len() > 10, "most steps are refused");
        for pair in states.windows(2) {
            let merged = resolve(RoomVersion::V11, pair, &room).expect("resolves");
            forked += 1;
            conflicted += usize::from(merged != pair[0] && merged != pair[1]);
        }
    }
    assert!(conflicted * 20 > forked, "{conflicted} of {forked} merges differ from both sides");
}
