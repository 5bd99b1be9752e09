//! Presence: said of oneself, told to those one shares a room with.

use vestibule_storage::{
    StorageError,
    tables::presence::{PRESENCE_BY_USER, StoredAvailability, StoredPresence},
};

use vestibule_types::Clock;

use super::*;

fn status(who: &str) -> String {
    format!("/_matrix/client/v3/presence/{who}/status")
}

#[tokio::test]
async fn one_says_that_one_is_there_and_others_in_the_room_see_it() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    let join = server.post(&format!("/_matrix/client/v3/join/{room}"), &bob, json!({})).await;
    assert_eq!(join.0, 200);
    let (status_code, before) = server.get(&status(&alice.user_id), &bob).await;
    assert_eq!((status_code, &before["presence"]), (200, &json!("offline")));

    let body = json!({ "presence": "unavailable", "status_msg": "tea" });
    assert_eq!(server.put(&status(&alice.user_id), &alice, body).await, (200, json!({})));
    let (_, told) = server.get(&status(&alice.user_id), &bob).await;
    assert_eq!((&told["presence"], &told["status_msg"]), (&json!("unavailable"), &json!("tea")));
    assert!(told["last_active_ago"].is_u64());
    let (_, sync) = server.get("/_matrix/client/v3/sync?set_presence=offline", &bob).await;
    let event = &sync["presence"]["events"][0];
    assert_eq!(
        (&event["sender"], &event["content"]["status_msg"]),
        (&json!(alice.user_id), &json!("tea"))
    );
    assert_eq!(server.get("/_matrix/client/v3/sync", &alice).await.0, 200);
    let (_, told) = server.get(&status(&alice.user_id), &bob).await;
    assert_eq!((&told["presence"], &told["status_msg"]), (&json!("online"), &json!("tea")));
    let (_, own) = server.get(&status(&bob.user_id), &bob).await;
    assert_eq!(own["presence"], "offline", "the sync was not to show it");
    assert_eq!(server.get("/_matrix/client/v3/sync", &bob).await.0, 200);
    let (_, own) = server.get(&status(&bob.user_id), &bob).await;
    assert_eq!((&own["presence"], &own["currently_active"]), (&json!("online"), &json!(true)));
}

#[tokio::test]
async fn strangers_guests_and_nonsense_are_refused() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let stranger = server.get(&status(&alice.user_id), &bob).await;
    assert_eq!(error(stranger), code(403, "M_FORBIDDEN"));
    let body = json!({ "presence": "online" });
    let of_another = server.put(&status(&alice.user_id), &bob, body.clone()).await;
    assert_eq!(error(of_another), code(403, "M_FORBIDDEN"));
    for (body, errcode) in [
        (json!({ "presence": "asleep" }), "M_BAD_JSON"),
        (json!({}), "M_BAD_JSON"),
        (json!({ "presence": "online", "status_msg": "x".repeat(2_000) }), "M_INVALID_PARAM"),
    ] {
        let refused = server.put(&status(&alice.user_id), &alice, body).await;
        assert_eq!(error(refused), code(400, errcode));
    }
    let refused = server.get("/_matrix/client/v3/sync?set_presence=asleep", &alice).await;
    assert_eq!(error(refused), code(400, "M_INVALID_PARAM"));
    let guest = server.guest().await;
    let refused = server.put(&status(&guest.user_id), &guest, body).await;
    assert_eq!(refused.0, 403);
    assert_eq!(server.get(&status(&guest.user_id), &guest).await.0, 403);
    let (_, sync) = server.get("/_matrix/client/v3/sync", &guest).await;
    assert_eq!(sync["presence"]["events"], json!([]), "what a guest does is shown to nobody");
}

impl Server {
    /// Another server over the same store, so much later: nothing was written when this one ended.
    fn killed(self, later: Duration) -> Self {
        let now = self.time.clock.monotonic();
        let next = server_over(self.store.clone(), |_| {}, |_| {});
        next.time.clock.advance(now + later);
        next
    }

    /// What is written down of somebody's presence.
    async fn kept(&self, who: &Person) -> Option<StoredPresence> {
        let user = ruma::UserId::parse(&who.user_id).unwrap();
        let row = self
            .store
            .read::<_, StorageError, _>(move |snapshot| PRESENCE_BY_USER.get(snapshot, (&user,)));
        row.await.unwrap()
    }

    async fn says_of_self(&self, who: &Person, body: Value) {
        assert_eq!(self.put(&status(&who.user_id), who, body).await, (200, json!({})));
    }
}

