"""Servers that do not reach each other for a while, and what they owe each other afterwards."""

import time

from people import eventually

from .rooms import agree, differences

MORE_THAN_A_TRANSACTION = 60


def play(stage, facts):
    for down in stage.both:
        with facts.part(f"{down} stopped and started again"):
            stopped(stage, down, facts)
    with facts.part("a frozen peer"):
        frozen(stage.vestibule, stage.synapse, facts.check)
    for version in ("10", "11", "12"):
        with facts.part(f"a v{version} room torn apart"):
            torn(stage, version, facts)


def stopped(stage, down, facts):
    """One server ends and comes back: it hears what it missed, and is heard."""
    up = next(server for server in stage.both if server is not down)

    check = facts.about(f"{down} away")
    alice, bob = up.person("alice"), down.person("bob")
    rooms = [alice.create_room("12") for _ in range(2)]
    for room in rooms:
        bob.join(room, up.name)
        alice.sees_membership(room, bob.user_id, "join")
    busy, quiet = rooms
    mark = alice.say(busy, "before the fall")
    bob.sees_event(busy, mark)
    down.stop()
    missed = [alice.say(busy, f"missed {n}") for n in range(MORE_THAN_A_TRANSACTION)]
    topic = alice.set_state(busy, "m.room.topic", {"topic": "while you were out"})
    whisper = alice.say(quiet, "one word")
    down.start()
    check("the last word of a busy room arrives", bob.sees_event(busy, missed[-1], 60))
    check("the only word of a quiet room arrives", bob.sees_event(quiet, whisper, 60))
    check("state that was set arrives", eventually(
        lambda: bob.state_ids(busy).get(("m.room.topic", "")) == topic, 30))
    wanted = ["before the fall", *(f"missed {n}" for n in range(MORE_THAN_A_TRANSACTION))]
    whole = eventually(lambda: bob.texts(busy) == wanted, 30)
    check("everything missed can be paged back to, in order", whole, bob.texts(busy))
    said = bob.say(busy, "I am back")
    check("who was away is heard", alice.sees_event(busy, said))
    check("both servers agree on every piece of state", agree(alice, bob, busy), differences(alice, bob, busy))


def frozen(ours, theirs, check):
    """A peer that takes connections and never answers costs our own people nothing."""
    alice, bob, carol = ours.person("alice"), theirs.person("bob"), ours.person("carol")
    room = alice.create_room("12")
    bob.join(room, ours.name)
    alice.sees_membership(room, bob.user_id, "join")
    theirs.freeze()
    try:
        took = []
        for n in range(15):
            started = time.monotonic()
            last = alice.say(room, f"into the silence {n}")
            took.append(time.monotonic() - started)
        check("nobody of ours waits for a peer that does not answer", max(took) < 5, took)
        carol.join(room)
        check("and ours come and go meanwhile", alice.membership(room, carol.user_id) == "join")
    finally:
        theirs.thaw()
    check("what was said arrives when it wakes up", bob.sees_event(room, last, 90))
    check("and who came meanwhile is seen", bob.sees_membership(room, carol.user_id, "join"))
    wanted = [f"into the silence {n}" for n in range(15)]
    check("in order and without a gap", eventually(lambda: bob.texts(room) == wanted), bob.texts(room))


def torn(stage, version, facts):
    """Both sides write state while they cannot reach each other; one state must come of it, the same for both."""
    ours, theirs = stage.vestibule, stage.synapse

    check = facts.about(f"v{version} room torn apart")
    alice, bob = ours.person("alice"), theirs.person("bob")
    carol, dora = ours.person("carol"), theirs.person("dora")
    room = alice.create_room(version)
    for person, via in ((bob, ours), (dora, ours), (carol, None)):
        person.join(room, *([via.name] if via else []))
    alice.sees_membership(room, dora.user_id, "join")
    levels = alice.must("GET", "rooms", room, "state", "m.room.power_levels")
    levels.setdefault("users", {})[bob.user_id] = 90
    bob.sees_event(room, alice.set_state(room, "m.room.power_levels", levels))

    for server in stage.both:
        server.wire.cut()
    try:
        said = [alice.say(room, "ours alone"), bob.say(room, "theirs alone")]
        alice.set_state(room, "m.room.topic", {"topic": "ours"})
        bob.set_state(room, "m.room.topic", {"topic": "theirs"})
        alice.member_act("ban", room, dora.user_id)
        dora.say(room, "not knowing that she is banned")
        bob.member_act("kick", room, carol.user_id)
        carol.say(room, "not knowing that she is kicked")
        levels["events_default"] = 1
        alice.set_state(room, "m.room.power_levels", levels)
        bob.set_state(room, "m.room.name", {"name": "theirs"})
    finally:
        for server in stage.both:
            server.wire.mend()
    # A word from each tells the other of its side.
    said += [alice.say(room, "healed, say we"), bob.say(room, "healed, say they")]
    for event_id in said:
        check(f"word {said.index(event_id) + 1} of 4 is on both sides",
              alice.sees_event(room, event_id, 60) and bob.sees_event(room, event_id, 60))
    check("both servers agree on every piece of state", agree(alice, bob, room, 60), differences(alice, bob, room))
    state = alice.state(room)
    check("a ban outlives what the banned did not know", state[("m.room.member", dora.user_id)]["content"]
          ["membership"] == "ban", state[("m.room.member", dora.user_id)])
    check("the room goes on: we hear them", alice.sees_event(room, bob.say(room, "on we go")))
    check("the room goes on: they hear us", bob.sees_event(room, alice.say(room, "on we go too")))
