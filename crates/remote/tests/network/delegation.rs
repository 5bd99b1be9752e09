//! The `.well-known` file: redirects, what is no file, and how long an answer holds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    peer::{endless, page, streamed},
    scene::{PORT, Scene, WEB_PORT, send_over},
};

const HOUR: Duration = Duration::from_hours(1);

/// A homeserver that a delegation to `b.test` leads to, and another for `a.test` itself.
async fn both(scene: &mut Scene) -> (crate::peer::Peer, crate::peer::Peer) {
    let delegate = scene.homeserver(PORT, &["b.test"]).await;
    scene.name("b.test", &[delegate.socket.ip()]);
    let itself = scene.homeserver(0, &["a.test"]).await;
    scene.service("_matrix-fed._tcp.a.test", 1, "c.test", itself.socket.port());
    scene.name("c.test", &[itself.socket.ip()]);
    (delegate, itself)
}

#[tokio::test]
async fn redirects_are_followed_to_other_hosts_and_paths() {
    for status in [301, 302, 303, 307, 308] {
        let mut scene = Scene::new();
        let (delegate, _) = both(&mut scene).await;
        let to = format!("https://other.test:{WEB_PORT}/one");
        scene.website("a.test", move |_| page(status, &[("location", &to)], "")).await;
        let other = scene.website("other.test", |heard| match heard.path.as_str() {
            "/one" => page(302, &[("location", "/two")], ""),
            _ => page(200, &[], "{\"m.server\":\"b.test\"}"),
        });
        let other = other.await;
        scene.send("a.test").await.unwrap();
        assert_eq!(delegate.only().host, "b.test");
        assert_eq!(other.heard().len(), 2);
        assert_eq!(other.heard()[0].host, format!("other.test:{WEB_PORT}"));
    }
}

#[tokio::test]
async fn redirects_that_go_round_in_circles_end() {
    let mut scene = Scene::new();
    let (delegate, itself) = both(&mut scene).await;
    let answer = |_: &_| page(302, &[("location", "/.well-known/matrix/server")], "");
    let site = scene.website("a.test", answer).await;
    scene.send("a.test").await.unwrap();
    assert_eq!(site.heard().len(), 1);
    assert!(delegate.heard().is_empty());
    itself.only();
}

#[tokio::test]
async fn redirects_without_end_end() {
    let mut scene = Scene::new();
    let (_, itself) = both(&mut scene).await;
    let count = AtomicUsize::new(0);
    let site = scene.website("a.test", move |_| {
        let next = format!("/{}", count.fetch_add(1, Ordering::Relaxed));
        page(302, &[("location", &next)], "")
    });
    let site = site.await;
    scene.send("a.test").await.unwrap();
    assert_eq!(site.heard().len(), 6);
    itself.only();
}

#[tokio::test]
async fn what_is_no_delegation_counts_as_none() {
    let long = format!("{{\"m.server\":\"b.test\",\"x\":\"{}\"}}", "x".repeat(60_000));
    for (status, body) in [
        (404, "{\"m.server\":\"b.test\"}"),
        (500, "{\"m.server\":\"b.test\"}"),
        (201, "{\"m.server\":\"b.test\"}"),
        (200, "<html>"),
        (200, ""),
        (200, "{}"),
        (200, "{\"m.server\":7}"),
        (200, "{\"m.server\":\"not a name\"}"),
        (200, "{\"m.server\":\"b.test:99999\"}"),
        (200, "{\"m.server\":\"https://b.test\"}"),
        (200, &long),
    ] {
        let mut scene = Scene::new();
        let (delegate, itself) = both(&mut scene).await;
        let body = body.to_owned();
        let site = scene.website("a.test", move |_| page(status, &[], body.clone())).await;
        scene.send("a.test").await.unwrap();
        site.only();
        assert!(delegate.heard().is_empty());
        itself.only();
    }
}

#[tokio::test]
async fn a_file_without_end_counts_as_none() {
    let mut scene = Scene::new();
    let (_, itself) = both(&mut scene).await;
    scene.website("a.test", |_| streamed(200, &[], endless())).await;
    scene.send("a.test").await.unwrap();
    itself.only();
}

