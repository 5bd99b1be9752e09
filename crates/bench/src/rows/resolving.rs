//! State resolution in memory: two forks of a room with fifty thousand members, as the server resolves them:
//! what differs is known, what is agreed on is asked for.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedServerName, OwnedUserId,
    RoomId, UInt,
};
use serde_json::{Value, json};
use vestibule_events::{EventBuilder, Pdu, RoomVersion, SigningKey, canonical_content_of};
use vestibule_state_res::{Agreed, FactSource, StateKey, StateMap, resolve_parts};

use super::Bench;
use crate::{
    clock,
    report::{Row, median},
};

/// Members of the room before the fork.
const MEMBERS: u32 = 50_000;
/// Conflicting keys on each side.
const CONFLICTS: [u32; 4] = [1, 10, 100, 500];
/// Resolutions in one sample.
const TIMES: usize = 5;
/// Who made the room.
const CREATOR: &str = "@creator:bench.localhost";

/// One row for each version and number of conflicts: one fork lets members join again, the other
/// bans them.
pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for version in [RoomVersion::V11, RoomVersion::V12] {
        let mut room = Room::with_members(version, MEMBERS)?;
        for conflicts in CONFLICTS {
            let states = [room.fork(conflicts, false)?, room.fork(conflicts, true)?];
            let [first, second] = &states;
            let forks = [beside(first, second), beside(second, first)];
            let agreed = AgreedOn { state: first, conflicted: &forks[0] };
            let mut samples = Vec::new();
            for _ in 0..bench.scale.rounds {
                let mut took_ms = Vec::new();
                for _ in 0..TIMES {
                    let started = clock::now();
                    let resolved = resolve_parts(version, &forks, &agreed, &room)?;
                    took_ms.push(started.elapsed().as_secs_f64() * 1_000.0);
                    ensure!(resolved == forks[1], "the bans did not stay");
                }
                samples.push(median(&took_ms));
            }
            let name = format!("resolve {conflicts} joins, bans v{version}");
            rows.push(Row::new(name, "ms", samples).with("state_entries", room.state.len()));
        }
    }
    Ok(rows)
}

/// Type and state key.
type Place<'a> = (&'a str, &'a str);

/// What of a state another one has not.
fn beside(state: &StateMap, other: &StateMap) -> StateMap {
    let own = state.iter().filter(|(place, id)| other.get(*place) != Some(*id));
    own.map(|(place, id)| (place.clone(), id.clone())).collect()
}

/// A state without the places on which another one differs.
struct AgreedOn<'a> {
    state: &'a StateMap,
    conflicted: &'a StateMap,
}

impl Agreed<Infallible> for AgreedOn<'_> {
    fn get(&self, place: &StateKey) -> Result<Option<OwnedEventId>, Infallible> {
        let agreed = !self.conflicted.contains_key(place);
        Ok(self.state.get(place).filter(|_| agreed).cloned())
    }

    fn events_from(&self, _: u64) -> Result<Vec<OwnedEventId>, Infallible> {
        let agreed = self.state.iter().filter(|(place, _)| !self.conflicted.contains_key(*place));
        Ok(agreed.map(|(_, id)| id.clone()).collect())
    }
}

/// The events of a room and its state before the fork.
struct Room {
    version: RoomVersion,
    key: SigningKey,
    server: OwnedServerName,
    id: Option<OwnedRoomId>,
    events: HashMap<OwnedEventId, (u64, Arc<Pdu>)>,
    state: StateMap,
}

impl FactSource for Room {
    type Error = Infallible;

    fn event(&self, id: &EventId) -> Result<Option<Arc<Pdu>>, Infallible> {
        Ok(self.events.get(id).map(|(_, event)| Arc::clone(event)))
    }

    fn number(&self, id: &EventId) -> Result<Option<u64>, Infallible> {
        Ok(self.events.get(id).map(|(number, _)| *number))
    }

    fn has_numbers(&self) -> bool {
        true
    }
}

