"""Facts a scenario states, and those that are known not to hold yet."""

import sys
import traceback
from contextlib import contextmanager
from pathlib import Path

NOT_YET = Path(__file__).resolve().parent / "not-yet.txt"


def line(text):
    """Prints a line as a whole: scenarios are played beside each other."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def not_yet():
    """The facts of `not-yet.txt`, one per line; `#` begins a comment."""
    lines = NOT_YET.read_text().splitlines() if NOT_YET.exists() else []
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


class Facts:
    """Counts the facts of one scenario, one line each."""

    def __init__(self, scenario, expected_to_fail):
        self.scenario = scenario
        self.expected_to_fail = expected_to_fail
        self.passed = []
        self.failed = []
        self.late = []
        self.arrived = []

    def check(self, fact, holds, seen=None):
        """States one fact; `seen` is printed when it does not hold."""
        name = f"[{self.scenario}] {fact}"
        listed = name in self.expected_to_fail
        if holds:
            (self.arrived if listed else self.passed).append(name)
            line(f"{'ok, and still in not-yet.txt:' if listed else 'ok     '} {name}")
        else:
            (self.late if listed else self.failed).append(name)
            line(f"{'not yet' if listed else 'FAILED '} {name}\n        seen: {str(seen)[:1500]}")
        return bool(holds)

    def about(self, what):
        """States facts about one thing: `check`, with its name before each."""
        return lambda fact, holds, seen=None: self.check(f"{what}: {fact}", holds, seen)

    @contextmanager
    def part(self, name):
        """A part of a scenario: a crash in it is one failed fact, and the next part still runs."""
        try:
            yield
        except Exception:  # noqa: BLE001 the scenario goes on
            self.check(f"{name} runs to its end", False, traceback.format_exc(limit=-3))
        else:
            self.check(f"{name} runs to its end", True)


def sum_up(all_facts, log=sys.stdout):
    """Prints the sum; whether everything is as it should be."""
    passed = sum(len(facts.passed) + len(facts.arrived) for facts in all_facts)
    failed = [name for facts in all_facts for name in facts.failed]
    late = [name for facts in all_facts for name in facts.late]
    arrived = [name for facts in all_facts for name in facts.arrived]
    for title, names in (("not yet", late), ("holds now, take it out of not-yet.txt", arrived), ("FAILED", failed)):
        for name in names:
            print(f"{title}: {name}", file=log)
    print(f"interop: {passed} passed, {len(failed)} failed, {len(late)} not yet", file=log, flush=True)
    return not failed and not arrived and passed > 0
