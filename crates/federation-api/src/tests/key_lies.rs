//! What other servers say about their keys is believed only as far as it proves itself.

use http::Method;
use serde_json::{Value, json};
use vestibule_testkit::EPOCH_MS;

use super::{Server, code, elsewhere::Elsewhere, error, server};

const SIGN: &str = "/_matrix/policy/v1/sign";
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Whether a request of this server is let in when this is what it says of its keys.
async fn believed(them: &Elsewhere, keys: Value) -> bool {
    let us = server().await;
    them.publish_as(&us.internet, keys);
    let_in(&us, them).await
}

async fn let_in(us: &Server, them: &Elsewhere) -> bool {
    let header = them.sign(&Method::POST, SIGN, Some(&json!({})));
    let answer = error(us.with_header(Method::POST, SIGN, Some(&header), json!({})).await);
    assert!(answer == code(401, "M_UNAUTHORIZED") || answer == code(404, "M_UNRECOGNIZED"));
    answer.0 == 404
}

#[tokio::test]
async fn an_honest_answer_is_believed() {
    let them = Elsewhere::new("them.example", 1);
    assert!(believed(&them, them.signed(them.keys(EPOCH_MS + DAY_MS))).await);
    let mut keys = them.keys(EPOCH_MS + DAY_MS);
    keys["more"] = json!({ "signed": "too" });
    keys.as_object_mut().unwrap().remove("old_verify_keys");
    assert!(believed(&them, them.signed(keys)).await);
}

#[tokio::test]
async fn the_keys_of_another_server_are_not() {
    let (them, other) = (Elsewhere::new("them.example", 1), Elsewhere::new("other.example", 1));
    assert!(!believed(&them, other.signed(other.keys(EPOCH_MS + DAY_MS))).await);
    let mut claimed = them.keys(EPOCH_MS + DAY_MS);
    claimed["server_name"] = json!("other.example");
    assert!(!believed(&them, them.signed(claimed)).await);
}

#[tokio::test]
async fn an_answer_must_be_signed_with_a_key_it_names() {
    let (them, other) = (Elsewhere::new("them.example", 1), Elsewhere::new("them.example", 2));
    let honest = them.keys(EPOCH_MS + DAY_MS);
    assert!(!believed(&them, honest.clone()).await, "no signature");
    assert!(!believed(&them, other.signed(honest.clone())).await, "another key under its name");
    let mut changed = them.signed(honest.clone());
    changed["valid_until_ts"] = json!(EPOCH_MS + 2 * DAY_MS);
    assert!(!believed(&them, changed).await, "changed afterwards");
    let mut retired = honest;
    retired["old_verify_keys"] = json!({
        "ed25519:k_1": { "key": them.key.public_key(), "expired_ts": EPOCH_MS },
    });
    retired["verify_keys"] = json!({ "ed25519:k_2": { "key": other.key.public_key() } });
    assert!(!believed(&them, them.signed(retired)).await, "signed with a key of before");
}

#[tokio::test]
async fn malformed_and_overlong_answers_are_not() {
    let them = Elsewhere::new("them.example", 1);
    let honest = || them.keys(EPOCH_MS + DAY_MS);
    let mut many = honest();
    for number in 0..5_000 {
        many["verify_keys"][format!("ed25519:x_{number}")] =
            json!({ "key": them.key.public_key() });
    }
    assert!(!believed(&them, them.signed(many)).await, "thousands of keys");
    let mut few_too_many = honest();
    for number in 0..64 {
        few_too_many["old_verify_keys"][format!("ed25519:x_{number}")] =
            json!({ "key": them.key.public_key(), "expired_ts": 1 });
    }
    assert!(!believed(&them, them.signed(few_too_many)).await, "more than are kept");
    for (field, value) in [
        ("server_name", json!(7)),
        ("verify_keys", json!([])),
        ("verify_keys", json!({})),
        ("verify_keys", json!({ "ed25519:k_1": { "key": "short" } })),
        ("valid_until_ts", json!("soon")),
        ("valid_until_ts", json!(-1)),
    ] {
        let mut broken = honest();
        broken[field] = value;
        assert!(!believed(&them, them.signed(broken.clone())).await, "{broken}");
    }
    assert!(!believed(&them, json!([])).await);
    assert!(!believed(&them, json!("keys")).await);
}

#[tokio::test]
async fn an_answer_that_ran_out_opens_nothing() {
    let them = Elsewhere::new("them.example", 1);
    assert!(!believed(&them, them.signed(them.keys(EPOCH_MS - 1))).await);
}

#[tokio::test]
async fn a_key_for_ever_is_good_for_a_week() {
    let (us, them) = (server().await, Elsewhere::new("them.example", 1));
    them.publish(&us.internet, (1 << 53) - 1);
    assert!(let_in(&us, &them).await);
    us.internet.cut(&them.name);
    us.time.clock.advance(std::time::Duration::from_hours(6 * 24));
    assert!(let_in(&us, &them).await);
    us.time.clock.advance(std::time::Duration::from_hours(25));
    assert!(!let_in(&us, &them).await);
}
