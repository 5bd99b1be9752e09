//! What admins do to accounts and read of them.

use vestibule_accounts::{Assigner, SetClass};
use vestibule_types::ClassName;

use super::*;

const SYNC: &str = "/_matrix/client/v3/sync";

pub(super) async fn admin(server: &Server, name: &str) -> Person {
    let person = server.person(name).await;
    let command = SetClass {
        user_id: person.user_id.as_str().try_into().unwrap(),
        class: ClassName::admin(),
        even_last_admin: false,
    };
    server.api.accounts.set_class(&Assigner::Operator, command).await.unwrap();
    person
}

fn path(what: &str, user: &str) -> String {
    format!("/_matrix/client/v1/admin/{what}/{user}")
}

#[tokio::test]
async fn a_lock_acts_on_everything_but_logging_out_and_leaves_the_session() {
    let server = server();
    let (root, alice) = (admin(&server, "root").await, server.person("alice").await);
    let lock = path("lock", &alice.user_id);
    assert_eq!(server.get(&lock, &root).await, (200, json!({ "locked": false })));
    let answer = server.put(&lock, &root, json!({ "locked": true })).await;
    assert_eq!(answer, (200, json!({ "locked": true })));
    assert_eq!(server.get(&lock, &root).await, (200, json!({ "locked": true })));
    for path in [SYNC, "/_matrix/client/v3/capabilities", "/_matrix/client/v3/publicRooms"] {
        let (status, body) = server.get(path, &alice).await;
        assert_eq!((status, &body["errcode"]), (401, &json!("M_USER_LOCKED")), "{path}");
        assert_eq!(body["soft_logout"], true, "{path}");
    }
    assert_eq!(server.get("/_matrix/client/versions", &alice).await.0, 200);
    assert_eq!(server.put(&lock, &root, json!({ "locked": false })).await.0, 200);
    assert_eq!(server.get(SYNC, &alice).await.0, 200, "the session is as it was");
    assert_eq!(server.put(&lock, &root, json!({ "locked": true })).await.0, 200);
    assert_eq!(server.post("/_matrix/client/v3/logout", &alice, json!({})).await.0, 200);
}

#[tokio::test]
async fn a_suspended_account_reads_leaves_and_redacts_its_own_and_nothing_else() {
    let server = server();
    let (root, alice) = (admin(&server, "root").await, server.person("alice").await);
    let bob = server.person("bob").await;
    let own = server.public_room(&alice, json!({})).await;
    let (bobs, other) =
        (server.public_room(&bob, json!({})).await, server.public_room(&bob, json!({})).await);
    server.joins(&alice, &bobs).await;
    server.joins(&bob, &own).await;
    let said = server.says(&alice, &own, Value::Null).await;
    let theirs = server.says(&bob, &own, Value::Null).await;
    let suspend = path("suspend", &alice.user_id);
    let answer = server.put(&suspend, &root, json!({ "suspended": true })).await;
    assert_eq!(answer, (200, json!({ "suspended": true })));
    let in_own = |rest: &str| format!("/_matrix/client/v3/rooms/{own}/{rest}");
    let profile = format!("/_matrix/client/v3/profile/{}/displayname", alice.user_id);
    let redact = |event: &str, n: u8| in_own(&format!("redact/{}/r{n}", rooms::encoded(event)));
    let join = format!("/_matrix/client/v3/join/{other}");
    let knock = format!("/_matrix/client/v3/knock/{other}");
    let refused = [
        (Method::PUT, in_own("send/m.room.message/1"), json!({ "msgtype": "m.text", "body": "x" })),
        (Method::PUT, in_own("send/m.reaction/2"), json!({})),
        (Method::PUT, in_own("state/m.room.topic"), json!({ "topic": "x" })),
        (Method::POST, in_own("invite"), json!({ "user_id": "@c:a.example" })),
        (Method::PUT, redact(&theirs, 1), json!({})),
        (Method::PUT, profile, json!({ "displayname": "x" })),
        (Method::POST, join, json!({})),
        (Method::POST, knock, json!({})),
        (Method::POST, "/_matrix/client/v3/createRoom".to_owned(), json!({})),
    ];
    for (method, path, body) in refused {
        let answer = server.send(method, &path, Some(&alice.token), body.to_string()).await;
        assert_eq!(error(answer), code(403, "M_USER_SUSPENDED"), "{path}");
    }
    for path in [SYNC.to_owned(), in_own("messages?dir=b"), in_own("members")] {
        assert_eq!(server.get(&path, &alice).await.0, 200, "{path}");
    }
    assert_eq!(server.put(&redact(&said, 2), &alice, json!({})).await.0, 200);
    let leave = format!("/_matrix/client/v3/rooms/{bobs}/leave");
    assert_eq!(server.post(&leave, &alice, json!({})).await.0, 200);
    assert_eq!(server.put(&suspend, &root, json!({ "suspended": false })).await.0, 200);
    server.says(&alice, &own, Value::Null).await;
}

#[tokio::test]
async fn a_lock_and_a_suspension_do_not_touch_each_other() {
    let server = server();
    let (root, alice) = (admin(&server, "root").await, server.person("alice").await);
    let (lock, suspend) = (path("lock", &alice.user_id), path("suspend", &alice.user_id));
    for (path, body) in [
        (&suspend, json!({ "suspended": true })),
        (&lock, json!({ "locked": true })),
        (&lock, json!({ "locked": false })),
    ] {
        assert_eq!(server.put(path, &root, body).await.0, 200);
    }
    assert_eq!(server.get(&suspend, &root).await, (200, json!({ "suspended": true })));
    assert_eq!(server.get(&lock, &root).await, (200, json!({ "locked": false })));
}