#[tokio::test]
async fn what_one_said_outlives_the_server_and_one_is_offline_until_one_comes() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    let join = server.post(&format!("/_matrix/client/v3/join/{room}"), &bob, json!({})).await;
    assert_eq!(join.0, 200);
    let quiet = "/_matrix/client/v3/sync?set_presence=offline";
    let body = json!({ "presence": "unavailable", "status_msg": "in a meeting until four" });
    server.says_of_self(&alice, body).await;

    let server = server.killed(Duration::from_mins(30));
    let (_, told) = server.get(&status(&alice.user_id), &bob).await;
    let minutes = |told: &Value| told["last_active_ago"].as_u64().map(|ago| ago / 60_000);
    assert_eq!(told["presence"], "offline");
    assert_eq!(told["status_msg"], "in a meeting until four");
    assert_eq!(minutes(&told), Some(30));
    let (_, sync) = server.get(quiet, &bob).await;
    assert_eq!(sync["presence"]["events"], json!([]), "nobody is there");

    // She comes, and is as she said she would be, until she does something.
    let idle = "/_matrix/client/v3/sync?set_presence=unavailable";
    assert_eq!(server.get(idle, &alice).await.0, 200);
    let (_, sync) = server.get(quiet, &bob).await;
    let content = &sync["presence"]["events"][0]["content"];
    assert_eq!(content["presence"], "unavailable");
    assert_eq!(content["status_msg"], "in a meeting until four");
    server.says(&alice, &room, Value::Null).await;
    let (_, told) = server.get(&status(&alice.user_id), &bob).await;
    assert_eq!(told["presence"], "online");
    assert_eq!(told["status_msg"], "in a meeting until four");

    // What she took back does not come again.
    server.says_of_self(&alice, json!({ "presence": "online" })).await;
    let server = server.killed(Duration::from_mins(1));
    let (_, told) = server.get(&status(&alice.user_id), &bob).await;
    assert_eq!((told.get("status_msg"), minutes(&told)), (None, Some(1)));
    assert_eq!(server.kept(&bob).await, None, "he said nothing");
}

#[tokio::test]
async fn last_activity_is_written_now_and_then_and_a_kill_between_forgets_no_more() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    server.says_of_self(&alice, json!({ "presence": "unavailable", "status_msg": "tea" })).await;
    let said = server.kept(&alice).await.unwrap();
    assert_eq!(said.set, Some(StoredAvailability::Unavailable));
    for _ in 0..5 {
        server.time.clock.advance(Duration::from_mins(1));
        server.says(&alice, &room, Value::Null).await;
        assert_eq!(server.get("/_matrix/client/v3/sync", &alice).await.0, 200);
        server
            .says_of_self(&alice, json!({ "presence": "unavailable", "status_msg": "tea" }))
            .await;
        assert_eq!(server.kept(&alice).await.unwrap(), said, "nothing is new in substance");
    }
    server.says(&alice, &room, Value::Null).await;
    server.api.rooms.keep_presence().await.unwrap();
    let kept = server.kept(&alice).await.unwrap();
    assert_eq!((kept.active_at - said.active_at) / 60_000, 5);
    assert_eq!((kept.set, kept.status.as_deref()), (None, Some("tea")), "she did something");

    server.time.clock.advance(Duration::from_mins(3));
    server.says(&alice, &room, Value::Null).await;
    let server = server.killed(Duration::ZERO);
    server.api.rooms.keep_presence().await.unwrap();
    assert_eq!(server.kept(&alice).await.unwrap(), kept);
    let (_, told) = server.get(&status(&alice.user_id), &alice).await;
    assert_eq!(told["last_active_ago"].as_u64().unwrap() / 60_000, 3);
    // Whoever acts without a sync was active, and is not there.
    server.says(&alice, &room, Value::Null).await;
    let (_, told) = server.get(&status(&alice.user_id), &alice).await;
    assert_eq!((&told["presence"], &told["status_msg"]), (&json!("offline"), &json!("tea")));
    assert_eq!(told["last_active_ago"].as_u64().unwrap() / 60_000, 0);
}

#[tokio::test]
async fn of_a_deactivated_account_no_presence_is_kept() {
    for erase in [false, true] {
        let server = server();
        let alice = server.person("alice").await;
        let room = server.public_room(&alice, json!({})).await;
        server.says_of_self(&alice, json!({ "presence": "online", "status_msg": "tea" })).await;
        server.time.clock.advance(Duration::from_mins(1));
        server.says(&alice, &room, Value::Null).await;
        assert!(server.kept(&alice).await.is_some());
        let body = json!({ "erase": erase, "auth": {
            "type": "m.login.password", "password": "tea",
            "identifier": { "type": "m.id.user", "user": alice.user_id },
        } });
        let path = "/_matrix/client/v3/account/deactivate";
        assert_eq!(server.post(path, &alice, body).await.0, 200);
        assert_eq!(server.kept(&alice).await, None);
        server.api.rooms.keep_presence().await.unwrap();
        assert_eq!(server.kept(&alice).await, None, "what was still to be written is not");
    }
}
