//! Guests and other servers: what the policy says about a guest holds in rooms of other servers too.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test that called them"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::Path,
    routing::{get, put},
};
use ruma::user_id;
use serde_json::{Value, json};
use vestibule_events::RoomVersion;
use vestibule_rooms::Received;
use vestibule_testkit::server::{
    Blueprint, Network, Person, PretendServer, Reply, RoomEnds, TestServer, segment,
};
use vestibule_tests::MANY_GUESTS;

const CLIENT: &str = "/_matrix/client/v3";

/// Guests anywhere the list or a space of the configuration says, on other servers too, without a host.
const FAR: &str = r#"
[guests]
enabled = true
open_rooms_by = ["alias", "list", "space"]
federated_join = "in-scope"
need_host = false
"#;

/// The server guests come to, and another one.
struct Pair {
    network: Network,
    a: TestServer,
    b: TestServer,
}

impl Pair {
    async fn with(policy: &str) -> Self {
        let network = Network::new();
        let policy = format!("{policy}{MANY_GUESTS}");
        let a = Blueprint::default().with(&policy).on(&network, "a.example").start().await;
        let b = Blueprint::default().on(&network, "b.example").start().await;
        Self { network, a, b }
    }

    /// Puts rooms on the list that opens them to guests.
    async fn list(&self, rooms: &[&str]) {
        let list = json!(rooms).to_string();
        self.a.rewrite(|blueprint| blueprint.set("guests__list", &list));
        self.a.running().reload().await.expect("the policy is reloaded");
    }

    /// Requests so far that are not about keys.
    fn requests(&self) -> Vec<String> {
        let sent = self.network.sent().into_iter();
        let sent = sent.filter(|sent| !sent.line.contains("/_matrix/key/"));
        sent.map(|sent| format!("{} {}", sent.to, sent.line)).collect()
    }

    /// The reasons of refusals, newest first.
    async fn refusals(&self) -> Vec<String> {
        let answer = self.a.operator("GET", "/policy/denials", &json!({})).await.ok();
        let denials = answer["denials"].as_array().cloned().unwrap_or_default();
        denials.iter().filter_map(|it| it["reason"].as_str().map(str::to_owned)).collect()
    }
}

/// A public room that admits guests, of a version whose rooms name their server.
async fn guest_room(person: &Person, more: Value) -> String {
    let mut options = json!({
        "preset": "public_chat",
        "room_version": "11",
        "initial_state": [guest_access("can_join")],
    });
    for (key, value) in more.as_object().expect("options") {
        options[key] = value.clone();
    }
    person.create_room(&options).await
}

fn guest_access(value: &str) -> Value {
    json!({
        "type": "m.room.guest_access", "state_key": "", "content": { "guest_access": value },
    })
}

async fn join_via(person: &Person, room: &str, via: &str) -> Reply {
    let path = format!("{CLIENT}/join/{}?via={via}", segment(room));
    person.http().post(&path, &json!({})).await
}

async fn joined(person: &Person) -> Vec<String> {
    let rooms = person.http().get(&format!("{CLIENT}/joined_rooms")).await.ok();
    serde_json::from_value(rooms["joined_rooms"].clone()).expect("a list of rooms")
}

async fn membership(watcher: &Person, room: &str, user: &str) -> String {
    let member = watcher.state(room, "m.room.member", user).await;
    member.body["membership"].as_str().unwrap_or("none").to_owned()
}

async fn eventually<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    for _ in 0..200 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it never came to be");
}

#[tokio::test]
async fn a_guest_joins_a_room_of_another_server_that_the_list_opens() {
    let pair = Pair::with(FAR).await;
    let alice = pair.b.register("alice").await;
    let room = guest_room(&alice, json!({})).await;
    pair.list(&[&room]).await;
    let guest = pair.a.guest().await;
    guest.join(&room).await.ok();
    assert_eq!(membership(&alice, &room, &guest.user_id).await, "join");
    let name = alice.state(&room, "m.room.member", &guest.user_id).await.ok();
    assert!(name["displayname"].as_str().expect("a name").ends_with(" (guest)"), "{name}");
    guest.say(&room, "hello").await;
    eventually(|| async { alice.messages(&room).await.contains(&"hello".to_owned()) }).await;
}

/// Whether somebody has an account on the server guests come to.
async fn has_account(pair: &Pair, user: &str) -> bool {
    let users = pair.a.operator("GET", "/users?limit=1000", &json!(null)).await.ok();
    users.to_string().contains(user)
}

#[tokio::test]
async fn a_join_that_another_server_refuses_leaves_no_account() {
    let pair = Pair::with(FAR).await;
    let alice = pair.b.register("alice").await;
    let (open, shut) = (guest_room(&alice, json!({})).await, guest_room(&alice, json!({})).await);
    pair.list(&[&open, &shut]).await;
    let guest = pair.a.guest().await;
    alice.ban(&shut, &guest.user_id).await.ok();
    assert_eq!(guest.join(&shut).await.status, 403);
    assert!(!has_account(&pair, &guest.user_id).await);
    guest.join(&open).await.ok();
    assert!(has_account(&pair, &guest.user_id).await);
    assert_eq!(membership(&alice, &open, &guest.user_id).await, "join");
}

