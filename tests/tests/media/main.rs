//! Files: uploads and downloads over HTTP.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that called them")]

mod elsewhere;
mod withheld;

use std::io::Cursor;

use http::Method;
use image::{DynamicImage, ImageFormat};
use serde_json::{Value, json};
use vestibule_testkit::server::{Blueprint, Fetched, HttpClient, Network, TestServer};

const UPLOAD: &str = "/_matrix/media/v3/upload";
const DOWNLOAD: &str = "/_matrix/client/v1/media/download";

async fn upload(http: &HttpClient, query: &str, content_type: &str, body: &[u8]) -> Fetched {
    let headers = [("content-type", content_type)];
    http.fetch(Method::POST, &format!("{UPLOAD}{query}"), &headers, body.to_vec()).await
}

/// `server/id` of what was uploaded.
fn place(uploaded: &Fetched) -> String {
    assert_eq!(uploaded.status, 200, "{uploaded:?}");
    let body: Value = serde_json::from_slice(&uploaded.body).unwrap_or_default();
    let uri = body.get("content_uri").and_then(Value::as_str).unwrap_or_default();
    uri.trim_start_matches("mxc://").to_owned()
}

async fn get(http: &HttpClient, path: &str) -> Fetched {
    http.fetch(Method::GET, path, &[], "").await
}

fn refusal(fetched: &Fetched) -> (u16, String) {
    (fetched.status, fetched.errcode())
}

fn code(status: u16, errcode: &str) -> (u16, String) {
    (status, errcode.to_owned())
}

#[tokio::test]
async fn a_file_comes_back_as_it_was_with_its_name_and_type() {
    let server = Blueprint::default().slots(3).start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let file: Vec<u8> = (0..300_000_u32).map(|number| (number % 251) as u8).collect();
    let place = place(&upload(alice.http(), "?filename=a%20b.png", "image/png", &file).await);
    let got = get(bob.http(), &format!("{DOWNLOAD}/{place}")).await;
    assert_eq!(got.status, 200);
    assert!(got.body == file, "the bytes are the same");
    assert_eq!(got.header("content-type"), "image/png");
    assert_eq!(got.header("content-disposition"), "inline; filename=\"a b.png\"");
    assert_eq!(got.header("content-length"), "300000");
    assert_eq!(got.header("cross-origin-resource-policy"), "cross-origin");
    assert!(got.header("content-security-policy").starts_with("sandbox; default-src 'none';"));
    let renamed = get(bob.http(), &format!("{DOWNLOAD}/{place}/%C3%BC.png")).await;
    assert_eq!(renamed.header("content-disposition"), "inline; filename*=utf-8''%C3%BC.png");
    // A name of a hundred and twenty letters of three bytes, and a control character that no header takes.
    let long = "%E3%81%82".repeat(120);
    let named = upload(alice.http(), &format!("?filename=a%09{long}"), "text/plain", b"a").await;
    let named = get(bob.http(), &format!("{DOWNLOAD}/{}", self::place(&named))).await;
    let told = named.header("content-disposition").to_owned();
    assert_eq!(told, format!("inline; filename*=utf-8''a{long}"));
    let longer = "x".repeat(vestibule_types::limits::MEDIA_NAME_BYTES_MAX + 1);
    let refused = upload(alice.http(), &format!("?filename={longer}"), "text/plain", b"a").await;
    assert_eq!(refusal(&refused), code(400, "M_INVALID_PARAM"));
    let page = upload(alice.http(), "", "text/html", b"<script>alert(1)</script>").await;
    let page = get(bob.http(), &format!("{DOWNLOAD}/{}", self::place(&page))).await;
    assert_eq!(page.header("content-disposition"), "attachment");
}

