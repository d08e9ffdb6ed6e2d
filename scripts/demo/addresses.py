"""Where server and origin listen: inside `.riptide`, or on a free port of loopback; never where others do."""

import os
import random
import socket
from pathlib import Path

HOST = "127.0.0.1"
_LONGEST_SOCKET_PATH = 103  # bytes; see riptide.store.embedded
_PORTS = range(7411, 8000)


def server_socket(data: Path) -> Path | None:
    """A unix socket in the directory, or None if its path would be too long for one."""
    path = data / "valkey.sock"
    return path if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH else None


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    return next(port for port in random.sample(_PORTS, len(_PORTS)) if _is_free(port))


def remembered_port(file: Path) -> int:
    """The port of the last run, for it is part of the pages' addresses; another one if that is taken."""
    text = file.read_text() if file.exists() else ""
    if text.isdigit() and _is_free(int(text)):
        return int(text)
    port = free_port()
    file.write_text(str(port))
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
