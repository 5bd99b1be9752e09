//! What becomes of a room when two sides act at the same time.

#![cfg(test)]

mod support;

use serde_json::{Value, json};
use vestibule_events::RoomVersion;
use vestibule_state_res::{StateMap, resolve};

use support::{Room, Say, id, plain, user};

/// Who says an event of which name, and when by its own clock.
type Said<'a> = (&'a str, &'a str, u64);

/// Adds a state event whose auth events are those named.
fn add(room: &mut Room, said: Said<'_>, what: (&str, &str, Value), auth: &[&str]) {
    let ((name, who, ts), (kind, key, content)) = (said, what);
    let sender = user(who);
    room.say(&Say { name, sender: &sender, kind, key: Some(key), content, ts }, auth);
}

fn member(room: &mut Room, said: Said<'_>, of: (&str, &str), auth: &[&str]) {
    let content = json!({ "membership": of.1 });
    add(room, said, ("m.room.member", &user(of.0), content), auth);
}

fn power(room: &mut Room, said: Said<'_>, users: &Value, auth: &[&str]) {
    add(room, said, ("m.room.power_levels", "", json!({ "users": users })), auth);
}

fn topic(room: &mut Room, said: Said<'_>, auth: &[&str]) {
    add(room, said, ("m.room.topic", "", json!({ "topic": said.0 })), auth);
}

fn join_rule(room: &mut Room, said: Said<'_>, rule: &str, auth: &[&str]) {
    add(room, said, ("m.room.join_rules", "", json!({ "join_rule": rule })), auth);
}

/// A public room of version 10: alice made it, bob is a moderator, charlie and ella may come.
fn public_room() -> Room {
    let mut room = Room::new(RoomVersion::V10);
    let create = json!({ "creator": user("alice"), "room_version": "10" });
    add(&mut room, ("create", "alice", 0), ("m.room.create", "", create), &[]);
    member(&mut room, ("alice", "alice", 1), ("alice", "join"), &["create"]);
    power(
        &mut room,
        ("power", "alice", 2),
        &json!({ user("alice"): 100, user("bob"): 50 }),
        &["create", "alice"],
    );
    join_rule(&mut room, ("public", "alice", 3), "public", &["create", "alice", "power"]);
    member(&mut room, ("bob", "bob", 4), ("bob", "join"), &["create", "power", "public"]);
    room
}

const COMMON: [&str; 5] = ["create", "alice", "power", "public", "bob"];

/// The common state with some places taken by other events.
fn with(room: &Room, names: &[&str]) -> StateMap {
    let mut state = room.state(&COMMON);
    state.extend(room.state(names));
    state
}

/// Resolves both ways, with numbers and without, and checks against the plain call.
fn merged(room: &mut Room, one: &StateMap, other: &StateMap) -> StateMap {
    let expected = plain::resolve(room, &[one.clone(), other.clone()]);
    for numbered in [true, false] {
        room.numbered = numbered;
        for states in [[one.clone(), other.clone()], [other.clone(), one.clone()]] {
            assert_eq!(resolve(room.version, &states, room).expect("resolves"), expected);
        }
    }
    expected
}

fn holds(state: &StateMap, kind: &str, key: &str) -> Option<String> {
    let held = state.get(&(kind.to_owned(), key.to_owned()))?;
    Some(held.as_str().trim_start_matches('$').to_owned())
}

#[test]
fn a_ban_undoes_what_the_banned_moderator_did_to_the_power_levels() {
    let mut room = public_room();
    let auth = ["create", "power", "alice", "bob"];
    member(&mut room, ("ban", "alice", 6), ("bob", "ban"), &auth);
    let users = json!({ user("alice"): 100, user("bob"): 50, user("ella"): 50 });
    power(&mut room, ("coup", "bob", 5), &users, &["create", "power", "bob"]);

    let (banned, coup) = (with(&room, &["ban"]), with(&room, &["coup"]));
    let state = merged(&mut room, &banned, &coup);
    assert_eq!(holds(&state, "m.room.member", &user("bob")).as_deref(), Some("ban"));
    assert_eq!(holds(&state, "m.room.power_levels", "").as_deref(), Some("power"));
}

