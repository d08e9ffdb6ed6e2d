"""`rt.health()`, asynchronous."""

import asyncio
import time
from collections.abc import Callable

from riptide.reads.assembly import Parts
from riptide.reads.health import FRESH_SECONDS, PATIENCE_SECONDS, Component, Health, Looking
from riptide.store.aio import AsyncStore


class AsyncHealthFace:
    """One look at a time, for all tasks that ask."""

    def __init__(self, store: AsyncStore, parts: Parts, writes: Callable[[], int]) -> None:
        """`writes` answers how many are buffered."""
        self._store, self._looking = store, Looking(parts, store.guard, writes)
        self._known: tuple[float, Health] | None = None
        self._under_way: asyncio.Task[Health] | None = None

    def watch(self, name: str, tell: Callable[[], Component]) -> None:
        """Let `tell` answer for a further component."""
        self._looking.told[name] = tell

    async def look(self) -> Health:
        if self._known is not None and time.monotonic() - self._known[0] < FRESH_SECONDS:
            return self._known[1]
        if self._under_way is None:
            self._under_way = asyncio.get_running_loop().create_task(self._ask())
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await asyncio.shield(self._under_way)
        except TimeoutError:
            return self._looking.unanswered()

    async def _ask(self) -> Health:
        try:
            found = await self._store.drive(self._looking.look())
            self._known = time.monotonic(), found
            return found
        finally:
            self._under_way = None

    async def aclose(self) -> None:
        if self._under_way is not None:
            self._under_way.cancel()
            await asyncio.gather(self._under_way, return_exceptions=True)
