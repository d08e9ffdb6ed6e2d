"""Restores and checkpoints at the same time, with and without clients and workers at work."""

import asyncio
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import riptide
from riptide.config import Settings
from riptide.state.blobs import Blobs, open_blobs
from riptide.state.checkpoints import names
from riptide.state.checkpoints.shelf import Shelf
from riptide.state.replay.sources import Streams
from riptide.state.restore.report import Report
from riptide.state.restore.restoring import restore
from riptide.state.restore.since import Since
from riptide.store.keys import partition_of
from tests.integration.checkpoints.test_restoring import create, rest
from tests.support.archives import archiving, wait_archived
from tests.support.books import Crowd, QuotaClerk, SessionClerk, UsageClerk, taken
from tests.support.checkpointed import Ledger, brought_back, checkpoint_settings, forget
from tests.support.deployment import Deployment
from tests.support.purged import have_everything
from tests.support.usage import KIND, counting_worker
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.faults

TENANTS = ("acme", "umbrella", "initech")


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """All of them, begun at the same time."""
    together = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        together.wait(PATIENCE)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_several_restores_at_once(on_valkey: Deployment, tmp_path: Path, rng: random.Random) -> None:
    """Whole, of one tenant, and from an older checkpoint: nothing is counted twice or published twice."""
    settings = checkpoint_settings(on_valkey, tmp_path)
    have_everything(on_valkey, settings, {"wide": 2})
    create(settings, *TENANTS)
    ledger, shelf = Ledger(on_valkey, TENANTS, rng), Shelf(settings)
    # More fields than one call puts back.
    many = on_valkey.keys.quota("wide", "many")
    on_valkey.client.hset(many, mapping={f"field{n}": n for n in range(3000)})
    with archiving(settings):
        ledger.add(50)
        older = shelf.create()
        ledger.add(50)
        newer = shelf.create()
        ledger.add(50)
        wait_archived(settings, KIND)
    forget(on_valkey)
    restore(settings, shelf, newer.id)
    whole, ids = brought_back(on_valkey), on_valkey.published_ids()

    def of(made: Any, *tenants: str) -> Callable[[], Report]:
        return lambda: restore(settings, Shelf(settings), made.id, tenants=tenants or None)

    for _ in range(3):
        forget(on_valkey)
        at_once([of(newer), of(newer), of(older), of(newer, "acme", "wide")])
        ledger.check()
        assert brought_back(on_valkey) == whole
        assert on_valkey.published_ids() == ids
        assert on_valkey.client.hlen(many) == 3000
        assert not list(on_valkey.client.scan_iter(f"{on_valkey.prefix}:restoring:*"))
        assert not restore(settings, shelf, newer.id).corrected


