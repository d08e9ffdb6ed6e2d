"""Caches on real servers: the same tests drive the synchronous and the asynchronous face."""

import asyncio
import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis

from riptide.config import CacheSettings, RedisSettings, RedisUrl, Settings
from riptide.reads.aio_cache import AsyncCache
from riptide.reads.sync_cache import Cache
from riptide.store.aio import open_async_store
from riptide.store.keys import Keys
from riptide.store.operation import Operation, identity
from riptide.store.sync import Store, open_store
from tests.servers import Server
from tests.support.anybody import Anybody
from tests.support.fixtures import alone, deployment, on_valkey

__all__ = ["alone", "deployment", "on_valkey"]

Make = Callable[..., Any]
Elsewhere = Callable[..., Cache]
Raw = Callable[..., Any]


class Blocking:
    """An AsyncCache that is called without awaiting. Its tasks go on while something is called."""

    def __init__(self, runner: asyncio.Runner, cache: AsyncCache) -> None:
        self._runner, self._cache = runner, cache

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._cache, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            value = method(*args, **kwargs)
            return self._runner.run(_awaited(value)) if inspect.isawaitable(value) else value

        return call

    def close(self) -> None:
        self._runner.run(self._cache.aclose())


async def _awaited(value: Any) -> Any:
    return await value


def settings_for(server: Server) -> Settings:
    return Settings(redis=RedisSettings(url=RedisUrl(server.url), cluster_mode=server.cluster))


@pytest.fixture
def store(server: Server) -> Iterator[Store]:
    opened = open_store(settings_for(server))
    yield opened
    opened.close()


@pytest.fixture
def raw(store: Store) -> Raw:
    """`raw("SET", key, value)`: any command, to look at or to damage what is stored."""
    return lambda *args: store.run(Operation(args, identity))


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest, server: Server, store: Store, prefix: str) -> Iterator[Make]:
    """`make(shards=1, **cache_settings)` opens another cache on the test's own keys."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())

        def open_one(shards: int = 1, **changed: Any) -> Any:
            settings = CacheSettings(**{"key_prefix": prefix, **changed})
            keys = Keys(prefix)
            if request.param == "sync":
                cache: Any = Cache(store, keys, settings, Anybody(keys, shards))
                stack.callback(cache.close)
                return cache

            async def opened() -> AsyncCache:
                async_store = open_async_store(settings_for(server))
                stack.callback(lambda: runner.run(async_store.close()))
                return AsyncCache(async_store, keys, settings, Anybody(keys, shards))

            blocking = Blocking(runner, runner.run(opened()))
            stack.callback(blocking.close)
            return blocking

        yield open_one


@pytest.fixture
def elsewhere(store: Store, prefix: str) -> Iterator[Elsewhere]:
    """`elsewhere(shards=1, **cache_settings)` is a synchronous cache that shares nothing but the keys."""
    with ExitStack() as stack:

        def open_one(shards: int = 1, **changed: Any) -> Cache:
            cache = Cache(store, Keys(prefix), CacheSettings(**changed), Anybody(Keys(prefix), shards))
            stack.callback(cache.close)
            return cache

        yield open_one


@pytest.fixture
def cache(make: Make) -> Any:
    return make()


def until(condition: Callable[[], Any]) -> Any:
    """What `condition` returns once it is true. It has to be asked for: nothing announces an expiry."""
    while not (value := condition()):
        time.sleep(0.005)
    return value


@pytest.fixture
def count_keys(server: Server, prefix: str) -> Callable[[], dict[str, int]]:
    """All keys of the test, with their time to live in ms."""

    def found() -> dict[str, int]:
        if not server.cluster:
            with redis.Redis.from_url(server.url) as client:
                return _scan(client, prefix)
        cluster = redis.RedisCluster.from_url(server.url)
        found = _scan(cluster, prefix, target_nodes="primaries")
        cluster.disconnect_connection_pools()
        return found

    return found


def _scan(client: Any, prefix: str, **where: Any) -> dict[str, int]:
    keys = client.scan_iter(match=f"{prefix}:*", count=1000, **where)
    return {key.decode(): client.pttl(key) for key in keys}
