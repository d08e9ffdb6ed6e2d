"""Taking over what a dead consumer held, and joining or leaving a partition."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from riptide.store.keys import GROUP, Keys
from riptide.store.operation import Operation
from riptide.store.script import Script
from riptide.streams.message import Entry

_ENSURE_GROUPS = Script.load("riptide.streams", "ensure_groups.lua")
_TAKE_OVER = Script.load("riptide.streams", "take_over.lua")
_LEAVE = Script.load("riptide.streams", "leave.lua")
_MISSED = Script.load("riptide.streams", "missed.lua")
_ORPHANS = Script.load("riptide.streams", "orphans.lua")
_PROMOTE = Script.load("riptide.streams", "promote.lua")
_PROMOTED_PER_CALL = 100
#: So many entries at most are listed by one look for those whose delivery was lost.
MISSED_PER_CALL = 100
#: An entry that was started so often without an end is run apart from others: it may be what kills workers.
SUSPECT_AFTER = 3


@dataclass(frozen=True, slots=True)
class Taken:
    entries: list[Entry]
    left: int  # entries that stay with the dead consumer for want of room


@dataclass(frozen=True, slots=True)
class Promoted:
    moved: int
    next_in: float | None  # seconds until the next retry is due


class PartitionOps:
    """Operations on one partition for a worker that serves `kinds`."""

    def __init__(self, keys: Keys, kinds: Sequence[str], partition: str) -> None:
        self._keys = keys
        self._kinds = kinds
        self.partition = partition
        self.streams = [keys.commands(kind, partition) for kind in kinds]

    def raise_fence(self, consumer: str) -> Operation[None]:
        return Operation(("SET", self._keys.fence(self.partition, consumer), "1"), lambda _: None)

    def ensure_groups(self, consumer: str) -> Operation[int]:
        """Answers -1 if the consumer has been fenced off."""
        return _ENSURE_GROUPS.call([self._keys.fence(self.partition, consumer), *self.streams], [GROUP], int)

    def leave(self, consumer: str) -> Operation[int]:
        return _LEAVE.call(
            [self._keys.fence(self.partition, consumer), *self.streams], [GROUP, consumer], int
        )

    def take_over(self, kind: str, dead: str, taker: str, room: int, suspects: int) -> Operation[Taken]:
        """Claim `room` entries of `kind` from `dead` at most, `suspects` suspects among them at most."""

        def parse(reply: Any) -> Taken:
            entries = [
                Entry(kind, self.partition, entry_id.decode(), fields, starts)
                for entry_id, fields, starts in reply[1:]
            ]
            return Taken(entries, reply[0])

        keys = [self._keys.fence(self.partition, dead), self._keys.commands(kind, self.partition)]
        return _TAKE_OVER.call(keys, [GROUP, dead, taker, room, SUSPECT_AFTER, suspects], parse)

    def missed(self, kind: str, consumer: str, known: Sequence[str]) -> Operation[list[Entry]]:
        """What `consumer` holds of `kind` besides the entries `known`: their delivery never reached it."""

        def parse(reply: Any) -> list[Entry]:
            return [
                Entry(kind, self.partition, entry_id.decode(), fields, starts)
                for entry_id, fields, starts in reply
            ]

        keys = [self._keys.commands(kind, self.partition)]
        return _MISSED.call(keys, [GROUP, consumer, " ".join(known), MISSED_PER_CALL], parse)

    def orphans(self) -> Operation[list[str]]:
        """Consumers that hold entries here."""
        return _ORPHANS.call(self.streams, [GROUP], lambda reply: [name.decode() for name in reply])

    def promote(self) -> Operation[Promoted]:
        """Put due retries back into their streams."""
        keys = []
        for kind, stream in zip(self._kinds, self.streams, strict=True):
            keys += [
                self._keys.retry(kind, self.partition),
                self._keys.retry_bodies(kind, self.partition),
                stream,
            ]

        def parse(reply: Any) -> Promoted:
            return Promoted(reply[0], None if reply[1] < 0 else reply[1] / 1000)

        return _PROMOTE.call(keys, [_PROMOTED_PER_CALL], parse)
