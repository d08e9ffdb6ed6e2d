"""How a command may end: done, returned value, retried, dead, skipped; and what its publisher is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

import riptide
from riptide.errors import Dead, Retry, Skip
from riptide.reads.aio_client import AsyncRipTide
from riptide.streams.job import Job
from riptide.streams.registry import Handler
from tests.support.commands import Effect, Noop
from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE, aeventually
from tests.support.workers import command_types, running_worker


@pytest.fixture
async def rt(deployment: Deployment) -> AsyncIterator[AsyncRipTide]:
    async with await riptide.aconnect(config=deployment.settings()) as rt:
        yield rt


def types_of(handle: Callable[[Sequence[Job], Any], Any], batch_size: int = 1) -> list[Any]:
    """`noop` carried out by `handle`."""
    return command_types({"noop": Handler(handle, batch_size=batch_size)})


async def test_done(deployment: Deployment, rt: AsyncRipTide) -> None:
    ref = await rt.publish(Effect(into=deployment.prefix))
    assert (await rt.status(ref)).state == "queued"
    async with running_worker(deployment.settings()):
        status = await rt.wait(ref, PATIENCE)
    assert (status.state, status.error, status.value) == ("done", None, None)
    [(_, attempt, _)] = deployment.starts(deployment.prefix)
    assert attempt == 1
    assert deployment.at_rest("effect")


async def test_returned_value(deployment: Deployment, rt: AsyncRipTide) -> None:
    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        batch[0].result = {"n": batch[0].command.n, "text": "ä\x00"}

    async with running_worker(deployment.settings(), types_of(handle)):
        status = await rt.wait(await rt.publish(Noop(n=7)), PATIENCE)
    assert (status.state, status.value) == ("done", {"n": 7, "text": "ä\x00"})


@pytest.mark.parametrize("value", [object(), float("nan"), {1: {2: {3}}}], ids=["object", "nan", "set"])
async def test_a_value_that_is_not_json_is_a_failure(on_valkey: Deployment, value: Any) -> None:
    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        batch[0].result = value

    async with (
        await riptide.aconnect(config=on_valkey.settings()) as rt,
        running_worker(on_valkey.settings(), types_of(handle)),
    ):
        status = await rt.wait(await rt.publish(Noop()), PATIENCE)
    assert status.state == "dead"
    assert status.error is not None
    assert "not JSON" in status.error


async def test_retry_counts_attempts_and_ends(deployment: Deployment, rt: AsyncRipTide) -> None:
    seen = []

    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        seen.append((batch[0].id, batch[0].attempt, str(batch[0].ref), batch[0].message.at_ms))
        if batch[0].attempt < 3:
            raise Retry("not yet", delay=0.01)
        batch[0].result = "third"

    async with running_worker(deployment.settings(), types_of(handle)):
        ref = await rt.publish(Noop())
        status = await rt.wait(ref, PATIENCE)
    assert (status.state, status.value) == ("done", "third")
    assert [attempt for _, attempt, _, _ in seen] == [1, 2, 3]
    assert len({(command, at) for command, _, _, at in seen}) == 1, "a retry keeps id and time of issue"
    assert {text for _, _, text, _ in seen} == {str(ref)}
    assert deployment.at_rest("noop")


async def test_status_while_waiting_for_a_retry(deployment: Deployment, rt: AsyncRipTide) -> None:
    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        raise Retry("in an hour", delay=3600)

    async with running_worker(deployment.settings(), types_of(handle)):
        ref = await rt.publish(Noop())

        async def retrying() -> bool:
            return (await rt.status(ref)).state == "retrying"

        await aeventually(retrying, "the retry")
        status = await rt.status(ref)
        assert status.attempts == 1
        assert status.error == "Retry: in an hour"
        assert status.due_ms is not None
        at_ms = int(ref.entry_id.partition("-")[0])
        assert 3600_000 <= status.due_ms - at_ms < 3700_000
        assert not status.final
        assert (await rt.wait(ref, 0.01)).state == "retrying"


async def test_status_while_running_names_the_worker(on_valkey: Deployment) -> None:
    deployment = on_valkey
    started, end = asyncio.Event(), asyncio.Event()

    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        started.set()
        await end.wait()

    async with (
        await riptide.aconnect(config=deployment.settings()) as rt,
        running_worker(deployment.settings(), types_of(handle)) as worker,
    ):
        ref = await rt.publish(Noop())
        await started.wait()
        status = await rt.status(ref)
        assert (status.state, status.worker, status.attempts) == ("running", worker.name, 1)
        end.set()
        assert (await rt.wait(ref, PATIENCE)).state == "done"


async def test_dead_and_skip(deployment: Deployment, rt: AsyncRipTide) -> None:
    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        raise Dead("no use") if batch[0].command.n else Skip("nothing to do")

    async with running_worker(deployment.settings(), types_of(handle)) as worker:
        skipped = await rt.wait(await rt.publish(Noop(n=0)), PATIENCE)
        dead = await rt.wait(await rt.publish(Noop(n=1)), PATIENCE)
    assert (skipped.state, skipped.error) == ("skipped", "Skip: nothing to do")
    assert (dead.state, dead.error, dead.attempts) == ("dead", "Dead: no use", 1)
    [letter] = deployment.letters("noop")
    assert letter[b"reason"] == b"refused"
    assert letter[b"attempts"] == b"1"
    assert letter[b"worker"] == worker.name.encode()
    assert letter[b"src"] == dead.ref.entry_id.encode()
    assert b"raise Dead" in letter[b"traceback"]
    [[*original]] = deployment.originals("noop")
    [sent] = [fields for _, entry, fields in deployment.entries("noop") if entry == dead.ref.entry_id]
    assert original == [part for pair in sent.items() for part in pair]


async def test_max_attempts_end_in_a_dead_letter(deployment: Deployment, rt: AsyncRipTide) -> None:
    attempts = []

    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        attempts.append(batch[0].attempt)
        raise ZeroDivisionError("every time")

    async with running_worker(deployment.settings(workers={"max_attempts": 3}), types_of(handle)):
        status = await rt.wait(await rt.publish(Noop(), trace="00-aa-bb-01"), PATIENCE)
    assert attempts == [1, 2, 3]
    assert (status.state, status.attempts) == ("dead", 3)
    assert status.error == "ZeroDivisionError: every time (attempt 3 of 3)"
    [letter] = deployment.letters("noop")
    assert (letter[b"reason"], letter[b"attempts"]) == (b"failed", b"3")
    assert letter[b"traceback"].rstrip().endswith(b"ZeroDivisionError: every time")
    [original] = deployment.originals("noop")
    assert original[original.index(b"trace") + 1] == b"00-aa-bb-01"
    assert deployment.at_rest("noop")


async def test_each_job_of_a_batch_ends_by_itself(deployment: Deployment, rt: AsyncRipTide) -> None:
    sizes = []

    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        sizes.append(len(batch))
        for job in batch:
            match job.command.n % 4:
                case 1:
                    job.fail(Dead("one"))
                case 2:
                    job.fail(Skip("two"))
                case 3 if job.attempt == 1:
                    job.fail(Retry("three", delay=0.01))
                case 3:
                    job.result = job.attempt

    refs = await rt.publish_many([riptide.Outgoing(Noop(n=n)) for n in range(40)])
    async with running_worker(deployment.settings(), types_of(handle, batch_size=20)):
        states = [await rt.wait(ref, PATIENCE) for ref in refs]
    assert [status.state for status in states] == ["done", "dead", "skipped", "done"] * 10
    assert {status.value for status in states[3::4]} == {2}
    assert max(sizes) > 1
    assert len(deployment.letters("noop")) == 10
    assert deployment.at_rest("noop")


async def test_what_a_job_reports_goes_before_what_its_batch_raises(on_valkey: Deployment) -> None:
    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        for job in batch:
            if job.command.n == 0:
                job.fail(Dead("mine"))
        if batch[0].attempt == 1:
            raise Retry("everyone else's", delay=0.01)

    async with await riptide.aconnect(config=on_valkey.settings()) as rt:
        refs = await rt.publish_many([riptide.Outgoing(Noop(n=n)) for n in range(3)])
        async with running_worker(on_valkey.settings(), types_of(handle, batch_size=3)):
            states = [(await rt.wait(ref, PATIENCE)).state for ref in refs]
    assert states == ["dead", "done", "done"]


async def test_a_handler_is_ended_by_its_timeout(deployment: Deployment, rt: AsyncRipTide) -> None:
    ended = []

    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        if batch[0].attempt > 1:
            return
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(batch[0].id)

    settings = deployment.settings(workers={"handler_timeouts": {"noop": 0.05}})
    async with running_worker(settings, types_of(handle)):
        ref = await rt.publish(Noop())
        status = await rt.wait(ref, PATIENCE)
    assert status.state == "done"
    assert len(ended) == 1


async def test_a_timeout_is_told_in_the_dead_letter(on_valkey: Deployment) -> None:
    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        await asyncio.Event().wait()

    settings = on_valkey.settings(workers={"handler_timeouts": {"noop": 0.05}, "max_attempts": 1})
    async with await riptide.aconnect(config=settings) as rt, running_worker(settings, types_of(handle)):
        status = await rt.wait(await rt.publish(Noop()), PATIENCE)
    assert status.state == "dead"
    assert status.error is not None
    assert "longer than 0.05 s" in status.error


async def test_a_handler_that_swallows_its_cancellation(
    on_valkey: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its slot is free again, and its command is tried again."""
    monkeypatch.setattr("riptide.streams.executor._CANCEL_GRACE_SECONDS", 0.05)
    release = asyncio.Event()

    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        if batch[0].command.n == 1 and batch[0].attempt == 1:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

    settings = on_valkey.settings(workers={"handler_timeouts": {"noop": 0.05}, "concurrency": 1})
    async with await riptide.aconnect(config=settings) as rt, running_worker(settings, types_of(handle)):
        states = [(await rt.wait(await rt.publish(Noop(n=n)), PATIENCE)).state for n in (1, 0)]
        release.set()
    assert states == ["done", "done"]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("cannot even say what went wrong")


