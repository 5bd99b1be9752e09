//! What events are shown with of those that relate to them.

use vestibule_types::limits::{EDITS_COMPARED_MAX, THREAD_REPLIES_COUNTED_MAX};

use super::{
    rooms::{each, encoded},
    *,
};

fn thread(origin: &str) -> Value {
    json!({ "rel_type": "m.thread", "event_id": origin })
}

fn reference(parent: &str) -> Value {
    json!({ "rel_type": "m.reference", "event_id": parent })
}

fn edit(original: &str, body: &str) -> (&'static str, Value) {
    let relation = json!({ "rel_type": "m.replace", "event_id": original });
    let new = json!({ "msgtype": "m.text", "body": body });
    let content = json!({
        "msgtype": "m.text", "body": format!("* {body}"),
        "m.new_content": new, "m.relates_to": relation,
    });
    ("m.room.message", content)
}

impl Server {
    /// What one event is shown with.
    async fn bundle(&self, who: &Person, room: &str, event: &str) -> Value {
        let path = encoded(&format!("/_matrix/client/v3/rooms/{room}/event/{event}"));
        self.fetch(who, &path).await["unsigned"]["m.relations"].clone()
    }

    async fn ignores(&self, who: &Person, other: &Person) {
        let path =
            format!("/_matrix/client/v3/user/{}/account_data/m.ignored_user_list", who.user_id);
        let body = json!({ "ignored_users": { other.user_id.as_str(): {} } });
        let (status, body) = self.put(&path, who, body).await;
        assert_eq!(status, 200, "{body}");
    }
}

/// The event of this id in a list of them.
fn find<'a>(list: &'a Value, event: &str) -> &'a Value {
    let mut all = list.as_array().unwrap().iter();
    all.find(|it| it["event_id"] == event).unwrap_or_else(|| panic!("{event} is not in {list}"))
}

#[tokio::test]
async fn every_endpoint_shows_an_event_with_what_relates_to_it() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    let parent = server.says(&alice, &room, Value::Null).await;
    let quiet = server.says(&alice, &room, Value::Null).await;
    let reply = server.says(&alice, &room, thread(&parent)).await;
    let one = server.says(&alice, &room, reference(&parent)).await;
    let two = server.says(&alice, &room, reference(&parent)).await;
    let changed = server.sends(&alice, &room, edit(&parent, "coffee?")).await;
    // A page of /relations holds the parent itself when that relates to something.
    let base = server.says(&alice, &room, Value::Null).await;
    let child = server.says(&alice, &room, reference(&base)).await;
    let grandchild = server.says(&alice, &room, reference(&child)).await;

    let check = |event: &Value| {
        let bundle = &event["unsigned"]["m.relations"];
        assert_eq!(bundle["m.replace"]["event_id"], json!(changed), "{event}");
        assert_eq!(bundle["m.replace"]["content"]["m.new_content"]["body"], json!("coffee?"));
        assert_eq!(bundle["m.thread"]["latest_event"]["event_id"], json!(reply));
        assert_eq!(bundle["m.thread"]["count"], json!(1));
        assert_eq!(bundle["m.thread"]["current_user_participated"], json!(true));
        let references = json!([{ "event_id": one }, { "event_id": two }]);
        assert_eq!(bundle["m.reference"]["chunk"], references);
        assert_eq!(event["content"]["body"], json!("tea?"), "the original stays as it was sent");
        assert!(event["unsigned"]["age"].is_number());
    };
    let client = "/_matrix/client/v3";
    let get = async |path: String| server.fetch(&alice, &encoded(&path)).await;
    check(&get(format!("{client}/rooms/{room}/event/{parent}")).await);
    let page = get(format!("{client}/rooms/{room}/messages?dir=b&limit=50")).await;
    check(find(&page["chunk"], &parent));
    assert!(find(&page["chunk"], &quiet)["unsigned"].get("m.relations").is_none());
    let context = get(format!("{client}/rooms/{room}/context/{parent}?limit=4")).await;
    check(&context["event"]);
    let context = get(format!("{client}/rooms/{room}/context/{quiet}?limit=4")).await;
    check(find(&context["events_before"], &parent));
    let page = get(format!("/_matrix/client/v1/rooms/{room}/threads")).await;
    check(find(&page["chunk"], &parent));
    let page = get(format!("/_matrix/client/v1/rooms/{room}/relations/{base}")).await;
    let references = &find(&page["chunk"], &child)["unsigned"]["m.relations"]["m.reference"];
    assert_eq!(references["chunk"], json!([{ "event_id": grandchild }]));
    let filter = encoded(r#"{"room":{"timeline":{"limit":20}}}"#);
    let filter = filter.replace('{', "%7B").replace('}', "%7D").replace('"', "%22");
    let sync = get(format!("{client}/sync?filter={filter}")).await;
    check(find(&sync["rooms"]["join"][&room]["timeline"]["events"], &parent));
}

