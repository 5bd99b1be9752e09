//! Memberships across servers: joining, inviting, knocking and leaving between servers of our own.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test that called them"
)]

use std::time::Duration;

use serde_json::{Value, json};
use vestibule_events::{Pdu, RoomVersion};
use vestibule_storage::StorageError;
use vestibule_testkit::server::{
    Blueprint, Network, Person, PretendServer, RoomEnds, Sent, TestServer, segment,
};

/// Two servers that know each other.
async fn two() -> (Network, TestServer, TestServer) {
    let network = Network::new();
    let a = Blueprint::default().on(&network, "a.example").start().await;
    let b = Blueprint::default().on(&network, "b.example").start().await;
    (network, a, b)
}

async fn join_via(person: &Person, room: &str, via: &str) -> vestibule_testkit::server::Reply {
    let path = format!("/_matrix/client/v3/join/{}?via={via}", segment(room));
    person.http().post(&path, &json!({})).await
}

async fn public_room(person: &Person, version: &str) -> String {
    let options = json!({
        "preset": "public_chat",
        "room_version": version,
        "name": "Tea",
        "room_alias_name": format!("tea{version}"),
    });
    person.create_room(&options).await
}

/// The users with a membership in a room, as somebody in it sees them.
async fn members(person: &Person, room: &str, membership: &str) -> Vec<String> {
    let path = format!("members?membership={membership}");
    let members = person.of_room(room, &path).await.ok();
    let events = members["chunk"].as_array().cloned().unwrap_or_default();
    let mut users: Vec<String> =
        events.iter().filter_map(|event| event["state_key"].as_str().map(str::to_owned)).collect();
    users.sort();
    users
}

async fn name_of(person: &Person, room: &str) -> Value {
    person.state(room, "m.room.name", "").await.ok()["name"].clone()
}

