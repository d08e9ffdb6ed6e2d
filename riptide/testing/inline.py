"""Workers that work when a test says so: one call at a time, in order, until nothing is due any more."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from riptide.config import Settings
from riptide.errors import RiptideError
from riptide.reads.aio_client import AsyncRipTide
from riptide.reads.assembly import Parts, assemble
from riptide.reads.context import Context, make_context
from riptide.store.aio import open_async_store
from riptide.store.keys import GROUP, PARTITIONS, Keys
from riptide.store.operation import Operation
from riptide.store.script import Script
from riptide.streams.completion import Completion
from riptide.streams.executor import Executor
from riptide.streams.job import Again, Elsewhere, Outcome
from riptide.streams.members import new_member
from riptide.streams.message import Entry
from riptide.streams.registry import CommandType, Registry, load_handlers, load_models
from riptide.streams.settling import Settled, Settler
from riptide.streams.slots import Slots
from riptide.streams.takeover import PartitionOps
from riptide.streams.triage import Triage
from riptide.testing.clock import MovableClock
from riptide.testing.run import Run, run_of
from riptide.testing.schedule import MovedSchedules
from workers import HANDLERS

_TAKE = Script.load("riptide.testing", "take.lua")
_RIPEN = Script.load("riptide.testing", "ripen.lua")
_PER_STREAM = 100
_MOST_STARTS = 10_000


class AsyncInlineWorker:
    """Serves every type, RipTide's own and those of `workers.modules`, through the parts of a real worker.

    There is no heartbeat and nothing runs by itself. `rt` publishes and reads by the same `clock`. The
    server's clock cannot be moved, so what lives by it alone, as cache entries do, is not moved along.
    """

    def __init__(self, parts: Parts, rt: AsyncRipTide, context: Context, clock: MovableClock) -> None:
        settings = parts.settings
        modules = settings.workers.modules
        models = load_models(modules)
        self.rt, self.clock, self.settings = rt, clock, settings
        self._keys, self._store = parts.keys, rt.store
        self._types = _sharing(Registry(models, load_handlers(HANDLERS, modules)).pick(None))
        self._partitions = [PartitionOps(self._keys, list(self._types), p) for p in PARTITIONS]
        self._schedules = MovedSchedules(settings, models, parts.publisher, clock)
        self._name = new_member("inline")
        self._context = context
        self._joined = self._fenced_off = False
        self._ended: list[tuple[Entry, Outcome]] = []
        self._news = asyncio.Event()
        settler = Settler(
            self._store, _Moved(self._keys, settings, self._name, clock), self._fenced, self._settled
        )
        slots = Slots(list(self._types.values()), _MOST_STARTS)
        self._executor = Executor(settings, Triage(settings, clock.now_ms), settler, slots, context)

    async def drain(self) -> list[Run]:
        """Carry out all that is due by the clock, and what comes of it, until nothing is. Schedules that are
        due are published first.

        Answers each start of a handler in order. What is to be tried again later waits until the clock has
        been moved. Raises RiptideError if there is no end of it.
        """
        await self._join()
        runs: list[Run] = []
        for fired in await self._store.drive(self._schedules.look()):
            if fired.error is not None:
                raise fired.error
        while True:
            await self._promote()
            calls = _calls(await self._take(), self._types)
            if not calls:
                return runs
            for kind, entries in calls:
                runs += await self._run(kind, entries)
            _check_end(runs)

    async def run_until_idle(self) -> list[Run]:
        """The same, and whenever something is left for later, move the clock on to it, until every command
        has ended."""
        runs = await self.drain()
        while (due := await self._promote()) is not None:
            self.clock.move_to(max(due, self.clock.now_ms()))
            runs += await self.drain()
            _check_end(runs)
        return runs

    async def aclose(self) -> None:
        self._executor.close()
        await self._executor.drain(0)
        await self._context.aclose()

    async def _join(self) -> None:
        if not self._joined:
            await self._store.run_all([p.raise_fence(self._name) for p in self._partitions])
            await self._store.run_all([p.ensure_groups(self._name) for p in self._partitions])
            self._joined = True

    async def _promote(self) -> int | None:
        """Put back what is due; answers when the next is (ms), if something waits."""
        now = self.clock.now_ms()
        asked = [
            _RIPEN.call([self._keys.retry(kind, p) for kind in self._types], [now], int) for p in PARTITIONS
        ]
        waiting = [due for due in await self._store.run_all(asked) if due >= 0]
        await self._store.run_all([partition.promote() for partition in self._partitions])
        return min(waiting, default=None)

    async def _take(self) -> list[Entry]:
        found = await self._store.run_all([self._take_from(p) for p in PARTITIONS])
        return sorted(itertools.chain(*found), key=_order)

    def _take_from(self, partition: str) -> Operation[list[Entry]]:
        kinds = list(self._types)

        def parse(reply: Any) -> list[Entry]:
            return [
                Entry(kinds[at], partition, entry_id.decode(), fields)
                for at, entries in reply
                for entry_id, fields in entries
            ]

        keys = [self._keys.commands(kind, partition) for kind in kinds]
        return _TAKE.call(keys, [GROUP, self._name, _PER_STREAM], parse)

    async def _run(self, kind: CommandType, entries: Sequence[Entry]) -> list[Run]:
        self._ended = []
        self._executor.start(kind, entries, 0)
        while len(self._ended) < len(entries):
            await self._news.wait()
            self._news.clear()
            if self._fenced_off:
                raise RiptideError("this inline worker was taken over: no other worker may share its prefix")
        return [run for ended in self._ended if (run := run_of(*ended)) is not None]

    def _settled(self, outcomes: Settled) -> None:
        self._ended += outcomes
        self._news.set()

    def _fenced(self) -> None:
        self._fenced_off = True
        self._news.set()


class _Moved(Completion):
    """Counts delays from the test's clock."""

    def __init__(self, keys: Keys, settings: Settings, consumer: str, clock: MovableClock) -> None:
        super().__init__(keys, settings.streams, consumer)
        self._clock = clock

    def settle(self, outcomes: Iterable[tuple[Entry, Outcome]]) -> list[Operation[int]]:
        return super().settle([(entry, self._later(outcome)) for entry, outcome in outcomes])

    def _later(self, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Again | Elsewhere):
            return replace(outcome, delay=outcome.delay + self._clock.ahead_ms / 1000)
        return outcome


