"""Delays: a command starts when it is due, whoever lives then, and never earlier."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import riptide
from riptide.errors import InvalidInput
from riptide.reads.aio_client import AsyncRipTide
from riptide.store.keys import PARTITIONS
from riptide.streams.message import Ref
from tests.support.commands import Effect, Noop
from tests.support.deployment import SHORT, TYPES, Deployment
from tests.support.waiting import PATIENCE, aeventually
from tests.support.workers import WorkerProcess, rests, running_worker


@pytest.fixture
async def rt(deployment: Deployment) -> AsyncIterator[AsyncRipTide]:
    async with await riptide.aconnect(config=deployment.settings(**SHORT)) as rt:
        yield rt


async def is_scheduled(rt: AsyncRipTide, ref: Ref) -> bool:
    return (await rt.status(ref)).state == "scheduled"


async def moved(deployment: Deployment, kind: str, count: int) -> None:
    """Wait until so many have been taken out of their streams."""

    async def there() -> bool:
        return deployment.waiting(kind) == count and deployment.pending(kind) == {}

    await aeventually(there, f"{count} to be put off")


async def test_it_starts_when_it_is_due(deployment: Deployment, rt: AsyncRipTide, rng: random.Random) -> None:
    """By delay, by time, in a batch, by a bare XADD: never earlier, by the server's clock."""
    into = deployment.prefix
    async with running_worker(deployment.settings(**SHORT)):
        now = round(deployment.server_seconds() * 1000)
        effect = Effect(into=into, end="result")
        by_delay = {
            await rt.publish(effect, delay=1.5): 1500,
            await rt.publish(effect, delay=timedelta(seconds=2)): 2000,
        }
        delays = [round(rng.uniform(800, 3000)) for _ in range(40)]
        batch = [riptide.Outgoing(effect, tenant=f"t{n}", delay=ms / 1000) for n, ms in enumerate(delays)]
        by_delay |= dict(zip(await rt.publish_many(batch), delays, strict=True))
        body = effect.model_dump_json()
        foreign = deployment.add("effect", {"body": body, "due": "+1500"})
        by_delay[Ref("effect", PARTITIONS[0], foreign)] = 1500
        due_ms = {ref: int(ref.entry_id.partition("-")[0]) + delay for ref, delay in by_delay.items()}
        due_ms[await rt.publish(effect, at=(now + 2500) / 1000)] = now + 2500
        due_ms[await rt.publish(effect, at=datetime.fromtimestamp(now / 1000 + 1, UTC))] = now + 1000
        absolute = deployment.add("effect", {"body": body, "due": now + 2000})
        due_ms[Ref("effect", PARTITIONS[0], absolute)] = now + 2000

        for ref in due_ms:
            ended = await rt.wait(ref, PATIENCE)
            assert (ended.state, ended.value) == ("done", {"attempt": 1}), "no start was counted before"
    started = dict(_starts(deployment))
    assert started.keys() == due_ms.keys()
    assert [ref for ref, ms in due_ms.items() if started[ref] < ms] == [], "started too early"
    assert deployment.at_rest("effect")


async def test_what_is_said_of_one_that_waits(deployment: Deployment, rt: AsyncRipTide) -> None:
    async with running_worker(deployment.settings(**SHORT)):
        ref = await rt.publish(Noop(), delay=3600)
        await moved(deployment, "noop", 1)
        status = await rt.status(ref)
        assert (status.state, status.attempts, status.error) == ("scheduled", 0, None)
        assert status.due_ms == int(ref.entry_id.partition("-")[0]) + 3_600_000
        assert (await rt.wait(ref, 0.01)).state == "scheduled"


def _starts(deployment: Deployment) -> Iterator[tuple[Ref, float]]:
    """When (Unix ms) each was started; the servers of the tests tell the time of this host."""
    refs = {
        fields.get(b"id", b"").decode() or f"effect.{partition}.{entry}": Ref("effect", partition, entry)
        for partition, entry, fields in deployment.entries("effect")
        if b"src" not in fields
    }
    starts = deployment.starts(deployment.prefix)
    assert len(starts) == len(refs)
    for (command, _, _), seconds in zip(starts, deployment.start_times(deployment.prefix), strict=True):
        yield refs[command], seconds * 1000


