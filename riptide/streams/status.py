"""What became of a command, and waiting for it."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from riptide.store.keys import GROUP, Keys
from riptide.store.operation import Call, Flow, Operation, Pause, ask
from riptide.store.script import Script
from riptide.streams.job import Progress
from riptide.streams.message import Ref

_STATUS = Script.load("riptide.streams", "status.lua")
_CANCEL = Script.load("riptide.streams", "cancel.lua")
_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 1.0
_PART_WAITED = 0.1  # an answer may come so much later than it could, as part of the time waited for it
_WAITS = ("scheduled", "retrying")

#: No further state follows these.
FINAL = frozenset({"done", "skipped", "dead", "cancelled"})


@dataclass(frozen=True, slots=True)
class Status:
    """Where a command stands.

    `state` is queued, scheduled or retrying (`due_ms` says when, in Unix ms), running, done, skipped, dead,
    cancelled, or unknown: never published, or so long ago that its entry has been trimmed. `value` is what
    the handler returned, `progress` how far it said to be.
    """

    ref: Ref
    state: str
    attempts: int | None = None
    worker: str | None = None
    error: str | None = None
    due_ms: int | None = None
    dead_id: str | None = None
    value: Any = None
    progress: Progress | None = None

    @property
    def final(self) -> bool:
        return self.state in FINAL


def status(keys: Keys, ref: Ref) -> Operation[Status]:
    return _STATUS.call(_keys(keys, ref), [GROUP, ref.entry_id], lambda reply: _parse(ref, reply))


def cancel(keys: Keys, ref: Ref, keep_seconds: int) -> Operation[Status]:
    """See to it that a command which no worker has been given never runs, and remember that for
    `keep_seconds`. Answers `cancelled`, now or earlier, else the state that it has."""
    return _CANCEL.call(
        _keys(keys, ref), [GROUP, ref.entry_id, keep_seconds], lambda reply: _parse(ref, [reply])
    )


def _keys(keys: Keys, ref: Ref) -> list[str]:
    kind, partition = ref.kind, ref.partition
    return [
        keys.commands(kind, partition),
        keys.slow(kind, partition),
        keys.retry(kind, partition),
        keys.retry_bodies(kind, partition),
        keys.result(kind, partition, ref.entry_id),
    ]


def _parse(ref: Ref, reply: list[bytes]) -> Status:
    state = "done" if reply[0] == b"finished" else reply[0].decode()
    facts = {
        name.decode(): value.decode("utf-8", "replace")
        for name, value in zip(reply[1::2], reply[2::2], strict=True)
    }
    return Status(
        ref,
        state,
        attempts=int(facts["attempts"]) if "attempts" in facts else None,
        worker=facts.get("worker"),
        error=facts.get("error"),
        due_ms=int(facts["due"]) if state in _WAITS and "due" in facts else None,
        dead_id=facts.get("dead"),
        value=json.loads(facts["value"]) if "value" in facts else None,
        progress=Progress(**json.loads(facts["progress"])) if "progress" in facts else None,
    )


def wait(
    keys: Keys,
    ref: Ref,
    seconds: float,
    on_progress: Callable[[Progress], Any] | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Flow[Status]:
    """Ask until the command is finished or `seconds` have passed; answers the last status, final or not.

    The server is asked the less often the longer it takes, in the end once a second. `on_progress` is called
    with each progress that is new. What is unknown stays so: that is answered at once.
    """
    began = monotonic()
    heard: Progress | None = None
    while True:
        current = yield from ask(status(keys, ref))
        if on_progress is not None and current.progress not in {None, heard}:
            heard = current.progress
            yield Call(partial(on_progress, current.progress))
        waited = monotonic() - began
        if current.final or current.state == "unknown" or waited >= seconds:
            return current
        pause = min(_LONGEST_PAUSE, max(_FIRST_PAUSE, waited * _PART_WAITED))
        yield Pause(min(pause, seconds - waited))
