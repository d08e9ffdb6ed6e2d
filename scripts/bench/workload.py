"""The benchmarks' commands for a real `riptide worker`, which finds them through `workers.modules`."""

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from commands import Command
from riptide.streams.job import Job
from riptide.streams.registry import Handler
from scripts.bench.noop import Counter, Noop, handler

_DOCUMENT = json.dumps({f"field-{n}": {"value": n, "tags": ["a", "b", str(n)]} for n in range(120)})


class Work(Command):
    """Takes a CPU for some hundred microseconds."""

    type: ClassVar[str] = "work"
    tenant_required: ClassVar[bool] = False
    n: int


def work() -> int:
    """What a handler does for one command: reads a JSON document of 6 KB, changes it and writes it again."""
    document = json.loads(_DOCUMENT)
    document["field-0"]["value"] += 1
    return len(json.dumps(document))


async def carry_out(batch: Sequence[Job], _ctx: Any) -> None:
    for _ in batch:
        work()


COMMANDS = [Noop, Work]
HANDLERS = {"noop": handler(Counter()), "work": Handler(carry_out, batch_size=20)}
