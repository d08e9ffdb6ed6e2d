"""Statistics under test: a worker that adds reports up, and what an outsider finds of them."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import riptide
from commands import RecordAccess
from riptide.cache.access.counting import AccessCounting
from riptide.cache.access.statistics import Statistics
from riptide.config import Settings
from riptide.store.keys import PARTITIONS, Keys, partition_of
from riptide.streams.registry import CommandType
from tests.support.deployment import Deployment
from tests.support.waiting import aeventually
from tests.support.workers import running_worker
from workers import HANDLERS

KIND = "record_access"
TYPE = CommandType(KIND, RecordAccess, HANDLERS[KIND])
ON: dict[str, Any] = {"tenant": {"enabled": True}, "streams": {"archive": False}}


def counting_for(settings: Settings) -> AccessCounting:
    return AccessCounting(Keys(settings.cache.key_prefix), settings.tenant, settings.cache)


def add(
    deployment: Deployment,
    tenant: str,
    *,
    partition: str | None = None,
    at_ms: int | None = None,
    **body: Any,
) -> str:
    """A report by a bare XADD; `at_ms` is the time that its entry id claims."""
    stream = deployment.keys.commands(KIND, partition or partition_of(tenant))
    fields = {"tenant": tenant, "body": json.dumps(body)}
    entry: bytes = deployment.client.xadd(stream, fields, id="*" if at_ms is None else f"{at_ms}-*")
    return entry.decode()


async def drain(deployment: Deployment, settings: Settings) -> None:
    """Carry out all reports that wait."""

    async def at_rest() -> bool:
        return await asyncio.to_thread(deployment.at_rest, KIND)

    async with running_worker(settings, [TYPE], accesses=counting_for(settings)):
        await aeventually(at_rest, "all reports to be counted")


def statistics(settings: Settings, tenant: str) -> Statistics:
    with riptide.connect(config=settings) as rt:
        return rt.cache.statistics(tenant)


def keys_of(deployment: Deployment, tenants: Iterable[str]) -> set[str]:
    """Keys that hold statistics of them."""
    return {
        key
        for tenant in tenants
        for partition in PARTITIONS
        for key in (
            deployment.keys.access(partition, tenant),
            deployment.keys.access_processes(partition, tenant),
            deployment.keys.popular(partition, tenant),
            deployment.keys.load_times(partition, tenant),
        )
        if deployment.client.exists(key)
    }
