//! Whether the servers of a simulation came to the same end.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use ruma::{OwnedEventId, OwnedRoomId};
use serde::Deserialize;
use serde_json::Value;
use vestibule_storage::{
    Snapshot, StorageError,
    tables::{
        history::REDACTION_WITHHELD,
        room::{EVENT_BY_ID, EVENT_BY_NO, EVENT_STATE, ROOM_HEAD, ROOM_NO_BY_ID, StoredEventPlace},
    },
};

use super::{
    Temper,
    server::{SimPerson, SimServer},
};
use crate::server::segment;

const V3: &str = "/_matrix/client/v3";
/// Pages of a hundred that are read back at most.
const PAGES_MAX: usize = 60;

/// A room as one of its people sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Who looked.
    pub(super) user_id: String,
    /// Type and key to event.
    pub(super) state: BTreeMap<(String, String), String>,
    /// Whose servers are in the room.
    pub(super) joined: BTreeSet<String>,
    /// Every event that can be paged back to, and what it is.
    pub(super) timeline: BTreeMap<String, String>,
}

/// Looks at a room through the eyes of somebody in it; nothing when they are not.
pub(super) async fn look(server: &SimServer, person: &SimPerson, room_id: &str) -> Option<Seen> {
    let life = server.life()?;
    let room = format!("{V3}/rooms/{}", segment(room_id));
    let ask = async |path: String| life.ask(Some(person), Method::GET, &path, &Value::Null).await;
    let mine = ask(format!("{room}/state/m.room.member/{}", segment(&person.user_id))).await?;
    if mine.body["membership"] != "join" {
        return None;
    }
    let mut seen = Seen { user_id: person.user_id.clone(), ..Seen::default() };
    let state = ask(format!("{room}/state")).await?;
    for event in state.body.as_array()? {
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        if event["type"] == "m.room.member" && event["content"]["membership"] == "join" {
            seen.joined.insert(text("state_key"));
        }
        seen.state.insert((text("type"), text("state_key")), text("event_id"));
    }
    let mut from = String::new();
    for _ in 0..PAGES_MAX {
        let page = ask(format!("{room}/messages?dir=b&limit=100{from}")).await?;
        let chunk = page.body["chunk"].as_array()?.clone();
        // What only joins the ends of the room is shown by those who did not make it.
        let said = chunk.iter().filter(|event| event["type"] != "org.matrix.dummy_event");
        seen.timeline.extend(said.filter_map(|event| {
            let (kind, sender) = (event["type"].as_str()?, event["sender"].as_str()?);
            let what = format!("{kind} of {sender} at {}", event["origin_server_ts"]);
            Some((event["event_id"].as_str()?.to_owned(), what))
        }));
        let Some(end) = page.body["end"].as_str() else { break };
        from = format!("&from={}", segment(end));
    }
    Some(seen)
}

/// What one server made of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Never heard of.
    Unknown,
    /// Kept beside the room's graph.
    Outlier,
    /// Refused for ever.
    Rejected,
    /// Part of the graph, hidden.
    SoftFailed,
    /// Part of the graph, not shown because it redacts what is not here.
    Withheld,
    /// Part of the graph.
    Accepted,
}

pub(super) async fn fate(server: &SimServer, event_id: &str) -> Fate {
    let id: OwnedEventId = event_id.try_into().expect("an event id");
    let found: Result<Fate, StorageError> = server
        .store()
        .read(move |snapshot| {
            let Some(place) = EVENT_BY_ID.get(snapshot, (&*id,))? else {
                return Ok(Fate::Unknown);
            };
            let event = EVENT_BY_NO.get(snapshot, (place.room, place.event))?;
            let around = EVENT_STATE.get(snapshot, (place.room, place.event))?;
            Ok(match (event, around) {
                (Some(event), _) if event.rejected => Fate::Rejected,
                (_, None) => Fate::Outlier,
                (_, Some(around)) if around.value.soft_failed => Fate::SoftFailed,
                (Some(event), _) if waits_for_its_target(snapshot, place, &event.json)? => {
                    Fate::Withheld
                }
                (_, Some(_)) => Fate::Accepted,
            })
        })
        .await;
    found.expect("a store in memory")
}

/// Whether an event is a redaction that clients are not shown because its target never came. One of which
/// the target is here has to be shown by all servers or by none.
fn waits_for_its_target(
    snapshot: &Snapshot<'_>,
    place: StoredEventPlace,
    json: &[u8],
) -> Result<bool, StorageError> {
    if !REDACTION_WITHHELD.contains(snapshot, (place.room, place.event))? {
        return Ok(false);
    }
    let event: Value = serde_json::from_slice(json).expect("an event");
    let named = event["redacts"].as_str().or(event["content"]["redacts"].as_str());
    let target = named.and_then(|id| OwnedEventId::try_from(id).ok()).expect("a target");
    Ok(!EVENT_BY_ID.contains(snapshot, (&*target,))?)
}

