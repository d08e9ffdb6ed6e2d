"""Reading the archive: each entry once, in the order of ids, and nothing of a damaged segment."""

from collections.abc import Iterator
from contextlib import contextmanager

from riptide.errors import Damaged
from riptide.state.archive.names import Segment, order, segment_name, segments
from riptide.state.archive.segment import Row, SegmentReader
from riptide.state.blobs import Blobs


@contextmanager
def opened(blobs: Blobs, prefix: str, segment: Segment) -> Iterator[SegmentReader]:
    """A segment, checked as a whole. Raises Damaged."""
    reader = SegmentReader(segment.name, blobs.stream(segment.name))
    try:
        if segment_name(prefix, reader.header) != segment.name:
            raise Damaged(f"segment {segment.name} is damaged: it is another one's content")
        yield reader
    finally:
        reader.close()


def pages(
    blobs: Blobs, prefix: str, kind: str, partition: str, after: str = "0-0"
) -> Iterator[tuple[list[Row], float]]:
    """The entries of one stream after an id, and their share of the archive's bytes.

    Segments overlap where a worker died between writing one and saying so; no entry comes twice.
    """
    reached = order(after)
    for segment in segments(blobs, prefix, kind, partition):
        if order(segment.last) <= reached:
            continue
        with opened(blobs, prefix, segment) as reader:
            for rows in reader.pages():
                fresh = [row for row in rows if order(row[0]) > reached]
                if fresh:
                    reached = order(fresh[-1][0])
                    yield fresh, segment.size * len(fresh) / reader.header.count


class Continuity:
    """Notices where a segment is missing: each says where the one before it ended."""

    def __init__(self) -> None:
        self._reached: dict[tuple[str, str], str] = {}

    def gap(self, reader: SegmentReader) -> str | None:
        """What is missing before this segment, if anything. Segments come by type, partition and id."""
        header = reader.header
        stream = header.type, header.partition
        before = self._reached.get(stream, header.after)
        self._reached[stream] = max(before, header.last, key=order)
        # A server that began anew begins at 0-0: what came before may be complete.
        if header.after != "0-0" and order(header.after) > order(before):
            return (
                f"{header.type}.{header.partition}: entries after {before} up to {header.after} are missing"
            )
        return None
