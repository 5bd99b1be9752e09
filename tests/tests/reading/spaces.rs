//! Spaces as other servers see them.

use serde_json::{Value, json};
use vestibule_testkit::server::{Reply, segment};

use crate::support::Scene;

impl Scene {
    async fn hierarchy(&self, room: &str, more: &str) -> Reply {
        self.get(&format!("hierarchy/{}{more}", segment(room))).await
    }

    /// Puts rooms into a space.
    async fn adopt(&self, space: &str, child: &str, suggested: bool) {
        let content = json!({ "via": ["home.test"], "suggested": suggested });
        self.alice.set_state(space, "m.space.child", child, &content).await.ok();
    }

    async fn space(&self) -> String {
        let options = json!({
            "preset": "public_chat",
            "name": "The space",
            "creation_content": { "type": "m.space" },
        });
        self.alice.create_room(&options).await
    }
}

fn rooms(list: &Value) -> Vec<&str> {
    let rooms = list.as_array().expect("rooms").iter();
    let mut rooms: Vec<&str> = rooms.map(|room| room["room_id"].as_str().unwrap()).collect();
    rooms.sort_unstable();
    rooms
}

#[tokio::test]
async fn children_are_told_apart_by_whether_the_server_could_get_in() {
    let scene = Scene::new().await;
    let space = scene.space().await;
    let open = scene.room().await;
    let closed = scene.alice.create_room(&json!({ "name": "closed" })).await;
    let joined = scene.room().await;
    scene.away.slip_in(&scene.server, &joined, "bob").await;
    let private = json!({ "join_rule": "invite" });
    scene.alice.set_state(&joined, "m.room.join_rules", "", &private).await.ok();
    let barred = scene.room().await;
    let list = json!({ "allow": ["home.test"] });
    scene.alice.set_state(&barred, "m.room.server_acl", "", &list).await.ok();
    let elsewhere = format!("!{}", "e".repeat(43));
    for child in [&open, &closed, &joined, &barred, &elsewhere] {
        scene.adopt(&space, child, child == &open).await;
    }

    let answer = scene.hierarchy(&space, "").await.ok();
    assert_eq!(answer["room"]["room_id"], json!(space));
    assert_eq!(answer["room"]["room_type"], "m.space");
    assert_eq!(answer["room"]["children_state"].as_array().unwrap().len(), 5);
    let mut expected = [open.as_str(), joined.as_str()];
    expected.sort_unstable();
    assert_eq!(rooms(&answer["children"]), expected);
    let mut hidden: Vec<&str> = answer["inaccessible_children"]
        .as_array()
        .unwrap()
        .iter()
        .map(|room| room.as_str().unwrap())
        .collect();
    hidden.sort_unstable();
    let mut expected = [closed.as_str(), barred.as_str()];
    expected.sort_unstable();
    assert_eq!(hidden, expected);
    assert!(!answer["children"].to_string().contains("closed"));

    let suggested = scene.hierarchy(&space, "?suggested_only=true").await.ok();
    assert_eq!(rooms(&suggested["children"]), [open.as_str()]);
    assert_eq!(suggested["room"]["children_state"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_restricted_room_is_shown_to_servers_in_a_room_that_opens_it() {
    let scene = Scene::new().await;
    let club = scene.room().await;
    let rule = json!({
        "type": "m.room.join_rules",
        "state_key": "",
        "content": {
            "join_rule": "restricted",
            "allow": [{ "type": "m.room_membership", "room_id": club }],
        },
    });
    let room = scene.alice.create_room(&json!({ "initial_state": [rule] })).await;
    assert_eq!(scene.hierarchy(&room, "").await.refusal(), (404, "M_NOT_FOUND"));
    scene.away.slip_in(&scene.server, &club, "bob").await;
    let answer = scene.hierarchy(&room, "").await.ok();
    assert_eq!(answer["room"]["allowed_room_ids"], json!([club]));
    assert_eq!(answer["children"], json!([]));
}

#[tokio::test]
async fn a_room_nobody_there_could_enter_is_answered_as_one_that_is_not_there() {
    let scene = Scene::new().await;
    let room = scene.alice.create_room(&json!({ "name": "secret" })).await;
    let refused = scene.hierarchy(&room, "").await;
    assert_eq!(refused.refusal(), (404, "M_NOT_FOUND"));
    assert_eq!(refused, scene.hierarchy(&format!("!{}", "u".repeat(43)), "").await);
    assert_eq!(scene.hierarchy("x", "").await.status, 400);
}
