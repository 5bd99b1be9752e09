//! Alias authority: nothing that comes from another server changes where our aliases lead, nor opens a
//! door to guests.

use proptest::prelude::*;
use serde_json::{Value, json};
use vestibule_testkit::server::{Blueprint, segment};

use crate::support::{Scene, scene_of};

const POLICY: &str = r#"
[guests]
enabled = true
open_rooms_by = ["alias"]
need_host = false

[guests.caps]
per_ip = 1000
per_ip_per_day = 10000

[aliases]
create = "moderator"
"#;

const OURS: &str = "#tea:home.example";
const NEW: &str = "#coffee:home.example";

/// A state event another server may think of, about aliases or what looks like them.
fn claim() -> impl Strategy<Value = (String, String, Value)> {
    let alias = prop::sample::select(vec![OURS, NEW, "#theirs:away.example", "#x", ""]);
    let server = prop::sample::select(vec!["home.example", "away.example", ""]);
    let state = |kind: &str, key: &str, content: Value| (kind.to_owned(), key.to_owned(), content);
    (alias.clone(), alias, server, 0..7_u8).prop_map(move |(one, other, server, kind)| match kind {
        0 => state("m.room.canonical_alias", "", json!({ "alias": one })),
        1 => state("m.room.canonical_alias", "", json!({ "alias": one, "alt_aliases": [other] })),
        2 => state("m.room.canonical_alias", one, json!({ "alias": [one], "alt_aliases": other })),
        3 => state("m.room.aliases", server, json!({ "aliases": [one, other] })),
        4 => state("m.room.guest_access", "", json!({ "guest_access": "can_join" })),
        5 => state("m.room.join_rules", "", json!({ "join_rule": "public" })),
        _ => state("m.space.child", one, json!({ "via": [server], "canonical_alias": other })),
    })
}

/// Where an alias leads, as a client is told.
async fn leads(scene: &Scene, alias: &str) -> Option<String> {
    let path = format!("/_matrix/client/v3/directory/room/{}", segment(alias));
    let answer = scene.alice.http().get(&path).await;
    answer.body["room_id"].as_str().map(str::to_owned)
}

async fn withstands(claims: Vec<(String, String, Value)>) {
    let mut scene = scene_of(Blueprint::default().with(POLICY), "11").await;
    let moderator = scene.home.person("mod", "moderator").await;
    let named = moderator.create_guest_room(Some("tea")).await;
    let guest_access = json!({ "guest_access": "can_join" });
    scene.alice.set_state(&scene.room, "m.room.guest_access", "", &guest_access).await.ok();
    let before = (leads(&scene, OURS).await, leads(&scene, NEW).await);
    assert_eq!(before, (Some(named.clone()), None));
    for (kind, key, content) in &claims {
        let event = scene.event(&scene.ends().await, (kind, Some(key)), content).await;
        scene.send(std::slice::from_ref(&event)).await;
    }
    assert_eq!((leads(&scene, OURS).await, leads(&scene, NEW).await), before, "{claims:?}");
    let aliases = scene.alice.of_room(&scene.room, "aliases").await.ok();
    assert_eq!(aliases["aliases"], json!([]), "{claims:?}");
    let guest = scene.home.guest().await;
    let refused = guest.join(&scene.room).await;
    assert_eq!(refused.status, 403, "{claims:?}: {}", refused.body);
    guest.join(&named).await.ok();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..Default::default() })]

    #[test]
    fn nothing_another_server_says_moves_an_alias_or_opens_a_door(
        claims in prop::collection::vec(claim(), 1..8),
    ) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(withstands(claims));
    }
}
