"""Who keeps the slots of a stream's commands busy, and how quickly theirs end (docs/streams.md)."""

import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from statistics import fmean

from riptide.streams.message import Entry, tenant_of

_REMEMBERED = 64


class Crowd:
    def __init__(self) -> None:
        self._ended: deque[tuple[Entry, float]] = deque(maxlen=_REMEMBERED)

    def ended(self, chunk: Sequence[Entry], seconds: float) -> None:
        """A call has ended after so long; of a batch one entry stands for all."""
        self._ended.append((chunk[0], seconds))

    def pace(
        self, kind: str, partition: str, running: Iterable[tuple[Sequence[Entry], float]]
    ) -> dict[bytes, float]:
        """The tenants that each have at least half of what is being run of one type in one partition, and how
        many of its entries end in a second; `running` are calls and for how many seconds they have been.

        Short calls that began together end together: what has just ended says more than what has just begun,
        and there may be nothing that runs.
        """
        ended: defaultdict[bytes, list[float]] = defaultdict(list)
        for entry, seconds in self._ended:
            if _is_of(entry, kind, partition):
                ended[tenant_of(entry)].append(seconds)
        ages: defaultdict[bytes, list[float]] = defaultdict(list)
        for chunk, age in running:
            for entry in chunk:
                if _is_of(entry, kind, partition):
                    ages[tenant_of(entry)].append(age)
        counts = Counter({tenant: len(each) for tenant, each in (ages or ended).items()})
        return {
            tenant: _per_second(count, ended.get(tenant, []), ages.get(tenant, []))
            for tenant, count in counts.items()
            if 2 * count >= counts.total()
        }


def _is_of(entry: Entry, kind: str, partition: str) -> bool:
    return entry.kind == kind and entry.partition == partition


def _per_second(count: int, ended: Sequence[float], ages: Sequence[float]) -> float:
    # Of calls that run, half is over on average; and none is shorter than it is already.
    seconds = max(fmean(ended), max(ages, default=0)) if ended else 2 * fmean(ages)
    return count / seconds if seconds else math.inf
