//! What is new, and what passes: typing, receipts, read markers.

use super::{rooms::encoded, *};

const SYNC: &str = "/_matrix/client/v3/sync";

#[tokio::test]
async fn a_sync_tells_what_is_new_and_refuses_foreign_tokens() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    let (status, first) = server.get(SYNC, &alice).await;
    assert_eq!(status, 200);
    assert!(first["rooms"]["join"][&room]["timeline"]["events"].is_array());
    server.says(&alice, &room, Value::Null).await;
    let since = first["next_batch"].as_str().unwrap();
    let (_, next) = server.get(&format!("{SYNC}?since={since}&timeout=30000"), &alice).await;
    let events = &next["rooms"]["join"][&room]["timeline"]["events"];
    assert_eq!(events[0]["content"]["body"], "tea?");
    assert!(events[0]["unsigned"]["transaction_id"].is_string());

    for (query, errcode) in [
        ("since=banana", "M_INVALID_PARAM"),
        ("timeout=soon", "M_INVALID_PARAM"),
        ("filter=nobody", "M_INVALID_PARAM"),
        ("filter=%7B%22room%22:1%7D", "M_BAD_JSON"),
    ] {
        let refused = server.get(&format!("{SYNC}?{query}"), &alice).await;
        assert_eq!(error(refused), code(400, errcode), "{query}");
    }
}

#[tokio::test]
async fn receipts_and_markers_are_taken_at_events_of_rooms_one_is_in() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    let event = server.says(&alice, &room, Value::Null).await;
    let rooms = format!("/_matrix/client/v3/rooms/{room}");
    let receipt = |kind: &str, event: &str| format!("{rooms}/receipt/{kind}/{}", encoded(event));

    for kind in ["m.read", "m.read.private", "m.fully_read"] {
        let (status, body) = server.post(&receipt(kind, &event), &alice, json!({})).await;
        assert_eq!((status, body), (200, json!({})), "{kind}");
        let outside = server.post(&receipt(kind, &event), &bob, json!({})).await;
        assert_eq!(error(outside), code(403, "M_FORBIDDEN"), "{kind}");
        let unknown = server.post(&receipt(kind, "$nothing"), &alice, json!({})).await;
        assert_eq!(error(unknown), code(404, "M_NOT_FOUND"), "{kind}");
    }
    for (kind, thread) in
        [("m.read", json!("")), ("m.read", json!(null)), ("m.fully_read", json!("main"))]
    {
        let body = json!({ "thread_id": thread });
        let refused = server.post(&receipt(kind, &event), &alice, body).await;
        assert_eq!(error(refused), code(400, "M_INVALID_PARAM"), "{kind} {thread}");
    }
    let refused = server.post(&receipt("m.seen", &event), &alice, json!({})).await;
    assert_eq!(error(refused), code(400, "M_INVALID_PARAM"));

    let last = server.says(&alice, &room, Value::Null).await;
    let markers = json!({ "m.fully_read": last, "m.read": last, "m.read.private": last });
    let moved = server.post(&format!("{rooms}/read_markers"), &alice, markers).await;
    assert_eq!(moved, (200, json!({})));
    let back = json!({ "m.fully_read": event });
    let kept = server.post(&format!("{rooms}/read_markers"), &alice, back).await;
    assert_eq!(kept, (200, json!({})), "it stays where it is");
    let old_name = format!("{SYNC}?org.matrix.msc4222.use_state_after=true");
    let (_, sync) = server.get(&old_name, &alice).await;
    let shown = &sync["rooms"]["join"][&room];
    assert!(shown["org.matrix.msc4222.state_after"]["events"].is_array(), "{shown}");
    assert!(shown.get("state").or(shown.get("state_after")).is_none(), "{shown}");
    let (_, sync) = server.get(SYNC, &alice).await;
    let shown = &sync["rooms"]["join"][&room];
    let marker = &shown["account_data"]["events"][0];
    assert_eq!(
        (&marker["type"], &marker["content"]["event_id"]),
        (&json!("m.fully_read"), &json!(last))
    );
    let receipts = &shown["ephemeral"]["events"][0]["content"][&last];
    for kind in ["m.read", "m.read.private"] {
        assert!(receipts[kind][&alice.user_id].is_object(), "{kind}");
    }
}

#[tokio::test]
async fn one_types_for_oneself_in_rooms_one_is_in() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    let path = |who: &Person| format!("/_matrix/client/v3/rooms/{room}/typing/{}", who.user_id);
    let typing = json!({ "typing": true, "timeout": 5_000 });
    assert_eq!(server.put(&path(&alice), &alice, typing.clone()).await, (200, json!({})));
    let outside = server.put(&path(&bob), &bob, typing.clone()).await;
    assert_eq!(error(outside), code(403, "M_FORBIDDEN"));
    let for_another = server.put(&path(&bob), &alice, typing).await;
    assert_eq!(error(for_another), code(403, "M_FORBIDDEN"));
    let refused = server.put(&path(&alice), &alice, json!({ "typing": "yes" })).await;
    assert_eq!(error(refused), code(400, "M_BAD_JSON"));

    let (_, sync) = server.get(SYNC, &alice).await;
    let event = &sync["rooms"]["join"][&room]["ephemeral"]["events"][0];
    assert_eq!(event["content"]["user_ids"], json!([alice.user_id]));
    assert_eq!(server.put(&path(&alice), &alice, json!({ "typing": false })).await.0, 200);
    let (_, sync) = server.get(SYNC, &alice).await;
    assert_eq!(sync["rooms"]["join"][&room]["ephemeral"]["events"], json!([]));
}
