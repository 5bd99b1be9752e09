//! Searching messages.

use std::collections::{BTreeMap, BTreeSet};

use ruma::RoomId;
use vestibule_storage::{
    StorageError,
    tables::{
        room::ROOM_HEAD,
        search::{SEARCH_POSITION, SEARCH_ROOM},
    },
};
use vestibule_testkit::memory_store;
use vestibule_types::segment;

use super::*;

const PATH: &str = "/_matrix/client/v3/search";

/// The results of a search, by event id.
fn ids(found: &Value) -> Vec<&str> {
    let results = found["results"].as_array().unwrap();
    results.iter().map(|it| it["result"]["event_id"].as_str().unwrap()).collect()
}

impl Server {
    async fn tells(&self, who: &Person, room: &str, body: &str) -> String {
        let content = json!({ "msgtype": "m.text", "body": body });
        self.sends(who, room, ("m.room.message", content)).await
    }

    /// Searches with these criteria beside the words.
    async fn finds(&self, who: &Person, term: &str, criteria: Value) -> Value {
        self.finds_from(who, term, criteria, None).await
    }

    async fn finds_from(
        &self,
        who: &Person,
        term: &str,
        mut criteria: Value,
        from: Option<&str>,
    ) -> Value {
        criteria["search_term"] = json!(term);
        let body = json!({ "search_categories": { "room_events": criteria } });
        let path = from.map_or_else(|| PATH.to_owned(), |from| format!("{PATH}?next_batch={from}"));
        let (status, body) = self.post(&path, who, body).await;
        assert_eq!(status, 200, "{body}");
        body["search_categories"]["room_events"].clone()
    }
}

#[tokio::test]
async fn messages_are_found_by_their_words_at_once() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    let one = server.tells(&alice, &room, "Martians and men drink Café au lait.").await;
    let two = server.tells(&alice, &room, "men only").await;

    let found = server.finds(&alice, "MEN", json!({ "order_by": "recent" })).await;
    assert_eq!(ids(&found), [&two, &one]);
    assert_eq!(found["count"], json!(2));
    assert_eq!(found["highlights"], json!(["men"]));
    assert!(found.get("next_batch").is_none() && found.get("groups").is_none(), "{found}");
    let result = &found["results"][1];
    assert_eq!(result["result"]["content"]["body"], "Martians and men drink Café au lait.");
    assert_eq!(result["result"]["room_id"], json!(room));
    assert!(result["rank"].as_f64().unwrap() > 0.0 && result.get("context").is_none());

    // All the words have to be there; case and accents do not matter.
    assert_eq!(ids(&server.finds(&alice, "cafe martians", json!({})).await), [&one]);
    assert_eq!(ids(&server.finds(&alice, "martians women", json!({})).await), [""; 0]);
    assert_eq!(server.finds(&alice, "...", json!({})).await["count"], json!(0));
    // What says it with fewer words beside is the better match.
    assert_eq!(ids(&server.finds(&alice, "men", json!({})).await), [&two, &one]);
}

#[tokio::test]
async fn text_without_spaces_is_found() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    let tower = server.tells(&alice, &room, "明日は東京タワーへ行く").await;
    let hello = server.tells(&alice, &room, "안녕하세요 여러분").await;
    assert_eq!(ids(&server.finds(&alice, "東京", json!({})).await), [&tower]);
    assert_eq!(ids(&server.finds(&alice, "東京タワー", json!({})).await), [&tower]);
    assert_eq!(ids(&server.finds(&alice, "行", json!({})).await), [&tower]);
    assert_eq!(ids(&server.finds(&alice, "京都", json!({})).await), [""; 0]);
    assert_eq!(ids(&server.finds(&alice, "여러분", json!({})).await), [&hello]);
}

