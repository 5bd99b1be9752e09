//! Finding one's way in a room: by time, and by a snapshot.

use super::{rooms::each, *};

#[tokio::test]
async fn the_event_nearest_to_a_moment_is_found_in_either_direction() {
    let server = server();
    let (alice, carol) = (server.person("alice").await, server.person("carol").await);
    let room = server.public_room(&alice, json!({})).await;
    server.time.clock.advance(Duration::from_secs(100));
    let first_at = server.time.environment.now_ms();
    let first = server.says(&alice, &room, Value::Null).await;
    server.time.clock.advance(Duration::from_secs(100));
    let second_at = server.time.environment.now_ms();
    let second = server.says(&alice, &room, Value::Null).await;

    let at = |ts: u64, way: &str| {
        format!("/_matrix/client/v1/rooms/{room}/timestamp_to_event?ts={ts}&dir={way}")
    };
    for (ts, way, event, event_at) in [
        (first_at, "f", &first, first_at),
        (first_at, "b", &first, first_at),
        (first_at + 1, "f", &second, second_at),
        (second_at - 1, "b", &first, first_at),
        (second_at + 9_999, "b", &second, second_at),
    ] {
        let found = server.fetch(&alice, &at(ts, way)).await;
        assert_eq!(found, json!({ "event_id": event, "origin_server_ts": event_at }), "{ts}{way}");
    }
    let later = server.get(&at(second_at + 1, "f"), &alice).await;
    assert_eq!(error(later), code(404, "M_NOT_FOUND"));
    assert_eq!(error(server.get(&at(first_at, "f"), &carol).await), code(403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn a_snapshot_shows_the_room_and_what_was_said_last() {
    let server = server();
    let (alice, carol) = (server.person("alice").await, server.person("carol").await);
    let room = server.public_room(&alice, json!({ "visibility": "public" })).await;
    let mut said = Vec::new();
    for _ in 0..25 {
        said.push(server.says(&alice, &room, Value::Null).await);
    }
    let path = format!("/_matrix/client/v3/rooms/{room}/initialSync");
    let snapshot = server.fetch(&alice, &path).await;
    assert_eq!(each(&snapshot["messages"]["chunk"], "event_id"), &said[5..]);
    assert_eq!(snapshot["membership"], json!("join"));
    assert_eq!(snapshot["visibility"], json!("public"));
    assert!(each(&snapshot["state"], "type").contains(&"m.room.create"));

    let start = snapshot["messages"]["start"].as_str().unwrap();
    let earlier = format!("/_matrix/client/v3/rooms/{room}/messages?dir=b&limit=1&from={start}");
    let earlier = server.fetch(&alice, &earlier).await;
    assert_eq!(each(&earlier["chunk"], "event_id"), &said[4..5]);

    assert_eq!(error(server.get(&path, &carol).await), code(403, "M_FORBIDDEN"));
    let visibility = json!({ "history_visibility": "world_readable" });
    server.sets(&alice, &room, ("m.room.history_visibility", visibility)).await;
    let peek = server.fetch(&carol, &path).await;
    assert!(peek.get("membership").is_none(), "{peek}");
}
