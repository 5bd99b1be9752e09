"""The other ways into a room: by alias, by knocking, by being in a space."""

from people import eventually


def play(stage, facts):
    for here, there in stage.ways():
        check = facts.about(f"room of {here}")
        with facts.part(f"by an alias of {here}"):
            alias(here, there, check)
        for version in ("11", "12"):
            def check_version(fact, holds, seen=None, here=here, version=version):
                return facts.check(f"v{version} room of {here}: {fact}", holds, seen)

            with facts.part(f"knocking at a v{version} room of {here}"):
                knock(version, here, there, check_version)
            with facts.part(f"through a space to a v{version} room of {here}"):
                restricted(version, here, there, check_version)


def alias(here, there, check):
    alice, bob = here.person("alice"), there.person("bob")
    localpart = f"door-{alice.user_id[1:].split(':')[0]}"
    room = alice.create_room("12", room_alias_name=localpart)
    name = f"#{localpart}:{here.name}"
    status, answer = bob.ask("GET", "directory", "room", name)
    check(f"{there} resolves the alias", status == 200 and answer.get("room_id") == room, answer)
    check("it names a server to join through", here.name in answer.get("servers", []), answer)
    status, answer = bob.try_join(name)
    check(f"somebody of {there} joins by alias alone", (status, answer.get("room_id")) == (200, room), answer)
    check("and is seen", alice.sees_membership(room, bob.user_id, "join"))
    status, answer = bob.ask("GET", "directory", "room", f"#no-such-door:{here.name}")
    check(f"{there} says 404 of an alias that is none", status == 404, answer)


def knock(version, here, there, check):
    alice, bob = here.person("alice"), there.person("bob")
    room = alice.create_room(version, preset="private_chat", name="Knock here", initial_state=[
        {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}},
    ])
    answer = bob.try_join(room, here.name)
    check("who has not been let in is refused", answer[0] == 403, answer)
    since = bob.mark()
    status, answer = bob.ask("POST", "knock", room, query={"via": here.name, "server_name": here.name},
                             body={"reason": "let me in"})
    check(f"somebody of {there} knocks", status == 200, answer)
    stripped = bob.until(since, lambda sync: (
        sync.get("rooms", {}).get("knock", {}).get(room, {}).get("knock_state", {}).get("events")), 10) or []
    check("who knocks is shown the room's name", any(
        event["type"] == "m.room.name" and event["content"]["name"] == "Knock here" for event in stripped), stripped)
    check(f"{here} hears it", alice.sees_membership(room, bob.user_id, "knock"))
    since = bob.mark()
    status, answer = alice.member_act("invite", room, bob.user_id)
    check("who knocked is invited", status == 200, answer)
    check("and is told", bob.sees_invite(since, room))
    answer = bob.try_join(room)
    check("and enters", answer[0] == 200, answer)
    check("and is seen", alice.sees_membership(room, bob.user_id, "join"))

    carol = there.person("carol")
    status, answer = carol.ask("POST", "knock", room, query={"via": here.name, "server_name": here.name})
    check("another one knocks", status == 200, answer)
    alice.sees_membership(room, carol.user_id, "knock")
    status, answer = carol.leave(room)
    check("a knock is taken back", status == 200, answer)
    check(f"{here} sees that", alice.sees_membership(room, carol.user_id, "leave"))


def restricted(version, here, there, check):
    alice, bob, carol = here.person("alice"), there.person("bob"), there.person("carol")
    space = alice.create_room(version, creation_content={"type": "m.space"})
    room = alice.create_room(version, preset="private_chat", initial_state=[{
        "type": "m.room.join_rules",
        "state_key": "",
        "content": {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": space}]},
    }])
    answer = carol.try_join(room, here.name)
    check("who is not in the space is refused", answer[0] == 403, answer)
    bob.join(space, here.name)
    alice.sees_membership(space, bob.user_id, "join")
    answer = bob.try_join(room, here.name)
    check("who is in the space joins", answer[0] == 200, answer)
    alice.sees_membership(room, bob.user_id, "join")
    member = alice.must("GET", "rooms", room, "state", "m.room.member", bob.user_id)
    check("who authorised it is named", member.get("join_authorised_via_users_server") == alice.user_id, member)
    # The joining server is in the room now and in the space: it can vouch no invite, so it asks again.
    dora = there.person("dora")
    dora.join(space, here.name)
    alice.sees_membership(space, dora.user_id, "join")
    answer = dora.try_join(room, here.name)
    check(f"a second one of {there} joins", answer[0] == 200, answer)
    joined = eventually(lambda: bob.membership(room, dora.user_id) == "join" == alice.membership(room, dora.user_id))
    check("and both servers see it", joined)
    answer = carol.try_join(room, here.name)
    check(f"{there}, now in the room, still refuses who is not in the space", answer[0] == 403, answer)
