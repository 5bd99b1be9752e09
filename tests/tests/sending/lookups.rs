//! What a client asks that lies on another server.

use serde_json::json;
use vestibule_testkit::server::{Blueprint, segment};

use crate::town::{Two, V3};

#[tokio::test]
async fn an_alias_of_another_server_is_resolved_and_joined() {
    let two = Two::new().await;
    let options = json!({ "preset": "public_chat", "room_alias_name": "hall" });
    let room = two.alice.create_room(&options).await;
    let path = format!("{V3}/directory/room/{}", segment("#hall:a.example"));
    let found = two.bob.http().get(&path).await.ok();
    assert_eq!(found["room_id"], room.as_str());
    assert!(found["servers"].as_array().is_some_and(|it| it.contains(&json!("a.example"))));
    let none = format!("{V3}/directory/room/{}", segment("#nothing:a.example"));
    assert_eq!(two.bob.http().get(&none).await.refusal(), (404, "M_NOT_FOUND"));
    let nowhere = format!("{V3}/directory/room/{}", segment("#hall:nowhere.example"));
    assert_eq!(two.bob.http().get(&nowhere).await.status, 502);
    assert_eq!(two.b.http().get(&path).await.refusal(), (404, "M_NOT_FOUND"), "for strangers");
    let joined = two.bob.join("#hall:a.example").await.ok();
    assert_eq!(joined["room_id"], room.as_str());
}

#[tokio::test]
async fn a_guest_does_not_make_this_server_ask_about_an_alias_or_a_list() {
    let two = Two::like(Blueprint::default().with_guests()).await;
    let room = two.b.person("mona", "moderator").await.create_guest_room(Some("hall")).await;
    let guest = two.b.guest().await;
    guest.join(&room).await.ok();
    let path = format!("{V3}/directory/room/{}", segment("#hall:a.example"));
    assert_eq!(guest.http().get(&path).await.status, 403);
    let path = format!("{V3}/publicRooms?server=a.example");
    assert_eq!(guest.http().get(&path).await.status, 403);
    assert_eq!(two.network.sent(), []);
}

#[tokio::test]
async fn profiles_of_other_servers_are_asked_for_once_in_a_while() {
    let two = Two::new().await;
    let name = format!("{V3}/profile/{}/displayname", segment(&two.alice.user_id));
    two.alice.http().put(&name, &json!({ "displayname": "Alice A." })).await.ok();
    let path = format!("{V3}/profile/{}", segment(&two.alice.user_id));
    for _ in 0..3 {
        let profile = two.bob.http().get(&path).await.ok();
        assert_eq!(profile["displayname"], "Alice A.");
    }
    assert_eq!(two.bob.http().get(&name).await.ok()["displayname"], "Alice A.");
    assert_eq!(two.requests("a.example", "/query/profile"), 1);
    let nobody = format!("{V3}/profile/{}", segment("@nobody:a.example"));
    assert_eq!(two.bob.http().get(&nobody).await.refusal(), (404, "M_NOT_FOUND"));
    let nowhere = format!("{V3}/profile/{}", segment("@alice:nowhere.example"));
    assert_eq!(two.bob.http().get(&nowhere).await.status, 502);
    assert_eq!(two.b.http().get(&path).await.status, 404, "strangers do not make us ask");
}

#[tokio::test]
async fn the_public_rooms_of_another_server_are_shown_as_it_tells_them() {
    let open = Blueprint::default().with("[directory]\nvisible_to_servers = true\n");
    let two = Two::like(open).await;
    let options = json!({ "preset": "public_chat", "visibility": "public", "name": "The hall" });
    let room = two.alice.create_room(&options).await;
    let path = format!("{V3}/publicRooms?server=a.example&limit=5");
    let page = two.bob.http().get(&path).await.ok();
    assert_eq!(page["chunk"][0]["room_id"], room.as_str(), "{page}");
    let filter = json!({ "filter": { "generic_search_term": "no such room" } });
    let page = two.bob.http().post(&path, &filter).await.ok();
    assert_eq!(page["chunk"], json!([]));
    assert_eq!(two.b.http().get(&path).await.status, 401, "somebody has to be logged in");
}

#[tokio::test]
async fn a_room_of_another_server_is_summed_up_for_whoever_could_get_in() {
    let two = Two::new().await;
    let options = json!({ "preset": "public_chat", "name": "The hall", "room_alias_name": "hall" });
    let hall = two.alice.create_room(&options).await;
    let den = two.alice.create_room(&json!({ "preset": "private_chat", "name": "The den" })).await;
    let path = |room: &str, via: &str| {
        let via = if via.is_empty() { String::new() } else { format!("?via={via}") };
        format!("/_matrix/client/v1/room_summary/{}{via}", segment(room))
    };
    // Who was asked and told nothing does not speak for the others.
    let nowhere = two.bob.http().get(&path(&hall, "nowhere.example")).await;
    assert_eq!(nowhere.refusal(), (404, "M_NOT_FOUND"));
    let summary = two.bob.http().get(&path(&hall, "a.example")).await.ok();
    assert_eq!((&summary["name"], &summary["join_rule"]), (&json!("The hall"), &json!("public")));
    assert_eq!(
        (&summary["num_joined_members"], &summary["membership"]),
        (&json!(1), &json!("leave"))
    );
    let asked = two.requests("a.example", "/hierarchy/");
    two.bob.http().get(&path(&hall, "a.example")).await.ok();
    assert_eq!(two.requests("a.example", "/hierarchy/"), asked, "it was just told");
    let by_name = two.bob.http().get(&path("#hall:a.example", "")).await.ok();
    assert_eq!(by_name["room_id"], hall.as_str());
    let closed = two.bob.http().get(&path(&den, "a.example")).await;
    assert_eq!(closed.refusal(), (404, "M_NOT_FOUND"));
    // An invitation opens what was closed a moment before.
    let bob = json!({ "user_id": "@bob:b.example" });
    two.alice.in_room(&den, "invite", &bob).await.ok();
    let invited = two.bob.http().get(&path(&den, "a.example")).await.ok();
    assert_eq!((&invited["name"], &invited["membership"]), (&json!("The den"), &json!("invite")));
    let sent = two.network.sent().len();
    let stranger = two.b.http().get(&path(&hall, "a.example")).await;
    assert_eq!(stranger.status, 401);
    assert_eq!(two.network.sent().len(), sent, "strangers do not make us ask");
    crate::town::join(&two.bob, &hall, "a.example").await.ok();
    let summary = two.bob.http().get(&path(&hall, "")).await.ok();
    assert_eq!(
        (&summary["num_joined_members"], &summary["membership"]),
        (&json!(2), &json!("join"))
    );
}
