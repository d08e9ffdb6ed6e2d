"""Every endpoint by every role: exactly the documented access."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from commands import PurgeTenant
from riptide.api.openapi import endpoints
from tests.integration.api.conftest import OTHER, TENANT, Api, started
from tests.support.deployment import Deployment

ALL, OPERATING, ADMIN = {"viewer", "operator", "admin"}, {"operator", "admin"}, {"admin"}
OWN, NEVER = "own", "never"
REF, CHECKPOINT, KEY = "warm.10.1763700000000-0", "20261120T120500Z-1f3a9c07", "4f9a0c2b71d3"
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Row:
    """Who may call it besides tenants; and whether a tenant's key may, for its own tenant."""

    roles: set[str]
    tenant: str = NEVER
    #: `{}` stands for the tenant that it is about.
    url: str = ""
    body: Any = None


def read(url: str) -> Row:
    return Row(ALL, OWN, url)


#: Written by hand, from the docs: what the code says of itself proves nothing.
TABLE = {
    "GET /admin/tenants": Row(ALL, "filtered", "/admin/tenants"),
    "POST /admin/tenants": Row(ADMIN, body={}),
    "GET /admin/tenants/{tenant_id}": read("/admin/tenants/{}"),
    "PUT /admin/tenants/{tenant_id}": Row(ADMIN, url="/admin/tenants/{}", body={}),
    "DELETE /admin/tenants/{tenant_id}": Row(ADMIN, url="/admin/tenants/nobody"),
    "POST /admin/tenants/{tenant_id}/suspend": Row(OPERATING, url="/admin/tenants/nobody/suspend"),
    "POST /admin/tenants/{tenant_id}/resume": Row(OPERATING, url="/admin/tenants/{}/resume"),
    "GET /admin/tenants/{tenant_id}/usage": read("/admin/tenants/{}/usage"),
    "GET /admin/tenants/{tenant_id}/quotas": read("/admin/tenants/{}/quotas"),
    "GET /admin/tenants/{tenant_id}/billing": read("/admin/tenants/{}/billing"),
    "GET /admin/tenants/{tenant_id}/invoices": read("/admin/tenants/{}/invoices"),
    "GET /admin/tenants/{tenant_id}/export": Row(ADMIN, OWN, "/admin/tenants/{}/export"),
    "GET /admin/tenants/{tenant_id}/policies": read("/admin/tenants/{}/policies"),
    "POST /admin/tenants/{tenant_id}/policies": Row(ADMIN, url="/admin/tenants/{}/policies", body={}),
    "DELETE /admin/tenants/{tenant_id}/policies": Row(ADMIN, url="/admin/tenants/{}/policies"),
    "GET /admin/cache/stats": read("/admin/cache/stats?tenant={}"),
    "POST /admin/cache/warm": Row(OPERATING, url="/admin/cache/warm?tenant={}", body={"keys": ["k"]}),
    "POST /admin/cache/invalidate": Row(
        OPERATING, url="/admin/cache/invalidate?tenant={}", body={"keys": ["k"]}
    ),
    "POST /admin/cache/clear": Row(OPERATING, url="/admin/cache/clear?tenant={}"),
    "GET /admin/state/current": Row(ALL),
    "POST /admin/state/reload": Row(OPERATING),
    "GET /admin/state/checkpoints": Row(ALL),
    "POST /admin/state/checkpoint": Row(OPERATING),
    "POST /admin/state/restore": Row(ADMIN, body={"checkpoint": CHECKPOINT}),
    "POST /admin/state/restore/{checkpoint}": Row(ADMIN, url=f"/admin/state/restore/{CHECKPOINT}"),
    "GET /admin/streams": Row(ALL),
    "GET /admin/dead": Row(ALL),
    "POST /admin/dead/retry": Row(OPERATING, body={"all": True}),
    "POST /admin/dead/drop": Row(OPERATING, body={"all": True}),
    "GET /admin/audit": Row(OPERATING),
    "GET /admin/keys": Row(ADMIN),
    "POST /admin/keys": Row(ADMIN, body={}),
    "GET /admin/keys/{key_id}": Row(ADMIN, url=f"/admin/keys/{KEY}"),
    "DELETE /admin/keys/{key_id}": Row(ADMIN, url=f"/admin/keys/{KEY}"),
    "POST /admin/keys/{key_id}/rotate": Row(ADMIN, url=f"/admin/keys/{KEY}/rotate"),
    "POST /commands/warm": Row(OPERATING, OWN, "/commands/warm?tenant={}", {"keys": ["k"]}),
    "POST /commands/invalidate": Row(OPERATING, OWN, "/commands/invalidate?tenant={}", {"all": True}),
    "POST /commands/record_usage": Row(
        OPERATING, OWN, "/commands/record_usage?tenant={}", {"operation": "a"}
    ),
    "POST /commands/record_access": Row(OPERATING, OWN, "/commands/record_access?tenant={}", {"hits": 1}),
    "POST /commands/checkpoint": Row(OPERATING, url="/commands/checkpoint?tenant={}", body={}),
    "POST /commands/restore": Row(ADMIN, url="/commands/restore?tenant={}", body={"checkpoint": "x"}),
    "POST /commands/reload": Row(OPERATING, url="/commands/reload?tenant={}", body={}),
    "POST /commands/purge_tenant": Row(ADMIN, url="/commands/purge_tenant?tenant={}", body={}),
    "POST /commands/spill": Row(OPERATING, url="/commands/spill?tenant={}", body={}),
    "POST /commands/close_period": Row(
        OPERATING, url="/commands/close_period?tenant={}", body={"period": "2026-01"}
    ),
    "POST /commands/notify": Row(OPERATING, url="/commands/notify?tenant={}", body={}),
    "POST /commands/{kind:kind}": Row(OPERATING, "filtered", "/commands/nonsense"),
    "GET /commands/{ref:ref}": Row(ALL, "filtered", f"/commands/{REF}"),
    "DELETE /commands/{ref:ref}": Row(OPERATING, "filtered", f"/commands/{REF}"),
    "GET /health": Row(ALL, "filtered"),
    "GET /health/ready": Row(ALL, "filtered"),
    "GET /openapi.json": Row(ALL, "filtered"),
    "GET /metrics": Row(ALL),
}
OPEN = "GET /health/live"


