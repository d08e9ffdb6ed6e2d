"""Loaders by name: registered callables, sync and async."""

import asyncio
import sys
import threading
import types
from typing import Any

import pytest

from riptide.cache.loaders import Loaded, LoaderUnavailable, LoadRequest
from riptide.cache.loaders.registry import Loaders, open_loaders
from riptide.config import CacheSettings, load
from riptide.config.live import Live
from riptide.errors import ConfigError, InvalidInput, LoaderError, LoaderNotFound, LoaderRefused

REQUEST = LoadRequest("acme", "pages", "7")


@pytest.fixture
def loaders() -> Loaders:
    return open_loaders(CacheSettings(loader_timeout_seconds=30))


async def test_a_synchronous_function_runs_in_a_thread(loaders: Loaders) -> None:
    loaders.register("rows", lambda request: {"key": request.key, "thread": threading.current_thread().name})
    loaded = await loaders.load("rows", REQUEST)
    assert loaded.value["key"] == "7"
    assert loaded.value["thread"] != threading.current_thread().name


async def test_an_asynchronous_function_runs_in_the_loop(loaders: Loaders) -> None:
    loop = asyncio.get_running_loop()

    async def rows(request: LoadRequest) -> Loaded:
        assert asyncio.get_running_loop() is loop
        return Loaded(b"x", content_type="text/plain", ttl=9, tags=("t",))

    loaders.register("rows", rows)
    assert await loaders.load("rows", REQUEST) == Loaded(b"x", "text/plain", 9, ("t",))


async def test_an_object_with_an_asynchronous_call(loaders: Loaders) -> None:
    class Rows:
        async def __call__(self, request: LoadRequest) -> str:
            return request.key

    loaders.register("rows", Rows())
    assert (await loaders.load("rows", REQUEST)).value == "7"


async def test_none_means_absent_and_other_empty_values_do_not(loaders: Loaders) -> None:
    loaders.register("none", lambda _: None)
    loaders.register("empty", lambda _: [])
    with pytest.raises(LoaderNotFound):
        await loaders.load("none", REQUEST)
    assert (await loaders.load("empty", REQUEST)).value == []


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (OSError("no route"), LoaderUnavailable),
        (TimeoutError(), LoaderUnavailable),
        (KeyError("x"), LoaderUnavailable),
        (LoaderNotFound("gone"), LoaderNotFound),
        (LoaderError("never"), LoaderError),
        (InvalidInput("odd"), InvalidInput),
    ],
)
async def test_what_a_function_raises(loaders: Loaders, raised: Exception, seen: type[Exception]) -> None:
    def fail(request: LoadRequest) -> Any:
        raise raised

    loaders.register("fail", fail)
    with pytest.raises(seen) as caught:
        await loaders.load("fail", REQUEST)
    assert type(caught.value) is seen


async def test_an_unknown_name_is_refused_with_the_known_ones(loaders: Loaders) -> None:
    loaders.register("rows", lambda _: 1)
    for name in ("os.system", "rows2", "", "Rows"):
        with pytest.raises(LoaderRefused, match="known are http, rows"):
            await loaders.load(name, REQUEST)


async def test_a_function_that_hangs_is_ended() -> None:
    loaders = open_loaders(CacheSettings(loader_timeout_seconds=0.01))
    ended = asyncio.Event()

    async def hang(request: LoadRequest) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    release = threading.Event()
    loaders.register("hang", hang)
    loaders.register("block", lambda _: release.wait())
    for name in ("hang", "block"):
        with pytest.raises(LoaderUnavailable, match=r"cache\.loader_timeout_seconds"):
            await loaders.load(name, REQUEST)
    release.set()
    assert ended.is_set()


async def test_names_are_unique(loaders: Loaders) -> None:
    with pytest.raises(ConfigError, match="'http'"):
        loaders.register("http", lambda _: 1)


async def test_modules_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    module, bare = types.ModuleType("shop_loaders"), types.ModuleType("shop_bare")
    module.LOADERS = {"products": lambda request: "p" + request.key}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "shop_loaders", module)
    monkeypatch.setitem(sys.modules, "shop_bare", bare)
    async with open_loaders(CacheSettings(), ["shop_bare", "shop_loaders"]) as loaders:
        assert loaders.names == ["http", "products"]
        assert (await loaders.load("products", REQUEST)).value == "p7"
    with pytest.raises(ConfigError, match="shop_missing"):
        open_loaders(CacheSettings(), ["shop_missing"])


def test_a_bad_allowlist_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"cache\.loader_allowed_hosts: 'http://x' is not a host"):
        open_loaders(CacheSettings(loader_allowed_hosts=("http://x",)))


async def test_the_allowlist_is_that_of_now() -> None:
    process = Live(load(environ={"CACHE_LOADER_ALLOWED_HOSTS": "127.0.0.2"}))
    here = LoadRequest("acme", "pages", "http://127.0.0.1:1/")
    async with open_loaders(process.settings.cache) as loaders:
        with pytest.raises(LoaderRefused, match=r"127\.0\.0\.1:1 is not in cache\.loader_allowed_hosts"):
            await loaders.load("http", here)
        process.switch(load(environ={"CACHE_LOADER_ALLOWED_HOSTS": "127.0.0.1"}).settings, "2-a", _fail)
        with pytest.raises(LoaderUnavailable):  # nobody listens there
            await loaders.load("http", here)
        process.switch(load(environ={}).settings, "3-a", _fail)
        with pytest.raises(LoaderRefused, match="fetches from no host"):
            await loaders.load("http", here)


def _fail(error: Exception) -> None:
    raise error
