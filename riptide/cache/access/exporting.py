"""What all clients of this process have done with entries, as metrics: the tallies' own sums, read when they
are asked for."""

import os
import weakref
from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

from riptide.cache.access.tally import Tallies
from riptide.cache.stats import CacheStats
from riptide.metrics.catalog import CATALOG
from riptide.metrics.counting import SOURCES

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

_living: set[Tallies] = set()
#: Of clients that are gone; in a forked child also, as less than nothing, what its parent tells.
_settled = CacheStats()


def watch(owner: object, tallies: Tallies) -> None:
    """Tell of `tallies` as long as `owner` lives, and of their sums from then on."""
    _living.add(tallies)
    weakref.finalize(owner, _retire, tallies).atexit = False


def _retire(tallies: Tallies) -> None:
    _settled.add(tallies.total())
    _living.discard(tallies)


def totals() -> CacheStats:
    found = CacheStats()
    for one in list(_living):
        found.add(one.total())
    found.add(_settled)
    return found


def _leave_to_parent() -> None:
    before = totals()
    for field in fields(CacheStats):
        setattr(_settled, field.name, getattr(_settled, field.name) - getattr(before, field.name))


os.register_at_fork(after_in_child=_leave_to_parent)


def families() -> "Iterator[Metric]":
    found = totals()
    for name in ("hits", "misses", "sets", "deletes", "errors"):
        yield CATALOG[f"riptide_cache_{name}_total"].family([((), getattr(found, name))])
    yield CATALOG["riptide_cache_operations_total"].family(
        [
            (("get", "hit"), found.hits),
            (("get", "miss"), found.misses),
            (("set", "done"), found.sets),
            (("delete", "done"), found.deletes),
            (("load", "done"), found.loads),
            (("load", "refused"), found.refused),
            (("get", "damaged"), found.damaged),
            (("any", "error"), found.errors),
        ]
    )
    yield CATALOG["riptide_cache_compression_ratio"].family([((), found.compression_ratio)])


SOURCES.append(families)
