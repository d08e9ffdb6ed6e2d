"""What the asynchronous cache does behind its caller's back: refresh stale values, flush buffered writes,
report what it did."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from riptide.cache.access.reports import REPORT_SECONDS
from riptide.config import CacheSettings
from riptide.logger import get_logger
from riptide.reads.outage import Complaints

_log = get_logger("riptide.cache")


class AsyncBackground:
    """Tasks of one event loop."""

    def __init__(
        self, flush: Callable[[], Awaitable[None]], settings: CacheSettings, failed: Callable[[], None]
    ) -> None:
        self._flush, self._settings, self._failed = flush, settings, failed
        self._complaints = Complaints()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._flusher: asyncio.Task[Any] | None = None
        self._reporter: asyncio.Task[None] | None = None
        self._stopped = asyncio.Event()
        self._closed = False

    def submit(self, work: Awaitable[None]) -> None:
        """Await `work` in a task; what it raises is logged and counted."""
        self._start(self._guarded("cache_refresh_failed", work))

    def schedule_flush(self) -> None:
        """Flush within `cache.write_behind_flush_seconds`."""
        if not self._closed and (self._flusher is None or self._flusher.done()):
            self._flusher = self._start(self._flush_later())

    def _start(self, work: Awaitable[Any]) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _flush_later(self) -> None:
        await asyncio.sleep(self._settings.write_behind_flush_seconds)
        # A write that comes while this flush runs is not in it, and asks for the next one.
        self._flusher = None
        if not await self._guarded("cache_write_behind_failed", self._flush()):
            self.schedule_flush()

    def start_reports(self, report: Callable[[], Awaitable[float]]) -> None:
        """Await `report` from time to time from now on; it answers the seconds until the next time."""
        if self._reporter is None and not self._closed:
            self._reporter = asyncio.ensure_future(self._report_loop(report))

    async def _report_loop(self, report: Callable[[], Awaitable[float]]) -> None:
        pause = REPORT_SECONDS
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), pause)
                return
            pause = await report()

    async def _guarded(self, event: str, work: Awaitable[None]) -> bool:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - nobody waits for it: it is told here or nowhere
            self._failed()
            if self._complaints.new(event, error):
                _log.warning(event, error=str(error), kind=type(error).__name__)
            return False
        self._complaints.over(event)
        return True

    async def aclose(self) -> None:
        """Cancel the tasks; a refresh that is cut short leaves its key to the next reader."""
        self._closed = True
        self._stopped.set()
        if self._reporter is not None:
            await self._reporter  # not cancelled: whether a report was sent would not be known
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
