"""Too many refusals suspend a tenant, where that is configured."""

import pytest

from riptide.errors import TenantNotActive
from tests.integration.quotas.conftest import Open
from tests.support.deployment import Deployment
from tests.support.waiting import eventually

OPS = "operations_per_minute"
ON = {"suspend_after_refusals": 3, "suspend_window_seconds": 3600}


def test_by_itself_it_never_is(on_valkey: Deployment, open_side: Open) -> None:
    side = open_side(on_valkey)
    side.tenants.create("acme", quotas={OPS: 1})
    decisions = [side.quotas.check("acme", {OPS: 2}) for _ in range(50)]
    assert {one.status for one in decisions} == {"active"}


@pytest.mark.parametrize("shards", [1, 4])
def test_the_last_refusal_suspends_all_of_it(deployment: Deployment, open_side: Open, shards: int) -> None:
    side, other = open_side(deployment, tenant=ON), open_side(deployment, tenant=ON)
    made = side.tenants.create("acme", quotas={OPS: 5}, shards=shards)
    other.cache.set("k", 1, tenant="acme")
    assert side.quotas.check("acme", {OPS: 5})
    answers = [one.quotas.check("acme", {OPS: 1}) for one in (side, other, side, other)]
    assert [(one.allowed, one.status) for one in answers] == [(False, "active")] * 2 + [
        (False, "suspended")
    ] * 2
    found = other.tenants.show("acme")
    assert (found.status, found.revision) == ("suspended", made.revision + 1)
    assert found.why == "automatic: 3 refusals for quotas within 3,600 s"
    told = other.tenants.audit("acme").records[0]
    assert (told.operation, told.actor, told.result) == ("suspend", "riptide:quotas", "ok")
    assert told.metadata == {"status": ["active", "suspended"], "why": ["", found.why]}
    for number in range(shards * 4):  # in each of its slots
        with pytest.raises(TenantNotActive):
            other.cache.set(f"k{number}", 1, tenant="acme")
    side.tenants.resume("acme")
    assert [other.quotas.check("acme", {OPS: 1}).status for _ in range(2)] == ["active"] * 2  # counted anew


def test_who_hears_of_it_first_tells_the_shards(on_valkey: Deployment, open_side: Open) -> None:
    """Whoever suspended it may have died before that."""
    side = open_side(on_valkey, tenant=ON)
    side.tenants.create("acme", shards=2)
    side.cache.set("k", 1, tenant="acme")  # so that it is known here
    on_valkey.client.hset(on_valkey.keys.record("acme"), mapping={"status": "suspended", "revision": 2})
    assert side.quotas.check("acme", {OPS: 1}).status == "suspended"
    mirrors = [on_valkey.client.hget(on_valkey.keys.record(f"acme.{n}"), "status") for n in range(2)]
    assert mirrors == [b"suspended"] * 2


def test_refusals_that_a_lease_answers_itself_count(on_valkey: Deployment, open_side: Open) -> None:
    side = open_side(on_valkey, tenant=ON | {"suspend_after_refusals": 30})
    side.tenants.create("acme", quotas={OPS: 1})
    lease = side.quotas.lease("acme")
    assert lease.take()
    while (decision := lease.take()).status == "active":
        assert not decision
    assert side.tenants.show("acme").status == "suspended"


def test_old_refusals_do_not_count(on_valkey: Deployment, open_side: Open) -> None:
    side = open_side(on_valkey, tenant={"suspend_after_refusals": 2, "suspend_window_seconds": 1})
    side.tenants.create("acme", quotas={OPS: 1})
    assert side.quotas.check("acme", {OPS: 2}).status == "active"
    key, before = on_valkey.keys.quota("acme", "refusals"), on_valkey.server_seconds()
    while on_valkey.server_seconds() < before + 2.1:  # the window's second, and the one it began in
        assert on_valkey.client.exists(key)
    assert side.quotas.check("acme", {OPS: 2}).status == "active"

    def suspended() -> bool:
        return side.quotas.check("acme", {OPS: 2}).status == "suspended"

    eventually(suspended, "two refusals within a second")
