"""Who asks a server that does not answer, while its breaker is open: a thread, or a task."""

import asyncio
import os
import random
import threading
from collections.abc import Awaitable, Callable

from riptide.store.breaker import Breaker


class Prober:
    """`probe` raises as long as there is no answer; the next one comes `seconds` later, or about so."""

    def __init__(self, probe: Callable[[Breaker], None], seconds: float) -> None:
        self._probe, self._seconds = probe, seconds
        self._process, self._stopped = os.getpid(), threading.Event()

    def start(self, breaker: Breaker) -> None:
        if self._process != os.getpid():  # forked while a thread had the lock of that event
            self._process, self._stopped = os.getpid(), threading.Event()
        if not self._stopped.is_set():
            threading.Thread(
                target=self._run, args=(breaker, breaker.opening), name="riptide-probe", daemon=True
            ).start()

    def _run(self, breaker: Breaker, opening: int) -> None:
        pause = 0.0
        while not self._stopped.wait(pause) and breaker.opening == opening:
            try:
                self._probe(breaker)
            except Exception:  # noqa: BLE001 - whatever it is, it was no answer
                pause = _around(self._seconds)
            else:
                breaker.answered()

    def stop(self) -> None:
        """Probe no more; one that is on its way may end first."""
        if self._process == os.getpid():
            self._stopped.set()


class AsyncProber:
    """The same in tasks of the running loop."""

    def __init__(self, probe: Callable[[Breaker], Awaitable[None]], seconds: float) -> None:
        self._probe, self._seconds = probe, seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    def start(self, breaker: Breaker) -> None:
        if not self._stopped:
            task = asyncio.get_running_loop().create_task(self._run(breaker, breaker.opening))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, breaker: Breaker, opening: int) -> None:
        while breaker.opening == opening:
            try:
                await self._probe(breaker)
            except Exception:  # noqa: BLE001 - as in the other
                await asyncio.sleep(_around(self._seconds))
            else:
                breaker.answered()

    async def stop(self) -> None:
        self._stopped = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _around(seconds: float) -> float:
    """Processes that lost a server together do not all ask it at the same moments."""
    return seconds * random.uniform(0.8, 1.2)
