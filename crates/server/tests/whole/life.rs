//! Starting, stopping, starting again.

use std::time::Duration;

use serde_json::json;
use vestibule_storage::{Snapshot, StorageError, jobs};
use vestibule_testkit::server::{Blueprint, PASSWORD, TestServer};

#[tokio::test]
async fn what_was_said_is_there_after_a_restart() {
    let server = Blueprint::default().on_disk().start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(&json!({})).await;
    alice.say(&room, "remember").await;
    let server = server.restart().await;
    let alice = server.login("alice").await;
    assert_eq!(alice.messages(&room).await, ["remember"]);
    assert_eq!(server.operator("GET", "/db/check", &json!(null)).await.ok()["problems_found"], 0);
}

#[tokio::test]
async fn a_status_message_is_there_after_a_restart_and_its_user_is_not() {
    let server = Blueprint::default().on_disk().start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(&json!({})).await;
    let path = format!("/_matrix/client/v3/presence/{}/status", alice.user_id);
    let said = json!({ "presence": "unavailable", "status_msg": "in a meeting until four" });
    alice.http().put(&path, &said).await.ok();
    alice.http().get("/_matrix/client/v3/sync").await.ok();
    alice.say(&room, "here").await;
    assert_eq!(alice.http().get(&path).await.ok()["presence"], "online");
    let server = server.restart().await;
    let alice = server.login("alice").await;
    let told = alice.http().get(&path).await.ok();
    assert_eq!((&told["presence"], &told["status_msg"]), (&json!("offline"), &said["status_msg"]));
    assert!(told["last_active_ago"].as_u64().is_some_and(|ago| ago < 60_000), "{told}");
    // What she did last was written when the server stopped: she is no longer as she had said.
    alice.http().get("/_matrix/client/v3/sync").await.ok();
    let told = alice.http().get(&path).await.ok();
    assert_eq!((&told["presence"], &told["status_msg"]), (&json!("online"), &said["status_msg"]));
    assert_eq!(server.operator("GET", "/db/check", &json!(null)).await.ok()["problems_found"], 0);
}

#[tokio::test]
async fn a_database_of_another_server_is_refused() {
    let server = Blueprint::default().on_disk().start().await;
    let folder = server.folder();
    server.stop().await;
    let other = Blueprint::default().on_disk().set("server__name", "elsewhere.example");
    let reason = other.try_start_in(folder.clone()).await.unwrap_err();
    assert!(reason.contains("localhost") && reason.contains("elsewhere.example"), "{reason}");
    // The refusal changed nothing: the right server still starts.
    assert!(Blueprint::default().on_disk().try_start_in(folder).await.is_ok());
}

#[tokio::test]
async fn two_servers_cannot_have_one_database() {
    let server = Blueprint::default().on_disk().start().await;
    let second = Blueprint::default().on_disk().try_start_in(server.folder()).await;
    assert!(second.unwrap_err().contains("does another process use it?"));
    assert_eq!(server.http().get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_taken_port_stops_the_start_and_names_the_key() {
    let server = TestServer::start().await;
    let port = server.address().port();
    let bind = format!("127.0.0.1:{port}");
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let second = Blueprint::default().set("listener__0__bind", &bind).try_start_in(folder).await;
    assert!(second.unwrap_err().contains("listener[0].bind"));
}

#[tokio::test]
async fn stopping_answers_a_parked_sync_instead_of_dropping_it() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let since = alice.sync("").await["next_batch"].as_str().unwrap().to_owned();
    let path = format!("/_matrix/client/v3/sync?timeout=30000&since={since}");
    let parked = alice.http().get(&path);
    let stop = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.stop().await;
    };
    let started = tokio::time::Instant::now();
    let (answer, ()) = tokio::join!(parked, stop);
    assert_eq!(answer.status, 200);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn every_documented_metric_is_there_before_anything_was_counted() {
    let server = Blueprint::default().set("listener__0__serves", "[\"metrics\"]").start().await;
    let told = server.http().get("/metrics").await.ok();
    let told = told.as_str().unwrap();
    let page = include_str!("../../../../docs/operations/metrics.md");
    // Each decision has the operator's classes as labels, each duration an endpoint.
    let later = ["vestibule_policy_decisions_total", "vestibule_http_request_seconds"];
    let rows = page.lines().filter(|line| line.starts_with("| `vestibule_"));
    let names = rows.filter_map(|row| row.split('|').nth(1)).flat_map(|cell| cell.split(','));
    let names: Vec<&str> = names.map(|name| name.trim().trim_matches('`')).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names.iter().filter(|name| !later.contains(name)) {
        let is_sample =
            |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        assert!(told.lines().any(is_sample), "{name} is not in\n{told}");
    }
}

#[tokio::test]
async fn a_listener_answers_only_what_it_serves() {
    let server = Blueprint::default().set("listener__0__serves", "[\"metrics\"]").start().await;
    let http = server.http();
    assert_eq!(http.get("/healthz").await.status, 200);
    assert_eq!(http.get("/metrics").await.status, 200);
    assert_eq!(http.get("/_matrix/client/versions").await.refusal(), (404, "M_UNRECOGNIZED"));
    assert_eq!(http.get("/_vestibule/admin/v1/users").await.refusal(), (404, "M_UNRECOGNIZED"));
}

#[tokio::test]
async fn requests_for_the_head_alone_are_counted_as_such() {
    let server = TestServer::start().await;
    let (http, path) = (server.http(), "/_matrix/client/versions");
    for method in ["HEAD", "BREW"] {
        http.request(method.parse().unwrap(), path, None).await;
    }
    let told = http.get("/metrics").await.ok();
    let counts: Vec<&str> =
        told.as_str().unwrap().lines().filter(|it| it.contains("_count{")).collect();
    let has = |endpoint: &str, method: &str| {
        let labels = [format!("endpoint=\"{endpoint}\""), format!("method=\"{method}\"")];
        counts.iter().any(|line| labels.iter().all(|label| line.contains(label)))
    };
    assert!(has(path, "HEAD"), "{counts:?}");
    assert!(has("none", "other") && !has(path, "BREW"), "{counts:?}");
}

#[tokio::test]
async fn work_that_a_request_left_behind_is_done_and_its_row_is_gone() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(&json!({ "preset": "public_chat" })).await;
    bob.join(&room).await.ok();
    let auth = json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.user", "user": "bob" },
        "password": PASSWORD,
    });
    bob.http().post("/_matrix/client/v3/account/deactivate", &json!({ "auth": auth })).await.ok();
    let left = async {
        loop {
            let member = alice.state(&room, "m.room.member", &bob.user_id).await.ok();
            if member["membership"] == "leave" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), left).await.unwrap();
    let none_left = async {
        while server.running().store().read(jobs_waiting).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), none_left).await.unwrap();
}

fn jobs_waiting(read: &Snapshot<'_>) -> Result<bool, StorageError> {
    jobs::any(read)
}
