//! Who waits for news is told at once when their session ends. The clock of these tests stands still:
//! no request ends because its time is over.

use tokio::task::JoinHandle;

use vestibule_types::Clock;

use super::{moderation::admin, *};

/// How long a test that would hang is let hang, in real time.
const PATIENCE: Duration = Duration::from_mins(1);

/// The requests that wait.
const WAITING: [&str; 4] = ["sync", "sliding", "events", "events of a room"];

/// A server, somebody with a room on it, and an admin.
struct Scene {
    server: Arc<Server>,
    alice: Person,
    /// Another session of hers.
    other: Person,
    room: String,
    operator: Person,
}

impl Scene {
    async fn new() -> Self {
        let server = Arc::new(server());
        server.api.sync.start();
        let operator = admin(&server, "operator").await;
        let alice = server.person("alice").await;
        let other = person_of(&server.log_in("alice", "tea").await.1);
        let room = server.public_room(&alice, json!({ "preset": "public_chat" })).await;
        Self { server, alice, other, room, operator }
    }

    /// A request of Alice's that waits.
    async fn park(&self, kind: &str) -> JoinHandle<(u16, Value)> {
        const SLIDING: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
        let wait = "timeout=30000";
        let (server, alice) = (Arc::clone(&self.server), self.alice.clone());
        let body = json!({ "lists": { "all": {
            "ranges": [[0, 9]], "timeline_limit": 1, "required_state": [],
        } } });
        // Whoever is told that they came online does not wait.
        let all = server.fetch(&alice, "/_matrix/client/v3/sync").await;
        let (path, body) = match kind {
            "sync" => {
                let since = all["next_batch"].as_str().unwrap();
                (format!("/_matrix/client/v3/sync?since={since}&{wait}"), Value::Null)
            }
            "sliding" => {
                let (status, first) = server.post(SLIDING, &alice, body.clone()).await;
                assert_eq!(status, 200, "{first}");
                (format!("{SLIDING}?pos={}&{wait}", first["pos"].as_str().unwrap()), body)
            }
            "events" => (format!("/_matrix/client/v3/events?{wait}"), Value::Null),
            _ => (format!("/_matrix/client/v3/events?{wait}&room_id={}", self.room), Value::Null),
        };
        #[expect(clippy::disallowed_methods, reason = "a client is a task of its own")]
        let waiting = tokio::spawn(async move {
            match body {
                Value::Null => server.get(&path, &alice).await,
                body => server.post(&path, &alice, body).await,
            }
        });
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished(), "{kind} does not wait");
        waiting
    }

    /// What a request that waited is answered by now, if anything.
    async fn settles(
        waiting: JoinHandle<(u16, Value)>,
    ) -> Result<(u16, Value), JoinHandle<(u16, Value)>> {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        if waiting.is_finished() { Ok(waiting.await.unwrap()) } else { Err(waiting) }
    }

    async fn restrains(&self, what: &str, on: bool) {
        let path = format!("/_matrix/client/v1/admin/{what}/{}", self.alice.user_id);
        let word = if what == "lock" { "locked" } else { "suspended" };
        assert_eq!(self.server.put(&path, &self.operator, json!({ (word): on })).await.0, 200);
    }

    /// Ends Alice's session.
    async fn ends(&self, how: &str) {
        let (server, alice) = (&self.server, &self.alice);
        let auth = json!({
            "type": "m.login.password", "password": "tea",
            "identifier": { "type": "m.id.user", "user": alice.user_id },
        });
        let v3 = "/_matrix/client/v3";
        let (status, body) = match how {
            "logout" => server.post(&format!("{v3}/logout"), alice, json!({})).await,
            "logout all" => server.post(&format!("{v3}/logout/all"), alice, json!({})).await,
            "device" => {
                let path = format!("{v3}/devices/{}", alice.device_id);
                server.delete(&path, alice, json!({ "auth": auth })).await
            }
            "login" => {
                let body = json!({
                    "type": "m.login.password", "device_id": alice.device_id,
                    "identifier": auth["identifier"], "password": "tea",
                });
                server.ask(Method::POST, &format!("{v3}/login"), body).await
            }
            "password" => {
                let body = json!({ "auth": auth, "new_password": "coffee" });
                server.post(&format!("{v3}/account/password"), &self.other, body).await
            }
            _ => {
                let path = format!("{v3}/account/deactivate");
                server.post(&path, alice, json!({ "auth": auth })).await
            }
        };
        assert_eq!(status, 200, "{how}: {body}");
    }
}

