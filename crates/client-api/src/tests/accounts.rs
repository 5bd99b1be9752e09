//! Registration, discovery, passwords, the end of accounts, profiles.

use http::Method;
use serde_json::{Value, json};
use vestibule_accounts::{SetClass, TurnConfig, TurnKey};
use vestibule_types::{ClassName, Secret};

use super::*;

const REGISTER: &str = "/_matrix/client/v3/register";

#[tokio::test]
async fn registration_tells_its_flows_then_takes_the_proof() {
    let server = server();
    let (status, told) = server.ask(Method::POST, REGISTER, json!({})).await;
    assert_eq!(status, 401);
    assert_eq!(told["flows"], json!([{ "stages": ["m.login.dummy"] }]));
    assert_eq!(told.get("errcode"), None, "nothing went wrong yet");
    let body = json!({
        "password": "tea",
        "auth": { "type": "m.login.dummy", "session": told["session"] },
    });
    let (status, body) = server.ask(Method::POST, REGISTER, body).await;
    assert_eq!(status, 200, "{body}");
    for field in ["access_token", "device_id", "user_id"] {
        assert!(body[field].is_string(), "{field}");
    }
}

#[tokio::test]
async fn a_registration_is_asked_for_once_and_answered_as_often_as_it_is_sent() {
    let server = server();
    let first = json!({ "username": "alice", "password": "tea", "inhibit_login": null });
    let (status, told) = server.ask(Method::POST, REGISTER, first).await;
    assert_eq!(status, 401, "{told}");
    let last = json!({ "auth": { "type": "m.login.dummy", "session": told["session"] } });
    let (status, one) = server.ask(Method::POST, REGISTER, last.clone()).await;
    assert_eq!((status, &one["user_id"]), (200, &json!("@alice:a.example")), "{one}");
    let (status, other) = server.ask(Method::POST, REGISTER, last).await;
    assert_eq!((status, &other["user_id"]), (200, &one["user_id"]), "{other}");
    assert_eq!(other["device_id"], one["device_id"]);
    assert_ne!(other["access_token"], one["access_token"]);
    assert_eq!(server.log_in("alice", "tea").await.0, 200);
}

#[tokio::test]
async fn registration_answers_each_mistake_with_its_code() {
    let server = server();
    server.person("alice").await;
    let auth = json!({ "type": "m.login.dummy" });
    let table = [
        (json!({ "username": "alice" }), 400, "M_USER_IN_USE"),
        (json!({ "username": "ALICE" }), 400, "M_USER_IN_USE"),
        (json!({ "username": "al ice" }), 400, "M_INVALID_USERNAME"),
        (json!({ "username": "guest-a" }), 400, "M_EXCLUSIVE"),
        (json!({ "username": "_irc_ada" }), 400, "M_INVALID_USERNAME"),
        (json!({ "username": 7 }), 400, "M_BAD_JSON"),
        (json!({ "username": "bob", "auth": 7 }), 400, "M_BAD_JSON"),
        (json!({ "username": "bob", "auth": auth }), 400, "M_MISSING_PARAM"),
        (json!({ "username": "bob", "auth": { "type": "org.x" } }), 401, "M_UNRECOGNIZED"),
        (
            json!({ "username": "bob", "auth": { "type": "m.login.dummy", "session": "no" } }),
            401,
            "M_UNKNOWN",
        ),
    ];
    for (body, status, errcode) in table {
        let answer = server.ask(Method::POST, REGISTER, body.clone()).await;
        assert_eq!(error(answer), code(status, errcode), "{body}");
    }
    let answer = server.send(Method::POST, REGISTER, None, "{").await;
    assert_eq!(error(answer), code(400, "M_NOT_JSON"));
    let answer = server.ask(Method::POST, &format!("{REGISTER}?kind=cat"), json!({})).await;
    assert_eq!(error(answer), code(400, "M_INVALID_PARAM"));
}

