"""Inviting by an e-mail address that becomes somebody's on the other server, or on the same one."""


def play(stage, facts):
    for here, there in stage.ways():
        for version in ("11", "12"):
            check = facts.about(f"v{version} room of {here}")
            with facts.part(f"an address invited to a v{version} room of {here}"):
                turns_up(version, (here, there), stage.identity, check)
        with facts.part(f"an address invited and found on {here}"):
            at_home(here, stage.identity, facts)
        with facts.part(f"a key that was revoked, and a room of {here}"):
            forged(here, there, stage.identity, facts)


def invite(person, room, address, identity):
    return person.ask("POST", "rooms", room, "invite", body={
        "id_server": identity.name, "id_access_token": "known here", "medium": "email", "address": address,
    })


def turns_up(version, ways, identity, check):
    here, there = ways
    alice, bob, carol = here.person("alice"), there.person("bob"), there.person("carol")
    address = f"somebody-of-{alice.user_id[1:].split(':')[0]}@example.org"
    room = alice.create_room(version, preset="private_chat", name="By address")
    # Somebody of the other server is in the room already: it has to judge the invitation too.
    alice.member_act("invite", room, carol.user_id)
    carol.join(room)
    status, answer = invite(alice, room, address, identity)
    check("an address is invited", status == 200, answer)
    state = alice.state(room).get(("m.room.third_party_invite", f"token-{address}"))
    check("the room says by which key its owner is known", state and state["content"].get("public_key")
          == identity.public_key, state)
    since = bob.mark()
    status, answer = identity.bind(address, bob)
    check(f"{there} is told that the address is somebody's", status == 200, answer)
    check("who is invited", bob.sees_invite(since, room))
    answer = bob.try_join(room)
    check("and enters", answer[0] == 200, answer)
    check(f"and is seen on {here}", alice.sees_membership(room, bob.user_id, "join"))
    check(f"and on {there}", carol.sees_membership(room, bob.user_id, "join"))


def at_home(here, identity, facts):
    alice, bob = here.person("alice"), here.person("bob")
    address = f"home-of-{alice.user_id[1:].split(':')[0]}@example.org"
    room = alice.create_room("12", preset="private_chat")
    invite(alice, room, address, identity)
    identity.bind(address, bob)
    facts.check(f"{here} invites its own user who owns the address",
                alice.sees_membership(room, bob.user_id, "invite"), alice.membership(room, bob.user_id))


def forged(here, there, identity, facts):
    """A proof for an invitation that was taken back invites nobody."""
    alice, bob = here.person("alice"), there.person("bob")
    address = f"gone-of-{alice.user_id[1:].split(':')[0]}@example.org"
    room = alice.create_room("12", preset="private_chat")
    invite(alice, room, address, identity)
    alice.set_state(room, "m.room.third_party_invite", {}, f"token-{address}")
    identity.bind(address, bob)
    facts.check(f"an invitation that {here} took back invites nobody of {there}",
                not alice.sees_membership(room, bob.user_id, "invite", 4), alice.membership(room, bob.user_id))