#[derive(Deserialize)]
struct Parents {
    prev_events: Vec<OwnedEventId>,
}

/// The events that the ends of a room lead back to on a server.
async fn behind_the_ends(server: &SimServer, room_id: &str) -> BTreeSet<String> {
    let id: OwnedRoomId = room_id.try_into().expect("a room id");
    let found: Result<BTreeSet<String>, StorageError> = server
        .store()
        .read(move |snapshot| {
            let mut found = BTreeSet::new();
            let Some(room) = ROOM_NO_BY_ID.get(snapshot, (&*id,))? else { return Ok(found) };
            let head = ROOM_HEAD.get(snapshot, (room.0,))?;
            let mut waiting = head.map(|head| head.extremities).unwrap_or_default();
            while let Some(no) = waiting.pop() {
                let Some(event) = EVENT_BY_NO.get(snapshot, (room.0, no))? else { continue };
                found.insert(event.event_id.to_string());
                let parents: Parents = serde_json::from_slice(&event.json).expect("an event");
                for parent in parents.prev_events {
                    let place = EVENT_BY_ID.get(snapshot, (&*parent,))?;
                    if found.insert(parent.to_string()) {
                        waiting.extend(place.map(|place| place.event));
                    }
                }
            }
            Ok(found)
        })
        .await;
    found.expect("a store in memory")
}

/// Leaves out servers that all others think have nobody in the room, and that none of them had to tell so:
/// the others hide the joins that these servers go by, because by the time those came they had decided
/// what refuses them; or resolution undid the joins there. Whom nobody hears is told nothing either, and the
/// protocol has no word for that (`docs/decisions/0011`).
async fn leave_out_the_unheard(
    servers: &[SimServer],
    people: &[SimPerson],
    (looks, room_id): (&mut Vec<(usize, Seen)>, &str),
) {
    for server in 0..servers.len() {
        let own = people_of(people, server);
        let (theirs, others): (Vec<_>, Vec<_>) =
            looks.iter().cloned().partition(|(whose, _)| *whose == server);
        let mut unheard = !theirs.is_empty() && !others.is_empty();
        for (other, seen) in &others {
            if !unheard {
                break;
            }
            unheard = own.iter().all(|user| !seen.joined.contains(*user));
            for (_, look) in &theirs {
                let place = ("m.room.member".to_owned(), look.user_id.clone());
                let Some(join) = look.state.get(&place) else { continue };
                unheard &= match fate(&servers[*other], join).await {
                    Fate::SoftFailed => true,
                    Fate::Accepted => {
                        let world = (servers, people, looks.as_slice());
                        undone_unseen(world, (server, seen, room_id)).await
                    }
                    Fate::Unknown | Fate::Outlier | Fate::Rejected | Fate::Withheld => false,
                };
            }
        }
        if unheard {
            looks.retain(|(whose, _)| *whose != server);
        }
    }
}

/// Whether a server lacks events of a room's present state, and nobody of it was in the room at any of them:
/// then nobody had to tell the server.
async fn undone_unseen(
    (servers, people, looks): (&[SimServer], &[SimPerson], &[(usize, Seen)]),
    (server, seen, room_id): (usize, &Seen, &str),
) -> bool {
    let (own, mut lacks) = (people_of(people, server), false);
    for event in seen.state.values() {
        if fate(&servers[server], event).await != Fate::Unknown {
            continue;
        }
        lacks = true;
        let Some(around) = at(servers, people, (looks, room_id, event)).await else { return false };
        let joined = |user: &&str| around.memberships.get(*user).is_some_and(|it| it == "join");
        if own.iter().any(joined)
            || around.was.is_some_and(|(who, was)| own.contains(&&*who) && was == "join")
        {
            return false;
        }
    }
    lacks
}

/// The state of a room at an event, as far as it says who may see the event.
struct Around {
    visibility: String,
    memberships: BTreeMap<String, String>,
    /// Whose membership it changed, and what that was before.
    was: Option<(String, String)>,
}

impl Around {
    /// Whether none of these people, who are in the room now, was there for the event where that matters
    /// (client-server API, "Room history visibility").
    fn hides_from(&self, people: &[&str]) -> bool {
        let enough: &[&str] = match self.visibility.as_str() {
            "joined" => &["join"],
            "invited" => &["join", "invite"],
            _ => return false,
        };
        let there = |user: &&str| {
            self.memberships.get(*user).is_some_and(|it| enough.contains(&it.as_str()))
        };
        !people.iter().any(there)
    }
}

