"""Both faces of the store behind one awaitable interface, so that one test tells of both."""

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

from riptide.config import PerformanceSettings, Settings
from riptide.store.aio import AsyncStore, open_async_store
from riptide.store.operation import Arg, Operation, identity
from riptide.store.sync import Store, open_store
from tests.support.deployment import make_settings

T = TypeVar("T")


class Face:
    """A store of either kind, opened by its first operation; a synchronous one runs in threads."""

    def __init__(self, kind: str, settings: Settings) -> None:
        self._kind = kind
        self._settings = settings
        self._store: Store | AsyncStore | None = None
        self._opening = asyncio.Lock()

    async def run(self, operation: Operation[T]) -> T:
        store = await self._open()
        if isinstance(store, AsyncStore):
            return await store.run(operation)
        return await asyncio.to_thread(store.run, operation)

    async def run_all(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        store = await self._open()
        if isinstance(store, AsyncStore):
            return await store.run_all(operations)
        return await asyncio.to_thread(store.run_all, operations)

    async def close(self) -> None:
        if isinstance(self._store, AsyncStore):
            await self._store.close()
        elif self._store is not None:
            self._store.close()

    async def _open(self) -> Store | AsyncStore:
        async with self._opening:
            if self._store is None and self._kind == "async":
                self._store = open_async_store(self._settings)
            elif self._store is None:
                self._store = await asyncio.to_thread(open_store, self._settings)
        return self._store


def op(*args: Arg) -> Operation[Any]:
    """An operation whose value is its reply."""
    return Operation(args, identity)


def settings(url: str, *, cluster: bool = False, slow_ms: int = 10**6, **redis: Any) -> Settings:
    """Settings of `redis`, with further tries that come at once."""
    made = make_settings(url, "unused", cluster=cluster, redis={"retry_delay_ms": 1} | redis)
    return made.model_copy(update={"performance": PerformanceSettings(slow_threshold_ms=slow_ms)})
