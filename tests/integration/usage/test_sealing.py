"""Sealing a month: its sums stay, what comes later is the adjustment; read again as often as one likes."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from riptide.errors import InvalidInput, MultiTenancyDisabled, UnknownTenant
from riptide.reads.sync_client import RipTide, connect
from riptide.store.keys import PARTITIONS
from riptide.tenants.usage.known import digest_of
from riptide.tenants.usage.periods import MONTHS_KEPT, month
from riptide.tenants.usage.reading import Amounts, read_month
from riptide.tenants.usage.sealing import NotSealed, seal, sealed_sums
from tests.support.deployment import Deployment
from tests.support.usage import KIND, counting_worker, make_tenants, month_before
from tests.support.waiting import eventually

TENANTS = [f"tenant-{n}" for n in range(300)]  # more than one script call takes
ACME = TENANTS[0]
#: By their incarnations.
ALL = dict.fromkeys(TENANTS, "5" * 16)
MINE = {ACME: ALL[ACME]}
NOW = datetime.now(UTC)
#: Last month, whose last day's hours are kept, and the one before.
LAST = month_before(NOW)
NAME, BEFORE, NOW_NAME = (f"{moment:%Y-%m}" for moment in (LAST, month_before(NOW, 2), NOW))


@pytest.fixture
def rt(deployment: Deployment) -> Iterator[RipTide]:
    make_tenants(deployment.client, deployment.keys, TENANTS[:3])
    with connect(config=deployment.settings(tenant={"enabled": True})) as opened:
        yield opened


async def use(deployment: Deployment, data_bytes: int, at: datetime = LAST) -> None:
    """One record in every partition, counted."""
    for partition in PARTITIONS:
        body = {"operation": "render", "data_bytes": data_bytes, "at": at.isoformat()}
        deployment.add(KIND, {"tenant": ACME, "body": json.dumps(body)}, partition)
    async with counting_worker(deployment.settings(tenant={"enabled": True})):
        await asyncio.to_thread(eventually, lambda: deployment.at_rest(KIND), "all to be counted")


async def test_a_sealed_month_stays_and_what_comes_later_is_apart(
    deployment: Deployment, rt: RipTide
) -> None:
    keys, store = deployment.keys, rt.store
    await use(deployment, 10)
    with pytest.raises(NotSealed):
        store.drive(sealed_sums(keys, ACME, NAME))
    with pytest.raises(NotSealed):
        store.drive(seal(keys, MINE, NAME, 1))
    for _ in range(2):
        store.drive(seal(keys, ALL, NAME))
    first = store.drive(sealed_sums(keys, ACME, NAME))
    assert first.by_operation == {"render": Amounts(16, 160)}
    await use(deployment, 1)
    await use(deployment, 5, month_before(NOW, 2))  # another month is not sealed
    store.drive(seal(keys, ALL, NAME))  # once more changes nothing
    assert store.drive(sealed_sums(keys, ACME, NAME)) == first
    with pytest.raises(NotSealed):
        store.drive(sealed_sums(keys, ACME, NAME, 1))
    used = rt.usage.show(ACME, NAME)
    assert (used.operations, used.data_bytes, used.sealed) == (32, 176, True)
    assert used.adjustments.total == Amounts(16, 16)
    store.drive(seal(keys, MINE, NAME, 1))
    assert store.drive(sealed_sums(keys, ACME, NAME, 1)).total == Amounts(16, 16)
    await use(deployment, 2)
    sums = store.drive(read_month(keys, ACME, NAME))
    assert sums.sealed == 2
    assert sums.of(2).total == Amounts(16, 32)
    assert sums.late.total == Amounts(32, 48)
    assert store.drive(sealed_sums(keys, TENANTS[-1], NAME)).total == Amounts()
    assert not rt.usage.show(ACME, BEFORE).sealed
    hours = rt.usage.hours(ACME, NAME)
    assert {name: hour.total.operations for name, hour in hours.items()} == {f"{LAST:%Y-%m-%dT%H}": 48}


def test_a_month_sealed_in_some_partitions_is_not_sealed(deployment: Deployment, rt: RipTide) -> None:
    """Whoever seals may die in the middle of it."""
    keys = deployment.keys
    for partition in PARTITIONS[:15]:
        deployment.client.hset(keys.seals(partition, ACME), NAME, 1)
    with pytest.raises(NotSealed):
        rt.store.drive(sealed_sums(keys, ACME, NAME))
    rt.store.drive(seal(keys, MINE, NAME))
    rt.store.drive(sealed_sums(keys, ACME, NAME))


def test_seals_are_kept_as_long_as_the_sums_that_they_are_of(deployment: Deployment, rt: RipTide) -> None:
    keys = deployment.keys
    for name in (NAME, NOW_NAME, BEFORE):
        rt.store.drive(seal(keys, MINE, name))
    expires = deployment.client.expiretime(keys.seals("10", ACME))
    assert expires == month(NOW_NAME).end + MONTHS_KEPT * 86_400


@pytest.mark.parametrize("state", ["", " over"])
def test_a_purged_tenant_gets_no_seals(deployment: Deployment, rt: RipTide, state: str) -> None:
    keys = deployment.keys
    for partition in PARTITIONS:
        purged = {digest_of(ACME): 1, f"{digest_of(ACME)}:state": MINE[ACME] + state}
        deployment.client.hset(keys.gone(partition), mapping=purged)
    with pytest.raises(UnknownTenant, match="was purged meanwhile"):
        rt.store.drive(seal(keys, ALL, NAME))
    assert not any(deployment.client.exists(keys.seals(partition, ACME)) for partition in PARTITIONS)
    rt.store.drive(seal(keys, {ACME: "6" * 16}, NAME))  # the next one that has its id
    assert all(deployment.client.exists(keys.seals(partition, ACME)) for partition in PARTITIONS)


@pytest.mark.parametrize("name", ["2026-13", "2026-1", "1969-12", "9999-12", "2026-11-01", "", "2026-11\n"])
def test_what_is_no_month(on_valkey: Deployment, name: str) -> None:
    with connect(config=on_valkey.settings(tenant={"enabled": True})) as rt:
        make_tenants(on_valkey.client, on_valkey.keys, [ACME])
        for call in (rt.usage.show, rt.usage.hours):
            with pytest.raises(InvalidInput):
                call(ACME, name)
        with pytest.raises(InvalidInput):
            rt.store.drive(seal(on_valkey.keys, MINE, name))


def test_whose_usage_can_be_shown(on_valkey: Deployment) -> None:
    with connect(config=on_valkey.settings(tenant={"enabled": True})) as rt:
        for call in (rt.usage.show, rt.usage.hours):
            with pytest.raises(UnknownTenant):
                call("nobody")
            with pytest.raises(InvalidInput):
                call("acme:2026-11")
        assert rt.usage.show("default").operations == 0
        with pytest.raises(InvalidInput):
            rt.store.drive(seal(on_valkey.keys, {"acme}:{globex": "0"}, NAME))
    with connect(config=on_valkey.settings()) as rt, pytest.raises(MultiTenancyDisabled):
        rt.usage.show(ACME)


def test_storage_byte_hours(deployment: Deployment, rt: RipTide) -> None:
    """The integral that the tenant's account keeps, in whole hours."""
    account = deployment.keys.account(ACME)
    deployment.client.hset(account, mapping={f"bs:{NAME}": 3600 * 2**52 + 7199, "at": 1})
    assert rt.usage.show(ACME, NAME).storage_byte_hours == 2**52 + 1
    assert rt.usage.show(ACME, BEFORE).storage_byte_hours == 0
