"""Purging on real servers: nothing of the tenant is left, and all of its neighbours."""

import asyncio
import itertools
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

import riptide
from commands import PurgeTenant, RecordUsage
from riptide.config import Settings
from riptide.errors import TenantNotActive, UnknownTenant
from riptide.reads.aio_client import aconnect
from riptide.store.keys import PARTITIONS, Keys, partition_of
from riptide.streams.registry import CommandType
from riptide.streams.status import Status
from riptide.tenants.usage.counting import Counting
from riptide.tenants.usage.known import digest_of
from tests.support import access
from tests.support.deployment import Deployment
from tests.support.purged import UNFINISHED, Dump, dump, have_everything, of_tenant
from tests.support.waiting import PATIENCE, aeventually
from tests.support.workers import running_worker
from workers import HANDLERS

TYPES = [CommandType("purge_tenant", PurgeTenant, HANDLERS["purge_tenant"])]
COUNTS = CommandType("record_usage", RecordUsage, HANDLERS["record_usage"])
ON: dict[str, Any] = {"tenant": {"enabled": True}, "streams": {"archive": False}}
#: Names that hold the one that is purged, or are held by it.
NEIGHBOURS = ("zqjxw2", "zqjxw-2", "zqjxw_2", "zqjx", "z")


async def purge(settings: Settings, tenant: str, types: Sequence[CommandType] = TYPES) -> Status:
    """Delete a tenant, and wait until a worker has purged it."""
    counting = Counting(Keys(settings.cache.key_prefix))
    async with await aconnect(config=settings) as rt, running_worker(settings, types, counting=counting):
        ref = await rt.tenants.delete(tenant, "unpaid")
        return await rt.wait(ref, PATIENCE)


def remains(found: Dump) -> Dump:
    """Without what a purge notes and its worker needs, and what tells no more whose it is."""
    but = (b":control:", b":gone:", b":fence:", b":lane:", b"purge_tenant", b":result:", b":retry:")
    return {place: value for place, value in found.items() if not any(word in place for word in but)}


def only_in_the_operators_trail(deployment: Deployment, found: Dump, tenant: str) -> bool:
    keys = {place.partition(b"|")[0] for place in of_tenant(found, tenant, NEIGHBOURS)}
    return keys == {deployment.keys.control("audit").encode()}


@pytest.mark.parametrize("shards", [1, 4])
async def test_nothing_is_left_of_it_and_all_of_its_neighbours(deployment: Deployment, shards: int) -> None:
    settings = deployment.settings(**ON)
    have_everything(deployment, settings, dict.fromkeys(NEIGHBOURS, 1) | {"zqjxw": shards})
    before = dump(deployment)
    doomed = of_tenant(before, "zqjxw", NEIGHBOURS)
    ended = await purge(settings, "zqjxw")
    after = dump(deployment)
    assert only_in_the_operators_trail(deployment, after, "zqjxw")
    assert remains(after) == remains({k: v for k, v in before.items() if k not in doomed})
    assert ended.state == "done"
    assert ended.value["commands"] == UNFINISHED
    # Results and retries name no tenant: what has gone of them belongs to commands that did.
    ids = {place.rpartition(b"|")[2] for place in doomed}
    for place in before.keys() - after.keys() - doomed.keys():
        assert place.partition(b"|")[0].rpartition(b":")[2] in ids or place.rpartition(b"|")[2] in ids | {
            one + b"9" for one in ids
        }
    assert not deployment.entries("purge_tenant"), "its own command names the tenant"
    with riptide.connect(config=settings) as rt:
        assert rt.tenants.create("zqjxw").status == "active"
        assert rt.cache.get("k1", tenant="zqjxw", namespace="pages") is None
        assert rt.cache.get("k1", tenant="zqjxw2", namespace="pages") == "zqjxw2"


