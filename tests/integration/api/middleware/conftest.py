"""A host service's side: settings, tenants, usage as it was published."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic_core import from_json

from riptide.config import ApiSettings, Settings
from riptide.reads.aio_client import AsyncRipTide, aconnect
from tests.support.deployment import Deployment
from tests.support.fixtures import alone, deployment, on_valkey

__all__ = ["alone", "deployment", "on_valkey"]

KIND = "record_usage"


def settings_of(deployment: Deployment, *, api: dict[str, Any] | None = None, **sections: Any) -> Settings:
    """With multi-tenancy on."""
    sections["tenant"] = {"enabled": True} | sections.get("tenant", {})
    plain = deployment.settings(**sections)
    # Flushed by the test itself, or at the end.
    flushing = {"usage_flush_seconds": 3600.0} | (api or {})
    return plain.model_copy(update={"api": ApiSettings(**(plain.api.model_dump() | flushing))})


def published(deployment: Deployment) -> Counter[tuple[str, str, str]]:
    """(tenant, operation, amount) -> sum, of all records in the streams."""
    sums: Counter[tuple[str, str, str]] = Counter()
    for _, _, fields in deployment.entries(KIND):
        body = from_json(fields[b"body"])
        tenant, operation = fields[b"tenant"].decode(), body.pop("operation")
        body.pop("at", None)
        for name, amount in body.items():
            sums[tenant, operation, name] += amount
    return sums


@dataclass
class Host:
    deployment: Deployment
    settings: Settings
    rt: AsyncRipTide

    async def usage(self, tenant: str = "acme", operation: str = "http.request") -> tuple[int, int]:
        """Operations and bytes, published by now."""
        await self.rt.usage.flush()
        sums = published(self.deployment)
        return sums[tenant, operation, "operation_count"], sums[tenant, operation, "data_bytes"]


@pytest.fixture
async def host(on_valkey: Deployment) -> AsyncIterator[Host]:
    """With tenants `acme`, without limits, and `tiny`, of three operations a minute."""
    settings = settings_of(on_valkey)
    async with await aconnect(config=settings) as rt:
        await rt.tenants.create("acme", quotas={"operations_per_minute": -1})
        await rt.tenants.create("tiny", quotas={"operations_per_minute": 3})
        yield Host(on_valkey, settings, rt)
