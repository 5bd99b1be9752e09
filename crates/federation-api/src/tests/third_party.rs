//! Addresses that became somebody's, and where this server is.

use http::Method;
use serde_json::{Value, json};
use vestibule_accounts::CreateAccount;
use vestibule_types::{ClassName, Secret};

use super::{Server, code, error, server, server_with};
use crate::FederationApiSettings;

const ONBIND: &str = "/_matrix/federation/v1/3pid/onbind";

async fn with_alice() -> Server {
    let us = server().await;
    let command = CreateAccount {
        username: "alice".to_owned(),
        password: Secret::new("correct horse battery staple".to_owned()),
        class: ClassName::member(),
        displayname: None,
    };
    us.api.accounts.create_account(command).await.unwrap();
    us
}

fn invite(sender: &str, mxid: &str) -> Value {
    json!({
        "medium": "email", "address": "a@example.org", "mxid": mxid,
        "room_id": "!room:them.example", "sender": sender,
        "signed": {
            "mxid": mxid, "token": "t",
            "signatures": { "id.example": { "ed25519:0": "c2ln" } },
        },
    })
}

fn bound(mxid: &str, invites: &[Value]) -> Value {
    json!({ "medium": "email", "address": "a@example.org", "mxid": mxid, "invites": invites })
}

#[tokio::test]
async fn the_server_of_each_inviter_is_asked_to_invite() {
    let us = with_alice().await;
    let seen = std::sync::Arc::new(std::sync::Mutex::new(None));
    us.internet.attach("them.example".try_into().unwrap(), {
        let seen = seen.clone();
        move |_, body| {
            *seen.lock().unwrap() = serde_json::from_slice::<Value>(body).ok();
            Some(json!({}))
        }
    });
    let alice = "@alice:us.example";
    let invites = vec![
        invite("@bob:them.example", alice),
        invite("@bob:gone.example", alice),
        invite("@bob:them.example", "@somebody:else.example"),
    ];
    let answer = us.ask(Method::PUT, ONBIND, bound(alice, &invites)).await;
    // One of them does not answer: the identity server may say it again.
    assert_eq!(error(answer), code(502, "M_UNKNOWN"));
    let by_old_servers = us.ask(Method::POST, ONBIND, bound(alice, &[])).await;
    assert_eq!(by_old_servers, (200, json!({})));
    let mut asked = us.internet.asked();
    asked.sort();
    let path = "/_matrix/federation/v1/exchange_third_party_invite/!room:them.example";
    let line =
        |server: &str| format!("{server} PUT {}", path.replace('!', "%21").replace(':', "%3A"));
    let plain = |line: &String| line.replace("%21", "!").replace("%3A", ":");
    let expected = [line("gone.example"), line("them.example")];
    assert_eq!(
        asked.iter().map(plain).collect::<Vec<_>>(),
        expected.iter().map(plain).collect::<Vec<_>>()
    );
    let sent = seen.lock().unwrap().clone().unwrap();
    assert_eq!(sent["room_id"], "!room:them.example");
    assert_eq!((&sent["sender"], &sent["state_key"]), (&json!("@bob:them.example"), &json!(alice)));
    assert_eq!(sent["content"]["membership"], "invite");
    let signed = &sent["content"]["third_party_invite"]["signed"];
    assert_eq!(*signed, invite("@bob:them.example", alice)["signed"]);
}

#[tokio::test]
async fn nobody_is_asked_for_who_is_not_here() {
    let us = with_alice().await;
    for mxid in ["@nobody:us.example", "@alice:them.example"] {
        let invites = vec![invite("@bob:them.example", mxid)];
        let answer = us.ask(Method::PUT, ONBIND, bound(mxid, &invites)).await;
        assert_eq!(error(answer), code(404, "M_NOT_FOUND"), "{mxid}");
    }
    let alice = "@alice:us.example";
    let many = vec![invite("@bob:them.example", alice); 21];
    let answer = us.ask(Method::PUT, ONBIND, bound(alice, &many)).await;
    assert_eq!(error(answer), code(400, "M_INVALID_PARAM"));
    let malformed = us.ask(Method::PUT, ONBIND, json!({ "mxid": alice })).await;
    assert_eq!(error(malformed), code(400, "M_BAD_JSON"));
    assert!(us.internet.asked().is_empty());
}

#[tokio::test]
async fn the_well_known_file_says_where_this_server_is_if_anything() {
    let path = "/.well-known/matrix/server";
    let answer = server().await.ask(Method::GET, path, Value::Null).await;
    assert_eq!(error(answer), code(404, "M_NOT_FOUND"));
    let well_known_server = Some("matrix.us.example:443".try_into().unwrap());
    let us = server_with(FederationApiSettings { well_known_server }).await;
    let answer = us.ask(Method::GET, path, Value::Null).await;
    assert_eq!(answer, (200, json!({ "m.server": "matrix.us.example:443" })));
}
