"""What a tenant's owner gets before it is deleted: all of it, and nothing of anybody else."""

import json
import tracemalloc
from typing import Any

import riptide
from riptide.reads.aio_client import aconnect
from riptide.tenants.billing.invoice import Invoice
from tests.support.deployment import Deployment

ON: dict[str, Any] = {"tenant": {"enabled": True}}


async def test_all_of_it_and_nothing_of_others(deployment: Deployment) -> None:
    settings = deployment.settings(**ON)
    month = "2026-10"
    with riptide.connect(config=settings) as rt:
        for tenant, shards in (("zqjxw", 4), ("zqjxw2", 1)):
            rt.tenants.create(tenant, plan="basic", shards=shards, settings={"theme": tenant})
            for number in range(250):
                rt.cache.set(f"k{number}", {"of": tenant, "n": number}, tenant=tenant, namespace="pages")
            rt.cache.set("raw", b"\xff", tenant=tenant, tags=["t"], ttl=600)
            rt.cache.set("gone", 1, tenant=tenant, namespace="old")
            rt.cache.invalidate_namespace("old", tenant=tenant)
            rt.tenants.allow(tenant, "pages", "read")
            invoice = Invoice(
                number=month, tenant=tenant, month=month, currency="EUR", issued_ms=1, total_micros=5
            )
            deployment.client.hset(deployment.keys.invoices(tenant), month, invoice.model_dump_json())
            deployment.client.hset(
                deployment.keys.usage("10", tenant, month), mapping={"0|render|operations": 7}
            )
        rows = list(rt.tenants.export("zqjxw", entries=True))
        without = list(rt.tenants.export("zqjxw"))
    async with await aconnect(config=settings) as other:
        later = [row async for row in other.tenants.export("zqjxw")]
    # What the cache takes makes usage of this month, sooner or later.
    told = [[row["kind"] for row in each if row.get("month") in {None, month}] for each in (later, without)]
    assert told[0] == told[1]
    text = "\n".join(map(json.dumps, rows))
    assert "zqjxw2" not in text
    kinds = {kind: [row for row in rows if row["kind"] == kind] for kind in {row["kind"] for row in rows}}
    assert {kind: len(found) for kind, found in kinds.items() if kind != "usage"} == {
        "tenant": 1,
        "invoice": 1,
        "audit": 2,
        "entry": 251,
    }
    assert [row for row in rows if row["kind"] != "entry"][:1] == without[:1]
    (record,) = kinds["tenant"]
    assert (record["plan"], record["settings"], len(record["policies"])) == ("basic", {"theme": "zqjxw"}, 1)
    assert {row["value"]["n"] for row in kinds["entry"] if "value" in row} == set(range(250))
    (raw,) = [row for row in kinds["entry"] if "value_base64" in row]
    assert (raw["value_base64"], raw["metadata"]["tags"]) == ("/w==", ("t",))
    used = {row["month"]: row["operations"] for row in kinds["usage"]}
    assert used[month] == 7
    assert kinds["invoice"][0]["invoice"]["total_micros"] == 5


def test_memory_stays_bounded(on_valkey: Deployment) -> None:
    """Thirty megabytes of entries pass through a few."""
    settings = on_valkey.settings(**ON)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("zqjxw")
        body = "x" * 50_000
        for start in range(0, 600, 100):
            entries = {f"k{number}": f"{number} {body}" for number in range(start, start + 100)}
            rt.cache.set_many(entries, tenant="zqjxw", ttl=600)
        tracemalloc.start()
        count = sum(1 for _ in rt.tenants.export("zqjxw", entries=True))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count > 600
    assert peak < 20 * 1024**2, peak
