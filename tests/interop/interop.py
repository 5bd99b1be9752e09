"""Two homeservers with a wire between them, and scenarios in which their people meet."""

import argparse
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import scenarios
from certificates import Authority
from facts import Facts, line, not_yet, sum_up
from identity import Identity
from servers import Synapse, Understudy, Vestibule

AT_ONCE = 4


class Stage:
    """Both servers, running and connected."""

    def __init__(self, folder, under_test):
        self.folder = folder
        self.authority = authority = Authority(folder)
        self.identity = Identity("127.0.0.4", authority)
        self.vestibule = under_test(folder, "127.0.0.3", authority, self.identity.name)
        self.synapse = Synapse(folder, "127.0.0.2", authority, self.identity.name)
        self.both = (self.vestibule, self.synapse)

    def start(self):
        for server in self.both:
            server.wire.mend()
            server.start()

    def ways(self):
        """Both ways round: (the one who makes a room, the one who comes)."""
        return [(self.vestibule, self.synapse), (self.synapse, self.vestibule)]

    def stop(self):
        """Ends both processes; answers with the exit codes."""
        codes = {}
        for server in self.both:
            codes[server.kind] = server.stop()
            server.wire.cut()
        self.identity.stop()
        return codes


def play(names, folder, under_test):
    """Sets the stage and plays the scenarios on it."""
    expected_to_fail = not_yet()
    all_facts = [Facts("stage", expected_to_fail)]
    stage = None
    try:
        with all_facts[0].part("the stage"):
            stage = Stage(folder, under_test)
            stage.start()
        if all_facts[0].passed:
            scenes = {name: Facts(name, expected_to_fail) for name in names}
            all_facts += scenes.values()
            with ThreadPoolExecutor(AT_ONCE) as pool:
                together = [name for name in names if name in scenarios.TOGETHER]
                list(pool.map(lambda name: one(stage, name, scenes[name]), together))
            for name in names:
                if name in scenarios.ALONE:
                    one(stage, name, scenes[name])
    finally:
        codes = stage.stop() if stage else {}
        all_facts[0].check("both servers stop cleanly on SIGTERM", set(codes.values()) == {0}, codes)
    return all_facts, stage


def one(stage, name, facts):
    """Plays one scenario."""
    started = time.monotonic()
    with facts.part(name):
        scenarios.ALL[name](stage, facts)
    line(f"        [{name}] took {time.monotonic() - started:.1f} s")


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("names", nargs="*", metavar="SCENARIO", help="which to play; all when none is named")
    words.add_argument("--list", action="store_true", help="print the names of the scenarios")
    words.add_argument("--rehearse", action="store_true", help="play them between two Synapses")
    words.add_argument("--keep", action="store_true", help="keep the folder with both logs, as after a failure")
    given = words.parse_args()
    unknown = set(given.names) - set(scenarios.ALL)
    if unknown:
        words.error(f"no such scenario: {', '.join(sorted(unknown))}")
    if given.list:
        print("\n".join(scenarios.ALL))
        return 0
    folder = Path(tempfile.mkdtemp(prefix="vestibule-interop-"))
    well = False
    try:
        under_test = Understudy if given.rehearse else Vestibule
        all_facts, stage = play(given.names or list(scenarios.ALL), folder, under_test)
        well = sum_up(all_facts)
        if not well and stage:
            for server in stage.both:
                print(f"--- the end of {server}'s log, all of it in {server.log} ---\n{server.tail()}", flush=True)
    finally:
        if given.keep or not well:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
