//! A room of another server, as that server has it: its events and its state.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use anyhow::{Context as _, Result};
use ruma::{MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UInt};
use serde_json::{Value, json};
use vestibule_events::{EventBuilder, Pdu, RoomVersion, canonical_content_of};
use vestibule_state_res::StateMap;

use super::Peer;

/// Type and state key.
type Place<'a> = (&'a str, &'a str);

/// The events of a room and the state after the last one.
#[derive(Debug)]
pub struct Room {
    /// Its version.
    pub version: RoomVersion,
    /// Its events, numbered in the order they were made.
    pub events: HashMap<OwnedEventId, (u64, Arc<Pdu>)>,
    /// Its state.
    pub state: StateMap,
    host: Arc<Peer>,
    id: Option<OwnedRoomId>,
    last: Option<OwnedEventId>,
    begun_at: u64,
}

impl Peer {
    /// Who makes rooms.
    #[must_use]
    pub fn creator(&self) -> String {
        format!("@creator:{}", self.name)
    }

    /// One of the many.
    #[must_use]
    pub fn member(&self, number: u32) -> String {
        format!("@member{number}:{}", self.name)
    }
}

impl Room {
    /// Its identifier.
    pub fn id(&self) -> Result<&OwnedRoomId> {
        self.id.as_ref().context("the room has no identifier")
    }

    /// Where an event lies that is made next: what it follows, what authorizes a join, and its depth.
    pub fn next_join(&self) -> Result<Value> {
        let mut places = vec![("m.room.power_levels", ""), ("m.room.join_rules", "")];
        if !self.version.room_id_is_create_event() {
            places.push(("m.room.create", ""));
        }
        let held = |(kind, key): Place<'_>| self.state.get(&(kind.to_owned(), key.to_owned()));
        let auth: Option<Vec<_>> = places.into_iter().map(held).collect();
        Ok(json!({
            "prev_events": [self.last.as_ref().context("the room is empty")?],
            "auth_events": auth.context("the room has no rules")?,
            "depth": self.events.len(),
        }))
    }

    /// A public room with so many members beside its creator. What is said to have happened first
    /// happened at `begun_at`, in milliseconds since the Unix epoch.
    pub fn with_members(
        host: &Arc<Peer>,
        version: RoomVersion,
        (members, begun_at): (u32, u64),
    ) -> Result<Self> {
        let mut room = Self {
            version,
            host: Arc::clone(host),
            id: None,
            events: HashMap::new(),
            state: BTreeMap::new(),
            last: None,
            begun_at,
        };
        let own_id = version.room_id_is_create_event();
        room.id = if own_id {
            None
        } else {
            Some(RoomId::parse(format!("!room{begun_at}:{}", host.name()))?)
        };
        let creator = host.creator();
        let creator = creator.as_str();
        let create =
            room.add(creator, ("m.room.create", ""), &json!({ "room_version": version }), &[])?;
        if own_id {
            room.id = Some(RoomId::parse(create.as_str().replacen('$', "!", 1))?);
        }
        let joined = json!({ "membership": "join" });
        room.add(creator, ("m.room.member", creator), &joined, &[])?;
        let levels = if own_id { json!({}) } else { json!({ "users": { creator: 100 } }) };
        let me = ("m.room.member", creator);
        room.add(creator, ("m.room.power_levels", ""), &levels, &[me])?;
        let open = [me, ("m.room.power_levels", "")];
        room.add(creator, ("m.room.join_rules", ""), &json!({ "join_rule": "public" }), &open)?;
        let visible = json!({ "history_visibility": "shared" });
        room.add(creator, ("m.room.history_visibility", ""), &visible, &open)?;
        room.add(creator, ("m.room.name", ""), &json!({ "name": "bench" }), &open)?;
        for number in 0..members {
            let member = host.member(number);
            let may_join = [("m.room.power_levels", ""), ("m.room.join_rules", "")];
            room.add(&member, ("m.room.member", &member), &joined, &may_join)?;
        }
        Ok(room)
    }

    /// The state after `count` members joined again, or were banned.
    pub fn fork(&mut self, count: u32, banned: bool) -> Result<StateMap> {
        let before = (self.state.clone(), self.last.clone());
        let creator = self.host.creator();
        for number in 0..count {
            let member = self.host.member(number);
            let own = ("m.room.member", member.as_str());
            let levels = ("m.room.power_levels", "");
            if banned {
                let auth = [("m.room.member", creator.as_str()), own, levels];
                self.add(&creator, own, &json!({ "membership": "ban" }), &auth)?;
            } else {
                let auth = [own, levels, ("m.room.join_rules", "")];
                let content = json!({ "membership": "join", "displayname": "again" });
                self.add(&member, ("m.room.member", &member), &content, &auth)?;
            }
        }
        self.last = before.1;
        Ok(std::mem::replace(&mut self.state, before.0))
    }

    /// Adds a state event of the sender and makes it current; `auth` names the state that allows it.
    pub fn add(
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
            origin_server_ts: MilliSecondsSinceUnixEpoch(UInt::try_from(self.begun_at + number)?),
            prev_events: self.last.iter().cloned().collect(),
            auth_events: auth_events?,
            depth: number,
            redacts: None,
        };
        let event = event.build_and_sign(self.version, self.host.key(), self.host.name())?;
        let id = event.event_id().clone();
        self.last = Some(id.clone());
        self.state.insert((kind.to_owned(), key.to_owned()), id.clone());
        self.events.insert(id.clone(), (number, Arc::new(event)));
        Ok(id)
    }
}
