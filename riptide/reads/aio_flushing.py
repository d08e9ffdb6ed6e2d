"""Flushes what the asynchronous face buffers."""

import asyncio
import time
from contextlib import suppress

from riptide.config import ApiSettings
from riptide.reads import flushing
from riptide.reads.flushing import AGAIN_SECONDS, Source, Telling
from riptide.store.aio import AsyncStore


class AsyncFlushing:
    """A task of one event loop, from the first `wake` on."""

    def __init__(self, store: AsyncStore, settings: ApiSettings, *sources: Source) -> None:
        self._store, self._settings, self._sources = store, settings, sources
        self._telling = Telling()
        self._task: asyncio.Task[None] | None = None
        self._stopped = asyncio.Event()
        self._lock = asyncio.Lock()

    def wake(self) -> None:
        """Something is buffered: it is sent within `api.usage_flush_seconds`."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._loop())

    async def flush(self) -> None:
        """Send what waits, now; raises the first error, after all were tried. It goes on without whoever is
        cancelled meanwhile: nobody would know what was sent."""
        await asyncio.shield(self._flush())

    async def _flush(self) -> None:
        errors = []
        async with self._lock:
            for source in self._sources:
                try:
                    await self._store.drive(source.flush())
                except Exception as error:  # noqa: BLE001 - the others' turn comes first
                    self._telling.failed(source, error)
                    errors.append(error)
        if errors:
            raise errors[0]
        self._telling.worked()

    async def _loop(self) -> None:
        while not self._stopped.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.usage_flush_seconds):
                    await self._stopped.wait()
            with suppress(Exception):  # it has been told, and what waits waits on
                await self._flush()

    async def aclose(self) -> None:
        """Flush a last time; what cannot be sent within some seconds is lost, which the log tells."""
        self._stopped.set()
        if self._task is None:
            return
        await self._task
        self._task = None
        until = time.monotonic() + flushing.LAST_SECONDS
        while any(source.waiting for source in self._sources) and time.monotonic() < until:
            await asyncio.sleep(AGAIN_SECONDS)
            with suppress(Exception):
                await self._flush()
        for source in self._sources:
            self._telling.ended(source)
