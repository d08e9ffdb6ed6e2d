"""How a purge's own command ends: it is removed, because it names the tenant."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from riptide.store.keys import GROUP
from riptide.store.operation import Arg, Operation
from riptide.store.script import Script
from riptide.streams.effect import Hold, Undone
from riptide.streams.job import Job

_END = Script.load("riptide.tenants.purge", "end_command.lua")


class Ending:
    """The effect of one command. What became of it is kept as its result."""

    def __init__(self, value: Mapping[str, Any], keep_seconds: int) -> None:
        self._value, self._keep = json.dumps(value), keep_seconds

    def apply(self, hold: Hold, jobs: Sequence[Job]) -> Operation[int | Undone]:
        (job,) = jobs
        kind, partition, first = job.entry.kind, hold.partition, job.message.first
        names = [
            *(hold.fence, hold.stream, hold.retries, hold.bodies),
            hold.keys.result(kind, partition, first),
            hold.keys.commands(kind, partition),
            hold.keys.slow(kind, partition),
        ]
        args: list[Arg] = [GROUP, hold.consumer, job.entry.id, first, self._keep, self._value]
        return _END.call(names, args, int)
