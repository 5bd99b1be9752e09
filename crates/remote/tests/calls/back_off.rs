//! Who does not answer is left alone, the longer the more often.

use std::time::Duration;

use ruma::api::federation::discovery::get_server_version;
use serde_json::json;
use vestibule_remote::{CallOptions, RemoteError};

use crate::peer::{Act, Scene, them};

fn request() -> get_server_version::v1::Request {
    get_server_version::v1::Request::new()
}

async fn ask(scene: &Scene) -> Result<(), RemoteError> {
    scene.remote.call(them(), request()).await.map(|_| ())
}

#[tokio::test]
async fn a_server_that_is_down_is_not_asked_until_its_time_has_come() {
    let scene = Scene::new().await;
    scene.peer.then(Act::Unreachable);
    assert!(matches!(ask(&scene).await, Err(RemoteError::Unreachable { .. })));
    assert!(scene.remote.is_backing_off(them()));
    let error = ask(&scene).await.unwrap_err();
    let RemoteError::BackingOff { retry_after, .. } = error else { panic!("{error}") };
    assert!((4..=6).contains(&retry_after.as_secs()), "{retry_after:?}");
    assert_eq!(scene.peer.heard().len(), 1);
    scene.pass(7);
    ask(&scene).await.unwrap();
    assert!(!scene.remote.is_backing_off(them()));
    assert!(scene.remote.failing_servers(10).is_empty());
}

#[tokio::test]
async fn each_failure_doubles_the_wait_up_to_a_day() {
    let scene = Scene::new().await;
    let mut waits = Vec::new();
    for _ in 0..20 {
        scene.peer.then(Act::Unreachable);
        ask(&scene).await.unwrap_err();
        let wait = scene.remote.retry_after(them()).unwrap();
        waits.push(wait.as_secs_f64());
        scene.pass(wait.as_secs() + 1);
    }
    for (nth, wait) in waits.iter().enumerate() {
        let whole = (5.0 * 2_f64.powi(i32::try_from(nth).unwrap())).min(86_400.0);
        assert!((whole * 0.79..=whole * 1.21).contains(wait), "wait {nth} is {wait} s");
    }
    assert_eq!(scene.remote.failing_server(them()).unwrap().failures, 20);
}

#[tokio::test]
async fn what_is_known_of_a_server_outlives_a_restart() {
    let scene = Scene::new().await;
    scene.peer.then(Act::Unreachable);
    ask(&scene).await.unwrap_err();
    let known = scene.remote.failing_server(them());
    let scene = scene.restarted().await;
    assert_eq!(scene.remote.failing_server(them()), known);
    assert!(matches!(ask(&scene).await, Err(RemoteError::BackingOff { .. })));

    scene.remote.heard_from(them()).await;
    let scene = scene.restarted().await;
    ask(&scene).await.unwrap();
}

#[tokio::test]
async fn a_server_that_makes_itself_heard_is_asked_again() {
    let scene = Scene::new().await;
    let mut recoveries = scene.remote.recoveries();
    scene.peer.then(Act::Unreachable);
    ask(&scene).await.unwrap_err();
    scene.remote.heard_from(them()).await;
    assert_eq!(recoveries.recv().await.unwrap(), them());
    ask(&scene).await.unwrap();
    scene.remote.heard_from(them()).await;
    assert!(recoveries.try_recv().is_err(), "it had not failed again");
}

#[tokio::test]
async fn an_error_of_matrix_is_no_failure_of_the_server() {
    let scene = Scene::new().await;
    for status in [400, 401, 403, 404, 429] {
        scene.peer.then(Act::Answer(status, json!({ "errcode": "M_UNKNOWN", "error": "no" })));
        ask(&scene).await.unwrap_err();
        assert!(!scene.remote.is_backing_off(them()), "after {status}");
    }
}

#[tokio::test]
async fn an_error_that_no_matrix_server_sends_is_a_failure() {
    for act in [
        Act::Page(404, "<h1>Not found</h1>"),
        Act::Page(502, ""),
        Act::Answer(500, json!({ "errcode": "M_UNKNOWN", "error": "no" })),
        Act::TooLarge,
    ] {
        let scene = Scene::new().await;
        scene.peer.then(act);
        ask(&scene).await.unwrap_err();
        assert!(scene.remote.is_backing_off(them()));
    }
}

#[tokio::test]
async fn an_address_that_may_not_be_reached_is_remembered_by_nobody() {
    let scene = Scene::new().await;
    scene.peer.then(Act::Refused);
    assert!(matches!(ask(&scene).await, Err(RemoteError::Refused(_))));
    assert!(!scene.remote.is_backing_off(them()));
}

#[tokio::test]
async fn requests_that_fail_together_count_once() {
    let scene = Scene::new().await;
    for _ in 0..3 {
        scene.peer.then(Act::Silence);
    }
    let options = CallOptions { time_max: Duration::from_secs(20), ..CallOptions::default() };
    let call = || scene.remote.call_with(them(), request(), options);
    let late = async {
        while scene.peer.heard().len() < 3 {
            tokio::task::yield_now().await;
        }
        scene.pass(21);
    };
    let (one, two, three, ()) = tokio::join!(call(), call(), call(), late);
    assert!(one.is_err() && two.is_err() && three.is_err());
    assert_eq!(scene.remote.failing_server(them()).unwrap().failures, 1);
}

#[tokio::test]
async fn somebody_who_must_know_asks_nevertheless() {
    let scene = Scene::new().await;
    scene.peer.then(Act::Unreachable);
    ask(&scene).await.unwrap_err();
    let options = CallOptions { ignore_back_off: true, ..CallOptions::default() };
    scene.remote.call_with(them(), request(), options).await.unwrap();
    assert!(!scene.remote.is_backing_off(them()));
}

#[tokio::test]
async fn an_operator_ends_the_wait() {
    let scene = Scene::new().await;
    scene.peer.then(Act::Unreachable);
    ask(&scene).await.unwrap_err();
    assert!(scene.remote.retry_now(them()).await.unwrap());
    assert!(!scene.remote.retry_now(them()).await.unwrap());
    ask(&scene).await.unwrap();
}
