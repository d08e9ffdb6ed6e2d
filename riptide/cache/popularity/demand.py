"""What one process asks of the cache, by key: counted on the way, and bounded."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter

#: Keys that one client remembers at a time, over all tenants: about 10 MB with keys of 100 bytes.
MOST_KEYS = 50_000
#: Namespaces of one tenant whose reads a client tells apart between two reports.
_MOST_NAMESPACES = 100


class Room:
    """How many more keys may be remembered by all that share it; below 0 there are too many."""

    __slots__ = ("left",)

    def __init__(self, most: int = MOST_KEYS) -> None:
        self.left = most


class Reads(Counter[str]):
    """Key -> reads, `most` keys at most; where there are more the half that was read less is forgotten.

    Without a lock: of two threads that count one key at the same moment one may be lost.
    """

    def __init__(self, most: int, room: Room) -> None:
        super().__init__()
        self._most, self._room = most, room

    def __missing__(self, key: str) -> int:
        self._room.left -= 1
        self._make_room()
        return 0

    def count(self, keys: Iterable[str]) -> None:
        """One more read of each."""
        before = len(self)
        self.update(keys)
        self._room.left -= len(self) - before
        self._make_room()

    def _make_room(self) -> None:
        if self._room.left >= 0 and len(self) < self._most:
            return
        rows = sorted(dict(self).items(), key=itemgetter(1), reverse=True)
        for key, _ in rows[min(len(rows), self._most) // 2 :]:
            if self.pop(key, None) is not None:
                self._room.left += 1


class Demand:
    """Of one namespace since the last report: how often each key was read, and what loading it took last
    (us)."""

    __slots__ = ("_most", "_room", "loads", "namespace", "reads")

    def __init__(self, namespace: str, most: int, room: Room) -> None:
        self.namespace, self._most, self._room = namespace, most, room
        self.reads = Reads(most, room)
        self.loads: dict[str, int] = {}

    def loaded(self, key: str, microseconds: int) -> None:
        if len(self.loads) < self._most or key in self.loads:
            self.loads[key] = microseconds

    def take(self) -> tuple[dict[str, int], dict[str, int]]:
        """Reads and loads up to now; from now on they are counted anew."""
        reads, self.reads = self.reads, Reads(self._most, self._room)
        loads, self.loads = self.loads, {}
        taken = dict(reads)  # another thread may still count in it
        self._room.left += len(taken)
        return taken, dict(loads)

    def give_back(self, reads: Mapping[str, int], loads: Mapping[str, int]) -> None:
        """What was taken could not be reported."""
        for key, number in reads.items():
            self.reads[key] += number
        for key, took in loads.items():
            self.loads.setdefault(key, took)


class Demands:
    """Those of one tenant, by namespace."""

    def __init__(self) -> None:
        self._by_namespace: dict[str, Demand] = {}

    def __iter__(self) -> Iterator[Demand]:
        return iter(list(self._by_namespace.values()))

    def of(self, namespace: str, most: int, room: Room) -> Demand | None:
        """None for one namespace too many: its reads are not counted."""
        found = self._by_namespace.get(namespace)
        if found is None and len(self._by_namespace) < _MOST_NAMESPACES:
            found = self._by_namespace.setdefault(namespace, Demand(namespace, most, room))
        return found
