"""Backlogs and real worker processes for the benchmarks: publish, start, watch."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from commands import Command
from riptide.clock import SystemClock
from riptide.store.keys import Keys
from riptide.store.sync import Store, open_store
from riptide.streams.overview import StreamState, overview
from riptide.streams.publishing import Outgoing, Publisher
from scripts.bench import harness
from scripts.bench.workload import COMMANDS

ROOT = Path(__file__).parents[2]
TENANTS = 50
_BATCH = 1000


class Backlog:
    """Commands of one type under a prefix of their own, on the benchmark's server."""

    def __init__(self, url: str, prefix: str, kind: str) -> None:
        self.url, self.prefix, self.kind = url, prefix, kind
        self._model: type[Command] = {model.type: model for model in COMMANDS}[kind]
        settings = harness.settings(url, prefix)
        self._store: Store = open_store(settings)
        models = {kind: self._model}
        self._publisher = Publisher(Keys(prefix), settings.streams, models, SystemClock())
        self.published = 0

    def publish(self, count: int) -> None:
        for start in range(0, count, _BATCH):
            numbers = range(start, min(count, start + _BATCH))
            batch = [Outgoing(self._model.model_validate({"n": n}), f"tenant-{n % TENANTS}") for n in numbers]
            self._store.drive(self._publisher.publish_many(batch))
            self.published += len(batch)

    def state(self) -> StreamState:
        return self._store.drive(overview(Keys(self.prefix), [self.kind]))[0]

    def done(self) -> int:
        """How many were read and acknowledged, of all that was `published`."""
        return self.finished(self.state())

    def finished(self, state: StreamState) -> int:
        waiting = self.published if state.lag is None else state.lag
        return self.published - waiting - state.pending

    def wait(self, done: Callable[[], object], seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                raise SystemExit(f"not within {seconds:g} s: {self.done()} commands are done")
            time.sleep(0.05)

    def close(self) -> None:
        self._store.close()


class RealWorker:
    """`riptide worker` as a process of its own, on one CPU; ended by SIGTERM."""

    def __init__(self, backlog: Backlog, directory: Path, cpu: int) -> None:
        config = directory / "riptide.yml"
        config.write_text(
            "persistence:\n"
            f"  cache: {{key_prefix: {backlog.prefix}}}\n"
            "  workers: {modules: [scripts.bench.workload]}\n"
        )
        environment = {"REDIS_URL": backlog.url, "RIPTIDE_CONFIG": str(config), "PYTHONPATH": str(ROOT)}
        self._log = directory / "worker.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(Path(sys.executable).with_name("riptide")), "worker", "--commands", backlog.kind],
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        os.sched_setaffinity(self._process.pid, {cpu})

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        ended = self._process.poll() is not None
        self._process.terminate()
        self._process.wait()
        if ended:
            raise SystemExit("the worker ended by itself:\n" + self._log.read_text(errors="replace"))


def resident_kib(pid: int) -> int:
    """The memory of a process that is in RAM."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used so far, in user and kernel mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
