"""The guest scenario through matrix-nio: two members, a moderator, and people without an account."""

import asyncio
import sys
import time
from pathlib import Path
from urllib.parse import quote

import nio

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from facts import Facts, path, plain, play, refused, say  # noqa: E402

FORBIDDEN = "M_FORBIDDEN"
GUEST_FORBIDDEN = "M_GUEST_ACCESS_FORBIDDEN"
PATIENCE_S = 15
CAST = 7
GUEST_ACCESS = {"type": "m.room.guest_access", "state_key": "", "content": {"guest_access": "can_join"}}


class Person:
    """One client that syncs in the background and remembers what it was told."""

    def __init__(self, url, name):
        config = nio.AsyncClientConfig(max_limit_exceeded=0, max_timeouts=0, request_timeout=30)
        self.client = nio.AsyncClient(url, name, config=config)
        self.url = url
        self.heard = []
        self.left = set()
        self.invited = set()
        self.sync_errors = []
        self.loop = None
        self.client.add_response_callback(self.on_sync, nio.SyncResponse)
        self.client.add_response_callback(self.on_error, nio.SyncError)

    @property
    def user_id(self):
        return self.client.user_id

    async def on_sync(self, response):
        for room_id, room in response.rooms.join.items():
            self.heard.extend((room_id, event.source) for event in room.state + room.timeline.events)
            self.left.discard(room_id)
        for room_id, room in response.rooms.leave.items():
            self.heard.extend((room_id, event.source) for event in room.timeline.events)
            self.left.add(room_id)
        self.invited.update(response.rooms.invite)

    async def on_error(self, response):
        self.sync_errors.append(str(response))

    def listen(self):
        self.loop = asyncio.create_task(self.client.sync_forever(timeout=10_000, full_state=True))

    async def told(self, test, within=PATIENCE_S):
        """Waits until `test()` holds; answers with whether it came to hold."""
        until = time.monotonic() + within
        while not test():
            if time.monotonic() > until or (self.loop and self.loop.done()):
                return test()
            await asyncio.sleep(0.05)
        return True

    async def hears(self, room_id, body):
        return await self.told(
            lambda: any(r == room_id and e.get("content", {}).get("body") == body for r, e in self.heard)
        )

    def membership(self, room_id, user_id):
        """The newest membership event of somebody this client was told of."""
        for room, event in reversed(self.heard):
            if room == room_id and event["type"] == "m.room.member" and event.get("state_key") == user_id:
                return event["content"]
        return {}

    def raw(self, method, where, body=None):
        return say(self.url, method, where, self.client.access_token, body)

    async def text(self, room_id, body):
        return await self.client.room_send(room_id, "m.room.message", {"msgtype": "m.text", "body": body})

    async def close(self):
        if self.loop:
            self.loop.cancel()
            await asyncio.gather(self.loop, return_exceptions=True)
        await self.client.close()


def refusal(response, errcode=GUEST_FORBIDDEN):
    """Whether nio was refused with this code; the raw requests also look at the status and reason."""
    return isinstance(response, nio.ErrorResponse) and response.status_code == errcode


def done(response):
    """Whether a request was granted; nio takes some refusals for answers, so the status decides."""
    return not isinstance(response, nio.ErrorResponse) and response.transport_response.status == 200