impl Room {
    fn with_members(version: RoomVersion, members: u32) -> Result<Self> {
        let mut room = Self {
            version,
            key: SigningKey::from_seed([7; 32], "bench")?,
            server: OwnedServerName::try_from("bench.localhost")?,
            id: None,
            events: HashMap::new(),
            state: BTreeMap::new(),
        };
        let own_id = version.room_id_is_create_event();
        room.id = if own_id { None } else { Some(RoomId::parse("!room:bench.localhost")?) };
        let create =
            room.add(CREATOR, ("m.room.create", ""), &json!({ "room_version": version }), &[])?;
        if own_id {
            room.id = Some(RoomId::parse(create.as_str().replacen('$', "!", 1))?);
        }
        let joined = json!({ "membership": "join" });
        room.add(CREATOR, ("m.room.member", CREATOR), &joined, &[])?;
        let levels = if own_id { json!({}) } else { json!({ "users": { CREATOR: 100 } }) };
        let me = ("m.room.member", CREATOR);
        room.add(CREATOR, ("m.room.power_levels", ""), &levels, &[me])?;
        let open = [me, ("m.room.power_levels", "")];
        room.add(CREATOR, ("m.room.join_rules", ""), &json!({ "join_rule": "public" }), &open)?;
        let visible = json!({ "history_visibility": "shared" });
        room.add(CREATOR, ("m.room.history_visibility", ""), &visible, &open)?;
        room.add(CREATOR, ("m.room.name", ""), &json!({ "name": "bench" }), &open)?;
        for number in 0..members {
            let member = member(number);
            let may_join = [("m.room.power_levels", ""), ("m.room.join_rules", "")];
            room.add(&member, ("m.room.member", &member), &joined, &may_join)?;
        }
        Ok(room)
    }

    /// The state after `count` members joined again, or were banned.
    fn fork(&mut self, count: u32, banned: bool) -> Result<StateMap> {
        let before = self.state.clone();
        for number in 0..count {
            let member = member(number);
            let own = ("m.room.member", member.as_str());
            let levels = ("m.room.power_levels", "");
            if banned {
                let auth = [("m.room.member", CREATOR), own, levels];
                self.add(CREATOR, own, &json!({ "membership": "ban" }), &auth)?;
            } else {
                let auth = [own, levels, ("m.room.join_rules", "")];
                let content = json!({ "membership": "join", "displayname": "again" });
                self.add(&member, ("m.room.member", &member), &content, &auth)?;
            }
        }
        Ok(std::mem::replace(&mut self.state, before))
    }

    /// Adds a state event of the sender and makes it current; `auth` names the state that allows it.
    fn add(
        &mut self,
        sender: &str,
        place: Place<'_>,
        content: &Value,
        auth: &[Place<'_>],
    ) -> Result<OwnedEventId> {
        let (kind, key) = place;
        let names_create = kind != "m.room.create" && !self.version.room_id_is_create_event();
        let create = names_create.then_some(("m.room.create", ""));
        let held = |(kind, key): (&str, &str)| {
            self.state.get(&(kind.to_owned(), key.to_owned())).cloned().context("unknown state")
        };
        let auth_events: Result<Vec<_>> =
            create.into_iter().chain(auth.iter().copied()).map(held).collect();
        let number = u64::try_from(self.events.len())?;
        let event = EventBuilder {
            room_id: self.id.clone(),
            sender: OwnedUserId::try_from(sender)?,
            event_type: kind.to_owned(),
            state_key: Some(key.to_owned()),
            content: canonical_content_of(content)?,
            origin_server_ts: MilliSecondsSinceUnixEpoch(UInt::try_from(number)?),
            prev_events: Vec::new(),
            auth_events: auth_events?,
            depth: number,
            redacts: None,
        };
        let event = event.build_and_sign(self.version, &self.key, &self.server)?;
        let id = event.event_id().clone();
        self.state.insert((kind.to_owned(), key.to_owned()), id.clone());
        self.events.insert(id.clone(), (number, Arc::new(event)));
        Ok(id)
    }
}

fn member(number: u32) -> String {
    format!("@member{number}:bench.localhost")
}

#[cfg(test)]
mod tests {
    use vestibule_state_res::resolve;

    use super::*;

    #[test]
    fn of_a_join_and_a_ban_the_ban_stays() {
        for version in [RoomVersion::V11, RoomVersion::V12] {
            let mut room = Room::with_members(version, 1_000).unwrap();
            let forks = [room.fork(2, false).unwrap(), room.fork(2, true).unwrap()];
            let resolved = resolve(version, &forks, &room).unwrap();
            let place = |number| ("m.room.member".to_owned(), member(number));
            assert_eq!(resolved[&place(1)], forks[1][&place(1)], "{version}");
            assert_ne!(forks[0][&place(1)], forks[1][&place(1)]);
            assert_eq!(resolved[&place(2)], room.state[&place(2)]);
            assert_eq!(resolved.len(), 1_006);
        }
    }
}
