"""What people of one server see of people of the other: names, typing, read receipts, presence."""

from people import eventually


def play(stage, facts):
    for here, there in stage.ways():
        check = facts.about(f"person of {here}")
        with facts.part(f"a person of {here}"):
            profile(here, there, check)
        with facts.part(f"what a person of {here} does"):
            doings(here, there, check)
        with facts.part(f"whether a person of {here} is there"):
            presence(here, there, check)


def profile(here, there, check):
    alice, bob = here.person("alice"), there.person("bob")
    room = alice.create_room("12")
    bob.join(room, here.name)
    alice.sees_membership(room, bob.user_id, "join")
    alice.must("PUT", "profile", alice.user_id, "displayname", body={"displayname": "Alice A."})
    answer = bob.ask("GET", "profile", alice.user_id)
    check(f"{there} looks up the profile", answer[0] == 200 and answer[1].get("displayname") == "Alice A.", answer)
    answer = bob.ask("GET", "profile", alice.user_id, "displayname")
    check(f"{there} looks up one field", answer == (200, {"displayname": "Alice A."}), answer)
    unknown = bob.ask("GET", "profile", f"@nobody-of-this-name:{here.name}")
    check(f"{there} says 404 of somebody who is not", unknown[0] == 404, unknown)
    def name():
        return bob.state(room)[("m.room.member", alice.user_id)]["content"].get("displayname")

    check("a new name arrives in the room", eventually(lambda: name() == "Alice A."), name())


def doings(here, there, check):
    alice, bob = here.person("alice"), there.person("bob")
    room = alice.create_room("12")
    bob.join(room, here.name)
    alice.sees_membership(room, bob.user_id, "join")
    said = bob.say(room, "read this")
    alice.sees_event(room, said)
    since = bob.mark()
    alice.must("PUT", "rooms", room, "typing", alice.user_id, body={"typing": True, "timeout": 20000})
    check("typing is seen", bob.until(since, lambda sync: alice.user_id in ephemeral(
        sync, room, "m.typing").get("user_ids", [])))
    alice.must("PUT", "rooms", room, "typing", alice.user_id, body={"typing": False})
    check("its end is seen", bob.until(since, lambda sync: ephemeral(
        sync, room, "m.typing").get("user_ids") == []))
    since = bob.mark()
    alice.must("POST", "rooms", room, "receipt", "m.read", said)
    check("a read receipt is seen", bob.until(since, lambda sync: alice.user_id in ephemeral(
        sync, room, "m.receipt").get(said, {}).get("m.read", {})))


def presence(here, there, check):
    """Told to those who share a room, and kept for those who ask later."""
    alice, bob = here.person("alice"), there.person("bob")
    room = alice.create_room("12")
    bob.join(room, here.name)
    alice.sees_membership(room, bob.user_id, "join")
    for state, words in (("online", "at my desk"), ("unavailable", "making tea")):
        since = bob.mark()
        alice.must("PUT", "presence", alice.user_id, "status", body={"presence": state, "status_msg": words})
        seen = bob.until(since, lambda sync, words=words: [
            event["content"] for event in sync.get("presence", {}).get("events", [])
            if event["sender"] == alice.user_id and event["content"].get("status_msg") == words])
        check(f"that they are {state} is told on {there}", seen and seen[0]["presence"] == state, seen)
    status, answer = bob.ask("GET", "presence", alice.user_id, "status")
    check(f"and {there} says so who asks", status == 200 and answer.get("status_msg") == "making tea", answer)


def ephemeral(sync, room, kind):
    events = sync.get("rooms", {}).get("join", {}).get(room, {}).get("ephemeral", {}).get("events", [])
    return next((event["content"] for event in events if event["type"] == kind), {})
