"""Who comes late pages back to the beginning; who may not read the past does not."""

from people import eventually

WORDS = 70


def play(stage, facts):
    for here, there in stage.ways():
        with facts.part(f"the past of a room of {here}"):
            past(here, there, facts)
        with facts.part(f"the hidden past of a room of {here}"):
            hidden(here, there, facts)


def past(here, there, facts):
    """More was said than any server sends at a join."""
    check = facts.about(f"room of {here}")
    alice, bob = here.person("alice"), there.person("bob")
    room = alice.create_room("12")
    first = [f"early {n}" for n in range(WORDS)]
    ids = [alice.say(room, text) for text in first]
    bob.join(room, here.name)
    seen = bob.texts(room)
    check(f"somebody of {there} pages back to the first word", seen == first, seen)
    kinds = [event["type"] for event in bob.timeline(room)]
    check("and to the room's making", kinds and kinds[-1] == "m.room.create", kinds[-3:])
    check("and sees every event once", len({e["event_id"] for e in bob.timeline(room)}) == len(kinds), len(kinds))
    context = bob.ask("GET", "rooms", room, "context", ids[WORDS // 2], query={"limit": 4})
    check("and sees what was said around a word", context[0] == 200 and len(context[1]["events_before"]) == 2, context)

    # A gap: away while more is said than is sent along, then back.
    bob.leave(room)
    alice.sees_membership(room, bob.user_id, "leave")
    between = [f"between {n}" for n in range(WORDS)]
    for text in between:
        alice.say(room, text)
    bob.join(room, here.name)
    after = alice.say(room, "after")
    check("who comes back hears what is said", bob.sees_event(room, after))
    wanted = [*first, *between, "after"]
    texts = eventually(lambda: bob.texts(room) == wanted, 20)
    check("and pages back over the gap in order", texts, bob.texts(room))


def hidden(here, there, facts):
    """History for members since they joined."""
    check = facts.about(f"room of {here} with hidden past")
    alice, bob = here.person("alice"), there.person("bob")
    room = alice.create_room("12", initial_state=[
        {"type": "m.room.history_visibility", "state_key": "", "content": {"history_visibility": "joined"}},
    ])
    secret = [alice.say(room, f"secret {n}") for n in range(12)]
    bob.join(room, here.name)
    said = alice.say(room, "for all")
    check("who joined hears what is said", bob.sees_event(room, said))
    texts = bob.texts(room)
    check("and reads nothing from before", texts == ["for all"], texts)
    check("not even by its id", not any(bob.event(room, event_id) for event_id in secret[-3:]))
