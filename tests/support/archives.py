"""Archiving under test: settings, an archiver in this process, and what the archive holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from riptide.config import Settings
from riptide.state.archive import reading
from riptide.state.archive.archiver import Archiver
from riptide.state.archive.names import segments
from riptide.state.archive.operations import PartitionArchive
from riptide.state.blobs import Blobs, open_blobs
from riptide.store.keys import PARTITIONS, Keys
from riptide.store.sync import open_store
from tests.support.deployment import Deployment
from tests.support.waiting import PATIENCE, eventually

#: Dead workers are noticed soon.
QUICK: dict[str, Any] = {"workers": {"lease_seconds": 0.5}, "distributed": {"heartbeat_interval_ms": 100}}


def archive_settings(deployment: Deployment, directory: Path, *kinds: str, **streams: Any) -> Settings:
    """Archives `kinds` at once."""
    chosen = {"archive_types": kinds or ("noop",), "archive_seconds": 0.01} | streams
    return deployment.settings(streams=chosen, blobs={"url": str(directory / "blobs")}, **QUICK)


@contextmanager
def archiving(settings: Settings, name: str = "one", blobs: Blobs | None = None) -> Iterator[Archiver]:
    archiver = Archiver(settings, name, blobs or open_blobs(settings.blobs))
    archiver.start()
    try:
        yield archiver
    finally:
        archiver.stop()
        archiver.join(PATIENCE)
        assert not archiver.is_alive()


def archived(settings: Settings, kind: str = "noop") -> dict[str, list[tuple[str, list[bytes]]]]:
    """Partition -> what the archive holds of its stream, in the order in which it is read."""
    blobs, prefix = open_blobs(settings.blobs), settings.cache.key_prefix
    found = {
        partition: [row for rows, _ in reading.pages(blobs, prefix, kind, partition) for row in rows]
        for partition in PARTITIONS
    }
    return {partition: rows for partition, rows in found.items() if rows}


def in_streams(deployment: Deployment, kind: str = "noop") -> dict[str, list[tuple[str, list[bytes]]]]:
    """The same of the streams themselves."""
    found: dict[str, list[tuple[str, list[bytes]]]] = {}
    for partition, entry_id, fields in deployment.entries(kind):
        flat = [part for pair in fields.items() for part in pair]
        found.setdefault(partition, []).append((entry_id, flat))
    return found


def lag(settings: Settings, kind: str = "noop") -> int:
    """Entries that wait for the archive; where the server cannot tell, one."""
    store, keys = open_store(settings), Keys(settings.cache.key_prefix)
    try:
        rows = store.run_all([PartitionArchive(keys, [kind], p).status() for p in PARTITIONS])
    finally:
        store.close()
    return sum(1 if row.lag is None else row.lag for partition in rows for row in partition)


def wait_archived(settings: Settings, kind: str = "noop") -> None:
    eventually(lambda: lag(settings, kind) == 0, f"all of {kind} to be archived")


def problems(settings: Settings, kind: str = "noop") -> list[str]:
    """Gaps in the archive."""
    return gaps(open_blobs(settings.blobs), settings.cache.key_prefix, kind)


def gaps(blobs: Blobs, prefix: str, kind: str, partition: str | None = None) -> list[str]:
    continuity, found = reading.Continuity(), []
    for segment in segments(blobs, prefix, kind, partition):
        with reading.opened(blobs, prefix, segment) as reader:
            if gap := continuity.gap(reader):
                found.append(gap)
    return found
