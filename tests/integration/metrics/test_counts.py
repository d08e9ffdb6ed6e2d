"""What a process counts of its own work."""

import gc
import os
from contextlib import suppress
from pathlib import Path

import riptide
from riptide.cache.access.exporting import totals
from riptide.cache.stats import CacheStats
from riptide.metrics import render
from riptide.reads.aio_client import AsyncRipTide
from riptide.state.checkpoints.shelf import Shelf
from tests.integration.metrics.conftest import Open, settings_of
from tests.support.deployment import Deployment
from tests.support.scrape import Scrape


def now() -> Scrape:
    return Scrape(render().decode())


def rise(before: Scrape, sample: str, **labels: str) -> float:
    return (now().value(sample, labels) or 0) - (before.value(sample, labels) or 0)


def use(rt: riptide.RipTide) -> None:
    rt.cache.set("a", b"x" * 5000, tenant="acme")
    rt.cache.set_many({"b": 1, "c": 2}, tenant="acme")
    for _ in range(300):
        rt.cache.get("a", tenant="acme")
    rt.cache.get("nothing", tenant="acme")
    rt.cache.delete("c", tenant="acme")


def test_the_cache(on_valkey: Deployment, open_rt: Open) -> None:
    before = now()
    rt = open_rt(on_valkey, cache={"max_entry_size_bytes": 10_000})
    rt.tenants.create("acme", quotas={"memory_bytes": 20_000})
    use(rt)
    assert rise(before, "riptide_cache_hits_total") == 300
    assert rise(before, "riptide_cache_misses_total") == 1
    assert rise(before, "riptide_cache_sets_total") == 3
    assert rise(before, "riptide_cache_deletes_total") == 1
    assert rise(before, "riptide_cache_operations_total", operation="get", result="hit") == 300
    assert rise(before, "riptide_cache_entry_size_bytes_count") == 3
    assert rise(before, "riptide_cache_entry_size_bytes_sum") == rt.cache.stats().stored_bytes
    assert rise(before, "riptide_cache_access_duration_seconds_count") == rt.cache.stats().timed > 0
    for number in range(20):
        rt.cache.set(f"large{number}", os.urandom(4000), tenant="acme")
    assert rise(before, "riptide_cache_evictions_total", reason="policy") > 10


def test_what_a_client_did_stays_when_it_is_gone(on_valkey: Deployment) -> None:
    before = totals().hits
    with riptide.connect(config=settings_of(on_valkey)) as rt:
        rt.tenants.create("acme")
        use(rt)
    del rt
    gc.collect()
    assert totals().hits - before == 300


def test_a_forked_child_begins_with_nothing(on_valkey: Deployment, open_rt: Open) -> None:
    rt = open_rt(on_valkey)
    rt.tenants.create("acme")
    use(rt)
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        try:
            own = totals() == CacheStats()
            found = now()
            own = own and found.value("riptide_cache_entry_size_bytes_count") == 0
            rt.cache.get("a", tenant="acme")
            own = own and now().value("riptide_cache_hits_total") == 1
            os.write(write, b"yes" if own else repr(totals()).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 1000) == b"yes"
    os.close(read)
    os.close(write)


def test_checkpoints_and_reloads(on_valkey: Deployment, tmp_path: Path) -> None:
    before = now()
    shelf = Shelf(settings_of(on_valkey, blobs={"url": str(tmp_path / "blobs")}))
    shelf.create()
    assert rise(before, "riptide_checkpoints_total", kind="manual", result="done") == 1
    assert rise(before, "riptide_checkpoint_duration_seconds_count") == 1
    with suppress(riptide.RiptideError):
        shelf.create(stopped=lambda: True)
    assert rise(before, "riptide_checkpoints_total", kind="manual", result="failed") == 1
    assert now().value("riptide_config_reloads_total", result="switched") is not None


async def test_the_asynchronous_face(on_valkey: Deployment) -> None:
    before = now()
    async with await riptide.aconnect(config=settings_of(on_valkey)) as rt:
        assert isinstance(rt, AsyncRipTide)
        await rt.tenants.create("acme")
        await rt.cache.set("a", 1, tenant="acme")
        assert await rt.cache.get("a", tenant="acme") == 1
        assert rise(before, "riptide_cache_hits_total") == 1
        assert b"riptide_server_up" in rt.metrics.render()
