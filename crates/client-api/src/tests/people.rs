//! Reports, and the user directory.

use vestibule_rooms::Reported;

use super::{
    rooms::{each, encoded},
    *,
};

async fn reports(server: &Server, who: &Person, path: &str, body: Value) -> (u16, String) {
    let path = encoded(&format!("/_matrix/client/v3/{path}"));
    error(server.post(&path, who, body).await)
}

#[tokio::test]
async fn reports_are_kept_for_the_operators() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    server.joins(&bob, &room).await;
    let event = server.says(&alice, &room, Value::Null).await;
    let fine = (200, String::new());
    let why = json!({ "reason": "rude" });
    let path = format!("rooms/{room}/report/{event}");
    assert_eq!(reports(&server, &bob, &path, why.clone()).await, fine);
    assert_eq!(reports(&server, &bob, &format!("rooms/{room}/report"), why.clone()).await, fine);
    let path = format!("users/{}/report", alice.user_id);
    assert_eq!(reports(&server, &bob, &path, why).await, fine);

    let kept = server.api.rooms.reports(10).await.unwrap();
    let about: Vec<_> = kept.iter().map(|report| report.about.clone()).collect();
    let room = ruma::OwnedRoomId::try_from(room).unwrap();
    let event = ruma::OwnedEventId::try_from(event).unwrap();
    let user = ruma::OwnedUserId::try_from(alice.user_id).unwrap();
    for expected in
        [Reported::Room(room.clone()), Reported::Event(room, event), Reported::User(user)]
    {
        assert!(about.contains(&expected), "{expected:?} {about:?}");
    }
    assert_eq!(about.len(), 3);
    assert!(kept.iter().all(|report| report.reporter == bob.user_id && report.reason == "rude"));
}

#[tokio::test]
async fn a_report_does_not_tell_what_exists() {
    let server = server();
    let (alice, carol) = (server.person("alice").await, server.person("carol").await);
    let room = server.public_room(&alice, json!({})).await;
    let event = server.says(&alice, &room, Value::Null).await;
    let why = json!({ "reason": "" });
    for unknown in ["rooms/!nowhere:a.example/report", "users/@nobody:a.example/report"] {
        assert_eq!(reports(&server, &carol, unknown, why.clone()).await.0, 200, "{unknown}");
    }
    for path in [format!("rooms/{room}/report/{event}"), format!("rooms/{room}/report/$nothing")] {
        let answer = reports(&server, &carol, &path, why.clone()).await;
        assert_eq!(answer, code(404, "M_NOT_FOUND"), "{path}");
    }
    assert!(server.api.rooms.reports(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_directory_finds_people_one_could_know_and_no_guests() {
    let server = server();
    let (ada, adam) = (server.person("ada").await, server.person("adam").await);
    let (adele, bob) = (server.person("adele").await, server.person("bob").await);
    server.guest().await;
    let closed = json!({ "preset": "private_chat", "invite": [bob.user_id] });
    let shared = server.public_room(&ada, closed).await;
    server.joins(&bob, &shared).await;
    server.public_room(&adam, json!({})).await;
    server.public_room(&adele, json!({ "preset": "private_chat" })).await;

    let search = async |who: &Person, body: Value| {
        let (status, body) =
            server.post("/_matrix/client/v3/user_directory/search", who, body).await;
        assert_eq!(status, 200, "{body}");
        body
    };
    let found = search(&bob, json!({ "search_term": "ADA" })).await;
    assert_eq!(each(&found["results"], "user_id"), [&ada.user_id, &adam.user_id]);
    assert_eq!(found["limited"], json!(false));
    let found = search(&bob, json!({ "search_term": "ad", "limit": 1 })).await;
    assert_eq!(each(&found["results"], "user_id").len(), 1);
    assert_eq!(found["limited"], json!(true));
    // Adam shares no room with Ada, and hers is closed.
    let found = search(&adam, json!({ "search_term": "ada" })).await;
    assert_eq!(found["results"], json!([]));
    assert_eq!(search(&bob, json!({ "search_term": "guest" })).await["results"], json!([]));

    let guest = server.guest().await;
    let body = json!({ "search_term": "ada" });
    let answer = server.post("/_matrix/client/v3/user_directory/search", &guest, body).await;
    assert_eq!(error(answer), code(403, "M_GUEST_ACCESS_FORBIDDEN"));
}
