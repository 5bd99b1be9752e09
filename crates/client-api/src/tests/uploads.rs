//! Media ids that are made ahead of their files.

use vestibule_media::ObjectStore;

use super::*;

const CREATE: &str = "/_matrix/media/v1/create";

/// Ids one user may have made ahead, and for how long.
const PENDING_MAX: usize = 100;
const LIFE: Duration = Duration::from_hours(24);

impl Server {
    async fn id_ahead(&self, who: &Person) -> (u16, Value) {
        // So that no rate is used up.
        self.time.clock.advance(Duration::from_mins(1));
        self.post(CREATE, who, json!({})).await
    }

    async fn uploads_to(&self, who: &Person, place: &str) -> (u16, Value) {
        let path = format!("/_matrix/media/v3/upload/{place}");
        self.send(Method::PUT, &path, Some(&who.token), "hello").await
    }
}

fn place_of(made: &Value) -> String {
    made["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned()
}

#[tokio::test]
async fn ids_made_ahead_are_bounded_and_each_ends_unless_its_file_comes() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let mut made = Vec::new();
    for count in 0..PENDING_MAX {
        let (status, answer) = server.id_ahead(&alice).await;
        assert_eq!(status, 200, "{count}: {answer}");
        let ends = server.time.environment.now_ms() + u64::try_from(LIFE.as_millis()).unwrap();
        assert_eq!(answer["unused_expires_at"], json!(ends));
        made.push(place_of(&answer));
    }
    let (status, refused) = server.id_ahead(&alice).await;
    assert_eq!((status, &refused["errcode"]), (429, &json!("M_LIMIT_EXCEEDED")));
    assert!(refused["retry_after_ms"].as_u64().unwrap() > 3_600_000, "{refused}");
    assert_eq!(server.id_ahead(&bob).await.0, 200, "everybody has their own");

    // A file that comes makes room for another id.
    let last = made.last().unwrap().clone();
    assert_eq!(server.uploads_to(&alice, &last).await.0, 200);
    assert_eq!(server.id_ahead(&alice).await.0, 200);
    assert_eq!(server.id_ahead(&alice).await.0, 429);

    // The first one ends: it takes nothing any more, and makes room as well.
    server.time.clock.advance(Duration::from_mins(24 * 60 - 100));
    let (status, ended) = server.uploads_to(&alice, &made[0]).await;
    assert_eq!((status, &ended["errcode"]), (404, &json!("M_NOT_FOUND")));
    let download = |place: &str| format!("/_matrix/client/v1/media/download/{place}");
    assert_eq!(server.get(&download(&made[0]), &bob).await.0, 404);
    assert_eq!(server.id_ahead(&alice).await.0, 200);
    assert_eq!(server.get(&download(&last), &bob).await.0, 200, "a file does not end");
}

#[tokio::test]
async fn a_file_longer_than_it_says_is_cut_and_nothing_is_left() {
    let server = server();
    let alice = server.person("alice").await;
    let (_, made) = server.id_ahead(&alice).await;
    let place = place_of(&made);
    let path = format!("/_matrix/media/v3/upload/{place}");
    // No length is said before, so that it shows only on the way.
    let pieces =
        futures_util::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>("x".repeat(100))));
    let body = Body::from_stream(pieces);
    let (status, refused) = server.send(Method::PUT, &path, Some(&alice.token), body).await;
    assert_eq!((status, &refused["errcode"]), (413, &json!("M_TOO_LARGE")));
    assert!(server.objects.list(None, 10).await.unwrap().is_empty());
    // The id still waits for its file.
    assert_eq!(server.uploads_to(&alice, &place).await.0, 200);
    assert_eq!(server.uploads_to(&alice, &place).await.1["errcode"], "M_CANNOT_OVERWRITE_MEDIA");
}
