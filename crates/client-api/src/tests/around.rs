//! What lies around an event, and the state that is told with it.

use super::{
    rooms::{each, encoded},
    *,
};

impl Server {
    /// What lies around an event, through a filter.
    async fn around(&self, who: &Person, (room, event): (&str, &str), filter: &Value) -> Value {
        let filter = filter.to_string().replace('"', "%22").replace('{', "%7B").replace('}', "%7D");
        let path = format!("/_matrix/client/v3/rooms/{room}/context/{}", encoded(event));
        self.fetch(who, &format!("{path}?limit=10&filter={filter}")).await
    }
}

/// The names set by the events of one type in the state of an answer.
fn state_of(answer: &Value, kind: &str) -> Vec<Value> {
    let state = answer["state"].as_array().unwrap().iter();
    state.filter(|event| event["type"] == kind).map(|event| event["content"].clone()).collect()
}

#[tokio::test]
async fn who_left_is_not_told_the_state_after_that() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let carol = server.person("carol").await;
    for visibility in ["joined", "shared"] {
        let room = server.public_room(&alice, json!({ "name": "before" })).await;
        let value = json!({ "history_visibility": visibility });
        server.sets(&alice, &room, ("m.room.history_visibility", value)).await;
        server.joins(&bob, &room).await;
        let said = server.says(&alice, &room, Value::Null).await;
        let leave = format!("/_matrix/client/v3/rooms/{room}/leave");
        assert_eq!(server.post(&leave, &bob, json!({})).await.0, 200);
        server.sets(&alice, &room, ("m.room.name", json!({ "name": "after" }))).await;
        server.joins(&carol, &room).await;
        server.says(&carol, &room, Value::Null).await;

        let shown = server.around(&bob, (&room, &said), &json!({})).await;
        assert_eq!(state_of(&shown, "m.room.name"), [json!({ "name": "before" })], "{visibility}");
        assert!(!shown.to_string().contains(&carol.user_id), "{visibility}: {shown}");
        let shown = server.around(&alice, (&room, &said), &json!({})).await;
        assert_eq!(state_of(&shown, "m.room.name"), [json!({ "name": "after" })]);
    }
}

#[tokio::test]
async fn the_state_around_an_event_is_filtered_and_members_come_only_as_needed() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({ "name": "tea" })).await;
    let mut others = Vec::new();
    for name in ["carol", "dave", "erin"] {
        others.push(server.person(name).await);
        server.joins(&others[others.len() - 1], &room).await;
    }
    server.joins(&bob, &room).await;
    for _ in 0..6 {
        server.says(&alice, &room, Value::Null).await;
    }
    let said = server.says(&bob, &room, Value::Null).await;
    for _ in 0..6 {
        server.says(&alice, &room, Value::Null).await;
    }
    let place = (room.as_str(), said.as_str());

    let all = server.around(&alice, place, &json!({})).await;
    assert_eq!(state_of(&all, "m.room.member").len(), 5);
    let lazy = server.around(&alice, place, &json!({ "lazy_load_members": true })).await;
    let mut members: Vec<&str> = each(&lazy["state"], "type")
        .into_iter()
        .zip(each(&lazy["state"], "state_key"))
        .filter_map(|(kind, key)| (kind == "m.room.member").then_some(key))
        .collect();
    members.sort_unstable();
    assert_eq!(members, [&alice.user_id, &bob.user_id]);
    assert_eq!(state_of(&lazy, "m.room.name").len(), 1, "the rest of the state is there");

    let none = json!({ "lazy_load_members": true, "types": ["m.room.message"] });
    let none = server.around(&alice, place, &none).await;
    assert_eq!(none["state"], json!([]));
    assert_eq!(none["events_before"].as_array().unwrap().len(), 5);
    let by_bob = server.around(&alice, place, &json!({ "senders": [bob.user_id] })).await;
    assert_eq!(each(&by_bob["state"], "sender"), [&bob.user_id]);
    assert_eq!(by_bob["events_after"], json!([]));
}

