"""Where segments lie: their names sort as their ids do, and tell what they hold."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from riptide.state.archive.segment import Header
from riptide.state.blobs import Blobs
from riptide.store.keys import PARTITIONS

_NAME = re.compile(
    r"archive/(?P<prefix>[^/]+)/(?P<type>[^/]+)/(?P<partition>[0-9]+)/"
    r"(?P<first>[0-9]{20}-[0-9]{20})_(?P<last>[0-9]{20}-[0-9]{20})\.seg"
)


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment, as its name tells."""

    name: str
    size: int
    type: str
    partition: str
    first: str
    last: str


def segment_name(prefix: str, header: Header) -> str:
    ids = f"{_padded(header.first)}_{_padded(header.last)}"
    return f"{folder(prefix, header.type, header.partition)}{ids}.seg"


def folder(prefix: str, kind: str, partition: str) -> str:
    """Where the segments of one stream lie. Deployments that share a store are told apart by their prefix."""
    return f"archive/{prefix}/{kind}/{partition}/"


def segments(blobs: Blobs, prefix: str, kind: str, partition: str | None = None) -> Iterator[Segment]:
    """The segments of one type, by partition and then by id."""
    for p in PARTITIONS if partition is None else (partition,):
        for blob in blobs.list(folder(prefix, kind, p)):
            if found := _NAME.fullmatch(blob.name):
                first, last = _plain(found["first"]), _plain(found["last"])
                yield Segment(blob.name, blob.size, found["type"], found["partition"], first, last)


def types(blobs: Blobs, prefix: str) -> list[str]:
    """The types that the archive holds."""
    return sorted({blob.name.split("/")[2] for blob in blobs.list(f"archive/{prefix}/")})


def order(entry_id: str) -> tuple[int, int]:
    """An entry id as something that can be compared."""
    ms, _, seq = entry_id.partition("-")
    return int(ms), int(seq)


def _padded(entry_id: str) -> str:
    ms, seq = order(entry_id)
    return f"{ms:020d}-{seq:020d}"


def _plain(padded: str) -> str:
    ms, seq = order(padded)
    return f"{ms}-{seq}"
