"""Quotas of bytes: charged when they were sent, as they fit; what is owed is paid before more is given."""

from typing import Any

import riptide
from riptide.tenants.quotas.quotas import Quotas
from tests.integration.api.middleware.conftest import settings_of
from tests.support.asgi import get
from tests.support.deployment import Deployment
from tests.support.usage import amid_an_hour
from tests.support.waiting import aeventually


async def kilobyte(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"k" * 1000})


async def test_a_tenant_that_owes_bytes_gets_nothing_until_it_has_paid(deployment: Deployment) -> None:
    amid_an_hour()  # and so a month
    settings = settings_of(deployment)
    async with await riptide.aconnect(config=settings) as rt:
        # Windows of two seconds, so that a debt is paid while the test waits.
        short = Quotas(rt._keys, settings, rt.cache.core.tenants, rt.tenants._registry, 2)
        rt.quotas._charges._quotas = short  # type: ignore[union-attr]
        await rt.tenants.create("acme", quotas={"data_per_minute_bytes": 2500, "data_transfer_bytes": 4000})
        app = riptide.TenantMiddleware(kilobyte, rt=rt, keys=False)
        for _ in range(3):  # nothing was charged yet
            assert (await get(app, x_tenant_id="acme")).status == 200
        await rt.usage.flush()
        refused = await get(app, x_tenant_id="acme")
        assert (refused.status, refused.problem) == (429, "quota-exceeded")
        assert refused.json()["violated-policies"] == ["bytes"]
        assert 1 <= int(refused["retry-after"]) <= 4
        assert refused["ratelimit-policy"] == '"bytes";q=2500;w=60, "transfer";q=4000'
        assert '"bytes";r=0;t=' in refused["ratelimit"]
        held = {one.resource: one.standing for one in await rt.quotas.show("acme")}
        assert (held["data_per_minute_bytes"].used, held["data_transfer_bytes"].used) == (2500, 3000)

        async def paid() -> bool:
            await rt.usage.flush()
            return (await get(app, x_tenant_id="acme")).status == 200

        await aeventually(paid, "the debt of 500 bytes to be paid")
        await aeventually(paid, "the next one to be, too")
        await rt.usage.flush()  # five responses of the month's four: that does not come back
        for_month = await get(app, x_tenant_id="acme")
        assert "transfer" in for_month.json()["violated-policies"]
        assert int(for_month["retry-after"]) > 4
        held = {one.resource: one.standing for one in await rt.quotas.show("acme")}
        assert held["data_transfer_bytes"].used == 4000
        await rt.tenants.update("acme", quotas={"data_transfer_bytes": -1, "data_per_minute_bytes": -1})
        await rt.usage.flush()
        assert (await get(app, x_tenant_id="acme")).status == 200


async def test_nothing_is_written_of_a_tenant_that_is_not_there(deployment: Deployment) -> None:
    settings = settings_of(deployment)
    async with await riptide.aconnect(config=settings) as rt:
        await rt.tenants.create("acme")
        await rt.tenants.suspend("acme")
        for tenant in ("acme", "ghost"):
            rt.quotas.charge(tenant, 100)
        await rt.usage.flush()
        assert rt.quotas.owing("acme") is None
        for tenant in ("acme", "ghost"):
            assert not deployment.client.exists(deployment.keys.quota(tenant, "data_transfer_bytes"))


async def test_rates_that_are_switched_off_are_not_charged(on_valkey: Deployment) -> None:
    settings = settings_of(on_valkey, security={"enable_rate_limiting": False})
    async with await riptide.aconnect(config=settings) as rt:
        await rt.tenants.create("acme", quotas={"data_per_minute_bytes": 1})
        rt.quotas.charge("acme", 100)
        await rt.usage.flush()
        assert rt.quotas.owing("acme") is None
        assert on_valkey.client.exists(on_valkey.keys.quota("acme", "data_transfer_bytes"))
        assert not on_valkey.client.exists(on_valkey.keys.quota("acme", "data_per_minute_bytes"))
