//! Joins that go wrong on the way, rooms that are on their way, and who vouches for whom.

use ruma::OwnedUserId;
use serde_json::{Value, json};
use vestibule_events::Pdu;
use vestibule_storage::{StorageError, jobs, jobs::StoredJob};
use vestibule_testkit::server::{PretendServer, Reply, RoomEnds, TestServer, segment};

use crate::town::{Two, eventually, join};

const SEND_JOIN: &str = "/send_join/";
const UNDO: &str = "room_undo_join";

/// The jobs in which a server looks whether a join that it handed in came to its end.
async fn looks(server: &TestServer) -> Vec<StoredJob> {
    let read = |read: &vestibule_storage::Snapshot<'_>| jobs::due(read, None, u64::MAX, 100);
    let all = server.running().store().read::<_, StorageError, _>(read).await.expect("read");
    all.into_iter().map(|(_, job)| job).filter(|job| job.kind == UNDO).collect()
}

/// Looks as a server does some minutes later. Returns when it would look again.
async fn look(server: &TestServer) -> Option<u64> {
    let jobs = looks(server).await;
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    let rooms = server.running().rooms();
    rooms.run_job(UNDO, &jobs[0].payload).await.expect("it was looked")
}

impl Two {
    async fn bob_there(&self, room: &str) -> Value {
        self.alice.state(room, "m.room.member", "@bob:b.example").await.body["membership"].clone()
    }

    /// Alice's server, which bob's leaves alone after a failure, says something; then bob's server looks
    /// until there is nothing more to take back.
    async fn speaks_again(&self, room: &str) {
        self.alice.say(room, "are you there?").await;
        eventually("nothing is left to take back", async || {
            look(&self.b).await.is_none().then_some(())
        })
        .await;
    }

    async fn public_room(&self) -> String {
        self.alice.create_room(&json!({ "preset": "public_chat" })).await
    }
}

#[tokio::test]
async fn a_join_whose_answer_is_lost_is_taken_back() {
    let two = Two::new().await;
    let room = two.public_room().await;
    two.network.lose_answers("a.example", SEND_JOIN);
    assert_eq!(join(&two.bob, &room, "a.example").await.status, 502);
    assert_eq!(two.bob_there(&room).await, "join", "the room has him in it");
    two.speaks_again(&room).await;
    assert_eq!(two.bob_there(&room).await, "leave");
    // Once they are out there is nothing to take back.
    assert_eq!(look(&two.b).await, None);
    assert_eq!(two.bob_there(&room).await, "leave");
    two.network.straighten("a.example");
    join(&two.bob, &room, "a.example").await.ok();
    assert_eq!(two.bob_there(&room).await, "join");
}

#[tokio::test]
async fn a_join_is_taken_back_once_the_server_that_let_it_in_can_be_asked() {
    let two = Two::new().await;
    let room = two.public_room().await;
    two.network.lose_answers("a.example", SEND_JOIN);
    assert_eq!(join(&two.bob, &room, "a.example").await.status, 502);
    two.network.cut("a.example");
    let again = look(&two.b).await;
    assert!(again.is_some(), "it is looked again");
    two.network.mend("a.example");
    assert_eq!(two.bob_there(&room).await, "join");
    two.speaks_again(&room).await;
    assert_eq!(two.bob_there(&room).await, "leave");
}

#[tokio::test]
async fn a_join_that_arrived_is_not_taken_back() {
    let two = Two::new().await;
    let room = two.room().await;
    assert_eq!(look(&two.b).await, None);
    assert_eq!(two.bob_there(&room).await, "join");
    assert_eq!(two.requests("a.example", "/make_leave/"), 0);
}

#[tokio::test]
async fn a_join_that_was_refused_is_not_taken_back() {
    let two = Two::new().await;
    let room = two.alice.create_room(&json!({ "preset": "private_chat" })).await;
    assert_eq!(join(&two.bob, &room, "a.example").await.status, 403);
    assert!(looks(&two.b).await.is_empty(), "nothing was handed in");
}

