"""Writes need the tenant's record, and that incarnation: nothing written late brings a purged tenant back."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import riptide
from riptide.errors import InvalidInput, MultiTenancyDisabled, TenantNotActive, UnknownTenant
from tests.support.deployment import Deployment

Open = Callable[..., riptide.RipTide]
ACME: Any = {"tenant": "acme"}


@pytest.fixture
def connect(deployment: Deployment) -> Iterator[Open]:
    """`connect(**tenant_settings)`: another process's client, with multi-tenancy on."""
    with ExitStack() as stack:

        def open_one(**tenant: Any) -> riptide.RipTide:
            settings = deployment.settings(tenant={"enabled": True, **tenant})
            return stack.enter_context(riptide.connect(config=settings))

        yield open_one


def purge(deployment: Deployment, tenant: str) -> None:
    """Remove all that is the tenant's, as purging will."""
    for pattern in (f"{{{tenant}}}", f"{{{tenant}.[0-9]*}}"):
        for key in list(deployment.client.scan_iter(match=f"{deployment.prefix}:*:{pattern}*", count=1000)):
            deployment.client.delete(key)
    deployment.client.zrem(deployment.keys.control("tenants"), tenant)


def left_of(deployment: Deployment, tenant: str) -> list[str]:
    found = deployment.client.scan_iter(match=f"{deployment.prefix}:*{tenant}*", count=1000)
    return sorted(key.decode() for key in found)


def everything(rt: riptide.RipTide) -> list[Callable[[], object]]:
    """What writes, or could leave something behind."""
    cache = rt.cache
    return [
        lambda: cache.set("a", 1, **ACME),
        lambda: cache.set_many({"a": 1, "b": 2}, tags=["t"], **ACME),
        lambda: cache.get_or_load("a", lambda: 1, **ACME),
        lambda: cache.warm("b", lambda: 1, **ACME),
        lambda: cache.write_through("a", 1, lambda _: None, **ACME),
        lambda: cache.invalidate(keys=["a"], **ACME),
        lambda: cache.invalidate(tags=["t"], **ACME),
        lambda: cache.invalidate_namespace("default", **ACME),
        lambda: cache.clear(**ACME),
    ]


def test_an_unknown_tenant_gets_nothing(deployment: Deployment, connect: Open) -> None:
    rt = connect()
    reads: list[Callable[[], object]] = [
        lambda: rt.cache.get("a", **ACME),
        lambda: rt.cache.get_many(["a"], **ACME),
    ]
    for call in [*everything(rt), *reads]:
        with pytest.raises(UnknownTenant, match=r"no tenant 'acme': create it first, by rt.tenants.create"):
            call()
    assert left_of(deployment, "acme") == []


@pytest.mark.parametrize("shards", [1, 4])
def test_nothing_written_late_brings_a_purged_tenant_back(
    deployment: Deployment, connect: Open, shards: int
) -> None:
    rt = connect()
    rt.tenants.create("acme", shards=shards)
    rt.cache.set_many({"a": 1, "b": 2, "c": 3}, tags=["t"], **ACME)
    purge(deployment, "acme")
    for at in range(len(everything(rt))):
        late = connect()
        rt.tenants.create("acme", shards=shards)
        assert late.cache.get("a", **ACME) is None  # it knows the tenant
        purge(deployment, "acme")
        with pytest.raises(UnknownTenant):
            everything(late)[at]()
        assert left_of(deployment, "acme") == []


@pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 1), (4, 2), (1, 1)])
def test_a_tenant_made_anew_is_learnt_anew(
    deployment: Deployment, connect: Open, before: int, after: int
) -> None:
    """Whoever knew the earlier one writes, invalidates and reads where the new one's keys are."""
    maker, names = connect(), [f"key {n}" for n in range(20)]
    for use in range(4):
        maker.tenants.create("acme", shards=before)
        old = connect()
        old.cache.set_many(dict.fromkeys(names, 1), tags=["t"], **ACME)
        purge(deployment, "acme")
        maker.tenants.create("acme", shards=after)
        new = connect()
        if use == 0:
            for name in names:
                old.cache.set(name, 2, **ACME)
            assert new.cache.get_many(names, **ACME) == dict.fromkeys(names, 2)
        else:
            new.cache.set_many(dict.fromkeys(names, 2), tags=["t"], **ACME)
        if use == 1:
            assert old.cache.invalidate(keys=names, **ACME) == 20
        if use == 2:
            assert old.cache.invalidate(tags=["t"], **ACME) == 20
        if use == 3:
            old.cache.get_many(names, **ACME)  # where a whole shard is empty it looks again
            assert old.cache.get_many(names, **ACME) == dict.fromkeys(names, 2)
        purge(deployment, "acme")