@pytest.mark.parametrize("tenant", [PARTITIONS[0], "riptide", "control", "tenant", "default2"])
async def test_a_tenant_that_is_called_like_something_else(on_valkey: Deployment, tenant: str) -> None:
    deployment = Deployment(on_valkey.url, f"{on_valkey.prefix}:riptide")
    settings = deployment.settings(**ON)
    have_everything(deployment, settings, {"globex": 1, tenant: 2})
    with riptide.connect(config=settings) as rt:
        rt.cache.set("mine", 1)
    before = dump(deployment)
    ended = await purge(settings, tenant)
    assert (ended.state, ended.value["commands"]) == ("done", UNFINISHED)
    after = dump(deployment)
    kept = of_tenant(before, "globex")
    assert {place: after.get(place) for place in kept} == kept
    tags = {f"{{{tenant}}}:", *(f"{{{tenant}.{n}}}" for n in range(2)), f"}}:{tenant}:"}
    partition = tenant in PARTITIONS
    left = [place for place in after if any(tag.encode() in place for tag in tags)]
    assert partition or not left
    home = deployment.keys.commands("noop", PARTITIONS[0]).encode()
    assert any(place.startswith(home) for place in after) == any(
        place.startswith(home) and place in kept for place in before
    )
    with riptide.connect(config=settings) as rt:
        assert rt.cache.get("mine") == 1
        assert rt.cache.get("k1", tenant="globex", namespace="pages") == "globex"
    deployment.close()


async def test_writers_at_work_meanwhile_leave_nothing_behind(on_valkey: Deployment) -> None:
    """They write, load, touch, invalidate, take quotas and are refused, before, during and after."""
    settings = on_valkey.settings(**ON)
    stop, wrote = threading.Event(), threading.Barrier(4)

    def write(number: int) -> None:
        with riptide.connect(config=settings) as rt:
            for turn in itertools.count():
                if turn == 5:
                    wrote.wait()
                if stop.is_set():
                    return
                key = f"w{number}.{turn % 7}"
                with suppress(UnknownTenant, TenantNotActive):
                    rt.cache.set(key, "old", tenant="zqjxw", tags=["t"], ttl=600)
                    rt.cache.get_or_load(f"l{turn % 5}", lambda: "old", tenant="zqjxw", ttl=600)
                with suppress(UnknownTenant, TenantNotActive):
                    rt.cache.touch(key, 900, tenant="zqjxw")
                    rt.cache.invalidate(tags=["t"], tenant="zqjxw")
                with suppress(UnknownTenant, TenantNotActive):
                    rt.quotas.check("zqjxw", {"operations_per_minute": 1})
                with suppress(UnknownTenant, TenantNotActive):
                    rt.tenants.allow("zqjxw", "pages", "read")

    with riptide.connect(config=settings) as rt:
        rt.tenants.create("zqjxw", shards=2)
    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    await asyncio.to_thread(wrote.wait)
    await purge(settings, "zqjxw")
    try:
        found = dump(on_valkey)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert only_in_the_operators_trail(on_valkey, found, "zqjxw")
    assert only_in_the_operators_trail(on_valkey, dump(on_valkey), "zqjxw")


async def test_a_load_that_lasts_longer_brings_nothing_into_a_new_tenant(on_valkey: Deployment) -> None:
    settings = on_valkey.settings(**ON)
    begun, go_on = threading.Event(), threading.Event()

    def load() -> str:
        begun.set()
        assert go_on.wait(PATIENCE)
        return "old"

    with riptide.connect(config=settings) as rt:
        rt.tenants.create("zqjxw")
        loading = threading.Thread(target=lambda: rt.cache.get_or_load("k", load, tenant="zqjxw"))
        loading.start()
        await asyncio.to_thread(begun.wait)
        await purge(settings, "zqjxw")
        rt.tenants.create("zqjxw")
        go_on.set()
        await asyncio.to_thread(loading.join)
        assert rt.cache.get("k", tenant="zqjxw") is None


async def test_what_was_counted_of_it_before_is_told_nobody(on_valkey: Deployment) -> None:
    settings = on_valkey.settings(**ON)
    with riptide.connect(config=settings) as rt:
        for tenant in ("zqjxw", "zqjxw2"):
            rt.tenants.create(tenant)
            rt.cache.set("k", 1, tenant=tenant)
        await purge(settings, "zqjxw")
        rt.tenants.create("zqjxw")
    reported = [fields[b"tenant"] for _, _, fields in on_valkey.entries("record_access")]
    assert reported == [b"zqjxw2"]


