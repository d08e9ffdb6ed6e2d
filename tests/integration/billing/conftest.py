"""Fixtures from tests/support, and tenants that had a plan last month."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import riptide
from commands import RecordUsage
from tests.support.deployment import Deployment
from tests.support.fixtures import alone, deployment, on_valkey
from tests.support.usage import KIND, counting_worker
from tests.support.waiting import aeventually

__all__ = ["alone", "deployment", "on_valkey"]

NOW = datetime.now(UTC)
THIS = NOW.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
LAST = (THIS - timedelta(days=1)).replace(day=1)
BEFORE = (LAST - timedelta(days=1)).replace(day=1)


def named(month: datetime) -> str:
    return f"{month:%Y-%m}"


def this_month() -> str:
    """By now: it may have begun since these tests were collected."""
    return named(datetime.now(UTC))


@dataclass
class Office:
    """A deployment with multi-tenancy, and what a bookkeeper does in it."""

    place: Deployment
    rt: riptide.RipTide

    def tenant(self, name: str, plan: str = "basic", since: datetime = BEFORE) -> str:
        """A tenant that has had `plan` for long."""
        self.rt.tenants.create(name, plan=plan)
        self.plans(name, [(since, plan)])
        return name

    def plans(self, name: str, history: list[tuple[datetime, str]]) -> None:
        told = [[round(since.timestamp() * 1000), plan] for since, plan in history]
        self.place.client.hset(self.place.keys.record(name), "plans", json.dumps(told))

    def used(self, tenant: str, month: datetime, **amounts: int) -> None:
        """Publish a record, and have it counted."""
        at = round((month + timedelta(days=3)).timestamp() * 1000)
        self.rt.publish(RecordUsage(operation="render", at=at, **amounts), tenant=tenant)
        asyncio.run(self._count())

    async def _count(self) -> None:
        async def at_rest() -> bool:
            return await asyncio.to_thread(self.place.at_rest, KIND)

        async with counting_worker(self.place.settings(tenant={"enabled": True})):
            await aeventually(at_rest, "all to be counted")


@pytest.fixture
def open_office() -> Iterator[Callable[..., Office]]:
    with ExitStack() as stack:

        def open_one(place: Deployment, **sections: Any) -> Office:
            sections["tenant"] = {"enabled": True} | sections.get("tenant", {})
            rt = stack.enter_context(riptide.connect(config=place.settings(**sections)))
            return Office(place, rt)

        yield open_one


@pytest.fixture
def office(deployment: Deployment, open_office: Callable[..., Office]) -> Office:
    """On each kind of server."""
    return open_office(deployment)


@pytest.fixture
def one_office(on_valkey: Deployment, open_office: Callable[..., Office]) -> Office:
    """Where the kind of server makes no difference."""
    return open_office(on_valkey)
