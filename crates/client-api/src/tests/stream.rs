//! The event stream as it was before `/sync`.

use super::{
    rooms::{each, encoded},
    *,
};

const V3: &str = "/_matrix/client/v3";

#[tokio::test]
async fn everything_comes_first_and_then_what_is_new_with_its_room() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({ "visibility": "public" })).await;
    let said = server.says(&alice, &room, Value::Null).await;
    let (status, first) = server.get(&format!("{V3}/initialSync?limit=1"), &alice).await;
    assert_eq!(status, 200);
    let shown = &first["rooms"][0];
    assert_eq!((&shown["room_id"], &shown["membership"]), (&json!(room), &json!("join")));
    assert_eq!(shown["visibility"], "public");
    assert_eq!(shown["messages"]["chunk"][0]["event_id"], said);
    assert_eq!(shown["messages"]["chunk"].as_array().map(Vec::len), Some(1));
    assert!(shown["state"].as_array().unwrap().iter().any(|it| it["type"] == "m.room.create"));
    assert!(first["account_data"].is_array() && first["presence"].is_array());

    let new = server.says(&alice, &room, Value::Null).await;
    let path = format!("{V3}/events?timeout=1000&from={}", first["end"].as_str().unwrap());
    let (_, heard) = server.get(&path, &alice).await;
    let event = &heard["chunk"][0];
    assert_eq!((&event["event_id"], &event["room_id"]), (&json!(new), &json!(room)));
    let path = format!("{V3}/events?timeout=0&from={}", heard["end"].as_str().unwrap());
    assert_eq!(server.get(&path, &alice).await.1["chunk"], json!([]));
    let refused = server.get(&format!("{V3}/events?from=banana"), &alice).await;
    assert_eq!(error(refused), code(400, "M_INVALID_PARAM"));
    let refused = server.get(&format!("{V3}/initialSync?limit=many"), &alice).await;
    assert_eq!(error(refused), code(400, "M_INVALID_PARAM"));
}

#[tokio::test]
async fn who_listens_does_not_lose_messages_to_the_device() {
    let server = server();
    let alice = server.person("alice").await;
    let (_, first) = server.get(&format!("{V3}/events?timeout=0"), &alice).await;
    let messages = json!({ "messages": { &alice.user_id: { "*": { "hello": 1 } } } });
    assert_eq!(
        server.put(&format!("{V3}/sendToDevice/org.example/1"), &alice, messages).await.0,
        200
    );
    let mut end = first["end"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        let (_, heard) = server.get(&format!("{V3}/events?timeout=0&from={end}"), &alice).await;
        end = heard["end"].as_str().unwrap().to_owned();
    }
    let (_, sync) = server.get(&format!("{V3}/sync"), &alice).await;
    assert_eq!(sync["to_device"]["events"][0]["content"], json!({ "hello": 1 }));
}

#[tokio::test]
async fn a_room_that_anybody_may_read_is_listened_to_from_outside_and_no_other() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let open = json!([{ "type": "m.room.history_visibility", "content": { "history_visibility": "world_readable" } }]);
    let room = server.public_room(&alice, json!({ "initial_state": open })).await;
    let closed = server.public_room(&alice, json!({})).await;
    let path = |room: &str, from: &str| {
        format!("{V3}/events?timeout=1000&room_id={}&from={from}", encoded(room))
    };
    let (status, now) =
        server.get(&format!("{V3}/events?timeout=0&room_id={}", encoded(&room)), &bob).await;
    assert_eq!((status, &now["chunk"]), (200, &json!([])));
    let said = server.says(&alice, &room, Value::Null).await;
    let (_, heard) = server.get(&path(&room, now["end"].as_str().unwrap()), &bob).await;
    assert_eq!(heard["chunk"][0]["event_id"], said);
    assert_eq!(heard["chunk"][0]["room_id"], room);
    let from = heard["end"].as_str().unwrap();
    let again = format!("{V3}/events?timeout=0&room_id={}&from={from}", encoded(&room));
    assert_eq!(server.get(&again, &bob).await.1["chunk"], json!([]), "once");

    server.says(&alice, &closed, Value::Null).await;
    let refused = server.get(&path(&closed, ""), &bob).await;
    assert_eq!(error(refused), code(403, "M_FORBIDDEN"));
    let guest = server.guest().await;
    assert_eq!(server.get(&path(&room, ""), &guest).await.0, 403, "out of the guest's scope");
}

#[tokio::test]
async fn an_event_is_found_without_its_room_by_those_who_may_see_it() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    let said = server.says(&alice, &room, Value::Null).await;
    let path = format!("{V3}/events/{}", encoded(&said));
    let (status, event) = server.get(&path, &alice).await;
    assert_eq!((status, &event["room_id"]), (200, &json!(room)));
    assert_eq!(error(server.get(&path, &bob).await), code(404, "M_NOT_FOUND"));
    let nothing = server.get(&format!("{V3}/events/%24nothing"), &alice).await;
    assert_eq!(error(nothing), code(404, "M_NOT_FOUND"));
}

#[tokio::test]
async fn a_room_to_begin_with_holds_as_much_as_is_wanted_and_who_is_there_and_read_it() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let carol = server.person("carol").await;
    let open = json!([{ "type": "m.room.history_visibility", "content": { "history_visibility": "world_readable" } }]);
    let room = server.public_room(&alice, json!({ "initial_state": open })).await;
    server.joins(&bob, &room).await;
    let said = server.says(&alice, &room, Value::Null).await;
    let read = format!("{V3}/rooms/{room}/receipt/m.read/{}", encoded(&said));
    assert_eq!(server.post(&read, &bob, json!({})).await.0, 200);
    for who in [&bob, &carol] {
        let status = format!("{V3}/presence/{}/status", who.user_id);
        assert_eq!(server.put(&status, who, json!({ "presence": "online" })).await.0, 200);
    }
    for version in ["r0", "v3"] {
        let path = format!("/_matrix/client/{version}/rooms/{room}/initialSync?limit=2");
        let shown = server.fetch(&alice, &path).await;
        assert_eq!(shown["messages"]["chunk"].as_array().unwrap().len(), 2);
        assert_eq!(shown["messages"]["chunk"][1]["event_id"], said);
        let receipt = &shown["receipts"][0];
        assert_eq!((&receipt["type"], &receipt["room_id"]), (&json!("m.receipt"), &json!(room)));
        assert!(receipt["content"][&said]["m.read"][&bob.user_id].is_object(), "{receipt}");
        let mut there = each(&shown["presence"], "sender");
        there.sort_unstable();
        assert!(there.contains(&&*bob.user_id) && !there.contains(&&*carol.user_id), "{shown}");
    }
    let outside = server.fetch(&carol, &format!("{V3}/rooms/{room}/initialSync?limit=0")).await;
    assert_eq!(outside["messages"]["chunk"], json!([]));
    assert_eq!((&outside["presence"], &outside["receipts"]), (&json!([]), &json!([])));
}