#[tokio::test]
async fn a_guest_for_whom_there_is_no_place_hands_in_no_join_elsewhere() {
    let pair = Pair::with(FAR).await;
    let alice = pair.b.register("alice").await;
    let (one, two) = (guest_room(&alice, json!({})).await, guest_room(&alice, json!({})).await);
    pair.a.rewrite(|blueprint| blueprint.set("guests__caps__live", "1"));
    pair.list(&[&one, &two]).await;
    let (first, second) = (pair.a.guest().await, pair.a.guest().await);
    first.join(&one).await.ok();
    assert_eq!(second.join(&two).await.reason(), Some("cap_live"));
    let sent = pair.requests();
    assert!(
        !sent.iter().any(|it| it.contains("send_join") && it.contains(&segment(&two))),
        "{sent:?}"
    );
    assert_eq!(membership(&alice, &two, &second.user_id).await, "none");
    assert!(!has_account(&pair, &second.user_id).await);
    first.http().post(&format!("{CLIENT}/logout"), &json!({})).await.ok();
    second.join(&two).await.ok();
    assert_eq!(membership(&alice, &two, &second.user_id).await, "join");
}

#[tokio::test]
async fn by_default_no_guest_makes_this_server_ask_another_one() {
    let pair = Pair::with("[guests]\nenabled = true\n").await;
    let alice = pair.b.register("alice").await;
    let room = guest_room(&alice, json!({ "room_alias_name": "hall" })).await;
    pair.list(&[&room]).await;
    let guest = pair.a.guest().await;
    let before = pair.requests();
    for refused in [
        guest.join(&room).await,
        join_via(&guest, &room, "b.example").await,
        guest.join_by_id(&room).await,
        guest.join("#hall:b.example").await,
        guest.knock(&room).await,
        guest.knock("#hall:b.example").await,
    ] {
        assert_eq!(refused.refusal(), (403, "M_GUEST_ACCESS_FORBIDDEN"), "{}", refused.body);
    }
    assert_eq!(pair.requests(), before);
}

#[tokio::test]
async fn resident_only_lets_a_guest_into_a_remote_room_while_a_host_of_ours_is_in_it() {
    let policy = FAR.replace("\"in-scope\"", "\"resident-only\"").replace("false", "true");
    let pair = Pair::with(&policy).await;
    let (alice, mona) = (pair.b.register("alice").await, pair.a.person("mona", "moderator").await);
    let room = guest_room(&alice, json!({})).await;
    pair.list(&[&room]).await;
    let guest = pair.a.guest().await;
    assert_eq!(guest.join(&room).await.refusal().0, 403);
    join_via(&mona, &room, "b.example").await.ok();
    guest.join(&room).await.ok();
    assert_eq!(membership(&mona, &room, &guest.user_id).await, "join");
}

#[tokio::test]
async fn where_a_host_is_needed_a_guest_needs_none_in_a_room_only_guests_brought_this_server_into()
{
    let pair = Pair::with(&FAR.replace("need_host = false", "need_host = true")).await;
    let (alice, mona) = (pair.b.register("alice").await, pair.a.person("mona", "moderator").await);
    let room = guest_room(&alice, json!({})).await;
    pair.list(&[&room]).await;
    let guest = pair.a.guest().await;
    guest.join(&room).await.ok();
    guest.say(&room, "hello").await;
    pair.a.guest().await.join(&room).await.ok();
    // From when on there was a host, there must be one.
    join_via(&mona, &room, "b.example").await.ok();
    guest.say(&room, "hello again").await;
    mona.leave(&room).await.ok();
    assert_eq!(pair.a.guest().await.join(&room).await.reason(), Some("no_host"));
}

/// Case 3.
#[tokio::test]
async fn power_in_a_remote_room_opens_it_to_no_guest() {
    let pair = Pair::with(FAR).await;
    let (alice, mel) = (pair.b.register("alice").await, pair.a.register("mel").await);
    let room = guest_room(&alice, json!({})).await;
    join_via(&mel, &room, "b.example").await.ok();
    let levels = json!({ "users": { &alice.user_id: 100, &mel.user_id: 100 } });
    alice.set_state(&room, "m.room.power_levels", "", &levels).await.ok();
    let levels = || async { mel.state(&room, "m.room.power_levels", "").await.body };
    eventually(|| async { levels().await["users"][&mel.user_id] == 100 }).await;
    assert_eq!(mel.create_alias("#open:a.example", &room).await.refusal(), (403, "M_FORBIDDEN"));
    let guest = pair.a.guest().await;
    assert_eq!(guest.join(&room).await.reason(), Some("out_of_scope"));
    assert_eq!(guest.join("#open:a.example").await.status, 404);
}