async def test_usage_that_comes_meanwhile_is_dropped_and_counted(deployment: Deployment) -> None:
    settings, client, keys = deployment.settings(**ON), deployment.client, deployment.keys
    foreign = next(p for p in PARTITIONS if p != partition_of("zqjxw"))
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("zqjxw")
        rt.tenants.create("zqjxw2")
    stop = threading.Event()
    sent: list[str] = []

    def produce() -> None:
        other = Deployment(deployment.url, deployment.prefix, cluster=deployment.cluster)
        stream = keys.commands("record_usage", foreign)

        def waiting() -> int:
            groups = other.client.xinfo_groups(stream) if sent else []
            return int(groups[0]["lag"] or 0) if groups else len(sent)

        while not stop.is_set():
            # Not more than a worker on a slow machine can judge in time.
            while len(sent) % 50 == 0 and waiting() > 500 and not stop.wait(0.01):
                pass
            for tenant in ("zqjxw", "zqjxw2"):
                fields = {"tenant": tenant, "body": '{"operation":"render"}'}
                sent.append(other.add("record_usage", fields, foreign))
                other.add("record_access", {"tenant": tenant, "body": '{"hits":1,"process":"p"}'}, foreign)
        other.close()

    producer = threading.Thread(target=produce)
    producer.start()
    counting = Counting(keys)
    async with (
        await aconnect(config=settings) as client_of,
        running_worker(
            settings, [*TYPES, COUNTS, access.TYPE], counting=counting, accesses=access.counting_for(settings)
        ),
    ):

        async def is_counted() -> bool:
            used = client.scan_iter(f"{deployment.prefix}:usage:*:zqjxw:*", count=5000)
            return any(True for _ in used) and bool(access.keys_of(deployment, ["zqjxw"]))

        await aeventually(is_counted, "usage to be counted")
        ended = await client_of.wait(await client_of.tenants.delete("zqjxw"), PATIENCE)
        stop.set()
        producer.join()

        async def at_rest() -> bool:
            return deployment.at_rest("record_usage", "record_access")

        await aeventually(at_rest, "all records to be judged")
    assert ended.state == "done"
    assert not list(client.scan_iter(f"{deployment.prefix}:usage:*:zqjxw:*", count=5000))
    assert not access.keys_of(deployment, ["zqjxw"])
    assert int(client.hget(keys.access(foreign, "zqjxw2"), "hits")) == len(sent) / 2
    gone = client.hgetall(keys.gone(foreign))
    dropped = int(gone.get(f"{digest_of('zqjxw')}:dropped".encode(), 0))
    assert dropped + ended.value["commands"] > 0
    name = next(iter(client.scan_iter(f"{deployment.prefix}:usage:*:zqjxw2:20??-??", count=5000)))
    assert int(client.hget(name, "0|render|operations")) == len(sent) / 2


async def test_another_tenant_of_that_id_is_left_alone(deployment: Deployment) -> None:
    settings = deployment.settings(**ON)
    have_everything(deployment, settings, {"zqjxw": 2})
    before = dump(deployment)
    async with await aconnect(config=settings) as rt, running_worker(settings, TYPES):
        for incarnation in ("0" * 16, "0" * 16 + "-purging"):
            ref = await rt.publish(PurgeTenant(incarnation=incarnation), tenant="zqjxw")
            ended = await rt.wait(ref, PATIENCE)
            assert (ended.state, ended.value) == ("done", {"purged": False})
        nobody = await rt.publish(PurgeTenant(incarnation="0" * 16), tenant="nobody")
        assert (await rt.wait(nobody, PATIENCE)).value == {"purged": False}
        default = await rt.publish(PurgeTenant(incarnation="0" * 16), tenant="default")
        assert (await rt.wait(default, PATIENCE)).state == "dead"
    after = dump(deployment)
    assert {k: v for k, v in after.items() if k in before and b":control:" not in k} == {
        k: v for k, v in before.items() if b":control:" not in k
    }


async def test_deleted_again_while_it_is_purged(on_valkey: Deployment) -> None:
    """As where its first purge died: the second one goes on with it."""
    settings = on_valkey.settings(**ON)
    have_everything(on_valkey, settings, {"zqjxw": 1})
    with riptide.connect(config=settings) as rt:
        incarnation = rt.tenants.show("zqjxw").incarnation
        on_valkey.client.hset(
            on_valkey.keys.record("zqjxw"),
            mapping={"incarnation": f"{incarnation}-purging", "status": "disabled"},
        )
        with pytest.raises(UnknownTenant, match="purged"):
            rt.cache.set("k", 1, tenant="zqjxw")
    assert (await purge(settings, "zqjxw")).value["purged"]
    assert only_in_the_operators_trail(on_valkey, dump(on_valkey), "zqjxw")
