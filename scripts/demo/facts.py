"""What has been measured and judged so far. Threads add to it; the screen and the summary read it."""

import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from riptide.cache.stats import CacheStats
from riptide.streams.overview import StreamState
from scripts.demo.members import Member

_KEPT = 20_000
_SHOWN_PROBLEMS = 20


class Latency:
    """Durations of the latest calls."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_KEPT)

    @contextmanager
    def measure(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._seconds.append(time.perf_counter() - start)

    def __len__(self) -> int:
        return len(self._seconds)

    def quantile(self, q: float) -> float:
        """Seconds; 0 before the first call."""
        ordered = sorted(self._seconds.copy())
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else 0.0


@dataclass(slots=True)
class Step:
    """One thing the demo does. `done` of `total`; `text` says what came of it."""

    name: str
    text: str = ""
    done: int = 0
    total: int = 0
    state: str = "open"  # open | running | ended


@dataclass
class Facts:
    """`lost`, `failed` and `stale` are problems, told in words; without any, all went well."""

    steps: list[Step] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    found: int = 0
    published: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    #: What the warm commands say of their pages: loaded, present, ...
    warmed: Counter[str] = field(default_factory=Counter)
    invalidated: Counter[str] = field(default_factory=Counter)
    #: Reads that began after an invalidation of what they read had completed.
    judged: int = 0
    entries: int = 0
    value_bytes: int = 0
    stored_bytes: int = 0
    origin: Latency = field(default_factory=Latency)
    cache: Latency = field(default_factory=Latency)
    stats: CacheStats = field(default_factory=CacheStats)
    streams: list[StreamState] = field(default_factory=list)
    rates: dict[str, float] = field(default_factory=dict)
    members: list[Member] = field(default_factory=list)
    problems: dict[str, list[str]] = field(default_factory=lambda: {"lost": [], "failed": [], "stale": []})
    counts: Counter[str] = field(default_factory=Counter)
    #: The summary has been printed.
    told: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def problem(self, kind: str, text: str) -> None:
        """Note something `lost`, `failed` or `stale`; of each kind the first ones are kept in words."""
        with self._lock:
            self.counts[kind] += 1
            if len(self.problems[kind]) < _SHOWN_PROBLEMS:
                self.problems[kind].append(text)

    def judge(self) -> None:
        with self._lock:
            self.judged += 1

    @property
    def well(self) -> bool:
        return not self.counts.total()

    @property
    def speedup(self) -> float:
        """How many times as fast as the origin the cache is, by their medians; 0 if that is not known."""
        cache = self.cache.quantile(0.5)
        return self.origin.quantile(0.5) / cache if cache else 0.0
