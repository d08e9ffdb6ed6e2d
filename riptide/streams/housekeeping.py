"""What a worker does now and then for all: it trims streams, and finds what vanished workers left behind."""

import asyncio
import contextlib
import itertools
from collections.abc import Sequence

from riptide.errors import RiptideError
from riptide.logger import get_logger
from riptide.streams.consumer import Consumer
from riptide.streams.ground import Ground
from riptide.streams.readers import Readers
from riptide.streams.rescue import Rescue
from riptide.streams.retries import Retries
from riptide.streams.takeover import PartitionOps
from riptide.streams.upkeep import PinAlarm, upkeep

_SWEEP_SECONDS = 5.0
_UPKEEP_SECONDS = 1.0


class Housekeeping:
    def __init__(
        self, ground: Ground, consumer: Consumer, readers: Readers, rescue: Rescue, retries: Retries
    ) -> None:
        self._store = ground.store
        self._keys = ground.keys
        self._settings = ground.settings.streams
        self._kinds = list(ground.types)
        self._members = ground.members
        self._partitions = ground.partitions
        self._consumer = consumer
        self._readers = readers
        self._rescue = rescue
        self._retries = retries
        #: Partitions with new ends since the last upkeep.
        self.touched: set[str] = set()
        self._pin_alarm = PinAlarm()
        self._log = get_logger("riptide.worker")

    async def keep_up(self) -> None:
        """Trim, and save positions, where this worker has been at work."""
        while True:
            await asyncio.sleep(_UPKEEP_SECONDS)
            touched, self.touched = self.touched, set()
            try:
                await self._keep(sorted(touched))
            except RiptideError as error:
                self.touched |= touched
                self._log.warning("cannot do upkeep yet", error=str(error))

    async def _keep(self, partitions: Sequence[str]) -> None:
        asked = [upkeep(self._keys, self._settings, self._kinds, p) for p in partitions]
        for partition, kept in zip(partitions, await self._store.run_all(asked), strict=True):
            self._pin_alarm.note(partition, self._kinds, kept.pinned)
            if kept.more:
                self.touched.add(partition)

    async def sweep(self) -> None:
        """One partition at a time: retries and entries whose worker vanished without a trace."""
        for partition in itertools.cycle(self._partitions.values()):
            await asyncio.sleep(_SWEEP_SECONDS)
            await self._retries.promote(partition)
            with contextlib.suppress(RiptideError):
                if self._readers.left_out:
                    await self._consumer.repair()
                await self._keep([partition.partition])
                await self._clear(partition)

    async def _clear(self, partition: PartitionOps) -> None:
        """Take over from consumers whose worker vanished without a trace; one that holds nothing goes."""
        consumers = await self._store.run(partition.consumers())
        for name in (*consumers.holding, *consumers.empty):
            if name != self._consumer.name and not await self._store.run(self._members.is_member(name)):
                if name in consumers.holding:
                    self._log.warning("orphaned entries", consumer=name, partition=partition.partition)
                try:
                    await self._rescue.take_over_partition(partition, name)
                finally:
                    self._readers.doubt()  # an answer that was lost on the way may have brought entries
