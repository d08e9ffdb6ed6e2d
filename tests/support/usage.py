"""Usage under test: tenants that exist, workers that count, sums as an outsider sees them."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from commands import RecordUsage
from riptide.config import Settings
from riptide.store.keys import PARTITIONS, Keys
from riptide.streams.registry import CommandType
from riptide.streams.worker import Worker
from riptide.tenants.usage.counting import Counting
from tests.support.deployment import Deployment
from tests.support.workers import running_worker
from workers import HANDLERS

KIND = "record_usage"
TYPES = [CommandType(KIND, RecordUsage, HANDLERS[KIND])]
#: More than a test takes that counts by the hour or by the month.
_ROOM_SECONDS = 30.0
#: (tenant, period, generation, operation, metric) -> sum
Sums = Counter[tuple[str, str, int, str, str]]


def amid_an_hour() -> datetime:
    """Now. Where the hour is about to end, and at times the month, the next one is waited for: what is
    recorded from here on is of one hour."""
    while (left := 3600 - time.time() % 3600) < _ROOM_SECONDS:
        time.sleep(left)
    return datetime.now(UTC)


def month_before(moment: datetime, months: int = 1) -> datetime:
    """The last moment of an earlier month."""
    for _ in range(months):
        moment = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0) - timedelta(milliseconds=1)
    return moment


def make_tenants(client: Any, keys: Keys, tenants: Iterable[str]) -> None:
    """What usage asks of a tenant: that it has a record."""
    for tenant in tenants:
        client.hset(keys.record(tenant), mapping={"incarnation": "0" * 16, "status": "active"})


@asynccontextmanager
async def counting_worker(settings: Settings) -> AsyncIterator[Worker]:
    """A worker that carries out `record_usage` alone."""
    counting = Counting(Keys(settings.cache.key_prefix))
    async with running_worker(settings, TYPES, counting=counting) as worker:
        yield worker


def counted(client: Any, keys: Keys, tenants: Iterable[str]) -> Sums:
    """All sums, by a plain client."""
    sums: Sums = Counter()
    for tenant in tenants:
        for partition in PARTITIONS:
            for key in client.scan_iter(keys.usage(partition, tenant, "*"), count=1000):
                period = key.decode().rpartition(":")[2]
                if period == "seals":
                    continue
                for name, value in client.hgetall(key).items():
                    generation, operation, metric = name.decode().split("|")
                    sums[tenant, period, int(generation), operation, metric] += int(value)
    return sums


def by_month(sums: Sums) -> Sums:
    return Counter({key: value for key, value in sums.items() if "T" not in key[1]})


def reasons(deployment: Deployment) -> Counter[str]:
    """Why records went to the dead letters."""
    return Counter(letter[b"reason"].decode() for letter in deployment.letters(KIND))
