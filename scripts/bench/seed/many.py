"""Many at once: clients, tenants; and how often what is asked for is there."""

import itertools
import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import riptide
from riptide.config import Settings
from riptide.reads.sync_client import RipTide
from scripts.bench.seed.corpus import pieces
from scripts.bench.seed.rows import Row

_PROMISED = {1: 1_250, 4: 4_200, 8: 7_800, 16: 12_400}
_SECONDS, _KEYS = 2.0, 500
_PAGES, _REQUESTS = 2_000, 20_000


def clients(rt: RipTide, settings: Settings) -> Iterator[Row]:
    """Processes that get and set documents of 1 KB, nine to one."""
    for n, value in zip(range(_KEYS), itertools.cycle(pieces(1024)), strict=False):
        rt.cache.set(f"page-{n}", value, tenant="acme")
    for count, promised in _PROMISED.items():
        rate = _rate(settings, count)
        what = f"{count} client{'s' if count > 1 else ''}"
        yield Row(what, promised, rate, "operations/s", more=True, note="processes; get and set, 9 to 1")


def _rate(settings: Settings, count: int) -> float:
    """Operations a second of so many processes together, once all of them have begun."""
    start = multiprocessing.get_context("fork")
    begun, total = start.Barrier(count), start.Queue()
    running = [start.Process(target=_client, args=(settings, n, begun, total)) for n in range(count)]
    for process in running:
        process.start()
    rate = sum(total.get(timeout=60) for _ in running)
    for process in running:
        process.join()
    return float(rate)


def _client(settings: Settings, seed: int, begun: Any, total: Any) -> None:
    os.sched_setaffinity(0, range(os.cpu_count() or 1))  # the benchmark's own process has one of them
    chance, value, done = random.Random(seed), b"v" * 1024, 0
    with riptide.connect(config=settings) as rt:
        rt.cache.get("page-0", tenant="acme")
        begun.wait(30)
        started = time.monotonic()
        while (passed := time.monotonic() - started) < _SECONDS:
            key = f"page-{chance.randrange(_KEYS)}"
            if chance.random() < 0.1:
                rt.cache.set(key, value, tenant="acme")
            else:
                rt.cache.get(key, tenant="acme")
            done += 1
        total.put(done / passed)


def tenants(rt: RipTide) -> Iterator[Row]:
    """Each writes, reads, and takes of its quota; nobody may see what is another's."""
    for count in (100, 1_000):
        names = [f"of-{count}-{n}" for n in range(count)]
        for name in names:
            rt.tenants.create(name)
        started = time.monotonic()
        with ThreadPoolExecutor(16) as threads:
            right = sum(threads.map(lambda name: _is_served(rt, name), names * 3))
        rate = 9 * count / (time.monotonic() - started)
        yield Row(
            f"{count:,} tenants at once",
            3 * count,
            right,
            "visits served right",
            more=True,
            note=f"{rate:,.0f} operations/s",
        )


def _is_served(rt: RipTide, tenant: str) -> bool:
    rt.cache.set("own", {"of": tenant}, tenant=tenant)
    return rt.cache.get("own", tenant=tenant) == {"of": tenant} and bool(
        rt.quotas.check(tenant, {"operations_per_minute": 1})
    )


def hits(rt: RipTide) -> Iterator[Row]:
    """Requests for pages as they are read: the n-th most popular one an n-th as often as the first."""
    weights = [1 / rank for rank in range(1, _PAGES + 1)]
    asked = random.Random(1).choices(range(_PAGES), weights, k=_REQUESTS)
    loaded = itertools.count()
    for page in asked:
        rt.cache.get_or_load(f"zipf-{page}", lambda: next(loaded), tenant="acme")
    rate = 100 * (1 - next(loaded) / _REQUESTS)
    note = f"{_REQUESTS:,} requests for {_PAGES:,} pages (Zipf), from cold"
    yield Row("hit rate", 85, rate, "%", more=True, note=note)
