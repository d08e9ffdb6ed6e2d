"""The archiver of a worker: a thread that copies streams to the blob store.

Any number of workers run one. A partition is archived by whoever holds its lease. A segment is written whole,
and only when it is durable the archive's group moves over it, by a script that compares the lease's token: so
whatever is killed at whatever moment, nothing is lost, and what was written twice is told by its entry ids.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from riptide.config import Settings
from riptide.errors import RiptideError
from riptide.logger import get_logger
from riptide.state.archive.names import folder, segment_name
from riptide.state.archive.operations import Lease, PartitionArchive, Waiting
from riptide.state.archive.retention import Retention
from riptide.state.archive.segment import Header, SegmentWriter
from riptide.state.blobs import Blobs, open_blobs
from riptide.state.blobs.contract import check_prefix
from riptide.store.keys import PARTITIONS, Keys
from riptide.store.raw import RawReader
from riptide.store.sync import Store, open_store
from riptide.streams.members import new_member
from riptide.streams.passes import keep_passing

_MOST_PER_READ = 1000
_BYTES_PER_READ = 1024**2
_LEASE_SECONDS = 2.0, 30.0  # at least, at most; between them it is as long as the archive may be late


class LeaseLost(RiptideError):
    """Another worker archives the partition now."""


@dataclass(slots=True)
class _Held:
    """A lease in use, and when it was last heard to hold (time.monotonic())."""

    partition: PartitionArchive
    token: int
    since: float


class Archiver(threading.Thread):
    """Archives `streams.archive_types` until `stop()`. `name` tells it from those of other processes."""

    def __init__(self, settings: Settings, name: str, blobs: Blobs) -> None:
        super().__init__(name="archiver", daemon=True)
        self._settings = settings
        self._who = name
        self._blobs = blobs
        self._prefix = settings.cache.key_prefix
        keys, kinds = Keys(self._prefix), list(dict.fromkeys(settings.streams.archive_types))
        for kind in kinds:
            check_prefix(folder(self._prefix, kind, PARTITIONS[0]))
        self._partitions = {p: PartitionArchive(keys, kinds, p) for p in PARTITIONS}
        self._retention = Retention(blobs, self._prefix, settings.streams)
        shortest, longest = _LEASE_SECONDS
        # Not longer later: the lease that is held would be believed for longer than the server holds it.
        self._lease = max(shortest, min(longest, self._seconds))
        self._look_at = dict.fromkeys(PARTITIONS, 0.0)
        self._store: Store | None = None
        self._raw = RawReader(settings)
        self._uploads = ThreadPoolExecutor(1, "archive-upload")
        self._stopped = threading.Event()
        self._log = get_logger("riptide.archive")

    @property
    def _seconds(self) -> float:
        return self._settings.streams.archive_seconds

    def run(self) -> None:
        keep_passing(self._pass, self._stopped, self._log, "cannot archive")
        self._give_back()

    def stop(self) -> None:
        """End after what is being written; others go on where this one ends."""
        self._stopped.set()

    def _give_back(self) -> None:
        if self._store is not None:
            with suppress(RiptideError):
                self._store.run_all([p.release(self._who) for p in self._partitions.values()])
            self._store.close()
        self._raw.close()
        self._uploads.shutdown(wait=False, cancel_futures=True)

    def _pass(self) -> float:
        """Look at the partitions whose turn it is, and archive what is due; answers seconds to the next."""
        if self._store is None:
            self._store = open_store(self._settings)
        now = time.monotonic()
        due = [self._partitions[p] for p, at in self._look_at.items() if at <= now]
        for lease in self._store.run_all([p.take(self._who, self._lease_ms) for p in due]):
            if self._stopped.is_set():
                return 0
            self._look_at[lease.partition] = now + self._pause_after(lease)
            if lease.token is not None:
                self._archive_partition(_Held(self._partitions[lease.partition], lease.token, now), lease)
        return max(0.0, min(self._look_at.values()) - time.monotonic())

    @property
    def _lease_ms(self) -> int:
        return round(self._lease * 1000)

    def _pause_after(self, lease: Lease) -> float:
        """What is not due yet is when it will be; a stream that is empty now fills within that time, too."""
        if lease.token is None:
            return lease.other_ms / 1000
        waits = [
            max(0.0, self._seconds - (stream.age_ms or 0) / 1000)
            for stream in lease.streams
            if not self._is_due(stream)
        ]
        return min([*waits, self._seconds, self._lease / 2])

    def _is_due(self, stream: Waiting) -> bool:
        if stream.age_ms is None:
            return False
        much = (stream.count or 0) * stream.size >= self._settings.streams.archive_segment_bytes
        return much or stream.age_ms >= self._seconds * 1000

    def _archive_partition(self, held: _Held, lease: Lease) -> None:
        try:
            for stream in lease.streams:
                if self._is_due(stream):
                    self._archive(held, stream)
            self._retention.sweep(lease, lambda: self._goes_on(held))
        except LeaseLost as error:
            self._log.info("archiving goes on elsewhere", partition=lease.partition, reason=str(error))

    def _archive(self, held: _Held, stream: Waiting) -> None:
        """Segment by segment, as far as the stream goes."""
        position, size = stream.position, stream.size
        while not self._stopped.is_set():
            started = time.monotonic()
            segment = _Copy(self._raw, held.partition.stream(stream.kind), position, size)
            more = segment.fill(
                self._settings.streams.archive_segment_bytes,
                lambda: not self._goes_on(held),
            )
            if segment.count == 0:
                return
            self._store_segment(held, stream.kind, segment)
            self._log.debug(
                "segment archived",
                command=stream.kind,
                partition=held.partition.partition,
                entries=segment.count,
                seconds=round(time.monotonic() - started, 3),
            )
            position, size = segment.last, segment.size_of_one
            if not more:
                return

    def _store_segment(self, held: _Held, kind: str, segment: "_Copy") -> None:
        partition = held.partition
        header = Header(kind, partition.partition, segment.after, segment.first, segment.last, segment.count)
        data = segment.writer.finish(header)
        upload = self._uploads.submit(self._blobs.put, segment_name(self._prefix, header), data)
        self._wait_for(upload, held)
        assert self._store is not None
        moved = self._store.run(partition.move(held.token, kind, segment.after, segment.last, segment.count))
        if moved != 1:
            raise LeaseLost("its lease was taken" if moved < 0 else "its position was moved")

    def _wait_for(self, upload: "Future[None]", held: _Held) -> None:
        """However long storing takes, the lease is kept meanwhile."""
        while True:
            with suppress(TimeoutError):
                return upload.result(timeout=self._lease / 4)
            if upload.done():
                return upload.result()  # the TimeoutError was its own
            self._keep(held)

    def _goes_on(self, held: _Held) -> bool:
        if self._stopped.is_set():
            return False
        self._keep(held)
        return True

    def _keep(self, held: _Held) -> None:
        """Keep the lease; raises LeaseLost if it is another's."""
        if time.monotonic() - held.since < self._lease / 4:
            return
        assert self._store is not None
        sent = time.monotonic()
        lease = self._store.run(held.partition.take(self._who, self._lease_ms))
        if lease.token != held.token:
            raise LeaseLost("its lease was taken")
        held.since = sent


