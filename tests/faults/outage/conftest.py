"""Connections of services whose server goes away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from riptide.config import Loaded, Settings
from riptide.reads.aio_client import AsyncRipTide, aconnect
from riptide.reads.sync_client import RipTide, connect
from tests.servers.sentinel import Sentinel
from tests.support.fixtures import on_valkey

__all__ = ["on_valkey"]

#: An outage shows soon; connections that were left behind dead are replaced unseen.
QUICK: dict[str, Any] = {"retry_attempts": 1, "retry_delay_ms": 1, "breaker_seconds": 0.05}


class Caller:
    """A connection of either colour; a synchronous one is called in threads."""

    def __init__(self, rt: RipTide | AsyncRipTide) -> None:
        self.rt = rt

    async def call(self, function: Callable[[Any], Any]) -> Any:
        if isinstance(self.rt, RipTide):
            return await asyncio.to_thread(function, self.rt)
        return await function(self.rt)

    @property
    def refused(self) -> bool:
        """Whether calls are refused, because the server does not answer."""
        return bool(self.rt.store.guard.outages())

    async def close(self) -> None:
        if isinstance(self.rt, RipTide):
            await asyncio.to_thread(self.rt.close)
        else:
            await self.rt.aclose()


Both = Callable[[Settings | Loaded], Awaitable[list[Caller]]]


@pytest.fixture
async def both() -> AsyncIterator[Both]:
    """`await both(settings)`: a synchronous connection, and an asynchronous one."""
    async with AsyncExitStack() as stack:

        async def opened(settings: Settings | Loaded) -> list[Caller]:
            callers = [
                Caller(await asyncio.to_thread(connect, None, settings)),
                Caller(await aconnect(None, settings)),
            ]
            for caller in callers:
                stack.push_async_callback(caller.close)
            return callers

        yield opened


@pytest.fixture
def sentinel(binary: Callable[[str], Path], tmp_path: Path) -> Any:
    started = Sentinel(binary("redis7"), tmp_path)
    try:
        yield started.start()
    finally:
        started.stop()
