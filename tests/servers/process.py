"""One server that a test may stop, kill, freeze and start again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers.ports import free_port

# Sentinel does nothing for half a minute when it has itself stood still for two seconds.
_PATIENCE = 60.0

# Linux kills the server when the thread that forked it is gone, however that happened. So all servers are
# forked from one thread, which lives as long as this process; a test's own thread might end earlier.
_launcher = ThreadPoolExecutor(1, thread_name_prefix="server-launcher")
_LAUNCH = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


class ServerProcess:
    """A Redis or Valkey on a free loopback port, with its data in `directory`.

    `aof` keeps what was acknowledged over `kill()` and `start()`; without it the server forgets all.
    `options` are settings of redis.conf. A name's underscores stand for hyphens.
    """

    def __init__(self, binary: Path, directory: Path, *, aof: bool = False, **options: str | int) -> None:
        self.binary = binary
        self.directory = directory
        self.port = 0
        self.options: Mapping[str, str | int] = {
            "save": "",
            "appendonly": "yes" if aof else "no",
            "appendfsync": "always",
            "repl_diskless_sync_delay": 0,
            **options,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def log(self) -> str:
        """What the server has written since it was first started."""
        return self._log_path.read_text("utf-8", "replace") if self._log_path.exists() else ""

    def client(self, **options: Any) -> redis.Redis:
        """A plain client that does not retry."""
        return redis.Redis(port=self.port, retry=Retry(NoBackoff(), 0), **options)

    def start(self) -> Self:
        """Start it, on the port it had before if there was one, and wait until it answers."""
        self.launch()
        self.wait_ready()
        return self

    def launch(self) -> None:
        """Start it without waiting."""
        if self._process is not None:
            raise RuntimeError("the server runs already")
        self.port = self.port or free_port()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._process = _launcher.submit(self._spawn).result()

    def wait_ready(self) -> None:
        """Wait until it answers PING: it listens, and has loaded its data."""
        with self.client() as client:
            self.wait_for(lambda: _answers(client), "an answer to PING")

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Wait until `condition()` is true; fails if the server ends before or takes far too long."""
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            if self._running().poll() is not None:
                raise RuntimeError(f"the server ended while waiting for {what}:\n{self.log[-2000:]}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {_PATIENCE:.0f} s for {what}:\n{self.log[-2000:]}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End it in order, if it runs."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, by SIGKILL, if it runs."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it in order and start it on the same port."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open, and nothing answers."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen server go on."""
        self._running().send_signal(signal.SIGCONT)

    @property
    def _log_path(self) -> Path:
        return self.directory / "server.log"

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._process = None

    def _arguments(self) -> list[str]:
        settings = {"bind": "127.0.0.1", "port": self.port, "dir": self.directory, **self.options}
        return [
            part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", str(value))
        ]

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._log_path.open("ab") as log:
            return subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    "-c",
                    _LAUNCH,
                    str(os.getpid()),
                    str(self.binary),
                    *self._arguments(),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except (redis.ConnectionError, redis.TimeoutError):  # LOADING is a ConnectionError too
        return False
