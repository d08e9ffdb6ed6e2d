"""Statistics of tenants: whoever reads and writes, the sums are those of all."""

import asyncio
import os
import random
import threading
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

import riptide
from riptide.cache.stats import CacheStats
from riptide.config import PerformanceSettings
from riptide.errors import UnknownTenant
from riptide.reads import aio_background, sync_background
from riptide.reads.aio_client import aconnect
from tests.support.access import KIND, ON, drain, keys_of, statistics
from tests.support.deployment import Deployment
from tests.support.waiting import aeventually, eventually

TENANTS = ("acme", "globex")
COUNTS = ("hits", "misses", "sets", "deletes")
#: Of so many reads one is timed for certain.
TIMED_OF = 128


def play(rng: random.Random) -> list[tuple[str, str, str]]:
    """What a client does: (method, tenant, key)."""
    methods = ["get", "get_many", "get_or_load", "set", "delete"]
    return [(rng.choice(methods), rng.choice(TENANTS), f"k{rng.randrange(20)}") for _ in range(300)]


def arguments(method: str, key: str) -> tuple[Any, ...]:
    match method:
        case "set":
            return key, "x" * 4000
        case "get_many":
            return ([key, f"{key}!"],)
        case "get_or_load":
            return key, lambda: "loaded"
        case _:
            return (key,)


async def test_sums_are_those_of_all_who_read_and_write(deployment: Deployment, rng: random.Random) -> None:
    settings = deployment.settings(**ON)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", shards=4)
        rt.tenants.create("globex")
    seen: list[CacheStats] = []

    def work(seed: int) -> None:
        with riptide.connect(config=settings) as rt:
            for number, (method, tenant, key) in enumerate(play(random.Random(seed))):
                namespace = ("pages", "prices")[number % 2]
                getattr(rt.cache, method)(*arguments(method, key), tenant=tenant, namespace=namespace)
            seen.append(rt.cache.stats())

    async def work_async(seed: int) -> None:
        async with await aconnect(config=settings) as rt:
            for tenant in TENANTS * TIMED_OF:
                await rt.cache.get("k0", tenant=tenant)
            for method, tenant, key in play(random.Random(seed)):
                await getattr(rt.cache, method)(*arguments(method, key), tenant=tenant)
            seen.append(rt.cache.stats())

    seeds = [rng.randrange(2**32) for _ in range(4)]
    threads = [asyncio.to_thread(work, seed) for seed in seeds[:3]]
    await asyncio.gather(*threads, work_async(seeds[3]))
    await drain(deployment, settings)

    found = {tenant: statistics(settings, tenant) for tenant in TENANTS}
    expected, counted = CacheStats(), Counter[str]()
    for stats in seen:
        expected.add(stats)
    for one in found.values():
        for name in (*COUNTS, "value_bytes", "stored_bytes", "timed", "timed_us"):
            counted[name] += getattr(one.totals, name)
    assert counted == {name: getattr(expected, name) for name in counted}
    for one in found.values():
        totals = one.totals
        operations = sum(getattr(totals, name) for name in COUNTS)
        reads = totals.hits + totals.misses
        assert 300 <= one.window_seconds < 360
        assert one.ops_per_second == operations / one.window_seconds
        assert one.hit_rate == totals.hits / reads
        assert one.miss_rate == totals.misses / reads
        assert one.avg_access_time_us == totals.timed_us / totals.timed > 0
        assert one.avg_compression_ratio == totals.value_bytes / totals.stored_bytes > 5
        assert one.processes == 1, "four clients of one process"
        assert one.total_keys > 0
        assert one.memory_usage_bytes > 300 * one.total_keys
        assert one.evictions == dict.fromkeys(("policy", "deployment", "garbage", "expired"), 0)
    assert not deployment.letters(KIND)


