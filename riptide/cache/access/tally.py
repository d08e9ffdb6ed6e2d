"""What one process does with each tenant's entries, counted on the way."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from time import perf_counter

from commands._fields import MAX_AMOUNT
from riptide.cache.popularity.demand import Demands
from riptide.cache.stats import COUNTED, CacheStats
from riptide.metrics.instruments import ACCESS_SECONDS
from riptide.tenants.facts import Facts

_TIMED_OF = 64
_MOST_TENANTS = 10_000
_counted = attrgetter(*COUNTED)


def _gap() -> int:
    """How many reads until one is timed: by chance, so that no rhythm of the reads falls in with it."""
    return random.randrange(1, 2 * _TIMED_OF)


@dataclass(slots=True)
class Tally(CacheStats):
    """The counts of one incarnation of a tenant, and what has been reported of them."""

    tenant: str = ""
    incarnation: str = ""
    #: Which keys were read, by namespace.
    demands: Demands = field(default_factory=Demands)
    _reported: list[int] = field(default_factory=lambda: [0] * len(COUNTED))
    _until_timed: int = field(default_factory=_gap)

    def begin(self) -> float:
        """When a read began (s), if it is one that is timed; else 0."""
        self._until_timed -= 1
        if self._until_timed > 0:
            return 0.0
        self._until_timed = _gap()
        return perf_counter()

    def end(self, began: float) -> None:
        """A read that was timed has its value."""
        seconds = perf_counter() - began
        self.timed += 1
        self.timed_us += round(seconds * 1e6)
        ACCESS_SECONDS.observe(seconds)

    def unreported(self) -> list[int]:
        """In the order of COUNTED, each as much as one report can tell; empty if there is nothing."""
        new = [
            min(now - before, MAX_AMOUNT) for now, before in zip(_counted(self), self._reported, strict=True)
        ]
        return new if any(new) else []

    def report(self, counts: list[int]) -> None:
        """These are told of."""
        self._reported = [a + b for a, b in zip(self._reported, counts, strict=True)]

    def take_back(self, counts: list[int]) -> None:
        """They are not, after all."""
        self._reported = [a - b for a, b in zip(self._reported, counts, strict=True)]

    def leave_to_parent(self) -> None:
        """In a forked child: what has been counted is its parent's to report."""
        self._reported = list(_counted(self))
        self.demands = Demands()


class Tallies:
    """Those of one client, of so many tenants at most; what there is beyond that is `others`, which nobody
    reports."""

    def __init__(self) -> None:
        self._by_tenant: dict[tuple[str, str], Tally] = {}
        self.others = Tally()

    def __iter__(self) -> Iterator[Tally]:
        return iter(list(self._by_tenant.values()))

    @property
    def full(self) -> bool:
        return len(self._by_tenant) >= _MOST_TENANTS

    def of(self, facts: Facts) -> Tally:
        key = facts.tenant, facts.incarnation
        tally = self._by_tenant.get(key)
        if tally is None:
            if self.full:
                return self.others
            tally = self._by_tenant.setdefault(key, Tally(tenant=key[0], incarnation=key[1]))
        return tally

    def start_over(self) -> None:
        """Make room for other tenants."""
        for tally in self:
            self.others.add(tally)
        self._by_tenant = {}

    def total(self) -> CacheStats:
        """What this process has done."""
        total = CacheStats()
        for tally in (self.others, *self):
            total.add(tally)
        return total