#[test]
fn a_topic_of_a_banned_user_does_not_stay() {
    let mut room = public_room();
    topic(&mut room, ("before", "alice", 4), &["create", "power", "alice"]);
    member(&mut room, ("ban", "alice", 5), ("bob", "ban"), &["create", "power", "alice", "bob"]);
    topic(&mut room, ("after", "bob", 6), &["create", "power", "bob"]);

    let (banned, changed) = (with(&room, &["before", "ban"]), with(&room, &["after"]));
    let state = merged(&mut room, &banned, &changed);
    assert_eq!(holds(&state, "m.room.topic", "").as_deref(), Some("before"));
}

#[test]
fn a_join_does_not_survive_the_door_being_closed() {
    let mut room = public_room();
    join_rule(&mut room, ("closed", "alice", 5), "invite", &["create", "alice", "power"]);
    member(&mut room, ("ella", "ella", 6), ("ella", "join"), &["create", "power", "public"]);

    let (closed, joined) = (with(&room, &["closed"]), with(&room, &["ella"]));
    let state = merged(&mut room, &closed, &joined);
    assert_eq!(holds(&state, "m.room.join_rules", "").as_deref(), Some("closed"));
    assert_eq!(holds(&state, "m.room.member", &user("ella")), None);
}

#[test]
fn joins_of_different_users_are_both_kept() {
    let mut room = public_room();
    member(
        &mut room,
        ("charlie", "charlie", 5),
        ("charlie", "join"),
        &["create", "power", "public"],
    );
    member(&mut room, ("ella", "ella", 5), ("ella", "join"), &["create", "power", "public"]);

    let (one, other) = (with(&room, &["charlie"]), with(&room, &["ella"]));
    let state = merged(&mut room, &one, &other);
    assert_eq!(holds(&state, "m.room.member", &user("charlie")).as_deref(), Some("charlie"));
    assert_eq!(holds(&state, "m.room.member", &user("ella")).as_deref(), Some("ella"));
}

#[test]
fn the_stronger_sender_of_power_levels_wins() {
    let mut room = public_room();
    let demoted = json!({ user("alice"): 100 });
    power(&mut room, ("demote", "alice", 7), &demoted, &["create", "power", "alice"]);
    let promoted = json!({ user("alice"): 100, user("bob"): 50, user("ella"): 25 });
    power(&mut room, ("promote", "bob", 6), &promoted, &["create", "power", "bob"]);

    let (one, other) = (with(&room, &["demote"]), with(&room, &["promote"]));
    let state = merged(&mut room, &one, &other);
    assert_eq!(holds(&state, "m.room.power_levels", "").as_deref(), Some("demote"));
}

#[test]
fn of_equals_the_later_one_by_its_own_clock_wins() {
    let mut room = public_room();
    topic(&mut room, ("z-early", "alice", 5), &["create", "power", "alice"]);
    topic(&mut room, ("a-late", "alice", 9), &["create", "power", "alice"]);
    let (one, other) = (with(&room, &["z-early"]), with(&room, &["a-late"]));
    let state = merged(&mut room, &one, &other);
    assert_eq!(holds(&state, "m.room.topic", "").as_deref(), Some("a-late"));

    topic(&mut room, ("b", "alice", 12), &["create", "power", "alice"]);
    topic(&mut room, ("c", "alice", 12), &["create", "power", "alice"]);
    let (one, other) = (with(&room, &["b"]), with(&room, &["c"]));
    let state = merged(&mut room, &one, &other);
    assert_eq!(holds(&state, "m.room.topic", "").as_deref(), Some("c"));
}

#[test]
fn an_event_made_under_later_power_levels_wins_over_a_later_clock() {
    let mut room = public_room();
    let users = json!({ user("alice"): 100, user("bob"): 50, user("ella"): 10 });
    power(&mut room, ("power2", "alice", 5), &users, &["create", "power", "alice"]);
    topic(&mut room, ("under-new", "alice", 6), &["create", "power2", "alice"]);
    topic(&mut room, ("under-old", "bob", 90), &["create", "power", "bob"]);

    let (one, other) = (with(&room, &["power2", "under-new"]), with(&room, &["under-old"]));
    let state = merged(&mut room, &one, &other);
    assert_eq!(holds(&state, "m.room.topic", "").as_deref(), Some("under-new"));
    assert_eq!(holds(&state, "m.room.power_levels", "").as_deref(), Some("power2"));
}

