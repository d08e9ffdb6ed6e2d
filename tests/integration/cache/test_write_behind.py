"""Write-behind: batched, bounded, flushed in time, by hand and at the end."""

import asyncio
import os
import signal
import threading
import warnings
from typing import Any

import pytest

from riptide.config import CacheSettings
from riptide.errors import InvalidInput, ServerUnavailable, WriteBehindFull
from riptide.reads.aio_cache import AsyncCache
from riptide.reads.sync_cache import Cache
from riptide.store.aio import open_async_store
from riptide.store.keys import Keys
from riptide.store.sync import Store
from tests.servers import Server
from tests.support.anybody import Anybody

from .conftest import Elsewhere, Make, settings_for, until

NEVER = 10_000.0  # seconds until a buffered write is sent by itself


def test_flushes_within_its_time(make: Make) -> None:
    cache = make(write_behind_flush_seconds=0.01)
    cache.write_behind("k", 1)
    assert until(lambda: cache.get("k")) == 1
    cache.write_behind("k", 2)
    assert until(lambda: cache.get("k") == 2)


def test_flushes_by_hand(make: Make) -> None:
    cache = make(write_behind_flush_seconds=NEVER)
    for n in range(250):
        cache.write_behind(f"key {n}", n, ttl=100, tags=["t"], namespace="pages")
    cache.write_behind("key 0", "last")
    assert cache.get("key 1", namespace="pages") is None
    cache.flush()
    found = cache.get_many([f"key {n}" for n in range(250)], namespace="pages")
    assert found == {f"key {n}": n for n in range(250)}
    assert cache.get("key 0") == "last"
    assert cache.invalidate(tags=["t"], namespace="pages") == 250
    cache.flush()


def test_flushes_at_the_end(make: Make, elsewhere: Elsewhere) -> None:
    cache = make(write_behind_flush_seconds=NEVER)
    cache.write_behind("k", 1)
    cache.close()
    assert elsewhere().get("k") == 1
    cache.close()


def test_a_full_buffer_refuses_or_waits(make: Make) -> None:
    cache = make(write_behind_flush_seconds=NEVER, write_behind_max_entries=2)
    cache.write_behind("a", 1)
    cache.write_behind("b", 2)
    with pytest.raises(WriteBehindFull, match="2 writes wait"):
        cache.write_behind("c", 3, wait=False)
    assert cache.get("a") is None
    cache.write_behind("a", "again", wait=False)
    cache.write_behind("c", 3)
    assert cache.get_many(["a", "b", "c"]) == {"a": "again", "b": 2}
    cache.flush()
    assert cache.get("c") == 3


def test_bad_values_are_refused_at_once(make: Make) -> None:
    cache = make(write_behind_flush_seconds=NEVER)
    with pytest.raises(InvalidInput):
        cache.write_behind("k", object())


def test_an_invalidation_takes_what_waits(make: Make) -> None:
    cache = make(write_behind_flush_seconds=NEVER)
    for key in ("a", "b", "c", "d"):
        cache.write_behind(key, 1, tags=[f"tag {key}"])
    cache.write_behind("e", 1, namespace="other")
    cache.write_behind("f", 1, tenant="acme")
    cache.invalidate(keys=["a"], tags=["tag b"])
    cache.invalidate_namespace("other")
    cache.clear(tenant="acme")
    cache.flush()
    assert cache.get_many(["a", "b", "c", "d"]) == {"c": 1, "d": 1}
    assert cache.get("e", namespace="other") is None
    assert cache.get("f", tenant="acme") is None


class Broken:
    """A store that cannot reach its server until it is mended."""

    clustered, off = True, False

    def __init__(self, store: Any) -> None:
        self.store, self.broken, self.tried = store, True, threading.Event()

    def drive(self, flow: Any) -> Any:
        if not self.broken:
            return self.store.drive(flow)
        self.tried.set()
        flow.send(None)
        with pytest.raises(ServerUnavailable):
            flow.throw(ServerUnavailable("cut"))
        raise ServerUnavailable("cut")

    def run(self, operation: Any) -> Any:
        return self.store.run(operation)


