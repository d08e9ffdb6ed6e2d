"""Reading the cache: a hit of 1 KiB, synchronous and asynchronous, and batches of 10 and 100.

Floors: redis-py's GET, and MGET, of values of the same size under keys of the same length. RipTide reads the
namespace's epoch too, checks it and the checksum, and decodes. The tenant of a deployment with multi-tenancy
off has 16 shards, so that a batch reads up to 16 epochs.
"""

import asyncio
import hashlib
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import redis
import redis.asyncio
from pydantic_core import from_json, to_json

sys.path.insert(0, str(Path(__file__).parents[2]))

import riptide
from scripts.bench import harness

TIMES, TENANT = 3000, "acme"


def plain_key(name: str) -> str:
    """A key as long as those of RipTide."""
    return (
        f"floor:..:tenant:{{{TENANT}}}:default:{hashlib.blake2b(name.encode(), digest_size=16).hexdigest()}"
    )


async def p50_async(action: Callable[[], Awaitable[object]], times: int) -> float:
    samples = []
    for _ in range(times):
        started = time.perf_counter()
        await action()
        samples.append(time.perf_counter() - started)
    return statistics.median(samples) * 1e6


def main() -> None:
    chosen = harness.options(__doc__, rounds=9)
    with harness.server(same_cpu=chosen.same_cpu) as url:
        comparisons = [*synchronous(url, chosen.rounds), asyncio.run(asynchronous(url, chosen.rounds))]
    harness.report(comparisons)


def synchronous(url: str, rounds: int) -> list[harness.Comparison]:
    plain = redis.Redis.from_url(url, protocol=2)
    names = [f"key-{number}" for number in range(100)]
    plain_names = [plain_key(name) for name in names]
    value = os.urandom(1024)
    with riptide.connect(config=harness.settings(url, "bench", tenants=True)) as rt:
        rt.tenants.create(TENANT)
        for name in names:
            plain.set(plain_key(name), value)
            rt.cache.set(name, value, tenant=TENANT)
            rt.cache.set(name, value)
        one = harness.Comparison("cache get 1 KiB hit, sync", "GET", "us, p50", reach="<= 1.2")
        harness.interleave(
            rounds,
            one,
            lambda: harness.p50_us(lambda: plain.get(plain_names[1]), TIMES),
            lambda: harness.p50_us(lambda: rt.cache.get("key-1", tenant=TENANT), TIMES),
        )
        found = [one]
        found += [
            batch(rounds, f"batch get of {size}", partial(plain.mget, plain_names[:size]), rt, names[:size])
            for size in (10, 100)
        ]
        everything = partial(plain.mget, plain_names)
        found.append(batch(rounds, "batch get of 100, 16 shards", everything, rt, names, tenant=None))
        document = {"title": "a page", "words": ["persistence", "layer"] * 38, "views": 12_345}
        for name, plain_name in zip(names, plain_names, strict=True):
            plain.set(plain_name, to_json(document))
            rt.cache.set(name, document, tenant=TENANT)
        decoded = partial(mget_json, plain, plain_names)
        found.append(batch(rounds, "batch get of 100, JSON", decoded, rt, names, floor="MGET, from_json"))
    return found


def batch(
    rounds: int,
    what: str,
    plain: Callable[[], object],
    rt: riptide.RipTide,
    names: list[str],
    floor: str = "MGET",
    tenant: str | None = TENANT,
) -> harness.Comparison:
    reach = "<= 1.3" if tenant else "<= 1.5"
    comparison = harness.Comparison(what, floor, "us, p50", reach=reach)
    ours = partial(rt.cache.get_many, names, tenant=tenant)
    found = ours()
    if [found.get(name) for name in names] != plain():
        sys.exit(f"{what}: RipTide and the floor do not yield the same values")
    harness.interleave(
        rounds,
        comparison,
        lambda: harness.p50_us(plain, TIMES // 5),
        lambda: harness.p50_us(ours, TIMES // 5),
    )
    return comparison


def mget_json(client: redis.Redis, names: list[str]) -> list[object]:
    values: Any = client.mget(names)
    return [from_json(value) for value in values]


async def asynchronous(url: str, rounds: int) -> harness.Comparison:
    plain = redis.asyncio.Redis.from_url(url, protocol=2)
    name = plain_key("key-1")
    comparison = harness.Comparison("cache get 1 KiB hit, async", "async GET", "us, p50", reach="<= 1.2")
    async with await riptide.aconnect(config=harness.settings(url, "bench", tenants=True)) as rt:
        for number in range(rounds + 1):
            floor = await p50_async(lambda: plain.get(name), TIMES)
            ours = await p50_async(lambda: rt.cache.get("key-1", tenant=TENANT), TIMES)
            if number:
                comparison.pairs.append((floor, ours))
    await plain.aclose()
    return comparison


if __name__ == "__main__":
    main()
