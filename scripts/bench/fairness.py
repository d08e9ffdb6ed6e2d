"""Fairness: what a flood of one tenant does to others, and busy slots to `invalidate`.

One tenant has published many slow commands of one type when the worker starts, and another one of the same
partition a command behind them: it waits until all of them have been moved. Meanwhile two others publish one
now and then: one whose commands share the flood's partition, one whose do not. Floor: the same two without
the flood. Then every slot is taken by `warm`-like commands while commands of a type with slots of its own, as
`invalidate` has, are published.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from riptide.cli.worker import calm_collector
from riptide.clock import SystemClock
from riptide.config import Settings
from riptide.store.aio import AsyncStore, open_async_store
from riptide.store.keys import Keys, partition_of
from riptide.store.sync import open_store
from riptide.streams.job import Job
from riptide.streams.publishing import Outgoing, Publisher
from riptide.streams.registry import CommandType, Handler
from riptide.streams.worker import Worker
from scripts.bench import harness
from scripts.bench.noop import Noop

Step = Callable[["Bench", AsyncStore], Awaitable[None]]
Waits = dict[str, list[float]]  # tenant -> us from publishing a command to its start
FLOOD, SAMPLES, PAUSE_SECONDS, SLOW_SECONDS = 100_000, 400, 0.01, 0.05


class Quick(Noop):
    """Has slots of its own, as `invalidate` has."""

    type = "quick"


class Stopwatch:
    """Notes how long after its publication each command started; the flood's take their time."""

    def __init__(self) -> None:
        self.us: Waits = {}

    async def handle(self, batch: Sequence[Job], _ctx: Any) -> None:
        now = time.perf_counter_ns()
        for job in batch:
            if job.command.n:
                self.us.setdefault(job.tenant or "", []).append((now - job.command.n) / 1000)
        if not batch[0].command.n:
            await asyncio.sleep(SLOW_SECONDS)


def tenants() -> tuple[str, str, str]:
    """One that floods, one of its partition, one of another."""
    names = [f"tenant-{n}" for n in range(200)]
    loud, others = names[0], names[1:]
    near = next(name for name in others if partition_of(name) == partition_of(loud))
    return loud, near, next(name for name in others if partition_of(name) != partition_of(loud))


class Bench:
    def __init__(self, settings: Settings) -> None:
        self.settings, self.watch = settings, Stopwatch()
        models = {"noop": Noop, "quick": Quick}
        self.publisher = Publisher(Keys(settings.cache.key_prefix), settings.streams, models, SystemClock())
        self.types = [
            CommandType("noop", Noop, Handler(self.watch.handle)),
            CommandType("quick", Quick, Handler(self.watch.handle, slots=2)),
        ]

    async def publish(self, store: AsyncStore, model: type[Noop], tenant: str) -> None:
        await store.drive(self.publisher.publish(Outgoing(model(n=time.perf_counter_ns()), tenant)))

    async def fill(self, store: AsyncStore, tenant: str, count: int) -> None:
        for start in range(0, count, 1000):
            batch = [Outgoing(Noop(n=0), tenant)] * min(1000, count - start)
            await store.drive(self.publisher.publish_many(batch))

    async def run(self, before: Step, during: Step) -> Waits:
        store, beats = open_async_store(self.settings), open_store(self.settings)
        await before(self, store)
        worker = Worker(self.settings, self.types, store, beats, None, SystemClock())
        running = asyncio.create_task(worker.run())
        await asyncio.sleep(0.5)
        await during(self, store)
        await asyncio.sleep(0.2)
        worker.stop()
        await running
        await store.close()
        beats.close()
        return self.watch.us

    async def nothing(self, store: AsyncStore) -> None:
        pass

    async def flood(self, store: AsyncStore) -> None:
        loud, near, _ = tenants()
        await self.fill(store, loud, FLOOD)
        await self.publish(store, Noop, near)

    async def warm(self, store: AsyncStore) -> None:
        for n in range(20):
            await self.fill(store, f"warming-{n}", 200)

    async def others(self, store: AsyncStore) -> None:
        _, near, far = tenants()
        for _ in range(SAMPLES):
            await asyncio.sleep(PAUSE_SECONDS)
            await self.publish(store, Noop, near)
            await self.publish(store, Noop, far)
        while any(len(self.watch.us.get(tenant, ())) < SAMPLES for tenant in (near, far)):  # noqa: ASYNC110
            await asyncio.sleep(PAUSE_SECONDS)

    async def quick(self, store: AsyncStore) -> None:
        for _ in range(SAMPLES):
            await asyncio.sleep(PAUSE_SECONDS)
            await self.publish(store, Quick, tenants()[2])


#: What is published before the worker starts, and what while it runs.
RUNS: Mapping[str, tuple[Step, Step]] = {
    "others": (Bench.nothing, Bench.others),
    "flooded": (Bench.flood, Bench.others),
    "quick": (Bench.nothing, Bench.quick),
    "busy": (Bench.warm, Bench.quick),
}


def measure(url: str, prefix: str, run: str) -> Waits:
    settings = harness.settings(url, prefix)
    brief = settings.state.model_copy(update={"shutdown_timeout_seconds": 1})  # the flood is not waited for
    several = settings.tenant.model_copy(update={"enabled": True})
    bench = Bench(settings.model_copy(update={"state": brief, "tenant": several}))
    return asyncio.run(bench.run(*RUNS[run]))


def p99(samples: list[float]) -> float:
    return statistics.quantiles(samples, n=100)[98]


@dataclass
class Row:
    """One line of the table: which tenant's waiting, in which two runs, by which figure."""

    comparison: harness.Comparison
    floor: str
    ours: str
    tenant: str
    figure: Callable[[list[float]], float]

    def add(self, runs: Mapping[str, Waits]) -> None:
        floor, ours = (self.figure(runs[name][self.tenant]) for name in (self.floor, self.ours))
        self.comparison.pairs.append((floor, ours))


def rows() -> list[Row]:
    _, near, far = tenants()
    others = harness.Comparison("p99 of a tenant of another partition", "no flood", "us", reach="<= 2")
    same = harness.Comparison(
        "worst of a tenant of the same partition", "no flood", "us", reach="time of moving"
    )
    own = harness.Comparison("invalidate's p50 while all slots are busy", "idle", "us", reach="+ 50 ms")
    return [
        Row(others, "others", "flooded", far, p99),
        Row(same, "others", "flooded", near, max),
        Row(own, "quick", "busy", far, statistics.median),
    ]


def main() -> None:
    chosen = harness.options(__doc__, rounds=3)
    calm_collector()  # as `riptide worker` does
    table = rows()
    with harness.server(same_cpu=chosen.same_cpu) as url:
        for n in range(chosen.rounds):
            runs = {name: measure(url, f"{name}{n}", name) for name in RUNS}
            for row in table:
                row.add(runs)
    harness.report([row.comparison for row in table])
    seconds = [ours / 1e6 for _, ours in table[1].comparison.pairs]
    rate = FLOOD / statistics.median(seconds)
    harness.console.print(f"moved: {rate:,.0f} commands/s; all {FLOOD:,} in {max(seconds):.1f} s at most")


if __name__ == "__main__":
    main()