#[tokio::test]
async fn members_of_a_page_are_as_they_were_when_it_was_written() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    server.joins(&bob, &room).await;
    let own = format!("m.room.member/{}", bob.user_id);
    let named = |name: &str| json!({ "membership": "join", "displayname": name });
    server.sets(&bob, &room, (&own, named("Robert"))).await;
    server.says(&bob, &room, Value::Null).await;
    server.sets(&bob, &room, (&own, named("Bobby"))).await;
    server.says(&bob, &room, Value::Null).await;
    let leave = format!("/_matrix/client/v3/rooms/{room}/leave");
    assert_eq!(server.post(&leave, &bob, json!({})).await.0, 200);

    let filter = "%7B%22lazy_load_members%22:true,%22types%22:[%22m.room.message%22]%7D";
    let v3 = format!("/_matrix/client/v3/rooms/{room}/messages?filter={filter}");
    let newest = server.fetch(&alice, &format!("{v3}&dir=b&limit=1")).await;
    assert_eq!(each(&newest["state"], "state_key"), [&bob.user_id]);
    assert_eq!(state_of(&newest, "m.room.member"), [named("Bobby")]);
    let before = newest["end"].as_str().unwrap();
    let older = server.fetch(&alice, &format!("{v3}&dir=b&limit=1&from={before}")).await;
    assert_eq!(state_of(&older, "m.room.member"), [named("Robert")]);
    let both = server.fetch(&alice, &format!("{v3}&dir=f&limit=9")).await;
    assert_eq!(state_of(&both, "m.room.member"), [named("Robert")], "as where the page begins");
}

#[tokio::test]
async fn who_may_not_see_an_event_is_refused_what_lies_around_it() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let carol = server.person("carol").await;
    let room = server.public_room(&alice, json!({})).await;
    let hidden = json!({ "history_visibility": "joined" });
    server.sets(&alice, &room, ("m.room.history_visibility", hidden)).await;
    let said = server.says(&alice, &room, Value::Null).await;
    let path = format!("/_matrix/client/v3/rooms/{room}/context/{}", encoded(&said));
    let invite = format!("/_matrix/client/v3/rooms/{room}/invite");
    assert_eq!(server.post(&invite, &bob, json!({ "user_id": carol.user_id })).await.0, 403);
    let invited = server.post(&invite, &alice, json!({ "user_id": carol.user_id })).await;
    assert_eq!(invited.0, 200);
    for who in [&bob, &carol] {
        assert_eq!(error(server.get(&path, who).await), code(403, "M_FORBIDDEN"));
    }
    server.joins(&bob, &room).await;
    assert_eq!(error(server.get(&path, &bob).await), code(403, "M_FORBIDDEN"));
    let nothing = format!("/_matrix/client/v3/rooms/{room}/context/$nothing");
    assert_eq!(error(server.get(&nothing, &bob).await), code(404, "M_NOT_FOUND"));
}

#[tokio::test]
async fn what_ignored_users_said_is_read_nowhere_and_their_state_is() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    server.joins(&bob, &room).await;
    let theirs = server.says(&bob, &room, Value::Null).await;
    let own = server.says(&alice, &room, Value::Null).await;
    let list =
        format!("/_matrix/client/v3/user/{}/account_data/m.ignored_user_list", alice.user_id);
    let ignored = json!({ bob.user_id.as_str(): {}, alice.user_id.as_str(): {} });
    assert_eq!(server.put(&list, &alice, json!({ "ignored_users": ignored })).await.0, 200);

    let rooms = format!("/_matrix/client/v3/rooms/{room}");
    let get = async |path: String| server.fetch(&alice, &path).await;
    let around = get(format!("{rooms}/context/{}?limit=40", encoded(&own))).await;
    let messages = get(format!("{rooms}/messages?dir=b&limit=40")).await;
    let snapshot = get(format!("{rooms}/initialSync")).await;
    for list in [&around["events_before"], &messages["chunk"], &snapshot["messages"]["chunk"]] {
        let ids = each(list, "event_id");
        assert!(!ids.contains(&&*theirs), "{list}");
        assert!(list.to_string().contains(&bob.user_id), "the join is state: {list}");
    }
    // Nobody ignores themselves.
    assert!(each(&messages["chunk"], "event_id").contains(&&*own));
    let one = server.get(&format!("{rooms}/event/{}", encoded(&theirs)), &alice).await;
    assert_eq!(error(one), code(404, "M_NOT_FOUND"));
    let around = server.get(&format!("{rooms}/context/{}", encoded(&theirs)), &alice).await;
    assert_eq!(error(around), code(403, "M_FORBIDDEN"));
}
