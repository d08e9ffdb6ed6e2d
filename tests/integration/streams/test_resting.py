"""Paused types and quiet workers: what runs ends, and nothing else is started."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import riptide
from riptide.errors import InvalidInput, UnknownCommand
from riptide.reads.aio_client import AsyncRipTide
from riptide.store.keys import GROUP
from riptide.streams.job import Job
from riptide.streams.registry import Handler
from tests.servers import ServerProcess
from tests.support.commands import HANDLERS, Effect, Noop
from tests.support.deployment import SHORT, TYPES, Deployment
from tests.support.waiting import PATIENCE, aeventually
from tests.support.workers import WorkerProcess, command_types, make_due, rests, running_worker


async def is_alive(rt: AsyncRipTide) -> None:
    """A command of another type goes through, so the readers have read again."""
    for _ in range(2):
        assert (await rt.wait(await rt.publish(Noop()), PATIENCE)).state == "done"


async def test_what_runs_ends_and_nothing_else_is_started(deployment: Deployment) -> None:
    into, settings = deployment.prefix, deployment.settings(**SHORT)
    async with await riptide.aconnect(config=settings) as rt, running_worker(settings) as worker:
        long = await rt.publish(Effect(into=into, seconds=1.5))

        async def begun() -> bool:
            return len(deployment.starts(into)) == 1

        await aeventually(begun, "the first start")
        assert await rt.pause("effect", "the origin is down")
        assert not await rt.pause("effect", "the origin is still down")
        await rests(worker, "effect")
        waiting = [await rt.publish(Effect(into=into, end="result")) for _ in range(20)]
        assert (await rt.wait(long, PATIENCE)).state == "done", "what runs goes on"
        await is_alive(rt)
        assert {(await rt.status(ref)).state for ref in waiting} == {"queued"}
        assert len(deployment.starts(into)) == 1
        assert deployment.unread("effect") == 20
        [pause] = (await rt.paused()).values()
        assert (pause.kind, pause.why) == ("effect", "the origin is still down")
        assert "@" in pause.by
        assert abs(pause.at_ms / 1000 - deployment.server_seconds()) < PATIENCE
        assert await rt.resume("effect")
        assert not await rt.resume("effect")
        for ref in waiting:
            status = await rt.wait(ref, PATIENCE)
            assert (status.state, status.value) == ("done", {"attempt": 1})


async def test_a_worker_that_comes_later_knows_of_it(deployment: Deployment) -> None:
    into, settings = deployment.prefix, deployment.settings()
    async with await riptide.aconnect(config=settings) as rt:
        ref = await rt.publish(Effect(into=into))
        await rt.pause("effect")
        for _ in range(2):
            async with running_worker(settings):
                await is_alive(rt)
        assert deployment.starts(into) == []
        async with running_worker(settings):
            await rt.resume("effect")
            assert (await rt.wait(ref, PATIENCE)).state == "done"


async def test_what_a_dead_worker_held_is_not_started_either(deployment: Deployment, tmp_path: Path) -> None:
    into, settings = deployment.prefix, deployment.settings(**SHORT)
    async with await riptide.aconnect(config=settings) as rt:
        with WorkerProcess(deployment, tmp_path, commands=["effect"], **SHORT):
            refs = [await rt.publish(Effect(into=into, how="first", seconds=3600)) for _ in range(3)]

            async def begun() -> bool:
                return len(deployment.starts(into)) == 3

            await aeventually(begun, "the starts")
            await rt.pause("effect")
        # It is dead before another one comes, who might think so although it lives.
        async with running_worker(settings) as worker:

            async def forgotten() -> bool:
                return deployment.members() == [worker.name] and deployment.pending("effect") == {}

            await aeventually(forgotten, "the takeover")
            await is_alive(rt)
            assert len(deployment.starts(into)) == 3
            assert {(await rt.status(ref)).state for ref in refs} == {"queued"}
            await rt.resume("effect")
            for ref in refs:
                assert (await rt.wait(ref, PATIENCE)).state == "done"
        assert sorted(attempt for _, attempt, _ in deployment.starts(into)) == [1, 1, 1, 2, 2, 2]


async def test_a_retry_and_a_lost_delivery_wait_too(deployment: Deployment) -> None:
    into, settings = deployment.prefix, deployment.settings(**SHORT)
    async with await riptide.aconnect(config=settings) as rt, running_worker(settings) as worker:
        retried = await rt.publish(Effect(into=into, end="retry", until_attempt=2, retry_seconds=3600))

        async def retrying() -> bool:
            return (await rt.status(retried)).state == "retrying"

        await aeventually(retrying, "the retry")
        await rt.pause("effect")
        await rests(worker, "effect")
        lost = await rt.publish(Effect(into=into))
        key = deployment.keys.commands("effect", lost.partition)
        deployment.client.xreadgroup(GROUP, worker.name, {key: ">"})
        for reader in worker._readers:
            reader.doubt()

        async def handed_back() -> bool:
            return deployment.pending("effect") == {} and deployment.waiting("effect") == 2

        async def due() -> bool:
            return deployment.unread("effect") == 2

        await aeventually(handed_back, "the lost delivery to be handed back")
        await make_due(deployment, worker, retried)
        await aeventually(due, "both to be back in their streams")
        await is_alive(rt)
        assert len(deployment.starts(into)) == 1
        await rt.resume("effect")
        assert {(await rt.wait(ref, PATIENCE)).state for ref in (lost, retried)} == {"done"}
        assert sorted(attempt for _, attempt, _ in deployment.starts(into)) == [1, 1, 2], "none was counted"


async def test_pauses_outlive_the_server(private_server: Callable[..., ServerProcess], prefix: str) -> None:
    server = private_server()
    deployment = Deployment(server.url, prefix)
    settings = deployment.settings(**SHORT)
    async with await riptide.aconnect(config=settings) as rt, running_worker(settings) as worker:
        await rt.pause("effect")
        await rests(worker, "effect")
        ref = await rt.publish(Effect(into=prefix))
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        await is_alive(rt)
        assert deployment.starts(prefix) == []
        await rt.resume("effect")
        assert (await rt.wait(ref, PATIENCE)).state == "done"
    deployment.close()


async def test_a_quiet_worker_leaves_the_work_to_others(deployment: Deployment) -> None:
    settings, ran = deployment.settings(**SHORT), []

    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        ran.append(ctx.name)

    async def run_by() -> set[str]:
        """Who carries out some commands."""
        ran.clear()
        refs = [await rt.publish(Effect(into="x")) for _ in range(30)]
        for ref in refs:
            assert (await rt.wait(ref, PATIENCE)).state == "done"
        return set(ran)

    types = command_types(HANDLERS | {"effect": Handler(handle)})
    async with (
        await riptide.aconnect(config=settings) as rt,
        running_worker(settings, types, name="calm") as calm,
        running_worker(settings, types, name="busy") as busy,
    ):
        assert {member.name for member in await rt.workers()} == {calm.name, busy.name}
        first = calm.name
        assert (await rt.quiet(first)).name == first
        await rests(calm, *TYPES)
        assert await run_by() == {"busy"}
        calm._consumer.was_fenced(calm.name)

        async def renewed() -> bool:
            return calm.name != first and calm.name in deployment.members()

        await aeventually(renewed, "its next name")
        assert await run_by() == {"busy"}, "it is the process that is quiet"
        states = {member.name: member.quiet_by is not None for member in await rt.workers()}
        assert (states[calm.name], states[busy.name]) == (True, False)
        assert await rt.end_quiet(calm.name)
        assert not await rt.end_quiet(calm.name)
        await rests(calm)
        await rt.quiet(busy.name)
        await rests(busy, *TYPES)
        assert await run_by() == {"calm"}
    assert deployment.client.hlen(deployment.keys.control("quiet")) == 0, "who leaves is forgotten"


async def test_workers_say_what_they_are_and_do(on_valkey: Deployment) -> None:
    settings, end = on_valkey.settings(**SHORT), asyncio.Event()

    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        await end.wait()

    types = command_types(HANDLERS | {"effect": Handler(handle)})
    async with await riptide.aconnect(config=settings) as rt, running_worker(settings, types) as worker:
        ref = await rt.publish(Effect(into=on_valkey.prefix))

        async def seen() -> bool:
            [member] = await rt.workers()
            return member.running == {"effect": 1}

        await aeventually(seen, "what it runs")
        [member] = await rt.workers()
        assert (member.name, member.process, member.role) == (worker.name, worker.name, "worker")
        assert set(member.commands) == {"noop", "effect", "bulk"}
        assert member.silent_seconds < PATIENCE
        assert (member.quiet_ms, member.quiet_by) == (None, None)
        end.set()
        assert (await rt.wait(ref, PATIENCE)).state == "done"


async def test_what_others_write_of_themselves_harms_nobody(on_valkey: Deployment) -> None:
    keys, client = on_valkey.keys, on_valkey.client
    for name, about in {
        "a.1.x": b"",
        "b.1.x": b"[]",
        "c.1.x": b'{"pid": "x", "running": 3, "commands": 4}',
    }.items():
        client.zadd(keys.control("members"), {name: 1})
        client.hset(keys.control("members:about"), name, about)
    client.hset(keys.control("paused"), "noop", "nonsense")
    client.hset(keys.control("quiet"), "gone", '{"at": "1", "by": "x"}')
    async with await riptide.aconnect(config=on_valkey.settings()) as rt:
        assert [member.pid for member in await rt.workers()] == [0, 0, 0]
        assert (await rt.paused())["noop"].by == "?"
        await rt.quiet("b.")
        assert client.hkeys(keys.control("quiet")) == [b"b.1.x"], "what is long gone is forgotten"


async def test_wrong_names_are_refused(on_valkey: Deployment) -> None:
    for n in (1, 2):
        on_valkey.client.zadd(on_valkey.keys.control("members"), {f"host.{n}.x": 1})
    with riptide.connect(config=on_valkey.settings()) as rt:
        with pytest.raises(UnknownCommand, match="known are"):
            rt.pause("nonsense")
        with pytest.raises(UnknownCommand, match="known are"):
            rt.resume("nonsense")
        for ask in (rt.quiet, rt.end_quiet):
            with pytest.raises(
                InvalidInput, match=r"no worker is called 'elsewhere'; there are: host\.1\.x, host\.2\.x"
            ):
                ask("elsewhere")
            with pytest.raises(InvalidInput, match="several workers"):
                ask("host.")
            with pytest.raises(InvalidInput, match="no worker"):
                ask("")
        assert rt.paused() == {}
