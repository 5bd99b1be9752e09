//! Finding one's way in a room: by time, and by a snapshot.

use vestibule_storage::{
    Scan, Stamp, StorageError,
    tables::room::{EVENT_BY_ID, StoredEventNo, StoredEventPlace, TIMELINE},
};

use super::{rooms::each, *};

#[tokio::test]
async fn the_event_nearest_to_a_moment_is_found_in_either_direction() {
    let server = server();
    let (alice, carol) = (server.person("alice").await, server.person("carol").await);
    let room = server.public_room(&alice, json!({})).await;
    server.time.clock.advance(Duration::from_secs(100));
    let first_at = server.time.environment.now_ms();
    let first = server.says(&alice, &room, Value::Null).await;
    server.time.clock.advance(Duration::from_secs(100));
    let second_at = server.time.environment.now_ms();
    let second = server.says(&alice, &room, Value::Null).await;

    let at = |ts: u64, way: &str| {
        format!("/_matrix/client/v1/rooms/{room}/timestamp_to_event?ts={ts}&dir={way}")
    };
    for (ts, way, event, event_at) in [
        (first_at, "f", &first, first_at),
        (first_at, "b", &first, first_at),
        (first_at + 1, "f", &second, second_at),
        (second_at - 1, "b", &first, first_at),
        (second_at + 9_999, "b", &second, second_at),
    ] {
        let found = server.fetch(&alice, &at(ts, way)).await;
        assert_eq!(found, json!({ "event_id": event, "origin_server_ts": event_at }), "{ts}{way}");
    }
    let later = server.get(&at(second_at + 1, "f"), &alice).await;
    assert_eq!(error(later), code(404, "M_NOT_FOUND"));
    assert_eq!(error(server.get(&at(first_at, "f"), &carol).await), code(403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn a_moment_is_found_amid_much_history_that_was_fetched_at_once() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    let mut said = Vec::new();
    for _ in 0..3 {
        server.time.clock.advance(Duration::from_secs(100));
        let at = server.time.environment.now_ms();
        let event: ruma::OwnedEventId =
            server.says(&alice, &room, Value::Null).await.try_into().unwrap();
        said.push((event, at));
    }
    // As if most of the room's history had been fetched: it lies between two commits.
    let ids: Vec<_> = said.iter().map(|(event, _)| event.clone()).collect();
    let slot = server.store.slot_of_room(<&ruma::RoomId>::try_from(room.as_str()).unwrap());
    let fetched = server.store.write::<_, StorageError, _>(slot, move |tx| {
        let places: Vec<StoredEventPlace> =
            ids.iter().map(|id| EVENT_BY_ID.get(tx, (id,)).unwrap().unwrap()).collect();
        let newest = TIMELINE.scan_with(tx, Scan::prefix((places[0].room,)).reverse().limit(1))?;
        let ((_, side, newest), _) = &newest[0];
        for index in 0..30_000_u16 {
            let place = &places[usize::from(index / 15_000) + usize::from(index / 29_000)];
            let at = Stamp { commit: newest.commit - 1, index };
            TIMELINE.put(tx, (place.room, *side, at), &StoredEventNo(place.event))?;
        }
        Ok(())
    });
    fetched.await.unwrap();
    for (ts, way, expected) in [
        (said[0].1 + 1, "f", &said[1]),
        (said[1].1 + 1, "b", &said[1]),
        (said[1].1 - 1, "b", &said[0]),
    ] {
        let path = format!("/_matrix/client/v1/rooms/{room}/timestamp_to_event?ts={ts}&dir={way}");
        let found = server.fetch(&alice, &path).await;
        let expected = json!({ "event_id": expected.0, "origin_server_ts": expected.1 });
        assert_eq!(found, expected, "{ts}{way}");
    }
}

#[tokio::test]
async fn a_snapshot_shows_the_room_and_what_was_said_last() {
    let server = server();
    let (alice, carol) = (server.person("alice").await, server.person("carol").await);
    let room = server.public_room(&alice, json!({ "visibility": "public" })).await;
    let mut said = Vec::new();
    for _ in 0..25 {
        said.push(server.says(&alice, &room, Value::Null).await);
    }
    let path = format!("/_matrix/client/v3/rooms/{room}/initialSync");
    let snapshot = server.fetch(&alice, &path).await;
    assert_eq!(each(&snapshot["messages"]["chunk"], "event_id"), &said[5..]);
    assert_eq!(snapshot["membership"], json!("join"));
    assert_eq!(snapshot["visibility"], json!("public"));
    assert!(each(&snapshot["state"], "type").contains(&"m.room.create"));

    let start = snapshot["messages"]["start"].as_str().unwrap();
    let earlier = format!("/_matrix/client/v3/rooms/{room}/messages?dir=b&limit=1&from={start}");
    let earlier = server.fetch(&alice, &earlier).await;
    assert_eq!(each(&earlier["chunk"], "event_id"), &said[4..5]);

    assert_eq!(error(server.get(&path, &carol).await), code(403, "M_FORBIDDEN"));
    let visibility = json!({ "history_visibility": "world_readable" });
    server.sets(&alice, &room, ("m.room.history_visibility", visibility)).await;
    let peek = server.fetch(&carol, &path).await;
    assert!(peek.get("membership").is_none(), "{peek}");
}

#[tokio::test]
async fn who_turns_round_meets_the_event_again_that_was_read_last() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    let mut said = Vec::new();
    for _ in 0..8 {
        said.push(server.says(&alice, &room, Value::Null).await);
    }
    let page = async |query: String| {
        let path = format!("/_matrix/client/v3/rooms/{room}/messages?limit=3&{query}");
        let page = server.fetch(&alice, &path).await;
        let ids: Vec<String> =
            each(&page["chunk"], "event_id").into_iter().map(ToOwned::to_owned).collect();
        (ids, page["end"].as_str().unwrap_or_default().to_owned())
    };
    let reversed = |stretch: &[String]| stretch.iter().rev().cloned().collect::<Vec<_>>();

    let (back, end) = page("dir=b".to_owned()).await;
    assert_eq!(back, reversed(&said[5..]));
    let (forth, behind) = page(format!("dir=f&from={end}")).await;
    assert_eq!(forth, &said[5..], "what lies behind the place is all that was read");
    let (again, _) = page(format!("dir=b&from={behind}")).await;
    assert_eq!(again, reversed(&said[5..]));
    let (earlier, early) = page(format!("dir=b&from={end}")).await;
    assert_eq!(earlier, reversed(&said[2..5]), "going on leaves nothing out");
    let (between, _) = page(format!("dir=f&from={early}&to={end}")).await;
    assert_eq!(between, &said[2..5]);
    let (between, _) = page(format!("dir=b&from={end}&to={early}")).await;
    assert_eq!(between, reversed(&said[2..5]), "the same stretch from either end");

    let path = format!("/_matrix/client/v3/rooms/{room}/messages?dir=b&limit=1");
    let newest = server.fetch(&alice, &path).await["start"].as_str().unwrap().to_owned();
    said.push(server.says(&alice, &room, Value::Null).await);
    let (later, _) = page(format!("dir=f&from={newest}")).await;
    assert_eq!(later, &said[8..], "what came since the first page was read");

    let path = format!("/_matrix/client/v3/rooms/{room}/context/{}?limit=2", said[4]);
    let context = server.fetch(&alice, &path.replace('$', "%24")).await;
    let (start, end) = (context["start"].as_str().unwrap(), context["end"].as_str().unwrap());
    assert_eq!(page(format!("dir=f&from={start}")).await.0, &said[3..6], "all that is shown");
    assert_eq!(page(format!("dir=b&from={end}")).await.0, reversed(&said[3..6]));
    assert_eq!(page(format!("dir=f&from={end}")).await.0, &said[6..]);

    let filter = "%7B%22room%22:%7B%22timeline%22:%7B%22limit%22:2%7D%7D%7D";
    let sync = server.fetch(&alice, &format!("/_matrix/client/v3/sync?filter={filter}")).await;
    let timeline = &sync["rooms"]["join"][&room]["timeline"];
    assert_eq!(each(&timeline["events"], "event_id"), &said[7..]);
    let before = timeline["prev_batch"].as_str().unwrap();
    assert_eq!(page(format!("dir=f&from={before}")).await.0, &said[7..]);
    assert_eq!(page(format!("dir=b&from={before}")).await.0, reversed(&said[4..7]));
}

impl Server {
    /// Who was joined at a moment, by their names.
    async fn joined_at(&self, who: &Person, room: &str, at: &str) -> Vec<String> {
        let path = format!("/_matrix/client/v3/rooms/{room}/members?membership=join&at={at}");
        let members = self.fetch(who, &path).await;
        let mut names: Vec<String> = each(&members["chunk"], "state_key")
            .into_iter()
            .map(|user| user.trim_start_matches('@').split(':').next().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    /// A place in a room's history that an answer names.
    async fn place(&self, who: &Person, room: &str, (query, field): (&str, &str)) -> String {
        let path = format!("/_matrix/client/v3/rooms/{room}/messages?{query}");
        self.fetch(who, &path).await[field].as_str().unwrap().to_owned()
    }

    /// Where a sync of all is up to, and where its timeline of one event begins.
    async fn sync_places(&self, who: &Person, room: &str) -> (String, String) {
        let filter = "%7B%22room%22:%7B%22timeline%22:%7B%22limit%22:1%7D%7D%7D";
        let path = format!("/_matrix/client/v3/sync?filter={filter}");
        let sync = self.fetch(who, &path).await;
        let begin = &sync["rooms"]["join"][room]["timeline"]["prev_batch"];
        let text = |token: &Value| token.as_str().unwrap().to_owned();
        (text(&sync["next_batch"]), text(begin))
    }
}

#[tokio::test]
async fn members_are_told_as_they_were_at_any_place_that_was_handed_out() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let carol = server.person("carol").await;
    let room = server.public_room(&alice, json!({})).await;
    let (alone, _) = server.sync_places(&alice, &room).await;
    server.joins(&bob, &room).await;
    let (two, before_bob) = server.sync_places(&alice, &room).await;
    server.joins(&carol, &room).await;
    let leave = format!("/_matrix/client/v3/rooms/{room}/leave");
    assert_eq!(server.post(&leave, &bob, json!({})).await.0, 200);
    let (_, before_leave) = server.sync_places(&alice, &room).await;
    server.says(&alice, &room, Value::Null).await;
    let (now, before_message) = server.sync_places(&alice, &room).await;

    // Back over the message, the leave, and Carol's arrival.
    let three_back = server.place(&alice, &room, ("dir=b&limit=3", "end")).await;
    // The room was made in one go: places lie between its first events, too.
    let after_create = server.place(&alice, &room, ("dir=f&limit=1", "end")).await;
    let after_creator = server.place(&alice, &room, ("dir=f&limit=2", "end")).await;
    let outset = server.place(&alice, &room, ("dir=f&limit=1", "start")).await;
    let present = server.place(&alice, &room, ("dir=b&limit=1", "start")).await;
    for (at, joined) in [
        (&outset, &[][..]),
        (&after_create, &[]),
        (&after_creator, &["alice"]),
        (&alone, &["alice"]),
        (&before_bob, &["alice"]),
        (&two, &["alice", "bob"]),
        (&three_back, &["alice", "bob"]),
        (&before_leave, &["alice", "bob", "carol"]),
        (&before_message, &["alice", "carol"]),
        (&now, &["alice", "carol"]),
        (&present, &["alice", "carol"]),
    ] {
        assert_eq!(server.joined_at(&alice, &room, at).await, joined, "{at}");
    }
    // Whoever left is told of then, and of nothing later.
    assert_eq!(server.joined_at(&bob, &room, &two).await, ["alice", "bob"]);
    let dave = server.person("dave").await;
    server.joins(&dave, &room).await;
    let (later, _) = server.sync_places(&alice, &room).await;
    assert_eq!(server.joined_at(&bob, &room, &later).await, ["alice", "carol"]);
    assert_eq!(server.joined_at(&alice, &room, &later).await, ["alice", "carol", "dave"]);

    let members = format!("/_matrix/client/v3/rooms/{room}/members");
    for query in [
        "at=",
        "at=x",
        "at=t1",
        "at=t9_1_1",
        "at=s",
        "at=p1",
        "membership=gone",
        "not_membership=x",
    ] {
        let refused = server.get(&format!("{members}?{query}"), &alice).await;
        assert_eq!(error(refused), code(400, "M_INVALID_PARAM"), "{query}");
    }
}

#[tokio::test]
async fn who_was_there_before_one_came_is_hidden_where_history_is() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let carol = server.person("carol").await;
    let hidden = json!({ "initial_state": [{
        "type": "m.room.history_visibility", "content": { "history_visibility": "joined" },
    }] });
    let room = server.public_room(&alice, hidden).await;
    server.joins(&bob, &room).await;
    server.says(&bob, &room, Value::Null).await;
    let (with_bob, _) = server.sync_places(&alice, &room).await;
    let leave = format!("/_matrix/client/v3/rooms/{room}/leave");
    assert_eq!(server.post(&leave, &bob, json!({})).await.0, 200);
    server.joins(&carol, &room).await;
    let (now, arrival) = server.sync_places(&carol, &room).await;
    let path = format!("/_matrix/client/v3/rooms/{room}/members?at={with_bob}");
    assert_eq!(error(server.get(&path, &carol).await), code(403, "M_FORBIDDEN"));
    assert_eq!(server.joined_at(&carol, &room, &arrival).await, ["alice"]);
    assert_eq!(server.joined_at(&carol, &room, &now).await, ["alice", "carol"]);
    assert_eq!(server.joined_at(&alice, &room, &with_bob).await, ["alice", "bob"]);
}

#[tokio::test]
async fn whoever_left_keeps_their_history_whatever_becomes_of_them_since() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    let about_bob = json!({ "user_id": "@bob:a.example" });
    let post = async |whose: &Person, what: &str, body: Value| {
        let path = format!("/_matrix/client/v3/rooms/{room}/{what}");
        assert_eq!(server.post(&path, whose, body).await.0, 200, "{what}");
    };
    post(&bob, "join", json!({})).await;
    let heard = server.says(&alice, &room, Value::Null).await;
    post(&bob, "leave", json!({})).await;
    let unheard = server.says(&alice, &room, Value::Null).await;

    let reads = async |event: &String| {
        server.get(&format!("/_matrix/client/v3/rooms/{room}/event/{event}"), &bob).await.0
    };
    let members = format!("/_matrix/client/v3/rooms/{room}/members");
    for what in ["invite", "leave", "ban", "unban", "invite"] {
        let whose = if what == "leave" { &bob } else { &alice };
        let body = if what == "leave" { json!({}) } else { about_bob.clone() };
        post(whose, what, body).await;
        assert_eq!((reads(&heard).await, reads(&unheard).await), (200, 404), "after {what}");
        let shown = server.fetch(&bob, &members).await;
        let mut shown = each(&shown["chunk"], "state_key");
        shown.sort_unstable();
        assert_eq!(shown, ["@alice:a.example", "@bob:a.example"]);
        let page = format!("/_matrix/client/v3/rooms/{room}/messages?dir=b&limit=50");
        let page = server.fetch(&bob, &page).await;
        let page = each(&page["chunk"], "event_id");
        assert!(page.contains(&&*heard) && !page.contains(&&*unheard), "after {what}");
    }
    // What was forgotten stays forgotten.
    post(&bob, "leave", json!({})).await;
    post(&bob, "forget", json!({})).await;
    post(&alice, "invite", about_bob).await;
    assert_eq!(reads(&heard).await, 404);
    assert_eq!(server.get(&members, &bob).await.0, 403);
}