#[tokio::test]
async fn closed_registration_is_forbidden_and_its_questions_too() {
    let server = server_with(
        |_| {},
        |config| {
            config.registration.mode = RegistrationMode::Closed;
        },
    );
    let answer = server.ask(Method::POST, REGISTER, json!({})).await;
    assert_eq!(error(answer), code(403, "M_FORBIDDEN"));
    let validity = "/_matrix/client/v1/register/m.login.registration_token/validity?token=x";
    let answer = server.ask(Method::GET, validity, Value::Null).await;
    assert_eq!(error(answer), code(403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn a_free_name_is_available() {
    let server = server();
    server.person("alice").await;
    let ask = |name: &str| format!("{REGISTER}/available?username={name}");
    let (status, body) = server.ask(Method::GET, &ask("bob"), Value::Null).await;
    assert_eq!((status, body), (200, json!({ "available": true })));
    let answer = server.ask(Method::GET, &ask("alice"), Value::Null).await;
    assert_eq!(error(answer), code(400, "M_USER_IN_USE"));
    let answer = server.ask(Method::GET, &ask("_irc_ada"), Value::Null).await;
    assert_eq!(error(answer), code(400, "M_INVALID_USERNAME"));
    let answer = server.ask(Method::GET, &format!("{REGISTER}/available"), Value::Null).await;
    assert_eq!(error(answer), code(400, "M_MISSING_PARAM"));
}

#[tokio::test]
async fn a_guest_registers_without_proof_and_is_one() {
    let server = server();
    let guest = server.guest().await;
    assert!(guest.user_id.starts_with("@guest-"));
    let (_, body) = server.get("/_matrix/client/v3/account/whoami", &guest).await;
    assert_eq!(
        body,
        json!({ "user_id": guest.user_id, "device_id": guest.device_id, "is_guest": true })
    );
    let server = server_with(|policy| policy.guests.enabled = false, |_| {});
    let answer = server.ask(Method::POST, &format!("{REGISTER}?kind=guest"), json!({})).await;
    assert_eq!(error(answer), code(403, "M_GUEST_ACCESS_FORBIDDEN"));
}

#[tokio::test]
async fn too_many_guests_from_an_address_wait_and_are_told_how_long() {
    let server = server_with(|policy| policy.guests.caps.per_ip = 1, |_| {});
    let filter = |who: &Person| {
        format!("/_matrix/client/v3/user/{}/filter", who.user_id.replace('@', "%40"))
    };
    let (first, second) = (server.guest().await, server.guest().await);
    assert_eq!(server.post(&filter(&first), &first, json!({})).await.0, 200);
    let (status, body) = server.post(&filter(&second), &second, json!({})).await;
    assert_eq!((status, body["errcode"].as_str()), (429, Some("M_LIMIT_EXCEEDED")));
    assert!(body["retry_after_ms"].as_u64().unwrap() > 0);
    assert_eq!(body["org.vestibule.reason"], "cap_per_ip");
}

#[tokio::test]
async fn a_guest_becomes_an_account_over_http() {
    let server = server();
    let guest = server.guest().await;
    let name = guest.user_id.strip_prefix('@').unwrap().split_once(':').unwrap().0;
    let body = |username: Value| {
        json!({
            "username": username, "password": "tea", "auth": { "type": "m.login.dummy" },
            "guest_access_token": guest.token,
        })
    };
    let answer = server.ask(Method::POST, REGISTER, body(json!("alice"))).await;
    assert_eq!(error(answer), code(400, "M_INVALID_USERNAME"));
    server.person("bob").await;
    let answer = server.ask(Method::POST, REGISTER, body(json!("bob"))).await;
    assert_eq!(error(answer), code(403, "M_FORBIDDEN"));
    let (status, upgraded) = server.ask(Method::POST, REGISTER, body(json!(name))).await;
    assert_eq!((status, &upgraded["user_id"]), (200, &json!(guest.user_id)));
    let answer = server.get("/_matrix/client/v3/account/whoami", &guest).await;
    assert_eq!(error(answer), code(401, "M_UNKNOWN_TOKEN"));
}

#[tokio::test]
async fn without_a_shared_secret_its_endpoint_is_not_there() {
    let path = "/_synapse/admin/v1/register";
    let answer = server().ask(Method::GET, path, Value::Null).await;
    assert_eq!(error(answer), code(404, "M_UNRECOGNIZED"));
    let server = server_with(
        |_| {},
        |config| {
            config.registration.shared_secret = Some(Secret::new("key".to_owned()));
        },
    );
    let (status, body) = server.ask(Method::GET, path, Value::Null).await;
    assert_eq!(status, 200);
    let wrong = json!({
        "nonce": body["nonce"], "username": "root", "password": "tea", "admin": true,
        "mac": "00",
    });
    let answer = server.ask(Method::POST, path, wrong).await;
    assert_eq!(error(answer), code(403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn discovery_tells_versions_capabilities_and_where_the_server_is() {
    let server = server();
    let (status, body) = server.ask(Method::GET, "/_matrix/client/versions", Value::Null).await;
    assert_eq!(status, 200);
    assert!(body["versions"].as_array().unwrap().contains(&json!("v1.11")));
    let path = "/.well-known/matrix/client";
    let (_, body) = server.ask(Method::GET, path, Value::Null).await;
    assert_eq!(body, json!({ "m.homeserver": { "base_url": "https://chat.a.example" } }));

    let path = "/_matrix/client/v3/capabilities";
    let (_, body) = server.get(path, &server.person("alice").await).await;
    let capabilities = &body["capabilities"];
    assert_eq!(capabilities["m.room_versions"]["default"], "12");
    assert_eq!(capabilities["m.room_versions"]["available"]["3"], "stable");
    assert_eq!(capabilities["m.room_versions"]["available"].get("2"), None);
    assert_eq!(capabilities["m.change_password"], json!({ "enabled": true }));
    assert_eq!(capabilities["m.profile_fields"], json!({ "enabled": true }));

    let (_, body) = server.get(path, &server.guest().await).await;
    let capabilities = &body["capabilities"];
    assert_eq!(capabilities["m.change_password"], json!({ "enabled": false }));
    let fields = json!({ "enabled": true, "allowed": ["displayname"] });
    assert_eq!(capabilities["m.profile_fields"], fields);
}

#[tokio::test]
async fn a_new_account_has_no_third_party_identifiers() {
    let server = server();
    let alice = server.person("alice").await;
    let answer = server.get("/_matrix/client/v3/account/3pid", &alice).await;
    assert_eq!(answer, (200, json!({ "threepids": [] })));
}

#[tokio::test]
async fn there_is_no_turn_server() {
    let server = server();
    let alice = server.person("alice").await;
    let answer = server.get("/_matrix/client/v3/voip/turnServer", &alice).await;
    assert_eq!(error(answer), code(404, "M_NOT_FOUND"));
}

fn turn(key: TurnKey) -> TurnConfig {
    let uris = vec!["turn:turn.a.example?transport=udp".to_owned()];
    TurnConfig { uris, key, life: Duration::from_hours(1) }
}

#[tokio::test]
async fn callers_are_handed_credentials_for_the_turn_server_and_guests_where_their_class_may() {
    let path = "/_matrix/client/v3/voip/turnServer";
    let shared = || Some(turn(TurnKey::Shared(Secret::new("key".to_owned()))));
    let closed = server_with(|_| {}, |accounts| accounts.turn = shared());
    let open = server_with(
        |policy| {
            policy.class.entry("guest".to_owned()).or_default().may_also = vec!["voip".to_owned()];
        },
        |accounts| accounts.turn = shared(),
    );
    for (server, status) in [(&closed, 403), (&open, 200)] {
        let alice = server.person("alice").await;
        let told = server.fetch(&alice, path).await;
        assert_eq!(told["uris"], json!(["turn:turn.a.example?transport=udp"]));
        assert_eq!(told["ttl"], json!(3_600));
        let (end, user) = told["username"].as_str().unwrap().split_once(':').unwrap();
        assert_eq!(user, alice.user_id);
        let now = server.time.environment.now_ms() / 1_000;
        assert_eq!(end.parse::<u64>().unwrap(), now + 3_600);
        // 20 bytes in base64.
        assert_eq!(told["password"].as_str().unwrap().len(), 28);
        let bob = server.person("bob").await;
        assert_ne!(server.fetch(&bob, path).await["password"], told["password"]);
        assert_eq!(server.get(path, &server.guest().await).await.0, status);
    }

    let password = Secret::new("p".to_owned());
    let fixed = TurnKey::Fixed { username: "u".to_owned(), password };
    let server = server_with(|_| {}, |accounts| accounts.turn = Some(turn(fixed)));
    let told = server.fetch(&server.person("alice").await, path).await;
    assert_eq!((&told["username"], &told["password"]), (&json!("u"), &json!("p")));
}

#[tokio::test]
async fn a_password_changes_after_the_old_one() {
    let server = server();
    let alice = server.person("alice").await;
    let path = "/_matrix/client/v3/account/password";
    let answer = server.ask(Method::POST, path, json!({ "new_password": "mate" })).await;
    assert_eq!(error(answer), code(401, "M_MISSING_TOKEN"));
    let (status, told) = server.post(path, &alice, json!({ "new_password": "mate" })).await;
    assert_eq!((status, &told["flows"][0]["stages"]), (401, &json!(["m.login.password"])));
    let with = |password: &str| {
        json!({
            "new_password": "mate",
            "auth": {
                "type": "m.login.password", "password": password,
                "identifier": { "type": "m.id.user", "user": alice.user_id },
                "session": told["session"],
            },
        })
    };
    let answer = server.post(path, &alice, with("coffee")).await;
    assert_eq!(error(answer), code(401, "M_FORBIDDEN"));
    server.person("bob").await;
    let mut of_bob = with("tea");
    of_bob["auth"]["identifier"]["user"] = json!("bob");
    let answer = server.post(path, &alice, of_bob).await;
    assert_eq!(error(answer), code(403, "M_FORBIDDEN"), "bob's password opens nothing of alice's");
    let (status, _) = server.post(path, &alice, with("tea")).await;
    assert_eq!(status, 200);
    assert_eq!(error(server.log_in("alice", "tea").await), code(403, "M_FORBIDDEN"));
    assert_eq!(server.log_in("alice", "mate").await.0, 200);
}

#[tokio::test]
async fn the_end_of_an_account_says_that_nothing_was_unbound() {
    let server = server();
    let alice = server.person("alice").await;
    let body = json!({ "auth": {
        "type": "m.login.password", "user": "alice", "password": "tea",
    }});
    let path = "/_matrix/client/v3/account/deactivate";
    let (status, body) = server.post(path, &alice, body).await;
    assert_eq!((status, body), (200, json!({ "id_server_unbind_result": "success" })));
    assert_eq!(error(server.log_in("alice", "tea").await), code(403, "M_FORBIDDEN"));
}

fn profile(who: &Person, field: &str) -> String {
    format!("/_matrix/client/v3/profile/{}/{field}", who.user_id)
}

#[tokio::test]
async fn profile_fields_are_set_read_and_removed() {
    let server = server();
    let alice = server.person("alice").await;
    let tz = profile(&alice, "m.tz");
    let (status, _) = server.put(&tz, &alice, json!({ "m.tz": "Europe/London" })).await;
    assert_eq!(status, 200);
    let answer = server.get(&tz, &alice).await;
    assert_eq!(answer, (200, json!({ "m.tz": "Europe/London" })));
    let whole = format!("/_matrix/client/v3/profile/{}", alice.user_id);
    let answer = server.get(&whole, &alice).await;
    assert_eq!(answer, (200, json!({ "m.tz": "Europe/London" })));
    assert_eq!(server.delete(&tz, &alice, Value::Null).await.0, 200);
    let answer = server.get(&tz, &alice).await;
    assert_eq!(error(answer), code(404, "M_NOT_FOUND"));
    let nobody = "/_matrix/client/v3/profile/@nobody:a.example";
    let answer = server.get(nobody, &alice).await;
    assert_eq!(error(answer), code(404, "M_NOT_FOUND"));
    assert_eq!(server.ask(Method::GET, &whole, Value::Null).await.0, 200);
    // Where the policy wants a login, whoever has none is not even told who exists.
    let closed = server_with(|policy| policy.users.profiles_without_login = false, |_| {});
    for path in [&*whole, nobody] {
        let answer = closed.ask(Method::GET, path, Value::Null).await;
        assert_eq!(error(answer), code(403, "M_FORBIDDEN"), "{path}");
    }
}

#[tokio::test]
async fn profile_mistakes_have_their_codes() {
    let server = server();
    let alice = server.person("alice").await;
    let bob = server.person("bob").await;
    let long = "k".repeat(256);
    let large = "x".repeat(65_536);
    let table = [
        (profile(&alice, "m.tz"), json!({ "other": 1 }), 400, "M_MISSING_PARAM"),
        (profile(&alice, "Bad"), json!({ "Bad": 1 }), 400, "M_INVALID_PARAM"),
        (profile(&alice, "displayname"), json!({ "displayname": 1 }), 400, "M_INVALID_PARAM"),
        (profile(&alice, &long), json!({ &long: 1 }), 400, "M_KEY_TOO_LARGE"),
        (profile(&alice, "org.x"), json!({ "org.x": large }), 400, "M_PROFILE_TOO_LARGE"),
        (profile(&bob, "displayname"), json!({ "displayname": "x" }), 403, "M_FORBIDDEN"),
        ("/_matrix/client/v3/profile/bob/m.tz".to_owned(), json!({}), 400, "M_INVALID_PARAM"),
    ];
    for (path, body, status, errcode) in table {
        let answer = server.put(&path, &alice, body).await;
        assert_eq!(error(answer), code(status, errcode), "{path}");
    }
}

#[tokio::test]
async fn a_guest_sets_its_name_and_nothing_else() {
    let server = server();
    let guest = server.guest().await;
    let path = profile(&guest, "displayname");
    assert_eq!(server.put(&path, &guest, json!({ "displayname": "Ada" })).await.0, 200);
    let (_, body) = server.get(&path, &guest).await;
    assert_eq!(body, json!({ "displayname": "Ada (guest)" }));
    for field in ["avatar_url", "m.tz"] {
        let answer = server.put(&profile(&guest, field), &guest, json!({ field: "x" })).await;
        assert_eq!(error(answer), code(403, "M_GUEST_ACCESS_FORBIDDEN"), "{field}");
    }
}

#[tokio::test]
async fn a_new_class_opens_and_closes_endpoints_for_a_live_token() {
    let server = server();
    let alice = server.person("alice").await;
    let path = format!("/_matrix/client/v3/user/{}/account_data/org.x", alice.user_id);
    assert_eq!(server.put(&path, &alice, json!({})).await.0, 200);
    let command = SetClass {
        user_id: alice.user_id.as_str().try_into().unwrap(),
        class: ClassName::new("quiet"),
        even_last_admin: false,
    };
    let operator = vestibule_accounts::Assigner::Operator;
    let missing = server.api.accounts.set_class(&operator, command.clone()).await;
    assert!(missing.is_err(), "there is no such class yet");

    let server = server_with(
        |policy| {
            let class = vestibule_policy::ClassConfig {
                inherits: Some("member".to_owned()),
                may_not: vec!["account_data".to_owned()],
                ..Default::default()
            };
            policy.class.insert("quiet".to_owned(), class);
        },
        |_| {},
    );
    let alice = server.person("alice").await;
    assert_eq!(server.put(&path, &alice, json!({})).await.0, 200);
    server.api.accounts.set_class(&operator, command).await.unwrap();
    let answer = server.put(&path, &alice, json!({})).await;
    assert_eq!(error(answer), code(403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn a_class_by_age_binds_at_endpoints_until_the_account_is_old_enough() {
    let server = server_with(
        |policy| {
            let class = vestibule_policy::ClassConfig {
                inherits: Some("member".to_owned()),
                assign: Some(vestibule_policy::AssignConfig {
                    age_below: Some("24h".to_owned()),
                    ..Default::default()
                }),
                may_not: vec!["openid".to_owned()],
                ..Default::default()
            };
            policy.class.insert("newcomer".to_owned(), class);
        },
        |_| {},
    );
    let alice = server.person("alice").await;
    let path = format!("/_matrix/client/v3/user/{}/openid/request_token", alice.user_id);
    assert_eq!(error(server.post(&path, &alice, json!({})).await), code(403, "M_FORBIDDEN"));
    server.time.clock.advance(Duration::from_hours(25));
    assert_eq!(server.post(&path, &alice, json!({})).await.0, 200);
}

#[tokio::test]
async fn who_wants_no_session_is_told_of_none() {
    let server = server();
    let body = json!({
        "username": "alice", "password": "tea", "inhibit_login": true,
        "auth": { "type": "m.login.dummy" },
    });
    let answer = server.ask(Method::POST, "/_matrix/client/v3/register", body).await;
    let told = json!({ "user_id": "@alice:a.example", "home_server": "a.example" });
    assert_eq!(answer, (200, told));
}
