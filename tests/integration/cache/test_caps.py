"""Caps hold, by what the policy lets give way, and what does not fit is refused and changes nothing."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import riptide
from riptide.cache.accounts.audit import differences
from riptide.errors import QuotaExceeded
from riptide.store.keys import Keys
from riptide.tenants.accounts.account import ENTRY_OVERHEAD_BYTES, Account, Figures, total
from riptide.tenants.facts import KnownTenants
from tests.servers import ServerProcess
from tests.support.deployment import Deployment

KIB = os.urandom(1024)
#: What an entry of KIB counts as: a header and the overhead come on top.
EACH = 1024 + 64 + ENTRY_OVERHEAD_BYTES
Open = Callable[..., "Opened"]


class Opened:
    """A deployment with multi-tenancy on, and a look at its accounts."""

    def __init__(self, rt: riptide.RipTide) -> None:
        self.rt = rt
        self.keys = Keys(rt.settings.cache.key_prefix)

    def accounts(self, tenant: str) -> list[Account]:
        known = KnownTenants(self.keys, self.rt.settings.tenant)
        return [Account(self.keys, tag) for tag in self.rt.store.drive(known.learn(tenant)).tags]

    def figures(self, tenant: str = "acme") -> Figures:
        """After an audit."""
        accounts = self.accounts(tenant)
        for account in accounts:
            assert self.rt.store.drive(differences(account)) == []
        return self.rt.store.drive(total(accounts))

    def there(self, names: list[str], **where: Any) -> set[str]:
        return {name for name in names if self.rt.cache.exists(name, **({"tenant": "acme"} | where))}


@pytest.fixture
def opened() -> Iterator[Open]:
    """`opened(deployment, **sections)`."""
    with ExitStack() as stack:

        def open_one(deployment: Deployment, **sections: Any) -> Opened:
            sections["tenant"] = {"enabled": True} | sections.get("tenant", {})
            settings = deployment.settings(**sections)
            return Opened(stack.enter_context(riptide.connect(config=settings)))

        yield open_one


@pytest.mark.parametrize("policy", ["lru", "lfu", "ttl", "random"])
def test_what_gives_way_keeps_a_tenant_under_its_cap(
    deployment: Deployment, opened: Open, policy: str
) -> None:
    one = opened(deployment, cache={"eviction_policy": policy})
    one.rt.tenants.create("acme", quotas={"memory_bytes": 20 * EACH})
    one.rt.tenants.create("bystander", quotas={"memory_bytes": 20 * EACH})
    one.rt.cache.set_many({f"{n}": KIB for n in range(20)}, tenant="bystander")
    for n in range(60):
        one.rt.cache.set(f"{n}", KIB, tenant="acme")
        assert one.rt.cache.get(f"{n}", tenant="acme") == KIB, "what was just written is there"
    held = one.figures()
    assert held.entries <= 20
    assert held.bytes == held.entries * EACH
    assert held.evicted["policy"] == 60 - held.entries
    assert one.figures("bystander").entries == 20


def test_the_least_recently_used_give_way(on_valkey: Deployment, opened: Open) -> None:
    one = opened(on_valkey)
    one.rt.tenants.create("acme", quotas={"memory_bytes": 40 * EACH})
    old, used = [f"old {n}" for n in range(30)], [f"used {n}" for n in range(10)]
    one.rt.cache.set_many(dict.fromkeys([*used, *old], KIB), tenant="acme")
    time.sleep(2.1)  # the server knows idle times in whole seconds
    assert len(one.rt.cache.get_many(used, tenant="acme")) == 10
    one.rt.cache.set_many({f"new {n}": KIB for n in range(15)}, tenant="acme")
    assert one.there(used) == set(used)
    assert len(one.there(old)) <= 15


def test_the_least_frequently_used_give_way_where_the_server_counts(
    private_server: Callable[..., ServerProcess], opened: Open, prefix: str
) -> None:
    server = private_server(aof=False, maxmemory_policy="allkeys-lfu")
    found = Deployment(server.url, prefix)
    one = opened(found, cache={"eviction_policy": "lfu"})
    one.rt.tenants.create("acme", quotas={"memory_bytes": 40 * EACH})
    seldom, often = [f"seldom {n}" for n in range(30)], [f"often {n}" for n in range(10)]
    one.rt.cache.set_many(dict.fromkeys([*often, *seldom], KIB), tenant="acme")
    for _ in range(200):  # the server's counters grow by chance, and logarithmically
        one.rt.cache.get_many(often, tenant="acme")
    one.rt.cache.set_many({f"new {n}": KIB for n in range(15)}, tenant="acme")
    assert one.there(often) == set(often)
    found.close()


def test_those_that_expire_next_give_way(on_valkey: Deployment, opened: Open) -> None:
    one = opened(on_valkey, cache={"eviction_policy": "ttl"})
    one.rt.tenants.create("acme", quotas={"cache_entries": 10})
    for n in range(10):
        one.rt.cache.set(f"{n}", 1, ttl=1000 + n, tenant="acme")
    for n in range(4):
        one.rt.cache.set(f"new {n}", 1, ttl=5000, tenant="acme")
    assert one.there([f"{n}" for n in range(10)]) == {f"{n}" for n in range(4, 10)}


def test_reject_refuses_and_nothing_is_written(deployment: Deployment, opened: Open) -> None:
    one = opened(deployment, cache={"eviction_policy": "reject"})
    one.rt.tenants.create("acme", quotas={"memory_bytes": 2 * EACH, "cache_entries": 5})
    one.rt.cache.set_many({"a": KIB, "b": KIB}, tenant="acme")
    before = one.figures()
    with pytest.raises(QuotaExceeded, match=f"4,224 of memory_bytes and may have {2 * EACH:,}") as caught:
        one.rt.cache.set("c", KIB, tenant="acme")
    error = caught.value
    assert (error.tenant, error.resource, error.limit, error.remaining) == (
        "acme",
        "memory_bytes",
        2 * EACH,
        0,
    )
    assert error.retry_after is None
    assert one.there(["a", "b", "c"]) == {"a", "b"}
    assert one.figures() == before
    one.rt.cache.set("a", b"smaller", tenant="acme")
    one.rt.tenants.update("acme", quotas={"memory_bytes": -1, "cache_entries": 2})
    with pytest.raises(QuotaExceeded, match="cache_entries"):
        one.rt.cache.set("c", 1, tenant="acme")
    one.rt.cache.delete("a", tenant="acme")
    one.rt.cache.set("c", 1, tenant="acme")


def test_what_can_never_fit_is_refused_and_evicts_nothing(on_valkey: Deployment, opened: Open) -> None:
    one = opened(on_valkey)
    one.rt.tenants.create("acme", quotas={"memory_bytes": 3 * EACH})
    one.rt.cache.set_many({"a": KIB, "b": KIB}, tenant="acme")
    with pytest.raises(QuotaExceeded):
        one.rt.cache.set("c", os.urandom(5000), tenant="acme")
    assert one.there(["a", "b"]) == {"a", "b"}


def test_a_large_entry_pushes_many_small_ones_out(on_valkey: Deployment, opened: Open) -> None:
    one = opened(on_valkey)
    one.rt.tenants.create("acme", quotas={"memory_bytes": 1_000_000})
    one.rt.cache.set_many({f"{n}": b"x" for n in range(2500)}, tenant="acme")
    large = os.urandom(900_000)
    one.rt.cache.set("large", large, tenant="acme")
    assert one.rt.cache.get("large", tenant="acme") == large
    assert one.figures().bytes <= 1_000_000


def test_garbage_counts_and_goes_first(deployment: Deployment, opened: Open) -> None:
    one = opened(deployment)
    one.rt.tenants.create("acme", quotas={"memory_bytes": 40 * EACH})
    garbage = {f"{n}": KIB for n in range(20)}
    one.rt.cache.set_many(garbage, tenant="acme", namespace="old")
    one.rt.cache.invalidate_namespace("old", tenant="acme")
    assert one.figures().entries == 20, "what was invalidated still counts"
    live = [f"{n}" for n in range(40)]
    for name in live:
        one.rt.cache.set(name, KIB, tenant="acme")
    held = one.figures()
    assert one.there(live) == set(live)
    assert (held.entries, held.evicted["garbage"], held.evicted["policy"]) == (40, 20, 0)


def test_the_cap_holds_when_all_is_invalidated_all_the_time(on_valkey: Deployment, opened: Open) -> None:
    one = opened(on_valkey)
    one.rt.tenants.create("acme", quotas={"memory_bytes": 10 * EACH})
    (account,) = one.accounts("acme")
    for n in range(200):
        one.rt.cache.set(f"{n}", KIB, tenant="acme")
        one.rt.cache.invalidate_namespace("default", tenant="acme")
        assert one.rt.store.run(account.held()).bytes <= 10 * EACH
    assert one.figures().evicted["garbage"] >= 190


def test_shards_lend_each_other_what_they_do_not_use(deployment: Deployment, opened: Open) -> None:
    """Each has its part of the cap. An entry larger than that finds room, and the whole cap holds."""
    one = opened(deployment)
    one.rt.tenants.create("acme", quotas={"memory_bytes": 64 * EACH}, shards=16)
    large = os.urandom(20 * 1024)
    one.rt.cache.set("large", large, tenant="acme")
    assert one.rt.cache.get("large", tenant="acme") == large
    for n in range(150):
        one.rt.cache.set(f"{n}", KIB, tenant="acme")
        assert one.rt.cache.get(f"{n}", tenant="acme") == KIB
    held = one.figures()
    assert 32 * EACH < held.bytes <= 64 * EACH


def test_without_multi_tenancy_the_whole_cap_is_the_default_tenants(
    on_valkey: Deployment, opened: Open
) -> None:
    one = opened(on_valkey, tenant={"enabled": False}, cache={"max_memory_bytes": 1024**2})
    large = os.urandom(500_000)
    one.rt.cache.set("large", large)
    assert one.rt.cache.get("large") == large
    one.rt.cache.set_many({f"{n}": KIB for n in range(1500)})
    assert 0 < one.figures("default").bytes <= 1024**2


def test_a_lowered_cap_holds_from_the_next_write_on(on_valkey: Deployment, opened: Open) -> None:
    one = opened(on_valkey)
    one.rt.tenants.create("acme")
    one.rt.cache.set_many({f"{n}": KIB for n in range(50)}, tenant="acme")
    one.rt.tenants.update("acme", quotas={"memory_bytes": 10 * EACH})
    one.rt.cache.set("new", KIB, tenant="acme")
    assert one.figures().bytes <= 10 * EACH


def test_a_load_that_finds_no_room_still_answers(on_valkey: Deployment, opened: Open) -> None:
    one = opened(on_valkey, cache={"eviction_policy": "reject"})
    one.rt.tenants.create("acme", quotas={"cache_entries": 1})
    assert one.rt.cache.get_or_load("a", lambda: 1, tenant="acme") == 1
    assert one.rt.cache.get_or_load("b", lambda: 2, tenant="acme") == 2
    assert one.rt.cache.stats().errors == 1
    assert one.there(["a", "b"]) == {"a"}


def test_one_tenants_cap_keeps_no_other_writes_back(on_valkey: Deployment, opened: Open) -> None:
    """In one flush of buffered writes, and in one batch."""
    one = opened(on_valkey, cache={"eviction_policy": "reject", "write_behind_flush_seconds": 3600})
    one.rt.tenants.create("full", quotas={"cache_entries": 1})
    one.rt.tenants.create("acme")
    for n in range(3):
        one.rt.cache.write_behind(f"{n}", n, tenant="full")
        one.rt.cache.write_behind(f"{n}", n, tenant="acme")
    with pytest.raises(QuotaExceeded):
        one.rt.cache.flush()
    assert one.there(["0", "1", "2"]) == {"0", "1", "2"}
    assert len(one.there(["0", "1", "2"], tenant="full")) == 1
    one.rt.cache.flush()  # nothing waits any more
    with pytest.raises(QuotaExceeded):
        one.rt.cache.set_many({"x": 1, "y": 2}, tenant="full")


def test_logical_isolation_keeps_accounts_without_caps(on_valkey: Deployment, opened: Open) -> None:
    one = opened(on_valkey, tenant={"isolation_level": "logical", "default_memory_quota": EACH})
    one.rt.cache.set_many({f"{n}": KIB for n in range(5)}, tenant="nobody")
    assert one.figures("nobody").bytes == 5 * EACH
    one.rt.tenants.create("acme", quotas={"cache_entries": 1})
    one.rt.cache.set_many({f"{n}": KIB for n in range(5)}, tenant="acme")
    assert one.figures().entries == 5


def test_without_isolation_all_share_one_cache(on_valkey: Deployment, opened: Open) -> None:
    one = opened(on_valkey, tenant={"isolation_level": "none"})
    one.rt.cache.set("a", 1, tenant="acme")
    assert one.rt.cache.get("a", tenant="globex") == one.rt.cache.get("a") == 1
    one.rt.cache.clear(tenant="globex")
    assert one.rt.cache.get("a", tenant="acme") is None
    assert one.figures("default").entries == 1


@pytest.mark.parametrize("way", ["policy", "garbage"])
def test_what_gave_way_is_in_no_tags_index(deployment: Deployment, opened: Open, way: str) -> None:
    """Or indexes would grow beyond every cap, as long as entries could have lived."""
    one = opened(deployment)
    one.rt.tenants.create("acme", quotas={"cache_entries": 20})
    for n in range(100):
        one.rt.cache.set(f"{n}", 1, tags=["all", f"tag {n}", f"other {n}"], ttl=10**6, tenant="acme")
        if way == "garbage" and n % 7 == 0:
            one.rt.cache.invalidate_namespace("default", tenant="acme")
    indexes = list(
        deployment.client.scan_iter(match=f"{deployment.prefix}:tag:{{acme}}:default:*", count=1000)
    )
    members = [deployment.client.zcard(index) for index in indexes]
    held = one.figures().entries
    assert held <= 20
    assert sum(members) == 3 * held
