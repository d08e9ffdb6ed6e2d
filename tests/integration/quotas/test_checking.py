"""Checks: several resources at once, limits and where they come from, tenants that may not, and attacks."""

import math
from typing import Any

import pytest

from riptide.errors import InvalidInput, MultiTenancyDisabled, QuotaExceeded, TenantNotActive, UnknownTenant
from riptide.reads.aio_quotas import AsyncQuotasFace
from riptide.store.aio import open_async_store
from tests.integration.quotas.conftest import Open, Side
from tests.support.deployment import Deployment

OPS, DATA, TRANSFER = "operations_per_minute", "data_per_minute_bytes", "data_transfer_bytes"


def used(side: Side, tenant: str) -> dict[str, int]:
    return {one.resource: one.standing.used for one in side.quotas.show(tenant) if one.standing.used}


def test_all_of_it_is_taken_or_nothing(side: Side) -> None:
    side.tenants.create("acme", quotas={OPS: 10, DATA: 1000, TRANSFER: 5000})
    taken = side.quotas.check("acme", {OPS: 4, DATA: 600, TRANSFER: 600})
    assert taken
    taken.raise_if_refused()
    assert {name: one.remaining for name, one in taken.resources.items()} == {
        OPS: 6,
        DATA: 400,
        TRANSFER: 4400,
    }
    refused = side.quotas.check("acme", {OPS: 7, DATA: 401, TRANSFER: 10})
    assert not refused
    assert refused.violated == (OPS, DATA)
    assert refused.retry_after is not None
    assert 0 < refused.retry_after <= 61
    assert used(side, "acme") == {OPS: 4, DATA: 600, TRANSFER: 600}
    assert side.quotas.check("acme", {OPS: 6, DATA: 400, TRANSFER: 4400})
    with pytest.raises(QuotaExceeded) as raised:
        side.quotas.check("acme", {TRANSFER: 1, OPS: 1}).raise_if_refused()
    error = raised.value
    assert (error.resource, error.limit, error.remaining) == (TRANSFER, 5000, 0)
    assert (error.tenant, error.violated) == ("acme", (TRANSFER, OPS))
    assert error.retry_after is not None
    assert error.retry_after > 0  # until the month ends


def test_what_never_fits_says_so(on_one: Side) -> None:
    on_one.tenants.create("acme", quotas={OPS: 10, TRANSFER: 0})
    for asked in ({OPS: 11}, {TRANSFER: 1}, {OPS: 11, DATA: 5}):
        refused = on_one.quotas.check("acme", asked)
        assert (bool(refused), refused.retry_after) == (False, None)
    assert on_one.quotas.check("acme", {TRANSFER: 0, OPS: 1})


def test_no_bytes_always_fit(on_one: Side) -> None:
    on_one.tenants.create("acme", quotas={DATA: 10})
    for taken in (0, 10):
        assert taken == 0 or on_one.quotas.check("acme", {DATA: taken})
        assert on_one.quotas.check("acme", {DATA: 0}).resources[DATA].used == taken
    assert not on_one.quotas.check("acme", {DATA: 1})


def test_tenants_share_nothing(on_one: Side) -> None:
    for tenant in ("acme", "acme-2", "b"):
        on_one.tenants.create(tenant, quotas={OPS: 3})
    assert [bool(on_one.quotas.check("acme", {OPS: 1})) for _ in range(4)] == [True, True, True, False]
    assert on_one.quotas.check("acme-2", {OPS: 3})
    assert used(on_one, "b") == {}


def test_limits_come_from_override_plan_or_default(on_valkey: Deployment, open_side: Open) -> None:
    side = open_side(on_valkey, tenant={"default_session_quota": 7, "default_storage_quota": 2048})
    side.tenants.create("acme", plan="free", quotas={OPS: 3})
    side.tenants.create("basic", plan="basic")
    shown = {one.resource: (one.standing.limit, one.source) for one in side.quotas.show("acme")}
    assert shown["active_sessions"] == (7, "default")
    assert shown["storage_bytes"] == (2048, "default")
    assert shown[OPS] == (3, "override")
    assert shown[TRANSFER] == (-1, "default")
    assert {one.resource: one.source for one in side.quotas.show("basic")}[OPS] == "plan"
    assert side.quotas.check("acme", {"active_sessions": 7})
    assert not side.quotas.check("acme", {"active_sessions": 8})
    side.tenants.update("acme", quotas={OPS: -1})
    assert side.quotas.check("acme", {OPS: 10_000}).resources[OPS].remaining is None
    side.tenants.update("acme", quotas={OPS: 5})  # what was used without a limit counts
    assert not side.quotas.check("acme", {OPS: 1})


