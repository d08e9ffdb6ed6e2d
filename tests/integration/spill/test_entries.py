"""Entries of the cache that are spilled on real servers: which go, and that they are the same to all who use
them."""

import datetime
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import riptide
from commands import Spill
from riptide.cache.accounts.keeper import Keeper
from riptide.cache.entry import Miss
from riptide.config import BlobsSettings
from riptide.errors import BlobError
from riptide.reads.aio_client import aconnect
from riptide.reads.sync_client import RipTide
from riptide.state.blobs import open_blobs
from riptide.store.keys import Keys
from riptide.streams.registry import CommandType
from riptide.tenants.keyring.master import new_master_key
from tests.integration.sessions.test_spill import spill as spill_sessions
from tests.support.deployment import Deployment
from tests.support.spilled import blob_names, check_accounts, spill, spilling_settings
from tests.support.waiting import PATIENCE, eventually
from tests.support.workers import running_worker
from workers import HANDLERS

SECRET = "what nobody else may read"


def noise(rng: random.Random, size: int = 3000) -> str:
    """Text that does not become small by compression."""
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=size))


def fill(rt: RipTide, rng: random.Random, count: int, tenant: str = "acme", **keeping: Any) -> dict[str, Any]:
    values: dict[str, Any] = {f"k{n}": {"n": n, "x": noise(rng)} for n in range(count)}
    rt.cache.set_many(values, tenant=tenant, **keeping)
    return values