/// Cases 4 and 32.
#[tokio::test]
async fn a_remote_room_that_claims_our_alias_gains_nothing() {
    let pair = Pair::with(FAR).await;
    let (alice, mona) = (pair.b.register("alice").await, pair.a.person("mona", "moderator").await);
    let state = json!([guest_access("can_join")]);
    let room = guest_room(&alice, json!({ "initial_state": state })).await;
    join_via(&mona, &room, "b.example").await.ok();
    let aliases = ["#hall:a.example", "#door:a.example"];
    let ruling = async |level: u64| {
        let levels = json!({ "users": { &alice.user_id: 100, &mona.user_id: level } });
        alice.set_state(&room, "m.room.power_levels", "", &levels).await.ok();
        let levels = || async { mona.state(&room, "m.room.power_levels", "").await.body };
        eventually(|| async { levels().await["users"][&mona.user_id] == level }).await;
    };
    ruling(50).await;
    // The claim was true when it was made; who takes the names away cannot take it back.
    for alias in aliases {
        mona.create_alias(alias, &room).await.ok();
    }
    let claim = json!({ "alias": aliases[0], "alt_aliases": [aliases[1]] });
    mona.set_state(&room, "m.room.canonical_alias", "", &claim).await.ok();
    ruling(0).await;
    for alias in aliases {
        mona.delete_alias(alias).await.ok();
    }
    assert_eq!(mona.state(&room, "m.room.canonical_alias", "").await.body, claim);
    let guest = pair.a.guest().await;
    assert_eq!(guest.join(&room).await.reason(), Some("out_of_scope"));
    for alias in aliases {
        assert_eq!(guest.join(alias).await.status, 404, "{alias}");
    }
    let public = pair.a.http().get(&format!("{CLIENT}/publicRooms")).await;
    assert!(!public.body.to_string().contains(&room), "{}", public.body);
}

/// Case 6.
#[tokio::test]
async fn an_invitation_from_another_server_never_widens_the_scope() {
    let pair = Pair::with(FAR).await;
    let alice = pair.b.register("alice").await;
    let (open, closed) = (guest_room(&alice, json!({})).await, guest_room(&alice, json!({})).await);
    pair.list(&[&open]).await;
    let guest = pair.a.guest().await;
    // A guest has an account from its first accepted act on.
    guest.join(&open).await.ok();
    let refused = alice.invite(&closed, &guest.user_id).await;
    assert_eq!(refused.refusal(), (403, "M_FORBIDDEN"), "{}", refused.body);
    assert!(guest.sync("").await["rooms"]["invite"][&closed].is_null());
    assert_eq!(guest.join(&closed).await.reason(), Some("out_of_scope"));
    assert!(pair.refusals().await.contains(&"out_of_scope".to_owned()));
}

#[tokio::test]
async fn an_invitation_into_an_open_room_reaches_a_guest() {
    let pair = Pair::with(FAR).await;
    let alice = pair.b.register("alice").await;
    let (open, den) = (guest_room(&alice, json!({})).await, guest_room(&alice, json!({})).await);
    pair.list(&[&open, &den]).await;
    let guest = pair.a.guest().await;
    guest.join(&open).await.ok();
    alice.set_state(&den, "m.room.join_rules", "", &json!({ "join_rule": "invite" })).await.ok();
    assert_eq!(guest.join(&den).await.status, 403, "the room's own rules hold");
    alice.invite(&den, &guest.user_id).await.ok();
    assert!(!guest.sync("").await["rooms"]["invite"][&den].is_null());
    guest.join(&den).await.ok();
    assert_eq!(membership(&alice, &den, &guest.user_id).await, "join");
}

/// Cases 8 and 9.
#[tokio::test]
async fn a_remote_upgrade_moves_our_alias_only_with_somebody_who_may_move_it() {
    let pair = Pair::with(FAR).await;
    let (alice, mona) = (pair.b.register("alice").await, pair.a.person("mona", "moderator").await);
    let mel = pair.a.register("mel").await;
    let old = guest_room(&alice, json!({})).await;
    join_via(&mona, &old, "b.example").await.ok();
    mona.create_alias("#hall:a.example", &old).await.ok();
    let guest = pair.a.guest().await;
    guest.join("#hall:a.example").await.ok();

    let upgraded = alice.in_room(&old, "upgrade", &json!({ "new_version": "11" })).await.ok();
    let new = upgraded["replacement_room"].as_str().expect("a room").to_owned();
    let closed = || async { mona.state(&old, "m.room.tombstone", "").await.status == 200 };
    eventually(closed).await;
    let leads = || async {
        let path = format!("{CLIENT}/directory/room/{}", segment("#hall:a.example"));
        pair.a.http().get(&path).await.ok()["room_id"].as_str().expect("a room").to_owned()
    };
    assert_eq!(guest.join(&new).await.reason(), Some("out_of_scope"), "scope is not inherited");
    join_via(&mel, &new, "b.example").await.ok();
    assert_eq!(leads().await, old, "a member does not take the alias along");
    assert_eq!(guest.join(&new).await.reason(), Some("out_of_scope"));
    mona.join(&new).await.ok();
    assert_eq!(leads().await, new, "a moderator does");
    guest.join(&new).await.ok();
}

