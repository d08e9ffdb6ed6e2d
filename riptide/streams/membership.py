"""This process among the others: it beats, and acts on what it is told in answer."""

import asyncio
import contextlib
import time

from riptide.errors import RiptideError
from riptide.logger import get_logger
from riptide.store.sync import Store
from riptide.streams.consumer import Consumer
from riptide.streams.ground import Configured, Ground
from riptide.streams.heartbeat import Heartbeat
from riptide.streams.members import Absent, Beat
from riptide.streams.readers import Readers
from riptide.streams.rescue import Rescue
from riptide.streams.retries import Retries
from riptide.streams.schedule.scheduler import Scheduler
from riptide.streams.server_clock import ServerClock

_TICK_SECONDS = 0.25


class Membership:
    def __init__(
        self,
        ground: Ground,
        beat_store: Store,
        consumer: Consumer,
        clock: ServerClock,
        readers: Readers,
        retries: Retries,
        rescue: Rescue,
        scheduler: Scheduler,
    ) -> None:
        self._lease_seconds = ground.settings.workers.lease_seconds
        self._kinds = frozenset(ground.types)
        self._stop = ground.stop
        self._tasks = ground.tasks
        self._consumer = consumer
        self._clock = clock
        self._readers = readers
        self._retries = retries
        self._rescue = rescue
        self._scheduler = scheduler
        self._left_seen: int | None = None  # how many members had left by then
        self._taking_over: set[str] = set()
        self._configured = ground.configured
        self._hearing = False
        self.heartbeat = Heartbeat(
            beat_store,
            consumer.beat,
            self._heard_in_thread,
            lambda: consumer.executor.held_until,
            ground.settings.distributed.heartbeat_interval_ms / 1000,
        )

    def start(self) -> None:
        """Beat, from now on."""
        self._loop = asyncio.get_running_loop()
        self.heartbeat.start()

    async def tick(self) -> None:
        """Show the thread that beats that the event loop lives."""
        while True:
            self.heartbeat.ticked = time.monotonic()
            await asyncio.sleep(_TICK_SECONDS)

    def _heard_in_thread(self, beat: Beat, sent: float) -> None:
        if beat.member == self._consumer.name:
            self._consumer.lease.heard(sent, steady=beat.steady)
        with contextlib.suppress(RuntimeError):  # the loop is closing
            self._loop.call_soon_threadsafe(self._heard, beat, sent)

    def _heard(self, beat: Beat, sent: float) -> None:
        self._readers.rest(self._kinds if beat.quiet else beat.paused & self._kinds, quiet=beat.quiet)
        self._hear_of(beat.config)
        if beat.member != self._consumer.name:
            return
        self._consumer.heard(sent)
        if self._stop.is_set() or time.monotonic() - sent > self._lease_seconds:
            return  # an answer from before a long pause says nothing about who lives now
        self._scheduler.heard(beat.now_ms)
        # What is due by a clock that was set forward, no timer knows of; and what retries another one had in
        # mind that has left, nobody has now.
        jumped, left = self._clock.heard(beat.now_ms, sent), self._left_seen not in {None, beat.left}
        self._left_seen = beat.left
        if jumped or left:
            self._tasks.spawn(self._retries.promote_all())
        for dead in beat.dead:
            serves = dead.kinds is None or not dead.kinds.isdisjoint(self._kinds)
            if serves and dead.name not in self._taking_over:
                self._taking_over.add(dead.name)
                self._tasks.spawn(self._take_over(dead))

    def _hear_of(self, config: str) -> None:
        configured = self._configured
        if configured is not None and config != configured.version and not self._hearing:
            self._hearing = True
            self._tasks.spawn(self._hear(configured, config))

    async def _hear(self, configured: Configured, config: str) -> None:
        try:
            await configured.hear(config)
        except RiptideError as error:  # the next heartbeat tells it again
            get_logger("riptide.config").warning("cannot read the configuration yet", error=str(error))
        finally:
            self._hearing = False

    async def _take_over(self, dead: Absent) -> None:
        try:
            await self._rescue.take_over(dead)
        finally:
            self._taking_over.discard(dead.name)
