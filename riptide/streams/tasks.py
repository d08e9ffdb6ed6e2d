"""The tasks of a worker that run beside its readers: none of their errors goes unheard."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from riptide.logger import get_logger

T = TypeVar("T")


class Tasks:
    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `coroutine` as a task; its error is logged."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()):
            get_logger("riptide.worker").error("internal error", exc_info=error)

    async def cancel(self) -> None:
        """End them all."""
        while self._running:  # what ended last may have begun something more
            left = set(self._running)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
