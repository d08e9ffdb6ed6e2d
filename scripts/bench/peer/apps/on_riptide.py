"""RipTide: a handler of batches, which sends one pipeline each, and one of single commands."""

from collections.abc import Sequence
from typing import Any, ClassVar

import job

import riptide
from riptide.store.operation import Operation, identity
from riptide.streams.registry import Handler

TENANTS = 50


class Add(riptide.Command):
    type: ClassVar[str] = "add"
    n: int


async def handle(batch: Sequence[Any], ctx: Any) -> None:
    async def send(calls: list[tuple[Any, ...]]) -> None:
        await ctx.rt.store.run_all([Operation(call, identity) for call in calls])

    numbers = [one.command.n for one in batch]
    await job.begin_batch(numbers, send)
    await send(job.calls(numbers))


def fill(numbers: Sequence[int]) -> None:
    with riptide.connect() as rt:
        for at in range(0, len(numbers), 1000):
            part = numbers[at : at + 1000]
            rt.publish_many([riptide.Outgoing(Add(n=n), f"tenant-{n % TENANTS}") for n in part])


COMMANDS = [Add]
HANDLERS = {"add": Handler(handle, batch_size=100 if job.TUNED else 1)}