async fn answered(scene: &Scene, waiting: JoinHandle<(u16, Value)>) -> (u16, Value) {
    // A room that is peeked into is not looked at without pause.
    let pause = async {
        loop {
            scene.server.time.clock.advance(Duration::from_millis(10));
            tokio::task::yield_now().await;
        }
    };
    let answer = tokio::time::timeout(PATIENCE, async {
        tokio::select! { answer = waiting => answer.unwrap(), () = pause => unreachable!() }
    });
    answer.await.expect("answered")
}

#[tokio::test]
async fn a_session_that_ends_ends_its_requests_at_once() {
    for how in ["logout", "logout all", "device", "login", "password", "deactivate"] {
        for kind in WAITING {
            let scene = Scene::new().await;
            let before = scene.server.time.clock.monotonic();
            let waiting = scene.park(kind).await;
            scene.ends(how).await;
            let answer = answered(&scene, waiting).await;
            assert_eq!(error(answer), code(401, "M_UNKNOWN_TOKEN"), "{kind}, {how}");
            let took = scene.server.time.clock.monotonic().saturating_sub(before);
            assert!(took < Duration::from_secs(20), "{kind}, {how}: its time was over");
        }
    }
}

#[tokio::test]
async fn a_lock_ends_requests_at_once_and_says_that_the_session_stays() {
    for kind in WAITING {
        let scene = Scene::new().await;
        let waiting = scene.park(kind).await;
        scene.restrains("lock", true).await;
        let (status, body) = answered(&scene, waiting).await;
        assert_eq!((status, &body["errcode"]), (401, &json!("M_USER_LOCKED")), "{kind}");
        assert_eq!(body["soft_logout"], true, "{kind}");
        scene.restrains("lock", false).await;
        // As before: it waits.
        scene.park(kind).await.abort();
    }
}

#[tokio::test]
async fn suspended_accounts_and_other_sessions_wait_on() {
    let scene = Scene::new().await;
    for kind in WAITING {
        let waiting = scene.park(kind).await;
        let other = person_of(&scene.server.log_in("alice", "tea").await.1);
        let gone = scene.server.post("/_matrix/client/v3/logout", &other, json!({})).await;
        assert_eq!(gone.0, 200);
        // That a device came and went is news to some of them, and the end of none.
        match Scene::settles(waiting).await {
            Ok((status, body)) => assert_eq!(status, 200, "{kind}: {body}"),
            Err(waiting) => waiting.abort(),
        }
        let waiting = scene.park(kind).await;
        scene.restrains("suspend", true).await;
        scene.restrains("suspend", false).await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished(), "{kind}");
        let said = scene.server.says(&scene.alice, &scene.room, Value::Null).await;
        let (status, body) = answered(&scene, waiting).await;
        assert_eq!(status, 200, "{kind}: {body}");
        assert!(body.to_string().contains(&said), "{kind}: {body}");
    }
}

#[tokio::test]
async fn a_session_that_is_refreshed_waits_on_with_the_token_it_began_with() {
    for kind in WAITING {
        let mut scene = Scene::new().await;
        let body = json!({
            "type": "m.login.password", "device_id": scene.alice.device_id, "refresh_token": true,
            "identifier": { "type": "m.id.user", "user": "alice" }, "password": "tea",
        });
        let (_, session) = scene.server.ask(Method::POST, "/_matrix/client/v3/login", body).await;
        scene.alice = person_of(&session);
        let waiting = scene.park(kind).await;
        let body = json!({ "refresh_token": session["refresh_token"] });
        let (status, pair) =
            scene.server.ask(Method::POST, "/_matrix/client/v3/refresh", body).await;
        assert_eq!(status, 200, "{pair}");
        let token = pair["access_token"].as_str().unwrap().to_owned();
        let refreshed = Person { token, ..scene.alice.clone() };
        let who = "/_matrix/client/v3/account/whoami";
        assert_eq!(scene.server.get(who, &refreshed).await.0, 200);
        let old = scene.server.get(who, &scene.alice).await;
        assert_eq!(error(old), code(401, "M_UNKNOWN_TOKEN"), "it was refreshed");
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished(), "{kind}");
        let said = scene.server.says(&refreshed, &scene.room, Value::Null).await;
        let (status, body) = answered(&scene, waiting).await;
        assert_eq!(status, 200, "{kind}: {body}");
        assert!(body.to_string().contains(&said), "{kind}: {body}");
    }
}
