"""From outcomes to the scripts that carry them out: each compares the consumer's fence before it writes
anything."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from riptide.config import StreamsSettings
from riptide.store.keys import GROUP, Keys
from riptide.store.operation import Arg, Operation
from riptide.store.script import Script
from riptide.streams.effect import Hold, effects
from riptide.streams.job import (
    DONE,
    Again,
    Applied,
    Buried,
    Done,
    Elsewhere,
    HandedBack,
    Job,
    Outcome,
    Postponed,
    Progress,
    Skipped,
)
from riptide.streams.message import Entry, Returned, carried, identity_of, is_too_large, original_fields

_COMPLETE = Script.load("riptide.streams", "complete.lua")
_SETTLE = Script.load("riptide.streams", "settle.lua")
_RETRY = Script.load("riptide.streams", "retry.lua")
_BURY = Script.load("riptide.streams", "bury.lua")
_HAND_BACK = Script.load("riptide.streams", "hand_back.lua")
_RETURNED = Script.load("riptide.streams", "returned.lua")
_DEFER = Script.load("riptide.streams", "defer.lua")
_PROGRESS = Script.load("riptide.streams", "progress.lua")
_IDS_PER_CALL = 900
_CLAIMS_PER_CALL = 400
FENCED = -1
#: Reasons of dead letters that no handler was started for, this time.
_NOT_STARTED = frozenset({"malformed", "unknown-version", "lost"})


class Completion:
    """Builds the operations that end deliveries to one consumer. Each answers FENCED if nothing was
    written."""

    def __init__(self, keys: Keys, settings: StreamsSettings, consumer: str) -> None:
        self._keys = keys
        self._settings = settings
        self._consumer = consumer

    def settle(self, outcomes: Iterable[tuple[Entry, Outcome]]) -> list[Operation[Any]]:
        """All of `outcomes`, what was plainly done in one call per stream. An effect may answer Undone."""
        operations: list[Operation[Any]] = []
        plain: defaultdict[tuple[str, str, bool], list[str]] = defaultdict(list)
        applied: list[Applied] = []
        for entry, outcome in outcomes:
            if outcome is DONE and entry.returned is None and not entry.noted:
                plain[entry.kind, entry.partition, entry.slow].append(entry.id)
            elif isinstance(outcome, Applied):
                applied.append(outcome)
            else:
                operations.append(self._one(entry, outcome))
        for (kind, partition, slow), ids in plain.items():
            stream = self._keys.stream(kind, partition, slow=slow)
            keys = [self._keys.fence(partition, self._consumer), stream]
            operations += [
                _COMPLETE.call(keys, [GROUP, *ids[start : start + _IDS_PER_CALL]], int)
                for start in range(0, len(ids), _IDS_PER_CALL)
            ]
        operations += effects(applied, self._hold)
        return operations

    def vouch(self, claims: Sequence[tuple[Entry, Returned]]) -> list[Operation[None]]:
        """Note with each entry whether it was put back as it claims, one call per stream."""
        streams: dict[tuple[str, str], list[tuple[Entry, Returned]]] = {}
        for entry, claim in claims:
            streams.setdefault((entry.kind, entry.partition), []).append((entry, claim))
        return [
            self._vouch(stream, rows[start : start + _CLAIMS_PER_CALL])
            for stream, rows in streams.items()
            for start in range(0, len(rows), _CLAIMS_PER_CALL)
        ]

    def _vouch(self, stream: tuple[str, str], claims: list[tuple[Entry, Returned]]) -> Operation[None]:
        def note(reply: Any) -> None:
            for (entry, claim), true in zip(claims, reply, strict=True):
                entry.returned = claim if true else None

        args = [text for entry, claim in claims for text in (claim.first, entry.id + _mark_of(entry))]
        return _RETURNED.call([self._keys.retry_bodies(*stream)], args, note)

    def _hold(self, entry: Entry) -> Hold:
        kind, partition = entry.kind, entry.partition
        fence, stream = self._stream(entry)
        retries, bodies = self._keys.retry(kind, partition), self._keys.retry_bodies(kind, partition)
        return Hold(partition, self._consumer, fence, stream, retries, bodies, self._keys)

    def _one(self, entry: Entry, outcome: Outcome) -> Operation[int]:
        match outcome:
            case Done(value):
                return self._settle(entry, [] if value is None else ["state", "done", "value", value])
            case Skipped(reason):
                return self._settle(entry, ["state", "skipped", "error", reason])
            case Again() | Elsewhere():
                return self._retry(entry, outcome)
            case Buried():
                return self._bury(entry, outcome)
            case HandedBack(started):
                return self._hand_back(entry, started)
            case Postponed(due_ms):
                return self._defer(entry, due_ms)
            case Applied():
                raise AssertionError("an effect settles its entries together")

    def progress(self, job: Job) -> Operation[int]:
        """Note what `job` has reached, while it is held."""
        entry, reached = job.entry, job.reached or Progress(0)
        entry.noted = True
        keys = [*self._stream(entry), self._result(entry, job.message.first)]
        fact = {"done": reached.done, "total": reached.total, "note": reached.note}
        return _PROGRESS.call(
            keys, [GROUP, self._consumer, entry.id, self._settings.result_ttl_seconds, json.dumps(fact)], int
        )

    def _defer(self, entry: Entry, due_ms: int) -> Operation[int]:
        first, attempts = carried(entry)
        command_id, at = identity_of(entry)
        args: list[Arg] = [GROUP, entry.id, first, due_ms, command_id, at, attempts, original_fields(entry)]
        return _DEFER.call(self._places(entry), args, int)

    def _settle(self, entry: Entry, result: list[str]) -> Operation[int]:
        first, _ = carried(entry)
        keys = [*self._places(entry), self._result(entry, first)]
        return _SETTLE.call(keys, [GROUP, entry.id, first, self._settings.result_ttl_seconds, *result], int)

    def _retry(self, entry: Entry, outcome: Again | Elsewhere) -> Operation[int]:
        first, attempts = carried(entry)
        command_id, at = identity_of(entry)
        keys = [*self._places(entry), self._result(entry, first)]
        delay = max(0, round(outcome.delay * 1000))
        args: list[Arg] = [
            GROUP,
            entry.id,
            first,
            delay,
            self._settings.result_ttl_seconds,
            outcome.error,
            command_id,
            at,
            attempts + isinstance(outcome, Again),
        ]
        return _RETRY.call(keys, [*args, original_fields(entry)], int)

    def _bury(self, entry: Entry, outcome: Buried) -> Operation[int]:
        first, attempts = carried(entry)
        command_id, at = identity_of(entry)
        dead = self._keys.dead(entry.kind, entry.partition)
        keys = [*self._places(entry), dead, self._result(entry, first)]
        started = attempts + (outcome.reason not in _NOT_STARTED)
        letter: list[Arg] = [
            "id",
            command_id,
            "at",
            at,
            "src",
            first,
            "attempts",
            started,
            "worker",
            self._consumer,
        ]
        error = outcome.error
        if is_too_large(entry):
            error += f" (too large to be kept here whole: values are cut; in its stream it is {entry.id})"
        letter += ["reason", outcome.reason, "error", error, "traceback", outcome.trace]
        args: list[Arg] = [
            GROUP,
            entry.id,
            first,
            self._settings.result_ttl_seconds,
            error,
            started,
            *letter,
            "orig",
            original_fields(entry),
        ]
        return _BURY.call(keys, args, int)

    def _hand_back(self, entry: Entry, started: bool) -> Operation[int]:
        first, attempts = carried(entry)
        command_id, at = identity_of(entry)
        args: list[Arg] = [GROUP, entry.id, first, command_id, at, attempts + started]
        args += [original_fields(entry), _mark_of(entry)]
        return _HAND_BACK.call(self._places(entry), args, int)

    def _stream(self, entry: Entry) -> list[str]:
        stream = self._keys.stream(entry.kind, entry.partition, slow=entry.slow)
        return [self._keys.fence(entry.partition, self._consumer), stream]

    def _places(self, entry: Entry) -> list[str]:
        """What the KEYS of most scripts begin with: fence and stream, and where its retry would wait."""
        kind, partition = entry.kind, entry.partition
        retries = [self._keys.retry(kind, partition), self._keys.retry_bodies(kind, partition)]
        return [*self._stream(entry), *retries]

    def _result(self, entry: Entry, first: str) -> str:
        return self._keys.result(entry.kind, entry.partition, first)


def _mark_of(entry: Entry) -> str:
    """What tells its stream where the server notes an entry that was put back: ids may be alike in both."""
    return ":slow" if entry.slow else ""
