"""Sorts streams that one tenant floods, so that others get past it (docs/streams.md)."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from riptide.logger import get_logger
from riptide.streams.consumer import Consumer
from riptide.streams.ground import Ground
from riptide.streams.intake import Stream
from riptide.streams.message import Entry

_TOLD_SECONDS = 1.0
#: A tenant whose entries would end within that time is not put behind another tenant's in the slow stream: a
#: burst of quick commands is no flood, and would wait for one there.
_SHORT_SECONDS = 10.0
_MOST = 10**9  # entries, which no stream holds


class Sorter:
    """`deliver(entries, type, reserved slots, consumer)` starts what a sorted stream gave for others;
    `doubt()` has somebody look for what this consumer was given and never heard of."""

    def __init__(
        self,
        ground: Ground,
        consumer: Consumer,
        deliver: Callable[[list[Entry], str, int, str], None],
        doubt: Callable[[], None],
    ) -> None:
        self._store = ground.store
        self._types = ground.types
        self._partitions = ground.partitions
        self._slots = ground.slots
        self._consumer = consumer
        self._deliver = deliver
        self._doubt = doubt
        self.moves = MoveLog()

    async def sort(self, stream: Stream) -> bool:
        """Give the tenants that one flooding tenant holds up in `stream` a way past it; answers whether
        there may be more to sort."""
        kind, consumer = self._types[stream.kind], self._consumer
        name = consumer.name
        crowding = consumer.executor.crowding(kind.name, stream.partition)
        if not crowding or not consumer.lease.holds():
            return False
        pool = self._slots.pool_of(kind.name)
        slots = self._slots.take(pool, max(1, self._slots.free(pool) // 2))
        try:
            room, partition = slots * kind.handler.batch_size, self._partitions[stream.partition]
            sort = partition.sort(kind.name, name, _few(crowding), room)
            missed = partition.missed(kind.name, name, consumer.executor.known(stream.place), slow=False)
            sorted_, held = await self._store.run_all([sort, missed])
        except BaseException:
            self._slots.give_back(pool, slots)
            raise
        if sorted_ is None:
            self._slots.give_back(pool, slots)
            consumer.was_fenced(name)
            return False
        self._deliver(sorted_.entries, kind.name, slots, name)
        if sorted_.moved:
            self.moves.note(kind.name, crowding, sorted_.moved)
        if {entry.id for entry in held} - {entry.id for entry in sorted_.entries}:
            # The call was repeated after a lost answer, and this one holds but what the last try gave.
            self._doubt()
        return bool(sorted_.moved or sorted_.entries)


def _few(pace: Mapping[bytes, float]) -> dict[bytes, int]:
    """How many entries end within a short time, where so many end in a second."""
    return {tenant: round(min(_MOST, each * _SHORT_SECONDS)) for tenant, each in pace.items()}


@dataclass
class _Sum:
    entries: int = 0
    tenants: set[bytes] = field(default_factory=set)


class MoveLog:
    """Says of each type, about once a second while it goes on, how many entries were moved since the last
    time, and whose."""

    def __init__(self) -> None:
        self._sums: dict[str, _Sum] = {}
        self._timer: asyncio.TimerHandle | None = None

    def note(self, kind: str, tenants: Iterable[bytes], entries: int) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_TOLD_SECONDS, self.tell)
        moved = self._sums.setdefault(kind, _Sum())
        moved.entries += entries
        moved.tenants.update(tenants)

    def tell(self) -> None:
        """Say now what has not been said."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        sums, self._sums = self._sums, {}
        for kind, moved in sums.items():
            tenants = sorted(tenant.decode("utf-8", "replace") for tenant in moved.tenants)
            get_logger("riptide.worker").info(
                "moved to the slow stream", kind=kind, tenants=tenants, entries=moved.entries
            )