#[tokio::test]
async fn names_and_topics_are_found_by_their_keys() {
    let server = server();
    let alice = server.person("alice").await;
    let room =
        server.public_room(&alice, json!({ "name": "kettle", "topic": "kettle talk" })).await;
    let message = server.tells(&alice, &room, "my kettle").await;
    let kinds = |found: &Value| -> Vec<String> {
        let mut kinds: Vec<_> = found["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["result"]["type"].as_str().unwrap().to_owned())
            .collect();
        kinds.sort();
        kinds
    };
    let all = server.finds(&alice, "kettle", json!({})).await;
    assert_eq!(kinds(&all), ["m.room.message", "m.room.name", "m.room.topic"]);
    let names = server.finds(&alice, "kettle", json!({ "keys": ["content.name"] })).await;
    assert_eq!(kinds(&names), ["m.room.name"]);
    let topics = server.finds(&alice, "talk", json!({ "keys": ["content.topic"] })).await;
    assert_eq!(kinds(&topics), ["m.room.topic"]);
    let bodies = server.finds(&alice, "kettle", json!({ "keys": ["content.body"] })).await;
    assert_eq!(ids(&bodies), [&message]);
    let filter = json!({ "filter": { "types": ["m.room.topic"] } });
    assert_eq!(kinds(&server.finds(&alice, "kettle", filter).await), ["m.room.topic"]);
}

#[tokio::test]
async fn filters_name_rooms_and_senders() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    let other = server.public_room(&alice, json!({})).await;
    server.joins(&bob, &room).await;
    let hers = server.tells(&alice, &room, "tea").await;
    let his = server.tells(&bob, &room, "tea").await;
    let elsewhere = server.tells(&alice, &other, "tea").await;
    let search = async |filter: Value| {
        let criteria = json!({ "filter": filter, "order_by": "recent" });
        let found = server.finds(&alice, "tea", criteria).await;
        ids(&found).into_iter().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(search(json!({})).await, [elsewhere.clone(), his.clone(), hers.clone()]);
    assert_eq!(search(json!({ "rooms": [room] })).await, [his.clone(), hers.clone()]);
    assert_eq!(search(json!({ "not_rooms": [room] })).await, std::slice::from_ref(&elsewhere));
    assert_eq!(search(json!({ "senders": [bob.user_id] })).await, std::slice::from_ref(&his));
    assert_eq!(search(json!({ "not_senders": [bob.user_id] })).await, [elsewhere, hers]);
    assert_eq!(search(json!({ "senders": [] })).await, [""; 0]);
    assert_eq!(search(json!({ "rooms": ["!nowhere:a.example"] })).await, [""; 0]);
}

#[tokio::test]
async fn pages_go_on_where_the_last_ended_in_both_orders() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    let mut sent = Vec::new();
    for number in 0..5 {
        sent.push(server.tells(&alice, &room, &format!("tea {}", "x ".repeat(number))).await);
    }
    for (order, expected) in [
        ("recent", sent.iter().rev().cloned().collect::<Vec<_>>()),
        // The shortest is the best match.
        ("rank", sent.clone()),
    ] {
        let (mut all, mut from) = (Vec::new(), None::<String>);
        for _ in 0..4 {
            let criteria = json!({ "order_by": order, "filter": { "limit": 2 } });
            let page = server.finds_from(&alice, "tea", criteria, from.as_deref()).await;
            assert_eq!(page["count"], json!(5));
            all.extend(ids(&page).into_iter().map(ToOwned::to_owned));
            from = page["next_batch"].as_str().map(ToOwned::to_owned);
            if from.is_none() {
                break;
            }
        }
        assert_eq!((all, from), (expected, None), "{order}");
    }
    let body = json!({ "search_categories": { "room_events": { "search_term": "tea" } } });
    let answer = server.post(&format!("{PATH}?next_batch=mine"), &alice, body).await;
    assert_eq!(error(answer), code(400, "M_INVALID_PARAM"));
}

#[tokio::test]
async fn the_most_recent_come_first_also_within_a_second_and_across_rooms() {
    let server = server();
    let alice = server.person("alice").await;
    let mut sent = Vec::new();
    let rooms = [
        server.public_room(&alice, json!({})).await,
        server.public_room(&alice, json!({})).await,
        server.public_room(&alice, json!({})).await,
    ];
    for number in 0..24 {
        server.time.clock.advance(Duration::from_millis(90));
        sent.push(server.tells(&alice, &rooms[number % 3], "tea").await);
    }
    sent.reverse();
    let (mut found, mut from) = (Vec::new(), None::<String>);
    for _ in 0..9 {
        let criteria = json!({ "order_by": "recent", "filter": { "limit": 5 } });
        let page = server.finds_from(&alice, "tea", criteria, from.as_deref()).await;
        assert_eq!(page["count"], json!(24));
        found.extend(ids(&page).into_iter().map(ToOwned::to_owned));
        from = page["next_batch"].as_str().map(ToOwned::to_owned);
        if from.is_none() {
            break;
        }
    }
    assert_eq!((found, from), (sent, None));
}

