//! Guests who have a token and no rows, at every endpoint.

use std::fmt::Write;

use ruma::OwnedUserId;
use vestibule_storage::tables::account::{ACCOUNT_BY_ID, GUESTS_LIVE};

use super::{
    plausible::current_routes,
    scene::{Role, Scene},
    *,
};

const V3: &str = "/_matrix/client/v3";
const SLIDING: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

impl Server {
    async fn has_rows(&self, who: &Person) -> bool {
        let user_id = OwnedUserId::try_from(who.user_id.clone()).unwrap();
        let read = self.store.read(move |read| ACCOUNT_BY_ID.contains(read, (&user_id,)));
        read.await.unwrap()
    }

    /// A room of somebody's that guests may join.
    async fn lobby(&self, host: &Person) -> String {
        let guests =
            json!({ "type": "m.room.guest_access", "content": { "guest_access": "can_join" } });
        self.public_room(host, json!({ "initial_state": [guests] })).await
    }
}

/// Guests may enter rooms that let them; refusals are not written down.
fn open() -> Server {
    server_with(
        |policy| {
            policy.guests.open_rooms_by = vec!["any".to_owned()];
            policy.audit.denials = false;
        },
        |_| {},
    )
}

/// Waits until one more request sleeps.
async fn parked(server: &Server, sleepers: usize) {
    let wait = async {
        while server.time.clock.sleepers() <= sleepers {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), wait).await.expect("the request waits");
}

#[tokio::test]
async fn hundreds_of_guests_register_and_nothing_is_written() {
    let server = open();
    server.api.accounts.make_guest_key().await.unwrap();
    let before = server.store.positions();
    for _ in 0..300 {
        server.time.clock.advance(Duration::from_secs(1));
        server.guest().await;
    }
    assert_eq!(server.store.positions(), before);
}

/// What a guest's first request does at every endpoint. The golden file is what reviewers read; with
/// `INSTA_UPDATE=always` the test writes it anew.
#[tokio::test]
async fn what_the_first_request_of_a_guest_writes_is_as_reviewed() {
    let mut scene = Scene::of(Role::Guest).await;
    let mut table = String::new();
    for route in &current_routes(&scene.server) {
        scene.server.time.clock.advance(Duration::from_secs(5));
        let guest = scene.server.guest().await;
        scene.things.own = guest.user_id.clone();
        scene.things.user = guest.user_id.clone();
        scene.things.device = guest.device_id.clone();
        scene.things.fresh += 1_000;
        let probe = scene.things.probe(route);
        let path = probe.target(&route.path);
        let before = scene.server.store.positions();
        let (method, token) = (route.method.clone(), Some(guest.token.as_str()));
        let (status, _) = scene.server.send(method, &path, token, probe.bytes()).await;
        let rows = scene.server.has_rows(&guest).await;
        let done = if rows {
            "rows"
        } else if status != 200 {
            // At most that it was refused is written down for the operator.
            "no rows"
        } else if scene.server.store.positions() != before {
            "no rows of the guest, but others"
        } else {
            "nothing"
        };
        assert!(!rows || status == 200, "{} {path}: {status}, and {done}", route.method);
        assert!(!rows || route.method != Method::GET, "{path} was only read");
        writeln!(table, "{} {}\n    {status} {done}", route.method, route.path).unwrap();
    }
    insta::with_settings!({
        snapshot_path => "../../tests/golden",
        prepend_module_to_snapshot => false,
        description => "each by another guest with a token and no rows, about its own things and a room that \
                        guests may join",
    }, {
        insta::assert_snapshot!("first_requests", table);
    });
}

