//! Logging in and out, states of accounts, devices.

use http::Method;
use serde_json::{Value, json};
use vestibule_accounts::{Assigner, Restrain, Restraint};

use super::*;

const LOGIN: &str = "/_matrix/client/v3/login";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

#[tokio::test]
async fn logins_are_by_password() {
    let server = server();
    let (_, body) = server.ask(Method::GET, LOGIN, Value::Null).await;
    assert_eq!(body["flows"][0], json!({ "type": "m.login.password" }));
    server.person("alice").await;
    let (status, body) = server.log_in("alice", "tea").await;
    assert_eq!(status, 200);
    assert_eq!(body["user_id"], "@alice:a.example");
    assert_eq!(body["home_server"], "a.example", "old clients read it");
    assert_eq!(body["well_known"]["m.homeserver"]["base_url"], "https://chat.a.example");
    assert_eq!(body.get("refresh_token"), None);
    let old = json!({
        "type": "m.login.password", "user": "alice", "password": "tea", "refresh_token": null,
    });
    assert_eq!(server.ask(Method::POST, LOGIN, old).await.0, 200);
}

#[tokio::test]
async fn login_mistakes_have_their_codes() {
    let server = server();
    server.person("alice").await;
    let kind = "m.login.password";
    let email = json!({ "type": "m.id.thirdparty", "medium": "email", "address": "a@b" });
    let user = json!({ "type": "m.id.user", "user": "alice" });
    let named = |who: Value| json!({ "type": kind, "identifier": who, "password": "tea" });
    let table = [
        (json!({}), 400, "M_MISSING_PARAM"),
        (json!({ "type": "m.login.sso" }), 400, "M_UNKNOWN"),
        (json!({ "type": kind, "password": "tea" }), 400, "M_MISSING_PARAM"),
        (json!({ "type": kind, "identifier": user }), 400, "M_MISSING_PARAM"),
        (json!({ "type": kind, "identifier": user, "password": "x" }), 403, "M_FORBIDDEN"),
        (json!({ "type": kind, "identifier": email, "password": "tea" }), 403, "M_FORBIDDEN"),
        (json!({ "type": 7 }), 400, "M_BAD_JSON"),
        (named(json!({ "type": "org.x", "user": "alice" })), 400, "M_UNKNOWN"),
        (named(json!({ "type": "m.id.user" })), 400, "M_MISSING_PARAM"),
        (named(json!({ "type": "m.id.thirdparty", "medium": "email" })), 400, "M_MISSING_PARAM"),
        (named(json!({ "type": "m.id.phone", "phone": "1" })), 400, "M_MISSING_PARAM"),
        (named(json!({ "type": "m.id.phone", "country": "GB", "phone": "1" })), 403, "M_FORBIDDEN"),
    ];
    for (body, status, errcode) in table {
        let answer = server.ask(Method::POST, LOGIN, body.clone()).await;
        assert_eq!(error(answer), code(status, errcode), "{body}");
    }
}

#[tokio::test]
async fn an_ended_token_is_refreshed_after_a_soft_logout() {
    let server = server();
    let body = json!({
        "username": "alice", "password": "tea", "refresh_token": true,
        "auth": { "type": "m.login.dummy" },
    });
    let (_, body) = server.ask(Method::POST, "/_matrix/client/v3/register", body).await;
    let alice = person_of(&body);
    let life = body["expires_in_ms"].as_u64().unwrap();
    server.time.clock.advance(Duration::from_millis(life));
    let (status, told) = server.get(WHOAMI, &alice).await;
    assert_eq!((status, &told["errcode"]), (401, &json!("M_UNKNOWN_TOKEN")));
    assert_eq!(told["soft_logout"], true);
    let refresh = "/_matrix/client/v3/refresh";
    let request = json!({ "refresh_token": body["refresh_token"] });
    let (status, fresh) = server.ask(Method::POST, refresh, request.clone()).await;
    assert_eq!(status, 200, "{fresh}");
    let token = fresh["access_token"].as_str();
    assert_eq!(server.send(Method::GET, WHOAMI, token, "").await.0, 200);
    let answer = server.ask(Method::POST, refresh, request).await;
    assert_eq!(error(answer), code(401, "M_UNKNOWN_TOKEN"));
}

