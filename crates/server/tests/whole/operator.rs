//! What operators ask, over the local socket and with an admin's token.

use serde_json::{Value, json};
use vestibule_testkit::server::{Blueprint, PASSWORD, TestServer, segment};

const USERS: &str = "/_vestibule/admin/v1/users";

#[tokio::test]
async fn only_admins_reach_the_admin_api_over_http() {
    let server = TestServer::start().await;
    let http = server.http();
    assert_eq!(http.get(USERS).await.refusal(), (401, "M_MISSING_TOKEN"));
    let member = server.register("member").await;
    assert_eq!(member.http().get(USERS).await.refusal(), (403, "M_FORBIDDEN"));
    let moderator = server.person("moderator", "moderator").await;
    assert_eq!(moderator.http().get(USERS).await.refusal(), (403, "M_FORBIDDEN"));
    let admin = server.person("admin", "admin").await;
    let users = admin.http().get(USERS).await.ok();
    assert_eq!(users["users"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_class_change_acts_on_live_tokens_at_once() {
    let server = TestServer::start().await;
    let (admin, other) = (server.person("admin", "admin").await, server.register("other").await);
    let change = json!({ "class": "admin" });
    admin.http().put(&format!("{USERS}/other/class"), &change).await.ok();
    assert_eq!(other.http().get(USERS).await.status, 200);
    let change = json!({ "class": "member" });
    admin.http().put(&format!("{USERS}/{}/class", segment(&other.user_id)), &change).await.ok();
    assert_eq!(other.http().get(USERS).await.status, 403);
}

#[tokio::test]
async fn an_admin_cannot_take_the_class_from_the_last_admin_but_the_operator_can() {
    let server = TestServer::start().await;
    let admin = server.person("admin", "admin").await;
    let change = json!({ "class": "member" });
    assert_eq!(admin.http().put(&format!("{USERS}/admin/class"), &change).await.status, 400);
    server.operator("PUT", "/users/admin/class", &change).await.ok();
    assert_eq!(admin.http().get(USERS).await.status, 403);
}

#[tokio::test]
async fn mistakes_are_answered_with_what_would_be_right() {
    let server = TestServer::start().await;
    let make = |body: Value| {
        let server = &server;
        async move { server.operator("POST", "/users", &body).await }
    };
    let no_class = make(json!({ "name": "a", "class": "boss", "password": PASSWORD })).await;
    assert_eq!(no_class.refusal(), (400, "M_INVALID_PARAM"));
    assert!(no_class.body["error"].as_str().unwrap().contains("moderator"));
    let elsewhere = make(json!({ "name": "@a:elsewhere", "password": PASSWORD })).await;
    assert_eq!(elsewhere.refusal(), (400, "M_INVALID_PARAM"));
    make(json!({ "name": "a", "password": PASSWORD })).await.ok();
    let taken = make(json!({ "name": "@a:localhost", "password": PASSWORD })).await;
    assert_eq!(taken.refusal(), (400, "M_USER_IN_USE"));
    let guest = make(json!({ "name": "g", "class": "guest", "password": PASSWORD })).await;
    assert_eq!(guest.status, 400);
    let nobody = server.operator("PUT", "/users/nobody/class", &json!({ "class": "admin" })).await;
    assert_eq!(nobody.refusal(), (404, "M_NOT_FOUND"));
}

#[tokio::test]
async fn a_new_password_ends_sessions_unless_told_otherwise() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let keep = json!({ "password": "another one", "keep_sessions": true });
    server.operator("PUT", "/users/alice/password", &keep).await.ok();
    alice.sync("").await;
    let end = json!({ "password": PASSWORD });
    server.operator("PUT", "/users/alice/password", &end).await.ok();
    let whoami = alice.http().get("/_matrix/client/v3/account/whoami").await;
    assert_eq!(whoami.refusal(), (401, "M_UNKNOWN_TOKEN"));
    server.login("alice").await;
}

#[tokio::test]
async fn a_registration_token_makes_as_many_accounts_as_it_says() {
    let server = Blueprint::default().set("registration__mode", "token").start().await;
    let made = server.operator("POST", "/tokens", &json!({ "uses": 1 })).await.ok();
    assert_eq!(made["uses_left"], 1);
    let token = made["token"].as_str().unwrap();
    let register = |name: &'static str| {
        let body = json!({
            "username": name,
            "password": PASSWORD,
            "auth": { "type": "m.login.registration_token", "token": token },
        });
        let http = server.http().clone();
        async move { http.post("/_matrix/client/v3/register", &body).await }
    };
    register("first").await.ok();
    assert_eq!(register("second").await.status, 401);
    let listed = server.operator("GET", "/tokens", &json!(null)).await.ok();
    assert_eq!(listed["tokens"][0]["uses_left"], 0);
    server.operator("DELETE", &format!("/tokens/{token}"), &json!(null)).await.ok();
    let again = server.operator("DELETE", &format!("/tokens/{token}"), &json!(null)).await;
    assert_eq!(again.status, 404);
}

#[tokio::test]
async fn the_list_of_users_comes_in_pages() {
    let server = TestServer::start().await;
    for name in ["a", "b", "c"] {
        server.register(name).await;
    }
    let first = server.operator("GET", "/users?limit=2", &json!(null)).await.ok();
    assert_eq!(first["users"].as_array().unwrap().len(), 2);
    let from = segment(first["next"].as_str().unwrap());
    let path = format!("/users?limit=2&from={from}");
    let second = server.operator("GET", &path, &json!(null)).await.ok();
    assert_eq!(second["users"][0]["user_id"], "@c:localhost");
    assert_eq!(second["next"], json!(null));
}

#[tokio::test]
async fn explaining_says_what_deciding_does() {
    let server = Blueprint::default().with_guests().start().await;
    let moderator = server.person("mod", "moderator").await;
    let open = moderator.create_guest_room(Some("tea")).await;
    let shut = moderator.create_guest_room(None).await;
    let guest = server.guest().await;
    guest.join("#tea:localhost").await.ok();
    let explain = |room: String| {
        let user = segment(&guest.user_id);
        let path = format!("/policy/explain?user={user}&action=join&room={}", segment(&room));
        let server = &server;
        async move { server.operator("GET", &path, &json!(null)).await.ok() }
    };
    assert_eq!(explain(open.clone()).await["allowed"], true);
    assert_eq!(explain("#tea:localhost".to_owned()).await["allowed"], true);
    let refused = explain(shut.clone()).await;
    assert_eq!(refused["allowed"], false);
    assert_eq!(refused["answer"]["reason"], guest.join(&shut).await.reason().unwrap());
    assert!(refused["text"].as_str().unwrap().contains("would be allowed by"));
    let denials = server.operator("GET", "/policy/denials?limit=1", &json!(null)).await.ok();
    assert_eq!(denials["denials"][0]["user_id"], guest.user_id);
    assert_eq!(denials["denials"][0]["reason"], refused["answer"]["reason"]);
    let rooms = server.operator("GET", "/policy/rooms?class=guest", &json!(null)).await.ok();
    assert_eq!(rooms["rooms"].as_array().unwrap().len(), 1);
    assert_eq!(rooms["rooms"][0]["room_id"], open);
}

#[tokio::test]
async fn a_room_refused_because_of_its_alias_reaches_the_operators() {
    let server = Blueprint::default().with("[aliases]\ncreate = \"moderator\"\n").start().await;
    let alice = server.register("alice").await;
    let wanted = json!({ "preset": "public_chat", "room_alias_name": "tea" });
    let refused = alice.http().post("/_matrix/client/v3/createRoom", &wanted).await;
    assert_eq!(refused.status, 403);
    let denials = server.operator("GET", "/policy/denials?limit=9", &json!(null)).await.ok();
    let denials = denials["denials"].as_array().unwrap();
    assert_eq!(denials.len(), 1);
    assert_eq!(denials[0]["user_id"], alice.user_id);
    assert_eq!(denials[0]["reason"], refused.reason().unwrap());
    assert_eq!(denials[0]["action"], "create_alias");
}

#[tokio::test]
async fn a_room_that_lost_its_last_admin_is_shown_to_the_operators() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(&json!({ "preset": "public_chat" })).await;
    bob.join(&room).await.ok();
    let unmanaged = || server.operator("GET", "/policy/unmanaged", &json!(null));
    assert_eq!(unmanaged().await.ok()["rooms"], json!([]));
    alice.leave(&room).await.ok();
    let shown = unmanaged().await.ok();
    assert_eq!(shown["rooms"], json!([{ "room_id": room, "aliases": [], "joined": 1 }]));
}