#[tokio::test]
async fn only_admins_restrain_and_neither_themselves_nor_each_other() {
    let server = server();
    let (root, other) = (admin(&server, "root").await, admin(&server, "other").await);
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    for (what, field) in [("lock", "locked"), ("suspend", "suspended")] {
        let table = [
            (&root, root.user_id.as_str(), 403, "M_FORBIDDEN"),
            (&root, other.user_id.as_str(), 403, "M_FORBIDDEN"),
            (&root, "@nobody:a.example", 404, "M_NOT_FOUND"),
            (&root, "@alice:b.example", 400, "M_INVALID_PARAM"),
            (&alice, bob.user_id.as_str(), 403, "M_FORBIDDEN"),
            // Nobody learns by the answer who has an account.
            (&alice, "@nobody:a.example", 403, "M_FORBIDDEN"),
        ];
        for (who, user, status, errcode) in table {
            let answer = server.put(&path(what, user), who, json!({ field: true })).await;
            assert_eq!(error(answer), code(status, errcode), "{what} {user}");
        }
        let answer = server.get(&path(what, &other.user_id), &root).await;
        assert_eq!(error(answer), code(403, "M_FORBIDDEN"));
        let answer = server.get(&path(what, &bob.user_id), &alice).await;
        assert_eq!(error(answer), code(403, "M_FORBIDDEN"));
        let answer = server.put(&path(what, &bob.user_id), &root, json!({})).await;
        assert_eq!(error(answer), code(400, "M_BAD_JSON"));
    }
    let auth = json!({ "auth": { "type": "m.login.password", "password": "tea", "user": "bob" } });
    assert_eq!(server.post("/_matrix/client/v3/account/deactivate", &bob, auth).await.0, 200);
    let answer = server.get(&path("lock", &bob.user_id), &root).await;
    assert_eq!(error(answer), code(404, "M_NOT_FOUND"));
}

#[tokio::test]
async fn the_capability_is_told_to_admins_alone() {
    let server = server();
    let (root, alice) = (admin(&server, "root").await, server.person("alice").await);
    let told = async |who: &Person| {
        let (_, body) = server.get("/_matrix/client/v3/capabilities", who).await;
        body["capabilities"].get("m.account_moderation").cloned()
    };
    assert_eq!(told(&root).await, Some(json!({ "lock": true, "suspend": true })));
    assert_eq!(told(&alice).await, None);
}

#[tokio::test]
async fn the_trace_of_a_device_is_told_to_its_owner_and_to_admins() {
    let server = server();
    let (root, alice) = (admin(&server, "root").await, server.person("alice").await);
    let bob = server.person("bob").await;
    let whois = |user: &str| format!("/_matrix/client/v3/admin/whois/{user}");
    server.called(&alice, "teapot/1").await;
    server.api.accounts.flush_sightings().await.unwrap();
    let (status, told) = server.get(&whois(&alice.user_id), &root).await;
    assert_eq!((status, &told["user_id"]), (200, &json!(alice.user_id)));
    let session = &told["devices"][&alice.device_id]["sessions"][0];
    let connection = &session["connections"][0];
    assert_eq!(connection["last_seen"], vestibule_testkit::EPOCH_MS);
    assert_eq!(connection["user_agent"], "teapot/1");
    server.called(&alice, "teapot/2").await;
    let (_, told) = server.get(&whois(&alice.user_id), &root).await;
    let session = &told["devices"][&alice.device_id]["sessions"][0];
    assert_eq!(
        session["connections"][0]["user_agent"], "teapot/2",
        "what waits to be written counts"
    );
    assert_eq!(server.get(&whois(&alice.user_id), &alice).await.0, 200);
    for user in [alice.user_id.as_str(), "@nobody:a.example"] {
        let answer = server.get(&whois(user), &bob).await;
        assert_eq!(error(answer), code(403, "M_FORBIDDEN"), "{user}");
    }
    let answer = server.get(&whois("@nobody:a.example"), &root).await;
    assert_eq!(error(answer), code(404, "M_NOT_FOUND"));
}

impl Server {
    /// Asks something as a client that calls itself this.
    async fn called(&self, who: &Person, agent: &str) {
        let request = Request::builder()
            .uri("/_matrix/client/v3/account/whoami")
            .header(header::AUTHORIZATION, format!("Bearer {}", who.token))
            .header(header::USER_AGENT, agent);
        let response = self.entrance.answer(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn whoever_gives_away_the_last_power_over_a_room_is_told() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({ "room_version": "11" })).await;
    server.joins(&bob, &room).await;
    let path = format!("/_matrix/client/v3/rooms/{room}/state/m.room.power_levels");
    let levels = server.fetch(&alice, &path).await;
    let (status, kept) = server.put(&path, &alice, levels.clone()).await;
    assert_eq!((status, &kept["org.vestibule.note"]), (200, &Value::Null));
    let mut lower = levels;
    lower["users"] = json!({ (&alice.user_id): 0 });
    let (status, given) = server.put(&path, &alice, lower).await;
    assert_eq!(status, 200);
    assert!(given["event_id"].is_string() && given["org.vestibule.note"].is_string(), "{given}");
}
