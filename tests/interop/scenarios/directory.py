"""The list of public rooms, spaces, and summaries, asked of the other server."""

from people import eventually


def play(stage, facts):
    for here, there in stage.ways():
        check = facts.about(here)
        with facts.part(f"the public rooms of {here}"):
            public_rooms(here, there, check)
        with facts.part(f"a space of {here}"):
            hierarchy(here, there, check)
        with facts.part(f"a moment in a room of {here}"):
            moment(here, there, check)


def public_rooms(here, there, check):
    alice, bob = here.person("alice"), there.person("bob")
    title = f"Listed by {alice.user_id}"
    room = alice.create_room("12", name=title, visibility="public", topic="all about it")
    hidden = alice.create_room("12", name=f"Not {title}")
    query = {"server": here.name}
    status, answer = bob.ask("POST", "publicRooms", query=query, body={"limit": 50})
    found = {entry["room_id"]: entry for entry in answer.get("chunk", [])}
    check(f"{there} reads its public rooms", status == 200 and room in found, answer)
    entry = found.get(room, {})
    check("with name, topic and members", (entry.get("name"), entry.get("topic"), entry.get("num_joined_members"))
          == (title, "all about it", 1), entry)
    check("and not what is unlisted", hidden not in found, answer)
    body = {"filter": {"generic_search_term": title}}
    status, answer = bob.ask("POST", "publicRooms", query=query, body=body)
    check("and searches them", [entry["room_id"] for entry in answer.get("chunk", [])] == [room], answer)


def hierarchy(here, there, check):
    alice, bob = here.person("alice"), there.person("bob")
    space = alice.create_room("12", name="The space", creation_content={"type": "m.space"})
    child = alice.create_room("12", name="Open child")
    closed = alice.create_room("12", preset="private_chat", name="Closed child")
    for room in (child, closed):
        alice.set_state(space, "m.space.child", {"via": [here.name]}, room)
    bob.join(space, here.name)
    alice.sees_membership(space, bob.user_id, "join")
    names = eventually(lambda: listed(bob, space) == ["The space", "Open child"], 15)
    check(f"{there} walks a space it is in, to rooms it is not in", names, listed(bob, space))
    status, answer = bob.ask("GET", "room_summary", child, version="v1", query={"via": here.name})
    check(f"{there} is told what a room is, before joining", status == 200 and answer.get("name") == "Open child"
          and answer.get("join_rule") == "public", answer)
    status, answer = bob.ask("GET", "room_summary", closed, version="v1", query={"via": here.name})
    check("but not of a closed one", status in (403, 404), answer)


def listed(person, space):
    answer = person.must("GET", "rooms", space, "hierarchy", version="v1")
    return [room.get("name") for room in answer["rooms"]]


def moment(here, there, check):
    alice, bob = here.person("alice"), there.person("bob")
    room = alice.create_room("12")
    event_id = alice.say(room, "long ago")
    alice.say(room, "later")
    at = alice.event(room, event_id)["origin_server_ts"]
    bob.join(room, here.name)
    status, answer = bob.ask("GET", "rooms", room, "timestamp_to_event", version="v1", query={"ts": at, "dir": "f"})
    check(f"{there} finds an event by its time", status == 200 and answer.get("event_id") == event_id, answer)