#[tokio::test]
async fn somebody_of_another_server_joins_a_room_of_every_version() {
    let (_, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    for version in ["3", "6", "7", "10", "11", "12"] {
        let room = public_room(&alice, version).await;
        join_via(&bob, &room, "a.example").await.ok();
        assert_eq!(members(&alice, &room, "join").await, ["@alice:a.example", "@bob:b.example"]);
        assert_eq!(members(&bob, &room, "join").await, ["@alice:a.example", "@bob:b.example"]);
        assert_eq!(name_of(&bob, &room).await, "Tea");
    }
}

#[tokio::test]
async fn an_alias_of_another_server_leads_into_its_room() {
    let (_, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let room = public_room(&alice, "12").await;
    let joined = bob.join("#tea12:a.example").await.ok();
    assert_eq!(joined["room_id"], room);
    assert_eq!(members(&alice, &room, "join").await, ["@alice:a.example", "@bob:b.example"]);
}

/// Asks again and again until the answer is as wanted; what happens between servers takes a moment.
async fn eventually<T, F: Future<Output = T>>(
    mut ask: impl FnMut() -> F,
    wanted: impl Fn(&T) -> bool,
) -> T {
    for _ in 0..200 {
        let answer = ask().await;
        if wanted(&answer) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it never came to be");
}

/// What a user is shown of a room they are invited to, knocked at, or left.
async fn section(person: &Person, since: &str, kind: &str, room: &str) -> Value {
    person.sync(since).await["rooms"][kind][room].clone()
}

async fn token(person: &Person) -> String {
    person.sync("").await["next_batch"].as_str().expect("a token").to_owned()
}

fn kinds(events: &Value) -> Vec<String> {
    let events = events.as_array().cloned().unwrap_or_default();
    events.iter().filter_map(|event| event["type"].as_str().map(str::to_owned)).collect()
}

async fn private_room(person: &Person, version: &str) -> String {
    person
        .create_room(&json!({ "preset": "private_chat", "room_version": version, "name": "Den" }))
        .await
}

#[tokio::test]
async fn an_invitation_reaches_another_server_and_lets_its_user_in() {
    let (_, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    for version in ["6", "10", "12"] {
        let room = private_room(&alice, version).await;
        alice.invite(&room, "@bob:b.example").await.ok();
        assert_eq!(members(&alice, &room, "invite").await, ["@bob:b.example"]);

        let invite = section(&bob, "", "invite", &room).await;
        let shown = &invite["invite_state"]["events"];
        for kind in ["m.room.create", "m.room.name", "m.room.join_rules", "m.room.member"] {
            assert!(kinds(shown).contains(&kind.to_owned()), "{kind}: {shown}");
        }
        let fields: Vec<_> = shown[0].as_object().expect("an event").keys().cloned().collect();
        assert_eq!(
            fields,
            ["content", "sender", "state_key", "type"],
            "stripped to what clients see"
        );

        bob.join_by_id(&room).await.ok();
        assert_eq!(members(&alice, &room, "join").await, ["@alice:a.example", "@bob:b.example"]);
        assert_eq!(name_of(&bob, &room).await, "Den");
        assert_eq!(section(&bob, "", "invite", &room).await, Value::Null);
    }
}

#[tokio::test]
async fn an_invitation_is_declined_on_the_server_that_made_it() {
    let (_, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let room = private_room(&alice, "12").await;
    alice.invite(&room, "@bob:b.example").await.ok();
    let since = token(&bob).await;
    bob.leave(&room).await.ok();
    assert_eq!(members(&alice, &room, "leave").await, ["@bob:b.example"]);
    let left = section(&bob, &since, "leave", &room).await;
    assert_eq!(left["timeline"]["events"][0]["content"]["membership"], "leave");
    assert_eq!(section(&bob, "", "invite", &room).await, Value::Null);
    // Declining again changes nothing.
    bob.leave(&room).await.ok();
    bob.in_room(&room, "forget", &json!({})).await.ok();
    assert_eq!(bob.leave(&room).await.refusal(), (404, "M_NOT_FOUND"));
    let left = section(&bob, &since, "leave", &room).await;
    assert_eq!(left["timeline"]["events"][0]["content"]["membership"], "leave", "still told");
    let now = token(&bob).await;
    assert_eq!(section(&bob, &now, "leave", &room).await, Value::Null);
    alice.invite(&room, "@bob:b.example").await.ok();
    assert_ne!(section(&bob, &now, "invite", &room).await, Value::Null);
}

#[tokio::test]
async fn an_invitation_can_be_declined_when_nobody_can_be_told() {
    let (network, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let room = private_room(&alice, "12").await;
    alice.invite(&room, "@bob:b.example").await.ok();
    network.cut("a.example");
    let since = token(&bob).await;
    bob.leave(&room).await.ok();
    let left = section(&bob, &since, "leave", &room).await;
    assert_eq!(left["timeline"]["events"][0]["content"]["membership"], "leave");
    assert_eq!(section(&bob, "", "invite", &room).await, Value::Null);
}

#[tokio::test]
async fn a_server_that_could_not_be_told_of_a_declined_invitation_is_told_later() {
    let (network, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    b.register("carol").await;
    let room = private_room(&alice, "12").await;
    alice.invite(&room, "@bob:b.example").await.ok();
    network.cut("a.example");
    bob.leave(&room).await.ok();
    bob.in_room(&room, "forget", &json!({})).await.ok();
    network.mend("a.example");
    assert_eq!(members(&alice, &room, "invite").await, ["@bob:b.example"]);
    // That it speaks again tells the other one that it answers again.
    alice.invite(&room, "@carol:b.example").await.ok();
    eventually(|| members(&alice, &room, "leave"), |it| *it == ["@bob:b.example"]).await;
}

#[tokio::test]
async fn who_is_invited_again_is_not_taken_out_by_what_was_not_told_before() {
    let (network, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let room = private_room(&alice, "12").await;
    alice.invite(&room, "@bob:b.example").await.ok();
    network.cut("a.example");
    bob.leave(&room).await.ok();
    network.mend("a.example");
    // As far as the room knows bob is invited still, and is invited once more.
    alice.invite(&room, "@bob:b.example").await.ok();
    assert_ne!(section(&bob, "", "invite", &room).await, Value::Null);
    bob.join_by_id(&room).await.ok();
    let store = b.running().rooms().store().clone();
    let untold = || async {
        let jobs = store.read(|read| vestibule_storage::jobs::due(read, None, u64::MAX, 100)).await;
        jobs.expect("read").iter().filter(|(_, job)| job.kind == "room_leave_told").count()
    };
    eventually(untold, |left| *left == 0).await;
    assert_eq!(members(&alice, &room, "join").await, ["@alice:a.example", "@bob:b.example"]);
}

#[tokio::test]
async fn a_server_without_anybody_in_the_room_hears_of_the_end_of_an_invitation_later() {
    let (network, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let room = private_room(&alice, "12").await;
    alice.invite(&room, "@bob:b.example").await.ok();
    network.cut("b.example");
    alice.kick(&room, "@bob:b.example").await.ok();
    let failing = || async {
        a.operator("GET", "/federation/destinations", &json!(null)).await.ok().to_string()
    };
    eventually(failing, |it| it.contains("b.example")).await;
    assert_ne!(section(&bob, "", "invite", &room).await, Value::Null);
    network.mend("b.example");
    let path = "/federation/destinations/b.example/retry";
    a.operator("POST", path, &json!({})).await.ok();
    eventually(|| section(&bob, "", "invite", &room), Value::is_null).await;
}

#[tokio::test]
async fn an_invitation_is_taken_back_by_those_who_made_it() {
    let (_, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let room = private_room(&alice, "12").await;
    alice.invite(&room, "@bob:b.example").await.ok();
    assert_ne!(section(&bob, "", "invite", &room).await, Value::Null);
    alice.kick(&room, "@bob:b.example").await.ok();
    eventually(|| section(&bob, "", "invite", &room), Value::is_null).await;
}

/// What a stranger's server says of a membership of bob, who is not in the room: signed by it, and as
/// authorized as can be.
async fn stranger_says(
    stranger: &PretendServer,
    (to, ends): (&TestServer, &RoomEnds),
    membership: &str,
) {
    let (user, content) = (stranger.user("mallory"), json!({ "membership": membership }));
    let member = ("m.room.member", Some("@bob:b.example"));
    let event = stranger.event(ends, &user, member, &content);
    let pdu: Value = serde_json::from_slice(event.json()).expect("JSON");
    let body = json!({ "origin": stranger.name(), "origin_server_ts": 1, "pdus": [pdu] });
    let id = segment(event.event_id().as_str());
    stranger.put(to, &format!("/_matrix/federation/v1/send/{id}"), &body).await.ok();
}

#[tokio::test]
async fn an_invitation_is_not_taken_back_by_a_stranger_nor_without_naming_it() {
    let (network, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let stranger = PretendServer::on(&network, "stranger.example");
    let room = private_room(&alice, "12").await;
    alice.invite(&room, "@bob:b.example").await.ok();
    let invited = RoomEnds::of(&a, &room).await;
    for membership in ["leave", "ban"] {
        stranger_says(&stranger, (&b, &invited), membership).await;
        assert_ne!(section(&bob, "", "invite", &room).await, Value::Null, "{membership}");
    }
    // The inviter's word holds for the invitation that it names, and for no other.
    let mallory = stranger.user("mallory");
    let member = ("m.room.member", Some("@bob:b.example"));
    let invitation = stranger.event(&invited, &mallory, member, &json!({ "membership": "invite" }));
    let id = segment(invitation.event_id().as_str());
    let pdu: Value = serde_json::from_slice(invitation.json()).expect("JSON");
    let create = &invited.state[&("m.room.create".into(), String::new())];
    let created = a.running().rooms().with_view(&invited.room_id, {
        let create = create.clone();
        move |view| Ok::<_, StorageError>(view.event_by_id(&create)?.expect("stored").pdu)
    });
    let created = created.await.expect("read").expect("a room");
    let created: Value = serde_json::from_slice(created.json()).expect("JSON");
    let body = json!({ "room_version": "12", "event": pdu, "invite_room_state": [created] });
    let path = format!("/_matrix/federation/v2/invite/{}/{id}", segment(&room));
    stranger.put(&b, &path, &body).await.ok();
    stranger_says(&stranger, (&b, &invited), "leave").await;
    assert_ne!(section(&bob, "", "invite", &room).await, Value::Null, "another one was named");
    stranger_says(&stranger, (&b, &invited.after(&invitation)), "leave").await;
    // What it takes back is its own; hers is there again.
    let seen = section(&bob, "", "invite", &room).await;
    let events = seen["invite_state"]["events"].as_array().cloned().unwrap_or_default();
    let his = events.iter().find(|it| it["state_key"] == "@bob:b.example");
    assert_eq!(his.expect("his membership")["sender"], "@alice:a.example");
    alice.kick(&room, "@bob:b.example").await.ok();
    eventually(|| section(&bob, "", "invite", &room), Value::is_null).await;
}

#[tokio::test]
async fn a_knock_is_turned_down_by_those_it_was_brought_to_and_not_by_a_stranger() {
    let (network, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let stranger = PretendServer::on(&network, "stranger.example");
    let room = public_room(&alice, "11").await;
    let rule = json!({ "join_rule": "knock" });
    alice.set_state(&room, "m.room.join_rules", "", &rule).await.ok();
    let path = format!("/_matrix/client/v3/knock/{}?via=a.example", segment(&room));
    bob.http().post(&path, &json!({})).await.ok();
    stranger_says(&stranger, (&b, &RoomEnds::of(&a, &room).await), "leave").await;
    assert_ne!(section(&bob, "", "knock", &room).await, Value::Null);
    alice.kick(&room, "@bob:b.example").await.ok();
    eventually(|| section(&bob, "", "knock", &room), Value::is_null).await;
}

#[tokio::test]
async fn whoever_knocks_at_another_server_is_let_in_by_an_invitation() {
    let (_, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let knocking = json!({
        "type": "m.room.join_rules", "state_key": "", "content": { "join_rule": "knock" },
    });
    let room = alice
        .create_room(&json!({ "name": "Door", "room_version": "10", "initial_state": [knocking] }))
        .await;
    let path = format!("/_matrix/client/v3/knock/{}?via=a.example", segment(&room));
    bob.http().post(&path, &json!({ "reason": "tea?" })).await.ok();
    assert_eq!(members(&alice, &room, "knock").await, ["@bob:b.example"]);
    let knock = section(&bob, "", "knock", &room).await;
    assert!(kinds(&knock["knock_state"]["events"]).contains(&"m.room.name".to_owned()), "{knock}");

    alice.invite(&room, "@bob:b.example").await.ok();
    assert_ne!(section(&bob, "", "invite", &room).await, Value::Null);
    assert_eq!(section(&bob, "", "knock", &room).await, Value::Null);
    bob.join_by_id(&room).await.ok();
    assert_eq!(members(&alice, &room, "join").await, ["@alice:a.example", "@bob:b.example"]);
}

#[tokio::test]
async fn a_knock_is_taken_back() {
    let (_, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let room = public_room(&alice, "11").await;
    let rule = json!({ "join_rule": "knock" });
    alice.set_state(&room, "m.room.join_rules", "", &rule).await.ok();
    let path = format!("/_matrix/client/v3/knock/{}?via=a.example", segment(&room));
    bob.http().post(&path, &json!({})).await.ok();
    bob.leave(&room).await.ok();
    assert_eq!(members(&alice, &room, "leave").await, ["@bob:b.example"]);
    assert_eq!(section(&bob, "", "knock", &room).await, Value::Null);
}

#[tokio::test]
async fn a_restricted_room_lets_in_whoever_is_in_the_room_it_names() {
    let (_, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let hall = public_room(&alice, "10").await;
    let rules = json!({
        "type": "m.room.join_rules",
        "state_key": "",
        "content": {
            "join_rule": "restricted",
            "allow": [{ "type": "m.room_membership", "room_id": hall }],
        },
    });
    let room = alice.create_room(&json!({ "room_version": "10", "initial_state": [rules] })).await;
    assert_eq!(join_via(&bob, &room, "a.example").await.refusal(), (403, "M_FORBIDDEN"));
    join_via(&bob, &hall, "a.example").await.ok();
    join_via(&bob, &room, "a.example").await.ok();
    let me = bob.state(&room, "m.room.member", "@bob:b.example").await.ok();
    assert_eq!(me["join_authorised_via_users_server"], "@alice:a.example");
    assert_eq!(members(&alice, &room, "join").await, ["@alice:a.example", "@bob:b.example"]);
}

#[tokio::test]
async fn a_restricted_room_of_which_the_server_knows_no_condition_is_not_judged_by_it() {
    let (_, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let rules = json!({
        "type": "m.room.join_rules",
        "state_key": "",
        "content": {
            "join_rule": "restricted",
            "allow": [{ "type": "m.room_membership", "room_id": "!somewhere:c.example" }],
        },
    });
    let room = alice.create_room(&json!({ "room_version": "10", "initial_state": [rules] })).await;
    let refused = join_via(&bob, &room, "a.example").await;
    assert_eq!(refused.refusal(), (400, "M_UNABLE_TO_AUTHORISE_JOIN"));
    // Where there is no condition, nobody meets one.
    for allow in [json!([]), json!([{ "type": "org.example.other" }])] {
        let rules = json!({ "join_rule": "restricted", "allow": allow });
        alice.set_state(&room, "m.room.join_rules", "", &rules).await.ok();
        assert_eq!(join_via(&bob, &room, "a.example").await.refusal(), (403, "M_FORBIDDEN"));
    }
}

#[tokio::test]
async fn whoever_was_removed_is_out_on_their_own_server_and_a_ban_keeps_them_out() {
    let (_, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let room = public_room(&alice, "12").await;
    join_via(&bob, &room, "a.example").await.ok();
    alice.kick(&room, "@bob:b.example").await.ok();
    let joined = || async { bob.sync("").await["rooms"]["join"][&room].clone() };
    eventually(joined, Value::is_null).await;
    join_via(&bob, &room, "a.example").await.ok();
    alice.ban(&room, "@bob:b.example").await.ok();
    eventually(joined, Value::is_null).await;
    assert_eq!(join_via(&bob, &room, "a.example").await.refusal(), (403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn a_room_that_was_left_is_up_to_date_when_somebody_comes_back() {
    let (_, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let (carol, dan) = (a.register("carol").await, b.register("dan").await);
    let room = public_room(&alice, "12").await;
    carol.join(&room).await.ok();
    join_via(&bob, &room, "a.example").await.ok();
    bob.say(&room, "before").await;
    bob.leave(&room).await.ok();
    let out = || members(&alice, &room, "leave");
    eventually(out, |it| *it == ["@bob:b.example"]).await;

    alice.set_state(&room, "m.room.name", "", &json!({ "name": "Coffee" })).await.ok();
    carol.leave(&room).await.ok();
    join_via(&dan, &room, "a.example").await.ok();
    assert_eq!(name_of(&dan, &room).await, "Coffee");
    assert_eq!(members(&dan, &room, "join").await, ["@alice:a.example", "@dan:b.example"]);
    assert_eq!(members(&dan, &room, "leave").await, ["@bob:b.example", "@carol:a.example"]);
    // Now the server is in the room, so the next one comes in without asking anybody.
    bob.join(&room).await.ok();
    let all = ["@alice:a.example", "@bob:b.example", "@dan:b.example"];
    eventually(|| members(&alice, &room, "join"), |it| *it == all).await;
}

#[tokio::test]
async fn whoever_comes_back_is_shown_a_gap_and_not_what_they_knew_before() {
    let (_, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let room = public_room(&alice, "12").await;
    join_via(&bob, &room, "a.example").await.ok();
    bob.say(&room, "before").await;
    let since = token(&bob).await;
    bob.leave(&room).await.ok();
    eventually(|| members(&alice, &room, "leave"), |it| *it == ["@bob:b.example"]).await;
    alice.say(&room, "meanwhile").await;
    join_via(&bob, &room, "a.example").await.ok();
    for since in ["", &*since] {
        let timeline = section(&bob, since, "join", &room).await["timeline"].clone();
        assert_eq!(timeline["limited"], true, "{timeline}");
        let events = timeline["events"].as_array().expect("events");
        assert_eq!(events[0]["content"]["membership"], "join", "{timeline}");
        assert!(!timeline.to_string().contains("before"), "{timeline}");
    }
    // What lies in the gap is found by reading on from there.
    let timeline = section(&bob, "", "join", &room).await["timeline"].clone();
    let from = segment(timeline["prev_batch"].as_str().expect("a token"));
    let path = format!("messages?dir=b&limit=20&from={from}");
    let read = || async { bob.of_room(&room, &path).await.ok().to_string() };
    eventually(read, |it| it.contains("meanwhile")).await;
}

#[tokio::test]
async fn whoever_comes_back_and_missed_nothing_is_shown_no_gap() {
    let (_, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let room = public_room(&alice, "12").await;
    join_via(&bob, &room, "a.example").await.ok();
    bob.say(&room, "before").await;
    bob.leave(&room).await.ok();
    eventually(|| members(&alice, &room, "leave"), |it| *it == ["@bob:b.example"]).await;
    join_via(&bob, &room, "a.example").await.ok();
    let timeline = section(&bob, "", "join", &room).await["timeline"].clone();
    assert!(timeline.to_string().contains("before"), "{timeline}");
}

#[tokio::test]
async fn two_who_join_at_once_take_one_handshake() {
    let (network, a, b) = two().await;
    let alice = a.register("alice").await;
    let (bob, dan) = (b.register("bob").await, b.register("dan").await);
    let room = public_room(&alice, "12").await;
    let (one, other) =
        tokio::join!(join_via(&bob, &room, "a.example"), join_via(&dan, &room, "a.example"));
    one.ok();
    other.ok();
    let handshakes = network.sent().iter().filter(|it| it.line.contains("/send_join/")).count();
    assert_eq!(handshakes, 1);
    let all = ["@alice:a.example", "@bob:b.example", "@dan:b.example"];
    eventually(|| members(&alice, &room, "join"), |it| *it == all).await;
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_passed_over() {
    let (network, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let room = public_room(&alice, "12").await;
    let path = format!("/_matrix/client/v3/join/{}?via=gone.example&via=a.example", segment(&room));
    bob.http().post(&path, &json!({})).await.ok();
    network.cut("a.example");
    let other = public_room(&alice, "11").await;
    let dan = b.register("dan").await;
    assert_eq!(join_via(&dan, &other, "gone.example").await.status, 502);
    assert!(dan.sync("").await["rooms"]["join"][&other].is_null());
}

#[tokio::test]
async fn a_rooms_list_of_servers_keeps_a_server_out() {
    let (_, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let room = public_room(&alice, "12").await;
    let acl = json!({ "allow": ["*"], "deny": ["b.example"] });
    alice.set_state(&room, "m.room.server_acl", "", &acl).await.ok();
    assert_eq!(join_via(&bob, &room, "a.example").await.refusal(), (403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn who_left_while_their_server_was_kept_out_is_out_once_it_is_let_in_again() {
    let (network, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let room = public_room(&alice, "11").await;
    join_via(&bob, &room, "a.example").await.ok();
    let list = |deny: &[&str]| json!({ "allow": ["*"], "deny": deny });
    alice.set_state(&room, "m.room.server_acl", "", &list(&["b.example"])).await.ok();
    let sent = || async {
        let transaction = |it: &Sent| it.to == "a.example" && it.line.contains("/v1/send/");
        network.sent().iter().filter(|it| transaction(it)).count()
    };
    let before = sent().await;
    bob.leave(&room).await.ok();
    eventually(sent, |now| *now > before).await;
    assert_eq!(members(&alice, &room, "join").await, ["@alice:a.example", "@bob:b.example"]);
    alice.set_state(&room, "m.room.server_acl", "", &list(&[])).await.ok();
    let left = || members(&alice, &room, "leave");
    eventually(left, |left| *left == ["@bob:b.example"]).await;
}

#[tokio::test]
async fn a_room_whose_rules_nobody_can_verify_is_not_begun() {
    let (network, a, b) = two().await;
    let c = Blueprint::default().on(&network, "c.example").start().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let carol = c.register("carol").await;
    let rooms = [public_room(&alice, "11").await, public_room(&alice, "10").await];
    for room in &rooms {
        join_via(&carol, room, "a.example").await.ok();
    }
    // In one of them carol is just there; in the other she made the rules.
    let [plain, ruled] = &rooms;
    let levels = json!({ "users": { "@alice:a.example": 100, "@carol:c.example": 100 } });
    alice.set_state(ruled, "m.room.power_levels", "", &levels).await.ok();
    let powerful = || async { carol.state(ruled, "m.room.power_levels", "").await.body };
    eventually(powerful, |now| *now == levels).await;
    let list = json!({ "allow": ["*"], "deny": ["bad.example"] });
    carol.set_state(ruled, "m.room.server_acl", "", &list).await.ok();
    let arrived = || async { alice.state(ruled, "m.room.server_acl", "").await.body };
    eventually(arrived, |now| *now == list).await;

    network.cut("c.example");
    let refused = join_via(&bob, ruled, "a.example").await;
    assert!(refused.status >= 500, "{} {}", refused.status, refused.body);
    assert_eq!(bob.state(ruled, "m.room.create", "").await.refusal(), (403, "M_FORBIDDEN"));
    join_via(&bob, plain, "a.example").await.ok();
    bob.say(plain, "hello").await;
}

#[tokio::test]
async fn an_access_control_list_is_replaced_and_never_redacted() {
    let (_, a, _) = two().await;
    let alice = a.register("alice").await;
    let room = public_room(&alice, "11").await;
    let list = json!({ "allow": ["*"], "deny": ["bad.example"] });
    let set = alice.set_state(&room, "m.room.server_acl", "", &list).await.ok();
    let tea = json!({ "topic": "tea" });
    let topic = alice.set_state(&room, "m.room.topic", "", &tea).await.ok();
    let redact = async |event: &Value, transaction: &str| {
        let event = segment(event["event_id"].as_str().expect("an event"));
        let room = segment(&room);
        let path = format!("/_matrix/client/v3/rooms/{room}/redact/{event}/{transaction}");
        alice.http().put(&path, &json!({})).await
    };
    assert_eq!(redact(&set, "one").await.refusal(), (403, "M_FORBIDDEN"));
    // What was redacted says nothing any more, so the same may be said again.
    redact(&topic, "two").await.ok();
    let again = alice.set_state(&room, "m.room.topic", "", &tea).await.ok();
    assert_ne!(again["event_id"], topic["event_id"]);
}

#[tokio::test]
async fn a_direct_chat_with_somebody_elsewhere_begins_with_their_invitation() {
    let (_, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let room = alice
        .create_room(&json!({
            "preset": "trusted_private_chat", "is_direct": true, "invite": ["@bob:b.example"],
        }))
        .await;
    let invite = section(&bob, "", "invite", &room).await;
    let events = invite["invite_state"]["events"].as_array().expect("events").clone();
    let own = events.iter().find(|event| event["state_key"] == "@bob:b.example");
    assert_eq!(own.expect("their own membership")["content"]["is_direct"], true);
    bob.join_by_id(&room).await.ok();
    assert_eq!(members(&alice, &room, "join").await, ["@alice:a.example", "@bob:b.example"]);
}

#[tokio::test]
async fn whoever_wants_no_invitations_gets_none_from_anywhere() {
    let (_, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let dan = b.register("dan").await;
    let room = private_room(&alice, "12").await;
    alice.invite(&room, "@bob:b.example").await.ok();
    let path = format!(
        "/_matrix/client/v3/user/{}/account_data/m.invite_permission_config",
        segment(&bob.user_id)
    );
    bob.http().put(&path, &json!({ "default_action": "block" })).await.ok();
    assert_eq!(section(&bob, "", "invite", &room).await, Value::Null, "those there are hidden");
    let other = private_room(&alice, "12").await;
    let refused = alice.invite(&other, "@bob:b.example").await;
    assert_eq!(refused.refusal(), (403, "M_INVITE_BLOCKED"));
    let own = private_room(&dan, "12").await;
    assert_eq!(dan.invite(&own, "@bob:b.example").await.refusal(), (403, "M_INVITE_BLOCKED"));
    let state = json!({ "membership": "invite" });
    let refused = dan.set_state(&own, "m.room.member", "@bob:b.example", &state).await;
    assert_eq!(refused.refusal(), (403, "M_INVITE_BLOCKED"));
    let create = json!({ "invite": ["@bob:b.example"] });
    let refused = dan.http().post("/_matrix/client/v3/createRoom", &create).await;
    assert_eq!(refused.refusal(), (403, "M_INVITE_BLOCKED"));
}

#[tokio::test]
async fn an_invitation_written_as_state_takes_the_same_road() {
    let (_, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let room = private_room(&alice, "12").await;
    let invite = json!({ "membership": "invite", "reason": "tea" });
    alice.set_state(&room, "m.room.member", "@bob:b.example", &invite).await.ok();
    assert_ne!(section(&bob, "", "invite", &room).await, Value::Null);
    let member = alice.state(&room, "m.room.member", "@bob:b.example").await.ok();
    assert_eq!(member["reason"], "tea");
}

#[tokio::test]
async fn invitations_and_rooms_from_elsewhere_survive_a_restart() {
    let network = Network::new();
    let a = Blueprint::default().on(&network, "a.example").start().await;
    let b = Blueprint::default().on(&network, "b.example").on_disk().start().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let (open, closed) = (public_room(&alice, "12").await, private_room(&alice, "12").await);
    join_via(&bob, &open, "a.example").await.ok();
    alice.invite(&closed, "@bob:b.example").await.ok();
    let b = b.restart().await;
    let bob = b.login("bob").await;
    assert_eq!(name_of(&bob, &open).await, "Tea");
    assert_ne!(section(&bob, "", "invite", &closed).await, Value::Null);
    bob.join_by_id(&closed).await.ok();
    assert_eq!(members(&alice, &closed, "join").await, ["@alice:a.example", "@bob:b.example"]);
}

#[tokio::test]
async fn rooms_cross_servers_with_several_slots_too() {
    let network = Network::new();
    let a = Blueprint::default().on(&network, "a.example").slots(3).start().await;
    let b = Blueprint::default().on(&network, "b.example").slots(3).start().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    for version in ["9", "12"] {
        let (open, closed) =
            (public_room(&alice, version).await, private_room(&alice, version).await);
        join_via(&bob, &open, "a.example").await.ok();
        alice.invite(&closed, "@bob:b.example").await.ok();
        assert_ne!(section(&bob, "", "invite", &closed).await, Value::Null);
        bob.join_by_id(&closed).await.ok();
        for room in [&open, &closed] {
            assert_eq!(members(&bob, room, "join").await, ["@alice:a.example", "@bob:b.example"]);
        }
    }
}

/// Such an invitation is to a room of version 1 or 2.
#[tokio::test]
async fn an_invitation_that_names_no_room_version_is_to_a_room_we_do_not_speak() {
    let network = Network::new();
    let server = Blueprint::default().on(&network, "a.example").start().await;
    let away = PretendServer::on(&network, "away.example");
    server.register("alice").await;
    let invitation = json!({
        "origin": "away.example", "origin_server_ts": 1, "type": "m.room.member",
        "sender": "@mallory:away.example", "state_key": "@alice:a.example",
        "content": { "membership": "invite" },
    });
    let path = "/_matrix/federation/v1/invite/%21room:away.example/%24event:away.example";
    let refused = away.put(&server, path, &invitation).await;
    assert_eq!(refused.refusal(), (400, "M_INCOMPATIBLE_ROOM_VERSION"));
    assert_eq!(refused.body["room_version"], "1");
    for (key, value) in [
        ("type", json!("m.room.name")),
        ("sender", json!("@bob:b.example")),
        ("state_key", json!("@bob:b.example")),
        ("content", json!({ "membership": "join" })),
    ] {
        let mut other = invitation.clone();
        other[key] = value;
        let refused = away.put(&server, path, &other).await;
        assert_eq!(refused.refusal(), (400, "M_INVALID_PARAM"), "{key}");
    }
}

/// What another server hands in for itself is refused as forbidden where it is forged or about somebody
/// else's user, and as malformed where it is something else.
#[tokio::test]
async fn a_forged_join_is_forbidden_and_the_honest_one_comes_in() {
    let network = Network::new();
    let server = Blueprint::default().on(&network, "a.example").start().await;
    let away = PretendServer::on(&network, "away.example");
    let alice = server.register("alice").await;
    let options = json!({ "preset": "public_chat", "room_version": "11" });
    let room = alice.create_room(&options).await;
    let user = away.user("mallory");
    let path = format!("/_matrix/federation/v1/make_join/{room}/{user}?ver=11");
    let template = away.get(&server, &path).await.ok()["event"].clone();
    let sent = async |event: &Value| {
        let bytes = event.to_string();
        let pdu = Pdu::parse_untrusted(bytes.as_bytes(), RoomVersion::V11).unwrap();
        let id = pdu.event_id().as_str().replace('$', "%24");
        away.put(&server, &format!("/_matrix/federation/v2/send_join/{room}/{id}"), event).await
    };
    let signed = |event: &Value| away.signed_event(event, RoomVersion::V11).unwrap();
    let honest = signed(&template);

    let mut forged = honest.clone();
    for signature in forged["signatures"]["away.example"].as_object_mut().unwrap().values_mut() {
        *signature = json!("A".repeat(86));
    }
    assert_eq!(sent(&forged).await.refusal(), (403, "M_FORBIDDEN"));
    let mut others = template.clone();
    others["sender"] = json!("@bob:b.example");
    others["state_key"] = json!("@bob:b.example");
    assert_eq!(sent(&signed(&others)).await.refusal(), (403, "M_FORBIDDEN"));
    let mut odd = template.clone();
    odd["type"] = json!("m.room.message");
    assert_eq!(sent(&signed(&odd)).await.refusal(), (400, "M_INVALID_PARAM"));
    sent(&honest).await.ok();
    assert_eq!(members(&alice, &room, "join").await, ["@alice:a.example", user.as_str()]);
}

/// A user of another server joins through the endpoint of this version, and leaves again. Returns what the
/// join was answered.
async fn joins_and_leaves(
    away: &PretendServer,
    server: &TestServer,
    room: &str,
    (version, query): (&str, &str),
) -> Value {
    let user = away.user("mallory");
    let mut answers = Vec::new();
    for what in ["join", "leave"] {
        let path = format!("/_matrix/federation/v1/make_{what}/{room}/{user}?ver=11");
        let template = away.get(server, &path).await.ok()["event"].clone();
        let event = away.signed_event(&template, RoomVersion::V11).expect("signed");
        let pdu = Pdu::parse_untrusted(event.to_string().as_bytes(), RoomVersion::V11);
        let id = pdu.expect("an event").event_id().as_str().replace('$', "%24");
        let query = if what == "join" { query } else { "" };
        let path = format!("/_matrix/federation/{version}/send_{what}/{room}/{id}{query}");
        answers.push(away.put(server, &path, &event).await.ok());
    }
    let gone = answers.pop().expect("two");
    assert_eq!(gone, if version == "v1" { json!([200, {}]) } else { json!({}) });
    answers.pop().expect("one")
}

fn keys_of(events: &Value, kind: &str) -> Vec<String> {
    let events = events.as_array().expect("a list").iter().filter(|event| event["type"] == kind);
    events.map(|event| event["state_key"].as_str().expect("state").to_owned()).collect()
}

#[tokio::test]
async fn who_can_do_without_members_is_told_those_that_matter_and_old_servers_are_answered() {
    const MEMBER: &str = "m.room.member";
    let network = Network::new();
    let server = Blueprint::default().on(&network, "a.example").start().await;
    let away = PretendServer::on(&network, "away.example");
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    for name in [Some("Tea"), None] {
        let mut options = json!({ "preset": "public_chat", "room_version": "11" });
        if let Some(name) = name {
            options["name"] = json!(name);
        }
        let room = alice.create_room(&options).await;
        bob.join_by_id(&room).await.ok();
        let whole = joins_and_leaves(&away, &server, &room, ("v2", "")).await;
        assert_eq!(whole["members_omitted"], false);
        assert_eq!(keys_of(&whole["state"], MEMBER), [alice.user_id.as_str(), &bob.user_id]);
        let old = joins_and_leaves(&away, &server, &room, ("v1", "")).await;
        assert_eq!(old[0], 200);
        assert_eq!(keys_of(&old[1]["state"], MEMBER).len(), 3);
        let part = joins_and_leaves(&away, &server, &room, ("v2", "?omit_members=true")).await;
        assert_eq!(part["members_omitted"], true);
        assert_eq!(part["servers_in_room"][0], "a.example");
        let told = keys_of(&part["state"], MEMBER);
        let heroes = [alice.user_id.clone(), bob.user_id.clone()];
        assert_eq!(told, if name.is_some() { &heroes[..0] } else { &heroes[..] });
        assert!(keys_of(&part["auth_chain"], MEMBER).contains(&alice.user_id));
        assert_eq!(keys_of(&part["state"], "m.room.power_levels"), [""]);
    }
}

#[tokio::test]
async fn a_server_that_does_not_help_is_passed_over() {
    let (network, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let room = public_room(&alice, "12").await;
    let path = "/_matrix/federation/v1/make_join/{room}/{user}";
    for (name, status, errcode) in
        [("busy.example", 429, "M_LIMIT_EXCEEDED"), ("old.example", 404, "M_UNRECOGNIZED")]
    {
        let answer = json!({ "errcode": errcode, "error": "no" });
        let status = http::StatusCode::from_u16(status).expect("a status");
        let made = axum::routing::get(move || async move { (status, axum::Json(answer)) });
        let router = axum::Router::new().route(path, made);
        drop(PretendServer::answering(&network, name, router));
    }
    let refused = join_via(&bob, &room, "old.example").await;
    assert_eq!(refused.refusal(), (502, "M_UNKNOWN"), "it is not ours that does not know it");
    join_via(&bob, &room, "busy.example&via=old.example&via=a.example").await.ok();
}

#[tokio::test]
async fn whose_server_does_not_know_the_version_of_the_room_is_told() {
    let network = Network::new();
    let server = Blueprint::default().on(&network, "a.example").start().await;
    let alice = server.register("alice").await;
    let answer = json!({
        "errcode": "M_INCOMPATIBLE_ROOM_VERSION", "error": "no", "room_version": "11",
    });
    let status = http::StatusCode::BAD_REQUEST;
    let invited = axum::routing::put(move || async move { (status, axum::Json(answer)) });
    let path = "/_matrix/federation/v2/invite/{room}/{event}";
    let router = axum::Router::new().route(path, invited);
    let _away = PretendServer::answering(&network, "away.example", router);
    let room = private_room(&alice, "11").await;
    let refused = alice.invite(&room, "@eve:away.example").await;
    assert_eq!(refused.refusal(), (400, "M_INCOMPATIBLE_ROOM_VERSION"));
    let reason = refused.body["error"].as_str().expect("a reason");
    assert!(reason.contains("the invited user's server"), "{reason}");
}

/// Rooms of versions 1 and 2 are left out, whichever way their server says which they are.
#[tokio::test]
async fn a_room_of_the_two_oldest_versions_is_not_joined_and_the_answer_says_why() {
    let template = json!({ "type": "m.room.member" });
    let incompatible = json!({
        "errcode": "M_INCOMPATIBLE_ROOM_VERSION", "error": "no", "room_version": "2",
    });
    for (version, status, answer) in [
        ("1", 200, json!({ "event": template })),
        ("1", 200, json!({ "event": template, "room_version": "1" })),
        ("2", 200, json!({ "event": template, "room_version": "2" })),
        ("2", 400, incompatible),
    ] {
        let network = Network::new();
        let server = Blueprint::default().on(&network, "a.example").start().await;
        let alice = server.register("alice").await;
        let status = http::StatusCode::from_u16(status).expect("a status");
        let made = axum::routing::get(move || async move { (status, axum::Json(answer)) });
        let path = "/_matrix/federation/v1/make_join/{room}/{user}";
        let router = axum::Router::new().route(path, made);
        let _away = PretendServer::answering(&network, "away.example", router);
        let refused = join_via(&alice, "!old:away.example", "away.example").await;
        assert_eq!(refused.refusal(), (400, "M_INCOMPATIBLE_ROOM_VERSION"));
        assert_eq!(refused.body["room_version"], version);
    }
}

#[tokio::test]
async fn the_user_directory_finds_people_of_other_servers_one_shares_a_room_with() {
    let (_network, a, b) = two().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let carol = a.register("carol").await;
    let name = json!({ "displayname": "Bobby Tables" });
    let path = format!("/_matrix/client/v3/profile/{}/displayname", bob.user_id);
    bob.http().put(&path, &name).await.ok();
    let room = public_room(&alice, "12").await;
    let search = async |who: &Person, term: &str| {
        let body = json!({ "search_term": term });
        let found = who.http().post("/_matrix/client/v3/user_directory/search", &body).await.ok();
        found["results"].clone()
    };
    assert_eq!(search(&alice, "bob").await, json!([]), "nobody knows him yet");
    join_via(&bob, &room, "a.example").await.ok();
    let bobby = json!([{ "user_id": "@bob:b.example", "display_name": "Bobby Tables" }]);
    assert_eq!(search(&alice, "tables").await, bobby);
    assert_eq!(search(&alice, "@bob:b").await, bobby);
    assert_eq!(search(&carol, "tables").await, bobby, "anybody may come into his room");
    let rule = json!({ "join_rule": "invite" });
    alice.set_state(&room, "m.room.join_rules", "", &rule).await.ok();
    assert_eq!(search(&carol, "bob").await, json!([]), "she shares no room with him");
    let visible = json!({ "history_visibility": "world_readable" });
    alice.set_state(&room, "m.room.history_visibility", "", &visible).await.ok();
    assert_eq!(search(&carol, "@bob:b").await, bobby, "anybody may look into his room");
}
