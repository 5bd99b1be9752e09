//! Spaces whose rooms lie on other servers, as people here see them.

use axum::{Json, Router, extract::Path, http::StatusCode, routing::get};
use serde_json::{Value, json};
use vestibule_testkit::server::{
    Blueprint, Network, Person, PretendServer, Reply, TestServer, segment,
};

const ABROAD: &str = "!abroad:away.test";
const INNER: &str = "!inner:away.test";
const DEEP: &str = "!deep:away.test";
const OPEN: &str = "!open:away.test";
const CLUB: &str = "!club-only:away.test";
const LIAR: &str = "!liar:away.test";

/// A server here, and one away that tells of its rooms.
struct World {
    network: Network,
    server: TestServer,
    alice: Person,
    _away: PretendServer,
}

impl World {
    async fn new() -> Self {
        let network = Network::new();
        let blueprint = Blueprint::default().with_guests().on(&network, "home.test");
        let server = blueprint.start().await;
        let path = "/_matrix/federation/v1/hierarchy/{room}";
        let away =
            PretendServer::answering(&network, "away.test", Router::new().route(path, get(tell)));
        let alice = server.person("alice", "moderator").await;
        Self { network, server, alice, _away: away }
    }

    /// A space here that names rooms of the other server.
    async fn space(&self, children: &[&str]) -> String {
        let options = json!({
            "preset": "public_chat",
            "creation_content": { "type": "m.space" },
            "initial_state": [{
                "type": "m.room.guest_access",
                "state_key": "",
                "content": { "guest_access": "can_join" },
            }],
        });
        let space = self.alice.create_room(&options).await;
        for child in children {
            let content = json!({ "via": ["away.test"] });
            self.alice.set_state(&space, "m.space.child", child, &content).await.ok();
        }
        space
    }

    /// How often the other server was asked about rooms.
    fn asked(&self) -> usize {
        self.network.sent().iter().filter(|sent| sent.line.contains("/hierarchy/")).count()
    }
}

async fn hierarchy(who: &Person, space: &str, more: &str) -> Reply {
    let path = format!("/_matrix/client/v1/rooms/{}/hierarchy{more}", segment(space));
    who.http().get(&path).await
}

fn rooms(page: &Value) -> Vec<&str> {
    let rooms = page["rooms"].as_array().expect("rooms").iter();
    rooms.map(|room| room["room_id"].as_str().expect("an id")).collect()
}

fn room(id: &str, rule: &str) -> Value {
    json!({
        "room_id": id,
        "name": format!("The room {id}"),
        "num_joined_members": 3,
        "join_rule": rule,
        "allowed_room_ids": ["!club:away.test"],
        "guest_can_join": false,
        "world_readable": false,
    })
}

fn child(id: &str) -> Value {
    json!({
        "type": "m.space.child",
        "state_key": id,
        "content": { "via": ["away.test"] },
        "sender": "@bob:away.test",
        "origin_server_ts": 7,
    })
}

/// What the other server tells.
async fn tell(Path(asked): Path<String>) -> (StatusCode, Json<Value>) {
    let space = |id: &str, children: &[&str]| {
        let mut space = room(id, "public");
        space["room_type"] = "m.space".into();
        space["children_state"] = children.iter().map(|id| child(id)).collect();
        space
    };
    let told = |room: Value, children: Value| {
        let told = json!({ "room": room, "children": children, "inaccessible_children": [] });
        (StatusCode::OK, Json(told))
    };
    match asked.as_str() {
        ABROAD => {
            let mut inner = room(INNER, "public");
            inner["room_type"] = "m.space".into();
            let children = json!([inner, room(OPEN, "public"), room(CLUB, "restricted")]);
            told(space(ABROAD, &[INNER, OPEN, CLUB]), children)
        }
        INNER => told(space(INNER, &[DEEP]), json!([room(DEEP, "knock")])),
        LIAR => told(space("!other:away.test", &[]), json!([])),
        _ => {
            let nothing = json!({ "errcode": "M_NOT_FOUND", "error": "no such room" });
            (StatusCode::NOT_FOUND, Json(nothing))
        }
    }
}

#[tokio::test]
async fn rooms_of_other_servers_are_asked_about_once_and_shown_to_who_could_get_in() {
    let world = World::new().await;
    let space = world.space(&[ABROAD]).await;
    let page = hierarchy(&world.alice, &space, "").await.ok();
    assert_eq!(rooms(&page), [space.as_str(), ABROAD, INNER, DEEP, OPEN]);
    assert_eq!(page["rooms"][1]["children_state"].as_array().unwrap().len(), 3);
    assert_eq!(page["rooms"][3]["join_rule"], "knock");
    assert_eq!(world.asked(), 2, "what came as a child is not asked about, but for its children");

    let first = hierarchy(&world.alice, &space, "?limit=2").await.ok();
    assert_eq!(rooms(&first), [space.as_str(), ABROAD]);
    let next = format!("?limit=9&from={}", first["next_batch"].as_str().expect("there is more"));
    let rest = hierarchy(&world.alice, &space, &next).await.ok();
    assert_eq!(rooms(&rest), [INNER, DEEP, OPEN]);
    let within = hierarchy(&world.alice, INNER, "").await.ok();
    assert_eq!(rooms(&within), [INNER, DEEP]);
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn a_guest_makes_this_server_ask_nobody() {
    let world = World::new().await;
    let space = world.space(&[ABROAD]).await;
    world.alice.create_alias("#space:home.test", &space).await.ok();
    let guest = world.server.guest().await;
    let page = hierarchy(&guest, &space, "").await.ok();
    assert_eq!(rooms(&page), [space.as_str()]);
    assert_eq!(world.asked(), 0);
    hierarchy(&world.alice, &space, "").await.ok();
    let page = hierarchy(&guest, &space, "").await.ok();
    assert_eq!(rooms(&page), [space.as_str()], "what others learned is outside its scope");
}

#[tokio::test]
async fn a_server_that_lies_says_no_or_is_silent_adds_nothing() {
    let world = World::new().await;
    let space = world.space(&[LIAR, "!unknown:away.test"]).await;
    let page = hierarchy(&world.alice, &space, "").await.ok();
    assert_eq!(rooms(&page), [space.as_str()]);
    assert_eq!(world.asked(), 2);
    world.network.cut("away.test");
    let other = world.space(&[ABROAD]).await;
    let page = hierarchy(&world.alice, &other, "").await.ok();
    assert_eq!(rooms(&page), [other.as_str()]);
}
