//! Relations and threads.

use super::{
    rooms::{each, encoded},
    *,
};

fn relations(room: &str, event: &str, rest: &str) -> String {
    encoded(&format!("/_matrix/client/v1/rooms/{room}/relations/{event}{rest}"))
}

fn threads(room: &str, query: &str) -> String {
    format!("/_matrix/client/v1/rooms/{room}/threads{query}")
}

fn reaction(parent: &str, key: &str) -> (&'static str, Value) {
    let relation = json!({ "rel_type": "m.annotation", "event_id": parent, "key": key });
    ("m.reaction", json!({ "m.relates_to": relation }))
}

fn reference(parent: &str) -> Value {
    json!({ "rel_type": "m.reference", "event_id": parent })
}

fn thread(origin: &str) -> Value {
    json!({ "rel_type": "m.thread", "event_id": origin })
}

impl Server {
    /// What one reads of a room through a filter.
    async fn filtered(&self, who: &Person, path: &str, filter: &Value) -> Value {
        let filter = filter.to_string().replace('"', "%22").replace('{', "%7B").replace('}', "%7D");
        self.fetch(who, &format!("/_matrix/client/v3/rooms/{path}&filter={filter}")).await
    }
}

#[tokio::test]
async fn relations_come_newest_first_by_page_and_by_type() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    server.joins(&bob, &room).await;
    let origin = server.says(&alice, &room, Value::Null).await;
    let one = server.sends(&alice, &room, reaction(&origin, "👍")).await;
    let two = server.says(&bob, &room, reference(&origin)).await;
    let three = server.sends(&bob, &room, reaction(&origin, "👍")).await;

    let ids = |page: &Value| -> Vec<String> {
        each(&page["chunk"], "event_id").into_iter().map(ToOwned::to_owned).collect()
    };
    let all = server.fetch(&alice, &relations(&room, &origin, "")).await;
    assert_eq!(ids(&all), [three.clone(), two.clone(), one.clone()]);
    assert!(all.get("next_batch").is_none() && all.get("prev_batch").is_none(), "{all}");
    assert!(all.get("recursion_depth").is_none(), "{all}");

    let forward = server.fetch(&alice, &relations(&room, &origin, "?dir=f")).await;
    assert_eq!(ids(&forward), [one.clone(), two.clone(), three.clone()]);
    let annotations = server.fetch(&alice, &relations(&room, &origin, "/m.annotation")).await;
    assert_eq!(ids(&annotations), [three.clone(), one.clone()]);
    let path = relations(&room, &origin, "/m.reference/m.room.message");
    assert_eq!(ids(&server.fetch(&alice, &path).await), std::slice::from_ref(&two));
    let path = relations(&room, &origin, "/m.reference/m.reaction");
    assert!(ids(&server.fetch(&alice, &path).await).is_empty());

    let mut paged = Vec::new();
    let mut from = String::new();
    for _ in 0..3 {
        let path = relations(&room, &origin, &format!("?limit=1{from}"));
        let page = server.fetch(&alice, &path).await;
        paged.extend(ids(&page));
        match page["next_batch"].as_str() {
            Some(next) => from = format!("&from={next}"),
            None => break,
        }
    }
    assert_eq!(paged, [three.clone(), two.clone(), one.clone()]);
    for way in ["", "&recurse=true"] {
        let path = relations(&room, &origin, &format!("?dir=f&limit=1{way}"));
        let page = server.fetch(&alice, &path).await;
        assert_eq!(ids(&page), std::slice::from_ref(&one));
        let next = page["next_batch"].as_str().unwrap();
        let on = format!("?dir=f&limit=2{way}&from={next}");
        let page = server.fetch(&alice, &relations(&room, &origin, &on)).await;
        assert_eq!(ids(&page), [two.clone(), three.clone()]);
    }
    let answer = server.get(&relations(&room, &origin, "?from=elsewhere"), &alice).await;
    assert_eq!(error(answer), code(400, "M_INVALID_PARAM"));
}

#[tokio::test]
async fn what_was_redacted_relates_to_nothing_any_more() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    let origin = server.says(&alice, &room, Value::Null).await;
    let gone = server.sends(&alice, &room, reaction(&origin, "👍")).await;
    server.redacts(&alice, &room, &gone).await;
    let page = server.fetch(&alice, &relations(&room, &origin, "")).await;
    assert_eq!(page["chunk"], json!([]));
}

