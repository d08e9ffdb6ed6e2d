"""Which keys to load first: those that spare readers most waiting, reads times time to load. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import nlargest
from statistics import fmean

from riptide.cache.popularity.reading import Popular

#: Namespace and key.
Place = tuple[str, str]


@dataclass(slots=True)
class _Wanted:
    reads: float
    load_us: float | None


_UNKNOWN = _Wanted(0, None)


def choose(
    popular: Iterable[Popular],
    logged: Mapping[str, int],
    namespace: str,
    top: int,
    *,
    only_logged: bool = False,
) -> list[Place]:
    """The `top` ones of both; `namespace` is where those of a log belong. With `only_logged` the others tell
    only how long they take. Where that is not known, the mean of the others is taken."""
    known = {(row.namespace, row.key): _Wanted(row.reads, row.load_us) for row in popular}
    times = [one.load_us for one in known.values() if one.load_us is not None]
    mean = fmean(times) if times else 1.0
    wanted = {} if only_logged else known
    for key, reads in logged.items():
        found = known.get((namespace, key), _UNKNOWN)
        wanted[namespace, key] = _Wanted(reads if only_logged else max(reads, found.reads), found.load_us)
    return nlargest(
        top,
        wanted,
        key=lambda place: wanted[place].reads * (mean if (took := wanted[place].load_us) is None else took),
    )
