"""What a client asks of a server from day to day, through every call matrix-nio has for it, held against its schemas."""

import logging
import struct
import sys
import zlib
from pathlib import Path

import nio
from nio.api import RelationshipType, ThreadInclusion
from nio.responses import RoomUpgradeResponse

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from crypto import Device  # noqa: E402
from facts import Facts, path, play  # noqa: E402

logging.getLogger("nio").setLevel(logging.ERROR)
logging.getLogger("nio.crypto").setLevel(logging.CRITICAL)
GLOBAL = "global"


def picture(side=64):
    """A picture that can be made smaller."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes((x * 4 % 256, y * 4 % 256, 99)[c] for x in range(side) for c in range(3)) for y in range(side))
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Scenario:
    """Alice and Bob, on an ordinary day."""

    def __init__(self, stage):
        self.facts = Facts("nio-everyday")
        self.check = self.facts.check
        self.stage = stage
        self.server = stage["server_name"]
        self.cast = []

    async def device(self, name, label):
        device = Device(self.stage["url"], name, label, self.stage["folder"])
        self.cast.append(device)
        answer = await device.log_in(self.stage["passwords"][name])
        self.check(f"{name} logs in", isinstance(answer, nio.LoginResponse), answer)
        device.listen()
        await device.told(lambda: device.syncs > 0)
        return device

    async def gets(self, fact, waiting, test=lambda answer: True):
        """States that a call is granted, fits nio's schema, and says what it should."""
        answer = await waiting
        good = not isinstance(answer, nio.ErrorResponse) and answer.transport_response.status == 200
        holds = False
        try:
            holds = good and bool(test(answer))
        except (AttributeError, KeyError, TypeError, IndexError) as odd:
            print(f"        odd: {odd!r}")
        self.check(fact, holds, answer)
        return answer if good else None

    async def meet(self):
        self.alice = await self.device("alice", "phone")
        self.bob = await self.device("bob", "phone")
        a, bob = self.alice.client, self.bob
        await self.gets("login flows", a.login_info(), lambda r: "m.login.password" in r.flows)
        await self.gets("whoami", a.whoami(), lambda r: r.user_id == a.user_id and r.device_id == a.device_id)
        await self.gets("the devices of an account", a.devices(), lambda r: a.device_id in {d.id for d in r.devices})
        await self.gets("naming a device", a.update_device(a.device_id, {"display_name": "red phone"}))
        await self.gets("the name sticks", a.devices(), lambda r: "red phone" in {d.display_name for d in r.devices})
        await self.gets("an OpenID token", a.get_openid_token(a.user_id), lambda r: r.access_token and r.expires_in > 0)
        await self.gets("a filter", a.upload_filter(room={"timeline": {"limit": 1}}), lambda r: r.filter_id)
        answer = await self.gets("a room", a.room_create(name="Square", topic="talk", preset=nio.RoomPreset.public_chat))
        self.room = answer.room_id
        await self.gets("joining it", bob.client.join(self.room), lambda r: r.room_id == self.room)
        seen = await self.alice.told(lambda: bob.user_id in getattr(a.rooms.get(self.room), "users", ()))
        self.check("the first one sees the second", seen)

    async def profiles(self):
        a, b = self.alice.client, self.bob.client
        await self.gets("a display name is set", a.set_displayname("Alice ❤"))
        await self.gets("and read by another", b.get_displayname(a.user_id), lambda r: r.displayname == "Alice ❤")
        seen = await self.bob.told(lambda: b.rooms[self.room].user_name(a.user_id) == "Alice ❤")
        self.check("and shown in the room", seen, b.rooms[self.room].user_name(a.user_id))
        where = f"mxc://{self.server}/none"
        await self.gets("a picture of oneself", a.set_avatar(where))
        await self.gets("is read by another", b.get_avatar(a.user_id), lambda r: r.avatar_url == where)
        await self.gets("a whole profile", b.get_profile(a.user_id), lambda r: (r.displayname, r.avatar_url) == ("Alice ❤", where))
        await self.gets("presence is set", a.set_presence("unavailable", "at lunch"))
        # Who syncs is online again, but the message stays.
        await self.gets("and read", b.get_presence(a.user_id), lambda r: r.status_msg == "at lunch")

    async def messages(self):
        alice, bob, room = self.alice, self.bob, self.room
        a, b = alice.client, bob.client
        sent = [await alice.say(room, f"line {n}") for n in range(25)]
        await bob.told(lambda: bob.message(room, "line 24"))
        await self.gets("an event", b.room_get_event(room, sent[3]), lambda r: r.event.body == "line 3")
        page = await self.gets("the newest events", b.room_messages(room, limit=10), lambda r: [e.body for e in r.chunk] == [
            f"line {n}" for n in range(24, 14, -1)])
        await self.gets("and the ones before", b.room_messages(room, start=page.end, limit=10), lambda r: [e.body for e in r.chunk] == [
            f"line {n}" for n in range(14, 4, -1)])
        forward = nio.MessageDirection.front
        await self.gets("and forwards again", b.room_messages(room, start=page.end, direction=forward, limit=5), lambda r: [
            e.body for e in r.chunk] == [f"line {n}" for n in range(15, 20)])
        await self.gets("what is around an event", b.room_context(room, sent[10], limit=4), lambda r: r.event.body == "line 10"
                        and [e.body for e in r.events_before] == ["line 9", "line 8"]
                        and [e.body for e in r.events_after] == ["line 11", "line 12"])
        await self.gets("a redaction", a.room_redact(room, sent[4], "oops"))
        gone = await bob.told(lambda: any(isinstance(e, nio.RedactionEvent) and e.redacts == sent[4] for _, e in bob.clear))
        self.check("is told", gone)
        await self.gets("what was redacted is empty", b.room_get_event(room, sent[4]), lambda r: isinstance(r.event, nio.RedactedEvent))
        seen = []
        b.add_ephemeral_callback(lambda _, event: seen.append(event), (nio.TypingNoticeEvent, nio.ReceiptEvent))
        await self.gets("typing", a.room_typing(room, True, 5_000))
        typed = await bob.told(lambda: any(isinstance(e, nio.TypingNoticeEvent) and a.user_id in e.users for e in seen))
        self.check("is seen", typed, seen)
        await self.gets("a receipt", a.update_receipt_marker(room, sent[20]))
        read = await bob.told(lambda: any(
            isinstance(e, nio.ReceiptEvent) and any(r.event_id == sent[20] and r.user_id == a.user_id for r in e.receipts)
            for e in seen
        ))
        self.check("is seen too", read, seen)
        await self.gets("read markers", a.room_read_markers(room, sent[24], sent[24]))
        marked = await alice.told(lambda: a.rooms[room].fully_read_marker == sent[24])
        self.check("come back to oneself", marked, a.rooms[room].fully_read_marker)
        counted = await alice.told(lambda: a.rooms[room].unread_notifications == 0)
        self.check("nothing is left to be read", counted, a.rooms[room].unread_notifications)
        self.sent = sent

    async def relations(self):
        a, b, room, root = self.alice.client, self.bob.client, self.room, self.sent[0]
        for n in range(3):
            await b.room_send(room, "m.room.message", {
                "msgtype": "m.text", "body": f"reply {n}", "m.relates_to": {"rel_type": "m.thread", "event_id": root},
            })
        await b.room_send(room, "m.reaction", {"m.relates_to": {"rel_type": "m.annotation", "event_id": root, "key": "+1"}})
        await self.alice.told(lambda: any(isinstance(e, nio.ReactionEvent) for _, e in self.alice.clear))
        found = [e async for e in a.room_get_event_relations(room, root, limit=2)]
        self.check("everything that points to an event, over pages", len(found) == 4, found)
        found = [e async for e in a.room_get_event_relations(room, root, RelationshipType.thread, limit=10)]
        self.check("only the thread", [e.body for e in found] == ["reply 2", "reply 1", "reply 0"], found)
        found = [e async for e in a.room_get_event_relations(room, root, RelationshipType.annotation, "m.reaction")]
        self.check("only reactions", [e.key for e in found] == ["+1"], found)
        found = [e async for e in a.room_get_threads(room, limit=5)]
        self.check("the threads of a room", [e.event_id for e in found] == [root], found)
        found = [e async for e in a.room_get_threads(room, ThreadInclusion.participated)]
        self.check("those one took part in", [e.event_id for e in found] == [root], found)

    async def state(self):
        a, b, room = self.alice.client, self.bob.client, self.room
        await self.gets("the state of a room", b.room_get_state(room), lambda r: {"m.room.create", "m.room.name", "m.room.topic"}
                        <= {e["type"] for e in r.events})
        await self.gets("one event of it", b.room_get_state_event(room, "m.room.name"), lambda r: r.content == {"name": "Square"})
        await self.gets("a topic", a.update_room_topic(room, "news"))
        told = await self.bob.told(lambda: b.rooms[room].topic == "news")
        self.check("is told", told, b.rooms[room].topic)
        refused = await b.update_room_topic(room, "mine")
        self.check("refuses a topic to who may not", getattr(refused, "status_code", "") == "M_FORBIDDEN", refused)
        missing = await b.room_get_state_event(room, "org.vestibule.none")
        self.check("state that is not there is not found", getattr(missing, "status_code", "") == "M_NOT_FOUND", missing)
        await self.gets("the members", b.joined_members(room), lambda r: {m.user_id for m in r.members} == {a.user_id, b.user_id})
        await self.gets("one's rooms", b.joined_rooms(), lambda r: room in r.rooms)
        await self.gets("an alias", a.room_put_alias(f"#square:{self.server}", room))
        await self.gets("is found", b.room_resolve_alias(f"#square:{self.server}"), lambda r: r.room_id == room)
        answer = await a.room_update_aliases(room, f"#square:{self.server}", [])
        self.check("it becomes the room's first", not isinstance(answer, nio.ErrorResponse), answer)
        told = await self.bob.told(lambda: b.rooms[room].canonical_alias == f"#square:{self.server}")
        self.check("which is told", told, b.rooms[room].canonical_alias)
        status, answer = self.alice.raw("PUT", path("directory", "list", "room", room), {"visibility": "public"})
        self.check("it is listed", status == 200, answer)
        await self.gets("which can be asked for", b.room_get_visibility(room), lambda r: r.visibility == "public")
        await self.gets("the list of rooms", b.list_public_rooms(limit=5), lambda r: room in {x.room_id for x in r.public_rooms})
        await self.gets("searched", b.list_public_rooms(filter_generic_search_term="squ"), lambda r: [x.room_id for x in r.public_rooms] == [room])
        await self.gets("searched for nothing", b.list_public_rooms(filter_generic_search_term="zzz"), lambda r: r.public_rooms == [])
        await self.gets("the alias goes", a.room_delete_alias(f"#square:{self.server}"))

    async def comings_and_goings(self):
        a, b, room = self.alice.client, self.bob.client, self.room
        await self.gets("a kick", a.room_kick(room, b.user_id, "just so"))
        gone = await self.bob.told(lambda: room in self.bob.left)
        self.check("is told to who was kicked", gone)
        await self.gets("coming back", b.join(room))
        await self.gets("a ban", a.room_ban(room, b.user_id))
        refused = await b.join(room)
        self.check("keeps out", getattr(refused, "status_code", "") == "M_FORBIDDEN", refused)
        await self.gets("is lifted", a.room_unban(room, b.user_id))
        await self.gets("and lets in", b.join(room))
        back = await self.bob.told(lambda: room not in self.bob.left)
        self.check("who is back is told so", back)
        await self.gets("leaving", b.room_leave(room))
        gone = await self.bob.told(lambda: room in self.bob.left)
        self.check("who left is told so", gone)
        await self.gets("forgetting", b.room_forget(room))
        refused = await b.room_messages(room)
        self.check("what is forgotten is not shown", isinstance(refused, nio.ErrorResponse), refused)
        answer = await self.gets("a room for knocking", a.room_create(name="Gate", preset=nio.RoomPreset.private_chat))
        gate = answer.room_id
        await self.alice.told(lambda: gate in a.rooms)
        await self.gets("knocking is allowed", a.room_enable_knocking(gate))
        await self.gets("a knock", b.room_knock(gate, "hello?"), lambda r: r.room_id == gate)
        heard = await self.alice.told(lambda: any(
            where == gate and isinstance(e, nio.RoomMemberEvent) and e.membership == "knock" for where, e in self.alice.clear
        ))
        self.check("is heard", heard)
        await self.gets("is answered", a.room_invite(gate, b.user_id))
        await self.bob.told(lambda: gate in b.invited_rooms)
        await self.gets("and entered", b.join(gate))

    async def spaces(self):
        a, b = self.alice.client, self.bob.client
        space = (await self.gets("a space", a.room_create(name="Town", space=True, preset=nio.RoomPreset.public_chat))).room_id
        inner = (await self.gets("a space in it", a.room_create(name="Quarter", space=True, preset=nio.RoomPreset.public_chat))).room_id
        for parent, child in ((space, self.room), (space, inner)):
            await self.gets("a child", a.room_put_state(parent, "m.space.child", {"via": [self.server]}, child))
        await self.gets("what is in the space", b.space_get_hierarchy(space), lambda r: {x["room_id"] for x in r.rooms} == {
            space, inner, self.room})
        await self.gets("over pages", b.space_get_hierarchy(space, limit=1), lambda r: len(r.rooms) == 1 and r.next_batch)

    async def rules(self):
        a, kind = self.alice.client, nio.PushRuleKind
        await self.gets("a push rule", a.set_pushrule(GLOBAL, kind.content, "cats", pattern="cat*", actions=[nio.PushNotify(), nio.PushSetTweak("sound", "default")]))
        await self.gets("for a room", a.set_pushrule(GLOBAL, kind.room, self.room, actions=[]))
        await self.gets("before another", a.set_pushrule(GLOBAL, kind.content, "dogs", before="cats", pattern="dog", actions=[nio.PushNotify()]))
        await self.gets("with conditions", a.set_pushrule(GLOBAL, kind.override, "large", actions=[], conditions=[nio.PushRoomMemberCount(10, ">")]))
        await self.gets("switched off", a.enable_pushrule(GLOBAL, kind.content, "cats", False))
        await self.gets("with other actions", a.set_pushrule_actions(GLOBAL, kind.content, "dogs", []))
        status, answer = self.alice.raw("GET", path("pushrules", ""))
        content = [(r["rule_id"], r["enabled"], r["actions"]) for r in answer["global"]["content"]] if status == 200 else answer
        self.check("as they were ordered", content[:2] == [("dogs", True, []), ("cats", False, ["notify", {"set_tweak": "sound", "value": "default"}])], content)
        await self.gets("and deleted", a.delete_pushrule(GLOBAL, kind.content, "cats"))
        again = await a.delete_pushrule(GLOBAL, kind.content, "cats")
        self.check("a rule that is not there is not found", getattr(again, "status_code", "") == "M_NOT_FOUND", again)

    async def files(self):
        a, b = self.alice.client, self.bob.client
        await self.gets("the limits of files", a.content_repository_config(), lambda r: r.upload_size > 0)
        file = self.alice.store / "picture.png"
        file.write_bytes(picture())
        answer, _ = await a.upload(lambda *_: str(file), "image/png", "Bild ü.png", filesize=file.stat().st_size)
        if not self.check("an upload", isinstance(answer, nio.UploadResponse), answer):
            return
        got = await b.download(answer.content_uri)
        self.check("a download", getattr(got, "body", None) == picture() and got.content_type == "image/png", got)
        self.check("with its name", getattr(got, "filename", None) == "Bild ü.png", getattr(got, "filename", got))
        media_id = answer.content_uri.rsplit("/", 1)[1]
        small = await b.thumbnail(self.server, media_id, 32, 32)
        self.check("a thumbnail", isinstance(small, nio.ThumbnailResponse) and small.body[:1] in (b"\x89", b"\xff", b"R"), small)
        none = await b.download(f"mxc://{self.server}/none")
        self.check("a file that is not there is not found", getattr(none, "status_code", "") == "M_NOT_FOUND", none)

    async def direct(self):
        a, b = self.alice.client, self.bob.client
        none = await a.list_direct_rooms()
        self.check("no direct rooms at first", isinstance(none, nio.ErrorResponse) and none.status_code == "M_NOT_FOUND", none)
        room = (await self.gets("a direct room", a.room_create(is_direct=True, preset=nio.RoomPreset.trusted_private_chat, invite=[b.user_id]))).room_id
        status, answer = self.alice.raw("PUT", path("user", a.user_id, "account_data", "m.direct"), {b.user_id: [room]})
        self.check("account data", status == 200, answer)
        await self.gets("the direct rooms", a.list_direct_rooms(), lambda r: r.rooms == {b.user_id: [room]})
        await self.bob.told(lambda: room in b.invited_rooms)
        self.check("who is invited sees who asks", b.invited_rooms[room].inviter == a.user_id, b.invited_rooms[room])

    async def upgrade(self):
        a = self.alice.client
        old = (await self.gets("a room to be upgraded", a.room_create(name="Old"))).room_id
        await self.alice.told(lambda: old in a.rooms)
        answer = await a.room_upgrade(old, "12")
        if self.check("an upgrade by the client", isinstance(answer, RoomUpgradeResponse), answer):
            told = await self.alice.told(lambda: any(
                where == old and getattr(e, "source", {}).get("type") == "m.room.tombstone" for where, e in self.alice.clear
            ))
            self.check("leaves a tombstone", told)

    async def goodbye(self):
        for who in (self.alice, self.bob):
            self.check(f"no sync of {who.name} failed", not who.sync_errors, who.sync_errors)
        other = await self.device("alice", "tablet")
        for who in (self.alice, other):
            await who.deaf()
        await self.gets("logging out everywhere", self.alice.client.logout(all_devices=True))
        status, answer = other.raw("GET", path("account", "whoami"))
        self.check("ends the other device too", status == 401, answer)

    async def play(self):
        acts = [
            self.meet, self.profiles, self.messages, self.relations, self.state, self.comings_and_goings, self.spaces,
            self.rules, self.files, self.direct, self.upgrade, self.goodbye,
        ]
        # Without the room there is no play.
        return await self.facts.acts(acts, lambda: hasattr(self, "room"), lambda: self.cast)


if __name__ == "__main__":
    play(Scenario)
