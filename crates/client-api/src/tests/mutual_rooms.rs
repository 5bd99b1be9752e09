//! The rooms two people share.

use super::*;

const PATH: &str = "/_matrix/client/v1/mutual_rooms";

async fn room(server: &Server, host: &Person, others: &[&Person]) -> String {
    let room = server.public_room(host, json!({})).await;
    for other in others {
        server.joins(other, &room).await;
    }
    room
}

async fn shared(server: &Server, who: &Person, other: &str, from: &str) -> (u16, Value) {
    let other = other.replace('@', "%40").replace(':', "%3A");
    server.get(&format!("{PATH}?user_id={other}{from}"), who).await
}

#[tokio::test]
async fn only_rooms_both_have_joined_are_shared() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let ours = room(&server, &alice, &[&bob]).await;
    room(&server, &alice, &[]).await;
    let left = room(&server, &alice, &[&bob]).await;
    let path = format!("/_matrix/client/v3/rooms/{left}/leave");
    assert_eq!(server.post(&path, &bob, json!({})).await.0, 200);
    let expected = json!({ "joined": [ours], "count": 1 });
    assert_eq!(shared(&server, &alice, &bob.user_id, "").await, (200, expected.clone()));
    assert_eq!(shared(&server, &bob, &alice.user_id, "").await, (200, expected));
    let nobody = shared(&server, &alice, "@nobody:elsewhere.example", "").await;
    assert_eq!(nobody, (200, json!({ "joined": [], "count": 0 })));
}

#[tokio::test]
async fn clients_that_know_the_endpoint_by_its_old_name_are_told_of_it() {
    let server = server();
    let (_, body) = server.ask(Method::GET, "/_matrix/client/versions", Value::Null).await;
    let name = "uk.half-shot.msc2666.query_mutual_rooms.stable";
    assert_eq!(body["unstable_features"][name], true);
}

#[tokio::test]
async fn oneself_a_malformed_user_and_a_made_up_token_are_refused() {
    let server = server();
    let alice = server.person("alice").await;
    for (other, from) in [
        (alice.user_id.as_str(), ""),
        ("%C3%A9", ""),
        ("@%C3%A9:a.example", ""),
        ("@bob:a.example", "&from=x"),
    ] {
        let answer = shared(&server, &alice, other, from).await;
        assert_eq!(error(answer), code(400, "M_INVALID_PARAM"), "{other} {from}");
    }
    let answer = server.get(PATH, &alice).await;
    assert_eq!(error(answer), code(400, "M_MISSING_PARAM"));
}

#[tokio::test]
async fn a_guest_is_told_only_of_rooms_that_are_open_to_guests() {
    let server = server();
    let (alice, guest) = (server.person("alice").await, server.guest().await);
    room(&server, &alice, &[]).await;
    let answer = shared(&server, &guest, &alice.user_id, "").await;
    assert_eq!(answer, (200, json!({ "joined": [], "count": 0 })));
}
