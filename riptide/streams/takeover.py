"""Taking over what a dead consumer held, and joining or leaving a partition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from riptide.store.keys import GROUP, Keys
from riptide.store.operation import Arg, Operation
from riptide.store.script import Script
from riptide.streams.message import Entry

_RAISE_FENCE = Script.load("riptide.streams", "raise_fence.lua")
_ENSURE_GROUPS = Script.load("riptide.streams", "ensure_groups.lua")
_TAKE_OVER = Script.load("riptide.streams", "take_over.lua")
_LEAVE = Script.load("riptide.streams", "leave.lua")
_MISSED = Script.load("riptide.streams", "missed.lua")
_CONSUMERS = Script.load("riptide.streams", "consumers.lua")
_SORT = Script.load("riptide.streams", "sort.lua")
_PROMOTE = Script.load("riptide.streams", "promote.lua")
_PROMOTED_PER_CALL = 100
_SORTED_PER_CALL = 64  # 10 us each: a longer call would be felt by everybody else
#: So many entries at most are listed by one look for those whose delivery was lost.
MISSED_PER_CALL = 100
#: An entry that was started so often without an end is run apart from others: it may be what kills workers.
SUSPECT_AFTER = 3


@dataclass(frozen=True, slots=True)
class Taken:
    entries: list[Entry]
    left: int  # entries that stay with the dead consumer for want of room


@dataclass(frozen=True, slots=True)
class Consumers:
    """The consumers of a partition: those that hold entries, and those that hold none."""

    holding: list[str]
    empty: list[str]


@dataclass(frozen=True, slots=True)
class Sorted:
    """What sorting a stream brought: entries to start, and how many were moved away."""

    entries: list[Entry]
    moved: int


@dataclass(frozen=True, slots=True)
class Groups:
    """How the groups of one partition were found: how many had to be made, and keys that are no streams."""

    made: int
    no_streams: list[str]


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
        self._names = [*kinds, *(f"{kind}:slow" for kind in kinds)]
        self.streams = [keys.stream(kind, partition, slow=slow) for slow in (False, True) for kind in kinds]

    def raise_fence(self, consumer: str) -> Operation[None]:
        return _RAISE_FENCE.call([self._keys.fence(self.partition, consumer)], [], lambda _: None)

    def ensure_groups(self, consumer: str) -> Operation[Groups | None]:
        """Answers None if the consumer has been fenced off."""

        def parse(reply: Any) -> Groups | None:
            return reply and Groups(reply[0], [self.streams[at] for at in reply[1:]])

        keys = [
            self._keys.fence(self.partition, consumer),
            self._keys.positions(self.partition),
            *self.streams,
        ]
        return _ENSURE_GROUPS.call(keys, [GROUP, *self._names], parse)

    def leave(self, consumer: str) -> Operation[int]:
        return _LEAVE.call(
            [self._keys.fence(self.partition, consumer), *self.streams], [GROUP, consumer], int
        )

    def take_over(
        self, kind: str, dead: str, taker: str, room: int, suspects: int, *, slow: bool
    ) -> Operation[Taken]:
        """Claim `room` entries of `kind` from `dead` at most, `suspects` suspects among them at most."""

        def parse(reply: Any) -> Taken:
            return Taken(self._entries(kind, reply[1:], slow=slow), reply[0])

        stream = self._keys.stream(kind, self.partition, slow=slow)
        keys = [self._keys.fence(self.partition, dead), stream]
        return _TAKE_OVER.call(keys, [GROUP, dead, taker, room, SUSPECT_AFTER, suspects], parse)

    def sort(
        self, kind: str, consumer: str, crowding: Mapping[bytes, int], room: int
    ) -> Operation[Sorted | None]:
        """Move what the tenants `crowding` have among the next entries of `kind` to its slow stream, and give
        `room` of the others at most to `consumer`. Answers None if it has been fenced off.

        While less waits here than what is said with a tenant, it is not put behind another tenant's entries.
        """

        def parse(reply: Any) -> Sorted | None:
            if not reply:
                return None
            rows = [(*row, 0) for row in reply[1:]]
            return Sorted(self._entries(kind, rows, slow=False), reply[0])

        keys = [
            self._keys.fence(self.partition, consumer),
            self._keys.commands(kind, self.partition),
            self._keys.slow(kind, self.partition),
            self._keys.retry(kind, self.partition),
            self._keys.retry_bodies(kind, self.partition),
        ]
        args: list[Arg] = [GROUP, consumer, _SORTED_PER_CALL, room, f"{kind}.{self.partition}"]
        for tenant, few in crowding.items():
            args += [tenant, few]
        return _SORT.call(keys, args, parse)

    def missed(self, kind: str, consumer: str, known: Sequence[str], *, slow: bool) -> Operation[list[Entry]]:
        """What `consumer` holds of `kind` besides the entries `known`: their delivery never reached it."""

        def parse(reply: Any) -> list[Entry]:
            return self._entries(kind, reply, slow=slow)

        keys = [self._keys.stream(kind, self.partition, slow=slow)]
        return _MISSED.call(keys, [GROUP, consumer, " ".join(known), MISSED_PER_CALL], parse)

    def _entries(self, kind: str, rows: Any, *, slow: bool) -> list[Entry]:
        return [
            Entry(kind, self.partition, entry_id.decode(), fields, starts, slow=slow)
            for entry_id, fields, starts in rows
        ]

    def consumers(self) -> Operation[Consumers]:
        """Who has ever been given something here, and is not gone."""

        def parse(reply: Any) -> Consumers:
            holding, empty = ([name.decode() for name in names] for names in reply)
            return Consumers(holding, empty)

        return _CONSUMERS.call(self.streams, [GROUP], parse)

    def promote(self) -> Operation[Promoted]:
        """Put due retries back into their streams."""
        keys = []
        for kind in self._kinds:
            keys += [
                self._keys.retry(kind, self.partition),
                self._keys.retry_bodies(kind, self.partition),
                self._keys.commands(kind, self.partition),
            ]

        def parse(reply: Any) -> Promoted:
            return Promoted(reply[0], None if reply[1] < 0 else reply[1] / 1000)

        return _PROMOTE.call(keys, [_PROMOTED_PER_CALL], parse)
