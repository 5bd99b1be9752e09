"""Invitations, leaving, kicks and bans between the servers."""

from people import eventually

VERSIONS = ["11", "12"]


def play(stage, facts):
    for version in VERSIONS:
        for here, there in stage.ways():
            what = f"v{version} room of {here}"

            check = facts.about(what)
            with facts.part(f"invitations to a {what}"):
                invitation(version, here, there, check)
                refusal(version, here, there, check)
                withdrawal(version, here, there, check)
            with facts.part(f"leaving a {what}"):
                removal(version, here, there, check)


def invitation(version, here, there, check):
    """An invitation to a private room arrives, says what it is for, and opens the room."""
    alice, bob = here.person("alice"), there.person("bob")
    since = bob.mark()
    room = alice.create_room(version, preset="private_chat", name="Private")
    answer = bob.try_join(room, here.name)
    check("who is not invited is refused", answer[0] == 403, answer)
    status, answer = alice.member_act("invite", room, bob.user_id)
    check(f"{here} invites somebody of {there}", status == 200, answer)
    events = bob.sees_invite(since, room) or []
    kinds = {event["type"]: event for event in events}
    check(f"the invitation arrives on {there}", bool(events))
    check("it tells the room's name", kinds.get("m.room.name", {}).get("content") == {"name": "Private"}, events)
    check("it tells the create event, stripped", "m.room.create" in kinds and all(
        "signatures" not in event and "hashes" not in event for event in events), events)
    answer = bob.try_join(room)
    check("it is accepted", answer[0] == 200, answer)
    said = alice.say(room, "welcome")
    check("who accepted hears what is said", bob.sees_event(room, said))
    check(f"{here} sees them in", alice.sees_membership(room, bob.user_id, "join"))
    # Inviting the other way round: from the server that does not own the room.
    carol = here.person("carol")
    since = carol.mark()
    status, answer = bob.member_act("invite", room, carol.user_id)
    check(f"somebody of {there} invites somebody of {here}", status == 200, answer)
    check(f"that invitation arrives on {here}", carol.sees_invite(since, room))
    answer = carol.try_join(room)
    check("and is accepted", answer[0] == 200, answer)
    check(f"{there} sees it", bob.sees_membership(room, carol.user_id, "join"))


def refusal(version, here, there, check):
    """An invitation is turned down."""
    alice, bob = here.person("alice"), there.person("bob")
    since = bob.mark()
    room = alice.create_room(version, preset="private_chat")
    alice.member_act("invite", room, bob.user_id)
    bob.sees_invite(since, room)
    status, answer = bob.leave(room)
    check("an invitation is turned down", status == 200, answer)
    check(f"{here} is told", alice.sees_membership(room, bob.user_id, "leave"))
    answer = bob.try_join(room, here.name)
    check("what was turned down opens nothing", answer[0] == 403, answer)


def withdrawal(version, here, there, check):
    """An invitation is taken back."""
    alice, bob = here.person("alice"), there.person("bob")
    since = bob.mark()
    room = alice.create_room(version, preset="private_chat")
    alice.member_act("invite", room, bob.user_id)
    bob.sees_invite(since, room)
    since = bob.mark()
    status, answer = alice.member_act("kick", room, bob.user_id)
    check("an invitation is taken back", status == 200, answer)
    check(f"{there} tells its person", bob.sees_leave(since, room))
    answer = bob.try_join(room, here.name)
    check("what was taken back opens nothing", answer[0] == 403, answer)


def removal(version, here, there, check):
    """Leaving, being kicked, being banned, and coming back."""
    alice, bob = here.person("alice"), there.person("bob")
    room = alice.create_room(version)
    bob.join(room, here.name)
    alice.sees_membership(room, bob.user_id, "join")
    status, answer = bob.leave(room)
    check("somebody leaves", status == 200, answer)
    check(f"{here} sees that they left", alice.sees_membership(room, bob.user_id, "leave"))
    answer = bob.try_join(room, here.name)
    check("who left comes back", answer[0] == 200, answer)
    alice.sees_membership(room, bob.user_id, "join")
    since = bob.mark()
    status, answer = alice.member_act("kick", room, bob.user_id, reason="go")
    check("somebody is kicked", status == 200, answer)
    check("who is kicked is told", bob.sees_leave(since, room))
    answer = bob.send(room, "m.room.message", {"msgtype": "m.text", "body": "still here"})
    check("who is kicked cannot speak", answer[0] == 403, answer)
    answer = bob.try_join(room, here.name)
    check("who was kicked comes back", answer[0] == 200, answer)
    check("and is seen", alice.sees_membership(room, bob.user_id, "join"))
    since = bob.mark()
    status, answer = alice.member_act("ban", room, bob.user_id)
    check("somebody is banned", status == 200, answer)
    check("who is banned is told", bob.sees_leave(since, room))
    answer = bob.try_join(room, here.name)
    check("who is banned is refused", answer[0] == 403, answer)
    status, answer = alice.member_act("unban", room, bob.user_id)
    check("the ban is lifted", status == 200, answer)
    joined = eventually(lambda: bob.try_join(room, here.name)[0] == 200, 10)
    check("who was banned comes back", joined, bob.try_join(room, here.name))
    check("and is seen again", alice.sees_membership(room, bob.user_id, "join"))
    said = bob.say(room, "I am back")
    check("and is heard", alice.sees_event(room, said))
