"""Writes how far long commands are: all that was said within a second in one round trip, and the last word of
those that fail."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence

from riptide.errors import RiptideError
from riptide.streams.job import Job

_SECONDS = 1.0
_FIRST_SECONDS = 0.1  # what ends within that needs no progress


class Reporter:
    """`write` sends what jobs have reached. What cannot be written is dropped: the next word is as good."""

    def __init__(self, write: Callable[[Sequence[Job]], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: dict[Job, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._written_at = float("-inf")

    def attend(self, jobs: Iterable[Job]) -> None:
        """Hear what the handler says of `jobs`, which begin on the running loop."""
        loop, thread = asyncio.get_running_loop(), threading.get_ident()

        def reported(job: Job) -> None:
            if threading.get_ident() == thread:
                self._note(job)
            else:
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    loop.call_soon_threadsafe(self._note, job)

        for job in jobs:
            job.reported = reported

    async def finish(self, jobs: Sequence[Job], failed: Sequence[Job]) -> None:
        """Hear no more of `jobs`, and write the last word of those that `failed`: how far they had come."""
        waiting = [job for job in jobs if self._waiting.pop(job, self) is not self]
        for job in jobs:
            job.reported = None
        last = [job for job in waiting if job in failed]
        if last:
            if self._writing is not None:  # an earlier word must not come after the last one
                await asyncio.wait([self._writing])
            await self._send(last)

    @property
    def idle(self) -> bool:
        """Nothing is waiting to be written, and so `finish` has nothing to do."""
        return not self._waiting

    def _note(self, job: Job) -> None:
        if job.reported is None:
            return
        self._waiting[job] = None
        if self._timer is None and self._writing is None:
            self._arm()

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        when = max(loop.time() + _FIRST_SECONDS, self._written_at + _SECONDS)
        self._timer = loop.call_at(when, self._begin)

    def _begin(self) -> None:
        self._timer = None
        jobs, self._waiting = list(self._waiting), {}
        if jobs:
            self._writing = asyncio.get_running_loop().create_task(self._round(jobs))

    async def _round(self, jobs: Sequence[Job]) -> None:
        try:
            await self._send(jobs)
        finally:
            self._writing = None
            self._written_at = asyncio.get_running_loop().time()
            if self._waiting:
                self._arm()

    async def _send(self, jobs: Sequence[Job]) -> None:
        with contextlib.suppress(RiptideError):
            await self._write(jobs)
