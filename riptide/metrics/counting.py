"""Plain instruments. They hold integers that a scrape reads, so that counting costs next to nothing.

Additions take no lock: a torn update between threads would cost a count, never correctness. The instruments
of prometheus_client lock at each, and write files where a host runs its multiprocess mode.
"""

import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from riptide.metrics.catalog import CATALOG, Labels

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric


class Instrument(Protocol):
    def family(self) -> "Metric": ...

    def forget(self) -> None:
        """In a forked child: what has been counted is its parent's to tell."""


INSTRUMENTS: list[Instrument] = []
#: Who else has something to tell of this process: whoever counts in a way of its own.
SOURCES: list[Callable[[], "Iterable[Metric]"]] = []


class Count:
    """Events by labels. Those `known` beforehand are told from the beginning, as 0."""

    def __init__(self, name: str, known: Iterable[Labels] = ()) -> None:
        self._spec, self._known = CATALOG[name], tuple(known)
        self._counts: dict[Labels, int] = dict.fromkeys(self._known, 0)
        INSTRUMENTS.append(self)

    def add(self, *labels: str, by: int = 1) -> None:
        self._counts[labels] = self._counts.get(labels, 0) + by

    def family(self) -> "Metric":
        return self._spec.family(dict(self._counts).items())

    def forget(self) -> None:
        self._counts = dict.fromkeys(self._known, 0)


class Spread:
    """How values are spread over buckets, by labels. `bounds` are the upper ends of the buckets."""

    def __init__(self, name: str, bounds: Sequence[float]) -> None:
        self._spec, self._bounds = CATALOG[name], tuple(bounds)
        self._rows: dict[Labels, list[float]] = {}
        self.forget()
        INSTRUMENTS.append(self)

    def observe(self, value: float, *labels: str) -> None:
        row = self._rows.get(labels)
        if row is None:
            row = self._rows.setdefault(labels, self._empty())
        row[bisect_left(self._bounds, value)] += 1
        row[-1] += value

    def family(self) -> "Metric":
        return self._spec.histogram(
            self._bounds, [(labels, row[:]) for labels, row in dict(self._rows).items()]
        )

    def forget(self) -> None:
        self._rows = {} if self._spec.labels else {(): self._empty()}

    def _empty(self) -> list[float]:
        return [0.0] * (len(self._bounds) + 2)


def _forget_all() -> None:
    for instrument in INSTRUMENTS:
        instrument.forget()


os.register_at_fork(after_in_child=_forget_all)
