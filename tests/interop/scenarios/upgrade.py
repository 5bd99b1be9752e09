"""A room is replaced by one of a newer version, and people of the other server follow."""

from people import eventually


def play(stage, facts):
    for here, there in stage.ways():
        with facts.part(f"an upgrade on {here}"):
            upgrade(here, there, facts)


def upgrade(here, there, facts):
    check = facts.about(f"room of {here}")
    alice, bob = here.person("alice"), there.person("bob")
    old = alice.create_room("11", name="Long lived")
    bob.join(old, here.name)
    alice.sees_membership(old, bob.user_id, "join")
    status, answer = alice.ask("POST", "rooms", old, "upgrade", body={"new_version": "12"})
    check("it is upgraded", status == 200, answer)
    new = answer["replacement_room"]
    tombstone = eventually(lambda: bob.state(old).get(("m.room.tombstone", "")))
    check(f"{there} sees the tombstone", tombstone and tombstone["content"]["replacement_room"] == new, tombstone)
    status, answer = bob.try_join(new, here.name)
    check(f"somebody of {there} follows", status == 200, answer)
    create = bob.state(new).get(("m.room.create", ""), {}).get("content", {})
    check("the new room names the old one", create.get("predecessor", {}).get("room_id") == old, create)
    check("and is of the new version", create.get("room_version") == "12", create)
    check("and kept its name", bob.ask("GET", "rooms", new, "state", "m.room.name")[1] == {"name": "Long lived"})
    said = bob.say(new, "here we go on")
    check("and who followed is heard", alice.sees_event(new, said))
    answer = bob.send(old, "m.room.message", {"msgtype": "m.text", "body": "anybody left?"})
    check(f"{there} lets nobody without power speak in the old room", answer[0] == 403, answer)