#[test]
fn states_that_agree_need_no_events_at_all() {
    let room = public_room();
    let state = room.state(&COMMON);
    room.asked.borrow_mut().clear();
    let same = resolve(room.version, &[state.clone(), state.clone()], &room).expect("resolves");
    assert_eq!(same, state);
    assert!(room.asked.borrow().is_empty());
}

#[test]
fn with_numbers_only_events_newer_than_the_difference_are_read() {
    let mut room = public_room();
    // A crowd joins, talks about nothing that conflicts, and then the topic forks.
    let mut crowd = Vec::new();
    for number in 0..200 {
        let name = format!("guest{number}");
        member(&mut room, (&name, &name, 5), (&name, "join"), &["create", "power", "public"]);
        crowd.push(name);
    }
    topic(&mut room, ("one", "alice", 6), &["create", "power", "alice"]);
    topic(&mut room, ("two", "bob", 7), &["create", "power", "bob"]);
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
    let mut states = [with(&room, &["one"]), with(&room, &["two"])];
    for state in &mut states {
        state.extend(room.state(&crowd));
    }
    room.asked.borrow_mut().clear();
    let state = resolve(room.version, &states, &room).expect("resolves");
    assert_eq!(holds(&state, "m.room.topic", "").as_deref(), Some("two"));
    assert_eq!(state.len(), 206);
    let asked = room.asked.borrow().len();
    assert!(asked < 10, "{asked} events were read");
    assert!(!room.asked.borrow().contains(&id("guest0")));
}

#[test]
fn a_failing_source_is_an_error_and_not_a_missing_event() {
    use std::sync::Arc;
    use vestibule_events::Pdu;
    use vestibule_state_res::{FactSource, ResolveError};

    struct Broken;
    impl FactSource for Broken {
        type Error = &'static str;
        fn event(&self, _: &ruma::EventId) -> Result<Option<Arc<Pdu>>, &'static str> {
            Err("disk")
        }
        fn has_numbers(&self) -> bool {
            true
        }
        fn auth_events(
            &self,
            _: &ruma::EventId,
        ) -> Result<Option<Vec<ruma::OwnedEventId>>, &'static str> {
            Ok(None)
        }
    }
    let place = ("m.room.topic".to_owned(), String::new());
    let states =
        [StateMap::from([(place.clone(), id("one"))]), StateMap::from([(place, id("two"))])];
    let outcome = resolve(RoomVersion::V12, &states, &Broken);
    assert!(matches!(outcome, Err(ResolveError::Facts("disk"))), "{outcome:?}");
}

