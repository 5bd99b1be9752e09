//! What people do in a simulation, and how it is drawn.

use http::Method;
use serde_json::{Value, json};

use super::{server::SimPerson, skies::Life};
use crate::{SeededRandom, server::segment};

const V3: &str = "/_matrix/client/v3";

/// A room and what was said in it, as far as its people were told so.
#[derive(Clone, Debug, Default)]
pub(super) struct SimRoom {
    pub(super) room_id: String,
    /// Who made it: never out of it, and never without power.
    pub(super) maker: usize,
    /// Events somebody was told were sent.
    pub(super) events: Vec<String>,
    /// The room whose people may come in where the rules for coming in name one.
    pub(super) neighbour: String,
}

/// What people are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temper {
    /// They mostly talk.
    Talkative,
    /// They throw each other out and fight about power.
    Quarrelsome,
    /// The same, and they change who may come in, who may see what, and which servers may take part.
    Meddlesome,
}

/// One request, or two where the second depends on the first.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// An event.
    Send(String),
    /// State: type and content.
    Set(&'static str, Value),
    /// Another power level for somebody.
    Power { whom: String, level: i64 },
    /// Join, through these servers.
    Join { via: Vec<String> },
    /// Leave.
    Leave,
    /// invite, kick, ban, unban
    Member { act: &'static str, whom: String },
    /// Take an event back.
    Redact(String),
    /// Go by another name, in every room.
    Rename(String),
    /// Take somebody's power, while they throw whoever does so out.
    Duel { whom: usize },
}

impl Deed {
    /// Draws one for somebody in a room.
    pub(super) fn draw(
        random: &SeededRandom,
        temper: Temper,
        around: (&[SimPerson], &[String]),
        place: (&SimRoom, usize),
        number: usize,
    ) -> Self {
        match temper {
            Temper::Talkative => Self::talk(random, around, place, number),
            Temper::Quarrelsome => Self::quarrel(random, around, place, number),
            Temper::Meddlesome => match random.below(100) {
                0..16 => Self::Set("m.room.join_rules", who_may_come_in(random, place.0)),
                16..22 => {
                    let seen = ["world_readable", "shared", "invited", "joined"][below(random, 4)];
                    let content = json!({ "history_visibility": seen });
                    Self::Set("m.room.history_visibility", content)
                }
                22..29 => {
                    Self::Set("m.room.server_acl", who_may_take_part(random, around, place.0))
                }
                29..37 => Self::Duel { whom: below(random, around.0.len()) },
                _ => Self::quarrel(random, around, place, number),
            },
        }
    }

    fn talk(
        random: &SeededRandom,
        (people, servers): (&[SimPerson], &[String]),
        (room, person): (&SimRoom, usize),
        number: usize,
    ) -> Self {
        let whom = Self::somebody(random, people, room);
        match random.below(100) {
            0..34 => Self::Send(format!("word {number}")),
            34..44 => Self::topic(number),
            44..49 => Self::Set("m.room.name", json!({ "name": format!("name {number}") })),
            49..56 => Self::Power { whom, level: [0, 50, 50, 99][below(random, 4)] },
            56..72 => Self::join(random, servers),
            72..77 if person != room.maker => Self::Leave,
            77..82 => Self::Member { act: "invite", whom },
            82..87 => Self::Member { act: "kick", whom },
            87..90 => Self::Member { act: "ban", whom },
            90..94 => Self::Member { act: "unban", whom },
            _ => Self::redact(random, room, number),
        }
    }

    fn quarrel(
        random: &SeededRandom,
        (people, servers): (&[SimPerson], &[String]),
        (room, person): (&SimRoom, usize),
        number: usize,
    ) -> Self {
        let whom = Self::somebody(random, people, room);
        match random.below(100) {
            0..22 => Self::Send(format!("word {number}")),
            22..28 => Self::topic(number),
            28..42 => Self::Power { whom, level: [0, 49, 50, 50, 99, 100][below(random, 6)] },
            42..61 => Self::join(random, servers),
            61..67 if person != room.maker => Self::Leave,
            67..72 => Self::Member { act: "invite", whom },
            72..80 => Self::Member { act: "kick", whom },
            80..86 => Self::Member { act: "ban", whom },
            86..91 => Self::Member { act: "unban", whom },
            91..95 => Self::Rename(format!("name {number}")),
            _ => Self::redact(random, room, number),
        }
    }

    /// Anybody but the one who made the room.
    fn somebody(random: &SeededRandom, people: &[SimPerson], room: &SimRoom) -> String {
        let mut others: Vec<&SimPerson> = people.iter().collect();
        others.remove(room.maker);
        pick(random, &others).map_or_else(String::new, |it| it.user_id.clone())
    }

    fn topic(number: usize) -> Self {
        Self::Set("m.room.topic", json!({ "topic": format!("topic {number}") }))
    }

    fn join(random: &SeededRandom, servers: &[String]) -> Self {
        let first = servers[below(random, servers.len())].clone();
        let second = servers[below(random, servers.len())].clone();
        Self::Join { via: vec![first, second] }
    }

    fn redact(random: &SeededRandom, room: &SimRoom, number: usize) -> Self {
        match pick(random, &room.events) {
            Some(event) => Self::Redact(event.clone()),
            None => Self::Send(format!("word {number}")),
        }
    }

    /// What the trace calls it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Send(text) => format!("says {text}"),
            Self::Set(kind, content) => format!("sets {kind} {content}"),
            Self::Power { whom, level } => format!("gives {whom} the level {level}"),
            Self::Join { via } => format!("joins via {via:?}"),
            Self::Leave => "leaves".to_owned(),
            Self::Member { act, whom } => format!("{act}s {whom}"),
            Self::Redact(event) => format!("redacts {event}"),
            Self::Rename(name) => format!("goes by {name}"),
            Self::Duel { whom } => format!("is at odds with p{whom}"),
        }
    }

    /// Does it. Answers with the status and the event it made; nothing when the server crashed.
    pub(super) async fn run(
        &self,
        life: &Life,
        (person, transaction): (&SimPerson, usize),
        room_id: &str,
    ) -> Option<(u16, Option<String>, String)> {
        let room = format!("{V3}/rooms/{}", segment(room_id));
        let (method, path, body) = match self {
            Self::Send(text) => (
                Method::PUT,
                format!("{room}/send/m.room.message/{transaction}"),
                json!({ "msgtype": "m.text", "body": text }),
            ),
            Self::Set(kind, content) => {
                (Method::PUT, format!("{room}/state/{kind}/"), content.clone())
            }
            Self::Power { whom, level } => {
                let path = format!("{room}/state/m.room.power_levels/");
                let reply = life.ask(Some(person), Method::GET, &path, &Value::Null).await?;
                if reply.status != 200 {
                    return Some((reply.status, None, reply.body.to_string()));
                }
                let mut content = reply.body;
                content["users"][whom] = json!(level);
                (Method::PUT, path, content)
            }
            Self::Join { via } => {
                let via: Vec<_> = via.iter().map(|it| format!("via={}", segment(it))).collect();
                let path = format!("{V3}/join/{}?{}", segment(room_id), via.join("&"));
                (Method::POST, path, json!({}))
            }
            Self::Leave => (Method::POST, format!("{room}/leave"), json!({})),
            Self::Member { act, whom } => {
                (Method::POST, format!("{room}/{act}"), json!({ "user_id": whom }))
            }
            Self::Redact(event) => {
                (Method::PUT, format!("{room}/redact/{}/{transaction}", segment(event)), json!({}))
            }
            // Two people do this, each on their own.
            Self::Duel { .. } => return Some((200, None, String::new())),
            Self::Rename(name) => {
                let path = format!("{V3}/profile/{}/displayname", segment(&person.user_id));
                (Method::PUT, path, json!({ "displayname": name }))
            }
        };
        let reply = life.ask(Some(person), method, &path, &body).await?;
        let event = reply.body["event_id"].as_str().map(ToOwned::to_owned);
        Some((reply.status, event, reply.body.to_string()))
    }
}