#[tokio::test]
async fn a_limited_timeline_is_bundled_for_each_reader_on_their_own() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let carol = server.person("carol").await;
    let room = server.public_room(&alice, json!({})).await;
    server.joins(&bob, &room).await;
    server.joins(&carol, &room).await;
    let parent = server.says(&alice, &room, Value::Null).await;
    let from = server.fetch(&bob, "/_matrix/client/v3/sync").await["next_batch"].clone();
    server.says(&bob, &room, thread(&parent)).await;
    for _ in 0..12 {
        server.says(&alice, &room, Value::Null).await;
    }
    let late = server.says(&alice, &room, Value::Null).await;
    server.says(&alice, &room, thread(&late)).await;
    let path = format!("/_matrix/client/v3/sync?since={}", from.as_str().unwrap());
    for (who, participated) in [(&bob, false), (&carol, false), (&alice, true)] {
        let sync = server.fetch(who, &path).await;
        let timeline = &sync["rooms"]["join"][&room]["timeline"];
        assert_eq!(timeline["limited"], json!(true));
        let event = find(&timeline["events"], &late);
        let thread = &event["unsigned"]["m.relations"]["m.thread"];
        assert_eq!(thread["count"], json!(1));
        assert_eq!(thread["current_user_participated"], json!(participated));
    }
}

#[tokio::test]
async fn only_valid_edits_are_told_and_the_newest_of_them_wins() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    server.joins(&bob, &room).await;
    let original = server.says(&alice, &room, Value::Null).await;
    let latest = async || {
        let bundle = server.bundle(&alice, &room, &original).await;
        bundle["m.replace"]["event_id"].as_str().map(ToOwned::to_owned)
    };

    server.sends(&bob, &room, edit(&original, "of somebody else")).await;
    let (_, mut bare) = edit(&original, "without new content");
    bare.as_object_mut().unwrap().remove("m.new_content");
    server.sends(&alice, &room, ("m.room.message", bare)).await;
    let (_, other) = edit(&original, "of another type");
    server.sends(&alice, &room, ("org.example.note", other)).await;
    assert_eq!(latest().await, None);

    let first = server.sends(&alice, &room, edit(&original, "first")).await;
    assert_eq!(latest().await.as_ref(), Some(&first));
    let second = server.sends(&alice, &room, edit(&original, "second")).await;
    assert_eq!(latest().await.as_ref(), Some(&second));
    // Edits of edits are none.
    server.sends(&alice, &room, edit(&second, "of an edit")).await;
    assert!(server.bundle(&alice, &room, &second).await.get("m.replace").is_none());
    server.redacts(&alice, &room, &second).await;
    assert_eq!(latest().await, Some(first));
    server.redacts(&alice, &room, &original).await;
    assert_eq!(latest().await, None);
}

