//! Addresses that became somebody's, and where this server is.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use vestibule_accounts::CreateAccount;
use vestibule_federation::Federation;
use vestibule_storage::{
    StorageError,
    jobs::{self, JobKey, StoredJob},
};
use vestibule_types::{
    ClassName, Secret,
    limits::{EXCHANGE_WAIT_MS_MAX, EXCHANGE_WAIT_MS_MIN, EXCHANGES_WAITING_MAX},
};

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
    assert_eq!(answer, (200, json!({})));
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

impl Server {
    /// The durable jobs there are.
    async fn jobs(&self) -> Vec<(JobKey, StoredJob)> {
        let store = self.api.rooms.store();
        let all = store.read::<_, StorageError, _>(|read| jobs::due(read, None, u64::MAX, 1_000));
        all.await.unwrap()
    }

    /// Does the only job once. Returns when it has to be done again.
    async fn do_job(&self) -> Option<u64> {
        let (_, job) = self.jobs().await.pop().unwrap();
        assert!(Federation::does_job(&job.kind));
        assert_eq!(Federation::job_lane(&job.kind, &job.payload), "server them.example");
        self.api.federation.run_job(&job.payload).await.unwrap()
    }
}

#[tokio::test]
async fn an_inviters_server_that_is_away_is_asked_again_until_it_answers() {
    let us = with_alice().await;
    let alice = "@alice:us.example";
    let body = bound(alice, &[invite("@bob:them.example", alice)]);
    // Who says it twice has it asked once.
    for _ in 0..2 {
        let answer = us.ask(Method::PUT, ONBIND, body.clone()).await;
        assert_eq!(answer, (200, json!({})));
        assert_eq!(us.jobs().await.len(), 1);
    }
    let now = us.time.environment.now_ms();
    assert_eq!(us.do_job().await, Some(now + EXCHANGE_WAIT_MS_MIN));
    us.time.clock.advance(Duration::from_hours(24));
    let later = us.do_job().await.unwrap();
    assert_eq!(later, us.time.environment.now_ms() + EXCHANGE_WAIT_MS_MAX);

    us.time.clock.advance(Duration::from_hours(6));
    us.internet.attach("them.example".try_into().unwrap(), |_, _| Some(json!({})));
    assert_eq!(us.do_job().await, None);
    let asked = us.internet.asked();
    let asked = asked.iter().filter(|line| line.contains("exchange_third_party_invite"));
    assert!(asked.count() >= 3);
}

#[tokio::test]
async fn an_exchange_that_nobody_answers_is_given_up_after_a_week() {
    let us = with_alice().await;
    let alice = "@alice:us.example";
    let body = bound(alice, &[invite("@bob:them.example", alice)]);
    us.ask(Method::PUT, ONBIND, body.clone()).await;
    us.time.clock.advance(Duration::from_hours(7 * 24 + 1));
    assert_eq!(us.do_job().await, None);
    // Nothing of it waits: said again, it is asked again.
    us.ask(Method::PUT, ONBIND, body).await;
    assert_eq!(us.jobs().await.len(), 2);
}

#[tokio::test]
async fn no_more_exchanges_wait_than_the_bound() {
    let us = with_alice().await;
    let alice = "@alice:us.example";
    let mut answers = Vec::new();
    for number in 0..=EXCHANGES_WAITING_MAX {
        let sender = format!("@bob{number}:them.example");
        answers.push(us.ask(Method::PUT, ONBIND, bound(alice, &[invite(&sender, alice)])).await);
    }
    assert_eq!(error(answers.pop().unwrap()), code(502, "M_UNKNOWN"));
    assert!(answers.iter().all(|(status, _)| *status == 200));
    assert_eq!(us.jobs().await.len(), EXCHANGES_WAITING_MAX);
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
