//! Who proves to be one of our users.

use http::Method;
use ruma::user_id;
use serde_json::{Value, json};
use vestibule_accounts::CreateAccount;
use vestibule_testkit::actor;
use vestibule_types::{ClassName, Secret};

use super::{code, error, server};

const USERINFO: &str = "/_matrix/federation/v1/openid/userinfo";

#[tokio::test]
async fn a_token_is_exchanged_for_the_name_of_its_owner() {
    let us = server().await;
    let command = CreateAccount {
        username: "alice".to_owned(),
        password: Secret::new("correct horse battery staple".to_owned()),
        class: ClassName::member(),
        displayname: None,
    };
    us.api.accounts.create_account(command).await.unwrap();
    let alice = actor(user_id!("@alice:us.example"));
    let made = us.api.accounts.request_openid_token(&alice, alice.user_id()).await.unwrap();
    let path = format!("{USERINFO}?access_token={}", made.token.expose());
    let told = us.ask(Method::GET, &path, Value::Null).await;
    assert_eq!(told, (200, json!({ "sub": "@alice:us.example" })));
    us.time.clock.advance(made.expires_in);
    let told = us.ask(Method::GET, &path, Value::Null).await;
    assert_eq!(error(told), code(401, "M_UNKNOWN_TOKEN"));
}

#[tokio::test]
async fn a_wrong_token_and_none_at_all_are_refused() {
    let us = server().await;
    let wrong = us.ask(Method::GET, &format!("{USERINFO}?access_token=x"), Value::Null).await;
    assert_eq!(error(wrong), code(401, "M_UNKNOWN_TOKEN"));
    let none = us.ask(Method::GET, USERINFO, Value::Null).await;
    assert_eq!(error(none), code(401, "M_MISSING_TOKEN"));
}