#[tokio::test]
async fn a_guest_reads_is_refused_joins_and_is_somebody_from_then_on() {
    let server = open();
    let host = server.person("host").await;
    let room = server.lobby(&host).await;
    let shut = server.public_room(&host, json!({ "preset": "private_chat" })).await;
    let guest = server.guest().await;
    let before = server.store.positions();
    let (status, all) = server.get(&format!("{V3}/sync"), &guest).await;
    assert_eq!(status, 200, "{all}");
    assert!(all["account_data"]["events"][0]["type"] == "m.push_rules", "{all}");
    let since = all["next_batch"].as_str().unwrap();
    let next = format!("{V3}/sync?since={since}");
    assert_eq!(server.get(&next, &guest).await.0, 200);
    let (status, devices) = server.get(&format!("{V3}/devices"), &guest).await;
    assert_eq!((status, &devices["devices"][0]["device_id"]), (200, &json!(guest.device_id)));
    let name = format!("{V3}/profile/{}/displayname", guest.user_id);
    let (status, own) = server.get(&name, &guest).await;
    assert_eq!(status, 200, "{own}");
    assert!(own["displayname"].as_str().unwrap().ends_with(" (guest)"), "{own}");
    let keys = json!({ "device_keys": { (guest.user_id.as_str()): [] } });
    assert_eq!(server.post(&format!("{V3}/keys/query"), &guest, keys).await.0, 200);
    for room in [shut.as_str(), "!nowhere:a.example"] {
        let (status, _) = server.post(&format!("{V3}/join/{room}"), &guest, json!({})).await;
        assert_eq!(status / 100, 4, "{room}");
    }
    assert_eq!(server.store.positions(), before, "nothing of that was written");
    let (status, _) = server.get(&name, &host).await;
    assert_eq!(status, 404, "nobody else sees somebody there");

    server.joins(&guest, &room).await;
    assert!(server.has_rows(&guest).await);
    let said = server.says(&guest, &room, Value::Null).await;
    let (status, news) = server.get(&next, &guest).await;
    assert_eq!(status, 200, "the token of the first sync goes on: {news}");
    let events = news["rooms"]["join"][&room]["timeline"]["events"].as_array().unwrap();
    assert!(events.iter().any(|event| event["event_id"] == said.as_str()), "{news}");
}

#[tokio::test]
async fn of_what_many_guests_without_rows_are_refused_little_is_written_down() {
    let server = server();
    let host = server.person("host").await;
    let shut = server.public_room(&host, json!({})).await;
    for _ in 0..200 {
        server.time.clock.advance(Duration::from_millis(100));
        let guest = server.guest().await;
        let path = format!("{V3}/join/{shut}");
        let answer = server.post(&path, &guest, json!({})).await;
        assert_eq!(error(answer), code(403, "M_GUEST_ACCESS_FORBIDDEN"));
    }
    let kept = server.api.accounts.ledger().denials(1_000).await.unwrap();
    assert!((1..100).contains(&kept.len()), "{}", kept.len());
}

#[tokio::test]
async fn a_poll_ends_when_its_guest_logs_out() {
    let server = Arc::new(open());
    server.api.sync.start();
    let guest = server.guest().await;
    let (_, all) = server.get(&format!("{V3}/sync"), &guest).await;
    let since = all["next_batch"].as_str().unwrap();
    let (before, sleepers) = (server.store.positions(), server.time.clock.sleepers());
    let poll = {
        let (server, guest) = (server.clone(), guest.clone());
        let path = format!("{V3}/sync?since={since}&timeout=30000");
        #[expect(clippy::disallowed_methods, reason = "a client is a task of its own")]
        tokio::spawn(async move { server.get(&path, &guest).await })
    };
    parked(&server, sleepers).await;
    assert_eq!(server.store.positions(), before);
    assert_eq!(server.post(&format!("{V3}/logout"), &guest, json!({})).await.0, 200);
    assert_eq!(error(poll.await.unwrap()), code(401, "M_UNKNOWN_TOKEN"));
    let whoami = server.get(&format!("{V3}/account/whoami"), &guest).await;
    assert_eq!(error(whoami), code(401, "M_UNKNOWN_TOKEN"));
    assert!(!server.has_rows(&guest).await);
}

