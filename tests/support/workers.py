"""Workers under test: in this process, or as processes of their own that can be killed or stopped."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import yaml

from riptide.clock import SystemClock
from riptide.config import Settings
from riptide.reads.aio_client import AsyncRipTide
from riptide.reads.assembly import assemble
from riptide.store.aio import open_async_store
from riptide.store.sync import open_store
from riptide.streams.message import Ref
from riptide.streams.registry import CommandType, Handler
from riptide.streams.worker import Worker
from tests.support import commands
from tests.support.deployment import MODULE, SELDOM, TYPES, Deployment
from tests.support.waiting import PATIENCE, aeventually, eventually

ROOT = Path(__file__).parents[2]
RIPTIDE = str(Path(sys.executable).with_name("riptide"))


def command_types(handlers: dict[str, Handler] | None = None) -> list[CommandType]:
    """The test commands, or those of them that `handlers` names, carried out by it."""
    models = {model.type: model for model in commands.COMMANDS}
    chosen = commands.HANDLERS if handlers is None else handlers
    return [CommandType(name, models[name], handler) for name, handler in chosen.items()]


def of_a_worker(settings: Settings) -> AsyncRipTide:
    """A connection as workers have it, without a circuit breaker."""
    return AsyncRipTide(assemble(None, settings, blocking=asyncio.to_thread), open_async_store(settings))


@asynccontextmanager
async def running_worker(
    settings: Settings, types: Sequence[CommandType] | None = None, **context: Any
) -> AsyncIterator[Worker]:
    """A worker in this event loop, from its first heartbeat to a graceful stop. Its death fails the test."""
    rt = of_a_worker(settings)
    beat_store = await asyncio.to_thread(open_store, settings)
    chosen = command_types() if types is None else types
    worker = Worker(settings, chosen, rt.store, beat_store, SimpleNamespace(rt=rt, **context), SystemClock())
    task = asyncio.create_task(worker.run())
    try:
        await _joined(rt, worker, task)
        yield worker
    finally:
        worker.stop()
        try:
            await asyncio.wait_for(task, PATIENCE)
        finally:
            beat_store.close()
            await rt.aclose()


async def _joined(rt: AsyncRipTide, worker: Worker, task: asyncio.Task[None]) -> None:
    async def is_member() -> bool:
        if task.done():
            await task
        return await rt.store.run(worker._ground.members.is_member(worker.name))

    await aeventually(is_member, "the worker to join")


async def rests(worker: Worker, *kinds: str) -> None:
    """Wait until `worker` knows that these types rest, and no others, and waits for none of them."""

    async def told() -> bool:
        waits = {stream.kind for reader in worker._readers for stream in reader._waiting_for}
        return worker._readers.resting == set(kinds) and waits.isdisjoint(kinds)

    await aeventually(told, f"the worker to rest {kinds}")


async def make_due(deployment: Deployment, worker: Worker, ref: Ref) -> None:
    """Have `worker` put back what waits for its time or a retry, as if that had come."""
    retries = deployment.keys.retry(ref.kind, ref.partition)
    assert deployment.client.zadd(retries, {ref.entry_id: 1}, xx=True, ch=True) == 1
    await worker._retries.promote_all()


class WorkerProcess:
    """`riptide worker` as a process of its own, serving the test commands (or `commands`).

    `sections` override the configuration: `workers={"lease_seconds": 1}`.
    """

    def __init__(
        self,
        deployment: Deployment,
        directory: Path,
        *,
        commands: Sequence[str] = TYPES,
        concurrency: int | None = None,
        url: str | None = None,
        **sections: dict[str, Any],
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        number = len(list(directory.glob("worker*.yml")))
        self._deployment = deployment
        self._config = write_config(directory / f"worker{number}.yml", **sections)
        self._log = directory / f"worker{number}.log"
        self._arguments = ["worker", "--commands", ",".join(commands)]
        if concurrency is not None:
            self._arguments += ["--concurrency", str(concurrency)]
        self._environment = environment(deployment, self._config, url)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def names(self) -> list[str]:
        """What it is listed as among the members: several after it was taken over."""
        return [name for name in self._deployment.members() if name.split(".")[-2] == str(self.pid)]

    @property
    def seconds_there(self) -> float:
        """For how long it has been beating without a gap, by the server's clock."""
        return max(map(self._deployment.seconds_there, self.names), default=0.0)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.kill()
        if error is not None:
            sys.stderr.write(f"--- {self._log.name}\n{self.log[-6000:]}\n")

    def launch(self) -> Self:
        """Start it without waiting."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [RIPTIDE, *self._arguments],
                env=self._environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def start(self) -> Self:
        """Start it, and wait until it is a member."""
        self.launch()
        self.wait_joined()
        return self

    def wait_joined(self) -> None:
        def joined() -> list[str]:
            assert self.returncode is None, f"the worker ended with {self.returncode}:\n{self.log[-6000:]}"
            return self.names

        eventually(joined, "the worker to join")

    @property
    def returncode(self) -> int | None:
        assert self.process is not None
        return self.process.poll()

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        if self.process is not None and self.returncode is None:
            self.process.kill()
            self.process.wait(PATIENCE)

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def wait(self) -> int:
        """Wait for its end; answers the exit code."""
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)


def write_config(path: Path, **sections: dict[str, Any]) -> Path:
    """A configuration file with the test commands and quick retries; nothing is warmed or written down
    unasked."""
    quick = {"retry_base_seconds": 0.02, "retry_cap_seconds": 0.2, "modules": [MODULE]}
    content = {"blobs": {"url": str(path.parent / "blobs")}} | sections
    content |= {"cache": {"enable_warming": False} | dict(sections.get("cache", {}))}
    content |= {"state": SELDOM | dict(sections.get("state", {}))}
    content |= {"workers": quick | dict(sections.get("workers", {}))}
    path.write_text(yaml.safe_dump({"persistence": content}), "utf-8")
    return path


def environment(deployment: Deployment, config: Path, url: str | None = None) -> dict[str, str]:
    """What a process of this deployment needs to be told."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONPATH": str(ROOT),
        "REDIS_URL": url or deployment.url,
        "REDIS_CLUSTER_MODE": str(deployment.cluster).lower(),
        "CACHE_KEY_PREFIX": deployment.prefix,
        "RIPTIDE_CONFIG": str(config),
    } | {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