/// MSC4297, problem A: everybody but charlie left, and charlie's server lost part of the state. Version
/// 2 starts from the unconflicted state, where nobody who could make them is left, and so loses the
/// join rules; version 2.1 starts from nothing and finds them again.
fn problem_a(version: RoomVersion) -> StateMap {
    let v12 = version.room_id_is_create_event();
    let mut room = Room::new(version);
    let with_create = |auth: &[&'static str]| -> Vec<&'static str> {
        let create = (!v12).then_some("create");
        create.into_iter().chain(auth.iter().copied()).collect()
    };
    let create = json!({ "room_version": version });
    add(&mut room, ("create", "alice", 0), ("m.room.create", "", create), &[]);
    member(&mut room, ("alice", "alice", 1), ("alice", "join"), &with_create(&[]));
    let users = if v12 { json!({}) } else { json!({ user("alice"): 100 }) };
    power(&mut room, ("power", "alice", 2), &users, &with_create(&["alice"]));
    join_rule(&mut room, ("rules0", "alice", 3), "public", &with_create(&["alice", "power"]));
    member(&mut room, ("bob", "bob", 4), ("bob", "join"), &with_create(&["power", "rules0"]));
    member(
        &mut room,
        ("charlie", "charlie", 5),
        ("charlie", "join"),
        &with_create(&["power", "rules0"]),
    );
    join_rule(&mut room, ("rules1", "alice", 6), "public", &with_create(&["alice", "power"]));
    member(&mut room, ("left", "alice", 7), ("alice", "leave"), &with_create(&["power", "alice"]));
    member(
        &mut room,
        ("bob2", "bob", 8),
        ("bob", "join"),
        &with_create(&["power", "rules1", "bob"]),
    );
    member(
        &mut room,
        ("charlie2", "charlie", 9),
        ("charlie", "join"),
        &with_create(&["power", "rules0", "charlie"]),
    );
    let of_bob = room.state(&["create", "power", "charlie", "rules1", "left", "bob2"]);
    let of_charlie = room.state(&["create", "power", "bob", "rules0", "left", "charlie2"]);
    merged(&mut room, &of_bob, &of_charlie)
}

#[test]
fn version_2_loses_the_join_rules_in_problem_a_of_msc4297() {
    assert_eq!(holds(&problem_a(RoomVersion::V11), "m.room.join_rules", ""), None);
}

#[test]
fn version_2_1_keeps_the_join_rules_in_problem_a_of_msc4297() {
    let state = problem_a(RoomVersion::V12);
    assert_eq!(holds(&state, "m.room.join_rules", "").as_deref(), Some("rules1"));
}

/// MSC4297, problem B: the oldest and the newest power levels conflict; the ones between them, which
/// allowed bob to make the newest, are in neither state.
fn problem_b(version: RoomVersion) -> StateMap {
    let v12 = version.room_id_is_create_event();
    let mut room = Room::new(version);
    let with_create = |auth: &[&'static str]| -> Vec<&'static str> {
        let create = (!v12).then_some("create");
        create.into_iter().chain(auth.iter().copied()).collect()
    };
    let levels = |moderators: &[&str]| {
        let mut users: serde_json::Map<String, Value> =
            moderators.iter().map(|name| (user(name), 50.into())).collect();
        if !v12 {
            users.insert(user("alice"), 100.into());
        }
        Value::Object(users)
    };
    let create = json!({ "room_version": version });
    add(&mut room, ("create", "alice", 0), ("m.room.create", "", create), &[]);
    member(&mut room, ("alice", "alice", 1), ("alice", "join"), &with_create(&[]));
    power(&mut room, ("power0", "alice", 2), &levels(&[]), &with_create(&["alice"]));
    join_rule(&mut room, ("rules", "alice", 3), "public", &with_create(&["alice", "power0"]));
    member(&mut room, ("bob", "bob", 4), ("bob", "join"), &with_create(&["power0", "rules"]));
    power(&mut room, ("power1", "alice", 6), &levels(&["bob"]), &with_create(&["alice", "power0"]));
    let both = levels(&["bob", "charlie"]);
    power(&mut room, ("power2", "bob", 7), &both, &with_create(&["bob", "power1"]));
    member(&mut room, ("zara", "zara", 8), ("zara", "join"), &with_create(&["power2", "rules"]));
    member(&mut room, ("eve", "eve", 9), ("eve", "join"), &with_create(&["power2", "rules"]));
    let of_eve = room.state(&["create", "alice", "power0", "rules", "bob", "eve"]);
    let of_zara = room.state(&["create", "alice", "power2", "rules", "bob", "zara"]);
    merged(&mut room, &of_eve, &of_zara)
}

#[test]
fn version_2_resets_the_power_levels_in_problem_b_of_msc4297() {
    let state = problem_b(RoomVersion::V11);
    assert_eq!(holds(&state, "m.room.power_levels", "").as_deref(), Some("power0"));
}

#[test]
fn version_2_1_keeps_the_newest_power_levels_in_problem_b_of_msc4297() {
    let state = problem_b(RoomVersion::V12);
    assert_eq!(holds(&state, "m.room.power_levels", "").as_deref(), Some("power2"));
}

#[test]
fn more_states_than_can_be_told_apart_are_refused() {
    use vestibule_state_res::ResolveError;
    use vestibule_types::limits::RESOLVED_STATES_MAX;

    let mut room = public_room();
    let mut states = Vec::new();
    for number in 0..=RESOLVED_STATES_MAX {
        let name = format!("topic{number}");
        topic(&mut room, (&name, "alice", 5), &["create", "power", "alice"]);
        states.push(with(&room, &[&name]));
    }
    let too_many = resolve(room.version, &states, &room);
    assert!(matches!(too_many, Err(ResolveError::TooManyStates(65))));
    states.pop();
    assert_eq!(
        resolve(room.version, &states, &room).expect("resolves"),
        plain::resolve(&room, &states)
    );
}
