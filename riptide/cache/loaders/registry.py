"""Loaders by name. A message may name one; it can never bring one along."""

import asyncio
import inspect
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Self
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from riptide.cache.loaders.contract import Loaded, Loader, LoaderUnavailable, LoadRequest
from riptide.cache.loaders.http import HttpLoader
from riptide.config import CacheSettings
from riptide.errors import ConfigError, LoaderNotFound, LoaderRefused, RiptideError
from riptide.streams.extensions import check_loader, listed

#: Gets the request and returns the value, a `Loaded`, or None if there is no such value; sync or async.
LoaderFunction = Callable[[LoadRequest], Any]

DEFAULT_LOADER = "http"
_THREADS = 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}", re.ASCII)


class FunctionLoader:
    """A registered callable. A synchronous one runs in a thread, so it may block."""

    def __init__(self, function: LoaderFunction, threads: Executor) -> None:
        self._function = function
        self._threads = threads

    async def load(self, request: LoadRequest) -> Loaded:
        """Any error that is not RipTide's own counts as one that may pass: LoaderUnavailable."""
        try:
            value = await self._call(request)
        except RiptideError:
            raise
        except Exception as error:
            raise LoaderUnavailable(f"the loader raised {type(error).__name__}") from error
        if value is None:
            raise LoaderNotFound("the loader returned None: there is no such value")
        return value if isinstance(value, Loaded) else Loaded(value)

    async def _call(self, request: LoadRequest) -> Any:
        if inspect.iscoroutinefunction(self._function):
            return await self._function(request)
        loop = asyncio.get_running_loop()
        value = await loop.run_in_executor(self._threads, copy_context().run, self._function, request)
        return await value if inspect.isawaitable(value) else value


class Loaders:
    """What a worker can load with. Belongs to one event loop; closes what it was given."""

    def __init__(self, http: HttpLoader, settings: CacheSettings) -> None:
        self._http, self._settings = http, settings
        self._loaders: dict[str, Loader] = {DEFAULT_LOADER: http}
        # Of their own: functions that hang must not take the threads that resolve names, nor ever new ones.
        self._threads = ThreadPoolExecutor(_THREADS, "riptide-loader")
        self._background: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @property
    def names(self) -> list[str]:
        return sorted(self._loaders)

    def register(self, name: str, function: LoaderFunction) -> None:
        """Make a callable known; raise ConfigError if the name is taken."""
        if name in self._loaders:
            raise ConfigError(f"two loaders are called {name!r}")
        self._loaders[name] = FunctionLoader(function, self._threads)

    def register_modules(self, modules: Sequence[str]) -> None:
        """Register what a module (`workers.modules`) lists in `LOADERS = {"name": function}`, if it does."""
        for module in modules:
            for name, function in listed(module, "LOADERS"):
                where = f"workers.modules: {module}.LOADERS[{name!r}]"
                if not isinstance(name, str) or not _NAME.fullmatch(name):
                    raise ConfigError(f"{where}: no command could name it; take letters, digits and _.:/-")
                check_loader(where, function)
                self.register(name, function)

    def require(self, name: str) -> Loader:
        """The loader of that name; raise LoaderRefused, naming those that are known, if there is none."""
        if name in self._loaders:
            return self._loaders[name]
        raise LoaderRefused(f"no loader is called {name!r}; known are {', '.join(self.names)}")

    def background(self, name: str, key: str) -> asyncio.Semaphore:
        """Held around each load that nobody waits for: its lease must not run out in a queue for connections.

        One for each host that is fetched from, and for each other loader, as in
        `cache.loader_connections_per_host`.
        """
        place = f"{name} {urlsplit(key).netloc.lower()}" if name == DEFAULT_LOADER else name
        if (found := self._background.get(place)) is None:
            found = self._background[place] = asyncio.Semaphore(self._settings.loader_connections_per_host)
        return found

    async def load(self, name: str, request: LoadRequest) -> Loaded:
        """Fetch one value within `cache.loader_timeout_seconds`; raises what `Loader` and `require` do."""
        loader, seconds = self.require(name), self._settings.loader_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await loader.load(request)
        except TimeoutError as error:
            raise LoaderUnavailable(
                f"loader {name!r} took longer than {seconds:g} s (cache.loader_timeout_seconds)"
            ) from error

    async def aclose(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def open_loaders(settings: CacheSettings, modules: Sequence[str] = ()) -> Loaders:
    """The loaders of a worker process: `http`, and those that the modules name. Raises ConfigError."""
    loaders = Loaders(HttpLoader(settings), settings)
    loaders.register_modules(modules)
    return loaders
