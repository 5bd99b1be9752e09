"""The two homeservers of a run: the real binary, and Synapse."""

import itertools
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

from people import Person, say
from wire import Wire, free_port

ELSEWHERE = Path(__file__).resolve().parent / "synapse_elsewhere.py"
START_S_MAX = 90
STOP_S_MAX = 30


class Server:
    """A process with its folder. Clients reach `url`; other servers reach `name`, over its wire.

    A server with a `name` in a `zone` is found by that zone, and by nothing else; its certificate is for `host`.
    """

    kind = ""

    def __init__(self, folder, address, authority, identity, name=None, host=None, zone=None):
        self.zone = zone
        self.folder = folder / (name or self.kind)
        self.folder.mkdir()
        self.address = address
        self.wire = Wire(address)
        self.name = name or f"{address}:{self.wire.port}"
        self.client_port = free_port("127.0.0.1")
        self.url = f"http://127.0.0.1:{self.client_port}"
        self.log = self.folder / "server.log"
        self.authority = authority
        self.identity = identity
        self.certificate, self.private_key = authority.certificate(host or address)
        self.process = None
        self.numbers = itertools.count(1)

    def command(self):
        raise NotImplementedError

    def start(self):
        """Starts the process and waits until clients are answered."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
                # Synapse believes an identity server that the system's authorities vouch for, and no other.
                env={**os.environ, "SSL_CERT_FILE": str(self.authority.path)},
            )
        until = time.monotonic() + START_S_MAX
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            try:
                if say(self.url, "GET", "/_matrix/client/versions")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise RuntimeError(f"{self.kind} did not come up:\n{self.tail()}")

    def stop(self):
        """Asks it to end, and makes it. Answers with the exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.thaw()
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def freeze(self):
        """Keeps the process from running: whoever connects is taken in by the kernel, and never answered."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        """Lets it go on."""
        self.process.send_signal(signal.SIGCONT)

    def tail(self, bytes_max=6000):
        """The end of its log."""
        if not self.log.exists():
            return ""
        return self.log.read_bytes()[-bytes_max:].decode("utf-8", "replace")

    def person(self, name):
        """A new account here. The name gets a number, so that every scenario may have its alice."""
        body = {
            "username": f"{name}{next(self.numbers)}",
            "password": f"password of {name}",
            "auth": {"type": "m.login.dummy"},
        }
        status, answer = say(self.url, "POST", "/_matrix/client/v3/register", body=body)
        if status != 200:
            raise RuntimeError(f"{self.kind}: registering {name} answered {status} {answer}")
        return Person(self, answer, password=body["password"])

    def moderator(self, name):
        """A new account here that may decide for the server, where there are classes."""
        return self.person(name)

    def guest(self):
        """A new guest here."""
        status, answer = say(self.url, "POST", "/_matrix/client/v3/register?kind=guest", body={})
        if status != 200:
            raise RuntimeError(f"{self.kind}: registering a guest answered {status} {answer}")
        return Person(self, answer)

    def __str__(self):
        return f"{self.kind} as {self.name}" if self.zone else self.kind


class Vestibule(Server):
    """The server under test."""

    kind = "vestibule"

    def __init__(self, folder, address, authority, identity, **named):
        super().__init__(folder, address, authority, identity, **named)
        self.config = self.folder / "vestibule.toml"
        self.listed, self.spaces = [], []
        self.write()

    def command(self):
        return [os.environ["VESTIBULE_BIN"], "serve", "--config", str(self.config)]

    def write(self):
        """Writes the configuration: guests may enter the listed rooms, wherever those are."""
        self.config.write_text(VESTIBULE.format(
            name=self.name, data=self.folder / "data", client=self.client_port,
            address=self.address, federation=self.wire.behind, listed=json.dumps(self.listed),
            spaces=", ".join(self.spaces),
            certificate=self.certificate, private_key=self.private_key, authority=self.authority.path,
            identity=self.identity, found=self.found(),
        ))

    def found(self):
        """Where others are looked for."""
        if not self.zone:
            return ""
        sites = ", ".join(f'"{host}" = "{self.zone.web_server}"' for host in self.zone.hosts)
        return f'name_servers = ["{self.zone.name_server}"]\nresolve_web = {{ {sites} }}'

    def moderator(self, name):
        person = self.person(name)
        localpart = person.user_id[1:].split(":")[0]
        words = ["user", "class", localpart, "moderator", "--config", str(self.config)]
        done = subprocess.run([os.environ["VESTIBULE_BIN"], *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{person} does not become a moderator: {done.stdout}{done.stderr}")
        return person

    def open_to_guests(self, *rooms, space=None):
        """Opens rooms to guests by policy, and nothing else. The policy is swapped while the server runs."""
        self.listed += rooms
        self.spaces += [f'{{ id = "{space}", depth = 2, curators = ["{self.name}"] }}'] if space else []
        self.write()
        self.process.send_signal(signal.SIGHUP)


class Synapse(Server):
    """The peer we did not write."""

    kind = "synapse"

    def __init__(self, folder, address, authority, identity, **named):
        super().__init__(folder, address, authority, identity, **named)
        self.config = self.folder / "homeserver.yaml"
        logging = self.folder / "logging.yaml"
        logging.write_text(LOGGING)
        self.config.write_text(SYNAPSE.format(
            name=self.name, folder=self.folder, client=self.client_port, address=self.address,
            federation=self.wire.behind, authority=authority.path, certificate=self.certificate,
            private_key=self.private_key, logging=logging, secret=secrets.token_hex(16),
        ))
        made = subprocess.run(
            [*self.command(), "--generate-keys"], cwd=self.folder, capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise RuntimeError(f"Synapse refuses its configuration: {made.stdout}{made.stderr}")

    def command(self):
        start = ["-m", "synapse.app.homeserver"]
        if self.zone:
            start = [str(ELSEWHERE), self.zone.name_server, self.zone.web_server]
        return [sys.executable, *start, "--config-path", str(self.config)]


class Understudy(Synapse):
    """Synapse in the place of the server under test: what fails with it is a fault of the scenario."""

    kind = "understudy"

    def open_to_guests(self, *rooms, space=None):
        """Synapse has no such policy."""


VESTIBULE = """
[server]
name = "{name}"
data_dir = "{data}"

