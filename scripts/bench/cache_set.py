"""Writing the cache: a set of 1 KiB that keeps the tenant's account and its caps.

The floor is redis-py's SET with a time to live, of a value of the same size under a key of the same length.
RipTide checks the tenant's record and its caps too, and keeps its account, all in one round trip.
"""

import hashlib
import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path

import redis

sys.path.insert(0, str(Path(__file__).parents[2]))

import riptide
from scripts.bench import harness

TIMES, TENANT = 3000, "acme"
_FULL_BYTES = 1024**2


def plain_key(name: str) -> str:
    """A key as long as those of RipTide."""
    return (
        f"floor:..:tenant:{{{TENANT}}}:default:{hashlib.blake2b(name.encode(), digest_size=16).hexdigest()}"
    )


def main() -> None:
    chosen = harness.options(__doc__, rounds=9)
    with harness.server(same_cpu=chosen.same_cpu) as url:
        harness.report(measured(url, chosen.rounds))


def measured(url: str, rounds: int) -> list[harness.Comparison]:
    plain = redis.Redis.from_url(url, protocol=2)
    value = os.urandom(1024)
    settings = harness.settings(url, "bench", tenants=True)
    found = []
    with riptide.connect(config=settings) as rt:
        rt.tenants.create(TENANT, quotas={"memory_bytes": 1024**3, "cache_entries": 10**9})
        rt.tenants.create("full", quotas={"memory_bytes": _FULL_BYTES})

        def compare(what: str, tenant: str, names: Callable[[], str], reach: str) -> None:
            comparison = harness.Comparison(what, "SET … EX", "us, p50", reach=reach)
            harness.interleave(
                rounds,
                comparison,
                lambda: harness.p50_us(lambda: plain.set(plain_key(names()), value, ex=3600), TIMES),
                lambda: harness.p50_us(lambda: rt.cache.set(names(), value, tenant=tenant), TIMES),
            )
            found.append(comparison)

        fresh = itertools.count()
        again = itertools.cycle(range(1000))
        compare("set of 1 KiB, new key", TENANT, lambda: f"new-{next(fresh)}", "<= 1.5")
        compare("set of 1 KiB, overwritten", TENANT, lambda: f"key-{next(again)}", "<= 1.5")
        compare("set of 1 KiB, cap reached", "full", lambda: f"new-{next(fresh)}", "-")
    return found


if __name__ == "__main__":
    main()