#[tokio::test]
async fn what_people_report_reaches_the_operators() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(&json!({ "preset": "public_chat" })).await;
    bob.join(&room).await.ok();
    let event = alice.say(&room, "spam").await;
    let what = format!("report/{}", segment(&event));
    bob.in_room(&room, &what, &json!({ "reason": "it is spam" })).await.ok();
    let told = server.operator("GET", "/reports", &json!(null)).await.ok();
    assert_eq!(told["reports"][0]["event_id"], event);
    assert_eq!(told["reports"][0]["reason"], "it is spam");
}

#[tokio::test]
async fn an_operator_deactivates_an_account_and_an_admin_does_but_never_an_admin() {
    let server = TestServer::start().await;
    let (admin, alice) = (server.person("admin", "admin").await, server.register("alice").await);
    let bob = server.register("bob").await;
    let end = |name: &str| format!("{USERS}/{name}/deactivate");
    let (plain, erase) = (json!({}), json!({ "erase": true }));
    assert_eq!(bob.http().post(&end("alice"), &plain).await.refusal(), (403, "M_FORBIDDEN"));
    assert_eq!(admin.http().post(&end("admin"), &plain).await.refusal(), (403, "M_FORBIDDEN"));
    assert_eq!(admin.http().post(&end("nobody"), &plain).await.refusal(), (404, "M_NOT_FOUND"));
    let refused = server.operator("POST", "/users/admin/deactivate", &plain).await;
    assert_eq!(refused.refusal(), (403, "M_FORBIDDEN"));
    admin.http().post(&end("alice"), &erase).await.ok();
    server.operator("POST", "/users/bob/deactivate", &plain).await.ok();
    for gone in [&alice, &bob] {
        let whoami = gone.http().get("/_matrix/client/v3/account/whoami").await;
        assert_eq!(whoami.refusal(), (401, "M_UNKNOWN_TOKEN"));
    }
    let acts = server.operator("GET", "/moderation", &json!(null)).await.ok();
    assert_eq!(acts["acts"][1]["act"], "deactivate");
    assert_eq!(acts["acts"][1]["by"], admin.user_id.as_str());
    let users = server.operator("GET", "/users", &json!(null)).await.ok();
    assert_eq!(users["users"][1]["state"], "deactivated");
}

#[tokio::test]
async fn whoever_is_given_a_class_is_told_as_they_are() {
    let server = TestServer::start().await;
    server.register("alice").await;
    server.operator("PUT", "/users/alice/lock", &json!({ "locked": true })).await.ok();
    let change = json!({ "class": "moderator" });
    let told = server.operator("PUT", "/users/alice/class", &change).await.ok();
    let listed = server.operator("GET", "/users", &json!(null)).await.ok();
    assert_eq!(told, listed["users"][0]);
    assert_eq!((&told["state"], &told["class"]), (&json!("locked"), &json!("moderator")));
    assert!(told["created_at_ms"].as_u64().unwrap() > 0);
}
