"""Usage: how fast one worker process counts `record_usage` of 50 tenants, each exactly once.

Floor: redis-py's synchronous client in a loop, XREADGROUP COUNT 100 from one stream, a pipelined HINCRBY for
each entry and one XACK: no body is read, and a crash counts something twice or never. For the peers, which
add to a hash, run `scripts/bench/peers.py --only riptide,ardiq,taskiq,faststream --no-kill`.
"""

import asyncio
import itertools
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import redis

sys.path.insert(0, str(Path(__file__).parents[2]))

from commands import RecordUsage
from riptide.cli.worker import calm_collector
from riptide.clock import SystemClock
from riptide.config import Settings
from riptide.reads.aio_client import aconnect
from riptide.reads.context import make_context
from riptide.reads.sync_client import connect
from riptide.store.keys import Keys
from riptide.store.sync import open_store
from riptide.streams.job import Job
from riptide.streams.overview import overview
from riptide.streams.publishing import Outgoing
from riptide.streams.registry import Registry
from riptide.streams.worker import Worker
from scripts.bench import harness
from workers import HANDLERS

COMMANDS, TENANTS, OPERATIONS = 100_000, 50, 4
_runs = itertools.count()


def publish(url: str, prefix: str) -> None:
    keys = Keys(prefix)
    with (
        redis.Redis.from_url(url) as client,
        connect(config=harness.settings(url, prefix, tenants=True)) as rt,
    ):
        for n in range(TENANTS):
            client.hset(keys.record(f"tenant-{n}"), mapping={"incarnation": "0" * 16, "status": "active"})
        for start in range(0, COMMANDS, 1000):
            rt.publish_many(
                Outgoing(
                    RecordUsage(operation=f"page.render.{n % OPERATIONS}", data_bytes=n, compute_ms=3),
                    f"tenant-{n % TENANTS}",
                )
                for n in range(start, start + 1000)
            )


def ours(url: str) -> float:
    prefix = f"ours{next(_runs)}"
    publish(url, prefix)
    seconds = asyncio.run(_drain(harness.settings(url, prefix, tenants=True)))
    _check(url, prefix)
    return COMMANDS / seconds


async def _drain(chosen: Settings) -> float:
    keys = Keys(chosen.cache.key_prefix)
    own, seen = HANDLERS["record_usage"], 0

    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        nonlocal seen
        seen += len(batch)
        await own.handle(batch, ctx)

    handlers = {"record_usage": replace(own, handle=handle)}
    types = Registry({"record_usage": RecordUsage}, handlers).pick(None)
    rt, beats = await aconnect(config=chosen), open_store(chosen)
    async with make_context(rt) as context:
        worker = Worker(chosen, types, rt.store, beats, context, SystemClock())
        started = time.perf_counter()
        running = asyncio.create_task(worker.run())
        while seen < COMMANDS:  # noqa: ASYNC110 - an event would cost the handler something
            await asyncio.sleep(0.005)
        while (await rt.store.drive(overview(keys, ["record_usage"])))[0].pending:  # noqa: ASYNC110 - asks the server
            await asyncio.sleep(0.001)
        seconds = time.perf_counter() - started
        worker.stop()
        await running
    beats.close()
    return seconds


def _check(url: str, prefix: str) -> None:
    """The sums are what was published."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        found = dict.fromkeys(("operations", "data_bytes"), 0)
        for key in client.scan_iter(f"{prefix}:usage:*", count=1000):
            if "T" not in key:
                continue
            sums: Any = client.hgetall(key)
            for name, value in sums.items():
                if (metric := name.split("|")[2]) in found:
                    found[metric] += int(value)
    assert found == {"operations": COMMANDS, "data_bytes": sum(range(COMMANDS))}, found


def floor(url: str) -> float:
    prefix = f"floor{next(_runs)}"
    publish(url, prefix)
    client: Any = redis.Redis.from_url(url, protocol=2)
    stream, tally = f"{prefix}:one", f"{prefix}:tally"
    rows = [row for key in client.keys(f"{prefix}:commands:*") for row in client.xrange(key)]
    for start in range(0, len(rows), 1000):
        with client.pipeline(transaction=False) as pipe:
            for _, fields in rows[start : start + 1000]:
                pipe.xadd(stream, fields)
            pipe.execute()
    client.xgroup_create(stream, "workers", id="0")
    started = time.perf_counter()
    while reply := client.xreadgroup("workers", "me", {stream: ">"}, count=100):
        entries = reply[0][1]
        with client.pipeline(transaction=False) as pipe:
            for _, fields in entries:
                pipe.hincrby(tally, fields[b"tenant"], 1)
            pipe.xack(stream, "workers", *[entry for entry, _ in entries])
            pipe.execute()
    seconds = time.perf_counter() - started
    client.close()
    return COMMANDS / seconds


def main() -> None:
    calm_collector()  # as `riptide worker` does
    chosen = harness.options(__doc__, rounds=7)
    comparison = harness.Comparison(
        "record_usage, exactly once", "XREADGROUP 100 + HINCRBY each + XACK", "commands/s", reach=">= 1.2"
    )
    with harness.server(same_cpu=chosen.same_cpu) as url:
        harness.interleave(chosen.rounds, comparison, lambda: floor(url), lambda: ours(url))
    harness.report([comparison])


if __name__ == "__main__":
    main()
