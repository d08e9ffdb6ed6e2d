"""From outcomes to the scripts that carry them out: each compares the consumer's fence before it writes
anything."""

from collections.abc import Iterable

from riptide.config import StreamsSettings
from riptide.store.keys import GROUP, Keys
from riptide.store.operation import Arg, Operation
from riptide.store.script import Script
from riptide.streams.job import DONE, Again, Buried, Done, HandedBack, Outcome, Skipped
from riptide.streams.message import Entry, carried, identity_of, original_fields

_COMPLETE = Script.load("riptide.streams", "complete.lua")
_SETTLE = Script.load("riptide.streams", "settle.lua")
_RETRY = Script.load("riptide.streams", "retry.lua")
_BURY = Script.load("riptide.streams", "bury.lua")
_HAND_BACK = Script.load("riptide.streams", "hand_back.lua")
_IDS_PER_CALL = 900
FENCED = -1


class Completion:
    """Builds the operations that end deliveries to one consumer. Each answers FENCED if nothing was
    written."""

    def __init__(self, keys: Keys, settings: StreamsSettings, consumer: str) -> None:
        self._keys = keys
        self._ttl = settings.result_ttl_seconds
        self._consumer = consumer

    def settle(self, outcomes: Iterable[tuple[Entry, Outcome]]) -> list[Operation[int]]:
        """All of `outcomes`, what was plainly done in one call per stream."""
        operations: list[Operation[int]] = []
        plain: dict[tuple[str, str], list[str]] = {}
        for entry, outcome in outcomes:
            if outcome is DONE and carried(entry)[0] == entry.id:
                plain.setdefault((entry.kind, entry.partition), []).append(entry.id)
            else:
                operations.append(self._one(entry, outcome))
        for (kind, partition), ids in plain.items():
            keys = [self._keys.fence(partition, self._consumer), self._keys.commands(kind, partition)]
            operations += [
                _COMPLETE.call(keys, [GROUP, *ids[start : start + _IDS_PER_CALL]], int)
                for start in range(0, len(ids), _IDS_PER_CALL)
            ]
        return operations

    def _one(self, entry: Entry, outcome: Outcome) -> Operation[int]:
        match outcome:
            case Done(value):
                return self._settle(entry, [] if value is None else ["state", "done", "value", value])
            case Skipped(reason):
                return self._settle(entry, ["state", "skipped", "error", reason])
            case Again():
                return self._retry(entry, outcome)
            case Buried():
                return self._bury(entry, outcome)
            case HandedBack(started):
                return self._hand_back(entry, started)

    def _settle(self, entry: Entry, result: list[str]) -> Operation[int]:
        first, _ = carried(entry)
        kind, partition = entry.kind, entry.partition
        keys = [
            *self._stream(entry),
            self._keys.retry(kind, partition),
            self._keys.result(kind, partition, first),
        ]
        return _SETTLE.call(keys, [GROUP, entry.id, first, self._ttl, *result], int)

    def _retry(self, entry: Entry, outcome: Again) -> Operation[int]:
        first, attempts = carried(entry)
        command_id, at = identity_of(entry)
        kind, partition = entry.kind, entry.partition
        keys = [
            *self._stream(entry),
            self._keys.retry(kind, partition),
            self._keys.retry_bodies(kind, partition),
            self._keys.result(kind, partition, first),
        ]
        delay = max(0, round(outcome.delay * 1000))
        args: list[Arg] = [
            GROUP,
            entry.id,
            first,
            delay,
            self._ttl,
            outcome.error,
            command_id,
            at,
            attempts + 1,
        ]
        return _RETRY.call(keys, [*args, original_fields(entry)], int)

    def _bury(self, entry: Entry, outcome: Buried) -> Operation[int]:
        first, attempts = carried(entry)
        command_id, at = identity_of(entry)
        kind, partition = entry.kind, entry.partition
        keys = [
            *self._stream(entry),
            self._keys.retry(kind, partition),
            self._keys.dead(kind, partition),
            self._keys.result(kind, partition, first),
        ]
        started = attempts + (outcome.reason in ("refused", "failed"))
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
        letter += ["reason", outcome.reason, "error", outcome.error, "traceback", outcome.trace]
        args: list[Arg] = [
            GROUP,
            entry.id,
            first,
            self._ttl,
            outcome.error,
            started,
            *letter,
            "orig",
            original_fields(entry),
        ]
        return _BURY.call(keys, args, int)

    def _hand_back(self, entry: Entry, started: bool) -> Operation[int]:
        first, attempts = carried(entry)
        command_id, at = identity_of(entry)
        keys = [*self._stream(entry), self._keys.retry(entry.kind, entry.partition)]
        args: list[Arg] = [GROUP, entry.id, first, command_id, at, attempts + started, original_fields(entry)]
        return _HAND_BACK.call(keys, args, int)

    def _stream(self, entry: Entry) -> list[str]:
        partition = entry.partition
        return [self._keys.fence(partition, self._consumer), self._keys.commands(entry.kind, partition)]
