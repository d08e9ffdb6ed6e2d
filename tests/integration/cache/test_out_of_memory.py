"""At maxmemory writes are refused loudly, and invalidating still works."""

from collections.abc import Callable, Iterator

import pytest

from riptide.config import CacheSettings, RedisSettings, RedisUrl, Settings
from riptide.errors import ServerRefused
from riptide.reads.sync_cache import Cache
from riptide.store.keys import Keys
from riptide.store.operation import Operation, identity
from riptide.store.sync import Store, open_store
from tests.servers import ServerProcess
from tests.support.anybody import Anybody


@pytest.fixture(params=["valkey", "redis7", "redis8"])
def small(request: pytest.FixtureRequest, private_server: Callable[..., ServerProcess]) -> Iterator[Store]:
    server = private_server(request.param, aof=False)
    store = open_store(Settings(redis=RedisSettings(url=RedisUrl(server.url))))
    yield store
    store.close()


def test_invalidation_works_at_maxmemory(small: Store) -> None:
    cache = Cache(small, Keys(), CacheSettings(compression_algorithm="none"), Anybody(Keys()))
    values = {f"key {n}": n for n in range(300)}
    cache.set_many(values, tags=["t"])
    cache.set("other", 1, namespace="other")
    small.run(Operation(("CONFIG", "SET", "maxmemory", "1mb"), identity))
    with pytest.raises(ServerRefused, match=r"(?i)oom|maxmemory"):
        cache.set("k", 1)
    with pytest.raises(ServerRefused):
        cache.set_many({"a": 1, "b": 2})
    assert cache.stats().errors == 2
    assert cache.get_many(values) == values
    assert cache.exists("key 1")
    assert cache.get_or_load("new", lambda: "loaded") == "loaded", "what cannot be kept is still answered"
    assert cache.get("new") is None
    assert cache.delete("key 0")
    assert cache.invalidate(tags=["t"]) == 299
    assert cache.get_many(values) == {}
    cache.invalidate_namespace("other")
    assert cache.get("other", namespace="other") is None
    cache.clear()
    cache.close()
