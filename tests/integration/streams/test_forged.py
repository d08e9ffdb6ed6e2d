"""Anybody may XADD the form of a retry: only what a worker put back counts as one."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import riptide
from riptide.errors import Retry
from riptide.store.aio import AsyncStore, open_async_store
from riptide.store.keys import GROUP
from riptide.streams import dead
from riptide.streams.completion import Completion
from riptide.streams.executor import Executor
from riptide.streams.job import Again, HandedBack, Job
from riptide.streams.message import Entry, Ref, pack_fields, unpack_fields
from riptide.streams.registry import Handler
from riptide.streams.settling import Settler
from riptide.streams.slots import Slots
from riptide.streams.takeover import PartitionOps
from riptide.streams.triage import Triage
from tests.support.commands import Effect, Noop
from tests.support.deployment import SHORT, Deployment
from tests.support.waiting import PATIENCE, aeventually, eventually
from tests.support.workers import WorkerProcess, command_types, make_due, running_worker

FORGED = pack_fields([b"body", b'{"n":8}'])


def forge(deployment: Deployment, ref: Ref) -> Ref:
    """A bare XADD that claims to be a retry of `ref`."""
    fields = {"id": "forged", "at": "1", "src": ref.entry_id, "attempts": "1", "orig": FORGED}
    return Ref("noop", ref.partition, deployment.add("noop", fields, ref.partition))


async def test_it_is_a_dead_letter_of_its_own(deployment: Deployment) -> None:
    """Whatever the command that it names does meanwhile: waits for its retry, runs again, has ended."""
    ran: list[tuple[int, int]] = []
    again, end = asyncio.Event(), asyncio.Event()

    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        job = batch[0]
        ran.append((job.command.n, job.attempt))
        if job.attempt == 1:
            raise Retry("wait", delay=3600)
        again.set()
        await end.wait()

    async with (
        await riptide.aconnect(config=deployment.settings()) as rt,
        running_worker(deployment.settings(), command_types({"noop": Handler(handle)})) as worker,
    ):
        honest = await rt.publish(Noop(n=7), tenant="acme")

        async def waits() -> bool:
            return (await rt.status(honest)).state == "retrying"

        await aeventually(waits, "the honest retry")
        forged = [forge(deployment, honest)]
        assert (await rt.wait(forged[-1], PATIENCE)).state == "dead"
        assert not (await rt.status(honest)).final
        await make_due(deployment, worker, honest)
        await asyncio.wait_for(again.wait(), PATIENCE)
        forged.append(forge(deployment, honest))
        assert (await rt.wait(forged[-1], PATIENCE)).state == "dead"
        assert not (await rt.status(honest)).final
        end.set()
        assert (await rt.wait(honest, PATIENCE)).state == "done"
        forged.append(forge(deployment, honest))
        assert (await rt.wait(forged[-1], PATIENCE)).state == "dead"
        assert (await rt.status(honest)).state == "done"
        letters = await rt.store.drive(dead.letters(deployment.keys, ["noop"]))
        for letter in letters:
            assert await rt.store.run(dead.revive(deployment.keys, letter))
        for ref in forged:
            assert (await rt.wait(ref, PATIENCE)).state == "dead", "it is no better when it is tried again"
    assert ran == [(7, 1), (7, 2)]
    assert {letter.source for letter in letters} == set(forged)
    sent = [part for ref in forged for part in (b"src", ref.entry_id.encode())]
    assert all(letter.reason == "malformed" and "looks like a retry" in letter.error for letter in letters)
    for letter in letters:
        names = [name for name, _ in letter.fields()]
        assert names == [b"id", b"at", b"src", b"attempts", b"orig"]
        assert (b"src", honest.entry_id.encode()) in letter.fields()
        assert letter.source.entry_id.encode() in sent
    assert deployment.at_rest("noop")
    bodies = [deployment.keys.retry_bodies("noop", honest.partition)]
    assert deployment.client.exists(*bodies) == 0, "nothing is left of what was put back"


def test_one_that_was_put_back_and_taken_over_counts(deployment: Deployment, tmp_path: Path) -> None:
    into = deployment.prefix
    with riptide.connect(config=deployment.settings()) as rt:
        with WorkerProcess(deployment, tmp_path, **SHORT) as dying:
            ref = rt.publish(Effect(into=into, how="second", end="retry", seconds=3600, until_attempt=2))
            eventually(lambda: len(deployment.starts(into)) == 2, "the second start")
            dying.kill()
        with WorkerProcess(deployment, tmp_path, **SHORT):
            assert rt.wait(ref, PATIENCE).state == "done"
    assert [attempt for _, attempt, _ in deployment.starts(into)] == [1, 2, 3]
    assert deployment.letters("effect") == []
    assert deployment.at_rest("effect")


async def test_one_that_is_handed_back_unstarted_keeps_its_story(deployment: Deployment) -> None:
    """There was no room for it, so that nobody has asked yet whether it was put back."""
    settings = deployment.settings()
    async with await riptide.aconnect(config=settings) as rt:
        ref = await rt.publish(Noop(n=7), tenant="acme")
    store = open_async_store(settings)
    try:
        completion = Completion(deployment.keys, settings.streams, "me")
        [noop] = command_types({"noop": Handler(_nothing)})
        partition = PartitionOps(deployment.keys, ["noop"], ref.partition)
        await store.run(partition.raise_fence("me"))
        await store.run(partition.ensure_groups("me"))
        settler = Settler(store, completion, lambda: None, lambda _: None)
        await settler.settle([(_read(deployment, ref), Again(0, "once more"))])

        async def promoted() -> bool:
            return (await store.run(partition.promote())).moved == 1

        await aeventually(promoted, "it to be put back")
        back = _read(deployment, ref)
        forged = _read_forged(deployment, ref)
        executor = Executor(settings, Triage(settings), settler, Slots([noop], 0), None)
        executor.start(noop, [back, forged], 0)
        await executor.drain(PATIENCE)
        await _told_apart(store, deployment, ref, back, forged)
    finally:
        await store.close()


async def _told_apart(
    store: AsyncStore, deployment: Deployment, ref: Ref, back: Entry, forged: Entry
) -> None:
    again, forged_again = _read(deployment, ref), _read(deployment, ref)
    settler = Settler(
        store, Completion(deployment.keys, deployment.settings().streams, "me"), lambda: None, lambda _: None
    )
    await settler.vouch([again, forged_again])
    assert again.returned is not None
    assert forged_again.returned is not None
    assert (again.returned.first, again.returned.attempts) == (ref.entry_id, 1)
    assert unpack_fields(again.returned.packed)[6:8] == [b"body", b'{"n":7}']
    assert back.returned is not None
    assert back.returned.packed == again.returned.packed
    assert forged.returned is None
    assert forged_again.returned.first == forged.id
    assert unpack_fields(forged_again.returned.packed) == forged.fields


async def test_one_that_was_moved_is_known_by_its_stream(deployment: Deployment) -> None:
    """A producer chooses ids: it may give an entry that of the moved one which it would pass for."""
    settings = deployment.settings()
    async with await riptide.aconnect(config=settings) as rt:
        ref = await rt.publish(Noop(n=7), tenant="acme")
        partition = PartitionOps(deployment.keys, ["noop"], ref.partition)
        await rt.store.run(partition.raise_fence("me"))
        await rt.store.run(partition.ensure_groups("me"))
        await aeventually(lambda: _is_past(deployment, ref), "ids to grow")
        sorted_ = await rt.store.run(partition.sort("noop", "me", {b"acme": 0}, 0))
        assert sorted_ is not None
        assert sorted_.moved == 1
        [(moved, _)] = deployment.client.xrange(deployment.keys.slow("noop", ref.partition))
        fields: Any = {"id": "forged", "at": "1", "src": ref.entry_id, "attempts": "1", "orig": FORGED}
        deployment.client.xadd(deployment.keys.commands("noop", ref.partition), fields, id=moved)
        assert (await rt.status(ref)).state == "queued"
        completion = Completion(deployment.keys, settings.streams, "me")
        settler = Settler(rt.store, completion, lambda: None, lambda _: None)
        forged, honest = _read(deployment, ref), _read(deployment, ref, slow=True)
        assert forged.id == honest.id
        await settler.vouch([forged, honest])
        assert forged.returned is None
        assert honest.returned is not None
        assert unpack_fields(honest.returned.packed)[6:8] == [b"body", b'{"n":7}']
        await settler.settle([(honest, HandedBack(started=False))])
        again = _read(deployment, ref, slow=True)
        await settler.vouch([again])
        assert again.returned == honest.returned
        status = await rt.status(ref)
        assert (status.state, status.worker) == ("running", "me")


async def _is_past(deployment: Deployment, ref: Ref) -> bool:
    key = deployment.keys.commands(ref.kind, ref.partition)
    seconds, us = deployment.client.eval("return redis.call('TIME')", 1, key)
    return int(seconds) * 1000 + int(us) // 1000 > int(ref.entry_id.partition("-")[0])


async def _nothing(batch: Sequence[Job], ctx: Any) -> None: ...


def _read(deployment: Deployment, ref: Ref, *, slow: bool = False) -> Entry:
    """The next entry of a stream, delivered to the consumer `me`."""
    key = deployment.keys.stream(ref.kind, ref.partition, slow=slow)
    reply = deployment.client.execute_command(
        "XREADGROUP", "GROUP", GROUP, "me", "COUNT", 1, "STREAMS", key, ">", keys=[key]
    )
    rows = next(iter(reply.values()))[0] if isinstance(reply, dict) else reply[0][1]
    entry_id, fields = rows[0]
    flat = [part for pair in fields.items() for part in pair] if isinstance(fields, dict) else list(fields)
    return Entry(ref.kind, ref.partition, entry_id.decode(), flat, slow=slow)


def _read_forged(deployment: Deployment, ref: Ref) -> Entry:
    forge(deployment, ref)
    return _read(deployment, ref)
