"""Guests of ours and rooms that live elsewhere: in where policy says so, and nowhere else."""

from people import eventually

GUEST_ACCESS = {"type": "m.room.guest_access", "state_key": "", "content": {"guest_access": "can_join"}}
REFUSED = (403, "M_GUEST_ACCESS_FORBIDDEN")


def play(stage, facts):
    with facts.part("guests in rooms elsewhere"):
        elsewhere(stage.vestibule, stage.synapse, facts.check)
    with facts.part("guests in a room of a space"):
        curated(stage.vestibule, stage.synapse, facts.check)
    with facts.part("guests in a room we are in"):
        resident(stage.vestibule, stage.synapse, facts.check)


def elsewhere(ours, theirs, check):
    host = theirs.person("host")
    # A guest is taken to no server but those the scope names: the one in the room's identifier, here.
    open_room = host.create_room("11", initial_state=[GUEST_ACCESS])
    out_of_scope = host.create_room("11", initial_state=[GUEST_ACCESS])
    # Synapse forbids nobody of ours by `guest_access`: it takes our guest for anybody. We have to look.
    closed = host.create_room("11", preset="private_chat", initial_state=[
        {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "public"}},
        {**GUEST_ACCESS, "content": {"guest_access": "forbidden"}},
    ])
    ours.open_to_guests(open_room, closed)
    guest = ours.guest()
    answer = eventually(lambda: entered(guest.try_join(open_room, theirs.name)), 15)
    check("a guest joins a room in scope that lives elsewhere", answer, guest.try_join(open_room, theirs.name))
    check("their host sees them", host.sees_membership(open_room, guest.user_id, "join"))
    member = host.state(open_room).get(("m.room.member", guest.user_id), {}).get("content", {})
    check("with the guest's mark in the name", str(member.get("displayname", "")).endswith("(guest)"), member)
    said = guest.say(open_room, "hello from a guest")
    check("a guest is heard elsewhere", host.sees_event(open_room, said))
    said = host.say(open_room, "hello guest")
    check("and hears", guest.sees_event(open_room, said))

    answer = guest.try_join(out_of_scope, theirs.name)
    check("refuses a guest a room out of scope", refusal(answer) == REFUSED, answer)
    check("and their host never sees one", host.membership(out_of_scope, guest.user_id) is None)
    host.member_act("invite", out_of_scope, guest.user_id)
    answer = guest.try_join(out_of_scope, theirs.name)
    check("an invitation opens no room out of scope", refusal(answer) == REFUSED, answer)

    answer = guest.try_join(closed, theirs.name)
    check("refuses a guest a listed room that does not let guests in", refusal(answer) == REFUSED, answer)
    left = eventually(lambda: host.membership(closed, guest.user_id) in (None, "leave"), 15)
    check("and none of ours stays in it", left, host.membership(closed, guest.user_id))

    host.set_state(open_room, "m.room.guest_access", {"guest_access": "forbidden"})
    check("guests leave when the room closes to them", host.sees_membership(open_room, guest.user_id, "leave"))


def curated(ours, theirs, check):
    """A version 12 room names no server: whoever curates a space of ours says where it is."""
    host, mona, guest = theirs.person("host"), ours.moderator("mona"), ours.guest()
    room = host.create_room("12", initial_state=[GUEST_ACCESS])
    space = mona.create_room("12", creation_content={"type": "m.space"})
    ours.open_to_guests(space=space)
    answer = guest.try_join(room, theirs.name)
    check("refuses a guest a room that no space has yet", refusal(answer) == REFUSED, answer)
    mona.set_state(space, "m.space.child", {"via": [theirs.name]}, room)
    answer = eventually(lambda: entered(guest.try_join(room)), 15)
    check("a guest joins a room elsewhere that a space of ours opens", answer, guest.try_join(room))
    check("and their host sees that", host.sees_membership(room, guest.user_id, "join"))


def resident(ours, theirs, check):
    """A member of ours is in the room already: the guest's join is still asked for where the room is."""
    host, alice, guest = theirs.person("host"), ours.person("alice"), ours.guest()
    room = host.create_room("12", initial_state=[GUEST_ACCESS])
    alice.join(room, theirs.name)
    answer = guest.try_join(room)
    check("a room a member is in is not in scope by that", refusal(answer) == REFUSED, answer)
    ours.open_to_guests(room)
    answer = eventually(lambda: entered(guest.try_join(room)), 15)
    check("a guest joins a listed room that our server is in", answer, guest.try_join(room))
    check("and is seen elsewhere", host.sees_membership(room, guest.user_id, "join"))
    host.member_act("kick", room, guest.user_id)
    check("a guest is kicked from elsewhere", eventually(lambda: guest.membership(room, guest.user_id) != "join"))


def entered(answer):
    return answer[0] == 200


def refusal(answer):
    status, body = answer
    return status, body.get("errcode") if isinstance(body, dict) else None
