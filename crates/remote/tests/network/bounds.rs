//! What an answer may cost.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use hyper::body::Frame;
use vestibule_remote::TransportError;

use crate::{
    peer::{Answer, Heard, Peer, endless, page, streamed},
    scene::{PORT, Scene},
};

async fn answering(
    scene: &mut Scene,
    protocols: &[&'static str],
    answer: impl Fn(&Heard) -> Answer + Send + Sync + 'static,
) -> Peer {
    let mut plan = scene.plan(PORT, &["a.test"]);
    plan.protocols = protocols.to_vec();
    scene.name("a.test", &[plan.socket.ip()]);
    plan.answering(answer).await
}

#[track_caller]
fn bad(result: Result<vestibule_remote::Reply, TransportError>) -> String {
    match result {
        Err(TransportError::BadAnswer(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_answer_as_large_as_allowed_is_read_and_one_byte_more_is_not() {
    for protocols in [&["h2"][..], &["http/1.1"]] {
        let mut scene = Scene::new();
        answering(&mut scene, protocols, |_| page(200, &[], vec![b'x'; 1_000])).await;
        assert_eq!(scene.send_with("a.test", 1_000).await.unwrap().body.len(), 1_000);
        let reason = bad(scene.send_with("a.test", 999).await);
        assert_eq!(reason, "more than 999 bytes");
    }
}

#[tokio::test]
async fn an_answer_that_says_it_is_too_large_is_not_read() {
    let mut scene = Scene::new();
    let answer = |_: &_| {
        let pieces = stream::once(async { Ok(Frame::data(Bytes::from_static(b"x"))) });
        streamed(200, &[("content-length", "5000")], pieces.chain(stream::pending()))
    };
    answering(&mut scene, &["http/1.1"], answer).await;
    assert_eq!(bad(scene.send("a.test").await), "more than 1000 bytes");
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    for protocols in [&["h2"][..], &["http/1.1"]] {
        let mut scene = Scene::new();
        answering(&mut scene, protocols, |_| streamed(200, &[], endless())).await;
        assert_eq!(bad(scene.send_with("a.test", 100_000).await), "more than 100000 bytes");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_bad_one() {
    for protocols in [&["h2"][..], &["http/1.1"]] {
        let mut scene = Scene::new();
        let answer = |_: &_| {
            let piece = stream::once(async { Ok(Frame::data(Bytes::from_static(b"{"))) });
            // The beginning must have left before the end comes.
            let broken = stream::once(async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(std::io::Error::other("broken"))
            });
            streamed(200, &[], piece.chain(broken))
        };
        answering(&mut scene, protocols, answer).await;
        let reason = bad(scene.send("a.test").await);
        assert!(reason.starts_with("cut off"), "{reason}");
    }
}

#[tokio::test]
async fn a_redirect_of_the_api_is_an_answer_and_not_followed() {
    let mut scene = Scene::new();
    let other = scene.homeserver(0, &["b.test"]).await;
    let to = format!("https://{}/", other.socket);
    answering(&mut scene, &["h2"], move |_| page(302, &[("location", &to)], "")).await;
    assert_eq!(scene.send("a.test").await.unwrap().status, 302);
    assert_eq!(other.connections(), 0);
}
