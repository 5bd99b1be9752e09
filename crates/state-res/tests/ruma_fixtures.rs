//! The rooms that ruma-state-res is tested with come to the same states here.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a fixture that does not hold fails its test"
)]

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    convert::Infallible,
    fs,
    path::PathBuf,
    sync::Arc,
};

use ruma::{EventId, OwnedEventId};
use serde_json::Value;
use vestibule_events::{Pdu, RoomVersion};
use vestibule_state_res::{FactSource, StateMap, resolve};

fn read<T: serde::de::DeserializeOwned>(file: &str) -> T {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file);
    let text = fs::read_to_string(&path).expect("a fixture");
    serde_json::from_str(&text).expect("a fixture in JSON")
}

/// The events of one fixture, in the order of its files.
struct Room {
    version: RoomVersion,
    events: HashMap<OwnedEventId, Arc<Pdu>>,
    order: Vec<OwnedEventId>,
}

impl FactSource for Room {
    type Error = Infallible;

    fn event(&self, id: &EventId) -> Result<Option<Arc<Pdu>>, Infallible> {
        Ok(self.events.get(id).cloned())
    }
}

impl Room {
    fn of(files: &[&str]) -> Self {
        let events: Vec<Value> = files.iter().flat_map(|file| read::<Vec<Value>>(file)).collect();
        let version = events[0]["content"]["room_version"].as_str().expect("a room version");
        let version = version.parse().expect("a known version");
        let mut room = Self { version, events: HashMap::new(), order: Vec::new() };
        for mut event in events {
            event["depth"] = 1.into();
            let id: OwnedEventId = event["event_id"].as_str().unwrap().try_into().unwrap();
            let json = serde_json::to_vec(&event).unwrap();
            let pdu = Pdu::from_stored(id.clone(), json.into(), version).expect("an event");
            room.order.push(id.clone());
            room.events.insert(id, Arc::new(pdu));
        }
        room
    }

    fn place(&self, id: &EventId) -> (String, String) {
        let event = &self.events[id];
        (event.kind().to_owned(), event.state_key().expect("all are state").to_owned())
    }

    fn state(&self, ids: impl IntoIterator<Item = OwnedEventId>) -> StateMap {
        ids.into_iter().map(|id| (self.place(&id), id)).collect()
    }

    fn resolve(&self, states: &[StateMap]) -> StateMap {
        match states {
            [only] => only.clone(),
            _ => resolve(self.version, states, self).expect("a state"),
        }
    }

    /// The state at the ends of the room, built event by event.
    fn state_at_the_end(&self) -> StateMap {
        let mut after: BTreeMap<OwnedEventId, StateMap> = BTreeMap::new();
        let mut ends: BTreeSet<OwnedEventId> = BTreeSet::new();
        for id in &self.order {
            let event = &self.events[id];
            let before: Vec<_> =
                event.prev_events().iter().map(|prev| after[prev].clone()).collect();
            let mut state = if before.is_empty() { StateMap::new() } else { self.resolve(&before) };
            state.insert(self.place(id), id.clone());
            after.insert(id.clone(), state);
            ends.insert(id.clone());
            event.prev_events().iter().for_each(|prev| {
                ends.remove(prev);
            });
        }
        let ends: Vec<_> = ends.iter().map(|end| after[end].clone()).collect();
        self.resolve(&ends)
    }
}

fn expected(name: &str) -> BTreeSet<String> {
    read::<BTreeMap<String, BTreeSet<String>>>("resolved.json").remove(name).expect("a snapshot")
}

fn ids(state: StateMap) -> BTreeSet<String> {
    state.into_values().map(|id| id.to_string()).collect()
}

#[track_caller]
fn check_files(name: &str, files: &[&str]) {
    assert_eq!(ids(Room::of(files).state_at_the_end()), expected(name), "{name}");
}

#[track_caller]
fn check_states(name: &str, states: &[&str], files: &[&str]) {
    let room = Room::of(files);
    let states: Vec<_> =
        states.iter().map(|file| room.state(read::<Vec<OwnedEventId>>(file))).collect();
    assert_eq!(ids(room.resolve(&states)), expected(name), "{name}");
}

const PUBLIC: &str = "bootstrap-public-chat.json";
const PRIVATE: &str = "bootstrap-private-chat.json";

#[test]
fn rooms_without_a_fork() {
    check_files("minimal_private_chat", &[PRIVATE]);
    check_files("minimal_public_chat", &[PUBLIC]);
}

#[test]
fn a_tie_is_broken_by_time() {
    check_files("origin_server_ts_tiebreak", &[PRIVATE, "origin-server-ts-tiebreak.json"]);
}

#[test]
fn a_ban_or_a_demotion_wins_over_what_its_target_did_meanwhile() {
    let alice_bob = |name: &str, middle: &[&str]| {
        let file = name.replace('_', "-");
        let (alice, bob) = (format!("{file}-alice.json"), format!("{file}-bob.json"));
        let files = [&[PUBLIC], middle, &[&alice, &bob]].concat();
        check_files(name, &files);
    };
    alice_bob("ban_vs_power_levels", &[]);
    alice_bob("topic_vs_power_levels", &[]);
    alice_bob("power_levels_admin_vs_mod", &[]);
    alice_bob("topic_vs_ban", &["topic-vs-ban-common.json"]);
}

#[test]
fn a_change_of_the_join_rules_wins_over_a_join_meanwhile() {
    let rules = ["common", "alice", "ella"].map(|it| format!("join-rules-vs-join-{it}.json"));
    check_files("join_rules_vs_join", &[PUBLIC, &rules[0], &rules[1], &rules[2]]);
}

#[test]
fn joins_at_the_same_time_both_stay() {
    let joins = ["concurrent-joins-charlie.json", "concurrent-joins-ella.json"];
    check_files("concurrent_joins", &[PUBLIC, joins[0], joins[1]]);
}

#[test]
fn the_first_pass_starts_from_nothing_in_version_12_and_from_what_is_agreed_before() {
    let states = ["MSC4297-problem-A/state-bob.json", "MSC4297-problem-A/state-charlie.json"];
    for (name, file) in [("0", "pdus-v11"), ("1", "pdus-v12")] {
        let name = format!("msc4297_problem_a_state_res_v2_{name}");
        check_states(&name, &states, &[&format!("MSC4297-problem-A/{file}.json")]);
    }
}

#[test]
fn the_conflicted_subgraph_counts_in_version_12_only() {
    let states = ["MSC4297-problem-B/state-eve.json", "MSC4297-problem-B/state-zara.json"];
    for (name, file) in [("0", "pdus-v11"), ("1", "pdus-v12")] {
        let name = format!("msc4297_problem_b_state_res_v2_{name}");
        check_states(&name, &states, &[&format!("MSC4297-problem-B/{file}.json")]);
    }
}
