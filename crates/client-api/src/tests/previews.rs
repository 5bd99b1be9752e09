//! Previews of web pages.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use vestibule_media::{PreviewSettings, Previews};
use vestibule_remote::{
    Exchange, OpenReply, Reply, ServerLists, Transport, TransportError, Web, WebPurpose, WebRequest,
};
use vestibule_types::BoxFuture;

use super::*;

const PATH: &str = "/_matrix/client/v1/media/preview_url";

/// A web of a few addresses, which remembers what it was asked.
#[derive(Clone, Default)]
struct TestWeb(Arc<Mutex<Site>>);

/// A status, one header, and a body.
type Answer = (u16, (&'static str, String), Bytes);

#[derive(Default)]
struct Site {
    pages: BTreeMap<String, Answer>,
    asked: Vec<String>,
}

impl TestWeb {
    fn page(&self, address: &str, content_type: &str, body: impl Into<Bytes>) {
        let header = ("content-type", content_type.to_owned());
        self.0.lock().pages.insert(address.to_owned(), (200, header, body.into()));
    }

    fn leads(&self, from: &str, to: &str) {
        let header = ("location", to.to_owned());
        self.0.lock().pages.insert(from.to_owned(), (302, header, Bytes::new()));
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().asked)
    }
}

impl Transport for TestWeb {
    fn exchange(&self, _: Exchange) -> BoxFuture<'_, Result<Reply, TransportError>> {
        Box::pin(async { Err(TransportError::Refused) })
    }

    fn fetch(
        &self,
        request: WebRequest,
        purpose: WebPurpose,
    ) -> BoxFuture<'_, Result<OpenReply, TransportError>> {
        assert_eq!(purpose, WebPurpose::Pages);
        let mut pages = self.0.lock();
        let address = request.url.to_string();
        pages.asked.push(address.clone());
        let found = pages.pages.get(&address).cloned();
        Box::pin(async move {
            if address.contains("private") {
                return Err(TransportError::Refused);
            }
            let (status, (name, value), body) =
                found.ok_or_else(|| TransportError::Unreachable("no address".to_owned()))?;
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            Ok(Reply { status: status.try_into().unwrap(), headers, body }.into())
        })
    }
}

fn with_web(denied: &[&str]) -> (Server, TestWeb) {
    let (server, web) = (server(), TestWeb::default());
    let denied: Vec<String> = denied.iter().map(|&host| host.to_owned()).collect();
    let settings = PreviewSettings {
        hosts: ServerLists::new(&[], &denied),
        page_bytes_max: 10_000,
        image_bytes_max: 10_000,
        languages: None,
    };
    let environment = server.time.environment.clone();
    let over = Web::over(Arc::new(web.clone()), environment, WebPurpose::Pages, true);
    server.api.media.set_previews(Previews::new(over, settings));
    (server, web)
}

/// A picture of one pixel.
fn picture() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(3, 2).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

impl Server {
    async fn preview(&self, who: &Person, address: &str) -> (u16, Value) {
        self.get(&format!("{PATH}?url={address}&ts=1"), who).await
    }
}

#[tokio::test]
async fn a_page_is_told_with_its_picture_kept_here() {
    let (server, web) = with_web(&[]);
    let alice = server.person("alice").await;
    let html =
        "<meta property='og:title' content='Tea'><meta property='og:image' content='/pot.png'>";
    web.page("https://b.example/tea", "text/html; charset=utf-8", html);
    web.page("https://b.example/pot.png", "image/png", picture());
    let (status, told) = server.preview(&alice, "https://b.example/tea%23part").await;
    assert_eq!((status, &told["og:title"]), (200, &json!("Tea")));
    assert_eq!(told["og:image:type"], json!("image/png"));
    assert_eq!((&told["og:image:width"], &told["og:image:height"]), (&json!(3), &json!(2)));
    assert_eq!(told["matrix:image:size"], json!(picture().len()));
    let image = told["og:image"].as_str().unwrap();
    let path = image.strip_prefix("mxc://").unwrap();
    let path = format!("/_matrix/client/v1/media/download/{path}");
    assert_eq!(server.get(&path, &alice).await.0, 200);
    assert_eq!(web.asked(), ["https://b.example/tea", "https://b.example/pot.png"]);

    // Nobody is asked twice within the hour, and then again.
    assert_eq!(server.preview(&alice, "https://b.example/tea").await.1, told);
    let old = server.get("/_matrix/media/v3/preview_url?url=https://b.example/tea", &alice).await;
    assert_eq!(old, (200, told));
    assert!(web.asked().is_empty());
    server.time.clock.advance(Duration::from_secs(3_601));
    server.preview(&alice, "https://b.example/tea").await;
    assert_eq!(web.asked().len(), 2);
}

#[tokio::test]
async fn a_picture_is_told_by_itself_and_what_is_none_is_left_out() {
    let (server, web) = with_web(&[]);
    let alice = server.person("alice").await;
    web.page("https://b.example/a/pot.png", "image/png", picture());
    let (status, told) = server.preview(&alice, "https://b.example/a/pot.png").await;
    assert_eq!(
        (status, &told["og:title"], &told["og:image:width"]),
        (200, &json!("pot.png"), &json!(3))
    );
    let html = "<title>Tea</title><meta property='og:image' content='/evil.png'>";
    web.page("https://b.example/", "text/html", html);
    web.page("https://b.example/evil.png", "image/png", "<script>alert(1)</script>");
    let told = server.preview(&alice, "https://b.example").await;
    assert_eq!(told, (200, json!({ "og:title": "Tea" })));
    web.page("https://b.example/file", "application/pdf", "%PDF");
    assert_eq!(server.preview(&alice, "https://b.example/file").await, (200, json!({})));
    let large = [picture(), vec![0; 20_000]].concat();
    web.page("https://b.example/large.png", "image/png", large);
    let told = server.preview(&alice, "https://b.example/large.png").await;
    assert_eq!(told, (200, json!({ "og:title": "large.png" })));
}

