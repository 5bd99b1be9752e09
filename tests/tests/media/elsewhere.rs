//! Files of other servers that answer as they like: they go through piece by piece, and end at the bound.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use ruma::ServerName;
use vestibule_testkit::server::{Person, TestServer};

use super::*;

const DOWNLOAD_PATH: &str = "/_matrix/federation/v1/media/download/{id}";
const MIXED: &str = "multipart/mixed; boundary=b";
const BEGIN: &str = "--b\r\ncontent-type: application/json\r\n\r\n{}\r\n--b\r\n";
const PIECE: usize = 64 * 1024;

/// A server with files, which answers as its test wants it.
fn attach(network: &Network, name: &str, router: Router) {
    network.attach(<&ServerName>::try_from(name).unwrap(), router);
}

fn answers(content_type: &'static str, body: impl Into<Body>) -> Response {
    ([("content-type", content_type)], body.into()).into_response()
}

/// Some bytes of a file.
fn piece() -> Bytes {
    vec![b'x'; PIECE].into()
}

/// Pieces without end, which counts how many were taken.
fn endless(taken: Arc<AtomicU64>) -> Body {
    let begin = format!("{BEGIN}content-type: text/plain\r\n\r\n");
    let pieces = stream::repeat_with(move || {
        taken.fetch_add(1, SeqCst);
        Ok::<_, std::io::Error>(piece())
    });
    Body::from_stream(stream::iter([Ok(begin.into())]).chain(pieces))
}

/// A server with this bound for files, and somebody on it.
async fn at_home(network: &Network, bytes_max: u64) -> (TestServer, Person) {
    let text = format!("[federation]\nenabled = true\n[media]\nupload_bytes_max = {bytes_max}\n");
    let server = Blueprint::default().with(&text).on(network, "a.example").start().await;
    let alice = server.register("alice").await;
    (server, alice)
}

async fn download(who: &Person, id: &str) -> Fetched {
    super::get(who.http(), &format!("{DOWNLOAD}/b.example/{id}")).await
}

fn unfinished(server: &TestServer) -> PathBuf {
    server.folder().path().join("data/media/unfinished")
}

#[tokio::test]
async fn a_file_without_end_is_cut_at_the_bound_and_leaves_nothing() {
    let (network, taken) = (Network::default(), Arc::new(AtomicU64::new(0)));
    let count = taken.clone();
    let answer = move || async move { answers(MIXED, endless(count)) };
    attach(&network, "b.example", Router::new().route(DOWNLOAD_PATH, get(answer)));
    let (server, alice) = at_home(&network, 1_000_000).await;
    assert_eq!(refusal(&download(&alice, "endless").await), code(502, "M_TOO_LARGE"));
    let taken = taken.load(SeqCst);
    assert!((15..=18).contains(&taken), "{taken} pieces were taken");
    assert_eq!(std::fs::read_dir(unfinished(&server)).unwrap().count(), 0);
}

