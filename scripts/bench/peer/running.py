"""One peer at work on the server: its commands published, its workers started and killed."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from scripts.bench.peer.apps import job
from scripts.bench.peer.catalog import Peer
from scripts.bench.peer.environments import Unusable, last_line

APPS = Path(__file__).parent / "apps"
ROOT = Path(__file__).parents[3]
_POLL_SECONDS = 0.02
#: Within that time a worker has done something, or it never will.
BOOT_SECONDS = 30.0
_CONFIG = "persistence:\n  workers:\n    modules: [on_riptide]\n"
_USAGE_CONFIG = "persistence:\n  tenant:\n    enabled: true\n"


@dataclass(frozen=True, slots=True)
class Arena:
    """Where a peer runs: the server, its environment's programs, and a directory for what it writes."""

    url: str
    peer: Peer
    programs: Path
    directory: Path

    def environment(self, **more: str) -> dict[str, str]:
        config = self.directory / "riptide.yml"
        config.write_text(_USAGE_CONFIG if self.peer.app == "on_usage" else _CONFIG)
        tuned = {"BENCH_TUNED": "1"} if self.peer.tuned else {}
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("BENCH_")},
            "BENCH_URL": self.url,
            "BENCH_QUEUE": job.QUEUE,
            "REDIS_URL": self.url,
            "RIPTIDE_CONFIG": str(config),
            "PYTHONPATH": f"{APPS}{os.pathsep}{ROOT}" if not self.peer.packages else str(APPS),
            **tuned,
            **more,
        }

    def fill(self, first: int, count: int, **environment: str) -> None:
        """Publish commands the way the peer's library does it. Raises Unusable."""
        with self.filling(first, count, **environment):
            pass

    @contextmanager
    def filling(self, first: int, count: int, **environment: str) -> Iterator[None]:
        """The same, while something else goes on."""
        command = [str(self.programs / "python"), "fill.py", self.peer.app, str(first), str(count)]
        with subprocess.Popen(
            command,
            env=self.environment(**environment),
            cwd=APPS,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield
            except BaseException:
                process.kill()
                raise
            _, said = process.communicate()
        if process.returncode:
            raise Unusable("cannot publish: " + last_line(said))


class WorkerProcess:
    """A worker of the peer, with all processes that it starts; killed at the end."""

    def __init__(self, arena: Arena, name: str = "") -> None:
        """With a `name` it notes its starts under it, as `job` does while a kill is measured."""
        self._log = arena.directory / f"worker{name}.log"
        program, *arguments = arena.peer.worker
        arguments = [argument.format(queue=job.QUEUE, url=arena.url) for argument in arguments]
        noting = {"BENCH_WORKER": name} if name else {}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(arena.programs / program), *arguments],
                env=arena.environment(**noting),
                cwd=APPS,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """As when the machine dies: all of its processes, without a word."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        finally:
            self._process.wait()

    def until(self, done: Callable[[], Any], seconds: float, what: str) -> None:
        """Wait until `done()` is true. Raises Unusable when the process ends, or the time is over."""
        end = time.monotonic() + seconds
        while not done():
            if self._process.poll() is not None:
                raise Unusable("the worker ended: " + last_line(self._log.read_text(errors="replace")))
            if time.monotonic() > end:
                raise Unusable(f"{what}: not within {seconds:g} s")
            time.sleep(_POLL_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.kill()


class Observer:
    """What the job's keys say, by a client of its own."""

    def __init__(self, url: str) -> None:
        self._client: Any = redis.Redis.from_url(url, decode_responses=True)

    def clear(self) -> None:
        """Empty the server, which is the benchmark's own, between two runs."""
        self._client.flushall()

    def total(self) -> int:
        """How often the job has had its effect."""
        return sum(map(int, self._client.hvals(job.TALLY))) + self._counted()

    def _counted(self) -> int:
        """What `record_usage` has counted, which has keys of its own."""
        months = [key for key in self._client.scan_iter("riptide:usage:*", count=1000) if "T" not in key]
        with self._client.pipeline(transaction=False) as pipe:
            for key in months:
                pipe.hget(key, "0|job|operations")
            return sum(int(value or 0) for value in pipe.execute()) if months else 0

    def tally(self) -> dict[int, int]:
        """Command -> how often it had its effect; only while a kill is measured."""
        return {int(n): int(times) for n, times in self._client.hgetall(job.TALLY).items()}

    def different(self) -> int:
        return int(self._client.hlen(job.TALLY))

    def starts(self) -> list[tuple[int, str, float]]:
        """(command, worker, Unix seconds) of each start, in the server's order."""
        lines = (self._client.get(job.STARTS) or "").splitlines()
        return [(int(n), worker, float(at)) for n, worker, at in (line.split(" ") for line in lines)]
