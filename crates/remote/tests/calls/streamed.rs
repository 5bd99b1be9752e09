//! Answers that are read piece by piece are bounded like those that are read whole.

use std::time::Duration;

use futures_util::StreamExt;
use ruma::api::federation::discovery::get_server_version;
use serde_json::json;
use vestibule_remote::{CallOptions, OpenReply, RemoteError, TransportError};

use crate::peer::{Act, Scene, them};

async fn open(scene: &Scene, answer_bytes_max: usize) -> Result<OpenReply, RemoteError> {
    let request = get_server_version::v1::Request::new();
    let time_max = Duration::from_mins(1);
    let options = CallOptions { answer_bytes_max, time_max, ..CallOptions::default() };
    scene.remote.open_with(them(), request, options).await
}

#[tokio::test]
async fn a_body_is_read_up_to_its_bound_and_no_further() {
    let scene = Scene::new().await;
    for (bytes_max, fits) in [(10, true), (9, false)] {
        scene.peer.then(Act::Page(200, "0123456789"));
        let piece = open(&scene, bytes_max).await.unwrap().body.next().await.unwrap();
        match piece {
            Ok(piece) => assert!(fits && piece == "0123456789"),
            Err(TransportError::BadAnswer(reason)) => {
                assert!(!fits && reason == "more than 9 bytes", "{reason}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_body_that_stalls_ends_with_its_time() {
    let scene = Scene::new().await;
    scene.peer.then(Act::Stalls("half of a"));
    let mut reply = open(&scene, 100).await.unwrap();
    assert_eq!(reply.body.next().await.unwrap().unwrap(), "half of a");
    let (rest, ()) = tokio::join!(reply.body.next(), async { scene.pass(61) });
    let Some(Err(TransportError::Unreachable(reason))) = rest else { panic!("it goes on") };
    assert_eq!(reason, "no answer in time");
}

#[tokio::test]
async fn an_error_is_judged_as_it_is_for_other_calls() {
    let scene = Scene::new().await;
    for (status, code) in [(404, "M_NOT_FOUND"), (504, "M_NOT_YET_UPLOADED"), (502, "M_TOO_LARGE")]
    {
        scene.peer.then(Act::Answer(status, json!({ "errcode": code, "error": "no" })));
        let error = open(&scene, 1_000).await.unwrap_err();
        assert_eq!((error.status(), error.errcode()), (Some(status), Some(code)));
        assert!(!scene.remote.is_backing_off(them()), "{code}");
    }
    scene.peer.then(Act::Answer(502, json!({ "errcode": "M_UNKNOWN", "error": "no" })));
    assert_eq!(open(&scene, 1_000).await.unwrap_err().status(), Some(502));
    assert!(matches!(open(&scene, 1_000).await, Err(RemoteError::BackingOff { .. })));
}
