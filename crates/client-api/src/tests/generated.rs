//! Requests bent out of shape as a seed decides, at every endpoint and for everybody: never a
//! failure of the server, and afterwards it is as sound as before.

use vestibule_storage::{StorageError, check};
use vestibule_testkit::{Mutator, is_told};

use super::{
    plausible::current_routes,
    scene::{Role, Scene},
    *,
};

/// Requests per endpoint and role. The answers of them all take a few seconds.
const TRIES: u64 = 6;

const SEED: u64 = 0x7ea;

/// What queries are made longer with.
const NAMES: [&str; 11] = [
    "limit",
    "from",
    "to",
    "since",
    "filter",
    "dir",
    "ts",
    "via",
    "order_by",
    "max_depth",
    "version",
];

async fn throw(role: Role) {
    let mut scene = Scene::of(role).await;
    for (number, route) in current_routes(&scene.server).iter().enumerate() {
        let role_seed = SEED ^ ((role as u64) << 32);
        for attempt in 0..TRIES {
            let mutator = Mutator::new(role_seed + number as u64 * TRIES + attempt);
            let mut probe = scene.things.probe(route);
            let body = probe.bend(&mutator, &NAMES);
            let path = probe.target(&route.path);
            let text = String::from_utf8_lossy(&body).into_owned();
            let token = scene.actor.as_ref().map(|actor| actor.token.clone());
            let sent = scene.server.send(route.method.clone(), &path, token.as_deref(), body);
            let answer = sent.await;
            // A page tells people, not clients.
            let is_page = route.path.ends_with("/fallback/web") && answer.0 < 500;
            assert!(is_page || is_told(&answer), "{} {path} {text}: {answer:?}", route.method);
            if answer.0 == 200 && route.method != Method::GET {
                scene.mend(route).await;
            }
        }
    }
    still_works(&mut scene).await;
}

/// The room goes on, a new one can be made, and every row of the store can be read.
async fn still_works(scene: &mut Scene) {
    let (server, host) = (&scene.server, &scene.host);
    let said = server.says(host, &scene.things.room, Value::Null).await;
    let page = format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit=1", scene.things.room);
    assert_eq!(server.fetch(host, &page).await["chunk"][0]["event_id"], said);
    let room = server.public_room(host, json!({})).await;
    let all = server.fetch(host, "/_matrix/client/v3/sync").await;
    assert!(all["rooms"]["join"][&room].is_object(), "{all}");
    let found = server.store.read::<_, StorageError, _>(|read| Ok(check(read))).await.unwrap();
    assert_eq!((found.damaged, found.problems), (0, Vec::new()));
}

#[tokio::test]
async fn a_member_who_sends_nonsense_breaks_nothing() {
    throw(Role::Member).await;
}

#[tokio::test]
async fn an_admin_who_sends_nonsense_breaks_nothing() {
    throw(Role::Admin).await;
}

#[tokio::test]
async fn a_guest_who_sends_nonsense_breaks_nothing() {
    throw(Role::Guest).await;
}
