"""An identity server: it knows no address, keeps invitations, and signs for whoever turns out to own one."""

import json
import ssl
import threading
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from asking import say
from canonicaljson import encode_canonical_json
from nacl.signing import SigningKey

BASE = "/_matrix/identity/v2"


class Identity:
    """Listens with TLS on an address of its own."""

    def __init__(self, address, authority):
        certificate, private_key = authority.certificate(address)
        self.key = SigningKey.generate()
        self.public_key = unpadded(self.key.verify_key.encode())
        self.kept = {}
        self.revoked = set()
        self.trust = ssl.create_default_context(cafile=str(authority.path))
        self.server = ThreadingHTTPServer((address, 0), type("Answers", (Answers,), {"identity": self}))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, private_key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.name = f"{address}:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def keep(self, invite):
        """Keeps an invitation; its token names it."""
        token = f"token-{invite['address']}"
        self.kept[token] = invite
        return {
            "token": token,
            "public_keys": [{
                "public_key": self.public_key,
                "key_validity_url": f"https://{self.name}{BASE}/pubkey/isvalid",
            }],
            "display_name": "someb...",
        }

    def proof(self, token, user_id):
        """What it signs for the owner of the address."""
        signed = {"mxid": user_id, "token": token, "sender": self.kept[token]["sender"]}
        signature = unpadded(self.key.sign(encode_canonical_json(signed)).signature)
        return {**signed, "signatures": {self.name: {"ed25519:0": signature}}}

    def bind(self, address, person):
        """The address becomes somebody's: their server is told of the invitations that wait for it."""
        waiting = [(token, invite) for token, invite in self.kept.items() if invite["address"] == address]
        body = {
            "medium": "email", "address": address, "mxid": person.user_id,
            "invites": [{
                "medium": "email", "address": address, "mxid": person.user_id, "room_id": invite["room_id"],
                "sender": invite["sender"], "signed": self.proof(token, person.user_id),
            } for token, invite in waiting],
        }
        where, path = f"https://{person.server.name}", "/_matrix/federation/v1/3pid/onbind"
        status, answer = say(where, "PUT", path, body=body, context=self.trust)
        if answer.get("errcode") == "M_UNRECOGNIZED":
            # The specification says PUT; identity servers and Synapse have always said POST.
            status, answer = say(where, "POST", path, body=body, context=self.trust)
        return status, answer

    def stop(self):
        self.server.shutdown()


class Answers(BaseHTTPRequestHandler):
    """The few endpoints homeservers ask."""

    protocol_version = "HTTP/1.1"
    identity = None

    def do_GET(self):  # noqa: N802 the library names it
        where = urlsplit(self.path)
        if where.path == f"{BASE}/hash_details":
            return self.answer({"algorithms": ["sha256"], "lookup_pepper": "pepper"})
        if where.path == f"{BASE}/pubkey/isvalid":
            key = parse_qs(where.query).get("public_key", [None])[0]
            return self.answer({"valid": key == self.identity.public_key and key not in self.identity.revoked})
        return self.answer({"errcode": "M_UNRECOGNIZED"}, 404)

    def do_POST(self):  # noqa: N802 the library names it
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if self.headers.get("Authorization") != "Bearer known here":
            return self.answer({"errcode": "M_UNAUTHORIZED", "error": "who are you"}, 401)
        if self.path == f"{BASE}/lookup":
            return self.answer({"mappings": {}})
        if self.path == f"{BASE}/store-invite":
            return self.answer(self.identity.keep(body))
        return self.answer({"errcode": "M_UNRECOGNIZED"}, 404)

    def answer(self, body, status=200):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """The log of the run is for facts."""


def unpadded(some):
    return b64encode(some).decode().rstrip("=")
