"""Sets the stage for a client scenario: the real binary, people, rooms, and the policy under test."""

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "interop"))
from certificates import Authority  # noqa: E402
from facts import Facts, path, refused, say  # noqa: E402
from ports import free_port  # noqa: E402

HERE = Path(__file__).resolve().parent
SERVER_NAME = "localhost"
EVICT_AFTER_S = 6
CLASSES = {
    "admin": "admin",
    "alice": "member",
    "bob": "member",
    "stray": "member",
    "mona": "moderator",
    "dora": "moderator",
}
# Who is there when no policy is under test.
COMPANY = {"admin": "admin", "alice": "member", "bob": "member", "carol": "member", "robot": "member"}

# Scenarios in which people compare keys.
COMPARES_KEYS = {"nio-crypto", "js-crypto", "matrix-sdk", "matrix-sdk-abroad"}

BASE = """
[server]
name = "{name}"
data_dir = "{data}"

[[listener]]
bind = "127.0.0.1:{port}"
serves = ["client"]

[registration]
mode = "closed"
"""

# Guests off: aliases are any member's, as clients expect.
BEFORE = BASE + """
[guests]
enabled = false
"""

AFTER = BASE + """
[guests]
enabled = true
open_rooms_by = ["alias", "list", "space"]
alias = "#*:{name}"
list = ["{listed}"]
never = ["#staff:{name}"]
when_room_leaves_scope = {{ do = "freeze", evict_after = "{evict}s" }}

[[guests.space]]
id = "{space}"
depth = 2
curators = ["{name}"]

[guests.caps]
per_ip = 100
per_ip_per_day = 1000
new_per_minute = 1000
rooms_each = 50

[class.guest]
rates = {{ message = "600/min burst 100", join = "600/min burst 100" }}

[aliases]
create = "moderator"
members_may = ["#~{{localpart}}~*:{name}"]
"""

# A server as it comes, but for the rates: a scenario says in seconds what a person says in a day.
OPEN = BEFORE + """
[class.member]
rates = {{ message = "6000/min burst 1000", join = "6000/min burst 1000", request = "60000/min" }}
"""

# A server that talks to another; both believe one authority, and are named by where they listen.
TOWN = OPEN + """
[[listener]]
bind = "{name}"
serves = ["federation"]
tls = {{ certificate = "{certificate}", private_key = "{private_key}" }}

[federation]
enabled = true
ca_file = "{authority}"
allowed_networks = ["127.0.0.0/8"]

[directory]
visible_to_servers = true
"""

GUEST_ACCESS = {"type": "m.room.guest_access", "state_key": "", "content": {"guest_access": "can_join"}}