#[tokio::test]
async fn groups_hold_their_results_and_have_pages_of_their_own() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let one = server.public_room(&alice, json!({})).await;
    let two = server.public_room(&alice, json!({})).await;
    server.joins(&bob, &one).await;
    let first = server.tells(&alice, &one, "tea").await;
    let second = server.tells(&bob, &one, "tea").await;
    let third = server.tells(&alice, &two, "tea").await;
    let by = json!({ "group_by": [{ "key": "room_id" }, { "key": "sender" }] });
    let criteria = json!({ "order_by": "recent", "groupings": by, "filter": { "limit": 2 } });
    let found = server.finds(&alice, "tea", criteria.clone()).await;
    assert_eq!(ids(&found), [&third, &second]);
    let rooms = &found["groups"]["room_id"];
    assert_eq!(rooms[&two]["results"], json!([third]));
    assert_eq!(rooms[&two]["order"], json!(1));
    assert!(rooms[&two].get("next_batch").is_none(), "{rooms}");
    assert_eq!(rooms[&one]["results"], json!([second]));
    assert_eq!(found["groups"]["sender"][&bob.user_id]["results"], json!([second]));
    let from = rooms[&one]["next_batch"].as_str();
    let next = server.finds_from(&alice, "tea", criteria.clone(), from).await;
    assert_eq!(ids(&next), [&first]);
    let from = found["groups"]["sender"][&alice.user_id]["next_batch"].as_str();
    let next = server.finds_from(&alice, "tea", criteria, from).await;
    assert_eq!(ids(&next), [&first]);
}

#[tokio::test]
async fn a_result_comes_with_what_lies_around_it_and_the_names_of_then() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    let member = format!("m.room.member/{}", alice.user_id);
    let named = |name: &str| json!({ "membership": "join", "displayname": name });
    server.sets(&alice, &room, (&member, named("Ali"))).await;
    let before = server.tells(&alice, &room, "before").await;
    let middle = server.tells(&alice, &room, "tea").await;
    let after = server.tells(&alice, &room, "after").await;
    server.sets(&alice, &room, (&member, named("Bey"))).await;

    let wanted = json!({ "before_limit": 1, "after_limit": 1, "include_profile": true });
    let criteria = json!({ "event_context": wanted, "include_state": true });
    let found = server.finds(&alice, "tea", criteria).await;
    assert_eq!(ids(&found), [&middle]);
    let context = &found["results"][0]["context"];
    assert_eq!(context["events_before"][0]["event_id"], json!(before));
    assert_eq!(context["events_after"][0]["event_id"], json!(after));
    assert_eq!(context["profile_info"][&alice.user_id]["displayname"], json!("Ali"));
    for end in ["start", "end"] {
        let token = context[end].as_str().unwrap();
        let path = format!("/_matrix/client/v3/rooms/{room}/messages?dir=b&from={token}");
        assert_eq!(server.get(&path, &alice).await.0, 200);
    }
    let state = found["state"][&room].as_array().unwrap();
    assert!(state.iter().any(|event| event["type"] == "m.room.create"));
    let member = state.iter().find(|event| event["type"] == "m.room.member").unwrap();
    assert_eq!(member["content"]["displayname"], json!("Bey"));
    let criteria = json!({ "event_context": {} });
    let found = server.finds(&alice, "tea", criteria).await;
    let context = &found["results"][0]["context"];
    assert_eq!(context["events_before"].as_array().unwrap().len(), 5);
    assert!(context.get("profile_info").is_none());
}

