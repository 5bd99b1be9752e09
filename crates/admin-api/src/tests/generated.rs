//! Requests bent out of shape as a seed decides, at every endpoint: never a failure of the server, and
//! afterwards it is as sound as before.

use http::Method;
use vestibule_storage::{StorageError, check};
use vestibule_testkit::{Mutator, is_told};

use super::scene::{Role, Scene, all_routes};

/// Requests per endpoint.
const TRIES: u64 = 6;

const SEED: u64 = 0x0ad;

/// What queries are made longer with.
const NAMES: [&str; 9] =
    ["limit", "from", "class", "user", "server", "after_server", "after_id", "action", "room"];

async fn throw(role: Role) {
    let mut scene = Scene::of(role).await;
    for (number, route) in all_routes().await.iter().enumerate() {
        for attempt in 0..TRIES {
            let seed = (SEED ^ ((role as u64) << 32)) + number as u64 * TRIES + attempt;
            let mut probe = scene.probe(route);
            let body = probe.bend(&Mutator::new(seed), &NAMES);
            let path = probe.target(&route.path);
            let text = String::from_utf8_lossy(&body).into_owned();
            let answer = scene.send(route, &path, body).await;
            assert!(is_told(&answer), "{} {path} {text}: {answer:?}", route.method);
            if answer.0 == 200 && route.method != Method::GET {
                assert_sound(&scene).await;
                scene = Scene::of(role).await;
            }
        }
    }
    assert_sound(&scene).await;
}

/// Every row of the store can be read.
async fn assert_sound(scene: &Scene) {
    let found = scene.store.read::<_, StorageError, _>(|read| Ok(check(read))).await.unwrap();
    assert_eq!((found.damaged, found.problems), (0, Vec::new()));
}

#[tokio::test]
async fn an_admin_who_sends_nonsense_breaks_nothing() {
    throw(Role::Admin).await;
}

#[tokio::test]
async fn a_moderator_who_sends_nonsense_breaks_nothing() {
    throw(Role::Moderator).await;
}
