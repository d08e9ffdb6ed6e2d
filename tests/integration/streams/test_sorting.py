"""A stream that tenants crowd is sorted: theirs is moved out of the way, the others' is handed over."""

from collections.abc import AsyncIterator

import pytest

import riptide
from riptide.store.aio import AsyncStore, open_async_store
from riptide.store.keys import GROUP, PARTITIONS
from riptide.streams.message import Ref
from riptide.streams.takeover import PartitionOps, Sorted
from tests.support.deployment import Deployment

PLACE = PARTITIONS[0]


class Bench:
    """One partition, and a consumer of it."""

    def __init__(self, deployment: Deployment, store: AsyncStore) -> None:
        self.deployment, self.store = deployment, store
        self.ops = PartitionOps(deployment.keys, ["noop"], PLACE)

    async def join(self) -> None:
        await self.store.run(self.ops.raise_fence("me"))
        await self.store.run(self.ops.ensure_groups("me"))
        self.add("first", 1)
        self.read(
            self.deployment.keys.commands("noop", PLACE)
        )  # after that the server knows how much is left

    def read(self, key: str, count: int | None = None) -> None:
        self.deployment.client.xreadgroup(GROUP, "me", {key: ">"}, count=count)

    def add(self, tenant: str, count: int) -> list[Ref]:
        bodies = [f'{{"n":{n}}}' for n in range(count)]
        added = [self.deployment.add("noop", {"tenant": tenant, "body": body}, PLACE) for body in bodies]
        return [Ref("noop", PLACE, entry_id) for entry_id in added]

    async def sort(self, crowding: dict[bytes, int], room: int = 10) -> Sorted:
        found = await self.store.run(self.ops.sort("noop", "me", crowding, room))
        assert found is not None
        return found

    def slow(self) -> int:
        return int(self.deployment.client.xlen(self.deployment.keys.slow("noop", PLACE)))


@pytest.fixture
async def bench(deployment: Deployment) -> AsyncIterator[Bench]:
    store = open_async_store(deployment.settings())
    made = Bench(deployment, store)
    await made.join()
    yield made
    await store.close()


async def test_others_are_handed_over_as_far_as_there_is_room(bench: Bench) -> None:
    bench.add("loud", 3)
    bench.add("near", 3)
    bench.add("loud", 2)
    first = await bench.sort({b"loud": 0}, room=2)
    assert (first.moved, len(first.entries)) == (3, 2)
    second = await bench.sort({b"loud": 0}, room=2)
    assert (second.moved, len(second.entries)) == (2, 1)
    assert await bench.sort({b"loud": 0}) == Sorted([], 0)
    assert bench.slow() == 5


async def test_what_was_moved_is_found_and_can_be_cancelled(bench: Bench) -> None:
    keys, settings = bench.deployment.keys, bench.deployment.settings()
    runs, waits = bench.add("loud", 2)
    assert (await bench.sort({b"loud": 0})).moved == 2
    bench.read(keys.slow("noop", PLACE), count=1)
    async with await riptide.aconnect(config=settings) as rt:
        assert (await rt.status(runs)).worker == "me"
        assert (await rt.cancel(runs)).state == "running"
        assert (await rt.status(waits)).state == "queued"
        assert (await rt.cancel(waits)).state == "cancelled"
        assert (await rt.status(waits)).state == "cancelled"
    assert bench.slow() == 1
    assert bench.deployment.client.hkeys(keys.retry_bodies("noop", PLACE)) == [runs.entry_id.encode()]


async def test_a_short_backlog_is_not_put_behind_that_of_another(bench: Bench) -> None:
    bench.add("loud", 2)
    assert (await bench.sort({b"loud": 100})).moved == 2, "there was nobody to wait for"
    bench.add("near", 3)
    left = await bench.sort({b"loud": 0, b"near": 4})
    assert (left.moved, len(left.entries)) == (0, 3)
    bench.add("near", 4)
    assert (await bench.sort({b"near": 4})).moved == 4, "as many as that are a flood"
    bench.add("loud", 1)
    assert (await bench.sort({b"loud": 100})).moved == 1, "the next one there is its own"


async def test_what_the_slow_stream_has_given_out_is_nobodys_wait(bench: Bench) -> None:
    bench.add("loud", 2)
    await bench.sort({b"loud": 0})
    bench.read(bench.deployment.keys.slow("noop", PLACE))
    bench.add("near", 3)
    assert (await bench.sort({b"near": 4})).moved == 3