#[tokio::test]
async fn logging_out_ends_one_session_or_all() {
    let server = server();
    let first = server.person("alice").await;
    let (_, body) = server.log_in("alice", "tea").await;
    let second = person_of(&body);
    assert_eq!(server.post("/_matrix/client/v3/logout", &first, json!({})).await.0, 200);
    assert_eq!(error(server.get(WHOAMI, &first).await), code(401, "M_UNKNOWN_TOKEN"));
    assert_eq!(server.post("/_matrix/client/v3/logout/all", &second, json!({})).await.0, 200);
    assert_eq!(error(server.get(WHOAMI, &second).await), code(401, "M_UNKNOWN_TOKEN"));
    let answer = server.ask(Method::GET, WHOAMI, Value::Null).await;
    assert_eq!(error(answer), code(401, "M_MISSING_TOKEN"));
}

async fn restrain(server: &Server, who: &Person, restraint: Restraint) {
    let user_id = who.user_id.as_str().try_into().unwrap();
    let command = Restrain { user_id, restraint, on: true };
    server.api.accounts.restrain(&Assigner::Operator, command).await.unwrap();
}

#[tokio::test]
async fn a_locked_account_may_only_log_out() {
    let server = server();
    let alice = server.person("alice").await;
    restrain(&server, &alice, Restraint::Lock).await;
    for (method, path) in [
        (Method::GET, WHOAMI),
        (Method::GET, "/_matrix/client/v3/devices"),
        (Method::GET, "/_matrix/client/v3/capabilities"),
        (Method::POST, "/_matrix/client/v3/account/deactivate"),
    ] {
        let (status, body) = server.send(method, path, Some(&alice.token), "{}").await;
        assert_eq!((status, &body["errcode"]), (401, &json!("M_USER_LOCKED")), "{path}");
        assert_eq!(body["soft_logout"], true, "{path}");
    }
    let (status, body) = server.log_in("alice", "tea").await;
    assert_eq!((status, &body["errcode"]), (401, &json!("M_USER_LOCKED")));
    assert_eq!(server.post("/_matrix/client/v3/logout", &alice, json!({})).await.0, 200);
}

#[tokio::test]
async fn a_suspended_account_reads_and_leaves_but_does_not_write() {
    let server = server();
    let alice = server.person("alice").await;
    restrain(&server, &alice, Restraint::Suspension).await;
    assert_eq!(server.get(WHOAMI, &alice).await.0, 200);
    assert_eq!(server.get("/_matrix/client/v3/pushrules/", &alice).await.0, 200);
    for path in ["/_matrix/client/v3/pushers", "/_matrix/client/v3/notifications"] {
        assert_eq!(server.get(path, &alice).await.0, 200, "{path}");
    }
    // Where keys to the own secrets are kept.
    let path = "/_matrix/client/v3/user/@alice:a.example/account_data/m.secret_storage.default_key";
    assert_eq!(server.put(path, &alice, json!({ "key": "a" })).await.0, 200);
    let path = format!("/_matrix/client/v3/profile/{}/displayname", alice.user_id);
    let answer = server.put(&path, &alice, json!({ "displayname": "x" })).await;
    assert_eq!(error(answer), code(403, "M_USER_SUSPENDED"));
    assert_eq!(server.log_in("alice", "tea").await.0, 200);
    assert_eq!(server.post("/_matrix/client/v3/logout", &alice, json!({})).await.0, 200);
}

