"""Tells a tenant's statistics: what its accounts say, and what all processes have reported."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from riptide.cache.stats import COUNTED, Counts
from riptide.store.keys import PARTITIONS, Keys
from riptide.store.operation import Flow, Operation, ask_all
from riptide.store.script import Script
from riptide.tenants.accounts.account import Account, total
from riptide.tenants.facts import KnownTenants

_LOOK = Script.load("riptide.cache", "look_access.lua")
#: Rates are those of so many whole minutes, and of the one that goes on.
WINDOW_MINUTES = 5


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of one tenant, in all namespaces; None where there was nothing to tell it by.

    Rates, `avg_access_time_us` (of reading calls, where they were made) and `ops_per_second` (reads, writes
    and deletes of entries) are those of the last `window_seconds`, in which so many `processes` reported;
    `avg_compression_ratio` is bytes of values per byte stored, of all that was ever written. `evictions`
    counts by reason, and `totals` adds up, since the tenant exists.
    """

    tenant: str
    total_keys: int
    memory_usage_bytes: int
    hit_rate: float | None
    miss_rate: float | None
    avg_access_time_us: float | None
    ops_per_second: float
    avg_compression_ratio: float | None
    evictions: Mapping[str, int]
    window_seconds: int
    processes: int
    totals: Counts


class _Look(NamedTuple):
    """What one partition holds: the server's time (s), all sums, those of minutes, and who reported."""

    now: int
    totals: list[int]
    minutes: dict[int, list[int]]
    processes: list[bytes]


def statistics(keys: Keys, tenants: KnownTenants, tenant: str) -> Flow[Statistics]:
    """Raises as `KnownTenants.learn`."""
    facts = yield from tenants.learn(tenant)
    held = yield from total([Account(keys, tag) for tag in facts.tags])
    looks = yield from ask_all([_look(keys, partition, facts.tenant) for partition in PARTITIONS])
    now = max(look.now for look in looks)
    first = now // 60 - WINDOW_MINUTES
    recent = _sum(sums for look in looks for minute, sums in look.minutes.items() if minute >= first)
    totals = _sum(look.totals for look in looks)
    reads, seconds = recent.hits + recent.misses, now - first * 60
    return Statistics(
        tenant=facts.tenant,
        total_keys=held.entries,
        memory_usage_bytes=held.bytes,
        hit_rate=recent.hits / reads if reads else None,
        miss_rate=recent.misses / reads if reads else None,
        avg_access_time_us=recent.timed_us / recent.timed if recent.timed else None,
        ops_per_second=(reads + recent.sets + recent.deletes) / seconds,
        avg_compression_ratio=totals.compression_ratio if totals.stored_bytes else None,
        evictions=held.evicted,
        window_seconds=seconds,
        processes=len({name for look in looks for name in look.processes}),
        totals=totals,
    )


def _look(keys: Keys, partition: str, tenant: str) -> Operation[_Look]:
    def parse(reply: Any) -> _Look:
        now, flat, processes = reply
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        totals = [int(fields.pop(name.encode(), 0)) for name in COUNTED]
        minutes = {}
        for packed in fields.values():
            minute, *sums = map(int, packed.split())
            minutes[minute] = sums
        return _Look(now, totals, minutes, processes)

    names = [keys.access(partition, tenant), keys.access_processes(partition, tenant)]
    return _LOOK.call(names, [WINDOW_MINUTES], parse)


def _sum(rows: Iterable[Sequence[int]]) -> Counts:
    return Counts(*map(sum, zip(*rows, strict=True)))