/// Rules for coming in. Where they name a room, who is in that one may.
fn who_may_come_in(random: &SeededRandom, room: &SimRoom) -> Value {
    let allow = json!([{ "type": "m.room_membership", "room_id": room.neighbour }]);
    match random.below(8) {
        0..2 => json!({ "join_rule": "public" }),
        2 => json!({ "join_rule": "invite" }),
        3 => json!({ "join_rule": "knock" }),
        4..7 => json!({ "join_rule": "restricted", "allow": allow }),
        _ => json!({ "join_rule": "knock_restricted", "allow": allow }),
    }
}

/// An access control list: for everybody, or without a server other than the one of the room's maker.
fn who_may_take_part(
    random: &SeededRandom,
    (people, servers): (&[SimPerson], &[String]),
    room: &SimRoom,
) -> Value {
    let home = people.get(room.maker).map(|maker| maker.server);
    let out = below(random, servers.len());
    let deny = servers.get(out).filter(|_| Some(out) != home && random.below(2) == 0);
    json!({ "allow": ["*"], "deny": deny.into_iter().collect::<Vec<_>>() })
}

/// The list that lets every server take part.
pub(super) fn everybody_may_take_part() -> Deed {
    Deed::Set("m.room.server_acl", json!({ "allow": ["*"], "deny": [] }))
}

pub(super) fn below(random: &SeededRandom, bound: usize) -> usize {
    usize::try_from(random.below(bound as u64)).unwrap_or_default()
}

fn pick<'a, T>(random: &SeededRandom, from: &'a [T]) -> Option<&'a T> {
    from.get(below(random, from.len()))
}
