//! A room made of events with chosen names, times and auth events.

#![expect(dead_code, reason = "every test binary uses another part")]

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    convert::Infallible,
    sync::Arc,
};

use ruma::{EventId, OwnedEventId};
use serde_json::{Value, json};
use vestibule_events::{Pdu, RoomVersion, auth_types_of};
use vestibule_state_res::{FactSource, StateMap};

/// A user on the server that made the room.
pub(crate) fn user(name: &str) -> String {
    format!("@{name}:example.com")
}

/// An event id made from a name.
pub(crate) fn id(name: &str) -> OwnedEventId {
    EventId::parse(format!("${name}")).expect("names are short")
}

/// What an event says; the room fills in the rest.
pub(crate) struct Say<'a> {
    pub(crate) name: &'a str,
    pub(crate) sender: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) key: Option<&'a str>,
    pub(crate) content: Value,
    pub(crate) ts: u64,
}

/// The events of a room, in the order they were added.
pub(crate) struct Room {
    pub(crate) version: RoomVersion,
    pub(crate) numbered: bool,
    pub(crate) events: HashMap<OwnedEventId, Arc<Pdu>>,
    pub(crate) order: Vec<OwnedEventId>,
    numbers: HashMap<OwnedEventId, u64>,
    /// Events that were asked for since the list was last emptied.
    pub(crate) asked: RefCell<BTreeSet<OwnedEventId>>,
}

impl Room {
    pub(crate) fn new(version: RoomVersion) -> Self {
        Self {
            version,
            numbered: true,
            events: HashMap::new(),
            order: Vec::new(),
            numbers: HashMap::new(),
            asked: RefCell::default(),
        }
    }

    /// The id of the room: in version 12 that of the event named `create`.
    pub(crate) fn room_id(&self) -> &'static str {
        if self.version.room_id_is_create_event() { "!create" } else { "!room:example.com" }
    }

    /// An event with exactly these auth events, not added to the room.
    pub(crate) fn event(&self, say: &Say<'_>, auth: &[OwnedEventId]) -> Pdu {
        let mut event = json!({
            "auth_events": auth,
            "content": &say.content,
            "depth": 1,
            "hashes": {},
            "origin_server_ts": say.ts,
            "prev_events": self.parents_of(say.kind),
            "sender": say.sender,
            "signatures": {},
            "type": say.kind,
        });
        let fields = event.as_object_mut().expect("an object");
        if let Some(key) = say.key {
            fields.insert("state_key".to_owned(), key.into());
        }
        if say.kind != "m.room.create" || !self.version.room_id_is_create_event() {
            fields.insert("room_id".to_owned(), self.room_id().into());
        }
        let bytes = serde_json::to_vec(&event).expect("serializable").into();
        Pdu::from_stored(id(say.name), bytes, self.version).expect("well formed")
    }

    fn parents_of(&self, kind: &str) -> Vec<&OwnedEventId> {
        let last = self.order.last().filter(|_| kind != "m.room.create");
        last.into_iter().collect()
    }

    pub(crate) fn add(&mut self, pdu: Pdu) -> OwnedEventId {
        let event_id = pdu.event_id().clone();
        self.numbers.insert(event_id.clone(), self.order.len() as u64);
        self.order.push(event_id.clone());
        self.events.insert(event_id.clone(), Arc::new(pdu));
        event_id
    }

    /// Adds an event with the given auth events.
    pub(crate) fn say(&mut self, say: &Say<'_>, auth: &[&str]) -> OwnedEventId {
        let auth: Vec<_> = auth.iter().map(|name| id(name)).collect();
        let pdu = self.event(say, &auth);
        self.add(pdu)
    }

    /// The event the state has for each place that an event of this kind is authorized by.
    pub(crate) fn auth_from(&self, say: &Say<'_>, state: &StateMap) -> Pdu {
        let draft = self.event(say, &[]);
        let auth: Vec<_> = auth_types_of(&draft)
            .unwrap_or_default()
            .iter()
            .filter_map(|place| state.get(place).cloned())
            .collect();
        self.event(say, &auth)
    }

    pub(crate) fn get(&self, event_id: &EventId) -> Arc<Pdu> {
        Arc::clone(&self.events[event_id])
    }

    /// A state that consists of the named events.
    pub(crate) fn state(&self, names: &[&str]) -> StateMap {
        names
            .iter()
            .map(|name| {
                let event = self.get(&id(name));
                (event.state_place().expect("a state event"), id(name))
            })
            .collect()
    }
}

impl FactSource for Room {
    type Error = Infallible;

    fn event(&self, event_id: &EventId) -> Result<Option<Arc<Pdu>>, Infallible> {
        self.asked.borrow_mut().insert(event_id.to_owned());
        Ok(self.events.get(event_id).cloned())
    }

    fn number(&self, event_id: &EventId) -> Result<Option<u64>, Infallible> {
        Ok(self.numbers.get(event_id).copied())
    }

    fn has_numbers(&self) -> bool {
        self.numbered
    }
}

/// State resolution as the specification words it: whole states, whole auth chains, every path.
pub(crate) mod plain {
    use ruma::{events::StateEventType, state_res, state_res::utils::event_id_set::EventIdSet};

    use super::*;

    pub(crate) fn resolve(room: &Room, states: &[StateMap]) -> StateMap {
        let maps: Vec<state_res::StateMap<OwnedEventId>> = states
            .iter()
            .map(|state| {
                state
                    .iter()
                    .map(|((kind, key), event_id)| {
                        ((StateEventType::from(kind.as_str()), key.clone()), event_id.clone())
                    })
                    .collect()
            })
            .collect();
        let chains = states
            .iter()
            .map(|state| state.values().flat_map(|event_id| chain(room, event_id)).collect())
            .collect();
        let rules = room.version.rules();
        state_res::resolve(
            &rules.authorization,
            rules.state_res.v2_rules().expect("version 2"),
            maps.iter(),
            chains,
            |event_id| room.events.get(event_id).cloned(),
            |conflicted| Some(subgraph(room, conflicted)),
        )
        .expect("the room is consistent")
        .into_iter()
        .map(|((kind, key), event_id)| ((kind.to_string(), key), event_id))
        .collect()
    }

    /// The event and everything it stands on.
    pub(crate) fn chain(room: &Room, event_id: &OwnedEventId) -> BTreeSet<OwnedEventId> {
        let mut chain = BTreeSet::from([event_id.clone()]);
        let mut stack = vec![event_id.clone()];
        while let Some(next) = stack.pop() {
            let Some(event) = room.events.get(&next) else { continue };
            for parent in event.auth_events() {
                if chain.insert(parent.clone()) {
                    stack.push(parent.clone());
                }
            }
        }
        chain
    }

    fn subgraph(
        room: &Room,
        conflicted: &state_res::StateMap<Vec<OwnedEventId>>,
    ) -> EventIdSet<OwnedEventId> {
        let ends: BTreeSet<_> = conflicted.values().flatten().cloned().collect();
        let chains: BTreeMap<_, _> =
            room.order.iter().map(|event_id| (event_id, chain(room, event_id))).collect();
        room.order
            .iter()
            .filter(|event_id| {
                let below_an_end = ends.iter().any(|end| chains[end].contains(*event_id));
                let above_an_end = ends.iter().any(|end| chains[*event_id].contains(end));
                below_an_end && above_an_end
            })
            .cloned()
            .collect()
    }
}