def test_every_endpoint_is_in_the_table(api: Api) -> None:
    """Those of the test's own commands are like others of a tenant."""
    found = {f"{method} {route.path}" for method, route in endpoints(api.app)}
    own = {f"POST /commands/{kind}" for kind in api.app.state.desk.models} - set(TABLE)
    assert found - own - {OPEN} == set(TABLE)


async def test_each_role_may_do_what_is_documented_and_no_more(api: Api) -> None:
    wrong = []
    for role in (None, "viewer", "operator", "admin", "tenant"):
        async with api.by(role) as client:
            for name, row in TABLE.items():
                for tenant in (TENANT, OTHER):
                    answer = await _call(client, name, row, tenant)
                    if _allowed(answer) != _expected(row, role, tenant) or (
                        role is None and answer.status_code != 401
                    ):
                        wrong.append((name, role, tenant, answer.status_code, answer.text))
    assert wrong == []


async def test_only_whether_it_lives_is_open(api: Api) -> None:
    async with api.by(None) as client:
        assert (await client.get("/health/live")).status_code == 200


def _expected(row: Row, role: str | None, tenant: str) -> bool:
    if role == "tenant":
        return row.tenant == "filtered" or (row.tenant == OWN and tenant == TENANT)
    return role in row.roles


def _allowed(answer: httpx.Response) -> bool:
    return answer.status_code not in {401, 403}


async def _call(client: httpx.AsyncClient, name: str, row: Row, tenant: str) -> httpx.Response:
    method, path = name.split()
    url = (row.url or path).replace("{}", tenant)
    return await client.request(method, url, json=row.body, headers=JSON if row.body is not None else {})


async def test_a_tenant_sees_nothing_of_others(api: Api) -> None:
    theirs = await api.rt.usage.record(OTHER, "page.render")
    own = await api.rt.usage.record(TENANT, "page.render")
    purge = await api.rt.publish(PurgeTenant(incarnation="one"), tenant=TENANT)
    async with api.by("tenant") as client:
        listed = (await client.get("/admin/tenants")).json()
        assert [one["tenant_id"] for one in listed["tenants"]] == [TENANT]
        assert (await client.get(f"/commands/{theirs}")).status_code == 404
        assert (await client.delete(f"/commands/{theirs}")).status_code == 404
        assert (await client.delete(f"/commands/{purge}")).status_code == 404
        assert (await client.delete(f"/commands/{own}")).status_code == 403, "a bill is not for the billed"
        assert (await client.get(f"/commands/{own}")).json()["state"] == "queued"
        two = await client.get(f"/admin/cache/stats?tenant={TENANT}&tenant={OTHER}")
        assert two.status_code == 422
        for trick in (
            f"{OTHER}%2f..%2f{TENANT}",
            f"{TENANT}%2f..%2f{OTHER}",
            f"..%2f{OTHER}",
            f"{TENANT}%00",
        ):
            assert (await client.get(f"/admin/tenants/{trick}")).status_code in {403, 404, 422}
        every = {"source": "popular", "every_tenant": True}
        refused = await client.post(f"/commands/warm?tenant={TENANT}", json=every)
        assert refused.status_code == 403


async def test_without_roles_a_tenant_still_reaches_itself_alone(on_valkey: Deployment, blobs: Path) -> None:
    every = {"source": "popular", "every_tenant": True}
    async with started(on_valkey, blobs, security={"enable_rbac": False}) as api, api.by("tenant") as client:
        for path in ("/admin/cache/warm", "/commands/warm"):
            url = f"{path}?tenant={TENANT}"
            assert (await client.post(url, json={"source": "popular"})).status_code == 202
            assert (await client.post(url, json=every)).status_code == 403
