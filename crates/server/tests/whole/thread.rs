//! One thread through all floors: register, make a room, join, speak, be heard.

use serde_json::{Value, json};
use vestibule_testkit::server::{Blueprint, HttpClient, TestServer, texts};
use vestibule_types::segment;

fn heard(sync: &Value, room_id: &str) -> Vec<String> {
    texts(&sync["rooms"]["join"][room_id]["timeline"]["events"])
}

async fn two_people_talk(server: TestServer) {
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(&json!({ "preset": "public_chat" })).await;
    bob.join(&room).await.ok();
    let before = bob.sync("").await;
    let since = before["next_batch"].as_str().unwrap().to_owned();
    alice.say(&room, "hello").await;
    let after = bob.sync_for(&since, 10_000).await;
    assert_eq!(heard(&after, &room), ["hello"]);
    bob.say(&room, "hello to you").await;
    assert_eq!(alice.messages(&room).await, ["hello", "hello to you"]);
}

#[tokio::test]
async fn two_people_talk_over_one_slot_in_memory() {
    two_people_talk(TestServer::start().await).await;
}

#[tokio::test]
async fn two_people_talk_over_three_slots_in_memory() {
    two_people_talk(Blueprint::default().slots(3).start().await).await;
}

#[tokio::test]
async fn two_people_talk_over_the_embedded_database() {
    two_people_talk(Blueprint::default().on_disk().start().await).await;
}

#[tokio::test]
async fn a_guest_comes_in_only_where_a_door_is_open() {
    let server = Blueprint::default().with_guests().start().await;
    let moderator = server.person("mod", "moderator").await;
    let open = moderator.create_guest_room(Some("tea")).await;
    let shut = moderator.create_guest_room(None).await;
    let guest = server.guest().await;

    guest.join("#tea:localhost").await.ok();
    guest.say(&open, "may I?").await;
    assert_eq!(moderator.messages(&open).await, ["may I?"]);

    let refused = guest.join(&shut).await;
    assert_eq!(refused.refusal(), (403, "M_GUEST_ACCESS_FORBIDDEN"));
    assert!(refused.reason().is_some(), "{refused:?}");
}

/// Everybody with an account, as text.
async fn accounts(server: &TestServer) -> String {
    server.operator("GET", "/users?limit=1000", &json!(null)).await.ok().to_string()
}

#[tokio::test]
async fn a_guest_is_written_down_with_the_first_thing_it_does_also_after_a_restart() {
    for slots in [1, 3] {
        let server = Blueprint::default().with_guests().slots(slots).on_disk().start().await;
        let moderator = server.person("mod", "moderator").await;
        let open = moderator.create_guest_room(Some("tea")).await;
        let shut = moderator.create_guest_room(None).await;
        let (guest, other) = (server.guest().await, server.guest().await);
        let before = guest.sync("").await;
        assert_eq!(guest.join(&shut).await.refusal(), (403, "M_GUEST_ACCESS_FORBIDDEN"));
        other.http().post("/_matrix/client/v3/logout", &json!({})).await.ok();
        assert!(!accounts(&server).await.contains("@guest-"));

        let server = server.restart().await;
        let http = HttpClient::to(server.address());
        let (guest_id, guest_token) = (&guest.user_id, &guest.access_token);
        let again = http.with_token(&other.access_token);
        let whoami = again.get("/_matrix/client/v3/account/whoami").await;
        assert_eq!(whoami.refusal(), (401, "M_UNKNOWN_TOKEN"), "it logged out before");
        let http = http.with_token(guest_token);
        let whoami = http.get("/_matrix/client/v3/account/whoami").await.ok();
        assert_eq!((&whoami["user_id"], &whoami["is_guest"]), (&json!(guest_id), &json!(true)));
        assert!(!accounts(&server).await.contains("@guest-"));

        let path = format!("/_matrix/client/v3/join/{}", segment(&open));
        http.post(&path, &json!({})).await.ok();
        assert!(accounts(&server).await.contains(guest_id));
        let message = json!({ "msgtype": "m.text", "body": "here" });
        let path = format!("/_matrix/client/v3/rooms/{}/send/m.room.message/1", segment(&open));
        http.put(&path, &message).await.ok();
        let since = before["next_batch"].as_str().unwrap();
        let path = format!("/_matrix/client/v3/sync?since={since}");
        assert_eq!(heard(&http.get(&path).await.ok(), &open), ["here"]);

        let server = server.restart().await;
        let http = HttpClient::to(server.address()).with_token(guest_token);
        assert_eq!(http.get("/_matrix/client/v3/account/whoami").await.status, 200);
    }
}

#[tokio::test]
async fn a_parked_sync_wakes_when_somebody_speaks() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(&json!({ "preset": "public_chat" })).await;
    bob.join(&room).await.ok();
    let since = bob.sync("").await["next_batch"].as_str().unwrap().to_owned();
    let parked = bob.sync_for(&since, 30_000);
    let speak = async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        alice.say(&room, "wake up").await;
    };
    let started = tokio::time::Instant::now();
    let (woken, ()) = tokio::join!(parked, speak);
    assert_eq!(heard(&woken, &room), ["wake up"]);
    assert!(started.elapsed() < std::time::Duration::from_secs(10));
}
