//! Presence: said of oneself, told to those one shares a room with.

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