async def test_the_past_is_now(deployment: Deployment, rt: AsyncRipTide) -> None:
    async with running_worker(deployment.settings()):
        past = datetime(1969, 7, 20, tzinfo=UTC)
        for options in ({"at": 0}, {"at": past}, {"delay": 0}):
            ref = await rt.publish(Noop(), **options)
            assert (await rt.wait(ref, PATIENCE)).state == "done"
        entry = deployment.add("noop", {"body": "{}", "due": "1"})
        assert (await rt.wait(f"noop.{PARTITIONS[0]}.{entry}", PATIENCE)).state == "done"


async def test_nobody_works_when_it_is_published_nor_when_it_is_due(
    deployment: Deployment, rt: AsyncRipTide
) -> None:
    soon = await rt.publish(Effect(into=deployment.prefix), delay=0.5)
    late = await rt.publish(Effect(into=deployment.prefix), delay=3600)
    assert await is_scheduled(rt, late)
    due_ms = (await rt.status(late)).due_ms
    assert due_ms == int(late.entry_id.partition("-")[0]) + 3_600_000

    async def past() -> bool:
        return not await is_scheduled(rt, soon)

    await aeventually(past, "the time")
    assert (await rt.status(soon)).state == "queued"
    async with running_worker(deployment.settings()):
        assert (await rt.wait(soon, PATIENCE)).state == "done"
        await moved(deployment, "effect", 1)
        assert (await rt.status(late)).due_ms == due_ms, "the same before and after a worker has seen it"
    assert len(deployment.starts(deployment.prefix)) == 1


async def test_the_worker_that_put_it_off_is_killed(
    deployment: Deployment, rt: AsyncRipTide, tmp_path: Path
) -> None:
    """Another one, which knows nothing of it, starts it in time; so does one that comes later."""
    into = deployment.prefix
    with WorkerProcess(deployment, tmp_path, **SHORT) as first:
        refs = [await rt.publish(Effect(into=into, end="result"), delay=5) for _ in range(3)]
        await moved(deployment, "effect", 3)
        first.kill()  # before it is time
        async with running_worker(deployment.settings(**SHORT)):
            for ref in refs:
                assert (await rt.wait(ref, PATIENCE)).value == {"attempt": 1}
    for ref, started in _starts(deployment):
        assert started >= int(ref.entry_id.partition("-")[0]) + 5000, "never earlier"


async def test_the_worker_that_put_it_off_leaves(on_valkey: Deployment) -> None:
    """In order, and while another one comes: the number of members is the same."""
    settings = on_valkey.settings(**SHORT)
    async with await riptide.aconnect(config=settings) as rt, running_worker(settings) as second:
        retries: list[int] = []
        promote_all = second._retries.promote_all

        async def noted() -> None:
            retries.append(1)
            await promote_all()

        second._retries.promote_all = noted  # type: ignore[method-assign]
        async with running_worker(settings):
            await rt.quiet(second.name)
            await rests(second, *TYPES)
            ref = await rt.publish(Noop(), delay=5)
            await moved(on_valkey, "noop", 1)
            await rt.end_quiet(second.name)
        assert (await rt.wait(ref, PATIENCE)).state == "done"

        async def heard() -> bool:
            return bool(retries)

        await aeventually(heard, "it to hear that another one has left")


async def test_hundreds_are_due_at_once(deployment: Deployment, rt: AsyncRipTide) -> None:
    """More than are put back in one step."""
    at = deployment.server_seconds() + 2
    async with running_worker(deployment.settings()):
        refs = await rt.publish_many([riptide.Outgoing(Noop(n=n), at=at) for n in range(350)])
        for ref in refs:
            assert (await rt.wait(ref, PATIENCE / 2)).state == "done"


