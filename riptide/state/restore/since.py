"""Usage that came after a checkpoint, command by command: from the checkpoint's own unfinished ones, from the
archive, and from the streams of the server."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from riptide.config import Settings
from riptide.errors import Damaged
from riptide.state.archive import reading
from riptide.state.archive.names import order, segments
from riptide.state.archive.segment import Row
from riptide.state.blobs import Blobs
from riptide.state.checkpoints.sums import USAGE, read_homes
from riptide.state.replay.sources import Streams
from riptide.store.keys import PARTITIONS, Keys
from riptide.store.operation import Operation
from riptide.store.sync import Store
from riptide.streams.message import Entry, claim_of, unpack_fields


@dataclass(frozen=True, slots=True)
class Record:
    """One record of usage, as it was sent. `first` is its first entry, `at` the one by which it was found:
    the same, or that of a dead letter that was put back."""

    first: str
    at: str
    fields: list[bytes]


class Since:
    """`starts` tells how far each partition was when the checkpoint was begun; `kept` are its unfinished
    records, by partition and first entry."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        blobs: Blobs,
        starts: dict[str, str],
        kept: dict[str, dict[str, list[bytes]]],
    ) -> None:
        self._prefix = settings.cache.key_prefix
        self._blobs = blobs
        self._store, self._keys = store, Keys(self._prefix)
        self._streams = Streams(store, self._keys, [USAGE])
        self._starts, self._kept = starts, kept
        #: Up to which entry the archive reaches, by partition, as far as it was read.
        self.reached: dict[str, str] = {}

    def verify(self) -> None:
        """Read every segment that will be needed. Raises Damaged, also where one is missing."""
        for partition in PARTITIONS:
            start, continuity = self._starts[partition], reading.Continuity()
            reached = start
            for segment in segments(self._blobs, self._prefix, USAGE, partition):
                if order(segment.last) <= order(start):
                    continue
                with reading.opened(self._blobs, self._prefix, segment) as reader:
                    after = reader.header.after
                    gap = continuity.gap(reader)
                    if reached == start and after != "0-0" and order(after) > order(start):
                        gap = f"{USAGE}.{partition}: entries after {start} up to {after} are missing"
                    if gap:
                        raise Damaged(f"the archive is not complete: {gap}. Nothing was restored")
                reached = max(reached, segment.last, key=order)
            self.reached[partition] = reached

    def records(self, partition: str) -> Iterator[list[Record]]:
        """Page by page. What was finished before the checkpoint was begun is not among them, unless a dead
        letter of that time was put back since; nothing comes twice."""
        start = self._starts[partition]
        kept = self._kept.get(partition, {})
        seen = set(kept)
        yield [Record(first, first, fields) for first, fields in kept.items()]
        for rows in self._rows(partition, start):
            yield list(self._fresh(partition, rows, seen))

    def _rows(self, partition: str, beyond: str) -> Iterator[list[Row]]:
        """Of the archive, then of the stream; of the archive again where that has gone on meanwhile, because
        the stream may have been trimmed behind it."""
        asked, again = "", True
        while again:
            for rows, _ in reading.pages(self._blobs, self._prefix, USAGE, partition, beyond):
                beyond = rows[-1][0]
                yield rows
            again = False
            for rows in chain((rows for rows, _ in self._streams.pages(USAGE, partition, beyond)), [[]]):
                archived = self._archived(partition)
                if order(archived) > order(beyond) and archived != asked:
                    asked, again = archived, True
                    break
                if rows:
                    beyond = rows[-1][0]
                    yield rows

    def _archived(self, partition: str) -> str:
        """How far the archive has come, as the server knows."""

        def parse(reply: bytes | None) -> str:
            return (reply or b"0-0").decode()

        return self._store.run(Operation(("HGET", self._keys.archive(partition), f"position:{USAGE}"), parse))

    def on_server(self, partition: str, firsts: list[str]) -> list[bool]:
        """Whether these entries are in its stream."""
        return self._streams.holds(USAGE, partition, firsts)

    def given(self, partition: str) -> str:
        """Up to which entry workers have been given them now."""
        (home,) = self._store.run(read_homes(self._keys, partition, {}))
        return home.cut.position

    def _fresh(self, partition: str, rows: list[Row], seen: set[str]) -> Iterator[Record]:
        start = order(self._starts[partition])
        for entry_id, fields in rows:
            claim = claim_of(Entry(USAGE, partition, entry_id, fields))
            if claim is None and entry_id not in seen:
                yield Record(entry_id, entry_id, fields)
            elif claim is not None and order(claim.first) <= start and claim.first not in seen:
                seen.add(claim.first)
                yield Record(claim.first, entry_id, unpack_fields(claim.packed))
