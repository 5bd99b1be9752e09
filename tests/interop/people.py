"""Somebody with a session on one of the servers, over the client API, which both of them speak."""

import json
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "common"))
from asking import fetch, path, say  # noqa: E402

__all__ = ["Person", "eventually", "say"]

# How long news may take from one server to the other on a busy machine.
NEWS_S_MAX = 30


def eventually(look, seconds=NEWS_S_MAX):
    """Looks until what is seen is true-like or the time is up; answers with what was seen last."""
    until = time.monotonic() + seconds
    while True:
        seen = look()
        if seen or time.monotonic() > until:
            return seen
        time.sleep(0.15)


def target(parts, version, query):
    """A client path with its query."""
    return path(*parts, version=version) + (f"?{urlencode(query, doseq=True)}" if query else "")


class Person:
    """A session. `ask` answers (status, body), `must` the body of a success."""

    def __init__(self, server, session, password=None):
        self.server = server
        self.token = session["access_token"]
        self.user_id = session["user_id"]
        self.device_id = session.get("device_id")
        self.password = password
        self.transactions = 0

    def ask(self, method, *parts, body=None, version="v3", query=None):
        if body is None and method in ("POST", "PUT"):
            body = {}
        return say(self.server.url, method, target(parts, version, query), self.token, body)

    def must(self, method, *parts, body=None, version="v3", query=None):
        status, answer = self.ask(method, *parts, body=body, version=version, query=query)
        if status != 200:
            raise RuntimeError(f"{self}: {method} {parts} {query or ''} {body} answered {status} {answer}")
        return answer

    # Files

    def upload(self, content, kind, name):
        """Uploads a file; answers with the server and the identifier of its address."""
        where = "/_matrix/media/v3/upload?" + urlencode({"filename": name})
        status, _, read = fetch(self.server.url, "POST", where, self.token, content, kind)
        if status != 200:
            raise RuntimeError(f"{self}: uploading {name} answered {status} {read}")
        return json.loads(read)["content_uri"].removeprefix("mxc://").split("/", 1)

    def download(self, *parts, query=None):
        """A file: (status, headers, bytes)."""
        where = target(("media", *parts), "v1", query)
        return fetch(self.server.url, "GET", where, self.token)

    def another_device(self):
        """A second session of the same person."""
        answer = self.must("POST", "login", body={
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": self.user_id},
            "password": self.password,
        })
        return Person(self.server, answer, self.password)

    # Rooms

    def create_room(self, version="11", preset="public_chat", **more):
        body = {"preset": preset, "room_version": version, **more}
        return self.must("POST", "createRoom", body=body)["room_id"]

    def try_join(self, room, *via):
        return self.ask("POST", "join", room, query={"via": via, "server_name": via} if via else None)

    def join(self, room, *via):
        status, answer = self.try_join(room, *via)
        if status != 200:
            raise RuntimeError(f"{self}: joining {room} via {via} answered {status} {answer}")
        return answer["room_id"]

    def member_act(self, act, room, user_id, **more):
        """invite, kick, ban or unban"""
        return self.ask("POST", "rooms", room, act, body={"user_id": user_id, **more})

    def leave(self, room):
        return self.ask("POST", "rooms", room, "leave")

    def send(self, room, event_type, content):
        self.transactions += 1
        transaction = f"t{self.transactions}.{time.monotonic_ns()}"
        return self.ask("PUT", "rooms", room, "send", event_type, transaction, body=content)

    def say(self, room, text):
        status, answer = self.send(room, "m.room.message", {"msgtype": "m.text", "body": text})
        if status != 200:
            raise RuntimeError(f"{self}: saying {text!r} answered {status} {answer}")
        return answer["event_id"]

    def set_state(self, room, event_type, content, key=""):
        return self.must("PUT", "rooms", room, "state", event_type, key, body=content)["event_id"]

    def redact(self, room, event_id):
        self.transactions += 1
        return self.ask("PUT", "rooms", room, "redact", event_id, f"r{self.transactions}", body={"reason": "why not"})

    def event(self, room, event_id):
        """An event, or nothing while it is not seen here."""
        status, answer = self.ask("GET", "rooms", room, "event", event_id)
        return answer if status == 200 else None

    def state(self, room):
        """The current state: (type, key) -> event."""
        events = self.must("GET", "rooms", room, "state")
        return {(event["type"], event["state_key"]): event for event in events}

    def state_ids(self, room):
        """The current state: (type, key) -> event id. Nothing for who may not see it."""
        status, events = self.ask("GET", "rooms", room, "state")
        if status != 200:
            return {}
        return {(event["type"], event["state_key"]): event["event_id"] for event in events}

    def membership(self, room, user_id):
        status, answer = self.ask("GET", "rooms", room, "state", "m.room.member", user_id)
        return answer.get("membership") if status == 200 else None

    def timeline(self, room, pages_max=40):
        """Every event that can be paged back to, newest first."""
        events, after = [], None
        for _ in range(pages_max):
            query = {"dir": "b", "limit": 30, **({"from": after} if after else {})}
            page = self.must("GET", "rooms", room, "messages", query=query)
            events += page["chunk"]
            after = page.get("end")
            if not after:
                break
        return events

    def texts(self, room):
        """The bodies of all messages, oldest first."""
        timeline = self.timeline(room)
        return [e["content"]["body"] for e in reversed(timeline) if "body" in e.get("content", {})]

    # Waiting

    def sees_event(self, room, event_id, seconds=NEWS_S_MAX):
        """The event, once it is here."""
        return eventually(lambda: self.event(room, event_id), seconds)

    def sees_membership(self, room, user_id, membership, seconds=NEWS_S_MAX):
        return eventually(lambda: self.membership(room, user_id) == membership, seconds)

    def sync(self, since=None, timeout_ms=0):
        query = {"timeout": timeout_ms, **({"since": since} if since else {})}
        return self.must("GET", "sync", query=query)

    def mark(self):
        """A place in this person's stream, to look from later."""
        return self.sync()["next_batch"]

    def until(self, since, look, seconds=NEWS_S_MAX):
        """Syncs from a place on until `look` finds something; answers with it, or with nothing."""
        stop = time.monotonic() + seconds
        while True:
            answer = self.sync(since, 1000)
            found = look(answer)
            if found or time.monotonic() > stop:
                return found
            since = answer["next_batch"]

    def sees_invite(self, since, room):
        """The stripped state of an invitation."""
        return self.until(since, lambda sync: (
            sync.get("rooms", {}).get("invite", {}).get(room, {}).get("invite_state", {}).get("events")
        ))

    def sees_leave(self, since, room):
        """Whether a sync tells this person they are out."""
        return self.until(since, lambda sync: room in sync.get("rooms", {}).get("leave", {}))

    def __str__(self):
        return f"{self.user_id} on {self.server}"
