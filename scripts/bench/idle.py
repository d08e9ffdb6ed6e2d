"""Idle latency: from publishing a command to the start of its handler, in a worker that waits; and what
waiting costs the server.

Floor: XADD by redis-py to a blocked XREADGROUP of redis-py's asynchronous client. Publisher and worker are
processes of their own.
"""

import asyncio
import itertools
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis
import redis.asyncio

sys.path.insert(0, str(Path(__file__).parents[2]))

from riptide.cli.worker import calm_collector
from riptide.clock import SystemClock
from riptide.store.aio import open_async_store
from riptide.store.keys import Keys
from riptide.store.sync import open_store
from riptide.streams.job import Job
from riptide.streams.publishing import Outgoing, Publisher
from riptide.streams.registry import Handler, Registry
from riptide.streams.worker import Worker
from scripts.bench import harness
from scripts.bench.noop import Noop

SAMPLES, PAUSE_SECONDS, IDLE_SECONDS = 150, 0.01, 10
_runs = itertools.count()


def xadd(url: str, stream: str) -> None:
    """Publisher of the floor: the body is the time at which it was sent, in ns."""
    client = redis.Redis.from_url(url, protocol=2)
    for _ in range(SAMPLES):
        time.sleep(PAUSE_SECONDS)
        client.xadd(stream, {"id": "0192f0c1-2c6e-7d3a-9d3e-0123456789ab", "body": time.perf_counter_ns()})


def publish(url: str, prefix: str) -> None:
    settings = harness.settings(url, prefix)
    store = open_store(settings)
    publisher = Publisher(Keys(prefix), settings.streams, {"noop": Noop}, SystemClock())
    for _ in range(SAMPLES):
        time.sleep(PAUSE_SECONDS)
        store.drive(publisher.publish(Outgoing(Noop(n=time.perf_counter_ns()), "acme")))


def floor(url: str) -> float:
    return asyncio.run(_blocked(url, f"idle-floor{next(_runs)}"))


async def _blocked(url: str, stream: str) -> float:
    client = redis.asyncio.Redis.from_url(url, protocol=2)
    await client.xgroup_create(stream, "workers", id="0", mkstream=True)
    samples: list[float] = []
    with Publishing(xadd, url, stream):
        while len(samples) < SAMPLES:
            reply: Any = await client.xreadgroup("workers", "me", {stream: ">"}, count=1, block=1000)
            for _, rows in reply:
                samples += [(time.perf_counter_ns() - int(fields[b"body"])) / 1000 for _, fields in rows]
                await client.xack(stream, "workers", *[entry_id for entry_id, _ in rows])
    await client.aclose()
    return statistics.median(samples)


class Stopwatch:
    def __init__(self) -> None:
        self.samples: list[float] = []

    async def handle(self, batch: Sequence[Job], _ctx: Any) -> None:
        self.samples += [(time.perf_counter_ns() - job.command.n) / 1000 for job in batch]


def ours(url: str) -> float:
    return asyncio.run(_worker(url, f"idle{next(_runs)}", _measure))


async def _worker(url: str, prefix: str, during: Any) -> float:
    settings = harness.settings(url, prefix)
    watch = Stopwatch()
    types = Registry({"noop": Noop}, {"noop": Handler(watch.handle)}).pick(None)
    store, beats = open_async_store(settings), open_store(settings)
    worker = Worker(settings, types, store, beats, None, SystemClock())
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(0.5)
    result: float = await during(url, prefix, watch)
    worker.stop()
    await running
    await store.close()
    beats.close()
    return result


async def _measure(url: str, prefix: str, watch: Stopwatch) -> float:
    with Publishing(publish, url, prefix):
        while len(watch.samples) < SAMPLES:  # noqa: ASYNC110 - an event would cost the handler something
            await asyncio.sleep(0.05)
    return statistics.median(watch.samples)


async def _count(url: str, _prefix: str, _watch: Stopwatch) -> float:
    client = redis.Redis.from_url(url, protocol=2)
    before = _calls(client)
    await asyncio.sleep(IDLE_SECONDS)
    return (_calls(client) - before) / IDLE_SECONDS


def _calls(client: redis.Redis) -> int:
    # What scripts call inside counts there too; a waiting worker itself sends only these.
    stats: Any = client.info("commandstats")
    return sum(
        stats.get(f"cmdstat_{name}", {}).get("calls", 0)
        for name in ("eval", "evalsha", "xreadgroup", "client|unblock")
    )


class Publishing:
    def __init__(self, target: Any, url: str, name: str) -> None:
        self._process = multiprocessing.get_context("spawn").Process(target=target, args=(url, name))

    def __enter__(self) -> None:
        self._process.start()
        # Beside the server, so that the worker does not wait for the publisher's CPU.
        os.sched_setaffinity(self._process.pid or 0, {harness.SERVER_CPU})

    def __exit__(self, *_: object) -> None:
        self._process.join()


def main() -> None:
    chosen = harness.options(__doc__, rounds=5)
    calm_collector()  # as `riptide worker` does
    latency = harness.Comparison(
        "publish -> handler starts", "XADD -> blocked XREADGROUP", "us, p50", reach="<= 1.5"
    )
    with harness.server(same_cpu=chosen.same_cpu) as url:
        harness.interleave(chosen.rounds, latency, lambda: floor(url), lambda: ours(url))
        idle = asyncio.run(_worker(url, "idle-count", _count))
    harness.report([latency])
    harness.console.print(f"commands that an idle worker sends: {idle:.1f} a second (reach: about 2)")


if __name__ == "__main__":
    main()
