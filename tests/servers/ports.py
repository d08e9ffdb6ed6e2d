"""Free ports on loopback."""

import random
import socket

# Below the ports that the system hands to outgoing connections: there, a client that keeps knocking at a
# server that is down may be given that very port, and then it is connected to itself.
_RANGE = range(10_000, 32_000)
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