[[listener]]
bind = "127.0.0.1:{client}"
serves = ["client"]

[[listener]]
bind = "{address}:{federation}"
serves = ["federation"]
tls = {{ certificate = "{certificate}", private_key = "{private_key}" }}

[federation]
enabled = true
ca_file = "{authority}"
allowed_networks = ["127.0.0.0/8"]
{found}

[presence]
send_presence = true
receive_presence = true

[identity]
trusted_servers = ["{identity}"]

[registration]
mode = "open"

[storage]
durability = "os"

[log]
filter = "info,vestibule_federation=debug,vestibule_remote=debug,vestibule_federation_api=debug"

[guests]
enabled = true
open_rooms_by = ["list", "space"]
list = {listed}
space = [{spaces}]
need_host = false
federated_join = "in-scope"

[guests.caps]
per_ip = 1000
per_ip_per_day = 10000
new_per_minute = 1000
rooms_each = 50

[class.member]
rates = {{ message = "6000/min burst 1000", join = "6000/min burst 1000", invite = "6000/min burst 1000" }}

[class.guest]
rates = {{ message = "600/min burst 100", join = "600/min burst 100" }}

[directory]
publish = "member"
visible_to_servers = true
"""

SYNAPSE = """
server_name: "{name}"
public_baseurl: "http://127.0.0.1:{client}/"
pid_file: "{folder}/synapse.pid"
log_config: "{logging}"
media_store_path: "{folder}/media"
signing_key_path: "{folder}/signing.key"
report_stats: false
listeners:
  - port: {client}
    bind_addresses: ["127.0.0.1"]
    type: http
    resources: [{{names: [client], compress: false}}]
  - port: {federation}
    bind_addresses: ["{address}"]
    type: http
    tls: true
    resources: [{{names: [federation, keys], compress: false}}]
database:
  name: sqlite3
  args: {{database: "{folder}/synapse.db"}}
tls_certificate_path: "{certificate}"
tls_private_key_path: "{private_key}"
federation_verify_certificates: true
federation_custom_ca_list: ["{authority}"]
ip_range_blacklist: []
federation_ip_range_blacklist: []
trusted_key_servers: []
suppress_key_server_warning: true
federation:
  client_timeout: 20s
  max_short_retries: 1
  max_short_retry_delay: 1s
  max_long_retries: 1
  max_long_retry_delay: 1s
  destination_min_retry_interval: 1s
  destination_retry_multiplier: 1
  destination_max_retry_interval: 2s
macaroon_secret_key: "{secret}"
form_secret: "{secret}"
registration_shared_secret: "{secret}"
enable_registration: true
enable_registration_without_verification: true
allow_public_rooms_over_federation: true
allow_public_rooms_without_auth: true
enable_room_list_search: true
room_list_publication_rules: [{{action: allow}}]
# Else a second initial sync answers with the place of the first.
caches: {{sync_response_cache_duration: 0s}}
bcrypt_rounds: 4
presence: {{enabled: true}}
rc_message: {{per_second: 1000, burst_count: 1000}}
rc_registration: {{per_second: 1000, burst_count: 1000}}
rc_login:
  address: {{per_second: 1000, burst_count: 1000}}
  account: {{per_second: 1000, burst_count: 1000}}
  failed_attempts: {{per_second: 1000, burst_count: 1000}}
rc_admin_redaction: {{per_second: 1000, burst_count: 1000}}
rc_joins:
  local: {{per_second: 1000, burst_count: 1000}}
  remote: {{per_second: 1000, burst_count: 1000}}
rc_joins_per_room: {{per_second: 1000, burst_count: 1000}}
rc_invites:
  per_room: {{per_second: 1000, burst_count: 1000}}
  per_user: {{per_second: 1000, burst_count: 1000}}
  per_issuer: {{per_second: 1000, burst_count: 1000}}
rc_federation: {{window_size: 1000, sleep_limit: 1000, sleep_delay: 1, reject_limit: 1000, concurrent: 50}}
rc_key_requests: {{per_second: 1000, burst_count: 1000}}
rc_room_creation: {{per_second: 1000, burst_count: 1000}}
rc_presence:
  per_user: {{per_second: 1000, burst_count: 1000}}
"""

LOGGING = """
version: 1
formatters:
  plain: {format: "%(asctime)s %(name)s %(levelname)s %(request)s %(message)s"}
handlers:
  console: {class: logging.StreamHandler, formatter: plain, stream: "ext://sys.stdout"}
loggers:
  synapse.storage.SQL: {level: WARNING}
  synapse.metrics: {level: WARNING}
root: {level: INFO, handlers: [console]}
disable_existing_loggers: false
"""