def _sharing(types: Sequence[CommandType]) -> dict[str, CommandType]:
    """Without slots of their own: one call runs at a time."""
    return {kind.name: replace(kind, handler=replace(kind.handler, slots=0)) for kind in types}


def _calls(entries: list[Entry], types: dict[str, CommandType]) -> list[tuple[CommandType, list[Entry]]]:
    """Entries of one type that follow each other go to its handler together, as many as it takes."""
    calls: list[tuple[CommandType, list[Entry]]] = []
    for entry in entries:
        kind = types[entry.kind]
        if calls and calls[-1][0] is kind and len(calls[-1][1]) < kind.handler.batch_size:
            calls[-1][1].append(entry)
        else:
            calls.append((kind, [entry]))
    return calls


def _order(entry: Entry) -> tuple[int, int]:
    milliseconds, _, number = entry.id.partition("-")
    return int(milliseconds), int(number)


def _check_end(runs: list[Run]) -> None:
    if len(runs) > _MOST_STARTS:
        raise RiptideError(
            f"no end after {_MOST_STARTS} starts: does a handler publish what starts it again?"
        )


@asynccontextmanager
async def inline_aworker(
    settings: Settings, clock: MovableClock | None = None
) -> AsyncIterator[AsyncInlineWorker]:
    """An inline worker of this event loop. Raises ConfigError."""
    clock = clock or MovableClock()
    parts = assemble(None, settings, clock, blocking=asyncio.to_thread)
    rt = AsyncRipTide(parts, open_async_store(settings))
    worker = AsyncInlineWorker(parts, rt, make_context(rt), clock)
    try:
        yield worker
    finally:
        await worker.aclose()