async def test_what_is_handed_back_before_it_was_put_off_still_waits(
    deployment: Deployment, rt: AsyncRipTide
) -> None:
    """A worker that stops, or whose type is paused, gives it back without having looked at it."""
    async with running_worker(deployment.settings(**SHORT)) as worker:
        await rt.pause("effect")
        await rests(worker, "effect")
        ref = await rt.publish(Effect(into=deployment.prefix), delay=3600)
        key = deployment.keys.commands("effect", ref.partition)
        deployment.client.xreadgroup("workers", worker.name, {key: ">"})
        for reader in worker._readers:
            reader.doubt()
        await moved(deployment, "effect", 1)
        await rt.resume("effect")

        async def scheduled() -> bool:
            return await is_scheduled(rt, ref)

        await aeventually(scheduled, "it to be put off")
        due_ms = (await rt.status(ref)).due_ms
        assert due_ms == int(ref.entry_id.partition("-")[0]) + 3_600_000
        assert deployment.starts(deployment.prefix) == []


@pytest.mark.parametrize(
    ("due", "why"),
    [
        (b"soon", "not a whole number"),
        (b"", "not a whole number"),
        (b"+", "not a whole number"),
        (b"-5", "not a whole number"),
        (b"+-5", "not a whole number"),
        (b"1e3", "not a whole number"),
        (b"9" * 16, "not a whole number"),
        (b"9" * 15, "366 days"),
        (b"+40000000000", "366 days"),
        (b"\xff", "not a whole number"),
    ],
)
async def test_a_due_that_makes_no_sense_is_a_dead_letter(
    on_valkey: Deployment, due: bytes, why: str
) -> None:
    async with (
        await riptide.aconnect(config=on_valkey.settings()) as rt,
        running_worker(on_valkey.settings()),
    ):
        entry = on_valkey.add("noop", {"body": "{}", "due": due})
        ended = await rt.wait(f"noop.{PARTITIONS[0]}.{entry}", PATIENCE)
    assert (ended.state, ended.attempts) == ("dead", 0)
    assert ended.error is not None
    assert why in ended.error
    assert "'due'" in ended.error
    assert on_valkey.originals("noop") == [[b"body", b"{}", b"due", due]]


async def test_a_body_that_is_malformed_does_not_wait(on_valkey: Deployment) -> None:
    async with (
        await riptide.aconnect(config=on_valkey.settings()) as rt,
        running_worker(on_valkey.settings()),
    ):
        entry = on_valkey.add("noop", {"body": "{", "due": "+3600000"})
        assert (await rt.wait(f"noop.{PARTITIONS[0]}.{entry}", PATIENCE)).state == "dead"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"delay": -1}, "negative"),
        ({"delay": float("nan")}, "delay is seconds"),
        ({"delay": float("inf")}, "delay is seconds"),
        ({"delay": "5m"}, "delay is seconds"),
        ({"delay": True}, "delay is seconds"),
        ({"delay": 367 * 86400}, "366 days"),
        ({"delay": timedelta(days=-1)}, "negative"),
        ({"at": datetime(2030, 1, 1)}, "without a time zone"),  # noqa: DTZ001 - the point of it
        ({"at": 1.7e12}, "366 days"),
        ({"at": "2026-11-21"}, "at is a datetime"),
        ({"at": float("nan")}, "at is a datetime"),
        ({"at": 1, "delay": 1}, "either delay or at"),
    ],
)
async def test_times_that_make_no_sense_are_refused(on_valkey: Deployment, options: Any, why: str) -> None:
    with riptide.connect(config=on_valkey.settings()) as rt:
        with pytest.raises(InvalidInput, match=why):
            rt.publish(Noop(), **options)
        with pytest.raises(InvalidInput, match=why):
            rt.publish(Noop(), key="k", **options)
        with pytest.raises(InvalidInput, match=rf"commands\[1\]: .*{why}"):
            rt.publish_many([riptide.Outgoing(Noop()), riptide.Outgoing(Noop(), **options)])
    assert on_valkey.entries("noop") == []


async def test_an_idempotency_key_is_remembered_while_it_waits(on_valkey: Deployment) -> None:
    settings = on_valkey.settings(streams={"idempotency_window_seconds": 1})
    with riptide.connect(config=settings) as rt:
        first = rt.publish(Noop(), key="k", delay=3600)
        await asyncio.sleep(1.2)  # longer than the window: nothing else tells that it is over
        assert rt.publish(Noop(), key="k", delay=3600) == first