/// Case 9.
#[tokio::test]
async fn an_alias_stays_when_the_tombstone_names_another_successor() {
    let pair = Pair::with(FAR).await;
    let (alice, mona) = (pair.b.register("alice").await, pair.a.person("mona", "moderator").await);
    let old = guest_room(&alice, json!({})).await;
    join_via(&mona, &old, "b.example").await.ok();
    mona.create_alias("#hall:a.example", &old).await.ok();
    let other = guest_room(&alice, json!({})).await;
    let tombstone = json!({ "body": "gone", "replacement_room": other });
    alice.set_state(&old, "m.room.tombstone", "", &tombstone).await.ok();
    eventually(|| async { mona.state(&old, "m.room.tombstone", "").await.status == 200 }).await;
    let predecessor = json!({ "predecessor": { "room_id": old, "event_id": "$x" } });
    let pretender = guest_room(&alice, json!({ "creation_content": predecessor })).await;
    join_via(&mona, &pretender, "b.example").await.ok();
    join_via(&mona, &other, "b.example").await.ok();
    let path = format!("{CLIENT}/directory/room/{}", segment("#hall:a.example"));
    assert_eq!(pair.a.http().get(&path).await.ok()["room_id"], old);
}

/// Case 10.
#[tokio::test]
async fn a_fake_predecessor_has_no_effect() {
    let pair = Pair::with(FAR).await;
    let (alice, mona) = (pair.b.register("alice").await, pair.a.person("mona", "moderator").await);
    let old = mona.create_guest_room(Some("hall")).await;
    let predecessor = json!({ "predecessor": { "room_id": old, "event_id": "$x" } });
    let fake = guest_room(&alice, json!({ "creation_content": predecessor })).await;
    join_via(&mona, &fake, "b.example").await.ok();
    let path = format!("{CLIENT}/directory/room/{}", segment("#hall:a.example"));
    assert_eq!(pair.a.http().get(&path).await.ok()["room_id"], old);
    assert_eq!(pair.a.guest().await.join(&fake).await.reason(), Some("out_of_scope"));
}

/// Case 11.
#[tokio::test]
async fn a_restricted_room_elsewhere_takes_a_guest_who_is_in_the_room_it_names_and_in_scope() {
    let pair = Pair::with(FAR).await;
    let alice = pair.b.register("alice").await;
    let hall = guest_room(&alice, json!({})).await;
    let rules = json!({
        "type": "m.room.join_rules",
        "state_key": "",
        "content": {
            "join_rule": "restricted",
            "allow": [{ "type": "m.room_membership", "room_id": hall }],
        },
    });
    let state = json!([guest_access("can_join"), rules]);
    let den = guest_room(&alice, json!({ "initial_state": state })).await;
    pair.list(&[&hall]).await;
    let guest = pair.a.guest().await;
    guest.join(&hall).await.ok();
    assert_eq!(guest.join(&den).await.reason(), Some("out_of_scope"));
    pair.list(&[&hall, &den]).await;
    assert_eq!(pair.a.guest().await.join(&den).await.status, 403, "not in the hall");
    guest.join(&den).await.ok();
    let member = alice.state(&den, "m.room.member", &guest.user_id).await.ok();
    assert_eq!(member["join_authorised_via_users_server"], alice.user_id);
}

/// Case 12.
#[tokio::test]
async fn servers_that_a_guest_names_are_not_asked() {
    let pair = Pair::with(FAR).await;
    let _evil = PretendServer::on(&pair.network, "evil.example");
    let alice = pair.b.register("alice").await;
    let room = guest_room(&alice, json!({})).await;
    pair.list(&[&room]).await;
    let guest = pair.a.guest().await;
    let many: Vec<String> = (0..60).map(|no| format!("&via=e{no}.example")).collect();
    let many = many.concat();
    let path = format!("{CLIENT}/join/{}?via=evil.example{many}", segment(&room));
    guest.http().post(&path, &json!({})).await.ok();
    let asked: BTreeSet<String> =
        pair.network.sent().iter().map(|sent| sent.to.to_string()).collect();
    assert!(
        asked.iter().all(|server| ["a.example", "b.example"].contains(&&**server)),
        "{asked:?}"
    );
}

/// A server that lies about a room in `/hierarchy` and is honest otherwise.
fn lying(b: &TestServer, room: &str) -> Router {
    let room = room.to_owned();
    let lie = move |Path(asked): Path<String>| async move {
        Json(json!({
            "room": {
                "room_id": asked, "guest_can_join": asked == room, "world_readable": false,
                "num_joined_members": 1, "join_rule": "public", "children_state": [],
            },
            "children": [], "inaccessible_children": [],
        }))
    };
    Router::new()
        .route("/_matrix/federation/v1/hierarchy/{room}", get(lie))
        .fallback_service(b.running().federation_router())
}