#[tokio::test]
async fn devices_are_listed_named_and_removed() {
    let server = server();
    let alice = server.person("alice").await;
    let (_, body) = server.log_in("alice", "tea").await;
    let other = person_of(&body);
    let path = |device: &str| format!("/_matrix/client/v3/devices/{device}");
    let named = json!({ "display_name": "laptop" });
    assert_eq!(server.put(&path(&alice.device_id), &alice, named).await.0, 200);
    let (_, body) = server.get(&path(&alice.device_id), &alice).await;
    assert_eq!(body["display_name"], "laptop");
    assert_eq!(body["device_id"], alice.device_id);
    assert_eq!(body["last_seen_ts"], vestibule_testkit::EPOCH_MS);
    let (_, body) = server.get("/_matrix/client/v3/devices", &alice).await;
    assert_eq!(body["devices"].as_array().unwrap().len(), 2);
    let answer = server.get(&path("NONE"), &alice).await;
    assert_eq!(error(answer), code(404, "M_NOT_FOUND"));
    let answer = server.put(&path("NONE"), &alice, json!({})).await;
    assert_eq!(error(answer), code(404, "M_NOT_FOUND"));

    let device = path(&other.device_id);
    let (status, told) = server.send(Method::DELETE, &device, Some(&alice.token), "").await;
    assert_eq!((status, &told["flows"][0]["stages"]), (401, &json!(["m.login.password"])));
    let auth = json!({
        "type": "m.login.password", "password": "tea", "session": told["session"],
        "identifier": { "type": "m.id.user", "user": "alice" },
    });
    assert_eq!(server.delete(&device, &alice, json!({ "auth": auth })).await.0, 200);
    assert_eq!(error(server.get(WHOAMI, &other).await), code(401, "M_UNKNOWN_TOKEN"));

    let auth = json!({ "type": "m.login.password", "password": "tea", "user": "alice" });
    let body = json!({ "devices": [alice.device_id], "auth": auth });
    let (status, _) = server.post("/_matrix/client/v3/delete_devices", &alice, body).await;
    assert_eq!(status, 200);
    assert_eq!(error(server.get(WHOAMI, &alice).await), code(401, "M_UNKNOWN_TOKEN"));
}

#[tokio::test]
async fn a_guest_sees_its_device_and_removes_none() {
    let server = server();
    let guest = server.guest().await;
    let (status, _) = server.get("/_matrix/client/v3/devices", &guest).await;
    assert_eq!(status, 200);
    let path = format!("/_matrix/client/v3/devices/{}", guest.device_id);
    let answer = server.delete(&path, &guest, json!({})).await;
    assert_eq!(error(answer), code(403, "M_GUEST_ACCESS_FORBIDDEN"));
}

#[tokio::test]
async fn an_openid_token_is_made_for_oneself_and_opens_nothing() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let path = |who: &Person| {
        let user = who.user_id.replace('@', "%40").replace(':', "%3A");
        format!("/_matrix/client/v3/user/{user}/openid/request_token")
    };
    let (status, made) = server.post(&path(&alice), &alice, json!({})).await;
    assert_eq!(status, 200);
    assert_eq!(made["token_type"], "Bearer");
    assert_eq!(made["matrix_server_name"], "a.example");
    assert_eq!(made["expires_in"], 3600);
    let token = made["access_token"].as_str().unwrap();
    let as_login =
        server.send(Method::GET, "/_matrix/client/v3/account/whoami", Some(token), "").await;
    assert_eq!(error(as_login), code(401, "M_UNKNOWN_TOKEN"));
    let for_bob = server.post(&path(&bob), &alice, json!({})).await;
    assert_eq!(error(for_bob), code(403, "M_FORBIDDEN"));
    let guest = server.guest().await;
    assert_eq!(server.post(&path(&guest), &guest, json!({})).await.0, 403);
    for _ in 0..19 {
        assert_eq!(server.post(&path(&alice), &alice, json!({})).await.0, 200);
    }
    let one_too_many = server.post(&path(&alice), &alice, json!({})).await;
    assert_eq!(error(one_too_many), code(429, "M_LIMIT_EXCEEDED"));
}
