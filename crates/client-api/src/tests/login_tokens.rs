//! Letting one more client in.

use std::time::Duration;

use super::*;

const GET_TOKEN: &str = "/_matrix/client/v1/login/get_token";
const LOGIN: &str = "/_matrix/client/v3/login";

fn proof() -> Value {
    json!({ "auth": {
        "type": "m.login.password", "password": "tea",
        "identifier": { "type": "m.id.user", "user": "alice" },
    }})
}

async fn made(server: &Server, who: &Person) -> String {
    let (status, body) = server.post(GET_TOKEN, who, proof()).await;
    assert_eq!((status, &body["expires_in_ms"]), (200, &json!(120_000)), "{body}");
    body["login_token"].as_str().unwrap().to_owned()
}

async fn log_in(server: &Server, token: &str) -> (u16, Value) {
    server.ask(Method::POST, LOGIN, json!({ "type": "m.login.token", "token": token })).await
}

#[tokio::test]
async fn a_login_token_lets_one_client_in_once() {
    let server = server();
    let alice = server.person("alice").await;
    let (status, told) = server.post(GET_TOKEN, &alice, json!({})).await;
    assert_eq!((status, &told["flows"]), (401, &json!([{ "stages": ["m.login.password"] }])));
    let token = made(&server, &alice).await;
    let (status, body) = log_in(&server, &token).await;
    assert_eq!((status, &body["user_id"]), (200, &json!(alice.user_id)));
    assert_ne!(body["device_id"], json!(alice.device_id));
    assert_eq!(error(log_in(&server, &token).await), code(403, "M_FORBIDDEN"));
    let answer = server.post(GET_TOKEN, &alice, json!({})).await;
    assert_eq!(answer.0, 401, "one proof is good for one token");
}

#[tokio::test]
async fn a_login_token_ends_and_a_made_up_one_never_worked() {
    let server = server();
    let alice = server.person("alice").await;
    let token = made(&server, &alice).await;
    server.time.clock.advance(Duration::from_mins(2));
    assert_eq!(error(log_in(&server, &token).await), code(403, "M_FORBIDDEN"));
    assert_eq!(error(log_in(&server, "vsl_made_up").await), code(403, "M_FORBIDDEN"));
    assert_eq!(error(log_in(&server, &alice.token).await), code(403, "M_FORBIDDEN"));
    let answer = server.ask(Method::POST, LOGIN, json!({ "type": "m.login.token" })).await;
    assert_eq!(error(answer), code(400, "M_MISSING_PARAM"));
}

#[tokio::test]
async fn a_new_password_withdraws_login_tokens() {
    let server = server();
    let alice = server.person("alice").await;
    let token = made(&server, &alice).await;
    let mut body = proof();
    body["new_password"] = json!("coffee");
    assert_eq!(server.post("/_matrix/client/v3/account/password", &alice, body).await.0, 200);
    assert_eq!(error(log_in(&server, &token).await), code(403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn only_so_many_login_tokens_are_made() {
    let server = server();
    let alice = server.person("alice").await;
    for _ in 0..5 {
        made(&server, &alice).await;
    }
    let answer = server.post(GET_TOKEN, &alice, proof()).await;
    assert_eq!(error(answer), code(429, "M_LIMIT_EXCEEDED"));
}

#[tokio::test]
async fn login_tokens_are_offered_only_where_they_are_on_and_never_to_guests() {
    let flows = async |server: &Server| server.ask(Method::GET, LOGIN, Value::Null).await.1;
    let on = server();
    let token = json!({ "type": "m.login.token", "get_login_token": true });
    assert_eq!(flows(&on).await["flows"], json!([{ "type": "m.login.password" }, token]));
    let answer = on.post(GET_TOKEN, &on.guest().await, json!({})).await;
    assert_eq!(error(answer), code(403, "M_GUEST_ACCESS_FORBIDDEN"));

    let off = server_with(|_| {}, |config| config.sessions.login_tokens = false);
    let alice = off.person("alice").await;
    assert_eq!(flows(&off).await["flows"], json!([{ "type": "m.login.password" }]));
    let answer = off.post(GET_TOKEN, &alice, proof()).await;
    assert_eq!(error(answer), code(404, "M_UNRECOGNIZED"));
    let (_, body) = off.get("/_matrix/client/v3/capabilities", &alice).await;
    assert_eq!(body["capabilities"]["m.get_login_token"], json!({ "enabled": false }));
}