def test_a_level_is_compared_and_not_taken(side: Side) -> None:
    for shards in (1, 4):
        tenant = f"with{shards}"
        side.tenants.create(tenant, quotas={"cache_entries": 40}, shards=shards)
        for number in range(9):
            side.cache.set(f"k{number}", number, tenant=tenant)
        for _ in range(2):
            assert side.quotas.check(tenant, {"cache_entries": 31, "memory_bytes": 1})
            refused = side.quotas.check(tenant, {"cache_entries": 32, OPS: 1})
            assert (bool(refused), refused.violated) == (False, ("cache_entries",))
            assert refused.resources["cache_entries"].used == 9
        assert used(side, tenant)["cache_entries"] == 9
        assert OPS not in used(side, tenant)


def test_a_tenant_made_anew_is_learnt_anew(on_valkey: Deployment, open_side: Open) -> None:
    """Its levels are elsewhere then."""
    side, other = open_side(on_valkey), open_side(on_valkey)
    side.tenants.create("acme", quotas={"cache_entries": 10})
    assert side.quotas.check("acme", {"cache_entries": 10})
    on_valkey.client.delete(on_valkey.keys.record("acme"))
    on_valkey.client.zrem(on_valkey.keys.control("tenants"), "acme")
    other.tenants.create("acme", quotas={"cache_entries": 40}, shards=4)
    other.cache.set("k", 1, tenant="acme")
    assert side.quotas.check("acme", {"cache_entries": 10}).resources["cache_entries"].used == 1


def test_who_may_not_is_told_at_the_next_check(side: Side) -> None:
    side.tenants.create("acme")
    assert side.quotas.check("acme", {OPS: 1})
    side.tenants.suspend("acme", "unpaid")
    refused = side.quotas.check("acme", {OPS: 1, "cache_entries": 1})
    assert (bool(refused), refused.status, refused.why) == (False, "suspended", "unpaid")
    with pytest.raises(TenantNotActive, match="unpaid"):
        refused.raise_if_refused()
    assert used(side, "acme") == {OPS: 1}
    side.tenants.resume("acme")
    assert side.quotas.check("acme", {OPS: 1})
    with pytest.raises(UnknownTenant, match="create it first"):
        side.quotas.check("nobody", {OPS: 1})


def test_default_needs_no_record(on_valkey: Deployment, open_side: Open) -> None:
    side = open_side(on_valkey, tenant={"enabled": False, "default_ops_quota": 2})
    assert [bool(side.quotas.check("default", {OPS: 1})) for _ in range(3)] == [True, True, False]
    assert side.quotas.check("default", {"cache_entries": 1})
    for ask in (side.quotas.check, lambda tenant, _: side.quotas.lease(tenant)):
        with pytest.raises(MultiTenancyDisabled):
            ask("acme", {OPS: 1})


@pytest.mark.parametrize("level", ["logical", "none"])
def test_weaker_isolation_needs_no_record_and_bounds_no_cache(
    on_valkey: Deployment, open_side: Open, level: str
) -> None:
    side = open_side(on_valkey, tenant={"isolation_level": level, "default_ops_quota": 2})
    assert [bool(side.quotas.check("free", {OPS: 1})) for _ in range(3)] == [True, True, False]
    side.tenants.create("acme", quotas={OPS: 1, "cache_entries": 1})
    assert side.quotas.check("acme", {"cache_entries": 100})
    assert [bool(side.quotas.check("acme", {OPS: 1})) for _ in range(2)] == [True, False]
    side.tenants.suspend("acme")
    assert side.quotas.check("acme", {OPS: 1}).status == "suspended"