/// Case 13.
#[tokio::test]
async fn the_state_that_comes_with_a_join_decides_whatever_was_said_before() {
    let pair = Pair::with(FAR).await;
    let alice = pair.b.register("alice").await;
    let state = json!([guest_access("forbidden")]);
    let room = guest_room(&alice, json!({ "initial_state": state })).await;
    pair.list(&[&room]).await;
    let guest = pair.a.guest().await;
    let refused = guest.join(&room).await;
    assert_eq!(refused.refusal(), (403, "M_GUEST_ACCESS_FORBIDDEN"));
    assert!(!pair.requests().iter().any(|it| it.contains("make_join")), "an honest no is enough");

    let name = "b.example".try_into().expect("a name");
    pair.network.attach(name, lying(&pair.b, &room));
    let refused = guest.join(&room).await;
    assert_eq!(refused.refusal(), (403, "M_GUEST_ACCESS_FORBIDDEN"), "{}", refused.body);
    assert!(joined(&guest).await.is_empty());
    assert!(pair.requests().iter().any(|it| it.contains("send_join")), "the lie went that far");
    eventually(|| async { membership(&alice, &room, &guest.user_id).await == "leave" }).await;
    assert!(pair.refusals().await.contains(&"guest_access_missing".to_owned()));
}

/// Case 14.
#[tokio::test]
async fn what_is_left_of_a_room_we_left_says_nothing_about_guests() {
    let pair = Pair::with(FAR).await;
    let (alice, mona) = (pair.b.register("alice").await, pair.a.person("mona", "moderator").await);
    let room = guest_room(&alice, json!({})).await;
    join_via(&mona, &room, "b.example").await.ok();
    pair.list(&[&room]).await;
    mona.leave(&room).await.ok();
    eventually(|| async { membership(&alice, &room, &mona.user_id).await == "leave" }).await;
    let forbidden = json!({ "guest_access": "forbidden" });
    alice.set_state(&room, "m.room.guest_access", "", &forbidden).await.ok();
    let guest = pair.a.guest().await;
    assert_eq!(guest.join(&room).await.reason(), Some("guest_access_missing"));
    pair.network.cut("b.example");
    assert_eq!(guest.join(&room).await.reason(), Some("guest_access_unknown"));
}

async fn add_to_space(person: &Person, space: &str, room: &str, via: &[&str]) {
    person.set_state(space, "m.space.child", room, &json!({ "via": via })).await.ok();
}

