"""How long one call takes: of the cache, sessions, tenants, quotas."""

import itertools
from collections.abc import Iterable, Iterator

from riptide.reads.sync_client import RipTide
from scripts.bench.seed.corpus import pieces
from scripts.bench.seed.rows import Row, mean, median, percentile, times_ms

KB = 1024
_TIMES, _TENANT = 1_000, "acme"
_RATE = {"operations_per_minute": 1}
_SETS = {1: 1.2, 10: 1.8, 100: 3.5}


def measured(rt: RipTide) -> Iterator[Row]:
    unlimited = {
        "memory_bytes": -1,
        "cache_entries": -1,
        "active_sessions": -1,
        "operations_per_minute": 10**9,
    }
    rt.tenants.create(_TENANT, quotas=unlimited)
    yield from _cache(rt)
    yield from _batches(rt)
    yield from _sessions(rt)
    created = times_ms(rt.tenants.create, [f"new-{n}" for n in range(200)])
    yield Row("tenant create", 2.8, median(created), "ms", note="of 200")
    checked = times_ms(lambda _: rt.quotas.check(_TENANT, _RATE), range(_TIMES))
    yield Row("quota check", 0.3, median(checked), "ms", note="one round trip; a lease takes 0.0004")


def _cache(rt: RipTide) -> Iterator[Row]:
    reads: list[float] = []
    for size, promised in _SETS.items():
        values = itertools.cycle(pieces(size * KB))
        names = [f"{size}-{n % 200}" for n in range(_TIMES)]
        pairs: Iterable[tuple[str, bytes]] = list(zip(names, values, strict=False))
        written = times_ms(lambda pair: rt.cache.set(*pair, tenant=_TENANT), pairs)
        yield Row(f"set of {size} KB", promised, median(written), "ms", note="real documents, compressed")
        read = times_ms(lambda name: rt.cache.get(name, tenant=_TENANT), names)
        reads += read
        if size == 1:
            yield Row("get hit", 0.8, median(read), "ms", note="1 KB")
    yield Row("get, mean", 5, mean(reads), "ms", note="of 1, 10 and 100 KB")
    yield Row("get, p95", 10, percentile(reads, 0.95), "ms")
    yield Row("get, p99", 20, percentile(reads, 0.99), "ms")
    missing = times_ms(lambda n: rt.cache.get(f"missing-{n}", tenant=_TENANT), range(_TIMES))
    yield Row("get miss", 0.6, median(missing), "ms")


def _batches(rt: RipTide) -> Iterator[Row]:
    values = pieces(KB)[:10]
    batches = [{f"batch-{b}-{n}": value for n, value in enumerate(values)} for b in range(300)]
    written = times_ms(lambda batch: rt.cache.set_many(batch, tenant=_TENANT), batches)
    yield Row("batch set of 10", 2.5, median(written), "ms", note="1 KB each")
    read = times_ms(lambda batch: rt.cache.get_many(list(batch), tenant=_TENANT), batches)
    yield Row("batch get of 10", 1.9, median(read), "ms", note="1 KB each")


def _sessions(rt: RipTide) -> Iterator[Row]:
    data = {"cart": [17, 4], "step": "start", "language": "en"}
    made: list[str] = []
    users = [f"user-{n}" for n in range(500)]
    created = times_ms(lambda user: made.append(rt.sessions.create(user, data, tenant=_TENANT).id), users)
    yield Row("session create", 1.5, median(created), "ms")
    updated = times_ms(lambda each: rt.sessions.update(each, {"step": "end"}, tenant=_TENANT), made)
    yield Row("session update", 1.3, median(updated), "ms", note="one field")
