"""A bot as its library's manual has it: it joins where it is invited, echoes, and reacts to what it is thanked with."""

import asyncio
import json
import sys
from pathlib import Path

import nio
import simplematrixbotlib as botlib


def made(brief):
    """The bot; with a session file and a store, so that it comes back as the same device."""
    here = Path(brief["folder"]) / "bot"
    here.mkdir(exist_ok=True)
    creds = botlib.Creds(brief["url"], "robot", brief["password"], session_stored_file=str(here / "session.txt"))
    config = botlib.Config()
    config.encryption_enabled = True
    config.ignore_unverified_devices = True
    config.store_path = str(here / "store")
    config.timeout = 2_000
    config.max_timeouts = 50  # It waits for a server that restarts.
    bot = botlib.Bot(creds, config)

    @bot.listener.on_message_event
    async def echo(room, message):
        match = botlib.MessageMatch(room, message, bot, "!")
        if match.is_not_from_this_bot() and match.prefix() and match.command("echo"):
            await bot.api.send_text_message(room.room_id, " ".join(match.args()), reply_to=message.event_id)
            await bot.api.send_reaction(room.room_id, message, "✅")
        elif match.is_not_from_this_bot() and match.prefix() and match.command("bold"):
            await bot.api.send_markdown_message(room.room_id, f"**{' '.join(match.args())}**")
        elif match.is_not_from_this_bot() and match.prefix() and match.command("picture"):
            await bot.api.send_image_message(room.room_id, str(here / "dot.png"))

    @bot.listener.on_reaction_event
    async def thanks(room, event, reaction):
        if event.sender != bot.async_client.user_id:
            await bot.api.send_text_message(room.room_id, f"you reacted with {reaction}", msgtype="m.notice")

    @bot.listener.on_custom_event(nio.RoomMemberEvent)
    async def welcome(room, event):
        if event.membership == "join" and event.prev_membership != "join" and event.sender != bot.async_client.user_id:
            await bot.api.send_text_message(room.room_id, f"welcome, {event.sender}", msgtype="m.notice")

    return bot


if __name__ == "__main__":
    asyncio.run(made(json.loads(Path(sys.argv[1]).read_text())).main())
