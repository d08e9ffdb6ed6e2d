"""A user's package, as `workers.modules` would name it: commands whose handlers do what a test asks for."""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from commands import Command
from riptide.errors import Dead, Retry, Skip
from riptide.streams.job import Job
from riptide.streams.registry import Handler


class Noop(Command):
    """Does nothing."""

    type: ClassVar[str] = "noop"
    tenant_required: ClassVar[bool] = False
    n: int = 0


class Effect(Command):
    """Adds its id to a set, and counts starts: an idempotent effect, as every handler's must be."""

    type: ClassVar[str] = "effect"
    tenant_required: ClassVar[bool] = False
    into: str
    seconds: float = 0
    #: async | block (holds the event loop) | ignore (swallows its cancellation) | stubborn (each of them)
    #: thread (blocks a thread, which nobody can end)
    #: first, block-first, second (takes its time at that attempt only)
    #: progress (says when half of it is over) | behind (buffers a write of its id as well)
    #: seen (says that half of it is over, and ends when there is a file called `into`)
    how: str = "async"
    #: "", or what becomes of it: retry, dead, skip, error, exit, result,
    #: dead-later (dead from the second attempt on)
    end: str = ""
    retry_seconds: float = 0.05
    until_attempt: int = Field(1_000_000, ge=1)


class Bulk(Command):
    """Adds its id to a set, in large batches: an idempotent effect that is cheap."""

    type: ClassVar[str] = "bulk"
    tenant_required: ClassVar[bool] = False
    into: str


async def noop(batch: Sequence[Job], ctx: Any) -> None:
    return None


async def effect(batch: Sequence[Job], ctx: Any) -> None:
    for job in batch:
        try:
            await _one(job, ctx)
        except Exception as error:  # noqa: BLE001 - the runtime decides by its kind
            job.fail(error)


async def bulk(batch: Sequence[Job], ctx: Any) -> None:
    into: dict[str, list[str]] = {}
    for job in batch:
        into.setdefault(job.command.into, []).append(job.id)
    for name, ids in into.items():
        await _send(ctx, "INCRBY", f"{name}:bulk-starts", str(len(ids)))
        await _send(ctx, "SADD", f"{name}:done", *ids)


async def _one(job: Job, ctx: Any) -> None:
    command: Effect = job.command
    await _send(ctx, "RPUSH", f"{command.into}:starts", f"{job.id} {job.attempt} {os.getpid()} {time.time()}")
    at = 1 if command.how.endswith("first") else 2 if command.how == "second" else job.attempt
    if job.attempt == at:
        await _spend(job, command)
    if command.end == "dead-later" and job.attempt > 1:
        raise Dead("as asked")
    if command.end and job.attempt < command.until_attempt:
        _end(command)
    if command.how == "behind":
        await ctx.rt.cache.write_behind(job.id, 1)
    await _send(ctx, "SADD", f"{command.into}:done", job.id)
    await _send(ctx, "RPUSH", f"{command.into}:ends", job.id)
    if command.end == "result":
        job.result = {"attempt": job.attempt}


def _wait_for(file: Path) -> None:
    until = time.monotonic() + 60
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.01)


async def _spend(job: Job, command: Effect) -> None:
    if command.how.startswith("block"):
        time.sleep(command.seconds)  # noqa: ASYNC251 - the point of it
        return
    if command.how == "progress":
        await asyncio.sleep(command.seconds / 2)
        job.progress(1, 2, "half way")
        await asyncio.sleep(command.seconds / 2)
        return
    if command.how == "seen":
        job.progress(1, 2, "half way")
        await asyncio.to_thread(_wait_for, Path(command.into))
        return
    if command.how == "thread":
        await asyncio.to_thread(time.sleep, command.seconds)
        return
    try:
        await asyncio.sleep(command.seconds)
    except asyncio.CancelledError:
        if command.how == "stubborn":
            await _spend(job, command)
        elif command.how != "ignore":
            raise
        await asyncio.sleep(command.seconds)


def _end(command: Effect) -> None:
    how = command.end
    if how == "exit":
        os._exit(9)
    errors = {
        "retry": Retry("as asked", delay=command.retry_seconds),
        "dead": Dead("as asked"),
        "skip": Skip("as asked"),
    }
    if how not in {"result", "dead-later"}:
        raise errors.get(how, ValueError("as asked"))


async def _send(ctx: Any, *args: str) -> None:
    from riptide.store.operation import Operation

    await ctx.rt.store.run(Operation(args, lambda reply: reply))


COMMANDS: list[type[Command]] = [Noop, Effect, Bulk]
HANDLERS = {
    "noop": Handler(noop, batch_size=500),
    "effect": Handler(effect),
    "bulk": Handler(bulk, batch_size=100),
}
