//! What a room is not made of: contents its rules could not read, names that lead elsewhere, bans that are none.

use super::*;

/// A code without what all codes begin with, as short as the tables below want it.
fn code((status, body): (u16, Value)) -> (u16, String) {
    (status, body["errcode"].as_str().unwrap_or_default().to_owned())
}

fn refused(status: u16, errcode: &str) -> (u16, String) {
    (status, errcode.to_owned())
}

#[tokio::test]
async fn state_the_rules_could_not_read_is_malformed_whoever_sends_it() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    for version in ["9", "10", "12"] {
        let room = server.public_room(&alice, json!({ "room_version": version })).await;
        server.joins(&bob, &room).await;
        let path = |place: &str| format!("/_matrix/client/v3/rooms/{room}/state/{place}");
        let member = format!("m.room.member/{}", bob.user_id);
        for (place, content) in [
            ("m.room.power_levels", json!({ "users": [] })),
            ("m.room.power_levels", json!({ "users": { "bogus": 5 } })),
            ("m.room.power_levels", json!({ "events": 5 })),
            ("m.room.power_levels", json!({ "notifications": { "room": [] } })),
            ("m.room.power_levels", json!({ "ban": true })),
            ("m.room.power_levels", json!({ "ban": null })),
            (&member, json!({})),
            (&member, json!({ "membership": 5 })),
            (&member, json!({ "membership": "guest" })),
            ("m.room.join_rules", json!({})),
            ("m.room.join_rules", json!({ "join_rule": ["public"] })),
            ("m.room.create", json!({ "room_version": 5 })),
        ] {
            for who in [&alice, &bob] {
                let answer = server.put(&path(place), who, content.clone()).await;
                let expected = refused(400, "M_BAD_JSON");
                assert_eq!(code(answer), expected, "version {version}: {place} {content}");
            }
        }
        // Text is a level only where the rules read it so, and creators have none where they stand above all.
        let levels = path("m.room.power_levels");
        let written = json!({ "users": { (&alice.user_id): 100 }, "kick": "60" });
        let expected = if version == "9" { refused(200, "") } else { refused(400, "M_BAD_JSON") };
        assert_eq!(code(server.put(&levels, &alice, written).await), expected, "{version}");
        let users = json!({ "users": { (&alice.user_id): 100 } });
        let expected = if version == "12" { refused(400, "M_BAD_JSON") } else { refused(200, "") };
        assert_eq!(code(server.put(&levels, &alice, users).await), expected, "{version}");
        // What is whole is refused for want of power, as ever.
        let answer = server.put(&levels, &bob, json!({ "ban": 60 })).await;
        assert_eq!(code(answer), refused(403, "M_FORBIDDEN"));
    }
}

#[tokio::test]
async fn nothing_is_no_content() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({ "name": "tea" })).await;
    for place in ["state/m.room.name", "state/m.room.name/", "state/org.x/y", "send/org.x/1"] {
        let path = format!("/_matrix/client/v3/rooms/{room}/{place}");
        let answer = server.send(Method::PUT, &path, Some(&alice.token), "").await;
        assert_eq!(code(answer), refused(400, "M_NOT_JSON"), "{place}");
    }
    let path = format!("/_matrix/client/v3/rooms/{room}/state/m.room.name");
    assert_eq!(server.fetch(&alice, &path).await["name"], "tea");
}

#[tokio::test]
async fn a_tombstone_leads_to_another_room_and_no_list_shuts_out_this_server() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    for (kind, content) in [
        ("m.room.tombstone", json!({ "body": "gone", "replacement_room": room })),
        ("m.room.tombstone", json!({ "body": "gone" })),
        ("m.room.tombstone", json!({ "body": "gone", "replacement_room": "#tea:a.example" })),
        ("m.room.server_acl", json!({ "allow": [], "deny": [] })),
        ("m.room.server_acl", json!({ "allow": ["*"], "deny": ["a.exampl?"] })),
    ] {
        let path = format!("/_matrix/client/v3/rooms/{room}/state/{kind}");
        let answer = server.put(&path, &alice, content.clone()).await;
        assert_eq!(code(answer), refused(400, "M_INVALID_PARAM"), "{kind} {content}");
    }
    let acl = json!({ "allow": ["*"], "deny": ["b.example"] });
    server.sets(&alice, &room, ("m.room.server_acl", acl)).await;
    let tombstone = json!({ "body": "gone", "replacement_room": "!other:a.example" });
    server.sets(&alice, &room, ("m.room.tombstone", tombstone)).await;
}

