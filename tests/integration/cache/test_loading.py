"""Leases, waiting readers, stale and negative entries, warming, decorator, write-through."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from riptide.cache.entry import Miss
from riptide.cache.loaders.contract import Loaded
from riptide.cache.writing import MISSING
from riptide.config import CacheSettings
from riptide.errors import InvalidInput, LoaderError, LoaderNotFound
from riptide.reads.aio_cache import AsyncCache
from riptide.reads.sync_cache import Cache
from riptide.store.aio import open_async_store
from riptide.store.keys import Keys
from riptide.store.sync import Store
from tests.servers import Server
from tests.support.anybody import Anybody

from .conftest import Elsewhere, Make, settings_for, until


class Origin:
    """Counts how often it is asked."""

    def __init__(self, value: Any = "value") -> None:
        self.value = value
        self.asked = 0

    def __call__(self) -> Any:
        self.asked += 1
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


def test_loads_once_then_hits(cache: Any) -> None:
    origin = Origin()
    for _ in range(3):
        assert cache.get_or_load("k", origin, ttl=100, tags=["t"]) == "value"
    assert origin.asked == 1
    assert cache.entry("k").tags == ("t",)
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.loads, stats.refused) == (2, 1, 1, 0)


def test_a_loader_knows_more_than_its_caller(cache: Any) -> None:
    loaded = Loaded("page", content_type="text/html", ttl=50, tags=("from origin",), source="https://o/")
    assert cache.get_or_load("k", lambda: loaded, ttl=100, tags=["t"], version="3") == "page"
    entry = cache.entry("k")
    assert entry.value == "page"
    assert entry.tags == ("t", "from origin")
    assert entry.metadata.content_type == "text/html"
    assert (entry.metadata.source, entry.metadata.version) == ("https://o/", "3")
    assert entry.expires_in_ms <= 51_000


AS_STORED: dict[str, tuple[Callable[[], Any], Any]] = {
    "tuple": (lambda: (1, (2, "a")), [1, [2, "a"]]),
    "keys that are no text": (lambda: {1: {2.5: None}, None: 3}, {"1": {"2.5": None}, "None": 3}),
    "set": (lambda: {7}, [7]),
    "generator": (lambda: (n for n in range(3)), [0, 1, 2]),
    "datetime": (lambda: [datetime(2026, 11, 20, tzinfo=UTC)], ["2026-11-20T00:00:00Z"]),
    "bytes within": (lambda: {"a": b"x"}, {"a": "x"}),
    "bytearray": (lambda: bytearray(b"\xff"), b"\xff"),
    "compressed": (lambda: ("a",) * 100_000, ["a"] * 100_000),
    "within Loaded": (lambda: Loaded((1,)), [1]),
    "None": (lambda: None, None),
}


@pytest.mark.parametrize("what", AS_STORED)
def test_who_loads_gets_what_others_will(cache: Any, what: str) -> None:
    load, stored = AS_STORED[what]
    answers = [
        cache.get_or_load("k", load),
        cache.get_or_load("k", load),
        cache.get("k"),
        cache.get_or_load("k", load, refresh=True),
        cache.get("k"),
    ]
    assert answers == [stored] * 5
    assert {type(answer) for answer in answers} == {type(stored)}


@pytest.mark.parametrize("what", ["tuple", "generator", "bytearray"])
def test_a_value_that_is_not_stored_comes_as_it_would_be(make: Make, elsewhere: Elsewhere, what: str) -> None:
    cache, other = make(lease_seconds=0.05), elsewhere(lease_seconds=1000)
    load, stored = AS_STORED[what]

    def overtaken() -> Any:
        other.invalidate(keys=["k"])
        return load()

    assert cache.get_or_load("k", overtaken) == stored
    assert cache.stats().refused == 1
    helped: list[Any] = []

    def hangs() -> int:
        helped.append(cache.get_or_load("held", load))
        return 1

    other.warm("held", hangs)
    assert helped == [stored], "it waited, and helped itself"
    assert cache.stats().sets == 0


def test_a_stale_value_and_its_successor_come_as_they_are_stored(cache: Any) -> None:
    origin = Origin((1,))
    assert cache.get_or_load("k", origin, ttl=0.02, stale=1000) == [1]
    origin.value = (2,)
    until(lambda: cache.inspect("k") is Miss.EXPIRED)
    assert cache.get_or_load("k", origin, ttl=1000) == [1]
    assert until(lambda: cache.get("k")) == [2]
    assert cache.get_or_load("k", origin) == [2]


@pytest.mark.parametrize(
    "value",
    [object(), "\ud800", {"a": b"\xff"}, [10**4300], range(3)],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_stored_is_refused_whoever_loads_it(
    make: Make, elsewhere: Elsewhere, value: Any
) -> None:
    cache, other = make(lease_seconds=0.05), elsewhere(lease_seconds=1000)
    for load in (lambda: value, lambda: Loaded(value)):
        with pytest.raises(InvalidInput, match="the value cannot be cached"):
            cache.get_or_load("k", load, default="not this")

    def hangs() -> int:
        with pytest.raises(InvalidInput, match="the value cannot be cached"):
            cache.get_or_load("k", lambda: value)
        return 1

    assert other.warm("k", hangs).outcome == "loaded", "the lease was given back, and nothing was stored"


def test_refresh_loads_in_any_case(cache: Any) -> None:
    cache.set("k", "old")
    assert cache.get_or_load("k", Origin("new"), refresh=True) == "new"
    assert cache.get("k") == "new"


def test_a_loaders_error_is_the_callers_and_gives_the_lease_back(cache: Any) -> None:
    with pytest.raises(LoaderError, match="no route"):
        cache.get_or_load("k", Origin(LoaderError("no route")))
    with pytest.raises(ZeroDivisionError):
        cache.get_or_load("k", Origin(ZeroDivisionError()))
    with pytest.raises(InvalidInput):
        cache.get_or_load("k", Origin(object()))
    assert cache.warm("k", Origin("now")).outcome == "loaded", "nobody holds the lease"


@pytest.mark.parametrize("answer", [MISSING, LoaderNotFound("404")], ids=["MISSING", "LoaderNotFound"])
def test_missing_values_are_remembered(make: Make, answer: Any) -> None:
    cache = make(negative_ttl_seconds=1000)
    origin = Origin(answer)
    with pytest.raises(LoaderNotFound, match="'k'"):
        cache.get_or_load("k", origin)
    assert cache.get_or_load("k", origin, default="nothing") == "nothing"
    assert cache.get_or_load("k", origin, default=None) is None
    assert origin.asked == 1
    assert cache.get("k", "default") == "default"
    assert not cache.exists("k")
    assert cache.entry("k") is None
    assert cache.inspect("k").negative
    brief = make(negative_ttl_seconds=1)
    assert brief.get_or_load("brief", origin, default=None) is None
    origin.value = "there now"
    assert until(lambda: brief.get_or_load("brief", origin, default=None)) == "there now"
    cache.get_or_load("other", Origin(answer), default=None)
    cache.set("other", 1)
    assert cache.get("other") == 1


def test_stale_values_are_served_while_one_reloads(cache: Any) -> None:
    origin = Origin("old")
    cache.get_or_load("k", origin, ttl=0.02, stale=1000)
    origin.value = "new"
    until(lambda: cache.inspect("k") is Miss.EXPIRED)
    assert cache.get("k") is None, "a plain read takes fresh values alone"
    assert cache.get_many(["k"]) == {}
    assert not cache.exists("k")
    assert not cache.touch("k")
    assert cache.get_or_load("k", origin, ttl=1000, stale=1000) == "old"
    assert until(lambda: cache.get("k")) == "new"
    assert origin.asked == 2


def test_a_stale_value_whose_origin_fails_is_served_on(make: Make) -> None:
    cache = make(lease_seconds=1000)
    origin = Origin("old")
    cache.get_or_load("k", origin, ttl=0.02, stale=1000)
    origin.value = LoaderError("down")
    until(lambda: cache.inspect("k") is Miss.EXPIRED)
    assert cache.get_or_load("k", origin) == "old"
    until(lambda: cache.stats().errors)
    for _ in range(5):
        assert cache.get_or_load("k", origin) == "old"
    assert origin.asked == 2, "the failed refresh keeps its lease: the origin has peace until it ends"


def test_no_stale_value_after_an_invalidation(cache: Any) -> None:
    origin = Origin("old")
    for invalidate in (
        lambda: cache.invalidate(keys=["k"]),
        lambda: cache.invalidate(tags=["t"]),
        lambda: cache.invalidate_namespace("default"),
        cache.clear,
    ):
        origin.value = "old"
        cache.get_or_load("k", origin, ttl=0.02, stale=1000, tags=["t"])
        until(lambda: cache.inspect("k") is Miss.EXPIRED)
        origin.value = "new"
        invalidate()
        assert cache.get_or_load("k", origin, ttl=0.02, stale=1000, tags=["t"]) == "new"
        cache.delete("k")


def _set_and_delete(other: Cache) -> None:
    other.set("k", "newer")
    other.delete("k")


MEANWHILE: dict[str, Callable[[Cache], Any]] = {
    "key": lambda other: other.invalidate(keys=["k"]),
    "tag": lambda other: other.invalidate(tags=["t"]),
    "tag of origin": lambda other: other.invalidate(tags=["o"]),
    "namespace": lambda other: other.invalidate_namespace("default"),
    "tenant": lambda other: other.clear(),
    "set and delete": _set_and_delete,
    "set": lambda other: other.set("k", "newer"),
    "what is not concerned": lambda other: other.invalidate(keys=["k2"], tags=["t2"]),
}


@pytest.mark.parametrize("how", MEANWHILE)
@pytest.mark.parametrize("shards", [1, 16])
def test_what_was_loaded_before_is_not_stored_after(
    make: Make, elsewhere: Elsewhere, how: str, shards: int
) -> None:
    """The invalidation comes while the loader runs."""
    cache, other = make(shards=shards), elsewhere(shards=shards)

    def load() -> Loaded:
        MEANWHILE[how](other)
        return Loaded("old", tags=("o",))

    assert cache.get_or_load("k", load, tags=["t"]) == "old"
    after = {"set": "newer", "what is not concerned": "old"}
    assert cache.get("k") == after.get(how)
    assert cache.stats().refused == (how != "what is not concerned")
    assert other.warm("k", Origin("new")).outcome == ("present" if how in after else "loaded")


def test_a_hundred_readers_load_once(store: Store, prefix: str) -> None:
    cache = Cache(store, Keys(prefix), CacheSettings(), Anybody(Keys(prefix)))
    all_there = threading.Barrier(8)
    asked: list[int] = []

    def load() -> str:
        asked.append(1)
        return "value"

    def reader(_: int) -> Any:
        all_there.wait()
        return cache.get_or_load("k", load)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(reader, range(8))) == ["value"] * 8
    assert len(asked) == 1
    cache.close()


async def test_a_hundred_tasks_load_once(server: Server, prefix: str) -> None:
    store = open_async_store(settings_for(server))
    cache = AsyncCache(store, Keys(prefix), CacheSettings(), Anybody(Keys(prefix)))
    started = asyncio.Event()
    asked = 0

    async def load() -> str:
        nonlocal asked
        asked += 1
        await started.wait()
        return "value"

    readers = [asyncio.ensure_future(cache.get_or_load("k", load)) for _ in range(100)]
    while cache.stats().misses < 100 and not any(reader.done() for reader in readers):  # noqa: ASYNC110
        await asyncio.sleep(0)  # nothing announces it
    started.set()
    assert await asyncio.gather(*readers) == ["value"] * 100
    assert asked == 1
    cancelled = asyncio.ensure_future(cache.get_or_load("other", asyncio.Event().wait))
    while cache.stats().loads < 2:  # noqa: ASYNC110
        await asyncio.sleep(0)  # nothing announces it
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert (await cache.warm("other", lambda: 1)).outcome == "loaded", "a cancelled load gives its lease back"
    await cache.aclose()
    await store.close()


def test_a_reader_helps_itself_when_a_loader_hangs(make: Make, elsewhere: Elsewhere) -> None:
    cache, other = make(lease_seconds=0.05), elsewhere(lease_seconds=1000)
    # While this load hangs its lease ends; another reader waits for that, loads by itself, and wins.
    assert cache.warm("k", lambda: other.get_or_load("k", lambda: "helped itself")).outcome == "refused"
    assert cache.get("k") == "helped itself"


def test_warm(cache: Any) -> None:
    origin = Origin("v")
    assert cache.warm("k", origin).outcome == "loaded"
    assert cache.warm("k", origin).outcome == "present"
    assert cache.warm("k", origin, refresh=True).outcome == "loaded"
    assert origin.asked == 2
    assert cache.warm("gone", Origin(LoaderNotFound("404"))).outcome == "missing"
    assert cache.warm("gone", origin).outcome == "present", "that it is missing is known"
    with pytest.raises(LoaderError):
        cache.warm("bad", Origin(LoaderError("no")))


CALLS: list[Any] = []


def plain_sum(a: int, b: int = 1) -> int:
    CALLS.append((a, b))
    return a + b


def test_decorator(elsewhere: Elsewhere) -> None:
    cache, calls = elsewhere(), CALLS
    calls.clear()
    add = cache.cached(ttl=100, namespace="sums", tags=["sum"])(plain_sum)
    assert add.__name__ == "plain_sum"
    assert [add(1), add(1, 1), add(a=1), add(2)] == [2, 2, 2, 3]
    assert calls == [(1, 1), (2, 1)]
    assert cache.invalidate(tags=["sum"], namespace="sums") == 2
    assert add(1) == 2
    assert len(calls) == 3


def pair(a: Any) -> Any:
    return a, 1


def test_a_decorated_function_answers_alike_each_time(elsewhere: Elsewhere) -> None:
    cached = elsewhere().cached()(pair)
    assert cached(1) == cached(1) == [1, 1]
    long = "ä" * 5000
    assert cached(long) == cached(long) == [long, 1]


def test_functions_that_share_a_name_need_keys_of_their_own(elsewhere: Elsewhere) -> None:
    cache = elsewhere()

    def make(factor: int) -> Any:
        def times(n: int) -> int:
            return n * factor

        return times

    for function in (make(2), lambda n: n):
        with pytest.raises(InvalidInput, match=r"cached\(key="):
            cache.cached()(function)
    double = cache.cached(key=lambda n: f"double {n}")(make(2))
    assert (double(4), cache.get("double 4")) == (8, 8)


async def test_asynchronous_decorator(server: Server, prefix: str) -> None:
    store = open_async_store(settings_for(server))
    cache = AsyncCache(store, Keys(prefix), CacheSettings(), Anybody(Keys(prefix)))
    calls: list[Any] = []

    @cache.cached(key=lambda a, b=1: f"{a}+{b}")
    async def add(a: int, b: int = 1) -> int:
        calls.append((a, b))
        return a + b

    assert [await add(1), await add(1, b=1), await add(2)] == [2, 2, 3]
    assert calls == [(1, 1), (2, 1)]
    assert await cache.get("2+1") == 3
    await cache.aclose()
    await store.close()


def test_decorating_the_wrong_colour_is_refused(cache: Any) -> None:
    async def asynchronous() -> None: ...
    def synchronous() -> None: ...

    wrong = synchronous if hasattr(cache, "_runner") else asynchronous
    with pytest.raises(InvalidInput, match="decorate it with"):
        cache.cached()(wrong)


def test_write_through(cache: Any) -> None:
    origin: list[Any] = []
    cache.write_through("k", [1], origin.append, ttl=100)
    assert (cache.get("k"), origin) == ([1], [[1]])
    with pytest.raises(ZeroDivisionError):
        cache.write_through("k", [2], lambda _: 1 / 0)
    assert cache.get("k") == [1]
    with pytest.raises(InvalidInput):
        cache.write_through("k", object(), origin.append)
    assert origin == [[1]], "what cannot be cached is not written to the origin either"
