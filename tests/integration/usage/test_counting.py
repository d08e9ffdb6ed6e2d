"""Records are counted by tenant, hour, month and operation; what cannot be counted is a dead letter."""

import asyncio
import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

import riptide
from commands import RecordUsage
from riptide.errors import InvalidInput
from riptide.reads.aio_client import aconnect
from riptide.store.keys import PARTITIONS, partition_of
from riptide.streams.dead import letters, revive
from riptide.tenants.usage.counting import MOST
from riptide.tenants.usage.known import digest_of
from riptide.tenants.usage.merging import METRICS
from tests.support.deployment import Deployment
from tests.support.usage import (
    KIND,
    Sums,
    by_month,
    counted,
    counting_worker,
    make_tenants,
    month_before,
    reasons,
)
from tests.support.waiting import aeventually

TENANTS = ["acme", "globex", "initech"]


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def add(deployment: Deployment, tenant: str, partition: str | None = None, **body: Any) -> str:
    """A bare XADD."""
    fields = {"tenant": tenant, "body": json.dumps({"operation": "render", **body})}
    return deployment.add(KIND, fields, partition or partition_of(tenant))


async def drain(deployment: Deployment, **sections: Any) -> None:
    """Carry out all that waits."""

    async def at_rest() -> bool:
        return await asyncio.to_thread(deployment.at_rest, KIND)

    sections["tenant"] = {"enabled": True} | sections.get("tenant", {})
    async with counting_worker(deployment.settings(**sections)):
        await aeventually(at_rest, "all to be counted")


def sums_of(deployment: Deployment) -> Sums:
    return counted(deployment.client, deployment.keys, TENANTS)


async def test_sums(deployment: Deployment, now: datetime) -> None:
    make_tenants(deployment.client, deployment.keys, TENANTS)
    ledger: Sums = Counter()
    moments = [now - timedelta(hours=2), now - timedelta(hours=1)]
    for n in range(120):
        tenant, moment = TENANTS[n % 3], moments[n % 2]
        # Any partition is correct.
        add(
            deployment,
            tenant,
            PARTITIONS[n % 16],
            operation=f"op/{n % 4}",
            operation_count=n,
            data_bytes=7,
            compute_ms=n * n,
            storage_bytes=2**40,
            at=ms(moment),
        )
        amounts = {"operations": n, "data_bytes": 7, "compute_ms": n * n, "storage_bytes": 2**40}
        for metric, amount in amounts.items():
            if amount:
                ledger[tenant, f"{moment:%Y-%m-%dT%H}", 0, f"op/{n % 4}", metric] += amount
                ledger[tenant, f"{moment:%Y-%m}", 0, f"op/{n % 4}", metric] += amount
    await drain(deployment)
    assert sums_of(deployment) == ledger
    assert not deployment.letters(KIND)
    key = deployment.keys.usage(PARTITIONS[0], TENANTS[0], f"{moments[0]:%Y-%m-%dT%H}")
    assert deployment.client.ttl(key) > 30 * 86_400
    name = f"{moments[1]:%Y-%m}"
    async with await aconnect(config=deployment.settings(tenant={"enabled": True})) as rt:
        used = await rt.usage.show("acme", name)
        hours = await rt.usage.hours("acme", name)
    totals = {
        metric: sum(v for k, v in by_month(ledger).items() if (*k[:2], k[4]) == ("acme", name, metric))
        for metric in METRICS
    }
    assert {metric: getattr(used, metric) for metric in totals} == totals
    assert used.storage_byte_hours == totals["storage_bytes"]
    assert not used.sealed
    assert sum(hour.total.operations for hour in hours.values()) == totals["operations"]
    assert list(hours) == sorted(
        {k[1] for k in ledger if k[0] == "acme" and k[1].startswith(f"{name}-") and "T" in k[1]}
    )


async def test_a_record_is_of_the_time_that_it_names_else_of_its_issue(
    on_valkey: Deployment, now: datetime
) -> None:
    make_tenants(on_valkey.client, on_valkey.keys, TENANTS)
    body = json.dumps({"operation": "render"})
    add(on_valkey, "acme", at=month_before(now, 1).isoformat())
    on_valkey.add(KIND, {"tenant": "acme", "body": body, "at": ms(month_before(now, 2))})
    # A publisher's clock that is ahead is not believed: the server's decides.
    on_valkey.add(KIND, {"tenant": "acme", "body": body, "at": ms(now) + 40 * 86_400_000})
    await drain(on_valkey)
    found = by_month(sums_of(on_valkey))
    assert {key[1]: value for key, value in found.items()} == {
        f"{month_before(now, 1):%Y-%m}": 1,
        f"{month_before(now, 2):%Y-%m}": 1,
        f"{now:%Y-%m}": 1,
    }


