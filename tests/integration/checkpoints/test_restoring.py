"""Restoring: into a server that has lost everything, and of one tenant on a living one under load."""

import asyncio
import random
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import riptide
from commands import COMMANDS
from riptide.config import Settings
from riptide.errors import InvalidInput
from riptide.state.blobs import open_blobs
from riptide.state.checkpoints.shelf import Shelf
from riptide.state.replay.replaying import COUNTED_ALREADY, WOULD_SEND, Progress, Replay
from riptide.state.replay.selection import Selection
from riptide.state.replay.sources import Archive
from riptide.state.replay.target import Target
from riptide.state.restore.restoring import restore
from riptide.store.keys import GROUP, Keys, partition_of
from riptide.store.sync import open_store
from riptide.streams.registry import Registry
from tests.integration.sessions.test_spill import blob_names, fill, spill
from tests.servers import ServerProcess
from tests.support.archives import archiving, wait_archived
from tests.support.checkpointed import Ledger, brought_back, checkpoint_settings, forget
from tests.support.commands import Effect
from tests.support.deployment import Deployment
from tests.support.usage import KIND, counted, counting_worker, reasons
from tests.support.waiting import PATIENCE, aeventually
from tests.support.workers import running_worker
from workers import HANDLERS

TENANTS = ("acme", "umbrella", "initech")


async def rest(deployment: Deployment) -> None:
    async def at_rest() -> bool:
        return await asyncio.to_thread(deployment.at_rest, KIND)

    await aeventually(at_rest, "all usage to be counted")


def _replayed(settings: Settings) -> Counter[str]:
    """What would become of all that the archive holds."""
    store, keys, progress = open_store(settings), Keys(settings.cache.key_prefix), Progress()
    source, target = (
        Archive(open_blobs(settings.blobs), keys.prefix),
        Target(store, keys, settings.streams, None),
    )
    Replay(source, Selection(), target, progress, judging=True, dry=True).run(lambda: None, lambda _: None)
    store.close()
    found: Counter[str] = Counter()
    for (_, _, outcome), count in progress.tally.items():
        found[outcome] += count
    return found


def create(settings: Any, *tenants: str) -> None:
    with riptide.connect(config=settings) as rt:
        for tenant in tenants:
            rt.tenants.create(tenant, owner={"name": f"owner of {tenant}"})


async def test_a_server_that_was_lost(
    private_server: Callable[..., ServerProcess], prefix: str, tmp_path: Path, rng: random.Random
) -> None:
    """Usage is counted while the checkpoint is written; what comes after it is archived; then it is killed,
    its data is deleted, and it is restored: to the unit what was sent."""
    server = private_server(aof=True)
    deployment = Deployment(server.url, prefix)
    settings = checkpoint_settings(deployment, tmp_path)
    await asyncio.to_thread(create, settings, *TENANTS)
    ledger, shelf = Ledger(deployment, TENANTS, rng), Shelf(settings)
    with archiving(settings):
        async with counting_worker(settings):
            ledger.add(100)
            load = asyncio.create_task(asyncio.to_thread(ledger.add, 600))
            made = await asyncio.to_thread(shelf.create)
            await load
            ledger.add(100)
            await rest(deployment)
        await asyncio.to_thread(wait_archived, settings, KIND)
    ledger.check()
    sums, kept = ledger.sums(), brought_back(deployment)

    server.kill()
    shutil.rmtree(server.directory)
    server.start()
    assert not deployment.client.dbsize()
    report = await asyncio.to_thread(restore, settings, shelf, made.id)
    assert report.tenants == {"created": 3}
    ledger.check()
    assert ledger.sums() == sums
    assert brought_back(deployment) == kept

    # It goes on from there, and the next checkpoint counts nothing of the archive once more.
    again = await asyncio.to_thread(restore, settings, shelf, made.id)
    assert again.corrected == 0
    replayed = await asyncio.to_thread(_replayed, settings)
    assert (replayed[COUNTED_ALREADY], replayed[WOULD_SEND]) == (800, 0)
    with archiving(settings):
        async with counting_worker(settings):
            ledger.add(50)
            await rest(deployment)
        second = await asyncio.to_thread(shelf.create)
        await asyncio.to_thread(wait_archived, settings, KIND)
    ledger.check()
    assert (await asyncio.to_thread(restore, settings, shelf, made.id)).corrected == 0
    forget(deployment)
    await asyncio.to_thread(restore, settings, shelf, second.id)
    ledger.check()

    # First one of them alone, then a checkpoint of that, then the others.
    forget(deployment)
    await asyncio.to_thread(restore, settings, shelf, second.id, tenants=["acme"])
    third = await asyncio.to_thread(shelf.create)
    await asyncio.to_thread(restore, settings, shelf, third.id)
    await asyncio.to_thread(restore, settings, shelf, second.id)
    ledger.check()
    deployment.close()