#[tokio::test]
async fn who_sees_little_of_a_long_history_is_led_to_that() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let carol = server.person("carol").await;
    let room = server.public_room(&alice, json!({})).await;
    let joined = json!({ "history_visibility": "joined" });
    server.sets(&alice, &room, ("m.room.history_visibility", joined)).await;
    server.time.clock.advance(Duration::from_secs(1));
    let since = server.time.environment.now_ms();
    server.joins(&carol, &room).await;
    server.says(&carol, &room, Value::Null).await;
    let leave = format!("/_matrix/client/v3/rooms/{room}/leave");
    assert_eq!(server.post(&leave, &carol, json!({})).await.0, 200);
    for _ in 0..vestibule_types::limits::MOMENT_SCAN_MAX + 20 {
        server.says(&alice, &room, Value::Null).await;
    }
    server.joins(&bob, &room).await;
    server.says(&bob, &room, Value::Null).await;

    let now = server.time.environment.now_ms();
    for (who, ts, way) in [(&bob, since, "f"), (&carol, now, "b")] {
        let path = format!("/_matrix/client/v3/rooms/{room}/state/m.room.member/{}", who.user_id);
        let own = server.fetch(who, &format!("{path}?format=event")).await;
        let path = format!("/_matrix/client/v1/rooms/{room}/timestamp_to_event?ts={ts}&dir={way}");
        assert_eq!(server.fetch(who, &path).await["event_id"], own["event_id"], "{way}");
    }
}
