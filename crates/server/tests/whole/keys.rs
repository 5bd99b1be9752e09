//! Changing the key this server signs with.

use serde_json::{Value, json};
use vestibule_testkit::server::{Blueprint, HttpClient, TestServer};

/// A server with a second listener, for other servers.
const FEDERATION: &str = "[[listener]]\nbind = \"127.0.0.1:0\"\nserves = [\"federation\"]\n";

async fn started() -> TestServer {
    Blueprint::default().on_disk().with(FEDERATION).start().await
}

async fn published(server: &TestServer) -> Value {
    let http = HttpClient::to(server.running().addresses()[1]);
    http.get("/_matrix/key/v2/server").await.ok()
}

fn only(keys: &Value) -> String {
    let keys = keys.as_object().unwrap();
    assert_eq!(keys.len(), 1, "{keys:?}");
    keys.keys().next().unwrap().clone()
}

#[tokio::test]
async fn a_new_key_is_used_from_the_next_start_and_the_old_one_stays_published() {
    let server = started().await;
    let before = published(&server).await;
    let first = only(&before["verify_keys"]);
    server.operator("POST", "/keys/rotate", &json!({})).await.ok();
    assert_eq!(only(&published(&server).await["verify_keys"]), first, "not before the next start");
    let server = server.restart().await;
    let after = published(&server).await;
    let second = only(&after["verify_keys"]);
    assert_ne!(first, second);
    assert_eq!(only(&after["old_verify_keys"]), first);
    assert_eq!(after["old_verify_keys"][&first]["key"], before["verify_keys"][&first]["key"]);
    let expired = after["old_verify_keys"][&first]["expired_ts"].as_u64().unwrap();
    assert!(expired < after["valid_until_ts"].as_u64().unwrap());
    assert!(after["signatures"]["localhost"][&second].is_string());
    let told = server.operator("GET", "/keys", &Value::Null).await.ok();
    assert_eq!(told["keys"][0], json!({ "key_id": second, "expired_at": null }));
    assert_eq!(told["keys"][1], json!({ "key_id": first, "expired_at": expired }));
    let server = server.restart().await;
    assert_eq!(only(&published(&server).await["verify_keys"]), second, "it is changed once");
}