/// Cases 12 and 15.
#[tokio::test]
async fn the_operator_says_where_a_listed_room_without_a_server_in_its_name_is() {
    let pair = Pair::with(FAR).await;
    let alice = pair.b.register("alice").await;
    let room = guest_room(&alice, json!({ "room_version": "12" })).await;
    pair.list(&[&room]).await;
    let guest = pair.a.guest().await;
    // What the guest says of servers is not followed, and the room's name says nothing.
    let refused = join_via(&guest, &room, "b.example").await;
    assert!(refused.status >= 400, "{refused:?}");
    assert_eq!(pair.requests(), [""; 0]);
    let vias = format!(r#"{{ "{room}" = ["b.example"] }}"#);
    pair.a.rewrite(|blueprint| blueprint.set("guests__list_via", &vias));
    pair.a.running().reload().await.expect("the policy is reloaded");
    guest.join(&room).await.ok();
    assert_eq!(membership(&alice, &room, &guest.user_id).await, "join");
}

/// Cases 12 and 15.
#[tokio::test]
async fn the_curators_of_a_space_say_where_a_room_without_a_server_in_its_name_is() {
    let pair = Pair::with(FAR).await;
    let (alice, mona) = (pair.b.register("alice").await, pair.a.person("mona", "moderator").await);
    let room = guest_room(&alice, json!({ "room_version": "12" })).await;
    let space = mona.create_room(&json!({ "creation_content": { "type": "m.space" } })).await;
    let spaces = format!(r#"[{{ id = "{space}", depth = 2, curators = ["a.example"] }}]"#);
    pair.a.rewrite(|blueprint| blueprint.set("guests__space", &spaces));
    pair.a.running().reload().await.expect("the policy is reloaded");
    let guest = pair.a.guest().await;
    assert_eq!(guest.join(&room).await.reason(), Some("out_of_scope"));
    add_to_space(&mona, &space, &room, &["b.example"]).await;
    join_via(&guest, &room, "evil.example").await.ok();
    assert_eq!(membership(&alice, &room, &guest.user_id).await, "join");
}

/// Case 19.
#[tokio::test]
async fn a_space_that_cannot_be_read_lets_nobody_new_in() {
    let pair = Pair::with(FAR).await;
    let (alice, mona) = (pair.b.register("alice").await, pair.a.person("mona", "moderator").await);
    let room = guest_room(&alice, json!({})).await;
    let space = guest_room(&alice, json!({ "creation_content": { "type": "m.space" } })).await;
    add_to_space(&alice, &space, &room, &["b.example"]).await;
    let spaces = format!(r#"[{{ id = "{space}", depth = 1, curators = ["b.example"] }}]"#);
    pair.a.rewrite(|blueprint| blueprint.set("guests__space", &spaces));
    pair.a.running().reload().await.expect("the policy is reloaded");
    let (early, late) = (pair.a.guest().await, pair.a.guest().await);
    assert_eq!(early.join(&room).await.reason(), Some("scope_unknown"), "we are not in the space");
    join_via(&mona, &space, "b.example").await.ok();
    early.join(&room).await.ok();
    mona.leave(&space).await.ok();
    assert_eq!(late.join(&room).await.reason(), Some("scope_unknown"));
}

#[tokio::test]
async fn a_followed_space_of_another_server_is_joined_by_the_server_itself_and_left_again() {
    let pair = Pair::with(FAR).await;
    let alice = pair.b.register("alice").await;
    let room = guest_room(&alice, json!({})).await;
    let space = guest_room(&alice, json!({ "creation_content": { "type": "m.space" } })).await;
    add_to_space(&alice, &space, &room, &["b.example"]).await;
    let spaces = |follow: bool| {
        let curators = r#"curators = ["b.example"]"#;
        format!(r#"[{{ id = "{space}", depth = 1, {curators}, follow = {follow} }}]"#)
    };
    for (follow, expected) in [(true, "join"), (false, "leave")] {
        pair.a.rewrite(|blueprint| blueprint.set("guests__space", &spaces(follow)));
        pair.a.running().reload().await.expect("the policy is reloaded");
        let own = "@vestibule:a.example";
        eventually(|| async { membership(&alice, &space, own).await == expected }).await;
        let joined = pair.a.guest().await.join(&room).await;
        assert_eq!(joined.status == 200, follow, "{joined:?}");
    }
}

/// Case 16.
#[tokio::test]
async fn a_guest_whom_the_resolution_of_state_brings_back_into_a_closed_room_is_taken_out() {
    let evicting = "when_room_leaves_scope = { do = \"evict\" }\n";
    let pair = Pair::with(&format!("{FAR}{evicting}")).await;
    let evil = PretendServer::on(&pair.network, "evil.example");
    let mona = pair.a.person("mona", "moderator").await;
    let (eve, chief) = (evil.user("eve"), evil.user("chief"));
    let levels = |eves: u8| json!({ "users": { &mona.user_id: 100, &eve: eves, &chief: 100 } });
    let options = json!({ "power_level_content_override": levels(50) });
    let room = guest_room(&mona, options).await;
    mona.create_alias("#hall:a.example", &room).await.ok();
    let guest = pair.a.guest().await;
    guest.join("#hall:a.example").await.ok();
    evil.slip_in(&pair.a, &room, "eve").await;
    evil.slip_in(&pair.a, &room, "chief").await;

    let before = RoomEnds::of(&pair.a, &room).await;
    let place = ("m.room.member", Some(guest.user_id.as_str()));
    let kick = evil.event(&before, &eve, place, &json!({ "membership": "leave" }));
    assert_eq!(evil.hand_over(&pair.a, &kick).await, Received::Accepted);
    assert!(joined(&guest).await.is_empty());
    mona.delete_alias("#hall:a.example").await.ok();

    // Beside the kick, and with more power: who kicked had no right to.
    let place = ("m.room.power_levels", Some(""));
    let demoted = evil.event(&before, &chief, place, &levels(0));
    assert_eq!(evil.hand_over(&pair.a, &demoted).await, Received::Accepted);
    let path = format!(
        "{CLIENT}/rooms/{}/state/m.room.member/{}?format=event",
        segment(&room),
        segment(&guest.user_id)
    );
    let went = || async {
        let member = mona.http().get(&path).await.ok();
        member["content"]["membership"] == "leave" && member["sender"] == *guest.user_id
    };
    eventually(went).await;
    assert!(joined(&guest).await.is_empty());
}

/// A space as a server has it that made it all by itself.
struct FarSpace {
    ends: RoomEnds,
    state: Vec<Value>,
}

impl FarSpace {
    fn new(server: &PretendServer, name: &str) -> Self {
        let room_id = format!("!{name}:{}", server.name()).try_into().expect("a room id");
        let (version, state) = (RoomVersion::V11, BTreeMap::new());
        let ends = RoomEnds { room_id, version, prev_events: Vec::new(), depth: 1, state, at: 1 };
        let mut space = Self { ends, state: Vec::new() };
        let maker = server.user("maker");
        let create = json!({ "room_version": "11", "type": "m.space" });
        space.add(server, ("m.room.create", ""), &create);
        space.add(server, ("m.room.member", maker.as_str()), &json!({ "membership": "join" }));
        space.add(server, ("m.room.power_levels", ""), &json!({ "users": { &maker: 100 } }));
        space.add(server, ("m.room.join_rules", ""), &json!({ "join_rule": "public" }));
        space
    }

    fn add(&mut self, server: &PretendServer, (kind, key): (&str, &str), content: &Value) {
        let pdu = server.event(&self.ends, &server.user("maker"), (kind, Some(key)), content);
        self.state.push(serde_json::from_slice(pdu.json()).expect("JSON"));
        let state = std::mem::take(&mut self.ends.state);
        self.ends = RoomEnds { state, ..self.ends.clone() }.after(&pdu);
    }

    fn child(&mut self, server: &PretendServer, room: &str) {
        self.add(server, ("m.space.child", room), &json!({ "via": [server.name()] }));
    }

    /// What the server answers to somebody who wants in.
    fn answers(&self) -> (Value, Value) {
        let next = self.ends.draft(
            user_id!("@mona:a.example"),
            ("m.room.member", Some("@mona:a.example")),
            &json!({ "membership": "join" }),
        );
        let template = json!({
            "room_version": "11",
            "event": {
                "type": "m.room.member", "room_id": next.room_id, "sender": "@mona:a.example",
                "state_key": "@mona:a.example", "content": next.content, "depth": next.depth,
                "prev_events": next.prev_events, "auth_events": next.auth_events,
                "origin_server_ts": 1, "origin": "far.example",
            },
        });
        let chain = self.state.get(..4).expect("how it begins");
        (template, json!({ "state": self.state, "auth_chain": chain, "members_omitted": false }))
    }
}

/// Case 18.
#[tokio::test]
async fn a_space_elsewhere_that_loops_and_has_ten_thousand_children_is_walked_within_bounds() {
    let pair = Pair::with(FAR).await;
    let mona = pair.a.person("mona", "moderator").await;
    let keys = PretendServer::on(&Network::new(), "far.example");
    let (mut large, mut other) = (FarSpace::new(&keys, "large"), FarSpace::new(&keys, "other"));
    for number in 0..10_000 {
        large.child(&keys, &format!("!c{number:05}:far.example"));
    }
    large.child(&keys, "!other:far.example");
    other.child(&keys, "!large:far.example");
    other.child(&keys, "!other:far.example");
    let answers: BTreeMap<String, (Value, Value)> = [large, other]
        .iter()
        .map(|space| (space.ends.room_id.to_string(), space.answers()))
        .collect();
    let answers = std::sync::Arc::new(answers);
    let (first, second) = (answers.clone(), answers);
    let make =
        move |Path((room, _)): Path<(String, String)>| async move { Json(first[&room].0.clone()) };
    let take =
        move |Path((room, _)): Path<(String, String)>| async move { Json(second[&room].1.clone()) };
    // What it is told of whoever joined must be taken, or it counts as out of reach.
    let told = async || Json(json!({ "pdus": {} }));
    let router = Router::new()
        .route("/_matrix/federation/v1/make_join/{room}/{user}", get(make))
        .route("/_matrix/federation/v2/send_join/{room}/{id}", put(take))
        .route("/_matrix/federation/v1/send/{id}", put(told));
    let _far = PretendServer::answering(&pair.network, "far.example", router);
    for space in ["!large:far.example", "!other:far.example"] {
        join_via(&mona, space, "far.example").await.ok();
    }
    let rule = r#"[{ id = "!large:far.example", depth = 8, curators = ["far.example"] }]"#;
    pair.a.rewrite(|blueprint| blueprint.set("guests__space", rule));
    pair.a.running().reload().await.expect("the policy is reloaded");
    let guest = pair.a.guest().await;
    let reason = async |room: &str| guest.join(room).await.reason().map(str::to_owned);
    // In scope: it is asked whether the room admits guests, and nobody tells.
    assert_eq!(reason("!c00001:far.example").await.as_deref(), Some("guest_access_unknown"));
    assert_eq!(reason("!c09999:far.example").await.as_deref(), Some("out_of_scope"));
    assert_eq!(reason("!nowhere:far.example").await.as_deref(), Some("out_of_scope"));
    let check = pair.a.operator("GET", "/policy/check", &json!(null)).await.ok();
    assert!(check.to_string().contains("!large:far.example is too large"), "{check}");
}

/// Case 22.
#[tokio::test]
async fn what_a_guest_sends_to_strangers_elsewhere_goes_nowhere() {
    let pair = Pair::with(FAR).await;
    let alice = pair.b.register("alice").await;
    let room = guest_room(&alice, json!({})).await;
    pair.list(&[&room]).await;
    let stranger = pair.b.register("stranger").await;
    let guest = pair.a.guest().await;
    guest.join(&room).await.ok();
    let letter = json!({ "messages": { &stranger.user_id: { "*": { "hello": 1 } } } });
    let path = format!("{CLIENT}/sendToDevice/org.example.test/1");
    guest.http().put(&path, &letter).await.ok();
    let claim = json!({ "one_time_keys": { &stranger.user_id: { "X": "signed_curve25519" } } });
    let claimed = guest.http().post(&format!("{CLIENT}/keys/claim"), &claim).await;
    assert!(claimed.body["one_time_keys"].as_object().is_none_or(serde_json::Map::is_empty));
    guest.say(&room, "done").await;
    eventually(|| async { alice.messages(&room).await.contains(&"done".to_owned()) }).await;
    let told = stranger.sync("").await;
    assert_eq!(told["to_device"]["events"], json!([]));
    assert!(!pair.requests().iter().any(|it| it.contains("/user/keys/claim")));
}

/// Numbers that look random and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("it fits") % bound
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len())]
    }
}