def test_a_later_write_is_not_undone_by_a_buffered_one(make: Make) -> None:
    cache = make(write_behind_flush_seconds=NEVER)
    for key in ("a", "b", "c"):
        cache.write_behind(key, "old")
    cache.set("a", "new")
    cache.set_many({"b": "new"})
    cache.write_through("c", "new", lambda _: None)
    cache.flush()
    assert cache.get_many(["a", "b", "c"]) == dict.fromkeys("abc", "new")


class Slow:
    """A store that holds its first flow until it is told to go on."""

    clustered, off = True, False

    def __init__(self, store: Store) -> None:
        self._store = store
        self.held, self.go_on = threading.Event(), threading.Event()

    def drive(self, flow: Any) -> Any:
        if not self.held.is_set():
            self.held.set()
            assert self.go_on.wait(30)
        return self._store.drive(flow)

    def run(self, operation: Any) -> Any:
        return self._store.run(operation)


def flushing_slowly(store: Store, prefix: str) -> tuple[Cache, Any, threading.Thread]:
    """A cache, and the thread that sends its buffered write of "k", held until `go_on` is set."""
    slow: Any = Slow(store)
    cache = Cache(slow, Keys(prefix), CacheSettings(write_behind_flush_seconds=NEVER), Anybody(Keys(prefix)))
    cache.write_behind("k", "old")
    flushing = threading.Thread(target=cache.flush)
    flushing.start()
    assert slow.held.wait(30)
    return cache, slow, flushing


def test_what_comes_while_a_flush_is_on_its_way_comes_after_it(store: Store, prefix: str) -> None:
    cache, slow, flushing = flushing_slowly(store, prefix)
    invalidating = threading.Thread(target=lambda: cache.invalidate(keys=["k"]))
    invalidating.start()
    slow.go_on.set()
    flushing.join(30)
    invalidating.join(30)
    assert cache.get("k") is None
    cache.close()


def test_a_child_forked_while_a_flush_is_on_its_way_does_not_wait_for_it(store: Store, prefix: str) -> None:
    cache, slow, flushing = flushing_slowly(store, prefix)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons: other threads are running
        child = os.fork()
    if child == 0:
        signal.alarm(30)
        cache.write_behind("child's", cache.waiting())
        cache.flush()
        cache.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, "it died, or waited for ever"
    assert (cache.get("child's"), cache.get("k")) == (0, None)
    slow.go_on.set()
    flushing.join(30)
    assert cache.get("k") == "old"
    cache.close()


def test_what_could_not_be_sent_waits_on(store: Store, prefix: str) -> None:
    broken: Any = Broken(store)
    cache = Cache(
        broken, Keys(prefix), CacheSettings(write_behind_flush_seconds=NEVER), Anybody(Keys(prefix))
    )
    cache.write_behind("k", 1)
    with pytest.raises(ServerUnavailable):
        cache.flush()
    assert cache.stats().errors == 1
    broken.broken = False
    cache.flush()
    assert cache.get("k") == 1
    cache.close()


def test_the_flusher_goes_on_after_an_outage(store: Store, prefix: str) -> None:
    broken: Any = Broken(store)
    cache = Cache(
        broken, Keys(prefix), CacheSettings(write_behind_flush_seconds=0.005), Anybody(Keys(prefix))
    )
    cache.write_behind("k", 1)
    assert broken.tried.wait(60)
    broken.broken = False
    assert until(lambda: cache.get("k")) == 1
    cache.close()


async def test_the_asynchronous_flusher_goes_on_after_an_outage(server: Server, prefix: str) -> None:
    store = open_async_store(settings_for(server))
    cache = AsyncCache(
        store, Keys(prefix), CacheSettings(write_behind_flush_seconds=0.005), Anybody(Keys(prefix))
    )
    failing = asyncio.Event()

    async def drive(flow: Any) -> Any:
        failing.set()
        flow.send(None)
        flow.throw(ServerUnavailable("cut"))

    whole, store.drive = store.drive, drive  # type: ignore[method-assign]
    await cache.write_behind("k", 1)
    await failing.wait()
    store.drive = whole  # type: ignore[method-assign]
    while await cache.get("k") is None:  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0.005)
    await cache.aclose()
    await store.close()
