//! What is told to everybody, and what this server does not do and says so.

use ruma::{
    api::client::discovery::discover_support::{Contact, ContactRole},
    serde::Base64,
};

use super::*;
use crate::Support;

async fn told(server: &Server, path: &str) -> (u16, Value) {
    server.ask(Method::GET, path, Value::Null).await
}

#[tokio::test]
async fn help_and_the_key_of_the_policy_server_are_told_where_they_are_configured() {
    let (support, key) = ("/.well-known/matrix/support", "/.well-known/matrix/policy_server");
    let bare = server();
    assert_eq!(error(told(&bare, support).await), code(404, "M_NOT_FOUND"));
    assert_eq!(error(told(&bare, key).await), code(404, "M_NOT_FOUND"));

    let text = "6yhHGKhCiXTSEN2ksjV7kX+N6rBQZ3Xb+M7LlC6NS+s";
    let contact = Contact::with_email_address(ContactRole::Security, "help@a.example".to_owned());
    let server = server_set(|settings| {
        settings.policy_server_key = Some(Base64::parse(text).unwrap());
        let page = Some("https://a.example/help".to_owned());
        settings.support = Some(Support { contacts: vec![contact], page });
    });
    let expected = json!({
        "contacts": [{ "role": "m.role.security", "email_address": "help@a.example" }],
        "support_page": "https://a.example/help",
    });
    assert_eq!(told(&server, support).await, (200, expected));
    assert_eq!(told(&server, key).await, (200, json!({ "public_keys": { "ed25519": text } })));
}

#[tokio::test]
async fn there_is_no_oauth_and_no_single_sign_on() {
    let server = server();
    let answer = told(&server, "/_matrix/client/v1/auth_metadata").await;
    assert_eq!(error(answer), code(404, "M_UNRECOGNIZED"));
    let redirect = "/_matrix/client/v3/login/sso/redirect";
    for path in [format!("{redirect}?redirectUrl=x"), format!("{redirect}/idp?redirectUrl=x")] {
        assert_eq!(error(told(&server, &path).await), code(404, "M_NOT_FOUND"), "{path}");
    }
}

#[tokio::test]
async fn no_network_is_bridged() {
    let server = server();
    let alice = server.person("alice").await;
    let path = |rest: &str| format!("/_matrix/client/v3/thirdparty/{rest}");
    assert_eq!(server.get(&path("protocols"), &alice).await, (200, json!({})));
    for one in ["protocol/irc", "location/irc", "user/irc"] {
        let answer = server.get(&path(one), &alice).await;
        assert_eq!(error(answer), code(404, "M_NOT_FOUND"), "{one}");
    }
    for all in ["location?alias=%23tea:a.example", "user?userid=@alice:a.example"] {
        assert_eq!(server.get(&path(all), &alice).await, (200, json!([])), "{all}");
    }
    let answer = server.get(&path("location"), &alice).await;
    assert_eq!(error(answer), code(400, "M_MISSING_PARAM"));
    let guest = server.guest().await;
    let answer = server.get(&path("protocols"), &guest).await;
    assert_eq!(error(answer), code(403, "M_GUEST_ACCESS_FORBIDDEN"));
}

#[tokio::test]
async fn nobody_is_an_application_service() {
    let server = server();
    let alice = server.person("alice").await;
    let answer = server.post("/_matrix/client/v1/appservice/irc/ping", &alice, json!({})).await;
    assert_eq!(error(answer), code(403, "M_FORBIDDEN"));
    let list = "/_matrix/client/v3/directory/list/appservice/irc/!a:a.example";
    let answer = server.put(list, &alice, json!({ "visibility": "public" })).await;
    assert_eq!(error(answer), code(403, "M_FORBIDDEN"));
    let answer = server.ask(Method::PUT, list, json!({ "visibility": "public" })).await;
    assert_eq!(error(answer), code(401, "M_MISSING_TOKEN"));
}
