//! Account data, tags, push rules, filters.

use http::Method;
use serde_json::json;

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
    let bad = json!({ "room": "nonsense" });
    let answer = server.post(&user(&alice, "filter"), &alice, bad).await;
    assert_eq!(error(answer), code(400, "M_BAD_JSON"));
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
