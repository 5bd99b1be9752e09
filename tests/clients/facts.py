"""Facts a scenario states, and the plain HTTP it states some of them over."""

import asyncio
import json
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "common"))
from asking import fetch, path, say  # noqa: E402

__all__ = ["Facts", "fetch", "path", "plain", "play", "refused", "restart", "say"]

PLAY_S_MAX = 300


class Facts:
    """Counts facts; one line per fact, `N passed, M failed` at the end."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.passed = 0
        self.failed = 0

    def check(self, fact, holds, seen=None):
        """States one fact; `seen` is printed when it does not hold."""
        if holds:
            self.passed += 1
            print(f"ok      [{self.scenario}] {fact}", flush=True)
        else:
            self.failed += 1
            print(f"FAILED  [{self.scenario}] {fact}\n        seen: {plain(seen)}", flush=True)
        return bool(holds)

    @contextmanager
    def part(self, name):
        """A part of a scenario: a crash in it is one failed fact, and the next part still runs."""
        try:
            yield
        except Exception:  # noqa: BLE001 the scenario goes on
            traceback.print_exc(limit=6, file=sys.stdout)
            self.check(f"{name} runs to its end", False, "the exception above")

    async def acts(self, acts, goes_on, cast):
        """Plays acts one after the other while there is what they need; closes the cast, and sums up."""
        try:
            for act in acts:
                with self.part(act.__name__):
                    await act()
                if not goes_on():
                    break
        finally:
            for one in cast():
                await one.close()
        return self.finish()

    def finish(self):
        """Prints the sum; the exit code of the scenario."""
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed else 0


def plain(seen):
    """What was seen, without the headers a client's answer drags along."""
    transport = getattr(seen, "transport_response", None)
    if transport is None:
        return repr(seen)[:1500]
    said = {k: v for k, v in vars(seen).items() if v not in ("", None) and k != "transport_response"}
    return f"{transport.method} {transport.url} -> {transport.status} {type(seen).__name__} {said}"[:1500]


def refused(answer, errcode="M_GUEST_ACCESS_FORBIDDEN"):
    """Whether an answer is the policy's refusal: 403, the code of the class, and a reason."""
    status, body = answer
    return (
        status == 403
        and isinstance(body, dict)
        and body.get("errcode") == errcode
        and isinstance(body.get("org.vestibule.reason"), str)
    )


def play(scenario):
    """Plays a scenario on the stage that the command line names, and ends the process."""
    stage = json.loads(Path(sys.argv[1]).read_text())
    sys.exit(asyncio.run(asyncio.wait_for(scenario(stage).play(), PLAY_S_MAX)))


def restart():
    """Asks the stage to restart the server, and waits until it is back."""
    print("stage: restart", flush=True)
    if sys.stdin.readline() != "restarted\n":
        raise RuntimeError("the server did not come back")
