//! Answering as a notary, and asking one.

use http::Method;
use ruma::{CanonicalJsonObject, CanonicalJsonValue};
use serde_json::{Value, json};
use vestibule_testkit::EPOCH_MS;

use super::{Server, code, elsewhere::Elsewhere, error, server};

const QUERY: &str = "/_matrix/key/v2/query";
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

async fn query(us: &Server, servers: Value) -> Vec<Value> {
    let (status, body) = us.ask(Method::POST, QUERY, json!({ "server_keys": servers })).await;
    assert_eq!(status, 200, "{body}");
    body["server_keys"].as_array().unwrap().clone()
}

/// Whether our server signed this.
async fn signed_by_us(us: &Server, object: &Value) -> bool {
    let object: CanonicalJsonObject = serde_json::from_value(object.clone()).unwrap();
    let ring = us.api.federation.key_ring();
    let now = us.time.environment.now();
    ring.verify_json(us.api.federation.server_name(), object, now).await.is_ok()
}

#[tokio::test]
async fn our_own_keys_are_published_and_signed() {
    let us = server().await;
    let (status, keys) = us.ask(Method::GET, "/_matrix/key/v2/server", Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(keys["server_name"], "us.example");
    assert_eq!(keys["old_verify_keys"], json!({}));
    assert_eq!(keys["valid_until_ts"], EPOCH_MS + DAY_MS);
    assert!(keys["verify_keys"]["ed25519:a"]["key"].is_string());
    assert!(signed_by_us(&us, &keys).await);
    let mut changed = keys.clone();
    changed["valid_until_ts"] = json!(EPOCH_MS);
    assert!(!signed_by_us(&us, &changed).await);
    assert_eq!(query(&us, json!({ "us.example": {} })).await, std::slice::from_ref(&keys));
    // Old servers name a key, or none after a slash.
    for path in ["/_matrix/key/v2/server/", "/_matrix/key/v2/server/ed25519:a"] {
        assert_eq!(us.ask(Method::GET, path, Value::Null).await, (200, keys.clone()), "{path}");
    }
    let path = format!("{QUERY}/us.example/ed25519:a");
    let answer = us.ask(Method::GET, &path, Value::Null).await;
    assert_eq!(answer, (200, json!({ "server_keys": [keys] })));
}

#[tokio::test]
async fn the_keys_of_others_carry_their_signature_and_ours() {
    let (us, them) = (server().await, Elsewhere::new("them.example", 1));
    them.publish(&us.internet, EPOCH_MS + DAY_MS);
    let (status, body) = us.ask(Method::GET, &format!("{QUERY}/them.example"), Value::Null).await;
    assert_eq!(status, 200);
    let told = &body["server_keys"][0];
    assert!(signed_by_us(&us, told).await);
    let mut theirs = told.clone();
    theirs["signatures"].as_object_mut().unwrap().remove("us.example");
    assert_eq!(theirs, them.signed(them.keys(EPOCH_MS + DAY_MS)));
    assert_eq!(query(&us, json!({ "them.example": {} })).await, std::slice::from_ref(told));
    assert_eq!(us.internet.asked().len(), 1, "the second answer comes from what is kept");
}

#[tokio::test]
async fn a_server_that_is_gone_is_told_of_as_it_was_last_known() {
    let (us, them) = (server().await, Elsewhere::new("them.example", 1));
    them.publish(&us.internet, EPOCH_MS + DAY_MS);
    let known = query(&us, json!({ "them.example": {} })).await;
    us.internet.cut(&them.name);
    us.time.clock.advance(std::time::Duration::from_hours(48));
    assert_eq!(query(&us, json!({ "them.example": {} })).await, known);
    assert!(query(&us, json!({ "gone.example": { "ed25519:1": {} } })).await.is_empty());
    assert!(query(&us, json!({})).await.is_empty());
}

#[tokio::test]
async fn keys_that_must_last_longer_are_asked_for_again() {
    let (us, them) = (server().await, Elsewhere::new("them.example", 1));
    them.publish(&us.internet, EPOCH_MS + DAY_MS);
    query(&us, json!({ "them.example": {} })).await;
    them.publish(&us.internet, EPOCH_MS + 3 * DAY_MS);
    us.time.clock.advance(std::time::Duration::from_mins(2));
    let until = EPOCH_MS + 2 * DAY_MS;
    let asked = json!({ "them.example": { "ed25519:k_1": { "minimum_valid_until_ts": until } } });
    let told = query(&us, asked).await;
    assert_eq!(told[0]["valid_until_ts"], EPOCH_MS + 3 * DAY_MS);
}

#[tokio::test]
async fn a_question_about_too_many_servers_is_refused() {
    let us = server().await;
    let servers: serde_json::Map<String, Value> =
        (0..101).map(|number| (format!("s{number}.example"), json!({}))).collect();
    let answer = us.ask(Method::POST, QUERY, json!({ "server_keys": servers })).await;
    assert_eq!(error(answer), code(400, "M_TOO_LARGE"));
    assert!(us.internet.asked().is_empty());
    let malformed = us.ask(Method::POST, QUERY, json!({ "server_keys": [] })).await;
    assert_eq!(error(malformed), code(400, "M_BAD_JSON"));
}

/// Whether an object that `them` signed is believed with the help of this answer of a notary.
async fn believed_with(them: &Elsewhere, notary: &Elsewhere, told: Value) -> bool {
    let us = server().await;
    let keys = notary.signed(notary.keys(EPOCH_MS + DAY_MS));
    us.internet.attach(&notary.name, move |line, _| match line {
        "GET /_matrix/key/v2/server" => Some(keys.clone()),
        "POST /_matrix/key/v2/query" => Some(json!({ "server_keys": [told.clone()] })),
        _ => None,
    });
    let object: CanonicalJsonObject =
        serde_json::from_value(them.signed(json!({ "a": 1 }))).unwrap();
    let ring = us.api.federation.key_ring();
    let now = us.time.environment.now();
    let believed = ring.verify_json(&them.name, object.clone(), now).await.is_ok();
    let asked = us.internet.asked().len();
    assert_eq!(ring.verify_json(&them.name, object, now).await.is_ok(), believed);
    assert_eq!(us.internet.asked().len(), asked, "nobody is asked again at once");
    believed
}

#[tokio::test]
async fn a_notary_helps_out_for_a_server_that_is_gone() {
    let (them, notary) = (Elsewhere::new("them.example", 1), Elsewhere::new("notary.example", 2));
    let theirs = them.signed(them.keys(EPOCH_MS + DAY_MS));
    assert!(believed_with(&them, &notary, notary.signed(theirs.clone())).await);
    assert!(!believed_with(&them, &notary, theirs.clone()).await, "the notary did not sign");
    let impostor = Elsewhere::new("notary.example", 3);
    assert!(!believed_with(&them, &notary, impostor.signed(theirs)).await);
    let unsigned = notary.signed(them.keys(EPOCH_MS + DAY_MS));
    assert!(!believed_with(&them, &notary, unsigned).await, "they did not sign");
    let other = Elsewhere::new("other.example", 1);
    let other = notary.signed(other.signed(other.keys(EPOCH_MS + DAY_MS)));
    assert!(!believed_with(&them, &notary, other).await, "somebody else's keys");
}

#[tokio::test]
async fn a_changed_object_is_not_believed() {
    let (us, them) = (server().await, Elsewhere::new("them.example", 1));
    them.publish(&us.internet, EPOCH_MS + DAY_MS);
    let mut object: CanonicalJsonObject =
        serde_json::from_value(them.signed(json!({ "a": 1 }))).unwrap();
    let ring = us.api.federation.key_ring();
    let now = us.time.environment.now();
    assert!(ring.verify_json(&them.name, object.clone(), now).await.is_ok());
    object.insert("b".to_owned(), CanonicalJsonValue::Null);
    assert!(ring.verify_json(&them.name, object, now).await.is_err());
}
