"""A room of every version in use, made on either side: entering it, speaking in it, and one state for both."""

from people import eventually

VERSIONS = ["10", "11", "12"]


def play(stage, facts):
    for version in VERSIONS:
        for here, there in stage.ways():
            with facts.part(f"a version {version} room of {here}"):
                one_room(version, here, there, facts)


def one_room(version, here, there, facts):
    what = f"v{version} room of {here}"

    check = facts.about(what)
    alice, bob = here.person("alice"), there.person("bob")
    room = alice.create_room(version, name="The room", topic="Before")
    early = alice.say(room, "before anybody came")
    answer = bob.try_join(room, here.name)
    check(f"somebody of {there} joins by id and via", answer == (200, {"room_id": room}), answer)
    check(f"{here} sees them in", alice.sees_membership(room, bob.user_id, "join"))
    check(f"{there} knows its version", room_version(bob, room) == version, bob.state(room).get(("m.room.create", "")))
    check(f"{there} shows the name it had", name(bob, room) == "The room", name(bob, room))

    said = alice.say(room, "hello over there")
    heard = bob.sees_event(room, said)
    check(f"words from {here} arrive", heard and heard["content"]["body"] == "hello over there", heard)
    answered = bob.say(room, "hello back")
    heard = alice.sees_event(room, answered)
    check(f"words from {there} arrive", heard and heard["sender"] == bob.user_id, heard)

    topic = alice.set_state(room, "m.room.topic", {"topic": "After"})
    check(f"state set on {here} is state on {there}", eventually(
        lambda: bob.state_ids(room).get(("m.room.topic", "")) == topic))

    redaction(alice, bob, room, check)
    levels(alice, bob, room, check)
    check("both servers agree on every piece of state", agree(alice, bob, room), differences(alice, bob, room))
    check(f"{there} may page back to what was said before", eventually(
        lambda: any(event["event_id"] == early for event in bob.timeline(room)), 10))


def redaction(alice, bob, room, check):
    """Either may take back their own words, and it is gone on both sides."""
    for who, other in ((alice, bob), (bob, alice)):
        said = who.say(room, "to be taken back")
        other.sees_event(room, said)
        status, answer = who.redact(room, said)
        check(f"{who.server} redacts", status == 200, answer)
        gone = eventually(lambda: (other.event(room, said) or {}).get("content") == {})
        check(f"a redaction by {who.server} takes effect on {other.server}", gone, other.event(room, said))


def levels(alice, bob, room, check):
    """Power given on one side is power on the other."""
    refused = bob.ask("PUT", "rooms", room, "state", "m.room.topic", "", body={"topic": "No right"})
    check(f"{bob.server} refuses state its person has no power for", refused[0] == 403, refused)
    content = alice.must("GET", "rooms", room, "state", "m.room.power_levels")
    content.setdefault("users", {})[bob.user_id] = 60
    changed = alice.set_state(room, "m.room.power_levels", content)
    bob.sees_event(room, changed)
    status, answer = bob.ask("PUT", "rooms", room, "state", "m.room.topic", "", body={"topic": "By right"})
    check(f"power given by {alice.server} is power on {bob.server}", status == 200, answer)
    topic = answer.get("event_id")
    check(f"state set on {bob.server} is state on {alice.server}", eventually(
        lambda: alice.state_ids(room).get(("m.room.topic", "")) == topic))


def room_version(person, room):
    create = person.state(room).get(("m.room.create", ""), {})
    return create.get("content", {}).get("room_version")


def name(person, room):
    return person.ask("GET", "rooms", room, "state", "m.room.name")[1].get("name")


def agree(one, other, room, seconds=30):
    """Whether both see the same state, event by event."""
    return eventually(lambda: one.state_ids(room) == other.state_ids(room) != {}, seconds)


def differences(one, other, room):
    mine, theirs = one.state_ids(room), other.state_ids(room)
    return {key: (mine.get(key), theirs.get(key)) for key in {*mine, *theirs} if mine.get(key) != theirs.get(key)}