async def test_what_cannot_be_counted_is_a_dead_letter_and_the_others_are_counted(
    deployment: Deployment,
    now: datetime,
) -> None:
    make_tenants(deployment.client, deployment.keys, ["acme"])
    for n in range(20):
        add(deployment, "acme", data_bytes=n)
    add(deployment, "nobody")
    add(deployment, "acme", at=ms(now) + 3_600_000)
    add(deployment, "acme", at="9999-12-31T23:59:59Z")
    add(deployment, "acme", at=0)
    await drain(deployment)
    assert reasons(deployment) == {"unknown-tenant": 1, "future": 2, "too-old": 1}
    found = by_month(sums_of(deployment))
    assert found["acme", f"{now:%Y-%m}", 0, "render", "data_bytes"] == sum(range(20))
    assert found["acme", f"{now:%Y-%m}", 0, "render", "operations"] == 20
    [letter] = [x for x in deployment.letters(KIND) if x[b"reason"] == b"unknown-tenant"]
    assert b"'nobody'" in letter[b"error"]


BAD = [
    '{"operation":"a|0|operations"}',
    '{"operation":"a\\n"}',
    '{"operation":""}',
    '{"operation":"ä"}',
    '{"operation":"render","operation_count":0}',
    '{"operation":"render","operation_count":-1}',
    '{"operation":"render","data_bytes":1.5}',
    '{"operation":"render","data_bytes":1e3}',
    '{"operation":"render","compute_ms":NaN}',
    '{"operation":"render","compute_ms":Infinity}',
    '{"operation":"render","storage_bytes":1099511627777}',
    '{"operation":"render","storage_bytes":123456789012345678901234567890}',
    '{"operation":"render","data_bytes":true}',
    '{"operation":"render","data_bytes":"7"}',
    '{"operation":"render","at":-1}',
    '{"operation":"render","at":"yesterday"}',
    '{"operation":"render","tenant":"globex"}',
]


async def test_crafted_records_count_nothing(deployment: Deployment) -> None:
    make_tenants(deployment.client, deployment.keys, TENANTS)
    tenants = ["acme:2026-11", "acme|", "../acme", "ACME", "acme\n", "{acme}", "", "a" * 64, "acme}:{globex"]
    for body in BAD:
        deployment.add(KIND, {"tenant": "acme", "body": body})
    for tenant in tenants:
        deployment.add(KIND, {"tenant": tenant, "body": '{"operation":"render"}'})
    await drain(deployment)
    assert not sums_of(deployment)
    assert reasons(deployment) == {"malformed": len(BAD) + len(tenants)}


def test_the_library_refuses_them_at_once(on_valkey: Deployment) -> None:
    with riptide.connect(config=on_valkey.settings(tenant={"enabled": True})) as rt:
        bad: list[dict[str, Any]] = [
            {"operation": "a|b"},
            {"operation_count": 0},
            {"operation_count": -1},
            {"data_bytes": 0.5},
            {"compute_ms": float("nan")},
            {"storage_bytes": 2**40 + 1},
            {"tenant": "Acme"},
            {"at": datetime(2026, 1, 1)},  # noqa: DTZ001 - that is the point
        ]
        for fields in bad:
            with pytest.raises(InvalidInput):
                rt.usage.record(**{"tenant": "acme", "operation": "render"} | fields)
        assert not on_valkey.entries(KIND)
        ref = rt.usage.record("acme", "render", data_bytes=3, key="once")
        assert rt.usage.record("acme", "render", data_bytes=3, key="once") == ref


async def test_a_sum_that_is_full_takes_what_fits(on_valkey: Deployment, now: datetime) -> None:
    make_tenants(on_valkey.client, on_valkey.keys, TENANTS)
    month = f"{now:%Y-%m}"
    partition = partition_of("acme")
    name = "0|render|data_bytes"
    on_valkey.client.hset(on_valkey.keys.usage(partition, "acme", month), name, MOST - 10)
    for amount in (6, 5, 4, 2**40, 0):
        add(on_valkey, "acme", data_bytes=amount)
    add(on_valkey, "globex", data_bytes=2**40)
    await drain(on_valkey)
    found = by_month(sums_of(on_valkey))
    assert found["acme", month, 0, "render", "data_bytes"] == MOST
    assert found["acme", month, 0, "render", "operations"] == 3  # what does not fit is not counted in part
    assert found["globex", month, 0, "render", "data_bytes"] == 2**40
    assert reasons(on_valkey) == {"out-of-range": 2}