def test_a_load_begun_for_another_incarnation_is_not_stored(deployment: Deployment, connect: Open) -> None:
    rt, maker = connect(), connect()
    rt.tenants.create("acme")

    def load() -> int:
        purge(deployment, "acme")
        maker.tenants.create("acme")
        return 1

    assert rt.cache.get_or_load("a", load, **ACME) == 1
    assert maker.cache.get("a", **ACME) is None
    assert rt.cache.stats().refused == 1


def test_a_suspension_holds_with_the_next_write(deployment: Deployment, connect: Open) -> None:
    rt, operator = connect(), connect()
    rt.tenants.create("acme", shards=4)
    rt.cache.set("there", 1, **ACME)
    operator.tenants.suspend("acme", why="unpaid")
    for call in everything(rt)[:5]:
        with pytest.raises(TenantNotActive, match=r"suspended \(unpaid\)") as caught:
            call()
        assert (caught.value.status, caught.value.why) == ("suspended", "unpaid")
    assert rt.cache.get("there", **ACME) == 1, "reads are the caller's to stop, by asking for quotas"
    assert rt.cache.invalidate(keys=["there"], **ACME) == 1
    operator.tenants.resume("acme")
    rt.cache.set("a", 2, **ACME)
    assert rt.cache.get("a", **ACME) == 2


def test_a_load_during_a_suspension_answers_and_is_not_stored(connect: Open) -> None:
    rt = connect()
    rt.tenants.create("acme")

    def load() -> int:
        rt.tenants.suspend("acme")
        return 1

    assert rt.cache.get_or_load("a", load, **ACME) == 1
    assert rt.cache.get("a", **ACME) is None


def test_without_multi_tenancy_there_is_the_default_one(deployment: Deployment, connect: Open) -> None:
    rt = connect(enabled=False)
    rt.cache.set("a", 1)
    assert rt.cache.get("a", tenant="default") == 1
    for call in everything(rt):
        with pytest.raises(MultiTenancyDisabled, match=r"tenant.enabled is off"):
            call()
    assert connect().cache.get("a") == 1, "its keys are the same with multi-tenancy on"


def test_logical_isolation_needs_no_record(deployment: Deployment, connect: Open) -> None:
    rt = connect(isolation_level="logical")
    rt.cache.set("a", 1, **ACME)
    assert rt.cache.get("a", **ACME) == 1
    assert rt.cache.get("a", tenant="globex") is None
    rt.tenants.create("acme", shards=4)
    for name in ("a", "b", "c"):
        rt.cache.set(name, 2, **ACME)  # it has a record now, and is learnt anew
    assert connect().cache.get_many(["a", "b", "c"], **ACME) == {"a": 2, "b": 2, "c": 2}
    rt.tenants.suspend("acme")
    with pytest.raises(TenantNotActive):
        rt.cache.set("a", 3, **ACME)


def test_names_that_mean_other_tenants_are_refused(connect: Open) -> None:
    """No crafted name reaches the shards, the account or the record of another."""
    rt = connect()
    rt.tenants.create("acme", shards=4)
    for name in ("acme.0", "acme.1", "acme}:index", "{acme}", "acme\n", "ACME", "acme:default", "*", "a*"):
        with pytest.raises(InvalidInput, match="tenant id"):
            rt.cache.set("a", 1, tenant=name)
    for name in ("~epoch", "a:b", "default:x", "~namespaces", "*", "index"[:0]):
        with pytest.raises(InvalidInput, match="namespace"):
            rt.cache.set("a", 1, namespace=name, **ACME)


async def test_the_asynchronous_face_learns_too(deployment: Deployment, connect: Open) -> None:
    operator = connect()
    settings = deployment.settings(tenant={"enabled": True})
    async with await riptide.aconnect(config=settings) as rt:
        with pytest.raises(UnknownTenant):
            await rt.cache.get("a", **ACME)
        operator.tenants.create("acme", shards=4)
        await rt.cache.set("a", 1, **ACME)
        assert await rt.cache.get("a", **ACME) == 1
        purge(deployment, "acme")
        operator.tenants.create("acme")
        await rt.cache.set_many({"a": 2, "b": 3}, **ACME)
        assert operator.cache.get_many(["a", "b"], **ACME) == {"a": 2, "b": 3}
        operator.tenants.suspend("acme")
        with pytest.raises(TenantNotActive):
            await rt.cache.set("a", 1, **ACME)


def test_a_known_tenants_get_is_one_command(on_valkey: Deployment) -> None:
    """What isolation adds to a read is nothing once the tenant is known."""
    settings = on_valkey.settings(tenant={"enabled": True})
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme")
        rt.cache.set("a", 1, **ACME)

        def calls() -> int:
            stats: Any = on_valkey.client.info("commandstats")
            return int(
                sum(row["calls"] for name, row in stats.items() if name in {"cmdstat_mget", "cmdstat_hmget"})
            )

        before = calls()
        for _ in range(10):
            assert rt.cache.get("a", **ACME) == 1
        assert calls() == before + 10
