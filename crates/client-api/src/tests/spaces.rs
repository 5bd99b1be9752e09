//! Spaces and room summaries.

use super::{
    rooms::{each, encoded},
    *,
};

fn hierarchy(space: &str, query: &str) -> String {
    format!("/_matrix/client/v1/rooms/{space}/hierarchy{query}")
}

async fn space(server: &Server, who: &Person) -> String {
    server.public_room(who, json!({ "creation_content": { "type": "m.space" } })).await
}

async fn adds(server: &Server, who: &Person, space: &str, child: (&str, Value)) {
    let (room, extra) = child;
    let mut content = json!({ "via": ["a.example"] });
    for (key, value) in extra.as_object().into_iter().flatten() {
        content[key] = value.clone();
    }
    server.time.clock.advance(Duration::from_secs(1));
    server.sets(who, space, (&format!("m.space.child/{room}"), content)).await;
}

/// A space with a room, a space that holds another room and the first space again, and a private
/// room.
struct Tree {
    alice: Person,
    top: String,
    inner: String,
    leaf: String,
    deep: String,
    private: String,
}

async fn tree(server: &Server) -> Tree {
    let alice = server.person("alice").await;
    let (top, inner) = (space(server, &alice).await, space(server, &alice).await);
    let leaf = server.public_room(&alice, json!({ "name": "Leaf" })).await;
    let deep = server.public_room(&alice, json!({})).await;
    let private = server.public_room(&alice, json!({ "preset": "private_chat" })).await;
    let gone = server.public_room(&alice, json!({})).await;
    adds(server, &alice, &top, (&leaf, json!({ "suggested": true }))).await;
    adds(server, &alice, &top, (&inner, json!({ "order": "a" }))).await;
    adds(server, &alice, &top, (&private, json!({}))).await;
    adds(server, &alice, &top, (&gone, json!({ "via": [] }))).await;
    adds(server, &alice, &inner, (&deep, json!({}))).await;
    adds(server, &alice, &inner, (&top, json!({}))).await;
    Tree { alice, top, inner, leaf, deep, private }
}

#[tokio::test]
async fn a_space_is_walked_depth_first_in_order_each_room_once() {
    let server = server();
    let tree = tree(&server).await;
    let page = server.fetch(&tree.alice, &hierarchy(&tree.top, "")).await;
    let expected = [&tree.top, &tree.inner, &tree.deep, &tree.leaf, &tree.private];
    assert_eq!(each(&page["rooms"], "room_id"), expected);
    let children = &page["rooms"][0]["children_state"];
    assert_eq!(each(children, "state_key"), [&tree.inner, &tree.leaf, &tree.private]);
    assert!(children[0]["origin_server_ts"].is_number() && children[0].get("event_id").is_none());
    assert_eq!(page["rooms"][0]["room_type"], json!("m.space"));
    assert_eq!(page["rooms"][2]["children_state"], json!([]));
}

#[tokio::test]
async fn a_stranger_is_shown_what_is_open_and_nobody_a_closed_space() {
    let server = server();
    let tree = tree(&server).await;
    let bob = server.person("bob").await;
    let page = server.fetch(&bob, &hierarchy(&tree.top, "")).await;
    let expected = [&tree.top, &tree.inner, &tree.deep, &tree.leaf];
    assert_eq!(each(&page["rooms"], "room_id"), expected);
    for hidden in [tree.private.as_str(), "!nowhere:a.example"] {
        let answer = server.get(&hierarchy(hidden, ""), &bob).await;
        assert_eq!(error(answer), code(403, "M_FORBIDDEN"), "{hidden}");
    }
    let guest = server.guest().await;
    let answer = server.get(&hierarchy(&tree.top, ""), &guest).await;
    assert_eq!(answer.0, 403, "the space is in no guest's scope: {answer:?}");
}

