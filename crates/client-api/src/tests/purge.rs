//! Files that are not kept for ever.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use parking_lot::Mutex;
use ruma::ServerName;
use vestibule_media::{
    DownloadMediaError, FetchMediaError, FetchedMedia, ObjectStore, Purged, RemoteMedia,
};
use vestibule_types::BoxFuture;

use super::*;

/// Another server with a few files.
#[derive(Default)]
struct Elsewhere(Mutex<BTreeMap<String, &'static str>>);

impl RemoteMedia for Elsewhere {
    fn fetch<'a>(
        &'a self,
        _: &'a ServerName,
        media_id: &'a str,
        _: Duration,
    ) -> BoxFuture<'a, Result<FetchedMedia, FetchMediaError>> {
        let found = self.0.lock().get(media_id).copied().ok_or(FetchMediaError::NotFound);
        Box::pin(async move {
            let body = Bytes::from_static(found?.as_bytes());
            let chunks = Box::pin(stream::iter([Ok(body)]));
            Ok(FetchedMedia { content_type: None, name: None, size: None, chunks })
        })
    }
}

const DAY: u64 = 86_400_000;

impl Server {
    async fn upload(&self, who: &Person, body: &'static str) -> String {
        let path = "/_matrix/media/v3/upload";
        let (status, answer) = self.send(Method::POST, path, Some(&who.token), body).await;
        assert_eq!(status, 200, "{answer}");
        answer["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned()
    }

    async fn downloads(&self, who: &Person, file: &str) -> u16 {
        self.get(&format!("/_matrix/client/v1/media/download/{file}"), who).await.0
    }

    /// Takes away what was fetched more than a day ago.
    async fn purges(&self) -> Purged {
        let before = self.time.environment.now_ms() - DAY;
        self.api.media.purge_media(Some(before)).await.unwrap()
    }
}

#[tokio::test]
async fn old_copies_go_with_their_files_and_nothing_else_does() {
    let server = server();
    let alice = server.person("alice").await;
    let elsewhere = Arc::new(Elsewhere::default());
    server.api.media.set_remote(elsewhere.clone());
    for (id, body) in
        [("old", "old"), ("shared", "shared"), ("withheld", "withheld"), ("new", "new")]
    {
        elsewhere.0.lock().insert(id.to_owned(), body);
    }
    let own = server.upload(&alice, "own").await;
    // The same bytes as a copy's.
    let same = server.upload(&alice, "shared").await;
    for id in ["old", "shared", "withheld"] {
        assert_eq!(server.downloads(&alice, &format!("b.example/{id}")).await, 200);
    }
    let b = ServerName::parse("b.example").unwrap();
    server.api.media.quarantine_media(&b, "withheld", true).await.unwrap();
    server.time.clock.advance(Duration::from_hours(48));
    assert_eq!(server.downloads(&alice, "b.example/new").await, 200);
    elsewhere.0.lock().clear();

    assert_eq!(server.purges().await, Purged { media: 2, files: 1 });
    for (file, status) in [
        ("b.example/old", 404),
        ("b.example/shared", 404),
        ("b.example/withheld", 404),
        ("b.example/new", 200),
        (own.as_str(), 200),
        (same.as_str(), 200),
    ] {
        assert_eq!(server.downloads(&alice, file).await, status, "{file}");
    }
    // What is withheld is not fetched again.
    elsewhere.0.lock().insert("withheld".to_owned(), "withheld");
    assert_eq!(server.downloads(&alice, "b.example/withheld").await, 404);
    assert_eq!(server.purges().await, Purged::default());

    let listed = server.api.media.list_media(None, None, 10).await.unwrap();
    assert_eq!(listed.len(), 4);
    assert!(listed.iter().any(|it| it.media_id == "withheld" && it.quarantined));
    let listed = server.api.media.list_media(Some(b), None, 1).await.unwrap();
    assert_eq!(listed.len(), 1);
}

/// How many copies there may be in these tests, in bytes.
const COPIES_MAX: usize = 3_000;

#[tokio::test]
async fn too_many_copies_make_room_and_those_that_are_read_stay() {
    let server = server();
    let alice = server.person("alice").await;
    let elsewhere = Arc::new(Elsewhere::default());
    server.api.media.set_remote(elsewhere.clone());
    let read = async |id: &str| server.downloads(&alice, &format!("b.example/{id}")).await;
    let copies = async || {
        let b = ServerName::parse("b.example").unwrap();
        let listed = server.api.media.list_media(Some(b), None, 100).await.unwrap();
        listed.into_iter().map(|it| it.media_id).collect::<Vec<_>>()
    };
    // What is ours does not count.
    let own = server.upload(&alice, leaked("own")).await;
    for id in ["1", "2", "3", "4"] {
        elsewhere.0.lock().insert(id.to_owned(), leaked(id));
        assert_eq!(read(id).await, 200);
        server.time.clock.advance(Duration::from_hours(2));
    }
    assert_eq!(server.api.media.purge_media(None).await.unwrap(), Purged::default());
    assert_eq!(copies().await, ["1", "2", "3", "4"]);

    // The oldest one is read again, which writes nothing, until somebody looks.
    assert_eq!(read("1").await, 200);
    server.time.clock.advance(Duration::from_hours(2));
    elsewhere.0.lock().insert("5".to_owned(), leaked("5"));
    assert_eq!(read("5").await, 200);
    assert_eq!(copies().await, ["1", "4", "5"]);
    assert_eq!(server.downloads(&alice, &own).await, 200);
    // What went is fetched again.
    assert_eq!(read("2").await, 200);
}

/// Another server whose files are a quarter of what there may be. They come in pieces, while other
/// requests go on.
struct Slow {
    /// Whether it says how large they are.
    says_size: bool,
    given: Arc<Given>,
}

/// Bytes that another server gave: altogether, those that were not given up again, and how many that
/// were at most.
#[derive(Default)]
struct Given {
    all: AtomicUsize,
    held: AtomicUsize,
    most: AtomicUsize,
}

/// One file on its way. What was not given whole is given up with it.
struct OnItsWay {
    left: Bytes,
    bytes: usize,
    given: Arc<Given>,
}

impl OnItsWay {
    fn piece(&mut self) -> Bytes {
        let piece = self.left.split_to(self.left.len().min(100));
        self.bytes += piece.len();
        self.given.all.fetch_add(piece.len(), Ordering::Relaxed);
        let held = self.given.held.fetch_add(piece.len(), Ordering::Relaxed) + piece.len();
        self.given.most.fetch_max(held, Ordering::Relaxed);
        piece
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        if !self.left.is_empty() {
            self.given.held.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

impl RemoteMedia for Slow {
    fn fetch<'a>(
        &'a self,
        _: &'a ServerName,
        media_id: &'a str,
        _: Duration,
    ) -> BoxFuture<'a, Result<FetchedMedia, FetchMediaError>> {
        let body = Bytes::from_static(leaked(media_id).as_bytes());
        let size = self.says_size.then(|| body.len() as u64);
        let file = OnItsWay { left: body, bytes: 0, given: Arc::clone(&self.given) };
        let chunks = stream::unfold(file, async |mut file| {
            tokio::task::yield_now().await;
            let piece = file.piece();
            (!piece.is_empty()).then_some((Ok(piece), file))
        });
        let chunks = Box::pin(chunks);
        Box::pin(async move { Ok(FetchedMedia { content_type: None, name: None, size, chunks }) })
    }
}

#[tokio::test]
async fn many_fetches_at_once_take_no_more_room_together_than_there_is() {
    for says_size in [true, false] {
        let server = server();
        let alice = server.person("alice").await;
        let given = Arc::<Given>::default();
        server.api.media.set_remote(Arc::new(Slow { says_size, given: given.clone() }));
        let fetch = async |ids: [&'static str; 8]| {
            let all = ids.map(|id| server.downloads(&alice, id));
            futures_util::future::join_all(all).await
        };
        let kept = async || {
            let b = ServerName::parse("b.example").unwrap();
            let listed = server.api.media.list_media(Some(b), None, 100).await.unwrap();
            let files = server.objects.list(None, 100).await.unwrap();
            assert_eq!(listed.len(), files.len(), "what went is off the disk");
            listed.into_iter().map(|it| it.media_id).collect::<Vec<_>>()
        };
        let fit = |answers: &[u16]| {
            assert!(answers.iter().all(|it| [200, 503].contains(it)), "{answers:?}");
            answers.iter().filter(|it| **it == 200).count()
        };
        let first = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let first = first.map(leaked_path);
        let answers = fetch(first).await;
        assert!(kept().await.len() <= 4);
        assert_eq!(fit(&answers), kept().await.len());
        // Nothing that came just now goes for what comes.
        if says_size {
            let given = given.all.load(Ordering::Relaxed);
            assert_eq!((fit(&answers), given), (4, COPIES_MAX), "of others not a byte was taken");
        }
        // Each may have one piece in hand for which there is no room.
        let most = given.most.load(Ordering::Relaxed);
        assert!(most <= COPIES_MAX + 8 * 100, "{most} bytes were held");
        // What was refused takes no room: it is fetched when there is some.
        server.time.clock.advance(Duration::from_hours(1));
        let second = ["i", "j", "k", "l", "m", "n", "o", "p"].map(leaked_path);
        let answers = fetch(second).await;
        let now = kept().await;
        assert!(fit(&answers) >= 1 && now.len() <= 4, "{now:?}");
        server.time.clock.advance(Duration::from_hours(1));
        assert_eq!(server.downloads(&alice, "b.example/q").await, 200);
        let now = kept().await;
        assert!(now.contains(&"q".to_owned()) && now.len() <= 4, "{now:?}");
    }
}

#[tokio::test]
async fn a_fetch_that_is_given_up_gives_its_room_back() {
    let server = server();
    let alice = server.person("alice").await;
    let given = Arc::<Given>::default();
    server.api.media.set_remote(Arc::new(Slow { says_size: true, given: given.clone() }));
    for id in ["a", "b", "c", "d", "e", "f"] {
        let path = leaked_path(id);
        let mut fetch = Box::pin(server.downloads(&alice, path));
        let before = given.all.load(Ordering::Relaxed);
        while given.all.load(Ordering::Relaxed) < before + 300 {
            assert!(futures_util::poll!(&mut fetch).is_pending());
        }
    }
    for id in ["g", "h", "i", "j"] {
        assert_eq!(server.downloads(&alice, leaked_path(id)).await, 200, "{id}");
    }
    assert_eq!(server.downloads(&alice, "b.example/k").await, 503);
}

fn leaked_path(id: &str) -> &'static str {
    Box::leak(format!("b.example/{id}").into_boxed_str())
}

/// A quarter of what there may be, in bytes that are nobody else's.
fn leaked(id: &str) -> &'static str {
    Box::leak(id.repeat(COPIES_MAX / 4 / id.len()).into_boxed_str())
}