def test_they_are_spilled_and_come_back_as_they_were(
    deployment: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    settings = spilling_settings(deployment, tmp_path)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", shards=2)
        rt.tenants.create("globex")
        there = fill(rt, rng, 12, tags=["t"], version="v1")
        other = fill(rt, rng, 3, "globex")
        rt.cache.set("small", 1, tenant="acme")
        before = rt.cache.figures()
        outcome = spill(rt)
        assert (outcome.entries, outcome.full) == (15, ())
        assert len(blob_names(settings)) == 15
        figures = rt.cache.figures()
        assert (figures.entries, figures.spilled, figures.total_spilled) == (16, 15, 15)
        assert figures.memory_bytes == before.memory_bytes - outcome.bytes
        assert figures.storage_bytes == sum(b.size for b in open_blobs(settings.blobs).list("entries/"))
        assert figures.avg_spill_time_ms > 0
        check_accounts(rt, "acme", "globex")
        assert not spill(rt).entries
        assert rt.cache.exists("k0", tenant="acme")
        assert rt.cache.get("k0", tenant="acme") == there["k0"]
        assert rt.cache.get_many([*there, "small", "none"], tenant="acme") == there | {"small": 1}
        assert {key: rt.cache.get(key, tenant="globex") for key in other} == other
        figures = rt.cache.figures()
        assert (figures.spilled, figures.total_restored) == (0, 15)
        assert figures.memory_bytes == before.memory_bytes
        assert figures.avg_restore_time_ms > 0
        check_accounts(rt, "acme", "globex")
        assert spill(rt, 10**9).blobs == 15
        assert not blob_names(settings)
        assert rt.cache.figures().storage_bytes == 0
        stats = rt.cache.stats()
        assert (stats.lost, stats.damaged, stats.errors) == (0, 0, 0)


async def test_the_asynchronous_face_does_the_same(
    on_valkey: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    settings = spilling_settings(on_valkey, tmp_path)
    types = [CommandType("spill", Spill, HANDLERS["spill"])]
    async with await aconnect(config=settings) as rt, running_worker(settings, types, log=Silent()):
        values: dict[str, Any] = {f"k{n}": noise(rng) for n in range(5)}
        await rt.cache.set_many(values)
        ended = await rt.wait(await rt.publish(Spill(what="entries", keep_bytes=0)), PATIENCE)
        assert (ended.state, ended.value["entries"]) == ("done", 5)
        assert (await rt.cache.figures()).spilled == 5
        assert await rt.cache.get("k0") == values["k0"]
        assert await rt.cache.get_many(values) == values
        assert await rt.cache.get_or_load("k1", lambda: 1) == values["k1"]
        assert (await rt.cache.figures()).spilled == 0


class Silent:
    def info(self, *_: Any, **__: Any) -> None: ...


def test_whatever_is_done_to_a_spilled_one(
    deployment: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    settings = spilling_settings(deployment, tmp_path)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme")
        cache = rt.cache
        there = fill(rt, rng, 9, tags=["t"], version="v1", stale=60)
        cache.set("tagged", noise(rng), tags=["gone"], tenant="acme")
        cache.set("elsewhere", noise(rng), tenant="acme", namespace="pages")
        assert spill(rt).entries == 11
        found = cache.entry("k0", tenant="acme")
        assert found is not None
        assert (found.value, found.metadata.version, found.tags) == (there["k0"], "v1", ("t",))
        cache.set("k1", "new", tenant="acme")
        assert cache.get("k1", tenant="acme") == "new"
        assert cache.delete("k2", tenant="acme")
        assert cache.get("k2", tenant="acme") is None
        name = deployment.keys.entry("acme", "default", _digest(rt, "k3"))
        assert cache.touch("k3", 7200, tenant="acme")
        assert deployment.client.ttl(name) > 7000
        assert cache.get("k3", tenant="acme") == there["k3"]
        assert deployment.client.ttl(name) > 7000
        assert cache.invalidate(tags=["gone"], tenant="acme") == 1
        assert cache.get("tagged", tenant="acme") is None
        cache.invalidate_namespace("pages", tenant="acme")
        assert cache.get("elsewhere", tenant="acme", namespace="pages") is None
        assert cache.get_or_load("k4", lambda: 1 / 0, tenant="acme") == there["k4"]
        assert cache.get_or_load("k5", lambda: "fresh", refresh=True, tenant="acme") == "fresh"
        assert cache.warm("k6", lambda: 1 / 0, tenant="acme").outcome == "present"
        check_accounts(rt, "acme")
        # Blobs of what was written, ended and put back go; those to which entries refer stay.
        spill(rt, 10**9)
        assert len(blob_names(settings)) == rt.cache.figures().spilled == 3  # one is garbage
        assert cache.get_many(["k7", "k8"], tenant="acme") == {"k7": there["k7"], "k8": there["k8"]}
        cache.clear(tenant="acme")
        assert cache.get("k8", tenant="acme") is None
        check_accounts(rt, "acme")


def _digest(rt: RipTide, key: str) -> str:
    space = rt.cache.core.space("acme", None)
    assert space is not None
    return space.place(key)[1]


def test_a_spilled_one_expires(on_valkey: Deployment, tmp_path: Path, rng: random.Random) -> None:
    settings = spilling_settings(on_valkey, tmp_path)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme")
        rt.cache.set("k", noise(rng), ttl=5, tenant="acme")
        rt.cache.set("old", noise(rng), ttl=1, stale=600, tenant="acme")
        assert spill(rt).entries == 2
        eventually(lambda: rt.cache.figures().entries == 1, "it to expire")
        assert rt.cache.get("k", tenant="acme") is None
        assert rt.cache.inspect("old", tenant="acme") is Miss.EXPIRED or not rt.cache.exists(
            "old", tenant="acme"
        )
        eventually(lambda: spill(rt, 10**9).blobs >= 0 and len(blob_names(settings)) <= 1, "its blob to go")


def test_room_is_made_by_moving(deployment: Deployment, tmp_path: Path, rng: random.Random) -> None:
    """A tenant's cap: what would be dropped is moved, by the writer; a read makes room for what
    comes back."""
    settings = spilling_settings(deployment, tmp_path)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", quotas={"memory_bytes": 60_000})
        values = {f"k{n}": noise(rng) for n in range(40)}
        for key, value in values.items():
            rt.cache.set(key, value, tenant="acme")
        figures = rt.cache.figures()
        assert figures.entries == 40
        assert figures.memory_bytes <= 60_000
        assert figures.spilled > 20
        assert {key: rt.cache.get(key, tenant="acme") for key in values} == values
        figures = rt.cache.figures()
        assert figures.memory_bytes <= 60_000
        assert figures.total_restored > 0
        assert rt.cache.get_many(values, tenant="acme") == values
        check_accounts(rt, "acme")
        assert not sum(rt.cache.statistics("acme").evictions.values())


def test_without_the_setting_they_are_dropped(
    on_valkey: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    settings = spilling_settings(on_valkey, tmp_path, cache={"enable_spill": False})
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", quotas={"memory_bytes": 30_000})
        for number in range(20):
            rt.cache.set(f"k{number}", noise(rng), tenant="acme")
        assert rt.cache.figures().entries < 20
        assert not spill(rt).entries
        assert not blob_names(settings)


def test_nobody_stores_more_than_its_quota(on_valkey: Deployment, tmp_path: Path, rng: random.Random) -> None:
    """Sessions' blobs count in the same; what finds no room gives way as it would without spilling."""
    settings = spilling_settings(on_valkey, tmp_path)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", quotas={"storage_bytes": 9000, "memory_bytes": 40_000})
        fill(rt, rng, 6)
        outcome = spill(rt)
        assert (outcome.entries, outcome.full) == (2, ("acme",))
        levels = rt.sessions.levels(tenant="acme")
        assert levels.entries_bytes == rt.cache.figures().storage_bytes <= 9000
        (quota,) = [one for one in rt.quotas.show("acme") if one.resource == "storage_bytes"]
        assert quota.standing.used == levels.entries_bytes
        for number in range(30):
            rt.cache.set(f"more{number}", noise(rng), tenant="acme")
        assert rt.cache.figures().memory_bytes <= 40_000
        assert rt.cache.figures().storage_bytes <= 9000
        assert rt.cache.statistics("acme").evictions["policy"] > 0
        check_accounts(rt, "acme")


def test_blobs_count_in_byte_hours(on_valkey: Deployment, tmp_path: Path, rng: random.Random) -> None:
    settings = spilling_settings(on_valkey, tmp_path)
    client, keys = on_valkey.client, on_valkey.keys
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", shards=2)
        fill(rt, rng, 4)
        spill(rt)
        rt.sessions.create("ada", {"x": noise(rng)}, tenant="acme")
        spill_sessions(rt)
        levels = rt.sessions.levels(tenant="acme")
        stored = levels.entries_bytes + levels.storage_bytes
        assert levels.entries_bytes > levels.storage_bytes > 3000
        # As if they had been there for a hundred hours.
        back = int(client.time()[0]) - 360_000
        for mark in ("storage:at", "storage:sessions:at"):
            client.hset(keys.account("acme"), mark, back)
        months = (None, _month_before(client))
        held = sum(rt.usage.show("acme", month).storage_byte_hours for month in months)
        # Entries were in memory for some seconds before.
        assert stored * 100 - 2 <= held < stored * 100 + 1000


def _month_before(client: Any) -> str:

    now = datetime.datetime.fromtimestamp(int(client.time()[0]), datetime.UTC)
    return (now.replace(day=1) - datetime.timedelta(days=1)).strftime("%Y-%m")


def test_an_encrypted_tenants_blobs_show_nothing(
    on_valkey: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    settings = spilling_settings(
        on_valkey, tmp_path, tenant={"enable_encryption": True}, security={"encryption_key": new_master_key()}
    )
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", settings={"encryption_enabled": True})
        value = SECRET + noise(rng)
        rt.cache.set("k", value, tenant="acme", tags=["t"], ttl=100, stale=100)
        rt.cache.set("l", noise(rng), tenant="acme")
        assert spill(rt).entries == 2
        stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
        assert SECRET.encode() not in stored
        assert rt.cache.touch("k", 1000, tenant="acme")
        assert rt.cache.get("k", tenant="acme") == value
        # One cannot pass for another.
        spill(rt)
        blobs = open_blobs(settings.blobs)
        one, other = blob_names(settings)[-2:]
        blobs.put(one, blobs.get(other))
        read = [rt.cache.get(key, tenant="acme") is None for key in ("k", "l")]
        assert sorted(read) == [False, True]
        assert rt.cache.stats().damaged == 1


def test_a_blob_that_is_missing_or_damaged_is_a_miss(
    on_valkey: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    """Counted, and the entry is removed; who loads it, loads it."""
    settings = spilling_settings(on_valkey, tmp_path)
    blobs = open_blobs(settings.blobs)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme")
        there = fill(rt, rng, 5)
        spill(rt)
        for name in blob_names(settings):
            blobs.delete(name)
        assert rt.cache.get("k0", "none", tenant="acme") == "none"
        assert rt.cache.get_many(["k1"], tenant="acme") == {}
        assert rt.cache.inspect("k2", tenant="acme") is Miss.LOST
        assert rt.cache.get_or_load("k3", lambda: "loaded", tenant="acme") == "loaded"
        assert rt.cache.warm("k4", lambda: "loaded", tenant="acme").outcome == "loaded"
        assert rt.cache.stats().lost == 5
        assert not rt.cache.exists("k0", tenant="acme")
        check_accounts(rt, "acme")
        there = fill(rt, rng, 4)
        spill(rt)
        for key in there:
            name = next(n for n in blob_names(settings) if _digest(rt, key) in n)
            good = blobs.get(name)
            place = rng.randrange(len(good))
            blobs.put(name, good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
            assert rt.cache.get(key, tenant="acme") is None
        assert rt.cache.stats().damaged == 4
        check_accounts(rt, "acme")


def test_the_blob_store_may_fail(on_valkey: Deployment, tmp_path: Path, rng: random.Random) -> None:
    """Who reads has a miss, and the entry stays; who needs room drops what cannot be moved."""
    settings = spilling_settings(on_valkey, tmp_path / "blobs")
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", quotas={"memory_bytes": 60_000})
        there = fill(rt, rng, 3)
        spill(rt)
        (tmp_path / "blobs").rename(tmp_path / "away")
        (tmp_path / "blobs").write_text("no directory")
        assert rt.cache.get("k0", tenant="acme") is None
        assert rt.cache.get_or_load("k1", lambda: "loaded", tenant="acme") == "loaded"
        rt.cache.set("k3", noise(rng), tenant="acme")
        with pytest.raises(BlobError):
            spill(rt)
        for number in range(30):
            rt.cache.set(f"more{number}", noise(rng), tenant="acme")
        assert rt.cache.figures().memory_bytes <= 60_000
        (tmp_path / "blobs").unlink()
        (tmp_path / "away").rename(tmp_path / "blobs")
        read = rt.cache.get_many(["k0", "k2"], tenant="acme")
        assert read == {key: there[key] for key in read}
        check_accounts(rt, "acme")


def test_to_s3_and_back(
    on_valkey: Deployment, s3_settings: Callable[..., BlobsSettings], rng: random.Random
) -> None:
    settings = on_valkey.settings(cache={"enable_spill": True}).model_copy(update={"blobs": s3_settings()})
    with riptide.connect(config=settings) as rt:
        there = fill(rt, rng, 3, "default")
        assert spill(rt).entries == 3
        assert rt.cache.get_many(there) == there
        assert spill(rt, 10**9).blobs == 3
        assert not blob_names(settings)


def test_workers_spill_by_themselves(on_valkey: Deployment, tmp_path: Path, rng: random.Random) -> None:
    """Over 80 % of the bound, until it is under that again; and they remove what nobody needs."""
    mib = 1024**2
    settings = spilling_settings(on_valkey, tmp_path, cache={"max_memory_bytes": mib})
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme")
        values = {f"k{n}": noise(rng, 40_000) for n in range(40)}
        rt.cache.set_many(values, tenant="acme")
        keeper = Keeper(settings, "one", lambda: open_blobs(settings.blobs))
        keeper.start()
        eventually(lambda: rt.cache.figures().memory_bytes <= 0.8 * mib, "entries to be spilled")
        assert rt.cache.figures().entries == 40
        rt.cache.clear(tenant="acme")
        eventually(lambda: not blob_names(settings), "their blobs to be removed")
        keeper.stop()
        keeper.join(PATIENCE)
        assert not keeper.is_alive()


def test_a_full_server_drains_into_the_blob_store(
    private_server: Callable[..., Any], prefix: str, tmp_path: Path, rng: random.Random
) -> None:
    deployment = Deployment(private_server(aof=False).url, prefix)
    settings = spilling_settings(deployment, tmp_path)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme")
        values = {f"k{n}": noise(rng, 20_000) for n in range(20)}
        rt.cache.set_many(values, tenant="acme")
        used = int(deployment.client.info("memory")["used_memory"])
        # Far below: what clients' buffers take is given back at any time.
        deployment.client.config_set("maxmemory", used // 2)
        first = spill(rt, None)
        assert 0 < first.entries < 20, "a quarter at each look"
        deployment.client.config_set("maxmemory", 1)
        before = rt.cache.figures().spilled
        assert rt.cache.get_many(values, tenant="acme") == values
        assert rt.cache.figures().spilled == before, "what cannot be put back is read all the same"
        deployment.client.config_set("maxmemory", 0)
        assert rt.cache.get_many(values, tenant="acme") == values
        assert rt.cache.figures().spilled == 0
        check_accounts(rt, "acme")
    deployment.close()


class Worker(threading.Thread):
    """The one writer of a key; what it reads must be what it wrote last, wherever that is."""

    def __init__(self, rt: RipTide, key: str, filler: str) -> None:
        super().__init__()
        self._rt, self._key, self._filler = rt, key, filler
        self.wrong: list[Any] = []

    def run(self) -> None:
        cache = self._rt.cache
        for number in range(8):
            value = [number, self._filler]
            cache.set(self._key, value, tenant="acme")
            spill(self._rt)
            for found in (
                cache.get(self._key, tenant="acme"),
                cache.get_many([self._key], tenant="acme").get(self._key),
            ):
                if found != value:
                    self.wrong.append((number, found and found[0]))


def test_readers_and_writers_while_all_is_spilled_all_the_time(
    deployment: Deployment, tmp_path: Path, rng: random.Random
) -> None:
    """What a key holds never goes back; no read misses what nobody deleted."""
    settings = spilling_settings(deployment, tmp_path)
    with riptide.connect(config=settings) as rt:
        rt.tenants.create("acme", shards=2)
        workers = [Worker(rt, f"k{n}", noise(rng)) for n in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        wrong = [wrong for worker in workers for wrong in worker.wrong]
        assert wrong == [], rt.cache.stats()
        assert rt.cache.figures().total_restored > 0
        check_accounts(rt, "acme")
        for number in range(3):
            rt.cache.delete(f"k{number}", tenant="acme")
        spill(rt)
        assert not blob_names(settings)
        assert rt.cache.figures().storage_bytes == 0


def test_keys_of_spilling_stand_in_the_tenants_slot() -> None:
    keys = Keys("p")
    assert keys.entry_blobs("acme") == "p:account:{acme}:blobs"
