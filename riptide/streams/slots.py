"""Executor slots: how many handler calls run at once, in all and for types that have slots of their own."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from riptide.streams.registry import CommandType

SHARED = ""


class Place(NamedTuple):
    """Which stream an entry was read from; `slow` is the one to which a flooding tenant's entries are
    moved."""

    kind: str
    partition: str
    slow: bool


class Slots:
    """Counts free slots. A slot is taken before a read asks for entries, so that no more is read than can
    start.

    With `fair`, a stream may hold as many slots of its pool as are still free: alone it gets half of them,
    and something is always left for others. (A dynamic threshold with a factor of 1: Choudhury and Hahne,
    "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998.)
    """

    def __init__(self, types: Sequence[CommandType], concurrency: int, *, fair: bool = False) -> None:
        self._pool = {kind.name: kind.name if kind.handler.slots else SHARED for kind in types}
        self._shared = concurrency
        self._free = {SHARED: concurrency} | {
            kind.name: kind.handler.slots for kind in types if kind.handler.slots
        }
        self._fair = {kind.name for kind in types if fair and kind.handler.fair}
        self._held: Counter[Place] = Counter()
        self._bounded = False  # somebody was refused a slot although some were free
        #: Entries of each stream that have ended, ever.
        self.ended: Counter[Place] = Counter()
        self.on_room: Callable[[], None] = lambda: None

    def pool_of(self, kind: str) -> str:
        return self._pool[kind]

    def free(self, pool: str) -> int:
        return max(0, self._free[pool])

    def resize(self, concurrency: int) -> None:
        """So many for types without slots of their own; while more are in use none is free."""
        more, self._shared = concurrency - self._shared, concurrency
        self._free[SHARED] += more
        if more > 0:
            self.on_room()

    def share(self, place: Place, promised: int = 0) -> int:
        """How many more slots the calls of one stream may take now; `promised` of the free ones to others."""
        free = self.free(self._pool[place.kind])
        if place.kind not in self._fair:
            return free
        free -= promised
        if free <= 0:
            return 0
        held = self._held[place]
        share = max(0 if held else 1, (free - held) // 2)
        self._bounded |= not share
        return share

    def take(self, pool: str, wanted: int) -> int:
        """Take up to `wanted` slots; answers how many."""
        taken = min(wanted, self.free(pool))
        self._free[pool] -= taken
        return taken

    def give_back(self, pool: str, count: int = 1) -> None:
        if count:
            was_full = self._free[pool] <= 0 or self._bounded
            self._bounded = False
            self._free[pool] += count
            if was_full and self._free[pool] > 0:
                self.on_room()

    def begin(self, place: Place) -> None:
        """A call for entries of `place` runs on a slot that has been taken."""
        self._held[place] += 1

    def end(self, place: Place, entries: int) -> None:
        """It is over, with so many entries: its slot is free."""
        self._held[place] -= 1
        self.ended[place] += entries
        self.give_back(self._pool[place.kind])
