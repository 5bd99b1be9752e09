//! The public list of rooms: what is on it, in which order, and page by page.

use super::*;

const LIST: &str = "/_matrix/client/v3/publicRooms";

impl Server {
    /// A listed room with so many members beside its creator.
    async fn listed(&self, who: &Person, name: &str, members: &[&Person]) -> String {
        let options = json!({ "visibility": "public", "name": name });
        let room = self.public_room(who, options).await;
        for member in members {
            self.joins(member, &room).await;
        }
        room
    }

    /// A page of the list: the rooms' ids, and the tokens.
    async fn list_page(&self, who: &Person, query: &str) -> (Vec<String>, Value, Value) {
        let page = self.fetch(who, &format!("{LIST}{query}")).await;
        let ids = rooms::each(&page["chunk"], "room_id").into_iter().map(str::to_owned).collect();
        (ids, page["next_batch"].clone(), page["prev_batch"].clone())
    }
}

#[tokio::test]
async fn the_list_has_the_largest_first_and_is_gone_through_both_ways() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let carol = server.person("carol").await;
    let members: [&[&Person]; 7] =
        [&[], &[&bob], &[], &[&bob, &carol], &[&carol], &[], &[&bob, &carol]];
    let mut expected = Vec::new();
    for (i, members) in members.iter().enumerate() {
        expected.push((members.len(), server.listed(&alice, &format!("room {i}"), members).await));
    }
    let (all, next, previous) = server.list_page(&alice, "").await;
    assert_eq!((next, previous), (Value::Null, Value::Null));
    let sizes: Vec<usize> = all
        .iter()
        .map(|room| expected.iter().find(|(_, it)| it == room).expect("a room made above").0)
        .collect();
    assert_eq!(sizes, [2, 2, 1, 1, 0, 0, 0]);

    for limit in 1..=8 {
        let pages: Vec<&[String]> = all.chunks(limit).collect();
        let mut query = format!("?limit={limit}");
        let mut back = Value::Null;
        for (at, expected) in pages.iter().enumerate() {
            let (page, next, previous) = server.list_page(&alice, &query).await;
            assert_eq!(page, *expected, "page {at} of {limit} each");
            assert_eq!(next.is_null(), at + 1 == pages.len(), "page {at} of {limit} each");
            assert_eq!(previous.is_null(), at == 0, "page {at} of {limit} each");
            query = format!("?limit={limit}&since={}", next.as_str().unwrap_or_default());
            back = previous;
        }
        for (at, expected) in pages.iter().enumerate().rev().skip(1) {
            let since = back.as_str().unwrap();
            let (page, next, previous) =
                server.list_page(&alice, &format!("?limit={limit}&since={since}")).await;
            assert_eq!(page, *expected, "back to page {at} of {limit} each");
            assert!(next.is_string(), "back to page {at} of {limit} each");
            assert_eq!(previous.is_null(), at == 0, "back to page {at} of {limit} each");
            back = previous;
        }
    }
    assert_eq!(server.list_page(&alice, "?limit=0").await.0, all, "zero is no limit");
    let (status, body) = server.get(&format!("{LIST}?since=tea"), &alice).await;
    assert_eq!((status, &body["errcode"]), (400, &json!("M_INVALID_PARAM")));
}

#[tokio::test]
async fn who_turns_back_at_a_page_that_emptied_finds_the_one_before() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let large = server.listed(&alice, "large", &[&bob]).await;
    let small = server.listed(&alice, "small", &[]).await;
    let next = server.list_page(&alice, "?limit=1").await.1;
    let off = format!("/_matrix/client/v3/directory/list/room/{small}");
    assert_eq!(server.put(&off, &alice, json!({ "visibility": "private" })).await.0, 200);
    let (page, next, previous) =
        server.list_page(&alice, &format!("?since={}", next.as_str().unwrap())).await;
    assert_eq!((page.len(), next), (0, Value::Null));
    let back = format!("?since={}", previous.as_str().unwrap());
    assert_eq!(server.list_page(&alice, &back).await, (vec![large], Value::Null, Value::Null));
}

#[tokio::test]
async fn rooms_that_nobody_is_in_or_can_come_into_are_not_listed() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let left = server.listed(&alice, "left", &[]).await;
    let closed = server.listed(&alice, "closed", &[]).await;
    let shown = server.listed(&alice, "shown", &[]).await;
    let knocked = server.listed(&alice, "knocked", &[]).await;
    let restricted = server.listed(&alice, "restricted", &[]).await;
    let open = server.listed(&alice, "open", &[]).await;
    let rule = |rule: &str| ("m.room.join_rules", json!({ "join_rule": rule }));
    server.sets(&alice, &closed, rule("invite")).await;
    server.sets(&alice, &shown, rule("invite")).await;
    let visible = json!({ "history_visibility": "world_readable" });
    server.sets(&alice, &shown, ("m.room.history_visibility", visible)).await;
    server.sets(&alice, &knocked, rule("knock")).await;
    server.sets(&alice, &restricted, rule("restricted")).await;
    let path = format!("/_matrix/client/v3/rooms/{left}/leave");
    assert_eq!(server.post(&path, &alice, json!({})).await.0, 200);
    let (mut listed, ..) = server.list_page(&bob, "").await;
    listed.sort();
    let mut expected = [shown, knocked, restricted, open];
    expected.sort();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn another_network_has_no_rooms_here_and_what_is_null_is_not_said() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.listed(&alice, "tea", &[]).await;
    for (body, expected) in [
        (json!({ "third_party_instance_id": "irc" }), json!([])),
        (json!({ "include_all_networks": true }), json!([room])),
        (json!({ "filter": null, "limit": null, "since": null }), json!([room])),
        (json!({ "filter": { "generic_search_term": "TEA" } }), json!([room])),
        (json!({ "filter": { "generic_search_term": "coffee" } }), json!([])),
    ] {
        let (status, page) = server.post(LIST, &alice, body.clone()).await;
        assert_eq!(status, 200, "{page}");
        assert_eq!(json!(rooms::each(&page["chunk"], "room_id")), expected, "{body}");
    }
    let path = "/_matrix/client/v3/user_directory/search";
    let body = json!({ "search_term": "ali", "limit": null });
    assert_eq!(server.post(path, &alice, body).await.0, 200);
    let nulls = json!({
        "invite": null, "initial_state": null, "invite_3pid": null, "is_direct": null,
        "preset": null, "visibility": null, "creation_content": null, "name": null,
    });
    assert_eq!(server.post("/_matrix/client/v3/createRoom", &alice, nulls).await.0, 200);
    let path = format!("/_matrix/client/v3/rooms/{room}/upgrade");
    let body = json!({ "new_version": "12", "additional_creators": null });
    assert_eq!(server.post(&path, &alice, body).await.0, 200);
}

#[tokio::test]
async fn json_of_another_shape_is_bad_and_not_none() {
    let server = server();
    let alice = server.person("alice").await;
    for body in [json!({ "preset": 5 }), json!({ "visibility": 5 }), json!({ "preset": "tea" })] {
        let (status, answer) =
            server.post("/_matrix/client/v3/createRoom", &alice, body.clone()).await;
        assert_eq!((status, &answer["errcode"]), (400, &json!("M_BAD_JSON")), "{body}");
    }
}
