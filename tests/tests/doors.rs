//! Which rooms a guest gets into, and by which road: the cases of the policy that need no clock.

use anyhow::Result;
use serde_json::json;
use vestibule_tests::{MANY_GUESTS, Person, Town, segment};

/// Every road to `join`, for somebody who was told it is closed.
async fn every_road_is_closed(guest: &Person, room: &str) -> Result<()> {
    let id = segment(room);
    let me = segment(&guest.user_id);
    let join = json!({ "membership": "join" });
    let roads = [
        ("POST", format!("/join/{id}"), json!({})),
        ("POST", format!("/rooms/{id}/join"), json!({})),
        ("PUT", format!("/rooms/{id}/state/m.room.member/{me}"), join),
        ("POST", format!("/knock/{id}"), json!({})),
    ];
    for (method, path, body) in roads {
        let answer = guest.ask(method, &path, body).await?;
        assert!(answer.refuses_a_guest(), "{method} {path}: {answer:?}");
    }
    assert!(!guest.rooms().await?.contains(&room.to_owned()));
    Ok(())
}

#[tokio::test]
async fn an_alias_added_after_a_refusal_works_at_once() -> Result<()> {
    let Some(town) = Town::with_guests().await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let room = mona.make_room(json!({})).await?;
    let guest = town.guest().await?;
    every_road_is_closed(&guest, &room).await?;
    mona.put_alias(&town.alias("hall"), &room).await?.ok()?;
    guest.join(&town.alias("hall")).await?.ok()?;
    guest.speak(&room, "hello").await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn an_invitation_never_widens_the_scope() -> Result<()> {
    let Some(town) = Town::with_guests().await? else { return Ok(()) };
    let alice = town.person("alice", "member").await?;
    let room = alice.make_room(json!({ "preset": "private_chat" })).await?;
    let guest = town.guest().await?;
    let answer = alice.invite(&room, &guest.user_id).await?;
    assert!(answer.refuses_a_member(), "{answer:?}");
    let invite = json!({ "membership": "invite" });
    let answer = alice.put_state(&room, "m.room.member", &guest.user_id, invite).await?;
    assert!(answer.refuses_a_member(), "{answer:?}");
    every_road_is_closed(&guest, &room).await?;
    let told = guest.sync(None).await?;
    assert!(told.pointer("/rooms/invite").is_none_or(|rooms| rooms == &json!({})), "{told}");
    Ok(())
}

#[tokio::test]
async fn guests_make_no_rooms_and_nobody_makes_one_around_them() -> Result<()> {
    let Some(town) = Town::with_guests().await? else { return Ok(()) };
    let alice = town.person("alice", "member").await?;
    let guest = town.guest().await?;
    for body in [json!({}), json!({ "is_direct": true, "invite": [alice.user_id] })] {
        let answer = guest.ask("POST", "/createRoom", body).await?;
        assert!(answer.refuses_a_guest(), "{answer:?}");
    }
    let dm =
        json!({ "is_direct": true, "preset": "trusted_private_chat", "invite": [guest.user_id] });
    let answer = alice.ask("POST", "/createRoom", dm).await?;
    assert!(answer.refuses_a_member(), "{answer:?}");
    assert_eq!(alice.rooms().await?, [""; 0], "a refusal leaves no room");
    Ok(())
}

#[tokio::test]
async fn one_refused_wish_of_a_new_room_leaves_no_room() -> Result<()> {
    let Some(town) = Town::with_guests().await? else { return Ok(()) };
    let alice = town.person("alice", "member").await?;
    for wish in [json!({ "room_alias_name": "mine" }), json!({ "visibility": "public" })] {
        let answer = alice.ask("POST", "/createRoom", wish.clone()).await?;
        assert!(answer.refuses_a_member(), "{wish}: {answer:?}");
    }
    assert_eq!(alice.rooms().await?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn room_ids_of_version_12_carry_no_server_and_are_doors_all_the_same() -> Result<()> {
    let Some(town) = Town::with_guests().await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let guest = town.guest().await?;
    for (version, with_server) in [("12", false), ("11", true)] {
        let room = mona.make_room(json!({ "room_version": version })).await?;
        assert_eq!(room.contains(':'), with_server, "{room}");
        assert!(guest.join(&room).await?.refuses_a_guest());
        mona.put_alias(&town.alias(&format!("v{version}")), &room).await?.ok()?;
        guest.join(&room).await?.ok()?;
        guest.speak(&room, "hello").await?.ok()?;
    }
    Ok(())
}

#[tokio::test]
async fn every_room_version_has_a_door() -> Result<()> {
    let Some(town) = Town::with_guests().await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let guest = town.guest().await?;
    for version in 3..=12 {
        let wish = json!({ "room_version": version.to_string(), "room_alias_name": format!("v{version}") });
        let room = mona.make_room(wish).await?;
        guest.join(&town.alias(&format!("v{version}"))).await?.ok()?;
        guest.speak(&room, "hello").await?.ok()?;
        guest.leave(&room).await?.ok()?;
    }
    let old = json!({ "room_version": "1" });
    let answer = mona.ask("POST", "/createRoom", old).await?;
    assert_eq!((answer.status, answer.errcode()), (400, "M_UNSUPPORTED_ROOM_VERSION"));
    Ok(())
}

#[tokio::test]
async fn knocks_by_guests_are_refused_in_open_rooms_too() -> Result<()> {
    let Some(town) = Town::with_guests().await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let rules = json!([
        { "type": "m.room.join_rules", "state_key": "", "content": { "join_rule": "knock" } },
        { "type": "m.room.guest_access", "state_key": "", "content": { "guest_access": "can_join" } },
    ]);
    let room = mona.make_room(json!({ "initial_state": rules, "room_alias_name": "bell" })).await?;
    let guest = town.guest().await?;
    for door in [room, town.alias("bell")] {
        let answer = guest.ask("POST", &format!("/knock/{}", segment(&door)), json!({})).await?;
        assert!(answer.refuses_a_guest(), "{answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_guest_with_power_50_still_cannot_kick_or_alias() -> Result<()> {
    let Some(town) = Town::with_guests().await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let bob = town.person("bob", "member").await?;
    let guest = town.guest().await?;
    let power = json!({ "users": { (guest.user_id.as_str()): 50 } });
    let wish = json!({ "room_alias_name": "hall", "power_level_content_override": power });
    let room = mona.make_room(wish).await?;
    bob.join(&room).await?.ok()?;
    guest.join(&room).await?.ok()?;
    let id = segment(&room);
    let bob = json!({ "user_id": bob.user_id });
    for act in ["kick", "ban", "unban", "invite"] {
        let answer = guest.ask("POST", &format!("/rooms/{id}/{act}"), bob.clone()).await?;
        assert!(answer.refuses_a_guest(), "{act}: {answer:?}");
    }
    let topic = json!({ "topic": "mine" });
    assert!(guest.put_state(&room, "m.room.topic", "", topic).await?.refuses_a_guest());
    assert!(guest.put_alias(&town.alias("mine"), &room).await?.refuses_a_guest());
    assert!(guest.delete_alias(&town.alias("hall")).await?.refuses_a_guest());
    let upgrade = json!({ "new_version": "12" });
    let answer = guest.ask("POST", &format!("/rooms/{id}/upgrade"), upgrade).await?;
    assert!(answer.refuses_a_guest(), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn join_rules_apply_behind_an_open_door() -> Result<()> {
    let Some(town) = Town::with_guests().await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let room = mona.make_room(json!({ "room_alias_name": "hall" })).await?;
    let rule = json!({ "join_rule": "invite" });
    mona.put_state(&room, "m.room.join_rules", "", rule).await?.ok()?;
    let guest = town.guest().await?;
    assert_eq!(guest.join(&room).await?.status, 403);
    mona.invite(&room, &guest.user_id).await?.ok()?;
    guest.join(&room).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn a_room_that_forbids_guests_stays_closed_to_them_and_not_to_members() -> Result<()> {
    let Some(town) = Town::with_guests().await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let alice = town.person("alice", "member").await?;
    // Without the event, as with `forbidden`, guests are not let in.
    let room = mona.make_room(json!({ "initial_state": [], "room_alias_name": "hall" })).await?;
    let guest = town.guest().await?;
    let answer = guest.join(&room).await?;
    assert_eq!((answer.status, answer.errcode()), (403, "M_GUEST_ACCESS_FORBIDDEN"));
    alice.join(&room).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn an_odd_spelling_of_the_path_reaches_the_same_verdict() -> Result<()> {
    let Some(town) = Town::with_guests().await? else { return Ok(()) };
    let alice = town.person("alice", "member").await?;
    let room = alice.make_room(json!({})).await?;
    let guest = town.guest().await?;
    let every =
        |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
    let (id, base) = (segment(&room), "/_matrix/client/v3");
    let member = json!({ "membership": "join" });
    let same = [
        ("POST", format!("{base}/join/{}", every(&room)), json!({})),
        ("POST", format!("{base}/rooms/{}/join", every(&room)), json!({})),
        (
            "PUT",
            format!(
                "{base}/rooms/{}/state/{}/{}",
                every(&room),
                every("m.room.member"),
                every(&guest.user_id)
            ),
            member,
        ),
    ];
    for (method, path, body) in same {
        let answer = guest.raw(method, &path, &body).await?;
        assert!(answer.refuses_a_guest(), "{path}: {answer:?}");
    }
    let no_road = [
        format!("{base}/%6Aoin/{id}"),
        format!("{base}/join/{id}/"),
        format!("{base}//join/{id}"),
        format!("{base}/rooms/{id}/./join"),
        format!("{base}/rooms/{id}%2Fjoin"),
        format!("/_matrix/client/../client/v3/join/{id}"),
    ];
    for path in no_road {
        let answer = guest.raw("POST", &path, &json!({})).await?;
        assert!((300..500).contains(&answer.status), "{path}: {answer:?}");
    }
    assert_eq!(guest.rooms().await?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_guest_that_writes_its_own_membership_meets_the_join_handler() -> Result<()> {
    let Some(town) = Town::with_guests().await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let room = mona.make_room(json!({})).await?;
    let guest = town.guest().await?;
    let me = json!({ "membership": "join", "displayname": "Wanderer" });
    let answer = guest.put_state(&room, "m.room.member", &guest.user_id, me.clone()).await?;
    assert!(answer.refuses_a_guest(), "{answer:?}");
    mona.put_alias(&town.alias("hall"), &room).await?.ok()?;
    guest.put_state(&room, "m.room.member", &guest.user_id, me).await?.ok()?;
    let shown = mona.state(&room, "m.room.member", &guest.user_id).await?.ok()?;
    assert_eq!(shown.get("membership"), Some(&json!("join")));
    let name = shown.get("displayname").and_then(|name| name.as_str()).unwrap_or_default();
    assert!(name.ends_with(" (guest)"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn a_false_canonical_alias_opens_nothing() -> Result<()> {
    let Some(town) = Town::with_guests().await? else { return Ok(()) };
    let (mona, alice) =
        (town.person("mona", "moderator").await?, town.person("alice", "member").await?);
    let open = mona.make_room(json!({ "room_alias_name": "open" })).await?;
    let guest = town.guest().await?;
    let access = json!({ "type": "m.room.guest_access", "state_key": "", "content": { "guest_access": "can_join" } });
    for alias in ["open", "nowhere"] {
        let content = json!({ "alias": town.alias(alias), "alt_aliases": [town.alias(alias)] });
        let state = json!([access, { "type": "m.room.canonical_alias", "state_key": "", "content": content }]);
        let wish = json!({ "preset": "public_chat", "initial_state": state });
        let answer = alice.ask("POST", "/createRoom", wish).await?;
        assert!(answer.status < 500, "{answer:?}");
        if let Some(room) = answer.body.get("room_id").and_then(|room| room.as_str()) {
            every_road_is_closed(&guest, room).await?;
        }
    }
    guest.join(&town.alias("open")).await?.ok()?;
    assert_eq!(guest.rooms().await?, [open]);
    Ok(())
}

#[tokio::test]
async fn a_guest_is_never_made_admin() -> Result<()> {
    let Some(town) = Town::with_guests().await? else { return Ok(()) };
    // The first user of this server is a guest.
    let guest = town.guest().await?;
    let mona = town.person("mona", "moderator").await?;
    let room = mona.make_room(json!({})).await?;
    let said = town.cli(&["user", "class", &guest.user_id, "admin"], "")?;
    assert!(!said.ok, "{said:?}");
    assert!(guest.join(&room).await?.refuses_a_guest());
    let whoami = guest.get("/account/whoami").await?.ok()?;
    assert_eq!(whoami.get("is_guest"), Some(&json!(true)));
    Ok(())
}

#[tokio::test]
async fn explaining_a_refusal_names_what_would_open_the_door() -> Result<()> {
    let Some(town) = Town::with_guests().await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let room = mona.make_room(json!({})).await?;
    let guest = town.guest().await?;
    let explain = || town.cli(&["policy", "explain", &guest.user_id, "join", &room], "");
    let said = explain()?;
    assert!(said.text.contains("refused: out_of_scope"), "{said:?}");
    assert!(said.text.contains("would be allowed by: an alias"), "{said:?}");
    mona.put_alias(&town.alias("hall"), &room).await?.ok()?;
    let said = explain()?;
    assert!(said.text.contains(": allowed"), "{said:?}");
    let said = town.cli(&["policy", "rooms", "--class", "guest"], "")?;
    assert!(said.ok && said.text.contains(&room), "{said:?}");
    let said = town.cli(&["policy", "explain", "@nobody:localhost", "join", &room], "")?;
    assert!(!said.ok, "{said:?}");
    for words in [
        &["room", "purge-history", &town.alias("hall"), "--before", "90d"][..],
        &["room", "block", &town.alias("hall")],
        &["room", "block", "!nobody-was-there:far.example"],
    ] {
        let said = town.cli(words, "")?;
        assert!(said.ok, "{words:?}: {said:?}");
    }
    assert!(guest.join(&town.alias("hall")).await?.refuses_a_guest());
    Ok(())
}

#[tokio::test]
async fn a_guest_link_opens_one_room_to_whoever_redeems_it_until_it_is_revoked() {
    use vestibule_testkit::server::Blueprint;

    let policy = format!(
        "[guests]\nenabled = true\nopen_rooms_by = []\n\
         when_room_leaves_scope = {{ do = \"evict\" }}\n{MANY_GUESTS}"
    );
    let server = Blueprint::default().with(&policy).start().await;
    let mona = server.person("mona", "moderator").await;
    let room = mona.create_guest_room(Some("hall")).await;
    let wanted = json!({ "room": "#hall:localhost", "uses": 1, "expires_in_ms": 3_600_000 });
    let made = server.operator("POST", "/guest_links", &wanted).await.ok();
    assert_eq!(made.get("room_id"), Some(&json!(room)));
    let token = json!({ "token": made.get("token").expect("told once") });
    let listed = server.operator("GET", "/guest_links", &json!({})).await.ok();
    assert!(!listed.to_string().contains("vgl_"), "{listed}");

    let (guest, other) = (server.guest().await, server.guest().await);
    let redeem = "/_vestibule/client/v1/guest_links/redeem";
    assert_eq!(guest.join(&room).await.reason(), Some("out_of_scope"));
    let nobody = server.http().post(redeem, &token).await;
    assert_eq!(nobody.refusal(), (401, "M_MISSING_TOKEN"));
    let opened = guest.http().post(redeem, &token).await.ok();
    assert_eq!(opened, json!({ "room_id": room }));
    guest.join(&room).await.ok();
    guest.say(&room, "hello").await;
    let refused = other.http().post(redeem, &token).await;
    assert_eq!((refused.status, refused.reason()), (403, Some("guest_link_used_up")));
    assert_eq!(other.join(&room).await.reason(), Some("out_of_scope"));
    let path = format!("/policy/explain?user={}&action=join&room=%23hall:localhost", other.user_id);
    let why = server.operator("GET", &path, &json!({})).await.ok();
    assert!(why.to_string().contains("a guest link for it"), "{why}");

    let id = made.get("id").and_then(|id| id.as_str()).expect("an id");
    server.operator("DELETE", &format!("/guest_links/{id}"), &json!({})).await.ok();
    for _ in 0..200 {
        if mona.state(&room, "m.room.member", &guest.user_id).await.body["membership"] == "leave" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("whoever came by a revoked link is still there");
}

#[tokio::test]
async fn a_moderator_blocks_a_room_and_a_member_does_not() {
    use vestibule_testkit::server::Blueprint;

    let server = Blueprint::default().start().await;
    let (mona, alice) = (server.person("mona", "moderator").await, server.register("alice").await);
    let room = alice.create_guest_room(None).await;
    let path = format!("/_vestibule/admin/v1/rooms/{}/block", segment(&room));
    let blocked = json!({ "blocked": true });
    assert_eq!(alice.http().put(&path, &blocked).await.refusal(), (403, "M_FORBIDDEN"));
    mona.http().put(&path, &blocked).await.ok();
    let refused = mona.join(&room).await;
    assert_eq!((refused.refusal(), refused.reason()), ((403, "M_FORBIDDEN"), Some("room_blocked")));
}
