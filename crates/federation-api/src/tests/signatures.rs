//! Who a request comes from.

use std::{convert::Infallible, time::Duration};

use axum::{body::Body, extract::Request};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use http::{Method, header};
use serde_json::{Value, json};
use vestibule_events::SigningKey;
use vestibule_testkit::EPOCH_MS;
use vestibule_types::limits::{STRANGERS_ASKED_MAX, STRANGERS_WAITING_MAX};

use super::{Server, code, elsewhere::Elsewhere, error, server};

const SIGN: &str = "/_matrix/policy/v1/sign";
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// A server and another one it can ask for its keys.
async fn us_and_them() -> (Server, Elsewhere) {
    let (us, them) = (server().await, Elsewhere::new("them.example", 1));
    them.publish(&us.internet, EPOCH_MS + DAY_MS);
    (us, them)
}

fn post(target: &str, authorization: &str, body: impl Into<Body>) -> Request {
    let request = Request::builder().method(Method::POST).uri(target);
    request.header(header::AUTHORIZATION, authorization).body(body.into()).unwrap()
}

/// The endpoint was reached: it says that it does not exist, to those who signed.
fn let_in(answer: (u16, Value)) -> bool {
    error(answer) == code(404, "M_UNRECOGNIZED")
}

#[tokio::test]
async fn lets_in_who_signed_the_request() {
    let (us, them) = us_and_them().await;
    let body = json!({ "b": [1, { "z": "é", "y": null }], "a": "x" });
    let header = them.sign(&Method::POST, SIGN, Some(&body));
    assert!(let_in(us.send(post(SIGN, &header, body.to_string())).await));
    let spaced = serde_json::to_string_pretty(&body).unwrap();
    assert!(let_in(us.send(post(SIGN, &header, spaced)).await), "white space is not signed");
    let asked = us.internet.asked();
    assert_eq!(asked, ["them.example GET /_matrix/key/v2/server"], "the keys are remembered");
}

#[tokio::test]
async fn lets_in_a_body_with_numbers_that_canonical_json_does_not_know() {
    let (us, them) = us_and_them().await;
    let target = "/_matrix/policy/v1/sign";
    let body = r#"{"a":1.50,"b":1e300,"c":123456789012345678901234567890}"#;
    let signed = format!(
        r#"{{"content":{body},"destination":"us.example","method":"POST","origin":"them.example","uri":"{target}"}}"#
    );
    let header = them.sign_text(&signed);
    assert!(let_in(us.send(post(target, &header, body)).await));
    let changed = body.replace("1.50", "1.51");
    let answer = us.send(post(target, &header, changed)).await;
    assert_eq!(error(answer), code(401, "M_UNAUTHORIZED"));
}

#[tokio::test]
async fn the_signature_covers_what_was_written_not_what_it_was_taken_for() {
    let (us, them) = us_and_them().await;
    let written = "/_matrix/policy/v1/%73ign?a=%41";
    let header = them.sign(&Method::POST, written, Some(&json!({})));
    assert!(let_in(us.send(post(written, &header, "{}")).await));
    let header = them.sign(&Method::POST, "/_matrix/policy/v1/sign?a=%41", Some(&json!({})));
    let answer = us.send(post(written, &header, "{}")).await;
    assert_eq!(error(answer), code(401, "M_UNAUTHORIZED"));
}