def test_what_was_pending_is_counted_once(deployment: Deployment, tmp_path: Path, rng: random.Random) -> None:
    """By whoever holds it, where the server lives; by the restore, where it is lost."""
    settings = checkpoint_settings(deployment, tmp_path)
    create(settings, *TENANTS)
    ledger, shelf = Ledger(deployment, TENANTS, rng), Shelf(settings)
    ledger.add(30)
    for partition in {partition_of(tenant) for tenant in TENANTS}:
        stream = deployment.keys.commands(KIND, partition)
        deployment.client.xgroup_create(stream, GROUP, "0")
        deployment.client.xreadgroup(GROUP, "somebody", {stream: ">"}, count=20)
    made = shelf.create()
    assert made.unfinished
    assert not restore(settings, shelf, made.id).corrected
    with archiving(settings):
        wait_archived(settings, KIND)
    assert not restore(settings, shelf, made.id).corrected
    forget(deployment)
    assert restore(settings, shelf, made.id).counted == 30
    ledger.check()


async def test_one_tenant_on_a_living_server_under_load(
    deployment: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    settings = checkpoint_settings(deployment, tmp_path)
    await asyncio.to_thread(create, settings, *TENANTS)
    ledger, shelf = Ledger(deployment, TENANTS, rng), Shelf(settings)
    done = threading.Event()

    def keep_adding() -> None:
        while not done.is_set():
            ledger.add(10)
            # Not more than workers on a slow machine can count in time.
            while _uncounted(deployment) > 500 and not done.wait(0.01):
                pass

    with archiving(settings):
        async with counting_worker(settings), counting_worker(settings):
            load = asyncio.create_task(asyncio.to_thread(keep_adding))
            try:
                made = await asyncio.to_thread(shelf.create)
                others = [await asyncio.to_thread(_of, deployment, tenant) for tenant in TENANTS[1:]]
                for _ in range(3):
                    await asyncio.to_thread(_lose, deployment, "acme")
                    report = await asyncio.to_thread(restore, settings, shelf, made.id, tenants=["acme"])
                    assert report.tenants == {"changed": 1}
                    assert report.corrected
                assert [await asyncio.to_thread(_of, deployment, tenant) for tenant in TENANTS[1:]] == others
            finally:
                done.set()
                await load
            await rest(deployment)
    ledger.check()
    with riptide.connect(config=settings) as rt:
        assert rt.tenants.show("acme").owner.name == "owner of acme"


def _of(deployment: Deployment, tenant: str) -> dict[bytes, bytes]:
    record: dict[bytes, bytes] = deployment.client.hgetall(deployment.keys.record(tenant))
    return record


def _uncounted(deployment: Deployment) -> int:
    """How much usage nobody has been given, as far as the server can tell."""
    streams = [deployment.keys.commands(KIND, p) for p in {partition_of(tenant) for tenant in TENANTS}]
    groups = [row for stream in streams for row in deployment.client.xinfo_groups(stream)]
    return sum(int(row["lag"] or 0) for row in groups if row["name"] == GROUP.encode())


def _lose(deployment: Deployment, tenant: str) -> None:
    """Its sums are gone, and somebody has written into its record."""
    for key in deployment.client.scan_iter(
        deployment.keys.usage(partition_of(tenant), tenant, "*"), count=1000
    ):
        deployment.client.delete(key)
    deployment.client.hset(deployment.keys.record(tenant), mapping={"facts": "{}", "revision": 99})


def test_who_is_restored_is_asked_for(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = checkpoint_settings(on_valkey, tmp_path)
    create(settings, *TENANTS)
    with riptide.connect(config=settings) as rt:
        made = rt.checkpoints.create()
        forget(on_valkey)
        for tenants, message in (((), "name at least one"), (("nobody",), "holds no record of nobody")):
            with pytest.raises(InvalidInput, match=message):
                rt.checkpoints.restore(made.id, tenants=tenants)
        assert not list(on_valkey.client.scan_iter(f"{on_valkey.prefix}:*", count=5000))
        rt.checkpoints.restore(made.id, tenants=["acme"])
        assert {tenant.id for tenant in rt.tenants.list().tenants} == {"acme", "default"}


async def test_a_purged_tenant_stays_purged(
    on_valkey: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    """Also where the server that knew of it is lost, and where its id is another's by now; its sessions, too,
    wherever their data is."""
    settings = checkpoint_settings(on_valkey, tmp_path)
    await asyncio.to_thread(create, settings, *TENANTS)
    await asyncio.to_thread(have_sessions, settings)
    ledger, shelf = Ledger(on_valkey, TENANTS, rng), Shelf(settings)
    with archiving(settings):
        async with running_worker(settings, Registry(COMMANDS, HANDLERS).pick(["purge_tenant"])):
            ledger.add(50)  # nobody counts it yet
            made = await asyncio.to_thread(shelf.create)
            async with await riptide.aconnect(config=settings) as rt:
                ended = await rt.wait(await rt.tenants.delete("acme"), PATIENCE)
            assert ended.state == "done"
        await asyncio.to_thread(wait_archived, settings, KIND)

    def restored(*tenants: str, lost: bool) -> dict[str, int]:
        if lost:
            forget(on_valkey)
        report = restore(settings, shelf, made.id, tenants=tenants or None)
        left = [
            name
            for name in on_valkey.client.scan_iter(f"{on_valkey.prefix}:*", count=5000)
            if b"acme" in name
        ]
        assert not left
        assert {name.split("/")[1] for name in blob_names(settings)} == {"umbrella"}
        assert not counted(on_valkey.client, on_valkey.keys, ["acme"])
        return report.tenants

    assert await asyncio.to_thread(restored, lost=False) == {"purged": 1, "unchanged": 2}
    assert await asyncio.to_thread(restored, "acme", lost=False) == {"purged": 1}
    assert await asyncio.to_thread(restored, "acme", lost=True) == {"purged": 1}
    assert await asyncio.to_thread(restored, lost=True) == {"purged": 1, "created": 2}
    await asyncio.to_thread(create, settings, "acme")
    record = _of(on_valkey, "acme")
    report = await asyncio.to_thread(restore, settings, shelf, made.id)
    assert report.tenants == {"purged": 1, "unchanged": 2}
    assert _of(on_valkey, "acme") == record
    with riptide.connect(config=settings) as client:
        assert not client.sessions.levels(tenant="acme").sessions
        assert client.sessions.levels(tenant="umbrella").sessions == 4


async def test_a_tenant_that_is_purged_while_it_is_restored(on_valkey: Deployment, tmp_path: Path) -> None:
    """From then on nothing of it is brought back, in memory or in the blob store."""
    settings = checkpoint_settings(on_valkey, tmp_path)
    await asyncio.to_thread(create, settings, *TENANTS)
    await asyncio.to_thread(have_sessions, settings)
    shelf, reached, goes_on = Shelf(settings), threading.Event(), threading.Event()
    made = await asyncio.to_thread(shelf.create)

    def told(_done: float, _total: float, what: str) -> None:
        if what == "sessions" and not reached.is_set():
            reached.set()
            assert goes_on.wait(PATIENCE)

    purging = Registry(COMMANDS, HANDLERS).pick(["purge_tenant"])
    async with running_worker(settings, purging), await riptide.aconnect(config=settings) as rt:
        work = asyncio.create_task(asyncio.to_thread(restore, settings, shelf, made.id, told=told))
        await asyncio.to_thread(reached.wait, PATIENCE)
        ended = await rt.wait(await rt.tenants.delete("acme"), PATIENCE)
        assert ended.state == "done"
        goes_on.set()
        report = await work
        assert report.tenants == {"purged": 1, "unchanged": 2}
        assert not report.items["sessions"]
        names = await asyncio.to_thread(list, on_valkey.client.scan_iter(f"{on_valkey.prefix}:*", count=5000))
        assert not [name for name in names if b"acme" in name]
    assert {name.split("/")[1] for name in blob_names(settings)} == {"umbrella"}


def have_sessions(settings: Settings) -> None:
    """Of two tenants, two each in memory and two in the blob store."""
    with riptide.connect(config=settings) as rt:
        for tenant in ("acme", "umbrella"):
            fill(rt, 2, tenant)
            assert spill(rt, tenant=tenant).sessions == 2
            fill(rt, 2, tenant)


async def test_what_was_not_finished_is_carried_out(on_valkey: Deployment, tmp_path: Path) -> None:
    settings = checkpoint_settings(on_valkey, tmp_path)
    with riptide.connect(config=settings) as rt:
        refs = [rt.publish(Effect(into=on_valkey.prefix + ":x"), key=f"k{n}") for n in range(5)]
        later = rt.publish(Effect(into=on_valkey.prefix + ":y"), delay=3600)
        made = rt.checkpoints.create()
        assert made.unfinished == 6
        forget(on_valkey)
        assert rt.checkpoints.restore(made.id).commands == 6
        assert rt.checkpoints.restore(made.id).commands == 0
        assert rt.publish(Effect(into=on_valkey.prefix + ":x"), key="k0") == refs[0], "it is remembered"
    async with running_worker(settings):

        async def done() -> bool:
            return len(await asyncio.to_thread(on_valkey.done, f"{on_valkey.prefix}:x")) == 5

        await aeventually(done, "the work")
    assert not on_valkey.done(f"{on_valkey.prefix}:y")
    due = {fields[b"due"] for _, _, fields in on_valkey.entries("effect") if b"due" in fields}
    assert len(due) == 1
    assert abs(int(due.pop()) - int(later.entry_id.partition("-")[0]) - 3_600_000) < 1000


async def test_where_there_is_one_tenant_alone(on_valkey: Deployment, tmp_path: Path) -> None:
    """It has no record; and what no worker can count becomes a dead letter again."""
    settings = checkpoint_settings(on_valkey, tmp_path, tenant={"enabled": False})
    shelf = Shelf(settings)
    with archiving(settings):
        async with counting_worker(settings):
            made = await asyncio.to_thread(shelf.create)
            on_valkey.add(KIND, {"body": '{"operation":"a","operation_count":3}'})
            on_valkey.add(KIND, {"body": '{"operation":"a","operation_count":0}'})
            await rest(on_valkey)
        await asyncio.to_thread(wait_archived, settings, KIND)
    before = counted(on_valkey.client, on_valkey.keys, ["default"])
    assert before
    assert reasons(on_valkey) == {"malformed": 1}
    for _ in range(2):
        await asyncio.to_thread(forget, on_valkey)
        report = await asyncio.to_thread(restore, settings, shelf, made.id)
        assert (report.counted, report.commands) == (1, 1)
        assert counted(on_valkey.client, on_valkey.keys, ["default"]) == before
        async with counting_worker(settings):
            await rest(on_valkey)
        assert reasons(on_valkey) == {"malformed": 1}
        assert (await asyncio.to_thread(restore, settings, shelf, made.id)).commands == 0
