"""What a test is told of a command that was carried out."""

import json
from dataclasses import dataclass
from typing import Any

from riptide.streams.job import Again, Applied, Buried, Done, Outcome, Skipped
from riptide.streams.message import Entry, Ref, carried, identity_of


@dataclass(frozen=True, slots=True)
class Run:
    """One start of a command's handler, and how it ended.

    `state` is done, retrying, skipped or dead; `attempt` counts starts from 1; `value` is the handler's
    result; `delay` says in how many seconds a retry is due.
    """

    kind: str
    ref: Ref
    id: str
    attempt: int
    state: str
    error: str | None = None
    value: Any = None
    delay: float | None = None


def run_of(entry: Entry, outcome: Outcome) -> Run | None:
    """None where no handler was started, and the command just goes on its way."""
    first, starts = carried(entry)
    ref = Ref(entry.kind, entry.partition, first)
    facts = (entry.kind, ref, identity_of(entry)[0], starts + 1)
    match outcome:
        case Done(value):
            return Run(*facts, "done", value=None if value is None else json.loads(value))
        case Applied():
            return Run(*facts, "done")
        case Again(delay, error):
            return Run(*facts, "retrying", error, delay=delay)
        case Skipped(reason):
            return Run(*facts, "skipped", reason)
        case Buried(_, error):
            return Run(*facts, "dead", error)
    return None
