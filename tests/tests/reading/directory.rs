//! Aliases, profiles and the public list, for other servers.

use serde_json::json;
use vestibule_testkit::server::segment;

use crate::support::{Scene, V1};

#[tokio::test]
async fn an_alias_leads_to_its_room_and_the_servers_in_it_ours_first() {
    let scene = Scene::new().await;
    let room = scene.room().await;
    scene.away.slip_in(&scene.server, &room, "bob").await;
    scene.alice.create_alias("#tea:home.test", &room).await.ok();
    let ask = |alias: &str| format!("query/directory?room_alias={}", segment(alias));
    let found = scene.get(&ask("#tea:home.test")).await.ok();
    assert_eq!(found, json!({ "room_id": room, "servers": ["home.test", "away.test"] }));
    for other in ["#coffee:home.test", "#tea:away.test"] {
        assert_eq!(scene.get(&ask(other)).await.refusal(), (404, "M_NOT_FOUND"), "{other}");
    }
}

#[tokio::test]
async fn a_profile_is_shown_whole_or_by_one_field() {
    let scene = Scene::new().await;
    let path = format!("/_matrix/client/v3/profile/{}/displayname", segment("@alice:home.test"));
    scene.alice.http().put(&path, &json!({ "displayname": "Alice" })).await.ok();
    let ask = |more: &str| format!("query/profile?user_id={}{more}", segment("@alice:home.test"));
    assert_eq!(scene.get(&ask("")).await.ok()["displayname"], "Alice");
    let one = scene.get(&ask("&field=displayname")).await.ok();
    assert_eq!(one, json!({ "displayname": "Alice" }));
    assert_eq!(scene.get(&ask("&field=avatar_url")).await.ok(), json!({}));
    let nobody = format!("query/profile?user_id={}", segment("@nobody:home.test"));
    assert_eq!(scene.get(&nobody).await.refusal(), (404, "M_NOT_FOUND"));
    let foreign = format!("query/profile?user_id={}", segment("@alice:away.test"));
    assert_eq!(scene.get(&foreign).await.refusal(), (400, "M_INVALID_PARAM"));
}

#[tokio::test]
async fn the_public_list_is_shown_to_servers_only_where_the_operator_says_so() {
    for (shown, sections) in [(false, ""), (true, "[directory]\nvisible_to_servers = true\n")] {
        let scene = Scene::with(sections).await;
        let mut rooms = Vec::new();
        for name in ["Tea", "Coffee"] {
            let options = json!({ "preset": "public_chat", "visibility": "public", "name": name });
            rooms.push(scene.alice.create_room(&options).await);
        }
        let list = scene.get("publicRooms?limit=1").await;
        if !shown {
            assert_eq!(list.refusal(), (403, "M_FORBIDDEN"));
            continue;
        }
        let list = list.ok();
        let next = list["next_batch"].as_str().expect("there is more");
        let rest = scene.get(&format!("publicRooms?since={next}")).await.ok();
        let pages = [&list["chunk"], &rest["chunk"]].map(|page| page.as_array().unwrap());
        assert_eq!(pages.map(Vec::len), [1, 1]);
        let mut listed: Vec<&str> =
            pages.iter().map(|page| page[0]["room_id"].as_str().unwrap()).collect();
        listed.sort_unstable();
        rooms.sort_unstable();
        assert_eq!(listed, rooms, "in whatever order");
        assert!(rest.get("next_batch").is_none());
        let filter = json!({ "filter": { "generic_search_term": "tea" } });
        let path = format!("{V1}/publicRooms");
        let found = scene.away.post(&scene.server, &path, &filter).await.ok();
        assert_eq!(found["chunk"].as_array().unwrap().len(), 1);
        assert_eq!(found["chunk"][0]["name"], "Tea");
    }
}
