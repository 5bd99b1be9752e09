"""Ports for servers that are started after their port is known, and once more on the same one."""

import random
import socket

# Below what systems take from for the near end of a connection: a port from there may be gone when its server starts.
PORTS = range(10_000, 32_768)
TRIES = 200

_given = set()


def free_port(address):
    """A port nobody listens on, and that nobody else of this process was given."""
    for port in random.sample(PORTS, TRIES):
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise RuntimeError(f"none of {TRIES} ports of {address} is free")
