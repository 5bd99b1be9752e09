"""Encrypted rooms through matrix-nio: devices that come and go, their keys, and what must stay dark."""

import asyncio
import logging
import sys
import time
from pathlib import Path

import nio
from nio.crypto.attachments import decrypt_attachment
from nio.exceptions import OlmUnverifiedDeviceError

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from facts import Facts, fetch, path, plain, play, restart, say  # noqa: E402

PATIENCE_S = 15
SYNC_MS = 1_000
ENCRYPTED = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
ONE_TIME_KEYS = 50
PICTURE = bytes(range(256)) * 400
logging.getLogger("nio").setLevel(logging.CRITICAL)  # What it cannot decrypt is part of the play.


class Device:
    """One device of somebody: a client with a store on disk, syncing in the background."""

    def __init__(self, url, name, label, folder):
        self.url, self.name, self.label = url, name, label
        self.store = Path(folder) / f"{name}-{label}"
        self.store.mkdir(exist_ok=True)
        config = nio.AsyncClientConfig(
            max_limit_exceeded=0, max_timeouts=20, request_timeout=30, store_sync_tokens=True, encryption_enabled=True
        )
        self.client = nio.AsyncClient(url, name, store_path=str(self.store), config=config)
        self.clear = []
        self.dark = []
        self.to_device = []
        self.sync_errors = []
        self.left = set()
        self.one_time_keys = None
        self.syncs = 0
        self.loop = None
        self.client.add_event_callback(self.on_event, nio.Event)
        self.client.add_to_device_callback(self.on_to_device, nio.ToDeviceEvent)
        self.client.add_response_callback(self.on_sync, nio.SyncResponse)
        self.client.add_response_callback(self.on_error, nio.SyncError)

    @property
    def id(self):
        return self.client.device_id

    @property
    def user_id(self):
        return self.client.user_id

    async def on_event(self, room, event):
        (self.dark if isinstance(event, nio.MegolmEvent) else self.clear).append((room.room_id, event))

    async def on_to_device(self, event):
        self.to_device.append(event)

    async def on_sync(self, response):
        self.syncs += 1
        self.left = (self.left | set(response.rooms.leave)) - set(response.rooms.join)
        count = response.device_key_count.signed_curve25519
        self.one_time_keys = self.one_time_keys if count is None else count

    async def on_error(self, response):
        self.sync_errors.append(str(response))

    async def log_in(self, password):
        return await self.client.login(password, device_name=f"{self.name}'s {self.label}")

    def listen(self):
        self.loop = asyncio.create_task(self.client.sync_forever(timeout=SYNC_MS))

    async def deaf(self):
        """Stops syncing, and what nio had under way with it."""
        self.client.stop_sync_forever()
        await asyncio.wait([self.loop], timeout=PATIENCE_S)

    async def told(self, test, within=PATIENCE_S):
        """Waits until `test()` holds; answers with whether it came to hold."""
        until = time.monotonic() + within
        while not test():
            if time.monotonic() > until or (self.loop and self.loop.done()):
                return test()
            await asyncio.sleep(0.02)
        return True

    async def rests(self):
        """Waits for two more syncs, so that whatever was under way has arrived."""
        now = self.syncs
        return await self.told(lambda: self.syncs >= now + 2)

    def message(self, room_id, body):
        """The message with this text, if it was readable."""
        for where, event in self.clear:
            if where == room_id and getattr(event, "body", None) == body:
                return event
        return None

    async def reads(self, room_id, body):
        """Whether a message arrives, was encrypted, and is readable."""
        await self.told(lambda: self.message(room_id, body))
        event = self.message(room_id, body)
        return bool(event and event.decrypted)

    async def stays_dark(self, event_id):
        """Whether a message arrives and cannot be read."""
        return await self.told(lambda: self.dark_event(event_id))

    def dark_event(self, event_id):
        return next((event for _, event in self.dark if event.event_id == event_id), None)

    def knows(self, other):
        """Another device as this one has it stored; none when it is unknown or gone."""
        found = self.client.device_store[other.user_id].get(other.id)
        return None if found is None or found.deleted else found

    async def say(self, room_id, body, loosely=True):
        answer = await self.client.room_send(
            room_id, "m.room.message", {"msgtype": "m.text", "body": body}, ignore_unverified_devices=loosely
        )
        if not isinstance(answer, nio.RoomSendResponse):
            raise RuntimeError(f"{self.label} could not send: {plain(answer)}")
        return answer.event_id

    def raw(self, method, where, body=None):
        return say(self.url, method, where, self.client.access_token, body)

    async def close(self):
        if self.loop:
            self.loop.cancel()
            await asyncio.gather(self.loop, return_exceptions=True)
        await self.client.close()


