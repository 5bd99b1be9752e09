//! A new configuration for a running server.

use std::{fs, path::Path};

use serde_json::json;
use vestibule_testkit::server::{Blueprint, Network, PretendServer, TestServer};

async fn epoch(server: &TestServer) -> u64 {
    let answer = server.operator("GET", "/policy/check", &json!(null)).await.ok();
    answer["epoch"].as_u64().unwrap()
}

#[tokio::test]
async fn a_reload_opens_and_closes_doors_without_a_restart() {
    let server = Blueprint::default().with_guests().start().await;
    let moderator = server.person("mod", "moderator").await;
    let room = moderator.create_guest_room(Some("tea")).await;
    let first = epoch(&server).await;

    let never = format!("[\"{room}\"]");
    server.rewrite(|blueprint| blueprint.set("guests__never", &never));
    server.running().reload().await.unwrap();
    assert_eq!(epoch(&server).await, first + 1);
    let guest = server.guest().await;
    assert_eq!(guest.join(&room).await.refusal(), (403, "M_GUEST_ACCESS_FORBIDDEN"));

    server.rewrite(|blueprint| blueprint.set("guests__never", "[]"));
    server.operator("POST", "/reload", &json!({})).await.ok();
    guest.join(&room).await.ok();
}

#[tokio::test]
async fn a_bad_configuration_changes_nothing_and_says_why() {
    let server = Blueprint::default().with_guests().start().await;
    let first = epoch(&server).await;
    server.rewrite(|blueprint| {
        blueprint.set("guests__federated_join", "maybe").set("storage__cache_mib", "1")
    });
    let reason = server.running().reload().await.unwrap_err().to_string();
    assert!(reason.contains("guests.federated_join"), "{reason}");
    assert!(reason.contains("storage.cache_mib"), "{reason}");
    assert_eq!(epoch(&server).await, first);
    let refused = server.operator("POST", "/reload", &json!({})).await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn a_reload_shuts_out_a_server_and_lets_it_in_again() {
    let network = Network::new();
    let server = Blueprint::default().on(&network, "a.example").start().await;
    let other = PretendServer::on(&network, "b.example");
    let path = "/_matrix/federation/v1/query/directory?room_alias=%23none%3Aa.example";
    assert_eq!(other.get(&server, path).await.status, 404);
    server.rewrite(|it| it.set("federation__denied_servers", "[\"b.*\"]"));
    let told = server.running().reload().await.unwrap();
    assert!(!told.contains("waiting"), "{told}");
    assert_eq!(other.get(&server, path).await.status, 403);
    server.rewrite(|it| it.set("federation__denied_servers", "[]"));
    server.running().reload().await.unwrap();
    assert_eq!(other.get(&server, path).await.status, 404);
    server.rewrite(|it| it.set("federation__allowed_networks", "[\"10.0.0.0/8\"]"));
    let told = server.running().reload().await.unwrap();
    assert!(told.contains("waiting for a restart: federation"), "{told}");
}

#[tokio::test]
async fn another_server_name_is_refused() {
    let server = TestServer::start().await;
    server.rewrite(|blueprint| blueprint.set("server__name", "elsewhere.example"));
    let reason = server.running().reload().await.unwrap_err().to_string();
    assert!(reason.contains("server.name"), "{reason}");
}

#[tokio::test]
async fn what_needs_a_restart_is_told() {
    let server = TestServer::start().await;
    server.rewrite(|blueprint| blueprint.set("limits__workers", "7"));
    let told = server.running().reload().await.unwrap();
    assert!(told.contains("waiting for a restart: limits"), "{told}");
}

fn certify(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(folder.join("certificate.pem"), made.cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

#[tokio::test]
async fn a_broken_certificate_stops_the_whole_reload() {
    let files = tempfile::tempdir().unwrap();
    certify(files.path());
    let path = |name: &str| files.path().join(name).display().to_string();
    let tls = format!(
        "{{ certificate = \"{}\", private_key = \"{}\" }}",
        path("certificate.pem"),
        path("key.pem")
    );
    let server = Blueprint::default().with_guests().set("listener__0__tls", &tls).start().await;
    let first = epoch(&server).await;

    fs::write(files.path().join("key.pem"), "no key").unwrap();
    let reason = server.running().reload().await.unwrap_err().to_string();
    assert!(reason.contains("key.pem"), "{reason}");
    assert_eq!(epoch(&server).await, first);

    certify(files.path());
    server.running().reload().await.unwrap();
    assert_eq!(epoch(&server).await, first + 1);
}
