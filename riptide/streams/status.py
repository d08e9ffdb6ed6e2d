"""What became of a command, and waiting for it."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from riptide.store.keys import GROUP, Keys
from riptide.store.operation import Flow, Operation, Pause, ask
from riptide.store.script import Script
from riptide.streams.message import Ref

_STATUS = Script.load("riptide.streams", "status.lua")
_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.1

#: No further state follows these.
FINAL = frozenset({"done", "skipped", "dead"})


@dataclass(frozen=True, slots=True)
class Status:
    """Where a command stands.

    `state` is queued, running, retrying (`due_ms` says when, in Unix ms), done, skipped, dead, or unknown:
    never published, or so long
    ago that its entry has been trimmed. `value` is what the handler returned.
    """

    ref: Ref
    state: str
    attempts: int | None = None
    worker: str | None = None
    error: str | None = None
    due_ms: int | None = None
    dead_id: str | None = None
    value: Any = None

    @property
    def final(self) -> bool:
        return self.state in FINAL


def status(keys: Keys, ref: Ref) -> Operation[Status]:
    kind, partition = ref.kind, ref.partition
    names = [
        keys.commands(kind, partition),
        keys.retry(kind, partition),
        keys.result(kind, partition, ref.entry_id),
    ]
    return _STATUS.call(names, [GROUP, ref.entry_id], lambda reply: _parse(ref, reply))


def _parse(ref: Ref, reply: list[bytes]) -> Status:
    state = {"requeued": "queued", "finished": "done"}.get(reply[0].decode(), reply[0].decode())
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
        due_ms=int(facts["due"]) if state == "retrying" and "due" in facts else None,
        dead_id=facts.get("dead"),
        value=json.loads(facts["value"]) if "value" in facts else None,
    )


def wait(
    keys: Keys, ref: Ref, seconds: float, monotonic: Callable[[], float] = time.monotonic
) -> Flow[Status]:
    """Ask until the command is finished or `seconds` have passed; answers the last status, final or not."""
    deadline = monotonic() + seconds
    pause = _FIRST_PAUSE
    while True:
        current = yield from ask(status(keys, ref))
        left = deadline - monotonic()
        if current.final or left <= 0:
            return current
        yield Pause(min(pause, left))
        pause = min(_LONGEST_PAUSE, pause * 1.5)