/// The most that was given and was not on disk yet.
#[derive(Default)]
struct Lag {
    given: AtomicU64,
    most: AtomicU64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_is_on_disk_as_it_comes_and_never_whole_in_memory() {
    const PIECES: usize = 512;
    let (network, lag) = (Network::default(), Arc::new(Lag::default()));
    let (server, alice) = at_home(&network, 100_000_000).await;
    let (folder, watched) = (unfinished(&server), lag.clone());
    let answer = move || async move {
        let pieces = stream::iter(0..PIECES).map(move |_| {
            let on_disk = std::fs::read_dir(&folder).unwrap();
            let on_disk: u64 = on_disk.map(|it| it.unwrap().metadata().unwrap().len()).sum();
            let given = watched.given.fetch_add(PIECE as u64, SeqCst);
            watched.most.fetch_max(given.saturating_sub(on_disk), SeqCst);
            Ok::<_, std::io::Error>(piece())
        });
        let begin = stream::iter([Ok(Bytes::from(format!("{BEGIN}\r\n")))]);
        let end = stream::iter([Ok(Bytes::from_static(b"\r\n--b--\r\n"))]);
        answers(MIXED, Body::from_stream(begin.chain(pieces).chain(end)))
    };
    attach(&network, "b.example", Router::new().route(DOWNLOAD_PATH, get(answer)));
    let got = download(&alice, "large").await;
    assert_eq!((got.status, got.body.len()), (200, PIECES * PIECE), "{}", got.errcode());
    let most = lag.most.load(SeqCst);
    assert!(most <= 4 << 20, "{most} bytes were in memory");
}

/// Answers by the id that is asked for.
async fn odd(Path(id): Path<String>) -> Response {
    let error = |status: u16, errcode: &str| {
        let body = json!({ "errcode": errcode, "error": "no" }).to_string();
        (http::StatusCode::from_u16(status).unwrap(), body).into_response()
    };
    match &*id {
        // These made the library's reader panic.
        "no-line-end" => answers(MIXED, "--b"),
        "bare" => answers(MIXED, "--b\r\n--b--"),
        "cut-off" => answers(MIXED, format!("{BEGIN}\r\nhalf of a")),
        "one-part" => answers(MIXED, "--b\r\n\r\n{}\r\n--b--\r\n"),
        "no-boundary" => answers("multipart/mixed", format!("{BEGIN}\r\nfile\r\n--b--")),
        "page" => answers("text/html", "<h1>Not a homeserver</h1>"),
        "clear" => {
            answers(MIXED, format!("{BEGIN}location: http://cdn.example/a\r\n\r\n\r\n--b--"))
        }
        "nowhere" => answers(MIXED, format!("{BEGIN}location: /a\r\n\r\n\r\n--b--")),
        "too-large" => error(502, "M_TOO_LARGE"),
        "awaited" => error(504, "M_NOT_YET_UPLOADED"),
        "none" => error(404, "M_NOT_FOUND"),
        _ => {
            answers(MIXED, format!("{BEGIN}content-disposition: attachment\r\n\r\nhello\r\n--b--"))
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_no_file_is_refused_and_the_next_one_is_taken() {
    let network = Network::default();
    attach(&network, "b.example", Router::new().route(DOWNLOAD_PATH, get(odd)));
    let (server, alice) = at_home(&network, 1_000).await;
    let unknown = code(502, "M_UNKNOWN");
    for id in
        ["no-line-end", "bare", "cut-off", "one-part", "no-boundary", "page", "clear", "nowhere"]
    {
        assert_eq!(refusal(&download(&alice, id).await), unknown, "{id}");
    }
    assert_eq!(std::fs::read_dir(unfinished(&server)).unwrap().count(), 0);
    assert_eq!(refusal(&download(&alice, "none").await), code(404, "M_NOT_FOUND"));
    let got = download(&alice, "file").await;
    assert_eq!((got.status, &*got.body), (200, &b"hello"[..]));
}

#[tokio::test]
async fn what_a_server_says_of_its_file_is_passed_on_and_not_held_against_it() {
    let network = Network::default();
    attach(&network, "b.example", Router::new().route(DOWNLOAD_PATH, get(odd)));
    let (_server, alice) = at_home(&network, 1_000).await;
    for (id, expected) in [
        ("too-large", code(502, "M_TOO_LARGE")),
        ("awaited", code(504, "M_NOT_YET_UPLOADED")),
        ("none", code(404, "M_NOT_FOUND")),
    ] {
        assert_eq!(refusal(&download(&alice, id).await), expected, "{id}");
    }
    // None of this says that the server does not work: it is asked again at once.
    assert_eq!(download(&alice, "file").await.status, 200);
}

#[tokio::test]
async fn a_file_that_lies_elsewhere_is_fetched_from_there() {
    let network = Network::default();
    let there = |Path(id): Path<String>| async move {
        let location = format!("{BEGIN}location: https://cdn.example/{id}\r\n\r\n\r\n--b--");
        answers(MIXED, location)
    };
    attach(&network, "b.example", Router::new().route(DOWNLOAD_PATH, get(there)));
    let cdn = |Path(id): Path<String>| async move {
        match &*id {
            "moved" => ([("location", "file")], http::StatusCode::FOUND).into_response(),
            "round" => ([("location", "/round")], http::StatusCode::FOUND).into_response(),
            "down" => {
                ([("location", "http://cdn.example/file")], http::StatusCode::FOUND).into_response()
            }
            "large" => answers("text/plain", vec![b'x'; 1_001]),
            "file" => answers("text/plain", "hello"),
            _ => http::StatusCode::NOT_FOUND.into_response(),
        }
    };
    attach(&network, "cdn.example", Router::new().route("/{id}", get(cdn)));
    let (_server, alice) = at_home(&network, 1_000).await;
    for id in ["file", "moved"] {
        let got = download(&alice, id).await;
        assert_eq!((got.status, &*got.body), (200, &b"hello"[..]), "{id}");
        assert_eq!(got.header("content-type"), "text/plain");
    }
    for (id, expected) in [
        ("large", code(502, "M_TOO_LARGE")),
        ("round", code(502, "M_UNKNOWN")),
        ("down", code(502, "M_UNKNOWN")),
        ("gone", code(404, "M_NOT_FOUND")),
    ] {
        assert_eq!(refusal(&download(&alice, id).await), expected, "{id}");
    }
    let asked = network.sent();
    let round = asked.iter().filter(|it| it.line == "GET /round").count();
    assert_eq!(round, 4, "three redirects are followed");
}

#[tokio::test]
async fn a_server_that_knows_only_the_old_endpoint_is_asked_there() {
    let network = Network::default();
    let old = |State(()): State<()>, request: Request| async move {
        let query = request.uri().query().unwrap_or_default().to_owned();
        assert!(query.contains("allow_remote=false"), "{query}");
        assert!(request.headers().get("authorization").is_none());
        answers("text/plain", "old")
    };
    let unknown = || async {
        let body = json!({ "errcode": "M_UNRECOGNIZED", "error": "what?" }).to_string();
        (http::StatusCode::NOT_FOUND, body)
    };
    let router = Router::new()
        .route(DOWNLOAD_PATH, get(unknown))
        .route("/_matrix/media/v3/download/b.example/{id}", get(old));
    attach(&network, "b.example", router);
    let (_server, alice) = at_home(&network, 3).await;
    let got = download(&alice, "file").await;
    assert_eq!((got.status, &*got.body), (200, &b"old"[..]), "{}", got.errcode());
}