#[tokio::test]
async fn a_file_that_never_comes_counts_as_none() {
    let mut scene = Scene::new();
    let (_, itself) = both(&mut scene).await;
    let silence = |_: &_| streamed(200, &[], futures_util::stream::pending());
    let site = scene.website("a.test", silence).await;
    let clock = scene.clock.clone();
    let late = async {
        site.heard_so_many(1).await;
        clock.advance(Duration::from_secs(16));
    };
    let (sent, ()) = tokio::join!(scene.send("a.test"), late);
    sent.unwrap();
    itself.only();
}

#[tokio::test]
async fn a_delegation_is_asked_for_once_until_it_is_old() {
    let mut scene = Scene::new();
    let (delegate, _) = both(&mut scene).await;
    let site = scene.delegating("a.test", "b.test").await;
    for _ in 0..3 {
        scene.send("a.test").await.unwrap();
    }
    scene.pass(23 * HOUR);
    scene.send("a.test").await.unwrap();
    assert_eq!((site.heard().len(), delegate.heard().len()), (1, 4));
    scene.pass(2 * HOUR);
    scene.send("a.test").await.unwrap();
    assert_eq!(site.heard().len(), 2);
}

#[tokio::test]
async fn how_long_a_delegation_holds_is_said_by_the_answer() {
    let mut scene = Scene::new();
    both(&mut scene).await;
    let answer =
        |_: &_| page(200, &[("cache-control", "max-age=3600")], "{\"m.server\":\"b.test\"}");
    let site = scene.website("a.test", answer).await;
    scene.send("a.test").await.unwrap();
    scene.pass(Duration::from_mins(59));
    scene.send("a.test").await.unwrap();
    assert_eq!(site.heard().len(), 1);
    scene.pass(Duration::from_mins(2));
    scene.send("a.test").await.unwrap();
    assert_eq!(site.heard().len(), 2);
}

#[tokio::test]
async fn requests_at_the_same_time_ask_once() {
    let mut scene = Scene::new();
    let (delegate, _) = both(&mut scene).await;
    let site = scene.delegating("a.test", "b.test").await;
    let network = scene.network();
    let one = || send_over(network, "a.test", 1_000);
    let (a, b, c) = tokio::join!(one(), one(), one());
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    site.only();
    assert_eq!(delegate.heard().len(), 3);
}

#[tokio::test]
async fn failures_hold_for_longer_each_time() {
    let mut scene = Scene::new();
    both(&mut scene).await;
    let site = scene.website("a.test", |_| page(503, &[], "")).await;
    let mut asked = Vec::new();
    for _ in 0..300 {
        scene.send("a.test").await.unwrap();
        asked.push(site.heard().len());
        scene.pass(Duration::from_mins(1));
    }
    // At minute 0, 1, 3, 7, 15, 31, 63, and from then on every hour.
    assert_eq!((asked[0], asked[1], asked[2], asked[3], asked[7]), (1, 2, 2, 3, 4));
    assert_eq!((asked[62], asked[63], asked[122], asked[123]), (6, 7, 7, 8));
}

#[tokio::test]
async fn a_delegation_outlives_a_short_absence_of_the_website() {
    let mut scene = Scene::new();
    let (delegate, itself) = both(&mut scene).await;
    let up = Arc::new(AtomicUsize::new(1));
    let state = up.clone();
    let site = scene.website("a.test", move |_| match state.load(Ordering::Relaxed) {
        0 => page(503, &[], ""),
        _ => page(200, &[], "{\"m.server\":\"b.test\"}"),
    });
    let site = site.await;
    scene.send("a.test").await.unwrap();
    up.store(0, Ordering::Relaxed);
    scene.pass(25 * HOUR);
    scene.send("a.test").await.unwrap();
    assert_eq!((site.heard().len(), delegate.heard().len()), (2, 2));
    // After two days nothing is left of it.
    scene.pass(24 * HOUR);
    scene.send("a.test").await.unwrap();
    itself.only();
}