class _Copy:
    """A segment on its way: what one stream holds after `after`, read raw and compressed."""

    def __init__(self, reader: RawReader, key: str, after: str, size_of_one: int) -> None:
        self._reader = reader
        self._key = key
        self.after = after
        self.size_of_one = max(1, size_of_one)
        self.writer = SegmentWriter()
        self.first = self.last = ""
        self.count = 0

    def fill(self, limit: int, enough: Callable[[], bool]) -> bool:
        """Read until the segment is full, or the stream is at its end; answers whether it may hold more."""
        while self.writer.size < limit:
            if self.count and enough():
                return True
            asked = max(1, min(_MOST_PER_READ, _BYTES_PER_READ // self.size_of_one))
            if self._read(asked) < asked:
                return False
        return True

    def _read(self, count: int) -> int:
        start = f"({self.last or self.after}"
        raw, rows = self._reader.read(self._key, ("XRANGE", self._key, start, "+", "COUNT", count))
        if rows:
            self._add(raw, rows)
        return len(rows)

    def _add(self, raw: bytes, rows: list[Any]) -> None:
        self.writer.add(raw)
        self.first = self.first or rows[0][0].decode()
        self.last = rows[-1][0].decode()
        self.count += len(rows)
        # What comes next is taken to be as large as what came: a reply should have about a megabyte.
        self.size_of_one = max(1, len(raw) // len(rows))


def make_archiver(settings: Settings) -> Archiver | None:
    """The archiver that the configuration asks for, if any. Raises ConfigError or InvalidInput if it cannot
    work."""
    if not (settings.streams.archive and settings.streams.archive_types):
        return None
    return Archiver(settings, new_member(settings.distributed.node_id), open_blobs(settings.blobs))