#[tokio::test]
async fn what_was_redacted_is_gone_whenever_it_was_indexed() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    let one = server.tells(&alice, &room, "secret tea").await;
    let two = server.tells(&alice, &room, "secret tea").await;
    assert_eq!(server.finds(&alice, "secret", json!({})).await["count"], json!(2));
    server.redacts(&alice, &room, &one).await;
    let found = server.finds(&alice, "secret", json!({})).await;
    assert_eq!(ids(&found), [&two]);
    assert_eq!(found["count"], json!(1));
    // Redacted before it was ever looked for.
    let three = server.tells(&alice, &room, "hushed").await;
    server.redacts(&alice, &room, &three).await;
    assert_eq!(server.finds(&alice, "hushed", json!({})).await["count"], json!(0));
}

#[tokio::test]
async fn only_what_one_may_see_is_found_and_counted() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let carol = server.person("carol").await;
    let room = server.public_room(&alice, json!({})).await;
    let joined = json!({ "history_visibility": "joined" });
    server.sets(&alice, &room, ("m.room.history_visibility", joined)).await;
    server.tells(&alice, &room, "tea before").await;
    server.joins(&bob, &room).await;
    let while_there = server.tells(&alice, &room, "tea meanwhile").await;
    let path = format!("/_matrix/client/v3/rooms/{room}/leave");
    assert_eq!(server.post(&path, &bob, json!({})).await.0, 200);
    server.tells(&alice, &room, "tea after").await;

    assert_eq!(server.finds(&alice, "tea", json!({})).await["count"], json!(3));
    // Rooms one has left are searched as well, up to there.
    let found = server.finds(&bob, "tea", json!({})).await;
    assert_eq!((ids(&found), &found["count"]), (vec![while_there.as_str()], &json!(1)));
    assert_eq!(server.finds(&bob, "before", json!({})).await["count"], json!(0));
    let filter = json!({ "filter": { "rooms": [room] } });
    assert_eq!(server.finds(&carol, "tea", filter).await["count"], json!(0));
    let path = format!("/_matrix/client/v3/rooms/{room}/forget");
    assert_eq!(server.post(&path, &bob, json!({})).await.0, 200);
    assert_eq!(server.finds(&bob, "tea", json!({})).await["count"], json!(0));
}

#[tokio::test]
async fn encrypted_rooms_are_not_searched() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({ "topic": "tea" })).await;
    assert_eq!(server.finds(&alice, "tea", json!({})).await["count"], json!(1));
    let encryption = json!({ "algorithm": "m.megolm.v1.aes-sha2" });
    server.sets(&alice, &room, ("m.room.encryption", encryption)).await;
    assert_eq!(server.finds(&alice, "tea", json!({})).await["count"], json!(0));
}

#[tokio::test]
async fn with_a_room_comes_the_one_it_replaced() {
    let server = server();
    let alice = server.person("alice").await;
    let old = server.public_room(&alice, json!({ "room_version": "10" })).await;
    let message = server.tells(&alice, &old, "heirloom").await;
    let path = format!("/_matrix/client/v3/rooms/{old}/upgrade");
    let (status, body) = server.post(&path, &alice, json!({ "new_version": "11" })).await;
    assert_eq!(status, 200, "{body}");
    let filter = json!({ "filter": { "rooms": [body["replacement_room"]] } });
    assert_eq!(ids(&server.finds(&alice, "heirloom", filter).await), [&message]);
}

#[tokio::test]
async fn an_edit_is_found_by_what_it_says_and_is_bundled_with_its_original() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    let original = server.tells(&alice, &room, "tee").await;
    let content = json!({
        "msgtype": "m.text", "body": "* tea", "m.new_content": { "msgtype": "m.text", "body": "tea" },
        "m.relates_to": { "rel_type": "m.replace", "event_id": original },
    });
    let edit = server.sends(&alice, &room, ("m.room.message", content)).await;
    assert_eq!(ids(&server.finds(&alice, "tea", json!({})).await), [&edit]);
    let found = server.finds(&alice, "tee", json!({})).await;
    let relations = &found["results"][0]["result"]["unsigned"]["m.relations"];
    assert_eq!(relations["m.replace"]["event_id"], json!(edit));
}