class Scenario:
    """The cast and the facts."""

    def __init__(self, stage):
        self.facts = Facts("nio")
        self.check = self.facts.check
        self.stage = stage
        self.url = stage["url"]
        self.server = stage["server_name"]
        self.rooms = stage["rooms"]
        self.cast = []

    def alias(self, localpart):
        return f"#{localpart}:{self.server}"

    async def member(self, name):
        person = Person(self.url, name)
        self.cast.append(person)
        answer = await person.client.login(self.stage["passwords"][name], device_name="nio")
        if not self.check(f"{name} logs in", done(answer), answer):
            raise RuntimeError(f"{name} has no session")
        person.listen()
        return person

    async def guest(self):
        """nio has no call to register a guest: one plain request, then nio carries the token."""
        status, answer = say(self.url, "POST", path("register") + "?kind=guest", body={})
        if status != 200:
            raise RuntimeError(f"no guest: {status} {answer}")
        person = Person(self.url, answer["user_id"])
        person.client.restore_login(answer["user_id"], answer["device_id"], answer["access_token"])
        self.cast.append(person)
        person.listen()
        return person

    async def room(self, who, name, join_rule=None, state=(), **more):
        """A room that lets anybody in, guests included, as far as the room itself goes."""
        initial = [GUEST_ACCESS, *state]
        if join_rule:
            initial.append({"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": join_rule}})
        answer = await who.client.room_create(
            name=name, preset=nio.RoomPreset.public_chat, initial_state=initial, **more
        )
        if not isinstance(answer, nio.RoomCreateResponse):
            raise RuntimeError(f"no room {name}: {answer}")
        return answer.room_id

    async def must(self, waiting):
        answer = await waiting
        if not done(answer):
            raise RuntimeError(f"refused: {plain(answer)}")
        return answer

    def rooms_of(self, person):
        """The server's own word on the rooms somebody is in."""
        status, answer = person.raw("GET", path("joined_rooms"))
        if status != 200:
            raise RuntimeError(f"joined_rooms: {status} {answer}")
        return set(answer["joined_rooms"])

    async def meet(self):
        self.alice = await self.member("alice")
        self.bob = await self.member("bob")
        self.mona = await self.member("mona")
        self.stray = await self.member("stray")
        self.visitor = await self.guest()
        self.prowler = await self.guest()
        self.quiet = await self.guest()
        self.check("a guest registers without an account", self.visitor.user_id.startswith("@guest-"), self.visitor.user_id)
        answer = await self.visitor.client.whoami()
        self.check("whoami calls a guest a guest", getattr(answer, "is_guest", None) is True, answer)
        answer = await self.alice.client.whoami()
        self.check("whoami calls a member no guest", not getattr(answer, "is_guest", True), answer)

    async def front_door(self):
        """The aliased room: in, heard, hearing."""
        check, alice, bob, mona, visitor = self.check, self.alice, self.bob, self.mona, self.visitor
        hall = self.hall = await self.room(alice, "Hall")
        await self.must(bob.client.join(hall))
        await self.must(mona.client.join(hall))
        answer = await visitor.client.join(hall)
        check("refuses a guest in a room without an alias", refusal(answer), answer)
        answer = alice.raw("PUT", path("directory", "room", self.alias("hall")), {"room_id": hall})
        check("refuses an alias to a plain member", refused(answer, FORBIDDEN), answer)
        answer = await visitor.client.join(self.alias("hall"))
        check("an alias that was refused opens nothing", isinstance(answer, nio.JoinError), answer)
        await self.must(mona.client.room_put_alias(self.alias("hall"), hall))
        answer = await visitor.client.join(self.alias("hall"))
        check("a guest joins the aliased room by its alias", getattr(answer, "room_id", None) == hall, answer)
        for person, name in ((alice, "the first member"), (bob, "the second member")):
            seen = await person.told(lambda p=person: p.membership(hall, visitor.user_id).get("membership") == "join")
            check(f"{name} sees the guest join", seen, person.membership(hall, visitor.user_id))
        shown = bob.membership(hall, visitor.user_id).get("displayname", "")
        check("the guest's name carries the server's mark", shown.endswith(" (guest)"), shown)
        answer = await visitor.text(hall, "hello from outside")
        check("a guest may speak in the aliased room", done(answer), answer)
        check("the guest is heard by the first member", await alice.hears(hall, "hello from outside"))
        check("the guest is heard by the second member", await bob.hears(hall, "hello from outside"))
        await self.must(bob.text(hall, "welcome"))
        check("the guest hears", await visitor.hears(hall, "welcome"))
        answer = await visitor.client.room_typing(hall)
        check("a guest may type", done(answer), answer)
        answer = await visitor.client.room_messages(hall, limit=20)
        bodies = [e.source["content"].get("body") for e in getattr(answer, "chunk", [])]
        check("a guest reads back", "welcome" in bodies, answer)

    async def ceiling(self):
        """Power in a room does not lift the ceiling of a class."""
        check, alice, visitor, hall = self.check, self.alice, self.visitor, self.hall
        levels = alice.raw("GET", path("rooms", hall, "state", "m.room.power_levels"))[1]
        levels.setdefault("users", {})[visitor.user_id] = 50
        await self.must(alice.client.room_put_state(hall, "m.room.power_levels", levels))
        answer = visitor.raw("POST", path("rooms", hall, "kick"), {"user_id": self.bob.user_id})
        check("refuses a kick to a guest with power", refused(answer), answer)
        answer = visitor.raw("PUT", path("directory", "room", self.alias("mine")), {"room_id": hall})
        check("refuses an alias to a guest with power", refused(answer), answer)
        answer = visitor.raw("PUT", path("rooms", hall, "state", "m.room.topic"), {"topic": "mine"})
        check("refuses a topic to a guest with power", refused(answer), answer)
        answer = visitor.raw("POST", path("createRoom"), {})
        check("refuses a guest a room of its own", refused(answer), answer)
        answer = visitor.raw("POST", path("rooms", hall, "invite"), {"user_id": self.stray.user_id})
        check("refuses an invitation by a guest", refused(answer), answer)

    async def wrong_doors(self):
        """Every room that is not open, by its id and by its alias."""
        check, prowler = self.check, self.prowler
        for name, where in (
            ("a never room by its alias", self.alias("staff")),
            ("a never room by another alias", self.alias("staff-lounge")),
            ("a never room by its id", self.rooms["staff"]),
            ("a room whose alias was made before rights were asked for", self.alias("early")),
            ("that room by its id", self.rooms["early"]),
        ):
            answer = prowler.raw("POST", path("join", where), {})
            check(f"refuses a guest in {name}", refused(answer), answer)
        den = await self.room(self.alice, "Den")
        await self.must(self.alice.client.room_put_alias(self.alias("~alice~den"), den))
        answer = prowler.raw("POST", path("join", self.alias("~alice~den")), {})
        check("a member's own alias opens no door", refused(answer), answer)
        answer = self.alice.raw("PUT", path("directory", "room", self.alias("~bob~den")), {"room_id": den})
        check("refuses a member somebody else's prefix", refused(answer, FORBIDDEN), answer)
        claimed = {"type": "m.room.canonical_alias", "state_key": "", "content": {"alias": self.alias("claimed")}}
        try:
            where = await self.room(self.alice, "Claimed", state=[claimed])
        except RuntimeError as no_room:
            check("a false canonical alias makes no room or no door", "M_" in str(no_room), str(no_room))
        else:
            answer = prowler.raw("POST", path("join", where), {})
            check("a false canonical alias makes no room or no door", refused(answer), answer)
        before = self.rooms_of(self.alice)
        answer = self.alice.raw("POST", path("createRoom"), {"preset": "public_chat", "room_alias_name": "shortcut"})
        check("refuses a room with an alias to a plain member", refused(answer, FORBIDDEN), answer)
        check("a refused createRoom leaves no room", self.rooms_of(self.alice) == before, before)

    async def back_doors(self):
        """Invitation, knock, the membership event itself, and odd spellings of the path."""
        check, alice, prowler = self.check, self.alice, self.prowler
        closed = await self.room(alice, "Closed")
        answer = alice.raw("POST", path("rooms", closed, "invite"), {"user_id": prowler.user_id})
        check("refuses an invitation of a guest into a closed room", refused(answer, FORBIDDEN), answer)
        answer = alice.raw(
            "PUT", path("rooms", closed, "state", "m.room.member", prowler.user_id), {"membership": "invite"}
        )
        check("refuses that invitation written as state", refused(answer, FORBIDDEN), answer)
        before = self.rooms_of(alice)
        answer = alice.raw("POST", path("createRoom"), {"is_direct": True, "invite": [prowler.user_id]})
        check("refuses a room made around a guest", refused(answer, FORBIDDEN), answer)
        check("that refusal leaves no room", self.rooms_of(alice) == before, before)
        answer = prowler.raw("POST", path("rooms", closed, "join"), {})
        check("refuses a guest at rooms/{id}/join", refused(answer), answer)
        knocking = await self.room(alice, "Knocking", join_rule="knock")
        answer = await prowler.client.room_knock(knocking)
        check("refuses a knock by a guest", refusal(answer), answer)
        me = {"membership": "join", "displayname": "nobody"}
        answer = prowler.raw("PUT", path("rooms", closed, "state", "m.room.member", prowler.user_id), me)
        check("refuses a guest that writes its own membership", refused(answer), answer)
        answer = prowler.raw(
            "PUT", path("rooms", self.rooms["staff"], "state", "m.room.member", prowler.user_id), me
        )
        check("refuses that in a never room too", refused(answer), answer)
        await self.odd_paths(closed, me)
        check("a guest refused at every door is in no room", self.rooms_of(prowler) == set(), self.rooms_of(prowler))
        check("no invitation reached the guest", closed not in prowler.invited, prowler.invited)

    async def odd_paths(self, closed, me):
        """Spellings that decode to the same request meet the same verdict; others are no road at all."""
        check, prowler, base = self.check, self.prowler, "/_matrix/client/v3"
        encoded = "".join(f"%{ord(c):02x}" for c in closed)
        user = "".join(f"%{ord(c):02X}" for c in prowler.user_id)
        answer = prowler.raw("POST", f"{base}/join/{encoded}", {})
        check("refuses a room id that is percent-encoded letter by letter", refused(answer), answer)
        answer = prowler.raw("PUT", f"{base}/rooms/{encoded}/state/m%2Eroom%2Emember/{user}", me)
        check("refuses the membership event with an encoded type", refused(answer), answer)
        for spelling in (
            f"{base}/%6Aoin/{quote(closed, safe='')}",
            f"{base}/join/{quote(closed, safe='')}/",
            f"{base}//join/{quote(closed, safe='')}",
            f"{base}/rooms/{quote(closed, safe='')}/./join",
            f"{base}/rooms/{quote(closed, safe='')}%2Fjoin",
        ):
            answer = prowler.raw("POST", spelling, {})
            check(f"no way in by {spelling.replace(quote(closed, safe=''), 'ROOM')}", answer[0] >= 300, answer)

    async def same_handler(self):
        """Writing one's own membership into an open room is the join handler, mark included."""
        check, prowler, hall = self.check, self.prowler, self.hall
        answer = prowler.raw(
            "PUT", path("rooms", hall, "state", "m.room.member", prowler.user_id),
            {"membership": "join", "displayname": "Wanderer"},
        )
        check("a guest may write its own membership into an open room", answer[0] == 200, answer)
        await self.bob.told(lambda: self.bob.membership(hall, prowler.user_id).get("membership") == "join")
        shown = self.bob.membership(hall, prowler.user_id).get("displayname") or ""
        check("and still carries the mark", shown.endswith(" (guest)"), shown)

    async def join_rules(self):
        """An open door does not replace the room's own join rules."""
        check, mona, visitor = self.check, self.mona, self.visitor
        club = await self.room(mona, "Club", join_rule="invite")
        await self.must(mona.client.room_put_alias(self.alias("club"), club))
        answer = await visitor.client.join(self.alias("club"))
        check("join rules still apply behind an open door", isinstance(answer, nio.JoinError), answer)
        answer = await mona.client.room_invite(club, visitor.user_id)
        check("a guest may be invited into an open room", done(answer), answer)
        check("the guest is told of the invitation", await visitor.told(lambda: club in visitor.invited), visitor.invited)
        answer = await visitor.client.join(club)
        check("and accepts it", done(answer), answer)
        shut = await self.room(mona, "Shut", state=[{**GUEST_ACCESS, "content": {"guest_access": "forbidden"}}])
        await self.must(mona.client.room_put_alias(self.alias("shut"), shut))
        answer = await self.prowler.client.join(self.alias("shut"))
        check("refuses a guest where the room forbids guests", refusal(answer), answer)

    async def listed(self):
        answer = await self.visitor.client.join(self.rooms["listed"])
        self.check("a listed room is open without an alias", done(answer), answer)

    async def space(self):
        """A child added by a curator opens; one added by a stranger with power does not."""
        check, mona, stray, visitor = self.check, self.mona, self.stray, self.visitor
        space = self.rooms["space"]
        opened = self.opened = await self.room(self.alice, "Opened by the space")
        shut = await self.room(self.alice, "Not opened by a stranger")
        via = {"via": [self.server]}
        answer = await visitor.client.join(space)
        check("the space itself is open", done(answer), answer)
        answer = await visitor.client.join(opened)
        check("refuses a guest in a room before it is a child", refusal(answer), answer)
        await self.must(mona.client.room_put_state(space, "m.space.child", via, opened))
        answer = await visitor.client.join(opened)
        check("a child added by a curator is open at once", done(answer), answer)
        await self.must(stray.client.room_put_state(space, "m.space.child", via, shut))
        answer = await visitor.client.join(shut)
        check("a child added by a stranger is not", refusal(answer), answer)
        await self.must(visitor.text(opened, "in the space"))
        await self.must(mona.client.room_put_state(space, "m.space.child", {}, opened))
        answer = await visitor.text(opened, "after the space")
        check("a child that is taken out is frozen", refusal(answer), answer)

    async def closing(self):
        """The alias goes: frozen (reads and leaves, cannot speak), then out."""
        check, mona, visitor, quiet = self.check, self.mona, self.visitor, self.quiet
        porch = await self.room(mona, "Porch")
        again = await self.room(mona, "Closed and opened again")
        for name, room in (("porch", porch), ("again", again)):
            await self.must(mona.client.room_put_alias(self.alias(name), room))
            await self.must(visitor.client.join(self.alias(name)))
        await self.must(quiet.client.join(self.alias("porch")))
        await self.must(visitor.text(porch, "before it closed"))
        check("a member heard the guest on the porch", await mona.hears(porch, "before it closed"))
        await self.must(mona.client.room_delete_alias(self.alias("again")))
        answer = await visitor.text(again, "too late")
        check("frozen at once when the alias goes", refusal(answer), answer)
        await self.must(mona.client.room_put_alias(self.alias("again"), again))
        answer = await visitor.text(again, "open again")
        check("thawed at once when the alias is back", done(answer), answer)
        await self.must(mona.client.room_delete_alias(self.alias("porch")))
        closed_at = time.monotonic()
        answer = visitor.raw("PUT", path("rooms", porch, "send", "m.room.message", "frozen1"), {"msgtype": "m.text", "body": "x"})
        check("a frozen guest cannot send", refused(answer), answer)
        answer = await visitor.client.room_messages(porch, limit=20)
        bodies = [e.source["content"].get("body") for e in getattr(answer, "chunk", [])]
        check("a frozen guest can read", "before it closed" in bodies, answer)
        answer = await quiet.client.room_leave(porch)
        check("a frozen guest can leave", done(answer), answer)
        held = porch not in visitor.left and time.monotonic() - closed_at < self.stage["evict_after_ms"] / 1000
        check("a frozen guest is not evicted before its time", held, time.monotonic() - closed_at)
        patience = self.stage["evict_after_ms"] / 1000 + PATIENCE_S
        gone = await visitor.told(lambda: porch in visitor.left, within=patience)
        check("a frozen guest is evicted, and is told so by sync", gone, visitor.left)
        gone = await mona.told(lambda: mona.membership(porch, visitor.user_id).get("membership") == "leave")
        check("the members see the guest leave", gone, mona.membership(porch, visitor.user_id))
        answer = await visitor.client.join(porch)
        check("an evicted guest does not come back", refusal(answer), answer)
        gone = await visitor.told(lambda: self.opened in visitor.left, within=patience)
        check("a guest is evicted from the room taken out of the space", gone, visitor.left)
        check("a guest stays where the door was opened again", again not in visitor.left, visitor.left)
        answer = await visitor.text(self.hall, "still here")
        check("a guest stays in the room that is still open", done(answer), answer)

    async def goodbye(self):
        answer = await self.visitor.client.room_leave(self.hall)
        self.check("a guest may always leave", done(answer), answer)
        answer = await self.quiet.client.logout()
        self.check("a guest may log out", done(answer), answer)
        for person in (self.alice, self.bob, self.mona, self.visitor, self.prowler):
            self.check(f"no sync of {person.user_id[:7]} failed", not person.sync_errors, person.sync_errors)
            dead = person.loop.done() and repr(person.loop.exception())
            self.check(f"the sync of {person.user_id[:7]} still runs", not dead, dead)

    async def play(self):
        acts = [
            self.meet, self.front_door, self.ceiling, self.wrong_doors, self.back_doors, self.same_handler,
            self.join_rules, self.listed, self.space, self.closing, self.goodbye,
        ]
        # Without the cast there is no play.
        return await self.facts.acts(acts, lambda: len(self.cast) >= CAST, lambda: self.cast)


if __name__ == "__main__":
    play(Scenario)
