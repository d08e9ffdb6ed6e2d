"""Who did what: written with each change, found again, kept for a while; and what each tenant may do."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from riptide.errors import InvalidInput, TenantChanged, TenantExists, TenantNotActive, UnknownTenant
from riptide.reads.sync_tenants import Tenants
from riptide.tenants.registry import audit
from tests.integration.tenants.conftest import Open
from tests.support.deployment import Deployment

DAY_MS = 86_400_000


def told(tenants: Tenants, tenant: str | None, **wanted: Any) -> list[tuple[str, str, str, str]]:
    page = tenants.audit(tenant, **wanted)
    return [(one.operation, one.resource, one.result, one.actor) for one in page.records]


def test_every_change_is_told_and_found_again(tenants: Tenants) -> None:
    made = tenants.create("acme", plan="basic", actor="ops:ada")
    tenants.suspend("acme", "late", actor="ops:ada")
    tenants.suspend("acme", actor="ops:eve")  # changes nothing
    tenants.update("acme", plan="free", name="Acme", actor="ops:bob")
    tenants.allow("acme", "pages:*", "read", actor="ops:bob")
    tenants.delete("acme", actor="ops:ada")
    tenants.create("other", actor="ops:ada")
    assert told(tenants, "acme") == [
        ("disable", "tenant", "ok", "ops:ada"),
        ("allow", "policies", "ok", "ops:bob"),
        ("update", "tenant", "ok", "ops:bob"),
        ("suspend", "tenant", "ok", "ops:ada"),
        ("create", "tenant", "ok", "ops:ada"),
    ]
    assert told(tenants, "acme", actor="ops:bob", operation="update") == [
        ("update", "tenant", "ok", "ops:bob")
    ]
    records = tenants.audit("acme").records
    assert [record.metadata for record in records] == [
        {"status": ["suspended", "disabled"], "why": ["late", ""]},
        {"allowed": ["read pages:*"]},
        {
            "plan": ["basic", "free"],
            "limits": {name: [limit, None] for name, limit in made.limits.items()},
            "changed": ["name"],
        },
        {"status": ["active", "suspended"], "why": ["", "late"]},
        {"plan": "basic", "incarnation": made.incarnation},
    ]
    assert {record.tenant_id for record in records} == {"acme"}
    operators = tenants.audit().records
    assert [(one.tenant_id, one.operation) for one in operators] == [
        ("other", "create"),
        ("acme", "delete"),
        ("acme", "create"),
    ]


def test_what_is_refused_is_told_too(tenants: Tenants) -> None:
    tenants.create("acme")
    tenants.disable("acme")
    with pytest.raises(TenantNotActive):
        tenants.resume("acme", actor="ops:eve")
    with pytest.raises(TenantNotActive):
        tenants.update("acme", name="x", revision=1, actor="ops:eve")
    tenants.create("other")
    with pytest.raises(TenantChanged):
        tenants.update("other", name="x", revision=7)
    with pytest.raises(TenantExists):
        tenants.create("acme", actor="ops:eve")
    with pytest.raises(UnknownTenant):
        tenants.suspend("nobody")
    refused = [("update", "tenant", "refused", "ops:eve"), ("resume", "tenant", "refused", "ops:eve")]
    assert told(tenants, "acme", result="refused") == refused
    assert tenants.audit("other", result="refused").records[0].metadata == {"why": "TenantChanged"}
    assert told(tenants, None, result="refused") == [("create", "tenant", "refused", "ops:eve")]
    assert told(tenants, "nobody") == []


def test_by_default_whoever_runs_the_process_did_it(on_one: Tenants) -> None:
    on_one.create("acme")
    ((_, _, _, actor),) = told(on_one, "acme")
    assert actor.startswith("library:")
    assert "@" in actor


def test_it_is_read_in_pages_and_by_time(tenants: Tenants, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_PER_READ", 3)
    tenants.create("acme")
    for number in range(10):
        tenants.update("acme", settings={"n": number}, actor=f"ops:{number % 2}")
    everything = tenants.audit("acme").records
    assert len(everything) == 11
    assert all(one.id.startswith(f"{one.timestamp_ms}-") for one in everything)
    for limit in (1, 2, 3, 7, 11):
        found, cursor = [], None
        while True:
            page = tenants.audit("acme", limit=limit, cursor=cursor)
            found += page.records
            cursor = page.cursor
            if cursor is None:
                break
            assert len(page.records) == limit
        assert found == everything, limit
    even = tenants.audit("acme", actor="ops:0", limit=3)
    assert len(even.records) == 3
    assert len(tenants.audit("acme", actor="ops:0", cursor=even.cursor).records) == 2
    third = datetime.fromtimestamp(everything[3].timestamp_ms / 1000, UTC)
    since = tenants.audit("acme", since=third).records
    assert since == [one for one in everything if one.timestamp_ms >= everything[3].timestamp_ms]
    until = tenants.audit("acme", until=third.timestamp()).records
    assert until == [one for one in everything if one.timestamp_ms <= everything[3].timestamp_ms]
    assert tenants.audit("acme", since=third + timedelta(days=1)).records == []


def test_records_go_when_their_time_is_over(on_valkey: Deployment, open_tenants: Open) -> None:
    tenants = open_tenants(on_valkey, security={"audit_retention_days": 2})
    keys = [on_valkey.keys.audit("acme"), on_valkey.keys.control("audit")]
    fields = {"tenant_id": "acme", "actor": "a", "operation": "old", "resource": "tenant"}
    fields |= {"result": "ok", "metadata": "{}"}
    now = round(time.time() * 1000)
    for key in keys:
        for number in range(1000):
            on_valkey.client.xadd(key, fields, id=f"{now - 3 * DAY_MS + number}-0")
        on_valkey.client.xadd(key, fields | {"operation": "younger"}, id=f"{now - DAY_MS}-0")
    assert [one.operation for one in tenants.audit("acme").records] == ["younger"], "not shown any more"
    assert on_valkey.client.xlen(keys[0]) == 1001
    tenants.create("acme")
    for key, tenant in zip(keys, ("acme", None), strict=True):
        assert [one.operation for one in tenants.audit(tenant).records] == ["create", "younger"]
        assert on_valkey.client.xlen(key) < 200, "gone with the next record, but for part of a node"


def test_it_can_be_switched_off(on_valkey: Deployment, open_tenants: Open) -> None:
    tenants = open_tenants(on_valkey, security={"enable_audit_logging": False})
    tenants.create("acme")
    tenants.suspend("acme")
    with pytest.raises(TenantExists):
        tenants.create("acme")
    tenants.delete("acme")
    assert not on_valkey.client.exists(on_valkey.keys.audit("acme"), on_valkey.keys.control("audit"))
    assert tenants.audit("acme").records == tenants.audit().records == []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"limit": 0}, "limit is a whole number from 1 to 10,000"),
        ({"limit": 10_001}, "limit is"),
        ({"cursor": "+"}, "cursor '.' is none that"),
        ({"cursor": "1-2 COUNT"}, "cursor"),
        ({"cursor": "٣-1"}, "cursor"),
        ({"cursor": 5}, "cursor"),
        ({"since": datetime(2026, 1, 1)}, "without a time zone"),  # noqa: DTZ001
        ({"since": "yesterday"}, "since is a datetime or Unix seconds"),
        ({"until": float("nan")}, "until is a datetime or Unix seconds"),
        ({"until": -1}, "until is"),
    ],
)
def test_what_cannot_be_asked_is_refused(on_one: Tenants, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        on_one.audit("acme", **asked)


def test_what_a_tenant_may_do(tenants: Tenants) -> None:
    tenants.create("acme", shards=2)
    tenants.create("other")
    assert tenants.policies("acme") == ()
    assert tenants.validate_access("acme", "pages:1", "write")
    tenants.allow("acme", "pages:*", "read")
    tenants.allow("acme", "pages:*", "read")
    tenants.allow("acme", "prices", "*")
    assert [str(rule) for rule in tenants.policies("acme")] == ["read pages:*", "* prices"]
    asked = [("pages:1", "read"), ("pages:1", "write"), ("prices", "write"), ("prices:1", "write")]
    assert [tenants.validate_access("acme", *one) for one in asked] == [True, False, True, False]
    assert tenants.validate_access("other", "pages:1", "write"), "another's rules are another's"
    tenants.disallow("acme", "prices", "read")
    assert len(tenants.policies("acme")) == 2, "no such rule"
    tenants.disallow("acme", "prices", "*")
    tenants.disallow("acme", "pages:*", "read")
    assert tenants.validate_access("acme", "prices:1", "write"), "without rules everything is allowed again"

    tenants.suspend("acme")
    assert not tenants.validate_access("acme", "pages:1", "read")
    tenants.resume("acme")
    assert tenants.validate_access("acme", "pages:1", "read")
    tenants.disable("acme")
    assert not tenants.validate_access("acme", "pages:1", "read")
    assert not tenants.validate_access("nobody", "pages:1", "read")
    for call in (tenants.allow, tenants.disallow):
        with pytest.raises(TenantNotActive):
            call("acme", "a", "b")
        with pytest.raises(UnknownTenant):
            call("nobody", "a", "b")