#[tokio::test]
async fn what_others_send_takes_the_place_of_nobodys_edits_and_replies() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let carol = server.person("carol").await;
    let room = server.public_room(&alice, json!({})).await;
    server.joins(&bob, &room).await;
    server.joins(&carol, &room).await;
    let original = server.says(&alice, &room, Value::Null).await;
    let real = server.sends(&alice, &room, edit(&original, "real")).await;
    for number in 0..=EDITS_COMPARED_MAX {
        server.sends(&bob, &room, edit(&original, &format!("not mine {number}"))).await;
    }
    let bundle = server.bundle(&carol, &room, &original).await;
    assert_eq!(bundle["m.replace"]["event_id"], json!(real));

    let origin = server.says(&alice, &room, Value::Null).await;
    let reply = server.says(&carol, &room, thread(&origin)).await;
    for _ in 0..=THREAD_REPLIES_COUNTED_MAX {
        server.says(&bob, &room, thread(&origin)).await;
    }
    let took_part = async || {
        let bundle = server.bundle(&carol, &room, &origin).await;
        bundle["m.thread"]["current_user_participated"].as_bool().unwrap()
    };
    assert!(took_part().await);
    let path = format!("/_matrix/client/v1/rooms/{room}/threads?include=participated");
    assert_eq!(each(&server.fetch(&carol, &path).await["chunk"], "event_id"), [&origin]);
    server.redacts(&carol, &room, &reply).await;
    assert!(!took_part().await);
}

#[tokio::test]
async fn a_redacted_root_keeps_its_thread_and_a_redacted_reply_leaves_it() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    server.joins(&bob, &room).await;
    let origin = server.says(&alice, &room, Value::Null).await;
    let first = server.says(&bob, &room, thread(&origin)).await;
    let second = server.says(&alice, &room, thread(&origin)).await;
    server.redacts(&alice, &room, &second).await;
    server.redacts(&alice, &room, &origin).await;
    let bundle = server.bundle(&bob, &room, &origin).await;
    assert_eq!(bundle["m.thread"]["latest_event"]["event_id"], json!(first));
    assert_eq!(bundle["m.thread"]["count"], json!(1));
    server.redacts(&alice, &room, &first).await;
    assert!(server.bundle(&bob, &room, &origin).await.is_null());
}

#[tokio::test]
async fn what_ignored_users_said_relates_to_nothing() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    server.joins(&bob, &room).await;
    let origin = server.says(&alice, &room, Value::Null).await;
    let own = server.says(&alice, &room, thread(&origin)).await;
    let other = server.says(&bob, &room, thread(&origin)).await;
    let alone = server.says(&alice, &room, Value::Null).await;
    server.says(&bob, &room, thread(&alone)).await;
    server.says(&bob, &room, reference(&alone)).await;
    let bundle = server.bundle(&alice, &room, &origin).await;
    assert_eq!(bundle["m.thread"]["latest_event"]["event_id"], json!(other));

    server.ignores(&alice, &bob).await;
    let bundle = server.bundle(&alice, &room, &origin).await;
    assert_eq!(bundle["m.thread"]["latest_event"]["event_id"], json!(own));
    assert_eq!(bundle["m.thread"]["count"], json!(1));
    assert!(server.bundle(&alice, &room, &alone).await.is_null());
    let path = encoded(&format!("/_matrix/client/v1/rooms/{room}/relations/{origin}"));
    assert_eq!(each(&server.fetch(&alice, &path).await["chunk"], "event_id"), [&own]);
    let path = format!("/_matrix/client/v1/rooms/{room}/threads");
    assert_eq!(each(&server.fetch(&alice, &path).await["chunk"], "event_id"), [&origin]);

    // A thread that grows out of what somebody ignored said is told, but not what they said.
    let theirs = server.says(&bob, &room, Value::Null).await;
    let answer = server.says(&alice, &room, thread(&theirs)).await;
    for (who, content) in [(&alice, json!({})), (&bob, json!({ "body": "tea?" }))] {
        let page = server.fetch(who, &path).await;
        let shown = find(&page["chunk"], &theirs);
        assert_eq!(shown["content"].get("body"), content.get("body"), "{shown}");
        let latest = &shown["unsigned"]["m.relations"]["m.thread"]["latest_event"];
        assert_eq!(latest["event_id"], json!(answer));
    }
}