/// One thing a guest may try, aimed at anybody.
async fn try_something(guest: &Person, dice: &mut Dice, rooms: &[&str], number: usize) {
    let users = ["@alice:b.example", "@carol:c.example", "@x:evil.example"];
    let (room, user) = (segment(dice.pick(rooms)), dice.pick(&users));
    let named = dice.pick(&["#hall:b.example", "#den:c.example", "#x:evil.example"]);
    let server = dice.pick(&["b.example", "c.example", "evil.example"]);
    let (alias, who) = (segment(named), segment(user));
    let (method, path, body) = match dice.below(20) {
        0..=3 => ("POST", format!("join/{room}?via={server}"), json!({})),
        4 => ("POST", format!("join/{alias}?server_name={server}"), json!({})),
        5 => ("POST", format!("rooms/{room}/leave"), json!({ "reason": "bye" })),
        6 => ("POST", format!("knock/{room}?via={server}"), json!({})),
        7 => ("POST", format!("rooms/{room}/invite"), json!({ "user_id": user })),
        8 => ("POST", "createRoom".to_owned(), json!({ "invite": [user], "is_direct": true })),
        9 => ("GET", format!("profile/{who}"), Value::Null),
        10 => ("POST", "keys/query".to_owned(), json!({ "device_keys": { user: [] } })),
        11 => {
            let wanted = json!({ "one_time_keys": { user: { "X": "signed_curve25519" } } });
            ("POST", "keys/claim".to_owned(), wanted)
        }
        12 => {
            let letter = json!({ "messages": { user: { "*": { "n": number } } } });
            ("PUT", format!("sendToDevice/org.example.test/{number}"), letter)
        }
        13 => ("GET", format!("../v1/rooms/{room}/hierarchy"), Value::Null),
        14 => ("GET", format!("../v1/room_summary/{room}?via={server}"), Value::Null),
        15 => ("GET", format!("publicRooms?server={server}"), Value::Null),
        16 => ("GET", format!("directory/room/{alias}"), Value::Null),
        17 => ("GET", format!("../v1/media/download/{server}/file"), Value::Null),
        18 => ("GET", format!("rooms/{room}/messages?dir=b&limit=50"), Value::Null),
        _ => {
            let content = json!({ "msgtype": "m.text", "body": "hello", "m.mentions": {} });
            ("PUT", format!("rooms/{room}/send/m.room.message/{number}"), content)
        }
    };
    let path = match path.strip_prefix("../") {
        Some(other) => format!("/_matrix/client/{other}"),
        None => format!("{CLIENT}/{path}"),
    };
    let body = (!body.is_null()).then_some(body);
    let method = method.parse().expect("a method");
    guest.http().request(method, &path, body.as_ref()).await;
}

