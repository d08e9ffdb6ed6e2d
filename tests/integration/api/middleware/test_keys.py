"""Callers that show API keys: their own tenant and no other, in one round trip."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

import riptide
from riptide.api.access.access import Access
from riptide.api.access.text import new_text
from riptide.clock import SystemClock
from riptide.reads import flushing
from tests.integration.api.middleware.conftest import Host, settings_of
from tests.servers import ServerProcess
from tests.support.asgi import Answer, call_wsgi, get
from tests.support.deployment import Deployment

from .test_admission import app, wsgi_app


@pytest.fixture
def service(host: Host) -> riptide.TenantMiddleware:
    return riptide.TenantMiddleware(app, rt=host.rt)


async def key(host: Host, role: str, tenant: str | None = None, **more: Any) -> str:
    return (await Access(host.rt).create("a service", role=role, tenant=tenant, **more)).text


async def ask(service: Any, text: str | None, tenant: str = "acme", **headers: str) -> Answer:
    if text is not None:
        headers["authorization"] = f"Bearer {text}"
    return await get(service, x_tenant_id=tenant, **headers)


async def test_whom_each_key_may_act_for(service: Any, host: Host) -> None:
    own, admin = await key(host, "tenant", "acme"), await key(host, "admin")
    shown: tuple[str | None, ...] = (None, "rt_x", own[:-1] + ("0" if own[-1] != "0" else "1"))
    viewer, narrow = await key(host, "viewer"), await key(host, "tenant", "acme", scopes=["billing:read"])
    for _ in range(2):  # the second time they are known
        for text in (own, admin):
            assert (await ask(service, text)).body == b"acme"
        assert (await ask(service, None, x_api_key=own)).body == b"acme"
        foreign, unknown = await ask(service, own, "tiny"), await ask(service, own, "nobody-there")
        refused = [foreign, unknown, await ask(service, viewer), await ask(service, narrow)]
        refused.append(await ask(service, admin, "nobody-there"))
        assert {(one.status, one.problem) for one in refused} == {(403, "tenant-forbidden")}
        assert len({one.body for one in refused}) == 1
        for wrong in shown:
            nobody = await ask(service, wrong)
            assert (nobody.status, nobody.problem) == (401, "unauthenticated")
            assert nobody["www-authenticate"].startswith("Bearer")
    assert (await get(service, authorization=f"Bearer {own}")).problem == "tenant-missing"
    assert await host.usage() == (6, 24)


async def test_a_key_that_somebody_made_up_takes_nothing_of_a_quota(service: Any, host: Host) -> None:
    mine = await key(host, "tenant", "tiny")
    forged = new_text(mine.removeprefix("rt_").rpartition("_")[0])
    for _ in range(5):
        assert (await ask(service, forged, "tiny")).status == 401
    assert [(await ask(service, mine, "tiny")).status for _ in range(4)] == [200, 200, 200, 429]


@pytest.mark.parametrize("leased", ["no", "by option", "by setting"])
async def test_who_is_known_costs_one_round_trip_or_none(
    host: Host, monkeypatch: pytest.MonkeyPatch, leased: str
) -> None:
    lease, now = leased != "no", time.monotonic()
    monkeypatch.setattr(SystemClock, "monotonic", lambda _: now)  # no lease ends meanwhile
    service = riptide.TenantMiddleware(app, rt=host.rt, lease=True if leased == "by option" else None)
    if leased == "by setting":  # it is live
        monkeypatch.setitem(host.settings.api.__dict__, "middleware_leases", True)
    text, sent = await key(host, "tenant", "acme"), []
    assert (await ask(service, text)).status == 200
    transport: Any = host.rt.store.transport
    exchange = transport._exchange

    async def counted(*args: Any) -> Any:
        sent.append(args)
        return await exchange(*args)

    monkeypatch.setattr(transport, "_exchange", counted)
    for _ in range(3):
        assert (await ask(service, text)).status == 200
    assert len(sent) == (1 if lease else 3)


async def test_a_revoked_key_is_refused_at_once(service: Any, host: Host) -> None:
    text = await key(host, "tenant", "acme")
    assert (await ask(service, text)).status == 200
    await Access(host.rt).revoke(text.removeprefix("rt_").rpartition("_")[0])
    assert [(await ask(service, text)).status for _ in range(2)] == [401, 401]


async def test_the_twin_asks_for_keys_too(host: Host) -> None:
    text = await key(host, "tenant", "tiny")

    def run() -> list[int]:
        with riptide.connect(config=host.settings) as rt:
            service = riptide.TenantWSGIMiddleware(wsgi_app, rt=rt)
            own = [call_wsgi(service, x_tenant_id="tiny", authorization=f"Bearer {text}") for _ in range(4)]
            others = [
                call_wsgi(service, x_tenant_id="acme", x_api_key=text),
                call_wsgi(service, x_tenant_id="tiny"),
            ]
            return [one.status for one in (*own, *others)]

    assert await asyncio.to_thread(run) == [200, 200, 200, 429, 403, 401]


async def test_without_the_server_known_keys_are_believed(
    private_server: Callable[..., ServerProcess], prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flushing, "LAST_SECONDS", 0.0)
    server = private_server(aof=False)
    deployment = Deployment(server.url, prefix)
    settings = settings_of(deployment, redis={"retry_attempts": 0})
    async with await riptide.aconnect(config=settings) as rt:
        await rt.tenants.create("acme")
        host = Host(deployment, settings, rt)
        known, new = await key(host, "tenant", "acme"), await key(host, "tenant", "acme")
        services = [riptide.TenantMiddleware(app, rt=rt, lease=lease) for lease in (False, True)]
        for service in services:
            assert (await ask(service, known)).status == 200
        await asyncio.to_thread(server.kill)
        for service in services:
            for _ in range(2):
                assert (await ask(service, known)).body == b"acme"
            assert (await ask(service, known, "tiny")).status == 403
            cannot = await ask(service, new)
            assert (cannot.status, cannot.problem) == (503, "server-unavailable")
    deployment.close()