async def _cancels_itself(batch: Sequence[Job], ctx: Any) -> None:
    raise asyncio.CancelledError


async def _exits(batch: Sequence[Job], ctx: Any) -> None:
    raise SystemExit(3)


def _raising(error: Callable[[], BaseException]) -> Callable[[Sequence[Job], Any], Any]:
    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        raise error()

    return handle


def _not_async(batch: Sequence[Job], ctx: Any) -> None:
    return None


def _raises_before_it_awaits(batch: Sequence[Job], ctx: Any) -> None:
    raise ValueError("not even a coroutine")


@pytest.mark.parametrize(
    "handle",
    [
        _cancels_itself,
        _exits,
        _not_async,
        _raises_before_it_awaits,
        _raising(Unspeakable),
        _raising(lambda: ValueError("lone surrogate \ud800")),
        _raising(lambda: ValueError("x" * 10_000_000)),
        _raising(lambda: ExceptionGroup("many", [ValueError(str(n)) for n in range(50)])),
        _raising(lambda: Retry("nan", delay=float("nan"))),
        _raising(lambda: Retry("inf", delay=float("inf"))),
        _raising(lambda: Retry("negative", delay=-1)),
        _raising(lambda: Retry("text", delay="1")),  # type: ignore[arg-type]
        _raising(lambda: Retry("delta", delay=timedelta(seconds=1))),  # type: ignore[arg-type]
    ],
    ids=[
        "cancels-itself",
        "exits",
        "not-async",
        "raises-before-it-awaits",
        "unspeakable",
        "surrogate",
        "huge",
        "group",
        "delay-nan",
        "delay-inf",
        "delay-negative",
        "delay-text",
        "delay-timedelta",
    ],
)
async def test_whatever_a_handler_does_its_command_ends_and_the_worker_lives(
    on_valkey: Deployment, handle: Callable[[Sequence[Job], Any], Any]
) -> None:
    settings = on_valkey.settings(workers={"max_attempts": 2})

    def sometimes(batch: Sequence[Job], ctx: Any) -> Any:
        return asyncio.sleep(0) if batch[0].command.n == 0 else handle(batch, ctx)

    async with await riptide.aconnect(config=settings) as rt, running_worker(settings, types_of(sometimes)):
        bad = await rt.publish(Noop(n=1))
        good = await rt.publish(Noop(n=0))
        assert (await rt.wait(good, PATIENCE)).state == "done"

        async def given_up() -> bool:
            status = await rt.status(bad)
            return status.state == "dead"

        await aeventually(given_up, "the end of the bad one")
    [letter] = on_valkey.letters("noop")
    assert letter[b"attempts"] == b"2"
    assert json.loads(on_valkey.originals("noop")[0][7]) == {"n": 1}
