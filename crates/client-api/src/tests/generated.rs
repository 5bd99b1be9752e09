//! Requests bent out of shape as a seed decides, at every endpoint and for everybody: never a
//! failure of the server, and afterwards it is as sound as before.

use vestibule_storage::{StorageError, check};
use vestibule_testkit::Mutator;

use super::{
    plausible::{Route, Things, current_routes, target},
    scene::{Role, Scene},
    *,
};

/// Requests per endpoint and role. The answers of them all take a few seconds.
const TRIES: u64 = 6;

const SEED: u64 = 0x7ea;

/// A request that is not quite the plausible one.
fn bent(things: &Things, route: &Route, mutator: &Mutator) -> (String, Vec<u8>) {
    let mut parameters = things.parameters(route);
    let mut query = things.query(route);
    let mut body = things.body(route);
    let part = mutator.below(6);
    if part == 0 {
        for parameter in &mut parameters {
            if mutator.below(2) == 0 {
                *parameter = bent_text(parameter, mutator);
            }
        }
    }
    if part == 1 || part == 2 {
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
        for _ in 0..mutator.below(4) {
            let name = mutator.pick(&NAMES).copied().unwrap_or_default().to_owned();
            query.push((name, bent_text("t1", mutator)));
        }
        for (name, value) in &mut query {
            // The clock of these tests stands still: nobody would be answered who waits.
            if name != "timeout" && mutator.below(3) == 0 {
                *value = bent_text(value, mutator);
            }
        }
    }
    if part >= 2 {
        mutator.change(&mut body);
    }
    let mut bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    if part == 5 {
        mutator.change_bytes(&mut bytes);
    }
    (target(route, &parameters, &query), bytes)
}

fn bent_text(text: &str, mutator: &Mutator) -> String {
    let mut value = json!(text);
    mutator.change(&mut value);
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn is_told((status, body): &(u16, Value)) -> bool {
    let is_interactive = *status == 401 && body["flows"].is_array();
    let has_code = body["errcode"].as_str().is_some_and(|code| !code.is_empty());
    *status < 400 || (*status < 500 && (is_interactive || has_code))
}

async fn throw(role: Role) {
    let mut scene = Scene::of(role).await;
    for (number, route) in current_routes(&scene.server).iter().enumerate() {
        let role_seed = SEED ^ ((role as u64) << 32);
        for attempt in 0..TRIES {
            let mutator = Mutator::new(role_seed + number as u64 * TRIES + attempt);
            let (path, body) = bent(&scene.things, route, &mutator);
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
    let found = server.store.read::<_, StorageError, _>(|read| check(read)).await.unwrap();
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
