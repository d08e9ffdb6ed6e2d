"""Drain: how fast one worker process carries out no-op commands, all promises kept.

Floor: redis-py's asynchronous client in a loop, XREADGROUP COUNT 100 from one stream, one XACK per batch.
"""

import asyncio
import itertools
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import redis.asyncio

sys.path.insert(0, str(Path(__file__).parents[2]))

from riptide.cli.worker import calm_collector
from riptide.clock import SystemClock
from riptide.store.aio import open_async_store
from riptide.store.keys import Keys
from riptide.store.sync import open_store
from riptide.streams.overview import overview
from riptide.streams.publishing import Outgoing, Publisher
from riptide.streams.registry import Registry
from riptide.streams.worker import Worker
from scripts.bench import harness
from scripts.bench.noop import Counter, Noop, handler

COMMANDS, TENANTS = 50_000, 50
_runs = itertools.count()


def publish(url: str, prefix: str) -> None:
    settings = harness.settings(url, prefix)
    store = open_store(settings)
    publisher = Publisher(Keys(prefix), settings.streams, {"noop": Noop}, SystemClock())
    for start in range(0, COMMANDS, 1000):
        batch = [Outgoing(Noop(n=n), f"tenant-{n % TENANTS}") for n in range(start, start + 1000)]
        store.drive(publisher.publish_many(batch))
    store.close()


def ours(url: str) -> float:
    prefix = f"ours{next(_runs)}"
    publish(url, prefix)
    return asyncio.run(_drain(url, prefix))


async def _drain(url: str, prefix: str) -> float:
    settings = harness.settings(url, prefix)
    counter = Counter()
    types = Registry({"noop": Noop}, {"noop": handler(counter)}).pick(None)
    store, beats = open_async_store(settings), open_store(settings)
    worker = Worker(settings, types, store, beats, None, SystemClock())
    started = time.perf_counter()
    running = asyncio.create_task(worker.run())
    while counter.seen < COMMANDS:  # noqa: ASYNC110 - an event would cost the handler something
        await asyncio.sleep(0.005)
    while (await store.drive(overview(Keys(prefix), ["noop"])))[0].pending:  # noqa: ASYNC110 - asks the server
        await asyncio.sleep(0.001)
    seconds = time.perf_counter() - started
    assert counter.seen == COMMANDS, "something ran twice"
    worker.stop()
    await running
    await store.close()
    beats.close()
    return COMMANDS / seconds


def floor(url: str) -> float:
    prefix = f"floor{next(_runs)}"
    publish(url, prefix)
    return asyncio.run(_loop(url, prefix))


async def _loop(url: str, prefix: str) -> float:
    client = redis.asyncio.Redis.from_url(url, protocol=2)
    stream = f"{prefix}:one"
    rows: list[Any] = []
    for key in await client.keys(f"{prefix}:commands:*"):
        rows += await client.xrange(key) or []
    for start in range(0, len(rows), 1000):
        async with client.pipeline(transaction=False) as pipe:
            for _, fields in rows[start : start + 1000]:
                pipe.xadd(stream, fields)
            await pipe.execute()
    await client.xgroup_create(stream, "workers", id="0")
    started = time.perf_counter()
    read: Any = partial(client.xreadgroup, "workers", "me", {stream: ">"}, count=100)
    while reply := await read():
        await client.xack(stream, "workers", *[entry_id for entry_id, _ in reply[0][1]])
    seconds = time.perf_counter() - started
    await client.aclose()
    return COMMANDS / seconds


def main() -> None:
    calm_collector()  # as `riptide worker` does
    chosen = harness.options(__doc__, rounds=7)
    comparison = harness.Comparison(
        "drain of no-op commands",
        "XREADGROUP 100 + XACK",
        "commands/s",
        reach=">= 0.8",
    )
    with harness.server(same_cpu=chosen.same_cpu) as url:
        harness.interleave(chosen.rounds, comparison, lambda: floor(url), lambda: ours(url))
    harness.report([comparison])


if __name__ == "__main__":
    main()
