//! What the server says to its users: a room of their own each, an invitation nobody rejects, and notices that stay
//! pinned.

use serde_json::{Value, json};
use vestibule_testkit::server::{Blueprint, Person, TestServer, segment, texts};

const SYSTEM: &str = "@vestibule:localhost";

async fn tell(server: &TestServer, user: &str, notice: &Value) -> Value {
    server.operator("POST", &format!("/users/{user}/notices"), notice).await.ok()
}

/// The only invitation a user has.
async fn invited_to(person: &Person) -> Option<String> {
    let sync = person.sync("").await;
    let rooms = sync["rooms"]["invite"].as_object()?;
    assert!(rooms.len() <= 1, "{rooms:?}");
    rooms.keys().next().cloned()
}

/// Waits until the person has a room with a text in it; joins the one they are invited to.
async fn hears(person: &Person, room_id: &str, text: &str) {
    loop {
        let sync = person.sync("").await;
        let room = &sync["rooms"]["join"][room_id];
        if texts(&room["timeline"]["events"]).iter().any(|it| it == text) {
            return;
        }
        person.sync_for(sync["next_batch"].as_str().unwrap(), 5_000).await;
    }
}

#[tokio::test]
async fn a_notice_comes_in_a_room_of_its_own_that_is_marked_and_cannot_be_declined() {
    for slots in [1, 3] {
        let server = Blueprint::default().slots(slots).start().await;
        let alice = server.register("alice").await;
        let sent = tell(&server, "alice", &json!({ "body": "Maintenance on Sunday" })).await;
        let room = invited_to(&alice).await.unwrap();
        assert_eq!(sent["room_id"], room.as_str());

        assert_eq!(alice.leave(&room).await.refusal(), (403, "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM"));
        let left = json!({ "membership": "leave" });
        let as_state = alice.set_state(&room, "m.room.member", &alice.user_id, &left).await;
        assert_eq!(as_state.refusal(), (403, "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM"));

        alice.join(&room).await.ok();
        let sync = alice.sync("").await;
        let joined = &sync["rooms"]["join"][&room];
        assert_eq!(texts(&joined["timeline"]["events"]), ["Maintenance on Sunday"]);
        let events = joined["timeline"]["events"].as_array().unwrap();
        let notice = events.iter().find(|it| it["content"]["msgtype"] == "m.server_notice");
        assert_eq!(notice.unwrap()["sender"], SYSTEM);
        let marks = joined["account_data"]["events"].as_array().unwrap();
        let mark = marks.iter().find(|it| it["type"] == "m.tag").unwrap();
        assert!(mark["content"]["tags"]["m.server_notice"].is_object(), "{mark}");
        let create = alice.state(&room, "m.room.create", "").await.ok();
        assert_eq!(create["m.federate"], false);
        assert_eq!(alice.try_say(&room, "thanks").await.refusal(), (403, "M_FORBIDDEN"));
        let bob = server.register("bob").await;
        assert_eq!(alice.invite(&room, &bob.user_id).await.refusal(), (403, "M_FORBIDDEN"));
    }
}

#[tokio::test]
async fn who_left_the_room_of_notices_is_invited_to_the_same_one_again() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let first = tell(&server, "alice", &json!({ "body": "one" })).await;
    let room = first["room_id"].as_str().unwrap();
    alice.join(room).await.ok();
    alice.leave(room).await.ok();
    assert_eq!(invited_to(&alice).await, None);
    let second = tell(&server, "@alice:localhost", &json!({ "body": "two" })).await;
    assert_eq!(second["room_id"], room);
    assert_eq!(invited_to(&alice).await.as_deref(), Some(room));
    assert_eq!(alice.leave(room).await.refusal(), (403, "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM"));
}

#[tokio::test]
async fn notices_sent_at_once_find_one_room() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let notice = json!({ "body": "hello" });
    let (one, two) = tokio::join!(tell(&server, "alice", &notice), tell(&server, "alice", &notice));
    assert_eq!(one["room_id"], two["room_id"]);
    assert_ne!(one["event_id"], two["event_id"]);
    assert_eq!(invited_to(&alice).await.as_deref(), one["room_id"].as_str());
}