#[tokio::test]
async fn guests_and_bad_requests_are_refused() {
    let server = server();
    let (alice, guest) = (server.person("alice").await, server.guest().await);
    let body = json!({ "search_categories": { "room_events": { "search_term": "tea" } } });
    assert_eq!(
        error(server.post(PATH, &guest, body.clone()).await),
        code(403, "M_GUEST_ACCESS_FORBIDDEN")
    );
    assert_eq!(error(server.ask(Method::POST, PATH, body).await), code(401, "M_MISSING_TOKEN"));
    for bad in [
        json!({}),
        json!({ "search_categories": { "room_events": {} } }),
        json!({ "search_categories": { "room_events": { "search_term": 7 } } }),
        json!({ "search_categories": { "room_events": { "search_term": "a", "order_by": "luck" } } }),
        json!({ "search_categories": { "room_events": { "search_term": "a", "keys": ["content.url"] } } }),
    ] {
        let (status, answer) = server.post(PATH, &alice, bad.clone()).await;
        assert_eq!(status, 400, "{bad}: {answer}");
    }
    let (status, answer) = server.post(PATH, &alice, json!({ "search_categories": {} })).await;
    assert_eq!((status, answer), (200, json!({ "search_categories": {} })));
}

#[tokio::test]
async fn long_words_and_many_messages_fill_rows_that_split() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    // More than one row of the index and more than one batch; rates do not hold with time paused.
    for number in 0..600 {
        let body = if number % 100 == 0 { "common rare" } else { "common" };
        server.tells(&alice, &room, body).await;
    }
    let found = server.finds(&alice, "common", json!({ "filter": { "limit": 3 } })).await;
    assert_eq!(found["count"], json!(600));
    let found = server.finds(&alice, "rare common", json!({ "order_by": "recent" })).await;
    assert_eq!((ids(&found).len(), &found["count"]), (6, &json!(6)));
}

#[tokio::test]
async fn the_index_follows_the_log_before_anybody_searches() {
    use vestibule_rooms::OpenRoom;
    use vestibule_storage::tables::search::SEARCH_ROOM;

    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    let before = server.tells(&alice, &room, "before tea").await;
    server.api.search.start();
    // How many events of the room are not in the index.
    let behind = async || {
        let id = ruma::OwnedRoomId::try_from(room.as_str()).unwrap();
        let read = server.api.rooms.store().read(move |snapshot| {
            let room = OpenRoom::load(snapshot, &id)?.unwrap();
            let next = SEARCH_ROOM.get(snapshot, (room.no,))?.unwrap_or_default().next;
            Ok::<_, StorageError>(room.head.next_event - next)
        });
        read.await.unwrap()
    };
    let caught_up = async || {
        for _ in 0..10_000 {
            if behind().await == 0 {
                return true;
            }
            server.time.clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
        false
    };
    assert!(caught_up().await);
    let after = server.tells(&alice, &room, "after tea").await;
    assert!(caught_up().await);
    let found = server.finds(&alice, "tea", json!({ "order_by": "recent" })).await;
    assert_eq!(ids(&found), [&after, &before]);
}

/// Waits until the follower has put every room into the index, and says up to where it followed the log
/// of each slot. Nobody searches meanwhile.
async fn followed(server: &Server) -> BTreeMap<u16, u64> {
    for _ in 0..10_000 {
        let read = server.store.read::<_, StorageError, _>(|read| {
            let heads = ROOM_HEAD.scan(read, (), 100)?;
            let indexed: BTreeMap<_, _> = SEARCH_ROOM.scan(read, (), 100)?.into_iter().collect();
            let done = heads.iter().all(|(room, head)| {
                indexed.get(room).is_some_and(|row| row.next == head.next_event)
            });
            let positions = SEARCH_POSITION.scan(read, (), 100)?.into_iter();
            Ok(done.then(|| positions.map(|((slot,), position)| (slot, position)).collect()))
        });
        if let Some(positions) = read.await.unwrap() {
            return positions;
        }
        server.time.clock.advance(Duration::from_millis(100));
        tokio::task::yield_now().await;
    }
    panic!("the index does not follow the log");
}

#[tokio::test]
async fn the_index_follows_every_slot_and_goes_on_where_it_was_after_a_restart() {
    let store = memory_store(3);
    let first = server_over(store.clone(), |_| {}, |_| {});
    let alice = first.person("alice").await;
    let mut rooms = Vec::new();
    for _ in 0..8 {
        rooms.push(first.public_room(&alice, json!({})).await);
    }
    let slots: BTreeSet<_> =
        rooms.iter().map(|room| store.slot_of_room(&RoomId::parse(room).unwrap())).collect();
    assert_eq!(slots.len(), 3, "rooms of every slot");
    let mut said = Vec::new();
    for room in &rooms {
        said.push(first.tells(&alice, room, "tea before").await);
    }
    first.api.search.start();
    let before = followed(&first).await;
    assert_eq!(before.len(), 3);
    first.time.spawner.stop();
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }

    for room in &rooms {
        said.push(first.tells(&alice, room, "tea after").await);
    }
    let second = server_over(store, |_| {}, |_| {});
    second.api.search.start();
    let after = followed(&second).await;
    assert!(before.iter().all(|(slot, position)| after[slot] > *position), "{before:?} {after:?}");
    let found = second.finds(&alice, "tea", json!({ "filter": { "limit": 100 } })).await;
    let mut found = ids(&found);
    found.sort_unstable();
    said.sort();
    assert_eq!(found, said, "each of them once");
}

