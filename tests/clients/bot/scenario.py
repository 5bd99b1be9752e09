"""A bot of simplematrixbotlib: invited, spoken to, restarted, in the open and in an encrypted room."""

import asyncio
import json
import struct
import sys
import zlib
from pathlib import Path

import nio

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE.parent / "nio"))
from crypto import ENCRYPTED, Device  # noqa: E402
from facts import Facts, fetch, path, play, restart  # noqa: E402


def dot():
    """A picture of one pixel."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\xff\0\0")) + chunk(b"IEND", b"")


class Scenario:
    """Alice, and a bot in a process of its own."""

    def __init__(self, stage):
        self.facts = Facts("bot")
        self.check = self.facts.check
        self.stage = stage
        self.folder = Path(stage["folder"])
        self.robot = f"@robot:{stage['server_name']}"
        self.process = None
        self.said = b""

    async def start(self):
        brief = self.folder / "bot.json"
        brief.write_text(json.dumps({
            "url": self.stage["url"], "folder": str(self.folder), "password": self.stage["passwords"]["robot"],
        }))
        with (self.folder / "bot.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, str(HERE / "bot.py"), str(brief), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )

    async def stop(self):
        if self.process and self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()

    def log(self):
        return (self.folder / "bot.log").read_text(errors="replace")[-1500:]

    def answer(self, room, body):
        """What the bot said, once it did."""
        for where, event in self.alice.clear:
            if where == room and event.sender == self.robot and getattr(event, "body", None) == body:
                return event
        return None

    async def hears(self, room, body):
        await self.alice.told(lambda: self.answer(room, body))
        return self.answer(room, body)

    async def bot_is_in(self, room):
        return await self.alice.told(
            lambda: self.robot in self.alice.client.rooms[room].users
            and not self.alice.client.rooms[room].users[self.robot].invited
        )

    async def room(self, name, *state):
        answer = await self.alice.client.room_create(
            name=name, preset=nio.RoomPreset.private_chat, initial_state=state, invite=[self.robot]
        )
        await self.alice.told(lambda: answer.room_id in self.alice.client.rooms)
        return answer.room_id

    def bots_devices(self):
        status, answer = self.alice.raw("POST", path("keys", "query"), {"device_keys": {self.robot: []}})
        return set(answer["device_keys"].get(self.robot, {})) if status == 200 else set()

    async def meet(self):
        (self.folder / "bot").mkdir(exist_ok=True)
        (self.folder / "bot" / "dot.png").write_bytes(dot())
        await self.start()
        self.alice = Device(self.stage["url"], "alice", "phone", self.folder)
        answer = await self.alice.log_in(self.stage["passwords"]["alice"])
        self.check("alice logs in", isinstance(answer, nio.LoginResponse), answer)
        self.alice.listen()
        there = await self.alice.told(lambda: len(self.bots_devices()) == 1)
        self.check("the bot logs in and uploads its keys", there, self.log())
        self.devices = self.bots_devices()

    async def talk(self, room, what):
        """The commands of the bot, and what it makes of reactions and newcomers."""
        check, alice = self.check, self.alice
        encrypted = what == "encrypted"
        asked = await alice.say(room, f"!echo {what} words")
        answer = await self.hears(room, f"{what} words")
        if not check(f"it answers in the {what} room", answer, self.log()):
            return
        check(f"its answer is encrypted where it should be ({what})", answer.decrypted == encrypted, answer)
        to = answer.source["content"].get("m.relates_to", {}).get("m.in_reply_to", {}).get("event_id")
        check(f"as a reply to the question ({what})", to == asked, to)
        reacted = await alice.told(lambda: any(
            isinstance(e, nio.ReactionEvent) and e.reacts_to == asked and e.key == "✅" for _, e in alice.clear
        ))
        check(f"it reacts to the question ({what})", reacted, self.log())
        await alice.client.room_send(room, "m.reaction", {
            "m.relates_to": {"rel_type": "m.annotation", "event_id": answer.event_id, "key": "👍"},
        })
        check(f"it sees a reaction ({what})", await self.hears(room, "you reacted with 👍"), self.log())
        await alice.say(room, "!bold words")
        bold = await self.hears(room, "**words**")
        check(f"it says it bold ({what})", bold and "<strong>words</strong>" in (bold.formatted_body or ""), bold)
        await alice.say(room, "!picture")
        await self.picture(room, what, encrypted)

    async def picture(self, room, what, encrypted):
        shown = await self.hears(room, "dot.png")
        if not self.check(f"it shows a picture ({what})", shown, self.log()):
            return
        content = shown.source["content"]
        file = content.get("file")  # Its library encrypts files everywhere once it can.
        where = content["url"].removeprefix("mxc://").split("/")
        status, _, found = fetch(
            self.stage["url"], "GET", path("media", "download", *where, version="v1"), self.alice.client.access_token
        )
        if file:
            found = nio.crypto.attachments.decrypt_attachment(found, file["key"]["k"], file["hashes"]["sha256"], file["iv"])
        self.check(f"which is there, and encrypted where it should be ({what})", status == 200 and found == dot() and (file or not encrypted), (status, len(found)))

    async def open_room(self):
        self.open = await self.room("Open")
        self.check("it joins where it is invited", await self.bot_is_in(self.open), self.log())
        await self.talk(self.open, "open")

    async def newcomers(self):
        bob = Device(self.stage["url"], "bob", "phone", self.folder)
        await bob.log_in(self.stage["passwords"]["bob"])
        await self.alice.client.room_invite(self.open, bob.user_id)
        bob.raw("POST", path("join", self.open), {})
        self.check("it welcomes who comes", await self.hears(self.open, f"welcome, {bob.user_id}"), self.log())
        await bob.close()

    async def encrypted_room(self):
        self.dark = await self.room("Dark", ENCRYPTED)
        self.check("it joins an encrypted room", await self.bot_is_in(self.dark), self.log())
        await self.talk(self.dark, "encrypted")

    async def server_restarts(self):
        await asyncio.to_thread(restart)
        for room, what in ((self.open, "open"), (self.dark, "encrypted")):
            await self.alice.say(room, f"!echo still there {what}")
            answer = await self.hears(room, f"still there {what}")
            self.check(f"it goes on after the server restarted ({what})", answer, self.log())

    async def bot_restarts(self):
        await self.stop()
        await self.alice.say(self.open, "!echo while it was away")
        await self.start()
        # What it missed is before its first sync, which it ignores; so ask until it is back.
        for at in range(20):
            await self.alice.say(self.dark, f"!echo back {at}")
            if await self.alice.told(lambda: any(self.answer(self.dark, f"back {n}") for n in range(at + 1)), within=1):
                break
        back = next((e for n in range(20) if (e := self.answer(self.dark, f"back {n}"))), None)
        self.check("it comes back as the same device", self.bots_devices() == self.devices, self.bots_devices())
        self.check("and answers in the encrypted room", back and back.decrypted, self.log())
        await self.alice.say(self.open, "!echo open again")
        self.check("and in the open one", await self.hears(self.open, "open again"), self.log())

    async def goodbye(self):
        await self.alice.client.room_kick(self.open, self.robot, "enough")
        gone = await self.alice.told(lambda: self.robot not in self.alice.client.rooms[self.open].users)
        self.check("it can be shown out", gone)
        await self.alice.say(self.dark, "!echo last words")
        self.check("and serves where it still is", await self.hears(self.dark, "last words"), self.log())
        self.check("it never stopped by itself", self.process.returncode is None, self.log())
        self.check("no sync of alice failed", not self.alice.sync_errors, self.alice.sync_errors)

    async def play(self):
        acts = [
            self.meet, self.open_room, self.newcomers, self.encrypted_room, self.server_restarts, self.bot_restarts,
            self.goodbye,
        ]
        try:
            # Without the bot there is no play.
            return await self.facts.acts(acts, lambda: hasattr(self, "devices"), lambda: [self.alice])
        finally:
            await self.stop()


if __name__ == "__main__":
    play(Scenario)
