"""A command that does nothing, to measure what everything around a handler costs."""

from collections.abc import Sequence
from typing import Any, ClassVar

from commands import Command
from riptide.streams.job import Job
from riptide.streams.registry import Handler


class Noop(Command):
    """Does nothing; carries a number so that its body is not empty."""

    type: ClassVar[str] = "noop"
    tenant_required: ClassVar[bool] = False
    n: int


class Counter:
    """A handler that only counts what it is handed."""

    def __init__(self) -> None:
        self.seen = 0

    async def handle(self, batch: Sequence[Job], _ctx: Any) -> None:
        self.seen += len(batch)


def handler(counter: Counter) -> Handler:
    return Handler(counter.handle, batch_size=100)