#[tokio::test]
async fn parts_of_a_file_and_files_a_client_has_are_not_sent_whole() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let place = place(&upload(alice.http(), "", "application/octet-stream", b"0123456789").await);
    let path = format!("{DOWNLOAD}/{place}");
    let ranged =
        async |range| alice.http().fetch(Method::GET, &path, &[("range", range)], "").await;
    let part = ranged("bytes=2-4").await;
    assert_eq!((part.status, &*part.body), (206, &b"234"[..]));
    assert_eq!(part.header("content-range"), "bytes 2-4/10");
    let outside = ranged("bytes=10-").await;
    assert_eq!((outside.status, outside.header("content-range")), (416, "bytes */10"));
    let tag = part.header("etag");
    let known = alice.http().fetch(Method::GET, &path, &[("if-none-match", tag)], "").await;
    assert_eq!((known.status, known.body.len()), (304, 0));
}

#[tokio::test]
async fn a_file_may_not_be_too_large_and_a_user_may_not_upload_too_much() {
    let limits = "[media]\nupload_bytes_max = 100\nuser_bytes_max = 150\n";
    let server = Blueprint::default().with(limits).start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let config = get(alice.http(), "/_matrix/client/v1/media/config").await;
    assert_eq!(&*config.body, br#"{"m.upload.size":100}"#);
    let large = upload(alice.http(), "", "text/plain", &[b'a'; 101]).await;
    assert_eq!(refusal(&large), code(413, "M_TOO_LARGE"));
    assert_eq!(upload(alice.http(), "", "text/plain", &[b'a'; 100]).await.status, 200);
    let more = upload(alice.http(), "", "text/plain", &[b'a'; 51]).await;
    assert_eq!(refusal(&more), code(403, "M_FORBIDDEN"));
    assert_eq!(upload(alice.http(), "", "text/plain", &[b'a'; 50]).await.status, 200);
    assert_eq!(upload(bob.http(), "", "text/plain", &[b'a'; 51]).await.status, 200);
}

#[tokio::test]
async fn a_guest_reads_files_and_uploads_none() {
    let server = Blueprint::default().with_guests().start().await;
    let (alice, guest) = (server.register("alice").await, server.guest().await);
    let place = place(&upload(alice.http(), "", "text/plain", b"hello").await);
    let got = get(guest.http(), &format!("{DOWNLOAD}/{place}")).await;
    assert_eq!((got.status, &*got.body), (200, &b"hello"[..]));
    let refused = upload(guest.http(), "", "text/plain", b"hello").await;
    assert_eq!(refusal(&refused), code(403, "M_GUEST_ACCESS_FORBIDDEN"));
    let nobody = get(server.http(), &format!("{DOWNLOAD}/{place}")).await;
    assert_eq!(refusal(&nobody), code(401, "M_MISSING_TOKEN"));
}

#[tokio::test]
async fn the_endpoints_without_login_are_frozen_unless_they_are_opened() {
    for (opened, expected) in [(false, code(404, "M_NOT_FOUND")), (true, code(200, ""))] {
        let text = format!("[media]\nopen_downloads = {opened}\n");
        let server = Blueprint::default().with(&text).start().await;
        let alice = server.register("alice").await;
        let place = place(&upload(alice.http(), "", "text/plain", b"hello").await);
        let image = self::place(&upload(alice.http(), "", "image/png", &image(40, 40)).await);
        for path in [
            format!("download/{place}"),
            format!("download/{place}/a.txt"),
            format!("thumbnail/{image}?width=32&height=32"),
        ] {
            for version in ["v3", "r0", "v1"] {
                let old = get(server.http(), &format!("/_matrix/media/{version}/{path}")).await;
                let unknown = code(404, "M_UNRECOGNIZED");
                let answer = refusal(&old);
                assert!(answer == expected || (version != "v3" && answer == unknown), "{path}");
            }
            // Who logs in is given all of it where such people ask.
            let new = get(alice.http(), &format!("/_matrix/client/v1/media/{path}")).await;
            assert_eq!(new.status, 200, "{path}");
        }
        let config = get(server.http(), "/_matrix/media/v3/config").await;
        assert_eq!(config.status, 401);
    }
}

#[tokio::test]
async fn an_id_made_ahead_takes_one_file_of_its_maker() {
    let server = Blueprint::default().slots(3).start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let made = alice.http().post("/_matrix/media/v1/create", &json!({})).await.ok();
    assert!(made["unused_expires_at"].as_u64().unwrap() > 1_000_000_000_000);
    let place = made["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned();
    let path = format!("{DOWNLOAD}/{place}");
    let early = get(bob.http(), &format!("{path}?timeout_ms=50")).await;
    assert_eq!(refusal(&early), code(504, "M_NOT_YET_UPLOADED"));
    let put = format!("{UPLOAD}/{place}?filename=a.txt");
    let headers = [("content-type", "text/plain")];
    let theirs = bob.http().fetch(Method::PUT, &put, &headers, "mine").await;
    assert_eq!(refusal(&theirs), code(403, "M_FORBIDDEN"));
    let (http, waiting) = (bob.http().clone(), path.clone());
    let waiting = async move { get(&http, &waiting).await };
    let uploading = alice.http().fetch(Method::PUT, &put, &headers, "hello");
    let (got, uploaded) = tokio::join!(waiting, uploading);
    assert_eq!(uploaded.status, 200, "{uploaded:?}");
    assert_eq!((got.status, &*got.body), (200, &b"hello"[..]));
    let again = alice.http().fetch(Method::PUT, &put, &headers, "other").await;
    assert_eq!(refusal(&again), code(409, "M_CANNOT_OVERWRITE_MEDIA"));
    let unknown = format!("{UPLOAD}/localhost/never-made");
    let unknown = alice.http().fetch(Method::PUT, &unknown, &headers, "x").await;
    assert_eq!(refusal(&unknown), code(404, "M_NOT_FOUND"));
}

#[tokio::test]
async fn what_is_no_media_id_names_nothing() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    for id in ["never", "..%2F..%2Fdb", "%00", "a%20b", &"a".repeat(300)] {
        let got = get(alice.http(), &format!("{DOWNLOAD}/localhost/{id}")).await;
        assert_eq!(refusal(&got), code(404, "M_NOT_FOUND"), "{id}");
    }
    let name = get(alice.http(), &format!("{DOWNLOAD}/not%20a%20name/id")).await;
    assert_eq!(refusal(&name), code(400, "M_INVALID_PARAM"));
}

#[tokio::test]
async fn files_outlive_a_restart() {
    let server = Blueprint::default().on_disk().start().await;
    let alice = server.register("alice").await;
    let place = place(&upload(alice.http(), "", "text/plain", b"hello").await);
    let unfinished = server.folder().path().join("data/media/unfinished");
    std::fs::create_dir_all(&unfinished).unwrap();
    std::fs::write(unfinished.join("cut-off"), b"half of a").unwrap();
    let server = server.restart().await;
    assert!(!unfinished.join("cut-off").exists(), "what a killed process left stays for ever");
    let alice = server.login("alice").await;
    let got = get(alice.http(), &format!("{DOWNLOAD}/{place}")).await;
    assert_eq!((got.status, &*got.body), (200, &b"hello"[..]));
}

/// A picture of these sides.
fn image(width: u32, height: u32) -> Vec<u8> {
    let mut image = Cursor::new(Vec::new());
    DynamicImage::new_rgb8(width, height).write_to(&mut image, ImageFormat::Png).unwrap();
    image.into_inner()
}

const THUMBNAIL: &str = "/_matrix/client/v1/media/thumbnail";

#[tokio::test]
async fn an_image_has_thumbnails_and_a_text_has_none() {
    let server = Blueprint::default().slots(3).start().await;
    let alice = server.register("alice").await;
    let place = place(&upload(alice.http(), "", "image/png", &image(400, 200)).await);
    let path = |query: &str| format!("{THUMBNAIL}/{place}?{query}");
    for (query, expected) in [
        ("width=96&height=96&method=scale", (96, 48)),
        ("width=90&height=90&method=scale", (96, 48)),
        ("width=32&height=32&method=crop", (32, 32)),
        ("width=32&height=32&method=crop&animated=true", (32, 32)),
        ("width=320&height=100&method=crop", (400, 133)),
        ("width=100&height=320&method=crop", (66, 200)),
        ("width=900&height=900&method=crop", (200, 200)),
        ("width=640&height=480&method=scale", (400, 200)),
        ("width=5000&height=5000", (400, 200)),
    ] {
        let got = get(alice.http(), &path(query)).await;
        assert_eq!((got.status, got.header("content-type")), (200, "image/png"), "{query}");
        let picture = image::load_from_memory(&got.body).unwrap();
        assert_eq!((picture.width(), picture.height()), expected, "{query}");
        assert!(got.header("content-disposition").starts_with("inline"));
    }
    // Whatever an uploader says of it, a picture is what its bytes are, for everybody.
    let small = image(20, 20);
    for claimed in ["application/x-mystery", "text/plain"] {
        let place = self::place(&upload(alice.http(), "", claimed, &small).await);
        let got = get(alice.http(), &format!("{THUMBNAIL}/{place}?width=32&height=32")).await;
        assert_eq!((got.status, got.header("content-type")), (200, "image/png"), "{claimed}");
        assert!(got.header("content-disposition").starts_with("inline"), "{claimed}");
    }
    let nothing = get(alice.http(), &path("width=0&height=96")).await;
    assert_eq!(refusal(&nothing), code(400, "M_INVALID_PARAM"));
    let odd = get(alice.http(), &path("width=wide&height=96")).await;
    assert_eq!(refusal(&odd), code(400, "M_INVALID_PARAM"));
    let text = self::place(&upload(alice.http(), "", "image/png", b"no image").await);
    let text = get(alice.http(), &format!("{THUMBNAIL}/{text}?width=32&height=32")).await;
    assert_eq!(refusal(&text), code(400, "M_UNKNOWN"));
}

#[tokio::test]
async fn files_of_another_server_are_fetched_once_and_never_for_guests() {
    let network = Network::default();
    let on = |name| Blueprint::default().with("[federation]\nenabled = true\n").on(&network, name);
    let (a, b) = (on("a.example").start().await, on("b.example").with_guests().start().await);
    let (alice, bob, guest) = (a.register("alice").await, b.register("bob").await, b.guest().await);
    let file = b"--boundary\r\n\r\nhello".repeat(9_000);
    let place = place(&upload(alice.http(), "?filename=%C3%BC.txt", "text/plain", &file).await);
    let path = format!("{DOWNLOAD}/{place}");
    let refused = get(guest.http(), &path).await;
    assert_eq!(refusal(&refused), code(404, "M_NOT_FOUND"));
    let local = get(bob.http(), &format!("/_matrix/media/v3/download/{place}")).await;
    assert_eq!(refusal(&local), code(404, "M_NOT_FOUND"));
    assert_eq!(asked(&network), 0, "nothing was fetched for them");
    let (first, second) = tokio::join!(get(bob.http(), &path), get(bob.http(), &path));
    for got in [first, second, get(bob.http(), &path).await, get(guest.http(), &path).await] {
        assert_eq!(got.status, 200, "{}", got.errcode());
        assert!(got.body == file, "the bytes are the same");
        assert_eq!(got.header("content-type"), "text/plain");
        assert_eq!(got.header("content-disposition"), "inline; filename*=utf-8''%C3%BC.txt");
    }
    assert_eq!(asked(&network), 1);
    let missing = get(bob.http(), &format!("{DOWNLOAD}/a.example/never")).await;
    assert_eq!(refusal(&missing), code(404, "M_NOT_FOUND"));
    let nowhere = get(bob.http(), &format!("{DOWNLOAD}/nowhere.example/never")).await;
    assert_eq!(refusal(&nowhere), code(502, "M_UNKNOWN"));
}

/// How many files were asked for over the network.
fn asked(network: &Network) -> usize {
    let sent = network.sent();
    sent.iter().filter(|sent| sent.line.contains("/media/download/")).count()
}