#[tokio::test]
async fn depth_suggestions_and_pages_bound_the_walk() {
    let server = server();
    let tree = tree(&server).await;
    let ids = async |query: &str| {
        let page = server.fetch(&tree.alice, &hierarchy(&tree.top, query)).await;
        let rooms = each(&page["rooms"], "room_id").into_iter().map(ToOwned::to_owned);
        let next = page["next_batch"].as_str().map(ToOwned::to_owned);
        (rooms.collect::<Vec<String>>(), next)
    };
    assert_eq!(ids("?max_depth=0").await.0, std::slice::from_ref(&tree.top));
    let shallow = [&tree.top, &tree.inner, &tree.leaf, &tree.private].map(Clone::clone);
    assert_eq!(ids("?max_depth=1").await.0, shallow);
    assert_eq!(ids("?suggested_only=true").await.0, [tree.top.clone(), tree.leaf.clone()]);

    let mut all = Vec::new();
    let (mut rooms, mut next) = ids("?limit=2&max_depth=1").await;
    let token = next.clone().unwrap();
    loop {
        all.append(&mut rooms);
        let Some(from) = next else { break };
        (rooms, next) = ids(&format!("?limit=2&max_depth=1&from={from}")).await;
    }
    assert_eq!(all, shallow);
    for changed in [format!("?from={token}"), "?from=nonsense".to_owned()] {
        let answer = server.get(&hierarchy(&tree.top, &changed), &tree.alice).await;
        assert_eq!(error(answer), code(400, "M_INVALID_PARAM"), "{changed}");
    }
}

#[tokio::test]
async fn a_restricted_room_is_shown_to_members_of_the_rooms_it_allows() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let club = server.public_room(&alice, json!({})).await;
    let room = server.public_room(&alice, json!({ "preset": "private_chat" })).await;
    let rules = json!({
        "join_rule": "restricted",
        "allow": [{ "type": "m.room_membership", "room_id": club }],
    });
    server.sets(&alice, &room, ("m.room.join_rules", rules)).await;
    let path = format!("/_matrix/client/v1/room_summary/{room}");
    assert_eq!(error(server.get(&path, &bob).await), code(404, "M_NOT_FOUND"));
    server.joins(&bob, &club).await;
    let summary = server.fetch(&bob, &path).await;
    assert_eq!(summary["allowed_room_ids"], json!([club]));
    assert_eq!(summary["membership"], json!("leave"));
    server.joins(&bob, &room).await;
    assert_eq!(server.fetch(&bob, &path).await["membership"], json!("join"));
}

#[tokio::test]
async fn a_summary_is_found_by_alias_and_without_login_only_where_the_directory_is_open() {
    let closed = server();
    let open = server_with(|policy| policy.directory.visible_without_login = true, |_| {});
    for (server, status) in [(&closed, 401), (&open, 200)] {
        let alice = server.person("alice").await;
        let options = json!({ "room_alias_name": "tea", "name": "Tea" });
        let room = server.public_room(&alice, options).await;
        let path = encoded("/_matrix/client/v1/room_summary/#tea:a.example");
        let summary = server.fetch(&alice, &path).await;
        assert_eq!(summary["room_id"], json!(room));
        assert_eq!(summary["name"], json!("Tea"));
        assert_eq!(summary["num_joined_members"], json!(1));
        assert_eq!(summary["membership"], json!("join"));

        let old = path.replace("v1/room_summary", "unstable/im.nheko.summary/summary");
        assert_eq!(server.fetch(&alice, &old).await, summary);
        assert!(summary.get("topic").is_none(), "{summary}");
        for (topic, shown) in [
            (json!({ "topic": "cups" }), "cups"),
            (
                json!({ "topic": "cups", "m.topic": { "m.text": [
                    { "body": "<b>saucers</b>", "mimetype": "text/html" }, { "body": "saucers" },
                ] } }),
                "saucers",
            ),
            (json!({ "topic": "pots", "m.topic": { "m.text": "slip" } }), "pots"),
        ] {
            server.sets(&alice, &room, ("m.room.topic", topic)).await;
            assert_eq!(server.fetch(&alice, &path).await["topic"], json!(shown));
        }

        let (answered, summary) = server.ask(Method::GET, &path, Value::Null).await;
        assert_eq!(answered, status, "{summary}");
        assert!(summary.get("membership").is_none(), "{summary}");
        let lost = encoded("/_matrix/client/v1/room_summary/#lost:a.example");
        assert_eq!(error(server.get(&lost, &alice).await), code(404, "M_NOT_FOUND"));
    }
}

#[tokio::test]
async fn a_slip_in_the_visibility_publishes_nothing() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    let list = format!("/_matrix/client/v3/directory/list/room/{room}");
    let visibility = async || server.get(&list, &alice).await.1["visibility"].clone();
    assert_eq!(visibility().await, "private");
    let slip = server.put(&list, &alice, json!({ "visibility": "pubic" })).await;
    assert_eq!(error(slip), code(400, "M_BAD_JSON"));
    assert_eq!(visibility().await, "private");
    assert_eq!(server.put(&list, &alice, json!({})).await.0, 200);
    assert_eq!(visibility().await, "public", "what is not said means public");
}
