"""End-to-end keys across the servers: devices, one-time keys, cross-signing, to-device messages."""

import json
from base64 import b64encode

from canonicaljson import encode_canonical_json
from nacl.signing import SigningKey
from people import eventually


def play(stage, facts):
    for here, there in stage.ways():
        check = facts.about(f"keys of somebody of {here}")
        with facts.part(f"keys of somebody of {here}"):
            one_way(here, there, check)


def one_way(here, there, check):
    alice, bob = here.person("alice"), there.person("bob")
    room = alice.create_room("12")
    bob.join(room, here.name)
    alice.sees_membership(room, bob.user_id, "join")
    since = bob.mark()
    secret, uploaded = upload(alice)
    check(f"{there} is told that keys changed", bob.until(since, lambda sync: changed(sync, alice)))
    devices = eventually(lambda: queried(bob, alice).get(alice.device_id))
    check(f"{there} queries them", devices and devices["keys"] == uploaded["keys"], devices)
    check("their signature survives", devices and devices.get("signatures") == uploaded["signatures"], devices)

    claims = [claimed(bob, alice) for _ in range(3)]
    ids = [next(iter(claim), None) for claim in claims]
    check("a one-time key is claimed", ids[0] == "signed_curve25519:AAAA", claims)
    check("no one-time key is given twice", ids[0] != ids[1] and ids[1] == "signed_curve25519:BBBB", claims)
    check("then the fallback key is given", ids[2] == "signed_curve25519:FALL", claims)

    cross_signing(alice, bob, there, check)

    since = alice.mark()
    message = {"messages": {alice.user_id: {alice.device_id: {"words": "for one device"}}}}
    bob.must("PUT", "sendToDevice", "org.vestibule.test", "one", body=message)
    events = alice.until(since, lambda sync: sync.get("to_device", {}).get("events"))
    check("a to-device message arrives", events and events[0]["content"] == {"words": "for one device"}
          and events[0]["sender"] == bob.user_id, events)
    second = alice.another_device()
    marks = {alice: alice.mark(), second: second.mark()}
    message = {"messages": {alice.user_id: {"*": {"words": "for all"}}}}
    bob.must("PUT", "sendToDevice", "org.vestibule.test", "two", body=message)
    for device, mark in marks.items():
        events = device.until(mark, lambda sync: sync.get("to_device", {}).get("events"))
        check(f"one for every device arrives at {'the first' if device is alice else 'the second'}",
              [e["content"]["words"] for e in events or []] == ["for all"], events)

    since = bob.mark()
    upload(second)
    check("a new device is told", bob.until(since, lambda sync: changed(sync, alice)))
    both = eventually(lambda: set(queried(bob, alice)) == {alice.device_id, second.device_id})
    check("and both are listed", both, queried(bob, alice))
    since = bob.mark()
    second.must("POST", "logout")
    check("a logout is told", bob.until(since, lambda sync: changed(sync, alice)))
    gone = eventually(lambda: set(queried(bob, alice)) == {alice.device_id})
    check("and the device is gone", gone, queried(bob, alice))

    since = bob.mark()
    alice.leave(room)
    left = bob.until(since, lambda sync: alice.user_id in sync.get("device_lists", {}).get("left", []))
    check("who shares no room any more is told as left", left)
    del secret


def cross_signing(alice, bob, there, check):
    """A master and a self-signing key, and a device signed with it."""
    since = bob.mark()
    master, own = SigningKey.generate(), SigningKey.generate()
    keys = {
        "master_key": signed(cross_key(alice, "master", master), alice, master, public(master)),
        "self_signing_key": signed(cross_key(alice, "self_signing", own), alice, master, public(master)),
    }
    status, answer = alice.ask("POST", "keys", "device_signing", "upload", body=keys)
    if status == 401:
        keys["auth"] = {
            "type": "m.login.password", "session": answer["session"], "password": alice.password,
            "identifier": {"type": "m.id.user", "user": alice.user_id},
        }
        status, answer = alice.ask("POST", "keys", "device_signing", "upload", body=keys)
    check("cross-signing keys are uploaded", status == 200, answer)
    check(f"{there} is told of them", bob.until(since, lambda sync: changed(sync, alice)))

    def seen():
        answer = bob.must("POST", "keys", "query", body={"device_keys": {alice.user_id: []}})
        return answer.get("master_keys", {}).get(alice.user_id), answer.get("self_signing_keys", {}).get(alice.user_id)

    both = eventually(lambda: all(seen()))
    check(f"{there} queries them", both and seen()[0]["keys"] == keys["master_key"]["keys"]
          and seen()[1]["keys"] == keys["self_signing_key"]["keys"], seen())
    device = queried(alice, alice)[alice.device_id]
    device.pop("unsigned", None)
    body = {alice.user_id: {alice.device_id: signed(device, alice, own, public(own))}}
    answer = alice.must("POST", "keys", "signatures", "upload", body=body)
    check("a device is signed with them", not answer.get("failures"), answer)
    name = f"ed25519:{public(own)}"
    told = eventually(lambda: name in queried(bob, alice)[alice.device_id]["signatures"][alice.user_id])
    check(f"{there} sees that signature", told, queried(bob, alice))


def upload(person):
    """Device keys, two one-time keys and a fallback key. Answers with the secret and the device keys."""
    secret = SigningKey.generate()
    device = {
        "user_id": person.user_id,
        "device_id": person.device_id,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "keys": {
            f"ed25519:{person.device_id}": public(secret),
            f"curve25519:{person.device_id}": public(SigningKey.generate()),
        },
    }
    device = signed(device, person, secret, person.device_id)

    def one(**more):
        return signed({"key": public(SigningKey.generate()), **more}, person, secret, person.device_id)

    person.must("POST", "keys", "upload", body={"device_keys": device})
    # One by one: which of several is given first is the server's choice only among equally old ones.
    for name in ("AAAA", "BBBB"):
        person.must("POST", "keys", "upload", body={"one_time_keys": {f"signed_curve25519:{name}": one()}})
    person.must("POST", "keys", "upload", body={"fallback_keys": {"signed_curve25519:FALL": one(fallback=True)}})
    return secret, device


def queried(asker, person):
    answer = asker.must("POST", "keys", "query", body={"device_keys": {person.user_id: []}})
    return answer.get("device_keys", {}).get(person.user_id, {})


def claimed(asker, person):
    body = {"one_time_keys": {person.user_id: {person.device_id: "signed_curve25519"}}}
    answer = asker.must("POST", "keys", "claim", body=body)
    return answer.get("one_time_keys", {}).get(person.user_id, {}).get(person.device_id, {})


def changed(sync, person):
    return person.user_id in sync.get("device_lists", {}).get("changed", [])


def cross_key(person, usage, key):
    return {"user_id": person.user_id, "usage": [usage], "keys": {f"ed25519:{public(key)}": public(key)}}


def signed(value, person, key, key_id):
    """The value with one more signature."""
    value = json.loads(json.dumps(value))
    bare = {name: part for name, part in value.items() if name not in ("signatures", "unsigned")}
    signature = unpadded(key.sign(encode_canonical_json(bare)).signature)
    value.setdefault("signatures", {}).setdefault(person.user_id, {})[f"ed25519:{key_id}"] = signature
    return value


def public(key):
    return unpadded(key.verify_key.encode())


def unpadded(some):
    return b64encode(some).decode().rstrip("=")
