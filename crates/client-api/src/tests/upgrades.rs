//! What a room's successor takes over, and what it leaves behind.

use super::*;

impl Server {
    /// Replaces a room, and returns its successor.
    async fn upgrades(&self, who: &Person, room: &str, version: &str) -> String {
        let path = format!("/_matrix/client/v3/rooms/{room}/upgrade");
        let (status, body) = self.post(&path, who, json!({ "new_version": version })).await;
        assert_eq!(status, 200, "{body}");
        body["replacement_room"].as_str().unwrap().to_owned()
    }

    /// What a key of a room's state says; nothing where it says nothing.
    async fn said(&self, who: &Person, room: &str, place: &str) -> Option<Value> {
        let path = format!("/_matrix/client/v3/rooms/{room}/state/{place}");
        let (status, body) = self.get(&path, who).await;
        assert!(status == 200 || status == 404, "{body}");
        (status == 200).then_some(body)
    }
}

#[tokio::test]
async fn a_successor_brings_nothing_back_that_was_redacted() {
    let server = server();
    let alice = server.person("alice").await;
    let creation = json!({ "type": "m.space" });
    let options = json!({ "creation_content": creation, "room_version": "11" });
    let room = server.public_room(&alice, options).await;
    let via = json!({ "via": ["a.example"] });
    let gone = "m.space.child/!gone:a.example";
    for (place, content) in [
        ("m.room.name", json!({ "name": "slander" })),
        ("m.room.topic", json!({ "topic": "slander" })),
        ("m.room.avatar", json!({ "url": "mxc://a.example/slander" })),
        (gone, via.clone()),
    ] {
        let path = format!("/_matrix/client/v3/rooms/{room}/state/{place}");
        let (status, body) = server.put(&path, &alice, content).await;
        assert_eq!(status, 200, "{body}");
        server.redacts(&alice, &room, body["event_id"].as_str().unwrap()).await;
    }
    let (stays, unset) = ("m.space.child/!stays:a.example", "m.space.child/!unset:a.example");
    server.sets(&alice, &room, (stays, via.clone())).await;
    server.sets(&alice, &room, (unset, json!({}))).await;

    let new = server.upgrades(&alice, &room, "12").await;
    for place in ["m.room.name", "m.room.topic", "m.room.avatar", gone, unset] {
        assert_eq!(server.said(&alice, &new, place).await, None, "{place}");
    }
    assert_eq!(server.said(&alice, &new, stays).await, Some(via));
}

#[tokio::test]
async fn everybody_has_the_power_in_the_successor_that_they_had() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let (carol, mallory) = (server.person("carol").await, server.person("mallory").await);
    let levels = json!({
        "users": { (&alice.user_id): 200, (&bob.user_id): 50, (&carol.user_id): 100 },
        "users_default": 0, "events_default": 0, "state_default": 50,
        "ban": 120, "kick": 50, "redact": 50, "invite": 0, "historical": 3,
        "events": { "m.room.tombstone": 50, "m.room.name": 150, "m.room.server_acl": 200 },
        "notifications": { "room": 60 },
    });
    for (upgrader, from, to) in
        [(&bob, "10", "11"), (&alice, "10", "11"), (&bob, "9", "10"), (&bob, "11", "12")]
    {
        let options = json!({ "room_version": from, "power_level_content_override": levels });
        let room = server.public_room(&alice, options).await;
        server.sets(&alice, &room, ("m.room.name", json!({ "name": "tea" }))).await;
        let ban = json!({ "user_id": mallory.user_id });
        let path = format!("/_matrix/client/v3/rooms/{room}/ban");
        assert_eq!(server.post(&path, &alice, ban).await.0, 200);
        server.joins(&bob, &room).await;
        let before = server.said(&alice, &room, "m.room.power_levels").await.unwrap();

        let new = server.upgrades(upgrader, &room, to).await;
        let mut now = server.said(upgrader, &new, "m.room.power_levels").await.unwrap();
        if to == "12" {
            assert_eq!(now["users"].get(&bob.user_id), None, "creators stand above all levels");
            now["users"][&bob.user_id] = json!(50);
            assert_eq!(now["events"]["m.room.tombstone"], 150);
            now["events"]["m.room.tombstone"] = json!(50);
        }
        assert_eq!(now, before, "from {from} to {to}");
        let name = server.said(upgrader, &new, "m.room.name").await;
        assert_eq!(name, Some(json!({ "name": "tea" })), "from {from} to {to}");
        let banned = format!("m.room.member/{}", mallory.user_id);
        let banned = server.said(upgrader, &new, &banned).await.unwrap();
        assert_eq!(banned["membership"], "ban");
    }
}

#[tokio::test]
async fn who_comes_into_a_successor_by_writing_so_takes_along_what_they_said_of_the_room() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let old = server.public_room(&alice, json!({})).await;
    server.joins(&bob, &old).await;
    let tags = |room: &str| format!("/_matrix/client/v3/user/{}/rooms/{room}/tags", bob.user_id);
    let tag = format!("{}/m.favourite", tags(&old));
    assert_eq!(server.put(&tag, &bob, json!({ "order": 0.25 })).await.0, 200);
    let new = server.upgrades(&alice, &old, "12").await;
    let own = format!("m.room.member/{}", bob.user_id);
    server.sets(&bob, &new, (&own, json!({ "membership": "join" }))).await;
    let tagged = server.fetch(&bob, &tags(&new)).await;
    assert_eq!(tagged["tags"]["m.favourite"]["order"], 0.25);
}

