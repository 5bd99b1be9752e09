//! Account data, tags, push rules, filters.

use http::Method;
use serde_json::json;
use vestibule_types::limits;

use super::*;

fn user(who: &Person, rest: &str) -> String {
    format!("/_matrix/client/v3/user/{}/{rest}", who.user_id)
}

#[tokio::test]
async fn account_data_is_put_and_got_globally_and_by_room() {
    let server = server();
    let alice = server.person("alice").await;
    for path in ["account_data/org.x", "rooms/!r:a.example/account_data/org.x"] {
        let path = user(&alice, path);
        let answer = server.get(&path, &alice).await;
        assert_eq!(error(answer), code(404, "M_NOT_FOUND"));
        assert_eq!(server.put(&path, &alice, json!({ "path": path })).await.0, 200);
        assert_eq!(server.get(&path, &alice).await, (200, json!({ "path": path })));
    }
}

#[tokio::test]
async fn account_data_mistakes_have_their_codes() {
    let server = server();
    let alice = server.person("alice").await;
    let bob = server.person("bob").await;
    let table = [
        (user(&bob, "account_data/org.x"), "{}", 403, "M_FORBIDDEN"),
        (user(&alice, "account_data/org.x"), "[]", 400, "M_BAD_JSON"),
        (user(&alice, "account_data/org.x"), "{", 400, "M_NOT_JSON"),
        (user(&alice, "account_data/org.x"), "", 400, "M_NOT_JSON"),
        (user(&alice, "account_data/m.push_rules"), "{}", 405, "M_BAD_JSON"),
        (user(&alice, "rooms/!r:a.example/account_data/m.fully_read"), "{}", 405, "M_BAD_JSON"),
        (user(&alice, "rooms/nonsense/account_data/org.x"), "{}", 400, "M_INVALID_PARAM"),
    ];
    for (path, body, status, errcode) in table {
        let answer = server.send(Method::PUT, &path, Some(&alice.token), body).await;
        assert_eq!(error(answer), code(status, errcode), "{path}");
    }
    let answer = server.get(&user(&bob, "account_data/org.x"), &alice).await;
    assert_eq!(error(answer), code(403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn a_guest_finds_no_account_data_and_writes_none() {
    let server = server();
    let guest = server.guest().await;
    let path = user(&guest, "account_data/org.x");
    assert_eq!(error(server.get(&path, &guest).await), code(404, "M_NOT_FOUND"));
    let answer = server.put(&path, &guest, json!({})).await;
    assert_eq!(error(answer), code(403, "M_GUEST_ACCESS_FORBIDDEN"));
}

#[tokio::test]
async fn tags_are_put_listed_and_removed() {
    let server = server();
    let alice = server.person("alice").await;
    let tags = user(&alice, "rooms/!r:a.example/tags");
    let work = format!("{tags}/u.work");
    assert_eq!(server.get(&tags, &alice).await, (200, json!({ "tags": {} })));
    let info = json!({ "order": 0.5, "org.x": true });
    assert_eq!(server.put(&work, &alice, info.clone()).await.0, 200);
    assert_eq!(server.get(&tags, &alice).await, (200, json!({ "tags": { "u.work": info } })));
    assert_eq!(server.delete(&work, &alice, json!({})).await.0, 200);
    assert_eq!(server.get(&tags, &alice).await, (200, json!({ "tags": {} })));
}

#[tokio::test]
async fn a_filter_in_use_stays_and_one_that_is_not_makes_room() {
    let server = server();
    let alice = server.person("alice").await;
    let path = user(&alice, "filter");
    let store = async |limit: usize| {
        let filter = json!({ "room": { "timeline": { "limit": limit } } });
        let (status, body) = server.post(&path, &alice, filter).await;
        assert_eq!(status, 200, "{body}");
        body["filter_id"].as_str().unwrap().to_owned()
    };
    let used = store(1).await;
    server.time.clock.advance(Duration::from_millis(1));
    let unused = store(2).await;
    let sync = format!("/_matrix/client/v3/sync?filter={used}&timeout=0");
    let before = server.store.positions();
    for _ in 0..2 {
        server.fetch(&alice, &sync).await;
    }
    assert_eq!(server.store.positions(), before, "using it writes nothing each time");
    server.time.clock.advance(Duration::from_hours(25));
    for _ in 0..2 {
        server.fetch(&alice, &sync).await;
    }
    // One place is taken by the filter in use.
    for limit in 3..=limits::FILTERS_PER_USER_MAX + 1 {
        store(limit).await;
    }
    assert_eq!(server.get(&format!("{path}/{used}"), &alice).await.0, 200);
    assert_eq!(server.get(&format!("{path}/{unused}"), &alice).await.0, 404);
}

#[tokio::test]
async fn filters_are_stored_and_shown() {
    let server = server();
    let alice = server.person("alice").await;
    let path = user(&alice, "filter");
    let filter = json!({ "room": { "timeline": { "limit": 7 } }, "org.x": 1 });
    let (status, body) = server.post(&path, &alice, filter.clone()).await;
    assert_eq!(status, 200);
    let path = format!("{path}/{}", body["filter_id"].as_str().unwrap());
    assert_eq!(server.get(&path, &alice).await, (200, filter));
    let answer = server.get(&user(&alice, "filter/none"), &alice).await;
    assert_eq!(error(answer), code(404, "M_NOT_FOUND"));
    for bad in [json!({ "room": "nonsense" }), json!({ "event_format": "nonsense" })] {
        let answer = server.post(&user(&alice, "filter"), &alice, bad).await;
        assert_eq!(error(answer), code(400, "M_BAD_JSON"));
    }
    let guest = server.guest().await;
    assert_eq!(server.post(&user(&guest, "filter"), &guest, json!({})).await.0, 200);
}

const RULES: &str = "/_matrix/client/v3/pushrules";

#[tokio::test]
async fn push_rules_are_read_by_everybody_with_and_without_the_slash() {
    let server = server();
    for who in [server.person("alice").await, server.guest().await] {
        let (status, body) = server.get(&format!("{RULES}/"), &who).await;
        assert_eq!(status, 200);
        assert_eq!(body["global"]["override"][0]["rule_id"], ".m.rule.master");
        assert_eq!(server.get(RULES, &who).await.1, body);
        let (_, global) = server.get(&format!("{RULES}/global/"), &who).await;
        assert_eq!(global, body["global"]);
        for kind in ["override", "content", "room", "sender", "underride"] {
            assert!(global[kind].is_array(), "also where there are none: {global}");
        }
    }
}

#[tokio::test]
async fn push_rules_are_changed_one_by_one() {
    let server = server();
    let alice = server.person("alice").await;
    let rule = format!("{RULES}/global/content/tea");
    let body = json!({ "pattern": "tea", "actions": ["notify"] });
    assert_eq!(error(server.get(&rule, &alice).await), code(404, "M_NOT_FOUND"));
    assert_eq!(server.put(&rule, &alice, body).await.0, 200);
    let (_, shown) = server.get(&rule, &alice).await;
    let expected = json!({
        "rule_id": "tea", "pattern": "tea", "actions": ["notify"], "default": false,
        "enabled": true,
    });
    assert_eq!(shown, expected);
    let enabled = format!("{rule}/enabled");
    assert_eq!(server.put(&enabled, &alice, json!({ "enabled": false })).await.0, 200);
    assert_eq!(server.get(&enabled, &alice).await, (200, json!({ "enabled": false })));
    let actions = format!("{rule}/actions");
    for none in [json!("bogus"), json!({ "x": 1 })] {
        let body = json!({ "pattern": "tea", "actions": [none] });
        assert_eq!(server.put(&rule, &alice, body).await.0, 400, "{none}");
        assert_eq!(server.put(&actions, &alice, json!({ "actions": [none] })).await.0, 400);
    }
    let tweak = json!({ "actions": ["notify", { "set_tweak": "org.x", "value": 1 }] });
    assert_eq!(server.put(&actions, &alice, tweak).await.0, 200);
    assert_eq!(server.put(&actions, &alice, json!({ "actions": [] })).await.0, 200);
    assert_eq!(server.get(&actions, &alice).await, (200, json!({ "actions": [] })));
    assert_eq!(server.delete(&rule, &alice, json!({})).await.0, 200);
    assert_eq!(error(server.delete(&rule, &alice, json!({})).await), code(404, "M_NOT_FOUND"));

    let default = format!("{RULES}/global/override/.m.rule.master");
    let body = json!({ "conditions": [], "actions": [] });
    assert_eq!(server.put(&default, &alice, body).await.0, 400);
    let unknown = format!("{RULES}/global/content/milk?after=nothing");
    let body = json!({ "pattern": "milk", "actions": [] });
    assert_eq!(error(server.put(&unknown, &alice, body).await), code(400, "M_UNKNOWN"));

    let guest = server.guest().await;
    let answer = server.put(&enabled, &guest, json!({ "enabled": true })).await;
    assert_eq!(error(answer), code(403, "M_GUEST_ACCESS_FORBIDDEN"));
}

#[tokio::test]
async fn what_one_said_of_a_room_holds_for_its_successor() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let old = server.public_room(&alice, json!({})).await;
    server.joins(&bob, &old).await;
    let v3 = "/_matrix/client/v3";
    let of = |who: &Person, what: &str| format!("{v3}/user/{}/{what}", who.user_id);
    let rule =
        |kind: &str, room: &str| format!("{v3}/pushrules/global/{kind}/{}", rooms::encoded(room));
    for who in [&alice, &bob] {
        let tag = of(who, &format!("rooms/{old}/tags/m.favourite"));
        assert_eq!(server.put(&tag, who, json!({ "order": 0.25 })).await.0, 200);
        let direct = json!({ "@carol:a.example": ["!x:a.example", old], "@dan:a.example": ["!y:a.example"] });
        assert_eq!(server.put(&of(who, "account_data/m.direct"), who, direct).await.0, 200);
        let loud = json!({ "actions": ["notify"] });
        assert_eq!(server.put(&rule("room", &old), who, loud).await.0, 200);
        let mute = json!({
            "actions": [],
            "conditions": [{ "kind": "event_match", "key": "room_id", "pattern": old }],
        });
        assert_eq!(server.put(&rule("override", &old), who, mute).await.0, 200);
        let off = format!("{}/enabled", rule("override", &old));
        assert_eq!(server.put(&off, who, json!({ "enabled": false })).await.0, 200);
    }
    let upgrade = format!("{v3}/rooms/{old}/upgrade");
    let (status, body) = server.post(&upgrade, &alice, json!({ "new_version": "12" })).await;
    assert_eq!(status, 200, "{body}");
    let new = body["replacement_room"].as_str().unwrap();
    let tags = |who: &Person| of(who, &format!("rooms/{new}/tags"));
    assert_eq!(server.fetch(&bob, &tags(&bob)).await, json!({ "tags": {} }), "not before he comes");
    server.joins(&bob, new).await;
    for who in [&alice, &bob] {
        let tagged = server.fetch(who, &tags(who)).await;
        assert_eq!(tagged["tags"]["m.favourite"]["order"], 0.25);
        let direct = server.fetch(who, &of(who, "account_data/m.direct")).await;
        assert_eq!(direct["@carol:a.example"], json!(["!x:a.example", old, new]));
        assert_eq!(direct["@dan:a.example"], json!(["!y:a.example"]));
        let loud = server.fetch(who, &rule("room", new)).await;
        assert_eq!((&loud["actions"], &loud["enabled"]), (&json!(["notify"]), &json!(true)));
        let mute = server.fetch(who, &rule("override", new)).await;
        assert_eq!(mute["conditions"][0]["pattern"], *new);
        assert_eq!((&mute["actions"], &mute["enabled"]), (&json!([]), &json!(false)));
    }
    // What was taken away again does not come back.
    let tag = of(&bob, &format!("rooms/{new}/tags/m.favourite"));
    assert_eq!(server.delete(&tag, &bob, Value::Null).await.0, 200);
    server.joins(&bob, new).await;
    assert_eq!(server.fetch(&bob, &tags(&bob)).await, json!({ "tags": {} }));
}

#[tokio::test]
async fn a_room_that_calls_itself_a_successor_gets_nothing() {
    let server = server();
    let (alice, mallory) = (server.person("alice").await, server.person("mallory").await);
    let old = server.public_room(&alice, json!({})).await;
    let tags = |room: &str| format!("/_matrix/client/v3/user/{}/rooms/{room}/tags", alice.user_id);
    let tag = format!("{}/m.favourite", tags(&old));
    assert_eq!(server.put(&tag, &alice, json!({})).await.0, 200);
    let creation = json!({ "predecessor": { "room_id": old } });
    let new = server.public_room(&mallory, json!({ "creation_content": creation })).await;
    server.joins(&alice, &new).await;
    assert_eq!(server.fetch(&alice, &tags(&new)).await, json!({ "tags": {} }));
}
