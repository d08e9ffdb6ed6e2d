"""Brings here what would wait for ever: a dead consumer's entries, and this one's that never arrived."""

import asyncio
from collections.abc import Callable, Sequence

from riptide.errors import RiptideError
from riptide.logger import get_logger
from riptide.store.keys import PARTITIONS
from riptide.streams.consumer import Consumer
from riptide.streams.ground import Ground
from riptide.streams.members import Absent
from riptide.streams.registry import CommandType
from riptide.streams.retries import Retries
from riptide.streams.slots import Place
from riptide.streams.takeover import MISSED_PER_CALL, PartitionOps


class Rescue:
    """`doubt()` has the readers look for entries that this consumer holds and has never seen."""

    def __init__(
        self, ground: Ground, consumer: Consumer, retries: Retries, doubt: Callable[[], None]
    ) -> None:
        self._store = ground.store
        self._keys = ground.keys
        self._partitions = ground.partitions
        self._types = list(ground.types.values())
        self._slots = ground.slots
        self._members = ground.members
        self._lease_ms = round(ground.settings.workers.lease_seconds * 1000)
        self._consumer = consumer
        self._retries = retries
        self._doubt = doubt
        # What is claimed and has not arrived yet looks like a lost delivery: one or the other at a time.
        self._alone = asyncio.Lock()
        self._log = get_logger("riptide.worker")

    async def take_over(self, dead: Absent) -> None:
        """Claim and start what a dead member held, as far as there is room; forget it if nothing is left. See
        to the retries that it had in mind."""
        try:
            await self._consumer.intact()
            left = 0
            for partition in self._partitions.values():
                left += await self.take_over_partition(partition, dead.name)
            if not left:
                await self._forget(dead)
            await self._retries.promote_all()
        except RiptideError as error:
            self._log.warning("cannot take over yet", dead=dead.name, error=str(error))
        finally:
            self._doubt()  # an answer that was lost on the way may have brought entries

    async def take_over_partition(self, partition: PartitionOps, dead: str) -> int:
        """Claim and start what there are free slots for; answers how many entries had to be left."""
        left = 0
        for slow in (False, True):
            for kind in self._types:
                async with self._alone:
                    left += await self._claim(partition, kind, dead, slow=slow)
        return left

    async def _claim(self, partition: PartitionOps, kind: CommandType, dead: str, *, slow: bool) -> int:
        pool = self._slots.pool_of(kind.name)
        slots = self._slots.take(pool, self._slots.free(pool))
        try:
            name, executor = self._consumer.name, self._consumer.executor
            room, suspects = slots * kind.handler.batch_size, int(not executor.suspects)
            taken = await self._store.run(
                partition.take_over(kind.name, dead, name, room, suspects, slow=slow)
            )
        except BaseException:
            self._slots.give_back(pool, slots)
            raise
        # Taken over itself in the meantime, it leaves them to whoever did that.
        executor.start(kind, taken.entries if name == self._consumer.name else [], slots)
        if taken.entries:
            self._log.warning("took over", dead=dead, kind=kind.name, entries=len(taken.entries))
        return taken.left

    async def _forget(self, dead: Absent) -> None:
        """Drop a dead member once it holds nothing in any stream that it served, served here or not."""
        kinds = sorted(dead.kinds if dead.kinds is not None else (kind.name for kind in self._types))
        holders = await self._store.run_all(
            [PartitionOps(self._keys, kinds, p).consumers() for p in PARTITIONS]
        )
        if not any(dead.name in consumers.holding for consumers in holders):
            await self._store.run(self._members.forget([dead.name], self._lease_ms))

    async def recover(self, partitions: Sequence[str]) -> None:
        """Start what this consumer holds and has never seen: a connection was cut before the reply had come.

        To be called while nothing is being read from `partitions`.
        """
        async with self._alone:
            full = True
            while full and self._consumer.lease.holds():  # else what is started is dropped again
                full = await self._recover_some(partitions)

    async def _recover_some(self, partitions: Sequence[str]) -> bool:
        """Whether there may be more."""
        name, executor = self._consumer.name, self._consumer.executor
        asked = [
            (kind, self._partitions[p], slow)
            for kind in self._types
            for p in partitions
            for slow in (False, True)
        ]
        found = await self._store.run_all(
            [
                ops.missed(kind.name, name, executor.known(Place(kind.name, ops.partition, slow)), slow=slow)
                for kind, ops, slow in asked
            ]
        )
        if name != self._consumer.name:
            return False
        for (kind, _, _), entries in zip(asked, found, strict=True):
            if entries:
                self._log.warning("recovered a lost delivery", kind=kind.name, entries=len(entries))
                executor.start(kind, entries, 0)
        return any(len(entries) == MISSED_PER_CALL for entries in found)
