"""Producers and workers whose every step is recorded: in this event loop, or as processes that can be killed.

The processes are forked from a warm parent, which has all imports done, so that one costs a few hundredths of
a second. They run what `riptide worker` runs, with handlers that write down what they do.
"""

import asyncio
import ctypes
import faulthandler
import itertools
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import riptide
from riptide.cli.worker import for_heartbeats
from riptide.clock import Clock, SystemClock
from riptide.config import Settings
from riptide.errors import PublishRefused, PublishUnknown, ServerUnavailable
from riptide.reads.assembly import assemble
from riptide.reads.sync_client import RipTide
from riptide.state.archive.archiver import make_archiver
from riptide.store.sync import open_store
from riptide.streams.message import Ref
from riptide.streams.registry import CommandType
from riptide.streams.worker import Worker
from tests.support import recorded
from tests.support.deployment import make_settings
from tests.support.history import Recorder
from tests.support.observer import observe
from tests.support.waiting import PATIENCE, eventually
from tests.support.workers import of_a_worker

MODULE = "tests.support.recorded"
KINDS = tuple(recorded.HANDLERS)
#: A dead worker is noticed soon. A busy machine may look dead at times; then the more is taken over.
QUICK: dict[str, Any] = {
    "workers": {"lease_seconds": 0.6, "modules": (MODULE,)},
    "distributed": {"heartbeat_interval_ms": 150},
    "streams": {"block_ms": 200, "archive": False},
    "redis": {"retry_delay_ms": 5},
}
_PR_SET_PDEATHSIG = 1


class JumpingClock:
    """A wall clock that jumps by up to an hour either way whenever it is asked, and a monotonic clock that
    jumps ahead, as after a suspended machine."""

    def __init__(self, seed: str) -> None:
        self._rng = random.Random(seed)
        self._ahead = 0.0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._rng.randrange(-3_600_000, 3_600_000)

    def monotonic(self) -> float:
        if self._rng.random() < 0.01:
            self._ahead += self._rng.uniform(0, 600)
        return time.monotonic() + self._ahead


@dataclass(frozen=True)
class Place:
    """A deployment as its processes are told of it; `jumps` seeds clocks that jump."""

    url: str
    prefix: str
    directory: Path
    cluster: bool = False
    sections: dict[str, Any] = field(default_factory=dict)
    jumps: str | None = None

    def settings(self) -> Settings:
        names = QUICK.keys() | self.sections.keys()
        merged = {name: QUICK.get(name, {}) | self.sections.get(name, {}) for name in names}
        return make_settings(self.url, self.prefix, cluster=self.cluster, **merged)

    def through(self, url: str) -> "Place":
        """The same deployment, reached another way."""
        return replace(self, url=url)

    def clock(self) -> Clock:
        return SystemClock() if self.jumps is None else JumpingClock(f"{self.jumps} {os.getpid()}")


# Workers


@asynccontextmanager
async def recorded_worker(
    place: Place, recorder: Recorder, kinds: Sequence[str] = KINDS
) -> AsyncIterator[Worker]:
    """A worker in this event loop, from its first step to a graceful stop; its death fails the test."""
    settings = place.settings()
    rt = of_a_worker(settings)
    observe(rt.store, recorder)
    beat_store = await asyncio.to_thread(open_store, for_heartbeats(settings))
    context = SimpleNamespace(rt=rt, recorder=recorder)
    models = {model.type: model for model in recorded.COMMANDS}
    types = [CommandType(kind, models[kind], recorded.HANDLERS[kind]) for kind in kinds]
    worker = Worker(settings, types, rt.store, beat_store, context, place.clock())
    context.worker = lambda: worker.name
    running = asyncio.create_task(worker.run())
    try:
        async with _archiving(settings):
            yield worker
    finally:
        worker.stop()
        try:
            await asyncio.wait_for(running, PATIENCE)
        finally:
            beat_store.close()
            await rt.aclose()


@asynccontextmanager
async def _archiving(settings: Settings) -> AsyncIterator[None]:
    """As `riptide worker` does, if the place's settings ask for it; at the end it holds up nobody's loop."""
    archiver = make_archiver(settings)
    if archiver is None:
        yield
        return
    archiver.start()
    try:
        yield
    finally:
        archiver.stop()
        await asyncio.to_thread(archiver.join, PATIENCE)


def work(place: Place, kinds: Sequence[str] = KINDS) -> None:
    """The life of a worker process, until SIGTERM."""
    asyncio.run(_work(place, kinds))


async def _work(place: Place, kinds: Sequence[str]) -> None:
    recorder = Recorder(place.directory)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with recorded_worker(place, recorder, kinds):
        await stop.wait()


# Producers


