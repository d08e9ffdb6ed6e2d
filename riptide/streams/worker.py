"""A worker process: reads, runs, settles, beats, takes over, puts retries back.

Each of these lives in a file of its own; this one joins them.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from riptide.clock import Clock
from riptide.config import Settings
from riptide.errors import RiptideError
from riptide.logger import get_logger
from riptide.metrics.instruments import OUTCOMES
from riptide.store.aio import AsyncStore
from riptide.store.sync import Store
from riptide.streams.completion import Completion
from riptide.streams.consumer import Consumer
from riptide.streams.executor import Executor
from riptide.streams.ground import Configured, Ground
from riptide.streams.housekeeping import Housekeeping
from riptide.streams.job import DONE, OUTCOME_NAMES, Again, Applied, Elsewhere, Postponed
from riptide.streams.lease import Lease
from riptide.streams.members import Absent
from riptide.streams.membership import Membership
from riptide.streams.message import Entry
from riptide.streams.readers import Readers
from riptide.streams.registry import CommandType, load_models
from riptide.streams.rescue import Rescue
from riptide.streams.resting import Resting
from riptide.streams.retries import Retries
from riptide.streams.schedule.firing import Schedules, open_schedules
from riptide.streams.schedule.scheduler import Scheduler
from riptide.streams.server_clock import ServerClock
from riptide.streams.settling import Settled, Settler
from riptide.streams.sorter import Sorter
from riptide.streams.triage import Triage

# Of the time for stopping, what is kept for handing back what did not end in time.
_PART_FOR_REST = 0.2
_LEAST_REST_SECONDS = 2.0
_LEAST_SIGN_OFF_SECONDS = 1.0


class Worker:
    """Carries out commands of `types` until `stop()`.

    `store` belongs to the running loop; `beat_store` to the heartbeat thread alone. `context` is handed to
    every handler. `configured` hears of the deployment's configuration.
    """

    def __init__(
        self,
        settings: Settings,
        types: Sequence[CommandType],
        store: AsyncStore,
        beat_store: Store,
        context: Any,
        clock: Clock,
        configured: Configured | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._store = store
        self._context = context
        self._ground = ground = Ground.of(settings, types, store, configured)
        self._tasks = ground.tasks
        self._server_clock = ServerClock()
        self._consumer = Consumer(ground, clock.now_ms(), self._make_executor, self._leave_out, self._renewed)
        self._retries = Retries(store, ground.partitions, self._tasks.spawn)
        self._rescue = Rescue(ground, self._consumer, self._retries, self._doubt)
        self._sorter = Sorter(ground, self._consumer, self._deliver, self._doubt)
        self._readers = Readers(
            ground, self._consumer, self._deliver, self._rescue.recover, self._sorter.sort
        )
        self._housekeeping = Housekeeping(ground, self._consumer, self._readers, self._rescue, self._retries)
        self._scheduler = Scheduler(store, self._schedules(), self._tasks.spawn)
        self._membership = Membership(
            ground,
            beat_store,
            self._consumer,
            self._server_clock,
            self._readers,
            self._retries,
            self._rescue,
            self._scheduler,
        )
        self._ends_at = 0.0
        self._log = get_logger("riptide.worker")

    def _schedules(self) -> Schedules:
        return open_schedules(self._settings, load_models(self._settings.workers.modules), self._clock)

    def renew_schedules(self) -> None:
        """The settings of schedules have changed. Raises ConfigError, and then the old ones stay."""
        self._scheduler.renew(self._schedules())

    def renew_slots(self) -> None:
        """`workers.concurrency` has changed."""
        self._ground.slots.resize(self._settings.workers.concurrency)

    def _make_executor(self, name: str, lease: Lease) -> Executor:
        completion = Completion(self._ground.keys, self._settings.streams, name)
        return Executor(
            self._settings,
            Triage(self._settings, self._server_clock.now_ms, self._newest_served),
            Settler(self._store, completion, lambda: self._consumer.was_fenced(name), self._settled),
            self._ground.slots,
            self._context,
            suspect_ended=self._suspect_ended,
            may_start=lambda kind: kind not in self._readers.resting,
            is_intact=lease.holds,
            dropped=self._doubt,
        )

    async def _newest_served(self, kind: str) -> int:
        lease_ms = round(self._settings.workers.lease_seconds * 1000)
        return await self._store.run(self._ground.members.newest_served(kind, lease_ms, self.name))

    @property
    def name(self) -> str:
        """What it is called among the members; another one after it was taken over."""
        return self._consumer.name

    @property
    def process(self) -> str:
        """What it is called whatever its name is."""
        return self._consumer.process

    # The life of the process

    @property
    def seconds_left(self) -> float:
        """Once it stops: how much of its time is left."""
        return max(0.0, self._ends_at - time.monotonic())

    async def run(self) -> None:
        """Work until stopped, then hand back what has not started and finish what has."""
        await self._consumer.enroll()
        self._ground.slots.on_room = self._readers.room
        self._membership.start()
        self._tasks.spawn(self._retries.promote_all())
        reading = [self._tasks.spawn(reader.run()) for reader in self._readers]
        chores = [self._membership.tick(), self._housekeeping.sweep(), self._housekeeping.keep_up()]
        lasting = [*reading, *map(self._tasks.spawn, chores)]
        self._log.info("worker started", worker=self.name, commands=sorted(self._ground.types))
        stopped = self._tasks.spawn(self._ground.stop.wait())
        await asyncio.wait([stopped, *lasting], return_when=asyncio.FIRST_COMPLETED)
        self.stop()
        await self._shut_down(reading)
        for task in lasting:
            if not task.cancelled() and (error := task.exception()):
                raise error

    def stop(self) -> None:
        """Ask for a graceful end."""
        self._ground.stop.set()

    def stop_from_signal(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ask for a graceful end from a signal handler, even while a handler holds the event loop."""
        self._membership.heartbeat.asked_to_stop = True
        loop.call_soon_threadsafe(self.stop)

    async def _shut_down(self, reading: list[asyncio.Task[None]]) -> None:
        consumer, heartbeat = self._consumer, self._membership.heartbeat
        state = self._settings.state
        seconds = state.shutdown_timeout_seconds if state.enable_graceful_shutdown else 0
        self._ends_at = time.monotonic() + seconds
        self._log.info("worker stops", worker=self.name, running=consumer.executor.running)
        consumer.executor.close()
        stopping = [self._tasks.spawn(reader.stop()) for reader in self._readers]
        # A server that does not answer must not keep the process beyond that.
        timeout = min(self._settings.streams.block_ms / 1000 + 1, self.seconds_left)
        await asyncio.wait([*stopping, *reading], timeout=timeout)
        rest = max(_LEAST_REST_SECONDS, _PART_FOR_REST * self._settings.state.shutdown_timeout_seconds)
        await consumer.executor.drain(max(self.seconds_left - rest, self.seconds_left / 2), rest)
        self._retries.stop()
        self._sorter.moves.tell()
        heartbeat.stop()
        await asyncio.to_thread(heartbeat.join, 2)  # one on its way would make it a member again
        await self._tasks.cancel()
        await self._sign_off()
        self._log.info("worker stopped", worker=self.name)

    async def _sign_off(self) -> None:
        ground = self._ground
        seconds = max(_LEAST_SIGN_OFF_SECONDS, self.seconds_left)
        # A server that is away or silent: the others take over after the lease.
        with contextlib.suppress(RiptideError, TimeoutError):
            async with asyncio.timeout(seconds):
                held = sum(
                    await self._store.run_all([p.leave(self.name) for p in ground.partitions.values()])
                )
                if not held:
                    await self._store.run(ground.members.forget([self.name]))
                resting = Resting(ground.keys, ground.types)
                await self._store.run(resting.forget_quiet(self._consumer.process))

    # What passes from one part to another

    def _deliver(self, entries: list[Entry], kind: str, reserved: int, consumer: str) -> None:
        if entries and consumer != self.name:  # read under a name that has been given up meanwhile
            self._tasks.spawn(self._rescue.take_over(Absent(consumer, None)))
            entries = []
        self._consumer.executor.start(self._ground.types[kind], entries, reserved)

    def _settled(self, outcomes: Settled) -> None:
        self._housekeeping.touched.update({entry.partition for entry, _ in outcomes})
        self._consumer.position.update({entry.kind: (entry.partition, entry.id) for entry, _ in outcomes})
        ended = Counter([(entry.kind, outcome.__class__) for entry, outcome in outcomes])
        for (kind, how), count in ended.items():
            OUTCOMES.add(kind, OUTCOME_NAMES[how], by=count)
        for entry, outcome in outcomes:
            if outcome is DONE or type(outcome) is Applied:
                continue
            if isinstance(outcome, Again | Elsewhere):
                self._retries.arm(entry.partition, outcome.delay)
            elif isinstance(outcome, Postponed):
                self._retries.arm(entry.partition, (outcome.due_ms - self._server_clock.now_ms()) / 1000)

    def _leave_out(self, no_streams: frozenset[str]) -> None:
        self._readers.leave_out(no_streams)

    def _doubt(self) -> None:
        self._readers.doubt()

    def _suspect_ended(self) -> None:
        self._membership.heartbeat.now()  # another one that waits with the dead may be tried

    def _renewed(self, old: str) -> None:
        self._membership.heartbeat.now()
        # What reached it under its old name after that had been taken over.
        self._tasks.spawn(self._rescue.take_over(Absent(old, None)))
