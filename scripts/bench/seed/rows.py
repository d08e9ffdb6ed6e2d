"""One promise and what is measured of it."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """`promised` and `measured` in `unit`; with `more`, more is better. `note` says how it was measured."""

    what: str
    promised: float
    measured: float
    unit: str
    more: bool = False
    note: str = ""

    @property
    def beaten(self) -> bool:
        return self.measured >= self.promised if self.more else self.measured <= self.promised


def times_ms(call: Callable[[T], object], items: Iterable[T]) -> list[float]:
    """How long `call` takes for each of the items, in milliseconds."""
    found = []
    for item in items:
        started = perf_counter()
        call(item)
        found.append((perf_counter() - started) * 1000)
    return found


def mean(samples: list[float]) -> float:
    return statistics.fmean(samples)


def median(samples: list[float]) -> float:
    return statistics.median(samples)


def percentile(samples: list[float], part: float) -> float:
    return sorted(samples)[min(len(samples) - 1, int(len(samples) * part))]