async def test_restores_and_checkpoints_on_a_living_server(
    on_valkey: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    """No call of a client fails; every checkpoint written meanwhile holds the truth; who is not restored is
    left alone."""
    settings = checkpoint_settings(on_valkey, tmp_path, redis={"retry_attempts": 0})
    await asyncio.to_thread(create, settings, *TENANTS)
    usage = UsageClerk(on_valkey, settings, TENANTS, f"usage {rng.random()}")
    sessions = SessionClerk(settings, TENANTS[1:], f"sessions {rng.random()}")
    quotas = QuotaClerk(settings, TENANTS[1:], f"quotas {rng.random()}")
    shelf = Shelf(settings)

    def all_of_it() -> list[str]:
        with Crowd(usage, sessions, quotas) as crowd:
            crowd.go_on(30)
            first = shelf.create()
            made = [first.id]
            for _ in range(3):
                _lose_sums(on_valkey, "acme")
                crowd.go_on(10)
                done = at_once(
                    [
                        lambda: restore(settings, Shelf(settings), first.id, tenants=["acme"]),
                        lambda: restore(settings, Shelf(settings), first.id, tenants=["acme"]),
                        Shelf(settings).create,
                        Shelf(settings).create,
                    ]
                )
                made += [one.id for one in done[2:]]
            crowd.go_on(30)
        crowd.check()
        return made

    with archiving(settings):
        async with counting_worker(settings), counting_worker(settings):
            made = await asyncio.to_thread(all_of_it)
            await rest(on_valkey)
        await asyncio.to_thread(wait_archived, settings, KIND)
    await asyncio.to_thread(_check, on_valkey, settings, usage)
    with riptide.connect(config=settings) as rt:
        sessions.check_now(rt)
        assert {tenant: taken(rt, tenant) for tenant in TENANTS[1:]} == {
            tenant: quotas.books[tenant].now for tenant in TENANTS[1:]
        }
    assert len(set(made)) == 7
    last = max(made)
    # Those written while sums were missing are made whole by what the first one knows, and the archive.
    await asyncio.to_thread(forget, on_valkey)
    for checkpoint in (made[0], last):
        await asyncio.to_thread(restore, settings, shelf, checkpoint)
        await asyncio.to_thread(_check, on_valkey, settings, usage)


async def test_everybody_is_restored_on_a_living_server(
    on_valkey: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    """Again and again, under load, while the archive trims the streams behind the workers."""
    streams = {"replay_window_seconds": 0.001}
    settings = checkpoint_settings(on_valkey, tmp_path, streams=streams, redis={"retry_attempts": 0})
    await asyncio.to_thread(create, settings, *TENANTS)
    usage = UsageClerk(on_valkey, settings, TENANTS, f"usage {rng.random()}")
    quotas = QuotaClerk(settings, TENANTS, f"quotas {rng.random()}")
    shelf = Shelf(settings)

    def all_of_it() -> None:
        with Crowd(usage, quotas) as crowd:
            crowd.go_on(50)
            made = shelf.create()
            for number in range(6):
                if number % 2:
                    _lose_sums(on_valkey, rng.choice(TENANTS))
                crowd.go_on(20)
                restore(settings, shelf, made.id)
        crowd.check()

    with archiving(settings):
        async with counting_worker(settings), counting_worker(settings):
            await asyncio.to_thread(all_of_it)
            await rest(on_valkey)
    await asyncio.to_thread(_check, on_valkey, settings, usage)
    with riptide.connect(config=settings) as rt:
        for tenant in TENANTS:
            assert taken(rt, tenant) == quotas.books[tenant].now


def test_what_is_counted_and_trimmed_while_a_restore_looks(
    on_valkey: Deployment, tmp_path: Path, rng: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waited when the sums were read is not in its stream any more when it is looked for there."""
    settings = checkpoint_settings(on_valkey, tmp_path)
    create(settings, *TENANTS)
    ledger, shelf = Ledger(on_valkey, TENANTS, rng), Shelf(settings)
    with archiving(settings):
        made = shelf.create()
        ledger.add(30)
        wait_archived(settings, KIND)
    looks, look = [True], Since.on_server

    async def count() -> None:
        async with counting_worker(settings):
            await rest(on_valkey)

    def late(self: Since, partition: str, firsts: list[str]) -> list[bool]:
        if looks and firsts:
            looks.clear()
            asyncio.run(count())
            for stream in on_valkey.streams(KIND):
                on_valkey.client.xtrim(stream, maxlen=0)
        return look(self, partition, firsts)

    monkeypatch.setattr(Since, "on_server", late)
    restore(settings, shelf, made.id)
    assert not looks
    ledger.check()


def test_what_is_archived_and_trimmed_while_a_restore_reads(
    on_valkey: Deployment, tmp_path: Path, rng: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was in the stream while the archive was read, and is in the archive when the stream is."""
    settings = checkpoint_settings(on_valkey, tmp_path)
    create(settings, *TENANTS)
    ledger, shelf = Ledger(on_valkey, TENANTS, rng), Shelf(settings)
    made = shelf.create()
    with archiving(settings):
        ledger.add(10)
        wait_archived(settings, KIND)
    ledger.add(30)

    async def count() -> None:
        async with counting_worker(settings):
            await rest(on_valkey)

    asyncio.run(count())
    _lose_sums(on_valkey, "acme")
    looks, pages = [1, 2], Streams.pages  # the first time it looks for periods

    def late(self: Streams, kind: str, partition: str, after: str) -> Any:
        if looks and partition == partition_of("acme") and looks.pop() == 1:
            with archiving(settings):
                wait_archived(settings, KIND)
            on_valkey.client.xtrim(on_valkey.keys.commands(KIND, partition), maxlen=0)
        return pages(self, kind, partition, after)

    monkeypatch.setattr(Streams, "pages", late)
    restore(settings, shelf, made.id)
    assert not looks
    ledger.check()


def _lose_sums(deployment: Deployment, tenant: str) -> None:
    for key in deployment.client.scan_iter(f"{deployment.prefix}:usage:*:{tenant}:*", count=1000):
        deployment.client.delete(key)


def _check(deployment: Deployment, settings: Settings, usage: UsageClerk) -> None:
    from tests.faults.state.test_loss import totals

    assert totals(deployment, TENANTS) == (usage.totals(), usage.totals())


def test_what_waits_for_a_worker_is_counted_once(
    on_valkey: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    """The archive is ahead of the workers. A restore on the living server leaves to them what is theirs, and
    the next checkpoint knows that they have not counted it."""
    settings = checkpoint_settings(on_valkey, tmp_path)
    create(settings, *TENANTS)
    ledger, shelf = Ledger(on_valkey, TENANTS, rng), Shelf(settings)
    with archiving(settings):
        ledger.add(30)
        first = shelf.create()
        ledger.add(30)
        wait_archived(settings, KIND)
        for tenants in (["acme"], None):
            assert not restore(settings, shelf, first.id, tenants=tenants).corrected
            second = shelf.create()
            assert not restore(settings, shelf, second.id).corrected
    for made in (second, first):
        forget(on_valkey)
        restore(settings, shelf, made.id)
        ledger.check()


class Between:
    """A blob store that lets a test act between the content of a checkpoint and its manifest."""

    def __init__(self, blobs: Blobs, act: Callable[[], object]) -> None:
        self._blobs, self._act = blobs, act

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)

    def put(self, name: str, data: Any) -> None:
        if name.endswith(".json"):
            self._act()
        self._blobs.put(name, data)


@pytest.mark.parametrize("most", [1, 2, 10])
def test_a_checkpoint_that_is_overtaken(on_valkey: Deployment, tmp_path: Path, most: int) -> None:
    """Another one is begun after it and complete before it. What is listed is whole."""
    settings = checkpoint_settings(on_valkey, tmp_path, state={"max_checkpoints": most})
    create(settings, "acme")
    shelf, blobs = Shelf(settings), open_blobs(settings.blobs)
    between: Any = Between(blobs, lambda: shelf.create(id="20261121T000009Z-00000000"))
    Shelf(settings, between).create(id="20261121T000001Z-00000000")
    found, problems = shelf.list()
    assert not problems
    assert len(found) == min(most, 2)
    for one in found:
        shelf.verify(one.id)
    contents = {names.content_name(settings.cache.key_prefix, one.content) for one in found}
    left = {blob.name for blob in blobs.list("checkpoint/") if blob.name.endswith(".ckpt")}
    assert left == contents
