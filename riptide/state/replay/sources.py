"""Where commands are replayed from: the streams of a server, or the archive."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from riptide.state.archive import names, reading
from riptide.state.archive.names import order
from riptide.state.archive.segment import Row
from riptide.state.blobs import Blobs
from riptide.store.keys import Keys
from riptide.store.operation import Operation
from riptide.store.script import Script
from riptide.store.sync import Store

_RANGE = Script.load("riptide.streams", "range.lua")
_EXTENT = Script.load("riptide.state", "stream_extent.lua")
_PAGE = 500


class Source(Protocol):
    """Entries by stream, in the order of their ids, each once."""

    def kinds(self) -> list[str]:
        """The types that it may hold."""
        ...

    def size(self, kind: str, partition: str) -> float:
        """How much it holds of one stream, in the unit in which pages are weighed."""
        ...

    def first(self, kind: str, partition: str) -> str | None:
        """The lowest id that it holds of one stream; None if it holds nothing."""
        ...

    def pages(self, kind: str, partition: str, after: str) -> Iterator[tuple[list[Row], float]]:
        """The entries after an id, in pages, and what each weighs."""
        ...

    def holds(self, kind: str, partition: str, ids: Sequence[str]) -> list[bool]:
        """Whether these entries are there."""
        ...


class Streams:
    """The streams of a server, as far as they have not been trimmed."""

    def __init__(self, store: Store, keys: Keys, kinds: Sequence[str]) -> None:
        self._store = store
        self._keys = keys
        self._kinds = list(kinds)

    def kinds(self) -> list[str]:
        return self._kinds

    def size(self, kind: str, partition: str) -> float:
        return self._extent(kind, partition)[0]

    def first(self, kind: str, partition: str) -> str | None:
        return self._extent(kind, partition)[1]

    def pages(self, kind: str, partition: str, after: str) -> Iterator[tuple[list[Row], float]]:
        """What is there now: what is added meanwhile, by the replay itself too, is not meant."""
        start, end = f"({after}", self._extent(kind, partition)[2]
        while end and (rows := self._store.run(self._range(kind, partition, start, end))):
            yield rows, float(len(rows))
            start = f"({rows[-1][0]}"

    def _extent(self, kind: str, partition: str) -> tuple[float, str | None, str | None]:
        def parse(reply: Any) -> tuple[float, str | None, str | None]:
            count, first, last = reply
            return float(count), first.decode() or None, last.decode() or None

        return self._store.run(_EXTENT.call([self._keys.commands(kind, partition)], [], parse))

    def holds(self, kind: str, partition: str, ids: Sequence[str]) -> list[bool]:
        key = self._keys.commands(kind, partition)
        return self._store.run_all([_RANGE.call([key], [entry, entry, 1], bool) for entry in ids])

    def _range(self, kind: str, partition: str, start: str, end: str) -> Operation[list[Row]]:
        return _RANGE.call([self._keys.commands(kind, partition)], [start, end, _PAGE], _rows)


def _rows(reply: Any) -> list[Row]:
    return [(entry_id.decode(), fields) for entry_id, fields in reply]


class Archive:
    """The archive of one deployment."""

    def __init__(self, blobs: Blobs, prefix: str, kinds: Sequence[str] = ()) -> None:
        """`kinds` are the types to look for; all if there are none."""
        self._blobs = blobs
        self._prefix = prefix
        self._kinds = list(kinds) or names.types(blobs, prefix)
        self._known: dict[tuple[str, str], list[names.Segment]] = {}

    def kinds(self) -> list[str]:
        return self._kinds

    def size(self, kind: str, partition: str) -> float:
        return float(sum(segment.size for segment in self._segments(kind, partition)))

    def first(self, kind: str, partition: str) -> str | None:
        found = self._segments(kind, partition)
        return found[0].first if found else None

    def pages(self, kind: str, partition: str, after: str) -> Iterator[tuple[list[Row], float]]:
        return reading.pages(self._blobs, self._prefix, kind, partition, after)

    def holds(self, kind: str, partition: str, ids: Sequence[str]) -> list[bool]:
        """A segment holds all that its stream held between its ids."""
        return [self._is_covered(self._segments(kind, partition), order(entry)) for entry in ids]

    @staticmethod
    def _is_covered(segments: list[names.Segment], entry: tuple[int, int]) -> bool:
        # They overlap only after an accident; then the ones before may reach further.
        at = bisect_right(segments, entry, key=lambda segment: order(segment.first))
        return any(order(segment.last) >= entry for segment in segments[max(0, at - 10) : at])

    def _segments(self, kind: str, partition: str) -> list[names.Segment]:
        stream = kind, partition
        if stream not in self._known:
            self._known[stream] = list(names.segments(self._blobs, self._prefix, kind, partition))
        return self._known[stream]
