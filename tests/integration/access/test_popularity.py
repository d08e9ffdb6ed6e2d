"""Which keys are read most: counted where they are read, added up on the server, decayed, bounded."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

import riptide
from riptide.cache.popularity.merging import HALF_LIFE_SECONDS
from riptide.cache.popularity.reading import Popular
from riptide.config import Settings
from riptide.errors import InvalidInput, UnknownTenant
from riptide.reads.aio_client import aconnect
from riptide.store.keys import PARTITIONS, partition_of
from tests.support.access import KIND, ON, add, drain, keys_of
from tests.support.deployment import Deployment
from tests.support.usage import make_tenants

TENANT = "acme"
PARTITION = partition_of(TENANT)
DAY_MS = HALF_LIFE_SECONDS * 1000


def popular(settings: Settings, tenant: str = TENANT, **about: Any) -> list[Popular]:
    with riptide.connect(config=settings) as rt:
        return rt.cache.popular(tenant, **about)


def reads(settings: Settings, tenant: str = TENANT) -> dict[tuple[str, str], int]:
    return {(row.namespace, row.key): round(row.reads) for row in popular(settings, tenant, top=10_000)}


async def test_it_is_what_all_have_read(deployment: Deployment, rng: random.Random) -> None:
    settings = deployment.settings(**ON)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create(TENANT, shards=4)
        rt.tenants.create("globex")
    truth: dict[str, Counter[tuple[str, str]]] = {TENANT: Counter(), "globex": Counter()}

    def plan(seed: int) -> list[tuple[str, str, str, str]]:
        mine = random.Random(seed)
        made = []
        for _ in range(200):
            method, tenant = mine.choice(["get", "get_many", "get_or_load"]), mine.choice([*truth])
            namespace, key = mine.choice(["pages", "prices"]), f"k:{int(mine.paretovariate(0.7))}"
            truth[tenant][namespace, key] += 1
            made.append((method, tenant, namespace, key))
        return made

    def arguments(method: str, key: str) -> tuple[Any, ...]:
        return {"get": (key,), "get_many": ([key, key],), "get_or_load": (key, lambda: 1)}[method]

    def work(steps: list[tuple[str, str, str, str]]) -> None:
        with riptide.connect(config=settings) as rt:
            for method, tenant, namespace, key in steps:
                getattr(rt.cache, method)(*arguments(method, key), tenant=tenant, namespace=namespace)
                rt.cache.exists(key, tenant=tenant)
                rt.cache.inspect(key, tenant=tenant)

    async def work_async(steps: list[tuple[str, str, str, str]]) -> None:
        async with await aconnect(config=settings) as rt:
            for method, tenant, namespace, key in steps:
                await getattr(rt.cache, method)(*arguments(method, key), tenant=tenant, namespace=namespace)

    plans = [plan(rng.randrange(2**32)) for _ in range(4)]
    await asyncio.gather(*(asyncio.to_thread(work, one) for one in plans[:3]), work_async(plans[3]))
    await drain(deployment, settings)
    for tenant, counted in truth.items():
        assert reads(settings, tenant) == counted
    rows = popular(settings, namespace="pages", top=5)
    assert {row.namespace for row in rows} == {"pages"}
    assert [row.benefit for row in rows] == sorted((row.benefit for row in rows), reverse=True)
    async with await aconnect(config=settings) as art:
        again = await art.cache.popular(TENANT, "pages", 5)
    assert [row.key for row in again] == [row.key for row in rows]
    assert all(
        deployment.client.ttl(key) > 86_400 for key in keys_of(deployment, [TENANT]) if "popular" in key
    )
    assert not deployment.letters(KIND)


async def test_reads_decay_and_partitions_add_up(on_valkey: Deployment) -> None:
    settings = on_valkey.settings(**ON)
    make_tenants(on_valkey.client, on_valkey.keys, [TENANT])
    now_ms = int(on_valkey.server_seconds() * 1000)
    foreign = PARTITIONS[(PARTITIONS.index(PARTITION) + 1) % 16]
    add(on_valkey, TENANT, at_ms=now_ms - 3 * DAY_MS, keys={"old": 800, "both": 80})
    add(on_valkey, TENANT, at_ms=now_ms - 2 * DAY_MS, keys={"old": 400}, namespace="pages")
    add(on_valkey, TENANT, at_ms=now_ms, keys={"new": 150, "both": 5, "none": 0})
    await drain(on_valkey, settings)
    add(on_valkey, TENANT, partition=foreign, at_ms=now_ms + 300 * DAY_MS, keys={"new": 50, "far": 7})
    await drain(on_valkey, settings)
    assert reads(settings) == {
        ("default", "new"): 200,
        ("default", "old"): 100,
        ("pages", "old"): 100,
        ("default", "both"): 15,
        ("default", "far"): 7,
    }


async def test_no_more_keys_are_kept_than_may_be(on_valkey: Deployment, rng: random.Random) -> None:
    settings = on_valkey.settings(**ON, cache={"popular_keys": 700})
    make_tenants(on_valkey.client, on_valkey.keys, [TENANT])
    often = {f"often{number}": 10 + number for number in range(600)}
    add(on_valkey, TENANT, keys=often, load_us=dict.fromkeys(often, 9))
    await drain(on_valkey, settings)
    seldom = [f"seldom{number}" for number in range(3000)]
    rng.shuffle(seldom)
    add(on_valkey, TENANT, keys=dict.fromkeys(seldom, 1), load_us=dict.fromkeys(seldom, 5))
    await drain(on_valkey, settings)
    found = {key: count for (_, key), count in reads(settings).items()}
    assert len(found) == 700
    assert found.items() >= often.items()
    names = on_valkey.keys.popular(PARTITION, TENANT), on_valkey.keys.load_times(PARTITION, TENANT)
    assert set(on_valkey.client.zrange(names[0], 0, -1)) == set(on_valkey.client.hkeys(names[1]))


async def test_what_loading_takes(on_valkey: Deployment) -> None:
    settings = on_valkey.settings(**ON)
    make_tenants(on_valkey.client, on_valkey.keys, [TENANT])
    add(on_valkey, TENANT, keys={"slow": 1, "fast": 10, "unknown": 3}, load_us={"slow": 8000, "fast": 100})
    await drain(on_valkey, settings)
    add(on_valkey, TENANT, load_us={"slow": 4000, "never read": 7})
    await drain(on_valkey, settings)
    found = {row.key: row for row in popular(settings)}
    assert {key: row.load_us for key, row in found.items()} == {"slow": 7000, "fast": 100, "unknown": None}
    assert list(found) == ["unknown", "slow", "fast"], "an unknown time counts as the mean"
    assert found["slow"].benefit == pytest.approx(0.007, rel=0.01)
    with pytest.raises(InvalidInput, match="top is"):
        popular(settings, top=0)
    with pytest.raises(InvalidInput):
        popular(settings, namespace="a:b")
    with pytest.raises(UnknownTenant):
        popular(settings, "nobody")


async def test_many_reports_of_many_keys_count_once_each(deployment: Deployment) -> None:
    """More than one call of the script takes."""
    settings = deployment.settings(**ON)
    make_tenants(deployment.client, deployment.keys, [TENANT])
    for number in range(20):
        add(deployment, TENANT, hits=1, keys={f"k{key}": 1 for key in range(number, number + 1000)})
    await drain(deployment, settings)
    truth = Counter(f"k{key}" for number in range(20) for key in range(number, number + 1000))
    assert {key: count for (_, key), count in reads(settings).items()} == truth
    assert deployment.client.hget(deployment.keys.access(PARTITION, TENANT), "hits") == b"20"


async def test_keys_of_an_encrypted_tenant_are_told_to_nobody(on_valkey: Deployment) -> None:
    settings = on_valkey.settings(**ON)
    make_tenants(on_valkey.client, on_valkey.keys, ["globex"])
    on_valkey.client.hset(on_valkey.keys.record("globex"), "key", 7)
    with riptide.connect(config=settings) as rt:
        rt.cache.get("secret", tenant="globex")
    bodies = [fields[b"body"] for _, _, fields in on_valkey.entries(KIND)]
    assert len(bodies) == 1
    assert b"secret" not in bodies[0]


async def test_off_nothing_is_counted(on_valkey: Deployment) -> None:
    settings = on_valkey.settings(cache={"popular_keys": 0})
    with riptide.connect(config=settings) as rt:
        rt.cache.get("k")
        rt.cache.get_many(["k"])
        rt.cache.get_or_load("k", lambda: 1)
    assert [b"keys" in fields[b"body"] for _, _, fields in on_valkey.entries(KIND)] == [False]
    add(on_valkey, "default", keys={"k": 1})
    await drain(on_valkey, settings)
    assert reads(settings, "default") == {}