#[tokio::test]
async fn refuses_a_request_that_is_not_the_one_that_was_signed() {
    let (us, them) = us_and_them().await;
    let body = json!({ "a": 1 });
    let good = them.sign(&Method::POST, SIGN, Some(&body));
    let table = [
        ("another body", post(SIGN, &good, r#"{"a":2}"#)),
        ("no body", post(SIGN, &good, "")),
        ("another query", post(&format!("{SIGN}?x=1"), &good, body.to_string())),
    ];
    for (what, request) in table {
        assert_eq!(error(us.send(request).await), code(401, "M_UNAUTHORIZED"), "{what}");
    }
    let other_method = them.sign(&Method::PUT, SIGN, Some(&body));
    let answer = us.send(post(SIGN, &other_method, body.to_string())).await;
    assert_eq!(error(answer), code(401, "M_UNAUTHORIZED"), "another method");
    assert!(let_in(us.send(post(SIGN, &good, body.to_string())).await), "and the real one passes");
}

#[tokio::test]
async fn refuses_what_is_meant_for_another_server() {
    let (us, them) = us_and_them().await;
    let header = them.sign_for("other.example", &Method::POST, SIGN, Some(&json!({})));
    let answer = us.send(post(SIGN, &header, "{}")).await;
    assert_eq!(error(answer), code(401, "M_UNAUTHORIZED"));
    // Without the parameter the signature still names the destination.
    let hidden = header.replace("destination=\"other.example\",", "");
    let answer = us.send(post(SIGN, &hidden, "{}")).await;
    assert_eq!(error(answer), code(401, "M_UNAUTHORIZED"));
    assert_ne!(hidden, header);
    let header = them.sign(&Method::POST, SIGN, Some(&json!({})));
    let old = header.replace("destination=\"us.example\",", "");
    assert!(let_in(us.send(post(SIGN, &old, "{}")).await), "as old servers write it");
}

#[tokio::test]
async fn refuses_who_signs_for_somebody_else() {
    let (us, them) = us_and_them().await;
    let impostor = Elsewhere::new("them.example", 2);
    let header = impostor.sign(&Method::POST, SIGN, Some(&json!({})));
    assert_eq!(error(us.send(post(SIGN, &header, "{}")).await), code(401, "M_UNAUTHORIZED"));
    let mallory = Elsewhere::new("mallory.example", 3);
    mallory.publish(&us.internet, EPOCH_MS + DAY_MS);
    let header = mallory.sign(&Method::POST, SIGN, Some(&json!({})));
    let header = header.replace("origin=\"mallory.example\"", "origin=\"them.example\"");
    assert_eq!(error(us.send(post(SIGN, &header, "{}")).await), code(401, "M_UNAUTHORIZED"));
    let header = them.sign(&Method::POST, SIGN, Some(&json!({})));
    assert!(let_in(us.send(post(SIGN, &header, "{}")).await));
}

#[tokio::test]
async fn of_several_signatures_the_known_ones_must_all_hold() {
    let (us, them) = us_and_them().await;
    let good = them.sign(&Method::POST, SIGN, Some(&json!({})));
    let other = them.sign(&Method::POST, SIGN, Some(&json!({ "other": 1 })));
    let unknown = good.replace("ed25519:k_1", "ed25519:k_2");
    let two = |one: &str, two: &str| {
        let request = Request::builder().method(Method::POST).uri(SIGN);
        let request = request.header(header::AUTHORIZATION, one).header(header::AUTHORIZATION, two);
        request.body("{}".into()).unwrap()
    };
    assert!(let_in(us.send(two(&unknown, &good)).await));
    assert_eq!(error(us.send(two(&unknown, &unknown)).await), code(401, "M_UNAUTHORIZED"));
    assert_eq!(error(us.send(two(&good, &other)).await), code(401, "M_UNAUTHORIZED"));
}

#[tokio::test]
async fn bodies_are_bounded_and_must_be_json() {
    let (us, them) = us_and_them().await;
    let header = them.sign(&Method::POST, SIGN, Some(&json!({})));
    let big = format!("{{\"a\":\"{}\"}}", "x".repeat(1_048_576));
    assert_eq!(error(us.send(post(SIGN, &header, big)).await), code(413, "M_TOO_LARGE"));
    assert_eq!(error(us.send(post(SIGN, &header, "{")).await), code(400, "M_NOT_JSON"));
    assert_eq!(error(us.send(post(SIGN, &header, "[]")).await), code(400, "M_BAD_JSON"));
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(error(us.send(post(SIGN, &header, deep)).await), code(400, "M_BAD_JSON"));
}

#[tokio::test]
async fn a_storm_of_unknown_keys_asks_for_news_and_once_more() {
    let (us, them) = us_and_them().await;
    let header = them.sign(&Method::POST, SIGN, Some(&json!({})));
    let storm = (0..50).map(|number| {
        let header = header.replace("ed25519:k_1", &format!("ed25519:none_{number}"));
        us.send(post(SIGN, &header, "{}"))
    });
    for answer in futures_util::future::join_all(storm).await {
        assert_eq!(error(answer), code(401, "M_UNAUTHORIZED"));
    }
    assert_eq!(us.internet.asked().len(), 2);
    us.time.clock.advance(Duration::from_secs(11));
    let unknown = header.replace("ed25519:k_1", "ed25519:none");
    us.send(post(SIGN, &unknown, "{}")).await;
    us.send(post(SIGN, &unknown, "{}")).await;
    assert_eq!(us.internet.asked().len(), 3, "later it may have changed its key");
}

#[tokio::test]
async fn a_server_that_changed_its_key_is_believed_at_once() {
    let (us, them) = us_and_them().await;
    let header = them.sign(&Method::POST, SIGN, Some(&json!({})));
    assert!(let_in(us.send(post(SIGN, &header, "{}")).await));
    let key = SigningKey::from_seed([9; 32], "k_9").unwrap();
    let next = Elsewhere { name: them.name.clone(), key };
    let mut keys = next.keys(EPOCH_MS + DAY_MS);
    keys["old_verify_keys"] =
        json!({ "ed25519:k_1": { "key": them.key.public_key(), "expired_ts": EPOCH_MS } });
    next.publish_as(&us.internet, next.signed(keys));
    let renewed = next.sign(&Method::POST, SIGN, Some(&json!({})));
    assert!(let_in(us.send(post(SIGN, &renewed, "{}")).await));
    let answer = us.send(post(SIGN, &header, "{}")).await;
    assert_eq!(error(answer), code(401, "M_UNAUTHORIZED"), "the old key has ended");
}

#[tokio::test]
async fn a_server_without_an_answer_is_not_asked_at_every_request() {
    let (us, them) = us_and_them().await;
    us.internet.cut(&them.name);
    let header = them.sign(&Method::POST, SIGN, Some(&json!({})));
    for _ in 0..20 {
        assert_eq!(error(us.send(post(SIGN, &header, "{}")).await), code(401, "M_UNAUTHORIZED"));
    }
    let direct = |asked: Vec<String>| asked.iter().filter(|it| it.starts_with("them")).count();
    assert_eq!(direct(us.internet.asked()), 1);
    them.publish(&us.internet, EPOCH_MS + DAY_MS);
    us.time.clock.advance(Duration::from_secs(11));
    assert!(
        let_in(us.send(post(SIGN, &header, "{}")).await),
        "it speaks to us, so it is asked again"
    );
}

#[tokio::test]
async fn a_key_that_ran_out_or_was_given_up_opens_nothing() {
    let (us, them) = us_and_them().await;
    let header = them.sign(&Method::POST, SIGN, Some(&json!({})));
    assert!(let_in(us.send(post(SIGN, &header, "{}")).await));
    us.time.clock.advance(Duration::from_hours(25));
    let answer = us.send(post(SIGN, &header, "{}")).await;
    assert_eq!(error(answer), code(401, "M_UNAUTHORIZED"), "it still says the same");
    us.time.clock.advance(Duration::from_mins(2));
    them.publish(&us.internet, EPOCH_MS + 3 * DAY_MS);
    assert!(let_in(us.send(post(SIGN, &header, "{}")).await), "it says that the key is good");
    let next = Elsewhere::new("them.example", 9);
    let mut keys = next.keys(EPOCH_MS + 9 * DAY_MS);
    keys["verify_keys"] = json!({ "ed25519:k_9": { "key": next.key.public_key() } });
    keys["old_verify_keys"] =
        json!({ "ed25519:k_1": { "key": them.key.public_key(), "expired_ts": EPOCH_MS } });
    us.time.clock.advance(Duration::from_hours(72));
    them.publish_as(&us.internet, next.signed_with(keys, "k_9"));
    assert_eq!(error(us.send(post(SIGN, &header, "{}")).await), code(401, "M_UNAUTHORIZED"));
}

#[tokio::test]
async fn an_unknown_type_of_query_does_not_exist() {
    let (us, them) = us_and_them().await;
    let target = "/_matrix/federation/v1/query/weather?of=today";
    let header = them.sign(&Method::GET, target, None);
    let answer = us.with_header(Method::GET, target, Some(&header), Value::Null).await;
    assert!(let_in(answer));
}

#[tokio::test]
async fn who_signs_a_request_is_no_longer_left_alone() {
    let (us, them) = us_and_them().await;
    let header = them.sign(&Method::POST, SIGN, Some(&json!({})));
    us.send(post(SIGN, &header, "{}")).await;
    us.internet.cut(&them.name);
    let remote = us.api.federation.remote();
    let request = ruma::api::federation::discovery::get_server_version::v1::Request::new();
    assert!(remote.call(&them.name, request).await.is_err());
    assert!(remote.is_backing_off(&them.name));
    us.send(post(SIGN, &header.replace("sig=\"", "sig=\"AAAA"), "{}")).await;
    assert!(remote.is_backing_off(&them.name), "a forgery clears nothing");
    us.send(post(SIGN, &header, "{}")).await;
    assert!(!remote.is_backing_off(&them.name));
}

#[tokio::test]
async fn a_server_that_is_denied_is_refused_before_anything_is_asked() {
    let us = server().await;
    let them = Elsewhere::new("some.denied.example:8448", 1);
    them.publish(&us.internet, EPOCH_MS + DAY_MS);
    let header = them.sign(&Method::POST, SIGN, Some(&json!({})));
    assert_eq!(error(us.send(post(SIGN, &header, "{}")).await), code(403, "M_FORBIDDEN"));
    assert!(us.internet.asked().is_empty());
}

#[tokio::test]
async fn the_body_of_a_stranger_is_not_read() {
    let us = server().await;
    let nobody = Elsewhere::new("nobody.example", 1);
    let header = nobody.sign(&Method::POST, SIGN, Some(&json!({})));
    let endless = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, Infallible>>());
    let answer = us.send(post(SIGN, &header, endless)).await;
    assert_eq!(error(answer), code(401, "M_UNAUTHORIZED"));
}

#[tokio::test]
async fn invented_names_stand_in_a_line_of_their_own() {
    let us = server().await;
    us.internet.never_answer("*.tarpit.example");
    let requests = (0..600).map(|number| {
        let them = Elsewhere::new(&format!("s{number}.tarpit.example"), 1);
        let header = them.sign(&Method::POST, SIGN, Some(&json!({})));
        us.send(post(SIGN, &header, "{}"))
    });
    let mut requests: FuturesUnordered<_> = requests.collect();
    for _ in STRANGERS_ASKED_MAX + STRANGERS_WAITING_MAX..600 {
        assert_eq!(error(requests.next().await.unwrap()), code(401, "M_UNAUTHORIZED"));
    }
    for _ in 0..100 {
        assert!(requests.next().now_or_never().is_none(), "the others are asked about or wait");
        tokio::task::yield_now().await;
    }
    assert_eq!(us.internet.asked().len(), STRANGERS_ASKED_MAX);
}
