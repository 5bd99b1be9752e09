//! Whom a certificate must be for, and who must have signed it.

use vestibule_testkit::tls::TestAuthority;

use crate::{
    peer::page,
    scene::{PORT, Scene, unreachable},
};

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(PORT, &["b.test"]).await;
    scene.name("a.test", &[peer.socket.ip()]);
    let reason = unreachable(scene.send("a.test").await);
    assert!(reason.contains("certificate"), "{reason}");
    assert!(peer.heard().is_empty());
}

#[tokio::test]
async fn the_target_of_an_srv_record_must_have_the_certificate_of_the_name() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(0, &["c.test"]).await;
    scene.service("_matrix-fed._tcp.a.test", 1, "c.test", peer.socket.port());
    scene.name("c.test", &[peer.socket.ip()]);
    let reason = unreachable(scene.send("a.test").await);
    assert!(reason.contains("certificate"), "{reason}");
}

#[tokio::test]
async fn a_delegate_must_have_the_certificate_of_the_delegated_name() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(PORT, &["a.test"]).await;
    scene.delegating("a.test", "b.test").await;
    scene.name("b.test", &[peer.socket.ip()]);
    let reason = unreachable(scene.send("a.test").await);
    assert!(reason.contains("certificate"), "{reason}");
}

#[tokio::test]
async fn an_address_must_be_in_the_certificate_itself() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(PORT, &["a.test"]).await;
    let reason = unreachable(scene.send(&peer.socket.ip().to_string()).await);
    assert!(reason.contains("certificate"), "{reason}");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let mut scene = Scene::new();
    let mut plan = scene.plan(PORT, &["a.test"]);
    plan.certificate = TestAuthority::new().certificate(&["a.test"]);
    let peer = plan.answering(|_| page(200, &[], "{}")).await;
    scene.name("a.test", &[peer.socket.ip()]);
    let reason = unreachable(scene.send("a.test").await);
    assert!(reason.contains("invalid peer certificate"), "{reason}");
}