#[tokio::test]
async fn what_comes_while_a_room_is_on_its_way_is_not_lost() {
    let two = Two::new().await;
    let room = two.public_room().await;
    let held = two.network.hold_answers("a.example", SEND_JOIN);
    let meanwhile = async {
        two.in_room(&room, "@bob:b.example").await;
        two.alice.say(&room, "welcome").await;
        eventually("b is told", async || (two.requests("b.example", "/send/") > 0).then_some(()))
            .await;
        drop(held);
    };
    let (joined, ()) = tokio::join!(join(&two.bob, &room, "a.example"), meanwhile);
    joined.ok();
    // Nothing else is said in the room that would make up for what was lost.
    eventually("bob reads it", async || {
        two.bob.messages(&room).await.contains(&"welcome".to_owned()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_joins_while_the_room_is_on_its_way_waits_for_it() {
    let two = Two::new().await;
    let room = two.public_room().await;
    let carol = two.b.register("carol").await;
    let held = two.network.hold_answers("a.example", SEND_JOIN);
    let meanwhile = async {
        two.in_room(&room, "@bob:b.example").await;
        drop(held);
    };
    let (bob, carol_in, ()) = tokio::join!(
        join(&two.bob, &room, "a.example"),
        join(&carol, &room, "a.example"),
        meanwhile
    );
    bob.ok();
    carol_in.ok();
    assert_eq!(two.requests("a.example", SEND_JOIN), 1, "the room came once");
}

/// A hall, a room that lets in whoever is in the hall, and a server elsewhere.
struct Restricted {
    two: Two,
    hall: String,
    room: String,
    away: PretendServer,
}

impl Restricted {
    async fn new() -> Self {
        let two = Two::new().await;
        let hall = two.alice.create_room(&json!({ "preset": "public_chat" })).await;
        let rules = json!({
            "type": "m.room.join_rules",
            "state_key": "",
            "content": {
                "join_rule": "restricted",
                "allow": [{ "type": "m.room_membership", "room_id": hall }],
            },
        });
        let options = json!({
            "room_version": "11",
            "initial_state": [rules],
            "power_level_content_override": { "invite": 50 },
        });
        let room = two.alice.create_room(&options).await;
        let away = PretendServer::on(&two.network, "away.example");
        Self { two, hall, room, away }
    }

    async fn template(&self, user: &OwnedUserId) -> Reply {
        let path = format!("make_join/{}/{}?ver=11", segment(&self.room), segment(user.as_str()));
        self.away.get(&self.two.a, &format!("/_matrix/federation/v1/{path}")).await
    }

    /// A join that says who vouches for it.
    async fn join(&self, user: &OwnedUserId, voucher: Option<&str>) -> Pdu {
        let mut content = json!({ "membership": "join" });
        if let Some(voucher) = voucher {
            content["join_authorised_via_users_server"] = voucher.into();
        }
        let ends = RoomEnds::of(&self.two.a, &self.room).await;
        self.away.event(&ends, user, ("m.room.member", Some(user.as_str())), &content)
    }

    async fn hand_in(&self, join: &Pdu) -> Reply {
        let id = segment(join.event_id().as_str());
        let path = format!("/_matrix/federation/v2/send_join/{}/{id}", segment(&self.room));
        let body = join.to_federation_json().expect("JSON");
        let body: Value = serde_json::from_str(body.get()).expect("JSON");
        self.away.put(&self.two.a, &path, &body).await
    }

    async fn is_in(&self, user: &OwnedUserId) -> bool {
        let member = self.two.alice.state(&self.room, "m.room.member", user.as_str()).await;
        member.body["membership"] == "join"
    }
}

#[tokio::test]
async fn a_join_that_we_vouch_for_carries_our_signature() {
    let scene = Restricted::new().await;
    let eve = scene.away.slip_in(&scene.two.a, &scene.hall, "eve").await;
    let template = scene.template(&eve).await.ok();
    let content = &template["event"]["content"];
    assert_eq!(content["join_authorised_via_users_server"], "@alice:a.example");
    let join = scene.join(&eve, Some("@alice:a.example")).await;
    let answer = scene.hand_in(&join).await.ok();
    assert!(answer["event"]["signatures"]["a.example"].is_object(), "{answer}");
    assert!(scene.is_in(&eve).await);
}

#[tokio::test]
async fn nobody_vouches_for_who_is_not_in_the_room_that_the_rule_names() {
    let scene = Restricted::new().await;
    let eve = scene.away.user("eve");
    assert_eq!(scene.template(&eve).await.refusal(), (403, "M_FORBIDDEN"));
    // Saying so oneself is of no use.
    let join = scene.join(&eve, Some("@alice:a.example")).await;
    assert_eq!(scene.hand_in(&join).await.refusal(), (403, "M_FORBIDDEN"));
    assert!(!scene.is_in(&eve).await);
}

#[tokio::test]
async fn a_join_without_a_voucher_or_with_a_wrong_one_is_refused() {
    let scene = Restricted::new().await;
    let eve = scene.away.slip_in(&scene.two.a, &scene.hall, "eve").await;
    let dave = scene.two.a.register("dave").await;
    let vouchers = [
        ("nobody", None, (403, "M_FORBIDDEN")),
        ("one of ours without the power", Some(dave.user_id.as_str()), (403, "M_FORBIDDEN")),
        ("one of ours who is not there", Some("@nobody:a.example"), (403, "M_FORBIDDEN")),
        ("one of a server that did not sign", Some("@bob:b.example"), (403, "M_FORBIDDEN")),
        ("oneself", Some("@eve:away.example"), (403, "M_FORBIDDEN")),
    ];
    for (who, voucher, expected) in vouchers {
        let join = scene.join(&eve, voucher).await;
        let refused = scene.hand_in(&join).await;
        assert_eq!(refused.refusal(), expected, "{who}");
        assert!(!scene.is_in(&eve).await, "{who}");
    }
}

#[tokio::test]
async fn a_server_where_nobody_may_invite_says_that_another_has_to_be_asked() {
    let scene = Restricted::new().await;
    let eve = scene.away.slip_in(&scene.two.a, &scene.hall, "eve").await;
    let levels = json!({ "users": { "@alice:a.example": 50 }, "invite": 100 });
    scene.two.alice.set_state(&scene.room, "m.room.power_levels", "", &levels).await.ok();
    assert_eq!(scene.template(&eve).await.refusal(), (400, "M_UNABLE_TO_GRANT_JOIN"));
    let join = scene.join(&eve, Some("@alice:a.example")).await;
    assert_eq!(scene.hand_in(&join).await.refusal(), (400, "M_UNABLE_TO_GRANT_JOIN"));
    assert!(!scene.is_in(&eve).await);
}

#[tokio::test]
async fn who_was_vouched_for_and_left_the_other_room_since_is_refused() {
    let scene = Restricted::new().await;
    let eve = scene.away.slip_in(&scene.two.a, &scene.hall, "eve").await;
    scene.template(&eve).await.ok();
    let join = scene.join(&eve, Some("@alice:a.example")).await;
    let ends = RoomEnds::of(&scene.two.a, &scene.hall).await;
    let member = ("m.room.member", Some(eve.as_str()));
    let leave = scene.away.event(&ends, &eve, member, &json!({ "membership": "leave" }));
    scene.away.hand_over(&scene.two.a, &leave).await;
    assert_eq!(scene.hand_in(&join).await.refusal(), (403, "M_FORBIDDEN"));
    assert!(!scene.is_in(&eve).await);
}
