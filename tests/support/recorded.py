"""A user's package whose handlers write down what they do, for the checker of the whole history."""

import asyncio
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from pydantic import Field

from commands import Command
from riptide.errors import Dead, Retry, Skip
from riptide.streams.job import Job
from riptide.streams.registry import Handler
from tests.support.history import Record, Recorder


class Step(Command):
    """Does at each start what `plan` says for it; the last word holds for all that follow.

    done | value (done, with a result) | again | error | dead | skip | poison (kills its own process)
    """

    type: ClassVar[str] = "step"
    tenant_required: ClassVar[bool] = False
    token: str
    plan: tuple[str, ...] = Field(("done",), min_length=1)
    #: what each start takes before its end
    seconds: float = 0


class Bundle(Command):
    """Done at once, many in a call."""

    type: ClassVar[str] = "bundle"
    tenant_required: ClassVar[bool] = False
    token: str
    ballast: str = ""


COMMANDS: list[type[Command]] = [Step, Bundle]
_RUNS = itertools.count()
_ERRORS: dict[str, Callable[[], Exception]] = {
    "again": lambda: Retry("as planned", delay=0.02),
    "error": lambda: ValueError("as planned"),
    "dead": lambda: Dead("as planned"),
    "skip": lambda: Skip("as planned"),
}
_ENDS = {"again": "again", "error": "again", "dead": "dead", "skip": "skip"}


async def step(batch: Sequence[Job], ctx: Any) -> None:
    for job in batch:
        [run] = _start([job], ctx)
        plan = job.command.plan
        what = plan[min(job.attempt, len(plan)) - 1]
        try:
            await asyncio.sleep(job.command.seconds)
        except asyncio.CancelledError:
            _end(ctx.recorder, [job], [run], "cancelled")
            raise
        if what == "poison":
            ctx.recorder.add("gone", who=os.getpid())
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)  # noqa: ASYNC251 - the signal is on its way
        if what in _ERRORS:
            _end(ctx.recorder, [job], [run], _ENDS[what])
            job.fail(_ERRORS[what]())
            continue
        _effect(ctx.recorder, [job], [run])
        if what == "value":
            job.result = {"attempt": job.attempt}


async def bundle(batch: Sequence[Job], ctx: Any) -> None:
    _effect(ctx.recorder, batch, _start(batch, ctx))


def _start(batch: Sequence[Job], ctx: Any) -> list[str]:
    """`ctx.worker()` is the name under which this process works now."""
    worker = ctx.worker()
    runs = [f"{os.getpid()}.{next(_RUNS)}" for _ in batch]
    ctx.recorder.add_all(
        {
            "what": "start",
            "token": job.command.token,
            "run": run,
            "attempt": job.attempt,
            "worker": worker,
            "ref": str(job.ref),
            "entry": job.entry.id,
        }
        for job, run in zip(batch, runs, strict=True)
    )
    return runs


def _effect(recorder: Recorder, batch: Sequence[Job], runs: Sequence[str]) -> None:
    recorder.add_all(
        record
        for job, run in zip(batch, runs, strict=True)
        for record in (
            {"what": "effect", "token": job.command.token, "run": run},
            {"what": "end", "token": job.command.token, "run": run, "how": "done"},
        )
    )


def _end(recorder: Recorder, batch: Iterable[Job], runs: Iterable[str], how: str) -> None:
    records: list[Record] = [
        {"what": "end", "token": job.command.token, "run": run, "how": how}
        for job, run in zip(batch, runs, strict=True)
    ]
    recorder.add_all(records)


HANDLERS = {"step": Handler(step), "bundle": Handler(bundle, batch_size=50)}
