//! Rooms with a policy server.

use std::sync::Arc;

use axum::{Json, Router, http::StatusCode, response::IntoResponse, routing::post};
use parking_lot::Mutex;
use serde_json::{Value, json};
use vestibule_events::SigningKey;
use vestibule_testkit::server::PretendServer;

use crate::support::{error_of, scene};

#[tokio::test]
async fn events_need_the_signature_of_the_rooms_policy_server() {
    let mut scene = scene().await;
    let key = Arc::new(SigningKey::from_seed([3; 32], "policy_server").unwrap());
    let public = key.public_key();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let sign = {
        let asked = asked.clone();
        move |Json(event): Json<Value>| async move {
            let text = event["content"]["body"].as_str().unwrap_or_default().to_owned();
            asked.lock().push(text.clone());
            if text.contains("spam") {
                let refusal = json!({ "errcode": "M_FORBIDDEN", "error": "spam" });
                return (StatusCode::BAD_REQUEST, Json(refusal)).into_response();
            }
            let mut object: ruma::CanonicalJsonObject = serde_json::from_value(event).unwrap();
            let rules = ruma::RoomVersionId::V11.rules().unwrap();
            let name = "policy.example";
            object.remove("signatures");
            ruma::signatures::sign_event(name, &*key, &mut object, &rules.redaction).unwrap();
            let object = serde_json::to_value(object).unwrap();
            Json(json!({ name: object["signatures"][name] })).into_response()
        }
    };
    let router = Router::new().route("/_matrix/policy/v1/sign", post(sign));
    let policy = PretendServer::answering(&scene.network, "policy.example", router);
    let content = json!({ "via": "policy.example", "public_keys": { "ed25519": public } });
    scene.alice.set_state(&scene.room, "m.room.policy", "", &content).await.ok();
    // Without a member in the room it does not count.
    let before = scene.message(&scene.ends().await, "spam before").await;
    scene.send(std::slice::from_ref(&before)).await;
    assert_eq!(scene.read().await, ["spam before"]);
    assert!(asked.lock().is_empty());

    policy.slip_in(&scene.home, &scene.room, "guard").await;
    let ends = scene.ends().await;
    let good = scene.message(&ends, "good").await;
    let spam = scene.message(&ends.clone().after(&good), "spam").await;
    let answers = scene.send(&[good.clone(), spam.clone()]).await;
    assert_eq!(error_of(&answers, &good), None);
    assert_eq!(error_of(&answers, &spam), None, "a soft failure is no error");
    assert_eq!(scene.read().await, ["spam before", "good"]);
    assert_eq!(*asked.lock(), ["good", "spam"]);
    // Its signature is kept with the event, so nobody has to ask again.
    let kept = scene.home.running().rooms();
    let room = ruma::RoomId::parse(&scene.room).unwrap();
    let id = good.event_id().clone();
    let kept = kept.with_view(&room, move |view| {
        Ok::<_, vestibule_storage::StorageError>(view.event_by_id(&id)?.unwrap().pdu)
    });
    let kept = kept.await.unwrap().unwrap();
    let server = ruma::server_name!("policy.example");
    assert!(vestibule_events::is_recommended(&kept, server, &public));
}