#[tokio::test]
async fn a_limit_stays_pinned_until_it_is_taken_down() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let limit = json!({
        "limit_type": "monthly_active_user",
        "admin_contact": "mailto:admin@localhost",
    });
    let notice = json!({ "body": "We are full", "usage_limit": limit });
    let sent = tell(&server, "alice", &notice).await;
    let room = sent["room_id"].as_str().unwrap();
    alice.join(room).await.ok();
    let pinned = alice.state(room, "m.room.pinned_events", "").await.ok();
    assert_eq!(pinned, json!({ "pinned": [sent["event_id"]] }));
    let path = format!("event/{}", segment(sent["event_id"].as_str().unwrap()));
    let event = alice.of_room(room, &path).await.ok();
    assert_eq!(event["content"]["server_notice_type"], "m.server_notice.usage_limit_reached");
    assert_eq!(event["content"]["admin_contact"], "mailto:admin@localhost");

    tell(&server, "alice", &json!({ "body": "a plain one" })).await;
    assert_eq!(alice.state(room, "m.room.pinned_events", "").await.ok(), pinned);
    let down = server.operator("DELETE", "/users/alice/notices/pinned", &json!(null)).await.ok();
    assert_eq!(down["notices"], 1);
    let pinned = alice.state(room, "m.room.pinned_events", "").await.ok();
    assert_eq!(pinned, json!({ "pinned": [] }));
    let again = server.operator("DELETE", "/users/alice/notices/pinned", &json!(null)).await.ok();
    assert_eq!(again["notices"], 0);
}

#[tokio::test]
async fn a_notice_to_all_reaches_every_account_once_and_no_guest() {
    let server = Blueprint::default().with_guests().slots(3).start().await;
    let people = [server.register("alice").await, server.register("bob").await];
    let guest = server.guest_with_account().await;
    server.operator("POST", "/notices", &json!({ "body": "to everybody" })).await.ok();
    for person in &people {
        let room = loop {
            let sync = person.sync("").await;
            if let Some(room) = sync["rooms"]["invite"].as_object().and_then(|it| it.keys().next())
            {
                break room.clone();
            }
            person.sync_for(sync["next_batch"].as_str().unwrap(), 5_000).await;
        };
        person.join(&room).await.ok();
        hears(person, &room, "to everybody").await;
        // The next one comes after everything of the one before.
        let next = tell(&server, &segment(&person.user_id), &json!({ "body": "and then" })).await;
        assert_eq!(next["room_id"], room.as_str());
        hears(person, &room, "and then").await;
        let told = texts(&person.sync("").await["rooms"]["join"][&room]["timeline"]["events"]);
        assert_eq!(told, ["to everybody", "and then"]);
    }
    assert_eq!(invited_to(&guest).await, None);
    let path = format!("/users/{}/notices", segment(&guest.user_id));
    let to_guest = server.operator("POST", &path, &json!({ "body": "psst" })).await;
    assert_eq!(to_guest.refusal(), (403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn refuses_notices_without_words_or_without_somebody_to_read_them() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let send = |path: &'static str, body: Value| {
        let server = &server;
        async move { server.operator("POST", path, &body).await }
    };
    let words = json!({ "body": "hello" });
    let nobody = send("/users/nobody/notices", words.clone()).await;
    assert_eq!(nobody.refusal(), (404, "M_NOT_FOUND"));
    let elsewhere = send("/users/@a:b.example/notices", words.clone()).await;
    assert_eq!(elsewhere.refusal(), (400, "M_INVALID_PARAM"));
    let silent = send("/users/alice/notices", json!({ "body": " " })).await;
    assert_eq!(silent.refusal(), (400, "M_INVALID_PARAM"));
    let long = send("/notices", json!({ "body": "x".repeat(20_000) })).await;
    assert_eq!(long.refusal(), (413, "M_TOO_LARGE"));
    let not_admin = alice.http().post("/_vestibule/admin/v1/notices", &words).await;
    assert_eq!(not_admin.refusal(), (403, "M_FORBIDDEN"));
    assert_eq!(invited_to(&alice).await, None);

    let block = json!({ "default_action": "block" });
    let path = format!(
        "/_matrix/client/v3/user/{}/account_data/m.invite_permission_config",
        segment(&alice.user_id)
    );
    alice.http().put(&path, &block).await.ok();
    let unwanted = send("/users/alice/notices", words).await;
    assert_eq!(unwanted.refusal(), (403, "M_INVITE_BLOCKED"));
}

#[tokio::test]
async fn refuses_a_notice_to_an_account_that_is_gone() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let sent = tell(&server, "alice", &json!({ "body": "hello" })).await;
    assert!(sent["room_id"].is_string());
    let body = json!({
        "auth": {
            "type": "m.login.password",
            "identifier": { "type": "m.id.user", "user": "alice" },
            "password": vestibule_testkit::server::PASSWORD,
        },
    });
    alice.http().post("/_matrix/client/v3/account/deactivate", &body).await.ok();
    let gone = server.operator("POST", "/users/alice/notices", &json!({ "body": "?" })).await;
    assert_eq!(gone.refusal(), (404, "M_NOT_FOUND"));
}
