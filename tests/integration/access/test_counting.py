"""The effect of `record_access`: reports count once, in their minute, for tenants that there are."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

import riptide
from commands._fields import MAX_AMOUNT
from riptide.reads.aio_client import aconnect
from riptide.store.keys import PARTITIONS, partition_of
from riptide.streams.completion import FENCED
from riptide.streams.effect import Undone
from riptide.streams.job import HandedBack
from riptide.tenants.usage.known import digest_of
from tests.support.access import KIND, ON, add, counting_for, drain, keys_of, statistics
from tests.support.deployment import Deployment
from tests.support.hand import Hand
from tests.support.usage import make_tenants

TENANT = "acme"
PARTITION = partition_of(TENANT)
MINUTE = 60_000


@asynccontextmanager
async def at_work(deployment: Deployment, name: str = "host.1.1") -> AsyncIterator[Hand]:
    make_tenants(deployment.client, deployment.keys, [TENANT])
    settings = deployment.settings(**ON)
    counting = counting_for(settings)
    async with await aconnect(config=settings) as rt:
        hand = Hand(deployment, rt.store, (KIND, PARTITION), counting, counting.count, name)
        await hand.join()
        yield hand


def hits(deployment: Deployment) -> int:
    return int(deployment.client.hget(deployment.keys.access(PARTITION, TENANT), "hits") or 0)


async def test_a_repeated_call_counts_nothing(deployment: Deployment) -> None:
    async with at_work(deployment) as hand:
        for _ in range(10):
            add(deployment, TENANT, hits=3)
        jobs = await hand.take()
        assert await hand.settle(jobs) == [10]
        assert await hand.settle(jobs) == [0]
    assert hits(deployment) == 30
    assert deployment.at_rest(KIND)


async def test_a_part_that_ended_otherwise_is_left_out(on_valkey: Deployment) -> None:
    async with at_work(on_valkey) as hand:
        for _ in range(10):
            add(on_valkey, TENANT, hits=1)
        jobs = await hand.take()
        assert await hand.settle(jobs[2:5]) == [3]
        [undone] = await hand.settle(jobs)
        assert isinstance(undone, Undone)
        assert dict(undone.instead) == dict.fromkeys(jobs[2:5])
        assert hits(on_valkey) == 3
        assert await hand.settle([*jobs[:2], *jobs[5:]]) == [7]
    assert hits(on_valkey) == 10


async def test_who_was_taken_over_counts_nothing(on_valkey: Deployment) -> None:
    async with at_work(on_valkey) as hand, at_work(on_valkey, "host.2.2") as heir:
        add(on_valkey, TENANT, hits=1)
        jobs = await hand.take()
        await hand.store.run(hand.ops.take_over(KIND, hand.name, heir.name, 100, 1, slow=False))
        assert await hand.settle(jobs) == [FENCED]
        assert hits(on_valkey) == 0
        assert await heir.settle(jobs) == [1]
    assert hits(on_valkey) == 1


async def test_a_tenant_purged_between_taking_and_settling(on_valkey: Deployment) -> None:
    """What it did before is dropped, and what a new tenant of that id did is counted."""
    async with at_work(on_valkey) as hand:
        add(on_valkey, TENANT, hits=1, process="one")
        jobs = await hand.take()
        purged_ms = int(on_valkey.server_seconds() * 1000) + 1
        on_valkey.client.hset(on_valkey.keys.gone(PARTITION), digest_of(TENANT), purged_ms)
        [undone] = await hand.settle(jobs)
        assert isinstance(undone, Undone)
        assert dict(undone.instead) == dict.fromkeys(jobs, HandedBack(started=False))
        await hand.store.drive(counting_for(on_valkey.settings(**ON)).count(jobs))
        jobs[0].effect = None
        await hand.store.drive(hand._judge(jobs))
        assert jobs[0].effect is None, "dropped"
        assert not keys_of(on_valkey, [TENANT])
        add(on_valkey, TENANT, hits=5, at_ms=purged_ms + 1)
        later = await hand.take()
        assert await hand.settle(later) == [1]
    assert hits(on_valkey) == 5


async def test_reports_count_in_the_minute_in_which_they_came(deployment: Deployment) -> None:
    settings = deployment.settings(**ON)
    make_tenants(deployment.client, deployment.keys, [TENANT])
    now_ms = int(deployment.server_seconds() * 1000)
    ages = {200: 1, 61: 2, 50: 4, 30: 8, 7: 16, 3: 32, 1: 64, 0: 128}
    for minutes, count in ages.items():
        add(deployment, TENANT, at_ms=now_ms - minutes * MINUTE, hits=count, process=f"p{minutes}")
    # In another partition, and by an entry id of tomorrow.
    foreign = PARTITIONS[(PARTITIONS.index(PARTITION) + 1) % 16]
    add(deployment, TENANT, partition=foreign, misses=256, process="p0")
    add(deployment, TENANT, partition=foreign, at_ms=now_ms + 1440 * MINUTE, hits=512, process="tomorrow")
    await drain(deployment, settings)
    found = statistics(settings, TENANT)
    assert found.totals.hits == sum(ages.values()) + 512
    assert found.totals.misses == 256
    assert found.hit_rate == (32 + 64 + 128 + 512) / (32 + 64 + 128 + 512 + 256)
    assert found.processes == 4
    hour = deployment.client.hgetall(deployment.keys.access(PARTITION, TENANT))
    places = {int(value.split()[1]): name for name, value in hour.items() if name.isdigit()}
    assert set(places) == {4, 8, 16, 32, 64, 128}, "what is older than an hour is in the totals alone"
    assert places[128] == str(now_ms // MINUTE % 60).encode()
    assert deployment.client.ttl(deployment.keys.access_processes(PARTITION, TENANT)) > 3000


async def test_a_minute_takes_the_place_of_that_of_an_hour_before(on_valkey: Deployment) -> None:
    settings = on_valkey.settings(**ON)
    make_tenants(on_valkey.client, on_valkey.keys, [TENANT])
    minute = int(on_valkey.server_seconds()) // 60
    key = on_valkey.keys.access(PARTITION, TENANT)
    for at in (minute, minute + 1):  # it may end meanwhile
        on_valkey.client.hset(key, str(at % 60), f"{at - 60} 7 7 7 7 7 7 7 7")
    add(on_valkey, TENANT, hits=3)
    add(on_valkey, TENANT, hits=4)
    await drain(on_valkey, settings)
    found = statistics(settings, TENANT)
    assert (found.totals.hits, found.hit_rate, found.miss_rate) == (7, 1.0, 0.0)


async def test_sums_stay_exact_and_bounded(on_valkey: Deployment, rng: random.Random) -> None:
    settings = on_valkey.settings(**ON)
    make_tenants(on_valkey.client, on_valkey.keys, [TENANT])
    key = on_valkey.keys.access(PARTITION, TENANT)
    on_valkey.client.hset(key, mapping={"hits": 2**53 - 3, "misses": 2**53 - 1 - MAX_AMOUNT})
    odd = rng.randrange(2**39, 2**40) | 1
    add(on_valkey, TENANT, hits=MAX_AMOUNT, misses=MAX_AMOUNT, value_bytes=odd)
    for number in range(1100):
        add(on_valkey, TENANT, process=f"p{number}")
    await drain(on_valkey, settings)
    totals = statistics(settings, TENANT).totals
    assert (totals.hits, totals.misses, totals.value_bytes) == (2**53 - 1, 2**53 - 1, odd)
    assert on_valkey.client.zcard(on_valkey.keys.access_processes(PARTITION, TENANT)) == 1000


@pytest.mark.parametrize("level", ["strong", "logical"])
async def test_a_stranger_s_reports_leave_nothing(deployment: Deployment, level: str) -> None:
    settings = deployment.settings(tenant={"enabled": True, "isolation_level": level})
    with riptide.connect(config=settings) as rt:
        rt.tenants.create(TENANT)
    for tenant in ("stranger", TENANT, "stranger2", "default"):
        add(deployment, tenant, hits=5)
    await drain(deployment, settings)
    assert hits(deployment) == 5
    assert statistics(settings, "default").totals.hits == 5
    assert not keys_of(deployment, ["stranger", "stranger2"])
    assert not deployment.letters(KIND)