class Scenario:
    """Alice with two devices, Bob with three, one encrypted room."""

    def __init__(self, stage):
        self.facts = Facts("nio-crypto")
        self.check = self.facts.check
        self.stage = stage
        self.cast = []

    async def device(self, name, label):
        device = Device(self.stage["url"], name, label, self.stage["folder"])
        self.cast.append(device)
        answer = await device.log_in(self.stage["passwords"][name])
        if not self.check(f"{name}'s {label} logs in", isinstance(answer, nio.LoginResponse), answer):
            raise RuntimeError(f"{name} has no {label}")
        device.listen()
        full = await device.told(lambda: device.one_time_keys == ONE_TIME_KEYS)
        self.check(f"sync counts the one-time keys of {name}'s {label}", full, device.one_time_keys)
        return device

    def sent(self, room_id, event_id, who):
        """An event as the server has it."""
        return who.raw("GET", path("rooms", room_id, "event", event_id))[1]

    async def meet(self):
        self.alice = await self.device("alice", "phone")
        self.bob = await self.device("bob", "phone")
        self.laptop = await self.device("bob", "laptop")
        answer = await self.alice.client.room_create(
            name="Cellar", preset=nio.RoomPreset.private_chat, initial_state=[ENCRYPTED], invite=[self.bob.user_id]
        )
        self.room = answer.room_id
        came = await self.bob.told(lambda: self.room in self.bob.client.invited_rooms)
        self.check("the invitation into the encrypted room arrives", came)
        await self.bob.client.join(self.room)
        for who in (self.alice, self.bob, self.laptop):
            known = await who.told(lambda who=who: getattr(who.client.rooms.get(self.room), "encrypted", False))
            self.check(f"{who.name}'s {who.label} knows that the room is encrypted", known)
        for other in (self.bob, self.laptop):
            known = await self.alice.told(lambda other=other: self.alice.knows(other))
            self.check(f"the other side learns of bob's {other.label}", known, self.alice.client.device_store.users)

    async def trust(self):
        """Nobody, then one device, then all of them: who may read is the sender's choice."""
        check, alice, bob, laptop, room = self.check, self.alice, self.bob, self.laptop, self.room
        try:
            await alice.say(room, "too early", loosely=False)
            check("a careful client sends nothing to devices it does not trust", False)
        except OlmUnverifiedDeviceError:
            check("a careful client sends nothing to devices it does not trust", True)
        alice.client.verify_device(alice.knows(bob))
        alice.client.blacklist_device(alice.knows(laptop))
        sent = await alice.say(room, "for the phone only", loosely=False)
        check("the trusted device reads", await bob.reads(room, "for the phone only"), bob.dark)
        check("the blocked device does not", await laptop.stays_dark(sent), laptop.clear)
        seen = self.sent(room, sent, bob)
        check("the server has no word of it", seen.get("type") == "m.room.encrypted" and "phone only" not in str(seen), seen)
        alice.client.unblacklist_device(alice.knows(laptop))
        alice.client.ignore_device(alice.knows(laptop))
        later = await alice.say(room, "for both", loosely=False)
        for who in (bob, laptop):
            check(f"bob's {who.label} reads what is for both", await who.reads(room, "for both"), who.dark)
        sessions = {self.sent(room, event, bob)["content"]["session_id"] for event in (sent, later)}
        check("another choice of devices is another session", len(sessions) == 2, sessions)
        check("the blocked message stays dark", laptop.message(room, "for the phone only") is None)
        await bob.say(room, "and back")
        for who in (alice, laptop):
            check(f"the answer is read on {who.name}'s {who.label}", await who.reads(room, "and back"), who.dark)

    async def verify(self, one, two, what):
        """The short string compared and confirmed on both sides."""
        check = self.check
        await one.client.start_key_verification(one.knows(two))
        started = await two.told(lambda: two.client.get_active_sas(one.user_id, one.id))
        if not check(f"{what}: the request arrives", started, two.to_device):
            return
        transaction = two.client.get_active_sas(one.user_id, one.id).transaction_id
        await two.client.accept_key_verification(transaction)
        ready = True
        for who in (one, two):
            sas = who.client.key_verifications[transaction]
            ready = ready and await who.told(lambda sas=sas: sas.established_sas)
        if not check(f"{what}: the keys arrive", ready, (one.to_device, two.to_device)):
            return
        shown = [who.client.key_verifications[transaction].get_emoji() for who in (one, two)]
        check(f"{what}: both sides show the same seven pictures", shown[0] == shown[1] and len(shown[0]) == 7, shown)
        for who in (one, two):
            await who.client.confirm_short_auth_string(transaction)
        for who, other in ((one, two), (two, one)):
            done = await who.told(lambda who=who, other=other: who.knows(other).verified)
            check(f"{what}: {who.name}'s {who.label} trusts {other.name}'s {other.label}", done, who.to_device)

    async def short_strings(self):
        alice, bob = self.alice, self.bob
        alice.client.unverify_device(alice.knows(bob))
        await self.verify(alice, bob, "between two people")
        await alice.say(self.room, "verified")
        self.check("messages go on after it", await bob.reads(self.room, "verified"), bob.dark)
        # One that is called off tells the other side.
        await bob.client.start_key_verification(bob.knows(alice))
        await alice.told(lambda: alice.client.get_active_sas(bob.user_id, bob.id))
        active = alice.client.get_active_sas(bob.user_id, bob.id)
        if self.check("a second request arrives", active, alice.to_device):
            await alice.client.cancel_key_verification(active.transaction_id)
            off = await bob.told(lambda: any(isinstance(e, nio.KeyVerificationCancel) for e in bob.to_device))
            self.check("a verification that is called off ends on the other side", off, bob.to_device)

    async def later(self):
        """A device added later: dark before, fed by its sister, and in from then on."""
        check, alice, room = self.check, self.alice, self.room
        before = await self.bob.say(room, "before the tablet")
        check("the sister reads what comes before", await alice.reads(room, "before the tablet"), alice.dark)
        tablet = self.tablet = await self.device("alice", "tablet")
        for who in (alice, self.bob):
            known = await who.told(lambda who=who: who.knows(tablet))
            check(f"{who.name}'s phone is told of the new device", known)
        answer = await tablet.client.room_messages(room, limit=20)
        old = next((e for e in getattr(answer, "chunk", []) if e.event_id == before), None)
        if not check("what was said before is dark on it", isinstance(old, nio.MegolmEvent), answer):
            return
        await tablet.told(lambda: tablet.knows(alice))
        await tablet.client.request_room_key(old)
        asked = await alice.told(lambda: alice.client.get_active_key_requests(alice.user_id, tablet.id))
        check("its request for a key reaches the sister, and waits while it is not trusted", asked, alice.to_device)
        await self.verify(alice, tablet, "between one's own devices")
        for request in alice.client.get_active_key_requests(alice.user_id, tablet.id):
            alice.client.continue_key_share(request)
        fed = await tablet.told(lambda: any(isinstance(e, nio.ForwardedRoomKeyEvent) for e in tablet.to_device))
        check("the sister forwards the key", fed, tablet.to_device)
        event = tablet.client.decrypt_event(old) if fed else old
        check("the old message is readable now", getattr(event, "body", None) == "before the tablet", event)
        await self.bob.say(room, "with the tablet")
        check("and new ones anyway", await tablet.reads(room, "with the tablet"), tablet.dark)
        await tablet.say(room, "from the tablet")
        for who in (alice, self.bob, self.laptop):
            read = await who.reads(room, "from the tablet")
            check(f"what it says is read on {who.name}'s {who.label}", read, who.dark)

    async def attachment(self):
        check, alice, bob, room = self.check, self.alice, self.bob, self.room
        file = alice.store / "picture.png"
        file.write_bytes(PICTURE)
        answer, keys = await alice.client.upload(
            lambda *_: str(file), content_type="image/png", filename="picture.png", encrypt=True, filesize=len(PICTURE)
        )
        if not check("an encrypted picture is uploaded", isinstance(answer, nio.UploadResponse), answer):
            return
        content = {
            "msgtype": "m.image", "body": "picture.png", "info": {"mimetype": "image/png", "size": len(PICTURE)},
            "file": {**keys, "url": answer.content_uri},
        }
        await alice.client.room_send(room, "m.room.message", content, ignore_unverified_devices=True)
        check("the message with its key is read", await bob.reads(room, "picture.png"), bob.dark)
        event = bob.message(room, "picture.png")
        where = event.url.removeprefix("mxc://").split("/")
        road = path("media", "download", *where, version="v1")
        status, headers, found = fetch(self.stage["url"], "GET", road, bob.client.access_token)
        check("authenticated media gives the bytes", status == 200 and len(found) == len(PICTURE), (status, len(found)))
        check("they are not the picture", found != PICTURE)
        opened = decrypt_attachment(found, event.key["k"], event.hashes["sha256"], event.iv)
        check("and are, decrypted", opened == PICTURE)
        kind = headers.get("Content-Type", "")
        check("they come as bytes, not as a page", "html" not in kind and "attachment" in headers.get("Content-Disposition", ""), dict(headers))
        status = fetch(self.stage["url"], "GET", road)[0]
        check("refuses them to who is not logged in", status == 401, status)

    async def export(self):
        """Keys taken over in a file; the new device reads the past without having asked anybody."""
        file = str(Path(self.stage["folder"]) / "keys.txt")
        await self.bob.client.export_keys(file, "a long phrase", count=1000)
        watch = self.watch = await self.device("bob", "watch")
        await watch.told(lambda: self.room in watch.client.rooms)
        await watch.client.import_keys(file, "a long phrase")
        answer = await watch.client.room_messages(self.room, limit=100)
        bodies = [getattr(event, "body", None) for event in getattr(answer, "chunk", [])]
        for body in ("for the phone only", "verified", "with the tablet"):
            self.check(f"a device with imported keys reads '{body}'", body in bodies, bodies)

    async def one_time_keys(self):
        """Each one-time key goes out once; what was claimed is replaced."""
        check, alice, bob = self.check, self.alice, self.bob
        wanted = {"one_time_keys": {bob.user_id: {bob.id: "signed_curve25519"}}}
        given = set()
        for _ in range(5):
            status, answer = alice.raw("POST", path("keys", "claim"), wanted)
            found = answer.get("one_time_keys", {}).get(bob.user_id, {}).get(bob.id, {}) if status == 200 else {}
            given.update((name, key["key"]) for name, key in found.items())
        check("five claims give five keys", len(given) == 5, given)
        told = bob.syncs
        full = await bob.told(lambda: bob.syncs > told + 1 and bob.one_time_keys == ONE_TIME_KEYS)
        check("the owner hears of it and makes up for it", full, bob.one_time_keys)
        idle = Device(self.stage["url"], "carol", "idle", self.stage["folder"])
        self.cast.append(idle)
        await idle.log_in(self.stage["passwords"]["carol"])
        wanted = {"one_time_keys": {idle.user_id: {idle.id: "signed_curve25519"}}}
        status, answer = alice.raw("POST", path("keys", "claim"), wanted)
        check("a device without keys has none to give", status == 200 and not any(answer["one_time_keys"].values()), answer)

    async def session_of_next(self, who, body):
        event = await who.say(self.room, body)
        return self.sent(self.room, event, who)["content"]["session_id"]

    async def deletion(self):
        """A device is deleted with a password: it is out, and the session of the room is another."""
        check, alice, bob, laptop = self.check, self.alice, self.bob, self.laptop
        first = await self.session_of_next(alice, "laptop still here")
        check("the laptop reads until then", await laptop.reads(self.room, "laptop still here"), laptop.dark)
        check("the session lasts while nothing changes", await self.session_of_next(alice, "no change") == first)
        answer = await bob.client.delete_devices([laptop.id])
        asked = isinstance(answer, nio.DeleteDevicesAuthResponse)
        if not check("deleting a device asks for the password", asked, answer):
            return
        auth = {
            "type": "m.login.password", "session": answer.session,
            "identifier": {"type": "m.id.user", "user": bob.user_id}, "password": "wrong",
        }
        wrong = await bob.client.delete_devices([laptop.id], auth)
        check("refuses a wrong one", wrong.transport_response.status in (401, 403), wrong)
        answer = await bob.client.delete_devices([laptop.id], {**auth, "password": self.stage["passwords"]["bob"]})
        check("and takes the right one", isinstance(answer, nio.DeleteDevicesResponse), answer)
        status, answer = laptop.raw("GET", path("account", "whoami"))
        await laptop.deaf()  # It would go on asking.
        check("the deleted device is logged out", status == 401 and answer["errcode"] == "M_UNKNOWN_TOKEN", answer)
        gone = await alice.told(lambda: alice.knows(laptop) is None)
        check("the other side is told that it is gone", gone, alice.knows(laptop))
        answer = await bob.client.devices()
        left = {device.id for device in answer.devices}
        check("and it is out of its owner's list", laptop.id not in left and bob.id in left, left)
        check("the next message has another session", await self.session_of_next(alice, "without the laptop") != first)
        check("which the phone reads", await bob.reads(self.room, "without the laptop"), bob.dark)

    async def rotation(self):
        """Whoever leaves cannot read on: the session changes with the members."""
        check, alice, room = self.check, self.alice, self.room
        carol = await self.device("carol", "phone")
        await alice.client.room_invite(room, carol.user_id)
        await carol.told(lambda: room in carol.client.invited_rooms)
        await carol.client.join(room)
        seen = await alice.told(lambda: carol.user_id in alice.client.rooms[room].users and alice.knows(carol))
        check("a third person's device is known once in the room", seen)
        first = await self.session_of_next(alice, "welcome, carol")
        check("and reads", await carol.reads(room, "welcome, carol"), carol.dark)
        await carol.client.room_leave(room)
        await alice.told(lambda: carol.user_id not in alice.client.rooms[room].users)
        check("her leaving changes the session", await self.session_of_next(alice, "carol is gone") != first)
        await carol.rests()
        seen = carol.message(room, "carol is gone") or any("carol is gone" in str(e.source) for _, e in carol.dark)
        check("she is sent nothing any more", not seen, seen)
        left = await alice.told(lambda: carol.user_id not in alice.client.olm.tracked_users, within=0.1)
        status, answer = carol.raw("POST", path("keys", "query"), {"device_keys": {alice.user_id: []}})
        check("keys of a stranger can still be asked for", status == 200 and alice.user_id in answer["device_keys"], (left, answer))

    async def away(self):
        """A client goes away with its store, the server restarts, and both go on where they were."""
        check, alice, bob, room = self.check, self.alice, self.bob, self.room
        token, device, user = bob.client.access_token, bob.id, bob.user_id
        await bob.rests()
        last = bob.client.next_batch
        await bob.close()
        alice.client.invalidate_outbound_session(room)
        await alice.say(room, "while bob was away")
        await asyncio.to_thread(restart)
        check("those who stayed go on after the restart", await alice.rests(), alice.sync_errors)
        await alice.say(room, "after the restart")
        bob = self.bob = Device(self.stage["url"], "bob", "phone", self.stage["folder"])
        self.cast.append(bob)
        bob.client.restore_login(user, device, token)
        check("the store kept the sync token", bob.client.loaded_sync_token == last, bob.client.loaded_sync_token)
        bob.listen()
        for body in ("while bob was away", "after the restart"):
            check(f"the device that comes back reads '{body}'", await bob.reads(room, body), bob.dark)
        again = bob.message(room, "verified")
        check("and is not told again what it knew", again is None, again)
        check("it still trusts whom it trusted", bob.knows(alice).verified)
        await bob.say(room, "back again")
        for who in (alice, self.tablet):
            check(f"its answer is read on alice's {who.label}", await who.reads(room, "back again"), who.dark)

    async def goodbye(self):
        for who in (self.alice, self.bob, self.tablet, self.watch):
            check = self.check
            check(f"no sync of {who.name}'s {who.label} failed", not who.sync_errors, who.sync_errors)
            dead = who.loop.done() and repr(who.loop.exception())
            check(f"the sync of {who.name}'s {who.label} still runs", not dead, dead)
        await self.watch.deaf()
        answer = await self.watch.client.logout()
        self.check("a device logs out", isinstance(answer, nio.LogoutResponse), answer)
        gone = await self.alice.told(lambda: self.alice.knows(self.watch) is None)
        self.check("and is gone for the others", gone)

    async def play(self):
        acts = [
            self.meet, self.trust, self.short_strings, self.later, self.attachment, self.export, self.one_time_keys,
            self.deletion, self.rotation, self.away, self.goodbye,
        ]
        # Without the room there is no play.
        return await self.facts.acts(acts, lambda: hasattr(self, "room"), lambda: self.cast)


if __name__ == "__main__":
    play(Scenario)
