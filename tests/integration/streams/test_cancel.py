"""Cancelling: a command either ran or was cancelled, never both, and never neither."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

import riptide
from riptide.errors import InvalidInput
from riptide.reads.aio_client import AsyncRipTide
from riptide.store.keys import GROUP, PARTITIONS
from riptide.streams.job import Job
from riptide.streams.message import Ref
from riptide.streams.registry import Handler
from tests.support.commands import Effect, Noop, effect
from tests.support.deployment import SHORT, Deployment
from tests.support.waiting import PATIENCE, aeventually
from tests.support.workers import command_types, make_due, rests, running_worker


@pytest.fixture
async def rt(deployment: Deployment) -> AsyncIterator[AsyncRipTide]:
    async with await riptide.aconnect(config=deployment.settings(**SHORT)) as rt:
        yield rt


async def has_state(rt: AsyncRipTide, ref: Ref, state: str) -> None:
    async def there() -> bool:
        return (await rt.status(ref)).state == state

    await aeventually(there, f"{ref} to be {state}")


async def test_queued_and_scheduled_before_any_worker_came(deployment: Deployment, rt: AsyncRipTide) -> None:
    refs = [await rt.publish(Effect(into=deployment.prefix, end="result")) for _ in range(4)]
    later = await rt.publish(Effect(into=deployment.prefix), delay=3600)
    gone = [refs[0], refs[2], later]
    for ref in gone:
        status = await rt.cancel(ref)
        assert (status.state, status.final, status.ref) == ("cancelled", True, ref)
        assert (await rt.cancel(str(ref))).state == "cancelled", "again changes nothing"
        assert (await rt.status(ref)).state == "cancelled"
        assert (await rt.wait(ref, PATIENCE)).state == "cancelled"
        result = deployment.keys.result("effect", ref.partition, ref.entry_id)
        assert 0 < deployment.client.ttl(result) <= 86400
    async with running_worker(deployment.settings()):
        for ref in (refs[1], refs[3]):
            assert (await rt.wait(ref, PATIENCE)).state == "done"
        assert deployment.at_rest("effect")
    assert len(deployment.starts(deployment.prefix)) == 2


async def test_what_waits_for_its_time_or_a_retry(deployment: Deployment, rt: AsyncRipTide) -> None:
    into = deployment.prefix
    async with running_worker(deployment.settings()):
        later = await rt.publish(Effect(into=into), delay=3600)
        again = await rt.publish(Effect(into=into, end="retry", retry_seconds=3600))

        async def put_off() -> bool:
            return deployment.waiting("effect") == 2

        await aeventually(put_off, "both to wait")
        await has_state(rt, later, "scheduled")  # handed back, it counts as waiting too
        await has_state(rt, again, "retrying")
        for ref in (later, again):
            assert (await rt.cancel(ref)).state == "cancelled"
            assert (await rt.status(ref)).state == "cancelled"
    assert deployment.waiting("effect") == 0
    for ref in (later, again):
        assert deployment.client.hlen(deployment.keys.retry_bodies("effect", ref.partition)) == 0
    assert len(deployment.starts(into)) == 1


async def test_what_has_been_put_back(deployment: Deployment, rt: AsyncRipTide) -> None:
    """Its entry has another id then; status and cancel find it."""
    into, settings = deployment.prefix, deployment.settings(**SHORT)
    async with running_worker(settings) as worker:
        again = await rt.publish(Effect(into=into, end="retry", retry_seconds=3600))
        await has_state(rt, again, "retrying")
        await rt.pause("effect")
        await rests(worker, "effect")
        await make_due(deployment, worker, again)
        await has_state(rt, again, "queued")
        status = await rt.status(again)
        assert (status.attempts, status.error) == (1, "Retry: as asked")
        assert (await rt.cancel(again)).state == "cancelled"
        assert deployment.waiting("effect") == 0
        await rt.resume("effect")
        ref = await rt.publish(Effect(into=into))
        assert (await rt.wait(ref, PATIENCE)).state == "done"
        assert (await rt.status(again)).state == "cancelled"
        assert len(deployment.starts(into)) == 2
        assert deployment.at_rest("effect")


async def test_what_runs_and_what_has_ended_is_left_alone(deployment: Deployment, rt: AsyncRipTide) -> None:
    into, begun, go_on = deployment.prefix, [asyncio.Event(), asyncio.Event()], asyncio.Event()

    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        [job] = batch
        if not go_on.is_set() and job.attempt == job.command.until_attempt:
            begun[job.attempt - 1].set()
            await go_on.wait()
        await effect(batch, ctx)

    async with running_worker(deployment.settings(), command_types({"effect": Handler(handle)})) as worker:
        runs = await rt.publish(Effect(into=into, until_attempt=1))
        await begun[0].wait()  # until then it may be handed back
        assert (await rt.status(runs)).worker == worker.name
        assert (await rt.cancel(runs)).state == "running"
        runs_again = await rt.publish(Effect(into=into, end="retry", retry_seconds=0.01, until_attempt=2))
        await begun[1].wait()
        status = await rt.status(runs_again)
        assert (status.state, status.attempts, status.worker) == ("running", 2, worker.name)
        assert (await rt.cancel(runs_again)).state == "running"
        go_on.set()
        assert (await rt.wait(runs, PATIENCE)).state == "done"
        assert (await rt.wait(runs_again, PATIENCE)).state == "done"
        ends = {"": "done", "result": "done", "skip": "skipped", "dead": "dead"}
        for end, state in ends.items():
            ref = await rt.publish(Effect(into=into, end=end))
            before = await rt.wait(ref, PATIENCE)
            assert before.state == state
            assert (await rt.cancel(ref)).state == state
            assert await rt.status(ref) == before
    [letter] = deployment.letters("effect")
    assert letter[b"reason"] == b"refused"


async def test_what_was_never_published_is_unknown(on_valkey: Deployment) -> None:
    with riptide.connect(config=on_valkey.settings()) as rt:
        assert rt.cancel("noop.10.1-1").state == "unknown"
        first = rt.publish(Noop())
        assert rt.cancel(f"noop.{first.partition}.1-1").state == "unknown"
        assert rt.status(f"noop.{first.partition}.1-1").state == "unknown"
        assert rt.cancel(first).state == "cancelled"
        with pytest.raises(InvalidInput):
            rt.cancel("nonsense")
        on_valkey.client.delete(on_valkey.keys.result("noop", first.partition, first.entry_id))
        assert rt.cancel(first).state == "unknown", "so long ago that it is forgotten"


async def test_ids_are_compared_as_numbers_of_any_length(deployment: Deployment, rt: AsyncRipTide) -> None:
    """Producers may choose them: a double cannot tell neighbours beyond 2^53. References may begin with 0."""
    place, given, waits = PARTITIONS[0], f"{2**53}-{2**63}", f"{2**53}-{2**63 + 1}"
    key = deployment.keys.commands("noop", place)
    for entry in ("9-0", given, waits, f"{2**53 + 1}-0"):
        deployment.client.xadd(key, {"body": "{}"}, id=entry)
    deployment.client.xgroup_create(key, GROUP, id=given)
    for entry in ("9-0", f"{9:020}-00", given):
        assert (await rt.status(f"noop.{place}.{entry}")).state == "done"
        assert (await rt.cancel(f"noop.{place}.{entry}")).state == "done"
    for entry in (waits, f"{2**53 + 1}-0"):
        assert (await rt.status(f"noop.{place}.{entry}")).state == "queued"
        assert (await rt.cancel(f"noop.{place}.{entry}")).state == "cancelled"
    assert [entry.decode() for entry, _ in deployment.client.xrange(key)] == ["9-0", given]


async def test_either_it_ran_or_it_was_cancelled(
    deployment: Deployment, rt: AsyncRipTide, rng: random.Random
) -> None:
    """Commands of every sort are cancelled at any moment of their lives, several times over."""
    into = deployment.prefix
    sorts: tuple[dict[str, Any], ...] = (
        {},
        {"end": "retry", "until_attempt": 2, "retry_seconds": 0.02},
        {"end": "retry", "until_attempt": 3, "retry_seconds": 0.0},
        {"end": "dead-later", "seconds": 0.01},
        {"seconds": 0.03},
    )

    async def one(number: int) -> tuple[Ref, str, list[str]]:
        delay = rng.choice([None, None, 0.05, 0.3])
        command = Effect(into=into, **rng.choice(sorts))
        ref = await rt.publish(command, tenant=f"t{number % 7}", delay=delay)
        answers = []
        for _ in range(rng.randint(1, 3)):
            await asyncio.sleep(rng.uniform(0, 0.4))
            answers.append((await rt.cancel(ref)).state)
        ended = await rt.wait(ref, PATIENCE)
        assert ended.final, ended
        return ref, ended.state, answers

    async with running_worker(deployment.settings(**SHORT)), running_worker(deployment.settings(**SHORT)):
        ends = await asyncio.gather(*(one(number) for number in range(250)))
        assert deployment.at_rest("effect")
    ids = {
        Ref("effect", partition, entry): fields[b"id"].decode()
        for partition, entry, fields in deployment.entries("effect")
        if b"src" not in fields
    }
    done = deployment.done(into)
    states: dict[str, int] = {}
    for ref, state, answers in ends:
        states[state] = states.get(state, 0) + 1
        cancelled = "cancelled" in answers
        assert cancelled == (state == "cancelled"), (ref, state, answers)
        if cancelled:
            assert set(answers[answers.index("cancelled") :]) == {"cancelled"}, answers
            assert ids.get(ref) not in done, f"{ref} was cancelled and has run to its end"
        elif state == "done":
            assert ids[ref] in done
    assert states.keys() >= {"done", "cancelled"}, f"a race that nobody loses tests nothing: {states}"
    for partition in PARTITIONS:
        assert deployment.client.hlen(deployment.keys.retry_bodies("effect", partition)) == 0
