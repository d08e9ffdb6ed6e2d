"""One tenant's flood holds up neither the others of its partition nor those of other partitions."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import riptide
from riptide.reads.aio_client import AsyncRipTide
from riptide.store.keys import partition_of
from riptide.streams.job import Job
from riptide.streams.registry import Handler
from tests.support.commands import Effect, Noop
from tests.support.deployment import SHORT, Deployment
from tests.support.waiting import aeventually
from tests.support.workers import WorkerProcess, command_types, running_worker

pytestmark = pytest.mark.faults
MULTI: dict[str, Any] = {"tenant": {"enabled": True}}


def neighbours() -> tuple[str, str, str]:
    """A tenant that floods, one of the same partition, and one of another."""
    names = [f"t{n}" for n in range(200)]
    loud = names[0]
    near = next(name for name in names[1:] if partition_of(name) == partition_of(loud))
    far = next(name for name in names[1:] if partition_of(name) != partition_of(loud))
    return loud, near, far


class Gate:
    """A handler that lets the loud tenant's commands wait until the gate is opened."""

    def __init__(self, loud: str) -> None:
        self.loud, self.open = loud, asyncio.Event()
        self.started: list[tuple[str | None, int]] = []
        self.waiting = 0

    async def handle(self, batch: Sequence[Job], _ctx: Any) -> None:
        self.started += [(job.tenant, job.command.n) for job in batch]
        if batch[0].tenant == self.loud:
            self.waiting += 1
            await self.open.wait()

    def of(self, tenant: str) -> list[int]:
        return [n for who, n in self.started if who == tenant]


async def flood(rt: AsyncRipTide, tenant: str, count: int) -> None:
    for start in range(0, count, 500):
        await rt.publish_many(
            [riptide.Outgoing(Noop(n=n), tenant) for n in range(start, min(count, start + 500))]
        )


@pytest.mark.parametrize("batch_size", [1, 20])
async def test_others_are_served_while_a_flood_stands_still(deployment: Deployment, batch_size: int) -> None:
    """The flood's commands never end, so nothing but being let past could start the others'."""
    loud, near, far = neighbours()
    gate = Gate(loud)
    settings = deployment.settings(**MULTI)
    types = command_types({"noop": Handler(gate.handle, batch_size=batch_size)})
    async with await riptide.aconnect(config=settings) as rt, running_worker(settings, types):
        await flood(rt, loud, 3000)
        others = [riptide.Outgoing(Noop(n=n), tenant) for n in range(30) for tenant in (near, far)]
        await rt.publish_many(others)

        async def served() -> bool:
            return len(gate.of(near)) == 30 and len(gate.of(far)) == 30

        await aeventually(served, "the others to be served")
        assert not gate.open.is_set()
        gate.open.set()

        async def all_started() -> bool:
            return len(gate.started) == 3060

        await aeventually(all_started, "the flood to be carried out")

        async def at_rest() -> bool:
            return await asyncio.to_thread(deployment.at_rest, "noop")

        await aeventually(at_rest, "nothing to be left over")
    assert sorted(gate.of(loud)) == list(range(3000)), "each once"
    assert not deployment.letters("noop")


async def test_a_burst_does_not_come_to_stand_behind_a_flood(on_valkey: Deployment) -> None:
    """It crowds the stream for a moment, as a flood does.

    Where all stands still in that moment a burst looks slow, too, and is moved: so there are three."""
    loud, near, _ = neighbours()
    others = (f"b{n}" for n in range(1000))
    bursting = [near, *islice((name for name in others if partition_of(name) == partition_of(loud)), 2)]
    started: list[str | None] = []

    async def handle(batch: Sequence[Job], _ctx: Any) -> None:
        started.append(batch[0].tenant)
        await asyncio.sleep(0.02 if batch[0].tenant == loud else 0.005)

    settings = on_valkey.settings(**MULTI)
    types = command_types({"noop": Handler(handle)})
    async with await riptide.aconnect(config=settings) as rt, running_worker(settings, types):
        for tries, near in enumerate(bursting, 1):
            await flood(rt, loud, 3000)
            await rt.publish_many([riptide.Outgoing(Noop(n=n), near) for n in range(300)])

            async def served(near: str = near) -> bool:
                return started.count(near) > 150

            await aeventually(served, "most of the burst to be served")
            if started.count(loud) < 3000 * tries:
                return
    pytest.fail("each of three bursts stood behind the flood")


async def test_a_flood_alone_is_not_held_up_by_itself(on_valkey: Deployment) -> None:
    """Without multi-tenancy there is one tenant: it gets all slots."""
    gate = Gate("default")
    settings = on_valkey.settings(workers={"concurrency": 4}, tenant={"enabled": False})
    types = command_types({"noop": Handler(gate.handle, batch_size=1)})
    async with await riptide.aconnect(config=settings) as rt, running_worker(settings, types):
        await rt.publish_many([riptide.Outgoing(Noop(n=n), "default") for n in range(10)])

        async def all_slots() -> bool:
            return gate.waiting == 4

        await aeventually(all_slots, "all slots to be taken")
        gate.open.set()


@pytest.mark.slow
async def test_kills_while_entries_are_moved(
    on_valkey: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    """Each moved command is carried out, and each effect is as if done once."""
    loud, near, _ = neighbours()
    settings = on_valkey.settings(**MULTI)
    into, refs = on_valkey.prefix, []
    async with await riptide.aconnect(config=settings) as rt:
        with ExitStack() as running:
            workers = [
                running.enter_context(WorkerProcess(on_valkey, tmp_path, **SHORT, **MULTI)) for _ in range(2)
            ]
            for _ in range(4):
                before = len(on_valkey.starts(into))
                slow = [riptide.Outgoing(Effect(into=into, seconds=0.02), loud)] * 300
                refs += await rt.publish_many(slow)
                refs += await rt.publish_many([riptide.Outgoing(Effect(into=into), near)] * 50)

                async def some_more(before: int = before) -> bool:
                    return len(await asyncio.to_thread(on_valkey.starts, into)) >= before + 60

                await aeventually(some_more, "some starts")
                workers.pop(rng.randrange(2)).kill()
                workers.append(running.enter_context(WorkerProcess(on_valkey, tmp_path, **SHORT, **MULTI)))

            async def all_done() -> bool:
                return len(await asyncio.to_thread(on_valkey.done, into)) == len(refs)

            await aeventually(all_done, "all effects", 120)

            async def at_rest() -> bool:
                return await asyncio.to_thread(on_valkey.at_rest, "effect")

            await aeventually(at_rest, "nothing to be left over")
    assert not on_valkey.letters("effect")