def test_rates_can_be_switched_off(on_valkey: Deployment, open_side: Open) -> None:
    side = open_side(on_valkey, security={"enable_rate_limiting": False})
    side.tenants.create("acme", quotas={OPS: 1, TRANSFER: 5})
    lease = side.quotas.lease("acme")
    for _ in range(3):
        assert side.quotas.check("acme", {OPS: 10, TRANSFER: 1})
        assert lease.take()
    assert not side.quotas.check("acme", {OPS: 1, TRANSFER: 3})
    assert {one.resource: one.standing.limit for one in side.quotas.show("acme")}[OPS] == -1
    side.tenants.suspend("acme")
    assert not side.quotas.check("acme", {OPS: 1})


AMOUNTS: list[Any] = [
    -1,
    0,
    0.5,
    1.0,
    math.nan,
    math.inf,
    2**40 + 1,
    2**64,
    True,
    "1",
    None,
    b"1",
    [1],
    -(2**63),
]


@pytest.mark.parametrize("amount", AMOUNTS, ids=repr)
def test_amounts_that_cannot_be_are_refused(on_one: Side, amount: Any) -> None:
    on_one.tenants.create("acme")
    lease = on_one.quotas.lease("acme")
    assert lease.take()
    before = used(on_one, "acme")
    with pytest.raises(InvalidInput):
        on_one.quotas.check("acme", {TRANSFER: 1, OPS: amount})
    with pytest.raises(InvalidInput):
        lease.take(amount)
    assert used(on_one, "acme") == before


@pytest.mark.parametrize(
    "amounts",
    [{}, None, [OPS], {"status": 1}, {"operations_per_minute ": 1}, {"refusals": 1}, {3: 1}, "ops"],
    ids=repr,
)
def test_resources_that_are_none_are_refused(on_one: Side, amounts: Any) -> None:
    with pytest.raises(InvalidInput):
        on_one.quotas.check("default", amounts)


TENANTS: list[Any] = [
    "",
    "Acme",
    "a}b",
    "{a}",
    "a:b",
    "a b",
    "a\n",
    "a.0",
    "a*",
    "ä",
    "x" * 64,
    None,
    3,
    b"acme",
]


@pytest.mark.parametrize("tenant", TENANTS, ids=repr)
def test_names_that_are_none_are_refused(on_one: Side, tenant: Any) -> None:
    for ask in (lambda: on_one.quotas.check(tenant, {OPS: 1}), lambda: on_one.quotas.lease(tenant)):
        with pytest.raises(InvalidInput):
            ask()


def test_enormous_amounts_stay_exact(side: Side) -> None:
    side.tenants.create("acme", quotas={TRANSFER: 2**50, DATA: -1})
    for number in range(1, 4):
        standing = side.quotas.check("acme", {TRANSFER: 2**40 - 1, DATA: 2**40 - 1}).resources[TRANSFER]
        assert standing.used == number * (2**40 - 1)
    assert used(side, "acme") == {TRANSFER: 3 * (2**40 - 1), DATA: 3 * (2**40 - 1)}


def test_all_that_is_kept_expires(on_valkey: Deployment, open_side: Open) -> None:
    side = open_side(on_valkey, tenant={"suspend_after_refusals": 100})
    side.tenants.create("acme", quotas={OPS: 3})
    side.quotas.check("acme", {OPS: 1, DATA: 1, TRANSFER: 1})
    side.quotas.check("acme", {OPS: 9})
    for name in (OPS, DATA, TRANSFER, "refusals"):
        assert on_valkey.client.ttl(on_valkey.keys.quota("acme", name)) > 0, name


async def test_the_asynchronous_face_says_the_same(side: Side) -> None:
    side.tenants.create("acme", quotas={OPS: 5})
    store = open_async_store(side.parts.settings)
    quotas = AsyncQuotasFace(store, side.parts.quotas)
    assert await quotas.check("acme", {OPS: 3})
    lease = quotas.lease("acme")
    assert [bool(await lease.take()) for _ in range(3)] == [True, True, False]
    assert [one.resource for one in await quotas.show("acme") if one.standing.used] == [OPS]
    with pytest.raises(UnknownTenant):
        await quotas.check("nobody", {OPS: 1})
    await store.close()