@contextmanager
def recorded_client(place: Place) -> Iterator[RipTide]:
    """The synchronous face, whose publisher goes by the place's clock."""
    parts = assemble(None, place.settings(), place.clock())
    with RipTide(parts, open_store(parts.settings)) as rt:
        yield rt


def send(
    rt: RipTide,
    recorder: Recorder,
    batch: Sequence[riptide.Outgoing],
    again: Callable[[], bool] = lambda: True,
) -> None:
    """Publish a batch (one command by itself) until its outcome is known, or `again()` is false."""
    tokens = [outgoing.command.token for outgoing in batch]  # type: ignore[attr-defined]
    recorder.add_all({"what": "sent", "token": token} for token in tokens)
    try:
        refs = _publish(rt, batch)
        while isinstance(refs, PublishUnknown):
            if not again():
                recorder.add_all({"what": "unknown", "token": token} for token in tokens)
                return
            refs = _once_more(rt, refs)
    except PublishRefused:
        recorder.add_all({"what": "refused", "token": token} for token in tokens)
        return
    recorder.add_all(
        {"what": "accepted", "token": token, "ref": str(ref)} for token, ref in zip(tokens, refs, strict=True)
    )


def _publish(rt: RipTide, batch: Sequence[riptide.Outgoing]) -> list[Ref] | PublishUnknown:
    while True:
        try:
            if len(batch) > 1:
                return rt.publish_many(batch)
            [one] = batch
            return [rt.publish(one.command, tenant=one.tenant, delay=one.delay)]
        except PublishUnknown as error:
            return error
        except ServerUnavailable:  # nothing was published, it says: then this is no repetition
            time.sleep(0.02)


def _once_more(rt: RipTide, unknown: PublishUnknown) -> list[Ref] | PublishUnknown:
    try:
        return rt.publish_again(unknown)
    except PublishUnknown as error:
        return error


def produce(place: Place, batches: Sequence[Sequence[riptide.Outgoing]], pause: float = 0) -> None:
    """The life of a producer process: it publishes batch after batch, and ends."""
    recorder = Recorder(place.directory)
    with recorded_client(place) as rt:
        for batch in batches:
            send(rt, recorder, batch)
            time.sleep(pause)


def cancel(place: Place, told: Sequence[tuple[str, str]]) -> None:
    """The life of a client that cancels commands, each (token, reference), until it is told the outcome."""
    with closing(Recorder(place.directory)) as recorder, recorded_client(place) as rt:
        for token, ref in told:
            if _cancelled(rt, ref):
                recorder.add("cancelled", token=token)


def _cancelled(rt: RipTide, ref: str) -> bool:
    while True:
        try:
            return rt.cancel(ref).state == "cancelled"
        except ServerUnavailable:
            time.sleep(0.02)


# Processes


_warm = multiprocessing.get_context("forkserver")
_warm.set_forkserver_preload(["tests.support.crew"])
_numbers = itertools.count()


class Hand:
    """A process that runs `target(place, *arguments)`. What becomes of it is recorded."""

    def __init__(
        self, target: Callable[..., None], place: Place, recorder: Recorder, *arguments: Any
    ) -> None:
        self._recorder = recorder
        self.log = place.directory / f"{target.__name__}{next(_numbers)}.log"
        self.process = _warm.Process(target=_live, args=(self.log, target, place, *arguments), daemon=True)

    def start(self) -> Self:
        self.process.start()
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.kill()
        if error is not None and self.log.exists():
            sys.stderr.write(f"--- {self.log.name}\n{self.log.read_text('utf-8', 'replace')[-4000:]}\n")

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.is_alive()

    def kill(self) -> None:
        """SIGKILL, if it runs. From here on it does nothing, and the history says so."""
        if self.process.pid is not None and self.alive:
            self.signal(signal.SIGKILL)
            self.process.join(PATIENCE)
        self._gone()

    def signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def end(self) -> None:
        """SIGTERM, and wait for an orderly end."""
        self.signal(signal.SIGTERM)
        self.wait()

    def wait(self) -> None:
        self.process.join(PATIENCE)
        assert not self.alive, f"{self.log.name} did not end"
        self._gone()

    def _gone(self) -> None:
        if self.process.pid is not None:
            self._recorder.add("gone", who=self.pid)


def _live(log: Path, target: Callable[..., None], place: Place, *arguments: Any) -> None:
    if sys.platform == "linux":  # nobody outlives the tests
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    faulthandler.enable(2)
    target(place, *arguments)


def running(hands: Sequence[Hand]) -> ExitStack:
    """All of them, started, and killed at the end."""
    stack = ExitStack()
    for hand in hands:
        stack.enter_context(hand)
    return stack


def wait_until_gone(hand: Hand) -> None:
    """Wait for a process that ends by itself."""
    eventually(lambda: not hand.alive, f"{hand.log.name} to end")
