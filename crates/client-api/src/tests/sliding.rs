//! Sliding sync as clients use it: the requests are those of the matrix-rust-sdk.

use super::*;

const PATH: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

/// What the room list of the sdk asks for.
fn room_list(to: u64) -> Value {
    json!({
        "conn_id": "room-list",
        "txn_id": "a0b1",
        "lists": { "all_rooms": {
            "ranges": [[0, to]],
            "required_state": [
                ["m.room.name", ""], ["m.room.encryption", ""], ["m.room.member", "$LAZY"],
                ["m.room.member", "$ME"], ["m.room.topic", ""], ["m.room.avatar", ""],
                ["m.room.canonical_alias", ""], ["m.room.power_levels", ""],
                ["org.matrix.msc3401.call.member", "*"], ["m.room.join_rules", ""],
                ["m.room.tombstone", ""], ["m.room.create", ""],
                ["m.room.history_visibility", ""], ["io.element.functional_members", ""],
                ["m.space.parent", "*"], ["m.space.child", "*"],
                ["org.matrix.msc3672.beacon_info", "*"],
            ],
            "timeline_limit": 1,
            "filters": {},
        } },
        "extensions": {
            "account_data": { "enabled": true },
            "receipts": { "enabled": true, "rooms": ["*"] },
            "typing": { "enabled": true },
        },
    })
}

