"""Tells which keys of a tenant are read most, and what warming them is worth."""

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nlargest
from statistics import fmean

from riptide.cache.popularity.merging import HALF_LIFE_SECONDS
from riptide.cache.popularity.remembered import Remembered, remembered
from riptide.errors import InvalidInput
from riptide.names import check_namespace
from riptide.store.keys import Keys
from riptide.store.operation import Flow
from riptide.tenants.facts import KnownTenants

MOST_TOP = 1_000_000


@dataclass(frozen=True, slots=True)
class Popular:
    """A key and how often it was read: a read counts half after a day, a quarter after two. `load_us` is what
    loading it takes, None: not known. `benefit` is both multiplied, in seconds of loading that readers are
    spared; an unknown time counts as the mean of the others."""

    namespace: str
    key: str
    reads: float
    load_us: int | None
    benefit: float


def popular(
    keys: Keys, tenants: KnownTenants, tenant: str, namespace: str | None, top: int
) -> Flow[list[Popular]]:
    """The `top` keys of a tenant, or of one of its namespaces, by their benefit.

    Raises InvalidInput, and as `KnownTenants.learn`.
    """
    if namespace is not None:
        check_namespace(namespace)
    if type(top) is not int or not 1 <= top <= MOST_TOP:
        raise InvalidInput(f"top is a whole number from 1 to {MOST_TOP:,}")
    facts = yield from tenants.learn(tenant)
    now, rows = yield from remembered(keys, facts.tenant)
    found = [row for row in rows if namespace in {None, row.namespace}]
    return _best(found, now, top)


def _best(rows: Iterable[Remembered], now: int, top: int) -> list[Popular]:
    listed = list(rows)
    known = [row.load_us for row in listed if row.load_us is not None]
    mean = fmean(known) if known else 1.0
    shift = now / HALF_LIFE_SECONDS

    def told(row: Remembered) -> Popular:
        reads = 2.0 ** (row.score - shift)
        took = mean if row.load_us is None else row.load_us
        return Popular(row.namespace, row.key, reads, row.load_us, reads * took / 1e6)

    return nlargest(top, map(told, listed), key=lambda one: one.benefit)
