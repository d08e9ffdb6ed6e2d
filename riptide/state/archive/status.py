"""How far each type is archived, over all partitions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from riptide.state.archive.operations import PartitionArchive, StreamArchive
from riptide.store.keys import PARTITIONS, Keys
from riptide.store.operation import Flow, ask_all


@dataclass(frozen=True, slots=True)
class TypeArchive:
    """One type. `lag` counts commands that wait for the archive (None: more than can be told cheaply),
    `oldest_seconds` for how long the first of them has; `moved` is when the last segment was written, in Unix
    seconds, 0 if none was; `positions` are the last archived entries, by partition."""

    kind: str
    archived: int
    lag: int | None
    oldest_seconds: float | None
    moved: int
    workers: tuple[str, ...]
    positions: Mapping[str, str]


def type_archives(keys: Keys, kinds: Sequence[str]) -> Flow[list[TypeArchive]]:
    """In the order of `kinds`."""
    if not kinds:
        return []
    partitions = yield from ask_all([PartitionArchive(keys, kinds, p).status() for p in PARTITIONS])
    return [_sum(streams) for streams in zip(*partitions, strict=True)]


def _sum(streams: Sequence[StreamArchive]) -> TypeArchive:
    lags = [stream.lag for stream in streams if stream.lag is not None]
    ages = [stream.oldest_seconds for stream in streams if stream.oldest_seconds is not None]
    return TypeArchive(
        streams[0].kind,
        sum(stream.archived for stream in streams),
        sum(lags) if len(lags) == len(streams) else None,
        max(ages, default=None),
        max(stream.moved for stream in streams),
        tuple(sorted({stream.owner for stream in streams if stream.owner})),
        {stream.partition: stream.position for stream in streams if stream.position},
    )