class Stage:
    """One server process with its folder, and the people and rooms a scenario finds there."""

    def __init__(self, facts, folder):
        self.facts = facts
        self.folder = Path(folder)
        self.binary = os.environ["VESTIBULE_BIN"]
        self.config = self.folder / "vestibule.toml"
        self.log = self.folder / "server.log"
        self.name = SERVER_NAME
        self.more = {}
        self.port = free_port("127.0.0.1")
        self.url = f"http://127.0.0.1:{self.port}"
        self.passwords = {}
        self.tokens = {}
        self.process = None

    def write(self, template, **values):
        values = {"data": self.folder / "data", "port": self.port, "evict": EVICT_AFTER_S, **self.more, **values}
        self.config.write_text(template.format(name=self.name, **values))

    def cli(self, *words, stdin=None):
        done = subprocess.run(
            [self.binary, *words, "--config", str(self.config)],
            input=stdin, text=True, capture_output=True, timeout=60, check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--config", str(self.config)], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        for _ in range(300):
            if self.process.poll() is not None:
                break
            try:
                if say(self.url, "GET", "/_matrix/client/versions")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise RuntimeError(f"the server did not come up:\n{self.tail()}")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode if self.process else None

    def tail(self):
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def ask(self, who, method, *parts, body=None):
        return say(self.url, method, path(*parts), self.tokens.get(who), body)

    def must(self, who, method, *parts, body=None):
        status, answer = self.ask(who, method, *parts, body=body)
        if status != 200:
            raise RuntimeError(f"{who}: {method} {parts} with {body} answered {status} {answer}")
        return answer

    def log_in(self, who):
        answer = self.must(None, "POST", "login", body={
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": who},
            "password": self.passwords[who],
            "initial_device_display_name": "stage",
        })
        self.tokens[who] = answer["access_token"]

    def open_room(self, who, name, **more):
        """A room anybody may join as far as the room goes: only the policy stands in a guest's way."""
        body = {"preset": "public_chat", "name": name, "initial_state": [GUEST_ACCESS], **more}
        return self.must(who, "POST", "createRoom", body=body)["room_id"]

    def people(self, template=BEFORE, classes=CLASSES):
        """The first admin is made while no server runs, the others through the running one."""
        for name in classes:
            self.passwords.setdefault(name, secrets.token_urlsafe(12))
        self.write(template)
        code, said = self.cli("user", "create", "admin", "--class", "admin", stdin=self.passwords["admin"] + "\n")
        self.facts.check("the first admin is made before the server has run", code == 0, said)
        self.start()
        for name, class_name in classes.items():
            if name == "admin":
                continue
            code, said = self.cli("user", "create", name, "--class", class_name, stdin=self.passwords[name] + "\n")
            self.facts.check(f"{name} ({class_name}) is made while the server runs", code == 0, said)
        for name in classes:
            self.log_in(name)

    def rooms(self):
        """Rooms from the time before guests were let in, and the space the policy will name."""
        answer = self.ask(None, "POST", "register", body={})
        self.facts.check("registration is closed", answer[0] in (401, 403) and "access_token" not in answer[1], answer)
        answer = say(self.url, "POST", path("register") + "?kind=guest", body={})
        self.facts.check(
            "refuses a guest while guests are off",
            answer[0] == 403 and answer[1].get("errcode") == "M_GUEST_ACCESS_FORBIDDEN", answer,
        )
        made = {
            "early": self.open_room("stray", "Early"),
            "listed": self.open_room("alice", "Listed"),
            "space": self.open_room("mona", "Space", creation_content={"type": "m.space"}),
        }
        self.must("stray", "PUT", "directory", "room", f"#early:{SERVER_NAME}", body={"room_id": made["early"]})
        # A stranger with every right in the space, and no class to back it.
        self.must("stray", "POST", "join", made["space"], body={})
        levels = self.must("mona", "GET", "rooms", made["space"], "state", "m.room.power_levels")
        levels.setdefault("users", {})[f"@stray:{SERVER_NAME}"] = 100
        self.must("mona", "PUT", "rooms", made["space"], "state", "m.room.power_levels", body=levels)
        return made

    def reload(self, made):
        """The policy under test arrives by SIGHUP: no restart, and nobody is logged out."""
        self.write(AFTER, listed=made["listed"], space=made["space"])
        code, said = self.cli("config", "check")
        self.facts.check("the file with guests passes config check", code == 0, said)
        self.process.send_signal(signal.SIGHUP)
        answer = None
        for _ in range(50):
            answer = say(self.url, "POST", path("register") + "?kind=guest", body={})
            if answer[0] == 200:
                break
            time.sleep(0.1)
        if not self.facts.check("SIGHUP swaps the policy: guests may register", answer[0] == 200, answer):
            self.stop()
            self.start()
        answer = self.ask("alice", "GET", "account", "whoami")
        self.facts.check("a member's token outlives the reload", answer[0] == 200, answer)

    def never_room(self, made):
        """A room of the `never` list, with another alias that would open it."""
        made["staff"] = self.open_room("admin", "Staff")
        for alias in ("#staff", "#staff-lounge"):
            self.must("admin", "PUT", "directory", "room", f"{alias}:{SERVER_NAME}", body={"room_id": made["staff"]})

    def demotion(self):
        """A class change acts on live tokens, and leaves open what was opened by right."""
        check = self.facts.check
        room = self.open_room("dora", "Demoted")
        self.must("dora", "PUT", "directory", "room", f"#by-dora:{SERVER_NAME}", body={"room_id": room})
        code, said = self.cli("user", "class", "dora", "member")
        check("a class changes while the server runs", code == 0, said)
        answer = self.ask("dora", "PUT", "directory", "room", f"#late:{SERVER_NAME}", body={"room_id": room})
        check("refuses an alias to a moderator demoted a moment ago", refused(answer, "M_FORBIDDEN"), answer)
        guest = say(self.url, "POST", path("register") + "?kind=guest", body={})[1]["access_token"]
        answer = say(self.url, "POST", path("join", f"#by-dora:{SERVER_NAME}"), guest, {})
        check("an alias made by right stays a door after its maker's demotion", answer[0] == 200, answer)

    def explain(self, made):
        """The command line says about the stage what the join handler does."""
        code, said = self.cli("policy", "rooms", "--class", "guest")
        self.facts.check("policy rooms names the listed room", code == 0 and made["listed"] in said, said)
        self.facts.check("policy rooms does not name the staff room", code == 0 and made["staff"] not in said, said)


def play(facts, scenario, command, stage, made=None, **more):
    """Runs the client; its last line says what passed and failed. The line `stage: restart` asks for a restart of
    the server, `restarted` on the client's standard input answers it."""
    brief = stage.folder / "stage.json"
    brief.write_text(json.dumps({
        "url": stage.url,
        "server_name": stage.name,
        "passwords": stage.passwords,
        "folder": str(stage.folder),
        "rooms": made or {},
        "evict_after_ms": EVICT_AFTER_S * 1000,
        **more,
    }))
    last = ""
    with subprocess.Popen([*command, str(brief)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            if line == "stage: restart\n":
                facts.check("the server stops cleanly in between", stage.stop() == 0, stage.tail())
                stage.start()
                child.stdin.write("restarted\n")
                child.stdin.flush()
                continue
            print(line, end="", flush=True)
            last = line.strip() or last
    words = last.split()
    passed = failed = 0
    if len(words) == 4 and words[1::2] == ["passed,", "failed"]:
        passed, failed = int(words[0]), int(words[2])
    facts.check(f"the {scenario} scenario comes to its end", child.returncode in (0, 1) and passed > 0, last)
    return passed, failed


def guests(facts, scenario, command, stage):
    """The policy stage: people without an account, doors that open and close."""
    passed = failed = 0
    made = None
    with facts.part("the stage"):
        stage.people()
        made = stage.rooms()
        stage.reload(made)
        stage.never_room(made)
    if made and "staff" in made:
        passed, failed = play(facts, scenario, command, stage, made)
        with facts.part("the demotion"):
            stage.demotion()
        with facts.part("policy rooms"):
            stage.explain(made)
    return passed, failed


def company(facts, scenario, command, stage):
    """A stage with nothing but people on it: the scenario makes its own rooms."""
    with facts.part("the stage"):
        stage.people(OPEN, COMPANY)
        return play(facts, scenario, command, stage)
    return 0, 0


def town(facts, scenario, command, stage):
    """Two servers that talk to each other, with the same people on both."""
    folder = stage.folder / "elsewhere"
    folder.mkdir()
    other = Stage(facts, folder)
    authority = Authority(stage.folder)
    certificate, private_key = authority.certificate("127.0.0.1")
    try:
        with facts.part("the stage"):
            for server in (stage, other):
                server.name = f"127.0.0.1:{free_port('127.0.0.1')}"
                server.more = {"certificate": certificate, "private_key": private_key, "authority": authority.path}
                server.people(TOWN, COMPANY)
            elsewhere = {"url": other.url, "passwords": other.passwords}
            return play(facts, scenario, command, stage, elsewhere=elsewhere)
        return 0, 0
    finally:
        code = other.stop()
        facts.check("the other server stops cleanly on SIGTERM", code == 0, code)
        if facts.failed:
            print(f"--- the end of the other server's log ---\n{other.tail()}", flush=True)


def run(scenario, setting, command, folder):
    """Sets the stage, runs one scenario on it, and answers with what passed and failed."""
    facts = Facts(f"{scenario} stage")
    stage = Stage(facts, folder)
    passed = failed = 0
    try:
        passed, failed = setting(facts, scenario, command, stage)
    finally:
        code = stage.stop()
        facts.check("the server stops cleanly on SIGTERM", code == 0, code)
        if facts.failed or failed:
            print(f"--- the end of the server's log ---\n{stage.tail()}", flush=True)
    return facts.passed + passed, facts.failed + failed


def scenarios(node, rust):
    """Every scenario by its name: the stage it wants, and the client's command."""
    python, here = sys.executable, str(HERE)
    return {
        "nio": (guests, [python, f"{here}/nio/scenario.py"]),
        "nio-crypto": (company, [python, f"{here}/nio/crypto.py"]),
        "nio-everyday": (company, [python, f"{here}/nio/everyday.py"]),
        "js-sdk": (guests, [node, f"{here}/js-sdk/scenario.mjs"]),
        "js-crypto": (company, [node, f"{here}/js-sdk/crypto.mjs"]),
        "js-devices": (company, [node, f"{here}/js-sdk/devices.mjs"]),
        "js-everyday": (company, [node, f"{here}/js-sdk/everyday.mjs"]),
        "bot": (company, [python, f"{here}/bot/scenario.py"]),
        "matrix-sdk": (company, [rust]),
        "matrix-sdk-abroad": (town, [rust]),
        "browser": (guests, [node, f"{here}/browser/scenario.mjs"]),
    }


def apart(scenario, shared):
    """Runs one scenario in a process of its own, and shows what it said once it is over."""
    done = subprocess.run(
        [sys.executable, __file__, *shared, scenario], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    said, _, end = done.stdout.rpartition("clients: ")
    print(said or done.stdout, end="", flush=True)
    words = end.split()
    if len(words) != 4 or words[1::2] != ["passed,", "failed"]:
        print(f"FAILED  [{scenario} stage] the scenario comes to its end", flush=True)
        return 0, 1
    return int(words[0]), int(words[2])


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("which", nargs="*", default=["all"])
    words.add_argument("--node", required=True)
    words.add_argument("--rust", required=True)
    words.add_argument("--without", action="append", default=[])
    given = words.parse_args()
    known = scenarios(given.node, given.rust)
    unknown = set(given.which) - set(known) - {"all"}
    if unknown:
        words.error(f"no scenario {', '.join(sorted(unknown))}; there are all, {', '.join(known)}")
    wanted = [
        name for name in known
        if ("all" in given.which or name in given.which) and name not in given.without
    ]
    if len(wanted) == 1:
        setting, command = known[wanted[0]]
        with tempfile.TemporaryDirectory(prefix="vestibule-clients-") as folder:
            passed, failed = run(wanted[0], setting, command, folder)
    else:
        shared = ["--node", given.node, "--rust", given.rust]
        with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 2)) as pool:
            sums = dict(zip(wanted, pool.map(lambda name: apart(name, shared), wanted)))
        # Two clients that compare keys race each other: what each sends last may overtake what it sent before. What
        # fails there is told, and counts if it fails once more with the machine to itself.
        again = [name for name, one in sums.items() if one[1] and name in COMPARES_KEYS]
        for name in again:
            print(f"again   [{name} stage] the scenario failed, and is played once more by itself", flush=True)
            sums[name] = apart(name, shared)
        passed, failed = sum(one[0] for one in sums.values()), sum(one[1] for one in sums.values())
        for name in again:
            print(f"played twice: {name}, which failed beside others, see above")
    print(f"clients: {passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
