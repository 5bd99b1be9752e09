"""A room that shuts a server out, and lets it in again."""


def play(stage, facts):
    for here, there in stage.ways():
        check = facts.about(f"room of {here}")
        with facts.part(f"a room of {here} that shuts {there} out"):
            shut_out(here, there, check)


def shut_out(here, there, check):
    alice, bob, carol = here.person("alice"), there.person("bob"), there.person("carol")
    room = alice.create_room("12")
    bob.join(room, here.name)
    alice.sees_membership(room, bob.user_id, "join")
    # A list matches names without their ports.
    shut = alice.set_state(room, "m.room.server_acl", {"allow": ["*"], "deny": [there.address]})
    check(f"{there} is told that it is shut out", bob.sees_event(room, shut))
    said = bob.say(room, "can you hear me")
    mine = alice.say(room, "nobody there")
    check(f"{here} does not hear who is shut out", not alice.sees_event(room, said, 4))
    carol.try_join(room, here.name)
    check("nobody else of it comes in", not alice.sees_membership(room, carol.user_id, "join", 3))
    opened = alice.set_state(room, "m.room.server_acl", {"allow": ["*"], "deny": []})
    check(f"{there} is told that it may take part again", bob.sees_event(room, opened))
    check("and heard what was said meanwhile", bob.sees_event(room, mine))
    again = bob.say(room, "and now")
    check(f"{here} hears it again", alice.sees_event(room, again))
    carol.try_join(room, here.name)
    check("and somebody else of it comes in", alice.sees_membership(room, carol.user_id, "join"))