#[tokio::test]
async fn a_room_does_not_begin_with_what_its_rules_forbid() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let user = |who: &Person| json!({ "users": { (&who.user_id): 100 } });
    let state = |kind: &str, key: &str, content: Value| json!({ "initial_state": [{ "type": kind, "state_key": key, "content": content }] });
    let joined = json!({ "membership": "join" });
    for (body, errcode) in [
        (json!({ "power_level_content_override": user(&alice) }), "M_INVALID_ROOM_STATE"),
        (
            json!({
                "power_level_content_override": user(&bob),
                "creation_content": { "additional_creators": [bob.user_id] },
            }),
            "M_INVALID_ROOM_STATE",
        ),
        (
            json!({
                "power_level_content_override": user(&bob),
                "preset": "trusted_private_chat", "invite": [bob.user_id],
            }),
            "M_INVALID_ROOM_STATE",
        ),
        (state("m.room.member", &alice.user_id, joined), "M_INVALID_ROOM_STATE"),
        (state("m.room.server_acl", "", json!({ "allow": [] })), "M_INVALID_ROOM_STATE"),
        (state("m.room.canonical_alias", "", json!({ "alias": "#no:a.example" })), "M_BAD_ALIAS"),
        (json!({ "room_alias_name": "x".repeat(300) }), "M_INVALID_PARAM"),
        (
            json!({
                "creation_content": { "additional_creators": [format!("@{}:x", "x".repeat(300))] },
            }),
            "M_BAD_JSON",
        ),
    ] {
        let mut body = body;
        body["room_version"] = json!("12");
        let answer = server.post("/_matrix/client/v3/createRoom", &alice, body.clone()).await;
        assert_eq!(code(answer), refused(400, errcode), "{body}");
    }
    assert_eq!(
        server.fetch(&alice, "/_matrix/client/v3/joined_rooms").await["joined_rooms"],
        json!([])
    );

    let own = json!({
        "room_version": "12", "room_alias_name": "tea",
        "power_level_content_override": { "users": { (&bob.user_id): 50 }, "state_default": 200 },
        "initial_state": [{
            "type": "m.room.canonical_alias", "state_key": "",
            "content": { "alias": "#tea:a.example" },
        }],
    });
    let room = server.public_room(&alice, own).await;
    let path = format!("/_matrix/client/v3/rooms/{room}/state/m.room.power_levels");
    let levels = server.fetch(&alice, &path).await;
    assert_eq!(levels["events"]["m.room.tombstone"], 201, "more than any other state takes");
}

#[tokio::test]
async fn a_ban_that_is_in_the_way_or_is_none_is_a_bad_state() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    server.joins(&bob, &room).await;
    let path = |what: &str| format!("/_matrix/client/v3/rooms/{room}/{what}");
    let whom = || json!({ "user_id": bob.user_id });
    let bad = refused(403, "M_BAD_STATE");
    assert_eq!(code(server.post(&path("unban"), &alice, whom()).await), bad);
    assert_eq!(server.post(&path("ban"), &alice, whom()).await.0, 200);
    for what in ["kick", "invite"] {
        assert_eq!(code(server.post(&path(what), &alice, whom()).await), bad, "{what}");
    }
    assert_eq!(server.post(&path("unban"), &alice, whom()).await.0, 200);
    assert_eq!(code(server.post(&path("unban"), &alice, whom()).await), bad);
    let answer = server.post(&path("kick"), &alice, whom()).await;
    assert_eq!(code(answer), refused(403, "M_FORBIDDEN"), "who is not there is no matter of bans");
}

#[tokio::test]
async fn a_room_is_named_by_those_in_it_and_admins_and_not_at_length() {
    let server = server();
    let admin = moderation::admin(&server, "root").await;
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({ "preset": "private_chat" })).await;
    let path = |name: &str| format!("/_matrix/client/v3/directory/room/%23{name}:a.example");
    for room in [&*room, "!nowhere:a.example"] {
        let answer = server.put(&path("mine"), &bob, json!({ "room_id": room })).await;
        assert_eq!(code(answer), refused(403, "M_FORBIDDEN"), "{room}");
    }
    let here = || json!({ "room_id": room });
    let long = path(&"x".repeat(300));
    assert_eq!(code(server.put(&long, &alice, here()).await), refused(400, "M_INVALID_PARAM"));
    assert_eq!(server.put(&path("hers"), &alice, here()).await.0, 200);
    assert_eq!(server.put(&path("theirs"), &admin, here()).await.0, 200);
    let nowhere = json!({ "room_id": "!nowhere:a.example" });
    assert_eq!(code(server.put(&path("none"), &admin, nowhere).await), refused(404, "M_NOT_FOUND"));
}

#[tokio::test]
async fn nobody_ignores_themselves() {
    let server = server();
    let alice = server.person("alice").await;
    let room = server.public_room(&alice, json!({})).await;
    let path =
        format!("/_matrix/client/v3/user/{}/account_data/m.ignored_user_list", alice.user_id);
    let list = json!({ "ignored_users": { (&alice.user_id): {} } });
    assert_eq!(server.put(&path, &alice, list).await.0, 200);
    let said = server.says(&alice, &room, Value::Null).await;
    let sync = server.fetch(&alice, "/_matrix/client/v3/sync").await;
    let timeline = &sync["rooms"]["join"][&room]["timeline"]["events"];
    assert!(rooms::each(timeline, "event_id").contains(&said.as_str()), "{timeline}");
}