#[tokio::test]
async fn every_step_of_a_redirect_is_judged() {
    let (server, web) = with_web(&["*.denied.example"]);
    let alice = server.person("alice").await;
    web.page("https://c.example/end", "text/html", "<title>End</title>");
    web.leads("http://b.example/1", "//c.example/2");
    web.leads("http://c.example/2", "https://c.example/end");
    let told = server.preview(&alice, "http://b.example/1").await;
    assert_eq!(told, (200, json!({ "og:title": "End" })));

    let forbidden = code(403, "M_FORBIDDEN");
    web.leads("https://b.example/denied", "https://www.denied.example/");
    web.leads("https://b.example/inside", "http://private.example/");
    web.leads("https://b.example/file", "file:///etc/passwd");
    web.leads("https://b.example/user", "https://me:secret@c.example/end");
    for address in ["denied", "inside", "file", "user"] {
        let answer = server.preview(&alice, &format!("https://b.example/{address}")).await;
        assert_eq!(error(answer), forbidden, "{address}");
    }
    web.asked();
    assert_eq!(error(server.preview(&alice, "https://www.denied.example/").await), forbidden);
    assert!(web.asked().is_empty());
    web.leads("https://b.example/loop", "/loop");
    let answer = server.preview(&alice, "https://b.example/loop").await;
    assert_eq!(error(answer), code(502, "M_UNKNOWN"));
    assert!(web.asked().len() < 10);
}

#[tokio::test]
async fn who_may_not_and_what_is_no_page_is_refused() {
    let (server, _) = with_web(&[]);
    let (alice, guest) = (server.person("alice").await, server.guest().await);
    let page = "https://b.example/";
    assert_eq!(error(server.preview(&guest, page).await), code(403, "M_GUEST_ACCESS_FORBIDDEN"));
    let path = format!("{PATH}?url={page}");
    let answer = server.ask(Method::GET, &path, Value::Null).await;
    assert_eq!(error(answer), code(401, "M_MISSING_TOKEN"));
    for bad in
        ["", "tea", "ftp://b.example/", "file:///etc/passwd", "https://me@b.example/", "data:,a"]
    {
        assert_eq!(error(server.preview(&alice, bad).await), code(400, "M_INVALID_PARAM"), "{bad}");
    }
    assert_eq!(error(server.preview(&alice, page).await), code(502, "M_UNKNOWN"));
    assert_eq!(server.get(PATH, &alice).await.0, 400);
}

#[tokio::test]
async fn there_are_no_previews_unless_the_operator_wants_them() {
    let server = server();
    let alice = server.person("alice").await;
    let answer = server.preview(&alice, "https://b.example/").await;
    assert_eq!(error(answer), code(404, "M_UNRECOGNIZED"));
}

#[tokio::test]
async fn a_page_that_many_want_is_asked_for_once() {
    let (server, web) = with_web(&[]);
    let alice = server.person("alice").await;
    web.page("https://b.example/", "text/html", "<title>Tea</title>");
    let ask = || server.preview(&alice, "https://b.example/");
    let answers = tokio::join!(ask(), ask(), ask());
    for answer in [answers.0, answers.1, answers.2] {
        assert_eq!(answer, (200, json!({ "og:title": "Tea" })));
    }
    assert_eq!(web.asked().len(), 1);
}

#[tokio::test]
async fn the_picture_of_a_preview_goes_after_a_week_and_an_upload_of_the_same_bytes_stays() {
    let (server, web) = with_web(&[]);
    let alice = server.person("alice").await;
    web.page("https://b.example/pot.png", "image/png", picture());
    let (_, told) = server.preview(&alice, "https://b.example/pot.png").await;
    let kept = told["og:image"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned();
    let path = "/_matrix/media/v3/upload";
    let (_, own) = server.send(Method::POST, path, Some(&alice.token), picture()).await;
    let own = own["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned();
    let got = async |file: &str| {
        server.get(&format!("/_matrix/client/v1/media/download/{file}"), &alice).await.0
    };
    server.time.clock.advance(Duration::from_hours(24 * 7 - 1));
    server.api.media.purge_media(None).await.unwrap();
    assert_eq!((got(&kept).await, got(&own).await), (200, 200));
    server.time.clock.advance(Duration::from_hours(2));
    let purged = server.api.media.purge_media(None).await.unwrap();
    assert_eq!((purged.media, purged.files), (1, 0));
    assert_eq!((got(&kept).await, got(&own).await), (404, 200));
    // The next preview brings a picture of its own.
    let (_, told) = server.preview(&alice, "https://b.example/pot.png").await;
    let again = told["og:image"].as_str().unwrap().strip_prefix("mxc://").unwrap();
    assert_ne!(again, kept);
    assert_eq!(got(again).await, 200);
}
