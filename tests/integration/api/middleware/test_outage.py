"""The server is away: requests go by the policy, usage waits, and is published once."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

import riptide
from riptide.errors import ServerUnavailable
from riptide.metrics import render
from riptide.reads import flushing
from tests.integration.api.middleware.conftest import published, settings_of
from tests.servers import ServerProcess
from tests.support.asgi import get
from tests.support.deployment import Deployment
from tests.support.scrape import Scrape
from tests.support.usage import amid_an_hour
from tests.support.waiting import aeventually

from .test_admission import app

IMPATIENT = {"retry_attempts": 0}


def dropped() -> float:
    value = Scrape(render().decode()).value("riptide_usage_dropped_total", {"reason": "refused"})
    assert value is not None
    return value


@pytest.mark.parametrize("lease", [False, True])
async def test_usage_waits_bounded_and_is_published_once(
    private_server: Callable[..., ServerProcess], prefix: str, *, lease: bool
) -> None:
    amid_an_hour()  # sums are those of an hour
    server = private_server()
    deployment = Deployment(server.url, prefix)
    settings = settings_of(deployment, redis=IMPATIENT, api={"usage_max_waiting": 3})
    before = dropped()
    async with await riptide.aconnect(config=settings) as rt:
        for name in ("one", "two", "three", "four"):
            await rt.tenants.create(name, quotas={"data_per_minute_bytes": 10})
        service = riptide.TenantMiddleware(app, rt=rt, keys=False, lease=lease)
        assert (await get(service, x_tenant_id="one")).status == 200
        await asyncio.to_thread(server.kill)
        for _ in range(2):
            answers = [await get(service, x_tenant_id=name) for name in ("one", "two", "three", "four")]
            assert [one.status for one in answers] == [200] * 4
            assert not any(one.has("ratelimit") for one in answers[1:])
            with pytest.raises(ServerUnavailable):
                await rt.usage.flush()
        assert (rt.usage.waiting, rt.usage.refused) == (3, 2), "of the fourth nothing is counted"
        assert dropped() == before + 2
        await asyncio.to_thread(server.start)

        async def flushed() -> bool:
            with suppress(ServerUnavailable):  # a while passes until it is asked again
                await rt.usage.flush()
            return rt.usage.waiting == 0

        await aeventually(flushed, "the server to be asked again")
        await rt.usage.flush()
        sums = published(deployment)
        told = [sums[name, "http.request", "operation_count"] for name in ("one", "two", "three", "four")]
        assert told == [3, 2, 2, 0]
    deployment.close()


async def test_where_the_policy_is_closed_nothing_passes(
    private_server: Callable[..., ServerProcess], prefix: str
) -> None:
    server = private_server(aof=False)
    deployment = Deployment(server.url, prefix)
    settings = settings_of(
        deployment, redis=IMPATIENT, tenant={"outage_policy": {"operations_per_minute": "closed"}}
    )
    async with await riptide.aconnect(config=settings) as rt:
        await rt.tenants.create("acme")
        service = riptide.TenantMiddleware(app, rt=rt, keys=False)
        await asyncio.to_thread(server.kill)
        refused = await get(service, x_tenant_id="acme")
        assert (refused.status, refused.problem) == (503, "server-unavailable")
        assert refused["retry-after"] == "1"
    deployment.close()


async def test_what_cannot_be_published_at_the_end_is_told(
    private_server: Callable[..., ServerProcess], prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flushing, "LAST_SECONDS", 0.0)
    server = private_server(aof=False)
    deployment = Deployment(server.url, prefix)
    for connect in (_aio, _sync):
        if not server.running:
            await asyncio.to_thread(server.start)
        with capture_logs() as lines:
            await connect(settings_of(deployment, redis=IMPATIENT), server)
        told = [line["event"] for line in lines if line["event"].startswith("usage_")]
        assert told == ["usage_flush_failed", "usage_lost"], lines
    deployment.close()


async def _aio(settings: Any, server: ServerProcess) -> None:
    async with await riptide.aconnect(config=settings) as rt:
        rt.usage.note("acme", "page")
        await asyncio.to_thread(server.kill)


async def _sync(settings: Any, server: ServerProcess) -> None:
    def run() -> None:
        with riptide.connect(config=settings) as rt:
            rt.usage.note("acme", "page")
            server.kill()

    await asyncio.to_thread(run)