/// The state of a room at an event, through the eyes of somebody who can see it.
async fn at(
    servers: &[SimServer],
    people: &[SimPerson],
    (looks, room_id, event): (&[(usize, Seen)], &str, &str),
) -> Option<Around> {
    let (server, seen) = looks.iter().find(|(_, seen)| seen.timeline.contains_key(event))?;
    let person = people.iter().find(|person| person.user_id == seen.user_id)?;
    let path = format!("{V3}/rooms/{}/context/{}?limit=0", segment(room_id), segment(event));
    let life = servers[*server].life()?;
    let answer = life.ask(Some(person), Method::GET, &path, &Value::Null).await?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut around = Around { visibility: String::new(), memberships: BTreeMap::new(), was: None };
    let about = &answer.body["event"];
    if about["type"] == "m.room.member" {
        let was = &about["unsigned"]["prev_content"]["membership"];
        around.was = Some((text(&about["state_key"]), text(was)));
    }
    for event in answer.body["state"].as_array()? {
        let content = &event["content"];
        match event["type"].as_str()? {
            "m.room.history_visibility" => around.visibility = text(&content["history_visibility"]),
            "m.room.member" => {
                let member = (text(&event["state_key"]), text(&content["membership"]));
                around.memberships.extend([member]);
            }
            _ => {}
        }
    }
    Some(around)
}

fn people_of(people: &[SimPerson], server: usize) -> Vec<&str> {
    people.iter().filter(|it| it.server == server).map(|it| &*it.user_id).collect()
}

/// The differences between what people of different servers see in one room.
pub(super) async fn differences(
    servers: &[SimServer],
    people: &[SimPerson],
    (room_id, temper): (&str, Temper),
) -> Vec<String> {
    // Only who changes the rules for seeing brings about what is hidden from some, and only where not
    // everybody may come in is anybody unheard.
    let (meddled, ruled) = (temper == Temper::Meddlesome, temper != Temper::Talkative);
    let mut looks = Vec::new();
    for person in people {
        if let Some(seen) = look(&servers[person.server], person, room_id).await {
            looks.push((person.server, seen));
        }
    }
    if ruled {
        leave_out_the_unheard(servers, people, (&mut looks, room_id)).await;
    }
    let mut found = Vec::new();
    let Some((_, first)) = looks.first().cloned() else {
        return vec![format!("nobody is left in {room_id}")];
    };
    for (_, seen) in &looks {
        for key in first.state.keys().chain(seen.state.keys()).collect::<BTreeSet<_>>() {
            let (one, other) = (first.state.get(key), seen.state.get(key));
            if one != other {
                let (here, there) = (&first.user_id, &seen.user_id);
                found.push(format!(
                    "{room_id}: {key:?} is {one:?} for {here}, {other:?} for {there}"
                ));
            }
        }
    }
    let looked: BTreeSet<_> = looks.iter().map(|(_, seen)| seen.user_id.clone()).collect();
    if looked != first.joined {
        found.push(format!(
            "{room_id}: in it are {:?}, and who thinks so is {looked:?}",
            first.joined
        ));
    }
    let all: BTreeMap<_, _> = looks.iter().flat_map(|(_, seen)| seen.timeline.clone()).collect();
    let mut reached = BTreeSet::new();
    for (server, _) in &looks {
        reached.extend(behind_the_ends(&servers[*server], room_id).await);
    }
    for (server, seen) in &looks.iter().cloned().collect::<BTreeMap<_, _>>() {
        for (event, what) in all.iter().filter(|(event, _)| !seen.timeline.contains_key(*event)) {
            let fate = fate(&servers[*server], event).await;
            // An event may be hidden on one server and not on another: which of two things came
            // first is for each of them to see. Whoever has it in the room shows it, and what the graph
            // alone decides is the same everywhere.
            //
            // What was said by somebody who was out for all others, and what nothing leads to since its
            // own server left and came back, need not have come to everybody.
            let left_behind =
                !reached.contains(event) && matches!(fate, Fate::Unknown | Fate::Outlier);
            //
            // A redaction of what was left behind is shown by those who have both.
            if !matches!(fate, Fate::SoftFailed | Fate::Withheld) && !left_behind {
                let whose: Vec<&str> = match fate {
                    Fate::Accepted => vec![&seen.user_id],
                    _ => people_of(people, *server),
                };
                let around = at(servers, people, (&looks, room_id, event)).await;
                if meddled && around.is_some_and(|around| around.hides_from(&whose)) {
                    continue;
                }
                let user = &seen.user_id;
                found.push(format!(
                    "{room_id}: {event}, {what}, is in a timeline, for {user} it is {fate:?}"
                ));
            }
        }
    }
    found
}
