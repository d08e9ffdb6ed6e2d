"""What the archive need not keep any more (`streams.archive_retention_days`)."""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, pairwise

from riptide.config import StreamsSettings
from riptide.errors import BlobError
from riptide.logger import get_logger
from riptide.state.archive.names import Segment, order, segments
from riptide.state.archive.operations import Lease
from riptide.state.blobs import Blobs
from riptide.store.keys import PARTITIONS

_EVERY_SECONDS = 3600.0
_AT_ONCE = 1000  # segments of a stream, so that archiving does not wait long
_DAY_MS = 86_400_000


class Retention:
    """Deletes old segments, once an hour for each partition, on behalf of whoever holds its lease."""

    def __init__(self, blobs: Blobs, prefix: str, settings: StreamsSettings) -> None:
        self._blobs = blobs
        self._prefix = prefix
        self._settings = settings
        self._look_at = dict.fromkeys(PARTITIONS, 0.0)
        self._log = get_logger("riptide.archive")

    def sweep(self, lease: Lease, go_on: Callable[[], bool]) -> None:
        """Delete what has expired, if it is time to look; `go_on` is asked before each segment."""
        days = self._settings.archive_retention_days
        if days is None or time.monotonic() < self._look_at[lease.partition]:
            return
        self._look_at[lease.partition] = time.monotonic() + _EVERY_SECONDS
        before_ms = lease.server_ms - days * _DAY_MS
        for stream in lease.streams:
            kept = segments(self._blobs, self._prefix, stream.kind, lease.partition)
            try:
                gone = self._delete(expired(kept, stream.position, before_ms), go_on)
            except BlobError as error:
                self._log.warning("cannot delete what the archive need not keep", error=str(error))
                return
            if gone:
                self._log.info(
                    "old segments deleted", command=stream.kind, partition=lease.partition, segments=gone
                )
            if gone == _AT_ONCE:
                self._look_at[lease.partition] = 0.0  # there may be more

    def _delete(self, old: Iterable[Segment], go_on: Callable[[], bool]) -> int:
        gone = 0
        for segment in islice(old, _AT_ONCE):
            if not go_on():
                break
            self._blobs.delete(segment.name)
            gone += 1
        return gone


def expired(found: Iterable[Segment], position: str, before_ms: int) -> Iterator[Segment]:
    """Of one stream's segments, in order, those whose newest entry is older than `before_ms` (Unix ms) and
    not beyond `position`, as far as the server knows to be archived. Never the last one, which tells where
    the next one begins."""
    for segment, _ in pairwise(found):
        if order(segment.last)[0] >= before_ms or order(segment.last) > order(position):
            return
        yield segment
