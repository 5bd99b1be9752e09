//! What an operator is told of a server that can be connected to.

use ruma::CanonicalJsonObject;
use serde_json::{Value, json};
use vestibule_events::SigningKey;
use vestibule_remote::{Finding, Outcome, RemoteConfig, ServerLists};
use vestibule_testkit::{EPOCH_MS, environment, memory_store};

use crate::peer::{Act, Scene, them};

/// Their keys, as they would publish them.
fn keys(name: &str, valid_until: u64) -> Value {
    let key = SigningKey::from_seed([9; 32], "theirs").unwrap();
    let object = json!({
        "server_name": name,
        "valid_until_ts": valid_until,
        "verify_keys": { "ed25519:theirs": { "key": key.public_key() } },
        "old_verify_keys": {},
    });
    let mut object: CanonicalJsonObject = serde_json::from_value(object).unwrap();
    key.sign_json(name.try_into().unwrap(), &mut object).unwrap();
    serde_json::to_value(object).unwrap()
}

async fn examined(keys: Value, signed: Act) -> Vec<Finding> {
    let scene = Scene::new().await;
    let version = json!({ "server": { "name": "Other", "version": "1.2" } });
    scene.peer.then(Act::Answer(200, version)).then(Act::Answer(200, keys)).then(signed);
    scene.remote.examine(them()).await
}

fn nobody() -> Act {
    Act::Answer(404, json!({ "errcode": "M_NOT_FOUND", "error": "who?" }))
}

#[tokio::test]
async fn a_good_server_passes_every_step() {
    let findings = examined(keys("them.example", EPOCH_MS + 1), nobody()).await;
    assert!(findings.iter().all(|it| it.outcome == Outcome::Fine), "{findings:?}");
    assert_eq!(findings[0].text, "Other 1.2");
    assert_eq!(findings[1].text, "ed25519:theirs");
}

#[tokio::test]
async fn keys_that_cannot_be_believed_are_told() {
    let mut forged = keys("them.example", EPOCH_MS + 1);
    forged["valid_until_ts"] = json!(EPOCH_MS + 2);
    for (keys, told) in [
        (keys("others.example", EPOCH_MS + 1), "keys of others.example"),
        (keys("them.example", EPOCH_MS), "no longer valid"),
        (forged, "signature"),
        (json!({}), "missing field"),
    ] {
        let findings = examined(keys, nobody()).await;
        assert_eq!(findings[1].outcome, Outcome::Failed, "{findings:?}");
        assert!(findings[1].text.contains(told), "{findings:?}");
    }
}

#[tokio::test]
async fn a_signature_that_is_not_accepted_is_told() {
    let refused = Act::Answer(401, json!({ "errcode": "M_UNAUTHORIZED", "error": "bad sig" }));
    let findings = examined(keys("them.example", EPOCH_MS + 1), refused).await;
    assert_eq!(findings[2].outcome, Outcome::Failed, "{findings:?}");
    assert!(findings[2].text.contains("bad sig"), "{findings:?}");
}

#[tokio::test]
async fn a_failing_server_is_asked_all_the_same_and_its_failures_are_told() {
    let scene = Scene::new().await;
    scene.peer.then(Act::Unreachable).then(Act::Unreachable).then(Act::Unreachable);
    scene.remote.examine(them()).await;
    assert_eq!(scene.peer.heard().len(), 3);
    let findings = scene.remote.examine(them()).await;
    assert_eq!((findings[0].step, findings[0].outcome), ("back-off", Outcome::Notable));
    assert_eq!(scene.peer.heard().len(), 6);
}

#[tokio::test]
async fn whom_the_operator_denies_is_not_asked() {
    let config = RemoteConfig {
        servers: ServerLists::new(&["other.example".to_owned()], &[]),
        ..RemoteConfig::default()
    };
    let scene = Scene::with(memory_store(1), environment(7), config).await;
    let findings = scene.remote.examine(them()).await;
    assert_eq!((findings.len(), findings[0].outcome), (1, Outcome::Failed));
    assert!(findings[0].text.contains("federation.allowed_servers"), "{findings:?}");
    assert!(scene.peer.heard().is_empty());
}
