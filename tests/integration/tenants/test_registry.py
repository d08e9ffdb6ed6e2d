"""The registry on real servers: what is created, shown, listed and changed, and who may not exist."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import riptide
from riptide.errors import (
    InvalidInput,
    MultiTenancyDisabled,
    TenantChanged,
    TenantExists,
    TenantNotActive,
    TooManyTenants,
    UnknownTenant,
)
from riptide.reads.sync_tenants import Tenants
from tests.integration.tenants.conftest import Open
from tests.support.deployment import Deployment

MIB = 1024**2


def record(deployment: Deployment, tag: str) -> dict[str, str]:
    found = deployment.client.hgetall(deployment.keys.record(tag))
    return {name.decode(): value.decode() for name, value in found.items()}


def ids(tenants: Tenants, limit: int = 1000) -> list[str]:
    """All ids, page by page."""
    found: list[str] = []
    page = tenants.list(limit=limit)
    while True:
        assert len(page.tenants) <= limit
        found += [tenant.id for tenant in page.tenants]
        if page.cursor is None:
            return found
        page = tenants.list(limit=limit, after=page.cursor)


def every_change(tenants: Tenants, tenant: str) -> list[Callable[[], Any]]:
    """Every call that creates or changes a tenant; the first one creates."""
    names = ("create", "update", "suspend", "resume", "disable", "delete")
    rules = (tenants.allow, tenants.disallow)
    calls: list[Callable[[], Any]] = [partial(getattr(tenants, name), tenant) for name in names]
    return calls + [partial(change, tenant, "*", "*") for change in rules]


def test_created_shown_changed_and_closed(tenants: Tenants, deployment: Deployment) -> None:
    made = tenants.create(
        "acme",
        plan="basic",
        name="Acme",
        owner={"name": "Ada", "email": "ada@example.org"},
        settings={"theme": "dark"},
        quotas={"cache_entries": 7},
    )
    assert (made.status, made.plan, made.shards, made.revision, made.key) == ("active", "basic", 1, 1, 0)
    assert made.limits["memory_bytes"] == 512 * MIB
    assert made.limits["cache_entries"] == 7
    assert made.overrides == {"cache_entries": 7}
    assert made.plans == ((made.created_ms, "basic"),)
    assert abs(made.created_ms / 1000 - deployment.server_seconds()) < 3600
    assert tenants.show("acme") == made

    suspended = tenants.suspend("acme", "unpaid")
    assert (suspended.status, suspended.why, suspended.revision) == ("suspended", "unpaid", 2)
    assert tenants.suspend("acme") == suspended, "done again it changes nothing"
    assert tenants.resume("acme").status == "active"
    assert tenants.show("acme").why == ""

    changed = tenants.update(
        "acme", plan="free", owner={"name": None}, quotas={"cache_entries": None, "memory_bytes": 5}
    )
    assert (changed.plan, changed.limits, changed.overrides) == (
        "free",
        {"memory_bytes": 5},
        {"memory_bytes": 5},
    )
    assert (changed.owner.name, changed.owner.email, changed.name) == ("", "ada@example.org", "Acme")
    assert [plan for _, plan in changed.plans] == ["basic", "free"]
    assert changed.created_ms <= changed.plans[1][0] <= changed.changed_ms
    assert tenants.update("acme", plan="free").revision == changed.revision
    assert changed.incarnation == made.incarnation

    assert tenants.disable("acme", "moved away").status == "disabled"
    for change in (tenants.resume, tenants.suspend, lambda t: tenants.update(t, name="x")):
        with pytest.raises(
            TenantNotActive, match=r"closed for good .moved away.: it can only be deleted"
        ) as no:
            change("acme")
        assert (no.value.status, no.value.why) == ("disabled", "moved away")
    ref = tenants.delete("acme")
    assert ref == tenants.delete("acme"), "the same command"
    ((_, entry_id, fields),) = deployment.entries("purge_tenant")
    assert ref.entry_id == entry_id
    assert fields[b"tenant"] == b"acme"
    assert riptide.PurgeTenant.parse(1, fields[b"body"].decode()) == riptide.PurgeTenant(
        incarnation=made.incarnation, note="moved away"
    )


@pytest.mark.parametrize("shards", [1, 4, 16])
def test_each_shard_knows_what_its_scripts_need(
    tenants: Tenants, deployment: Deployment, shards: int
) -> None:
    made = tenants.create("acme", shards=shards, quotas={"memory_bytes": 33, "cache_entries": -1})

    def check() -> None:
        found = tenants.show("acme")
        mirrors = [record(deployment, f"acme.{n}") for n in range(shards)] if shards > 1 else []
        for mirror in mirrors:
            limits = {name for name in mirror if name.startswith("limit:")}
            assert limits == {f"limit:{resource}" for resource in found.limits}
            assert {name: mirror[name] for name in mirror.keys() - limits} == {
                "incarnation": made.incarnation,
                "status": found.status,
                "key": "0",
                "revision": str(found.revision),
            }
        if mirrors and "memory_bytes" in found.limits:
            assert (
                sum(int(mirror["limit:memory_bytes"]) for mirror in mirrors) == found.limits["memory_bytes"]
            )

    check()
    changes: list[Callable[[], Any]] = [
        partial(tenants.suspend, "acme"),
        partial(tenants.update, "acme", quotas={"memory_bytes": 50, "cache_entries": None}),
        partial(tenants.update, "acme", quotas={"memory_bytes": None}),
        partial(tenants.disable, "acme"),
    ]
    for change in changes:
        change()
        check()
    assert record(deployment, f"acme.{shards}") == {}
    assert tenants.show("acme").shards == shards


def test_generated_ids_are_readable_and_in_order(on_one: Tenants) -> None:
    made = [on_one.create().id for _ in range(3)]
    assert len(set(made)) == 3
    assert all(name.startswith("t-") and len(name) == 23 for name in made)
    assert [name[:14] for name in made] == sorted(name[:14] for name in made)


def test_pages_are_in_order_and_the_same_for_every_process(
    tenants: Tenants, deployment: Deployment, open_tenants: Open
) -> None:
    names = ["a", "b-1", "b_1", "d", "default-2", "e", "0"]
    for name in names:
        tenants.create(name)
    expected = sorted([*names, "default"])
    for limit in (1, 2, 3, 7, 8, 1000):
        assert ids(tenants, limit) == expected, limit
    assert ids(open_tenants(deployment), 3) == expected, "another process"
    assert [one.id for one in tenants.list(after="default", limit=2).tenants] == ["default-2", "e"]
    assert tenants.list(after="zzz").tenants == []
    bad: list[Any] = [0, 1001, 1.5, True, None]
    for limit in bad:
        with pytest.raises(InvalidInput, match="limit is a whole number from 1 to 1,000"):
            tenants.list(limit=limit)


def test_they_are_the_same_after_a_restart(
    private_server: Callable[..., Any], prefix: str, open_tenants: Open
) -> None:
    server = private_server(aof=True, appendfsync="always")
    tenants = open_tenants(Deployment(server.url, prefix))
    made = [tenants.create(f"t{n}", plan="basic", shards=2) for n in range(5)]
    tenants.allow("t1", "pages:*", "read")
    before = tenants.list()
    server.kill()
    server.start()
    after = open_tenants(Deployment(server.url, prefix)).list()
    assert after == before
    assert [one.id for one in after.tenants][1:] == [one.id for one in made]


def test_an_id_is_taken_once(tenants: Tenants) -> None:
    made = tenants.create("acme", name="first")
    with pytest.raises(TenantExists, match="there is a tenant acme already"):
        tenants.create("acme", name="second")
    assert tenants.show("acme") == made
    with pytest.raises(TenantExists, match="always exists"):
        tenants.create("default")


def test_no_more_than_max_tenants(on_valkey: Deployment, open_tenants: Open) -> None:
    tenants = open_tenants(on_valkey, tenant={"max_tenants": 2})
    tenants.create("a")
    tenants.create("b")
    with pytest.raises(TooManyTenants, match=r"there are 2 tenants, and tenant\.max_tenants allows no more"):
        tenants.create("c")
    with pytest.raises(TenantExists):
        tenants.create("a")
    assert ids(tenants) == ["a", "b", "default"]
    with pytest.raises(UnknownTenant, match="there is no tenant c; 'riptide tenant list'"):
        tenants.show("c")


def test_a_change_can_insist_on_the_revision_it_has_seen(tenants: Tenants) -> None:
    seen = tenants.create("acme")
    changed = tenants.update("acme", name="one", revision=seen.revision)
    with pytest.raises(TenantChanged, match="has revision 2 by now, not 1: look at it again"):
        tenants.update("acme", name="two", revision=seen.revision)
    for revision in ("2", 2.0, True, 0, -1):
        with pytest.raises(InvalidInput, match="a revision is a whole number from 1"):
            tenants.update("acme", name="two", revision=revision)  # type: ignore[arg-type]
    assert tenants.show("acme") == changed
    assert tenants.update("acme", name="two", revision=changed.revision).name == "two"


def test_the_default_tenant_exists_and_cannot_be_changed(on_one: Tenants) -> None:
    found = on_one.show("default")
    assert (found.status, found.shards, found.limits) == ("active", 16, {})
    for call in every_change(on_one, "default")[1:]:
        with pytest.raises(InvalidInput, match="the tenant default has no record"):
            call()
    assert on_one.validate_access("default", "anything", "read")


def test_without_multi_tenancy_there_is_only_the_default(on_valkey: Deployment, open_tenants: Open) -> None:
    open_tenants(on_valkey).create("acme")
    tenants = open_tenants(on_valkey, tenant={"enabled": False})
    assert ids(tenants) == ["default"]
    assert tenants.show("default").status == "active"
    calls = every_change(tenants, "acme")
    calls += [partial(tenants.show, "acme"), partial(tenants.create)]
    for call in calls:
        with pytest.raises(MultiTenancyDisabled, match=r"multi-tenancy is off.*set tenant\.enabled"):
            call()
    assert not tenants.validate_access("acme", "a", "read")
    assert tenants.validate_access("default", "a", "read")


BAD_IDS: list[Any] = [
    "",
    "a}",
    "{a}",
    "a.1",
    "A",
    "~x",
    "-a",
    "a b",
    "a\n",
    "a:b",
    "*",
    "a\x00",
    "é",
    "٣",
    "a" * 64,
    "default.0",
    "\ud800",
    5,
    b"acme",
    ["acme"],
]


def test_an_id_that_could_reach_anothers_keys_is_refused_before_a_key_is_built(
    alone: Deployment, open_tenants: Open
) -> None:
    tenants = open_tenants(alone)
    tenants.create("acme", shards=2)
    before = sorted(alone.client.scan_iter())
    processed = alone.client.info("stats")["total_commands_processed"]
    for bad in BAD_IDS:
        asking = (
            tenants.show,
            tenants.policies,
            tenants.audit,
            partial(tenants.validate_access, resource="a", action="b"),
        )
        calls = [
            *every_change(tenants, bad),
            *(partial(ask, bad) for ask in asking),
            partial(tenants.list, after=bad),
        ]
        for call in calls:
            with pytest.raises(InvalidInput, match=r"tenant id .{1,90} is not valid"):
                call()
    assert alone.client.info("stats")["total_commands_processed"] == processed + 1
    assert sorted(alone.client.scan_iter()) == before


@pytest.mark.parametrize("amount", [-2, 1.5, math.nan, math.inf, 2**50 + 1, 10**30, True, "7"])
def test_amounts_that_cannot_be_are_refused_and_change_nothing(on_one: Tenants, amount: Any) -> None:
    made = on_one.create("acme")
    for call, tenant in ((on_one.create, "b"), (on_one.update, "acme")):
        with pytest.raises(InvalidInput, match="the limit of memory_bytes is a whole number"):
            call(tenant, quotas={"memory_bytes": amount})
    assert on_one.show("acme") == made
    assert ids(on_one) == ["acme", "default"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shards": 3}, "shards is one of 1, 2, 4, 8, 16"),
        ({"shards": 32}, "shards is one of"),
        ({"shards": True}, "shards is one of"),
        ({"plan": "gold"}, "there is no plan 'gold'; known are free, basic, professional, enterprise"),
        ({"quotas": {"memory": 5}}, "there is no resource 'memory'"),
        ({"owner": {"email": "nobody"}}, r"owner\.email"),
        ({"settings": {"a": math.nan}}, "finite number"),
        ({"actor": ""}, "actor is a text of 1 to 200 printable characters"),
        ({"actor": "a\nb"}, "actor is a text"),
        ({"actor": "a" * 201}, "actor is a text"),
    ],
)
def test_what_cannot_be_created_reserves_nothing(
    on_one: Tenants, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        on_one.create("acme", **given)
    assert ids(on_one) == ["default"]


@pytest.mark.parametrize("why", ["x" * 501, "a\nb", None, 5])
def test_a_reason_is_a_short_text(on_one: Tenants, why: Any) -> None:
    on_one.create("acme")
    with pytest.raises(InvalidInput, match="why is a text of at most 500"):
        on_one.suspend("acme", why)


async def test_the_asynchronous_face_does_the_same(on_valkey: Deployment) -> None:
    settings = on_valkey.settings(tenant={"enabled": True})
    async with await riptide.aconnect(config=settings) as rt:
        tenants = rt.tenants
        made = await tenants.create("acme", name="Acme", shards=2)
        assert await tenants.show("acme") == made
        assert [one.id for one in (await tenants.list()).tenants] == ["acme", "default"]
        assert (await tenants.update("acme", name="B")).name == "B"
        assert (await tenants.suspend("acme", "late")).status == "suspended"
        assert (await tenants.resume("acme")).status == "active"
        await tenants.allow("acme", "pages:*", "read")
        assert len(await tenants.policies("acme")) == 1
        assert not await tenants.validate_access("acme", "pages:1", "write")
        await tenants.disallow("acme", "pages:*", "read")
        assert await tenants.validate_access("acme", "pages:1", "write")
        assert (await tenants.disable("acme")).status == "disabled"
        assert (await tenants.delete("acme")).kind == "purge_tenant"
        done = [one.operation for one in (await tenants.audit("acme")).records]
        assert done == ["disable", "disallow", "allow", "resume", "suspend", "update", "create"]


def test_both_faces_have_the_same_methods() -> None:
    import inspect

    from riptide.reads.aio_tenants import AsyncTenants

    for name, method in inspect.getmembers(Tenants, inspect.isfunction):
        if not name.startswith("_"):
            twin = getattr(AsyncTenants, name)
            if name == "export":
                assert inspect.isasyncgenfunction(twin)
                assert inspect.signature(twin).parameters == inspect.signature(method).parameters
                continue
            assert inspect.iscoroutinefunction(twin)
            assert inspect.signature(twin) == inspect.signature(method)