impl Server {
    async fn slides(&self, query: &str, who: &Person, body: Value) -> Value {
        let (status, answer) = self.post(&format!("{PATH}?{query}"), who, body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

/// How many rooms are in an answer.
fn rooms(answer: &Value) -> usize {
    answer["rooms"].as_object().unwrap().len()
}

fn pos(answer: &Value) -> String {
    format!("pos={}", answer["pos"].as_str().unwrap())
}

#[tokio::test]
async fn a_room_list_grows_opens_a_room_and_goes_on() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let mut ids = Vec::new();
    for name in ["tea", "coffee", "water"] {
        ids.push(server.public_room(&alice, json!({ "name": name })).await);
    }
    for _ in 0..3 {
        server.says(&alice, &ids[0], Value::Null).await;
    }
    let first = server.slides("timeout=0", &alice, room_list(1)).await;
    assert_eq!(first["txn_id"], "a0b1");
    assert_eq!(first["lists"]["all_rooms"]["count"], 3);
    assert_eq!(rooms(&first), 2);
    let tea = &first["rooms"][&ids[0]];
    assert_eq!((&tea["name"], &tea["initial"]), (&json!("tea"), &json!(true)));
    assert_eq!(tea["timeline"].as_array().map(Vec::len), Some(1));
    assert_eq!(tea["limited"], true);
    assert!(tea["bump_stamp"].is_u64() && tea["prev_batch"].is_string());
    let member = |event: &Value| event["type"] == "m.room.member";
    let state = first["rooms"][&ids[0]]["required_state"].as_array().unwrap();
    assert_eq!(state.iter().filter(|event| member(event)).count(), 1);

    let more = server.slides(&format!("{}&timeout=0", pos(&first)), &alice, room_list(99)).await;
    assert_eq!(rooms(&more), 1, "each room is sent once");
    let mut body = room_list(99);
    body["room_subscriptions"] = json!({ &ids[0]: { "timeline_limit": 20,
        "required_state": body["lists"]["all_rooms"]["required_state"] } });
    let opened =
        server.slides(&format!("{}&timeout=30000", pos(&more)), &alice, body.clone()).await;
    let tea = &opened["rooms"][&ids[0]];
    assert_eq!(tea["unstable_expanded_timeline"], true);
    assert!(tea["timeline"].as_array().unwrap().len() > 3);
    let path = format!(
        "/_matrix/client/v3/rooms/{}/messages?dir=b&from={}",
        ids[0],
        tea["prev_batch"].as_str().unwrap()
    );
    assert_eq!(server.get(&path, &alice).await.0, 200, "one can page back from there");

    let joined = server.post(&format!("/_matrix/client/v3/join/{}", ids[1]), &bob, json!({})).await;
    assert_eq!(joined.0, 200);
    let news = server.slides(&format!("{}&timeout=30000", pos(&opened)), &alice, body).await;
    assert_eq!(rooms(&news), 1);
    let coffee = &news["rooms"][&ids[1]];
    assert_eq!((&coffee["joined_count"], &coffee["num_live"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn a_message_behind_the_limit_still_moves_its_room_up() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    server.joins(&bob, &room).await;
    let body = || json!({ "lists": { "all": { "ranges": [[0, 9]], "timeline_limit": 1 } } });
    let first = server.slides("", &bob, body()).await;
    let bump = |answer: &Value| answer["rooms"][&room]["bump_stamp"].as_u64();
    server.says(&alice, &room, Value::Null).await;
    let topic = format!("/_matrix/client/v3/rooms/{room}/state/m.room.topic");
    assert_eq!(server.put(&topic, &alice, json!({ "topic": "tea" })).await.0, 200);
    let news = server.slides(&pos(&first), &bob, body()).await;
    assert_eq!(news["rooms"][&room]["limited"], true);
    assert!(bump(&news) > bump(&first), "{news}");
    assert_eq!(server.put(&topic, &alice, json!({ "topic": "cake" })).await.0, 200);
    let quiet = server.slides(&pos(&news), &bob, body()).await;
    assert_eq!(bump(&quiet), None, "a topic moves nothing");
}

#[tokio::test]
async fn keys_and_messages_to_a_device_come_over_a_connection_of_their_own() {
    let server = server();
    let alice = server.person("alice").await;
    let body = |since: Option<&str>| {
        json!({ "conn_id": "encryption", "extensions": {
        "e2ee": { "enabled": true }, "to_device": { "enabled": true, "since": since },
    } })
    };
    let first = server.slides("", &alice, body(None)).await;
    let read = &first["extensions"];
    assert_eq!(read["e2ee"]["device_unused_fallback_key_types"], json!([]));
    let since = read["to_device"]["next_batch"].as_str().unwrap();
    let messages = json!({ "messages": { &alice.user_id: { "*": { "hello": 1 } } } });
    let send = "/_matrix/client/v3/sendToDevice/org.example/1";
    assert_eq!(server.put(send, &alice, messages).await.0, 200);

    let news =
        server.slides(&format!("{}&timeout=30000", pos(&first)), &alice, body(Some(since))).await;
    let letters = &news["extensions"]["to_device"];
    assert_eq!(letters["events"][0]["content"], json!({ "hello": 1 }));
    let again = server.slides(&pos(&first), &alice, body(Some(since))).await;
    assert_eq!(again["extensions"]["to_device"], *letters, "until the client says that it has it");
    let has = letters["next_batch"].as_str().unwrap();
    let quiet = server.slides(&pos(&news), &alice, body(Some(has))).await;
    assert_eq!(quiet["extensions"]["to_device"]["events"], json!([]));
    let gone = server.slides(&pos(&quiet), &alice, body(None)).await;
    assert_eq!(gone["extensions"]["to_device"]["events"], json!([]), "it was forgotten");
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_right_code() {
    let server = server();
    let alice = server.person("alice").await;
    for (query, body, errcode) in [
        ("pos=1.s1_t1_d0_0", json!({}), "M_UNKNOWN_POS"),
        ("pos=banana", json!({}), "M_UNKNOWN_POS"),
        ("timeout=soon", json!({}), "M_INVALID_PARAM"),
        ("", json!({ "conn_id": "x".repeat(100) }), "M_INVALID_PARAM"),
        ("", json!({ "lists": { "a": { "ranges": [[3, 1]] } } }), "M_INVALID_PARAM"),
        ("", json!({ "lists": { "a": { "timeline_limit": -1 } } }), "M_BAD_JSON"),
        ("", json!({ "room_subscriptions": { "no room": {} } }), "M_BAD_JSON"),
        ("", json!({ "extensions": { "to_device": { "since": "x" } } }), "M_INVALID_PARAM"),
    ] {
        let refused = server.post(&format!("{PATH}?{query}"), &alice, body).await;
        assert_eq!(error(refused), code(400, errcode), "{query}");
    }
    let (_, versions) = server.get("/_matrix/client/versions", &alice).await;
    assert_eq!(versions["unstable_features"]["org.matrix.simplified_msc3575"], true);
}
