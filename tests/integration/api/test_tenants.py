"""`/admin/tenants` and what belongs to one."""

import json

from tests.integration.api.conftest import TENANT, Api

NEW = {"name": "Shop", "owner_email": "ops@shop.example", "owner_name": "Ada", "billing_plan": "basic"}


async def test_a_tenant_from_beginning_to_end(api: Api) -> None:
    async with api.by("admin") as client:
        made = await client.post("/admin/tenants", json=NEW | {"id": "shop", "quotas": {"memory_bytes": 99}})
        assert made.status_code == 201
        assert made.headers["Location"] == "/admin/tenants/shop"
        facts = made.json()
        assert (facts["tenant_id"], facts["name"], facts["status"]) == ("shop", "Shop", "active")
        assert facts["created_at"].endswith("Z")
        assert facts["owner"]["email"] == "ops@shop.example"
        assert facts["limits"]["memory_bytes"] == 99
        again = await client.post("/admin/tenants", json=NEW | {"id": "shop"})
        assert (again.status_code, again.json()["type"]) == (409, "urn:riptide:problem:tenant-exists")

        tag = made.headers["ETag"]
        same = await client.get("/admin/tenants/shop", headers={"If-None-Match": f'"x", W/{tag}'})
        assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
        changed = await client.put(
            "/admin/tenants/shop", json={"billing_plan": "professional"}, headers={"If-Match": tag}
        )
        assert changed.status_code == 200
        assert changed.json()["billing_plan"] == "professional"
        late = await client.put("/admin/tenants/shop", json={"name": "Late"}, headers={"If-Match": tag})
        assert (late.status_code, late.json()["type"]) == (412, "urn:riptide:problem:tenant-changed")
        stale = await client.delete("/admin/tenants/shop", headers={"If-Match": tag})
        assert stale.status_code == 412
        now = await client.get("/admin/tenants/shop", headers={"If-None-Match": tag})
        assert (now.status_code, now.headers["ETag"]) == (200, changed.headers["ETag"])

        held = await client.post("/admin/tenants/shop/suspend", json={"why": "unpaid"})
        assert (held.json()["status"], held.json()["why"]) == ("suspended", "unpaid")
        assert (await client.post("/admin/tenants/shop/resume")).json()["status"] == "active"

        gone = await client.delete("/admin/tenants/shop?why=closed")
        assert gone.status_code == 202
        assert gone.headers["Location"] == f"/commands/{gone.json()['ref']}"
        assert (await client.delete("/admin/tenants/shop")).json() == gone.json()
        closed = await client.put("/admin/tenants/shop", json={"name": "x"})
        assert (closed.status_code, closed.json()["tenant-status"]) == (403, "disabled")
        trail = (await client.get("/admin/audit?tenant=shop&limit=2")).json()
        assert trail["cursor"] is not None
        actors = {row["actor"] for row in trail["records"]}
        assert len(actors) == 1
        assert actors.pop().startswith("api:")


async def test_the_same_idempotency_key_makes_one_tenant(api: Api) -> None:
    async with api.by("admin") as client:
        headers = {"Idempotency-Key": "order-66"}
        first = await client.post("/admin/tenants", json=NEW, headers=headers)
        again = await client.post("/admin/tenants", json=NEW, headers=headers)
        other = await client.post("/admin/tenants", json=NEW, headers={"Idempotency-Key": "67"})
        assert (first.status_code, again.status_code, other.status_code) == (201, 200, 201)
        assert first.json()["tenant_id"] == again.json()["tenant_id"] != other.json()["tenant_id"]


async def test_pages_and_filters(api: Api) -> None:
    async with api.by("admin") as client:
        for number in range(5):
            body = NEW | {"id": f"n{number}", "billing_plan": "free" if number % 2 else "basic"}
            await client.post("/admin/tenants", json=body)
        await client.post("/admin/tenants/n2/suspend")
        seen, cursor = [], ""
        while cursor is not None:
            query = f"limit=2{cursor and f'&cursor={cursor}'}"
            page = (await client.get(f"/admin/tenants?{query}")).json()
            assert len(page["tenants"]) <= 2
            seen += [one["tenant_id"] for one in page["tenants"]]
            cursor = page["cursor"]
        assert seen == ["acme", "default", "n0", "n1", "n2", "n3", "n4", "umbrella"]
        basic = (await client.get("/admin/tenants?billing_plan=basic&limit=2")).json()
        assert [one["tenant_id"] for one in basic["tenants"]] == ["n0", "n2"]
        rest = (await client.get(f"/admin/tenants?billing_plan=basic&cursor={basic['cursor']}")).json()
        assert [one["tenant_id"] for one in rest["tenants"]] == ["n4"]
        held = (await client.get("/admin/tenants?status=suspended")).json()
        assert [one["tenant_id"] for one in held["tenants"]] == ["n2"]


async def test_what_a_tenant_used_owes_and_may(api: Api) -> None:
    async with api.by("tenant") as own, api.by("admin") as admin:
        path = f"/admin/tenants/{TENANT}"
        used = (await own.get(f"{path}/usage?hours=true")).json()
        assert (used["operations"], used["by_hour"], used["adjustments"]["by_operation"]) == (0, {}, {})
        assert (await own.get(f"{path}/billing")).json()["kind"] == "estimate"
        assert (await own.get(f"{path}/invoices")).json() == {"invoices": [], "cursor": None}
        quotas = {one["resource"]: one for one in (await own.get(f"{path}/quotas")).json()["quotas"]}
        assert quotas["operations_per_minute"]["remaining"] == quotas["operations_per_minute"]["limit"]
        rule = {"resource": "pages:*", "action": "read"}
        added = await admin.post(f"{path}/policies", json=rule)
        assert (added.status_code, added.json()["policies"]) == (201, [rule])
        assert (await own.get(f"{path}/policies")).json() == {"policies": [rule]}
        left = await admin.delete(f"{path}/policies", params=rule)
        assert left.json()["policies"] == []
        for unknown in ("usage", "billing", "invoices", "quotas", "policies", "export"):
            assert (await admin.get(f"/admin/tenants/nobody/{unknown}")).status_code == 404


async def test_an_export_is_json_lines(api: Api) -> None:
    await api.rt.cache.set("page", {"n": 1}, tenant=TENANT)
    async with api.by("tenant") as client:
        answer = await client.get(f"/admin/tenants/{TENANT}/export?entries=true")
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        rows = [json.loads(line) for line in answer.text.splitlines()]
    assert {row["kind"] for row in rows} == {"tenant", "audit", "entry"}
    assert rows[-1]["value"] == {"n": 1}
