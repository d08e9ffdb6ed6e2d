"""Free ports on loopback."""

import os
import random
import socket

# Below the ports that the system hands to outgoing connections: there, a client that keeps knocking at a
# server that is down may be given that very port, and then it is connected to itself.
# Each process of pytest-xdist has its own: a server that a test has stopped must find its port free again.
_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_RANGE = range(10_000 + _PROCESS % 4, 32_000, 4)
_given: set[int] = set()


def free_port() -> int:
    """A port nobody listens on, never the same one twice."""
    while True:
        port = random.SystemRandom().choice(_RANGE)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