#[tokio::test]
async fn what_a_reader_may_not_see_is_not_summed_up() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    server
        .sets(
            &alice,
            &room,
            ("m.room.history_visibility", json!({ "history_visibility": "shared" })),
        )
        .await;
    let origin = server.says(&alice, &room, Value::Null).await;
    server
        .sets(
            &alice,
            &room,
            ("m.room.history_visibility", json!({ "history_visibility": "joined" })),
        )
        .await;
    server.says(&alice, &room, thread(&origin)).await;
    server.says(&alice, &room, reference(&origin)).await;
    server.joins(&bob, &room).await;
    assert!(server.bundle(&bob, &room, &origin).await.is_null());
    let seen = server.says(&alice, &room, thread(&origin)).await;
    let bundle = server.bundle(&bob, &room, &origin).await;
    assert_eq!(bundle["m.thread"]["count"], json!(1));
    assert_eq!(bundle["m.thread"]["latest_event"]["event_id"], json!(seen));
    assert!(bundle.get("m.reference").is_none());
}

#[tokio::test]
async fn reactions_and_state_are_not_summed_up() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    let parent = server.says(&alice, &room, Value::Null).await;
    let relation = json!({ "rel_type": "m.annotation", "event_id": parent, "key": "👍" });
    server.sends(&alice, &room, ("m.reaction", json!({ "m.relates_to": relation }))).await;
    assert!(server.bundle(&alice, &room, &parent).await.is_null());
    let path = format!("/_matrix/client/v3/rooms/{room}/state/m.room.topic?format=event");
    server.sets(&alice, &room, ("m.room.topic", json!({ "topic": "tea" }))).await;
    let topic = server.fetch(&alice, &path).await["event_id"].as_str().unwrap().to_owned();
    server.says(&alice, &room, reference(&topic)).await;
    assert!(server.bundle(&alice, &room, &topic).await.is_null());
    server.says(&alice, &room, thread(&topic)).await;
    let threads = server.fetch(&alice, &format!("/_matrix/client/v1/rooms/{room}/threads")).await;
    assert!(find(&threads["chunk"], &topic)["unsigned"].get("m.relations").is_none(), "{threads}");
}

#[tokio::test]
async fn a_reaction_is_given_once_until_it_is_redacted() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    let parent = server.says(&alice, &room, Value::Null).await;
    let relation = json!({ "rel_type": "m.annotation", "event_id": parent, "key": "👍" });
    let reaction = ("m.reaction", json!({ "m.relates_to": relation }));
    let first = server.sends(&alice, &room, reaction.clone()).await;
    let path = format!("/_matrix/client/v3/rooms/{room}/send/m.reaction/again");
    let again = server.put(&path, &alice, reaction.1.clone()).await;
    assert_eq!(error(again), code(400, "M_DUPLICATE_ANNOTATION"));
    server.redacts(&alice, &room, &first).await;
    server.sends(&alice, &room, reaction).await;
}

#[tokio::test]
async fn recursion_does_not_lead_over_what_is_filtered_out() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    let origin = server.says(&alice, &room, Value::Null).await;
    let reply = server.says(&alice, &room, thread(&origin)).await;
    let behind = server.says(&alice, &room, reference(&reply)).await;
    let direct = server.says(&alice, &room, reference(&origin)).await;
    let further = server.says(&alice, &room, reference(&direct)).await;
    let path =
        |rest: &str| encoded(&format!("/_matrix/client/v1/rooms/{room}/relations/{origin}{rest}"));
    let page = server.fetch(&alice, &path("/m.reference?recurse=true&dir=f")).await;
    assert_eq!(each(&page["chunk"], "event_id"), [&direct, &further]);
    let page = server.fetch(&alice, &path("?recurse=true&dir=f")).await;
    assert_eq!(each(&page["chunk"], "event_id"), [&reply, &behind, &direct, &further]);
    // Pages of a recursion go on where the one before ended.
    let first = server.fetch(&alice, &path("?recurse=true&limit=3")).await;
    assert_eq!(each(&first["chunk"], "event_id"), [&further, &direct, &behind]);
    let from = first["next_batch"].as_str().unwrap();
    let last = server.fetch(&alice, &path(&format!("?recurse=true&limit=3&from={from}"))).await;
    assert_eq!(each(&last["chunk"], "event_id"), [&reply]);
    assert!(last.get("next_batch").is_none(), "{last}");
    // What was redacted relates to nothing, and nothing is reached over it.
    server.redacts(&alice, &room, &direct).await;
    let page = server.fetch(&alice, &path("?recurse=true&dir=f")).await;
    assert_eq!(each(&page["chunk"], "event_id"), [&reply, &behind]);
}
