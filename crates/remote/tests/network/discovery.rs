//! How a server is found, case by case (server-server API, "Resolving server names").

use std::net::{IpAddr, SocketAddr};

use vestibule_remote::{Names, SystemNames};

use crate::{
    peer::page,
    scene::{PORT, Scene, unreachable},
};

const NEW: &str = "_matrix-fed._tcp";
const OLD: &str = "_matrix._tcp";

#[tokio::test]
async fn an_ip_literal_with_a_port_is_the_address() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(0, &["ADDRESS"]).await;
    let name = peer.socket.to_string();
    scene.send(&name).await.unwrap();
    let heard = peer.only();
    assert_eq!((heard.host, heard.sni), (name, None));
    assert_eq!(heard.path, "/_matrix/federation/v1/version?x=1");
    assert!(scene.asked().is_empty());
}

#[tokio::test]
async fn an_ip_literal_without_a_port_has_the_usual_one() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(PORT, &["ADDRESS"]).await;
    let name = peer.socket.ip().to_string();
    scene.send(&name).await.unwrap();
    assert_eq!(peer.only().host, name);
}

#[tokio::test]
async fn a_name_with_a_port_is_resolved_and_asked_for_no_delegation() {
    let mut scene = Scene::new();
    let site = scene.delegating("a.test", "elsewhere.test").await;
    let plan = scene.plan_at(SocketAddr::new(site.socket.ip(), 0), &["a.test"]);
    let peer = plan.answering(|_| page(200, &[], "{}")).await;
    let name = format!("a.test:{}", peer.socket.port());
    scene.send(&name).await.unwrap();
    let heard = peer.only();
    assert_eq!((heard.host, heard.sni.as_deref()), (name, Some("a.test")));
    assert!(site.heard().is_empty());
    assert_eq!(scene.asked(), ["a.test"]);
}

#[tokio::test]
async fn a_delegation_to_an_address_with_a_port_is_followed() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(0, &["ADDRESS"]).await;
    let site = scene.delegating("a.test", &peer.socket.to_string()).await;
    scene.send("a.test").await.unwrap();
    let heard = site.only();
    assert_eq!(heard.path, "/.well-known/matrix/server");
    assert_eq!((heard.host.as_str(), heard.sni.as_deref()), ("a.test", Some("a.test")));
    let heard = peer.only();
    assert_eq!((heard.host, heard.sni), (peer.socket.to_string(), None));
}

#[tokio::test]
async fn a_delegation_to_an_address_without_a_port_has_the_usual_one() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(PORT, &["ADDRESS"]).await;
    let address = peer.socket.ip().to_string();
    scene.delegating("a.test", &address).await;
    scene.send("a.test").await.unwrap();
    assert_eq!(peer.only().host, address);
}

#[tokio::test]
async fn a_delegation_to_a_name_with_a_port_needs_no_srv_record() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(0, &["b.test"]).await;
    let to = format!("b.test:{}", peer.socket.port());
    scene.delegating("a.test", &to).await;
    scene.name("b.test", &[peer.socket.ip()]);
    scene.service(&format!("{NEW}.b.test"), 1, "wrong.test", 1);
    scene.send("a.test").await.unwrap();
    let heard = peer.only();
    assert_eq!((heard.host, heard.sni.as_deref()), (to, Some("b.test")));
}

#[tokio::test]
async fn a_delegation_to_a_bare_name_follows_its_srv_record() {
    for service in [NEW, OLD] {
        let mut scene = Scene::new();
        let peer = scene.homeserver(0, &["b.test"]).await;
        scene.delegating("a.test", "b.test").await;
        scene.service(&format!("{service}.b.test"), 1, "c.test", peer.socket.port());
        scene.name("c.test", &[peer.socket.ip()]);
        scene.send("a.test").await.unwrap();
        let heard = peer.only();
        assert_eq!((heard.host.as_str(), heard.sni.as_deref()), ("b.test", Some("b.test")));
    }
}

#[tokio::test]
async fn a_delegation_to_a_bare_name_without_srv_record_has_the_usual_port() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(PORT, &["b.test"]).await;
    scene.delegating("a.test", "b.test").await;
    scene.name("b.test", &[peer.socket.ip()]);
    scene.send("a.test").await.unwrap();
    let heard = peer.only();
    assert_eq!((heard.host.as_str(), heard.sni.as_deref()), ("b.test", Some("b.test")));
}

#[tokio::test]
async fn a_delegation_is_not_asked_for_a_further_one() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(PORT, &["b.test"]).await;
    scene.delegating("a.test", "b.test").await;
    let plan =
        scene.plan_at(SocketAddr::new(peer.socket.ip(), crate::scene::WEB_PORT), &["b.test"]);
    let site = plan.answering(|_| page(200, &[], "{\"m.server\":\"c.test\"}")).await;
    scene.name("b.test", &[peer.socket.ip()]);
    scene.send("a.test").await.unwrap();
    assert_eq!(peer.only().host, "b.test");
    assert!(site.heard().is_empty());
}