#[tokio::test]
async fn relations_of_relations_are_followed_when_asked_for() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    let origin = server.says(&alice, &room, Value::Null).await;
    let mut chain = vec![origin.clone()];
    for _ in 0..4 {
        let parent = chain.last().unwrap();
        chain.push(server.says(&alice, &room, reference(parent)).await);
    }
    let page = server.fetch(&alice, &relations(&room, &origin, "?recurse=true&dir=f")).await;
    assert_eq!(each(&page["chunk"], "event_id"), &chain[1..4]);
    assert_eq!(page["recursion_depth"], json!(3));
    let page = server.fetch(&alice, &relations(&room, &origin, "")).await;
    assert_eq!(each(&page["chunk"], "event_id"), &chain[1..2]);
}

#[tokio::test]
async fn relations_are_not_found_by_those_who_may_not_see_the_event() {
    let server = server();
    let (alice, carol) = (server.person("alice").await, server.person("carol").await);
    let room = server.public_room(&alice, json!({})).await;
    let origin = server.says(&alice, &room, Value::Null).await;
    let answer = server.get(&relations(&room, &origin, ""), &carol).await;
    assert_eq!(error(answer), code(404, "M_NOT_FOUND"));
    let answer = server.get(&relations(&room, "$nothing", ""), &alice).await;
    assert_eq!(error(answer), code(404, "M_NOT_FOUND"));
    assert_eq!(error(server.get(&threads(&room, ""), &carol).await), code(403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn threads_come_by_their_newest_reply_each_once_with_a_summary() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    server.joins(&bob, &room).await;
    let early = server.says(&alice, &room, Value::Null).await;
    let late = server.says(&bob, &room, Value::Null).await;
    server.says(&bob, &room, thread(&early)).await;
    server.says(&bob, &room, thread(&late)).await;
    let newest = server.says(&bob, &room, thread(&early)).await;

    let page = server.fetch(&alice, &threads(&room, "")).await;
    assert_eq!(each(&page["chunk"], "event_id"), [&early, &late]);
    assert!(page.get("next_batch").is_none(), "{page}");
    let summary = &page["chunk"][0]["unsigned"]["m.relations"]["m.thread"];
    assert_eq!(summary["count"], json!(2));
    assert_eq!(summary["current_user_participated"], json!(true));
    assert_eq!(summary["latest_event"]["event_id"], json!(newest));
    assert!(page["chunk"][0]["unsigned"]["age"].is_number());

    let mine = server.fetch(&alice, &threads(&room, "?include=participated")).await;
    assert_eq!(each(&mine["chunk"], "event_id"), [&early]);
    let slip = server.get(&threads(&room, "?include=mine"), &alice).await;
    assert_eq!(error(slip), code(400, "M_INVALID_PARAM"));

    let first = server.fetch(&alice, &threads(&room, "?limit=1")).await;
    assert_eq!(each(&first["chunk"], "event_id"), [&early]);
    let from = first["next_batch"].as_str().unwrap();
    let second = server.fetch(&alice, &threads(&room, &format!("?limit=1&from={from}"))).await;
    assert_eq!(each(&second["chunk"], "event_id"), [&late]);
    // Older replies of threads that were shown are no further page.
    assert!(second.get("next_batch").is_none(), "{second}");
    let both = server.fetch(&alice, &threads(&room, "?limit=2")).await;
    assert_eq!(each(&both["chunk"], "event_id"), [&early, &late]);
    assert!(both.get("next_batch").is_none(), "{both}");
    let none = server.get(&threads(&room, "?limit=0"), &alice).await;
    assert_eq!(error(none), code(400, "M_INVALID_PARAM"));

    server.redacts(&bob, &room, &newest).await;
    let page = server.fetch(&alice, &threads(&room, "")).await;
    assert_eq!(each(&page["chunk"], "event_id"), [&late, &early]);
}

#[tokio::test]
async fn a_thread_does_not_start_from_an_event_that_relates_to_another() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    let origin = server.says(&alice, &room, Value::Null).await;
    let reply = server.says(&alice, &room, thread(&origin)).await;
    let liked = server.sends(&alice, &room, reaction(&origin, "👍")).await;
    for parent in [reply, liked] {
        let body = json!({ "msgtype": "m.text", "body": "no", "m.relates_to": thread(&parent) });
        let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/t{}", &parent[1..]);
        assert_eq!(error(server.put(&path, &alice, body).await), code(400, "M_UNKNOWN"));
    }
}

#[tokio::test]
async fn a_filter_chooses_events_by_what_relates_to_them() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    server.joins(&bob, &room).await;
    let of_alice = server.says(&alice, &room, Value::Null).await;
    let of_bob = server.says(&alice, &room, Value::Null).await;
    let liked = server.says(&alice, &room, Value::Null).await;
    let quiet = server.says(&alice, &room, Value::Null).await;
    server.says(&alice, &room, thread(&of_alice)).await;
    let reply = server.says(&bob, &room, thread(&of_bob)).await;
    server.sends(&bob, &room, reaction(&liked, "👍")).await;

    let by = |rel_types: Value, senders: Value| {
        let mut filter = json!({ "types": ["m.room.message"] });
        for (key, value) in [("related_by_rel_types", rel_types), ("related_by_senders", senders)] {
            if !value.is_null() {
                filter[key] = value;
            }
        }
        filter
    };
    let id = json!([bob.user_id]);
    let chosen = [
        (by(json!(["m.thread"]), Value::Null), vec![&of_bob, &of_alice]),
        (by(Value::Null, id.clone()), vec![&liked, &of_bob]),
        (by(json!(["m.thread"]), id.clone()), vec![&of_bob]),
        (by(json!(["m.annotation", "m.reference"]), id), vec![&liked]),
        (by(json!([]), Value::Null), vec![]),
        (json!({ "io.element.relation_types": ["m.annotation"] }), vec![&liked]),
    ];
    for (filter, wanted) in &chosen {
        let messages = server.filtered(&alice, &format!("{room}/messages?dir=b"), filter).await;
        assert_eq!(each(&messages["chunk"], "event_id"), *wanted, "{filter}");
        let around = format!("{room}/context/{}?limit=40", encoded(&quiet));
        let around = server.filtered(&alice, &around, filter).await;
        assert_eq!(each(&around["events_before"], "event_id"), *wanted, "{filter}");
        let criteria = json!({
            "search_term": "tea", "order_by": "recent", "filter": filter,
        });
        let body = json!({ "search_categories": { "room_events": criteria } });
        let (_, found) = server.post("/_matrix/client/v3/search", &alice, body).await;
        let results = found["search_categories"]["room_events"]["results"].as_array().unwrap();
        let mut found: Vec<&str> =
            results.iter().map(|it| it["result"]["event_id"].as_str().unwrap()).collect();
        found.sort_unstable();
        let mut wanted = wanted.clone();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{filter}");
    }
    server.redacts(&bob, &room, &reply).await;
    let path = format!("{room}/messages?dir=b");
    let messages = server.filtered(&alice, &path, &chosen[0].0).await;
    assert_eq!(each(&messages["chunk"], "event_id"), [&of_alice]);
}

#[tokio::test]
async fn no_messages_are_told_where_none_are_wanted() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    let said = server.says(&alice, &room, Value::Null).await;
    let path = format!("/_matrix/client/v3/rooms/{room}/messages?dir=b");
    let page = server.fetch(&alice, &format!("{path}&limit=0")).await;
    assert_eq!(page["chunk"], json!([]));
    let from = page["end"].as_str().unwrap();
    for from in [from, ""] {
        let page = server.fetch(&alice, &format!("{path}&limit=1&from={from}&to=")).await;
        assert_eq!(each(&page["chunk"], "event_id"), [&said]);
    }
    let body = json!({ "search_categories": { "room_events": {
        "search_term": "tea", "filter": { "limit": 0 },
    } } });
    let (_, found) = server.post("/_matrix/client/v3/search", &alice, body).await;
    assert_eq!(found["search_categories"]["room_events"]["results"], json!([]));
    let hierarchy = format!("/_matrix/client/v1/rooms/{room}/hierarchy?limit=0");
    assert_eq!(error(server.get(&hierarchy, &alice).await), code(400, "M_INVALID_PARAM"));
}