/// The invariant *Confinement*: whatever guests try, only servers of rooms in their scope are asked
/// anything because of them.
#[tokio::test]
async fn guests_make_this_server_talk_to_nobody_but_the_servers_of_their_rooms() {
    for seed in [1, 7, 2026] {
        let pair = Pair::with(FAR).await;
        let c = Blueprint::default().on(&pair.network, "c.example").start().await;
        let _evil = PretendServer::on(&pair.network, "evil.example");
        let (alice, carol) = (pair.b.register("alice").await, c.register("carol").await);
        let open = guest_room(&alice, json!({ "room_alias_name": "hall" })).await;
        let closed = guest_room(&carol, json!({ "room_alias_name": "den" })).await;
        let nameless = guest_room(&carol, json!({ "room_version": "12" })).await;
        pair.list(&[&open]).await;
        let mut dice = Dice(seed);
        let guests = [pair.a.guest().await, pair.a.guest().await];
        let rooms = [&*open, &*open, &*closed, &*nameless, "!gone:evil.example"];
        for number in 0..250 {
            let guest = &guests[dice.below(guests.len())];
            try_something(guest, &mut dice, &rooms, number).await;
        }
        let outside: Vec<String> = pair
            .network
            .sent()
            .into_iter()
            .filter(|sent| sent.to != "a.example" && sent.to != "b.example")
            .map(|sent| format!("{} {}", sent.to, sent.line))
            .collect();
        assert!(outside.is_empty(), "seed {seed}: {outside:?}");
        assert!(pair.requests().iter().any(|it| it.contains("send_join")), "some got in");
    }
}
