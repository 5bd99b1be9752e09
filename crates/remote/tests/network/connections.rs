//! Which HTTP is spoken, and how long connections are kept.

use http::Version;

use crate::{
    peer::page,
    scene::{PORT, Scene},
};

#[tokio::test]
async fn http2_is_spoken_where_it_is_offered_over_one_connection() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(PORT, &["a.test"]).await;
    scene.name("a.test", &[peer.socket.ip()]);
    for _ in 0..3 {
        scene.send("a.test").await.unwrap();
    }
    assert!(peer.heard().iter().all(|heard| heard.version == Version::HTTP_2));
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn http1_is_spoken_where_nothing_is_offered_over_one_connection() {
    let mut scene = Scene::new();
    let mut plan = scene.plan(PORT, &["a.test"]);
    plan.protocols.clear();
    let peer = plan.answering(|_| page(200, &[], "{}")).await;
    scene.name("a.test", &[peer.socket.ip()]);
    for _ in 0..3 {
        scene.send("a.test").await.unwrap();
    }
    assert!(peer.heard().iter().all(|heard| heard.version == Version::HTTP_11));
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_fails_no_request() {
    let mut scene = Scene::new();
    let mut plan = scene.plan(PORT, &["a.test"]);
    plan.protocols = vec!["http/1.1"];
    plan.hangs_up = true;
    let peer = plan.answering(|_| page(200, &[], "{}")).await;
    scene.name("a.test", &[peer.socket.ip()]);
    for pause_ms in [0, 45, 50, 52, 100] {
        scene.send("a.test").await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
    }
}

#[tokio::test]
async fn servers_that_share_a_machine_do_not_share_connections() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(0, &["a.test", "b.test"]).await;
    let port = peer.socket.port();
    scene.name("a.test", &[peer.socket.ip()]).name("b.test", &[peer.socket.ip()]);
    for host in ["a.test", "b.test"] {
        scene.send(&format!("{host}:{port}")).await.unwrap();
    }
    let names: Vec<_> = peer.heard().into_iter().map(|heard| heard.sni.unwrap()).collect();
    assert_eq!(names, ["a.test", "b.test"]);
}

#[tokio::test]
async fn the_host_header_has_the_port_also_when_it_is_the_one_of_https() {
    let mut scene = Scene::new();
    let mut plan = scene.plan(0, &["a.test"]);
    plan.protocols = vec!["http/1.1"];
    let peer = plan.answering(|_| page(200, &[], "{}")).await;
    scene.known("a.test:443", peer.socket);
    scene.send("a.test:443").await.unwrap();
    assert_eq!(peer.only().host, "a.test:443");
}