#[tokio::test]
async fn an_invitation_written_as_state_says_what_its_inviter_wrote() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    let member = format!("m.room.member/{}", bob.user_id);
    let written = json!({
        "membership": "invite", "is_direct": true, "reason": "tea", "org.example.cups": 2,
        "displayname": "Bobby Tables", "third_party_invite": { "display_name": "b" },
    });
    server.sets(&alice, &room, (&member, written)).await;
    let invite = server.said(&alice, &room, &member).await.unwrap();
    assert_eq!(
        (&invite["is_direct"], &invite["reason"], &invite["org.example.cups"]),
        (&json!(true), &json!("tea"), &json!(2))
    );
    assert_ne!(invite["displayname"], "Bobby Tables", "what bob is called is his to say");
    assert_eq!(invite.get("third_party_invite"), None, "nobody vouched for it");
}

#[tokio::test]
async fn a_successor_names_the_tombstone_of_the_room_before_it() {
    let server = server();
    let alice = server.person("alice").await;
    for (from, to) in [("9", "10"), ("10", "11"), ("11", "12")] {
        let old = server.public_room(&alice, json!({ "room_version": from })).await;
        let new = server.upgrades(&alice, &old, to).await;
        let path = format!("/_matrix/client/v3/rooms/{old}/state");
        let state = server.fetch(&alice, &path).await;
        let tombstone =
            state.as_array().unwrap().iter().find(|it| it["type"] == "m.room.tombstone");
        let tombstone = tombstone.unwrap();
        assert_eq!(tombstone["content"]["replacement_room"], new);
        let create = server.said(&alice, &new, "m.room.create").await.unwrap();
        let mut expected = json!({ "room_id": old, "event_id": tombstone["event_id"] });
        if to == "12" {
            expected = json!({ "room_id": old });
        }
        assert_eq!(create["predecessor"], expected, "from {from} to {to}");
    }
}

#[tokio::test]
async fn names_that_moved_are_no_longer_the_old_rooms() {
    let server = server();
    let alice = server.person("alice").await;
    let old = server.public_room(&alice, json!({ "room_alias_name": "tea" })).await;
    let path = "/_matrix/client/v3/directory/room/%23cups:a.example";
    assert_eq!(server.put(path, &alice, json!({ "room_id": old })).await.0, 200);
    let aliases = json!({
        "alias": "#tea:a.example", "alt_aliases": ["#cups:a.example"], "org.example.note": 1,
    });
    server.sets(&alice, &old, ("m.room.canonical_alias", aliases.clone())).await;
    let new = server.upgrades(&alice, &old, "12").await;
    let named = server.said(&alice, &new, "m.room.canonical_alias").await;
    assert_eq!(named, Some(aliases));
    let left = server.said(&alice, &old, "m.room.canonical_alias").await;
    assert_eq!(left, Some(json!({ "alt_aliases": [], "org.example.note": 1 })));
}

#[tokio::test]
async fn a_copied_ban_says_why() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let old = server.public_room(&alice, json!({})).await;
    let path = format!("/_matrix/client/v3/rooms/{old}/ban");
    let ban = json!({ "user_id": bob.user_id, "reason": "spilled the tea" });
    assert_eq!(server.post(&path, &alice, ban).await.0, 200);
    let new = server.upgrades(&alice, &old, "12").await;
    let banned = server.said(&alice, &new, &format!("m.room.member/{}", bob.user_id)).await;
    let expected = json!({ "membership": "ban", "reason": "spilled the tea" });
    assert_eq!(banned, Some(expected));
}

#[tokio::test]
async fn an_upgrade_that_is_asked_for_again_has_one_successor() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let levels = json!({ "users": { (&alice.user_id): 100, (&bob.user_id): 100 } });
    let options = json!({ "room_version": "10", "power_level_content_override": levels });
    let old = server.public_room(&alice, options).await;
    server.joins(&bob, &old).await;
    let (one, two) =
        tokio::join!(server.upgrades(&alice, &old, "12"), server.upgrades(&alice, &old, "12"));
    assert_eq!(one, two);
    server.time.clock.advance(Duration::from_mins(2));
    assert_eq!(server.upgrades(&alice, &old, "12").await, one);
    let tombstone = server.said(&alice, &old, "m.room.tombstone").await.unwrap();
    assert_eq!(tombstone["replacement_room"], one);

    // Another version, another user and another day are other upgrades.
    let other = server.upgrades(&alice, &old, "11").await;
    assert_ne!(other, one);
    assert_ne!(server.upgrades(&bob, &old, "11").await, other);
    let late = server.upgrades(&alice, &old, "11").await;
    server.time.clock.advance(Duration::from_hours(1));
    assert_ne!(server.upgrades(&alice, &old, "11").await, late);
}