async def test_a_forked_child_reports_what_it_did_itself(on_valkey: Deployment) -> None:
    settings = on_valkey.settings(**ON)
    with riptide.connect(config=settings) as rt:
        rt.cache.set("k", 1)
        for _ in range(100):
            rt.cache.get("k")
        child = os.fork()
        if child == 0:
            for _ in range(30):
                rt.cache.get("k")
            rt.close()
            os._exit(0)
        eventually(lambda: os.waitpid(child, os.WNOHANG)[0] == child, "the child's end")
        rt.cache.get("k")
    await drain(on_valkey, settings)
    found = statistics(settings, "default")
    assert (found.totals.hits, found.totals.sets, found.processes) == (131, 1, 2)


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports come soon; the pause after a report is as long as ever."""
    for module in (sync_background, aio_background):
        monkeypatch.setattr(module, "REPORT_SECONDS", 0.01)


@pytest.mark.usefixtures("_often")
async def test_reports_come_while_a_process_lives(on_valkey: Deployment) -> None:
    def reports() -> int:
        bodies = [fields[b"body"].decode() for _, _, fields in on_valkey.entries(KIND)]
        return sum('"sets":1' in body for body in bodies)

    with riptide.connect(config=on_valkey.settings()) as rt:
        rt.cache.set("k", 1)
        eventually(lambda: reports() == 1, "the report")
    async with await aconnect(config=on_valkey.settings()) as art:
        await art.cache.set("k", 1)

        async def reported() -> bool:
            return await asyncio.to_thread(reports) == 2

        await aeventually(reported, "the report")


def test_without_monitoring_nothing_is_reported(on_valkey: Deployment) -> None:
    settings = on_valkey.settings().model_copy(
        update={"performance": PerformanceSettings(enable_monitoring=False)}
    )
    before = set(threading.enumerate())
    with riptide.connect(config=settings) as rt:
        rt.cache.set("k", 1)
        assert set(threading.enumerate()) <= before
        assert rt.cache.get("k") == 1
        assert rt.cache.stats().hits == 1
    assert on_valkey.entries(KIND) == []


async def test_evictions_by_reason(on_valkey: Deployment) -> None:
    settings = on_valkey.settings(**ON)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", quotas={"cache_entries": 10})
        for number in range(15):
            rt.cache.set(f"k{number}", 1, tenant="acme")
        found = rt.cache.statistics("acme")
        assert found.total_keys <= 10
        assert found.evictions["policy"] == 15 - found.total_keys
        assert (found.hit_rate, found.avg_access_time_us, found.avg_compression_ratio) == (None, None, None)
        with pytest.raises(UnknownTenant):
            rt.cache.statistics("nobody")


async def test_both_faces_tell_the_same(deployment: Deployment) -> None:
    settings = deployment.settings()
    with riptide.connect(config=settings) as rt:
        rt.cache.set("k", 1)
        rt.cache.get("k")
    await drain(deployment, settings)
    told = statistics(settings, "default")
    async with await aconnect(config=settings) as art:
        again = await art.cache.statistics()
    # The clock goes on between the two.
    assert replace(again, window_seconds=0, ops_per_second=0) == replace(
        told, window_seconds=0, ops_per_second=0
    )
    assert told.totals.hits == 1


@pytest.mark.parametrize(
    ("level", "counted"), [("strong", set()), ("logical", {"met"}), ("none", {"default"})]
)
async def test_whose_they_are(on_valkey: Deployment, level: str, counted: set[str]) -> None:
    """Without a record: refused, counted for itself, counted for `default`, as entries are."""
    settings = on_valkey.settings(tenant={"enabled": True, "isolation_level": level})
    with riptide.connect(config=settings) as rt:
        if level == "strong":
            with pytest.raises(UnknownTenant):
                rt.cache.get("k", tenant="met")
        else:
            rt.cache.get("k", tenant="met")
    await drain(on_valkey, settings)
    assert {name.split(":")[-2] for name in keys_of(on_valkey, ["met", "default"])} == counted
    if counted:
        found = statistics(settings, "met")
        assert {found.tenant} == counted
        assert found.totals.misses == 1
