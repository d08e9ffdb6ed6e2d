"""The effect, call by call: whatever is delivered, repeated or taken away, each record counts once."""

import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from riptide.reads.aio_client import aconnect
from riptide.store.keys import GROUP, partition_of
from riptide.streams.completion import FENCED
from riptide.streams.effect import Undone, sort_out
from riptide.streams.job import Applied, Job
from riptide.tenants.usage.counting import Counting
from tests.support.deployment import Deployment
from tests.support.hand import Hand
from tests.support.usage import KIND, by_month, counted, make_tenants

TENANT = "acme"
PARTITION = partition_of(TENANT)
ME = "host.1.1"


@asynccontextmanager
async def at_work(deployment: Deployment, name: str = ME) -> AsyncIterator[Hand]:
    make_tenants(deployment.client, deployment.keys, [TENANT])
    async with await aconnect(config=deployment.settings(tenant={"enabled": True})) as rt:
        counting = Counting(deployment.keys)
        hand = Hand(deployment, rt.store, (KIND, PARTITION), counting, counting.count, name)
        await hand.join()
        yield hand


def add(deployment: Deployment, count: int = 1, **body: Any) -> None:
    for _ in range(count):
        fields = {"tenant": TENANT, "body": json.dumps({"operation": "render", **body})}
        deployment.add(KIND, fields, PARTITION)


def operations(deployment: Deployment) -> int:
    month = f"{datetime.now(UTC):%Y-%m}"
    sums = by_month(counted(deployment.client, deployment.keys, [TENANT]))
    return sums[TENANT, month, 0, "render", "operations"]


async def test_a_repeated_call_counts_nothing(deployment: Deployment) -> None:
    async with at_work(deployment) as hand:
        add(deployment, 10)
        jobs = await hand.take()
        assert await hand.settle(jobs) == [10]
        assert await hand.settle(jobs) == [0]
    assert operations(deployment) == 10
    assert deployment.at_rest(KIND)


async def test_a_part_that_ended_otherwise_is_left_out(on_valkey: Deployment) -> None:
    async with at_work(on_valkey) as hand:
        add(on_valkey, 10)
        jobs = await hand.take()
        assert await hand.settle(jobs[2:5]) == [3]
        on_valkey.client.xack(on_valkey.keys.commands(KIND, PARTITION), GROUP, jobs[7].entry.id)
        [undone] = await hand.settle(jobs)
        assert isinstance(undone, Undone)
        assert dict(undone.instead) == dict.fromkeys([*jobs[2:5], jobs[7]])
        assert operations(on_valkey) == 3
        ended, again = sort_out(hand.outcomes(jobs), [undone])
        assert [entry for entry, _ in ended] == [job.entry for job in (*jobs[2:5], jobs[7])]
        rest = [outcome.job for _, outcome in again if isinstance(outcome, Applied)]
        assert await hand.settle(rest) == [6]
    assert operations(on_valkey) == 9


async def test_one_entry_in_two_batches_counts_once(on_valkey: Deployment) -> None:
    async with at_work(on_valkey) as hand:
        add(on_valkey, 3)
        jobs = await hand.take()
        [undone] = await hand.settle([*jobs, jobs[1]])
        assert isinstance(undone, Undone)
        assert operations(on_valkey) == 0
        assert await hand.settle([jobs[2], jobs[0], jobs[1]]) == [3]
    assert operations(on_valkey) == 3


async def test_who_was_taken_over_counts_nothing(deployment: Deployment) -> None:
    async with at_work(deployment) as hand, at_work(deployment, "host.2.2") as heir:
        add(deployment, 5)
        jobs = await hand.take()
        taken = await hand.store.run(hand.ops.take_over(KIND, hand.name, heir.name, 100, 1, slow=False))
        assert len(taken.entries) == 5
        assert await hand.settle(jobs) == [FENCED]
        assert operations(deployment) == 0
        assert await heir.settle(jobs) == [5]
    assert operations(deployment) == 5


async def test_a_group_that_is_gone_counts_nothing(on_valkey: Deployment) -> None:
    async with at_work(on_valkey) as hand:
        add(on_valkey, 5)
        jobs = await hand.take()
        on_valkey.client.xgroup_destroy(on_valkey.keys.commands(KIND, PARTITION), GROUP)
        assert await hand.settle(jobs) == [0]
        on_valkey.client.delete(on_valkey.keys.commands(KIND, PARTITION))
        assert await hand.settle(jobs) == [0]
    assert operations(on_valkey) == 0


async def test_what_was_trimmed_while_it_was_held_is_counted(on_valkey: Deployment) -> None:
    async with at_work(on_valkey) as hand:
        add(on_valkey, 5)
        jobs = await hand.take()
        on_valkey.client.xtrim(on_valkey.keys.commands(KIND, PARTITION), maxlen=0, approximate=False)
        assert await hand.settle(jobs) == [5]
    assert operations(on_valkey) == 5


@pytest.mark.parametrize("size", [1, 499, 900])
async def test_many_operations_in_one_call(on_valkey: Deployment, size: int) -> None:
    """More names than a call of Lua takes at once."""
    async with at_work(on_valkey) as hand:
        amounts = {"data_bytes": 1, "compute_ms": 2, "storage_bytes": 3}
        for n in range(size):
            add(on_valkey, operation=f"op{n}", **amounts)
        jobs = await hand.take(1000)
        assert sum(await hand.settle(jobs)) == size
    found = by_month(counted(on_valkey.client, on_valkey.keys, [TENANT]))
    assert len(found) == 4 * size
    assert sum(found.values()) == 7 * size


async def test_any_order_of_calls(on_valkey: Deployment, rng: random.Random) -> None:
    """Batches that overlap, repeat, and are acknowledged from outside: at rest every entry counted once,
    but for those that an outsider took."""
    async with at_work(on_valkey) as hand:
        add(on_valkey, 200)
        jobs = await hand.take(1000)
        stolen: set[Job] = set()
        done: Counter[Job] = Counter()
        for _ in range(60):
            some = rng.sample(jobs, rng.randrange(1, 40))
            if rng.random() < 0.1:
                thief = rng.choice(jobs)
                if on_valkey.client.xack(on_valkey.keys.commands(KIND, PARTITION), GROUP, thief.entry.id):
                    stolen.add(thief)
            [reply] = await hand.settle(some)
            if isinstance(reply, Undone):
                left = [job for job in some if job not in reply.instead]
                [reply] = await hand.settle(left)
                done.update(left)
                assert reply == len(left)
            elif reply:
                done.update(some)
        assert max(done.values()) == 1
        assert not stolen & done.keys()
        rest = [job for job in jobs if job not in done and job not in stolen]
        await hand.settle(rest)
    assert operations(on_valkey) == len(jobs) - len(stolen)
