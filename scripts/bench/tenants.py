"""Ten thousand tenants against ten: p99 of creating one, showing one, and listing a page."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import redis

sys.path.insert(0, str(Path(__file__).parents[2]))

import riptide
from riptide.store.keys import Keys
from scripts.bench import harness
from scripts.bench.harness import Comparison

FEW, MANY = 10, 10_000
_SAMPLES = 300


class Side:
    """A deployment with so many tenants, under a prefix of its own on the benchmark's server."""

    def __init__(self, url: str, count: int) -> None:
        self._keys, self._count = Keys(f"with{count}"), count
        plain = harness.settings(url, self._keys.prefix)
        tenant = plain.tenant.model_copy(update={"enabled": True, "max_tenants": 10 * MANY})
        self.rt = riptide.connect(config=plain.model_copy(update={"tenant": tenant}))
        self._client = redis.Redis.from_url(url)
        for number in range(count):
            self.rt.tenants.create(f"t{number:05}", plan="basic")

    def create(self) -> float:
        names = [f"new{number}" for number in range(_SAMPLES)]
        found = p99_ms(self.rt.tenants.create(name, plan="basic") for name in names)
        for name in names:  # so that there are as many as before
            self._client.zrem(self._keys.control("tenants"), name)
            self._client.delete(self._keys.record(name), self._keys.audit(name))
        return found

    def show(self) -> float:
        return p99_ms(self.rt.tenants.show(f"t{number % self._count:05}") for number in range(_SAMPLES))

    def list(self) -> float:
        """As many on a page from both sides."""
        return p99_ms(self.rt.tenants.list(limit=FEW) for _ in range(_SAMPLES))

    def close(self) -> None:
        self.rt.close()
        self._client.close()


def p99_ms(calls: Iterator[object]) -> float:
    samples = []
    while True:
        started = time.perf_counter()
        try:
            next(calls)
        except StopIteration:
            break
        samples.append(time.perf_counter() - started)
    return sorted(samples)[int(len(samples) * 0.99)] * 1000


def main() -> None:
    asked = harness.options(__doc__, rounds=7)
    with harness.server(same_cpu=asked.same_cpu) as url:
        few, many = Side(url, FEW), Side(url, MANY)
        comparisons = []
        for name in ("create", "show", "list"):
            reach = "< 100 ms, ratio 1" if name == "create" else "ratio 1"
            comparison = Comparison(f"{name}, p99", f"with {FEW} tenants", "ms", reach=reach)
            harness.interleave(asked.rounds, comparison, getattr(few, name), getattr(many, name))
            comparisons.append(comparison)
        harness.report(comparisons)
        few.close()
        many.close()


if __name__ == "__main__":
    main()
