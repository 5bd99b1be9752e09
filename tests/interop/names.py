"""Names that only exist in a run: a name server and a web server on loopback, on ports anybody may open.

Both homeservers are told to ask here by configuration. Nothing of the machine is changed for it, and nothing
needs rights: neither port 53 nor port 443 is listened at.
"""

import json
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from twisted.names import dns

QUESTION_BYTES_MAX = 4096
TTL_S = 60


class Zone:
    """What the names lead to. `addresses` are of hosts, `services` are host and port, `delegations` are of
    server names; what is not in them does not exist."""

    def __init__(self, address, authority, hosts):
        self.addresses, self.services, self.delegations = {}, {}, {}
        self.hosts = hosts
        self.question = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.question.bind((address, 0))
        self.name_server = f"{address}:{self.question.getsockname()[1]}"
        threading.Thread(target=self._answer_questions, daemon=True).start()
        certificate, private_key = authority.certificate(*hosts)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, private_key)
        self.site = ThreadingHTTPServer((address, 0), type("Files", (Files,), {"zone": self}))
        self.site.socket = context.wrap_socket(self.site.socket, server_side=True)
        self.web_server = f"{address}:{self.site.server_address[1]}"
        threading.Thread(target=self.site.serve_forever, daemon=True).start()

    def stop(self):
        self.site.shutdown()
        self.site.server_close()
        self.question.close()

    def _answer_questions(self):
        while True:
            try:
                data, asker = self.question.recvfrom(QUESTION_BYTES_MAX)
            except OSError:
                return
            message = dns.Message()
            message.fromStr(data)
            self.question.sendto(self._answer(message).toStr(), asker)

    def _answer(self, message):
        asked = message.queries[0]
        name = asked.name.name.decode().lower()
        message.answer, message.recAv = 1, 1
        # What a question says of itself behind it is no part of the answer.
        message.additional = []
        records = []
        if name in self.addresses and asked.type == dns.A:
            records = [dns.Record_A(self.addresses[name], TTL_S)]
        if name in self.services and asked.type == dns.SRV:
            target, port = self.services[name]
            records = [dns.Record_SRV(10, 5, port, target, TTL_S)]
        if name not in self.addresses and name not in self.services:
            message.rCode = dns.ENAME
        message.answers = [dns.RRHeader(name, record.TYPE, dns.IN, TTL_S, record) for record in records]
        return message


class Files(BaseHTTPRequestHandler):
    """The delegations of hosts; other hosts have none."""

    protocol_version = "HTTP/1.1"
    zone = None

    def do_GET(self):  # noqa: N802 the library names it
        host = self.headers.get("Host", "")
        to = self.zone.delegations.get(host) if self.path == "/.well-known/matrix/server" else None
        text = json.dumps({"m.server": to} if to else {}).encode()
        self.send_response(200 if to else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """The log of the run is for facts."""
