"""The wire in front of one server: everything other servers send it passes here, and it can be cut."""

import socket
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "common"))
from ports import free_port  # noqa: E402

__all__ = ["Wire", "free_port"]


class Wire:
    """Forwards connections to `behind`, a port on the same address. `cut` refuses new and drops old ones."""

    def __init__(self, address):
        self.address = address
        self.port = free_port(address)
        self.behind = free_port(address)
        self.listening = None
        self.open = set()
        self.lock = threading.Lock()

    def mend(self):
        """Starts to forward."""
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((self.address, self.port))
        listening.listen(64)
        self.listening = listening
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def cut(self):
        """Stops to forward: whoever connects is refused, and every connection there is ends."""
        listening, self.listening = self.listening, None
        if listening:
            # Closing alone would leave the accepting thread in its call, and the port open with it.
            _end(listening)
        with self.lock:
            ends, self.open = self.open, set()
        for end in ends:
            _end(end)

    def _accept(self, listening):
        while True:
            try:
                here, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(here,), daemon=True).start()

    def _carry(self, here):
        try:
            there = socket.create_connection((self.address, self.behind), timeout=10)
            there.settimeout(None)
        except OSError:
            _end(here)
            return
        with self.lock:
            if self.listening is None:
                _end(here)
                _end(there)
                return
            self.open |= {here, there}
        threading.Thread(target=self._pump, args=(there, here), daemon=True).start()
        self._pump(here, there)

    def _pump(self, source, sink):
        try:
            while True:
                some = source.recv(65536)
                if not some:
                    break
                sink.sendall(some)
        except OSError:
            pass
        with self.lock:
            self.open -= {source, sink}
        _end(source)
        _end(sink)


def _end(end):
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()
