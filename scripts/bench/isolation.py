"""What isolation adds to a get of 1 KiB: a tenant's own keys, record and shards; and encryption.

Floors: redis-py's GET of a value of the same size under a key of the same length; for encryption, RipTide's
get of the same value of a tenant that is not encrypted.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import redis
from pydantic import SecretStr

sys.path.insert(0, str(Path(__file__).parents[2]))

import riptide
from riptide.config import Settings
from riptide.tenants.keyring.master import new_master_key
from scripts.bench import harness
from scripts.bench.cache_get import TENANT, TIMES, plain_key

ENCRYPTED = "secret"


def encrypting(url: str, blobs: str) -> Settings:
    plain = harness.settings(url, "bench", tenants=True)
    security = plain.security.model_copy(update={"encryption_key": SecretStr(new_master_key())})
    return plain.model_copy(
        update={
            "tenant": plain.tenant.model_copy(update={"enable_encryption": True}),
            "security": security,
            "blobs": plain.blobs.model_copy(update={"url": blobs}),
        }
    )


def p50_and_p99_us(action: Callable[[], object]) -> tuple[float, float]:
    samples = []
    for _ in range(TIMES):
        started = time.perf_counter()
        action()
        samples.append((time.perf_counter() - started) * 1e6)
    return statistics.median(samples), statistics.quantiles(samples, n=100)[98]


def main() -> None:
    chosen = harness.options(__doc__, rounds=9)
    with harness.server(same_cpu=chosen.same_cpu) as url, tempfile.TemporaryDirectory() as blobs:
        harness.report(measured(encrypting(url, blobs), url, chosen.rounds))


def measured(settings: Settings, url: str, rounds: int) -> list[harness.Comparison]:
    plain, value = redis.Redis.from_url(url, protocol=2), os.urandom(1024)
    middle = harness.Comparison("get of a tenant", "GET", "us, p50", reach="<= 1.25")
    worst = harness.Comparison("get of a tenant", "GET", "us, p99", reach="+ 1000")
    locked = harness.Comparison("get of an encrypted tenant", "of another", "us, p50", reach="<= 1.2")
    with riptide.connect(config=settings) as rt:
        rt.tenants.create(TENANT)
        rt.tenants.create(ENCRYPTED, settings={"encryption_enabled": True})
        plain.set(plain_key("key"), value)
        for tenant in (TENANT, ENCRYPTED):
            rt.cache.set("key", value, tenant=tenant)
        raw = partial(plain.get, plain_key("key"))
        ours, secret = (partial(rt.cache.get, "key", tenant=tenant) for tenant in (TENANT, ENCRYPTED))
        if not raw() == ours() == secret() == value:
            sys.exit("RipTide and the floor do not yield the same value")
        for number in range(rounds + 1):
            floor, own, encrypted = (p50_and_p99_us(action) for action in (raw, ours, secret))
            if number:  # the first one warms up
                middle.pairs.append((floor[0], own[0]))
                worst.pairs.append((floor[1], own[1]))
                locked.pairs.append((own[0], encrypted[0]))
    return [middle, worst, locked]


if __name__ == "__main__":
    main()
