"""Takes popularity out of the server, and brings it back: for checkpoints."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from riptide.cache.popularity.merging import member
from riptide.store.keys import PARTITIONS, Keys, partition_of
from riptide.store.operation import Arg, Flow, Operation, ask, ask_all
from riptide.store.script import Script
from riptide.tenants.usage.known import digest_of, int_or_zero

_SCAN = Script.load("riptide.cache", "scan_popular.lua")
_IMPORT = Script.load("riptide.cache", "import_popular.lua")
#: Rows of a page and a partition, about; and of one call that brings them back.
_PAGE, _IMPORTED = 500, 1_000


@dataclass(frozen=True, slots=True)
class Remembered:
    """One key. `score` is log2 of its decayed reads and one more for each half-life since 1970: it stays
    right however long it lies in a file. `load_us` is what loading it takes, None: not known."""

    tenant: str
    namespace: str
    key: str
    score: float
    load_us: int | None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, and where the next page begins; None: there is none."""

    rows: list[Remembered]
    cursor: Mapping[str, str] | None


class _Scanned(NamedTuple):
    now: int
    cursor: str
    rows: list[Remembered]


BEGINNING: Mapping[str, str] = dict.fromkeys(PARTITIONS, "0")


def export(keys: Keys, tenant: str, cursor: Mapping[str, str] = BEGINNING) -> Flow[Page]:
    """Some thousand rows of a tenant at most, as the server holds them: a key may come twice.

    Begins at the beginning, and goes on at the `cursor` of the page before.
    """
    scanned = yield from _scan_all(keys, tenant, cursor)
    return Page([row for one in scanned.values() for row in one.rows], _ahead(scanned))


def remembered(keys: Keys, tenant: str) -> Flow[tuple[int, list[Remembered]]]:
    """The server's time (s), and each key once, with what all partitions know of it."""
    found: dict[str, dict[tuple[str, str], Remembered]] = {partition: {} for partition in PARTITIONS}
    cursor: Mapping[str, str] | None = BEGINNING
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
            rows.append(Remembered(tenant, namespace, key, float(score), None if took is None else int(took)))
        return _Scanned(now, ahead.decode(), rows)

    names = [keys.popular(partition, tenant), keys.load_times(partition, tenant)]
    return _SCAN.call(names, [cursor, _PAGE], parse)


def import_(keys: Keys, tenant: str, incarnation: str, rows: Sequence[Remembered], most: int) -> Flow[bool]:
    """Bring rows of one tenant back; `most` is `cache.popular_keys`.

    Done again it changes nothing; where the server knows a key the higher score stays. False: the tenant is
    not there, or is not that `incarnation` ('' for one that has no record, as `default`), and nothing was
    done.
    """
    partition = partition_of(tenant)
    gone = ("HGET", keys.gone(partition), digest_of(tenant))
    purged_ms = yield from ask(Operation(gone, int_or_zero))
    # In this order: who purges it after the second look is noted after the first one.
    found = yield from ask(Operation(("HGET", keys.record(tenant), "incarnation"), _text))
    if found != incarnation:
        return False
    names = [keys.gone(partition), keys.popular(partition, tenant), keys.load_times(partition, tenant)]
    for start in range(0, len(rows), _IMPORTED):
        args = [digest_of(tenant), purged_ms, most, *_flat(rows[start : start + _IMPORTED])]
        if (yield from ask(_IMPORT.call(names, args, int))) < 0:
            return False
    return True


def _flat(rows: Sequence[Remembered]) -> list[Arg]:
    args: list[Arg] = [len(rows)]
    for row in rows:
        args += (member(row.namespace, row.key), row.score)
    for row in rows:
        if row.load_us is not None:
            args += (member(row.namespace, row.key), row.load_us)
    return args


def _text(reply: Any) -> str:
    return "" if reply is None else str(reply.decode())
