//! What a request carries.

use http::{Request, header::AUTHORIZATION};
use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedServerName, TransactionId,
    api::federation::{
        authentication::XMatrix, discovery::get_server_version, openid::get_openid_userinfo,
        transactions::send_transaction_message,
    },
    serde::Base64,
    uint,
};
use serde_json::json;
use vestibule_remote::{Exchange, RemoteConfig, RemoteError, ServerLists};
use vestibule_testkit::{environment, memory_store};

use crate::peer::{Act, Scene, them};

fn transaction() -> send_transaction_message::v1::Request {
    let pdu = serde_json::value::to_raw_value(&json!({ "type": "m.room.message" })).unwrap();
    let mut request = send_transaction_message::v1::Request::new(
        <&TransactionId>::from("a/b 1").to_owned(),
        OwnedServerName::try_from("us.example").unwrap(),
        MilliSecondsSinceUnixEpoch(uint!(5)),
    );
    request.pdus = vec![pdu];
    request
}

/// Checks the signature as the other server would.
fn verify(scene: &Scene, heard: Exchange) -> Result<(), String> {
    let mut request =
        Request::builder().method(heard.method).uri(heard.path).body(heard.body.to_vec()).unwrap();
    *request.headers_mut() = heard.headers;
    let credentials = XMatrix::extract_from_http_headers(request.headers()).unwrap();
    assert_eq!(credentials.origin, "us.example");
    assert_eq!(credentials.destination.as_ref().unwrap(), them());
    let key = Base64::parse(scene.key.public_key()).unwrap();
    let keys = [(scene.key.key_id().to_string(), key)].into();
    let keys = [("us.example".to_owned(), keys)].into();
    credentials.verify_http_request(&request, them(), &keys).map_err(|it| it.to_string())
}

#[tokio::test]
async fn a_request_is_signed_with_path_query_and_body() {
    let scene = Scene::new().await;
    scene.peer.then(Act::Answer(200, json!({ "pdus": {} })));
    scene.remote.call(them(), transaction()).await.unwrap();
    let heard = scene.peer.heard().remove(0);
    assert_eq!(heard.path, "/_matrix/federation/v1/send/a%2Fb%201");
    assert_eq!(heard.headers["content-type"], "application/json");
    verify(&scene, heard.clone()).unwrap();

    let other_body = Exchange { body: heard.body.slice(..0), ..heard.clone() };
    assert!(verify(&scene, other_body).is_err());
    let other_path = Exchange { path: format!("{}?x=1", heard.path), ..heard };
    assert!(verify(&scene, other_path).is_err());
}

#[tokio::test]
async fn an_endpoint_open_to_all_is_asked_without_a_signature() {
    let scene = Scene::new().await;
    let body = json!({ "server": { "name": "Other", "version": "1" } });
    scene.peer.then(Act::Answer(200, body));
    let answer = scene.remote.call(them(), get_server_version::v1::Request::new()).await.unwrap();
    assert_eq!(answer.server.unwrap().name.as_deref(), Some("Other"));
    assert!(!scene.peer.heard()[0].headers.contains_key(AUTHORIZATION));
}

#[tokio::test]
async fn an_error_of_matrix_arrives_with_status_and_code() {
    let scene = Scene::new().await;
    scene.peer.then(Act::Answer(403, json!({ "errcode": "M_FORBIDDEN", "error": "no" })));
    let error = scene.remote.call(them(), transaction()).await.unwrap_err();
    assert_eq!((error.status(), error.errcode()), (Some(403), Some("M_FORBIDDEN")));
}

#[tokio::test]
async fn an_answer_that_is_not_what_was_promised_is_a_bad_one() {
    let scene = Scene::new().await;
    scene.peer.then(Act::Page(200, "hello")).then(Act::Page(302, ""));
    for _ in 0..2 {
        let request = get_openid_userinfo::v1::Request::new("token".to_owned());
        let error = scene.remote.call(them(), request).await.unwrap_err();
        assert!(matches!(error, RemoteError::BadAnswer { .. }), "{error}");
    }
}

#[tokio::test]
async fn servers_that_the_operator_denies_are_not_asked() {
    let denied = RemoteConfig {
        servers: ServerLists::new(&[], &["*.example".to_owned()]),
        ..RemoteConfig::default()
    };
    let off = RemoteConfig { enabled: false, ..RemoteConfig::default() };
    for config in [denied, off] {
        let scene = Scene::with(memory_store(1), environment(7), config).await;
        let error = scene.remote.call(them(), transaction()).await.unwrap_err();
        assert!(matches!(error, RemoteError::Refused(_)), "{error}");
        assert!(scene.peer.heard().is_empty());
    }
}

#[tokio::test]
async fn nobody_asks_themselves() {
    let scene = Scene::new().await;
    let us = OwnedServerName::try_from("us.example").unwrap();
    let error = scene.remote.call(&us, transaction()).await.unwrap_err();
    assert!(matches!(error, RemoteError::Refused(_)), "{error}");
    assert!(scene.peer.heard().is_empty());
}
