"""Progress of long commands: seldom written, never late for ever, seen by those who ask and who wait."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import riptide
from riptide.errors import Dead, InvalidInput, Retry
from riptide.reads.aio_client import AsyncRipTide
from riptide.streams.job import Job, Progress
from riptide.streams.message import Ref
from riptide.streams.registry import Handler
from tests.support.commands import Noop
from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE, aeventually
from tests.support.workers import command_types, running_worker


def types_of(handle: Callable[[Sequence[Job], Any], Any], batch_size: int = 1) -> list[Any]:
    return command_types({"noop": Handler(handle, batch_size=batch_size)})


async def seen(rt: AsyncRipTide, ref: Ref, progress: Progress) -> None:
    async def there() -> bool:
        return (await rt.status(ref)).progress == progress

    await aeventually(there, f"{progress}")


async def test_the_last_word_is_told_and_the_result_key_goes(deployment: Deployment) -> None:
    go_on, end = asyncio.Event(), asyncio.Event()

    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        for n in range(1000):
            batch[0].progress(n, 1000, "first part")
        await go_on.wait()
        for n in range(1001):
            await asyncio.to_thread(batch[0].progress, n, 1000) if n % 500 == 0 else batch[0].progress(n)
        await end.wait()

    settings = deployment.settings()
    async with (
        await riptide.aconnect(config=settings) as rt,
        running_worker(settings, types_of(handle)) as worker,
    ):
        ref = await rt.publish(Noop())
        await seen(rt, ref, Progress(999, 1000, "first part"))
        status = await rt.status(ref)
        assert (status.state, status.worker, status.attempts) == ("running", worker.name, 1)
        result = deployment.keys.result("noop", ref.partition, ref.entry_id)
        assert 0 < deployment.client.ttl(result) <= 86400
        go_on.set()
        await seen(rt, ref, Progress(1000, 1000))
        end.set()
        ended = await rt.wait(ref, PATIENCE)
        assert (ended.state, ended.progress) == ("done", None)
        assert deployment.client.exists(result) == 0, "without a value nothing is kept"


async def test_it_is_written_once_a_second_at_most(on_valkey: Deployment) -> None:
    """However often it is told, and by however many jobs."""
    writes: list[tuple[float, float]] = []  # when each began and ended

    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        for n in itertools.count():
            if len(writes) >= 3:
                return
            for job in batch:
                job.progress(n)
            await asyncio.sleep(0.01)

    settings, clock = on_valkey.settings(), asyncio.get_running_loop().time
    async with await riptide.aconnect(config=settings) as rt:
        refs = await rt.publish_many([riptide.Outgoing(Noop(n=n)) for n in range(5)])
        async with running_worker(settings, types_of(handle, batch_size=5)) as worker:
            report = worker._consumer.executor._settler.report

            async def counted(jobs: Sequence[Job]) -> None:
                began = clock()
                await report(jobs)
                writes.append((began, clock()))

            worker._consumer.executor._reporter._write = counted
            for ref in refs:
                assert (await rt.wait(ref, PATIENCE)).state == "done"
    pauses = [began - ended for (_, ended), (began, _) in itertools.pairwise(writes)]
    assert len(pauses) >= 2
    assert min(pauses) > 0.99


@pytest.mark.parametrize("end", [Dead("no more"), Retry("later", delay=3600)], ids=["dead", "retry"])
async def test_it_tells_how_far_a_failed_one_had_come(deployment: Deployment, end: Exception) -> None:
    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        batch[0].progress(1, 9)
        await asyncio.sleep(0)
        batch[0].progress(7, 9, "seven")
        raise end

    settings = deployment.settings()
    async with await riptide.aconnect(config=settings) as rt, running_worker(settings, types_of(handle)):
        ref = await rt.publish(Noop())

        async def ended() -> bool:
            return (await rt.status(ref)).error is not None

        await aeventually(ended, "its end")
        assert (await rt.status(ref)).progress == Progress(7, 9, "seven")


async def test_whoever_waits_is_called(deployment: Deployment) -> None:
    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        for n in range(1, 4):
            batch[0].progress(n, 3)
            await heard[n].wait()
        batch[0].result = "all"

    heard = {n: asyncio.Event() for n in range(1, 4)}
    told: list[Progress] = []

    async def on_progress(progress: Progress) -> None:
        await asyncio.sleep(0)
        told.append(progress)
        heard[int(progress.done)].set()

    settings = deployment.settings()
    async with await riptide.aconnect(config=settings) as rt, running_worker(settings, types_of(handle)):
        status = await rt.wait(await rt.publish(Noop()), PATIENCE, on_progress=on_progress)
        assert (status.state, status.value) == ("done", "all")
        assert told == [Progress(1, 3), Progress(2, 3), Progress(3, 3)]
        calls: list[Progress] = []
        with riptide.connect(config=settings) as other:
            ref = await rt.publish(Noop())
            ended = await asyncio.to_thread(other.wait, ref, PATIENCE, calls.append)
        assert ended.state == "done"


async def test_a_word_after_the_end_changes_nothing(on_valkey: Deployment) -> None:
    """A handler's task that lives longer than its job, or a worker that has been taken over."""
    jobs: list[Job] = []

    async def handle(batch: Sequence[Job], ctx: Any) -> None:
        jobs.append(batch[0])

    settings = on_valkey.settings()
    async with (
        await riptide.aconnect(config=settings) as rt,
        running_worker(settings, types_of(handle)) as worker,
    ):
        ref = await rt.publish(Noop())
        assert (await rt.wait(ref, PATIENCE)).state == "done"
        jobs[0].progress(1, 2)
        await worker._consumer.executor._settler.report(jobs)
        assert (await rt.status(ref)).progress is None
        assert not on_valkey.client.exists(on_valkey.keys.result("noop", ref.partition, ref.entry_id))


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), "1", None])
def test_numbers_that_make_no_sense_are_refused(wrong: Any) -> None:
    job = object.__new__(Job)  # it needs nothing else
    with pytest.raises(InvalidInput, match="numbers from 0"):
        job.progress(wrong)
    if wrong is not None:
        with pytest.raises(InvalidInput, match="numbers from 0"):
            job.progress(1, wrong)