#[tokio::test]
async fn a_poll_that_began_before_the_first_act_hears_of_it() {
    let server = Arc::new(open());
    server.api.sync.start();
    let host = server.person("host").await;
    let room = server.lobby(&host).await;
    let guest = server.guest().await;
    let (_, all) = server.get(&format!("{V3}/sync"), &guest).await;
    let since = all["next_batch"].as_str().unwrap();
    let sleepers = server.time.clock.sleepers();
    let poll = {
        let (server, guest) = (server.clone(), guest.clone());
        let path = format!("{V3}/sync?since={since}&timeout=30000");
        #[expect(clippy::disallowed_methods, reason = "a client is a task of its own")]
        tokio::spawn(async move { server.get(&path, &guest).await })
    };
    parked(&server, sleepers).await;
    server.joins(&guest, &room).await;
    let (status, news) = poll.await.unwrap();
    assert_eq!(status, 200);
    assert!(news["rooms"]["join"][&room].is_object(), "{news}");
}

#[tokio::test]
async fn a_sliding_connection_of_a_guest_is_written_once_the_guest_is() {
    let server = open();
    let host = server.person("host").await;
    let room = server.lobby(&host).await;
    let guest = server.guest().await;
    let body = json!({ "lists": { "all": {
        "ranges": [[0, 9]], "required_state": [["*", "*"]], "timeline_limit": 5,
    } } });
    let before = server.store.positions();
    let mut pos = String::new();
    for _ in 0..3 {
        server.time.clock.advance(Duration::from_mins(15));
        let path = format!("{SLIDING}?timeout=0{pos}");
        let (status, found) = server.post(&path, &guest, body.clone()).await;
        assert_eq!(status, 200, "{found}");
        pos = format!("&pos={}", found["pos"].as_str().unwrap());
    }
    assert_eq!(server.store.positions(), before);
    server.joins(&guest, &room).await;
    for has in [true, false] {
        let path = format!("{SLIDING}?timeout=0{pos}");
        let (status, found) = server.post(&path, &guest, body.clone()).await;
        assert_eq!(status, 200, "the connection goes on: {found}");
        assert_eq!(found["rooms"][&room].is_object(), has, "{found}");
        pos = format!("&pos={}", found["pos"].as_str().unwrap());
    }
}

#[tokio::test]
async fn a_guest_without_rows_that_shows_its_token_becomes_an_account_and_no_guest() {
    let server = open();
    let guest = server.guest().await;
    let name = guest.user_id.strip_prefix('@').unwrap().split_once(':').unwrap().0;
    let body = json!({
        "username": name, "password": "tea", "auth": { "type": "m.login.dummy" },
        "guest_access_token": guest.token,
    });
    let (status, made) = server.post(&format!("{V3}/register"), &guest, body).await;
    assert_eq!((status, &made["user_id"]), (200, &json!(guest.user_id)), "{made}");
    let live = server.store.read(|read| GUESTS_LIVE.get(read, (0,))).await.unwrap();
    assert_eq!(live.unwrap_or_default(), 0);
    let whoami = server.get(&format!("{V3}/account/whoami"), &guest).await;
    assert_eq!(error(whoami), code(401, "M_UNKNOWN_TOKEN"));
    let account = person_of(&made);
    let (_, whoami) = server.get(&format!("{V3}/account/whoami"), &account).await;
    assert_eq!((&whoami["user_id"], &whoami["is_guest"]), (&json!(guest.user_id), &Value::Null));
    let (_, devices) = server.get(&format!("{V3}/devices"), &account).await;
    assert_eq!(devices["devices"].as_array().unwrap().len(), 1, "{devices}");
}

#[tokio::test]
async fn an_invitation_of_a_guest_without_rows_meets_the_same_rules() {
    let server = open();
    let host = server.person("host").await;
    let shut = server.public_room(&host, json!({})).await;
    let (unwritten, written) = (server.guest().await, server.guest().await);
    let room = server.lobby(&host).await;
    server.joins(&written, &room).await;
    let mut answers = Vec::new();
    for guest in [&unwritten, &written] {
        let path = format!("{V3}/rooms/{shut}/invite");
        let body = json!({ "user_id": guest.user_id });
        answers.push(error(server.post(&path, &host, body).await));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].0, 403);
    assert!(!server.has_rows(&unwritten).await);
}