#[tokio::test]
async fn what_the_erased_wrote_is_shown_whole_only_to_who_was_there_and_found_by_nobody() {
    use vestibule_storage::tables::search::FINDABLE;

    let server = server();
    let (alice, erin) = (server.person("alice").await, server.person("erin").await);
    let room = server.public_room(&alice, json!({})).await;
    server.joins(&erin, &room).await;
    let word = server.tells(&erin, &room, "rumpelstiltskin").await;
    let topic = json!({ "topic": "straw" });
    let other = server.tells(&alice, &room, "gold").await;
    server.sets(&alice, &room, ("m.room.topic", topic)).await;
    let late = server.person("late").await;
    server.joins(&late, &room).await;
    let bodies = async |who: &Person| {
        let id = segment(&room);
        let page = format!("/_matrix/client/v3/rooms/{id}/messages?dir=b&limit=50");
        let at = format!("/_matrix/client/v3/rooms/{id}/context/{}", segment(&word));
        let (page, at) = (server.fetch(who, &page).await, server.fetch(who, &at).await);
        let sync = server.fetch(who, "/_matrix/client/v3/sync").await.to_string();
        let mut told = page["chunk"].as_array().unwrap().clone();
        told.retain(|event| event["event_id"] == json!(word));
        assert_eq!(told.len(), 1, "it is not hidden");
        let told = [told[0]["content"].clone(), at["event"]["content"].clone()];
        (told, sync.contains("rumpelstiltskin"))
    };
    let whole = json!({ "msgtype": "m.text", "body": "rumpelstiltskin" });
    for who in [&alice, &late] {
        assert_eq!(bodies(who).await, ([whole.clone(), whole.clone()], true));
        assert_eq!(ids(&server.finds(who, "rumpelstiltskin", json!({})).await), [&word]);
    }

    let erin_id = ruma::UserId::parse(erin.user_id.as_str()).unwrap();
    server.api.accounts.deactivate_account(&erin_id, true).await.unwrap();
    assert_eq!(bodies(&alice).await, ([whole.clone(), whole.clone()], true), "who was there");
    assert_eq!(bodies(&late).await, ([json!({}), json!({})], false), "who came later");
    for who in [&alice, &late] {
        assert_eq!(ids(&server.finds(who, "rumpelstiltskin", json!({})).await), [""; 0]);
        assert_eq!(ids(&server.finds(who, "gold", json!({})).await), [&other]);
    }
    let findable = async || {
        let rows = server
            .api
            .rooms
            .store()
            .read::<_, StorageError, _>(|read| Ok(FINDABLE.scan(read, (), 100)?.len()));
        rows.await.unwrap()
    };
    let before = findable().await;
    let about = json!({ "user_id": erin.user_id }).to_string();
    for _ in 0..2 {
        server.api.rooms.run_job("forget_words", about.as_bytes()).await.unwrap();
        assert_eq!(findable().await, before - 1, "the index holds the word no more");
    }
}
