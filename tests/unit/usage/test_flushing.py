"""Flushing what waits: whoever gives up, and whoever forks."""

import asyncio
import os
from typing import Any

from riptide.config import ApiSettings
from riptide.reads.aio_flushing import AsyncFlushing
from riptide.reads.sync_flushing import Flushing
from tests.support.waiting import aeventually


class Source:
    def __init__(self) -> None:
        self.waiting = 1

    def flush(self) -> Any:
        return self

    def drop(self) -> None:
        self.waiting = 0


class AsyncStore:
    """Sends when it may."""

    def __init__(self) -> None:
        self.asked, self.may = asyncio.Event(), asyncio.Event()

    async def drive(self, source: Source) -> None:
        self.asked.set()
        await self.may.wait()
        source.waiting = 0


async def test_what_is_being_sent_is_sent_though_nobody_waits_for_it() -> None:
    store: Any = AsyncStore()
    source = Source()
    flushing = AsyncFlushing(store, ApiSettings(), source)
    waits = asyncio.ensure_future(flushing.flush())
    await store.asked.wait()
    waits.cancel()
    await asyncio.gather(waits, return_exceptions=True)
    assert waits.cancelled()
    store.may.set()

    async def sent() -> bool:
        return source.waiting == 0

    await aeventually(sent, "what was being sent")


def test_a_forked_child_holds_nothing_of_its_parent_from_the_start() -> None:
    store: Any = None
    source = Source()
    flushing = Flushing(store, ApiSettings(), source)
    child = os.fork()
    if child == 0:
        os._exit(source.waiting)
    _, status = os.waitpid(child, 0)
    assert (os.waitstatus_to_exitcode(status), source.waiting) == (0, 1)
    flushing.close()
