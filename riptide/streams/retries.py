"""Puts retries back into their streams when they are due."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from riptide.errors import RiptideError
from riptide.logger import get_logger
from riptide.store.aio import AsyncStore
from riptide.streams.takeover import PartitionOps

_SOONEST_SECONDS = 0.002
_AFTER_FAILURE_SECONDS = 5.0


class Retries:
    """One timer per partition, for the soonest retry known there. `spawn` runs a coroutine as a task."""

    def __init__(
        self,
        store: AsyncStore,
        partitions: Mapping[str, PartitionOps],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._store = store
        self._partitions = partitions
        self._spawn = spawn
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._stopped = False

    def arm(self, partition: str, seconds: float) -> None:
        """See to it that retries of `partition` are put back in `seconds`, or earlier."""
        loop = asyncio.get_running_loop()
        due = loop.time() + max(seconds, _SOONEST_SECONDS)
        timer = self._timers.get(partition)
        if self._stopped or (timer is not None and timer.when() <= due):
            return
        if timer is not None:
            timer.cancel()
        self._timers[partition] = loop.call_at(due, self._due, partition)

    def _due(self, partition: str) -> None:
        del self._timers[partition]
        self._spawn(self.promote(self._partitions[partition]))

    async def promote(self, partition: PartitionOps) -> None:
        """Put back what is due now, and wake for what is due next."""
        try:
            promoted = await self._store.run(partition.promote())
        except RiptideError as error:
            get_logger("riptide.worker").warning("cannot put retries back yet", error=str(error))
            self.arm(partition.partition, _AFTER_FAILURE_SECONDS)
            return
        if promoted.next_in is not None:
            self.arm(partition.partition, promoted.next_in)

    async def promote_all(self) -> None:
        for partition in self._partitions.values():
            await self.promote(partition)

    def stop(self) -> None:
        self._stopped = True
        for timer in self._timers.values():
            timer.cancel()
