"""How the streams stand: backlog, pending, oldest, consumers, retries, dead letters."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from riptide.config import StreamsSettings
from riptide.store.keys import GROUP, PARTITIONS, Keys
from riptide.store.operation import Flow, Operation, ask_all
from riptide.store.script import Script
from riptide.streams.upkeep import registered_groups

_OVERVIEW = Script.load("riptide.streams", "overview.lua")
_COUNTED = 1000


@dataclass(frozen=True, slots=True)
class StreamState:
    """One type, over all partitions, or one of them.

    `lag` counts entries that no worker has seen (None: more than can be told cheaply), `pending` those
    being worked on, `retries` those that run
    again later, `oldest_seconds` the age of the oldest unfinished one, `delivered` all ever handed to
    workers.
    """

    kind: str
    entries: int
    lag: int | None
    pending: int
    consumers: int
    retries: int
    dead: int
    oldest_seconds: float | None
    delivered: int | None
    #: The group that keeps entries of before the replay window, where one does.
    pinned_by: str | None = None


def overview(
    keys: Keys, kinds: Sequence[str], settings: StreamsSettings | None = None
) -> Flow[list[StreamState]]:
    """The state of each type, in the order of `kinds`; `pinned_by` is looked for only with `settings`."""
    asked = [_partition(keys, kinds, partition, settings) for partition in PARTITIONS]
    partitions = yield from ask_all(asked)
    return [_sum(parts) for parts in zip(*partitions, strict=True)]


def _partition(
    keys: Keys, kinds: Sequence[str], partition: str, settings: StreamsSettings | None
) -> Operation[list[StreamState]]:
    names = [
        name
        for kind in kinds
        for name in (
            keys.commands(kind, partition),
            keys.slow(kind, partition),
            keys.retry(kind, partition),
            keys.dead(kind, partition),
        )
    ]
    groups = ["" if settings is None else " ".join(registered_groups(settings, kind)) for kind in kinds]
    window = math.inf if settings is None else settings.replay_window_seconds

    def parse(reply: Any) -> list[StreamState]:
        return [_state(kind, row, window) for kind, row in zip(kinds, reply, strict=True)]

    return _OVERVIEW.call(names, [GROUP, _COUNTED, *groups], parse)


def _state(kind: str, row: list[Any], window: float) -> StreamState:
    entries, lag, pending, consumers, retries, dead, oldest, delivered, behind, behind_ms = row
    return StreamState(
        kind,
        entries,
        None if lag < 0 else lag,
        pending,
        consumers,
        retries,
        dead,
        None if oldest < 0 else oldest / 1000,
        None if delivered < 0 else delivered,
        behind.decode() if behind_ms / 1000 > window else None,
    )


def _sum(parts: Iterable[StreamState]) -> StreamState:
    rows = list(parts)
    ages = [row.oldest_seconds for row in rows if row.oldest_seconds is not None]
    return StreamState(
        rows[0].kind,
        sum(row.entries for row in rows),
        _total([row.lag for row in rows]),
        sum(row.pending for row in rows),
        max(row.consumers for row in rows),  # every worker reads all partitions
        sum(row.retries for row in rows),
        sum(row.dead for row in rows),
        max(ages, default=None),
        _total([row.delivered for row in rows]),
        next((row.pinned_by for row in rows if row.pinned_by), None),
    )


def _total(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
