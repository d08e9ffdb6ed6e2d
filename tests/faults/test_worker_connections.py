"""A worker's connections are cut, in the middle of replies too: what it was given is still carried out."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest

import riptide
from riptide.store.keys import GROUP, PARTITIONS
from riptide.streams.job import Job
from riptide.streams.registry import Handler
from tests.support.commands import Effect, Noop
from tests.support.deployment import Deployment, make_settings
from tests.support.proxy import Proxy
from tests.support.waiting import aeventually
from tests.support.workers import command_types, running_worker

pytestmark = pytest.mark.faults


async def at_rest(deployment: Deployment, *kinds: str) -> None:
    async def quiet() -> bool:
        return await asyncio.to_thread(deployment.at_rest, *kinds)

    await aeventually(quiet, f"{', '.join(kinds)} to come to rest")


async def test_entries_whose_reply_was_lost_are_carried_out(on_valkey: Deployment) -> None:
    """The server has handed them to this worker, which has never seen them; nobody else would ever look."""
    with Proxy(on_valkey.url) as proxy:
        settings = make_settings(proxy.url, on_valkey.prefix)
        async with await riptide.aconnect(config=on_valkey.settings()) as rt, running_worker(settings):
            proxy.swallow = b"body"
            refs = [await rt.publish(Effect(into=on_valkey.prefix)) for _ in range(5)]

            async def swallowed() -> bool:
                return proxy.swallowed > 0

            await aeventually(swallowed, "a lost reply")
            proxy.swallow = None
            states = {(await rt.wait(ref, 60)).state for ref in refs}
            await at_rest(on_valkey, "effect")
    assert states == {"done"}
    assert len(on_valkey.done(on_valkey.prefix)) == len(refs)
    starts = on_valkey.starts(on_valkey.prefix)
    assert len(starts) == len(refs), "each ran once"
    assert {attempt for _, attempt, _ in starts} == {1}, "a delivery that never started is no attempt"


async def test_a_loop_that_was_blocked_loses_nothing(on_valkey: Deployment) -> None:
    """A handler that blocks the loop past the read's timeout makes the client give up a reply that came."""
    settings = on_valkey.settings(streams={"block_ms": 50}, workers={"concurrency": 4})
    started = asyncio.Event()
    ran: list[int] = []

    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        ran.append(batch[0].command.n)
        if batch[0].command.n == 0:
            started.set()
            import time

            # Published by somebody else while nothing in this loop can run.
            for n in range(1, 6):
                fields = {"body": f'{{"n":{n}}}'}
                on_valkey.client.xadd(on_valkey.keys.commands("noop", PARTITIONS[n]), fields)
            time.sleep(6)  # noqa: ASYNC251 - the point of it: longer than BLOCK and its margin

    async with (
        await riptide.aconnect(config=on_valkey.settings()) as rt,
        running_worker(settings, command_types({"noop": Handler(handle)})),
    ):
        await rt.publish(Noop(n=0))
        await started.wait()

        async def all_ran() -> bool:
            return len(ran) >= 6

        await aeventually(all_ran, "all to run")
        await at_rest(on_valkey, "noop")
    assert sorted(ran) == list(range(6))


@pytest.mark.slow
async def test_cut_connections(on_valkey: Deployment, rng: random.Random) -> None:
    """Every reply may be cut anywhere, and now and then all connections at once."""
    count = 1500
    with Proxy(on_valkey.url, rng) as proxy:
        settings = make_settings(proxy.url, on_valkey.prefix, redis={"retry_delay_ms": 1})
        async with await riptide.aconnect(config=on_valkey.settings()) as rt, running_worker(settings):
            proxy.cut_chance = 0.05
            for _ in range(count // 100):
                await rt.publish_many([riptide.Outgoing(Effect(into=on_valkey.prefix))] * 90)
                await rt.publish_many(
                    [riptide.Outgoing(Effect(into=on_valkey.prefix, end="retry", until_attempt=2))] * 10
                )
                proxy.cut()

            async def all_done() -> bool:
                return len(await asyncio.to_thread(on_valkey.done, on_valkey.prefix)) == count

            await aeventually(all_done, "all effects")
            proxy.cut_chance = 0
            await at_rest(on_valkey, "effect")
    assert proxy.cuts > 20
    assert not on_valkey.letters("effect")


async def test_killed_blocking_reads(deployment: Deployment) -> None:
    """CLIENT KILL of everything, as an operator or a proxy's idle timeout does it."""
    async with (
        await riptide.aconnect(config=deployment.settings()) as rt,
        running_worker(deployment.settings()),
    ):
        for _ in range(5):
            nodes = deployment.client.get_primaries() if deployment.cluster else [None]
            for node in nodes:
                target = {} if node is None else {"target_nodes": node}
                listed = deployment.client.client_list(**target)
                rows = [row for row in listed if row["cmd"] == "xreadgroup"]
                for row in rows:
                    deployment.client.client_kill_filter(_id=row["id"], **target)
            ref = await rt.publish(Effect(into=deployment.prefix))
            assert (await rt.wait(ref, 60)).state == "done"
        await at_rest(deployment, "effect")
    assert len(deployment.starts(deployment.prefix)) == 5


async def test_a_destroyed_group_is_made_anew(deployment: Deployment) -> None:
    settings = deployment.settings()
    async with await riptide.aconnect(config=settings) as rt, running_worker(settings):
        first = await rt.publish(Effect(into=deployment.prefix))
        assert (await rt.wait(first, 60)).state == "done"
        for partition in PARTITIONS:
            deployment.client.xgroup_destroy(deployment.keys.commands("effect", partition), GROUP)
        second = await rt.publish(Effect(into=deployment.prefix))

        async def done() -> bool:
            return len(await asyncio.to_thread(deployment.done, deployment.prefix)) == 2

        await aeventually(done, "the second effect")
        await at_rest(deployment, "effect")
        assert (await rt.status(second)).state == "done"


@pytest.mark.parametrize("before", [True, False], ids=["at the start", "under way"])
async def test_a_key_that_is_no_stream_does_not_stop_the_others(deployment: Deployment, before: bool) -> None:
    settings = deployment.settings()
    fields = {"body": f'{{"into":"{deployment.prefix}"}}'}
    bad, good = PARTITIONS[3], PARTITIONS[4]
    key = deployment.keys.commands("effect", bad)
    if before:
        deployment.client.set(key, "somebody's own")
    async with running_worker(settings):
        if not before:
            deployment.add("effect", fields, bad)
            await at_rest(deployment, "effect")
            deployment.client.delete(key)
            deployment.client.set(key, "somebody's own")
        earlier = len(deployment.done(deployment.prefix))
        for _ in range(3):
            deployment.add("effect", fields, good)

        async def done(count: int) -> None:
            async def reached() -> bool:
                return len(await asyncio.to_thread(deployment.done, deployment.prefix)) == earlier + count

            await aeventually(reached, f"{count} effects")

        await done(3)
        deployment.client.delete(key)
        deployment.add("effect", fields, bad)
        await done(4)  # it is noticed that the key is a stream again
        await at_rest(deployment, "effect")