#[tokio::test]
async fn a_file_that_no_row_leads_to_goes_and_those_in_use_stay() {
    let server = server();
    let alice = server.person("alice").await;
    let own = server.upload(&alice, "own").await;
    let elsewhere = Elsewhere::default();
    elsewhere.0.lock().insert("copy".to_owned(), "copy");
    server.api.media.set_remote(Arc::new(elsewhere));
    assert_eq!(server.downloads(&alice, "b.example/copy").await, 200);
    // As a process leaves it that is killed between writing a file and its row.
    let lost = server.objects.begin("lost".to_owned()).await.unwrap();
    lost.finish([7; 32]).await.unwrap();
    assert_eq!(server.api.media.purge_media(None).await.unwrap(), Purged::default());
    server.time.clock.advance(Duration::from_hours(1));
    let purged = server.api.media.purge_media(None).await.unwrap();
    assert_eq!(purged, Purged { media: 0, files: 1 });
    assert!(!server.objects.exists([7; 32]).await.unwrap());
    assert_eq!(server.downloads(&alice, &own).await, 200);
    assert_eq!(server.downloads(&alice, "b.example/copy").await, 200);
}

#[tokio::test]
async fn a_copy_that_goes_while_it_is_asked_for_is_not_found_and_a_lost_file_of_ours_is_a_fault() {
    let server = server();
    let alice = server.person("alice").await;
    let elsewhere = Arc::new(Elsewhere::default());
    server.api.media.set_remote(elsewhere.clone());
    elsewhere.0.lock().insert("copy".to_owned(), "a copy");
    assert_eq!(server.downloads(&alice, "b.example/copy").await, 200);
    let own = server.upload(&alice, "our own").await;
    let (_, id) = own.split_once('/').unwrap();
    let wanted = server.api.media.own(id.to_owned(), Duration::ZERO);
    let ours = server.api.media.find_media(&wanted).await.unwrap();
    for digest in server.objects.list(None, 10).await.unwrap() {
        assert!(server.objects.remove(digest, u64::MAX).await.unwrap());
    }
    assert_eq!(server.downloads(&alice, "b.example/copy").await, 404);
    let picture = "/_matrix/client/v1/media/thumbnail/b.example/copy?width=8&height=8";
    assert_eq!(error(server.get(picture, &alice).await), code(404, "M_NOT_FOUND"));
    let lost = server.api.media.open_file(&ours, 0..ours.size).await;
    assert!(matches!(lost, Err(DownloadMediaError::Disk(_))));
}