#[tokio::test]
async fn a_name_without_a_delegation_follows_its_srv_record() {
    for service in [NEW, OLD] {
        let mut scene = Scene::new();
        let peer = scene.homeserver(0, &["a.test"]).await;
        scene.website("a.test", |_| page(404, &[], "no")).await;
        scene.service(&format!("{service}.a.test"), 1, "c.test", peer.socket.port());
        scene.name("c.test", &[peer.socket.ip()]);
        scene.send("a.test").await.unwrap();
        let heard = peer.only();
        assert_eq!((heard.host.as_str(), heard.sni.as_deref()), ("a.test", Some("a.test")));
    }
}

#[tokio::test]
async fn the_new_srv_record_wins_over_the_old_one() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(0, &["a.test"]).await;
    scene.service(&format!("{NEW}.a.test"), 9, "c.test", peer.socket.port());
    scene.service(&format!("{OLD}.a.test"), 1, "wrong.test", 1);
    scene.name("c.test", &[peer.socket.ip()]);
    scene.send("a.test").await.unwrap();
    peer.only();
}

#[tokio::test]
async fn a_name_with_neither_has_the_usual_port() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(PORT, &["a.test"]).await;
    scene.name("a.test", &[peer.socket.ip()]);
    scene.send("a.test").await.unwrap();
    let heard = peer.only();
    assert_eq!((heard.host.as_str(), heard.sni.as_deref()), ("a.test", Some("a.test")));
}

#[tokio::test]
async fn a_broken_name_server_does_not_stand_in_the_way_of_the_usual_port() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(PORT, &["a.test"]).await;
    scene.name("a.test", &[peer.socket.ip()]);
    scene.services_are_broken();
    scene.send("a.test").await.unwrap();
    peer.only();
}

#[tokio::test]
async fn targets_of_srv_records_are_tried_by_priority() {
    let mut scene = Scene::new();
    let first = scene.homeserver(0, &["a.test"]).await;
    let second = scene.homeserver(0, &["a.test"]).await;
    let service = format!("{NEW}.a.test");
    let down = scene.open_address();
    scene.service(&service, 30, "second.test", second.socket.port());
    scene.service(&service, 10, "down.test", 9);
    scene.service(&service, 20, "first.test", first.socket.port());
    scene.name("down.test", &[down]);
    scene.name("first.test", &[first.socket.ip()]);
    scene.name("second.test", &[second.socket.ip()]);
    scene.send("a.test").await.unwrap();
    first.only();
    assert_eq!(second.connections(), 0);
}

#[tokio::test]
async fn an_srv_record_may_say_that_there_is_no_server() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(PORT, &["a.test"]).await;
    scene.name("a.test", &[peer.socket.ip()]);
    scene.service(&format!("{NEW}.a.test"), 0, "", 0);
    let reason = unreachable(scene.send("a.test").await);
    assert!(reason.contains("there is no server"), "{reason}");
    assert!(peer.heard().is_empty());
}

#[tokio::test]
async fn a_server_whose_address_is_known_is_looked_up_nowhere() {
    let mut scene = Scene::new();
    let site = scene.delegating("a.test", "elsewhere.test").await;
    let socket = SocketAddr::new(crate::peer::address(), 0);
    let peer = scene.plan_at(socket, &["a.test"]).answering(|_| page(200, &[], "{}")).await;
    scene.known("a.test", peer.socket);
    scene.send("a.test").await.unwrap();
    let heard = peer.only();
    assert_eq!((heard.host.as_str(), heard.sni.as_deref()), ("a.test", Some("a.test")));
    assert!(site.heard().is_empty() && scene.asked().is_empty());
}

#[tokio::test]
async fn a_known_web_server_tells_the_delegation_and_is_not_looked_up() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(0, &["ADDRESS"]).await;
    let to = serde_json::json!({ "m.server": peer.socket.to_string() }).to_string();
    let socket = SocketAddr::new(crate::peer::address(), 0);
    let site = scene.plan_at(socket, &["a.test"]).answering(move |_| page(200, &[], to.clone()));
    let site = site.await;
    scene.known_web("a.test", site.socket);
    scene.send("a.test").await.unwrap();
    let heard = site.only();
    assert_eq!((heard.host.as_str(), heard.sni.as_deref()), ("a.test", Some("a.test")));
    peer.only();
    assert!(scene.asked().is_empty());
}

#[tokio::test]
async fn a_known_web_server_is_no_homeserver() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(PORT, &["a.test"]).await;
    scene.name("a.test", &[peer.socket.ip()]);
    let site = scene.plan(0, &["a.test"]).answering(|_| page(404, &[], "")).await;
    scene.known_web("a.test", site.socket);
    scene.send("a.test").await.unwrap();
    peer.only();
    site.only();
}

#[tokio::test]
async fn a_name_that_leads_nowhere_says_so() {
    let mut scene = Scene::new();
    let reason = unreachable(scene.send("nowhere.test").await);
    assert!(reason.contains("nowhere.test has no address"), "{reason}");
}

#[tokio::test]
async fn a_machine_where_nobody_listens_says_so() {
    let mut scene = Scene::new();
    let down = scene.open_address();
    scene.name("a.test", &[down]);
    let reason = unreachable(scene.send("a.test:9").await);
    assert!(reason.contains("refused"), "{reason}");
}

#[tokio::test]
async fn the_machine_itself_knows_its_own_name() {
    let found = SystemNames::new().addresses("localhost".to_owned()).await.unwrap();
    assert!(found.iter().all(IpAddr::is_loopback) && !found.is_empty(), "{found:?}");
}
