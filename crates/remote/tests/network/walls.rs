//! Private addresses are not reached, whichever way they come in.

use std::net::SocketAddr;

use crate::{
    peer::{Peer, address, page},
    scene::{PORT, Scene, WEB_PORT, refused},
};

/// A machine behind the wall that would answer gladly.
async fn inner(scene: &Scene, port: u16, hosts: &[&str]) -> Peer {
    let plan = scene.plan_at(SocketAddr::new(address(), port), hosts);
    plan.answering(|_| page(200, &[], "{\"m.server\":\"b.test\"}")).await
}

#[tokio::test]
async fn not_by_a_literal() {
    let mut scene = Scene::new();
    let inner = inner(&scene, PORT, &["ADDRESS"]).await;
    let address = inner.socket.ip().to_string();
    refused(scene.send(&address).await);
    refused(scene.send(&format!("{address}:{PORT}")).await);
    refused(scene.send(&format!("[::ffff:{address}]:{PORT}")).await);
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn not_by_a_name() {
    let mut scene = Scene::new();
    let inner = inner(&scene, PORT, &["a.test"]).await;
    scene.name("a.test", &[inner.socket.ip()]);
    refused(scene.send("a.test").await);
    refused(scene.send(&format!("a.test:{PORT}")).await);
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn not_by_one_address_among_several() {
    let mut scene = Scene::new();
    let inner = inner(&scene, PORT, &["a.test"]).await;
    let open = scene.homeserver(PORT, &["a.test"]).await;
    scene.name("a.test", &[inner.socket.ip(), open.socket.ip()]);
    scene.send("a.test").await.unwrap();
    open.only();
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn not_by_an_srv_record() {
    let mut scene = Scene::new();
    let inner = inner(&scene, 0, &["a.test"]).await;
    scene.name("inner.test", &[inner.socket.ip()]);
    let address = inner.socket.ip().to_string();
    for target in ["inner.test", &address] {
        scene.service("_matrix-fed._tcp.a.test", 1, target, inner.socket.port());
    }
    refused(scene.send("a.test").await);
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn not_by_a_delegation() {
    let mut scene = Scene::new();
    let inner = inner(&scene, 0, &["ADDRESS", "b.test"]).await;
    scene.name("b.test", &[inner.socket.ip()]);
    scene.delegating("a.test", &inner.socket.to_string()).await;
    scene.delegating("c.test", &format!("b.test:{}", inner.socket.port())).await;
    refused(scene.send("a.test").await);
    refused(scene.send("c.test").await);
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn not_to_fetch_a_delegation() {
    let mut scene = Scene::new();
    let inner = inner(&scene, WEB_PORT, &["a.test"]).await;
    scene.name("a.test", &[inner.socket.ip()]);
    refused(scene.send("a.test").await);
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn not_by_a_redirect() {
    let mut scene = Scene::new();
    let inner = inner(&scene, WEB_PORT, &["ADDRESS", "inner.test"]).await;
    scene.name("inner.test", &[inner.socket.ip()]);
    let itself = scene.homeserver(0, &["a.test"]).await;
    scene.service("_matrix-fed._tcp.a.test", 1, "c.test", itself.socket.port());
    scene.name("c.test", &[itself.socket.ip()]);
    let locations = [
        format!("https://{}/", inner.socket),
        format!("https://[::ffff:{}]:{WEB_PORT}/", inner.socket.ip()),
        "https://inner.test/".to_owned(),
        format!("http://{}/", inner.socket),
    ];
    for location in locations {
        scene.website("a.test", move |_| page(302, &[("location", &location)], "")).await;
        // The redirect leads nowhere, and the server is found without it.
        scene.send("a.test").await.unwrap();
        scene.pass(std::time::Duration::from_hours(2));
    }
    assert_eq!((inner.connections(), itself.heard().len()), (0, 4));
}