async def test_operations_without_end_are_counted_together(deployment: Deployment, now: datetime) -> None:
    """A tenant that makes their names up fills no memory, and nothing is lost."""
    make_tenants(deployment.client, deployment.keys, TENANTS)
    month, partition = f"{now:%Y-%m}", partition_of("acme")
    name = deployment.keys.usage(partition, "acme", month)
    there = {f"0|made.up.{n}|operations": 1 for n in range(3_998)}
    deployment.client.hset(name, mapping=there | {"0|(others)|data_bytes": MOST - 5})
    for n in range(3_990, 4_010):
        add(deployment, "acme", operation=f"made.up.{n}")
    for amount in (3, 4):
        add(deployment, "acme", operation="one.more", data_bytes=amount)
    await drain(deployment)
    found = {place[3:]: value for place, value in by_month(sums_of(deployment)).items() if place[0] == "acme"}
    assert found["made.up.3997", "operations"] == 2
    assert len([1 for operation, _ in found if operation.startswith("made.up")]) == 3_999
    assert found["(others)", "operations"] == 20 - 8 - 1 + 1
    assert found["(others)", "data_bytes"] == MOST - 2
    assert reasons(deployment) == {"out-of-range": 1}
    with riptide.connect(config=deployment.settings(tenant={"enabled": True})) as rt:
        with pytest.raises(InvalidInput):
            rt.usage.record("acme", "(others)")
        assert rt.usage.show("acme").by_operation["(others)"].operations == 12


async def test_what_a_purged_tenant_did_is_dropped_and_counted(deployment: Deployment) -> None:
    keys, client, partition = deployment.keys, deployment.client, partition_of("acme")
    make_tenants(client, keys, TENANTS)
    for _ in range(3):
        add(deployment, "acme")
        add(deployment, "globex")
    purged_ms = round(deployment.server_seconds() * 1000) + 1
    client.hset(keys.gone(partition), digest_of("acme"), purged_ms)
    client.delete(keys.record("acme"))
    while deployment.server_seconds() * 1000 < purged_ms + 1:
        pass
    add(deployment, "acme")  # nobody's
    await drain(deployment)
    found = by_month(sums_of(deployment))
    assert {key[0]: value for key, value in found.items()} == {"globex": 3}
    assert reasons(deployment) == {"unknown-tenant": 1}
    assert client.hget(keys.gone(partition), f"{digest_of('acme')}:dropped") == b"3"
    make_tenants(client, keys, ["acme"])  # another one of that name
    add(deployment, "acme", data_bytes=5)
    await drain(deployment)
    assert sum(v for k, v in by_month(sums_of(deployment)).items() if k[0] == "acme") == 6


async def test_a_tenant_that_is_purged_under_a_workers_eyes(on_valkey: Deployment, now: datetime) -> None:
    """It believes for a minute that the tenant exists; the script knows better."""
    keys, client, partition = on_valkey.keys, on_valkey.client, partition_of("acme")
    make_tenants(client, keys, TENANTS)

    async def at_rest() -> bool:
        return await asyncio.to_thread(on_valkey.at_rest, KIND)

    async with counting_worker(on_valkey.settings(tenant={"enabled": True})):
        add(on_valkey, "acme")
        await aeventually(at_rest, "the first to be counted")
        client.delete(keys.record("acme"))
        for key in client.scan_iter(keys.usage(partition, "acme", "*")):
            client.delete(key)
        client.hset(keys.gone(partition), digest_of("acme"), round(on_valkey.server_seconds() * 1000) + 1)
        old = {"tenant": "acme", "at": ms(now) - 1000, "body": '{"operation":"render"}'}
        on_valkey.add(KIND, old, partition)
        add(on_valkey, "globex", partition)
        await aeventually(at_rest, "the others to end")
    assert {key[0] for key in sums_of(on_valkey)} == {"globex"}
    assert client.hget(keys.gone(partition), f"{digest_of('acme')}:dropped") == b"1"
    assert not on_valkey.letters(KIND)


async def test_delayed_records_leave_no_trace(deployment: Deployment, now: datetime) -> None:
    make_tenants(deployment.client, deployment.keys, ["acme"])
    async with await aconnect(config=deployment.settings(tenant={"enabled": True})) as rt:
        refs = [await rt.publish(RecordUsage(operation="render"), tenant="acme", delay=0.2) for _ in range(3)]
        await drain(deployment)
        assert [(await rt.status(ref)).state for ref in refs] == ["done"] * 3
    found = by_month(sums_of(deployment))
    assert found["acme", f"{now:%Y-%m}", 0, "render", "operations"] == 3
    for partition in PARTITIONS:
        assert not deployment.client.exists(deployment.keys.retry(KIND, partition))
        assert not deployment.client.exists(deployment.keys.retry_bodies(KIND, partition))


async def test_a_dead_letter_that_is_put_back_is_counted_once(on_valkey: Deployment, now: datetime) -> None:
    add(on_valkey, "globex")
    await drain(on_valkey)
    make_tenants(on_valkey.client, on_valkey.keys, ["globex"])
    async with await aconnect(config=on_valkey.settings(tenant={"enabled": True})) as rt:
        [letter] = await rt.store.drive(letters(on_valkey.keys, [KIND]))
        assert await rt.store.run(revive(on_valkey.keys, letter))
        await drain(on_valkey)
        assert (await rt.status(letter.source)).state == "done"
    assert by_month(sums_of(on_valkey)) == {("globex", f"{now:%Y-%m}", 0, "render", "operations"): 1}
