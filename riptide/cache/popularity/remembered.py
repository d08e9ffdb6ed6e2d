"""What the server remembers of a tenant's reads, read page by page."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from riptide.store.keys import PARTITIONS, Keys
from riptide.store.operation import Flow, Operation, ask_all
from riptide.store.script import Script

_SCAN = Script.load("riptide.cache", "scan_popular.lua")
#: Rows of a page and a partition, about.
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Remembered:
    """One key. `score` is log2 of its decayed reads and one more for each half-life since 1970: it stays
    right however long it lies in a checkpoint. `load_us` is what loading it takes, None: not known."""

    namespace: str
    key: str
    score: float
    load_us: int | None


class _Scanned(NamedTuple):
    now: int
    cursor: str
    rows: list[Remembered]


def remembered(keys: Keys, tenant: str) -> Flow[tuple[int, list[Remembered]]]:
    """The server's time (s), and each key once, with what all partitions know of it."""
    found: dict[str, dict[tuple[str, str], Remembered]] = {partition: {} for partition in PARTITIONS}
    cursor: Mapping[str, str] | None = dict.fromkeys(PARTITIONS, "0")
    now = 0
    while cursor is not None:
        scanned = yield from _scan_all(keys, tenant, cursor)
        for partition, one in scanned.items():
            found[partition].update({(row.namespace, row.key): row for row in one.rows})
            now = max(now, one.now)
        cursor = _ahead(scanned)
    merged: dict[tuple[str, str], Remembered] = {}
    for rows in found.values():
        for place, row in rows.items():
            merged[place] = _together(merged[place], row) if place in merged else row
    return now, list(merged.values())


def _scan_all(keys: Keys, tenant: str, cursor: Mapping[str, str]) -> Flow[dict[str, _Scanned]]:
    """All partitions at once: most tenants have one page."""
    asked = [_scan(keys, partition, tenant, place) for partition, place in cursor.items()]
    return dict(zip(cursor, (yield from ask_all(asked)), strict=True))


def _ahead(scanned: Mapping[str, _Scanned]) -> Mapping[str, str] | None:
    return {partition: one.cursor for partition, one in scanned.items() if one.cursor != "0"} or None


def _together(one: Remembered, other: Remembered) -> Remembered:
    high, low = (one, other) if one.score >= other.score else (other, one)
    score = high.score + math.log2(1 + 2.0 ** (low.score - high.score))
    return replace(high, score=score, load_us=low.load_us if high.load_us is None else high.load_us)


def _scan(keys: Keys, partition: str, tenant: str, cursor: str) -> Operation[_Scanned]:
    def parse(reply: Any) -> _Scanned:
        now, ahead, flat, times = reply
        rows = []
        for name, score, took in zip(flat[::2], flat[1::2], times, strict=True):
            namespace, _, key = name.decode().partition(":")
            rows.append(Remembered(namespace, key, float(score), None if took is None else int(took)))
        return _Scanned(now, ahead.decode(), rows)

    names = [keys.popular(partition, tenant), keys.load_times(partition, tenant)]
    return _SCAN.call(names, [cursor, _PAGE], parse)
